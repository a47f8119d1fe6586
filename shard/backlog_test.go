package shard

import (
	"fmt"
	"strings"
	"testing"

	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/config"
)

// TestCrossingIsBounded holds that a loop that does not keep up slows the publishers of other loops, whatever the QoS,
// that nothing is lost by it, and that the publishers go on afterwards.
func TestCrossingIsBounded(t *testing.T) {
	for qos := range uint8(3) {
		w := newWorld(t, 2, func(c *config.Config, _ *config.Listener) {
			c.MaxCrossingBytes, c.MaxOutputBytes, c.MaxQueuedMessages = 64<<10, 64<<20, 0
		})
		sub := w.join(w.onLoop(1, "s"), nil)
		sub.subscribe(qos, "a")
		pub := w.join(w.onLoop(0, "p"), nil)
		const messages = 5000
		text := strings.Repeat("x", 1000)
		for range messages {
			pub.publish(qos, "a", text, false)
		}
		releasePublished := func() {
			for {
				g, ok := pub.packet()
				if !ok {
					return
				}
				if g.Type == codec.TypePubrec {
					pub.ack(codec.TypePubrel, g.PacketID)
				}
			}
		}
		for range 5000 { // the subscriber's loop gets no turn
			w.group.Loop(0).Turn(false)
			releasePublished()
		}
		waits := w.broker.shards[0].crossing.to[published][1].bytes
		if waits < 64<<10 || waits > 84<<10 || w.count().Crowded == 0 {
			t.Errorf("QoS %d: %d bytes wait between the loops, %d publishers held", qos, waits, w.count().Crowded)
		}
		sub.sock.SetWindow(64 << 20)
		pub.sock.SetWindow(64 << 20)
		n := 0
		for range messages {
			w.settle()
			releasePublished()
			for _, g := range sub.take() {
				switch {
				case g.Type == codec.TypePubrel:
					sub.ack(codec.TypePubcomp, g.PacketID)
					continue
				case g.QoS == 1:
					sub.ack(codec.TypePuback, g.PacketID)
				case g.QoS == 2:
					sub.ack(codec.TypePubrec, g.PacketID)
				}
				n++
			}
			if n == messages {
				break
			}
		}
		if n != messages || pub.sock.Untaken() != 0 {
			t.Errorf("QoS %d: %d of %d came, %d bytes of the publisher unread", qos, n, messages, pub.sock.Untaken())
		}
		if b := w.broker.shards[0].crossing.to[published][1]; b.bytes > 16<<10 {
			t.Errorf("QoS %d: %d bytes are still counted", qos, b.bytes)
		}
	}
}

// TestPassedOnIsBounded holds the same where a shared group's home stands between publisher and member.
func TestPassedOnIsBounded(t *testing.T) {
	w := newWorld(t, 3, func(c *config.Config, _ *config.Listener) { c.MaxCrossingBytes, c.MaxOutputBytes = 64<<10, 64<<20 })
	filter := "a"
	for w.broker.home("g/"+filter) != 1 {
		filter += "a"
	}
	sub := w.join(w.onLoop(2, "s"), nil)
	sub.subscribe(0, "$share/g/"+filter)
	pub := w.join(w.onLoop(0, "p"), nil)
	const messages = 2000
	for range messages {
		pub.publish(0, filter, strings.Repeat("x", 1000), false)
	}
	for range 5000 { // the member's loop gets no turn
		w.group.Loop(0).Turn(false)
		w.group.Loop(1).Turn(false)
	}
	home := &w.broker.shards[1].crossing
	if waits := home.to[passedOn][2].bytes; waits < 64<<10 || waits > 200<<10 || len(home.owed) != 1 || w.count().Crowded == 0 {
		t.Errorf("%d bytes wait between home and member, %d marks are owed, %d publishers held", waits, len(home.owed), w.count().Crowded)
	}
	sub.sock.SetWindow(64 << 20)
	if n := len(sub.take()); n != messages || len(home.owed) != 0 {
		t.Errorf("%d of %d came, %d marks are owed", n, messages, len(home.owed))
	}
}

// TestSpillKeepsOrder holds that what did not fit into a ring comes in order.
func TestSpillKeepsOrder(t *testing.T) {
	w := newWorld(t, 2, nil)
	sub := w.join(w.onLoop(1, "s"), nil)
	sub.subscribe(0, "a")
	pub := w.join(w.onLoop(0, "p"), nil)
	for i := range 20_000 {
		pub.publish(0, "a", fmt.Sprint(i), false)
	}
	for range 100 {
		w.group.Loop(0).Turn(false)
	}
	sub.sock.SetWindow(1 << 22)
	for i, text := range payloads(sub.take()) {
		if text != fmt.Sprint(i) {
			t.Fatalf("message %d is %s", i, text)
		}
	}
	if pub.sock.Untaken() != 0 {
		t.Errorf("%d bytes unread", pub.sock.Untaken())
	}
}
