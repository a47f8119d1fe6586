package parity

import (
	"fmt"
	"slices"
	"strings"
)

func messageGroups() []group {
	return []group{
		{name: "messages", config: sized + "allow_duplicate_messages true\n", talks: slices.Concat(publishing(),
			subscribing(), retained(), shared(), wills())},
		{name: "one copy", config: sized + "allow_duplicate_messages false\n", talks: overlaps()},
		{name: "a copy each", config: sized + "allow_duplicate_messages true\n", talks: overlaps()},
		{name: "aliases", config: sized + "max_topic_alias 3\n", talks: aliases()},
		{name: "no aliases", config: sized + "max_topic_alias 0\n", talks: aliases()},
	}
}

// complete sends and answers what a message of each QoS needs after PUBLISH.
func (s *script) complete(who string, qos, id int) {
	if qos == 2 {
		s.send(who, ack(pubrelByte, id))
	}
}

func publishing() (all []conversation) {
	for qos := range 3 {
		all = append(all, conversation{fmt.Sprintf("QoS %d to subscriptions of each QoS", qos), nil, func(s *script) {
			for i, who := range []string{"q0", "q1", "q2"} {
				s.join(who, hello{})
				s.subscribe(who, "x", i)
			}
			s.join("p", hello{})
			s.publish("p", message{topic: "x", qos: qos, id: 77, payload: "hello"})
			s.complete("p", qos, 77)
			if qos > 0 {
				s.send("q1", ack(pubackByte, 1))
			}
			switch qos {
			case 1:
				s.send("q2", ack(pubackByte, 1))
			case 2:
				s.send("q2", ack(pubrecByte, 1))
				s.send("q2", ack(pubcompByte, 1))
			}
		}}, conversation{fmt.Sprintf("QoS %d to nobody", qos), nil, func(s *script) {
			s.join("p", hello{})
			s.publish("p", message{topic: "x", qos: qos, id: 1, payload: "hello"})
			s.complete("p", qos, 1)
		}}, conversation{fmt.Sprintf("QoS %d with DUP", qos), nil, func(s *script) {
			s.join("a", hello{})
			s.subscribe("a", "x", 2)
			s.publish("a", message{topic: "x", qos: qos, id: 4, payload: "hello", dup: qos > 0})
			s.complete("a", qos, 4)
		}}, conversation{fmt.Sprintf("QoS %d across versions", qos), nil, func(s *script) {
			for _, level := range []int{v31, v4, v5} {
				who := "s" + levelNames[level]
				s.join(who, hello{level: level})
				s.send(who, subscribe(level, 1, s.topic("x"), 2))
			}
			s.join("p", hello{})
			var properties []byte
			if s.level == v5 {
				properties = bin(payloadFormat, 1, contentType, "text", userProperty, "k", "v")
			}
			s.publish("p", message{topic: "x", qos: qos, id: 3, payload: "hello", props: properties})
			s.complete("p", qos, 3)
		}}, conversation{fmt.Sprintf("QoS %d empty and large payloads", qos), nil, func(s *script) {
			s.join("a", hello{})
			s.subscribe("a", "x", 2)
			for i, n := range []int{0, 1, 127, 128, 4000, 16383, 20000, 70000} {
				s.publish("a", message{topic: "x", qos: qos, id: 1 + i, payload: strings.Repeat("p", n)})
				s.complete("a", qos, 1+i)
				if qos == 1 {
					s.send("a", ack(pubackByte, i+1))
				}
			}
		}})
	}
	return append(all,
		conversation{"QoS 2 repeated before PUBREL", nil, func(s *script) {
			s.join("a", hello{})
			s.subscribe("a", "x", 0)
			s.publish("a", message{topic: "x", qos: 2, id: 1, payload: "once"})
			s.publish("a", message{topic: "x", qos: 2, id: 1, payload: "once", dup: true})
			s.send("a", ack(pubrelByte, 1))
			s.send("a", ack(pubrelByte, 1))
		}},
		conversation{"QoS 2 with an identifier in use", nil, func(s *script) {
			s.join("a", hello{})
			s.subscribe("a", "x", 0)
			s.publish("a", message{topic: "x", qos: 2, id: 1, payload: "first"})
			s.publish("a", message{topic: "x", qos: 2, id: 1, payload: "second"})
			s.send("a", ack(pubrelByte, 1))
		}},
		conversation{"QoS 2 released in another order", nil, func(s *script) {
			s.join("a", hello{})
			s.subscribe("a", "x", 0)
			for id := 1; id <= 3; id++ {
				s.publish("a", message{topic: "x", qos: 2, id: id, payload: fmt.Sprint(id)})
			}
			s.send("a", ack(pubrelByte, 3), ack(pubrelByte, 1), ack(pubrelByte, 2))
		}},
		conversation{"all QoS in one write", nil, func(s *script) {
			s.join("s", hello{})
			s.subscribe("s", "x", 2)
			s.join("p", hello{})
			var all [][]byte
			for i := range 9 {
				all = append(all, message{topic: s.topic("x"), qos: i % 3, id: 10 + i, payload: fmt.Sprint(i)}.bytes(s.level))
				if i%3 == 2 {
					all = append(all, ack(pubrelByte, 10+i))
				}
			}
			s.send("p", all...)
		}},
		conversation{"PUBLISH in pieces", nil, func(s *script) {
			s.join("a", hello{})
			s.subscribe("a", "x", 1)
			s.send("a", s.trickle("a", message{topic: s.topic("x"), qos: 1, id: 500, payload: "in pieces"}.bytes(s.level)))
		}},
		conversation{"topics of the server", nil, func(s *script) {
			s.join("a", hello{})
			s.send("a", subscribe(s.level, 1, "$SYS/"+s.tag, 1, "$other/"+s.tag, 1, "$share/g/"+s.tag, 1))
			for i, topic := range []string{"$SYS/", "$other/", "$share/g/", "$CONTROL/"} {
				s.send("a", message{topic: topic + s.tag, qos: 1, id: 1 + i, payload: "x"}.bytes(s.level))
			}
		}},
		conversation{"wildcards do not match topics that begin with $", nil, func(s *script) {
			s.join("a", hello{})
			s.send("a", subscribe(s.level, 1, "#", 0, "+/"+s.tag, 0, "$other/#", 0, "$other/+", 0))
			s.send("a", message{topic: "$other/" + s.tag, payload: "x"}.bytes(s.level))
		}},
		conversation{"topics of 200 and 201 levels", nil, func(s *script) {
			s.join("a", hello{})
			s.subscribe("a", "#", 0)
			s.publish("a", message{topic: strings.Repeat("/", 198), payload: "200"})
			s.publish("a", message{topic: strings.Repeat("/", 199), payload: "201"})
			s.publish("a", message{topic: strings.Repeat("/", 200), payload: "202"})
		}},
		conversation{"properties are passed on", only5, func(s *script) {
			s.join("a", hello{})
			s.subscribe("a", "x", 1)
			for _, p := range [][]byte{
				bin(payloadFormat, 0), bin(payloadFormat, 1), bin(contentType, "text/plain"), bin(responseTopic, "answers/here"),
				bin(correlationData, "\x00\x01"),
				bin(userProperty, "a", "1", userProperty, "a", "2", userProperty, "", ""), bin(messageExpiry, u32(200)),
				bin(userProperty, "a", "1", contentType, "text", userProperty, "b", "2", responseTopic, "r", payloadFormat, 1,
					correlationData, "c"),
				bin(userProperty, "a", "1", messageExpiry, u32(100), contentType, "text"),
			} {
				s.publish("a", message{topic: "x", payload: "text", props: p})
			}
		}},
		conversation{"expiry of a retained message", only5, func(s *script) {
			s.join("a", hello{})
			s.publish("a", message{topic: "x", payload: "text", retain: true, props: bin(messageExpiry, u32(100), userProperty,
				"a", "b")})
			s.subscribe("a", "x", 1)
			s.publish("a", message{topic: "x", retain: true})
		}},
		conversation{"expiry 0", only5, func(s *script) {
			s.join("a", hello{})
			s.subscribe("a", "x", 1)
			s.publish("a", message{topic: "x", payload: "text", props: bin(messageExpiry, u32(0))})
		}},
	)
}

