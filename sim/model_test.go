package sim

import (
	"strings"

	"github.com/noctulemq/noctule/config"
)

// message is one application message that a client publishes or leaves as its will.
type message struct {
	*publication
	pub     *client
	session *session // the publisher's
	conn    *conn

	maybe    bool  // with doneAt: it is not known whether it was routed
	gone     bool  // the publisher will not send it again
	expires  int64 // clock; 0: never
	expiring int64 // the first sending's, which is what counts for a QoS 2 message that is held
	delay    int64
	dueAt    int64
	open     bool // a will that may still come, the model does not know when
	shared   int  // copies that members of shared groups received
	sharedQ1 bool // one of them at QoS 1
}

// clear reports a retained publication with an empty payload.
func (m *message) clear() bool { return m.retain && len(m.payload) == 0 }

func (w *world) newMessage(c *client, topic string, qos uint8) *message {
	size := w.pick(0, 0, 0, 20, 20, 200, 900)
	if w.chance(3) {
		size = w.pick(5000, 9000, 20000)
	}
	m := &message{publication: w.newPublication(c.id, topic, qos, size), pub: c, session: c.session}
	w.messages = append(w.messages, m)
	return m
}

// isShared reports whether m can have reached s through a shared subscription only.
func isShared(s *session, m *message) bool { return s.c.shares && strings.HasPrefix(m.topic, "s/") }

// seen is what a session has received of one message.
type seen struct {
	count int
	at    int // step of the last reception
}

// debt is a message that a session must receive.
type debt struct {
	m      *message
	copies int
	conn   *conn // QoS 0: only on this connection
}

// session is one incarnation of a client's session.
type session struct {
	c        *client
	expiry   uint32
	conns    int
	subs     []*sub
	rx       map[uint16]*message // QoS 2 received, PUBREL not
	ids      map[uint16]*message // the last message of each packet identifier
	seen     map[*message]*seen
	last     map[stream]int
	retained map[string][]*message // by topic and QoS, in order of first reception
	debts    []debt
	// load bounds the deliveries that can wait in the queue; above the limit nothing queued is owed, up to safeFrom.
	load     int
	overflow bool
	safeFrom int
	groups   int // different shared subscriptions so far
}

func newSession(c *client) *session {
	return &session{c: c, rx: map[uint16]*message{}, ids: map[uint16]*message{}, seen: map[*message]*seen{}, last: map[stream]int{},
		retained: map[string][]*message{}}
}

// active returns the version of a filter that the client believes in, nil when there is none.
func (s *session) active(written string) *sub {
	for i := len(s.subs) - 1; i >= 0; i-- {
		if v := s.subs[i]; v.written == written {
			if v.endSentAt != 0 {
				return nil
			}
			return v
		}
	}
	return nil
}

// liveCopies returns how many copies of m may and must reach s through its subscriptions; must counts those whose
// QoS is surely above 0, must0 those that may be of QoS 0.
func (w *world) liveCopies(s *session, m *message) (may, must, must0 int) {
	type share struct {
		sure bool
		qos  uint8
	}
	byFilter := map[string]*share{}
	var order []string
	queued := false
	for _, v := range s.subs {
		if v.group != "" || !v.matches(m.topic) || !v.possibly(m.sentAt, m.doneAt) || (v.noLocal && m.session == s) {
			continue
		}
		f := byFilter[v.written]
		if f == nil {
			f = &share{qos: 2}
			byFilter[v.written] = f
			order = append(order, v.written)
		}
		queued = queued || w.outQoS(m.qos, v.qos) > 0
		f.qos = min(f.qos, w.outQoS(m.qos, v.qos))
		if v.surely(m.sentAt, m.doneAt) && !(v.noLocal && m.pub == s.c) {
			f.sure = true
		}
	}
	for _, name := range order {
		f := byFilter[name]
		may++
		if !f.sure {
			continue
		}
		if f.qos > 0 {
			must++
		} else {
			must0++
		}
	}
	if !w.cfg.AllowDuplicateMessages {
		may = min(may, 1)
		if must = min(must, 1); must > 0 {
			must0 = 0
		}
		must0 = min(must0, 1)
		if queued && (s.overflow || m.sentAt <= s.safeFrom) {
			must0 = 0 // the one copy may have gone through the queue when it was full
		}
	}
	return may, must, must0
}

