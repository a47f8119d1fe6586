package shard

import (
	"cmp"
	"slices"
	"sort"
	"strings"
	"sync/atomic"

	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/config"
	"github.com/noctulemq/noctule/loop"
	"github.com/noctulemq/noctule/persist"
)

// What a shard wants stored is collected in batches. A change that somebody waits for is urgent: its batch goes to the store
// at the end of the turn, or when the one before it is stored, so that all who wait meanwhile share one commit. A delivery
// that was sent to a connected client at QoS 1 is likely to be acknowledged soon and then needs no disk at all: it goes into
// the young batch, which becomes the old one after a while and is stored after another. What is finished in a batch that
// was not given away is taken out of it again.
//
// Changes of one record keep their order: while the first one is in a batch that was not given away, it is changed in
// place; afterwards the next one goes into a later batch.

const (
	// storeLag is how long a change waits in the young batch, and again in the old one, in nanoseconds of the loop's
	// clock; storeLagFast is the same where nobody waits for the store.
	storeLag     = 10e6
	storeLagFast = 50e6
	// storeBytes is how much may wait for the store or be under way to it before publishers are not read from.
	storeBytes = 8 << 20
	// changeBytes is what a change counts beside the message it brings.
	changeBytes = 64
)

// place is where a change stands: the number of its batch above its position.
type place uint64

const (
	placeBits  = 20
	placeLimit = 1<<placeBits - 1 // the most changes in a batch

	// Batches are numbered from 1.
	placeGiven   place = 1 // with the store
	placeGrouped place = 2 // in the group of a receipt
)

// batch is changes that are stored together. Loop thread only, but for stored.
type batch struct {
	persist.Batch
	// waiting is who waits for each of Ops, one obligation each; nil: nobody. late waits for the whole batch.
	waiting, late []*receipt
	gated         []deliveryRef       // to be let go when the batch is stored
	ended         map[string]struct{} // the client identifiers whose session's record it deletes
	number        uint64
	live          int // Ops that do anything
	bytes         int64
	stored        atomic.Bool // set by the store's thread
}

// deliveryRef names a delivery of a session of this loop.
type deliveryRef struct {
	sessionRef
	seq uint64
}

// storage is a shard's way to the store. Loop thread only.
type storage struct {
	store persist.Store // nil: nothing is stored
	waits bool          // acknowledgements wait for it
	lag   int64

	urgent, young, old *batch
	due                bool // old is to be stored
	flush              bool // and young, because a session that has changes there went away: what it gets now is urgent, and comes later
	underWay           []*batch
	spare              []*batch
	number             uint64
	bytes              int64 // of all of them
	full               bool  // bytes was above storeBytes and is not below half of it since
	agesAt             int64 // when the batches grow older; 0: nothing is in them

	// retained has the changes of retained messages in batches that were not given away, by topic, so that a topic that changes
	// often is in each once. A key is in the memory of the change's message.
	retained map[string]place
	receipts *receipt // unused ones
	changing *receipt // of the SUBSCRIBE or UNSUBSCRIBE in hand
	group    *group   // an unused one; may be nil
}

func (s *Shard) initStorage() {
	st := &s.storage
	st.store = s.broker.store
	if st.store == nil {
		return
	}
	st.waits = s.cfg.Persistence.Commit != config.Fast
	st.lag = storeLag
	if !st.waits {
		st.lag = storeLagFast
	}
	st.retained = make(map[string]place)
	st.urgent, st.young, st.old = s.newBatch(), s.newBatch(), s.newBatch()
}

func (s *Shard) newBatch() *batch {
	st := &s.storage
	var b *batch
	if n := len(st.spare); n > 0 {
		b = st.spare[n-1]
		st.spare = st.spare[:n-1]
	} else {
		b = &batch{}
		b.Done = func() {
			b.stored.Store(true)
			s.loop.Submit(loop.Mail{Kind: mailNudge}) // refused only when a turn is due anyway
		}
	}
	s.renumber(b)
	return b
}

// change adds a change to a batch; op holds a reference of its Message. r, which may be nil, waits for it.
func (s *Shard) change(b *batch, op persist.Op, r *receipt) place {
	st := &s.storage
	at := len(b.Ops)
	b.Ops = append(b.Ops, op)
	b.waiting = append(b.waiting, r)
	b.live++
	if r != nil {
		r.pending.Add(1)
	}
	size := changeSize(&op)
	b.bytes += size
	if st.bytes += size; st.bytes > storeBytes {
		st.full = true
	}
	if b == st.young && at == 0 {
		s.armStorage()
	}
	return place(b.number<<placeBits | uint64(at))
}

