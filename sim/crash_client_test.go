package sim

import (
	"fmt"

	"github.com/noctulemq/noctule/codec"
)

// crashClient is one client identifier with what it keeps between connections.
type crashClient struct {
	identity
	w      *crashWorld
	expiry uint32 // of its sessions, in seconds; 0: they end with the connection

	conn    *crashConn
	session *crashSession // what it believes the broker has; nil: nothing
	// ghosts are its former sessions whose end may not be stored; haunted tells that a crash may have brought one back.
	ghosts  []*crashSession
	haunted bool
	shaken  bool          // a crash may have lost session
	aging   bool          // its store may have an end of the session that counts from an earlier connection
	unsure  bool          // a CONNECT was sent whose fate is not known
	leftAt  int64         // Unix milliseconds, when the last connection ended
	goneBy  int64         // Unix milliseconds, when the broker surely knew; 0: not known
	gone    bool          // goneBy is stored
	will    *crashMessage // of a connection that has ended, while it may still come

	probe map[string]*crashMessage // a probe's: the retained message it got for each topic
}

// crashConn is one connection, as its client sees it: the owner of its link.
type crashConn struct {
	link
	client    *crashClient
	session   *crashSession
	dialedAt  int64 // Unix milliseconds
	overtaken bool  // a newer CONNECT of the same identifier was sent
	brief     bool  // its session ends with it
	recorded  bool  // the store has that it was connected
	life      int   // of the broker
	inflight  map[uint16]bool
	will      *crashMessage
}

func newCrashClient(w *crashWorld, i int) *crashClient {
	k := &crashClient{w: w, identity: identity{id: fmt.Sprintf("c%d", i), version: codec.V311, shares: w.chance(30)}, expiry: expiryNever}
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
func (k *crashClient) connect() {
	w := k.w
	if k.unsure {
		w.settle() // two CONNECTs on their way have no order
	}
	clean := k.expiry == 0 && (k.version == codec.V311 || w.chance(50)) || w.chance(10)
	c := k.dial()
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
	w.conns = append(w.conns, &c.link)
	c.sock.Write(p.Append(nil, k.version))
	w.note("%s: CONNECT v%d clean=%v brief=%v expiry=%d receive=%d present=%d over=%v will=%v", k.id, k.version, clean, c.brief, k.expiry, c.receiveMax, c.present, taken, c.will)
}

func (k *crashClient) dial() *crashConn {
	c := &crashConn{client: k, life: k.w.lives, dialedAt: k.w.now(), inflight: map[uint16]bool{}}
	c.link = k.w.dial(&k.identity, c)
	return c
}

// expectPresent is what CONNACK must say about the session.
func (k *crashClient) expectPresent(clean bool) int {
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
func (k *crashClient) left(c *crashConn, polite bool) {
	w := k.w
	c.over = true
	k.conn, k.leftAt, k.goneBy, k.gone = nil, w.now(), 0, false
	k.aging = !c.recorded && k.expiry != expiryNever
	if k.session != nil {
		k.session.open = map[uint16]*crashMessage{} // acknowledgements that were not sent are not owed any more
		if c.brief && c.connected() && !c.overtaken {
			k.endSession()
		}
	}
	k.haunted = k.haunted || !c.connected() && c.present != 1 // there may be a session that the client knows nothing of
	m := c.will
	if m == nil {
		return
	}
	k.will = m
	m.leftAt, m.leftWall = w.step, w.now()
	switch {
	case !c.connected() || c.overtaken:
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
func (k *crashClient) crashed() {
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
func (k *crashClient) endSession() {
	kept := k.outs[:0]
	for _, o := range k.outs {
		if o.qos == 1 {
			kept = append(kept, o) // sent again, whatever session there is
		} else {
			k.w.messages[o.number].goneAt = k.w.step
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
func (k *crashClient) revive() {
	s := newCrashSession(k)
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
		k.w.messages[o.number].unsure = true // what it was told of these may have been forgotten with the session that it was told by
	}
	s.revived = true
	if k.session != nil {
		s.rx, s.rxOn = k.session.rx, k.session.rxOn
	}
	k.session = s
}

func (c *crashConn) run(n int) bool {
	worked := c.read(n)
	if !c.over && !c.dead && (!c.lazy || n == 1<<30 && c.client.w.chance(30)) {
		worked = c.flushAcks() || worked
	}
	if k := c.client; c.sock.Ended() && !c.over {
		if c.connected() || k.w.now() < c.dialedAt+29_000 {
			k.w.fail("%s: the broker closed the connection, code %#x", k.id, byte(c.code))
		}
		k.w.note("%s: no CONNACK in connect_timeout", k.id) // the store did not move
		k.left(c, false)
	}
	return worked
}

// flushAcks also notes what is not open any more.
func (c *crashConn) flushAcks() bool {
	if !c.link.flushAcks() {
		return false
	}
	clear(c.client.session.open)
	return true
}

func (c *crashConn) resume(present bool) {
	k, w := c.client, c.client.w
	if c.will != nil {
		c.will.sentAt = w.step
	}
	switch {
	case !present:
		k.endSession()
		k.session = newCrashSession(k)
	case k.session == nil || k.haunted:
		k.revive()
	}
	if present {
		k.session.conns++
	}
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
}

func (c *crashConn) repeat(o *outMessage) { c.sendMessage(c.client.w.messages[o.number], o.id, true) }

// sendMessage writes one PUBLISH.
func (c *crashConn) sendMessage(m *crashMessage, id uint16, dup bool) {
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
	out := codec.PublishOut{Version: c.version, Dup: dup, QoS: m.qos, Retain: m.retain, Topic: m.topic, PacketID: id, Payload: m.payload}
	out.HasExpiry, out.Expiry = m.expiry > 0, m.expiry
	w.note("%s -> %v id%d dup=%v retain=%v expiry=%d", c.id, m, id, dup, m.retain, m.expiry)
	c.send(out.Append(nil))
}

func (c *crashConn) publish(p *codec.Publish) {
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
			k.session.rx[p.PacketID], k.session.rxOn[p.PacketID] = &crashMessage{publication: &publication{topic: p.Topic}, clearing: true}, c
		}
	} else {
		m := w.messages[w.numberOf(p.Payload)]
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
	if p.QoS == 1 {
		delete(c.inflight, p.PacketID)
	}
}

func (c *crashConn) pubrel(id uint16) {
	delete(c.session.rx, id)
	delete(c.inflight, id)
}

func (c *crashConn) acked(number int) {
	w := c.client.w
	m := w.messages[number]
	m.ackedWall = w.now()
	if w.safe {
		m.doneAt = w.step
		w.owe(m)
	}
}
