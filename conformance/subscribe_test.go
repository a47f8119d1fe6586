package conformance

import (
	"fmt"
	"testing"
)

// TestSubackCodesFollowTheFilters in order, one for each, granting what was asked.
//
// v3.1.1 [MQTT-3.8.4-1] [MQTT-3.8.4-2] [MQTT-3.8.4-4] [MQTT-3.8.4-5] [MQTT-3.9.3-1] [MQTT-3.9.3-2] [MQTT-2.3.1-7]
// v5 [MQTT-3.8.4-1] [MQTT-3.8.4-2] [MQTT-3.8.4-5] [MQTT-3.8.4-6] [MQTT-3.8.4-7] [MQTT-3.9.3-1] [MQTT-3.9.3-2] [MQTT-2.2.1-6]
func TestSubackCodesFollowTheFilters(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		topic := name(t, "")
		c := join(t, b, hello{level: level, id: topic})
		c.send(subscribe(level, 0xABCD, topic+"/2", 2, topic+"/0", 0, topic+"/1", 1, topic+"/0", 0))
		c.expectSuback(0xABCD, 2, 0, 1, 0)
		for i := range 3 {
			c.publish(message{topic: fmt.Sprintf("%s/%d", topic, i), qos: 0})
			c.expectMessage(message{topic: fmt.Sprintf("%s/%d", topic, i)})
		}
	})
}

// TestUnsubackCodesFollowTheFilters and only exact filters go.
//
// v3.1.1 [MQTT-3.10.4-1] [MQTT-3.10.4-2] [MQTT-3.10.4-4] [MQTT-3.10.4-5] [MQTT-3.10.4-6] [MQTT-2.3.1-7]
// v5 [MQTT-3.10.4-1] [MQTT-3.10.4-2] [MQTT-3.10.4-4] [MQTT-3.10.4-5] [MQTT-3.10.4-6] [MQTT-3.11.3-1] [MQTT-3.11.3-2] [MQTT-2.2.1-6]
func TestUnsubackCodesFollowTheFilters(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		topic := name(t, "")
		c := join(t, b, hello{level: level, id: topic})
		c.send(subscribe(level, 1, topic+"/+", 0, topic+"/b", 0, topic+"/c/#", 0))
		c.expectSuback(1, 0, 0, 0)
		c.send(unsubscribe(level, 2, topic+"/a", topic+"/+", topic+"/B", topic+"/c/#", topic+"/c/x"))
		want := bin(u16(2))
		if level == v5 {
			want = bin(u16(2), 0, 0x11, 0, 0x11, 0, 0x11)
		}
		c.expect(pkt(0xB0, want))
		for _, sub := range []string{"/a", "/c/x", "/b"} {
			c.publish(message{topic: topic + sub})
		}
		c.expectMessage(message{topic: topic + "/b"})
		c.ping()
	})
}

// TestUnsubscribeFinishesWhatHasBegun: messages on their way are repeated and completed after the subscription's end.
//
// v3.1.1 [MQTT-3.10.4-3] v5 [MQTT-3.10.4-3]
func TestUnsubscribeFinishesWhatHasBegun(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		topic := name(t, "")
		c := join(t, b, keeping(level, topic))
		c.subscribe(topic, 2)
		c.publish(message{topic: topic, payload: "one", qos: 1, id: 100})
		c.publish(message{topic: topic, payload: "two", qos: 2, id: 101})
		one := c.expectMessage(message{topic: topic, payload: "one", qos: 1})
		two := c.expectMessage(message{topic: topic, payload: "two", qos: 2})
		c.send(unsubscribe(level, 2, topic))
		if p := c.read(); p.first != 0xB0 {
			t.Fatalf("got %v, want UNSUBACK", p)
		}
		c.leave()
		c = join(t, b, keeping(level, topic))
		c.expectMessage(message{topic: topic, payload: "one", qos: 1, dup: true})
		c.expectMessage(message{topic: topic, payload: "two", qos: 2, dup: true})
		c.acknowledge(one)
		c.acknowledge(two)
		c.ping()
	})
}

