package shard

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/config"
)

// sharers makes n members of one group, on different loops in turn.
func sharers(w *world, n int, qos uint8, change func(*codec.Connect)) (members []*peer) {
	w.t.Helper()
	for i := range n {
		m := w.join(w.onLoop(i%w.group.Len(), fmt.Sprint("m", i, "-")), change)
		m.subscribe(qos, "$share/g/a/#")
		members = append(members, m)
	}
	return members
}

func TestSharedStrategies(t *testing.T) {
	for _, strategy := range []string{"round-robin", "sticky", "hash-client", "hash-topic"} {
		for _, loops := range []int{1, 3} {
			w := newWorld(t, loops, func(c *config.Config, _ *config.Listener) { c.SharedStrategy = strategy })
			members := sharers(w, 3, 0, nil)
			pub := w.join("p", nil)
			for i := range 90 {
				pub.publish(0, fmt.Sprint("a/", i%10), fmt.Sprint(i), false)
			}
			w.settle()
			total, busy, topics := 0, 0, map[string]int{}
			for _, m := range members {
				got := m.take()
				if total += len(got); len(got) > 0 {
					busy++
				}
				if strategy == "round-robin" && len(got) != 30 {
					t.Errorf("%s, %d loops: %s got %d", strategy, loops, m.id, len(got))
				}
				mine := map[string]bool{}
				for _, g := range got {
					mine[g.Topic] = true
				}
				for topic := range mine {
					topics[topic]++
				}
			}
			if total != 90 {
				t.Errorf("%s, %d loops: %d of 90 came", strategy, loops, total)
			}
			if one := strategy == "sticky" || strategy == "hash-client"; one && busy != 1 {
				t.Errorf("%s, %d loops: %d members busy with one publisher", strategy, loops, busy)
			}
			if strategy == "hash-topic" && (len(topics) != 10 || topics["a/3"] != 1) {
				t.Errorf("%s, %d loops: topics by number of members: %v", strategy, loops, topics)
			}
		}
	}
}

// TestSharedDeliveryMovesOn holds that what a member had not acknowledged when its session ended goes to another one
// [MQTT-4.8.2-4], but for QoS 2 that was sent [MQTT-4.8.2-5].
func TestSharedDeliveryMovesOn(t *testing.T) {
	for _, loops := range []int{1, 3} {
		for qos, want := range map[uint8]int{1: 30, 2: 15} {
			w := newWorld(t, loops, nil)
			members := sharers(w, 2, qos, nil)
			pub := w.join("p", nil)
			for i := range 30 {
				pub.publish(qos, fmt.Sprint("a/", i), fmt.Sprint(i), false)
			}
			for _, g := range pub.take() {
				if g.Type == codec.TypePubrec {
					pub.ack(codec.TypePubrel, g.PacketID)
				}
			}
			w.settle()
			members[0].sock.Reset()
			w.settle()
			seen := map[string]bool{}
			for g := members[1].take(); len(g) > 0; g = members[1].take() {
				for _, p := range g {
					switch {
					case p.Type == codec.TypePubrel:
						members[1].ack(codec.TypePubcomp, p.PacketID)
					case p.QoS == 1:
						members[1].ack(codec.TypePuback, p.PacketID)
					case p.QoS == 2:
						members[1].ack(codec.TypePubrec, p.PacketID)
					}
					if p.Type == codec.TypePublish {
						seen[p.Payload] = true
					}
				}
			}
			if len(seen) != want {
				t.Errorf("%d loops, QoS %d: %d of 30 came", loops, qos, len(seen))
			}
			if moved := int(w.count().Redirected); moved != want-15 {
				t.Errorf("%d loops, QoS %d: %d counted as redirected", loops, qos, moved)
			}
		}
	}
}

