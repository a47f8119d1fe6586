package shard

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/config"
)

// TestReplayIsPaced holds that a replay of many messages to a client that does not read buffers little, goes on when
// it reads, and stalls nobody.
func TestReplayIsPaced(t *testing.T) {
	for _, loops := range []int{1, 2, 3} {
		w := newWorld(t, loops, nil)
		pub := w.join(w.onLoop(0, "p"), nil)
		const topics = 3000
		text := strings.Repeat("x", 500)
		for i := range topics {
			pub.publish(0, fmt.Sprintf("%d/r", i), text, true)
		}
		w.settle()
		if n := w.broker.retainedCount.Load(); n != topics {
			t.Fatalf("%d retained", n)
		}
		sub := w.join(w.onLoop(loops-1, "s"), nil)
		sub.sock.SetWindow(1000)
		sub.nextID++
		s := codec.Subscribe{PacketID: 1, Filters: []codec.Subscription{{Filter: "#"}}}
		sub.sock.Write(s.Append(nil, codec.V5))
		w.settle()
		c := w.broker.shards[loops-1].clientOf(t, sub.id)
		if n := c.conn.Unsent(); n < replayOutput/2 || n > 2*replayOutput {
			t.Errorf("%d loops: %d bytes wait for a client that does not read", loops, n)
		}
		pub.publish(0, "live/now", "live", false)
		sub.sock.SetWindow(1 << 20)
		got := sub.take()
		seen := map[string]int{}
		for _, g := range got[1:] {
			seen[g.Topic]++
		}
		if len(got) != 1+topics+1 || len(seen) != topics+1 {
			t.Errorf("%d loops: %d packets of %d topics", loops, len(got), len(seen))
		}
	}
}

// clientOf returns the connected client of this shard with an identifier.
func (s *Shard) clientOf(t testing.TB, id string) *client {
	t.Helper()
	key, ok := s.byID[id]
	if !ok || s.sessions.at(key).client == nil {
		t.Fatalf("%s is not connected here", id)
	}
	return s.sessions.at(key).client
}

// TestReplayInFlight holds that messages replayed at QoS 1 are paced by acknowledgements, beyond the queue's bounds.
func TestReplayByAcknowledgement(t *testing.T) {
	w := newWorld(t, 2, func(c *config.Config, _ *config.Listener) { c.MaxInflightMessages, c.MaxQueuedMessages = 2, 2 })
	pub := w.join(w.onLoop(0, "p"), nil)
	for i := range 500 {
		pub.publish(0, fmt.Sprintf("r/%d", i), "x", true) // QoS 0 is replayed at QoS 0
		pub.publish(1, fmt.Sprintf("q/%d", i), "x", true)
		pub.take()
	}
	sub := w.join(w.onLoop(1, "s"), nil)
	sub.subscribe(1, "q/+")
	if n := len(sub.drain()); n != 500 || w.count().DroppedQueued != 0 {
		t.Errorf("%d came, %d dropped", n, w.count().DroppedQueued)
	}
}

// TestReplayEnds holds that the look-ups of a client that unsubscribes or goes away in the middle end, and hold nothing.
func TestReplayEnds(t *testing.T) {
	for _, loops := range []int{1, 3} {
		for name, end := range map[string]func(*peer){
			"close": func(p *peer) { p.sock.Reset() },
			"unsubscribe": func(p *peer) {
				u := codec.Unsubscribe{PacketID: 2, Filters: []string{"#"}}
				p.sock.Write(u.Append(nil, codec.V5))
			},
		} {
			w := newWorld(t, loops, nil)
			pub := w.join("p", nil)
			for i := range 2000 {
				pub.publish(0, fmt.Sprintf("%d/r", i), strings.Repeat("x", 500), true)
			}
			w.settle()
			sub := w.join("s", nil)
			sub.sock.SetWindow(1000)
			s := codec.Subscribe{PacketID: 1, Filters: []codec.Subscription{{Filter: "#"}}}
			sub.sock.Write(s.Append(nil, codec.V5))
			w.settle()
			end(sub)
			w.settle()
			sub.sock.SetWindow(1 << 20)
			n := len(sub.take())
			for i, s := range w.broker.shards {
				if s.replays != 0 {
					t.Errorf("%s, loop %d of %d: %d replays left", name, i, loops, s.replays)
				}
			}
			if n > 500 {
				t.Errorf("%s, %d loops: %d packets came after the end", name, loops, n)
			}
		}
	}
}

