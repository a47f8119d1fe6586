package shard

import (
	"testing"
	"time"

	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/config"
)

// TestReservedTopics holds that clients cannot publish to the server's own topics, nor leave a will there: version 5
// hears so, 3.x is answered as if it had been accepted, and nobody receives it.
func TestReservedTopics(t *testing.T) {
	w := newWorld(t, 2, nil)
	sub := w.join("s", nil)
	sub.subscribe(1, "$SYS/#", "$SYSTEM/#", "$other/x")
	for _, v := range []codec.Version{codec.V311, codec.V5} {
		pub := w.join("p", func(c *codec.Connect) { c.Version = v })
		for _, topic := range []string{"$SYS/x", "$SYS", "$share/g/x"} {
			pub.publish(0, topic, "forged", true)
			pub.publish(1, topic, "forged", true)
			pub.publish(2, topic, "forged", true)
			for _, g := range pub.take() {
				if want := map[codec.Version]codec.ReasonCode{codec.V5: codec.NotAuthorized}[v]; g.Code != want {
					t.Errorf("version %v, %s: %+v", v, topic, g)
				}
			}
		}
	}
	w.join("w", func(c *codec.Connect) {
		c.HasWill, c.Will = true, codec.Will{Topic: "$SYS/will", Payload: []byte("forged")}
	}).sock.Reset()
	if got := sub.take(); len(got) != 0 || w.broker.retainedCount.Load() != 0 {
		t.Errorf("got %+v, %d retained", got, w.broker.retainedCount.Load())
	}
	if n := w.count().RefusedTopics; n != 2*9+1 {
		t.Errorf("%d counted", n)
	}
	pub := w.join("q", nil)
	pub.publish(1, "$SYSTEM/x", "1", false)
	pub.publish(1, "$other/x", "2", false)
	if got := payloads(sub.take()); len(got) != 2 {
		t.Errorf("topics that are nobody's: %q", got)
	}
}

// TestPubrecWithAnError holds that a PUBREC with a reason code of 0x80 or more ends the exchange [MQTT-4.3.3-4]: no
// PUBREL answers it, whether its packet identifier is known or not.
func TestPubrecWithAnError(t *testing.T) {
	w := newWorld(t, 1, func(c *config.Config, _ *config.Listener) { c.MaxInflightMessages = 1 })
	sub := w.join("s", nil)
	sub.subscribe(2, "a")
	pub := w.join("p", nil)
	refuse := func(id uint16) {
		sub.sock.Write(codec.AppendAck(nil, codec.TypePubrec, codec.V5, id, codec.QuotaExceeded))
	}
	for i := range 3 {
		pub.publish(2, "a", "x", false)
		w.settle()
		pub.ack(codec.TypePubrel, uint16(i+1))
	}
	w.settle()
	refuse(99)
	first := sub.take()
	if len(first) != 1 {
		t.Fatalf("got %+v", first)
	}
	refuse(first[0].PacketID)
	second := sub.take()
	if len(second) != 1 || second[0].Type != codec.TypePublish {
		t.Fatalf("got %+v", second)
	}
	sub.ack(codec.TypePubrec, second[0].PacketID)
	if got := sub.take(); len(got) != 1 || got[0].Type != codec.TypePubrel {
		t.Fatalf("got %+v", got)
	}
	refuse(second[0].PacketID) // instead of the PUBCOMP
	if got := sub.take(); len(got) != 1 || got[0].Type != codec.TypePublish {
		t.Errorf("got %+v", got)
	}
}

// TestExpiryOfZero holds that a message expiry interval of 0 is none, as Mosquitto has it.
func TestExpiryOfZero(t *testing.T) {
	w := newWorld(t, 2, nil)
	pub := w.join("p", nil)
	o := codec.PublishOut{Version: codec.V5, Topic: "a", Payload: []byte("kept"), Retain: true, HasExpiry: true}
	pub.sock.Write(o.Append(nil))
	w.pass(10 * time.Second)
	sub := w.join("s", nil)
	sub.subscribe(0, "a")
	if got := payloads(sub.take()); len(got) != 1 || w.count().Expired != 0 {
		t.Errorf("got %q, %d expired", got, w.count().Expired)
	}
}

// TestConnackThatDoesNotFit holds that a client whose maximum packet size is smaller than its CONNACK gets none, and has
// not ended the session of its identifier [MQTT-3.1.2-24].
func TestConnackThatDoesNotFit(t *testing.T) {
	w := newWorld(t, 1, nil)
	w.join("p", nil)
	small := w.dial()
	small.connect("p", func(c *codec.Connect) { c.MaximumPacketSize = 10 })
	if got := small.take(); len(got) != 0 || !small.sock.Ended() || w.broker.clients.Load() != 1 {
		t.Errorf("got %+v, ended %t, %d clients", got, small.sock.Ended(), w.broker.clients.Load())
	}
}

// TestQueueBytesArePayloads holds what `max_queued_bytes` counts.
func TestQueueBytesArePayloads(t *testing.T) {
	w := newWorld(t, 1, func(c *config.Config, _ *config.Listener) { c.MaxQueuedBytes = 10 })
	stored := func(c *codec.Connect) { c.HasSessionExpiry, c.SessionExpiry, c.CleanStart = true, 100, false }
	sub := w.join("s", stored)
	sub.subscribe(1, "a/long/topic")
	sub.sock.Close()
	w.settle()
	pub := w.join("p", nil)
	for range 11 {
		pub.publish(1, "a/long/topic", "12", false)
	}
	w.settle()
	if got := w.join("s", stored).drain(); len(got) != 5 {
		t.Errorf("%d came", len(got))
	}
}