// TestDeliveryAtTheLowerQoS of publication and subscription.
//
// v3.1.1 [MQTT-3.8.4-6] v5 [MQTT-3.8.4-8]
func TestDeliveryAtTheLowerQoS(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		for granted := range 3 {
			topic := name(t, fmt.Sprint(granted))
			c := join(t, b, hello{level: level, id: topic})
			c.subscribe(topic, granted)
			for published := range 3 {
				c.publish(message{topic: topic, qos: published})
				c.acknowledge(c.expectMessage(message{topic: topic, qos: min(granted, published)}))
			}
		}
	})
}

// TestUpgradeOutgoingQoS delivers at the granted QoS, retained messages too.
func TestUpgradeOutgoingQoS(t *testing.T) {
	b := special(t, "upgrade_outgoing_qos true")
	c := join(t, b, hello{level: v4, id: "some-id"})
	c.publish(message{topic: "topic", payload: "stored", retain: true})
	c.subscribe("topic", 2)
	c.acknowledge(c.expectMessage(message{topic: "topic", payload: "stored", qos: 2, retain: true}))
	c.publish(message{topic: "topic", payload: "live", qos: 1})
	c.acknowledge(c.expectMessage(message{topic: "topic", payload: "live", qos: 2}))
}

// TestRepeatedFilterReplacesTheSubscription: one copy at the new QoS, retained messages again.
//
// v3.1.1 [MQTT-3.8.4-3] v5 [MQTT-3.8.4-3] [MQTT-3.8.4-4] [MQTT-3.3.1-9]
func TestRepeatedFilterReplacesTheSubscription(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		topic := name(t, "")
		c := join(t, b, hello{level: level, id: topic})
		c.publish(message{topic: topic, payload: "stored", qos: 1, retain: true})
		for _, qos := range []int{1, 0, 1} {
			c.subscribe(topic, qos)
			c.acknowledge(c.expectMessage(message{topic: topic, payload: "stored", qos: qos, retain: true}))
			c.publish(message{topic: topic, payload: "live", qos: 1})
			c.acknowledge(c.expectMessage(message{topic: topic, payload: "live", qos: qos}))
			c.ping()
		}
		c.publish(message{topic: topic, retain: true})
	})
}

// TestReplacingASubscriptionLosesNothing while messages keep coming.
//
// v3.1.1 [MQTT-3.8.4-3] v5 [MQTT-3.8.4-4]
func TestReplacingASubscriptionLosesNothing(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		topic := name(t, "")
		receiver := join(t, b, hello{level: level, id: topic + "-receiver"})
		receiver.subscribe(topic, 0)
		sender := join(t, b, hello{level: level, id: topic + "-sender"})
		for i := range 200 {
			sender.send(message{topic: topic, payload: fmt.Sprint(i)}.bytes(level))
			receiver.send(subscribe(level, 1+i, topic, 0))
		}
		seen, acks := 0, 0
		for seen < 200 || acks < 200 {
			p := receiver.read()
			if p.first == 0x90 {
				acks++
				continue
			}
			m, err := receiver.parse(p)
			if err != nil {
				t.Fatal(err)
			}
			if m.payload != fmt.Sprint(seen) {
				t.Fatalf("message %q in place %d", m.payload, seen)
			}
			seen++
		}
	})
}

// TestV5NoLocal keeps a client's own messages from it, those of the same identifier included, and nobody else's.
//
// v5 [MQTT-3.8.3-3]
func TestV5NoLocal(t *testing.T) {
	b := shared(t)
	topic := name(t, "")
	c := join(t, b, hello{level: v5, id: topic})
	c.send(subscribe(v5, 1, topic, 0x04))
	c.expectSuback(1, 0)
	other := join(t, b, hello{level: v5, id: topic + "-other"})
	c.publish(message{topic: topic, payload: "own"})
	other.publish(message{topic: topic, payload: "foreign"})
	c.expectMessage(message{topic: topic, payload: "foreign"})
	c.ping()
}

// TestV5NoLocalOnASharedSubscription is a protocol error.
//
// v5 [MQTT-3.8.3-4] [MQTT-4.13.1-1]
func TestV5NoLocalOnASharedSubscription(t *testing.T) {
	c := join(t, shared(t), hello{level: v5, id: name(t, "")})
	c.send(subscribe(v5, 1, "$share/group/"+name(t, ""), 0x04))
	c.expectRefusal(0x82)
}
