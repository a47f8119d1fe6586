package sim_test

import (
	"fmt"
	"slices"

	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/loop"
)

const expiryNever = ^uint32(0)

// client is one client identifier with what it keeps between connections.
type client struct {
	w       *world
	id      string
	version codec.Version
	expiry  uint32 // of its sessions, in seconds; 0: they end with the connection
	shares  bool   // it has shared subscriptions, and then none that overlaps them

	conn    *conn
	session *session // what it believes the broker has; nil: nothing
	// ghosts are its former sessions whose end may not be stored; haunted tells that a crash may have brought one back.
	ghosts  []*session
	haunted bool
	shaken  bool          // a crash may have lost session
	aging   bool          // its store may have an end of the session that counts from an earlier connection
	unsure  bool          // a CONNECT was sent whose fate is not known
	leftAt  int64         // Unix milliseconds, when the last connection ended
	goneBy  int64         // Unix milliseconds, when the broker surely knew; 0: not known
	gone    bool          // goneBy is stored
	outs    []*outMessage // on their way to the broker, in the order of sending
	lastID  uint16
	seqs    [3]int
	will    *message // of a connection that has ended, while it may still come

	probe map[string]*message // a probe's: the retained message it got for each topic
}

// outMessage is a message on its way to the broker.
type outMessage struct {
	m        *message
	id       uint16
	released bool // PUBREC came
}

// conn is one connection, as its client sees it.
type conn struct {
	client     *client
	session    *session
	sock       *loop.SimSocket
	buf        []byte
	dialedAt   int64 // Unix milliseconds
	present    int   // what CONNACK must say: 0, 1, or -1 for either
	connected  bool
	over       bool
	overtaken  bool
	dead       bool  // does not read
	lazy       bool  // keeps acknowledgements back until a flush
	brief      bool  // its session ends with it
	emptyAt    int64 // Unix milliseconds, when it had surely read everything
	receiveMax int
	recorded   bool // the store has that it was connected
	life       int  // of the broker
	inflight   map[uint16]bool
	acks       []byte
	will       *message
	subs       map[uint16][]*sub
	unsubs     map[uint16]*sub
}

func newClient(w *world, i int) *client {
	k := &client{w: w, id: fmt.Sprintf("c%d", i), version: codec.V311, expiry: expiryNever, shares: w.chance(30)}
	if w.chance(60) {
		k.version = codec.V5
		k.expiry = [...]uint32{3, 30, 1000, 1000, expiryNever}[w.pick(0, 1, 2, 3, 4)]
	}
	if w.chance(15) {
		k.expiry = 0
	}
	return k
}

// connect sends CONNECT; over a connection that is still there it is a take-over.
func (k *client) connect() {
	w := k.w
	if k.unsure {
		w.settle() // two CONNECTs on their way have no order
	}
	clean := k.expiry == 0 && (k.version == codec.V311 || w.chance(50)) || w.chance(10)
	c := &conn{client: k, life: w.lives, sock: w.net.Dial(w.listener), dialedAt: w.now(), emptyAt: w.now(), inflight: map[uint16]bool{}, subs: map[uint16][]*sub{}, unsubs: map[uint16]*sub{}}
	c.present = k.expectPresent(clean)
	taken := k.conn != nil
	if taken {
		k.conn.overtaken = true
		k.left(k.conn, false)
	}
	if m := k.will; m != nil {
		if m.will == willWaits || m.leftAt > w.drainedAt {
			m.will = willMay // the new connection may be in time, or come before the DISCONNECT
		}
		k.will = nil
	}
	p := codec.Connect{CleanStart: clean, ClientID: k.id, RequestProblemInfo: true}
	if k.version == codec.V5 {
		c.brief = k.expiry == 0 || w.chance(5)
		if !c.brief {
			p.HasSessionExpiry, p.SessionExpiry = true, k.expiry
		}
		c.receiveMax = w.pick(0, 0, 1, 3)
		p.ReceiveMaximum = uint16(c.receiveMax)
	} else {
		c.brief = clean
	}
	if w.chance(40) {
		c.will = w.newMessage(k, "w/"+k.id, uint8(w.rng.IntN(3)))
		c.will.isWill = true
		p.HasWill = true
		p.Will = codec.Will{QoS: c.will.qos, Topic: c.will.topic, Payload: c.will.payload}
		if k.version == codec.V5 {
			c.will.delay = int64(w.pick(0, 2, 5, 5, 60))
			p.Will.DelaySeconds = uint32(c.will.delay)
		}
	}
	if clean {
		k.endSession()
	}
	if k.session != nil && c.brief {
		k.session.letGo()
	}
	c.lazy = w.chance(40)
	if w.chance(20) {
		c.sock.SetWindow(w.pick(50, 300, 2000))
	}
	k.conn, k.unsure = c, true
	w.conns = append(w.conns, c)
	c.sock.Write(p.Append(nil, k.version))
	w.note("%s: CONNECT v%d clean=%v brief=%v expiry=%d receive=%d present=%d over=%v will=%v", k.id, k.version, clean, c.brief, k.expiry, c.receiveMax, c.present, taken, c.will)
}

