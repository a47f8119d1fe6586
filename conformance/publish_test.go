package conformance

import (
	"fmt"
	"strings"
	"testing"
)

// pair makes a receiver subscribed to topic and its sub-topics at QoS 2, and a sender.
func pair(t *testing.T, b *broker, level int, topic string) (receiver, sender *client) {
	t.Helper()
	receiver = join(t, b, hello{level: level, id: topic + "-receiver"})
	receiver.subscribe(topic+"/#", 2)
	return receiver, join(t, b, hello{level: level, id: topic + "-sender"})
}

// TestDeliveryAtEachQoS checks QoS, DUP, RETAIN and packet identifiers from end to end.
//
// v3.1.1 [MQTT-3.3.4-1] [MQTT-4.3.1-1] [MQTT-4.3.2-1] [MQTT-4.3.2-2] [MQTT-4.3.3-1] [MQTT-4.3.3-2] [MQTT-2.3.1-1] [MQTT-2.3.1-4] [MQTT-2.3.1-5] [MQTT-2.3.1-6] [MQTT-3.3.1-2] [MQTT-3.3.2-1]
// v5 [MQTT-3.3.4-1] [MQTT-4.3.1-1] [MQTT-4.3.2-2] [MQTT-4.3.2-4] [MQTT-4.3.3-2] [MQTT-4.3.3-4] [MQTT-4.3.3-8] [MQTT-4.3.3-11] [MQTT-2.2.1-2] [MQTT-2.2.1-5] [MQTT-3.3.1-2] [MQTT-3.3.2-1] [MQTT-2.2.2-1]
func TestDeliveryAtEachQoS(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		topic := name(t, "")
		receiver, sender := pair(t, b, level, topic)
		for qos := range 3 {
			for _, payload := range []string{"", "x", strings.Repeat("y", 127), strings.Repeat("z", 20000)} {
				sender.publish(message{topic: topic + "/a", payload: payload, qos: qos})
				receiver.acknowledge(receiver.expectMessage(message{topic: topic + "/a", payload: payload, qos: qos}))
			}
		}
		receiver.ping()
	})
}

// TestV5AcknowledgementBytes: no properties, a reason code only where it is not success.
//
// v5 [MQTT-3.4.2-1] [MQTT-3.5.2-1] [MQTT-3.6.2-1] [MQTT-3.7.2-1] [MQTT-4.3.2-4] [MQTT-4.3.3-8] [MQTT-4.3.3-11]
func TestV5AcknowledgementBytes(t *testing.T) {
	b := shared(t)
	topic := name(t, "")
	receiver, c := pair(t, b, v5, topic)
	f := func(want string, packet []byte) {
		t.Helper()
		c.send(packet)
		c.expectHex(want)
	}
	f("40 02 0001", message{topic: topic, qos: 1, id: 1}.bytes(v5))
	f("50 02 0002", message{topic: topic, qos: 2, id: 2}.bytes(v5))
	f("70 02 0002", ack(pubrelByte, 2))
	f("40 03 0003 10", message{topic: "nobody/" + topic, qos: 1, id: 3}.bytes(v5))
	f("50 02 0004", message{topic: "nobody/" + topic, qos: 2, id: 4}.bytes(v5))
	f("70 02 0004", ack(pubrelByte, 4))
	f("40 03 0005 10", message{topic: "nobody/" + topic, qos: 1, id: 5, retain: true, payload: "x"}.bytes(v5))
	f("40 03 0006 10", message{topic: "nobody/" + topic, qos: 1, id: 6, retain: true}.bytes(v5))
	f("90 04 0007 00 01", subscribe(v5, 7, "x/"+topic, 1))
	f("B0 04 0008 00 00", unsubscribe(v5, 8, "x/"+topic))
	f("B0 04 0009 00 11", unsubscribe(v5, 9, "x/"+topic))
	first := receiver.receive()
	receiver.send(ack(pubackByte, first.id))
	second := receiver.receive()
	receiver.send(ack(pubrecByte, second.id))
	receiver.expect(ack(pubrelByte, second.id))
}