// changeSize is what a change counts against storeBytes.
func changeSize(op *persist.Op) int64 {
	n := int64(changeBytes)
	if m, ok := op.Message.(*Message); ok && op.Ref == 1 {
		n += m.size()
	}
	return n
}

// batchFor is where a change goes: urgent or not.
func (s *Shard) batchFor(urgent bool) *batch {
	st := &s.storage
	if (!urgent || !st.waits) && len(st.young.Ops) < placeLimit/2 {
		return st.young
	}
	if len(st.urgent.Ops) >= placeLimit {
		st.urgent = s.give(st.urgent)
	}
	return st.urgent
}

// open returns the change at p and its batch, nil when it was given away.
func (s *Shard) open(p place) (*batch, *persist.Op) {
	st := &s.storage
	number, at := uint64(p>>placeBits), int(p&placeLimit)
	switch {
	case number == 0:
		return nil, nil
	case number == st.urgent.number:
		return st.urgent, &st.urgent.Ops[at]
	case number == st.young.number:
		return st.young, &st.young.Ops[at]
	case number == st.old.number:
		return st.old, &st.old.Ops[at]
	}
	return nil, nil
}

// withdraw takes a change out of a batch that was not given away; who waited for it waits no longer.
func (s *Shard) withdraw(b *batch, p place) {
	at := int(p & placeLimit)
	op := &b.Ops[at]
	size := changeSize(op)
	b.bytes -= size
	s.storage.bytes -= size
	if op.Message != nil {
		op.Message.Release()
	}
	*op = persist.Op{}
	b.live--
	if r := b.waiting[at]; r != nil {
		b.waiting[at] = nil
		s.fulfil(r)
	}
	if b.live == 0 && len(b.Ops) >= emptyBatchOps && b != s.storage.urgent {
		s.emptyBatch(b)
	}
}

// emptyBatchOps is how many withdrawn changes a batch may have before they are cleared out.
const emptyBatchOps = 256

func (s *Shard) armStorage() {
	if st := &s.storage; st.agesAt == 0 {
		st.agesAt = s.loop.Now() + st.lag
		s.loop.Alarm(st.agesAt)
	}
}

// storageDue lets the batches grow older.
func (s *Shard) storageDue() {
	st := &s.storage
	st.agesAt = 0
	s.loop.Alarm(0)
	if st.old.live > 0 {
		st.due = true
	} else {
		s.emptyBatch(st.old)
		st.old, st.young = st.young, st.old
		s.renumber(st.young)
	}
	if st.old.live > 0 || len(st.young.Ops) > 0 {
		s.armStorage()
	}
}

// emptyBatch forgets changes of which none does anything any more.
func (s *Shard) emptyBatch(b *batch) {
	s.storage.bytes -= b.bytes
	b.bytes, b.live = 0, 0
	clear(b.Ops)
	clear(b.waiting)
	clear(b.late)
	b.ended = nil
	b.Ops, b.waiting, b.late, b.gated = b.Ops[:0], b.waiting[:0], b.late[:0], b.gated[:0]
	s.renumber(b)
}

func (s *Shard) renumber(b *batch) {
	s.storage.number++
	b.number = s.storage.number
}

// runStorage runs at the end of a turn: it takes note of what was stored, and gives away what is due.
func (s *Shard) runStorage() {
	st := &s.storage
	if st.agesAt != 0 && st.agesAt <= s.loop.Now() {
		s.storageDue()
	}
	for len(st.underWay) > 0 && st.underWay[0].stored.Load() {
		b := st.underWay[0]
		st.underWay = slices.Delete(st.underWay, 0, 1)
		s.batchStored(b)
	}
	if len(st.underWay) > 0 {
		return
	}
	if st.due || st.flush || st.bytes > storeBytes/2 {
		if st.old.live > 0 {
			st.old = s.give(st.old)
		}
		if (st.flush || st.bytes > storeBytes/2) && st.young.live > 0 {
			st.young = s.give(st.young)
		}
		st.due, st.flush = false, false
	}
	switch b := st.urgent; {
	case b.live > 0 || len(b.late) > 0:
		st.urgent = s.give(b)
	case len(b.Ops) > 0:
		s.emptyBatch(b)
	}
}

