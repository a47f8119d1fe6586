package conformance

import (
	"fmt"
	"testing"
)

// TestV5RetainAsPublished forwards the flag as it came, or clears it.
//
// v5 [MQTT-3.3.1-12] [MQTT-3.3.1-13]
func TestV5RetainAsPublished(t *testing.T) {
	b := shared(t)
	topic := name(t, "")
	plain := join(t, b, hello{level: v5, id: topic + "-plain"})
	plain.subscribe(topic, 0)
	as := join(t, b, hello{level: v5, id: topic + "-as"})
	as.send(subscribe(v5, 1, topic, 0x08))
	as.expectSuback(1, 0)
	sender := join(t, b, hello{level: v5, id: topic + "-sender"})
	for _, retain := range []bool{true, false, true} {
		sender.publish(message{topic: topic, payload: "x", retain: retain})
		plain.expectMessage(message{topic: topic, payload: "x"})
		as.expectMessage(message{topic: topic, payload: "x", retain: retain})
	}
	sender.publish(message{topic: topic, retain: true})
	as.expectMessage(message{topic: topic, retain: true})
}

// TestV5RetainHandling: 0 always, 1 for a new subscription only, 2 never.
//
// v5 [MQTT-3.3.1-9] [MQTT-3.3.1-10] [MQTT-3.3.1-11] [MQTT-3.8.4-4]
func TestV5RetainHandling(t *testing.T) {
	b := shared(t)
	topic := name(t, "")
	c := join(t, b, hello{level: v5, id: topic})
	c.publish(message{topic: topic, payload: "stored", retain: true})
	f := func(handling int, sent bool) {
		t.Helper()
		c.subscribe(topic, handling<<4)
		if sent {
			c.expectMessage(message{topic: topic, payload: "stored", retain: true})
		}
		c.ping()
	}
	f(2, false)
	f(1, false)
	f(0, true)
	f(0, true)
	c.send(unsubscribe(v5, 90, topic))
	c.expectHex("B0 04 005A 00 00")
	f(1, true)
	f(1, false)
	f(2, false)
	c.publish(message{topic: topic, retain: true})
}

// TestRetainedMessageIsReplaced by the latest, of any QoS, and delivered at its own.
//
// v3.1.1 [MQTT-3.3.1-5] [MQTT-3.3.1-6] [MQTT-3.3.1-7] [MQTT-3.3.1-8] [MQTT-3.3.1-9] [MQTT-3.3.1-12] v5 [MQTT-3.3.1-5] [MQTT-3.3.1-8] [MQTT-3.3.1-9] [MQTT-3.3.1-12]
func TestRetainedMessageIsReplaced(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		topic := name(t, "")
		sender := join(t, b, hello{level: level, id: topic})
		live := join(t, b, hello{level: level, id: topic + "-live"})
		live.subscribe(topic, 0)
		for i, qos := range []int{2, 0, 1} {
			stored := fmt.Sprintf("stored %d", i)
			sender.publish(message{topic: topic, payload: stored, qos: qos, retain: true})
			live.expectMessage(message{topic: topic, payload: stored})
			sender.publish(message{topic: topic, payload: "passing"})
			live.expectMessage(message{topic: topic, payload: "passing"})
			c := join(t, b, hello{level: level, id: topic + "-c"})
			c.subscribe(topic, 2)
			c.acknowledge(c.expectMessage(message{topic: topic, payload: stored, qos: qos, retain: true}))
			c.ping()
			c.leave()
		}
		sender.publish(message{topic: topic, retain: true})
	})
}

// TestRetainedMessageIsClearedByEmptyPayload, which is delivered and not stored.
//
// v3.1.1 [MQTT-3.3.1-10] [MQTT-3.3.1-11] v5 [MQTT-3.3.1-6] [MQTT-3.3.1-7]
func TestRetainedMessageIsClearedByEmptyPayload(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		topic := name(t, "")
		receiver, sender := pair(t, b, level, topic)
		for qos := range 3 {
			sender.publish(message{topic: topic, payload: "stored", qos: 1, retain: true})
			receiver.acknowledge(receiver.expectMessage(message{topic: topic, payload: "stored", qos: 1}))
			for range 2 {
				sender.publish(message{topic: topic, qos: qos, retain: true})
				receiver.acknowledge(receiver.expectMessage(message{topic: topic, qos: qos}))
			}
			c := join(t, b, hello{level: level, id: topic + "-c"})
			c.subscribe(topic, 2)
			c.ping()
			c.leave()
		}
	})
}

// TestRetainedMessagesFollowInTreeOrder, parents before children, after the SUBACK.
//
// v3.1.1 [MQTT-3.3.1-6] [MQTT-3.3.1-8] v5 [MQTT-3.3.1-9]
func TestRetainedMessagesFollowInTreeOrder(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		topic := name(t, "")
		c := join(t, b, hello{level: level, id: topic})
		for _, sub := range []string{"/a/b/c", "/a", "/a/b", ""} {
			c.publish(message{topic: topic + sub, payload: "stored", retain: true})
		}
		c.subscribe(topic+"/#", 0)
		for _, sub := range []string{"", "/a", "/a/b", "/a/b/c"} {
			c.expectMessage(message{topic: topic + sub, payload: "stored", retain: true})
		}
		c.ping()
		for _, sub := range []string{"/a/b/c", "/a", "/a/b", ""} {
			c.publish(message{topic: topic + sub, retain: true})
		}
	})
}

// TestV5RetainedMessageExpires: counted down, then gone.
//
// v5 [MQTT-3.3.2-5] [MQTT-3.3.2-6]
func TestV5RetainedMessageExpires(t *testing.T) {
	b := shared(t)
	topic := name(t, "")
	c := join(t, b, hello{level: v5, id: topic})
	c.publish(message{topic: topic + "/short", payload: "x", retain: true, props: bin(messageExpiry, u32(1))})
	c.publish(message{topic: topic + "/long", payload: "x", retain: true, props: bin(messageExpiry, u32(100), contentType, "text")})
	c.expectQuiet(2500 * 1e6)
	c.subscribe(topic+"/#", 0)
	m := c.expectMessage(message{topic: topic + "/long", payload: "x", retain: true})
	list := listOf(t, m)
	if len(list) != 2 || list[0].text != "text" || list[1].id != messageExpiry || list[1].number > 98 || list[1].number < 60 {
		t.Fatalf("properties %+v", list)
	}
	c.ping()
	c.publish(message{topic: topic + "/long", retain: true})
}

// TestRetainedMessagesOutliveTheSession that published them.
//
// v3.1.1 [MQTT-3.1.2-7]
func TestRetainedMessagesOutliveTheSession(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		topic := name(t, "")
		c := join(t, b, hello{level: level, id: topic})
		c.publish(message{topic: topic, payload: "stays", qos: 1, retain: true})
		c.leave()
		join(t, b, hello{level: level, id: topic}).leave()
		c = join(t, b, hello{level: level, id: topic + "-2"})
		c.subscribe(topic, 1)
		c.acknowledge(c.expectMessage(message{topic: topic, payload: "stays", qos: 1, retain: true}))
		c.publish(message{topic: topic, retain: true})
	})
}
