package shard

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/config"
	"github.com/noctulemq/noctule/loop"
	"github.com/noctulemq/noctule/persist"
)

// durable is a world with a store that stores when the test says so.
type durable struct {
	*world
	store  *persist.Memory
	change func(*config.Config)
	since  int64 // nanoseconds that earlier worlds ran
}

func newDurable(t testing.TB, loops int, change func(*config.Config)) *durable {
	d := &durable{store: persist.NewMemory(), change: change}
	d.open(t, loops)
	return d
}

func (d *durable) open(t testing.TB, loops int) {
	t.Helper()
	cfg := config.Default()
	if d.change != nil {
		d.change(cfg)
	}
	net := loop.NewSimNet(1)
	since := d.since
	d.world = newWorldWith(t, net, net.System, loops, Options{Config: cfg, Store: d.store,
		Wall: func() int64 { return 1_700_000_000_000 + (since+net.Clock.Now())/1e6 }}, config.NewListener())
	d.settle()
}

// restart ends the broker without a word and starts another one, with what was stored, after a time.
func (d *durable) restart(loops int, down time.Duration) {
	d.t.Helper()
	d.since += d.net.Clock.Now() + int64(down)
	d.store = d.store.Crash()
	d.open(d.t, loops)
}

// storeAll lets everything be stored and told that is on its way.
func (d *durable) storeAll() {
	d.t.Helper()
	for {
		d.settle()
		if !d.store.Step() {
			return
		}
	}
}

// rest lets the lag pass, and everything be stored.
func (d *durable) rest() {
	d.t.Helper()
	d.storeAll()
	for range 3 {
		d.net.Clock.Advance(storeLagFast)
		d.storeAll()
	}
}

// stay is a CONNECT with a session that outlives its connection.
func stay(c *codec.Connect) {
	c.CleanStart, c.HasSessionExpiry, c.SessionExpiry = false, true, 1000
}

// join is world's join where CONNACK waits for the store.
func (d *durable) join(id string, change func(*codec.Connect)) *peer {
	d.t.Helper()
	p := d.dial()
	p.connect(id, change)
	d.storeAll()
	if a := p.next(); a.Type != codec.TypeConnack || a.Code != codec.Success {
		d.t.Fatalf("CONNECT of %q answered by %+v", id, a)
	}
	return p
}

func (d *durable) stay(id string) *peer {
	d.t.Helper()
	return d.join(id, stay)
}

// enter subscribes and lets the SUBACK be stored.
func (d *durable) enter(p *peer, qos uint8, filters ...string) {
	d.t.Helper()
	p.nextID++
	s := codec.Subscribe{PacketID: p.nextID}
	for _, f := range filters {
		s.Filters = append(s.Filters, codec.Subscription{Filter: f, QoS: qos})
	}
	p.sock.Write(s.Append(nil, p.version))
	d.settle()
	if got := p.take(); len(got) != 0 {
		d.t.Errorf("got %+v before the subscription was stored", got)
	}
	d.storeAll()
	if a := p.next(); a.Type != codec.TypeSuback || a.Codes[0] != qos {
		d.t.Fatalf("SUBSCRIBE answered by %+v", a)
	}
}

func types(all []got) string {
	var s []string
	for _, g := range all {
		s = append(s, g.Type.String())
	}
	return strings.Join(s, " ")
}

func TestPubackWaitsForTheStore(t *testing.T) {
	for _, loops := range []int{1, 2} {
		d := newDurable(t, loops, nil)
		sub := d.stay(d.onLoop(0, "s"))
		d.enter(sub, 1, "a")
		sub.sock.Close()
		d.rest()
		pub := d.join(d.onLoop(loops-1, "p"), nil)
		pub.publish(1, "a", "1", false)
		pub.publish(1, "nobody", "2", false)
		d.pass(time.Second)
		if got := pub.take(); len(got) != 0 {
			t.Errorf("%d loops: got %+v before the message was stored", loops, got)
		}
		d.storeAll()
		got := pub.take()
		if len(got) != 2 || got[0].PacketID != 1 || got[0].Code != codec.Success || got[1].Code != codec.NoMatchingSubscribers {
			t.Errorf("%d loops: got %+v", loops, got)
		}
		d.restart(3-loops, time.Second)
		again := d.dial()
		again.connect(sub.id, stay)
		d.storeAll()
		all := again.take()
		if len(all) != 2 || !all[0].Present || all[1].Payload != "1" || all[1].PacketID != 1 || all[1].Dup {
			t.Errorf("%d loops: after a restart %+v", loops, all)
		}
	}
}

