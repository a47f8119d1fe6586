package shard

import (
	"bytes"
	"strings"

	"github.com/noctulemq/noctule/auth"
	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/router"
)

// inbound is the QoS 2 messages a session received and whose PUBREL has not come [MQTT-4.3.3-2]. They belong to the
// session and survive reconnects. Loop thread only. Bounded by `max_inflight_messages` + `max_queued_messages`, for clients
// that were told of no maximum only beyond inboundBytesFree; and, when both are set, by `max_inflight_bytes` + `max_queued_bytes`
// (inboundBytesMin at least); then the client is disconnected with 0x93.
type inbound struct {
	held []heldMessage
	// releases are the receipts of the messages whose PUBREL has come and whose group is not stored yet, in this order:
	// groups are stored in the order of their PUBRELs, as the messages are to be delivered. Bounded by held.
	releases []*receipt
	index    map[uint16]int // positions in held by packet identifier, above inboundIndexed
	bytes    int64
}

type heldMessage struct {
	msg      *Message // one reference
	receipt  *receipt // of the PUBREC, or when released of the PUBCOMP, that waits; else nil
	id       uint16
	stored   bool
	released bool // PUBREL has come and what it brings is being stored
}

// inboundIndexed is the number of held messages from which they are indexed.
const inboundIndexed = 32

// find returns the position of packet identifier id, -1 when none is held.
func (in *inbound) find(id uint16) int {
	if in == nil {
		return -1
	}
	if in.index != nil {
		if i, ok := in.index[id]; ok {
			return i
		}
		return -1
	}
	for i := range in.held {
		if in.held[i].id == id {
			return i
		}
	}
	return -1
}

// add keeps a message, whose reference it takes over, under an identifier that is not in use.
func (in *inbound) add(m *Message, id uint16) {
	in.held = append(in.held, heldMessage{msg: m, id: id})
	in.bytes += m.size()
	switch {
	case in.index != nil:
		in.index[id] = len(in.held) - 1
	case len(in.held) > inboundIndexed:
		in.index = make(map[uint16]int)
		for i := range in.held {
			in.index[in.held[i].id] = i
		}
	}
}

// take removes position i and returns its message with the reference.
func (in *inbound) take(i int) *Message {
	m, last := in.held[i].msg, len(in.held)-1
	in.bytes -= m.size()
	if in.index != nil {
		delete(in.index, in.held[i].id)
		if i != last {
			in.index[in.held[last].id] = i
		}
	}
	in.held[i] = in.held[last]
	in.held[last] = heldMessage{}
	in.held = in.held[:last]
	if last == 0 && in.index != nil {
		in.held, in.index = nil, nil
	}
	return m
}

// release gives every held message back.
func (in *inbound) release(s *Shard) {
	if in == nil {
		return
	}
	for i := range in.held {
		s.unkeep(in.held[i].msg)
	}
	releases := in.releases
	*in = inbound{}
	for _, r := range releases {
		if r.whole { // the others are stored when they are whole
			s.storeGroup(r)
		}
	}
}

// inboundFull reports whether a session holds as many QoS 2 messages as it may with one more of size bytes.
func (s *Shard) inboundFull(c *client, size int64) bool {
	in, limit := c.session.in, packetIDs
	if told := c.version == codec.V5; (told || in.bytes+size > inboundBytesFree) && s.cfg.MaxInflightMessages > 0 && s.cfg.MaxQueuedMessages > 0 {
		limit = min(s.cfg.MaxInflightMessages, packetIDs) + min(s.cfg.MaxQueuedMessages, packetIDs)
	}
	a, b := s.cfg.MaxInflightBytes, s.cfg.MaxQueuedBytes
	return len(in.held) >= limit || (a > 0 && b > 0 && len(in.held) > 0 && in.bytes+size > max(a+b, inboundBytesMin))
}

// inboundBytesMin is the least byte limit for held QoS 2 messages: a client does not know it, so it must not be met by
// what clients usually have open.
const inboundBytesMin = 1 << 20

// inboundBytesFree is up to how many bytes of held QoS 2 messages do not count one by one for clients before version 5, which
// know no receive maximum: libraries send whatever they are given before they read the first PUBREC.
const inboundBytesFree = 16 << 20