// expectPresent is what CONNACK must say about the session.
func (k *client) expectPresent(clean bool) int {
	s, w := k.session, k.w
	if clean {
		return 0
	}
	if s == nil {
		if k.haunted || k.unsure {
			return -1
		}
		return 0
	}
	expires := int64(s.expiry) * 1000
	switch {
	case k.unsure || k.haunted || k.shaken:
		return -1
	case k.conn != nil && s.brief:
		return 0
	case k.conn != nil || s.expiry == expiryNever || w.now() < k.leftAt+expires-10:
		return 1
	case k.goneBy != 0 && w.now() > max(k.goneBy+expires, w.bornAt)+1000:
		return 0
	}
	return -1
}

// left notes that a connection has ended.
func (k *client) left(c *conn, polite bool) {
	w := k.w
	c.over = true
	k.conn, k.leftAt, k.goneBy, k.gone = nil, w.now(), 0, false
	k.aging = !c.recorded && k.expiry != expiryNever
	if k.session != nil {
		k.session.open = map[uint16]*message{} // acknowledgements that were not sent are not owed any more
		if c.brief && c.connected && !c.overtaken {
			k.endSession()
		}
	}
	k.haunted = k.haunted || !c.connected && c.present != 1 // there may be a session that the client knows nothing of
	m := c.will
	if m == nil {
		return
	}
	k.will = m
	m.leftAt, m.leftWall = w.step, w.now()
	switch {
	case !c.connected || c.overtaken:
		m.will = willMay
	case polite:
		m.will = willNever
	case m.delay == 0 || c.brief || !w.safe || !c.recorded:
		m.will = willMay
	default:
		m.will = willWaits
		if k.expiry != expiryNever {
			m.delay = min(m.delay, int64(k.expiry))
		}
	}
}

// crashed notes the end of the broker's life.
func (k *client) crashed() {
	w := k.w
	c := k.conn
	online := c != nil
	if online {
		if !c.dead && w.chance(50) {
			c.run(1 << 30) // what came before it
		}
		if k.conn == c {
			k.left(c, false)
		}
	}
	if m := k.will; m != nil && m.will == willNever && m.leftAt > w.drainedAt {
		m.will = willMay // that it was taken back may not be stored
	}
	if s := k.session; s != nil && s.brief {
		k.endSession()
	}
	k.haunted = k.haunted || len(k.ghosts) > 0
	s := k.session
	if s == nil {
		return
	}
	if !s.stored || k.aging {
		k.shaken = true
	}
	if s.expiry != expiryNever && !online && w.now() > k.leftAt+int64(s.expiry)*1000-10 {
		k.haunted = true // it may have ended, and that may not be stored
		s.debts = nil
	}
	if !w.safe {
		if len(s.debts) > 0 {
			kept := s.debts[:0]
			for _, m := range s.debts {
				if m.ackedAt <= w.drainedAt {
					kept = append(kept, m)
				}
			}
			s.debts = kept
		}
		for _, v := range s.subs {
			if v.ackedAt > w.drainedAt {
				v.ackedAt = 0
			}
			if v.endedAt > w.drainedAt {
				v.endedAt = 0
			}
		}
	}
}

// endSession forgets the session that the broker has no more, or will not have once it has read what was sent.
func (k *client) endSession() {
	kept := k.outs[:0]
	for _, o := range k.outs {
		if o.m.qos == 1 {
			kept = append(kept, o) // sent again, whatever session there is
		} else {
			o.m.goneAt = k.w.step
		}
	}
	k.outs = kept
	k.shaken = false
	s := k.session
	if s == nil {
		return
	}
	for _, v := range s.subs {
		if v.endSentAt == 0 {
			v.endSentAt = k.w.step
		}
	}
	s.debts = nil
	if !s.unstored {
		k.ghosts = append(k.ghosts, s)
	}
	k.session = nil
}

