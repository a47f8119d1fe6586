package shard

import (
	"container/heap"
	"strings"

	"github.com/noctulemq/noctule/auth"
	"github.com/noctulemq/noctule/loop"
	"github.com/noctulemq/noctule/persist"
	"github.com/noctulemq/noctule/router"
)

// Restore fills the broker with what its store has. It comes before the loops run, on any one thread.
func (b *Broker) Restore() error {
	if b.store == nil {
		return nil
	}
	r := &restorer{broker: b, sources: make(map[persist.Source]*identity), sessions: make(map[uint64]*restored)}
	if err := b.store.Restore(r); err != nil {
		return err
	}
	for _, s := range b.shards {
		s.eachSession(s.sessionRestored)
		if h := s.retained.expiring; len(h) > 0 {
			heap.Init(&s.retained.expiring)
			s.loop.Arm(&s.retainedTimer, h[0].expiry)
		}
		s.nudge() // what expired while nobody ran is to be stored
	}
	for _, x := range r.sessions {
		if x.connected && x.ss.isDurable() {
			if x.ss.out != nil {
				x.s.storeResent(x.ss, x.ss.out.n)
			}
			x.s.storeSession(x.ss) // it is away now
		}
	}
	for _, d := range r.lost {
		b.shards[b.groupHome(d.share)].sharedAgain(d)
	}
	return nil
}

// restorer puts what was stored into shards that do not run yet.
type restorer struct {
	broker   *Broker
	sources  map[persist.Source]*identity
	sessions map[uint64]*restored // by number
	lost     []*sharedDelivery    // whose session is gone
}

// restored is a session of the store.
type restored struct {
	s         *Shard
	ss        *session
	connected bool   // when it was written: any of its first deliveries may have been sent
	sent      [3]int // deliveries of each QoS that were counted as such
}

// mayBeSent counts a delivery whose session was connected. Those of QoS 1 that were finished just before do not count for QoS 2,
// where PUBREC is stored before it is answered.
func (x *restored) mayBeSent(qos uint8) bool {
	x.sent[qos]++
	limit := x.s.cfg.MaxInflightMessages
	return x.connected && (limit == 0 || x.sent[qos] <= limit)
}

// Message implements persist.Restorer.
func (r *restorer) Message(b *persist.Body) persist.Message {
	m := &Message{buf: make([]byte, 0, len(b.Topic)+len(b.Props)+len(b.Payload)), qos: b.QoS, retain: b.Retain}
	m.fill(b.Topic, b.Props, b.Payload)
	m.expiry = r.broker.shards[0].fromUnixMilli(b.Expires)
	m.source = r.source(b.Source)
	m.refs.Store(1)
	return m
}

// source returns the identity of a publisher, one for all its messages; nil when its listener is not there any more.
func (r *restorer) source(src persist.Source) *identity {
	if src == (persist.Source{}) {
		return nil
	}
	who, known := r.sources[src]
	if !known {
		who = r.identity(src)
		r.sources[src] = who
	}
	return who
}

func (r *restorer) identity(src persist.Source) *identity {
	for _, l := range r.broker.listeners {
		if set := l.Settings(); set.Config.Port == src.Port {
			return &identity{listener: l, access: set.Access, Client: auth.Client{ID: strings.Clone(src.ClientID),
				UserName: strings.Clone(src.UserName), HasUserName: src.HasUserName, Port: src.Port}}
		}
	}
	return nil
}

