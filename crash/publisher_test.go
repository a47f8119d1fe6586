package crash

import (
	"fmt"
	"time"

	"github.com/noctulemq/noctule/codec"
)

// pace is the longest pause between bursts.
const pace = 30 * time.Millisecond

// outstandingMax is how many publications a publisher has unacknowledged, at most; Mosquitto's receive maximum.
const outstandingMax = 20

// publisher sends QoS 1 and 2 with a durable session, and keeps what is unacknowledged over connections as a client with
// a store does: PUBLISH again with DUP, or PUBREL, in the order in which they were sent [MQTT-4.4.0-1] [MQTT-4.6.0-1].
type publisher struct {
	client
	out    []*flight // in the order in which they were sent; at most outstandingMax
	lastID uint16
	idMax  uint16 // identifiers go round up to this
	// next is what to send now, nil for nothing.
	next func() *flight
}

// flight is a publication on its way.
type flight struct {
	id       uint16
	qos      uint8
	retain   bool
	topic    string
	payload  []byte
	released bool // PUBREC came
	note     func(what kind, id uint16)
}

func (f *flight) publish(v codec.Version, dup bool) []byte {
	out := codec.PublishOut{Version: v, Dup: dup, QoS: f.qos, Retain: f.retain, PacketID: f.id, Topic: f.topic, Payload: f.payload}
	return out.Append(nil)
}

// session is one connection: what is unacknowledged again, then new messages until the connection ends.
func (p *publisher) session() time.Duration {
	c, present, err := p.connect()
	if err != nil {
		return retryPause
	}
	defer c.close()
	if !present {
		for _, f := range p.out {
			f.note(abandoned, f.id)
		}
		p.out = nil
	}
	c.send(p.again())
	tick := time.NewTimer(0)
	for {
		select {
		case in, ok := <-c.in:
			if !ok {
				return 0
			}
			p.handle(c, in)
		case <-tick.C:
			if !p.w.draining.Load() {
				if p.chance(1) {
					c.leave(p.chance(50))
					return p.between(0, 100*time.Millisecond)
				}
				c.send(p.burst())
			}
			tick.Reset(p.between(pace/4, pace))
		}
	}
}

// again is everything that is unacknowledged.
func (p *publisher) again() (b []byte) {
	for _, f := range p.out {
		if f.released {
			f.note(released, f.id)
			b = codec.AppendAck(b, codec.TypePubrel, p.version, f.id, codec.Success)
			continue
		}
		f.note(resent, f.id)
		b = append(b, f.publish(p.version, true)...)
	}
	return b
}

// burst is some new messages.
func (p *publisher) burst() (b []byte) {
	for n := 1 + p.rng.IntN(6); n > 0 && len(p.out) < outstandingMax; n-- {
		f := p.next()
		if f == nil {
			break
		}
		f.id = p.freeID()
		p.out = append(p.out, f)
		f.note(sent, f.id)
		b = append(b, f.publish(p.version, false)...)
	}
	return b
}

func (p *publisher) freeID() uint16 {
	for {
		if p.lastID++; p.lastID > p.idMax {
			p.lastID = 1
		}
		if _, f := p.find(p.lastID); f == nil {
			return p.lastID
		}
	}
}

func (p *publisher) find(id uint16) (int, *flight) {
	for i, f := range p.out {
		if f.id == id {
			return i, f
		}
	}
	return 0, nil
}

// handle takes an acknowledgement.
func (p *publisher) handle(c *conn, in packet) {
	switch in.header.Type {
	case codec.TypePuback, codec.TypePubrec, codec.TypePubcomp:
	default:
		return
	}
	id, code, err := in.ack(p.version)
	i, f := p.find(id)
	if err != nil || f == nil {
		return
	}
	if code >= 0x80 && in.header.Type != codec.TypePubcomp { // PUBCOMP says 0x92 to a PUBREL that was repeated
		p.w.history.fail(refused, "%s: %v for %s: %v", p.name, in.header.Type, f.topic, code)
	}
	p.acknowledged()
	switch {
	case in.header.Type == codec.TypePuback && f.qos == 1:
		f.note(acked, id)
		p.out = append(p.out[:i], p.out[i+1:]...)
	case in.header.Type == codec.TypePubrec && f.qos == 2:
		f.note(received, id)
		f.released = true
		f.note(released, id)
		c.send(codec.AppendAck(nil, codec.TypePubrel, p.version, id, codec.Success))
	case in.header.Type == codec.TypePubcomp && f.qos == 2 && f.released:
		f.note(completed, id)
		p.out = append(p.out[:i], p.out[i+1:]...)
	}
}

// numbered makes p's messages numbered ones that subscribers receive.
func (p *publisher) numbered() {
	var last [3]int
	p.next = func() *flight {
		m := &message{publisher: p.name, qos: 1 + uint8(p.rng.IntN(2)), size: p.size()}
		last[m.qos]++
		m.n = last[m.qos]
		m.topic = fmt.Sprintf("c/%s/%d/%d", p.name, m.qos, p.rng.IntN(3))
		return &flight{qos: m.qos, topic: m.topic, payload: m.payload(), note: func(what kind, id uint16) {
			if what == sent {
				p.w.history.send(m, id)
			} else {
				p.w.history.note(m, event{what: what, who: p.name, id: id})
			}
		}}
	}
}

// size is that of a payload: mostly small, now and then beyond what one record of a store may hold.
func (p *publisher) size() int {
	switch n := p.rng.IntN(1000); {
	case n < 50 && !p.w.large:
	case n == 0:
		return p.rng.IntN(600_000)
	case n < 50:
		return p.rng.IntN(40_000)
	case n < 200:
		return p.rng.IntN(2000)
	}
	return p.rng.IntN(200)
}

// retaining makes p's messages retained ones, set, replaced and cleared on its own topics, one under way for each topic.
func (p *publisher) retaining(topics map[string]*register) {
	var names []string
	for i := range retainedTopics {
		name := fmt.Sprintf("r/%s/%d", p.name, i)
		names = append(names, name)
		topics[name] = newRegister("")
	}
	n := 0
	p.next = func() *flight {
		n++
		name := names[p.rng.IntN(len(names))]
		for _, f := range p.out {
			if f.topic == name {
				return nil
			}
		}
		f := &flight{qos: 1 + uint8(p.rng.IntN(2)), retain: true, topic: name}
		if !p.chance(30) {
			f.payload = (&message{publisher: p.name, qos: f.qos, n: n, size: p.size()}).payload()
		}
		state := topics[name]
		f.note = func(what kind, _ uint16) {
			switch what {
			case sent:
				state.set(p.w.history, string(f.payload))
			case acked, completed:
				state.ack(p.w.history)
			}
		}
		return f
	}
}