// revive makes a session of which it is not known which of the former ones it is.
func (k *client) revive() {
	s := newSession(k)
	for _, old := range append(k.ghosts, k.session) {
		if old == nil {
			continue
		}
		for _, v := range old.subs {
			again := *v
			again.ackedAt = 0
			if again.endSentAt == 0 {
				again.endSentAt = k.w.step
			}
			again.endedAt = 0
			s.subs = append(s.subs, &again)
		}
	}
	for _, o := range k.outs {
		o.m.unsure = true // what it was told of these may have been forgotten with the session that it was told by
	}
	s.revived = true
	if k.session != nil {
		s.rx, s.rxOn = k.session.rx, k.session.rxOn
	}
	k.session = s
}

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
		if !c.over && (!c.lazy || n == 1<<30 && c.client.w.chance(30)) {
			worked = c.flushAcks() || worked
		}
	}
	if k := c.client; c.sock.Ended() && !c.over {
		if c.connected || k.w.now() < c.dialedAt+29_000 {
			k.w.fail("%s: the broker closed the connection", k.id)
		}
		k.w.note("%s: no CONNACK in connect_timeout", k.id) // the store did not move
		k.left(c, false)
	}
	return worked
}

func (c *conn) flushAcks() bool {
	if len(c.acks) == 0 {
		return false
	}
	c.send(c.acks)
	c.acks = c.acks[:0]
	clear(c.client.session.open)
	c.client.w.moves++
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
		body := slices.Clone(c.buf[n : n+h.Remaining])
		c.buf = append(c.buf[:0], c.buf[n+h.Remaining:]...)
		c.client.w.step++
		if err := c.packet(h, body); err != nil {
			c.client.w.fail("%s: bad %v from the broker: %v (% x)", c.client.id, h.Type, err, body)
		}
	}
}

func (c *conn) packet(h codec.Header, body []byte) error {
	w, v := c.client.w, c.client.version
	if !c.connected && h.Type != codec.TypeConnack {
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
	case codec.TypeDisconnect:
		var d codec.Disconnect
		if err := d.Decode(h, body, v); err != nil {
			return err
		}
		w.note("%s: DISCONNECT %#x from the broker", c.client.id, byte(d.Code))
	default:
		w.fail("%s: a %v from the broker", c.client.id, h.Type)
	}
	return nil
}

// connack links the connection with the session that the broker says it has.
func (c *conn) connack(p *codec.Connack) {
	k, w := c.client, c.client.w
	if c.connected || p.Code != codec.Success {
		w.fail("%s: CONNACK with code %#x", k.id, byte(p.Code))
	}
	w.note("%s: CONNACK present=%v", k.id, p.SessionPresent)
	if present := map[bool]int{false: 0, true: 1}[p.SessionPresent]; c.present >= 0 && present != c.present {
		w.fail("%s: session present is %v", k.id, p.SessionPresent)
	}
	if c.will != nil {
		c.will.sentAt = w.step
	}
	switch {
	case !p.SessionPresent:
		k.endSession()
		k.session = newSession(k)
	case k.session == nil || k.haunted:
		k.revive()
	}
	if p.SessionPresent {
		k.session.conns++
	}
	c.connected = true
	k.unsure, k.shaken, k.haunted = false, false, false
	s := k.session
	c.session = s
	s.conns++
	s.brief, s.expiry = c.brief, k.expiry
	s.stored, s.unstored = false, false
	if w.safe { // CONNACK came when the store had what it says
		k.ghosts, k.aging, c.recorded = nil, false, true
		s.stored, s.unstored = !s.brief, s.brief
	}
	if s.brief {
		s.expiry = 0
		s.letGo()
	}
	if s.owedFrom == owedNever {
		s.owedFrom = w.step
	}
	for _, o := range k.outs {
		c.resend(o)
	}
}

// resend repeats what the broker has not acknowledged [MQTT-4.4.0-1].
func (c *conn) resend(o *outMessage) {
	if o.released {
		c.client.w.note("%s -> PUBREL %d again", c.client.id, o.id)
		c.send(codec.AppendAck(nil, codec.TypePubrel, c.client.version, o.id, codec.Success))
		return
	}
	c.sendMessage(o.m, o.id, true)
}

// sendMessage writes one PUBLISH.
func (c *conn) sendMessage(m *message, id uint16, dup bool) {
	w := c.client.w
	if m.sentAt == 0 {
		m.sentAt, m.sentFor = w.step, c.session
		m.expiresFrom = w.now() + int64(m.expiry)*1000
	}
	if m.sentFor != c.session {
		m.sentFor = nil
	}
	m.sends++
	m.sentOn = c
	out := codec.PublishOut{Version: c.client.version, Dup: dup, QoS: m.qos, Retain: m.retain, Topic: m.topic, PacketID: id, Payload: m.payload}
	out.HasExpiry, out.Expiry = m.expiry > 0, m.expiry
	w.note("%s -> %v id%d dup=%v retain=%v expiry=%d", c.client.id, m, id, dup, m.retain, m.expiry)
	c.send(out.Append(nil))
}

