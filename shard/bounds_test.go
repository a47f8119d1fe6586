package shard

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/config"
	"github.com/noctulemq/noctule/loop"
)

// window1 is a configuration of one delivery in flight and three behind it.
func window1(policy config.Policy) func(*config.Config, *config.Listener) {
	return func(c *config.Config, _ *config.Listener) {
		c.MaxInflightMessages, c.MaxQueuedMessages, c.SlowConsumer = 1, 3, policy
	}
}

// slowPair makes a subscriber on the first loop, a publisher on the last, and publishes "1" to "n" at QoS 1.
func slowPair(w *world, n int) (sub, pub *peer) {
	w.t.Helper()
	sub = w.join(w.onLoop(0, "s"), nil)
	sub.subscribe(1, "a")
	pub = w.join(w.onLoop(w.group.Len()-1, "p"), nil)
	for i := range n {
		pub.publish(1, "a", fmt.Sprint(i+1), false)
	}
	w.settle()
	return sub, pub
}

// drain acknowledges QoS 1 deliveries until none comes and returns their payloads.
func (p *peer) drain() (texts []string) {
	p.w.t.Helper()
	for g := p.take(); len(g) > 0; g = p.take() {
		texts = append(texts, payloads(g)...)
		for i := range g {
			if g[i].Type == codec.TypePublish && g[i].QoS == 1 {
				p.ack(codec.TypePuback, g[i].PacketID)
			}
		}
	}
	return texts
}

func TestQueueFull(t *testing.T) {
	for _, c := range []struct {
		policy config.Policy
		want   string
	}{
		{config.DropNewest, "1 2 3 4"},
		{config.DropOldest, "1 4 5 6"},
	} {
		for _, loops := range []int{1, 2} {
			w := newWorld(t, loops, window1(c.policy))
			sub, pub := slowPair(w, 6)
			if n := w.count().DroppedQueued; n != 2 {
				t.Errorf("policy %v: %d dropped, want 2: one in flight, three queued", c.policy, n)
			}
			if w.logs("Outgoing messages are being dropped for client "+sub.id+".") != 1 {
				t.Errorf("policy %v: log %q", c.policy, w.log.lines)
			}
			if acks := pub.take(); len(acks) != 6 || acks[5].Type != codec.TypePuback || acks[5].Code != codec.Success {
				t.Errorf("policy %v: publisher got %+v", c.policy, acks)
			}
			if got := strings.Join(sub.drain(), " "); got != c.want {
				t.Errorf("policy %v: got %q, want %q", c.policy, got, c.want)
			}
		}
	}
}

func TestQueueFullByBytes(t *testing.T) {
	w := newWorld(t, 1, func(c *config.Config, _ *config.Listener) { c.MaxInflightMessages, c.MaxQueuedBytes = 1, 25 })
	sub, _ := slowPair(w, 0)
	pub := w.join("q", nil)
	for _, text := range []string{"0123456789", "abcdefghij", "klmnopqrst", "dropped..."} { // 11 bytes each with the topic
		pub.publish(1, "a", text, false)
	}
	w.settle()
	if got := sub.drain(); len(got) != 3 || got[2] != "klmnopqrst" || w.count().DroppedQueued != 1 {
		t.Errorf("got %q, dropped %d", got, w.count().DroppedQueued)
	}
}

func TestQueueFullDropOldestByBytes(t *testing.T) {
	w := newWorld(t, 1, func(c *config.Config, _ *config.Listener) {
		c.MaxInflightMessages, c.MaxQueuedBytes, c.SlowConsumer = 1, 25, config.DropOldest
	})
	sub, _ := slowPair(w, 0)
	pub := w.join("q", nil)
	for _, text := range []string{"in-flight.", "first", "second", "third", "larger than the whole queue", "last message"} {
		pub.publish(1, "a", text, false)
	}
	w.settle()
	if got := strings.Join(sub.drain(), " "); got != "in-flight. last message" || w.count().DroppedQueued != 4 {
		t.Errorf("got %q, dropped %d", got, w.count().DroppedQueued)
	}
}

