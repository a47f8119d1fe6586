package conformance

import (
	"fmt"
	"testing"
	"time"
)

// TestWillIsPublishedWhenTheConnectionFails at its QoS, once.
//
// v3.1.1 [MQTT-3.1.2-8] [MQTT-3.1.2-9] [MQTT-3.1.2-10] [MQTT-3.1.2-16] v5 [MQTT-3.1.2-7] [MQTT-3.1.2-8] [MQTT-3.1.2-10] [MQTT-3.1.2-12] [MQTT-3.1.2-14]
func TestWillIsPublishedWhenTheConnectionFails(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		for qos := range 3 {
			topic := name(t, string(rune('0'+qos)))
			watch := join(t, b, hello{level: level, id: topic + "-watch"})
			watch.subscribe(topic, 2)
			c := join(t, b, hello{level: level, id: topic, will: &will{topic: topic, payload: "gone", qos: qos}})
			c.abandon()
			watch.acknowledge(watch.expectMessage(message{topic: topic, payload: "gone", qos: qos}))
			join(t, b, hello{level: level, id: topic}).abandon()
			watch.publish(message{topic: topic, payload: "fence"})
			watch.expectMessage(message{topic: topic, payload: "fence"})
			late := join(t, b, hello{level: level, id: topic + "-late"})
			late.subscribe(topic, 2)
			late.ping()
		}
	})
}

// TestWillWithRetainIsStored for later subscribers.
//
// v3.1.1 [MQTT-3.1.2-17] v5 [MQTT-3.1.2-15]
func TestWillWithRetainIsStored(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		topic := name(t, "")
		watch := join(t, b, hello{level: level, id: topic + "-watch"})
		watch.subscribe(topic, 1)
		c := join(t, b, hello{level: level, id: topic, will: &will{topic: topic, payload: "gone", qos: 1, retain: true}})
		c.abandon()
		watch.acknowledge(watch.expectMessage(message{topic: topic, payload: "gone", qos: 1}))
		late := join(t, b, hello{level: level, id: topic + "-late"})
		late.subscribe(topic, 1)
		late.acknowledge(late.expectMessage(message{topic: topic, payload: "gone", qos: 1, retain: true}))
		late.publish(message{topic: topic, retain: true})
	})
}

// TestWillComesBeforeWhatTheNextConnectionSays: a client that is back at once, and says so in the segment of its CONNECT, sets right
// what the will of its earlier connection said.
//
// v3.1.1 [MQTT-3.1.2-8] v5 [MQTT-3.1.2-8]
func TestWillComesBeforeWhatTheNextConnectionSays(t *testing.T) {
	b := shared(t)
	ends := map[string]func(*client){"taken over": func(*client) {}, "closed": (*client).abandon, "malformed": func(c *client) { c.send(hx("00 00")) }}
	eachVersion(t, func(t *testing.T, level int) {
		for what, end := range ends {
			for i := range 10 {
				topic := name(t, fmt.Sprint(what, i))
				watch := join(t, b, hello{level: level, id: topic + "-watch"})
				watch.subscribe(topic, 0)
				c := join(t, b, hello{level: level, id: topic, will: &will{topic: topic, payload: "offline", retain: true}})
				next := dial(t, b)
				end(c)
				next.send(append(hello{level: level, id: topic}.bytes(), message{topic: topic, payload: "online", retain: true}.bytes(level)...))
				watch.expectMessage(message{topic: topic, payload: "offline"})
				watch.expectMessage(message{topic: topic, payload: "online"})
			}
		}
	})
}

// TestDisconnectDiscardsTheWill and a client without a will leaves none.
//
// v3.1.1 [MQTT-3.14.4-3] [MQTT-3.1.2-10] [MQTT-3.1.2-12] v5 [MQTT-3.14.4-3] [MQTT-3.1.2-8] [MQTT-3.1.2-10]
func TestDisconnectDiscardsTheWill(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		topic := name(t, "")
		watch := join(t, b, hello{level: level, id: topic + "-watch"})
		watch.subscribe(topic, 0)
		join(t, b, hello{level: level, id: topic, will: &will{topic: topic, payload: "gone"}}).leave()
		if level == v5 {
			c := join(t, b, hello{level: level, id: topic, will: &will{topic: topic, payload: "gone"}})
			c.send(pkt(disconnectByte, 0, 0))
			c.drain()
		}
		join(t, b, hello{level: level, id: topic}).abandon()
		watch.publish(message{topic: topic, payload: "fence", qos: 1})
		watch.expectMessage(message{topic: topic, payload: "fence"})
	})
}

// TestV5DisconnectWithWill: reason code 0x04 asks for the will.
//
// v5 [MQTT-3.1.2-8]
func TestV5DisconnectWithWill(t *testing.T) {
	b := shared(t)
	topic := name(t, "")
	watch := join(t, b, hello{level: v5, id: topic + "-watch"})
	watch.subscribe(topic, 0)
	c := join(t, b, hello{level: v5, id: topic, will: &will{topic: topic, payload: "gone"}})
	c.send(pkt(disconnectByte, 0x04))
	watch.expectMessage(message{topic: topic, payload: "gone"})
	c.expectClose()
}

