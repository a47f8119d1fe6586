package conformance

import (
	"fmt"
	"testing"
)

// TestTakeOver: the older connection ends, in version 5 with 0x8E, and the newer has the session.
//
// v3.1.1 [MQTT-3.1.4-2] [MQTT-3.1.3-2] v5 [MQTT-3.1.4-3] [MQTT-3.1.3-2] [MQTT-3.14.2-1]
func TestTakeOver(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		topic := name(t, "")
		old := join(t, b, keeping(level, topic))
		old.subscribe(topic, 1)
		c := join(t, b, keeping(level, topic))
		old.expectRefusal(0x8E)
		if level != v31 && !c.present {
			t.Fatal("the session did not pass to the newer connection")
		}
		c.publish(message{topic: topic, payload: "x"})
		c.expectMessage(message{topic: topic, payload: "x"})
	})
}

// TestTakeOverAcrossVersions: the old client is answered in its own version.
//
// v3.1.1 [MQTT-3.1.4-2] v5 [MQTT-3.1.4-3]
func TestTakeOverAcrossVersions(t *testing.T) {
	b := shared(t)
	id := name(t, "")
	five := join(t, b, hello{level: v5, id: id})
	four := join(t, b, hello{level: v4, id: id})
	five.expectRefusal(0x8E)
	again := join(t, b, hello{level: v5, id: id})
	four.expectClose()
	again.ping()
}

// TestTakeOverUnderWay: many connections with one identifier at once leave exactly one.
//
// v3.1.1 [MQTT-3.1.4-2] v5 [MQTT-3.1.4-3]
func TestTakeOverUnderWay(t *testing.T) {
	b := shared(t)
	clients := make([]*client, 20)
	for i := range clients {
		clients[i] = dial(t, b)
		clients[i].send(hello{level: v4, id: name(t, ""), keep: true}.bytes())
	}
	for _, c := range clients {
		if p := c.read(); p.first != 0x20 || p.body[1] != 0 {
			t.Fatalf("got %v, want CONNACK", p)
		}
	}
	last := join(t, b, hello{level: v4, id: name(t, ""), keep: true})
	for _, c := range clients {
		c.expectClose()
	}
	last.ping()
}

// TestTakeOverWill: the old will goes out when either connection is clean or has no expiry, and not otherwise.
//
// v5 [MQTT-3.1.2-8] [MQTT-3.1.3-9] v3.1.1 [MQTT-3.1.2-8]
func TestTakeOverWill(t *testing.T) {
	b := shared(t)
	f := func(t *testing.T, old, young hello, sent bool) {
		topic := name(t, "")
		watch := join(t, b, hello{level: v5, id: topic + "-watch"})
		watch.subscribe(topic, 0)
		old.id, young.id, old.will = topic+"-c", topic+"-c", &will{topic: topic, payload: "will"}
		first := join(t, b, old)
		second := join(t, b, young)
		first.drain()
		second.publish(message{topic: topic, payload: "after"})
		if sent {
			got := []string{watch.receive().payload, watch.receive().payload}
			if got[0] != "will" && got[1] != "will" {
				t.Fatalf("got %q, want the will", got)
			}
			return
		}
		watch.expectMessage(message{topic: topic, payload: "after"})
	}
	stays := bin(sessionExpiry, u32(600))
	t.Run("v3.1.1 both clean", func(t *testing.T) { f(t, hello{level: v4}, hello{level: v4}, true) })
	t.Run("v3.1.1 old clean", func(t *testing.T) { f(t, hello{level: v4}, hello{level: v4, keep: true}, true) })
	t.Run("v3.1.1 new clean", func(t *testing.T) { f(t, hello{level: v4, keep: true}, hello{level: v4}, true) })
	t.Run("v3.1.1 neither clean", func(t *testing.T) { f(t, hello{level: v4, keep: true}, hello{level: v4, keep: true}, false) })
	t.Run("v5 no expiry", func(t *testing.T) {
		f(t, hello{level: v5, keep: true}, hello{level: v5, keep: true, props: stays}, true)
	})
	t.Run("v5 new clean", func(t *testing.T) {
		f(t, hello{level: v5, keep: true, props: stays}, hello{level: v5, props: stays}, true)
	})
	t.Run("v5 both stay", func(t *testing.T) {
		f(t, hello{level: v5, keep: true, props: stays}, hello{level: v5, keep: true, props: stays}, false)
	})
}

// TestAbruptCloseAfterConnectDisturbsNobody: clients that vanish while they are being accepted leave the broker well.
func TestAbruptCloseAfterConnectDisturbsNobody(t *testing.T) {
	b := shared(t)
	c := join(t, b, hello{level: v5, id: name(t, "stays")})
	for i := range 50 {
		gone := dial(t, b)
		gone.send(hello{level: []int{v31, v4, v5}[i%3], id: name(t, fmt.Sprint(i%7))}.bytes())
		gone.abandon()
	}
	c.ping()
	join(t, b, hello{level: v4, id: name(t, "0")}).ping()
}
