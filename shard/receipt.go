package shard

import (
	"slices"
	"sync/atomic"

	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/persist"
)

// What a client is told about its message waits until every place that must keep the message has it on disk, or does not
// need it any more. A receipt counts these places, on all loops; the acknowledgements of a client go out in the order in
// which its packets came [MQTT-4.6.0-2] [MQTT-4.6.0-3] [MQTT-4.6.0-4].
//
// A QoS 2 message of a durable publisher is routed at PUBREL, and must reach its QoS 2 receivers exactly once even if the
// broker is killed in between. So their deliveries, of all loops, and the end of the publisher's own record are stored
// together: the deliveries are collected in the receipt's group, and are the last step, when everything else is stored.

// receipt is one acknowledgement that waits. It belongs to the loop of the publisher, but for pending, and msg while it
// travels.
type receipt struct {
	pending atomic.Int32 // places that have not answered; one more while the message is routed. Any thread
	msg     *Message     // one reference, for the loops that it is sent to; nil: none

	then func()   // called in place of sending an acknowledgement
	next *receipt // in the client's list, or the shard's unused ones
	// held is the message of a durable publisher's QoS 2 record that ends with the group, one reference, and publisher its
	// session's number; nil when there is none, or its end is being stored.
	held      *Message
	publisher uint64
	group     *group // of QoS 2 deliveries, from PUBREL on

	session sessionRef // the publisher's
	key     uint32     // the connection
	serial  uint32
	id      uint16
	kind    codec.Type
	code    codec.ReasonCode
	home    uint8
	whole   bool // everything but the group is stored
	ready   bool // everything is stored
	listed  bool // in the client's list
}

// group is deliveries that are stored together, by loop; each loop writes its own part, and the home reads them when
// pending says that all are complete.
type group struct{ parts [][]groupPart }

// takeGroup returns an empty group.
func (s *Shard) takeGroup() *group {
	if g := s.storage.group; g != nil {
		s.storage.group = nil
		return g
	}
	return &group{parts: make([][]groupPart, s.loops)}
}

// groupPart is one delivery.
type groupPart struct {
	op  persist.Op
	ref deliveryRef
	msg *Message // one reference, beside the op's
}

// acks is the acknowledgements that a connection waits for, in order. Loop thread only; at most
// `persistence_max_waiting`, then nothing more is read from the client.
type acks struct {
	first, last *receipt
	n           int
}

// newReceipt makes a receipt for a packet of c, or of nobody (nil), with one place pending: the routing itself. It is nil
// when acknowledgements do not wait.
func (s *Shard) newReceipt(c *client, kind codec.Type, id uint16) *receipt {
	if !s.storage.waits {
		return nil
	}
	r := s.storage.receipts
	if r == nil {
		r = &receipt{home: s.id}
	} else {
		s.storage.receipts, r.next = r.next, nil
	}
	r.pending.Store(1)
	r.kind, r.id = kind, id
	if c != nil {
		s.address(r, c)
	}
	return r
}

// address says whom a receipt goes to.
func (s *Shard) address(r *receipt, c *client) {
	r.key, r.serial = c.key, c.serial
	r.session = sessionRef{c.session.key, c.session.gen}
}

// await lists a receipt whose message has been routed with its client; an acknowledgement for which nothing has to be
// stored goes out at once. A nil receipt is sent as it is.
func (s *Shard) await(c *client, r *receipt, kind codec.Type, id uint16, code codec.ReasonCode) {
	if r == nil {
		s.sendAnswer(c, kind, id, code)
		return
	}
	r.code = code
	s.list(c, r)
	s.fulfil(r)
}

// list appends a receipt to those its client waits for.
func (s *Shard) list(c *client, r *receipt) {
	a := &c.acks
	r.listed = true
	if a.last == nil {
		a.first = r
	} else {
		a.last.next = r
	}
	a.last = r
	if a.n++; a.n >= s.cfg.Persistence.MaxWaiting && !c.waiting && c.conn != nil {
		c.waiting = true
		s.count.HeldWaiting++
		c.conn.Pause()
	}
}