// give hands a batch to the store and returns an empty one.
func (s *Shard) give(b *batch) *batch {
	st := &s.storage
	st.underWay = append(st.underWay, b)
	clear(st.retained) // puts in batches that stay are found by nobody; their records are written twice, in order
	next := s.newBatch()
	st.store.Commit(&b.Batch)
	return next
}

// giveAll hands over whatever there is.
func (s *Shard) giveAll() {
	st := &s.storage
	if st.store == nil {
		return
	}
	for _, b := range [...]**batch{&st.old, &st.young, &st.urgent} {
		if len((*b).Ops) > 0 {
			*b = s.give(*b)
		}
	}
}

// awaitStored lets r wait for all that was changed urgently before: what is to be changed for it may have been already, by a packet
// that came twice.
func (s *Shard) awaitStored(r *receipt) {
	if r == nil {
		return
	}
	st := &s.storage
	b := st.urgent
	if len(b.Ops) == 0 && len(st.underWay) > 0 {
		b = st.underWay[len(st.underWay)-1]
	}
	if len(b.Ops) > 0 {
		r.pending.Add(1)
		b.late = append(b.late, r)
	}
}

// batchStored tells who waited.
func (s *Shard) batchStored(b *batch) {
	for i, r := range b.waiting {
		if r != nil {
			b.waiting[i] = nil
			s.fulfil(r)
		}
	}
	for i, r := range b.late {
		b.late[i] = nil
		s.fulfil(r)
	}
	s.ungate(b.gated)
	st := &s.storage
	b.stored.Store(false)
	s.emptyBatch(b)
	st.spare = append(st.spare, b)
	if st.full && st.bytes <= storeBytes/2 {
		st.full = false
		s.releaseHeld()
	}
}

// storageFull reports whether publishers have to wait for the store. They do not while the disk fails: it may take long, and
// what still comes then is bounded by what is stored or retained.
func (s *Shard) storageFull() bool { return s.storage.full && !s.broker.trouble.Load() }

// isDurable reports whether what belongs to a session is stored.
func (ss *session) isDurable() bool { return ss.number != 0 }

// settleDurability makes a session durable when it outlives its connection, and forgets what is stored of it when not.
func (s *Shard) settleDurability(ss *session) {
	switch {
	case s.storage.store == nil:
	case ss.expiry == 0:
		s.unstore(ss)
	default:
		if !ss.isDurable() {
			ss.number = s.broker.sessionNumber.Add(1)
		}
		s.storeSession(ss)
	}
}

// storeSession stores the record of a durable session.
func (s *Shard) storeSession(ss *session) {
	if !ss.isDurable() {
		return
	}
	record := &persist.Session{Number: ss.number, ClientID: ss.id, Expiry: ss.expiry, LastID: ss.lastID, Connected: ss.client != nil}
	if ss.endsAt != 0 && ss.client == nil {
		record.EndsAt = s.unixMilli(ss.endsAt)
	}
	if who := ss.who; who != nil {
		record.Source = sourceOf(who)
		if who.Address.IsValid() {
			record.Address = who.Address.String()
		}
	}
	w, at := ss.will, int64(0)
	if c := ss.client; c != nil {
		record.Version = uint8(c.version)
		if c.will != nil && c.will.delay > 0 {
			w = c.will
		}
	} else if w != nil {
		at = s.unixMilli(ss.willAt)
	}
	if w != nil {
		m := w.message
		record.Will = &persist.Will{Body: m.Body(), Delay: w.delay, HasExpiry: w.timed, Expiry: w.expiry, At: at}
		record.Will.Topic = strings.Clone(record.Will.Topic)
		record.Will.Props, record.Will.Payload = slices.Clone(record.Will.Props), slices.Clone(record.Will.Payload)
	}
	if b, op := s.open(ss.place); b != nil {
		op.Extra = &persist.Extra{Session: record}
		return
	}
	ss.rewritten = ss.place != 0
	ss.place = s.change(s.batchFor(true), persist.Op{Kind: persist.PutSession, Session: ss.number, Extra: &persist.Extra{Session: record}}, nil)
}

