package parity

import (
	"fmt"
	"strings"
)

func limitGroups() []group {
	const house = "mount_point house/\nlistener @PORT2@ 127.0.0.1\n"
	return []group{
		{name: "two in flight and three queued", config: sized + "max_inflight_messages 2\nmax_queued_messages 3\n",
			talks: windows()},
		{name: "one in flight", config: sized + "max_inflight_messages 1\n", talks: windows()},
		{name: "any number in flight", config: sized + "max_inflight_messages 0\nmax_queued_messages 0\n", talks: windows()},
		{name: "bytes",
			config: sized + "max_inflight_messages 0\nmax_queued_messages 0\nmax_inflight_bytes 25\nmax_queued_bytes 45\n",
			talks:  windows()},
		{name: "packet size", config: "max_packet_size 100\n", talks: packetSizes()},
		{name: "message size", config: sized + "message_size_limit 20\n", talks: messageSizes()},
		{name: "keep-alive", config: sized + "max_keepalive 60\n", talks: []conversation{
			{"keep-alive within the limit", nil, func(s *script) { s.join("a", hello{keepAlive: 60}) }},
			{"keep-alive above the limit", nil, func(s *script) { s.join("a", hello{keepAlive: 61}) }},
			{"no keep-alive", nil, func(s *script) { s.join("a", hello{keepAlive: -1}) }},
		}},
		{name: "max_qos 1", config: sized + "max_qos 1\n", talks: qosLimits()},
		{name: "max_qos 0", config: sized + "max_qos 0\n", talks: qosLimits()},
		{name: "no retained messages", config: sized + "retain_available false\n", talks: []conversation{
			{"CONNACK", nil, func(s *script) { s.join("a", hello{}) }},
			{"retained message", nil, func(s *script) {
				s.join("a", hello{})
				s.subscribe("a", "x", 1)
				s.publish("a", message{topic: "x", retain: true, payload: "kept"})
			}},
			{"empty retained message", nil, func(s *script) {
				s.join("a", hello{})
				s.publish("a", message{topic: "x", retain: true, qos: 1, id: 1})
			}},
			{"retained will", nil, func(s *script) {
				s.join("a", hello{will: &will{topic: s.topic("w"), payload: "gone", retain: true}})
			}},
			{"retain as published", only5, func(s *script) {
				s.join("a", hello{})
				s.subscribe("a", "x", 0x08)
				s.publish("a", message{topic: "x", payload: "hello"})
			}},
		}},
		{name: "no empty identifiers", config: sized + "allow_zero_length_clientid false\n", talks: []conversation{
			{"empty identifier", nil, func(s *script) { s.join("a", hello{noID: true}) }},
			{"empty identifier for a stored session", nil, func(s *script) { s.join("a", hello{noID: true, keep: true}) }},
		}},
		{name: "identifier prefix", config: sized + "auto_id_prefix made-\n", talks: []conversation{
			{"empty identifier", both, func(s *script) { s.join("a", hello{noID: true}) }},
			{"two empty identifiers", both, func(s *script) { s.join("a", hello{noID: true}); s.join("b", hello{noID: true}) }},
		}},
		{name: "user names as identifiers", config: sized + "use_username_as_clientid true\n", talks: []conversation{
			{"user name", nil, func(s *script) { s.join("a", hello{user: s.tag, pass: "x"}) }},
			{"user name and an empty identifier", nil, func(s *script) { s.join("a", hello{noID: true, user: s.tag, pass: "x"}) }},
			{"no user name", nil, func(s *script) { s.join("a", hello{}) }},
			{"empty user name", nil, func(s *script) { s.join("a", hello{hasUser: true, pass: "x"}) }},
			{"the same user name twice", nil, func(s *script) {
				s.join("a", hello{user: s.tag, pass: "x"})
				s.join("b", hello{user: s.tag, pass: "x"})
			}},
			{"user name with a wildcard", nil, func(s *script) { s.join("a", hello{user: s.tag + "/+", pass: "x"}) }},
		}},
		{name: "two connections", config: sized + "max_connections 2\n", talks: []conversation{
			{"a third connection", nil, func(s *script) {
				s.join("a", hello{})
				s.join("b", hello{})
				s.join("c", hello{})
				s.leave("a")
				s.join("d", hello{})
			}},
		}},
		{name: "two connections, one taken over", config: sized + "max_connections 2\n", talks: []conversation{
			{"a take-over needs a place", only4, func(s *script) {
				s.join("a", hello{id: s.topic("client")})
				s.join("b", hello{})
				s.join("c", hello{id: s.topic("client")})
			}},
		}},
		{name: "identifiers that begin with t", config: sized + "clientid_prefixes t\n", talks: []conversation{
			{"identifier with the prefix", nil, func(s *script) { s.join("a", hello{}) }},
			{"another identifier", nil, func(s *script) { s.join("a", hello{id: "x" + s.tag}) }},
			{"the prefix alone", nil, func(s *script) { s.join("a", hello{id: "t"}) }},
			{"empty identifier", nil, func(s *script) { s.join("a", hello{noID: true}) }},
			{"another identifier that would take over", nil, func(s *script) { s.join("a", hello{id: "T" + s.tag[1:]}) }},
		}},
		{name: "mount point", config: sized + house, talks: mounted()},
	}
}

