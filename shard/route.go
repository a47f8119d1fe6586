package shard

import (
	"math/bits"
	"strings"

	"github.com/noctulemq/noctule/auth"
	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/router"
)

// outgoing is how one receiver gets a publication.
type outgoing struct {
	ids    *[]uint32 // subscription identifiers when there are several
	subID  uint32    // the one subscription identifier; 0: none
	id     uint16    // packet identifier, QoS 1 and 2
	qos    uint8
	retain bool
	dup    bool
}

// referenceBytes is the payload size from which a publication is sent by reference to one counted message, so that a
// large payload is not copied once per receiver.
const referenceBytes = 8 << 10

// publishRouted brings a publication of this loop into the broker: to its retained partition first, then to the other
// loops with an interest, then to our own sessions. It reports whether anyone wants it.
func (s *Shard) publishRouted(p *publication) (matched bool) {
	if p.retain {
		s.storeRetained(p)
	}
	r := s.routeOf(p)
	if s.interest != nil {
		matched = s.routeAway(p, r)
	}
	return s.routeLocal(p, r) || matched
}

// routeAway puts one entry into the ring of every other loop that has a filter for the topic.
func (s *Shard) routeAway(p *publication, r *route) bool {
	loops := s.loopsFor(p, r) &^ (1 << s.id)
	if loops == 0 {
		return false
	}
	if p.isParcelled() {
		for left := loops; left != 0; left &= left - 1 {
			s.count.Crossed++
			s.addToParcel(bits.TrailingZeros64(left), p)
		}
		return true
	}
	m := p.message(&s.broker.messages)
	if p.receipt != nil {
		for left := loops; left != 0; left &= left - 1 {
			s.count.Crossed++
			s.postMessage(published, bits.TrailingZeros64(left), mailReceipt, p.receipt.sendWith(m), m.size())
		}
		return true
	}
	for left := loops; left != 0; left &= left - 1 {
		s.count.Crossed++
		s.postMessage(published, bits.TrailingZeros64(left), mailPublish, m.Retain(), m.size())
	}
	return true
}

// routeLocal delivers to the sessions of this loop and to the shared groups that live here.
func (s *Shard) routeLocal(p *publication, r *route) bool {
	if p.retain && p.version != 0 {
		s.noteRetained(p)
	}
	entries := s.match(p, r)
	if len(entries) == 0 {
		return false
	}
	if len(entries) > 1 && !s.cfg.AllowDuplicateMessages {
		s.deliverMerged(p, entries)
	} else {
		for _, e := range entries {
			for i := range e.Subs {
				s.deliver(p, &e.Subs[i])
			}
		}
	}
	for _, e := range entries {
		for _, g := range e.Groups {
			s.deliverGroup(p, g)
		}
	}
	return true
}

// deliver gives a publication to one subscription.
func (s *Shard) deliver(p *publication, sub *router.Subscriber) {
	ss := s.sessions.at(sub.Key)
	if sub.Flags&router.FlagNoLocal != 0 && s.isOwn(p, ss) {
		return // [MQTT-3.8.3-3]
	}
	g := outgoing{qos: s.outgoingQoS(p.qos, sub.QoS), subID: sub.ID}
	g.retain = p.retain && sub.Flags&router.FlagRetainAsPublished != 0 // [MQTT-3.3.1-12] [MQTT-3.3.1-13]
	s.deliverTo(ss, p, &g, nil)
}

// outgoingQoS is the QoS of a delivery: the lower one, or the subscription's with `upgrade_outgoing_qos`
// [MQTT-3.8.4-8].
func (s *Shard) outgoingQoS(published, granted uint8) uint8 {
	if s.cfg.UpgradeOutgoingQoS {
		return granted
	}
	return min(published, granted)
}

// deliverTo gives a publication to a session: QoS 0 at once or not at all, QoS 1 and 2 through its queue.
func (s *Shard) deliverTo(ss *session, p *publication, g *outgoing, share *router.Share) {
	if ss.who != nil && !s.may(ss.who, auth.Receive, p.name) {
		return
	}
	if g.qos > 0 {
		s.enqueue(ss, p, g, share)
		return
	}
	c := ss.receiver()
	if s.cfg.QueueQoS0Messages && (c == nil || (ss.out != nil && ss.out.waiting() > 0)) {
		s.enqueue(ss, p, g, share) // also behind what waits, which may be of QoS 0 [MQTT-4.6.0-6]
		return
	}
	if c == nil {
		return
	}
	if c.conn != nil && c.conn.Unsent() > 0 && !s.paced && (c.conn.Unsent()+len(p.payload) > s.cfg.MaxOutputBytes || c.choked != 0) {
		s.dropOutput(ss)
		return
	}
	s.sendPublish(c, p, g)
}

// isOwn reports whether ss published p.
func (s *Shard) isOwn(p *publication, ss *session) bool {
	return p.origin.some && p.origin.loop == s.id && p.origin.key == ss.key && p.origin.gen == ss.gen
}

// originOf names a session of this loop as a publisher.
func (s *Shard) originOf(ss *session) origin {
	return origin{gen: ss.gen, key: ss.key, loop: s.id, some: true}
}

// mergedCopy collects what one session's overlapping subscriptions ask for.
type mergedCopy struct {
	ss    *session
	ids   []uint32
	qos   uint8
	asPub bool
}