func subscribing() []conversation {
	return []conversation{
		{"wildcards", nil, func(s *script) {
			filters := []string{"#", "+", "+/+", "a/#", "a/+", "a/+/c", "+/b/#", "a", "a/b", "/#", "/+", "//", "+/+/+"}
			for i, f := range filters {
				who := fmt.Sprint("s", i)
				s.join(who, hello{})
				s.subscribe(who, f, 0)
			}
			s.join("p", hello{})
			for _, topic := range []string{"a", "a/b", "a/b/c", "b", "/", "/a", "//", "a/", "a//c"} {
				s.publish("p", message{topic: topic, payload: "x"})
			}
			s.send("p", message{topic: s.tag, payload: "parent"}.bytes(s.level))
		}},
		{"many filters in one packet", nil, func(s *script) {
			s.join("a", hello{})
			s.send("a", subscribe(s.level, 65535, s.topic("a"), 0, s.topic("b"), 1, s.topic("c"), 2, s.topic("a"), 2))
			s.publish("a", message{topic: "a", qos: 2, id: 1, payload: "x"})
			s.complete("a", 2, 1)
		}},
		{"subscribe again", nil, func(s *script) {
			s.join("a", hello{})
			s.publish("a", message{topic: "x", retain: true, payload: "kept"})
			s.subscribe("a", "x", 0)
			s.subscribe("a", "x", 1)
			s.publish("a", message{topic: "x", qos: 1, id: 1, payload: "live"})
			s.publish("a", message{topic: "x", retain: true})
		}},
		{"unsubscribe", nil, func(s *script) {
			s.join("a", hello{})
			s.subscribe("a", "x", 0)
			s.subscribe("a", "y/#", 0)
			s.send("a", unsubscribe(s.level, 5, s.topic("x"), s.topic("y/#"), s.topic("z")))
			s.publish("a", message{topic: "x", payload: "nobody"})
			s.publish("a", message{topic: "y/1", payload: "nobody"})
			s.send("a", unsubscribe(s.level, 6, s.topic("x")))
		}},
		{"own messages come back", nil, func(s *script) {
			s.join("a", hello{})
			s.subscribe("a", "x", 1)
			s.publish("a", message{topic: "x", qos: 1, id: 1, payload: "own"})
		}},
		{"no local", only5, func(s *script) {
			s.join("a", hello{})
			s.subscribe("a", "x", 0x05)
			s.join("b", hello{})
			s.publish("a", message{topic: "x", qos: 1, id: 1, payload: "own"})
			s.publish("b", message{topic: "x", qos: 1, id: 1, payload: "other"})
			s.subscribe("a", "x", 1)
			s.publish("a", message{topic: "x", qos: 1, id: 2, payload: "own"})
		}},
		{"retain as published", only5, func(s *script) {
			s.join("a", hello{})
			s.subscribe("a", "x", 0x08)
			s.subscribe("a", "y", 0)
			s.publish("a", message{topic: "x", retain: true, payload: "1"})
			s.publish("a", message{topic: "x", payload: "2"})
			s.publish("a", message{topic: "y", retain: true, payload: "3"})
			s.publish("a", message{topic: "x", retain: true})
			s.publish("a", message{topic: "y", retain: true})
		}},
		{"retain handling", only5, func(s *script) {
			s.join("a", hello{})
			s.publish("a", message{topic: "x", retain: true, payload: "kept"})
			for _, options := range []int{0x10, 0x10, 0x20, 0x00, 0x11, 0x21, 0x01} {
				s.subscribe("a", "x", options)
			}
			s.send("a", unsubscribe(v5, 2, s.topic("x")))
			s.subscribe("a", "x", 0x10)
			s.publish("a", message{topic: "x", retain: true})
		}},
		{"subscription identifiers", only5, func(s *script) {
			s.join("a", hello{})
			s.send("a", subscribeAs(1, 1, s.topic("x"), 1))
			s.send("a", subscribeAs(2, 268435455, s.topic("y"), 1))
			s.send("a", subscribeAs(3, 128, s.topic("z"), 0))
			for _, topic := range []string{"x", "y", "z"} {
				s.publish("a", message{topic: topic, qos: 1, id: 1, payload: topic})
			}
			s.send("a", subscribeAs(4, 2, s.topic("x"), 1))
			s.publish("a", message{topic: "x", payload: "changed"})
			s.subscribe("a", "x", 1)
			s.publish("a", message{topic: "x", payload: "without"})
		}},
		{"subscription identifier with other properties", only5, func(s *script) {
			s.join("a", hello{})
			s.send("a", subscribeAs(1, 7, s.topic("x"), 1))
			s.publish("a", message{topic: "x", payload: "text", props: bin(userProperty, "a", "b", contentType, "c")})
		}},
		{"subscription identifier of a retained message", only5, func(s *script) {
			s.join("a", hello{})
			s.publish("a", message{topic: "x", retain: true, payload: "kept"})
			s.send("a", subscribeAs(1, 7, s.topic("x"), 1))
			s.publish("a", message{topic: "x", retain: true})
		}},
		{"filter of 201 levels", nil, func(s *script) {
			s.join("a", hello{})
			s.subscribe("a", strings.Repeat("/", 198), 0)
			s.subscribe("a", strings.Repeat("/", 199), 0)
			s.subscribe("a", strings.Repeat("/", 200), 0)
		}},
		{"SUBSCRIBE with user properties", only5, func(s *script) {
			s.join("a", hello{})
			s.send("a", pkt(0x82, u16(1), props(userProperty, "a", "b"), s.topic("x"), 0))
			s.send("a", pkt(0xA2, u16(2), props(userProperty, "a", "b"), s.topic("x")))
		}},
	}
}

