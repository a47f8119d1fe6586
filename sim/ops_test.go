package sim

import (
	"fmt"
	"strings"

	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/config"
)

// retainedTopics get retained publications only, each at one QoS, so that the order of their values is defined.
var retainedTopics = []string{"r/0", "r/1", "r/2", "r/x/3", "r/x/4", "r/x/5"}

var plainTopics = []string{"t/a", "t/b", "t/a/x", "t/b/x", "t/a/x/y", "$t/a", "t//x"}

var plainFilters = []string{"t/a", "t/b", "t/a/x", "t/+", "t/+/x", "t/#", "+/a", "t/a/#", "r/#", "r/+", "r/x/+", "r/0", "r/1", "r/x/4",
	"w/+", "w/#", "+/b/x", "$t/#", "$t/+", "t//x", "+/+"}

var sharedTopics = []string{"s/a", "s/b", "s/a/x"}

var sharedFilters = []string{"$share/g1/s/a", "$share/g1/s/#", "$share/g2/s/+", "$share/g2/s/a"}

// operate does one random thing.
func (w *world) operate() {
	w.step++
	c := w.clients[w.rng.IntN(len(w.clients))]
	switch n := w.rng.IntN(100); {
	case c.conn == nil && n < 60:
		c.connect()
	case n < 35:
		w.burst(c)
	case n < 52:
		c.subscribe()
	case n < 57:
		c.unsubscribe()
	case n < 63:
		c.leave()
	case n < 66:
		c.connect() // a take-over, when it is connected
	case n < 68:
		c.abandon()
	case n < 73:
		c.slow()
	case n < 92:
		for range 1 + w.rng.IntN(3) {
			w.clients[w.rng.IntN(len(w.clients))].read()
			w.someTurns()
		}
	case n < 98:
		w.barrier()
	default:
		w.barrier()
		w.pass(int64(w.pick(1, 2, 3, 6)) * second)
	}
	w.someTurns()
}

func (c *client) read() {
	if c.conn != nil {
		c.conn.run(c.w.pick(1, 10, 100, 1<<20))
	}
}

// connect sends CONNECT; over a connection that is still there it is a take-over.
func (c *client) connect() {
	w := c.w
	if c.conn != nil && !c.conn.connected() || c.conn == nil && c.unsure && !c.settled {
		return // two CONNECTs on their way have no order
	}
	if old := c.conn; old != nil {
		c.takeOver(old)
	}
	n := c.newConn()
	n.present = c.expectPresent(n)
	c.expectOldWill(n)
	c.conn = n
	w.conns = append(w.conns, &n.link)
	c.sendConnect(n)
	w.note("%s: CONNECT v%d clean=%v expiry=%d present=%d", c.id, c.version, n.clean, n.expiry, n.present)
	if w.chance(10) && c.version == codec.V5 && n.clean { // nothing is known of the session yet: send before CONNACK
		n.send(codec.AppendPingreq(nil))
		n.pings = append(n.pings, -1)
	}
}

func (c *client) newConn() *conn {
	w := c.w
	n := &conn{client: c, clean: w.chance(30), aliases: map[uint16]string{}, pubAlias: map[string]uint16{}}
	n.link = w.dial(&c.identity, n)
	n.clean = n.clean || c.mustBe
	n.expiry = expiryNever
	if c.version == codec.V5 {
		n.expiry = uint32(w.pick(0, 3, 10, 1000, 1000))
		n.receiveMax = w.pick(0, 0, 1, 3)
		n.aliasMax = uint16(w.pick(0, 2))
	} else if n.clean {
		n.expiry = 0
	}
	n.lazy = w.chance(30)
	if w.chance(25) {
		n.sock.SetWindow(w.pick(50, 300, 2000))
	}
	if w.chance(40) {
		n.will = w.newMessage(c, "w/"+c.id, uint8(w.rng.IntN(3)))
		n.will.isWill = true
		if c.version == codec.V5 {
			n.will.delay = int64(w.pick(0, 0, 2, 5)) * second
		}
	}
	return n
}