// TestSharedGroupOffline holds that a group with stored sessions only queues QoS 1 at one of them, and drops QoS 0.
func TestSharedGroupOffline(t *testing.T) {
	for _, loops := range []int{1, 3} {
		w := newWorld(t, loops, nil)
		stored := func(c *codec.Connect) { c.HasSessionExpiry, c.SessionExpiry, c.CleanStart = true, 1000, false }
		members := sharers(w, 3, 1, stored)
		for _, m := range members {
			m.sock.Close()
		}
		w.settle()
		pub := w.join("p", nil)
		for i := range 9 {
			pub.publish(uint8(i%2), fmt.Sprint("a/", i), fmt.Sprint(i), false)
		}
		w.settle()
		var all []string
		for _, m := range members {
			again := w.join(m.id, stored)
			all = append(all, again.drain()...)
		}
		if len(all) != 4 {
			t.Errorf("%d loops: %q came, want the four of QoS 1", loops, all)
		}
	}
}

// TestSharedMemberPrefersOnline holds that a message goes to a member that is there.
func TestSharedMemberPrefersOnline(t *testing.T) {
	for _, loops := range []int{1, 3} {
		w := newWorld(t, loops, nil)
		members := sharers(w, 3, 1, func(c *codec.Connect) { c.HasSessionExpiry, c.SessionExpiry = true, 1000 })
		members[0].sock.Close()
		members[1].sock.Close()
		w.settle()
		pub := w.join("p", nil)
		for i := range 12 {
			pub.publish(1, "a/x", fmt.Sprint(i), false)
		}
		if got := strings.Join(members[2].drain(), " "); got != "0 1 2 3 4 5 6 7 8 9 10 11" {
			t.Errorf("%d loops: got %q", loops, got)
		}
	}
}

// TestSharedGroupGone holds that what comes back when the group has no member any more is dropped and counted.
func TestSharedGroupGone(t *testing.T) {
	w := newWorld(t, 2, nil)
	members := sharers(w, 1, 1, nil)
	pub := w.join("p", nil)
	for i := range 5 {
		pub.publish(1, "a/x", fmt.Sprint(i), false)
	}
	w.settle()
	members[0].sock.Reset()
	w.settle()
	if n := w.count().DroppedShared; n != 5 {
		t.Errorf("%d counted as dropped", n)
	}
}

// TestSharedExpired holds that a delivery that moves on does not outlive its expiry.
func TestSharedExpired(t *testing.T) {
	w := newWorld(t, 2, func(c *config.Config, _ *config.Listener) { c.MaxInflightMessages = 1 })
	members := sharers(w, 2, 1, nil)
	pub := w.join("p", nil)
	for i := range 20 {
		o := codec.PublishOut{Version: codec.V5, QoS: 1, PacketID: uint16(i + 1), Topic: "a/x", Payload: []byte("x"), HasExpiry: true, Expiry: 3}
		pub.sock.Write(o.Append(nil))
	}
	w.pass(5 * time.Second)
	members[0].sock.Reset()
	w.settle()
	if got := members[1].drain(); len(got) != 1 || w.count().Expired != 19 {
		t.Errorf("%d came, %d expired", len(got), w.count().Expired)
	}
}

// TestUnsubscribedMemberGetsNothing holds that a delivery from another loop that overtakes the news of an UNSUBSCRIBE
// does not reach the client after its UNSUBACK [MQTT-3.10.4-2].
func TestUnsubscribedMemberGetsNothing(t *testing.T) {
	w := newWorld(t, 3, nil)
	filter := "a"
	for w.broker.home("g/"+filter) != 0 {
		filter += "a"
	}
	sub := w.join(w.onLoop(2, "s"), nil)
	sub.subscribe(1, "$share/g/"+filter)
	pub := w.join(w.onLoop(1, "p"), nil)
	u := codec.Unsubscribe{PacketID: 9, Filters: []string{"$share/g/" + filter}}
	sub.sock.Write(u.Append(nil, codec.V5))
	for range 5 { // the home gets no turn
		w.group.Loop(2).Turn(false)
	}
	if g := sub.next(); g.Type != codec.TypeUnsuback {
		t.Fatalf("got %+v", g)
	}
	pub.publish(1, filter, "late", false)
	for range 5 {
		w.group.Loop(1).Turn(false)
	}
	if got := sub.take(); len(got) != 0 || w.count().DroppedShared != 1 {
		t.Errorf("got %+v, %d counted as dropped", got, w.count().DroppedShared)
	}
}