// overlaps are about one message for several subscriptions of a client.
func overlaps() []conversation {
	return []conversation{
		{"overlapping subscriptions", nil, func(s *script) {
			s.join("a", hello{})
			s.subscribe("a", "#", 0)
			s.subscribe("a", "x", 1)
			s.subscribe("a", "+", 2)
			s.publish("a", message{topic: "x", qos: 2, id: 1, payload: "hello"})
			s.complete("a", 2, 1)
			s.publish("a", message{topic: "x", payload: "hello"})
		}},
		{"overlapping subscriptions with identifiers", only5, func(s *script) {
			s.join("a", hello{})
			s.send("a", subscribeAs(1, 1, s.topic("#"), 1))
			s.send("a", subscribeAs(2, 2, s.topic("x"), 1))
			s.send("a", subscribeAs(3, 3, s.topic("+"), 1))
			s.publish("a", message{topic: "x", qos: 1, id: 1, payload: "hello"})
		}},
		{"overlapping subscriptions of equal QoS", nil, func(s *script) {
			s.join("a", hello{})
			s.subscribe("a", "x/#", 1)
			s.subscribe("a", "x/y", 1)
			s.publish("a", message{topic: "x/y", qos: 1, id: 1, payload: "hello"})
		}},
		{"overlapping subscriptions and a retained message", nil, func(s *script) {
			s.join("a", hello{})
			s.publish("a", message{topic: "x", qos: 1, id: 1, retain: true, payload: "kept"})
			s.send("a", subscribe(s.level, 1, s.topic("x"), 1, s.topic("+"), 1, s.topic("#"), 0))
			s.publish("a", message{topic: "x", retain: true})
		}},
	}
}