// TestRetainedVersions holds that the last publication of a topic wins whatever order the rings bring them in, a
// clearing included.
func TestRetainedVersions(t *testing.T) {
	w := newWorld(t, 2, nil)
	a, b := w.join(w.onLoop(0, "a"), nil), w.join(w.onLoop(1, "b"), nil)
	last := ""
	for i := range 200 {
		from := []*peer{a, b}[i%2]
		last = fmt.Sprint(i)
		if i%5 == 4 {
			last = ""
		}
		from.publish(0, fmt.Sprintf("t%d/x", i%7), last, true)
		w.group.Loop(i % 2).Turn(false)
		if i%3 == 0 {
			w.group.Loop(1 - i%2).Turn(false)
		}
	}
	w.settle()
	want := map[string]string{}
	for i := range 200 {
		want[fmt.Sprintf("t%d/x", i%7)] = fmt.Sprint(i)
		if i%5 == 4 {
			delete(want, fmt.Sprintf("t%d/x", i%7))
		}
	}
	sub := w.join("s", nil)
	sub.subscribe(0, "#")
	got := map[string]string{}
	for _, g := range sub.take() {
		got[g.Topic] = g.Payload
	}
	if fmt.Sprint(got) != fmt.Sprint(want) || int(w.broker.retainedCount.Load()) != len(want) {
		t.Errorf("got %v, want %v, counted %d", got, want, w.broker.retainedCount.Load())
	}
}

func TestRetainedLimits(t *testing.T) {
	for name, change := range map[string]func(*config.Config, *config.Listener){
		"max_retained_messages": func(c *config.Config, _ *config.Listener) { c.MaxRetainedMessages = 3 },
		"max_retained_bytes":    func(c *config.Config, _ *config.Listener) { c.MaxRetainedBytes = 3 * 11 },
	} {
		for _, loops := range []int{1, 2} {
			w := newWorld(t, loops, change)
			pub := w.join("p", nil)
			for i := range 5 {
				pub.publish(0, fmt.Sprint(i), "0123456789", true)
			}
			pub.publish(0, "0", "replacing.", true)
			w.settle()
			if n := w.broker.retainedCount.Load(); n != 3 || w.count().RefusedRetained != 2 {
				t.Errorf("%s, %d loops: %d retained, %d refused", name, loops, n, w.count().RefusedRetained)
			}
			if n := w.logs("was not stored: max_retained_messages or max_retained_bytes is reached"); n < 1 || n > loops {
				t.Errorf("%s, %d loops: log %q", name, loops, w.log.lines)
			}
			pub.publish(0, "1", "", true)
			pub.publish(0, "4", "now it fits", true)
			w.settle()
			sub := w.join("s", nil)
			sub.subscribe(0, "#")
			if got := sub.take(); len(got) != 3 && name == "max_retained_messages" || got[0].Payload != "replacing." && loops == 1 {
				t.Errorf("%s, %d loops: %+v", name, loops, got)
			}
		}
	}
}

// TestRetainedExpiryIsBounded holds that replacing a message with an expiry does not pile up what waits for its time.
func TestRetainedExpiryIsBounded(t *testing.T) {
	w := newWorld(t, 1, nil)
	pub := w.join("p", nil)
	for i := range 5000 {
		o := codec.PublishOut{Version: codec.V5, Topic: fmt.Sprint("t", i%3), Payload: []byte("x"), Retain: true, HasExpiry: true,
			Expiry: uint32(100000 - i)}
		pub.sock.Write(o.Append(nil))
		w.settle()
	}
	if n := len(w.broker.shards[0].retained.expiring); n > 200 {
		t.Errorf("%d messages wait for their expiry, 3 are retained", n)
	}
	w.pass(0)
	w.net.Clock.Advance(int64(100001 * time.Second))
	if w.settle(); w.broker.retainedCount.Load() != 0 || w.count().Expired != 3 {
		t.Errorf("%d retained, %d expired", w.broker.retainedCount.Load(), w.count().Expired)
	}
}

// TestTombstonesAreBounded holds the bound of what a partition remembers of cleared topics.
func TestTombstonesAreBounded(t *testing.T) {
	w := newWorld(t, 2, nil)
	pub := w.join("p", nil)
	for i := range 5 * tombstones {
		pub.publish(0, fmt.Sprint("t/", i), "", true)
		if i%500 == 0 {
			w.settle()
		}
	}
	w.settle()
	for i, s := range w.broker.shards {
		if n := len(s.retained.cleared); n > tombstones || n != len(s.retained.order) {
			t.Errorf("loop %d: %d tombstones, order of %d", i, n, len(s.retained.order))
		}
	}
}

