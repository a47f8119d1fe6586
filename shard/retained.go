package shard

import (
	"container/heap"
	"strings"

	"github.com/noctulemq/noctule/router"
)

// Retained messages are partitioned over the loops by the hash of the topic's first level: a filter that begins with a
// name has one partition to ask, and gets its answer in tree order, parents first. Three rules keep a new subscriber from missing or
// misordering anything, whichever loops publish and subscribe:
//
//   - a retained publication is visible in its partition's ring before its publisher reads the interest table, and a
//     partition drains all rings before it serves a look-up; a subscriber enters its interest before it looks up;
//   - every retained publication has a version from one broker-wide counter; a partition keeps the highest;
//   - a look-up's result that meanwhile arrived live in a newer version is not delivered any more.
//
// A look-up travels to the partition, fetches a bounded number of messages and returns; the next one starts when the
// subscriber's output has room. So `#` over a million topics stalls nobody and buffers little.

const (
	// fetchMax is how many messages one look-up brings, replayOutput from how many bytes on it brings no more, and
	// fetchSteps how many topics it visits at most.
	fetchMax   = 64
	fetchSteps = 1024
	// replayOutput is the number of unsent bytes, and replayQueue that of waiting deliveries, from which a replay
	// pauses.
	replayOutput = 64 << 10
	replayQueue  = 64
	// replayTurn is how much look-up one turn of a loop does for its own sessions; one with a wildcard counts
	// wildcardCost.
	replayTurn   = 256
	wildcardCost = 16
	// liveLog is how many retained publications delivered live are remembered to sort out stale look-up results; a
	// look-up that was away for more of them is checked again at its partition.
	liveLog = 4096
	// tombstones is how many cleared topics a partition remembers, so that an older version that is still in another
	// loop's ring does not bring one back.
	tombstones = 1024
)

// replay brings the retained messages of one subscription to its session. It belongs to the session's loop, but for
// the time it is away: then to the partition's.
type replay struct {
	filter   string
	sub      router.Subscriber
	key, gen uint32 // the session
	next     *replay
	previous *replay
	home     int // the session's loop
	cost     int // of one look-up, in units of replayTurn

	partition int
	last      int // the last partition to ask
	cursor    *router.Cursor[*Message]
	results   []*Message // one reference each
	finished  bool       // this partition has no more

	pending   *pendingSuback // waits for the first results
	since     uint64         // position in the live log when it was sent
	away      bool
	recheck   bool // fetch the same topics again: too much happened meanwhile
	closing   bool // nothing is wanted but an end of the cursor
	cancelled bool // the home loop's own, also while it is away
}

// retained is this loop's partition. Loop thread only; bounded by `max_retained_messages` and `max_retained_bytes`,
// which count over all partitions.
type retained struct {
	tree     *router.Retained[*Message]
	expiring expiryHeap
	cleared  map[string]uint64 // topic → version of the clearing, only with several loops
	order    []string          // of cleared, oldest first
}

// liveNote is one entry of the live log.
type liveNote struct{ hash, version uint64 }

// storeRetained sends a retained publication to its partition and gives it its version [MQTT-3.3.1-5].
func (s *Shard) storeRetained(p *publication) {
	p.version = s.broker.retainVersion.Add(1)
	partition := s.partitionOf(p.scan(s.hasher))
	m := p.message(&s.broker.messages)
	m.version = p.version
	if partition == int(s.id) {
		s.keepRetained(m, p.receipt)
		return
	}
	if p.receipt != nil {
		s.postMessage(published, partition, mailRetainReceipt, p.receipt.sendWith(m), m.size())
		return
	}
	s.postMessage(published, partition, mailRetain, m.Retain(), m.size())
}