// TestAcknowledgedBeforeStored holds that what its receivers acknowledge soon never reaches the store.
func TestAcknowledgedBeforeStored(t *testing.T) {
	for _, loops := range []int{1, 2} {
		d := newDurable(t, loops, nil)
		sub := d.stay(d.onLoop(0, "s"))
		d.enter(sub, 1, "a")
		pub := d.join(d.onLoop(loops-1, "p"), nil)
		d.rest()
		ops := d.store.Stats().Ops
		for i := range 100 {
			pub.publish(1, "a", fmt.Sprint(i), false)
			d.settle()
			if got := pub.take(); len(got) != 0 {
				t.Fatalf("%d loops: got %+v before anybody had it", loops, got)
			}
			g := sub.take()
			if len(g) != 1 {
				t.Fatalf("%d loops: the subscriber got %+v", loops, g)
			}
			sub.ack(codec.TypePuback, g[0].PacketID)
			d.settle()
			if got := pub.take(); len(got) != 1 || got[0].Type != codec.TypePuback {
				t.Fatalf("%d loops: got %+v when the receiver had it", loops, got)
			}
			d.net.Clock.Advance(3e6)
		}
		d.rest()
		if n := d.store.Stats().Ops - ops; n != 0 {
			t.Errorf("%d loops: %d changes were stored for nothing", loops, n)
		}
	}
}

// TestSlowReceiverIsStored holds that a message whose receiver takes its time is stored and acknowledged.
func TestSlowReceiverIsStored(t *testing.T) {
	d := newDurable(t, 1, nil)
	sub := d.stay("s")
	d.enter(sub, 1, "a")
	pub := d.join("p", nil)
	pub.publish(1, "a", "1", false)
	d.rest()
	if got := pub.take(); len(got) != 1 {
		t.Errorf("got %+v", got)
	}
	g := sub.take()
	d.restart(1, 0)
	again := d.dial()
	again.connect("s", stay)
	d.storeAll()
	all := again.take()
	if len(g) != 1 || len(all) != 2 || !all[1].Dup || all[1].PacketID != g[0].PacketID || all[1].Payload != "1" {
		t.Errorf("got %+v, after a restart %+v", g, all)
	}
}

// TestQoS2OverARestart stops the broker after each step of an exchange of QoS 2, from a publisher to a subscriber.
func TestQoS2OverARestart(t *testing.T) {
	for _, loops := range []int{1, 2} {
		for stop := range 8 {
			d := newDurable(t, loops, nil)
			pub, sub := d.stay(d.onLoop(0, "p")), d.stay(d.onLoop(loops-1, "s"))
			d.enter(sub, 2, "a")
			d.rest()
			var arrived []string
			var took uint16 // the identifier of the message that the subscriber has
			received, complete := false, false
			step := 0
			maybe := func() {
				d.storeAll()
				if step++; step != stop {
					return
				}
				d.restart(loops, time.Second)
				p, s := d.dial(), d.dial()
				p.connect(pub.id, stay)
				s.connect(sub.id, stay)
				d.storeAll()
				pub, sub = p, s
				if a := pub.next(); !a.Present {
					t.Errorf("the publisher's session is lost: %+v", a)
				}
				if a := sub.next(); !a.Present {
					t.Errorf("the subscriber's session is lost: %+v", a)
				}
				switch {
				case complete:
				case received:
					pub.ack(codec.TypePubrel, 1)
				default:
					pub.publish(2, "a", "x", false)
				}
			}
			receive := func(g got) {
				switch g.Type {
				case codec.TypePublish:
					if took != g.PacketID {
						took = g.PacketID
						arrived = append(arrived, g.Payload)
					}
					sub.ack(codec.TypePubrec, g.PacketID)
				case codec.TypePubrel:
					took = 0
					sub.ack(codec.TypePubcomp, g.PacketID)
				}
			}
			pub.publish(2, "a", "x", false)
			d.settle()
			maybe()
			for range 8 {
				for _, g := range sub.take() {
					receive(g)
					maybe()
				}
				for _, g := range pub.take() {
					switch g.Type {
					case codec.TypePubrec:
						received = true
						pub.ack(codec.TypePubrel, 1)
						d.settle()
						maybe()
					case codec.TypePubcomp:
						complete = true
					}
				}
				d.rest()
			}
			if len(arrived) != 1 || !complete {
				t.Errorf("%d loops, stop %d: arrived %q, complete %t", loops, stop, arrived, complete)
			}
		}
	}
}