func TestQueueFullDisconnects(t *testing.T) {
	w := newWorld(t, 2, window1(config.Disconnect))
	sub, pub := slowPair(w, 6)
	got := sub.take()
	if len(got) != 2 || got[1].Type != codec.TypeDisconnect || got[1].Code != codec.QuotaExceeded || !sub.sock.Ended() {
		t.Errorf("subscriber got %+v, ended %t", got, sub.sock.Ended())
	}
	if acks := pub.take(); len(acks) != 6 {
		t.Errorf("publisher got %d answers", len(acks))
	}
	if w.logs("Client "+sub.id+" ") == 0 || w.logs("outgoing queue is full") != 1 {
		t.Errorf("log %q", w.log.lines)
	}
}

// TestQueueFullKeepsOthersWaitingOnlyWithThrottle holds that a publisher is read on whatever a consumer does, unless
// the policy is throttle; and that with it nothing is dropped and everybody comes free again.
func TestQueueFullThrottles(t *testing.T) {
	for _, loops := range []int{1, 2, 3} {
		w := newWorld(t, loops, window1(config.Throttle))
		sub, pub := slowPair(w, 0)
		var want, texts []string
		for i := range 40 {
			want = append(want, fmt.Sprint(i))
			pub.publish(1, "a", want[i], false)
			w.settle()
		}
		if pub.sock.Untaken() == 0 || w.count().Throttled == 0 {
			t.Fatalf("%d loops: the publisher is not held: throttled %d", loops, w.count().Throttled)
		}
		other := w.join(w.onLoop(loops-1, "o"), nil)
		other.publish(1, "elsewhere", "free", false)
		if got := other.take(); len(got) != 1 {
			t.Errorf("%d loops: a publisher of another topic got %+v", loops, got)
		}
		texts = sub.drain()
		if strings.Join(texts, " ") != strings.Join(want, " ") || w.count().DroppedQueued != 0 {
			t.Errorf("%d loops: got %q, dropped %d", loops, texts, w.count().DroppedQueued)
		}
		if pub.sock.Untaken() != 0 || len(pub.take()) != 40 {
			t.Errorf("%d loops: the publisher is still held", loops)
		}
	}
}

// TestThrottleEndsWithConsumer holds that a consumer that goes away lets its publishers go.
func TestThrottleEndsWithConsumer(t *testing.T) {
	for _, loops := range []int{1, 2} {
		w := newWorld(t, loops, window1(config.Throttle))
		sub, pub := slowPair(w, 0)
		for i := range 20 {
			pub.publish(1, "a", fmt.Sprint(i), false)
			w.settle()
		}
		if pub.sock.Untaken() == 0 {
			t.Fatal("the publisher is not held")
		}
		sub.sock.Close()
		if pub.take(); pub.sock.Untaken() != 0 {
			t.Errorf("%d loops: still held", loops)
		}
	}
}

// TestThrottledPublisherLeaves holds that a held publisher that reconnects is not held for its past.
func TestThrottledPublisherLeaves(t *testing.T) {
	w := newWorld(t, 2, window1(config.Throttle))
	sub, pub := slowPair(w, 0)
	for i := range 20 {
		pub.publish(1, "a", fmt.Sprint(i), false)
		w.settle()
	}
	pub.sock.Close()
	w.settle()
	again := w.join(pub.id, nil)
	again.publish(0, "elsewhere", "x", false)
	w.settle()
	if again.sock.Untaken() != 0 {
		t.Error("held after it came back")
	}
	sub.drain()
	again.publish(1, "a", "y", false)
	if got := again.take(); len(got) != 1 || again.sock.Untaken() != 0 {
		t.Errorf("got %+v", got)
	}
}

