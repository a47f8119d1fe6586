package sim

import (
	"math"
	"slices"

	"github.com/noctulemq/noctule/codec"
)

// crashMessage is one application message that a client publishes or leaves as its will.
type crashMessage struct {
	*publication
	pub     *crashClient
	sentOn  *crashConn    // the last time
	sentFor *crashSession // the one session of the publisher in which it was sent; nil when there were several

	goneAt int  // step at which the publisher gave it up
	unsure bool // under Fast: it was acknowledged, and a crash may have lost it

	expiry      uint32 // seconds; 0: never
	expiresFrom int64  // Unix milliseconds; counted from the first sending
	ackedWall   int64  // Unix milliseconds

	clearing bool  // stands for an empty payload
	delay    int64 // seconds
	leftAt   int   // step at which its connection ended
	leftWall int64 // Unix milliseconds
	members  int   // receptions by clients with shared subscriptions
}

// ended reports whether nobody sends m any more.
func (m *crashMessage) ended() bool {
	switch {
	case m.sentAt == 0 || m.isWill:
		return false
	case m.qos == 0: // the broker may not have read it yet
		return m.sentOn.life != m.pub.w.lives || m.sentOn.sock.Untaken() == 0
	}
	return m.ackedAt != 0 || m.goneAt != 0
}

// sure reports whether m was surely routed: one that expires may have done so while it was held for its PUBREL.
func (m *crashMessage) sure() bool { return m.ackedAt != 0 && !m.unsure && m.expiry == 0 }

func (w *crashWorld) newMessage(k *crashClient, topic string, qos uint8) *crashMessage {
	size := w.pick(0, 0, 0, 20, 20, 200)
	if w.chance(2) {
		size = w.pick(9000, 64000)
	}
	m := &crashMessage{publication: w.newPublication(k.id, topic, qos, size), pub: k}
	w.messages = append(w.messages, m)
	return m
}

// crashSession is one incarnation of a client's session, across crashes.
type crashSession struct {
	c      *crashClient
	expiry uint32
	conns  int
	stored bool // a crash does not lose it
	// unstored tells that it is not stored: a crash does not bring it back.
	unstored bool
	brief    bool // it ends with the connection
	revived  bool // a crash brought it back after its end
	subs     []*sub
	rx       map[uint16]*crashMessage // QoS 2 received, PUBREL not
	rxOn     map[uint16]*crashConn    // on which connection
	open     map[uint16]*crashMessage // QoS 1 received and not acknowledged
	seen     map[*crashMessage]int
	twice    map[*crashMessage]int // QoS 2 receptions
	last     map[stream]int
	debts    []*crashMessage
	owedFrom int // the step from which what is sent to it is owed
}

func newCrashSession(k *crashClient) *crashSession {
	return &crashSession{c: k, expiry: k.expiry, rx: map[uint16]*crashMessage{}, rxOn: map[uint16]*crashConn{}, open: map[uint16]*crashMessage{}, seen: map[*crashMessage]int{},
		twice: map[*crashMessage]int{}, last: map[stream]int{}}
}

// owedNever is the owedFrom of a session that is to end with a connection whose CONNACK has not come: when a crash brings it back,
// messages that were acknowledged meanwhile may have gone by.
const owedNever = math.MaxInt

// letGo notes that the session ends with its connection, or did if CONNACK had come.
func (s *crashSession) letGo() {
	s.owedFrom = owedNever
	for _, v := range s.subs {
		s.c.w.leaky[v.written] = true
	}
}

// wanted reports whether a subscription of this QoS was in force all the time since m was sent, so that it arrives in order.
func (s *crashSession) wanted(m *crashMessage, qos uint8) bool {
	return !m.isWill && !m.retain && m.expiry == 0 && slices.ContainsFunc(s.subs, func(v *sub) bool {
		return v.group == "" && v.matches(m.topic) && s.c.w.outQoS(m.qos, v.qos) == qos && v.surely(m.sentAt, s.c.w.step)
	})
}

// skips reports whether messages to the session may have expired in its queue. That they are gone may not be stored, and then others
// behind them are not known to have been sent.
func (s *crashSession) skips() bool {
	return slices.ContainsFunc(s.c.w.messages, func(m *crashMessage) bool {
		return m.expiry > 0 && m.sentAt != 0 && slices.ContainsFunc(s.subs, func(v *sub) bool { return v.matches(m.topic) })
	})
}