func retained() []conversation {
	return []conversation{
		{"retained messages", nil, func(s *script) {
			s.join("p", hello{})
			for qos := range 3 {
				s.publish("p", message{topic: fmt.Sprint("q", qos), qos: qos, id: 1, retain: true, payload: fmt.Sprint("kept", qos)})
				s.complete("p", qos, 1)
			}
			for qos := range 3 {
				who := fmt.Sprint("s", qos)
				s.join(who, hello{})
				for i := range 3 {
					s.subscribe(who, fmt.Sprint("q", i), qos)
				}
			}
			for i := range 3 {
				s.publish("p", message{topic: fmt.Sprint("q", i), retain: true})
			}
		}},
		{"retained message replaced and cleared", nil, func(s *script) {
			s.join("a", hello{})
			s.publish("a", message{topic: "x", retain: true, payload: "one"})
			s.publish("a", message{topic: "x", retain: true, payload: "two"})
			s.publish("a", message{topic: "x", payload: "not kept"})
			s.subscribe("a", "x", 0)
			s.publish("a", message{topic: "x", retain: true, qos: 1, id: 1})
			s.subscribe("a", "x", 0)
		}},
		{"retained messages in tree order", nil, func(s *script) {
			s.join("a", hello{})
			topics := []string{"b", "a/b/c", "a", "a/b", "a/b/c/d"}
			for _, topic := range topics {
				s.publish("a", message{topic: topic, retain: true, payload: topic})
			}
			s.subscribe("a", "a/#", 0)
			s.subscribe("a", "a/b/#", 0)
			s.subscribe("a", "a/+", 0)
			s.subscribe("a", "a/+/c", 0)
			for _, topic := range topics {
				s.publish("a", message{topic: topic, retain: true})
			}
		}},
		{"retained message for itself", nil, func(s *script) {
			s.join("a", hello{})
			s.subscribe("a", "x", 0)
			s.publish("a", message{topic: "x", retain: true, payload: "live"})
			s.publish("a", message{topic: "x", retain: true})
		}},
		{"retained message stored by a session that has gone", nil, func(s *script) {
			s.join("a", hello{})
			s.publish("a", message{topic: "x", retain: true, qos: 1, id: 1, payload: "kept"})
			s.leave("a")
			s.join("b", hello{})
			s.subscribe("b", "x", 1)
			s.publish("b", message{topic: "x", retain: true})
		}},
		{"retained properties", only5, func(s *script) {
			s.join("a", hello{})
			s.publish("a", message{topic: "x", retain: true, payload: "kept", props: bin(contentType, "t", userProperty, "a",
				"b", responseTopic, "r", correlationData, "c", payloadFormat, 1)})
			s.join("b", hello{level: v4})
			s.send("b", subscribe(v4, 1, s.topic("x"), 0))
			s.subscribe("a", "x", 0)
			s.publish("a", message{topic: "x", retain: true})
		}},
		{"retained QoS 2 is stored at PUBREL", nil, func(s *script) {
			s.join("a", hello{})
			s.publish("a", message{topic: "x", retain: true, qos: 2, id: 1, payload: "kept"})
			s.subscribe("a", "x", 0)
			s.send("a", ack(pubrelByte, 1))
			s.subscribe("a", "x", 0)
			s.publish("a", message{topic: "x", retain: true})
		}},
	}
}