// TestV3AcknowledgementBytes says nothing about missing subscribers.
//
// v3.1.1 [MQTT-3.8.4-1] [MQTT-3.8.4-2] [MQTT-3.10.4-4] [MQTT-3.10.4-5] [MQTT-2.3.1-6] [MQTT-2.3.1-7] [MQTT-4.3.2-2] [MQTT-4.3.3-2]
func TestV3AcknowledgementBytes(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		c := join(t, b, hello{level: level, id: name(t, "")})
		f := func(want string, packet []byte) {
			t.Helper()
			c.send(packet)
			c.expectHex(want)
		}
		f("40 02 1234", message{topic: name(t, ""), qos: 1, id: 0x1234}.bytes(level))
		f("50 02 FFFF", message{topic: name(t, ""), qos: 2, id: 0xFFFF}.bytes(level))
		f("70 02 FFFF", ack(pubrelByte, 0xFFFF))
		f("90 03 0007 01", subscribe(level, 7, name(t, ""), 1))
		f("B0 02 0008", unsubscribe(level, 8, name(t, "")))
		f("B0 02 0009", unsubscribe(level, 9, name(t, "")))
	}, v31, v4)
}

// TestIncomingDupIsNotPassedOn: DUP of the publisher's repetition is not the subscriber's.
//
// v3.1.1 [MQTT-3.3.1-3] v5 [MQTT-3.3.1-3]
func TestIncomingDupIsNotPassedOn(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		topic := name(t, "")
		receiver, sender := pair(t, b, level, topic)
		for qos := 1; qos <= 2; qos++ {
			sender.publish(message{topic: topic, payload: "x", qos: qos, dup: true})
			receiver.acknowledge(receiver.expectMessage(message{topic: topic, payload: "x", qos: qos}))
		}
	})
}

// TestSameIdentifierAfterPubackIsANewMessage, DUP or not.
//
// v3.1.1 [MQTT-4.3.2-2] v5 [MQTT-4.3.2-5]
func TestSameIdentifierAfterPubackIsANewMessage(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		topic := name(t, "")
		receiver, sender := pair(t, b, level, topic)
		for _, dup := range []bool{false, true, true} {
			sender.publish(message{topic: topic, payload: "x", qos: 1, id: 9, dup: dup})
			receiver.acknowledge(receiver.expectMessage(message{topic: topic, payload: "x", qos: 1}))
		}
	})
}

// TestQoS2RepetitionIsDeliveredOnce: PUBREC for each copy, one delivery; after PUBCOMP the identifier is new again; a
// PUBREL repeated, or for nothing, still gets its PUBCOMP.
//
// v3.1.1 [MQTT-4.3.3-2] v5 [MQTT-4.3.3-10] [MQTT-4.3.3-11] [MQTT-4.3.3-12]
func TestQoS2RepetitionIsDeliveredOnce(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		topic := name(t, "")
		receiver, sender := pair(t, b, level, topic)
		for _, payload := range []string{"first", "second"} {
			m := message{topic: topic, payload: payload, qos: 2, id: 5}
			sender.send(m.bytes(level))
			sender.expect(ack(0x50, 5))
			m.dup = true
			for range 2 {
				sender.send(m.bytes(level))
				sender.expect(ack(0x50, 5))
			}
			for range 2 {
				sender.send(ack(pubrelByte, 5))
				sender.expectAckOrNotFound(5)
			}
			receiver.acknowledge(receiver.expectMessage(message{topic: topic, payload: payload, qos: 2}))
		}
		receiver.ping()
	})
}

// expectAckOrNotFound wants PUBCOMP; version 5 may add that the identifier is not known.
func (c *client) expectAckOrNotFound(id int) {
	c.t.Helper()
	p := c.read()
	if string(p.raw) != string(ack(pubcompByte, id)) && (c.level != v5 || string(p.raw) != string(pkt(pubcompByte, u16(id), 0x92))) {
		c.t.Fatalf("got %v, want PUBCOMP for %d", p, id)
	}
}

// TestQoS2IdentifierReusedForAnotherMessage before PUBREL drops the first one.
func TestQoS2IdentifierReusedForAnotherMessage(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		topic := name(t, "")
		receiver, sender := pair(t, b, level, topic)
		for _, payload := range []string{"first", "another"} {
			sender.send(message{topic: topic, payload: payload, qos: 2, id: 5}.bytes(level))
			sender.expect(ack(0x50, 5))
		}
		sender.send(ack(pubrelByte, 5))
		sender.expect(ack(pubcompByte, 5))
		receiver.acknowledge(receiver.expectMessage(message{topic: topic, payload: "another", qos: 2}))
		receiver.ping()
	})
}