// keepRetained stores, replaces or clears one topic of this partition [MQTT-3.3.1-6] [MQTT-3.3.1-7]. r, which may be nil,
// waits until that is on disk.
func (s *Shard) keepRetained(m *Message, waiting *receipt) {
	r := &s.retained
	topic := m.Topic()
	old, have := r.tree.Get(topic)
	if (have && old.version > m.version) || r.cleared[topic] > m.version {
		s.awaitStored(waiting) // what took its place
		return
	}
	if len(m.Payload()) == 0 {
		if have {
			s.removeRetained(topic, old, waiting)
		} else {
			s.awaitStored(waiting)
		}
		s.rememberCleared(topic, m.version)
		return
	}
	if !s.broker.admitRetained(old, m) {
		if have {
			s.removeRetained(topic, old, waiting) // nobody shall take it for the present one
		}
		s.count.RefusedRetained++
		s.logRetainedFull(topic)
		return
	}
	if s.storesRetained(topic) {
		s.changeRetained(old, m, waiting)
	}
	r.tree.Set(topic, s.keep(m))
	if have {
		s.broker.retainedBytes.Add(m.size() - old.size())
		s.unkeep(old)
	} else {
		s.broker.retainedBytes.Add(m.size())
		s.broker.retainedCount.Add(1)
	}
	if m.expiry != 0 {
		if len(r.expiring) >= 2*r.tree.Len()+expiringSlack {
			r.dropReplaced()
		}
		heap.Push(&r.expiring, m.Retain())
		s.loop.Arm(&s.retainedTimer, r.expiring[0].expiry)
	}
}

// expiringSlack is how many replaced messages may wait for their expiry beyond the number of retained ones.
const expiringSlack = 64

// dropReplaced takes out of the heap what is no longer retained.
func (r *retained) dropReplaced() {
	kept := r.expiring[:0]
	for _, m := range r.expiring {
		if have, ok := r.tree.Get(m.Topic()); ok && have == m {
			kept = append(kept, m)
			continue
		}
		m.Release()
	}
	clear(r.expiring[len(kept):])
	r.expiring = kept
	heap.Init(&r.expiring)
}

func (s *Shard) removeRetained(topic string, old *Message, waiting *receipt) {
	if s.storesRetained(topic) {
		s.changeRetained(old, nil, waiting)
	}
	s.retained.tree.Delete(topic)
	s.broker.retainedBytes.Add(-old.size())
	s.broker.retainedCount.Add(-1)
	s.unkeep(old)
}

// rememberCleared keeps a tombstone, as long as another loop may still have an older version on its way.
func (s *Shard) rememberCleared(topic string, version uint64) {
	if s.loops == 1 {
		return
	}
	r := &s.retained
	if _, again := r.cleared[topic]; !again {
		topic = strings.Clone(topic)
		if len(r.order) == tombstones {
			delete(r.cleared, r.order[0])
			copy(r.order, r.order[1:])
			r.order = r.order[:tombstones-1]
		}
		r.order = append(r.order, topic)
	}
	r.cleared[topic] = version
}

// retainedDue removes the retained messages that have expired [MQTT-3.3.2-5].
func (s *Shard) retainedDue() {
	r := &s.retained
	now := s.loop.Now()
	for len(r.expiring) > 0 && r.expiring[0].expiry <= now {
		m := heap.Pop(&r.expiring).(*Message)
		if have, ok := r.tree.Get(m.Topic()); ok && have == m {
			s.count.Expired++
			s.removeRetained(m.Topic(), m, nil)
		}
		m.Release()
	}
	if len(r.expiring) > 0 {
		s.loop.Arm(&s.retainedTimer, r.expiring[0].expiry)
	}
}

// expiryHeap orders messages by their expiry. Replaced messages stay until theirs comes or dropReplaced finds them;
// bounded by twice the retained messages and expiringSlack.
type expiryHeap []*Message

func (h expiryHeap) Len() int           { return len(h) }
func (h expiryHeap) Less(i, j int) bool { return h[i].expiry < h[j].expiry }
func (h expiryHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *expiryHeap) Push(m any)        { *h = append(*h, m.(*Message)) }
func (h *expiryHeap) Pop() any {
	old := *h
	m := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return m
}

// newReplay prepares the look-up for one subscription: in one partition, or in all for a leading wildcard. What is
// delivered live from now on is noted for it.
func (s *Shard) newReplay(filter string, sub router.Subscriber) *replay {
	r := &replay{filter: filter, sub: sub, home: int(s.id), last: s.loops - 1, cost: 1, since: s.liveSeq}
	s.replays++
	if strings.ContainsAny(filter, "+#") {
		r.cost = wildcardCost
	}
	if filter[0] != '+' && filter[0] != '#' {
		s.probe.Scan(s.hasher, filter)
		r.partition = s.partitionOf(&s.probe)
		r.last = r.partition
	}
	return r
}

// partitionOf returns the loop that keeps a topic's retained message.
func (s *Shard) partitionOf(t *router.Topic) int { return int(t.First() % uint64(s.loops)) }

