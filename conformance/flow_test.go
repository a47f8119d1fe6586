package conformance

import (
	"fmt"
	"testing"
)

// TestV5ReceiveMaximumOfTheClient: no more unacknowledged messages than it allows, QoS 0 and all other packets go on,
// and each acknowledgement brings the next message.
//
// v5 [MQTT-3.3.4-9] [MQTT-3.3.4-10] [MQTT-4.9.0-1] [MQTT-4.9.0-2] [MQTT-4.9.0-3]
func TestV5ReceiveMaximumOfTheClient(t *testing.T) {
	b := shared(t)
	for _, window := range []int{1, 3} {
		topic := name(t, fmt.Sprint(window))
		c := join(t, b, hello{level: v5, id: topic, props: bin(receiveMaximum, u16(window))})
		c.subscribe(topic, 2)
		sender := join(t, b, hello{level: v5, id: topic + "-sender"})
		for i := range 8 {
			sender.publish(message{topic: topic, payload: fmt.Sprint(i), qos: 1 + i%2})
		}
		var open []message
		for i := range window {
			open = append(open, c.expectMessage(message{topic: topic, payload: fmt.Sprint(i), qos: 1 + i%2}))
		}
		c.ping()
		c.send(subscribe(v5, 50, topic+"/other", 0), message{topic: "nobody/" + topic, qos: 1, id: 51}.bytes(v5), unsubscribe(v5, 52, topic+"/other"))
		c.expectSuback(50, 0)
		c.expectHex("40 03 0033 10")
		c.expectHex("B0 04 0034 00 00")
		sender.publish(message{topic: topic, payload: "at once"})
		c.expectMessage(message{topic: topic, payload: "at once"})
		for i := window; i < 8; i++ {
			c.acknowledge(open[0])
			open = append(open[1:], c.expectMessage(message{topic: topic, payload: fmt.Sprint(i), qos: 1 + i%2}))
			c.ping()
		}
	}
}

// TestV5PubrecKeepsItsPlaceInTheWindow until PUBCOMP; a refusing PUBREC frees it.
//
// v5 [MQTT-3.3.4-9] [MQTT-4.9.0-2]
func TestV5PubrecKeepsItsPlaceInTheWindow(t *testing.T) {
	b := shared(t)
	topic := name(t, "")
	c := join(t, b, hello{level: v5, id: topic, props: bin(receiveMaximum, u16(1))})
	c.subscribe(topic, 2)
	sender := join(t, b, hello{level: v5, id: topic + "-sender"})
	for i := range 3 {
		sender.publish(message{topic: topic, payload: fmt.Sprint(i), qos: 2})
	}
	m := c.expectMessage(message{topic: topic, payload: "0", qos: 2})
	c.send(ack(pubrecByte, m.id))
	c.expect(ack(pubrelByte, m.id))
	c.ping()
	c.send(ack(pubcompByte, m.id))
	m = c.expectMessage(message{topic: topic, payload: "1", qos: 2})
	c.send(pkt(pubrecByte, u16(m.id), 0x80))
	c.expectMessage(message{topic: topic, payload: "2", qos: 2})
}

// TestMaxInflightMessages limits every version; the next message goes on PUBACK or PUBCOMP.
//
// v5 [MQTT-4.9.0-1]
func TestMaxInflightMessages(t *testing.T) {
	b := special(t, "max_inflight_messages 2")
	eachVersion(t, func(t *testing.T, level int) {
		topic := name(t, "")
		receiver, sender := pair(t, b, level, topic)
		for i := range 4 {
			sender.publish(message{topic: topic, payload: fmt.Sprint(i), qos: 1 + i%2})
		}
		one := receiver.expectMessage(message{topic: topic, payload: "0", qos: 1})
		two := receiver.expectMessage(message{topic: topic, payload: "1", qos: 2})
		receiver.ping()
		receiver.acknowledge(one)
		receiver.expectMessage(message{topic: topic, payload: "2", qos: 1})
		receiver.ping()
		receiver.acknowledge(two)
		receiver.expectMessage(message{topic: topic, payload: "3", qos: 2})
		receiver.ping()
	})
}

// TestMaxInflightMessagesIsAWindowOnlyOnce: the smaller of the server's and the client's number counts.
//
// v5 [MQTT-4.9.0-1]
func TestMaxInflightMessagesIsAWindowOnlyOnce(t *testing.T) {
	b := special(t, "max_inflight_messages 2")
	c := join(t, b, hello{level: v5, id: "some-id", props: bin(receiveMaximum, u16(100))})
	c.subscribe("topic", 1)
	for range 4 {
		c.publish(message{topic: "topic", qos: 1})
	}
	c.acknowledge(c.receive())
	c.receive()
	c.receive()
	c.ping()
}

// TestOldClientsKnowNoReceiveMaximum: they may send as many messages of QoS 2 as they like before they read an answer.
func TestOldClientsKnowNoReceiveMaximum(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		topic := name(t, "")
		receiver, sender := pair(t, b, level, topic)
		const messages = 3000
		var all []byte
		for id := 1; id <= messages; id++ {
			all = append(all, message{topic: topic, qos: 2, id: id}.bytes(level)...)
		}
		sender.send(all)
		for id := 1; id <= messages; id++ {
			sender.expect(ack(0x50, id))
		}
		sender.send(ack(pubrelByte, messages))
		sender.expect(ack(pubcompByte, messages))
		receiver.expectMessage(message{topic: topic, qos: 2})
	}, v31, v4)
}

// TestV5ReceiveMaximumOfTheServerIsOnlyAWarning: more messages than announced are still answered.
func TestV5ReceiveMaximumOfTheServerIsOnlyAWarning(t *testing.T) {
	c := join(t, shared(t), hello{level: v5, id: name(t, "")})
	for id := 1; id <= 25; id++ {
		c.send(message{topic: name(t, ""), qos: 2, id: id}.bytes(v5))
		c.expect(ack(0x50, id))
	}
	for id := 1; id <= 25; id++ {
		c.send(ack(pubrelByte, id))
		c.expect(ack(pubcompByte, id))
	}
}
