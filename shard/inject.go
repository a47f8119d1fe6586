package shard

import (
	"math"
	"strings"

	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/loop"
	"github.com/noctulemq/noctule/router"
)

// Injection is an application message that does not come from a client: a bridge's, $SYS, an HTTP request's. Topic,
// properties and payload are copied before Inject returns.
type Injection struct {
	// Origin names who publishes. Messages of one origin are routed in the order injected.
	Origin  string
	Topic   string
	Payload []byte
	// Props are PUBLISH properties in wire form without their length, to be sent to version 5 receivers as they are;
	// without message expiry, topic alias and subscription identifiers.
	Props  []byte
	QoS    uint8
	Retain bool
	// Expiry is the message expiry interval in seconds, when HasExpiry.
	Expiry    uint32
	HasExpiry bool
}

// Inject publishes into the broker. Any thread; it does not block. done, which may be nil, is called on a loop's
// thread when the message has been routed and what the commit policy asks for is done; matched tells whether anyone
// subscribed to it. Errors: ErrTopic, ErrQoS, ErrMessageSize, ErrStopped, ErrBusy.
func (b *Broker) Inject(in Injection, done func(matched bool)) error {
	cfg := b.config()
	switch {
	case in.QoS > 2:
		return ErrQoS
	case !codec.ValidString([]byte(in.Topic)), !router.ValidTopic(in.Topic):
		return ErrTopic
	case cfg.MessageSizeLimit > 0 && len(in.Payload) > int(cfg.MessageSizeLimit):
		return ErrMessageSize
	case len(in.Topic)+len(in.Props)+len(in.Payload) > math.MaxInt32 || len(in.Topic) > 65535:
		return ErrMessageSize
	case b.stopped.Load():
		return ErrStopped
	}
	m := b.messages.make(in.Topic, in.Props, in.Payload)
	m.qos, m.retain = in.QoS, in.Retain && cfg.RetainAvailable
	home := b.home(in.Origin)
	ok := b.group.Loop(home).Submit(loop.Mail{Kind: mailCall, Body: func(s *Shard) {
		if in.HasExpiry {
			m.expiry = s.loop.Now() + int64(in.Expiry)*second
		}
		p := &s.pub
		p.load(m, s.loop.Now())
		m.Release()
		s.count.Injected++
		var r *receipt
		if done != nil {
			r = s.newReceipt(nil, 0, 0)
		}
		p.receipt = r
		matched := s.publishRouted(p)
		p.reset()
		switch {
		case r != nil:
			r.then = func() { done(matched) }
			s.fulfil(r)
		case done != nil:
			done(matched)
		}
	}})
	if !ok {
		m.Release()
		return b.submitError()
	}
	return nil
}

// submitError is why a loop did not take a request.
func (b *Broker) submitError() error {
	if b.stopped.Load() {
		return ErrStopped
	}
	return ErrBusy
}

// AttachOptions describes an attached client, as CONNECT describes one with a socket.
type AttachOptions struct {
	ClientID   string
	CleanStart bool
	// SessionExpiry is in seconds after Close; 0xFFFFFFFF: never.
	SessionExpiry uint32
	// ReceiveMaximum bounds the QoS 1 and 2 deliveries that wait for Ack; 0: as `max_inflight_messages`.
	ReceiveMaximum uint16
	Receiver       Receiver
}

// Receiver is what an attached client gets. Both methods run on a loop's thread and must return at once.
type Receiver interface {
	// Deliver takes one message, borrowed until it returns. For QoS 0 the answer false means that there is no room: the
	// message is dropped and counted. A QoS 1 or 2 message is accepted with Ack; the receive maximum holds the rest back.
	Deliver(d *Delivery) bool
	// Ended is the last call: the attachment was closed, or another client took its identifier over.
	Ended(reason string)
}

// Delivery is one message for an attached client. Everything in it is borrowed.
type Delivery struct {
	Topic          string
	Payload, Props []byte
	SubIDs         []uint32
	PacketID       uint16 // for Ack; 0 with QoS 0
	QoS            uint8
	Retain, Dup    bool
	HasExpiry      bool
	Expiry         uint32 // seconds left
}

// Attachment is a client without a socket. Its methods may be called from any thread and do not block; they take
// effect in the order called.
type Attachment struct {
	broker *Broker
	home   int

	// Loop thread of home only, all below.
	client   *client
	receiver Receiver
	delivery Delivery
	waiting  map[uint16]func([]codec.ReasonCode) // by request number
	last     uint16
}

// Attach connects a client without a socket. ready, which may be nil, is called on a loop's thread when its session is
// linked, with session present. Errors: ErrClientID, ErrStopped, ErrBusy; ready's error: ErrQuota.
func (b *Broker) Attach(o AttachOptions, ready func(present bool, err error)) (*Attachment, error) {
	if len(o.ClientID) == 0 || len(o.ClientID) > 65535 || !codec.ValidString([]byte(o.ClientID)) {
		return nil, ErrClientID
	}
	a := &Attachment{broker: b, home: b.home(o.ClientID), receiver: o.Receiver, waiting: make(map[uint16]func([]codec.ReasonCode))}
	id := strings.Clone(o.ClientID)
	err := a.submit(func(s *Shard) {
		present, err := s.attach(a, id, o)
		if ready != nil {
			ready(present, err)
		}
	})
	return a, err
}