func (c *client) sendConnect(n *conn) {
	p := codec.Connect{CleanStart: n.clean, ClientID: c.id, RequestProblemInfo: true}
	if c.version == codec.V5 {
		p.HasSessionExpiry, p.SessionExpiry = n.expiry != 0, n.expiry
		p.ReceiveMaximum, p.TopicAliasMaximum = uint16(n.receiveMax), n.aliasMax
	}
	if m := n.will; m != nil {
		p.HasWill = true
		p.Will = codec.Will{QoS: m.qos, Topic: m.topic, Payload: m.payload, DelaySeconds: uint32(m.delay / second)}
	}
	n.send(p.Append(nil, c.version))
}

// expectPresent is what CONNACK must say about the session.
func (c *client) expectPresent(n *conn) int {
	switch elapsed := c.w.net.Clock.Now() - c.leftAt; {
	case n.clean:
		return 0
	case c.unsure, c.w.cfg.SlowConsumer == config.Disconnect && c.session != nil && c.session.expiry != expiryNever:
		return -1
	case c.session == nil, c.session.expiry == 0:
		return 0
	case c.conn != nil || c.session.expiry == expiryNever || elapsed < int64(c.session.expiry)*second:
		return 1
	case elapsed > int64(c.session.expiry)*second+second/5 && !c.w.halts():
		return 0
	}
	return -1
}

// takeOver is the end of a connection that a new CONNECT replaces.
func (c *client) takeOver(old *conn) {
	c.lostMessages(old)
	c.settled = false
	c.leftAt = c.w.net.Clock.Now()
}

// lostMessages marks QoS 0 messages of a connection that ends: they may or may not arrive.
func (c *client) lostMessages(old *conn) {
	old.over = true
	if c.shares {
		c.w.sharedHurt = true
	}
}

// expectOldWill settles what becomes of the earlier connection's will when a new CONNECT is sent.
func (c *client) expectOldWill(n *conn) {
	w := c.w
	if old := c.conn; old != nil {
		c.conn = nil
		m := old.will
		if m == nil {
			return
		}
		if m.sentAt == 0 {
			m.sentAt = w.step
		}
		m.will = willNever
		if n.clean || old.expiry == 0 {
			m.will = willMust
		}
		if w.disturbs() {
			m.will = willMay
		}
		if m.will == willNever {
			m.sentAt = 0
		} else {
			w.loadFor(m.topic)
		}
		return
	}
	m := c.pending
	c.pending = nil
	if m != nil && m.open {
		m.open, m.will = false, willMay
		return
	}
	if m == nil || m.will == willNever && c.settled {
		return
	}
	switch {
	case !c.settled:
		m.will = willMay
		if m.sentAt == 0 {
			m.sentAt = w.step
		}
	case m.will != willArmed:
	case n.clean:
		m.will, m.sentAt = willMust, w.step
	default:
		m.will = willNever
	}
	w.loadFor(m.topic)
}

// disturbs reports whether connections can end or stand still for reasons that the model does not follow.
func (w *world) disturbs() bool {
	return w.halts() || w.cfg.SlowConsumer == config.Disconnect
}

// sharesMove reports whether a shared delivery may have gone from one member to another.
func (w *world) sharesMove() bool { return w.sharedHurt || w.cfg.SlowConsumer == config.Disconnect }

// halts reports whether the broker may stop reading from a client for a while.
func (w *world) halts() bool {
	return w.cfg.SlowConsumer == config.Throttle || w.cfg.MaxOutputBytes < 1<<20
}

// leave ends the client's connection in one of the ways there are.
func (c *client) leave() {
	w, n := c.w, c.conn
	if n == nil || !n.connected() {
		return
	}
	n.flushAcks()
	polite := false
	switch w.rng.IntN(5) {
	case 0:
		d := codec.Disconnect{}
		n.send(d.Append(nil, c.version))
		polite = true
		if w.chance(50) {
			n.sock.Close()
		} else {
			n.sock.CloseWrite()
		}
	case 1:
		if c.version == codec.V5 {
			d := codec.Disconnect{Code: codec.DisconnectWithWill}
			n.send(d.Append(nil, c.version))
		}
		n.sock.Close()
	case 2:
		n.send([]byte{0xf0 | byte(w.rng.IntN(2)), 0xff, 0xff, 0xff, 0xff, 0xff}) // not MQTT
		n.sock.CloseWrite()
	case 3:
		n.sock.Close()
	case 4:
		n.sock.Reset()
	}
	w.note("%s: leaves, polite=%v", c.id, polite)
	c.left(n, polite)
}

