package shard

import (
	"math/bits"

	"github.com/noctulemq/noctule/auth"
	"github.com/noctulemq/noctule/router"
)

// A shared subscription lives on one loop, its home, chosen by the hash of group and filter. The home's index holds
// the filter, so publications reach it like any other; it picks a member and hands the message to the member's loop,
// which queues it or, when the session has gone, gives it back for another member. Joining waits for the home before
// the SUBACK; all messages of a group pass its home, which keeps them in order.

// groupJoin asks a group's home loop to take a member, and is sent back when it has.
type groupJoin struct {
	share   router.Share
	member  router.Member
	home    int
	pending *pendingSuback
}

// groupLeave tells a group's home loop that a member unsubscribed or ended, or came or went.
type groupLeave struct {
	share  router.Share
	key    uint32
	loop   uint8
	online bool
}

// sharedDelivery is one message on its way from a group's home to the member it picked, and perhaps back.
type sharedDelivery struct {
	msg    *Message // one reference
	share  router.Share
	member router.Member
	// receipt, which may be nil, waits until a member has it on disk or does not need it.
	receipt *receipt
	tried   uint64 // positions of members that turned it down
	qos     uint8
	last    bool // no member is online: the picked one queues it
	forced  bool // every member turned it down, each had left as it came: one queues it after all
}

// groupHome returns the loop where a shared group lives.
func (b *Broker) groupHome(share router.Share) int { return b.home(share.Group + "/" + share.Filter) }

// joinGroup takes ss into a group: at once when the group lives here, else by the returned request.
func (s *Shard) joinGroup(ss *session, share router.Share, sub router.Subscriber) *groupJoin {
	m := router.Member{Loop: s.id, Key: ss.key, Gen: ss.gen, ID: sub.ID, QoS: sub.QoS, Flags: sub.Flags, Online: ss.client != nil}
	home := s.broker.groupHome(share)
	if home == int(s.id) {
		s.index.Join(share, m)
		return nil
	}
	return &groupJoin{share: share, member: m, home: home}
}

func (s *Shard) leaveGroup(ss *session, share router.Share) {
	home := s.broker.groupHome(share)
	if home == int(s.id) {
		s.index.Leave(share, s.id, ss.key)
		return
	}
	s.post(home, mailLeave, 0, &groupLeave{share: share, key: ss.key, loop: s.id})
}

// setOnline tells the homes of a session's groups whether it can receive now.
func (s *Shard) setOnline(ss *session, online bool) {
	for _, filter := range ss.subs.list {
		if len(filter) == 0 || filter[0] != '$' {
			continue
		}
		share, shared, _ := router.ParseShare(filter)
		if !shared {
			continue
		}
		home := s.broker.groupHome(share)
		l := &groupLeave{share: share, key: ss.key, loop: s.id, online: online}
		if home == int(s.id) {
			s.memberOnline(l)
			continue
		}
		s.post(home, mailOnline, 0, l)
	}
}

func (s *Shard) memberOnline(l *groupLeave) {
	if g := s.index.Group(l.share); g != nil {
		g.SetOnline(l.loop, l.key, l.online)
	}
}

// deliverGroup picks the member of a group that lives here and sends it the publication.
func (s *Shard) deliverGroup(p *publication, g *router.Group) {
	hash := p.scan(s.hasher).Hash()
	if s.strategy == router.HashClient {
		hash = uint64(p.origin.loop)<<32 | uint64(p.origin.key)
		hash *= 0x9e3779b97f4a7c15
	}
	i, ok := g.Pick(s.strategy, hash, 0)
	if !ok {
		return
	}
	m := &g.Members[i]
	qos := s.outgoingQoS(p.qos, m.QoS)
	if m.Loop == s.id {
		if ss := s.lookup(m.Key, m.Gen); ss != nil && (ss.receiver() != nil || qos > 0) && s.may(ss.who, auth.Receive, p.name) {
			s.deliverShared(ss, p, m, &g.Share, qos)
			return
		}
	}
	d := &sharedDelivery{msg: p.message(&s.broker.messages).Retain(), share: g.Share, member: *m, qos: p.qos, last: !m.Online}
	d.tried = 1 << min(i, 63)
	if d.receipt = p.receipt; d.receipt != nil {
		d.receipt.pending.Add(1)
	}
	s.postMessage(passedOn, int(m.Loop), mailShared, d, d.msg.size())
}

