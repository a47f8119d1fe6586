package shard

import (
	"github.com/noctulemq/noctule/auth"
	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/persist"
)

// will is the message to publish when a client goes without saying so [MQTT-3.1.2-8].
type will struct {
	message *Message // one reference; its expiry is set when it is published
	delay   uint32   // seconds after the connection ends, at most until the session ends
	expiry  uint32   // message expiry interval in seconds, when timed
	timed   bool
	who     *identity // whose rights count when it is due
	receipt *receipt  // of its record, when it is due and stored by itself; nil: it is not
}

// willGroup stands in the record of a will that is due, which is a delivery without a session, in place of a group: no shared
// subscription can have this name.
const willGroup = "/will"

// newWill keeps the will of a CONNECT; nil when it has none.
func (s *Shard) newWill(c *client, p *codec.Connect) *will {
	if !p.HasWill {
		return nil
	}
	w := &p.Will
	if isReserved(w.Topic) {
		s.count.RefusedTopics++
		return nil // dropped, as a publication would be
	}
	ss, topic := c.session, w.Topic
	if c.mounted {
		if !mountable(c.listener.Settings().Config.MountPoint, topic) {
			s.count.RefusedTopics++
			return nil
		}
		topic = s.mount(c.listener.Settings().Config.MountPoint, topic)
	}
	s.props = w.ForwardProps(s.props[:0])
	m := s.broker.messages.make(topic, s.props, w.Payload)
	m.qos, m.retain, m.origin = w.QoS, w.Retain, s.originOf(ss)
	if w.Retain {
		m.source = ss.who.publisher()
	}
	return &will{message: m, delay: w.DelaySeconds, expiry: w.Expiry, timed: w.HasExpiry && w.Expiry > 0, who: ss.who}
}

// willDue lets the will of a session be published soon. If the session's record has it, it is stored by itself
// before that record changes, and until its message is stored wherever it is kept: after a crash it may come again, but it comes.
func (s *Shard) willDue(ss *session, w *will) {
	m := w.message
	if !s.may(w.who, auth.Publish, m.Topic()) {
		m.Release()
		return
	}
	if w.timed {
		m.expiry = s.loop.Now() + int64(w.expiry)*second
	}
	if ss.isDurable() && w.delay > 0 && s.storage.waits {
		number := s.broker.sessionNumber.Add(1)
		p := s.change(s.batchFor(true), persist.Op{Kind: persist.PutDelivery, Ref: 1, QoS: m.qos, Retain: m.retain, Session: number,
			Expires: s.unixMilli(m.expiry), Message: m.Retain(), Extra: &persist.Extra{Group: willGroup}}, nil)
		w.receipt = s.unstoreAfter(m, p, number, 0)
	}
	s.willsDue = append(s.willsDue, w)
}

// publishWills publishes the wills that became due, at the end of the turn or before the next packet that is read. They are
// collected first because what ends a client may happen in the middle of routing.
func (s *Shard) publishWills() {
	for i := 0; i < len(s.willsDue); i++ {
		w := s.willsDue[i]
		s.willsDue[i] = nil
		s.count.Wills++
		s.routeKept(w.message, w.receipt)
		s.fulfil(w.receipt)
		w.message.Release()
	}
	s.willsDue = s.willsDue[:0]
}
