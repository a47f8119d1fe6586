package sim

import (
	"fmt"
	"slices"
	"strings"

	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/persist"
)

var (
	crashTopics         = []string{"t/a", "t/b", "t/a/x", "t/b/x"}
	crashRetainedTopics = []string{"r/0", "r/1", "r/x/2", "r/x/3"}
	crashSharedTopics   = []string{"s/a", "s/b"}
	crashFilters        = []string{"t/a", "t/b", "t/+", "t/#", "+/a", "t/a/#", "t/+/x", "r/#", "r/+", "r/0", "r/x/+", "w/+", "w/#", "w/#", "w/#"}
	crashSharedFilters  = []string{"$share/g1/s/a", "$share/g1/s/#", "$share/g2/s/+"}
)

// operate does one random thing.
func (w *crashWorld) operate() {
	w.step++
	k := w.clients[w.rng.IntN(len(w.clients))]
	switch n := w.rng.IntN(100); {
	case k.conn == nil && n < 40:
		k.connect()
	case n < 30:
		w.burst(k)
	case n < 42:
		k.subscribe()
	case n < 45:
		k.unsubscribe()
	case n < 51:
		k.leave()
	case n < 53:
		k.connect() // a take-over, when it is connected
	case n < 57:
		k.slow()
	case n < 75:
		for range 1 + w.rng.IntN(3) {
			w.clients[w.rng.IntN(len(w.clients))].read()
			w.someTurns()
		}
	case n < 88:
		w.advance(int64(w.pick(1, 5, 10, 30)) * 1e6)
	case n < 91:
		w.settle()
	case n < 93:
		w.check()
	case n < 95:
		w.advance(int64(w.pick(1, 3, 10, 40)) * second)
		if w.chance(50) {
			w.check()
		}
	case w.lossy && n < 96:
		w.flood(k)
	case n < 97:
		w.stepping = w.pick(100, 50, 10, 2, 0)
	default:
		if w.chance(80) {
			w.awaitWill()
		}
		w.crash()
		if w.chance(60) {
			w.comeBack()
		}
		if w.chance(50) {
			w.check()
		}
	}
	w.someTurns()
}

// awaitWill goes on to about the moment at which a will is due, of which the store may have taken a part then. Before, connections
// end: some have a will, some are to get one.
func (w *crashWorld) awaitWill() {
	for _, k := range w.clients {
		if c := k.conn; c != nil && c.recorded && !c.brief && w.chance(50) {
			c.sock.Reset()
			w.note("%s: is cut off", k.id)
			k.left(c, false)
		}
	}
	w.dropEnded()
	for _, k := range w.clients {
		m := k.will
		if m == nil || m.will != willWaits || w.now() > m.leftWall+m.delay*1000 {
			continue
		}
		w.drain()
		w.stepping = w.pick(0, 0, 10)
		w.note("awaits the will %v", m)
		w.advance((m.leftWall + m.delay*1000 - w.now()) * 1e6)
		sure := k.goneBy + m.delay*1000 + 300
		for w.now() < sure && w.chance(97) {
			w.advance(100e6)
		}
		if w.now() >= sure {
			w.oweWill(m)
		}
		for range w.pick(0, 1, 1, 1, 2, 3) {
			w.take()
			w.someTurns()
		}
		return
	}
}

// comeBack connects the clients again that a crash cut off, or most of them.
func (w *crashWorld) comeBack() {
	for _, k := range w.clients {
		if k.conn == nil && w.chance(80) {
			k.connect()
			w.someTurns()
		}
	}
}

func (k *crashClient) read() {
	if k.conn != nil {
		k.conn.run(k.w.pick(1, 10, 100, 1<<20))
	}
}

// leave ends the client's connection in one of the ways there are.
func (k *crashClient) leave() {
	w, c := k.w, k.conn
	if c == nil {
		return
	}
	if c.connected() && w.chance(50) {
		c.flushAcks()
	}
	polite, ends := false, false
	switch w.rng.IntN(3) {
	case 0:
		d := codec.Disconnect{}
		if k.version == codec.V5 && !c.brief && w.chance(20) {
			d.HasSessionExpiry, ends = true, true // and ends the session
		}
		c.send(d.Append(nil, k.version))
		polite = true
		c.brief = c.brief || ends
		c.sock.Close()
	case 1:
		c.sock.Close()
	case 2:
		c.sock.Reset()
	}
	w.note("%s: leaves, polite=%v brief=%v", k.id, polite, c.brief)
	k.left(c, polite)
	k.haunted = k.haunted || ends // a new connection may be taken before the DISCONNECT
	w.dropEnded()
}

