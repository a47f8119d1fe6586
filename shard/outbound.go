package shard

import (
	"github.com/noctulemq/noctule/auth"
	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/router"
)

// deliveryState is where one outbound delivery stands.
//
//	queued       not sent on this or any connection; leaves when the window opens or it is dropped
//	awaitPuback  PUBLISH QoS 1 sent; leaves on PUBACK
//	awaitPubrec  PUBLISH QoS 2 sent; leaves on PUBREC
//	awaitPubcomp PUBREL sent; leaves on PUBCOMP
//	done         finished or dropped; its slot is freed when it reaches the head
type deliveryState uint8

const (
	queued deliveryState = iota
	awaitPuback
	awaitPubrec
	awaitPubcomp
	done
)

// packetIDs is how many packet identifiers there are: the bound of every outbound queue, whatever the configuration
// says, because each delivery has its identifier from the moment it is queued.
const packetIDs = 65535

// delivery is one message for one session, QoS 1 or 2 (QoS 0 when `queue_qos0_messages` keeps it for an offline one).
type delivery struct {
	msg *Message // one reference, until done
	// share is the group that chose this session, to hand the message on if the session ends; else nil.
	share *router.Share
	// ids are the subscription identifiers when there are several; with one it is in id.
	ids    *[]uint32
	seq    uint64 // its number in the store; never smaller than that of the one before
	place  place  // where it was stored; 0: not stored
	subID  uint32
	id     uint16
	state  deliveryState
	qos    uint8
	retain bool
	again  bool // it was sent on an earlier connection: DUP [MQTT-3.3.1-1]; in state awaitPubcomp: not in the window
	gated  bool // its PUBLISH, or in state awaitPubcomp its PUBREL, waits until it is stored
}

// outbound is a session's in-flight window and the queue behind it, in one ring in the order of sending. Loop thread
// only. Packet identifiers are given in that order without gaps, so an acknowledgement finds its delivery by
// subtraction. Bounds: the window by receive maximum, `max_inflight_messages` and `max_inflight_bytes`; the queue by
// `max_queued_messages`, `max_queued_bytes` and the number of packet identifiers.
type outbound struct {
	ring []delivery // power of two
	head int
	n    int
	// next is the offset from head of the first delivery that was not yet given to the present connection.
	next int

	// Of the deliveries from next on, how many were sent on an earlier connection, and how many are done.
	resend, holes int

	lastSeq uint64 // of the deliveries that were stored

	inflight      int
	inflightBytes int64
	queuedBytes   int64
}

func (o *outbound) at(i int) *delivery { return &o.ring[(o.head+i)&(len(o.ring)-1)] }

// waiting is how many deliveries were not given to any connection.
func (o *outbound) waiting() int { return o.n - o.next - o.resend - o.holes }

// outbound returns the session's queue, made when it has none.
func (ss *session) outbound() *outbound {
	if ss.out == nil {
		ss.out = &outbound{}
	}
	return ss.out
}

// size is what the delivery counts against `max_queued_bytes` and `max_inflight_bytes`: its payload, as Mosquitto
// counts, and its subscription identifiers when there are several.
func (d *delivery) size() int64 {
	n := int64(len(d.msg.Payload()))
	if d.ids != nil {
		n += 4 * int64(len(*d.ids))
	}
	return n
}

// find returns the delivery with packet identifier id, nil when it has none.
func (o *outbound) find(id uint16) *delivery {
	if o == nil || o.n == 0 || id == 0 {
		return nil
	}
	first := o.at(0).id
	i := int(id - first)
	if id < first {
		i-- // identifier 0 does not exist
	}
	if i >= o.n {
		return nil
	}
	if d := o.at(i); d.id == id && d.state != done && (i < o.next || d.state == awaitPubcomp) {
		return d
	}
	return nil
}

// push appends a delivery and returns it, to be filled by the caller but for its id.
func (o *outbound) push(id uint16) *delivery {
	if o.n == len(o.ring) {
		o.grow()
	}
	d := o.at(o.n)
	o.n++
	*d = delivery{id: id, seq: o.lastSeq} // in order also when it is not stored
	return d
}

func (o *outbound) grow() {
	ring := make([]delivery, max(4, 2*len(o.ring)))
	for i := range o.n {
		ring[i] = *o.at(i)
	}
	o.ring, o.head = ring, 0
}

// ringKept is the largest ring (in deliveries) that an empty queue keeps for its next message.
const ringKept = 128

// trim frees the done deliveries at the head.
func (o *outbound) trim() {
	for o.n > 0 && o.at(0).state == done {
		*o.at(0) = delivery{}
		o.head = (o.head + 1) & (len(o.ring) - 1)
		o.n--
		if o.next > 0 {
			o.next--
		} else {
			o.holes--
		}
	}
	if o.n == 0 && len(o.ring) > ringKept {
		o.ring, o.head = nil, 0
	}
}

