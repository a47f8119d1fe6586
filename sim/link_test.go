package sim

import (
	"slices"

	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/loop"
)

const expiryNever = ^uint32(0)

// identity is one client identifier with what its client keeps between connections.
type identity struct {
	id      string
	version codec.Version
	shares  bool          // it has shared subscriptions, and then none that overlaps them
	outs    []*outMessage // in the order of sending
	lastID  uint16
	seqs    [3]int
}

// outMessage is a message on its way to the broker.
type outMessage struct {
	*publication
	id       uint16
	released bool // PUBREC came
}

func (k *identity) nextID() uint16 {
	k.lastID++
	return k.lastID
}

// queue gives a message that is published the next sequence number and, above QoS 0, a packet identifier.
func (k *identity) queue(p *publication) (id uint16) {
	k.seqs[p.qos]++
	p.seq = k.seqs[p.qos]
	if p.qos > 0 {
		id = k.nextID()
		k.outs = append(k.outs, &outMessage{publication: p, id: id})
	}
	return id
}

// link is one connection, as far as the clients of both simulations see it alike.
type link struct {
	*identity
	d     *driver
	owner owner
	sock  *loop.SimSocket
	buf   []byte

	present     int // what CONNACK must say: 0, 1, or -1 for either
	receiveMax  int
	connectedAt int // step of CONNACK; 0: not yet
	over        bool
	dead        bool  // does not read
	lazy        bool  // keeps acknowledgements back until a flush
	emptyAt     int64 // clock when it had surely read everything
	acks        []byte
	subs        map[uint16][]*sub
	unsubs      map[uint16][]*sub
	pings       []int // number of the last message before each PINGREQ
	handled     int   // every message up to this number that was sent here has been handled
	code        codec.ReasonCode
}

// owner is the connection that a link is part of.
type owner interface {
	run(n int) bool         // reads at most n bytes and handles the packets in them; it reports whether anything came
	resume(present bool)    // links the connection with the session that the broker says it has
	publish(*codec.Publish) // a message came
	pubrel(id uint16)       // PUBREL came
	acked(number int)       // PUBACK or PUBCOMP came
	repeat(*outMessage)     // sends a message again
}

// dial opens a connection, for its owner.
func (d *driver) dial(k *identity, o owner) link {
	return link{identity: k, d: d, owner: o, sock: d.net.Dial(d.listener), handled: -1, emptyAt: d.net.Clock.Now(),
		subs: map[uint16][]*sub{}, unsubs: map[uint16][]*sub{}}
}

// connected reports whether CONNACK came.
func (l *link) connected() bool { return l.connectedAt != 0 }

// reading reports whether the connection is up and its client reads.
func (l *link) reading() bool { return !l.over && l.connected() && !l.dead }

func (l *link) send(b []byte) { l.sock.Write(b) }

// read reads at most n bytes and handles the packets in them. It reports whether anything came.
func (l *link) read(n int) bool {
	if l.over || l.dead {
		return false
	}
	b := l.sock.Read(n)
	l.buf = append(l.buf, b...)
	l.packets()
	return len(b) > 0
}

func (l *link) flushAcks() bool {
	if len(l.acks) == 0 {
		return false
	}
	l.send(l.acks)
	l.acks = l.acks[:0]
	l.d.moves++
	return true
}

// packets handles every whole packet.
func (l *link) packets() {
	for !l.over {
		h, n, err := codec.DecodeHeader(l.buf)
		if err != nil {
			l.d.fail("%s: bad packet from the broker: %v", l.id, err)
		}
		if n == 0 || len(l.buf) < n+h.Remaining {
			return
		}
		body := slices.Clone(l.buf[n : n+h.Remaining])
		l.buf = append(l.buf[:0], l.buf[n+h.Remaining:]...)
		l.d.step++
		if err := l.packet(h, body); err != nil {
			l.d.fail("%s: bad %v from the broker: %v (% x)", l.id, h.Type, err, body)
		}
	}
}