func shared() []conversation {
	return []conversation{
		{"shared subscription", both, func(s *script) {
			for _, who := range []string{"a", "b", "c"} {
				s.join(who, hello{})
				s.send(who, subscribe(s.level, 1, "$share/g/"+s.topic("x"), 1))
			}
			s.join("p", hello{})
			for i := range 7 {
				s.publish("p", message{topic: "x", qos: 1, id: 1 + i, payload: fmt.Sprint(i)})
			}
			s.leave("b")
			for i := range 4 {
				s.publish("p", message{topic: "x", payload: fmt.Sprint("without b ", i)})
			}
			s.send("a", unsubscribe(s.level, 2, "$share/g/"+s.topic("x")))
			s.publish("p", message{topic: "x", payload: "for c"})
		}},
		{"shared subscription of 3.1", []int{v31}, func(s *script) {
			s.join("a", hello{})
			s.send("a", subscribe(s.level, 1, "$share/g/"+s.topic("x"), 1))
			s.publish("a", message{topic: "x", payload: "hello"})
		}},
		{"two groups and one that is not shared", both, func(s *script) {
			for i, f := range []string{"$share/g/", "$share/h/", ""} {
				who := fmt.Sprint("s", i)
				s.join(who, hello{})
				s.send(who, subscribe(s.level, 1, f+s.topic("x"), 0))
			}
			s.join("p", hello{})
			s.publish("p", message{topic: "x", payload: "hello"})
		}},
		{"one client, shared and not", both, func(s *script) {
			s.join("a", hello{})
			s.send("a", subscribe(s.level, 1, "$share/g/"+s.topic("x"), 0, s.topic("x"), 0))
			s.publish("a", message{topic: "x", payload: "hello"})
		}},
		{"shared subscription and retained message", both, func(s *script) {
			s.join("a", hello{})
			s.publish("a", message{topic: "x", retain: true, payload: "kept"})
			s.send("a", subscribe(s.level, 1, "$share/g/"+s.topic("x"), 0))
			s.publish("a", message{topic: "x", retain: true})
		}},
		{"shared subscription with wildcards", both, func(s *script) {
			s.join("a", hello{})
			s.send("a", subscribe(s.level, 1, "$share/g/"+s.topic("+/#"), 0))
			s.join("b", hello{})
			s.send("b", subscribe(s.level, 1, "$share/g/"+s.topic("x/#"), 0))
			s.join("p", hello{})
			for i := range 4 {
				s.publish("p", message{topic: "x/y", payload: fmt.Sprint(i)})
			}
		}},
		{"no local on a shared subscription", only5, func(s *script) {
			s.join("a", hello{})
			s.send("a", subscribe(s.level, 1, "$share/g/"+s.topic("x"), 4))
		}},
		{"unacknowledged message of a member that leaves", both, func(s *script) {
			s.join("a", hello{})
			s.send("a", subscribe(s.level, 1, "$share/g/"+s.topic("x"), 1))
			s.join("b", hello{})
			s.send("b", subscribe(s.level, 1, "$share/g/"+s.topic("x"), 1))
			s.join("p", hello{})
			s.publish("p", message{topic: "x", qos: 1, id: 1, payload: "hello"})
			s.drop("a")
			s.publish("p", message{topic: "x", qos: 1, id: 2, payload: "more"})
		}},
		{"$share/g", both, func(s *script) { s.join("a", hello{}); s.send("a", subscribe(s.level, 1, "$share/g", 0)) }},
		{"$share/g/", both, func(s *script) { s.join("a", hello{}); s.send("a", subscribe(s.level, 1, "$share/g/", 0)) }},
		{"$share//x", both, func(s *script) { s.join("a", hello{}); s.send("a", subscribe(s.level, 1, "$share//x", 0)) }},
		{"$share/+/x", both, func(s *script) { s.join("a", hello{}); s.send("a", subscribe(s.level, 1, "$share/+/x", 0)) }},
		{"$share", both, func(s *script) { s.join("a", hello{}); s.send("a", subscribe(s.level, 1, "$share", 0)) }},
		{"$share/g/a#", both, func(s *script) { s.join("a", hello{}); s.send("a", subscribe(s.level, 1, "$share/g/a#", 0)) }},
	}
}