// rewind prepares for a new connection: everything unfinished is given to it again, in order [MQTT-4.4.0-1].
func (o *outbound) rewind() {
	if o == nil {
		return
	}
	for i := range o.next {
		d := o.at(i)
		switch d.state {
		case awaitPuback, awaitPubrec:
			d.again = true
			o.resend++
			o.queuedBytes += d.size()
		case awaitPubcomp:
			d.again = true
			o.resend++
		case done:
			o.holes++
		}
	}
	o.next, o.inflight, o.inflightBytes = 0, 0, 0
}

// storeSent stores which deliveries a durable session's client may have got, when it goes. What comes for it from now on is
// urgent, and must not be stored before what is young.
func (s *Shard) storeSent(ss *session) {
	o := ss.out
	if o == nil || !ss.isDurable() {
		return
	}
	for i := o.n - 1; i >= 0 && !s.storage.flush; i-- {
		b, _ := s.open(o.at(i).place)
		s.storage.flush = b != nil && b != s.storage.urgent
	}
	s.storeResent(ss, o.next)
}

// storeResent stores which of the first n deliveries may have been sent.
func (s *Shard) storeResent(ss *session, n int) {
	for i := range n {
		if d := ss.out.at(i); d.state == awaitPuback || d.state == awaitPubrec {
			s.storeAgain(ss, d, true)
		}
	}
}

// closeHoles takes the done deliveries among those that were never sent out of the ring; what is behind them moves up
// and is numbered anew. It returns the last packet identifier in use.
func (o *outbound) closeHoles(last uint16) uint16 {
	to := o.next
	for i := o.next; i < o.n; i++ {
		if d := o.at(i); d.state != queued && d.state != done {
			to = i + 1
		}
	}
	for i := to; i < o.n; i++ {
		d := *o.at(i)
		if d.state == done {
			continue
		}
		d.id = o.at(to).id
		*o.at(to) = d
		to++
	}
	o.holes -= o.n - to
	for o.n > to {
		last = o.at(o.n-1).id - 1
		if last == 0 {
			last = packetIDs
		}
		o.n--
		*o.at(o.n) = delivery{}
	}
	return last
}

// window is how many QoS 1 and 2 deliveries c may have unfinished at once [MQTT-3.3.4-9].
func (s *Shard) window(c *client) int {
	w := int(c.receiveMax)
	if m := s.cfg.MaxInflightMessages; m > 0 {
		w = min(w, m)
	}
	return w
}

// resume continues what the session has in flight and in its queue with a client that is connected now. The window does not hold
// back PUBREL [MQTT-3.3.4-10].
func (s *Shard) resume(ss *session, c *client) {
	s.setOnline(ss, true)
	if o := ss.out; o != nil {
		for i := 0; i < o.n && o.resend > 0; i++ {
			if d := o.at(i); d.state == awaitPubcomp && !d.gated {
				s.sendAck(c, codec.TypePubrel, d.id, codec.Success)
			}
		}
	}
	s.pump(ss)
	s.replayMore(ss)
}

// pump sends queued deliveries while the window and the output allow.
func (s *Shard) pump(ss *session) {
	o, c := ss.out, ss.receiver()
	if o == nil || c == nil {
		return
	}
	window := s.window(c)
	for o.next < o.n && o.inflight < window {
		if limit := s.cfg.MaxInflightBytes; limit > 0 && o.inflightBytes >= limit && o.inflight > 0 {
			break
		}
		if c.conn != nil && c.conn.Unsent() >= s.cfg.MaxOutputBytes {
			c.conn.WantDrain()
			break
		}
		d := o.at(o.next)
		if d.gated {
			break // ungate goes on
		}
		o.next++
		s.sendDelivery(ss, c, d)
	}
	o.trim()
	s.relieve(ss)
}

// sendDelivery gives one delivery to the connection.
func (s *Shard) sendDelivery(ss *session, c *client, d *delivery) {
	o := ss.out
	switch d.state {
	case done:
		o.holes--
		return
	case awaitPubcomp: // resume has sent it
		d.again = false
		o.resend--
		o.inflight++
		return
	}
	size := d.size()
	o.queuedBytes -= size
	if d.again {
		o.resend--
	}
	if d.msg.expiry != 0 && d.msg.expiry <= s.loop.Now() && !d.again {
		s.count.Expired++
		s.finish(ss, d)
		return
	}
	p := &s.queuedPub
	p.load(d.msg, s.loop.Now())
	if ss.who != nil && !s.may(ss.who, auth.Receive, p.name) {
		p.reset()
		s.finish(ss, d)
		return
	}
	sent := s.sendPublish(c, p, &outgoing{qos: d.qos, retain: d.retain, dup: d.again, id: d.id, subID: d.subID, ids: d.ids})
	p.reset()
	if !sent || d.qos == 0 {
		s.finish(ss, d)
		return
	}
	o.inflight++
	o.inflightBytes += size
	if d.state == queued {
		d.state = awaitPuback
		if d.qos == 2 {
			d.state = awaitPubrec
		}
	}
}