// received checks one PUBLISH that a client got and keeps it in mind. It reports false for a QoS 2 repetition.
func (w *world) received(c *conn, m *message, qos uint8, id uint16, dup, retain bool, subIDs []uint32) {
	s := c.session
	w.note("%s <- %v q%d id%d dup=%v retain=%v", c.id, m, qos, id, dup, retain)
	if m.will == willArmed && w.cfg.SlowConsumer == config.Disconnect {
		m.will = willMay // the broker has closed the connection, and its client does not know yet
		m.sentAt = max(m.sentAt, 1)
	}
	if m.isWill && (m.will == willArmed || m.will == willNever) {
		w.fail("%s got the will %v, which had no cause", c.id, m)
	}
	if m.sentAt == 0 && !m.isWill {
		w.fail("%s got %v, which was never sent", c.id, m)
	}
	if m.expires != 0 && m.expires < w.net.Clock.Now() && !w.disturbs() && !dup && qos > 0 && !c.behind {
		w.fail("%s got %v after it expired", c.id, m)
	}
	if dup && (qos == 0 || s.conns == 1) {
		w.fail("%s got %v with DUP, but nothing was redelivered", c.id, m)
	}
	if retain && !m.retain {
		w.fail("%s got %v as retained, but it was not published so", c.id, m)
	}
	repeated := false
	switch qos {
	case 1:
		repeated = s.ids[id] == m && dup
		if s.ids[id] == m && !dup {
			w.fail("%s got %v again with packet identifier %d and without DUP", c.id, m, id)
		}
		s.ids[id] = m
	case 2:
		if have := s.rx[id]; have != nil {
			if have != m {
				w.fail("%s got %v under packet identifier %d, which %v still has", c.id, m, id, have)
			}
			if !dup {
				w.fail("%s got %v again without DUP", c.id, m)
			}
			repeated = true
		}
		s.rx[id] = m
	}
	if repeated {
		return
	}
	w.checkExplained(s, m, qos, retain, subIDs)
	w.checkOrder(s, m, qos, retain)
	w.checkStale(s, m, qos)
	got := s.seen[m]
	if got == nil {
		got = &seen{}
		s.seen[m] = got
	}
	got.count++
	got.at = w.step
	w.checkCount(s, m, qos, got.count)
}

// checkExplained holds that a subscription asked for the message, at this QoS.
func (w *world) checkExplained(s *session, m *message, qos uint8, retain bool, subIDs []uint32) {
	var highest uint8
	found, replay, ids := false, false, map[uint32]bool{}
	mergedAsPub := false // one copy for all: it keeps the retain flag if one of them asks so
	for _, v := range s.subs {
		if !w.cfg.AllowDuplicateMessages && v.asPub && v.matches(m.topic) && v.possibly(m.sentAt, m.doneAt) {
			mergedAsPub = true
		}
	}
	for _, v := range s.subs {
		if !v.matches(m.topic) || (v.noLocal && m.session == s && m.pub == s.c) {
			continue
		}
		// What a member that ended leaves behind goes to another, who may have joined later.
		live := v.possibly(m.sentAt, m.doneAt) || (v.group != "" && w.sharesMove())
		if !live && !(m.retain && v.rh != 2 && v.group == "") {
			continue
		}
		q := w.outQoS(m.qos, v.qos)
		highest = max(highest, q)
		if retain && !((v.asPub || mergedAsPub) && live) && (v.rh == 2 || v.group != "" || (v.rh == 1 && v.replaces != nil && v.replaces.endSentAt == v.sentAt && v.replaces.ackedAt != 0)) {
			continue
		}
		ids[v.id] = true
		if q == qos {
			found = true
		}
		replay = true
	}
	switch {
	case !replay:
		w.fail("%s got %v (retain=%v), which no subscription asked for", s.c.id, m, retain)
	case !found:
		w.fail("%s got %v at QoS %d, which no subscription granted (at most %d)", s.c.id, m, qos, highest)
	}
	if s.c.version == 5 {
		for _, id := range subIDs {
			if !ids[id] {
				w.fail("%s got %v with subscription identifier %d, which no matching subscription has", s.c.id, m, id)
			}
		}
	}
}

