package conformance

import (
	"bytes"
	"testing"
	"time"
)

// TestV5MessageExpiry: counted down for a queued message, which is deleted when it runs out. The deleted one has used a
// packet identifier, since those are given when a message is queued.
//
// v5 [MQTT-3.3.2-5] [MQTT-3.3.2-6]
func TestV5MessageExpiry(t *testing.T) {
	b := shared(t)
	topic := name(t, "")
	c := join(t, b, keeping(v5, topic))
	c.subscribe(topic, 2)
	c.leave()
	sender := join(t, b, hello{level: v5, id: topic + "-sender"})
	sender.publish(message{topic: topic, payload: "gone", qos: 1, props: bin(messageExpiry, u32(1))})
	sender.publish(message{topic: topic, payload: "gone too", qos: 2, props: bin(messageExpiry, u32(1))})
	sender.publish(message{topic: topic, payload: "late", qos: 1, props: bin(messageExpiry, u32(100))})
	sender.publish(message{topic: topic, payload: "for ever", qos: 1})
	sender.expectQuiet(2500 * time.Millisecond)
	c = join(t, b, keeping(v5, topic))
	late := c.expectMessage(message{topic: topic, payload: "late", qos: 1})
	left, has := prop(listOf(t, late), messageExpiry)
	if !has || left.number > 98 || left.number < 60 {
		t.Fatalf("expiry %d (%v) after more than two seconds of 100", left.number, has)
	}
	for _, m := range []message{late, c.expectMessage(message{topic: topic, payload: "for ever", qos: 1})} {
		if want := map[string]int{"late": 3, "for ever": 4}[m.payload]; m.id != want {
			t.Fatalf("%q has packet identifier %d, want %d", m.payload, m.id, want)
		}
	}
}

// TestV5ExpiryDoesNotStopADeliveryThatHasBegun: the message is repeated after a reconnect and its exchange finished,
// however late, on both sides of the broker.
//
// v5 [MQTT-4.3.3-7] [MQTT-4.3.3-13]
func TestV5ExpiryDoesNotStopADeliveryThatHasBegun(t *testing.T) {
	b := shared(t)
	topic := name(t, "")
	c := join(t, b, keeping(v5, topic))
	c.subscribe(topic, 2)
	c.publish(message{topic: topic, payload: "x", qos: 2, id: 100, props: bin(messageExpiry, u32(1))})
	m := c.expectMessage(message{topic: topic, payload: "x", qos: 2})
	c.send(message{topic: topic + "/half", payload: "y", qos: 2, id: 101, props: bin(messageExpiry, u32(1))}.bytes(v5))
	c.expect(ack(pubrecByte, 101))
	c.expectQuiet(2500 * time.Millisecond)
	c.send(ack(pubrelByte, 101))
	c.expect(ack(pubcompByte, 101))
	c.leave()
	c = join(t, b, keeping(v5, topic))
	if again := c.expectMessage(message{topic: topic, payload: "x", qos: 2, dup: true}); again.id != m.id {
		t.Fatalf("repeated as %d, was %d", again.id, m.id)
	}
	c.acknowledge(m)
	c.ping()
}

// countdown sets an expiry of 99 back to 100: a test that began with 100 may see a second pass, but never gains one.
func countdown(block []byte) []byte {
	return bytes.Replace(block, bin(messageExpiry, u32(99)), bin(messageExpiry, u32(100)), 1)
}