// sessionReceipt returns the receipt that waits until what a CONNECT made of a session is stored: its record, or the end of the one
// that its client had before. nil: there is nothing to wait for. While the disk fails nobody waits, so that clients can come.
func (s *Shard) sessionReceipt(ss *session) *receipt {
	if !s.storage.waits || s.broker.trouble.Load() {
		return nil
	}
	b, _ := s.open(ss.place)
	if b == nil {
		b = s.storage.ending(ss.id)
	}
	if b == nil {
		return nil
	}
	r := s.newReceipt(nil, 0, 0)
	r.pending.Add(1)
	b.late = append(b.late, r)
	return r
}

// ending returns the last batch with which a stored session of a client identifier ends, nil when none is on its way.
func (st *storage) ending(id string) *batch {
	if _, ok := st.urgent.ended[id]; ok {
		return st.urgent
	}
	for i := len(st.underWay) - 1; i >= 0; i-- {
		if _, ok := st.underWay[i].ended[id]; ok {
			return st.underWay[i]
		}
	}
	return nil
}

// unstore forgets what is stored of a session, but for deliveries that go to another member of a group.
func (s *Shard) unstore(ss *session) {
	if !ss.isDurable() {
		return
	}
	for _, filter := range ss.subs.list {
		s.changeSubscription(ss, persist.DeleteSubscription, &persist.Subscription{Filter: filter})
	}
	if ss.in != nil {
		for i := range ss.in.held {
			s.unstoreInbound(ss, &ss.in.held[i])
		}
	}
	if b, _ := s.open(ss.place); b != nil && !ss.rewritten {
		s.withdraw(b, ss.place)
	} else {
		b := s.batchFor(true)
		s.change(b, persist.Op{Kind: persist.DeleteSession, Session: ss.number}, nil)
		if b.ended == nil {
			b.ended = make(map[string]struct{})
		}
		b.ended[ss.id] = struct{}{}
	}
	number := ss.number
	ss.number, ss.place, ss.rewritten = 0, 0, false
	if ss.out == nil {
		return
	}
	// To withdraw a delivery may complete a receipt whose group has others of this session: they find it not durable.
	for i := range ss.out.n {
		d := ss.out.at(i)
		if p := d.place; d.state != done && p != 0 {
			if d.place, d.gated = 0, false; p != placeGrouped { // the group's end deletes it
				s.unstoreAt(p, number, d.seq, d.msg)
			}
		}
	}
}

// changeSubscription stores or forgets a filter of a durable session, for the packet in hand.
func (s *Shard) changeSubscription(ss *session, kind persist.Kind, sub *persist.Subscription) {
	if ss.isDurable() {
		s.change(s.batchFor(true), persist.Op{Kind: kind, Session: ss.number, Extra: &persist.Extra{Subscription: sub}}, s.storage.changing)
	}
}

// storeDelivery stores a delivery that was just queued or sent. A QoS 2 message of a publisher whose own record of it is
// stored goes into the group of its receipt.
func (s *Shard) storeDelivery(ss *session, d *delivery, r *receipt) {
	ss.out.lastSeq++
	d.seq = ss.out.lastSeq
	op := persist.Op{Kind: persist.PutDelivery, Ref: 1, QoS: d.qos, Retain: d.retain, PacketID: d.id, SubID: d.subID, Session: ss.number,
		Seq: d.seq, Expires: s.unixMilli(d.msg.expiry), Message: d.msg.Retain(), Extra: extraOf(d)}
	ref := deliveryRef{sessionRef{ss.key, ss.gen}, d.seq}
	if d.gated && r != nil && r.group != nil {
		d.place = placeGrouped
		r.group.parts[s.id] = append(r.group.parts[s.id], groupPart{op: op, ref: ref, msg: d.msg.Retain()})
		return
	}
	b := s.batchFor(ss.receiver() == nil || d.gated)
	d.place = s.change(b, op, r)
	if d.gated {
		b.gated = append(b.gated, ref)
	}
}

// extraOf is what few deliveries have.
func extraOf(d *delivery) *persist.Extra {
	if d.ids == nil && d.share == nil {
		return nil
	}
	x := &persist.Extra{}
	if d.ids != nil {
		x.SubIDs = *d.ids
	}
	if d.share != nil {
		x.Group, x.Filter = d.share.Group, d.share.Filter
	}
	return x
}