// checkExpiry holds that a message expires when it should, and says so, downtime included.
func (w *crashWorld) checkExpiry(c *crashConn, m *crashMessage, p *codec.Publish) {
	if m.isWill {
		return
	}
	if p.HasExpiry != (m.expiry > 0 && c.version == codec.V5) {
		w.fail("%s got %v with expiry %v", c.id, m, p.HasExpiry)
	}
	if m.expiry == 0 {
		return
	}
	until := w.now() + int64(m.expiry)*1000 // it is not known when the broker took it
	if m.ackedWall != 0 {
		until = m.ackedWall + int64(m.expiry)*1000
	}
	emptyAt := w.wall(c.emptyAt)
	if !p.Dup && until+1500 < emptyAt {
		w.fail("%s got %v %d ms after it expired", c.id, m, emptyAt-until)
	}
	if p.HasExpiry && !p.Dup {
		most, least := (until-emptyAt)/1000+2, (m.expiresFrom-w.now())/1000-2
		if e := int64(p.Expiry); e > max(most, 1) || e < least {
			w.fail("%s got %v with expiry %d, expected %d to %d", c.id, m, e, least, most)
		}
	}
}

// received checks one PUBLISH that a client got and keeps it in mind.
func (w *crashWorld) received(c *crashConn, m *crashMessage, p *codec.Publish) {
	s, id, qos := c.session, p.PacketID, p.QoS
	if late := m.pub.conn; m.isWill && m.will == willArmed && late != nil && late.will == m && late.sock.Ended() {
		late.run(0) // the client of the will has not looked yet
	}
	switch {
	case m.isWill && (m.will == willArmed || m.will == willNever && w.safe) || m.sentAt == 0 && !m.isWill:
		w.fail("%s got %v, which had no cause", s.c.id, m)
	case m.isWill && m.will == willWaits && w.now() < m.leftWall+m.delay*1000-500:
		w.fail("%s got the will %v %d ms after its connection ended", s.c.id, m, w.now()-m.leftWall)
	}
	if p.Dup && (qos == 0 || s.conns == 1) {
		w.fail("%s got %v with DUP, but nothing was redelivered", s.c.id, m)
	}
	if p.Retain && !m.retain {
		w.fail("%s got %v as retained, but it was not published so", s.c.id, m)
	}
	switch qos {
	case 1:
		had, has := s.open[id]
		if has && w.safe && had != m && p.Dup && had.ackedAt != 0 && had.sends == 1 {
			w.fail("%s got %v with packet identifier %d and DUP, which was %v's", s.c.id, m, id, had)
		}
		s.open[id] = m
	case 2:
		if had := s.rx[id]; had == m || had != nil && w.safe && !s.revived {
			if had != m {
				w.fail("%s got %v under packet identifier %d, which %v still has", s.c.id, m, id, had)
			}
			if first := s.rxOn[id]; w.safe && !w.lossy && !p.Dup && !s.skips() && (first.recorded || first.life == w.lives) {
				w.fail("%s got %v again without DUP", s.c.id, m)
			}
			return
		}
		for other, had := range s.rx {
			if had == m && w.safe && !w.cfg.AllowDuplicateMessages && m.qos == 2 && !m.retain && !m.isWill && m.topic[0] != 's' {
				w.fail("%s got %v again under packet identifier %d instead of %d", s.c.id, m, id, other)
			}
		}
		s.rx[id], s.rxOn[id] = m, c
	}
	w.checkExplained(s, m, qos, p.SubIDs)
	if k := (stream{from: m.from, qos: m.qos, asQoS: qos}); qos > 0 && s.seen[m] == 0 && s.wanted(m, qos) {
		if last, have := s.last[k]; have && m.seq < last && w.safe && !w.lossy && !s.revived {
			w.fail("%s got %v after #%d of the same publisher and QoS", s.c.id, m, last)
		}
		s.last[k] = max(s.last[k], m.seq)
	}
	s.seen[m]++
	if s.c.shares {
		m.members++
	}
	if qos == 2 {
		s.twice[m]++
		w.checkOnce(s, m)
	}
}

// checkOnce holds that QoS 2 is exactly once for each subscription.
func (w *crashWorld) checkOnce(s *crashSession, m *crashMessage) {
	if m.qos != 2 || m.retain || m.isWill || !w.safe || s.revived {
		return
	}
	filters := map[string]bool{}
	for _, v := range s.subs {
		if v.matches(m.topic) && v.group == "" && v.possibly(m.sentAt, m.doneAt) {
			filters[v.written] = true
		}
	}
	may := len(filters)
	if !w.cfg.AllowDuplicateMessages {
		may = min(may, 1)
	}
	if s.c.shares && m.topic[0] == 's' {
		return
	}
	if s.twice[m] > may {
		w.fail("%s got %v %d times; %d would be right", s.c.id, m, s.twice[m], may)
	}
}