func TestRetainedOverARestart(t *testing.T) {
	d := newDurable(t, 2, nil)
	pub := d.join("p", nil)
	for i := range 10 {
		pub.publish(1, fmt.Sprint("r/", i), fmt.Sprint(i), true)
	}
	pub.publish(1, "r/3", "", true)
	pub.publish(1, "r/4", "new", true)
	d.settle()
	if got := pub.take(); len(got) != 0 {
		t.Errorf("got %q before anything was stored", types(got))
	}
	d.rest()
	if got := pub.take(); len(got) != 12 {
		t.Errorf("got %q", types(got))
	}
	if n := d.store.Stats().Ops; n > 20 {
		t.Errorf("%d changes for 9 messages", n)
	}
	d.restart(3, time.Hour)
	sub := d.join("s", nil)
	sub.subscribe(1, "r/#")
	got := payloads(sub.take())
	slices.Sort(got)
	if strings.Join(got, " ") != "0 1 2 5 6 7 8 9 new" {
		t.Errorf("got %q", got)
	}
	if n := d.count().Stored; n != 9 {
		t.Errorf("%d stored", n)
	}
}

// TestARetainedMessageThatChangesTakesNoMoreMemory sets and clears one while the store stores nothing.
func TestARetainedMessageThatChangesTakesNoMoreMemory(t *testing.T) {
	for _, last := range []string{"", "last"} {
		d := newDurable(t, 1, nil)
		p := d.join("p", nil)
		p.publish(0, "r", "stored", true)
		d.rest()
		st := &d.broker.shards[0].storage
		for i := range 500 {
			p.publish(0, "r", fmt.Sprint(i), true)
			p.publish(0, "r", "", true)
			d.settle()
		}
		p.publish(0, "r", last, true)
		d.settle()
		if n := len(st.urgent.Ops) + len(st.young.Ops) + len(st.old.Ops); n > 10 || st.bytes > 5000 {
			t.Errorf("%d changes of %d bytes wait", n, st.bytes)
		}
		d.rest()
		d.restart(1, time.Second)
		want := int64(len(last) / 4)
		if n := d.broker.retainedCount.Load(); n != want {
			t.Errorf("%d retained messages, want %d", n, want)
		}
		watch := d.join("watch", nil)
		watch.subscribe(0, "r")
		if got := payloads(watch.take()); want == 1 && (len(got) != 1 || got[0] != last) {
			t.Errorf("got %q", got)
		}
	}
}

func TestExpiryCountsTheTimeDown(t *testing.T) {
	d := newDurable(t, 2, nil)
	for _, id := range []string{"short", "long"} {
		p := d.join(id, func(c *codec.Connect) {
			stay(c)
			c.SessionExpiry = 100
			if id == "long" {
				c.SessionExpiry = 10_000
			}
		})
		d.enter(p, 1, "a")
		p.sock.Close()
	}
	pub := d.join("p", nil)
	out := codec.PublishOut{Version: codec.V5, QoS: 1, Topic: "a", PacketID: 1, Payload: []byte("gone"), HasExpiry: true, Expiry: 60, Retain: true}
	pub.sock.Write(out.Append(nil))
	out.PacketID, out.Payload, out.Expiry, out.Retain = 2, []byte("there"), 1000, false
	pub.sock.Write(out.Append(nil))
	d.rest()
	d.restart(2, 200*time.Second)
	if n := d.broker.sessions.Load(); n != 1 || d.broker.retainedCount.Load() != 0 {
		t.Errorf("%d sessions, %d retained", n, d.broker.retainedCount.Load())
	}
	p := d.dial()
	p.connect("long", stay)
	d.storeAll()
	if got := p.take(); len(got) != 2 || !got[0].Present || got[1].Payload != "there" {
		t.Errorf("got %+v", got)
	}
	d.rest()
	d.restart(2, 0)
	if n := d.broker.sessions.Load(); n != 1 {
		t.Errorf("%d sessions after another restart", n)
	}
}