// storeAgain stores a delivery anew, as it is now.
func (s *Shard) storeAgain(ss *session, d *delivery, urgent bool) {
	state := persist.Queued
	switch {
	case d.state == awaitPubcomp:
		state = persist.Release
	case d.state != queued:
		state = persist.Sent
	}
	if _, op := s.open(d.place); op != nil {
		op.State, op.PacketID, op.Again = state, d.id, d.again
		return
	}
	if d.place == placeGrouped {
		return // it was never sent
	}
	op := persist.Op{Kind: persist.PutDelivery, QoS: d.qos, State: state, Retain: d.retain, Again: d.again, PacketID: d.id, SubID: d.subID,
		Session: ss.number, Seq: d.seq, Extra: extraOf(d)}
	if d.msg != nil {
		op.Message = d.msg.Retain()
	}
	d.place = s.change(s.batchFor(urgent), op, nil)
}

// storeRenumbered stores a delivery that was never sent under its new packet identifier. One of QoS 2 is not sent before that,
// so that it cannot come under two.
func (s *Shard) storeRenumbered(ss *session, d *delivery) {
	s.storeAgain(ss, d, true)
	if b, _ := s.open(d.place); b != nil && d.qos == 2 && s.storage.waits {
		d.gated = true
		b.gated = append(b.gated, deliveryRef{sessionRef{ss.key, ss.gen}, d.seq})
	}
}

// storeRelease stores that the message of a QoS 2 delivery, which gives it up, has arrived. PUBREL waits for that, so that
// it is not sent anew.
func (s *Shard) storeRelease(ss *session, d *delivery) {
	b, op := s.open(d.place)
	switch {
	case b == nil:
		b = s.batchFor(true)
		d.place = s.change(b, persist.Op{Kind: persist.PutDelivery, Ref: -1, QoS: 2, State: persist.Release, PacketID: d.id, Session: ss.number,
			Seq: d.seq, Message: d.msg.Retain(), Extra: extraOf(d)}, nil)
	case op.Ref == 1: // the body was never stored
		b.bytes -= changeSize(op) - changeBytes
		s.storage.bytes -= changeSize(op) - changeBytes
		op.Message.Release()
		op.Message, op.Ref, op.State = nil, 0, persist.Release
	default:
		op.Ref, op.State = -1, persist.Release
	}
	if s.storage.waits {
		d.gated = true
		b.gated = append(b.gated, deliveryRef{sessionRef{ss.key, ss.gen}, d.seq})
	}
}

// unstoreDelivery forgets a delivery that is finished, before it gives its message back.
func (s *Shard) unstoreDelivery(ss *session, d *delivery) {
	p := d.place
	d.place = 0
	if p != 0 && p != placeGrouped { // the group's end deletes it
		s.unstoreAt(p, ss.number, d.seq, d.msg)
	}
}

// unstoreAt forgets a delivery that was written at p; m may be nil.
func (s *Shard) unstoreAt(p place, session, seq uint64, m *Message) {
	if b, op := s.open(p); b != nil {
		if op.Ref == 1 {
			s.withdraw(b, p)
			return
		}
		op.Kind = persist.DeleteDelivery
		if op.Ref == 0 && op.Message != nil {
			op.Ref = -1
		}
		return
	}
	op := persist.Op{Kind: persist.DeleteDelivery, Session: session, Seq: seq}
	if m != nil {
		op.Ref, op.Message = -1, m.Retain()
	}
	s.change(s.batchFor(false), op, nil)
}

// storeInbound stores a QoS 2 message that a durable session holds until its PUBREL.
func (s *Shard) storeInbound(ss *session, h *heldMessage, r *receipt) {
	if !ss.isDurable() {
		return
	}
	h.stored = true
	s.change(s.batchFor(true), persist.Op{Kind: persist.PutInbound, Ref: 1, PacketID: h.id, Session: ss.number,
		Expires: s.unixMilli(h.msg.expiry), Message: h.msg.Retain()}, r)
}

// unstoreInbound forgets it.
func (s *Shard) unstoreInbound(ss *session, h *heldMessage) {
	if h.stored && !h.released {
		h.stored = false
		s.change(s.batchFor(true), deleteInbound(ss.number, h.id, h.msg), nil)
	}
}

func deleteInbound(session uint64, id uint16, m *Message) persist.Op {
	return persist.Op{Kind: persist.DeleteInbound, Ref: -1, PacketID: id, Session: session, Message: m.Retain()}
}

// storesRetained reports whether the retained message of a topic is stored: those of $SYS are made anew at each start.
func (s *Shard) storesRetained(topic string) bool {
	return s.storage.store != nil && !strings.HasPrefix(topic, "$SYS/")
}