func TestOutputFullDropsQoS0(t *testing.T) {
	for _, loops := range []int{1, 2} {
		w := newWorld(t, loops, func(c *config.Config, _ *config.Listener) { c.MaxOutputBytes = 10_000 })
		sub, pub := slowPair(w, 0)
		sub.subscribe(0, "b")
		sub.sock.SetWindow(0)
		text := strings.Repeat("x", 1000)
		for range 50 {
			pub.publish(0, "b", text, false)
		}
		w.settle()
		dropped := w.count().DroppedOutput
		if dropped < 30 || dropped > 41 || w.logs("Outgoing QoS 0 messages are being dropped for client "+sub.id) != 1 {
			t.Errorf("%d dropped; log %q", dropped, w.log.lines)
		}
		pub.publish(1, "a", "kept", false)
		if got := pub.take(); len(got) != 1 {
			t.Errorf("a publisher was held by a slow consumer: %+v", got)
		}
		sub.sock.SetWindow(1 << 20)
		got := sub.take()
		if len(got) != 51-int(dropped) || got[len(got)-1].Payload != "kept" {
			t.Errorf("%d messages came, %d dropped", len(got), dropped)
		}
	}
}

// TestPacketIdentifiersBoundQueue holds the bound of a queue whose configuration names none.
func TestPacketIdentifiersBoundQueue(t *testing.T) {
	w := newWorld(t, 1, func(c *config.Config, _ *config.Listener) { c.MaxQueuedMessages, c.MaxInflightMessages = 0, 1 })
	sub, pub := slowPair(w, 0)
	for range 66 {
		for range 1000 {
			pub.publish(1, "a", "", false)
			pub.nextID = 1
		}
		w.settle()
		pub.take()
	}
	if n := w.count().DroppedQueued; n != 66_000-packetIDs {
		t.Errorf("%d dropped", n)
	}
	if n := len(sub.drain()); n != packetIDs {
		t.Errorf("%d came", n)
	}
}

func TestConnectionLimits(t *testing.T) {
	for name, change := range map[string]func(*config.Config, *config.Listener){
		"max_connections":        func(_ *config.Config, l *config.Listener) { l.MaxConnections = 2 },
		"global_max_connections": func(c *config.Config, _ *config.Listener) { c.GlobalMaxConnections = 2 },
	} {
		w := newWorld(t, 2, change)
		first := w.join("a", nil)
		w.join("b", nil)
		third := w.dial()
		third.connect("c", nil)
		if got := third.take(); len(got) != 0 || !third.sock.Ended() || w.count().RefusedConnections != 1 {
			t.Errorf("%s: got %+v, refused %d", name, got, w.count().RefusedConnections)
		}
		first.sock.Close()
		w.settle()
		w.join("c", nil)
	}
}

func TestSessionLimits(t *testing.T) {
	persistent := func(c *codec.Connect) { c.SessionExpiry, c.HasSessionExpiry = 100, true }
	for name, c := range map[string]struct {
		change func(*config.Config, *config.Listener)
		code   codec.ReasonCode
	}{
		"max_sessions":       {func(c *config.Config, _ *config.Listener) { c.MaxSessions = 2 }, codec.QuotaExceeded},
		"global_max_clients": {func(c *config.Config, _ *config.Listener) { c.GlobalMaxClients = 2 }, codec.ServerBusy},
	} {
		w := newWorld(t, 2, c.change)
		w.join("a", persistent)
		w.join("b", nil)
		p := w.dial()
		p.connect("c", nil)
		if got := p.take(); len(got) != 1 || got[0].Code != c.code || !p.sock.Ended() || w.count().RefusedConnects != 1 {
			t.Errorf("%s: got %+v, refused %d", name, got, w.count().RefusedConnects)
		}
	}
}

// TestSessionLimitCountsStored holds that a session without a connection counts, and that its own client may return.
func TestSessionLimitCountsStored(t *testing.T) {
	w := newWorld(t, 1, func(c *config.Config, _ *config.Listener) { c.MaxSessions = 1 })
	a := w.join("a", func(c *codec.Connect) { c.SessionExpiry, c.HasSessionExpiry = 100, true })
	a.sock.Close()
	w.settle()
	b := w.dial()
	b.connect("b", nil)
	if got := b.take(); len(got) != 1 || got[0].Code != codec.QuotaExceeded {
		t.Errorf("got %+v", got)
	}
	a = w.join("a", func(c *codec.Connect) { c.CleanStart = false })
	a.sock.Close()
	w.settle()
	w.join("b", nil)
	if n := w.broker.sessions.Load(); n != 1 {
		t.Errorf("%d sessions", n)
	}
}

