package shard

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/config"
)

// sink is a Receiver that keeps what it gets.
type sink struct {
	got    []string
	ids    []uint16
	full   bool
	ended  string
	expiry uint32
}

// Deliver implements Receiver.
func (k *sink) Deliver(d *Delivery) bool {
	if k.full {
		return false
	}
	k.got = append(k.got, fmt.Sprintf("%s=%s q%d r%t %v", d.Topic, d.Payload, d.QoS, d.Retain, d.SubIDs))
	k.ids = append(k.ids, d.PacketID)
	if d.HasExpiry {
		k.expiry = d.Expiry
	}
	return true
}

// Ended implements Receiver.
func (k *sink) Ended(reason string) { k.ended = reason }

// attach makes an attached client with a subscription.
func (w *world) attach(id string, max uint16, qos uint8, filters ...string) (*Attachment, *sink) {
	w.t.Helper()
	k := &sink{}
	linked := false
	a, err := w.broker.Attach(AttachOptions{ClientID: id, SessionExpiry: 100, ReceiveMaximum: max, Receiver: k},
		func(_ bool, err error) { linked = err == nil })
	if err != nil {
		w.t.Fatal(err)
	}
	var list []codec.Subscription
	for _, f := range filters {
		list = append(list, codec.Subscription{Filter: f, QoS: qos})
	}
	var codes []codec.ReasonCode
	if err := a.Subscribe(list, 7, func(c []codec.ReasonCode) { codes = c }); err != nil {
		w.t.Fatal(err)
	}
	w.settle()
	if !linked || len(codes) != len(filters) || (len(codes) > 0 && codes[0] != codec.ReasonCode(qos)) {
		w.t.Fatalf("linked %t, codes %v", linked, codes)
	}
	return a, k
}

func TestInjectReachesClients(t *testing.T) {
	for _, loops := range []int{1, 3} {
		w := newWorld(t, loops, nil)
		sub := w.join("s", nil)
		sub.subscribe(2, "in/#")
		_, k := w.attach("door", 0, 0, "in/#")
		matched := map[string]bool{}
		inject := func(in Injection) {
			t.Helper()
			if err := w.broker.Inject(in, func(m bool) { matched[in.Topic] = m }); err != nil {
				t.Fatal(err)
			}
		}
		text := []byte("borrowed")
		inject(Injection{Origin: "bridge", Topic: "in/a", Payload: text, QoS: 1, Retain: true, HasExpiry: true, Expiry: 60})
		copy(text, "reused!!")
		inject(Injection{Origin: "bridge", Topic: "out", Payload: text})
		got := sub.take()
		if len(got) != 1 || got[0].Payload != "borrowed" || got[0].QoS != 1 || got[0].Retain {
			t.Errorf("%d loops: got %+v", loops, got)
		}
		if len(k.got) != 1 || k.got[0] != "in/a=borrowed q0 rfalse [7]" || k.expiry != 60 {
			t.Errorf("%d loops: attached client got %q, expiry %d", loops, k.got, k.expiry)
		}
		if !matched["in/a"] || matched["out"] || len(matched) != 2 || w.count().Injected != 2 {
			t.Errorf("%d loops: matched %v, injected %d", loops, matched, w.count().Injected)
		}
		late := w.join("late", nil)
		late.subscribe(1, "in/a")
		if got := late.take(); len(got) != 1 || !got[0].Retain {
			t.Errorf("%d loops: retained %+v", loops, got)
		}
	}
}