// changeRetained stores m in place of old for a topic of this partition; either may be nil.
func (s *Shard) changeRetained(old, m *Message, r *receipt) {
	st := &s.storage
	if p, ok := st.retained[cmp.Or(m, old).Topic()]; ok {
		if b, op := s.open(p); b != nil {
			s.rewriteRetained(b, op, p, m, r)
			return
		}
	}
	if m == nil {
		s.change(s.batchFor(true), persist.Op{Kind: persist.DeleteRetained, Ref: -1, Message: old.Retain()}, r)
		return
	}
	if old != nil {
		s.change(s.batchFor(true), persist.Op{Kind: persist.None, Ref: -1, Message: old.Retain()}, nil)
	}
	st.retained[m.Topic()] = s.change(s.batchFor(true), persist.Op{Kind: persist.PutRetained, Ref: 1, Expires: s.unixMilli(m.expiry), Message: m.Retain()}, r)
}

// rewriteRetained lets the newest message of a topic, or that there is none, have the change of an earlier one, so that a topic
// that changes while nothing can be stored takes no more memory. Who waited for the earlier one waits for the newest: until then
// the disk has neither.
func (s *Shard) rewriteRetained(b *batch, op *persist.Op, p place, m *Message, r *receipt) {
	st, at := &s.storage, int(p&placeLimit)
	if before := b.waiting[at]; before != nil {
		b.late = append(b.late, before)
	}
	was, size := op.Message.(*Message), changeSize(op)
	delete(st.retained, was.Topic()) // the topic is in the message
	if m == nil {
		op.Kind, op.Ref, op.Expires = persist.DeleteRetained, 0, 0 // was, which was never stored, still says of what
		st.retained[was.Topic()] = p
	} else {
		op.Kind, op.Ref, op.Expires, op.Message = persist.PutRetained, 1, s.unixMilli(m.expiry), m.Retain()
		st.retained[m.Topic()] = p
		was.Release()
	}
	size = changeSize(op) - size
	b.bytes += size
	st.bytes += size
	if b.waiting[at] = r; r != nil {
		r.pending.Add(1)
	}
}

// ungate lets deliveries go that waited for the store: PUBLISH, or PUBREL on the connection that sent PUBREC.
func (s *Shard) ungate(refs []deliveryRef) {
	for i, ref := range refs {
		ss := s.lookup(ref.key, ref.gen)
		if ss == nil || ss.out == nil {
			continue
		}
		if at, d := ss.out.bySeq(ref.seq); d != nil && d.gated {
			d.gated = false
			if c := ss.receiver(); c != nil && d.state == awaitPubcomp && (at < ss.out.next || d.again) {
				s.sendAck(c, codec.TypePubrel, d.id, codec.Success)
			}
		}
		if i+1 == len(refs) || refs[i+1].sessionRef != ref.sessionRef {
			s.pump(ss)
		}
	}
}

// bySeq returns the unfinished delivery with this sequence number and its offset from head, nil when there is none.
func (o *outbound) bySeq(seq uint64) (int, *delivery) {
	at := sort.Search(o.n, func(i int) bool { return o.at(i).seq >= seq })
	if at == o.n {
		return 0, nil
	}
	if d := o.at(at); d.seq == seq && d.state != done {
		return at, d
	}
	return 0, nil
}

// unixMilli turns a time of the loop's clock into Unix milliseconds; 0 stays 0.
func (s *Shard) unixMilli(at int64) int64 {
	if at == 0 {
		return 0
	}
	return s.broker.wall() + (at-s.loop.Now())/1e6
}

// fromUnixMilli is the reverse.
func (s *Shard) fromUnixMilli(at int64) int64 {
	if at == 0 {
		return 0
	}
	return max(s.loop.Now()+(at-s.broker.wall())*1e6, 1)
}

// Body implements persist.Message.
func (m *Message) Body() persist.Body {
	b := persist.Body{Topic: m.Topic(), Props: m.Props(), Payload: m.Payload(), QoS: m.qos, Retain: m.retain}
	if m.source != nil {
		b.Source = sourceOf(m.source)
	}
	return b
}

// Mark implements persist.Message.
func (m *Message) Mark() *persist.Mark { return &m.mark }

func sourceOf(who *identity) persist.Source {
	return persist.Source{ClientID: who.ID, UserName: who.UserName, HasUserName: who.HasUserName, Port: who.Port}
}