// slow makes the client stop reading, or read again.
func (k *crashClient) slow() {
	if c := k.conn; c != nil && c.connected() {
		c.dead = !c.dead && k.w.chance(70)
		k.w.note("%s: dead=%v", k.id, c.dead)
	}
}

// subscribe sends a SUBSCRIBE with one or two filters.
func (k *crashClient) subscribe() {
	w, c := k.w, k.conn
	if c == nil || !c.connected() {
		return
	}
	p := codec.Subscribe{PacketID: k.nextID()}
	if k.version == codec.V5 && w.chance(50) {
		p.SubID = uint32(1 + w.rng.IntN(300))
	}
	var subs []*sub
	for range 1 + w.rng.IntN(2) {
		f := codec.Subscription{Filter: crashFilters[w.rng.IntN(len(crashFilters))], QoS: uint8(w.pick(0, 1, 1, 2, 2))}
		if k.shares && w.chance(60) {
			f.Filter = crashSharedFilters[w.rng.IntN(len(crashSharedFilters))]
		} else if k.shares && f.Filter[0] == '+' {
			f.Filter = "t/#"
		}
		if slices.ContainsFunc(subs, func(v *sub) bool { return v.written == f.Filter }) {
			continue
		}
		f.NoLocal = k.version == codec.V5 && !strings.HasPrefix(f.Filter, "$share") && w.chance(20)
		v := newSub(&f, p.SubID, w.step)
		if v.group != "" {
			w.leaky[v.written] = w.leaky[v.written] || v.qos == 0 || c.session.brief
		}
		for _, old := range c.session.subs {
			if old.written == f.Filter {
				v.replaces = old
				if old.endSentAt == 0 {
					old.endSentAt = w.step
				}
			}
		}
		subs, p.Filters = append(subs, v), append(p.Filters, f)
	}
	c.session.subs = append(c.session.subs, subs...)
	c.subs[p.PacketID] = subs
	w.note("%s: SUBSCRIBE %d %+v id %d", k.id, p.PacketID, p.Filters, p.SubID)
	c.send(p.Append(nil, k.version))
}

func (k *crashClient) unsubscribe() {
	w, c := k.w, k.conn
	if c == nil || !c.connected() || len(c.session.subs) == 0 {
		return
	}
	v := c.session.subs[w.rng.IntN(len(c.session.subs))]
	if v.endSentAt != 0 {
		return
	}
	v.endSentAt = w.step
	p := codec.Unsubscribe{PacketID: k.nextID(), Filters: []string{v.written}}
	c.unsubs[p.PacketID] = []*sub{v}
	w.note("%s: UNSUBSCRIBE %d %s", k.id, p.PacketID, v.written)
	c.send(p.Append(nil, k.version))
}

// crashOutsMax is how many messages a client has open; below every receive maximum that would close a connection.
const crashOutsMax = 4

// burst publishes a few messages.
func (w *crashWorld) burst(k *crashClient) {
	c := k.conn
	if c == nil || !c.connected() {
		return
	}
	for range 1 + w.rng.IntN(w.pick(1, 3, 6)) {
		w.step++
		w.publish(k, c)
		if w.chance(20) {
			w.someTurns()
			if k.conn != c {
				return
			}
		}
	}
}

func (w *crashWorld) publish(k *crashClient, c *crashConn) {
	qos := uint8(w.pick(0, 1, 1, 2, 2))
	if qos > 0 && len(k.outs) >= crashOutsMax || c.sock.Untaken() > 1<<20 {
		return
	}
	topics := [][]string{crashTopics, crashTopics, crashRetainedTopics, crashSharedTopics}[w.rng.IntN(4)]
	m := w.newMessage(k, topics[w.rng.IntN(len(topics))], qos)
	if m.topic[0] == 'r' {
		m.retain = true
		if w.chance(20) {
			m.payload = nil
		}
	}
	if k.version == codec.V5 && w.chance(15) {
		m.expiry = uint32(w.pick(2, 5, 30))
	}
	c.sendMessage(m, k.queue(m.publication), false)
}

// flood publishes more than the queues take.
func (w *crashWorld) flood(k *crashClient) {
	for range 60 {
		w.burst(k)
		w.settle()
		if k.conn == nil {
			return
		}
	}
}

// check lets everything become quiet and stored, and holds what is due then.
func (w *crashWorld) check() {
	w.drain()
	for _, k := range w.clients {
		c := k.conn
		if c == nil || c.dead || len(c.acks) > 0 {
			continue // more may come behind what it owes
		}
		switch {
		case !c.connected():
			w.fail("%s: no CONNACK", k.id)
		case len(k.outs) > 0:
			w.fail("%s: no acknowledgement of %v", k.id, k.outs[0])
		case len(c.subs)+len(c.unsubs) > 0:
			w.fail("%s: no SUBACK or UNSUBACK", k.id)
		}
		w.checkDebts(k.session)
		for _, other := range w.clients {
			w.checkWill(k.session, other.will)
		}
	}
	w.checkRetained()
}