// sendAnswer acknowledges a packet of a client behind what it waits for.
func (s *Shard) sendAnswer(c *client, kind codec.Type, id uint16, code codec.ReasonCode) {
	if c.acks.first == nil {
		s.sendAck(c, kind, id, code)
		return
	}
	r := s.newReceipt(c, kind, id)
	r.code, r.ready = code, true
	s.list(c, r)
}

// sendReady sends the acknowledgements at the head of a client's list that wait for nothing more.
func (s *Shard) sendReady(c *client) {
	a := &c.acks
	for r := a.first; r != nil && r.ready; r = a.first {
		if a.first = r.next; a.first == nil {
			a.last = nil
		}
		a.n--
		s.sendAck(c, r.kind, r.id, r.code)
		s.freeReceipt(r)
	}
	if c.waiting && a.n <= s.cfg.Persistence.MaxWaiting/2 {
		c.waiting = false
		s.readOn(c)
	}
}

// troubled takes note that trouble has begun, or that it is over.
func (s *Shard) troubled() {
	s.releaseHeld()
	if !s.broker.trouble.Load() {
		return
	}
	for i := range s.clients.made {
		switch c := s.clients.at(i); {
		case c.state == accepted:
			s.welcome(c, c.connack)
			s.readOn(c)
		case c.state == connected && c.conn != nil:
			s.refuseWaiting(c)
		}
	}
}

// refuseWaiting refuses the messages of a client for whose acknowledgement it waits. They may be stored and delivered all the
// same, when the disk allows; the client sends them again.
func (s *Shard) refuseWaiting(c *client) {
	var before *receipt
	for r := c.acks.first; r != nil; before, r = r, r.next {
		if r.ready || r.kind != codec.TypePuback && r.kind != codec.TypePubrec {
			continue
		}
		s.count.RefusedStoring++
		if c.version != codec.V5 {
			s.close(c, disconnectedBy(errStoring.Detail, errStoring.Code), true)
			return
		}
		refused := s.newReceipt(c, r.kind, r.id)
		refused.code, refused.ready, refused.listed, refused.next = codec.QuotaExceeded, true, true, r.next
		if before == nil {
			c.acks.first = refused
		} else {
			before.next = refused
		}
		if c.acks.last == r {
			c.acks.last = refused
		}
		r.listed, r.next = false, nil
		if r.kind == codec.TypePubrec {
			s.dropHeld(c.session, r)
		}
		r = refused
	}
	s.sendReady(c)
}

// dropHeld forgets a QoS 2 message whose PUBREC refuses it.
func (s *Shard) dropHeld(ss *session, r *receipt) {
	if i := ss.in.find(r.id); i >= 0 && ss.in.held[i].receipt == r {
		s.unstoreInbound(ss, &ss.in.held[i])
		s.unkeep(ss.in.take(i))
	}
}

// dropAcks forgets what a connection that ends waited for.
func (s *Shard) dropAcks(c *client) {
	for r := c.acks.first; r != nil; {
		next := r.next
		r.listed, r.next = false, nil
		if r.ready {
			s.freeReceipt(r)
		}
		r = next
	}
	c.acks = acks{}
}

func (s *Shard) freeReceipt(r *receipt) {
	*r = receipt{home: r.home, next: s.storage.receipts}
	s.storage.receipts = r
}

// fulfil takes one place off a receipt, on any loop. nil is allowed.
func (s *Shard) fulfil(r *receipt) {
	if r == nil || r.pending.Add(-1) != 0 {
		return
	}
	if r.home != s.id {
		s.post(int(r.home), mailComplete, 0, r)
		return
	}
	s.complete(r)
}