func TestSubscriptionLimit(t *testing.T) {
	w := newWorld(t, 2, func(c *config.Config, _ *config.Listener) { c.MaxSubscriptions = 2 })
	p := w.join("a", nil)
	p.subscribe(1, "x", "y")
	s := codec.Subscribe{PacketID: 9, Filters: []codec.Subscription{{Filter: "z"}, {Filter: "y"}}}
	p.sock.Write(s.Append(nil, codec.V5))
	got := p.take()
	if len(got) != 1 || string(got[0].Codes) != "\x97\x00" || w.count().RefusedSubscriptions != 1 {
		t.Errorf("got %+v, refused %d", got, w.count().RefusedSubscriptions)
	}
}

func TestMessageSizeLimit(t *testing.T) {
	w := newWorld(t, 1, func(c *config.Config, _ *config.Listener) { c.MessageSizeLimit = 10 })
	sub, pub := slowPair(w, 0)
	for qos := range uint8(3) {
		pub.publish(qos, "a", "eleven long", false)
	}
	if got := pub.take(); len(got) != 2 || got[0].Code != codec.PacketTooLarge || got[1].Type != codec.TypePubrec ||
		got[1].Code != codec.PacketTooLarge || w.count().Oversize != 3 {
		t.Errorf("got %+v, counted %d", got, w.count().Oversize)
	}
	pub.publish(1, "a", "ten bytes.", false)
	if got := sub.take(); len(got) != 1 {
		t.Errorf("got %+v", got)
	}
}

func TestClientMaximumPacketSize(t *testing.T) {
	w := newWorld(t, 2, nil)
	sub := w.join(w.onLoop(0, "s"), func(c *codec.Connect) { c.MaximumPacketSize = 30 })
	sub.subscribe(1, "a")
	pub := w.join(w.onLoop(1, "p"), nil)
	for qos := range uint8(2) {
		pub.publish(qos, "a", strings.Repeat("x", 30), false)
	}
	pub.publish(1, "a", "fits", false)
	if got := payloads(sub.take()); len(got) != 1 || got[0] != "fits" || w.count().TooLargeForClient != 2 {
		t.Errorf("got %q, counted %d", got, w.count().TooLargeForClient)
	}
}

func TestExpiryIsCounted(t *testing.T) {
	w := newWorld(t, 2, window1(config.DropNewest))
	sub, pub := slowPair(w, 1)
	expiring := func(topic, text string, qos uint8, id uint16, retain bool) {
		o := codec.PublishOut{Version: codec.V5, QoS: qos, PacketID: id, Topic: topic, Payload: []byte(text), HasExpiry: true,
			Expiry: 2, Retain: retain}
		pub.sock.Write(o.Append(nil))
	}
	expiring("a", "queued", 1, 100, false)
	expiring("a", "held until PUBREL", 2, 101, false)
	expiring("r", "retained", 0, 0, true)
	w.settle()
	if n := w.broker.retainedCount.Load(); n != 1 {
		t.Errorf("%d retained", n)
	}
	w.pass(3 * time.Second)
	pub.ack(codec.TypePubrel, 101)
	w.settle()
	if got := sub.drain(); len(got) != 1 {
		t.Errorf("got %q", got)
	}
	if n := w.count().Expired; n != 3 || w.broker.retainedCount.Load() != 0 || w.broker.retainedBytes.Load() != 0 {
		t.Errorf("%d expired, %d retained of %d bytes", n, w.broker.retainedCount.Load(), w.broker.retainedBytes.Load())
	}
}

