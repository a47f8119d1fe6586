package conformance

import (
	"fmt"
	"strings"
	"testing"
)

// TestV5IdentifierIsFreeAfterARefusingPubrec: the next message under it is a new one.
//
// v5 [MQTT-4.3.3-9] [MQTT-3.5.2-1]
func TestV5IdentifierIsFreeAfterARefusingPubrec(t *testing.T) {
	b := special(t, "message_size_limit 10")
	receiver, sender := pair(t, b, v5, "topic")
	for range 2 {
		sender.send(message{topic: "topic", payload: "01234567890", qos: 2, id: 5}.bytes(v5))
		sender.expectHex("50 03 0005 95")
	}
	sender.publish(message{topic: "topic", payload: "fits", qos: 2, id: 5})
	receiver.acknowledge(receiver.expectMessage(message{topic: "topic", payload: "fits", qos: 2}))
	receiver.ping()
}

// TestTopicsOfMoreThan200Levels are refused. Mosquitto counts separators, so the boundary itself is left alone.
func TestTopicsOfMoreThan200Levels(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		c := join(t, b, hello{level: level, id: name(t, "")})
		c.publish(message{topic: strings.Repeat("/", 199)})
		c.send(message{topic: strings.Repeat("/", 201)}.bytes(level))
		c.expectRefusal(0x81)
	})
}

// TestMessageSizeLimit drops the message and says so where the version can.
func TestMessageSizeLimit(t *testing.T) {
	b := special(t, "message_size_limit 10")
	eachVersion(t, func(t *testing.T, level int) {
		topic := name(t, "")
		receiver, sender := pair(t, b, level, topic)
		sender.publish(message{topic: topic, payload: "01234567890"})
		sender.send(message{topic: topic, payload: "01234567890", qos: 1, id: 1}.bytes(level))
		if level == v5 {
			sender.expectHex("40 03 0001 95")
		} else {
			sender.expectHex("40 02 0001")
		}
		sender.publish(message{topic: topic, payload: "0123456789"})
		receiver.expectMessage(message{topic: topic, payload: "0123456789"})
	})
}

// TestMaxPacketSize: a packet of exactly that size is served.
//
// v5 [MQTT-4.13.2-1]
func TestMaxPacketSize(t *testing.T) {
	b := special(t, "max_packet_size 100")
	eachVersion(t, func(t *testing.T, level int) {
		c := join(t, b, hello{level: level, id: "some-id"})
		fits := message{topic: "topic"}
		fits.payload = strings.Repeat("x", 100-len(fits.bytes(level)))
		c.publish(fits)
		fits.payload += "xx"
		c.send(fits.bytes(level))
		c.expectRefusal(0x95)
	})
}

// TestMaxQoS: publishing above it ends the connection, subscribing above it does not.
//
// v5 [MQTT-3.2.2-9] [MQTT-3.2.2-10]
func TestMaxQoS(t *testing.T) {
	b := special(t, "max_qos 1")
	c := join(t, b, hello{level: v5, id: "some-id"})
	if p, has := prop(c.props, maximumQoS); !has || p.number != 1 {
		t.Fatalf("properties %+v, want maximum QoS 1", c.props)
	}
	for qos := range 3 {
		c.send(subscribe(v5, 1+qos, "topic", qos))
		p := c.read()
		if p.first != 0x90 || len(p.body) != 4 || int(p.body[3]) > qos {
			t.Fatalf("SUBSCRIBE with QoS %d answered by %v", qos, p)
		}
	}
	c.publish(message{topic: "topic", qos: 1, id: 9})
	c.send(message{topic: "topic", qos: 2, id: 10}.bytes(v5))
	c.readPast()
	c.expectClose()
	again := join(t, b, hello{level: v5, id: "some-id"})
	again.send(message{topic: "topic", qos: 2, id: 10}.bytes(v5))
	again.expectRefusal(0x9B)
	old := join(t, b, hello{level: v4, id: "old"})
	old.send(message{topic: "topic", qos: 2, id: 10}.bytes(v4))
	old.expectClose()
}

// TestRetainNotAvailable by configuration.
func TestRetainNotAvailable(t *testing.T) {
	b := special(t, "retain_available false")
	c := dial(t, b)
	c.level = v5
	c.send(hello{level: v5, id: "some-id", keepAlive: 60}.bytes())
	c.expectHex("20 10 00 00 0D 22 000A 25 00 27 001E8480 21 0014")
	c.send(message{topic: "topic", retain: true, payload: "x"}.bytes(v5))
	c.expectRefusal(0x9A)
}