// TestWillAfterProtocolError: an error of the client is no good-bye.
//
// v3.1.1 [MQTT-3.1.2-8] v5 [MQTT-3.1.2-8]
func TestWillAfterProtocolError(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		topic := name(t, "")
		watch := join(t, b, hello{level: level, id: topic + "-watch"})
		watch.subscribe(topic, 0)
		c := join(t, b, hello{level: level, id: topic, will: &will{topic: topic, payload: "gone"}})
		c.send(pkt(0x00))
		c.drain()
		watch.expectMessage(message{topic: topic, payload: "gone"})
	})
}

// TestV5WillProperties arrive as given, in their order, without the delay.
//
// v5 [MQTT-3.1.3-10] [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-20]
func TestV5WillProperties(t *testing.T) {
	b := shared(t)
	topic := name(t, "")
	watch := join(t, b, hello{level: v5, id: topic + "-watch"})
	watch.subscribe(topic, 0)
	block := bin(userProperty, "b", "2", payloadFormat, 1, contentType, "text", userProperty, "a", "1", responseTopic, "answer", correlationData, "\x00\x01", userProperty, "b", "2")
	c := join(t, b, hello{level: v5, id: topic, will: &will{topic: topic, payload: "gone", props: append(bin(willDelay, u32(0)), block...)}})
	c.abandon()
	got := watch.expectMessage(message{topic: topic, payload: "gone"})
	if string(got.props) != string(block) {
		t.Fatalf("properties % X, want % X", got.props, block)
	}
}

// TestV5WillDelay: the will waits for its delay, or for the end of the session if that comes first.
//
// v5 [MQTT-3.1.2-8]
func TestV5WillDelay(t *testing.T) {
	b := shared(t)
	f := func(what string, delay, expiry uint32) {
		t.Run(what, func(t *testing.T) {
			skipKnown(t)
			t.Parallel()
			topic := name(t, "")
			watch := join(t, b, hello{level: v5, id: topic + "-watch"})
			watch.subscribe(topic, 0)
			c := join(t, b, hello{level: v5, id: topic, keep: true, props: bin(sessionExpiry, u32(expiry)),
				will: &will{topic: topic, payload: "gone", props: bin(willDelay, u32(delay))}})
			start := time.Now()
			c.abandon()
			watch.expectMessage(message{topic: topic, payload: "gone"})
			after := time.Since(start)
			if wait := time.Duration(min(delay, expiry)) * time.Second; wait > 0 && after < wait-900*time.Millisecond {
				t.Fatalf("the will came after %v, %v before its time", after, wait-after)
			}
		})
	}
	f("delay first", 2, 600)
	f("session end first", 600, 2)
	f("no session", 600, 0)
}

// TestV5ReconnectWithinWillDelay: the will is not sent.
//
// v5 [MQTT-3.1.3-9] [MQTT-3.1.2-8]
func TestV5ReconnectWithinWillDelay(t *testing.T) {
	b := shared(t)
	topic := name(t, "")
	watch := join(t, b, hello{level: v5, id: topic + "-watch"})
	watch.subscribe(topic, 0)
	h := hello{level: v5, id: topic, keep: true, props: bin(sessionExpiry, u32(600)), will: &will{topic: topic, payload: "gone", props: bin(willDelay, u32(1))}}
	c := join(t, b, h)
	c.abandon()
	h.will = nil
	join(t, b, h).ping()
	watch.expectQuiet(2500 * time.Millisecond)
}

// TestWillLargerThanMessageSizeLimit is refused at once.
func TestWillLargerThanMessageSizeLimit(t *testing.T) {
	b := special(t, "message_size_limit 10")
	big := &will{topic: "will", payload: "01234567890"}
	f := func(level int, want string) {
		t.Helper()
		c := dial(t, b)
		c.send(hello{level: level, id: "some-id", will: big}.bytes())
		c.expectHex(want)
		c.expectClose()
	}
	f(v31, "20 02 00 05")
	f(v4, "20 02 00 05")
	f(v5, "20 03 00 95 00")
	join(t, b, hello{level: v5, id: "some-id", will: &will{topic: "will", payload: "0123456789"}}).ping()
}

// TestV5WillBeyondTheServersMeans: QoS above the maximum, and retain where it is off.
//
// v5 [MQTT-3.2.2-12] [MQTT-3.2.2-13]
func TestV5WillBeyondTheServersMeans(t *testing.T) {
	b := special(t, "max_qos 1", "retain_available false")
	f := func(w will, want string) {
		t.Helper()
		c := dial(t, b)
		c.send(hello{level: v5, id: "some-id", will: &w}.bytes())
		c.expectHex(want)
		c.expectClose()
	}
	f(will{topic: "will", qos: 2}, "20 03 00 9B 00")
	f(will{topic: "will", retain: true}, "20 03 00 9A 00")
	join(t, b, hello{level: v5, id: "some-id", will: &will{topic: "will", qos: 1}}).ping()
}