// publish handles PUBLISH from a client.
func (s *Shard) publish(c *client, h codec.Header, packet, body []byte) error {
	in := &s.in.publish
	if err := in.Decode(h, body, c.version); err != nil {
		return err
	}
	if c.version == codec.V5 {
		if err := s.resolveAlias(c, in); err != nil {
			return err
		}
	}
	l := &c.listener.Settings().Config
	switch {
	case in.QoS > l.MaxQoS:
		return errQoS
	case in.Retain && !s.cfg.RetainAvailable:
		return errRetain
	case router.TooDeep(in.Topic): // the rest of a topic name's rules is the codec's
		return errTooDeep
	}
	if s.debug {
		s.debugReceived(c, in)
	}
	s.count.Received[in.QoS]++
	s.count.ReceivedBytes += uint64(len(in.Payload))
	ss := c.session
	topic := in.Topic
	if c.mounted {
		if !mountable(l.MountPoint, in.Topic) {
			s.count.RefusedTopics++
			s.acknowledge(c, in.QoS, in.PacketID, codec.TopicNameInvalid)
			return nil
		}
		in.Topic = s.mount(l.MountPoint, in.Topic)
	}
	if ss.who != nil && !s.may(ss.who, auth.Publish, in.Topic) {
		s.acknowledge(c, in.QoS, in.PacketID, codec.NotAuthorized)
		return nil
	}
	if topic[0] == '$' && strings.HasPrefix(topic, controlPrefix) {
		return s.controlMessage(c, in)
	}
	if topic[0] == '$' && isReserved(topic) { // [MQTT-4.7.2-1]: the server's own
		s.count.RefusedTopics++
		s.acknowledge(c, in.QoS, in.PacketID, codec.NotAuthorized)
		return nil
	}
	if in.QoS > 0 && s.broker.trouble.Load() {
		s.count.RefusedStoring++
		if c.version != codec.V5 {
			return errStoring // 3.x has no other way to say that it was not taken
		}
		s.acknowledge(c, in.QoS, in.PacketID, codec.QuotaExceeded)
		return nil
	}
	if limit := s.cfg.MessageSizeLimit; limit > 0 && len(in.Payload) > int(limit) {
		s.count.Oversize++
		s.acknowledge(c, in.QoS, in.PacketID, codec.PacketTooLarge)
		return nil
	}
	p := &s.pub // reset when it was last used
	p.name, p.payload, p.qos, p.retain = in.Topic, in.Payload, in.QoS, in.Retain
	if len(in.Props) > 0 {
		p.props = in.ForwardProps(s.props[:0])
		if in.HasExpiry || in.TopicAlias != 0 {
			s.props = p.props // keeps the room it may have grown to
		}
	}
	if in.HasExpiry && in.Expiry > 0 { // Mosquitto takes 0 for none
		p.expirySeconds = in.Expiry
		p.expiry = s.loop.Now() + int64(in.Expiry)*second
	}
	p.origin = s.originOf(ss)
	if in.Retain {
		p.source = ss.who.publisher()
	}
	if !c.mounted {
		s.borrowBody(p, in, packet, h.Overlong, c.version)
	}
	if in.QoS == 2 {
		return s.holdQoS2(c, p, in)
	}
	if in.QoS == 1 {
		p.receipt = s.newReceipt(c, codec.TypePuback, in.PacketID)
	}
	r := p.receipt
	matched := s.publishRouted(p)
	p.reset()
	s.holdCrowded(c)
	if in.QoS == 1 {
		code := codec.Success
		if !matched {
			code = codec.NoMatchingSubscribers
		}
		s.await(c, r, codec.TypePuback, in.PacketID, code)
	}
	return nil
}

// isReserved reports whether clients may not publish to a topic, as Mosquitto has it: `$SYS` and what looks like a
// shared subscription.
func isReserved(topic string) bool {
	first, _, _ := strings.Cut(topic, "/")
	return first == "$SYS" || first == "$share"
}

// borrowBody notes what of the packet itself can serve instead of a copy: the whole packet as the wire form of a
// plain QoS 0 publication, and its array when the loop gave it away.
func (s *Shard) borrowBody(p *publication, in *codec.Publish, packet []byte, overlong bool, v codec.Version) {
	if s.whole != nil && len(in.Topic) > 0 && !in.HasExpiry && in.TopicAlias == 0 {
		p.body = s.whole
		return
	}
	if in.QoS == 0 && !in.Retain && !in.HasExpiry && in.TopicAlias == 0 && !overlong {
		p.remember(encoding(v, 0, false), packet)
	}
}

// resolveAlias sets or follows a topic alias [MQTT-3.3.2-7] to [MQTT-3.3.2-12].
func (s *Shard) resolveAlias(c *client, in *codec.Publish) error {
	if in.TopicAlias == 0 {
		return nil
	}
	if in.TopicAlias > c.aliasInMax {
		return errTopicAlias
	}
	i := int(in.TopicAlias) - 1
	if in.Topic == "" {
		if i >= len(c.aliasIn) || c.aliasIn[i] == "" {
			return errUnknownAlias
		}
		in.Topic = c.aliasIn[i]
		return nil
	}
	for len(c.aliasIn) <= i {
		c.aliasIn = append(c.aliasIn, "")
	}
	if c.aliasIn[i] != in.Topic {
		c.aliasIn[i] = string([]byte(in.Topic))
	}
	return nil
}

// acknowledge answers a PUBLISH that goes no further: with the reason code under version 5, as accepted under 3.x,
// which has no other answer.
func (s *Shard) acknowledge(c *client, qos uint8, id uint16, code codec.ReasonCode) {
	switch qos {
	case 1:
		s.sendAnswer(c, codec.TypePuback, id, code)
	case 2:
		s.sendAnswer(c, codec.TypePubrec, id, code)
	}
}

