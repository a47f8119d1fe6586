package shard

import (
	"strings"
	"unsafe"

	"github.com/noctulemq/noctule/loop"
	"github.com/noctulemq/noctule/router"
)

// expiryNever is the session expiry interval of a session that does not expire [MQTT-3.1.2.11.2].
const expiryNever = ^uint32(0)

// session is the state of one client identifier [MQTT-4.1.0-1]. Loop thread only, in the slab of its home loop from
// the first CONNECT until it expires. How many there are is bounded by `max_sessions` and the connection limits.
type session struct {
	id     string
	client *client // nil while disconnected
	out    *outbound
	in     *inbound
	subs   filterSet
	who    *identity
	// will waits for its delay while the client is away.
	will   *will
	willAt int64
	// replays is nil when none is unfinished.
	replays *replays
	timer   loop.Timer
	endsAt  int64 // while disconnected: when the session expires, monotonic ns; 0: never

	// number is the session's in the store, 0 when nothing of it is stored; place is where its record is written, and rewritten
	// tells that an earlier one was given away.
	number    uint64
	place     place
	rewritten bool

	throttling *throttling
	throttled  int    // how many full queues hold this publisher back
	mark       uint64 // the last publication that counted this session, when copies are merged
	key, gen   uint32
	expiry     uint32 // seconds after the connection ends; expiryNever
	dropLogged uint32 // loop minute in which a drop was last logged
	lastID     uint16 // last packet identifier given
}

// filterSet is the filters one session subscribed to, as written (with $share). A slice while it is small, because
// most sessions have a few; indexed above filterSetIndexed. Bounded by `max_subscriptions`.
type filterSet struct {
	list   []string
	index  map[string]int
	weight int // of all
}

// filterWeight is what a filter counts against `max_subscriptions`: 1, and 1 more for every 16 levels, because each level
// of a deep filter may take a tree node.
func filterWeight(filter string) int { return 1 + strings.Count(filter, "/")/16 }

const filterSetIndexed = 16

// find returns the position of filter in the list, -1 if it is not there.
func (f *filterSet) find(filter string) int {
	return f.findBytes(unsafe.Slice(unsafe.StringData(filter), len(filter)))
}

// findBytes is find for a filter that is not a string.
func (f *filterSet) findBytes(filter []byte) int {
	if f.index != nil {
		if i, ok := f.index[string(filter)]; ok {
			return i
		}
		return -1
	}
	for i, have := range f.list {
		if have == string(filter) {
			return i
		}
	}
	return -1
}

// add appends a filter that is not in the set; the string is kept.
func (f *filterSet) add(filter string) {
	f.list = append(f.list, filter)
	f.weight += filterWeight(filter)
	if f.index != nil {
		f.index[filter] = len(f.list) - 1
		return
	}
	if len(f.list) > filterSetIndexed {
		f.index = make(map[string]int, 2*filterSetIndexed)
		for i, have := range f.list {
			f.index[have] = i
		}
	}
}

// removeAt takes the filter at position i out; the last one moves there.
func (f *filterSet) removeAt(i int) {
	last := len(f.list) - 1
	f.weight -= filterWeight(f.list[i])
	if f.index != nil {
		delete(f.index, f.list[i])
		if i != last {
			f.index[f.list[last]] = i
		}
	}
	f.list[i] = f.list[last]
	f.list[last] = ""
	f.list = f.list[:last]
}

// newSession makes the session of a client identifier that has none; id is kept.
func (s *Shard) newSession(id string) *session {
	key, ss := s.sessions.take()
	gen := ss.gen + 1
	*ss = session{id: id, key: key, gen: gen}
	ss.timer.Kind, ss.timer.Key = timerSession, key
	s.byID[id] = key
	s.broker.sessions.Add(1)
	return ss
}

// receiver returns the client to which messages can be sent; nil while there is none, or CONNACK waits for the store.
func (ss *session) receiver() *client {
	if c := ss.client; c != nil && c.state == connected {
		return c
	}
	return nil
}

// lookup returns the session with this key if it is still the one with this generation.
func (s *Shard) lookup(key, gen uint32) *session {
	if ss := s.sessions.at(key); ss.gen == gen && ss.id != "" {
		return ss
	}
	return nil
}

// endSession discards everything of a session [MQTT-3.1.2-23] except its will, which the caller has dealt with.
func (s *Shard) endSession(ss *session) {
	s.loop.Disarm(&ss.timer)
	handOn := s.handOn(ss)
	s.unstore(ss)
	for _, filter := range ss.subs.list {
		s.dropSubscription(ss, filter)
	}
	s.cancelReplays(ss)
	s.releaseOutbound(ss)
	ss.in.release(s)
	s.unthrottleAll(ss)
	delete(s.byID, ss.id)
	key, gen := ss.key, ss.gen
	*ss = session{gen: gen}
	s.sessions.put(key)
	s.broker.sessions.Add(-1)
	for _, d := range handOn {
		s.sharedReturn(d)
	}
}