func wills() (all []conversation) {
	for qos := range 3 {
		all = append(all, conversation{fmt.Sprintf("will of QoS %d", qos), nil, func(s *script) {
			s.join("s", hello{})
			s.subscribe("s", "w", 2)
			s.join("a", hello{will: &will{topic: s.topic("w"), payload: "gone", qos: qos}})
			s.drop("a")
			s.join("a", hello{will: &will{topic: s.topic("w"), payload: "gone", qos: qos}})
			s.leave("a")
		}})
	}
	return append(all,
		conversation{"retained will", nil, func(s *script) {
			s.join("a", hello{will: &will{topic: s.topic("w"), payload: "gone", qos: 1, retain: true}})
			s.drop("a")
			s.join("s", hello{})
			s.subscribe("s", "w", 1)
			s.publish("s", message{topic: "w", retain: true})
		}},
		conversation{"empty will clears a retained message", nil, func(s *script) {
			s.join("s", hello{})
			s.publish("s", message{topic: "w", retain: true, payload: "kept"})
			s.join("a", hello{will: &will{topic: s.topic("w"), retain: true}})
			s.drop("a")
			s.subscribe("s", "w", 1)
		}},
		conversation{"will with DISCONNECT reason 4", only5, func(s *script) {
			s.join("s", hello{})
			s.subscribe("s", "w", 2)
			s.join("a", hello{will: &will{topic: s.topic("w"), payload: "gone"}})
			s.leave("a", 4)
			s.join("a", hello{will: &will{topic: s.topic("w"), payload: "gone"}})
			s.leave("a", 0x80)
		}},
		conversation{"will properties", only5, func(s *script) {
			s.join("s", hello{})
			s.subscribe("s", "w", 2)
			s.join("a", hello{will: &will{topic: s.topic("w"), payload: "gone", props: bin(willDelay, u32(0), payloadFormat, 1,
				messageExpiry, u32(100), contentType, "t", responseTopic, "r", correlationData, "c", userProperty, "a", "b")}})
			s.drop("a")
		}},
		conversation{"delayed will is not sent when the client is back", only5, func(s *script) {
			s.join("s", hello{})
			s.subscribe("s", "w", 2)
			h := hello{keep: true, props: bin(sessionExpiry, u32(100)), will: &will{topic: s.topic("w"), payload: "gone",
				props: bin(willDelay, u32(100))}}
			s.join("a", h)
			s.drop("a")
			s.join("a", h)
			s.leave("a")
		}},
		conversation{"delayed will is sent when the session is wiped", only5, func(s *script) {
			s.join("s", hello{})
			s.subscribe("s", "w", 2)
			s.join("a", hello{keep: true, props: bin(sessionExpiry, u32(100)), will: &will{topic: s.topic("w"), payload: "gone",
				props: bin(willDelay, u32(100))}})
			s.drop("a")
			s.join("a", hello{})
		}},
		conversation{"delayed will of a client without a session", only5, func(s *script) {
			s.join("s", hello{})
			s.subscribe("s", "w", 2)
			s.join("a", hello{will: &will{topic: s.topic("w"), payload: "gone", props: bin(willDelay, u32(100))}})
			s.drop("a")
		}},
		conversation{"will to itself is not seen", nil, func(s *script) {
			h := hello{keep: true, props: bin(sessionExpiry, u32(100)), will: &will{topic: s.topic("w"), payload: "gone", qos: 1}}
			s.join("a", h)
			s.subscribe("a", "w", 1)
			s.drop("a")
			s.join("a", h)
		}},
	)
}