// TestReplayAgainstLiveTraffic holds that a subscriber whose look-up is overtaken by more live publications than are
// remembered ends with the newest message of every topic.
func TestReplayAgainstLiveTraffic(t *testing.T) {
	w := newWorld(t, 2, nil)
	pub := w.join(w.onLoop(0, "p"), nil)
	const topics = 600
	for i := range topics {
		pub.publish(0, fmt.Sprintf("%d/r", i), "old", true)
	}
	w.settle()
	sub := w.join(w.onLoop(1, "s"), nil)
	s := codec.Subscribe{PacketID: 1, Filters: []codec.Subscription{{Filter: "#"}}}
	sub.sock.Write(s.Append(nil, codec.V5))
	for n := range 10 * liveLog {
		pub.publish(0, fmt.Sprintf("%d/r", n%topics), fmt.Sprint("new ", n/topics), true)
		if n%512 == 0 {
			w.group.Loop(0).Turn(false)
			w.group.Loop(1).Turn(false)
		}
	}
	sub.sock.SetWindow(1 << 26)
	last, retained := map[string]string{}, map[string]int{}
	for _, g := range sub.take() {
		if g.Type != codec.TypePublish {
			continue
		}
		if g.Retain {
			retained[g.Topic]++
		}
		last[g.Topic] = g.Payload
	}
	for i := range topics {
		topic := fmt.Sprintf("%d/r", i)
		want := fmt.Sprint("new ", (10*liveLog-1-i)/topics)
		if last[topic] != want || retained[topic] > 1 {
			t.Fatalf("%s: last %q, want %q; %d times retained", topic, last[topic], want, retained[topic])
		}
	}
}

// TestReplaysAreBounded holds that subscribing again and again while a replay waits for the client to read leaves one
// replay for each filter, and that the last subscription gets its retained messages.
func TestReplaysAreBounded(t *testing.T) {
	for _, loops := range []int{1, 2} {
		w := newWorld(t, loops, nil)
		pub := w.join("p", nil)
		for i := range 1000 {
			pub.publish(0, fmt.Sprintf("%d/r", i), strings.Repeat("x", 500), true)
		}
		w.settle()
		sub := w.join(w.onLoop(0, "s"), nil)
		sub.sock.SetWindow(1000)
		sub.sock.Write((&codec.Subscribe{PacketID: 1, Filters: []codec.Subscription{{Filter: "#"}}}).Append(nil, codec.V5))
		w.settle()
		for range 100 {
			s := codec.Subscribe{PacketID: 2}
			for i := range 50 {
				s.Filters = append(s.Filters, codec.Subscription{Filter: fmt.Sprintf("%d/r", i%10)})
			}
			sub.sock.Write(s.Append(nil, codec.V5))
			w.settle()
		}
		if n := w.broker.shards[0].replays; n != 11 {
			t.Errorf("%d loops: %d replays of 11 filters", loops, n)
		}
		sub.sock.SetWindow(1 << 22)
		if n := len(payloads(sub.take())); n != 1010 {
			t.Errorf("%d loops: %d messages, want 1000 and 10", loops, n)
		}
		if n := w.broker.shards[0].replays; n != 0 || w.broker.shards[0].clientOf(t, sub.id).session.replays != nil {
			t.Errorf("%d loops: %d replays left", loops, n)
		}
	}
}

// TestLargeSubscribe holds that the cost of a SUBSCRIBE is in proportion to its filters: 200,000 in one packet, also
// while an earlier replay waits.
func TestLargeSubscribe(t *testing.T) {
	w := newWorld(t, 2, func(c *config.Config, _ *config.Listener) { c.MaxSubscriptions = 0 })
	pub := w.join("p", nil)
	for i := range 1000 {
		pub.publish(0, fmt.Sprintf("%d/r", i), strings.Repeat("x", 500), true)
	}
	w.settle()
	sub := w.join(w.onLoop(0, "s"), nil)
	sub.sock.SetWindow(1000)
	sub.sock.Write((&codec.Subscribe{PacketID: 1, Filters: []codec.Subscription{{Filter: "#"}}}).Append(nil, codec.V5))
	w.settle()
	s, u := codec.Subscribe{PacketID: 2}, codec.Unsubscribe{PacketID: 3}
	for i := range 200_000 {
		f := fmt.Sprintf("%x", i)
		s.Filters = append(s.Filters, codec.Subscription{Filter: f})
		u.Filters = append(u.Filters, f)
	}
	began := time.Now()
	sub.sock.Write(s.Append(nil, codec.V5))
	w.settle()
	sub.sock.Write(u.Append(nil, codec.V5))
	w.settle()
	if d := time.Since(began); d > time.Minute { // a quadratic cost takes many
		t.Errorf("took %v", d)
	}
	if n := w.broker.shards[0].replays; n != 1 {
		t.Errorf("%d replays left", n)
	}
}