// left notes the end of a connection that was connected.
func (c *client) left(n *conn, polite bool) {
	w := c.w
	c.lostMessages(n)
	c.conn, c.settled, c.leftAt = nil, false, w.net.Clock.Now()
	m := n.will
	if m == nil {
		return
	}
	c.pending = m
	w.loadFor(m.topic)
	switch {
	case polite && !w.disturbs():
		m.will = willNever
	case polite || w.disturbs():
		m.will, m.open = willMay, true
		if m.sentAt == 0 {
			m.sentAt = w.step
		}
	case m.delay == 0 || n.expiry == 0:
		m.will, m.sentAt = willMust, w.step
	default:
		m.dueAt = c.leftAt + m.delay
		if n.expiry != expiryNever {
			m.dueAt = min(m.dueAt, c.leftAt+int64(n.expiry)*second)
		}
	}
}

// ended handles the end of a connection that the broker closed.
func (c *conn) ended() {
	k, w := c.client, c.client.w
	w.note("%s: closed by the broker, code %#x", k.id, byte(c.code))
	c.over = true
	if k.conn != c {
		return
	}
	if w.cfg.SlowConsumer != config.Disconnect || c.session == nil || w.queueLimit >= 1000 {
		w.fail("%s: the broker closed the connection, code %#x", k.id, byte(c.code))
	}
	if m := c.will; m != nil && m.sentAt == 0 {
		m.sentAt = c.connectedAt // the broker may have closed it long ago
	}
	k.left(c, false)
}

// abandon dials, sends part or all of a CONNECT and goes away.
func (c *client) abandon() {
	w := c.w
	if c.conn != nil || !c.settled {
		return
	}
	n := c.newConn()
	n.will = nil
	p := codec.Connect{CleanStart: n.clean, ClientID: c.id, RequestProblemInfo: true}
	if c.version == codec.V5 {
		p.HasSessionExpiry, p.SessionExpiry = n.expiry != 0, n.expiry
	}
	b := p.Append(nil, c.version)
	if w.chance(50) {
		b = b[:w.rng.IntN(len(b))]
	} else {
		switch was := c.expectPresent(n); {
		case n.clean:
		case was == 0:
			c.endSession() // if this one makes a session, it is a new one
		case was < 0:
			c.mustBe = true
		}
		c.unsure = true
		c.mustBe = c.mustBe || n.clean
		if m := c.pending; m != nil && m.will == willArmed {
			m.will, m.open = willMay, true
			m.sentAt = w.step
		}
		if n.clean && c.session != nil {
			for _, v := range c.session.subs {
				if v.endSentAt == 0 {
					v.endSentAt = w.step
				}
			}
		}
		if c.shares {
			w.sharedHurt = true
		}
	}
	n.send(b)
	if w.chance(50) {
		n.sock.Reset()
	} else {
		n.sock.Close()
	}
	c.settled = false
	w.note("%s: abandons a connection after %d bytes, clean=%v expiry=%d", c.id, len(b), n.clean, n.expiry)
}

// slow makes the client stop reading, or read again.
func (c *client) slow() {
	if n := c.conn; n != nil && n.connected() {
		n.dead = !n.dead && c.w.chance(70)
		if n.dead {
			n.behind = true
			n.sock.SetWindow(c.w.pick(10, 200, 1000))
		}
		c.w.note("%s: dead=%v", c.id, n.dead)
	}
}

// subscribe sends a SUBSCRIBE with one to three filters.
func (c *client) subscribe() {
	w, n := c.w, c.conn
	if n == nil || !n.connected() {
		return
	}
	id := c.nextID()
	p := codec.Subscribe{PacketID: id}
	if c.version == codec.V5 && w.chance(50) {
		p.SubID = uint32(1 + w.rng.IntN(300))
	}
	var subs []*sub
	for range 1 + w.rng.IntN(3) {
		f := codec.Subscription{Filter: plainFilters[w.rng.IntN(len(plainFilters))], QoS: uint8(w.rng.IntN(3))}
		if c.shares && w.chance(60) {
			f.Filter = sharedFilters[w.rng.IntN(len(sharedFilters))]
		} else if !c.shares && w.chance(5) {
			f.Filter = "#"
		} else if c.shares && f.Filter[0] == '+' {
			f.Filter = "t/#"
		}
		if c.version == codec.V5 {
			f.NoLocal = !strings.HasPrefix(f.Filter, "$share") && w.chance(20)
			f.RetainAsPublished = w.chance(20)
			f.RetainHandling = uint8(w.pick(0, 0, 1, 2))
		}
		if c.enters(n, &f, p.SubID, &subs) {
			p.Filters = append(p.Filters, f)
		}
	}
	if len(subs) == 0 {
		return
	}
	for _, v := range subs {
		n.session.subs = append(n.session.subs, v)
		w.addLoad(n.session, len(retainedTopics))
	}
	n.subs[id] = subs
	w.note("%s: SUBSCRIBE %d %+v id %d", c.id, id, p.Filters, p.SubID)
	n.send(p.Append(nil, c.version))
}

