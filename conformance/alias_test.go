package conformance

import (
	"fmt"
	"testing"
)

// TestV5AliasesFromTheClient: set, used, changed, every value up to the announced maximum.
//
// v5 [MQTT-3.3.2-12]
func TestV5AliasesFromTheClient(t *testing.T) {
	b := shared(t)
	topic := name(t, "")
	receiver, sender := pair(t, b, v5, topic)
	for alias := 1; alias <= 10; alias++ {
		want := message{topic: fmt.Sprintf("%s/%d", topic, alias), payload: "x"}
		sender.publish(message{topic: want.topic, payload: "x", props: bin(topicAlias, u16(alias))})
		if m := receiver.expectMessage(want); len(m.props) != 0 {
			t.Fatalf("properties % X passed on", m.props)
		}
	}
	for alias := 10; alias >= 1; alias-- {
		sender.publish(message{payload: "y", qos: alias % 3, props: bin(topicAlias, u16(alias))})
		receiver.acknowledge(receiver.expectMessage(message{topic: fmt.Sprintf("%s/%d", topic, alias), payload: "y", qos: alias % 3}))
	}
	sender.publish(message{topic: topic + "/new", payload: "z", props: bin(topicAlias, u16(5))})
	sender.publish(message{payload: "z", props: bin(topicAlias, u16(5))})
	for range 2 {
		receiver.expectMessage(message{topic: topic + "/new", payload: "z"})
	}
}

// TestV5AliasesEndWithTheConnection, the session staying.
//
// v5 [MQTT-3.3.2-7]
func TestV5AliasesEndWithTheConnection(t *testing.T) {
	b := shared(t)
	c := join(t, b, keeping(v5, name(t, "")))
	c.publish(message{topic: name(t, ""), props: bin(topicAlias, u16(1))})
	c.leave()
	c = join(t, b, keeping(v5, name(t, "")))
	c.send(message{props: bin(topicAlias, u16(1))}.bytes(v5))
	c.expectRefusal(0x82)
}

// TestV5InvalidAliases: zero, above the maximum, unknown, and none at all for an empty topic.
//
// v5 [MQTT-3.3.2-8] [MQTT-4.7.3-1] [MQTT-4.13.1-1]
func TestV5InvalidAliases(t *testing.T) {
	b := shared(t)
	f := func(m message, codes ...int) {
		t.Helper()
		c := join(t, b, hello{level: v5, id: name(t, "")})
		c.send(m.bytes(v5))
		c.expectRefusal(codes...)
	}
	f(message{topic: "a", props: bin(topicAlias, u16(0))}, 0x94, 0x81)
	f(message{topic: "a", props: bin(topicAlias, u16(11))}, 0x94)
	f(message{props: bin(topicAlias, u16(11))}, 0x94)
	f(message{props: bin(topicAlias, u16(1))}, 0x82)
	f(message{}, 0x82)
}

// TestV5AliasesToTheClient are given in the order of first use: the topic with its alias first, then the alias alone;
// when all are taken, topics go in full. The alias stands after expiry and before the subscription identifier.
//
// v5 [MQTT-3.1.2-26] [MQTT-3.3.2-11] [MQTT-3.3.2-8]
func TestV5AliasesToTheClient(t *testing.T) {
	b := shared(t)
	f := func(t *testing.T, allowed, used int) {
		topic := name(t, "")
		c := join(t, b, hello{level: v5, id: topic, props: bin(topicAliasMaximum, u16(allowed))})
		c.send(subscribeAs(1, 7, topic+"/#", 0))
		c.expectSuback(1, 0)
		sender := join(t, b, hello{level: v5, id: topic + "-sender"})
		for round := range 2 {
			for i := 1; i <= used+2; i++ {
				full := fmt.Sprintf("%s/%d", topic, i)
				sender.publish(message{topic: full, props: bin(messageExpiry, u32(100), contentType, "text")})
				want := bin(contentType, "text", messageExpiry, u32(100))
				if i <= used {
					want = append(want, bin(topicAlias, u16(i))...)
				}
				want = append(want, bin(subscriptionID, varint(7))...)
				m := c.receive()
				if round == 1 && i <= used {
					full = ""
				}
				if m.topic != full || string(countdown(m.props)) != string(want) {
					t.Fatalf("round %d, topic %d: got %q % X, want %q % X", round, i, m.topic, m.props, full, want)
				}
			}
		}
	}
	t.Run("3 of the client", func(t *testing.T) { f(t, 3, 3) })
	t.Run("10 of the broker", func(t *testing.T) { f(t, 100, 10) })
}

// TestV5NoAliasesForAClientWithoutMaximum, be it absent or zero.
//
// v5 [MQTT-3.1.2-27]
func TestV5NoAliasesForAClientWithoutMaximum(t *testing.T) {
	b := shared(t)
	for _, block := range [][]byte{nil, bin(topicAliasMaximum, u16(0))} {
		topic := name(t, "")
		c := join(t, b, hello{level: v5, id: topic, props: block})
		c.subscribe(topic, 0)
		for range 3 {
			c.publish(message{topic: topic})
			if m := c.expectMessage(message{topic: topic}); len(m.props) != 0 {
				t.Fatalf("properties % X", m.props)
			}
		}
	}
}

// TestV5NoResponseInformation unless asked for.
//
// v5 [MQTT-3.1.2-28]
func TestV5NoResponseInformation(t *testing.T) {
	b := shared(t)
	for _, block := range [][]byte{nil, bin(requestResponse, 0)} {
		c := join(t, b, hello{level: v5, id: name(t, ""), props: block})
		if _, has := prop(c.props, responseInfo); has {
			t.Fatal("Response Information in CONNACK")
		}
	}
}