// TestReplayOfLargeMessages holds that a replay drops nothing, whatever the size of the messages, and buffers little.
func TestReplayOfLargeMessages(t *testing.T) {
	for _, loops := range []int{1, 2} {
		w := newWorld(t, loops, nil)
		pub := w.join(w.onLoop(0, "p"), nil)
		for i := range 60 {
			pub.publish(0, fmt.Sprintf("a/%d", i), strings.Repeat("x", 100_000), true)
			w.settle()
		}
		sub := w.join(w.onLoop(loops-1, "s"), nil)
		sub.sock.Write((&codec.Subscribe{PacketID: 1, Filters: []codec.Subscription{{Filter: "a/#"}}}).Append(nil, codec.V5))
		w.settle()
		if n := w.broker.shards[loops-1].clientOf(t, sub.id).conn.Unsent(); n > 300_000 {
			t.Errorf("%d loops: %d bytes wait for a client that reads slowly", loops, n)
		}
		sub.sock.SetWindow(1 << 20)
		if n := len(payloads(sub.take())); n != 60 || w.count().DroppedOutput != 0 {
			t.Errorf("%d loops: %d of 60 came, %d dropped", loops, n, w.count().DroppedOutput)
		}
	}
}

// TestRetainedBytesCountReplacements holds that replacing a message by a larger one is bounded too, and that the old one
// does not stay in its place.
func TestRetainedBytesCountReplacements(t *testing.T) {
	w := newWorld(t, 1, func(c *config.Config, _ *config.Listener) { c.MaxRetainedBytes = 100 })
	pub := w.join("p", nil)
	pub.publish(0, "a", "small", true)
	pub.publish(0, "a", strings.Repeat("x", 200), true)
	w.settle()
	if n := w.broker.retainedBytes.Load(); n != 0 || w.broker.retainedCount.Load() != 0 || w.count().RefusedRetained != 1 {
		t.Errorf("%d bytes of %d retained, %d refused", n, w.broker.retainedCount.Load(), w.count().RefusedRetained)
	}
}

// TestSubackBeforeRetained holds the order of answers when a SUBSCRIBE has to wait for another loop.
func TestSubackBeforeRetained(t *testing.T) {
	w := newWorld(t, 2, nil)
	w.join("p", nil).publish(0, "t", "kept", true)
	w.settle()
	sub := w.join(w.onLoop(0, "s"), nil)
	filter := "$share/g/z"
	for w.broker.home(filter[len("$share/"):]) != 1 {
		filter += "z"
	}
	s := codec.Subscribe{PacketID: 7, Filters: []codec.Subscription{{Filter: filter}, {Filter: "t"}}}
	sub.sock.Write(s.Append(nil, codec.V5))
	if got := sub.take(); len(got) != 2 || got[0].Type != codec.TypeSuback || got[1].Payload != "kept" {
		t.Errorf("got %+v", got)
	}
	if n := w.broker.shards[0].replays; n != 0 {
		t.Errorf("%d replays left", n)
	}
	// Its UNSUBSCRIBE is read when both are there.
	u := codec.Unsubscribe{PacketID: 9, Filters: []string{"t"}}
	sub.sock.Write(u.Append(s.Append(nil, codec.V5), codec.V5))
	if got := payloads(sub.take()); len(got) != 1 || got[0] != "kept" || w.broker.shards[0].replays != 0 {
		t.Errorf("got %q, %d replays left", got, w.broker.shards[0].replays)
	}
}

