package crash

import (
	"slices"
	"time"

	"github.com/noctulemq/noctule/codec"
)

// subscriber receives with a durable session. It keeps the identifiers of QoS 2 messages until PUBREL, over connections,
// and hands a message to the application at its PUBLISH (method A of section 4.3.3).
type subscriber struct {
	client
	r    *receiver
	join int  // the round before which it subscribes
	slow bool // keeps acknowledgements back for a while

	suback bool // the present session has its subscriptions
	held   map[uint16]holding
	acks   [][]byte // to send, in order; not over connections. The broker's window of 100 bounds it
}

// holding is a QoS 2 message whose PUBREL has not come.
type holding struct {
	m  *message // nil: one that nobody sent
	at time.Duration
}

// session is one connection, until it ends or the subscriber goes away.
func (s *subscriber) session() time.Duration {
	if int(s.w.round.Load()) < s.join {
		return 10 * time.Millisecond
	}
	c, present, err := s.connect()
	if err != nil {
		return retryPause
	}
	defer c.close()
	if !present {
		s.suback, s.held = false, map[uint16]holding{}
	}
	s.acks = nil
	if !s.suback {
		c.send(s.subscribe())
	}
	away := time.NewTimer(s.between(100*time.Millisecond, 3*time.Second))
	flush := time.NewTimer(s.between(0, 20*time.Millisecond))
	for {
		select {
		case in, ok := <-c.in:
			if !ok {
				return 0
			}
			s.handle(in)
			if !s.slow && len(c.in) == 0 {
				c.send(s.flush(len(s.acks)))
			}
		case <-flush.C:
			if len(s.acks) > 0 {
				c.send(s.flush(1 + s.rng.IntN(len(s.acks))))
			}
			flush.Reset(s.between(0, 20*time.Millisecond))
		case <-away.C:
			if s.suback && !s.w.draining.Load() && s.chance(70) {
				c.leave(s.chance(50))
				return s.between(0, 500*time.Millisecond)
			}
			away.Reset(s.between(100*time.Millisecond, 3*time.Second))
		}
	}
}

// flush takes the first n acknowledgements.
func (s *subscriber) flush(n int) []byte {
	b := slices.Concat(s.acks[:n]...)
	s.acks = s.acks[n:]
	return b
}

func (s *subscriber) subscribe() []byte {
	sub := codec.Subscribe{PacketID: 1}
	for _, f := range s.r.filters {
		text := f.text
		if s.r.group != "" {
			text = s.r.group + "/" + text
		}
		sub.Filters = append(sub.Filters, codec.Subscription{Filter: text, QoS: f.qos})
	}
	return sub.Append(nil, s.version)
}

func (s *subscriber) handle(in packet) {
	switch in.header.Type {
	case codec.TypeSuback:
		s.handleSuback(in)
	case codec.TypePublish:
		var p codec.Publish
		if err := p.DecodeFromServer(in.header, in.body, s.version); err != nil {
			s.w.history.fail(unknown, "%s: a PUBLISH that cannot be read: %v", s.name, err)
			return
		}
		s.publish(&p)
	case codec.TypePubrel:
		id, _, err := in.ack(s.version)
		if err != nil {
			return
		}
		if h, ok := s.held[id]; ok && h.m != nil {
			s.w.history.note(h.m, event{what: finished, who: s.name, id: id})
		}
		delete(s.held, id)
		s.ack(codec.TypePubcomp, id)
	}
}

func (s *subscriber) handleSuback(in packet) {
	var a codec.Suback
	err := a.Decode(in.header, in.body, s.version)
	for i, f := range s.r.filters {
		if err != nil || len(a.Codes) != len(s.r.filters) || a.Codes[i] != f.qos {
			s.w.history.fail(refused, "%s: SUBACK %v, %v", s.name, a.Codes, err)
			return
		}
	}
	s.acknowledged()
	s.suback = true
	s.w.history.subscribed(s.r)
}

func (s *subscriber) publish(p *codec.Publish) {
	h := s.w.history
	m := h.find(p.Payload)
	if m == nil || m.topic != p.Topic {
		h.fail(unknown, "%s got topic %s, QoS %d, id %d, %.40q, which nobody sent, or which was complete long ago", s.name,
			p.Topic, p.QoS, p.PacketID, p.Payload)
		m = nil
	}
	if p.QoS == 2 {
		held, ok := s.held[p.PacketID]
		if ok && held.m != m && h.unsure(held.at) {
			ok = false // the stop undid that the broker had used the identifier
		}
		s.ack(codec.TypePubrec, p.PacketID)
		if ok {
			s.repeated(p, held, m)
			return
		}
		s.held[p.PacketID] = holding{m, h.now()}
	} else if p.QoS == 1 {
		s.ack(codec.TypePuback, p.PacketID)
	}
	if m != nil {
		h.deliver(m, s.r, p.QoS, p.PacketID)
	}
}

// repeated handles a PUBLISH whose identifier is held: whatever it carries, it is taken for the message that is held.
func (s *subscriber) repeated(p *codec.Publish, held holding, m *message) {
	if held.m != m {
		s.w.history.clash(s.r.name, p, held, m)
	}
	if m != nil {
		s.w.history.note(m, event{what: repeated, who: s.name, id: p.PacketID, qos: p.QoS})
	}
}

func (s *subscriber) ack(t codec.Type, id uint16) {
	s.acks = append(s.acks, codec.AppendAck(nil, t, s.version, id, codec.Success))
}