// replays is a session's retained replays that are not finished, oldest first. The first may be running; of the others
// there is one for each filter, so that they are bounded by `max_subscriptions`.
type replays struct {
	first, last *replay
	waiting     map[string]*replay // by filter, all but the first
	due         bool               // listed in replaysDue
}

func (q *replays) add(r *replay) {
	if q.last == nil {
		q.first, q.last = r, r
		return
	}
	if q.waiting == nil {
		q.waiting = make(map[string]*replay)
	}
	q.waiting[r.filter] = r
	r.previous, q.last.next = q.last, r
	q.last = r
}

func (q *replays) remove(r *replay) {
	if r.previous != nil {
		r.previous.next = r.next
		delete(q.waiting, r.filter)
	} else if q.first = r.next; q.first != nil {
		delete(q.waiting, q.first.filter)
	}
	if r.next != nil {
		r.next.previous = r.previous
	} else {
		q.last = r.previous
	}
	r.next, r.previous = nil, nil
}

// startReplay adds a replay behind those the session has. With one loop it runs at once, so that retained messages
// come directly after the SUBACK; else at the end of the turn, when the rings have been drained. One that still waits
// for the same filter serves the new subscription.
func (s *Shard) startReplay(ss *session, r *replay) {
	if ss.replays == nil {
		ss.replays = &replays{}
	}
	if w := ss.replays.waiting[r.filter]; w != nil {
		w.sub, w.since = r.sub, r.since
		s.replays--
		return
	}
	r.key, r.gen = ss.key, ss.gen
	ss.replays.add(r)
	s.replayMore(ss)
}

// running returns the session's replay whose turn it is, nil when there is none.
func (ss *session) running() *replay {
	if ss.replays == nil {
		return nil
	}
	return ss.replays.first
}

// replayMore continues the session's first replay if it can.
func (s *Shard) replayMore(ss *session) {
	if r := ss.running(); r == nil || ss.receiver() == nil || r.away {
		return
	}
	if s.loops == 1 {
		s.runReplays(ss)
		return
	}
	s.replayDue(ss)
}

// replayDue lets the session's replay go on at the end of this turn.
func (s *Shard) replayDue(ss *session) {
	if ss.replays.due {
		return
	}
	ss.replays.due = true
	s.replaysDue = append(s.replaysDue, sessionRef{ss.key, ss.gen})
	s.nudge()
}

type sessionRef struct{ key, gen uint32 }

// runDueReplays runs at the end of a turn, after the rings were drained: it serves other loops' look-ups in this
// partition and continues our own sessions' replays. When the rings could not be drained it waits for the next turn.
func (s *Shard) runDueReplays() {
	s.replayBudget = replayTurn
	if len(s.fetchQueue)+len(s.replaysDue) == 0 {
		return
	}
	if s.loops > 1 && !s.loop.DrainRings() {
		s.nudge()
		return
	}
	for i, r := range s.fetchQueue {
		s.fetchQueue[i] = nil
		s.fetch(r)
		s.post(r.home, mailFetched, 0, r)
	}
	s.fetchQueue = s.fetchQueue[:0]
	due := s.replaysDue
	s.replaysDue = s.replaysSpare[:0]
	for i, ref := range due {
		if s.replayBudget <= 0 {
			s.replaysDue = append(s.replaysDue, due[i:]...)
			break
		}
		if ss := s.lookup(ref.key, ref.gen); ss != nil && ss.replays != nil {
			ss.replays.due = false
			s.runReplays(ss)
			if q := ss.replays; q != nil && q.first == nil {
				ss.replays = nil
			}
		}
	}
	s.replaysSpare = due[:0]
	if len(s.replaysDue) > 0 {
		s.nudge()
	}
}

// runReplays continues the replays of a session until its output is full, a look-up is away, or the turn's share is
// used up.
func (s *Shard) runReplays(ss *session) {
	for r := ss.running(); r != nil && ss.receiver() != nil && !r.away; r = ss.running() {
		if !s.replayRoom(ss) {
			return
		}
		if r.partition != int(s.id) {
			s.sendLookup(r)
			return
		}
		if s.replayBudget <= 0 {
			s.replayDue(ss)
			return
		}
		s.replayBudget -= r.cost
		s.fetch(r)
		s.takeResults(ss, r)
	}
}