// checkExplained holds that a subscription asked for the message, at this QoS.
func (w *crashWorld) checkExplained(s *crashSession, m *crashMessage, qos uint8, subIDs []uint32) {
	asked, granted, ids := false, false, map[uint32]bool{}
	for _, v := range s.subs {
		if !v.matches(m.topic) || v.noLocal && m.sentFor == s && !m.retain && !m.isWill && w.safe {
			continue
		}
		live := v.possibly(m.sentAt, m.doneAt) || v.group != ""
		if !live && !m.retain && !m.isWill {
			continue
		}
		asked = true
		granted = granted || w.outQoS(m.qos, v.qos) == qos
		ids[v.id] = true
	}
	switch {
	case !asked:
		w.fail("%s got %v, which no subscription asked for", s.c.id, m)
	case !granted:
		w.fail("%s got %v at QoS %d, which no subscription granted", s.c.id, m, qos)
	}
	for _, id := range subIDs {
		if !ids[id] {
			w.fail("%s got %v with subscription identifier %d, which no matching subscription has", s.c.id, m, id)
		}
	}
}

// owe makes debts of a message that was acknowledged.
func (w *crashWorld) owe(m *crashMessage) {
	if m.ackedAt == 0 || m.unsure || w.lossy || m.expiry > 0 || len(m.payload) == 0 {
		return
	}
	for _, k := range w.clients {
		s := k.session
		if s == nil || m.sentAt < s.owedFrom {
			continue
		}
		for _, v := range s.subs {
			if v.group == "" && v.matches(m.topic) && v.surely(m.sentAt, m.doneAt) && w.outQoS(m.qos, v.qos) > 0 && !(v.noLocal && m.pub == k) &&
				(w.safe || w.outQoS(m.qos, v.qos) == 1) {
				s.debts = append(s.debts, m)
				break
			}
		}
	}
}

// oweWill makes debts of a will that was surely published.
func (w *crashWorld) oweWill(m *crashMessage) {
	if m.qos == 0 || w.lossy || !w.safe {
		return
	}
	for _, k := range w.clients {
		if s := k.session; s != nil && s.seen[m] == 0 && s.wantsWill(m) {
			s.debts = append(s.debts, m)
		}
	}
}

// wantsWill reports whether a subscription was in force all the time since the connection of a will ended.
func (s *crashSession) wantsWill(m *crashMessage) bool {
	return m.leftAt >= s.owedFrom && slices.ContainsFunc(s.subs, func(v *sub) bool {
		return v.group == "" && v.matches(m.topic) && v.surely(m.leftAt, s.c.w.step) && v.qos > 0 && !v.noLocal
	})
}

// checkDebts holds, when everything is quiet and stored, that a session whose client reads got what it is owed.
func (w *crashWorld) checkDebts(s *crashSession) {
	for _, m := range s.debts {
		if s.seen[m] == 0 {
			w.fail("%s did not get %v (sent at %d, acknowledged at %d)", s.c.id, m, m.sentAt, m.ackedAt)
		}
	}
	s.debts = s.debts[:0]
}

// checkWill holds that a will whose delay has passed, downtime included, reached a session.
func (w *crashWorld) checkWill(s *crashSession, m *crashMessage) {
	if m == nil || m.will != willWaits || m.qos == 0 || w.lossy || m.pub.goneBy == 0 || w.now() < max(m.pub.goneBy+m.delay*1000, w.bornAt)+1500 {
		return
	}
	if s.seen[m] == 0 && s.wantsWill(m) {
		w.fail("%s did not get the will %v", s.c.id, m)
	}
}

// checkGroups holds, at the end, that a QoS 1 message reached a member of each shared group that surely had one.
func (w *crashWorld) checkGroups() {
	if !w.safe || w.lossy || w.cfg.UpgradeOutgoingQoS {
		return
	}
	for _, m := range w.messages {
		if m.topic[0] != 's' || m.qos != 1 || m.ackedAt == 0 || m.expiry > 0 || m.members > 0 {
			continue
		}
		for _, k := range w.clients {
			for _, v := range k.session.subs {
				if v.group != "" && v.matches(m.topic) && v.surely(m.sentAt, w.step) && !w.leaky[v.written] {
					w.fail("%v reached no member of %s", m, v.written)
				}
			}
		}
	}
}

// retainedMay returns every message that may be a topic's retained one; nil stands for none.
func (w *crashWorld) retainedMay(topic string) []*crashMessage {
	var all, may []*crashMessage
	for _, m := range w.messages {
		if m.retain && m.topic == topic && m.sentAt != 0 {
			all = append(all, m)
		}
	}
	sure := false
	for _, m := range all {
		replaced := false
		for _, by := range all {
			replaced = replaced || by.sure() && m.doneAt != 0 && m.doneAt < by.sentAt
		}
		if replaced {
			continue
		}
		sure = sure || m.sure()
		if len(m.payload) == 0 || m.expiry > 0 && m.expiresFrom-1500 < w.now() {
			may = append(may, nil)
		}
		if len(m.payload) > 0 {
			may = append(may, m)
		}
	}
	if !sure {
		may = append(may, nil)
	}
	return may
}