// Session implements persist.Restorer.
func (r *restorer) Session(p *persist.Session) {
	b := r.broker
	s := b.shards[b.home(p.ClientID)]
	if _, twice := s.byID[p.ClientID]; twice {
		return
	}
	ss := s.newSession(strings.Clone(p.ClientID))
	ss.number, ss.place, ss.rewritten, ss.expiry, ss.lastID = p.Number, placeGiven, true, p.Expiry, p.LastID
	b.sessionNumber.Store(max(b.sessionNumber.Load(), p.Number))
	switch {
	case p.Expiry == expiryNever:
	case p.Connected || p.EndsAt == 0: // the time it was cut off is not known
		ss.endsAt = s.loop.Now() + int64(p.Expiry)*second
	default:
		ss.endsAt = s.fromUnixMilli(p.EndsAt)
	}
	if who := r.identity(p.Source); who != nil {
		s.settleIdentity(ss, who)
	}
	if w := p.Will; w != nil {
		m := r.Message(&w.Body).(*Message)
		m.expiry = 0
		ss.will = &will{message: m, delay: w.Delay, expiry: w.Expiry, timed: w.HasExpiry, who: ss.who}
		ss.willAt = s.loop.Now() + int64(w.Delay)*second
		if w.At != 0 {
			ss.willAt = s.fromUnixMilli(w.At)
		}
	}
	r.sessions[p.Number] = &restored{s: s, ss: ss, connected: p.Connected}
}

// Subscription implements persist.Restorer.
func (r *restorer) Subscription(session uint64, p *persist.Subscription) {
	x, ok := r.sessions[session]
	if !ok || x.ss.subs.find(p.Filter) >= 0 {
		return
	}
	s, ss := x.s, x.ss
	filter := strings.Clone(p.Filter)
	share, shared, ok := router.ParseShare(filter)
	if shared && !ok {
		return
	}
	ss.subs.add(filter)
	if shared {
		s.count.SharedFilters++
		m := router.Member{Loop: s.id, Key: ss.key, Gen: ss.gen, ID: p.ID, QoS: p.QoS, Flags: p.Flags}
		r.broker.shards[r.broker.groupHome(share)].index.Join(share, m)
		return
	}
	s.count.Filters++
	s.index.Subscribe(filter, router.Subscriber{Key: ss.key, ID: p.ID, QoS: p.QoS, Flags: p.Flags})
}

// Delivery implements persist.Restorer.
func (r *restorer) Delivery(session uint64, p *persist.Delivery, pm persist.Message) {
	m, _ := pm.(*Message)
	x, ok := r.sessions[session]
	if !ok {
		r.handOn(session, p, m)
		return
	}
	s, ss := x.s, x.ss
	o := ss.outbound()
	if o.n >= packetIDs {
		return
	}
	id := ss.restoredID(p)
	d := o.push(id)
	o.lastSeq = max(o.lastSeq, p.Seq)
	d.seq, d.place, d.qos, d.retain, d.again, d.subID = p.Seq, placeGiven, p.QoS, p.Retain, p.Again, p.SubID
	if len(p.SubIDs) > 0 {
		ids := append([]uint32(nil), p.SubIDs...)
		d.ids = &ids
	}
	if p.Group != "" {
		d.share = r.share(p)
	}
	if p.State == persist.Release || m == nil {
		d.state, d.again = awaitPubcomp, true
		o.resend++
		return
	}
	d.msg = s.keep(m.Retain())
	o.queuedBytes += d.size()
	if id != p.PacketID && d.qos == 2 {
		s.storeRenumbered(ss, d)
	}
	if d.qos == 0 || !x.mayBeSent(d.qos) && p.State == persist.Queued {
		return
	}
	d.again = true
	o.resend++
	d.state = awaitPuback
	if d.qos == 2 {
		d.state = awaitPubrec
	}
}

// restoredID returns the packet identifier of the next restored delivery: the one it had, unless it had none or that does
// not follow. They are dense: what was finished in between leaves a hole.
func (ss *session) restoredID(p *persist.Delivery) uint16 {
	o, id := ss.out, p.PacketID
	next := ss.lastID + 1
	if next == 0 {
		next = 1
	}
	switch {
	case o.n == 0 && id != 0:
	case id == 0, id-next > packetIDs/2, int(id-next)+o.n >= packetIDs:
		id = next
	default:
		for ; next != id; next++ {
			if next != 0 {
				o.push(next).state = done
				o.holes++
			}
		}
	}
	ss.lastID = id
	return id
}

// share returns the shared subscription that chose a delivery's session.
func (r *restorer) share(p *persist.Delivery) *router.Share {
	share := router.Share{Group: strings.Clone(p.Group), Filter: strings.Clone(p.Filter)}
	if g := r.broker.shards[r.broker.groupHome(share)].index.Group(share); g != nil {
		return &g.Share
	}
	return &share
}