func (a *Attachment) submit(f func(*Shard)) error {
	if a.broker.stopped.Load() {
		return ErrStopped
	}
	if !a.broker.group.Loop(a.home).Submit(loop.Mail{Kind: mailCall, Body: f}) {
		return a.broker.submitError()
	}
	return nil
}

// attach links an attached client with its session.
func (s *Shard) attach(a *Attachment, id string, o AttachOptions) (present bool, err error) {
	if _, have := s.byID[id]; !have && s.cfg.MaxSessions > 0 && s.broker.sessions.Load() >= int64(s.cfg.MaxSessions) {
		return false, ErrQuota
	}
	if s.stopping {
		return false, ErrStopped
	}
	p := &s.in.connect
	*p = codec.Connect{Version: codec.V5, ClientID: id, CleanStart: o.CleanStart, SessionExpiry: o.SessionExpiry}
	ss, present := s.sessionFor(p)
	key, c := s.clients.take()
	s.serial++
	*c = client{sink: a, session: ss, key: key, serial: s.serial, version: codec.V5, state: connected, receiveMax: o.ReceiveMaximum,
		lastSeen: s.loop.Now()}
	if c.receiveMax == 0 {
		c.receiveMax = packetIDs
	}
	ss.client, a.client = c, c
	ss.expiry = s.cappedExpiry(o.SessionExpiry)
	s.settleDurability(ss)
	s.broker.clients.Add(1)
	s.count.Connects++
	s.resume(ss, c)
	return present, nil
}

// Subscribe enters filters; done, which may be nil, gets one reason code each, when nothing published from then on is
// missed. Errors: ErrFilter, ErrStopped, ErrBusy.
func (a *Attachment) Subscribe(filters []codec.Subscription, subID uint32, done func([]codec.ReasonCode)) error {
	filters = append([]codec.Subscription(nil), filters...)
	for i := range filters {
		filters[i].Filter = strings.Clone(filters[i].Filter)
		if !codec.ValidString([]byte(filters[i].Filter)) || checkFilter(&filters[i]) != nil || filters[i].QoS > 2 {
			return ErrFilter
		}
	}
	return a.submit(func(s *Shard) {
		if id, ok := a.request(len(filters), done); ok {
			s.enterFilters(a.client, id, subID, filters)
		}
	})
}

// Unsubscribe removes filters; done, which may be nil, gets one reason code each.
func (a *Attachment) Unsubscribe(filters []string, done func([]codec.ReasonCode)) error {
	filters = append([]string(nil), filters...)
	return a.submit(func(s *Shard) {
		if id, ok := a.request(len(filters), done); ok {
			s.removeFilters(a.client, id, filters)
		}
	})
}

// request numbers a request whose answer done waits for; an attachment that has ended answers at once.
func (a *Attachment) request(n int, done func([]codec.ReasonCode)) (id uint16, ok bool) {
	if done == nil {
		done = func([]codec.ReasonCode) {}
	}
	if a.client == nil {
		codes := make([]codec.ReasonCode, n)
		for i := range codes {
			codes[i] = codec.UnspecifiedError
		}
		done(codes)
		return 0, false
	}
	a.last++
	a.waiting[a.last] = done
	return a.last, true
}

// Ack finishes the QoS 1 or 2 delivery with this packet identifier.
func (a *Attachment) Ack(id uint16) error {
	return a.submit(func(s *Shard) {
		if a.client == nil {
			return
		}
		if d := a.client.session.out.find(id); d != nil {
			s.settle(a.client.session, d)
		}
	})
}

// Close ends the attachment; its session stays for its expiry.
func (a *Attachment) Close() error {
	return a.submit(func(s *Shard) {
		if a.client != nil {
			s.close(a.client, cause{text: "disconnected."}, false)
		}
	})
}

// deliver gives one publication to the receiver. It reports false when nothing more is expected of it.
func (a *Attachment) deliver(p *publication, g *outgoing) bool {
	d := &a.delivery
	*d = Delivery{Topic: p.name, Payload: p.payload, Props: p.props, SubIDs: d.SubIDs[:0], PacketID: g.id, QoS: g.qos,
		Retain: g.retain, Dup: g.dup, HasExpiry: p.expiry != 0, Expiry: p.expirySeconds}
	if g.ids != nil {
		d.SubIDs = append(d.SubIDs, *g.ids...)
	} else if g.subID != 0 {
		d.SubIDs = append(d.SubIDs, g.subID)
	}
	return a.receiver.Deliver(d) || g.qos > 0
}

// acknowledged is told of a packet that an attached client gets in place of an acknowledgement: a PUBREL for a
// delivery whose PUBREC came on an earlier connection needs nothing more of it.
func (a *Attachment) acknowledged(t codec.Type, id uint16) {
	if t != codec.TypePubrel {
		return
	}
	c := a.client
	_ = a.submit(func(s *Shard) { // a stop ends the session anyway
		if a.client == c {
			if d := c.session.out.find(id); d != nil {
				s.settle(c.session, d)
			}
		}
	})
}

func (a *Attachment) subscribed(id uint16, codes []byte) {
	done := a.waiting[id]
	delete(a.waiting, id)
	out := make([]codec.ReasonCode, len(codes))
	for i, code := range codes {
		out[i] = codec.ReasonCode(code)
	}
	done(out)
}

func (a *Attachment) ended(why cause) {
	a.client = nil
	a.receiver.Ended(why.text)
}
