package sim

import (
	"fmt"

	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/loop"
)

// client is one client identifier with what it remembers between connections.
type client struct {
	w        *world
	id       string
	version  codec.Version
	shares   bool // it has shared subscriptions, and then none that overlaps them
	conn     *conn
	session  *session   // the present incarnation
	sessions []*session // all incarnations
	outs     []*outMessage
	lastID   uint16
	seqs     [3]int
	leftAt   int64    // clock when the last connection ended
	settled  bool     // everything was quiet since then
	unsure   bool     // a CONNECT was sent whose fate is not known
	mustBe   bool     // with unsure: the next CONNECT must be clean
	pending  *message // a will whose delay runs, or whose cause a new CONNECT can overtake
}

// outMessage is a message on its way to the broker.
type outMessage struct {
	m        *message
	id       uint16
	released bool // PUBREL was sent
}

// conn is one connection, as its client sees it.
type conn struct {
	client  *client
	session *session
	sock    *loop.SimSocket
	buf     []byte

	clean       bool
	expiry      uint32
	present     int // what CONNACK must say: 0, 1, or -1 for either
	receiveMax  int
	will        *message
	connectedAt int
	over        bool
	overtaken   bool // a newer CONNECT of the same identifier was sent
	dead        bool // does not read
	lazy        bool // keeps acknowledgements back until a flush
	behind      bool // there may be old bytes to read
	aliases     map[uint16]string
	aliasMax    uint16
	pubAlias    map[string]uint16
	acks        []byte
	unacked     int // QoS 1 and 2 received and not finished
	subs        map[uint16][]*sub
	unsubs      map[uint16][]*sub
	pings       []int // number of the last message before each PINGREQ
	handled     int   // every message up to this number that was sent here has been handled
	code        codec.ReasonCode
}

func newClient(w *world, i int) *client {
	c := &client{w: w, id: fmt.Sprintf("c%d", i), version: codec.V5, shares: w.chance(30), settled: true}
	if w.chance(50) {
		c.version = codec.V311
	}
	return c
}

// reading reports whether the connection is up and its client reads.
func (c *conn) reading() bool { return !c.over && c.connectedAt != 0 && !c.dead }

func (c *conn) send(b []byte) { c.sock.Write(b) }

// run reads at most n bytes and handles the packets in them. It reports whether anything came.
func (c *conn) run(n int) bool {
	if c.over {
		return false
	}
	worked := false
	if !c.dead {
		b := c.sock.Read(n)
		worked = len(b) > 0
		c.buf = append(c.buf, b...)
		c.packets()
		if !c.lazy || n == 1<<30 {
			worked = c.flushAcks() || worked
		}
	}
	if c.sock.Ended() && !c.over {
		c.ended()
		return true
	}
	return worked
}

func (c *conn) flushAcks() bool {
	if len(c.acks) == 0 {
		return false
	}
	c.send(c.acks)
	c.acks = c.acks[:0]
	return true
}

// packets handles every whole packet.
func (c *conn) packets() {
	for !c.over {
		h, n, err := codec.DecodeHeader(c.buf)
		if err != nil {
			c.client.w.fail("%s: bad packet from the broker: %v", c.client.id, err)
		}
		if n == 0 || len(c.buf) < n+h.Remaining {
			return
		}
		body := append([]byte(nil), c.buf[n:n+h.Remaining]...)
		c.buf = append(c.buf[:0], c.buf[n+h.Remaining:]...)
		c.client.w.step++
		if err := c.packet(h, body); err != nil {
			c.client.w.fail("%s: bad %v from the broker: %v (% x)", c.client.id, h.Type, err, body)
		}
	}
}