// clearSession makes ss as new for a clean start: the record is kept, its content discarded.
func (s *Shard) clearSession(ss *session) *session {
	id := ss.id
	s.endSession(ss)
	return s.newSession(id)
}

// handOn returns the deliveries that a shared subscription chose an ending session for and that another member may still
// get: never a QoS 2 message that was sent [MQTT-4.8.2-5]. What is stored of them stays until they are stored elsewhere.
func (s *Shard) handOn(ss *session) (all []*sharedDelivery) {
	o := ss.out
	if o == nil {
		return nil
	}
	for i := range o.n {
		d := o.at(i)
		sentQoS2 := d.qos == 2 && (d.state != queued || d.again)
		if d.state == done || d.share == nil || d.msg == nil || sentQoS2 {
			continue
		}
		next := s.newSharedDelivery(d.msg.Retain(), *d.share)
		if d.place != 0 && d.place != placeGrouped {
			if next.receipt = s.unstoreAfter(next.msg, d.place, ss.number, d.seq); next.receipt != nil {
				d.place = 0
			}
		}
		all = append(all, next)
	}
	return all
}

// unstoreAfter lets the record of a delivery, at p in the store, stay until whoever gets its message next has it on disk or does
// not need it: it returns the receipt for that. nil where nobody waits for the store: the record can go at once.
func (s *Shard) unstoreAfter(m *Message, p place, number, seq uint64) *receipt {
	r := s.newReceipt(nil, 0, 0)
	if r == nil {
		return nil
	}
	m.Retain()
	r.then = func() {
		s.unstoreAt(p, number, seq, m)
		m.Release()
	}
	return r
}

// releaseOutbound gives back every queued message.
func (s *Shard) releaseOutbound(ss *session) {
	o := ss.out
	if o == nil {
		return
	}
	for i := range o.n {
		if d := o.at(i); d.state != done {
			s.finish(ss, d)
		}
	}
	ss.out = nil
}

// leave unlinks a client from its session: the will is published or kept for its delay, and the session ends or
// waits for its expiry.
func (s *Shard) leave(c *client, why cause, withWill bool) {
	ss := c.session
	c.session, c.state = nil, closing
	ss.client = nil
	s.dropAcks(c)
	s.unthrottleAll(ss) // nobody waits for a consumer that is away
	s.broker.clients.Add(-1)
	s.logLeft(c, ss, why)
	if !withWill {
		c.will = nil
	}
	w := c.will
	c.will = nil
	if w != nil {
		if w.delay == 0 || ss.expiry == 0 {
			s.willDue(ss, w)
			s.nudge() // a connection that closed by itself is reported after the end of the turn
		} else {
			ss.will, ss.willAt = w, s.loop.Now()+int64(w.delay)*second
		}
	}
	if ss.expiry == 0 {
		s.endSession(ss)
		return
	}
	s.storeSent(ss)
	ss.out.rewind()
	s.setOnline(ss, false)
	ss.endsAt = 0
	if ss.expiry != expiryNever {
		ss.endsAt = s.loop.Now() + int64(ss.expiry)*second
	}
	s.storeSession(ss)
	s.armSession(ss)
}

// armSession sets the timer of a disconnected session to what is due first: its will or its end.
func (s *Shard) armSession(ss *session) {
	at := ss.endsAt
	if ss.will != nil && (at == 0 || ss.willAt < at) {
		at = ss.willAt
	}
	if at == 0 {
		s.loop.Disarm(&ss.timer)
		return
	}
	s.loop.Arm(&ss.timer, at)
}

// sessionDue handles a disconnected session's timer: the will is sent when its delay has passed or the session ends,
// whichever is first [MQTT-3.1.3-9].
func (s *Shard) sessionDue(ss *session) {
	if ss.client != nil || ss.id == "" {
		return
	}
	now := s.loop.Now()
	ends := ss.endsAt != 0 && ss.endsAt <= now
	if ss.will != nil && (ends || ss.willAt <= now) {
		s.willDue(ss, ss.will)
		ss.will = nil
		s.storeSession(ss)
	}
	if ends {
		s.count.ExpiredSessions++
		s.endSession(ss)
		return
	}
	s.armSession(ss)
}

// dropSubscription removes one filter of a session from the index, or from its group's home loop.
func (s *Shard) dropSubscription(ss *session, filter string) {
	if share, shared, ok := router.ParseShare(filter); shared && ok {
		s.count.SharedFilters--
		s.leaveGroup(ss, share)
		return
	}
	s.count.Filters--
	s.index.Unsubscribe(filter, ss.key)
}