// windows are about how many messages a client is sent and how many wait. The payloads have ten bytes.
func windows() (all []conversation) {
	for _, qos := range []int{1, 2} {
		all = append(all,
			conversation{fmt.Sprintf("slow subscriber of QoS %d", qos), nil, func(s *script) {
				s.join("s", hello{})
				s.subscribe("s", "x", qos)
				s.join("p", hello{})
				for i := range 7 {
					s.publish("p", message{topic: "x", qos: qos, id: 1 + i, payload: fmt.Sprint("message--", i)})
					s.complete("p", qos, 1+i)
				}
				s.publish("p", message{topic: "x", payload: "QoS 0"})
				if qos == 1 {
					for id := range 7 {
						s.send("s", ack(pubackByte, 1+id))
					}
					return
				}
				for id := range 3 {
					s.send("s", ack(pubrecByte, 1+id))
					s.send("s", ack(pubcompByte, 1+id))
				}
			}},
			conversation{fmt.Sprintf("QoS %d for a stored session", qos), nil, func(s *script) {
				s.join("s", stored)
				s.subscribe("s", "x", qos)
				s.leave("s")
				s.join("p", hello{})
				for i := range 7 {
					s.publish("p", message{topic: "x", qos: qos, id: 1 + i, payload: fmt.Sprint("message--", i)})
					s.complete("p", qos, 1+i)
				}
				s.join("s", stored)
				s.drop("s")
				s.join("s", stored)
				for id := range 7 {
					if qos == 2 {
						s.send("s", ack(pubrecByte, 1+id))
						s.send("s", ack(pubcompByte, 1+id))
					} else {
						s.send("s", ack(pubackByte, 1+id))
					}
				}
			}},
		)
	}
	return append(all,
		conversation{"CONNACK", only5, func(s *script) { s.join("a", hello{}) }},
		conversation{"client with a larger receive maximum", only5, func(s *script) {
			s.join("s", hello{props: bin(receiveMaximum, u16(50))})
			s.subscribe("s", "x", 1)
			for i := range 3 {
				s.publish("s", message{topic: "x", qos: 1, id: 1 + i, payload: fmt.Sprint("message--", i)})
			}
		}},
		conversation{"more QoS 2 from the client than are allowed", nil, func(s *script) {
			s.join("s", hello{})
			s.subscribe("s", "x", 0)
			s.join("p", hello{})
			for i := range 4 {
				s.publish("p", message{topic: "x", qos: 2, id: 1 + i, payload: fmt.Sprint("message--", i)})
			}
			for i := range 4 {
				s.send("p", ack(pubrelByte, 1+i))
			}
		}},
		conversation{"retained messages for a small window", nil, func(s *script) {
			s.join("p", hello{})
			for i := range 4 {
				s.publish("p", message{topic: fmt.Sprint(i), qos: 1, id: 1 + i, retain: true, payload: fmt.Sprint("message--", i)})
			}
			s.join("s", hello{})
			s.subscribe("s", "+", 1)
			s.send("s", ack(pubackByte, 1))
			for i := range 4 {
				s.publish("p", message{topic: fmt.Sprint(i), retain: true})
			}
		}},
	)
}

