package conformance

import (
	"testing"
)

// TestOverlappingSubscriptionsGetACopyEach with their own identifiers, the highest QoS among them: the default.
//
// v3.1.1 [MQTT-3.3.5-1] v5 [MQTT-3.3.4-2] [MQTT-3.3.4-3] [MQTT-3.3.4-5]
func TestOverlappingSubscriptionsGetACopyEach(t *testing.T) {
	b := shared(t)
	topic := name(t, "")
	c := join(t, b, hello{level: v5, id: topic})
	c.send(subscribeAs(1, 11, topic+"/#", 0), subscribeAs(2, 22, topic+"/+", 2), subscribe(v5, 3, topic+"/a", 1))
	c.expectSuback(1, 0)
	c.expectSuback(2, 2)
	c.expectSuback(3, 1)
	c.publish(message{topic: topic + "/a", payload: "x", qos: 2, id: 100})
	got := map[int]uint32{}
	for range 3 {
		m := c.receive()
		p, _ := prop(listOf(t, m), subscriptionID)
		got[m.qos] = p.number
	}
	if len(got) != 3 || got[0] != 11 || got[2] != 22 || got[1] != 0 {
		t.Fatalf("identifiers by QoS %v", got)
	}
	old := join(t, b, hello{level: v4, id: topic + "-old"})
	old.send(subscribe(v4, 1, topic+"/#", 0, topic+"/+", 1))
	old.expectSuback(1, 0, 1)
	c.publish(message{topic: topic + "/a", payload: "y", qos: 2, id: 101})
	if one, two := old.receive(), old.receive(); max(one.qos, two.qos) != 1 {
		t.Fatalf("copies %+v and %+v, want QoS 1 among them", one, two)
	}
}

// TestOverlappingSubscriptionsGetOneCopy where `allow_duplicate_messages false`: highest QoS, all identifiers.
//
// v3.1.1 [MQTT-3.3.5-1] v5 [MQTT-3.3.4-2] [MQTT-3.3.4-3] [MQTT-3.3.4-4]
func TestOverlappingSubscriptionsGetOneCopy(t *testing.T) {
	b := special(t, "allow_duplicate_messages false")
	c := join(t, b, hello{level: v5, id: "five"})
	c.send(subscribeAs(1, 11, "a/#", 0), subscribeAs(2, 22, "a/+", 2), subscribe(v5, 3, "a/a", 1))
	c.expectSuback(1, 0)
	c.expectSuback(2, 2)
	c.expectSuback(3, 1)
	old := join(t, b, hello{level: v4, id: "old"})
	old.send(subscribe(v4, 1, "a/#", 0, "a/+", 1))
	old.expectSuback(1, 0, 1)
	old.publish(message{topic: "a/a", payload: "x", qos: 2, id: 100})
	old.expectMessage(message{topic: "a/a", payload: "x", qos: 1})
	old.ping()
	m := c.expectMessage(message{topic: "a/a", payload: "x", qos: 2})
	sum, n := uint32(0), 0
	for _, p := range listOf(t, m) {
		if p.id == subscriptionID {
			sum += p.number
			n++
		}
	}
	if n != 2 || sum != 33 {
		t.Fatalf("%d identifiers, sum %d, want 11 and 22", n, sum)
	}
	c.ping()
}

// TestV5SubscriptionIdentifierIsReplaced with the subscription, and the largest one is passed on whole.
//
// v5 [MQTT-3.8.4-3] [MQTT-3.3.4-3] [MQTT-1.5.5-1]
func TestV5SubscriptionIdentifierIsReplaced(t *testing.T) {
	b := shared(t)
	topic := name(t, "")
	c := join(t, b, hello{level: v5, id: topic})
	for i, id := range []uint32{1, 127, 128, 16383, 16384, 2097152, 268435455} {
		c.send(pkt(subscribeByte, u16(i+1), props(subscriptionID, varint(id)), topic, 0))
		c.expectSuback(i+1, 0)
		c.publish(message{topic: topic})
		if got := c.receive(); string(got.props) != string(bin(subscriptionID, varint(id))) {
			t.Fatalf("properties % X, want identifier %d", got.props, id)
		}
	}
	c.subscribe(topic, 0)
	c.publish(message{topic: topic})
	if got := c.receive(); len(got.props) != 0 {
		t.Fatalf("properties % X after a subscription without identifier", got.props)
	}
}