func (c *conn) packet(h codec.Header, body []byte) error {
	w, v := c.client.w, c.client.version
	if c.connectedAt == 0 && h.Type != codec.TypeConnack {
		w.fail("%s: %v before CONNACK", c.client.id, h.Type)
	}
	switch h.Type {
	case codec.TypeConnack:
		var p codec.Connack
		if err := p.Decode(h, body, v); err != nil {
			return err
		}
		c.connack(&p)
	case codec.TypePublish:
		var p codec.Publish
		if err := p.DecodeFromServer(h, body, v); err != nil {
			return err
		}
		c.publish(&p)
	case codec.TypePuback, codec.TypePubrec, codec.TypePubrel, codec.TypePubcomp:
		var a codec.Ack
		if err := a.Decode(h, body, v); err != nil {
			return err
		}
		c.ack(&a)
	case codec.TypeSuback:
		var a codec.Suback
		if err := a.Decode(h, body, v); err != nil {
			return err
		}
		c.suback(&a)
	case codec.TypeUnsuback:
		var a codec.Unsuback
		if err := a.Decode(h, body, v); err != nil {
			return err
		}
		c.unsuback(&a)
	case codec.TypePingresp:
		if len(c.pings) == 0 {
			w.fail("%s: PINGRESP without PINGREQ", c.client.id)
		}
		c.handled = c.pings[0]
		c.pings = c.pings[1:]
	case codec.TypeDisconnect:
		var d codec.Disconnect
		if err := d.Decode(h, body, v); err != nil {
			return err
		}
		c.code = d.Code
	default:
		w.fail("%s: a %v from the broker", c.client.id, h.Type)
	}
	return nil
}

func (c *conn) publish(p *codec.Publish) {
	w := c.client.w
	if p.TopicAlias != 0 {
		switch {
		case p.TopicAlias > c.aliasMax:
			w.fail("%s: topic alias %d, at most %d was allowed", c.client.id, p.TopicAlias, c.aliasMax)
		case p.Topic != "":
			c.aliases[p.TopicAlias] = p.Topic
		}
		p.Topic = c.aliases[p.TopicAlias]
	}
	if len(p.Payload) == 0 {
		if len(p.Topic) < 2 || p.Topic[:2] != "r/" {
			w.fail("%s: an empty message on %q, which nobody sent", c.client.id, p.Topic)
		}
		w.note("%s <- clear %s q%d", c.client.id, p.Topic, p.QoS)
	} else {
		m := w.messageOf(p.Payload)
		if m.topic != p.Topic {
			w.fail("%s: %v came on topic %q", c.client.id, m, p.Topic)
		}
		if p.HasExpiry != (m.expires != 0 && c.client.version == codec.V5) {
			w.fail("%s: %v with expiry %v", c.client.id, m, p.HasExpiry)
		}
		w.received(c, m, p.QoS, p.PacketID, p.Dup, p.Retain, p.SubIDs)
	}
	c.answer(p)
}

// answer owes the acknowledgement.
func (c *conn) answer(p *codec.Publish) {
	if p.QoS == 0 {
		return
	}
	if len(p.Payload) == 0 && p.QoS == 2 {
		c.session.rx[p.PacketID] = nil
	}
	if c.receiveMax > 0 {
		if c.unacked++; c.unacked > c.receiveMax {
			c.client.w.fail("%s: %d deliveries in flight, receive maximum is %d", c.client.id, c.unacked, c.receiveMax)
		}
	}
	if p.QoS == 1 {
		c.unacked--
		c.acks = codec.AppendAck(c.acks, codec.TypePuback, c.client.version, p.PacketID, codec.Success)
		if c.lazy {
			c.unacked = min(c.unacked, c.receiveMax)
		}
		return
	}
	c.acks = codec.AppendAck(c.acks, codec.TypePubrec, c.client.version, p.PacketID, codec.Success)
}

func (c *conn) ack(a *codec.Ack) {
	w := c.client.w
	switch a.Type {
	case codec.TypePubrel:
		delete(c.session.rx, a.PacketID)
		c.unacked = max(0, c.unacked-1)
		c.acks = codec.AppendAck(c.acks, codec.TypePubcomp, c.client.version, a.PacketID, codec.Success)
		return
	case codec.TypePubrec:
		for _, o := range c.client.outs {
			if o.id == a.PacketID && o.m.qos == 2 {
				if o.released {
					return // the answer to a repetition
				}
				o.released = true
				c.acks = codec.AppendAck(c.acks, codec.TypePubrel, c.client.version, a.PacketID, codec.Success)
				return
			}
		}
		w.fail("%s: PUBREC for %d, which is not open", c.client.id, a.PacketID)
	}
	for i, o := range c.client.outs {
		if o.id != a.PacketID {
			continue
		}
		if (a.Type == codec.TypePuback) != (o.m.qos == 1) || o.m.qos == 2 && !o.released {
			w.fail("%s: %v for %v", c.client.id, a.Type, o.m)
		}
		o.m.ackedAt = w.step
		w.note("%s: %v of %v", c.client.id, a.Type, o.m)
		c.client.outs = append(c.client.outs[:i], c.client.outs[i+1:]...)
		return
	}
	w.fail("%s: %v for %d, which is not open", c.client.id, a.Type, a.PacketID)
}

