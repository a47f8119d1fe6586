package shard

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/config"
)

// TestConnackWaitsForTheStore holds what CONNACK waits for, and what it says after a crash.
func TestConnackWaitsForTheStore(t *testing.T) {
	leaving := func(c *codec.Connect) { c.CleanStart = false } // session expiry 0
	for _, c := range []struct {
		name    string
		before  func(d *durable) // what is there, stored or not
		connect func(*codec.Connect)
		waits   bool
		present bool
		after   bool // session present, after a restart
	}{
		{"a session is made", func(*durable) {}, stay, true, false, true},
		{"nothing is stored", func(*durable) {}, nil, false, false, false},
		{"the session goes on", func(d *durable) { d.stay("c").sock.Close(); d.rest() }, stay, true, true, true},
		{"the session is taken over", func(d *durable) { d.stay("c"); d.rest() }, stay, true, true, true},
		{"the session ends", func(d *durable) { d.stay("c").sock.Close(); d.rest() }, nil, true, false, false},
		{"the session is to end", func(d *durable) { d.stay("c"); d.rest() }, leaving, true, true, false},
		{"the session ended just now", func(d *durable) {
			p := d.stay("c")
			d.rest()
			p.sock.Write((&codec.Disconnect{HasSessionExpiry: true}).Append(nil, codec.V5))
			d.settle()
		}, leaving, true, false, false},
		{"what was never stored ended", func(d *durable) {
			p := d.dial()
			p.connect("c", stay)
			d.settle()
			p.sock.Reset()
			d.settle()
		}, leaving, true, true, false},
		{"a session without a store ended", func(d *durable) { d.join("c", nil) }, nil, false, false, false},
	} {
		for _, loops := range []int{1, 2} {
			d := newDurable(t, loops, nil)
			c.before(d)
			p := d.dial()
			p.connect("c", c.connect)
			got := p.take()
			if c.waits {
				if len(got) != 0 {
					t.Errorf("%s: got %+v before it was stored", c.name, got)
				}
				d.storeAll()
				got = p.take()
			}
			if len(got) != 1 || got[0].Type != codec.TypeConnack || got[0].Present != c.present {
				t.Errorf("%s: got %+v", c.name, got)
			}
			d.restart(loops, 0)
			again := d.dial()
			again.connect("c", stay)
			d.storeAll()
			if a := again.next(); a.Present != c.after {
				t.Errorf("%s: after a restart %+v", c.name, a)
			}
		}
	}
}

func TestConnackDoesNotWaitWhereNothingDoes(t *testing.T) {
	d := newDurable(t, 1, func(c *config.Config) { c.Persistence.Commit = config.Fast })
	d.world.join("c", stay)
}

// TestPacketsBehindConnectWait holds that what a client sends behind its CONNECT is handled after it, in order.
func TestPacketsBehindConnectWait(t *testing.T) {
	d := newDurable(t, 2, nil)
	watch := d.join("watch", nil)
	watch.subscribe(0, "a")
	p := d.dial()
	p.connect("p", func(c *codec.Connect) { stay(c); c.KeepAlive = 1 })
	s := codec.Subscribe{PacketID: 1, Filters: []codec.Subscription{{Filter: "b", QoS: 0}}}
	p.sock.Write(s.Append(nil, codec.V5))
	p.publish(0, "a", "1", false)
	p.publish(0, "b", "2", false)
	p.sock.Write(codec.AppendPingreq(nil))
	d.pass(5 * time.Second) // not its fault: the keep-alive does not count
	if got := append(p.take(), watch.take()...); len(got) != 0 {
		t.Errorf("got %+v before CONNACK", got)
	}
	d.storeAll()
	if got := types(p.take()); got != "CONNACK SUBACK PUBLISH PINGRESP" {
		t.Errorf("got %q", got)
	}
	if got := payloads(watch.take()); strings.Join(got, " ") != "1" {
		t.Errorf("the other one got %q", got)
	}
	d.pass(3 * time.Second)
	if p.take(); !p.sock.Ended() {
		t.Error("the keep-alive does not count afterwards")
	}
}