func TestSessionExpiryIsCounted(t *testing.T) {
	w := newWorld(t, 2, nil)
	p := w.join("a", func(c *codec.Connect) { c.SessionExpiry, c.HasSessionExpiry = 5, true })
	p.subscribe(1, "x")
	p.sock.Close()
	w.pass(4 * time.Second)
	if n := w.broker.sessions.Load(); n != 1 {
		t.Errorf("%d sessions before the expiry", n)
	}
	w.pass(2 * time.Second)
	if n := w.broker.sessions.Load(); n != 0 || w.count().ExpiredSessions != 1 {
		t.Errorf("%d sessions, %d expired", n, w.count().ExpiredSessions)
	}
}

func TestFaultsOfClientsAreCounted(t *testing.T) {
	w := newWorld(t, 2, func(c *config.Config, _ *config.Listener) { c.MaxInflightMessages = 2 })
	p := w.join("a", nil)
	for _, t := range []codec.Type{codec.TypePuback, codec.TypePubrec, codec.TypePubcomp} {
		p.ack(t, 77)
	}
	for range 3 {
		p.publish(2, "x", "three open, two allowed", false)
	}
	p.nextID = 0
	p.publish(2, "x", "another message under identifier 1", false)
	if got := p.take(); len(got) != 5 {
		t.Errorf("got %+v", got)
	}
	n := w.count()
	if n.UnknownAcks != 3 || n.OverReceiveMax != 1 || n.ReusedIDs != 1 || w.logs("exceeded its receive maximum of 2") != 1 {
		t.Errorf("counted %+v; log %q", n, w.log.lines)
	}
	p.sock.Write([]byte{0xf0 | 0x01, 0})
	if got := p.take(); len(got) != 1 || got[0].Type != codec.TypeDisconnect || w.count().ProtocolErrors != 1 {
		t.Errorf("got %+v, counted %d", got, w.count().ProtocolErrors)
	}
}

func TestHandoverAndTakeOverAreCounted(t *testing.T) {
	w := newWorld(t, 4, nil)
	for i := range 20 {
		w.join(fmt.Sprint("c", i), nil)
	}
	if n := w.count(); n.Connects != 20 || n.Handovers == 0 || n.Handovers > 20 {
		t.Errorf("%d connects, %d handed over", n.Connects, n.Handovers)
	}
	w.join("c3", nil)
	if n := w.count().TakeOvers; n != 1 || w.broker.clients.Load() != 20 {
		t.Errorf("%d taken over, %d clients", n, w.broker.clients.Load())
	}
}

// TestSlowConnect holds the time limit for a CONNECT, in the middle of a packet too.
func TestSlowConnect(t *testing.T) {
	w := newWorld(t, 2, func(c *config.Config, _ *config.Listener) { c.ConnectTimeout = 5 * time.Second })
	silent, slow := w.dial(), w.dial()
	slow.sock.Write([]byte{0x10, 100, 0, 4, 'M'})
	w.pass(4 * time.Second)
	slow.sock.Write([]byte{'Q'})
	if w.settle(); w.net.Open() != 2 {
		t.Fatalf("%d open", w.net.Open())
	}
	w.pass(3 * time.Second)
	if !silent.sock.Ended() || !slow.sock.Ended() || w.net.Open() != 0 {
		t.Errorf("%d open", w.net.Open())
	}
}

// TestAnswersAreBounded holds that a client that sends and never reads is not read on, that it is served when it
// reads again, and that it times out when it does not.
func TestAnswersAreBounded(t *testing.T) {
	for _, reads := range []bool{true, false} {
		w := newWorld(t, 2, func(c *config.Config, _ *config.Listener) { c.MaxOutputBytes = 10_000 })
		p := w.join("p", func(c *codec.Connect) { c.KeepAlive = 10 })
		p.sock.SetWindow(0)
		ping := []byte{0xc0, 0}
		const pings = 100_000
		for range pings / 100 {
			p.sock.Write([]byte(strings.Repeat(string(ping), 100)))
			w.settle()
		}
		c := w.broker.shards[w.broker.home("p")].clientOf(t, "p")
		if n := c.conn.Unsent(); n < 20_000 || n > 20_010 || w.count().Choked != 1 || w.logs("Client p does not read its answers") != 1 {
			t.Errorf("%d bytes wait, counted %d, log %q", n, w.count().Choked, w.log.lines)
		}
		if reads {
			p.sock.SetWindow(1 << 20)
			if n := len(p.take()); n != pings {
				t.Errorf("%d answers to %d requests", n, pings)
			}
			continue
		}
		w.pass(16 * time.Second)
		if p.sock.SetWindow(1 << 20); w.logs("Client p [10.0.0.0:1024] disconnected: exceeded timeout.") != 1 {
			t.Errorf("log %q", w.log.lines)
		}
	}
}

