package shard

import (
	"github.com/noctulemq/noctule/auth"
	"github.com/noctulemq/noctule/codec"
)

// will is the message to publish when a client goes without saying so [MQTT-3.1.2-8].
type will struct {
	message *Message // one reference; its expiry is set when it is published
	delay   uint32   // seconds after the connection ends, at most until the session ends
	expiry  uint32   // message expiry interval in seconds, when hasExpiry
	timed   bool
	who     *identity // whose rights count when it is published
}

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

// publishWills publishes the wills that became due during the turn. They are collected first because what ends a
// client may happen in the middle of routing.
func (s *Shard) publishWills() {
	for i := 0; i < len(s.willsDue); i++ {
		w := s.willsDue[i]
		s.willsDue[i] = nil
		m := w.message
		if !s.may(w.who, auth.Publish, m.Topic()) {
			m.Release()
			continue
		}
		if w.timed {
			m.expiry = s.loop.Now() + int64(w.expiry)*second
		}
		s.count.Wills++
		p := &s.pub
		p.load(m, s.loop.Now())
		s.publishRouted(p)
		p.reset()
		m.Release()
	}
	s.willsDue = s.willsDue[:0]
}
