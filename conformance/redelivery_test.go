package conformance

import (
	"fmt"
	"testing"
)

// TestQoS2StateSurvivesReconnect: a message whose PUBREL comes on the next connection is delivered once.
//
// v3.1.1 [MQTT-4.3.3-2] [MQTT-4.1.0-1] v5 [MQTT-4.3.3-10] [MQTT-4.1.0-1]
func TestQoS2StateSurvivesReconnect(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		topic := name(t, "")
		receiver, _ := pair(t, b, level, topic)
		m := message{topic: topic, payload: "once", qos: 2, id: 5}
		sender := join(t, b, keeping(level, topic+"-kept"))
		sender.send(m.bytes(level))
		sender.expect(ack(0x50, 5))
		sender.leave()
		sender = join(t, b, keeping(level, topic+"-kept"))
		m.dup = true
		sender.send(m.bytes(level))
		sender.expect(ack(0x50, 5))
		sender.send(ack(pubrelByte, 5))
		sender.expect(ack(pubcompByte, 5))
		receiver.acknowledge(receiver.expectMessage(message{topic: topic, payload: "once", qos: 2}))
		sender.publish(message{topic: topic, payload: "fence"})
		receiver.expectMessage(message{topic: topic, payload: "fence"})
	})
}

// TestOutgoingPacketIdentifiersAreFree: distinct while unacknowledged, counted from 1.
//
// v3.1.1 [MQTT-2.3.1-4] [MQTT-4.3.2-1] [MQTT-4.3.3-1] v5 [MQTT-2.2.1-4] [MQTT-4.3.2-1] [MQTT-4.3.3-1]
func TestOutgoingPacketIdentifiersAreFree(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		topic := name(t, "")
		receiver, sender := pair(t, b, level, topic)
		for i := 1; i <= 20; i++ {
			sender.publish(message{topic: topic, qos: 1 + i%2})
			if m := receiver.receive(); m.id != i {
				t.Fatalf("message %d has packet identifier %d", i, m.id)
			}
		}
	})
}

// TestRedeliveryAfterReconnect: unacknowledged messages come first, with DUP and their identifiers, in order; then
// what was queued. Nothing is repeated on a connection that lives.
//
// v3.1.1 [MQTT-4.4.0-1] [MQTT-3.3.1-1] [MQTT-2.3.1-4] [MQTT-4.3.2-1] [MQTT-4.6.0-6] v5 [MQTT-4.4.0-1] [MQTT-3.3.1-1] [MQTT-4.3.2-3] [MQTT-4.3.3-3] [MQTT-4.6.0-5]
func TestRedeliveryAfterReconnect(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		topic := name(t, "")
		c := join(t, b, keeping(level, topic))
		c.subscribe(topic, 2)
		sender := join(t, b, hello{level: level, id: topic + "-sender"})
		var first []message
		for i := range 6 {
			sender.publish(message{topic: topic, payload: fmt.Sprint(i), qos: 1 + i%2})
			first = append(first, c.expectMessage(message{topic: topic, payload: fmt.Sprint(i), qos: 1 + i%2}))
		}
		c.ping()
		c.leave()
		sender.publish(message{topic: topic, payload: "queued", qos: 1})
		c = join(t, b, keeping(level, topic))
		for i, was := range first {
			if m := c.expectMessage(message{topic: topic, payload: fmt.Sprint(i), qos: was.qos, dup: true}); m.id != was.id {
				t.Fatalf("message %d repeated as %d, was %d", i, m.id, was.id)
			}
		}
		last := c.expectMessage(message{topic: topic, payload: "queued", qos: 1})
		for _, m := range append(first, last) {
			c.acknowledge(m)
		}
		c.ping()
		c.leave()
		c = join(t, b, keeping(level, topic))
		c.ping()
	})
}