// TestSlowReaderOfAnswersStays holds that a client that takes its answers slowly does not time out.
func TestSlowReaderOfAnswersStays(t *testing.T) {
	w := newWorld(t, 1, func(c *config.Config, _ *config.Listener) { c.MaxOutputBytes = 10_000 })
	p := w.join("p", func(c *codec.Connect) { c.KeepAlive = 10 })
	p.subscribe(0, "a")
	p.sock.SetWindow(100)
	p.sock.Write([]byte(strings.Repeat("\xc0\x00", 20_000)))
	pub := w.join("q", nil)
	for range 20 {
		w.pass(10 * time.Second)
		p.sock.Read(700)
		pub.publish(0, "a", "must not keep the output from getting empty", false)
	}
	if w.logs("exceeded timeout") != 0 || p.sock.Ended() {
		t.Fatalf("log %q", w.log.lines)
	}
	p.sock.SetWindow(1 << 20)
	pings := 0
	for _, g := range p.take() {
		if g.Type == codec.TypePingresp {
			pings++
		}
	}
	if p.sock.Untaken() != 0 || w.count().DroppedOutput == 0 {
		t.Errorf("%d answers came, %d bytes were not taken, %d dropped", pings, p.sock.Untaken(), w.count().DroppedOutput)
	}
}

// TestThrottleDoesNotLock holds that two clients that fill each other's queues do not wait for each other for ever.
func TestThrottleDoesNotLock(t *testing.T) {
	for _, loops := range []int{1, 2} {
		w := newWorld(t, loops, window1(config.Throttle))
		a, b := w.join(w.onLoop(0, "a"), nil), w.join(w.onLoop(loops-1, "b"), nil)
		a.subscribe(1, "to/a")
		b.subscribe(1, "to/b")
		for i := range 30 {
			a.publish(1, "to/b", fmt.Sprint(i), false)
			b.publish(1, "to/a", fmt.Sprint(i), false)
			if i%10 == 0 {
				w.settle()
			}
		}
		w.settle()
		if w.count().Throttled == 0 {
			t.Fatal("nobody was held")
		}
		for range 100 {
			for _, p := range []*peer{a, b} {
				for _, g := range p.take() {
					if g.Type == codec.TypePublish {
						p.ack(codec.TypePuback, g.PacketID)
					}
				}
			}
		}
		if a.sock.Untaken()+b.sock.Untaken() != 0 {
			t.Errorf("%d loops: both wait, %d and %d bytes unread", loops, a.sock.Untaken(), b.sock.Untaken())
		}
	}
}

// TestThrottleEndsWithStoredConsumer holds that publishers do not wait for a consumer that went offline with a session.
func TestThrottleEndsWithStoredConsumer(t *testing.T) {
	w := newWorld(t, 2, window1(config.Throttle))
	sub := w.join(w.onLoop(0, "s"), func(c *codec.Connect) { c.HasSessionExpiry, c.SessionExpiry = true, 1000 })
	sub.subscribe(1, "a")
	pub := w.join(w.onLoop(1, "p"), nil)
	for i := range 20 {
		pub.publish(1, "a", fmt.Sprint(i), false)
		w.settle()
	}
	if pub.sock.Untaken() == 0 {
		t.Fatal("the publisher is not held")
	}
	sub.sock.Close()
	if pub.take(); pub.sock.Untaken() != 0 {
		t.Error("still held")
	}
}