func packetSizes() (all []conversation) {
	for qos := range 3 {
		all = append(all, conversation{fmt.Sprintf("PUBLISH of QoS %d up to the limit", qos), nil, func(s *script) {
			s.join("s", hello{})
			s.subscribe("s", "x", 0)
			for i, size := range []int{100, 101, 103} { // 2.0 counts what follows the fixed header
				s.join("p", hello{})
				room := size - len(message{topic: s.topic("x"), qos: qos, id: 1}.bytes(s.level))
				s.publish("p", message{topic: "x", qos: qos, id: 1 + i, payload: strings.Repeat("p", room)})
				s.complete("p", qos, 1+i)
				s.drop("p")
			}
		}})
	}
	for _, size := range []int{100, 101, 103} {
		all = append(all, conversation{fmt.Sprintf("CONNECT of %d bytes", size), nil, func(s *script) {
			h := s.fill("a", hello{})
			h.id += strings.Repeat("i", size-len(h.bytes()))
			s.hello(s.dial("a"), h.bytes())
		}})
	}
	return append(all,
		conversation{"SUBSCRIBE of more than 100 bytes", nil, func(s *script) {
			s.join("a", hello{})
			s.subscribe("a", strings.Repeat("f", 100), 0)
		}},
		conversation{"only the header of a large PUBLISH", nil, func(s *script) {
			s.join("a", hello{will: &will{topic: s.topic("w"), payload: "x"}})
			s.send("a", hx("30 FF FF FF 7F"))
		}},
	)
}

func messageSizes() (all []conversation) {
	for qos := range 3 {
		all = append(all, conversation{fmt.Sprintf("QoS %d of 20 and 21 bytes", qos), nil, func(s *script) {
			s.join("s", hello{})
			s.subscribe("s", "x", 2)
			s.join("p", hello{})
			for i, n := range []int{20, 21} {
				s.publish("p", message{topic: "x", qos: qos, id: 1 + i, payload: strings.Repeat("p", n)})
				s.complete("p", qos, 1+i)
			}
		}})
	}
	return append(all,
		conversation{"retained", nil, func(s *script) {
			s.join("a", hello{})
			s.publish("a", message{topic: "x", qos: 1, id: 1, retain: true, payload: strings.Repeat("p", 21)})
			s.subscribe("a", "x", 1)
		}},
		conversation{"will of 20 bytes", nil, func(s *script) {
			s.join("a", hello{will: &will{topic: s.topic("w"), payload: strings.Repeat("p", 20)}})
		}},
		conversation{"will of 21 bytes", nil, func(s *script) {
			s.join("a", hello{will: &will{topic: s.topic("w"), payload: strings.Repeat("p", 21)}})
		}},
	)
}

func qosLimits() (all []conversation) {
	for qos := range 3 {
		all = append(all,
			conversation{fmt.Sprintf("PUBLISH of QoS %d", qos), nil, func(s *script) {
				s.join("a", hello{})
				s.publish("a", message{topic: "x", qos: qos, id: 1, payload: "hello"})
			}},
			conversation{fmt.Sprintf("will of QoS %d", qos), nil, func(s *script) {
				s.join("a", hello{will: &will{topic: s.topic("w"), payload: "gone", qos: qos}})
			}},
		)
	}
	return append(all, conversation{"subscriptions of each QoS", nil, func(s *script) {
		s.join("a", hello{})
		s.send("a", subscribe(s.level, 1, s.topic("x"), 0, s.topic("y"), 1, s.topic("z"), 2))
		s.publish("a", message{topic: "z", payload: "hello"})
	}})
}