// replayRoom reports whether the session can take another look-up's worth; if not, Drained or an acknowledgement
// continues.
func (s *Shard) replayRoom(ss *session) bool {
	if c := ss.client.conn; c != nil && c.Unsent() >= replayOutput {
		c.WantDrain()
		return false
	}
	return ss.out == nil || ss.out.waiting() < replayQueue
}

// fetch fills a look-up from this partition. The rings have been drained.
func (s *Shard) fetch(r *replay) {
	if r.closing {
		r.closeCursor()
		return
	}
	if r.recheck {
		s.refetch(r)
		return
	}
	if r.cursor == nil {
		r.cursor = s.retained.tree.Find(r.filter)
	}
	now, bytes := s.loop.Now(), int64(0)
	more := r.cursor.NextN(fetchSteps, func(m *Message) bool {
		if m.expiry == 0 || m.expiry > now {
			r.results = append(r.results, m.Retain())
			bytes += m.size()
		}
		return len(r.results) < fetchMax && bytes < replayOutput
	})
	r.finished = !more
	if r.finished {
		r.closeCursor()
	}
}

func (r *replay) closeCursor() {
	if r.cursor != nil {
		r.cursor.Close()
		r.cursor = nil
	}
}

// refetch replaces each result by what the partition has now.
func (s *Shard) refetch(r *replay) {
	kept := r.results[:0]
	for _, m := range r.results {
		if now, ok := s.retained.tree.Get(m.Topic()); ok && (now.expiry == 0 || now.expiry > s.loop.Now()) {
			kept = append(kept, now.Retain())
		}
		m.Release()
	}
	clear(r.results[len(kept):])
	r.results, r.recheck = kept, false
}

// fetched handles a look-up that came back.
func (s *Shard) fetched(r *replay) {
	r.away = false
	ss := s.lookup(r.key, r.gen)
	if r.pending != nil {
		s.gathered(ss, r)
		return
	}
	if r.cancelled || ss == nil {
		s.forgetReplay(r)
		return
	}
	if s.liveSeq-r.since > liveLog {
		r.recheck, r.since = true, s.liveSeq
		s.sendLookup(r)
		return
	}
	s.takeResults(ss, r)
	s.replayMore(ss)
}

// With several loops a look-up takes a while. What a publisher sends after the SUBACK must not arrive before the older
// retained message of its topic, and what the subscriber sends after its SUBSCRIBE must not be answered before it. So the
// first results are gathered from all partitions, while nothing is read from the subscriber, and follow the SUBACK at once.
// More than fetchMax messages for a filter come afterwards at the replay's pace.

// gatherMax is how many filters of one SUBSCRIBE are looked up before its SUBACK; with more, all are looked up after it.
const gatherMax = 16

// gather starts the look-ups that a SUBACK waits for.
func (s *Shard) gather(p *pendingSuback) {
	p.gathered = true
	for _, r := range p.fetches {
		r.key, r.gen, r.pending = p.key, p.gen, p
		p.waiting++
		s.sendLookup(r)
	}
}

// sendLookup sends a look-up to its partition; fetched takes it back.
func (s *Shard) sendLookup(r *replay) {
	r.away = true
	s.post(r.partition, mailFetch, 0, r)
}

// gathered goes on to the next partition while there is room; ss is nil when the session has ended.
func (s *Shard) gathered(ss *session, r *replay) {
	if ss != nil && r.finished && r.partition < r.last && len(r.results) < fetchMax {
		r.advance()
		s.sendLookup(r)
		return
	}
	p := r.pending
	r.pending = nil
	s.completeSuback(p)
}

// takeGathered delivers what was gathered behind the SUBACK and lets the rest follow. When the connection that asked has
// gone, or the log of what was delivered live does not reach back far enough, it begins anew.
func (s *Shard) takeGathered(ss *session, r *replay, here bool) {
	if ss == nil || ss.subs.find(r.filter) < 0 {
		s.cancel(r)
		return
	}
	if !here || s.liveSeq-r.since > liveLog {
		again := s.newReplay(r.filter, r.sub)
		s.cancel(r)
		s.startReplay(ss, again)
		return
	}
	s.deliverResults(ss, r)
	if !r.advance() {
		s.replays--
		return
	}
	if ss.replays != nil && ss.replays.waiting[r.filter] != nil {
		s.cancel(r) // the waiting one brings everything
		return
	}
	s.startReplay(ss, r)
}