// TestThrottledSessionStaysHeld holds that reconnecting does not free a held publisher's session, and that new sessions
// of one place in the slab do not pile up at the consumer.
func TestThrottledSessionStaysHeld(t *testing.T) {
	w := newWorld(t, 2, window1(config.Throttle))
	sub, _ := slowPair(w, 0)
	pub := w.join("again", func(c *codec.Connect) { c.HasSessionExpiry, c.SessionExpiry = true, 1000 })
	for i := range 20 {
		pub.publish(1, "a", fmt.Sprint(i), false)
		w.settle()
	}
	pub.sock.Close()
	pub = w.join("again", func(c *codec.Connect) { c.HasSessionExpiry, c.SessionExpiry, c.CleanStart = true, 1000, false })
	pub.publish(1, "a", "held", false)
	if w.settle(); pub.sock.Untaken() == 0 {
		t.Error("a new connection of a held session is read from")
	}
	for range 50 {
		p := w.join("clean", nil)
		p.publish(1, "a", "x", false)
		w.settle()
		p.sock.Close()
		w.settle()
	}
	if n := len(w.broker.shards[0].clientOf(t, sub.id).session.throttling.held); n > 3 {
		t.Errorf("%d publishers are listed as held", n)
	}
	for range 20 {
		sub.drain()
	}
	if w.settle(); pub.sock.Untaken() != 0 {
		t.Error("still held when the queue is empty")
	}
}

// TestWillOfAnEarlierSessionFreesNobody holds that a message of a session that has ended, its will, does not take the place
// of the new session with the same identifier in the list of those that a full queue holds.
func TestWillOfAnEarlierSessionFreesNobody(t *testing.T) {
	for _, loops := range []int{1, 2} {
		w := newWorld(t, loops, window1(config.Throttle))
		sub, _ := slowPair(w, 0)
		id := w.onLoop(0, "p")
		w.join(id, func(c *codec.Connect) {
			c.HasWill, c.Will = true, codec.Will{Topic: "a", Payload: []byte("will"), QoS: 1}
		})
		again := w.dial()
		again.connect(id, nil)
		for i := range 20 { // in the turn of the take-over, before the will
			again.publish(1, "a", fmt.Sprint(i), false)
		}
		w.settle()
		for i := range 20 {
			again.publish(1, "a", fmt.Sprint(i), false)
			w.settle()
		}
		if again.sock.Untaken() == 0 {
			t.Fatal("the publisher is not held")
		}
		sub.drain()
		if again.take(); again.sock.Untaken() != 0 {
			t.Errorf("%d loops: the publisher is still held when the queue is empty", loops)
		}
	}
}

// TestHeldPublisherThatIsGoneIsClosed holds that a reset ends a connection that is not read from.
func TestHeldPublisherThatIsGoneIsClosed(t *testing.T) {
	w := newWorld(t, 1, window1(config.Throttle))
	_, pub := slowPair(w, 0)
	for i := range 20 {
		pub.publish(1, "a", fmt.Sprint(i), false)
		w.settle()
	}
	if pub.sock.Untaken() == 0 {
		t.Fatal("the publisher is not held")
	}
	pub.sock.Reset()
	if w.settle(); w.broker.connections.Load() != 1 {
		t.Errorf("%d connections", w.broker.connections.Load())
	}
}

// TestQueueFullDropOldestOffline holds that what was in flight stays and the newest of the rest are kept, however many
// are dropped meanwhile.
func TestQueueFullDropOldestOffline(t *testing.T) {
	for _, messages := range []int{10, 1000} {
		w := newWorld(t, 1, window1(config.DropOldest))
		stored := func(c *codec.Connect) { c.HasSessionExpiry, c.SessionExpiry, c.CleanStart = true, 1000, false }
		sub := w.join("s", stored)
		sub.subscribe(1, "a")
		pub := w.join("p", nil)
		pub.publish(1, "a", "1", false)
		w.settle()
		sub.sock.Close()
		w.settle()
		for i := 2; i <= messages; i++ {
			pub.publish(1, "a", fmt.Sprint(i), false)
			w.settle()
			pub.take()
		}
		if ring := len(w.broker.shards[0].sessions.at(w.broker.shards[0].byID["s"]).out.ring); ring > 256 {
			t.Errorf("a ring of %d for 4 messages", ring)
		}
		sub = w.join("s", stored)
		want := fmt.Sprintf("1 %d %d %d", messages-2, messages-1, messages)
		if got := strings.Join(sub.drain(), " "); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		pub.publish(1, "a", "after", false)
		if got := sub.drain(); len(got) != 1 || got[0] != "after" {
			t.Errorf("afterwards %q", got)
		}
	}
}