func aliases() []conversation {
	return []conversation{
		{"alias", only5, func(s *script) {
			s.join("a", hello{})
			s.subscribe("a", "#", 0)
			s.publish("a", message{topic: "x", props: bin(topicAlias, u16(1)), payload: "set"})
			s.send("a", message{props: bin(topicAlias, u16(1)), payload: "used"}.bytes(v5))
			s.publish("a", message{topic: "y", props: bin(topicAlias, u16(1)), payload: "changed"})
			s.send("a", message{props: bin(topicAlias, u16(1), userProperty, "a", "b"), payload: "used"}.bytes(v5))
			s.send("a", message{qos: 1, id: 1, props: bin(topicAlias, u16(1)), payload: "QoS 1"}.bytes(v5))
		}},
		{"greatest alias", only5, func(s *script) {
			s.join("a", hello{})
			s.subscribe("a", "#", 0)
			s.publish("a", message{topic: "x", props: bin(topicAlias, u16(3)), payload: "set"})
			s.publish("a", message{topic: "x", props: bin(topicAlias, u16(4)), payload: "too high"})
		}},
		{"alias never set", only5, func(s *script) {
			s.join("a", hello{})
			s.send("a", message{props: bin(topicAlias, u16(2)), payload: "?"}.bytes(v5))
		}},
		{"aliases end with the connection", only5, func(s *script) {
			s.join("a", hello{keep: true, props: bin(sessionExpiry, u32(100))})
			s.publish("a", message{topic: "x", props: bin(topicAlias, u16(1)), payload: "set"})
			s.leave("a")
			s.join("a", hello{keep: true, props: bin(sessionExpiry, u32(100))})
			s.send("a", message{props: bin(topicAlias, u16(1)), payload: "?"}.bytes(v5))
		}},
		{"aliases to the client", only5, func(s *script) {
			s.join("a", hello{props: bin(topicAliasMaximum, u16(2))})
			s.subscribe("a", "#", 0)
			s.join("p", hello{})
			for _, topic := range []string{"x", "y", "z", "x", "y", "z"} {
				s.publish("p", message{topic: topic, payload: "hello"})
			}
		}},
	}
}