// enters makes the model's version of one subscription; a filter that is in the same packet already is refused.
func (c *client) enters(n *conn, f *codec.Subscription, subID uint32, subs *[]*sub) bool {
	for _, v := range *subs {
		if v.written == f.Filter {
			return false
		}
	}
	v := newSub(f, subID, c.w.step)
	v.conn, v.fresh = n, true
	if v.group != "" && n.session.active(v.written) == nil {
		n.session.groups++
	}
	for _, old := range n.session.subs {
		if old.written != f.Filter {
			continue
		}
		v.replaces = old
		if old.endedAt == 0 {
			v.fresh = false
		}
		if old.endSentAt == 0 {
			old.endSentAt = v.sentAt
		}
	}
	*subs = append(*subs, v)
	return true
}

func (c *client) unsubscribe() {
	w, n := c.w, c.conn
	if n == nil || !n.connected() || len(n.session.subs) == 0 {
		return
	}
	v := n.session.subs[w.rng.IntN(len(n.session.subs))]
	if v.endSentAt != 0 {
		return
	}
	v.endSentAt = w.step
	id := c.nextID()
	n.unsubs[id] = []*sub{v}
	p := codec.Unsubscribe{PacketID: id, Filters: []string{v.written}}
	w.note("%s: UNSUBSCRIBE %d %s", c.id, id, v.written)
	n.send(p.Append(nil, c.version))
}

// burst publishes a few messages.
func (w *world) burst(c *client) {
	n := c.conn
	if n == nil || !n.connected() {
		return
	}
	for range 1 + w.rng.IntN(w.pick(1, 3, 10)) {
		w.step++
		if !c.publish(n) {
			return
		}
		if w.chance(20) {
			w.someTurns()
			if c.conn != n {
				return
			}
		}
	}
}

// outsMax is how many messages a client has open; below every receive maximum that would close a connection.
const outsMax = 3

func (c *client) publish(n *conn) bool {
	w := c.w
	if n.sock.Untaken() > 1<<20 {
		return false // throttled
	}
	qos := uint8(w.rng.IntN(3))
	var m *message
	switch k := w.rng.IntN(10); {
	case k < 5:
		if qos > 0 && len(c.outs) >= outsMax {
			return false
		}
		m = w.newMessage(c, plainTopics[w.rng.IntN(len(plainTopics))], qos)
	case k < 8:
		i := w.rng.IntN(len(retainedTopics))
		qos = uint8(i % 3)
		if qos > 0 && len(c.outs) >= outsMax {
			return false
		}
		m = w.newMessage(c, retainedTopics[i], qos)
		m.retain = true
		if w.chance(15) {
			m.payload = nil
		}
	default:
		if qos > 0 && len(c.outs) >= outsMax {
			return false
		}
		m = w.newMessage(c, sharedTopics[w.rng.IntN(len(sharedTopics))], qos)
	}
	if c.version == codec.V5 && !m.retain && w.chance(10) {
		m.expires = w.net.Clock.Now() + 4*second
	}
	m.session = n.session
	n.sendMessage(m, c.queue(m.publication), false)
	return true
}