// TestMessagesWaitForConnack holds that a session whose CONNACK waits gets messages as one whose client is away.
func TestMessagesWaitForConnack(t *testing.T) {
	d := newDurable(t, 2, nil)
	sub := d.stay("s")
	d.enter(sub, 1, "a")
	d.enter(sub, 1, "$share/g/a")
	sub.sock.Close()
	d.rest()
	pub := d.join("p", nil)
	again := d.dial()
	again.connect("s", stay)
	d.settle()
	for qos := range uint8(2) {
		pub.publish(qos, "a", fmt.Sprint(qos), false)
	}
	if got := again.take(); len(got) != 0 {
		t.Errorf("got %+v before CONNACK", got)
	}
	d.storeAll()
	got := again.take()
	if types(got) != "CONNACK PUBLISH PUBLISH" || !got[0].Present || strings.Join(payloads(got), " ") != "1 1" {
		t.Errorf("got %+v", got)
	}
}

// TestAWaitingClientGoes holds that a client that waits for CONNACK can go in every way, and is told nothing.
func TestAWaitingClientGoes(t *testing.T) {
	for _, c := range []struct {
		name  string
		goes  func(d *durable, p *peer)
		wills int
	}{
		{"closes", func(d *durable, p *peer) { p.sock.Close(); d.settle(); d.storeAll() }, 1},
		{"is gone", func(d *durable, p *peer) { p.sock.Reset() }, 1},
		{"disconnects", func(d *durable, p *peer) {
			p.sock.Write((&codec.Disconnect{}).Append(nil, codec.V5))
			d.storeAll()
			if got := types(p.take()); got != "CONNACK" {
				d.t.Errorf("disconnects: got %q", got)
			}
		}, 0},
		{"is taken over", func(d *durable, p *peer) { d.join(p.id, nil).sock.Close() }, 1},
		{"waits too long", func(d *durable, p *peer) { d.pass(40 * time.Second) }, 1},
	} {
		d := newDurable(t, 2, nil)
		watch := d.join("watch", nil)
		watch.subscribe(0, "will")
		p := d.dial()
		p.connect("p", willed(0, 100))
		d.settle()
		if n := d.broker.clients.Load(); n != 2 {
			t.Errorf("%s: %d clients", c.name, n)
		}
		c.goes(d, p)
		d.settle()
		got := p.take()
		if c.name == "closes" && types(got) == "CONNACK" {
			got = nil // what it sent before it closed is answered
		}
		if len(got) != 0 || !p.sock.Ended() {
			t.Errorf("%s: got %+v, ended %t", c.name, got, p.sock.Ended())
		}
		if n := len(watch.take()); n != c.wills {
			t.Errorf("%s: %d wills came, not %d", c.name, n, c.wills)
		}
		if n := d.broker.clients.Load(); n != 1 {
			t.Errorf("%s: %d clients are left", c.name, n)
		}
		d.join("p", nil).sock.Close()
		d.rest()
		left := &leftover{}
		if err := d.store.Crash().Restore(left); err != nil || left.n != 0 {
			t.Errorf("%s: %d things are left, %v: %q", c.name, left.n, err, left.what)
		}
	}
}

// TestTakeOverOfAWaitingClient holds that the later one of two that wait is answered, also when what the earlier one waited for comes
// first.
func TestTakeOverOfAWaitingClient(t *testing.T) {
	d := newDurable(t, 1, nil)
	first, second := d.dial(), d.dial()
	first.connect("c", stay)
	d.settle()
	second.connect("c", stay)
	d.settle()
	d.store.Step() // the first one's session
	if got := second.take(); len(got) != 0 {
		t.Errorf("got %+v before its record was stored", got)
	}
	d.storeAll()
	if got := second.take(); types(got) != "CONNACK" {
		t.Errorf("got %+v", got)
	}
	if got := first.take(); len(got) != 0 || !first.sock.Ended() || d.count().TakeOvers != 1 {
		t.Errorf("the first one got %+v, ended %t", got, first.sock.Ended())
	}
}

func TestStopAnswersConnectsThatWait(t *testing.T) {
	d := newDurable(t, 2, nil)
	p := d.dial()
	p.connect("p", stay)
	d.settle()
	d.stop()
	if got := p.take(); types(got) != "CONNACK DISCONNECT" || !p.sock.Ended() {
		t.Errorf("got %+v, ended %t", got, p.sock.Ended())
	}
}