// finish ends a delivery that is not in flight (or no longer counted as such) and gives its message back.
func (s *Shard) finish(ss *session, d *delivery) {
	s.unstoreDelivery(ss, d)
	d.state, d.gated = done, false
	if d.msg != nil {
		s.unkeep(d.msg)
		d.msg = nil
	}
	d.share, d.ids = nil, nil
}

// settle ends an in-flight delivery and lets the next ones go.
func (s *Shard) settle(ss *session, d *delivery) {
	o := ss.out
	if d.state == awaitPubcomp && d.again {
		o.resend--
		o.holes++
	} else {
		o.inflight--
	}
	if d.msg != nil {
		o.inflightBytes -= d.size()
	}
	s.finish(ss, d)
	o.trim()
	if o.next < o.n || ss.throttling != nil || ss.replays != nil {
		s.pump(ss)
		s.replayMore(ss)
	}
}

// enqueue adds a delivery to the session: sent at once when the window is open and nothing waits before it, else
// queued within the bounds, else treated by the slow-consumer policy.
func (s *Shard) enqueue(ss *session, p *publication, g *outgoing, share *router.Share) {
	o, c := ss.outbound(), ss.receiver()
	size := int64(len(p.payload))
	if g.ids != nil {
		size += 4 * int64(len(*g.ids))
	}
	direct := c != nil && o.next == o.n && o.inflight < s.window(c) &&
		(s.cfg.MaxInflightBytes == 0 || o.inflight == 0 || o.inflightBytes < s.cfg.MaxInflightBytes) &&
		(c.conn == nil || c.conn.Unsent() < s.cfg.MaxOutputBytes)
	if !direct && !s.admit(ss, p, size) {
		return
	}
	gated := g.qos == 2 && ss.isDurable() && s.storage.waits
	direct = direct && !gated
	if o.n >= packetIDs {
		s.dropQueued(ss, c, "no packet identifier is free")
		return
	}
	ss.lastID++
	if ss.lastID == 0 {
		ss.lastID = 1
	}
	d := o.push(ss.lastID)
	d.subID, d.qos, d.retain, d.share = g.subID, g.qos, g.retain, share
	if g.ids != nil {
		ids := append([]uint32(nil), *g.ids...)
		d.ids = &ids
	}
	m := p.message(&s.broker.messages)
	if !direct {
		d.msg, d.gated = s.keep(m), gated
		o.queuedBytes += size
		if ss.isDurable() {
			s.storeDelivery(ss, d, p.receipt)
		}
		if c != nil && c.conn != nil && o.inflight == 0 {
			c.conn.WantDrain() // no acknowledgement will come to continue
		}
		return
	}
	o.next++
	g.id = d.id
	if !s.sendPublish(c, p, g) {
		d.state = done
		o.trim()
		return
	}
	d.msg = s.keep(m)
	o.inflight++
	o.inflightBytes += size
	d.state = awaitPuback
	if g.qos == 2 {
		d.state = awaitPubrec
	}
	if ss.isDurable() {
		s.storeDelivery(ss, d, p.receipt)
	}
}

// puback handles PUBACK: it ends a QoS 1 delivery, whatever its reason code.
func (s *Shard) puback(c *client, a *codec.Ack) error {
	d := c.session.out.find(a.PacketID)
	if d == nil {
		s.count.UnknownAcks++
		return nil
	}
	if d.state != awaitPuback {
		return errAckState
	}
	s.settle(c.session, d)
	return nil
}

// pubrec handles PUBREC: PUBREL goes out, also for an identifier that is not known, so that the receiver can finish
// [MQTT-4.3.3-4]; a reason code of 0x80 or more ends the delivery.
func (s *Shard) pubrec(c *client, a *codec.Ack) error {
	d := c.session.out.find(a.PacketID)
	if d == nil {
		s.count.UnknownAcks++
		if a.Code < 0x80 {
			s.sendAck(c, codec.TypePubrel, a.PacketID, codec.Success)
		}
		return nil
	}
	switch d.state {
	case awaitPubcomp:
		if a.Code >= 0x80 {
			s.settle(c.session, d)
			return nil
		}
		if !d.gated {
			s.sendAck(c, codec.TypePubrel, a.PacketID, codec.Success)
		}
		return nil
	case awaitPubrec:
	default:
		return errAckState
	}
	if a.Code >= 0x80 {
		s.settle(c.session, d)
		return nil
	}
	d.state, d.again = awaitPubcomp, false
	c.session.out.inflightBytes -= d.size()
	if d.place != 0 {
		s.storeRelease(c.session, d)
	}
	s.unkeep(d.msg)
	d.msg = nil
	if !d.gated {
		s.sendAck(c, codec.TypePubrel, a.PacketID, codec.Success)
	}
	return nil
}

// pubcomp handles PUBCOMP: it ends a QoS 2 delivery.
func (s *Shard) pubcomp(c *client, a *codec.Ack) error {
	d := c.session.out.find(a.PacketID)
	if d == nil {
		s.count.UnknownAcks++
		return nil
	}
	if d.state != awaitPubcomp {
		return errAckState
	}
	s.settle(c.session, d)
	return nil
}