func (c *conn) suback(a *codec.Suback) {
	w := c.client.w
	subs, have := c.subs[a.PacketID]
	if !have || len(a.Codes) != len(subs) {
		w.fail("%s: SUBACK %d with %d codes", c.client.id, a.PacketID, len(a.Codes))
	}
	delete(c.subs, a.PacketID)
	for i, v := range subs {
		if a.Codes[i] != v.qos {
			w.fail("%s: SUBACK for %s says %#x", c.client.id, v.written, a.Codes[i])
		}
		v.ackedAt = w.step
		v.replaces.end(w.step)
	}
	w.note("%s: SUBACK %d", c.client.id, a.PacketID)
}

func (c *conn) unsuback(a *codec.Unsuback) {
	subs, have := c.unsubs[a.PacketID]
	if !have {
		c.client.w.fail("%s: UNSUBACK %d", c.client.id, a.PacketID)
	}
	delete(c.unsubs, a.PacketID)
	for _, v := range subs {
		v.end(c.client.w.step)
	}
	c.client.w.note("%s: UNSUBACK %d", c.client.id, a.PacketID)
}

// connack links the connection with the session that the broker says it has.
func (c *conn) connack(p *codec.Connack) {
	k, w := c.client, c.client.w
	if c.connectedAt != 0 || p.Code != codec.Success {
		w.fail("%s: CONNACK with code %#x", k.id, byte(p.Code))
	}
	w.note("%s: CONNACK present=%v", k.id, p.SessionPresent)
	if present := map[bool]int{false: 0, true: 1}[p.SessionPresent]; c.present >= 0 && present != c.present {
		w.fail("%s: session present is %v", k.id, p.SessionPresent)
	}
	c.connectedAt = w.step
	k.unsure, k.mustBe = false, false
	if p.SessionPresent && k.session == nil {
		k.session = newSession(k) // of a CONNECT whose CONNACK was never seen
		k.sessions = append(k.sessions, k.session)
	}
	if !p.SessionPresent {
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
	for _, o := range k.outs {
		c.resend(o)
	}
}

// endSession forgets what belonged to the session that the broker no longer has.
func (k *client) endSession() {
	for _, o := range k.outs {
		o.m.gone = true
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

// resend repeats what the broker has not acknowledged [MQTT-4.4.0-1].
func (c *conn) resend(o *outMessage) {
	if o.released {
		c.send(codec.AppendAck(nil, codec.TypePubrel, c.client.version, o.id, codec.Success))
		return
	}
	c.sendMessage(o.m, o.id, true)
}

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
	out := codec.PublishOut{Version: c.client.version, Dup: dup, QoS: m.qos, Retain: m.retain, Topic: m.topic, PacketID: id, Payload: m.payload}
	if m.expires != 0 {
		now := w.net.Clock.Now()
		out.HasExpiry, out.Expiry = true, uint32(max(1, (m.expires-now+second-1)/second))
		if m.expiring == 0 {
			m.expiring = m.expires
		}
		m.expires = max(m.expires, now+second)
	}
	if c.client.version == codec.V5 && w.chance(30) {
		if a, known := c.pubAlias[m.topic]; known {
			out.TopicAlias, out.Topic = a, ""
		} else if len(c.pubAlias) < 3 {
			out.TopicAlias = uint16(len(c.pubAlias) + 1)
			c.pubAlias[m.topic] = out.TopicAlias
		}
	}
	w.note("%s -> %v id%d dup=%v alias %d", c.client.id, m, id, dup, out.TopicAlias)
	c.send(out.Append(nil))
}
