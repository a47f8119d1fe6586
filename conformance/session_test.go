package conformance

import (
	"fmt"
	"testing"
	"time"
)

// keeping is a CONNECT that wants its session back and kept.
func keeping(level int, id string) hello {
	h := hello{level: level, id: id, keep: true}
	if level == v5 {
		h.props = bin(sessionExpiry, u32(600))
	}
	return h
}

// TestSessionIsResumed with its subscriptions and the messages that came meanwhile, in order.
//
// v3.1.1 [MQTT-3.1.2-4] [MQTT-3.1.2-5] [MQTT-3.1.3-2] [MQTT-3.1.4-3] [MQTT-3.2.2-2] [MQTT-3.2.2-3] [MQTT-4.5.0-1] [MQTT-4.1.0-1] [MQTT-4.6.0-6]
// v5 [MQTT-3.1.2-5] [MQTT-3.1.2-6] [MQTT-3.1.2-23] [MQTT-3.1.3-2] [MQTT-3.1.4-4] [MQTT-3.2.2-3] [MQTT-4.5.0-1] [MQTT-4.1.0-1] [MQTT-4.6.0-5]
func TestSessionIsResumed(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		topic := name(t, "")
		c := join(t, b, keeping(level, topic))
		if c.present {
			t.Fatal("session present on the first connection")
		}
		c.subscribe(topic, 2)
		c.leave()
		other := join(t, b, hello{level: level, id: topic + "-other"})
		for i := range 9 {
			other.publish(message{topic: topic, payload: fmt.Sprint(i), qos: 1 + i%2})
		}
		c = join(t, b, keeping(level, topic))
		if level != v31 && !c.present {
			t.Fatal("session not present on the second connection")
		}
		var got []message
		for i := range 9 {
			got = append(got, c.expectMessage(message{topic: topic, payload: fmt.Sprint(i), qos: 1 + i%2}))
		}
		for _, m := range got {
			c.acknowledge(m)
		}
		c.ping()
	})
}

// TestCleanSessionDiscardsState: neither subscriptions nor queued messages survive a clean connection, and its own
// state ends with it.
//
// v3.1.1 [MQTT-3.1.2-6] [MQTT-3.1.4-3] [MQTT-3.2.2-1] [MQTT-3.2.2-3] v5 [MQTT-3.1.2-4] [MQTT-3.1.4-4] [MQTT-3.2.2-2] [MQTT-3.2.2-3] [MQTT-4.1.0-2]
func TestCleanSessionDiscardsState(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		topic := name(t, "")
		c := join(t, b, keeping(level, topic))
		c.subscribe(topic, 1)
		c.leave()
		other := join(t, b, hello{level: level, id: topic + "-other"})
		other.publish(message{topic: topic, payload: "queued", qos: 1})
		c = join(t, b, hello{level: level, id: topic})
		if c.present {
			t.Fatal("session present after a clean start")
		}
		other.publish(message{topic: topic, payload: "live", qos: 1})
		c.ping()
		c.subscribe(topic+"/own", 1)
		c.leave()
		c = join(t, b, keeping(level, topic))
		if c.present {
			t.Fatal("a clean session was kept after its connection")
		}
		c.ping()
		c.leave()
		join(t, b, hello{level: level, id: topic})
	})
}

// TestV5SessionExpiresWithoutInterval: Session Expiry Interval absent or 0 ends the session with the connection, also
// when Clean Start is 0.
//
// v5 [MQTT-4.1.0-2] [MQTT-3.1.2-6]
func TestV5SessionExpiresWithoutInterval(t *testing.T) {
	b := shared(t)
	for _, block := range [][]byte{nil, bin(sessionExpiry, u32(0))} {
		c := join(t, b, hello{level: v5, id: name(t, ""), keep: true, props: block})
		c.leave()
		if join(t, b, hello{level: v5, id: name(t, ""), keep: true, props: block}).present {
			t.Fatal("the session was kept")
		}
	}
}

// TestV5SessionExpiryInterval: kept within the interval, discarded after it.
//
// v5 [MQTT-4.1.0-2] [MQTT-3.1.2-23]
func TestV5SessionExpiryInterval(t *testing.T) {
	b := shared(t)
	short := hello{level: v5, id: name(t, ""), keep: true, props: bin(sessionExpiry, u32(2))}
	join(t, b, short).leave()
	c := join(t, b, short)
	if !c.present {
		t.Fatal("the session was discarded within its interval")
	}
	c.leave()
	join(t, b, hello{level: v5, id: name(t, "clock")}).expectQuiet(3500 * time.Millisecond)
	if join(t, b, short).present {
		t.Fatal("the session was kept beyond its interval")
	}
}

// TestV5DisconnectChangesSessionExpiry: DISCONNECT may shorten or lengthen the interval, but not make one out of none.
//
// v5 [MQTT-4.1.0-2] [MQTT-3.14.2-2]
func TestV5DisconnectChangesSessionExpiry(t *testing.T) {
	b := shared(t)
	h := hello{level: v5, id: name(t, ""), keep: true, props: bin(sessionExpiry, u32(600))}
	c := join(t, b, h)
	c.send(pkt(disconnectByte, 0, props(sessionExpiry, u32(0))))
	c.drain()
	c = join(t, b, h)
	if c.present {
		t.Fatal("the session was kept although DISCONNECT ended it")
	}
	c.leave()
	h.keep = false
	h.props = nil
	c = join(t, b, h)
	c.send(pkt(disconnectByte, 0, props(sessionExpiry, u32(600))))
	c.expectRefusal(0x82)
}

// TestSessionIsKeptWhileConnected however long ago it began: state set up before a burst of traffic is used after it.
//
// v3.1.1 [MQTT-4.1.0-2] v5 [MQTT-4.1.0-1]
func TestSessionIsKeptWhileConnected(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		topic := name(t, "")
		c := join(t, b, hello{level: level, id: topic})
		c.subscribe(topic, 0)
		for i := range 200 {
			c.send(message{topic: topic, payload: fmt.Sprint(i)}.bytes(level))
			c.expectMessage(message{topic: topic, payload: fmt.Sprint(i)})
		}
	})
}