// barrier lets everything come to rest, learns by PINGREQ what was handled, and checks what is due.
func (w *world) barrier() {
	w.settle()
	for _, c := range w.conns {
		if c.reading() {
			c.pings = append(c.pings, len(w.messages)-1)
			c.send(codec.AppendPingreq(nil))
		}
	}
	w.settle()
	w.note("quiet")
	for _, c := range w.clients {
		c.settled = true
		n := c.conn
		if n == nil || !n.reading() || w.halts() {
			continue
		}
		switch {
		case len(n.pings) > 0:
			w.fail("%s: no PINGRESP", c.id)
		case len(c.outs) > 0:
			w.fail("%s: no acknowledgement of %v", c.id, c.outs[0])
		case len(n.subs)+len(n.unsubs) > 0:
			w.fail("%s: no SUBACK or UNSUBACK", c.id)
		}
	}
	for _, c := range w.clients {
		if n := c.conn; n != nil && !n.connected() && !n.dead {
			w.fail("%s: no CONNACK", c.id)
		}
	}
	w.complete()
}

// pass lets time go by, with everything at rest.
func (w *world) pass(d int64) {
	w.note("%d seconds pass", d/second)
	end := w.net.Clock.Now() + d
	for _, c := range w.clients {
		m := c.pending
		if m == nil || m.dueAt == 0 || end < m.dueAt || (m.will != willArmed && !m.open) {
			continue
		}
		if m.sentAt == 0 {
			m.sentAt = w.step
		}
		switch {
		case end <= m.dueAt+second/5:
			m.will, m.open = willMay, true
		case m.open:
			m.open = false
		default:
			m.will = willMust
		}
		w.loadFor(m.topic)
	}
	w.step++
	w.advance(d)
	w.barrier()
}

// finish brings every client back, drains every session, checks that nothing is owed, and that the broker ends empty.
func (w *world) finish() {
	w.step++
	for _, c := range w.conns {
		c.dead, c.lazy = false, false
		c.sock.SetWindow(1 << 20)
	}
	w.barrier()
	for _, c := range w.clients {
		w.step++
		if c.conn == nil {
			c.connect()
			c.conn.dead = false
			w.settle()
		}
	}
	w.barrier()
	w.checkGroups()
	w.empty()
}

// checkGroups holds that each message reached one member of every shared group that surely had one.
func (w *world) checkGroups() {
	if w.disturbs() || w.queueLimit < 1000 || !w.sharedHurt && !w.qos0Sure {
		return
	}
	lossy := map[string]bool{} // groups that had a member at QoS 0
	w.eachSession(func(s *session) {
		for _, v := range s.subs {
			lossy[v.written] = lossy[v.written] || v.qos == 0
		}
	})
	for _, m := range w.messages {
		if m.sentAt == 0 || m.doneAt == 0 || m.maybe || m.expires != 0 || w.sharedHurt && (m.qos != 1 || w.cfg.UpgradeOutgoingQoS) {
			continue // what a member that left had at QoS 0 or 2 may be lost
		}
		sure := map[string]bool{}
		w.eachSession(func(s *session) {
			for _, v := range s.subs {
				if v.group != "" && v.matches(m.topic) && v.surely(m.sentAt, m.doneAt) && s.c.session == s && !(w.sharedHurt && (lossy[v.written] || v.endSentAt != 0)) {
					sure[v.written] = true
				}
			}
		})
		if m.shared < len(sure) {
			w.fail("%v reached %d members, but %d shared groups had some", m, m.shared, len(sure))
		}
	}
}

// empty ends every session and holds that nothing is left.
func (w *world) empty() {
	for _, c := range w.clients {
		w.step++
		c.version, c.mustBe = codec.V311, true
		c.connect()
		w.settle()
	}
	for _, topic := range retainedTopics {
		out := codec.PublishOut{Version: codec.V311, Topic: topic, Retain: true}
		w.clients[0].conn.send(out.Append(nil))
	}
	w.settle()
	for _, c := range w.clients {
		d := codec.Disconnect{}
		c.conn.send(d.Append(nil, c.version))
		c.conn.sock.Close()
		c.left(c.conn, true)
	}
	w.settle()
	w.advance(40 * second) // connections without CONNECT have their time
	s := w.snapshot()
	left := fmt.Sprintf("%d connections, %d clients, %d sessions, %d subscriptions, %d retained messages of %d bytes, %d sockets", s.Connections, s.Clients,
		s.Sessions, s.ActiveSubscriptions, s.RetainedMessages, s.RetainedBytes, w.net.Open())
	if left != "0 connections, 0 clients, 0 sessions, 0 subscriptions, 0 retained messages of 0 bytes, 0 sockets" {
		w.fail("left over: %s", left)
	}
}