func (l *link) packet(h codec.Header, body []byte) error {
	if !l.connected() && h.Type != codec.TypeConnack {
		l.d.fail("%s: %v before CONNACK", l.id, h.Type)
	}
	switch h.Type {
	case codec.TypeConnack:
		var p codec.Connack
		if err := p.Decode(h, body, l.version); err != nil {
			return err
		}
		l.connack(&p)
	case codec.TypePublish:
		var p codec.Publish
		if err := p.DecodeFromServer(h, body, l.version); err != nil {
			return err
		}
		l.owner.publish(&p)
		switch p.QoS {
		case 1:
			l.answer(codec.TypePuback, p.PacketID)
		case 2:
			l.answer(codec.TypePubrec, p.PacketID)
		}
	case codec.TypePuback, codec.TypePubrec, codec.TypePubrel, codec.TypePubcomp:
		var a codec.Ack
		if err := a.Decode(h, body, l.version); err != nil {
			return err
		}
		l.ack(&a)
	case codec.TypeSuback:
		var a codec.Suback
		if err := a.Decode(h, body, l.version); err != nil {
			return err
		}
		l.suback(&a)
	case codec.TypeUnsuback:
		var a codec.Unsuback
		if err := a.Decode(h, body, l.version); err != nil {
			return err
		}
		l.unsuback(&a)
	case codec.TypePingresp:
		if len(l.pings) == 0 {
			l.d.fail("%s: PINGRESP without PINGREQ", l.id)
		}
		l.handled = l.pings[0]
		l.pings = l.pings[1:]
	case codec.TypeDisconnect:
		var p codec.Disconnect
		if err := p.Decode(h, body, l.version); err != nil {
			return err
		}
		l.code = p.Code
	default:
		l.d.fail("%s: a %v from the broker", l.id, h.Type)
	}
	return nil
}

func (l *link) connack(p *codec.Connack) {
	if l.connected() || p.Code != codec.Success {
		l.d.fail("%s: CONNACK with code %#x", l.id, byte(p.Code))
	}
	l.d.note("%s: CONNACK present=%v", l.id, p.SessionPresent)
	if present := map[bool]int{false: 0, true: 1}[p.SessionPresent]; l.present >= 0 && present != l.present {
		l.d.fail("%s: session present is %v", l.id, p.SessionPresent)
	}
	l.connectedAt = l.d.step
	l.owner.resume(p.SessionPresent)
	for _, o := range l.outs { // what the broker has not acknowledged is sent again [MQTT-4.4.0-1]
		if o.released {
			l.d.note("%s -> PUBREL %d again", l.id, o.id)
			l.send(codec.AppendAck(nil, codec.TypePubrel, l.version, o.id, codec.Success))
		} else {
			l.owner.repeat(o)
		}
	}
}

// answer owes an acknowledgement.
func (l *link) answer(t codec.Type, id uint16) {
	l.acks = codec.AppendAck(l.acks, t, l.version, id, codec.Success)
}

func (l *link) ack(a *codec.Ack) {
	if a.Code >= 0x80 {
		l.d.fail("%s: %v %d with code %#x", l.id, a.Type, a.PacketID, byte(a.Code))
	}
	if a.Type == codec.TypePubrel {
		l.d.note("%s <- PUBREL %d", l.id, a.PacketID)
		l.owner.pubrel(a.PacketID)
		l.answer(codec.TypePubcomp, a.PacketID)
		return
	}
	i := slices.IndexFunc(l.outs, func(o *outMessage) bool { return o.id == a.PacketID })
	if i < 0 {
		l.d.fail("%s: %v for %d, which is not open", l.id, a.Type, a.PacketID)
	}
	o := l.outs[i]
	if (a.Type == codec.TypePuback) != (o.qos == 1) || a.Type == codec.TypePubcomp && !o.released {
		l.d.fail("%s: %v for %v", l.id, a.Type, o)
	}
	if a.Type == codec.TypePubrec {
		if !o.released { // else it answers a repetition
			l.d.note("%s: PUBREC of %v", l.id, o)
			o.released = true
			l.answer(codec.TypePubrel, a.PacketID)
		}
		return
	}
	l.d.note("%s: %v of %v", l.id, a.Type, o)
	o.ackedAt = l.d.step
	l.owner.acked(o.number)
	l.outs = slices.Delete(l.outs, i, i+1)
}

func (l *link) suback(a *codec.Suback) {
	subs, have := l.subs[a.PacketID]
	if !have || len(a.Codes) != len(subs) {
		l.d.fail("%s: SUBACK %d with %d codes", l.id, a.PacketID, len(a.Codes))
	}
	delete(l.subs, a.PacketID)
	for i, v := range subs {
		if a.Codes[i] != v.qos {
			l.d.fail("%s: SUBACK for %s says %#x", l.id, v.written, a.Codes[i])
		}
		v.ackedAt = l.d.step
		v.replaces.end(l.d.step)
	}
	l.d.note("%s: SUBACK %d", l.id, a.PacketID)
}

func (l *link) unsuback(a *codec.Unsuback) {
	subs, have := l.unsubs[a.PacketID]
	if !have {
		l.d.fail("%s: UNSUBACK %d", l.id, a.PacketID)
	}
	delete(l.unsubs, a.PacketID)
	for _, v := range subs {
		v.end(l.d.step)
	}
	l.d.note("%s: UNSUBACK %d", l.id, a.PacketID)
}
