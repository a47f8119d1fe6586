package conformance

import (
	"fmt"
	"testing"
)

// TestSharedSubscriptionIsServedInTurn: round robin in the order of subscription, for each group and filter, whatever
// the version; an ordinary subscription beside it gets everything.
//
// v5 [MQTT-4.8.2-1] [MQTT-4.8.2-2]
func TestSharedSubscriptionIsServedInTurn(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		topic := name(t, "")
		var members []*client
		for i := range 3 {
			c := join(t, b, hello{level: level, id: fmt.Sprint(topic, i)})
			c.subscribe("$share/group/"+topic, 0)
			members = append(members, c)
		}
		alone := join(t, b, hello{level: level, id: topic + "-alone"})
		alone.subscribe("$share/another/"+topic, 0)
		plain := join(t, b, hello{level: level, id: topic + "-plain"})
		plain.subscribe(topic, 0)
		sender := join(t, b, hello{level: level, id: topic + "-sender"})
		for i := range 6 {
			m := message{topic: topic, payload: fmt.Sprint(i)}
			sender.publish(m)
			members[i%3].expectMessage(m)
			alone.expectMessage(m)
			plain.expectMessage(m)
		}
		for _, c := range append(members, alone, plain) {
			c.ping()
		}
	})
}

// TestWhatFollowsASubscribeIsAnsweredBehindIt, also when the group is at home with another loop: the client's own message arrives.
//
// v5 [MQTT-4.8.2-1]
func TestWhatFollowsASubscribeIsAnsweredBehindIt(t *testing.T) {
	b := shared(t)
	for i := range 20 {
		topic := name(t, fmt.Sprint(i))
		c := join(t, b, hello{level: v5, id: topic})
		c.send(append(append(subscribe(v5, 1, "$share/group/"+topic, 1), message{topic: topic, qos: 1, id: 2}.bytes(v5)...), pkt(pingreqByte)...))
		c.expectSuback(1, 1)
		message, answered, pinged := false, false, false
		for range 3 {
			p := c.read()
			switch p.raw[0] & 0xF0 {
			case 0x30:
				message = true
			case 0x40:
				answered = len(p.raw) == 4 // success
			case 0xD0:
				pinged = true
			}
		}
		if !message || !answered || !pinged {
			t.Fatalf("client %d: message %v, PUBACK %v, PINGRESP %v", i, message, answered, pinged)
		}
	}
}

// TestInvalidSharedFilters: no group, wildcards in its name, nothing behind it.
//
// v5 [MQTT-4.8.2-1] [MQTT-4.8.2-2]
func TestInvalidSharedFilters(t *testing.T) {
	b := shared(t)
	for _, filter := range []string{"$share//a", "$share/gr+oup/a", "$share/#/a", "$share/group", "$share/group/", "$share/", "$share/group/a#"} {
		t.Run(filter, func(t *testing.T) {
			skipKnown(t)
			c := join(t, b, hello{level: v5, id: name(t, "")})
			c.send(subscribe(v5, 1, filter, 0))
			expectFilterRefused(c)
		})
	}
}

// TestSharedDeliveryRespectsTheGrantedQoS of the member that is chosen.
//
// v5 [MQTT-4.8.2-3]
func TestSharedDeliveryRespectsTheGrantedQoS(t *testing.T) {
	b := shared(t)
	topic := name(t, "")
	var members []*client
	for qos := range 3 {
		c := join(t, b, hello{level: v5, id: fmt.Sprint(topic, qos)})
		c.subscribe("$share/group/"+topic, qos)
		members = append(members, c)
	}
	sender := join(t, b, hello{level: v5, id: topic + "-sender"})
	for range 2 {
		for qos, c := range members {
			sender.publish(message{topic: topic, payload: "x", qos: 2})
			c.acknowledge(c.expectMessage(message{topic: topic, payload: "x", qos: qos}))
		}
	}
}

// TestSharedQoS2DeliveryIsFinishedWithTheSameClient after its reconnect; nobody else gets the message.
//
// v5 [MQTT-4.8.2-4]
func TestSharedQoS2DeliveryIsFinishedWithTheSameClient(t *testing.T) {
	b := shared(t)
	topic := name(t, "")
	one := join(t, b, keeping(v5, topic+"-one"))
	one.subscribe("$share/group/"+topic, 2)
	sender := join(t, b, hello{level: v5, id: topic + "-sender"})
	sender.publish(message{topic: topic, payload: "x", qos: 2})
	m := one.expectMessage(message{topic: topic, payload: "x", qos: 2})
	two := join(t, b, hello{level: v5, id: topic + "-two"})
	two.subscribe("$share/group/"+topic, 2)
	one.leave()
	one = join(t, b, keeping(v5, topic+"-one"))
	again := one.expectMessage(message{topic: topic, payload: "x", qos: 2, dup: true})
	if again.id != m.id {
		t.Fatalf("repeated as %d, was %d", again.id, m.id)
	}
	one.acknowledge(again)
	two.ping()
}

// TestSharedQoS2DeliveryEndsWithTheSession: no other member gets the message.
//
// v5 [MQTT-4.8.2-5]
func TestSharedQoS2DeliveryEndsWithTheSession(t *testing.T) {
	b := shared(t)
	topic := name(t, "")
	one := join(t, b, hello{level: v5, id: topic + "-one"})
	one.subscribe("$share/group/"+topic, 2)
	sender := join(t, b, hello{level: v5, id: topic + "-sender"})
	sender.publish(message{topic: topic, payload: "x", qos: 2})
	one.expectMessage(message{topic: topic, payload: "x", qos: 2})
	two := join(t, b, hello{level: v5, id: topic + "-two"})
	two.subscribe("$share/group/"+topic, 2)
	one.leave()
	sender.publish(message{topic: topic, payload: "fence"})
	two.expectMessage(message{topic: topic, payload: "fence"})
	two.ping()
}

// TestSharedMessageThatIsRefusedGoesToNobodyElse: a reason code of 0x80 or above discards it.
//
// v5 [MQTT-4.8.2-6] [MQTT-4.4.0-2]
func TestSharedMessageThatIsRefusedGoesToNobodyElse(t *testing.T) {
	b := shared(t)
	topic := name(t, "")
	one := join(t, b, hello{level: v5, id: topic + "-one"})
	one.subscribe("$share/group/"+topic, 2)
	two := join(t, b, hello{level: v5, id: topic + "-two"})
	sender := join(t, b, hello{level: v5, id: topic + "-sender"})
	sender.publish(message{topic: topic, payload: "x", qos: 1})
	first := one.expectMessage(message{topic: topic, payload: "x", qos: 1})
	sender.publish(message{topic: topic, payload: "y", qos: 2})
	second := one.expectMessage(message{topic: topic, payload: "y", qos: 2})
	two.subscribe("$share/group/"+topic, 2)
	one.send(pkt(pubackByte, u16(first.id), 0x83), pkt(pubrecByte, u16(second.id), 0x83))
	one.ping()
	one.leave()
	sender.publish(message{topic: topic, payload: "fence"})
	two.expectMessage(message{topic: topic, payload: "fence"})
	two.ping()
}

// TestSharedSubscriptionGetsNoRetainedMessages when it is made.
func TestSharedSubscriptionGetsNoRetainedMessages(t *testing.T) {
	b := shared(t)
	topic := name(t, "")
	c := join(t, b, hello{level: v5, id: topic})
	c.publish(message{topic: topic, payload: "stored", retain: true})
	c.subscribe("$share/group/"+topic, 0)
	c.ping()
	c.publish(message{topic: topic, retain: true})
}