// checkOrder holds promise 3 for what arrives live: from one publisher, per QoS, in the order sent.
func (w *world) checkOrder(s *session, m *message, qos uint8, retain bool) {
	shared := isShared(s, m)
	if m.isWill || retain || m.sends != 1 || shared && (w.sharesMove() || s.groups > 1) {
		return // two groups of one client may live on two loops, and nothing orders these
	}
	k := stream{m.from, m.qos, qos, shared}
	if last, have := s.last[k]; have && m.seq < last {
		w.fail("%s got %v after #%d of the same publisher and QoS", s.c.id, m, last)
	}
	s.last[k] = m.seq
}

// checkStale holds that no retained value arrives after a newer one.
func (w *world) checkStale(s *session, m *message, qos uint8) {
	if !m.retain || s.seen[m] != nil {
		return
	}
	k := m.topic + string('0'+rune(qos))
	for _, newer := range s.retained[k] {
		if m.doneAt != 0 && m.doneAt < newer.sentAt {
			w.fail("%s got the old value %v after the newer %v", s.c.id, m, newer)
		}
	}
	s.retained[k] = append(s.retained[k], m)
}

// checkCount holds the upper bounds: exactly once for QoS 2, one copy for each subscription and sending otherwise.
func (w *world) checkCount(s *session, m *message, qos uint8, count int) {
	sends := 1
	if m.qos == 1 {
		sends = max(m.sends, 1)
	}
	if isShared(s, m) {
		m.shared++
		m.sharedQ1 = m.sharedQ1 || qos == 1
		groups := w.groupsFor(m)
		if m.shared > groups*sends && !(w.sharesMove() && m.sharedQ1) {
			w.fail("%v reached %d members of %d shared groups (sent %d times)", m, m.shared, groups, sends)
		}
		return
	}
	may, _, _ := w.liveCopies(s, m)
	may *= sends
	if m.retain {
		for _, v := range s.subs {
			if v.group == "" && v.rh != 2 && v.matches(m.topic) {
				may++
			}
		}
	}
	if count > may {
		w.fail("%s got %v %d times; %d would be right", s.c.id, m, count, may)
	}
}

// groupsFor counts the shared subscriptions that may have asked for m.
func (w *world) groupsFor(m *message) int {
	groups := map[string]bool{}
	w.eachSession(func(s *session) {
		for _, v := range s.subs {
			if v.group != "" && v.matches(m.topic) && v.possibly(m.sentAt, m.doneAt) {
				groups[v.written] = true
			}
		}
	})
	return len(groups)
}

// eachSession visits every session that there was.
func (w *world) eachSession(visit func(*session)) {
	for _, c := range w.clients {
		for _, s := range c.sessions {
			visit(s)
		}
	}
}

// loadFor notes that copies of a message to topic may be queued for the sessions that may want it.
func (w *world) loadFor(topic string) {
	w.eachSession(func(s *session) {
		for _, v := range s.subs {
			if v.matches(topic) && v.endedAt == 0 {
				w.addLoad(s, 1)
			}
		}
	})
}

func (w *world) addLoad(s *session, n int) {
	s.load += n
	if s.load > w.queueLimit {
		s.overflow = true
	}
}

// complete is called when everything is quiet: messages that were surely routed become debts of the sessions that
// must get them, and the debts of those who read are due.
func (w *world) complete() {
	w.step++
	undone := 0
	for _, m := range w.messages {
		if m.sentAt == 0 || m.doneAt != 0 {
			continue
		}
		if w.routed(m) {
			m.doneAt = w.step
			w.owe(m)
		} else if m.conn == nil || !m.conn.over {
			undone++
		}
	}
	w.step++
	for _, c := range w.clients {
		s := c.session
		if s == nil {
			continue
		}
		if s.overflow {
			s.debts = keepDebts(s.debts, func(d debt) bool { return d.conn != nil })
		}
		if c.conn == nil || !c.conn.reading() || c.conn.sock.Untaken() > 0 && w.disturbs() {
			continue // held, its acknowledgements are not read
		}
		w.checkDebts(s)
		w.checkReplays(s)
		s.load, s.overflow = 4*undone, 4*undone > w.queueLimit
		s.safeFrom = w.step
		c.conn.behind = false
	}
	w.step++
}