// TestPubrelIsRepeatedAfterReconnect and the PUBLISH is not.
//
// v3.1.1 [MQTT-4.4.0-1] [MQTT-4.3.3-1] v5 [MQTT-4.4.0-1] [MQTT-4.3.3-5] [MQTT-4.3.3-6]
func TestPubrelIsRepeatedAfterReconnect(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		topic := name(t, "")
		c := join(t, b, keeping(level, topic))
		c.subscribe(topic, 2)
		c.publish(message{topic: topic, payload: "x", qos: 2, id: 100})
		m := c.expectMessage(message{topic: topic, payload: "x", qos: 2})
		c.send(ack(pubrecByte, m.id))
		c.expect(ack(pubrelByte, m.id))
		c.leave()
		c = join(t, b, keeping(level, topic))
		c.expect(ack(pubrelByte, m.id))
		c.send(ack(pubcompByte, m.id))
		c.ping()
		c.leave()
		join(t, b, keeping(level, topic)).ping()
	})
}

// TestV5PubrelIsNotHeldBack by a smaller Receive Maximum: on the next connection every one comes, and no PUBLISH until there is room.
//
// v5 [MQTT-4.4.0-1] [MQTT-3.3.4-10]
func TestV5PubrelIsNotHeldBack(t *testing.T) {
	b := shared(t)
	topic := name(t, "")
	c := join(t, b, keeping(v5, topic))
	c.subscribe(topic, 2)
	sender := join(t, b, hello{level: v5, id: topic + "-sender"})
	var all []message
	for i := range 5 {
		sender.publish(message{topic: topic, qos: 2, payload: fmt.Sprint(i)})
		all = append(all, c.expectMessage(message{topic: topic, qos: 2, payload: fmt.Sprint(i)}))
	}
	for _, i := range []int{1, 3} {
		c.send(ack(pubrecByte, all[i].id))
		c.expect(ack(pubrelByte, all[i].id))
	}
	c.abandon()
	h := keeping(v5, topic)
	h.props = append(h.props, bin(receiveMaximum, u16(1))...)
	c = join(t, b, h)
	c.expect(ack(pubrelByte, all[1].id))
	c.expect(ack(pubrelByte, all[3].id))
	first := c.expectMessage(message{topic: topic, qos: 2, payload: "0", dup: true})
	c.ping()
	c.send(ack(pubcompByte, all[3].id)) // not in order, and before its turn
	c.ping()
	c.acknowledge(first)
	c.ping() // the place is taken by the next one, which has its PUBREL
	c.send(ack(pubcompByte, all[1].id))
	for _, payload := range []string{"2", "4"} {
		c.acknowledge(c.expectMessage(message{topic: topic, qos: 2, payload: payload, dup: true}))
	}
	sender.publish(message{topic: topic, qos: 2, payload: "new"})
	c.acknowledge(c.expectMessage(message{topic: topic, qos: 2, payload: "new"}))
	c.leave()
	join(t, b, keeping(v5, topic)).ping()
}

// TestV5RefusedMessageIsNotRepeated: an acknowledgement of 0x80 or above ends the message.
//
// v5 [MQTT-4.4.0-2] [MQTT-4.3.3-4]
func TestV5RefusedMessageIsNotRepeated(t *testing.T) {
	b := shared(t)
	topic := name(t, "")
	c := join(t, b, keeping(v5, topic))
	c.subscribe(topic, 2)
	c.publish(message{topic: topic, payload: "one", qos: 1, id: 100})
	m := c.expectMessage(message{topic: topic, payload: "one", qos: 1})
	c.send(pkt(pubackByte, u16(m.id), 0x80))
	c.publish(message{topic: topic, payload: "two", qos: 2, id: 101})
	m = c.expectMessage(message{topic: topic, payload: "two", qos: 2})
	c.send(pkt(pubrecByte, u16(m.id), 0x97, 0))
	c.ping()
	c.leave()
	join(t, b, keeping(v5, topic)).ping()
}