// advance goes to the next partition when this one has no more; it reports false when it was the last.
func (r *replay) advance() bool {
	if r.finished {
		r.finished = false
		r.partition++
	}
	return r.partition <= r.last
}

// takeResults delivers what a look-up brought and moves on: to the same partition, the next one, or the end.
func (s *Shard) takeResults(ss *session, r *replay) {
	s.deliverResults(ss, r)
	if !r.advance() {
		ss.removeReplay(r)
		s.replays--
	}
}

// deliverResults delivers what look-ups brought, but for what arrived live meanwhile.
func (s *Shard) deliverResults(ss *session, r *replay) {
	for i, m := range r.results {
		if s.loops == 1 || !s.isStale(m, r.since) {
			s.deliverRetained(ss, r, m)
		}
		m.Release()
		r.results[i] = nil
	}
	r.results = r.results[:0]
	r.since = s.liveSeq
}

// deliverRetained sends one retained message to the session whose subscription asked for it, with the retain flag
// [MQTT-3.3.1-8]. Its pace is the replay's, so the queue's bounds do not apply.
func (s *Shard) deliverRetained(ss *session, r *replay, m *Message) {
	if r.sub.Flags&router.FlagNoLocal != 0 && m.origin == s.originOf(ss) {
		return
	}
	if m.source != nil && !s.mayRetained(m) {
		return
	}
	if m.expiry != 0 && m.expiry <= s.loop.Now() {
		return // while the SUBACK waited for the store
	}
	p := &s.replayPub
	p.load(m, s.loop.Now())
	s.paced = true
	s.deliverTo(ss, p, &outgoing{qos: s.outgoingQoS(m.qos, r.sub.QoS), retain: true, subID: r.sub.ID}, nil)
	s.paced = false
	p.reset()
}

// noteRetained writes a retained publication that is delivered live into the log, while replays run.
func (s *Shard) noteRetained(p *publication) {
	if s.replays == 0 || s.loops == 1 {
		return
	}
	if s.live == nil {
		s.live = make([]liveNote, liveLog)
	}
	s.live[s.liveSeq%liveLog] = liveNote{p.scan(s.hasher).Hash(), p.version}
	s.liveSeq++
}

// isStale reports whether m's topic arrived live in the same or a newer version since the look-up began.
func (s *Shard) isStale(m *Message, since uint64) bool {
	if since == s.liveSeq {
		return false
	}
	if s.liveSeq-since > liveLog {
		since = s.liveSeq - liveLog // the older ones have been written over
	}
	s.probe.Scan(s.hasher, m.Topic())
	hash := s.probe.Hash()
	for i := since; i < s.liveSeq; i++ {
		if n := &s.live[i%liveLog]; n.hash == hash && n.version >= m.version {
			return true
		}
	}
	return false
}

// removeReplay takes a replay out of the list.
func (ss *session) removeReplay(r *replay) {
	ss.replays.remove(r)
	if ss.replays.first == nil && !ss.replays.due {
		ss.replays = nil
	}
}

// cancelReplays drops every replay of a session that ends.
func (s *Shard) cancelReplays(ss *session) {
	for r := ss.running(); r != nil; r = ss.running() {
		ss.removeReplay(r)
		s.cancel(r)
	}
}

// cancelReplaysOf drops the replays of one filter, when it is unsubscribed, and lets the next ones go on.
func (s *Shard) cancelReplaysOf(ss *session, filter string) {
	if ss.replays == nil {
		return
	}
	if r := ss.replays.waiting[filter]; r != nil {
		ss.removeReplay(r)
		s.cancel(r)
	}
	if r := ss.running(); r != nil && r.filter == filter {
		ss.removeReplay(r)
		s.cancel(r)
		s.replayMore(ss)
	}
}

// cancel ends a replay that is no longer in its session's list. One that is away ends when it comes back.
func (s *Shard) cancel(r *replay) {
	r.cancelled = true
	if !r.away {
		s.forgetReplay(r)
	}
}

// forgetReplay gives back what a cancelled replay holds. A cursor in another partition is closed there.
func (s *Shard) forgetReplay(r *replay) {
	for _, m := range r.results {
		m.Release()
	}
	r.results = nil
	if r.cursor != nil && r.partition != int(s.id) {
		r.closing = true
		s.sendLookup(r)
		return
	}
	r.closeCursor()
	s.replays--
}