// complete handles a receipt that no place is pending for, on its home loop.
func (s *Shard) complete(r *receipt) {
	if r.msg != nil {
		r.msg.Release()
		r.msg = nil
	}
	if r.held != nil {
		s.storeGroups(r)
		return
	}
	s.endGroup(r)
	if r.then != nil {
		then := r.then
		s.freeReceipt(r)
		then()
		return
	}
	if ss := s.lookup(r.session.key, r.session.gen); ss != nil {
		ss.in.answered(s, r)
	}
	r.ready = true
	if !r.listed {
		s.freeReceipt(r)
		return
	}
	s.sendReady(s.clients.at(r.key))
}

// storeGroups stores the group of a receipt for which nothing else is pending, when those of its publisher's earlier PUBRELs
// are stored, and then those that waited for it.
func (s *Shard) storeGroups(r *receipt) {
	r.whole = true
	ss := s.lookup(r.session.key, r.session.gen)
	if ss == nil || ss.in == nil || !slices.Contains(ss.in.releases, r) {
		s.storeGroup(r) // the session has ended
		return
	}
	n := 0
	for _, first := range ss.in.releases {
		if !first.whole {
			break
		}
		s.storeGroup(first)
		n++
	}
	ss.in.releases = slices.Delete(ss.in.releases, 0, n)
}

// storeGroup stores the deliveries of a receipt's group and the end of the publisher's record, together.
func (s *Shard) storeGroup(r *receipt) {
	b := s.batchFor(true)
	for home, part := range r.group.parts {
		for i := range part {
			p := &part[i]
			if home != int(s.id) {
				s.change(b, p.op, nil)
				continue
			}
			p.msg.Release()
			ss := s.lookup(p.ref.key, p.ref.gen)
			if ss == nil || ss.out == nil || ss.number != p.op.Session {
				p.op.Message.Release()
				continue
			}
			if _, d := ss.out.bySeq(p.ref.seq); d == nil {
				p.op.Message.Release()
			} else {
				p.op.PacketID = d.id // it may have moved up
				d.place = s.change(b, p.op, nil)
				b.gated = append(b.gated, p.ref)
			}
		}
	}
	own := &r.group.parts[s.id]
	clear(*own)
	*own = (*own)[:0]
	m := r.held
	r.held = nil
	s.change(b, deleteInbound(r.publisher, r.id, m), r)
	m.Release()
}

// endGroup tells the other loops of a group that is stored.
func (s *Shard) endGroup(r *receipt) {
	if r.group == nil {
		return
	}
	elsewhere := false
	for i, part := range r.group.parts {
		if len(part) > 0 {
			elsewhere = true
			s.post(i, mailGrouped, 0, r.group)
		}
	}
	if !elsewhere {
		s.storage.group = r.group
	}
	r.group = nil
}

// grouped lets this loop's part of a group go that is stored. What is finished already is deleted.
func (s *Shard) grouped(g *group) {
	part := g.parts[s.id]
	refs := make([]deliveryRef, 0, len(part))
	for i := range part {
		p := &part[i]
		if ss := s.lookup(p.ref.key, p.ref.gen); ss != nil && ss.out != nil && ss.number == p.op.Session {
			if _, d := ss.out.bySeq(p.ref.seq); d != nil {
				d.place = placeGiven
				if p.msg.Release(); d.id == p.op.PacketID {
					refs = append(refs, p.ref)
				} else {
					s.storeRenumbered(ss, d)
				}
				continue
			}
		}
		s.unstoreAt(placeGiven, p.op.Session, p.op.Seq, p.msg)
		p.msg.Release()
	}
	s.ungate(refs)
}

// receiveReceipt routes a publication from another loop, which waits for its receipt, to our sessions.
func (s *Shard) receiveReceipt(r *receipt) {
	p := &s.pub
	p.load(r.msg, s.loop.Now())
	p.receipt = r
	s.routeLocal(p, s.routeOf(p))
	p.reset()
	s.fulfil(r)
}

// sendWith lets another loop have a publication and its receipt.
func (r *receipt) sendWith(m *Message) *receipt {
	if r.msg == nil {
		r.msg = m.Retain()
	}
	r.pending.Add(1)
	return r
}