// mounted are conversations between a client below the mount point and one that sees everything.
func mounted() []conversation {
	return []conversation{
		{"inwards and outwards", nil, func(s *script) {
			s.join("in", hello{})
			s.subscribe("in", "#", 1)
			s.joinAt("out", 2, hello{})
			s.send("out", subscribe(s.level, 1, "house/"+s.topic("#"), 1, s.topic("#"), 1))
			s.publish("in", message{topic: "x", qos: 1, id: 1, payload: "from inside"})
			s.publish("out", message{topic: "x", qos: 1, id: 1, payload: "beside it"})
			s.send("out", message{topic: "house/" + s.topic("y"), qos: 1, id: 2, payload: "from outside"}.bytes(s.level))
		}},
		{"everything", nil, func(s *script) {
			s.join("in", hello{})
			s.send("in", subscribe(s.level, 1, "#", 0, "+/+", 0))
			s.joinAt("out", 2, hello{})
			s.send("out", message{topic: "house/" + s.topic("y"), payload: "inside"}.bytes(s.level))
			s.send("out", message{topic: "house", payload: "the point"}.bytes(s.level))
			s.send("out", message{topic: "household/" + s.topic("y"), payload: "outside"}.bytes(s.level))
		}},
		{"retained messages", nil, func(s *script) {
			s.join("in", hello{})
			s.publish("in", message{topic: "x", retain: true, payload: "kept"})
			s.joinAt("out", 2, hello{})
			s.send("out", subscribe(s.level, 1, "house/"+s.topic("#"), 0, s.topic("#"), 0))
			s.subscribe("in", "#", 0)
			s.publish("in", message{topic: "x", retain: true})
			s.subscribe("in", "#", 0)
		}},
		{"will", nil, func(s *script) {
			s.joinAt("out", 2, hello{})
			s.send("out", subscribe(s.level, 1, "house/"+s.topic("#"), 0, s.topic("#"), 0))
			s.join("in", hello{will: &will{topic: s.topic("w"), payload: "gone"}})
			s.drop("in")
		}},
		{"unsubscribe", nil, func(s *script) {
			s.join("in", hello{})
			s.subscribe("in", "x", 0)
			s.send("in", unsubscribe(s.level, 2, s.topic("x")))
			s.publish("in", message{topic: "x", payload: "nobody"})
		}},
		{"shared subscription", both, func(s *script) {
			s.join("in", hello{})
			s.send("in", subscribe(s.level, 1, "$share/g/"+s.topic("x"), 0))
			s.publish("in", message{topic: "x", payload: "from inside"})
			s.joinAt("out", 2, hello{})
			s.send("out", message{topic: "house/" + s.topic("x"), payload: "from outside"}.bytes(s.level))
			s.send("in", unsubscribe(s.level, 2, "$share/g/"+s.topic("x")))
			s.publish("in", message{topic: "x", payload: "nobody"})
		}},
		{"topics of the server", nil, func(s *script) {
			s.join("in", hello{})
			s.send("in", subscribe(s.level, 1, "$SYS/#", 0))
			s.send("in", message{topic: "$SYS/" + s.tag, qos: 1, id: 1, payload: "x"}.bytes(s.level))
		}},
		{"alias", only5, func(s *script) {
			s.join("in", hello{})
			s.subscribe("in", "#", 0)
			s.publish("in", message{topic: "x", props: bin(topicAlias, u16(1)), payload: "set"})
			s.send("in", message{props: bin(topicAlias, u16(1)), payload: "used"}.bytes(v5))
		}},
		{"response topic", only5, func(s *script) {
			s.join("in", hello{})
			s.subscribe("in", "#", 0)
			s.publish("in", message{topic: "x", props: bin(responseTopic, s.topic("answers")), payload: "ask"})
		}},
	}
}