// TestStaleReplayIsCheap holds that a replay that slept through much live traffic goes on at once.
func TestStaleReplayIsCheap(t *testing.T) {
	w := newWorld(t, 2, nil)
	pub := w.join(w.onLoop(0, "p"), nil)
	for i := range 2000 {
		pub.publish(0, fmt.Sprintf("%d/r", i), strings.Repeat("x", 500), true)
	}
	w.settle()
	stored := func(c *codec.Connect) { c.HasSessionExpiry, c.SessionExpiry, c.CleanStart = true, 1000, false }
	sub := w.join(w.onLoop(1, "s"), stored)
	sub.sock.SetWindow(1000)
	sub.sock.Write((&codec.Subscribe{PacketID: 1, Filters: []codec.Subscription{{Filter: "#"}}}).Append(nil, codec.V5))
	w.settle()
	sub.sock.Close()
	w.settle()
	w.broker.shards[1].liveSeq += 1 << 40 // a day of it
	began := time.Now()
	sub = w.join(sub.id, stored)
	sub.sock.SetWindow(1 << 22)
	if n := len(payloads(sub.take())); n < 1000 {
		t.Errorf("%d messages came after the return", n)
	}
	if d := time.Since(began); d > 5*time.Second { // a look at each takes hours
		t.Errorf("took %v", d)
	}
}

// TestRetainedFollowsItsSuback holds that the retained messages of a SUBSCRIBE come directly behind its SUBACK, whichever
// loops keep them: before anything that was published after it, and before the answers to what its client sent next.
func TestRetainedFollowsItsSuback(t *testing.T) {
	for _, loops := range []int{1, 2, 3} {
		w := newWorld(t, loops, nil)
		pub := w.join(w.onLoop(0, "p"), nil)
		var topics []string
		for i := range 9 {
			topics = append(topics, fmt.Sprintf("house%d/x", i))
			pub.publish(1, topics[i], "old", true)
		}
		w.settle()
		for _, filters := range [][]string{{"#"}, {"house3/x"}, {"+/x"}, topics, {"house1/#", "house2/+"}} {
			sub := w.join(w.onLoop(loops-1, "s"), nil)
			s := codec.Subscribe{PacketID: 1}
			for _, f := range filters {
				s.Filters = append(s.Filters, codec.Subscription{Filter: f})
			}
			b := s.Append(nil, codec.V5)
			b = codec.AppendPingreq(b)
			u := codec.Unsubscribe{PacketID: 2, Filters: filters}
			sub.sock.Write(u.Append(b, codec.V5))
			var kinds []string
			for _, g := range sub.take() {
				kinds = append(kinds, g.Type.String())
			}
			want := map[int]int{1: 9}[len(filters)]
			switch {
			case filters[0] == "house3/x":
				want = 1
			case len(filters) > 1:
				want = len(filters)
			}
			if len(kinds) != want+3 || kinds[0] != "SUBACK" || kinds[want+1] != "PINGRESP" || kinds[want+2] != "UNSUBACK" {
				t.Errorf("%d loops, %q: %q, want %d PUBLISH behind the SUBACK", loops, filters, kinds, want)
			}
			sub.sock.Reset()
			w.settle()
		}
	}
}

// TestGatheringEndsWithItsSession holds that a client that goes away, or is taken over, while its retained messages are
// gathered leaves nothing behind, and that its session gets them when it is back.
func TestGatheringEndsWithItsSession(t *testing.T) {
	for _, stays := range []bool{true, false} {
		w := newWorld(t, 3, nil)
		pub := w.join("p", nil)
		for i := range 200 {
			pub.publish(1, fmt.Sprintf("%d/x", i), "old", true)
		}
		w.settle()
		id := w.onLoop(1, "s")
		stay := func(c *codec.Connect) {
			c.CleanStart = false
			c.HasSessionExpiry, c.SessionExpiry = stays, 100
		}
		sub := w.join(id, stay)
		s := codec.Subscribe{PacketID: 1, Filters: []codec.Subscription{{Filter: "#"}}}
		sub.sock.Write(s.Append(nil, codec.V5))
		for range 2 { // the SUBSCRIBE has been read, and its look-ups are away
			w.net.Busy()
			w.group.Loop(1).Turn(false)
		}
		sub.sock.Reset()
		w.settle()
		sub = w.join(id, stay)
		want := 0
		if stays {
			want = 200
		}
		if got := payloads(sub.take()); len(got) != want {
			t.Errorf("session stays %v: %d retained messages, want %d", stays, len(got), want)
		}
		sub.sock.Reset()
		w.pass(101 * time.Second)
		for _, s := range w.broker.shards {
			if s.replays != 0 {
				t.Errorf("session stays %v: %d replays left", stays, s.replays)
			}
		}
	}
}
