package shard

import (
	"testing"
	"time"

	"github.com/noctulemq/noctule/codec"
)

// stays gives the session of a CONNECT an hour after the connection.
func stays(c *codec.Connect) { c.HasSessionExpiry, c.SessionExpiry = true, 3600 }

// TestStoredCountsEachMessageOnce holds what $SYS/broker/store/messages says: retained, queued, in flight and held for
// PUBREL, each message once, on however many loops it waits.
func TestStoredCountsEachMessageOnce(t *testing.T) {
	for _, loops := range []int{1, 3} {
		w := newWorld(t, loops, nil)
		stored := func(when string, messages, bytes int64) {
			t.Helper()
			w.settle()
			if n := w.count(); n.Stored != messages || n.StoredBytes != bytes {
				t.Errorf("%d loops, %s: %d messages of %d bytes, want %d of %d", loops, when, n.Stored, n.StoredBytes, messages, bytes)
			}
		}
		pub := w.join("p", nil)
		pub.publish(0, "kept", "12345", true)
		stored("retained", 1, 5)
		pub.publish(0, "kept", "1", true)
		stored("replaced", 1, 1)

		var away []*peer
		for i := range 3 {
			away = append(away, w.join(w.onLoop(i%loops, string(rune('a'+i))), stays))
			away[i].subscribe(2, "q")
			away[i].sock.Close()
		}
		pub.publish(1, "q", "queued", false)
		stored("queued for three", 2, 7)
		pub.publish(1, "q", "again!", true)
		stored("queued and retained", 3, 13)
		pub.publish(2, "nobody", "held", false)
		stored("held for PUBREL", 4, 17)
		pub.ack(codec.TypePubrel, pub.nextID)
		stored("released", 3, 13)

		back := w.join(away[0].id, func(c *codec.Connect) { stays(c); c.CleanStart = false })
		for _, g := range back.take() {
			back.ack(codec.TypePuback, g.PacketID)
		}
		stored("one has acknowledged", 3, 13)
		w.join(away[1].id, nil)
		stored("one has started clean", 3, 13)
		w.pass(3601 * time.Second)
		stored("all sessions have ended", 2, 7)
		pub.publish(0, "q", "", true)
		pub.publish(0, "kept", "", true)
		stored("cleared", 0, 0)
	}
}

// TestFiltersCountWhatSessionsHave holds what $SYS/broker/subscriptions says.
func TestFiltersCountWhatSessionsHave(t *testing.T) {
	for _, loops := range []int{1, 3} {
		w := newWorld(t, loops, nil)
		have := func(when string, filters, shared int64) {
			t.Helper()
			w.settle()
			if n := w.count(); n.Filters != filters || n.SharedFilters != shared {
				t.Errorf("%d loops, %s: %d and %d shared, want %d and %d", loops, when, n.Filters, n.SharedFilters, filters, shared)
			}
		}
		a, b := w.join("a", stays), w.join("b", nil)
		a.subscribe(0, "x", "y", "$share/g/x")
		b.subscribe(0, "x", "$share/g/x")
		have("subscribed", 3, 2)
		a.subscribe(0, "x", "$share/g/x")
		have("the same again", 3, 2)
		u := codec.Unsubscribe{PacketID: 9, Filters: []string{"y", "$share/g/x", "z"}}
		a.sock.Write(u.Append(nil, codec.V5))
		have("unsubscribed", 2, 1)
		a.sock.Close()
		have("one away", 2, 1)
		b.sock.Close()
		have("one ended", 1, 0)
	}
}

// TestPacketsAndBytesAreCounted holds what $SYS/broker/messages and publish/bytes say.
func TestPacketsAndBytesAreCounted(t *testing.T) {
	for _, loops := range []int{1, 3} {
		w := newWorld(t, loops, nil)
		s, p := w.join(w.onLoop(0, "s"), nil), w.join(w.onLoop(loops-1, "p"), nil)
		s.subscribe(1, "#")
		p.publish(0, "a", "12", false)
		p.publish(1, "a", "345", false)
		w.settle()
		p.sock.Write(codec.AppendPingreq(nil))
		for _, g := range s.take() {
			if g.QoS == 1 {
				s.ack(codec.TypePuback, g.PacketID)
			}
		}
		w.settle()
		// 2 CONNECT, SUBSCRIBE, 2 PUBLISH, PINGREQ, PUBACK; 2 CONNACK, SUBACK, PUBACK, PINGRESP, and 2 PUBLISH.
		n := w.count()
		if n.Packets != 7 || n.Answers != 5 || n.Sent != [3]uint64{1, 1, 0} || n.ReceivedBytes != 5 || n.SentBytes != 5 {
			t.Errorf("%d loops: %d packets, %d answers, sent %v, bytes %d and %d", loops, n.Packets, n.Answers, n.Sent,
				n.ReceivedBytes, n.SentBytes)
		}
	}
}