// TestInjectKeepsOrder holds the order of one origin's messages across loops.
func TestInjectKeepsOrder(t *testing.T) {
	w := newWorld(t, 3, nil)
	var subs []*peer
	for i := range 3 {
		s := w.join(w.onLoop(i, "s"), nil)
		s.subscribe(0, "a")
		subs = append(subs, s)
	}
	for i := range 200 {
		if err := w.broker.Inject(Injection{Origin: "o", Topic: "a", Payload: fmt.Append(nil, i)}, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range subs {
		got := payloads(s.take())
		for i, text := range got {
			if text != fmt.Sprint(i) {
				t.Fatalf("%s: message %d is %s", s.id, i, text)
			}
		}
		if len(got) != 200 {
			t.Errorf("%s: %d messages", s.id, len(got))
		}
	}
}

func TestInjectRefuses(t *testing.T) {
	w := newWorld(t, 1, func(c *config.Config, _ *config.Listener) { c.MessageSizeLimit = 10 })
	for _, c := range []struct {
		in   Injection
		want error
	}{
		{Injection{Topic: "a", QoS: 3}, ErrQoS},
		{Injection{Topic: ""}, ErrTopic},
		{Injection{Topic: "a/#"}, ErrTopic},
		{Injection{Topic: "a\x00"}, ErrTopic},
		{Injection{Topic: "a\xff"}, ErrTopic},
		{Injection{Topic: "a", Payload: make([]byte, 11)}, ErrMessageSize},
		{Injection{Topic: strings.Repeat("a", 65536)}, ErrMessageSize},
	} {
		if err := w.broker.Inject(c.in, nil); !errors.Is(err, c.want) {
			t.Errorf("%.20q: %v, want %v", c.in.Topic, err, c.want)
		}
	}
	w.settle()
	if n := w.count().Injected; n != 0 {
		t.Errorf("%d injected", n)
	}
}

func TestAttachReceives(t *testing.T) {
	for _, loops := range []int{1, 2} {
		w := newWorld(t, loops, nil)
		a, k := w.attach(w.onLoop(0, "door"), 2, 1, "a", "$share/g/b")
		pub := w.join(w.onLoop(loops-1, "p"), nil)
		for i := range 4 {
			pub.publish(1, "a", fmt.Sprint(i), false)
		}
		pub.publish(1, "b", "shared", false)
		w.settle()
		if len(k.got) != 2 {
			t.Errorf("%d loops: %q before an acknowledgement, receive maximum 2", loops, k.got)
		}
		for done := 0; done < len(k.ids); done++ {
			if err := a.Ack(k.ids[done]); err != nil {
				t.Fatal(err)
			}
			w.settle()
		}
		if len(k.got) != 5 || k.got[3] != "a=3 q1 rfalse [7]" || k.got[4] != "b=shared q1 rfalse [7]" {
			t.Errorf("%d loops: got %q", loops, k.got)
		}
		var codes []codec.ReasonCode
		if err := a.Unsubscribe([]string{"a", "nothing"}, func(c []codec.ReasonCode) { codes = c }); err != nil {
			t.Fatal(err)
		}
		w.settle()
		pub.publish(1, "a", "after", false)
		w.settle()
		if len(codes) != 2 || codes[0] != codec.Success || codes[1] != codec.NoSubscriptionExisted || len(k.got) != 5 {
			t.Errorf("%d loops: codes %v, got %q", loops, codes, k.got)
		}
	}
}

// TestAttachSession holds that the session stays for its expiry, queues meanwhile and comes back.
func TestAttachSession(t *testing.T) {
	w := newWorld(t, 2, nil)
	a, k := w.attach("door", 0, 2, "a")
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	w.settle()
	if k.ended != "disconnected." {
		t.Errorf("ended with %q", k.ended)
	}
	w.join("p", nil).publish(1, "a", "queued", false)
	w.settle()
	k2, present := &sink{}, false
	b, err := w.broker.Attach(AttachOptions{ClientID: "door", Receiver: k2}, func(p bool, _ error) { present = p })
	if err != nil {
		t.Fatal(err)
	}
	if w.settle(); !present || len(k2.got) != 1 || len(k.got) != 0 {
		t.Errorf("present %t, got %q and %q", present, k2.got, k.got)
	}
	// A real client takes the identifier over.
	w.join("door", nil)
	if !strings.Contains(k2.ended, "already connected") {
		t.Errorf("ended with %q", k2.ended)
	}
	var codes []codec.ReasonCode
	if err := b.Subscribe([]codec.Subscription{{Filter: "x"}}, 0, func(c []codec.ReasonCode) { codes = c }); err != nil {
		t.Fatal(err)
	}
	if w.settle(); len(codes) != 1 || codes[0] != codec.UnspecifiedError {
		t.Errorf("an ended attachment subscribed: %v", codes)
	}
}

func TestAttachExpires(t *testing.T) {
	w := newWorld(t, 1, nil)
	a, _ := w.attach("door", 0, 1, "a")
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	w.pass(102 * time.Second)
	if n := w.broker.sessions.Load(); n != 0 || w.count().ExpiredSessions != 1 {
		t.Errorf("%d sessions", n)
	}
}

func TestAttachRefuses(t *testing.T) {
	w := newWorld(t, 1, func(c *config.Config, _ *config.Listener) { c.MaxSessions = 1 })
	for _, id := range []string{"", "a\x00", strings.Repeat("x", 65536)} {
		if _, err := w.broker.Attach(AttachOptions{ClientID: id, Receiver: &sink{}}, nil); !errors.Is(err, ErrClientID) {
			t.Errorf("%.10q: %v", id, err)
		}
	}
	a, _ := w.attach("one", 0, 1, "x")
	var late error
	if _, err := w.broker.Attach(AttachOptions{ClientID: "two", Receiver: &sink{}}, func(_ bool, err error) { late = err }); err != nil {
		t.Fatal(err)
	}
	if w.settle(); !errors.Is(late, ErrQuota) {
		t.Errorf("a second session: %v", late)
	}
	for _, f := range []string{"", "a/#/b", "$share//x", "a\xff"} {
		if err := a.Subscribe([]codec.Subscription{{Filter: f}}, 0, nil); !errors.Is(err, ErrFilter) {
			t.Errorf("%q: %v", f, err)
		}
	}
}

// TestAttachWithoutRoomDropsQoS0 holds that a receiver's refusal is counted as a full output is.
func TestAttachWithoutRoomDropsQoS0(t *testing.T) {
	w := newWorld(t, 2, nil)
	_, k := w.attach(w.onLoop(0, "door"), 0, 0, "a")
	k.full = true
	pub := w.join(w.onLoop(1, "p"), nil)
	pub.publish(0, "a", "1", false)
	w.settle()
	k.full = false
	pub.publish(0, "a", "2", false)
	w.settle()
	if len(k.got) != 1 || w.count().DroppedOutput != 1 {
		t.Errorf("got %q, counted %d", k.got, w.count().DroppedOutput)
	}
}

// TestALargePacketKeepsAlive holds what Mosquitto does: bytes of a packet of which more than 1,000 are to come count.
func TestALargePacketKeepsAlive(t *testing.T) {
	w := newWorld(t, 1, nil)
	p := w.join("p", func(c *codec.Connect) { c.KeepAlive = 2 })
	b := (&codec.PublishOut{Version: codec.V5, Topic: "a", Payload: make([]byte, 12_000)}).Append(nil)
	for len(b) > 0 {
		n := min(600, len(b))
		p.sock.Write(b[:n])
		b = b[n:]
		w.pass(400 * time.Millisecond)
	}
	if w.count().Received[0] != 1 {
		t.Error("it was closed in the middle of the packet")
	}
}