// checkRetained looks with a client of its own at what is retained.
func (w *crashWorld) checkRetained() {
	w.probes++
	k := &crashClient{w: w, identity: identity{id: fmt.Sprintf("probe%d", w.probes), version: codec.V311}, probe: map[string]*crashMessage{}}
	c := k.dial()
	c.brief = true
	k.conn = c
	w.conns = append(w.conns, &c.link)
	p := codec.Connect{CleanStart: true, ClientID: k.id}
	c.send(p.Append(nil, k.version))
	w.settle()
	c.subs[1] = []*sub{{written: "r/#", qos: 2}}
	q := codec.Subscribe{PacketID: 1, Filters: []codec.Subscription{{Filter: "r/#", QoS: 2}}}
	c.send(q.Append(nil, k.version))
	w.settle()
	for _, topic := range crashRetainedTopics {
		may := w.retainedMay(topic)
		if m := k.probe[topic]; !slices.Contains(may, m) {
			w.fail("the retained message of %s is %v, it should be one of %v", topic, m, may)
		}
	}
	for len(k.session.rx) > 0 || c.flushAcks() {
		c.flushAcks()
		w.settle()
	}
	d := codec.Disconnect{}
	c.send(d.Append(nil, k.version))
	c.sock.Close()
	c.over = true
	w.dropEnded()
}

// finish brings every client back, drains every session, checks that nothing is owed, and that the broker and the store end empty.
func (w *crashWorld) finish() {
	w.step++
	w.stepping = 50
	if w.chance(50) {
		w.crash()
		w.stepping = 50
	}
	for _, k := range w.clients {
		if k.conn == nil {
			k.connect()
		}
		k.conn.dead, k.conn.lazy = false, false
		k.conn.sock.SetWindow(1 << 20)
	}
	w.check()
	w.checkGroups()
	w.empty()
}

// empty ends every session and holds that nothing is left.
func (w *crashWorld) empty() {
	for _, k := range w.clients {
		w.settle()
		k.outs = nil
		k.version, k.expiry = codec.V311, 0
		k.connect()
		w.settle()
	}
	for _, topic := range crashRetainedTopics {
		out := codec.PublishOut{Version: codec.V311, Topic: topic, Retain: true}
		w.clients[0].conn.send(out.Append(nil))
	}
	w.settle()
	for _, k := range w.clients {
		d := codec.Disconnect{}
		c := k.conn
		c.send(d.Append(nil, k.version))
		c.sock.Close()
		k.left(c, true)
	}
	w.dropEnded()
	w.drain()
	w.advance(40 * second)
	w.drain()
	s := w.snapshot()
	left := fmt.Sprintf("%d connections, %d clients, %d sessions, %d subscriptions, %d retained messages of %d bytes, %d messages, %d stored bodies, %d sockets",
		s.Connections, s.Clients, s.Sessions, s.ActiveSubscriptions, s.RetainedMessages, s.RetainedBytes, s.Stored, s.Store.Messages, w.net.Open())
	if left != "0 connections, 0 clients, 0 sessions, 0 subscriptions, 0 retained messages of 0 bytes, 0 messages, 0 stored bodies, 0 sockets" {
		w.fail("left over: %s", left)
	}
	var n counting
	if err := w.store.Crash().Restore(&n); err != nil || n != (counting{}) {
		w.fail("left in the store: %+v, %v", n, err)
	}
}

// counting counts what a store has.
type counting struct{ messages, sessions, subscriptions, deliveries, inbound, retained int }

// nothing is a message that is not kept.
type nothing struct{ mark persist.Mark }

func (n *nothing) Body() persist.Body  { return persist.Body{} }
func (n *nothing) Mark() *persist.Mark { return &n.mark }
func (n *nothing) Release()            {}

// Message implements persist.Restorer.
func (n *counting) Message(*persist.Body) persist.Message { n.messages++; return &nothing{} }

// Session implements persist.Restorer.
func (n *counting) Session(*persist.Session) { n.sessions++ }

// Subscription implements persist.Restorer.
func (n *counting) Subscription(uint64, *persist.Subscription) { n.subscriptions++ }

// Delivery implements persist.Restorer.
func (n *counting) Delivery(uint64, *persist.Delivery, persist.Message) { n.deliveries++ }

// Inbound implements persist.Restorer.
func (n *counting) Inbound(uint64, uint16, persist.Message) { n.inbound++ }

// Retained implements persist.Restorer.
func (n *counting) Retained(persist.Message) { n.retained++ }
