package sim

import (
	"fmt"

	"github.com/noctulemq/noctule/codec"
)

// client is one client identifier with what it remembers between connections.
type client struct {
	identity
	w        *world
	conn     *conn
	session  *session   // the present incarnation
	sessions []*session // all incarnations
	leftAt   int64      // clock when the last connection ended
	settled  bool       // everything was quiet since then
	unsure   bool       // a CONNECT was sent whose fate is not known
	mustBe   bool       // with unsure: the next CONNECT must be clean
	pending  *message   // a will whose delay runs, or whose cause a new CONNECT can overtake
}

// conn is one connection, as its client sees it: the owner of its link.
type conn struct {
	link
	client  *client
	session *session

	clean    bool
	expiry   uint32
	will     *message
	behind   bool // there may be old bytes to read
	aliases  map[uint16]string
	aliasMax uint16
	pubAlias map[string]uint16
	unacked  int // QoS 1 and 2 received and not finished
}

func newClient(w *world, i int) *client {
	c := &client{w: w, identity: identity{id: fmt.Sprintf("c%d", i), version: codec.V5, shares: w.chance(30)}, settled: true}
	if w.chance(50) {
		c.version = codec.V311
	}
	return c
}

func (c *conn) run(n int) bool {
	worked := c.read(n)
	if !c.over && !c.dead && (!c.lazy || n == 1<<30) {
		worked = c.flushAcks() || worked
	}
	if c.sock.Ended() && !c.over {
		c.ended()
		return true
	}
	return worked
}

func (c *conn) publish(p *codec.Publish) {
	w := c.client.w
	if p.TopicAlias != 0 {
		switch {
		case p.TopicAlias > c.aliasMax:
			w.fail("%s: topic alias %d, at most %d was allowed", c.id, p.TopicAlias, c.aliasMax)
		case p.Topic != "":
			c.aliases[p.TopicAlias] = p.Topic
		}
		p.Topic = c.aliases[p.TopicAlias]
	}
	if len(p.Payload) == 0 {
		if len(p.Topic) < 2 || p.Topic[:2] != "r/" {
			w.fail("%s: an empty message on %q, which nobody sent", c.id, p.Topic)
		}
		w.note("%s <- clear %s q%d", c.id, p.Topic, p.QoS)
	} else {
		m := w.messages[w.numberOf(p.Payload)]
		if m.topic != p.Topic {
			w.fail("%s: %v came on topic %q", c.id, m, p.Topic)
		}
		if p.HasExpiry != (m.expires != 0 && c.version == codec.V5) {
			w.fail("%s: %v with expiry %v", c.id, m, p.HasExpiry)
		}
		w.received(c, m, p.QoS, p.PacketID, p.Dup, p.Retain, p.SubIDs)
	}
	if p.QoS == 0 {
		return
	}
	if len(p.Payload) == 0 && p.QoS == 2 {
		c.session.rx[p.PacketID] = nil
	}
	if c.receiveMax > 0 {
		if c.unacked++; c.unacked > c.receiveMax {
			w.fail("%s: %d deliveries in flight, receive maximum is %d", c.id, c.unacked, c.receiveMax)
		}
	}
	if p.QoS == 1 {
		c.unacked--
		if c.lazy {
			c.unacked = min(c.unacked, c.receiveMax)
		}
	}
}

func (c *conn) pubrel(id uint16) {
	delete(c.session.rx, id)
	c.unacked = max(0, c.unacked-1)
}

func (c *conn) acked(int) {} // the step is all that its model needs

func (c *conn) resume(present bool) {
	k := c.client
	k.unsure, k.mustBe = false, false
	if present && k.session == nil {
		k.session = newSession(k) // of a CONNECT whose CONNACK was never seen
		k.sessions = append(k.sessions, k.session)
	}
	if !present {
		k.endSession()
		k.session = newSession(k)
		k.sessions = append(k.sessions, k.session)
	}
	s := k.session
	c.session = s
	s.conns++
	if c.present < 0 {
		s.conns++
	}
	s.expiry = c.expiry
	if c.will != nil {
		c.will.session = s
	}
}

// endSession forgets what belonged to the session that the broker no longer has.
func (k *client) endSession() {
	for _, o := range k.outs {
		k.w.messages[o.number].gone = true
	}
	k.outs = nil
	if k.session == nil {
		return
	}
	for _, v := range k.session.subs {
		if v.endSentAt == 0 {
			v.endSentAt = k.w.step
		}
		if v.endedAt == 0 {
			v.endedAt = k.w.step
		}
	}
	k.session.debts = nil
	k.session = nil
}

func (c *conn) repeat(o *outMessage) { c.sendMessage(c.client.w.messages[o.number], o.id, true) }

// sendMessage writes one PUBLISH.
func (c *conn) sendMessage(m *message, id uint16, dup bool) {
	w := c.client.w
	if m.sentAt == 0 {
		m.sentAt = w.step
	}
	m.sends++
	m.conn = c
	if m.session == nil {
		m.session = c.session
	}
	w.loadFor(m.topic)
	out := codec.PublishOut{Version: c.version, Dup: dup, QoS: m.qos, Retain: m.retain, Topic: m.topic, PacketID: id, Payload: m.payload}
	if m.expires != 0 {
		now := w.net.Clock.Now()
		out.HasExpiry, out.Expiry = true, uint32(max(1, (m.expires-now+second-1)/second))
		if m.expiring == 0 {
			m.expiring = m.expires
		}
		m.expires = max(m.expires, now+second)
	}
	if c.version == codec.V5 && w.chance(30) {
		if a, known := c.pubAlias[m.topic]; known {
			out.TopicAlias, out.Topic = a, ""
		} else if len(c.pubAlias) < 3 {
			out.TopicAlias = uint16(len(c.pubAlias) + 1)
			c.pubAlias[m.topic] = out.TopicAlias
		}
	}
	w.note("%s -> %v id%d dup=%v alias %d", c.id, m, id, dup, out.TopicAlias)
	c.send(out.Append(nil))
}