// TestNothingIsLeftInTheStore holds that everything that is finished is deleted.
func TestNothingIsLeftInTheStore(t *testing.T) {
	for _, loops := range []int{1, 3} {
		d := newDurable(t, loops, nil)
		var subs []*peer
		for i := range 6 {
			p := d.stay(fmt.Sprint("s", i))
			d.enter(p, uint8(i%2+1), "a", "b/+")
			subs = append(subs, p)
		}
		pub := d.stay("p")
		for i := range 20 {
			pub.publish(uint8(i%2+1), "a", fmt.Sprint(i), i%3 == 0)
		}
		for i := range 40 {
			if i == 5 {
				d.rest()
			}
			for _, p := range append(subs, pub) {
				for _, g := range p.take() {
					switch {
					case g.Type == codec.TypePublish && g.QoS == 1:
						p.ack(codec.TypePuback, g.PacketID)
					case g.Type == codec.TypePublish:
						p.ack(codec.TypePubrec, g.PacketID)
					case g.Type == codec.TypePubrec:
						p.ack(codec.TypePubrel, g.PacketID)
					case g.Type == codec.TypePubrel:
						p.ack(codec.TypePubcomp, g.PacketID)
					}
				}
			}
			d.storeAll()
		}
		pub.publish(1, "a", "", true)
		d.rest()
		for _, p := range append(subs, pub) {
			p.take()
			q := d.join(p.id, nil) // a clean start, and no expiry
			q.sock.Close()
		}
		d.rest()
		left := &leftover{}
		if err := d.store.Crash().Restore(left); err != nil || left.n != 0 {
			t.Errorf("%d loops: %d things are left, %v: %q", loops, left.n, err, left.what)
		}
		if n := d.count().Stored; n != 0 {
			t.Errorf("%d loops: %d messages stored", loops, n)
		}
	}
}

// leftover counts what a store has.
type leftover struct {
	n    int
	what []string
}

func (l *leftover) note(format string, args ...any) {
	l.n++
	l.what = append(l.what, fmt.Sprintf(format, args...))
}

func (l *leftover) Message(b *persist.Body) persist.Message {
	l.note("message %q on %s", b.Payload, b.Topic)
	m := (&messagePools{}).make(b.Topic, nil, b.Payload)
	return m
}
func (l *leftover) Session(s *persist.Session) { l.note("session %+v", *s) }
func (l *leftover) Subscription(n uint64, s *persist.Subscription) {
	l.note("subscription %d %s", n, s.Filter)
}
func (l *leftover) Delivery(n uint64, d *persist.Delivery, _ persist.Message) {
	l.note("delivery %d %+v", n, *d)
}
func (l *leftover) Inbound(n uint64, id uint16, _ persist.Message) { l.note("inbound %d %d", n, id) }
func (l *leftover) Retained(m persist.Message)                     { l.note("retained %s", m.Body().Topic) }

func TestTroubleRefusesWhatMustBeStored(t *testing.T) {
	d := newDurable(t, 2, nil)
	sub := d.stay("s")
	d.enter(sub, 1, "a")
	five, three := d.join("five", nil), d.join("three", func(c *codec.Connect) { c.Version = codec.V311 })
	d.broker.SetTrouble(true)
	five.publish(1, "a", "x", false)
	five.publish(2, "a", "y", false)
	five.publish(0, "a", "live", false)
	three.publish(1, "a", "z", false)
	d.settle()
	if got := five.take(); len(got) != 2 || got[0].Code != codec.QuotaExceeded || got[1].Type != codec.TypePubrec || got[1].Code != codec.QuotaExceeded {
		t.Errorf("version 5 got %+v", got)
	}
	if got := three.take(); len(got) != 0 || !three.sock.Ended() {
		t.Errorf("version 3.1.1 got %+v, ended %t", got, three.sock.Ended())
	}
	if got := payloads(sub.take()); strings.Join(got, " ") != "live" || d.count().RefusedStoring != 3 {
		t.Errorf("the subscriber got %q, %d refused", got, d.count().RefusedStoring)
	}
	d.broker.SetTrouble(false)
	five.publish(1, "a", "again", false)
	d.rest()
	if got := five.take(); len(got) != 1 || got[0].Code != codec.Success {
		t.Errorf("afterwards got %+v", got)
	}
}