func (c *conn) publish(p *codec.Publish) {
	k, w := c.client, c.client.w
	if p.QoS > 0 {
		c.inflight[p.PacketID] = true
		if c.receiveMax > 0 && len(c.inflight) > c.receiveMax {
			w.fail("%s: %d deliveries in flight, receive maximum is %d", k.id, len(c.inflight), c.receiveMax)
		}
	}
	if len(p.Payload) == 0 {
		if p.Topic[:2] != "r/" || p.Retain && k.probe != nil {
			w.fail("%s: an empty message on %q, which nobody sent", k.id, p.Topic)
		}
		w.note("%s <- clear %s q%d id%d dup=%v", k.id, p.Topic, p.QoS, p.PacketID, p.Dup)
		if p.QoS == 2 {
			k.session.rx[p.PacketID], k.session.rxOn[p.PacketID] = &message{topic: p.Topic, clearing: true}, c
		}
	} else {
		m := w.messageOf(p.Payload)
		w.note("%s <- %v q%d id%d dup=%v retain=%v", k.id, m, p.QoS, p.PacketID, p.Dup, p.Retain)
		if m.topic != p.Topic {
			w.fail("%s: %v came on topic %q", k.id, m, p.Topic)
		}
		w.checkExpiry(c, m, p)
		if k.probe != nil {
			if have := k.probe[m.topic]; p.Retain && have != nil && have != m {
				w.fail("%s: two retained messages of one topic, %v and %v", k.id, have, m)
			}
			if p.Retain {
				k.probe[m.topic] = m
			}
		} else {
			w.received(c, m, p)
		}
	}
	switch p.QoS {
	case 1:
		delete(c.inflight, p.PacketID)
		c.acks = codec.AppendAck(c.acks, codec.TypePuback, k.version, p.PacketID, codec.Success)
	case 2:
		c.acks = codec.AppendAck(c.acks, codec.TypePubrec, k.version, p.PacketID, codec.Success)
	}
}

func (c *conn) ack(a *codec.Ack) {
	k, w := c.client, c.client.w
	if a.Code >= 0x80 {
		w.fail("%s: %v %d with code %#x", k.id, a.Type, a.PacketID, byte(a.Code))
	}
	switch a.Type {
	case codec.TypePubrel:
		w.note("%s <- PUBREL %d", k.id, a.PacketID)
		delete(k.session.rx, a.PacketID)
		delete(c.inflight, a.PacketID)
		c.acks = codec.AppendAck(c.acks, codec.TypePubcomp, k.version, a.PacketID, codec.Success)
		return
	case codec.TypePubrec:
		for _, o := range k.outs {
			if o.id != a.PacketID || o.m.qos != 2 {
				continue
			}
			if !o.released {
				w.note("%s: PUBREC of %v", k.id, o.m)
				o.released = true
				c.acks = codec.AppendAck(c.acks, codec.TypePubrel, k.version, a.PacketID, codec.Success)
			}
			return
		}
		w.fail("%s: PUBREC for %d, which is not open", k.id, a.PacketID)
	}
	for i, o := range k.outs {
		if o.id != a.PacketID {
			continue
		}
		if (a.Type == codec.TypePuback) != (o.m.qos == 1) || o.m.qos == 2 && !o.released {
			w.fail("%s: %v for %v", k.id, a.Type, o.m)
		}
		w.note("%s: %v of %v", k.id, a.Type, o.m)
		o.m.ackedAt, o.m.ackedWall = w.step, w.now()
		if w.safe {
			o.m.doneAt = w.step
			w.owe(o.m)
		}
		k.outs = slices.Delete(k.outs, i, i+1)
		return
	}
	w.fail("%s: %v for %d, which is not open", k.id, a.Type, a.PacketID)
}

func (c *conn) suback(a *codec.Suback) {
	k, w := c.client, c.client.w
	subs, have := c.subs[a.PacketID]
	if !have || len(a.Codes) != len(subs) {
		w.fail("%s: SUBACK %d with %d codes", k.id, a.PacketID, len(a.Codes))
	}
	delete(c.subs, a.PacketID)
	for i, v := range subs {
		if a.Codes[i] != v.qos {
			w.fail("%s: SUBACK for %s says %#x", k.id, v.written, a.Codes[i])
		}
		v.ackedAt = w.step
		v.replaces.end(w.step)
	}
	w.note("%s: SUBACK %d", k.id, a.PacketID)
}

func (c *conn) unsuback(a *codec.Unsuback) {
	v, have := c.unsubs[a.PacketID]
	if !have {
		c.client.w.fail("%s: UNSUBACK %d", c.client.id, a.PacketID)
	}
	delete(c.unsubs, a.PacketID)
	v.end(c.client.w.step)
	c.client.w.note("%s: UNSUBACK %d", c.client.id, a.PacketID)
}
