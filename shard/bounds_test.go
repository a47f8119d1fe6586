package shard

import (
	"testing"

	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/config"
)

func TestQueueFullDropsNewest(t *testing.T) {
	w := newWorld(t, 2, func(c *config.Config, _ *config.Listener) { c.MaxQueuedMessages, c.MaxInflightMessages = 3, 1 })
	sub := w.join(w.onLoop(0, "s"), nil)
	sub.subscribe(1, "a")
	pub := w.join(w.onLoop(1, "p"), nil)
	for _, text := range []string{"1", "2", "3", "4", "5", "6"} {
		pub.publish(1, "a", text, false)
	}
	w.settle()
	if n := w.count().DroppedQueued; n != 2 {
		t.Errorf("%d dropped, want 2: one in flight, three queued", n)
	}
	if w.logs("Outgoing messages are being dropped for client "+sub.id) != 1 {
		t.Errorf("log: %q", w.log.lines)
	}
	if acks := pub.take(); len(acks) != 6 || acks[5].Type != codec.TypePuback || acks[5].Code != codec.Success {
		t.Errorf("publisher got %+v", acks)
	}
	var all []got
	for g := sub.take(); len(g) > 0; g = sub.take() {
		all = append(all, g...)
		sub.ack(codec.TypePuback, g[0].PacketID)
	}
	if texts := payloads(all); len(texts) != 4 || texts[0] != "1" || texts[3] != "4" {
		t.Errorf("got %q, want 1 to 4", texts)
	}
}