// deliverMerged delivers one copy to each session, at its highest QoS and with all its subscription identifiers
// [MQTT-3.3.4-2] [MQTT-3.3.4-4].
func (s *Shard) deliverMerged(p *publication, entries []*router.Entry) {
	s.routeSeq++
	n := 0
	for _, e := range entries {
		for i := range e.Subs {
			n = s.merge(p, &e.Subs[i], n)
		}
	}
	for i := range s.merged[:n] {
		m := &s.merged[i]
		g := outgoing{qos: s.outgoingQoS(p.qos, m.qos), retain: p.retain && m.asPub}
		switch len(m.ids) {
		case 0:
		case 1:
			g.subID = m.ids[0]
		default:
			g.ids = &m.ids
		}
		ss := m.ss
		m.ss = nil
		s.deliverTo(ss, p, &g, nil)
	}
}

// merge adds one subscription to the n copies collected so far and returns how many there are.
func (s *Shard) merge(p *publication, sub *router.Subscriber, n int) int {
	ss := s.sessions.at(sub.Key)
	if sub.Flags&router.FlagNoLocal != 0 && s.isOwn(p, ss) {
		return n
	}
	at := int(ss.mark & mergePosition)
	if ss.mark>>mergeBits != s.routeSeq || at >= n {
		if n == len(s.merged) {
			s.merged = append(s.merged, mergedCopy{})
		}
		at = n
		n++
		m := &s.merged[at]
		m.ss, m.ids, m.qos, m.asPub = ss, m.ids[:0], 0, false
		ss.mark = s.routeSeq<<mergeBits | uint64(at)
	}
	m := &s.merged[at]
	m.qos = max(m.qos, sub.QoS)
	m.asPub = m.asPub || sub.Flags&router.FlagRetainAsPublished != 0
	if sub.ID != 0 {
		m.ids = append(m.ids, sub.ID)
	}
	return n
}

// A session's mark is the sequence number of the publication that counted it last, above the position of its copy.
const (
	mergeBits     = 28
	mergePosition = 1<<mergeBits - 1
)

// sendPublish encodes a publication into the output of a connected client. It reports false when the client's maximum
// packet size forbids it, which counts as delivered [MQTT-3.1.2-25].
func (s *Shard) sendPublish(c *client, p *publication, g *outgoing) (sent bool) {
	if s.debug && c.conn != nil {
		s.debugSent(c, p, g)
	}
	if c.sink != nil {
		if !c.sink.deliver(p, g) {
			s.dropOutput(c.session)
			return false
		}
		s.count.Sent[g.qos]++
		s.count.SentBytes += uint64(len(p.payload))
		return true
	}
	plain := g.subID == 0 && g.ids == nil && c.aliasOut == nil && !c.mounted
	class := encoding(c.version, g.qos, g.retain)
	if plain && p.encoded[class] != nil {
		return s.sendCopy(c, p, p.encoded[class], g)
	}
	out := &s.out
	name := p.name
	if c.mounted {
		name = strings.TrimPrefix(name, c.listener.Settings().Config.MountPoint)
	}
	*out = codec.PublishOut{Version: c.version, Dup: g.dup, QoS: g.qos, Retain: g.retain, Topic: name, PacketID: g.id,
		Payload: p.payload}
	fresh := false
	if c.version == codec.V5 {
		out.Props = p.props
		out.HasExpiry, out.Expiry = p.expiry != 0, p.expirySeconds
		if g.ids != nil {
			out.SubIDs = *g.ids
		} else if g.subID != 0 {
			s.oneID[0] = g.subID
			out.SubIDs = s.oneID[:]
		}
		if c.aliasOut != nil {
			var known bool
			if out.TopicAlias, known = c.aliasOut.use(name); known {
				out.Topic = ""
			}
			fresh = out.TopicAlias != 0 && !known
		}
	}
	size := out.Size()
	if fresh && size > c.largest() { // it may fit without
		delete(c.aliasOut.byTopic, name)
		out.TopicAlias = 0
		size = out.Size()
	}
	if size > c.largest() {
		s.count.TooLargeForClient++
		return false
	}
	s.count.Sent[g.qos]++
	s.count.SentBytes += uint64(len(p.payload))
	if len(p.payload) >= referenceBytes {
		s.head = out.AppendHead(s.head[:0])
		c.conn.Append(s.head)
		m := p.message(&s.broker.messages)
		c.conn.AppendRef(m.Payload(), m.Retain())
		return true
	}
	dst := c.conn.Reserve(size)
	out.Append(dst[:0])
	if plain && !g.dup {
		p.remember(class, dst)
	}
	return true
}

// sendCopy sends a wire form that stands somewhere already, with this receiver's packet identifier and DUP flag.
func (s *Shard) sendCopy(c *client, p *publication, src []byte, g *outgoing) bool {
	if len(src) > c.largest() {
		s.count.TooLargeForClient++
		return false
	}
	s.count.Sent[g.qos]++
	s.count.SentBytes += uint64(len(p.payload))
	if g.qos == 0 {
		c.conn.Append(src)
		return true
	}
	dst := c.conn.Reserve(len(src))
	copy(dst, src)
	if g.dup {
		dst[0] |= 0x08
	}
	at := fixedHeaderSize(len(src)) + 2 + len(p.name)
	dst[at], dst[at+1] = byte(g.id>>8), byte(g.id)
	return true
}

// fixedHeaderSize returns the size of the fixed header of a packet of total bytes.
func fixedHeaderSize(total int) int {
	switch {
	case total <= 2+127:
		return 2
	case total <= 3+16383:
		return 3
	case total <= 4+2097151:
		return 4
	}
	return 5
}