// TestTroubleRefusesWhatWaits holds that nobody waits for the end of the trouble.
func TestTroubleRefusesWhatWaits(t *testing.T) {
	d := newDurable(t, 2, nil)
	sub := d.stay("s")
	d.enter(sub, 2, "a")
	sub.sock.Close()
	d.rest()
	five, three := d.stay("five"), d.join("three", func(c *codec.Connect) { c.Version = codec.V311 })
	d.rest()
	for i := range 3 {
		five.publish(1, "a", fmt.Sprint("one", i), false)
		five.publish(2, "a", fmt.Sprint("two", i), false)
	}
	three.publish(1, "a", "three", false)
	d.settle()
	d.broker.SetTrouble(true)
	d.settle()
	got := five.take()
	if len(got) != 6 {
		t.Fatalf("got %+v", got)
	}
	for i, g := range got {
		if g.Code != codec.QuotaExceeded || int(g.PacketID) != i+1 {
			t.Errorf("answer %d: %+v", i, g)
		}
	}
	if three.take(); !three.sock.Ended() {
		t.Error("a client of version 3.1.1 waits")
	}
	d.broker.SetTrouble(false)
	d.rest()
	if got := five.take(); len(got) != 0 {
		t.Errorf("after the trouble got %+v", got)
	}
	five.ack(codec.TypePubrel, 2) // of a message that was refused
	five.publish(2, "a", "late", false)
	d.rest()
	if got := five.take(); len(got) != 2 || got[0].Type != codec.TypePubcomp || got[1].Code != codec.Success {
		t.Errorf("got %+v", got)
	}
}

func TestWaitingForAcknowledgementsIsBounded(t *testing.T) {
	d := newDurable(t, 1, func(c *config.Config) { c.Persistence.MaxWaiting, c.MaxQueuedMessages = 5, 0 })
	sub := d.stay("s")
	d.enter(sub, 1, "a")
	sub.sock.Close()
	d.rest()
	pub := d.join("p", nil)
	for i := range 50 {
		pub.publish(1, "a", fmt.Sprint(i), false)
	}
	d.settle()
	if c := d.broker.shards[0].clientOf(t, "p"); c.acks.n != 5 || !c.waiting || d.count().HeldWaiting == 0 {
		t.Errorf("waits for %d, held %t", c.acks.n, c.waiting)
	}
	d.rest()
	got := pub.take()
	if len(got) != 50 {
		t.Errorf("%d answers", len(got))
	}
	for i, g := range got {
		if int(g.PacketID) != i+1 {
			t.Fatalf("answer %d is for %d", i, g.PacketID)
		}
	}
}

// TestGroupsAreStoredInOrder holds that a QoS 2 message does not overtake an earlier one of its publisher over a restart,
// because that one has receivers that take longer.
func TestGroupsAreStoredInOrder(t *testing.T) {
	for _, loops := range []int{1, 2} {
		d := newDurable(t, loops, nil)
		slow, sub, pub := d.stay(d.onLoop(0, "slow")), d.stay(d.onLoop(loops-1, "s")), d.stay(d.onLoop(0, "p"))
		d.enter(slow, 1, "a/1")
		d.enter(sub, 2, "a/+")
		pub.publish(2, "a/1", "first", false)
		pub.publish(2, "a/2", "second", false)
		d.storeAll()
		pub.take()
		pub.ack(codec.TypePubrel, 1) // waits for slow, who does not acknowledge
		pub.ack(codec.TypePubrel, 2)
		d.storeAll() // the lag has not passed
		d.restart(loops, 0)
		sub, again := d.dial(), d.dial()
		again.connect(pub.id, stay)
		d.storeAll()
		again.take()
		again.ack(codec.TypePubrel, 1)
		again.ack(codec.TypePubrel, 2)
		d.rest()
		sub.connect(d.onLoop(loops-1, "s"), stay)
		d.rest()
		if got := payloads(sub.take()); strings.Join(got, " ") != "first second" {
			t.Errorf("%d loops: got %q", loops, got)
		}
	}
}

// TestYoungIsStoredBeforeUrgent holds the order of QoS 1 messages, some for a connected session and some for it when it has gone.
func TestYoungIsStoredBeforeUrgent(t *testing.T) {
	d := newDurable(t, 1, nil)
	sub, pub := d.stay("s"), d.join("p", nil)
	d.enter(sub, 1, "a")
	pub.publish(1, "a", "first", false)
	d.settle()
	sub.sock.Close()
	d.settle()
	pub.publish(1, "a", "second", false)
	d.settle()
	d.store.Step() // of all that is due, the first batch only
	d.settle()
	d.restart(1, 0)
	again := d.dial()
	again.connect("s", stay)
	d.storeAll()
	if got := payloads(again.take()); len(got) == 0 || got[0] != "first" {
		t.Errorf("got %q", got)
	}
}