// TestByteCountsReturnToZero holds that what is queued and in flight is counted as it is given back, also for packets
// large enough to be kept as they came.
func TestByteCountsReturnToZero(t *testing.T) {
	w := newWorld(t, 1, func(c *config.Config, _ *config.Listener) { c.MaxInflightMessages = 3 })
	sub, pub := slowPair(w, 0)
	pub.sock.SetWindow(1 << 22)
	sub.sock.SetWindow(1 << 22)
	for range 50 {
		pub.publish(1, "a", strings.Repeat("x", 100_000), false)
		w.settle()
	}
	if n := len(sub.drain()); n != 50 {
		t.Fatalf("%d came", n)
	}
	if o := w.broker.shards[0].clientOf(t, sub.id).session.out; o.queuedBytes != 0 || o.inflightBytes != 0 || o.holes != 0 || o.resend != 0 {
		t.Errorf("an empty queue counts %+v", o)
	}
}

// TestInboundByteLimit holds the bound of QoS 2 messages that wait for PUBREL, in bytes.
func TestInboundByteLimit(t *testing.T) {
	w := newWorld(t, 1, func(c *config.Config, _ *config.Listener) {
		c.MaxInflightBytes, c.MaxQueuedBytes = 1_000_000, 1_000_000
	})
	p := w.join("p", nil)
	for range 60 {
		p.publish(2, "a", strings.Repeat("x", 39_999), false)
	}
	got := p.take()
	if last := got[len(got)-1]; len(got) != 51 || last.Type != codec.TypeDisconnect || last.Code != codec.ReceiveMaximumExceeded {
		t.Errorf("%d packets, the last %+v", len(got), last)
	}
}

// TestManyInbound holds that many QoS 2 messages may be open at once and end in any order.
func TestManyInbound(t *testing.T) {
	w := newWorld(t, 2, nil)
	sub := w.join(w.onLoop(0, "s"), nil)
	sub.subscribe(0, "a")
	p := w.join(w.onLoop(1, "p"), nil)
	for i := range 500 {
		p.publish(2, "a", fmt.Sprint(i), false)
	}
	w.settle()
	want := ""
	for i := range 500 {
		n := (i * 7) % 500
		p.ack(codec.TypePubrel, uint16(n+1))
		want += fmt.Sprint(n, " ")
	}
	if got := strings.Join(payloads(sub.take()), " ") + " "; got != want {
		t.Errorf("got %.60q, want %.60q", got, want)
	}
	if in := w.broker.shards[1].clientOf(t, p.id).session.in; len(in.held)+len(in.index) != 0 || in.bytes != 0 {
		t.Errorf("left: %+v", in)
	}
}

// deaf is an operating system that watches no more sockets.
type deaf struct{ loop.System }

// Watch implements loop.System.
func (deaf) Watch(int32, uint64) error { return syscall.ENOSPC }

// TestLostHandoverIsNotCounted holds that a connection whose home loop cannot take it is closed and counts no more.
func TestLostHandoverIsNotCounted(t *testing.T) {
	net := loop.NewSimNet(1)
	w := newWorldOn(t, net, func(i int) (loop.System, error) {
		s, err := net.System(i)
		if i == 1 {
			return deaf{s}, err
		}
		return s, err
	}, 2, config.Default(), config.NewListener())
	for range 10 {
		p := w.dial()
		p.connect(w.onLoop(1, "c"), nil)
		w.settle()
		if !p.sock.Ended() {
			t.Fatal("the connection is open")
		}
	}
	if n := w.broker.connections.Load(); n != 0 || w.net.Open() != 0 {
		t.Errorf("%d connections are counted, %d are open", n, w.net.Open())
	}
}