// handOn gives a delivery whose session has ended to another member of its group, or publishes it when it is a will.
func (r *restorer) handOn(session uint64, p *persist.Delivery, m *Message) {
	if p.Group == "" {
		return
	}
	b := r.broker
	b.sessionNumber.Store(max(b.sessionNumber.Load(), session)) // a new session must not get it while this record exists
	share := *r.share(p)
	s := b.shards[b.groupHome(share)]
	if m == nil { // it arrived
		s.unstoreAt(placeGiven, session, p.Seq, nil)
		return
	}
	receipt := s.unstoreAfter(m, placeGiven, session, p.Seq)
	if receipt == nil {
		s.unstoreAt(placeGiven, session, p.Seq, m)
	}
	if p.Group == willGroup {
		body := m.Body()
		again := r.Message(&body).(*Message) // publishing changes it, and m may be retained
		again.expiry = m.expiry
		s.willsDue = append(s.willsDue, &will{message: again, receipt: receipt})
		return
	}
	d := s.newSharedDelivery(m.Retain(), share)
	d.receipt = receipt
	r.lost = append(r.lost, d)
}

// Inbound implements persist.Restorer.
func (r *restorer) Inbound(session uint64, id uint16, pm persist.Message) {
	m, _ := pm.(*Message)
	x, ok := r.sessions[session]
	if !ok || m == nil {
		return
	}
	if x.ss.in == nil {
		x.ss.in = &inbound{}
	}
	if x.ss.in.find(id) < 0 {
		m.origin = x.s.originOf(x.ss)
		x.ss.in.add(x.s.keep(m.Retain()), id)
		x.ss.in.held[len(x.ss.in.held)-1].stored = true
	}
}

// Retained implements persist.Restorer.
func (r *restorer) Retained(pm persist.Message) {
	m, _ := pm.(*Message)
	if m == nil {
		return
	}
	b := r.broker
	first := b.shards[0]
	first.probe.Scan(first.hasher, m.Topic())
	s := b.shards[first.partitionOf(&first.probe)]
	if m.expiry != 0 && m.expiry <= s.loop.Now() {
		s.count.Expired++
		s.change(s.batchFor(true), persist.Op{Kind: persist.DeleteRetained, Ref: -1, Message: m.Retain()}, nil)
		return
	}
	m.retain, m.version = true, b.retainVersion.Add(1)
	if _, twice := s.retained.tree.Get(m.Topic()); twice {
		return
	}
	s.retained.tree.Set(m.Topic(), s.keep(m.Retain()))
	b.retainedCount.Add(1)
	b.retainedBytes.Add(m.size())
	if m.expiry != 0 {
		s.retained.expiring = append(s.retained.expiring, m.Retain())
	}
}

// sessionRestored starts the clocks of a session whose client is away, as all are at first.
func (s *Shard) sessionRestored(ss *session) {
	now := s.loop.Now()
	if (ss.endsAt != 0 && ss.endsAt <= now) || (ss.will != nil && ss.willAt <= now) {
		s.sessionDue(ss)
		return
	}
	s.armSession(ss)
}

// Restored is what Restore found. Before the loops run.
func (b *Broker) Restored() Snapshot {
	return Snapshot{Sessions: b.sessions.Load(), RetainedMessages: b.retainedCount.Load()}
}

// Save returns when everything that the broker has accepted is on disk.
func (b *Broker) Save() error {
	if b.store == nil {
		return nil
	}
	if err := b.call((*Shard).giveAll); err != nil {
		return err
	}
	return b.store.Sync()
}

// SetTrouble tells the broker that nothing can be stored at present (true), or that it can again. Any thread. Meanwhile QoS 1
// and 2 messages are refused, also those that wait for their acknowledgement.
func (b *Broker) SetTrouble(trouble bool) {
	b.trouble.Store(trouble)
	for i := range b.loops {
		b.group.Loop(i).Submit(loop.Mail{Kind: mailCall, Body: (*Shard).troubled})
	}
}