// TestOrderIsKept for one publisher, topic and QoS, also through the queue behind the window.
//
// v3.1.1 [MQTT-4.6.0-5] [MQTT-4.6.0-6] v5 [MQTT-4.6.0-5] [MQTT-4.6.0-6]
func TestOrderIsKept(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		for qos := range 3 {
			topic := name(t, fmt.Sprint(qos))
			receiver, sender := pair(t, b, level, topic)
			const count = 100
			for i := range count {
				sender.publish(message{topic: topic, payload: fmt.Sprint(i), qos: qos})
			}
			for i := range count {
				m := receiver.receivePastPubrel()
				if m.payload != fmt.Sprint(i) || m.qos != qos || m.dup {
					t.Fatalf("message %d: got %+v", i, m)
				}
				switch qos {
				case 1:
					receiver.send(ack(pubackByte, m.id))
				case 2:
					receiver.send(ack(pubrecByte, m.id))
				}
			}
		}
	})
}

// receivePastPubrel returns the next message and answers every PUBREL on the way.
func (c *client) receivePastPubrel() message {
	c.t.Helper()
	for {
		p := c.read()
		if p.first != pubrelByte {
			m, err := c.parse(p)
			if err != nil {
				c.t.Fatal(err)
			}
			return m
		}
		c.send(pkt(pubcompByte, p.body[:2]))
	}
}

// TestV5PropertiesArePassedOnUnchanged, in the publisher's order, with expiry and subscription identifier behind them.
//
// v5 [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-18] [MQTT-3.3.2-20] [MQTT-3.3.2-6] [MQTT-1.5.5-1] [MQTT-1.5.7-1]
func TestV5PropertiesArePassedOnUnchanged(t *testing.T) {
	b := shared(t)
	topic := name(t, "")
	c := join(t, b, hello{level: v5, id: topic})
	c.send(subscribeAs(1, 200, topic, 0))
	c.expectSuback(1, 0)
	block := bin(userProperty, "z", "1", contentType, "text/plain", userProperty, "a", "2", responseTopic, "answer/to", userProperty, "z", "1",
		correlationData, "\x00\xFF\x80", userProperty, "", "", payloadFormat, 1)
	sent := append(bin(messageExpiry, u32(100)), block...)
	c.publish(message{topic: topic, payload: "x", props: sent})
	got := c.expectMessage(message{topic: topic, payload: "x"})
	want := append(block, bin(messageExpiry, u32(100), subscriptionID, varint(200))...)
	if string(countdown(got.props)) != string(want) {
		t.Fatalf("properties\n% X, want\n% X", got.props, want)
	}
	for _, format := range []int{0, 1} {
		c.publish(message{topic: topic, props: bin(payloadFormat, format)})
		if got := c.receive(); string(got.props) != string(bin(payloadFormat, format, subscriptionID, varint(200))) {
			t.Fatalf("properties % X for payload format %d", got.props, format)
		}
	}
}

// TestV5PropertiesDoNotReachOlderClients, and their messages have none.
//
// v5 [MQTT-2.2.2-1]
func TestV5PropertiesDoNotReachOlderClients(t *testing.T) {
	b := shared(t)
	topic := name(t, "")
	old := join(t, b, hello{level: v4, id: topic + "-4"})
	old.subscribe(topic, 0)
	c := join(t, b, hello{level: v5, id: topic + "-5"})
	c.subscribe(topic, 0)
	c.publish(message{topic: topic, payload: "from 5", props: bin(userProperty, "a", "b", messageExpiry, u32(9))})
	old.expectMessage(message{topic: topic, payload: "from 5"})
	c.expectMessage(message{topic: topic, payload: "from 5"})
	old.publish(message{topic: topic, payload: "from 4"})
	if m := c.expectMessage(message{topic: topic, payload: "from 4"}); len(m.props) != 0 {
		t.Fatalf("properties % X on a 3.1.1 client's message", m.props)
	}
}

// TestTopicMatchesAreDeliveredUnderTheirOwnName and only where the filter matches.
//
// v3.1.1 [MQTT-3.3.2-3] [MQTT-4.5.0-1] v5 [MQTT-3.3.2-3] [MQTT-4.5.0-1]
func TestTopicMatchesAreDeliveredUnderTheirOwnName(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		topic := name(t, "")
		c := join(t, b, hello{level: level, id: topic})
		c.subscribe(topic+"/+/end", 0)
		for _, sub := range []string{"/a/end", "/a/b/end", "/end", "/a/END", "//end", "/a/end/"} {
			c.publish(message{topic: topic + sub})
		}
		c.expectMessage(message{topic: topic + "/a/end"})
		c.expectMessage(message{topic: topic + "//end"})
		c.ping()
	})
}