// holdQoS2 keeps a QoS 2 message until its PUBREL and answers PUBREC [MQTT-4.3.3-8]. The same message again is
// answered again; another message under an identifier in use replaces it.
func (s *Shard) holdQoS2(c *client, p *publication, in *codec.Publish) error {
	ss := c.session
	if ss.in == nil {
		ss.in = &inbound{}
	}
	if i := ss.in.find(in.PacketID); i >= 0 {
		h := &ss.in.held[i]
		if h.released {
			p.reset()
			return errAckState // its PUBREL was not answered yet [MQTT-4.3.3-2]
		}
		if m := h.msg; m.Topic() == p.name && bytes.Equal(m.Payload(), p.payload) {
			p.reset()
			s.answerAgain(c, h, codec.TypePubrec)
			return nil
		}
		s.count.ReusedIDs++
		s.unstoreInbound(ss, h)
		s.unkeep(ss.in.take(i))
	}
	if s.inboundFull(c, p.size()) {
		p.reset()
		return errReceiveMaximum
	}
	s.warnReceiveMaximum(c, len(ss.in.held)+1)
	m := s.keep(p.message(&s.broker.messages))
	p.reset()
	ss.in.add(m, in.PacketID)
	h := &ss.in.held[len(ss.in.held)-1]
	if ss.isDurable() {
		h.receipt = s.newReceipt(c, codec.TypePubrec, in.PacketID)
	}
	s.storeInbound(ss, h, h.receipt)
	s.await(c, h.receipt, codec.TypePubrec, in.PacketID, codec.Success)
	return nil
}

// answerAgain answers a packet that came again: behind the first one's answer, if that still waits.
func (s *Shard) answerAgain(c *client, h *heldMessage, kind codec.Type) {
	r := h.receipt
	switch {
	case r == nil || r.listed:
		s.sendAnswer(c, kind, h.id, codec.Success)
	default: // of a connection that has gone
		s.address(r, c)
		s.list(c, r)
	}
}

// answered forgets a receipt that has what it waited for.
func (in *inbound) answered(s *Shard, r *receipt) {
	i := in.find(r.id)
	if i < 0 || in.held[i].receipt != r {
		return
	}
	in.held[i].receipt = nil
	if in.held[i].released {
		s.unkeep(in.take(i))
	}
}

// warnReceiveMaximum says once per connection that a client has more QoS 2 messages open than it was told.
func (s *Shard) warnReceiveMaximum(c *client, open int) {
	limit := s.cfg.MaxInflightMessages
	if limit == 0 || open <= limit || c.warnedMax {
		return
	}
	c.warnedMax = true
	s.count.OverReceiveMax++
	s.logf(LogWarning, "Client %s has exceeded its receive maximum of %d.", c.session.id, limit)
}

// pubrel handles PUBREL: the message is routed and PUBCOMP answers, also when the identifier is not known, because
// the first PUBCOMP may have been lost [MQTT-4.3.3-11].
func (s *Shard) pubrel(c *client, a *codec.Ack) error {
	ss := c.session
	i := ss.in.find(a.PacketID)
	if i < 0 {
		s.sendAnswer(c, codec.TypePubcomp, a.PacketID, codec.Success)
		return nil
	}
	if h := &ss.in.held[i]; h.released {
		s.answerAgain(c, h, codec.TypePubcomp)
		return nil
	}
	r := s.newReceipt(c, codec.TypePubcomp, a.PacketID)
	if h := &ss.in.held[i]; h.stored && r != nil {
		s.releaseStored(c, h, r)
	} else {
		s.unstoreInbound(ss, h)
		m := ss.in.take(i)
		s.routeKept(m, r)
		s.unkeep(m)
	}
	s.holdCrowded(c)
	s.await(c, r, codec.TypePubcomp, a.PacketID, codec.Success)
	return nil
}

// releaseStored routes a QoS 2 message of a durable session. It stays held until what it becomes is stored.
func (s *Shard) releaseStored(c *client, h *heldMessage, r *receipt) {
	r.held, r.publisher, r.group = h.msg.Retain(), c.session.number, s.takeGroup()
	if before := h.receipt; before != nil {
		before.session = sessionRef{} // its PUBREC goes out before the PUBCOMP
	}
	h.released, h.receipt = true, r
	c.session.in.releases = append(c.session.in.releases, r)
	s.routeKept(h.msg, r)
}

// routeKept routes a message that was kept, a QoS 2 message whose PUBREL has come or a will that is due, unless it has expired
// [MQTT-3.3.2-5].
func (s *Shard) routeKept(m *Message, r *receipt) {
	if m.expiry != 0 && m.expiry <= s.loop.Now() {
		s.count.Expired++
		return
	}
	p := &s.pub
	p.load(m, s.loop.Now())
	p.receipt = r
	s.publishRouted(p)
	p.reset()
}