// deliverShared gives a publication to the chosen member's session on this loop.
func (s *Shard) deliverShared(ss *session, p *publication, m *router.Member, share *router.Share, qos uint8) {
	g := outgoing{qos: qos, subID: m.ID}
	g.retain = p.retain && m.Flags&router.FlagRetainAsPublished != 0
	s.deliverTo(ss, p, &g, share)
}

// receiveShared handles a delivery from a group's home: the member takes it, or it goes back.
func (s *Shard) receiveShared(d *sharedDelivery) {
	ss := s.lookup(d.member.Key, d.member.Gen)
	qos := s.outgoingQoS(d.qos, d.member.QoS)
	if ss == nil || (ss.receiver() == nil && !(d.last && qos > 0)) || !s.isMember(ss, &d.share) || !s.may(ss.who, auth.Receive, d.msg.Topic()) {
		s.sharedReturn(d)
		return
	}
	p := &s.pub
	p.load(d.msg, s.loop.Now())
	d.msg.Release()
	p.receipt = d.receipt
	s.deliverShared(ss, p, &d.member, &d.share, qos)
	p.reset()
	s.fulfil(d.receipt)
}

// isMember reports whether a session still has its subscription to a group: a delivery may have been on its way when
// it unsubscribed [MQTT-3.10.4-2].
func (s *Shard) isMember(ss *session, share *router.Share) bool {
	b := append(append(append(append(s.scratch[:0], "$share/"...), share.Group...), '/'), share.Filter...)
	return ss.subs.findBytes(b) >= 0
}

// newSharedDelivery makes a delivery out of a message that its member will not finish; it takes over the reference.
func (s *Shard) newSharedDelivery(m *Message, share router.Share) *sharedDelivery {
	return &sharedDelivery{msg: m, share: share, qos: m.qos}
}

// sharedReturn brings a delivery back to the group's home for another member.
func (s *Shard) sharedReturn(d *sharedDelivery) {
	home := s.broker.groupHome(d.share)
	if home != int(s.id) {
		s.post(home, mailSharedBack, 0, d)
		return
	}
	s.sharedAgain(d)
}

// sharedAgain picks another member for a delivery that came back; when all have turned it down it is dropped and
// counted.
func (s *Shard) sharedAgain(d *sharedDelivery) {
	if e := d.msg.expiry; e != 0 && e <= s.loop.Now() { // [MQTT-3.3.2-5]
		s.count.Expired++
		s.endShared(d)
		return
	}
	g := s.index.Group(d.share)
	if g == nil {
		s.dropShared(d)
		return
	}
	hash := bits.RotateLeft64(uint64(d.member.Key)*0x9e3779b97f4a7c15, 31)
	i, ok := g.Pick(s.strategy, hash, d.tried)
	if !ok || i > 63 {
		if d.forced {
			s.dropShared(d)
			return
		}
		d.forced = true
		i, _ = g.Pick(s.strategy, hash, 0) // a group has a member
	}
	d.tried |= 1 << min(i, 63)
	d.member = g.Members[i]
	d.last = d.forced || !d.member.Online
	s.count.Redirected++
	s.postMessage(passedOn, int(d.member.Loop), mailShared, d, d.msg.size())
}

func (s *Shard) dropShared(d *sharedDelivery) {
	s.count.DroppedShared++
	s.endShared(d)
}

func (s *Shard) endShared(d *sharedDelivery) {
	d.msg.Release()
	s.fulfil(d.receipt)
}