// routed reports whether nothing of m is on its way any more; m.maybe tells when it is not known that it arrived.
func (w *world) routed(m *message) bool {
	switch {
	case m.isWill && m.open:
		return false
	case m.isWill:
		m.maybe = m.will != willMust
		return true
	case m.qos > 0 && m.ackedAt != 0:
		return true
	case m.qos > 0 && m.gone:
		m.maybe = true
		return true
	case m.qos > 0:
		return false
	case m.conn.over && w.halts() && m.conn.handled < m.number:
		return false // the broker may have it and not read on yet
	case m.conn.over:
		m.maybe = m.conn.handled < m.number
		return true
	}
	return m.conn.handled >= m.number
}

// owe makes debts of a routed message.
func (w *world) owe(m *message) {
	if m.maybe || m.clear() || (m.isWill && m.will == willNever) {
		return
	}
	w.eachSession(func(s *session) {
		if s.c.session != s {
			return
		}
		_, must, must0 := w.liveCopies(s, m)
		if s.overflow || m.sentAt <= s.safeFrom {
			must = 0
		}
		if must > 0 {
			s.debts = append(s.debts, debt{m: m, copies: must})
		}
		c := s.c.conn
		if must0 > 0 && w.qos0Sure && c != nil && c.session == s && c.connected() && c.connectedAt < m.sentAt {
			s.debts = append(s.debts, debt{m: m, copies: must + must0, conn: c})
		}
	})
}

func keepDebts(debts []debt, keep func(debt) bool) []debt {
	kept := debts[:0]
	for _, d := range debts {
		if keep(d) {
			kept = append(kept, d)
		}
	}
	return kept
}

// checkDebts holds promise 2 for a session whose client reads.
func (w *world) checkDebts(s *session) {
	for _, d := range s.debts {
		got := 0
		if k := s.seen[d.m]; k != nil {
			got = k.count
		}
		switch {
		case got >= d.copies, d.conn != nil && d.conn != s.c.conn:
		case d.m.expires != 0 && d.m.expiring < w.net.Clock.Now()+second:
		default:
			w.fail("%s got %d of %d copies of %v (sent at %d, routed by %d)", s.c.id, got, d.copies, d.m, d.m.sentAt, d.m.doneAt)
		}
	}
	s.debts = s.debts[:0]
}

// checkReplays holds that a new subscription brought the retained state of its time, or newer.
func (w *world) checkReplays(s *session) {
	for _, v := range s.subs {
		if v.ackedAt == 0 || v.replayChecked {
			continue
		}
		v.replayChecked = true
		if s.overflow || v.group != "" || v.endSentAt != 0 || v.rh == 2 || (v.rh == 1 && !v.fresh) {
			continue
		}
		for _, topic := range retainedTopics {
			if v.matches(topic) {
				w.checkReplay(s, v, topic)
			}
		}
	}
}

func (w *world) checkReplay(s *session, v *sub, topic string) {
	want := w.retainedSince(topic, v.sentAt)
	var names []string
	for _, m := range want {
		if m == nil || m.clear() || m.maybe || m.doneAt == 0 || (v.noLocal && m.pub == s.c) || m.expires != 0 {
			return // there may be nothing to get
		}
		if w.outQoS(m.qos, v.qos) == 0 && (!w.qos0Sure || v.conn != s.c.conn) {
			return
		}
		if k := s.seen[m]; k != nil && k.at > v.sentAt {
			return
		}
		names = append(names, m.String())
	}
	w.fail("%s subscribed to %s at step %d and got no retained value of %s; it should be one of %v", s.c.id, v.filter, v.sentAt, topic, names)
}

// retainedSince returns every publication that may have been the retained value of topic at step at or later; nil
// stands for none.
func (w *world) retainedSince(topic string, at int) []*message {
	var all []*message
	for _, m := range w.messages {
		if m.retain && m.topic == topic && m.sentAt != 0 {
			all = append(all, m)
		}
	}
	var since []*message
	sure := false
	for _, m := range all {
		if !m.maybe && m.doneAt != 0 && m.doneAt < at {
			sure = true
		}
		replaced := false
		for _, by := range all {
			if m.doneAt != 0 && m.doneAt < by.sentAt && !by.maybe && by.doneAt != 0 && by.doneAt < at {
				replaced = true
			}
		}
		if !replaced {
			since = append(since, m)
		}
	}
	if !sure {
		since = append(since, nil)
	}
	return since
}