// TestTroubleHoldsNoConnect holds that clients come also while the disk fails.
func TestTroubleHoldsNoConnect(t *testing.T) {
	d := newDurable(t, 2, nil)
	first, second := d.dial(), d.dial()
	first.connect("first", stay)
	first.publish(0, "a", "x", false)
	d.settle()
	d.broker.SetTrouble(true)
	d.settle()
	second.connect("second", stay)
	for _, p := range []*peer{first, second} {
		if got := p.take(); types(got) != "CONNACK" {
			t.Errorf("%s got %+v", p.id, got)
		}
	}
	if n := d.count().Received[0]; n != 1 {
		t.Errorf("%d messages were read behind the first CONNECT", n)
	}
	d.broker.SetTrouble(false)
	d.rest()
	if got := append(first.take(), second.take()...); len(got) != 0 {
		t.Errorf("after the trouble got %+v", got)
	}
}

// TestWillIsNotLost crashes the broker after each of the commits in which a will that waits for its delay becomes messages.
func TestWillIsNotLost(t *testing.T) {
	for _, c := range []struct {
		name          string
		delay, expiry uint32
		due           func(d *durable, id string)
	}{
		{"its delay passes", 5, 1000, func(d *durable, _ string) { d.pass(6 * time.Second) }},
		{"its session expires", 100, 5, func(d *durable, _ string) { d.pass(6 * time.Second) }},
		{"its session ends with a clean start", 100, 1000, func(d *durable, id string) {
			d.dial().connect(id, nil)
			d.settle()
		}},
	} {
		for _, online := range []bool{false, true} {
			for commits := range 6 {
				d := newDurable(t, 3, nil)
				sub := d.stay(d.onLoop(2, "s"))
				d.enter(sub, 1, "will")
				if !online {
					sub.sock.Close()
				}
				id := d.onLoop(1, "p")
				d.join(id, func(k *codec.Connect) {
					willed(c.delay, c.expiry)(k)
					k.Will.Retain = true
				}).sock.Reset()
				d.rest()
				c.due(d, id)
				for range commits {
					d.settle()
					d.store.Step()
				}
				d.restart(2, 0)
				d.pass(2 * time.Minute) // the crash may have come before it was due
				d.rest()
				again := d.dial()
				again.connect(sub.id, stay)
				d.rest()
				got := again.take()
				if n := len(payloads(got)); n < 1 || n > 2 {
					t.Errorf("%s, %d commits: %d wills came: %+v", c.name, commits, n, got)
				}
				for _, g := range got {
					if g.QoS == 1 {
						again.ack(codec.TypePuback, g.PacketID)
					}
				}
				d.rest()
				late := d.join("late", nil)
				late.subscribe(0, "will")
				if got := payloads(late.take()); len(got) != 1 {
					t.Errorf("%s, %d commits: retained: %q", c.name, commits, got)
				}
				d.join(id, nil).sock.Close()
				d.join(sub.id, nil).sock.Close()
				late.publish(0, "will", "", true)
				d.rest()
				left := &leftover{}
				if err := d.store.Crash().Restore(left); err != nil || left.n != 0 {
					t.Errorf("%s, %d commits: %d things are left, %v: %q", c.name, commits, left.n, err, left.what)
				}
			}
		}
	}
}

// TestWillThatNobodyKeepsIsNotStored holds that a will is not stored by itself for nothing.
func TestWillThatNobodyKeepsIsNotStored(t *testing.T) {
	d := newDurable(t, 1, nil)
	watch := d.join("watch", nil)
	watch.subscribe(1, "will")
	d.join("p", willed(5, 1000)).sock.Reset()
	d.rest()
	d.pass(6 * time.Second)
	if got := payloads(watch.take()); len(got) != 1 {
		t.Errorf("got %q", got)
	}
	d.store.Step()
	if n := d.store.Stats().Messages; n != 0 {
		t.Errorf("%d messages are stored", n)
	}
}

// TestAWillComesWhenConnackTakesTooLong: the client was gone, came back while the disk is slow, and is closed.
func TestAWillComesWhenConnackTakesTooLong(t *testing.T) {
	d := newDurable(t, 1, nil)
	watch := d.join("watch", nil)
	watch.subscribe(0, "will")
	d.join("p", willed(60, 1000)).sock.Reset()
	d.rest()
	d.dial().connect("p", willed(60, 1000))
	d.pass(40 * time.Second) // connect_timeout
	d.rest()
	d.pass(100 * time.Second)
	if got := payloads(watch.take()); len(got) != 1 {
		t.Errorf("got %q", got)
	}
}