// TestV5ClientMaximumPacketSize: a message too large for the client is not sent and counts as delivered; it has used a
// packet identifier. One of exactly the size is sent.
//
// v5 [MQTT-3.1.2-24] [MQTT-3.1.2-25]
func TestV5ClientMaximumPacketSize(t *testing.T) {
	b := shared(t)
	topic := name(t, "")
	fits := message{topic: topic, qos: 1, id: 1, payload: "fits"}
	c := join(t, b, hello{level: v5, id: topic, props: bin(maximumPacketSize, u32(len(fits.bytes(v5))))})
	c.subscribe(topic, 1)
	sender := join(t, b, hello{level: v5, id: topic + "-sender"})
	for qos := range 2 {
		sender.publish(message{topic: topic, payload: strings.Repeat("x", 100), qos: qos})
	}
	sender.publish(fits)
	if m := c.expectMessage(message{topic: topic, payload: "fits", qos: 1}); m.id != 2 {
		t.Fatalf("packet identifier %d, want 2", m.id)
	}
	for range 30 {
		sender.publish(message{topic: topic, payload: strings.Repeat("x", 100), qos: 1})
	}
	sender.publish(fits)
	c.expectMessage(message{topic: topic, payload: "fits", qos: 1})
}

// TestV5TopicAliasMakesNoMessageTooLarge: one that fits only without it is sent without it.
//
// v5 [MQTT-3.1.2-25]
func TestV5TopicAliasMakesNoMessageTooLarge(t *testing.T) {
	b := shared(t)
	for qos := range 3 {
		topic := name(t, fmt.Sprint(qos))
		fits := message{topic: topic, qos: qos, id: 1, payload: "fits"}
		c := join(t, b, hello{level: v5, id: topic, props: bin(topicAliasMaximum, u16(5), maximumPacketSize, u32(len(fits.bytes(v5))))})
		c.subscribe(topic, 2)
		sender := join(t, b, hello{level: v5, id: topic + "-sender"})
		for range 2 {
			sender.publish(message{topic: topic, qos: qos, payload: "fits"})
			c.acknowledge(c.expectMessage(message{topic: topic, qos: qos, payload: "fits"}))
		}
	}
}

// TestV5AnswerThatIsTooLarge ends the connection: the client would wait for it.
//
// v5 [MQTT-3.1.2-24]
func TestV5AnswerThatIsTooLarge(t *testing.T) {
	b := shared(t)
	var filters []any
	for i := range 30 {
		filters = append(filters, fmt.Sprint(name(t, ""), i))
	}
	for what, packet := range map[string][]byte{"SUBACK": subscribe(v5, 1, with(filters, 0)...), "UNSUBACK": unsubscribe(v5, 1, filters...)} {
		c := join(t, b, hello{level: v5, id: name(t, what), props: bin(maximumPacketSize, u32(30))})
		c.send(packet)
		c.expectRefusal(0x95)
	}
}

// with puts a value behind each element.
func with(list []any, value any) (all []any) {
	for _, e := range list {
		all = append(all, e, value)
	}
	return all
}

// TestV5AnswersToATinyClient: with the smallest useful Maximum Packet Size every answer still fits, since none has a
// Reason String or User Property; Request Problem Information 0 changes nothing in that.
//
// v5 [MQTT-3.1.2-24] [MQTT-3.1.2-29] [MQTT-3.2.2-19] [MQTT-3.2.2-20] [MQTT-3.4.2-2] [MQTT-3.4.2-3] [MQTT-3.5.2-2] [MQTT-3.5.2-3] [MQTT-3.6.2-2] [MQTT-3.6.2-3]
// v5 [MQTT-3.7.2-2] [MQTT-3.7.2-3] [MQTT-3.9.2-1] [MQTT-3.9.2-2] [MQTT-3.11.2-1] [MQTT-3.11.2-2] [MQTT-3.14.2-2] [MQTT-3.14.2-3] [MQTT-3.14.2-4] [MQTT-3.14.2-1]
func TestV5AnswersToATinyClient(t *testing.T) {
	b := shared(t)
	for _, block := range [][]byte{bin(maximumPacketSize, u32(20)), bin(maximumPacketSize, u32(20), requestProblemInfo, 0), bin(maximumPacketSize, u32(20), requestProblemInfo, 1)} {
		c := join(t, b, hello{level: v5, id: name(t, ""), keepAlive: 60, props: block})
		for _, p := range c.props {
			if p.id == reasonString || p.id == userProperty {
				t.Fatalf("CONNACK with property %#x", p.id)
			}
		}
		f := func(want string, packet []byte) {
			t.Helper()
			c.send(packet)
			c.expectHex(want)
		}
		f("90 04 0001 00 02", subscribe(v5, 1, "tiny", 2))
		f("B0 04 0002 00 11", unsubscribe(v5, 2, "never"))
	}
	c := join(t, b, hello{level: v5, id: name(t, ""), keepAlive: 60, props: bin(maximumPacketSize, u32(20))})
	c.send(subscribe(v5, 1, "tiny", 2))
	c.expectSuback(1, 2)
	c.send(message{topic: "tiny/nobody", qos: 1, id: 2}.bytes(v5))
	c.expectHex("40 03 0002 10")
	c.publish(message{topic: "tiny", qos: 2, id: 3})
	m := c.receive()
	c.send(ack(pubrecByte, m.id))
	c.expect(ack(pubrelByte, m.id))
	c.send(ack(pubcompByte, m.id))
	c.send(unsubscribe(v5, 4, "never"))
	c.expectHex("B0 04 0004 00 11")
	c.send(pkt(0x36, "tiny", u16(9), 0))
	c.expectRefusal(0x81)
}
