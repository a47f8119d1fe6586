package shard

import (
	"encoding/binary"
	"math/bits"
	"sync"
	"unsafe"

	"github.com/noctulemq/noctule/codec"
)

// QoS 0 publications to other loops travel in parcels: one array, one entry in the ring and no counted message for as
// many as fit, because taking, counting and giving back a message costs more than copying a small one. A parcel is sent
// when it is full, at the end of the turn, and before anything else is posted to its loop, so that order is kept.

const (
	// parcelBytes is the size of a parcel; publications above parcelledMax bytes go as counted messages.
	parcelBytes  = 16 << 10
	parcelledMax = 2 << 10
	// parcelHead is what stands before the bytes of each publication: their number (4), where in them the topic begins
	// (2), the lengths of topic, properties and payload (2, 2, 4), retain and origin flags (1, 1), the origin's loop (1),
	// which wire form the bytes are (1; 0: none), the origin's key and generation (4, 4), expiry and version (8, 8). The
	// payload is the end of the bytes, the properties stand before it.
	parcelHead = 42
	// parcelWire is how many bytes a wire form may have beside topic, properties and payload: the fixed header and the
	// lengths of topic and properties.
	parcelWire = 5 + 2 + 4
)

// parcel is publications on their way to one other loop: its sender's while it is filled, the receiver's afterwards.
type parcel struct{ buf []byte }

// parcels holds the empty ones of all loops.
type parcels struct{ pool sync.Pool }

func (ps *parcels) take() *parcel {
	if c, ok := ps.pool.Get().(*parcel); ok {
		return c
	}
	return &parcel{buf: make([]byte, 0, parcelBytes)}
}

func (ps *parcels) put(c *parcel) {
	c.buf = c.buf[:0]
	ps.pool.Put(c)
}

// isParcelled reports whether a publication travels in parcels.
func (p *publication) isParcelled() bool {
	return p.qos == 0 && p.msg == nil && p.size() <= parcelledMax
}

// addToParcel puts a publication into the open parcel for a loop.
func (s *Shard) addToParcel(to int, p *publication) {
	need := parcelHead + int(p.size()) + parcelWire
	if c := s.parcels[to]; c != nil && len(c.buf)+need > cap(c.buf) {
		s.sendParcel(to)
	}
	if s.parcels[to] == nil {
		s.parcels[to] = s.broker.parcels.take()
		s.parcelsOpen |= 1 << to
	}
	s.parcels[to].add(p)
}

// sendParcel posts the open parcel for a loop.
func (s *Shard) sendParcel(to int) {
	c := s.parcels[to]
	s.parcels[to] = nil
	s.parcelsOpen &^= 1 << to
	s.postMessage(published, to, mailParcel, c, int64(len(c.buf)))
}

// sendParcels posts every open parcel.
func (s *Shard) sendParcels() {
	for open := s.parcelsOpen; open != 0; open &= open - 1 {
		s.sendParcel(bits.TrailingZeros64(open))
	}
}

// add appends a publication; there is room. When it stands somewhere in wire form, that is what travels, so that the
// receivers can be sent copies of it.
func (c *parcel) add(p *publication) {
	at := len(c.buf)
	h := c.buf[at : at+parcelHead : cap(c.buf)]
	class, wire := p.wire()
	nameAt := 0
	if wire != nil {
		nameAt = int(uintptr(unsafe.Pointer(unsafe.StringData(p.name))) - uintptr(unsafe.Pointer(unsafe.SliceData(wire))))
	}
	b := c.buf[:at+parcelHead]
	if wire != nil {
		b = append(b, wire...)
	} else {
		b = append(append(append(b, p.name...), p.props...), p.payload...)
	}
	c.buf = b
	le := binary.LittleEndian
	le.PutUint32(h, uint32(len(b)-at-parcelHead))
	le.PutUint16(h[4:], uint16(nameAt))
	le.PutUint16(h[6:], uint16(len(p.name)))
	le.PutUint16(h[8:], uint16(len(p.props)))
	le.PutUint32(h[10:], uint32(len(p.payload)))
	h[14], h[15], h[16], h[17] = flag(p.retain), flag(p.origin.some), p.origin.loop, byte(class)
	le.PutUint32(h[18:], p.origin.key)
	le.PutUint32(h[22:], p.origin.gen)
	le.PutUint64(h[26:], uint64(p.expiry))
	le.PutUint64(h[34:], p.version)
}

// wire returns a wire form in which a QoS 0 publication stands, if its topic, properties and payload are parts of it, and
// its class plus 1; else nil and 0. It is the packet as it was read, if that can be sent on.
func (p *publication) wire() (class int, packet []byte) {
	for _, v := range [...]codec.Version{codec.V311, codec.V5} {
		i := encoding(v, 0, false)
		w := p.encoded[i]
		if w != nil && len(p.payload) > 0 && unsafe.SliceData(p.payload) == &w[len(w)-len(p.payload)] {
			return i + 1, w
		}
	}
	return 0, nil
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// loadParcelled makes the publication stand for the first one in b, whose bytes it borrows, and returns what is behind it.
func (p *publication) loadParcelled(b []byte, now int64) (rest []byte) {
	le := binary.LittleEndian
	size, nameAt, name := int(le.Uint32(b)), int(le.Uint16(b[4:])), int(le.Uint16(b[6:]))
	props, payload := int(le.Uint16(b[8:])), int(le.Uint32(b[10:]))
	p.retain = b[14] != 0
	p.origin = origin{some: b[15] != 0, loop: b[16], key: le.Uint32(b[18:]), gen: le.Uint32(b[22:])}
	class := int(b[17])
	p.expiry, p.version = int64(le.Uint64(b[26:])), le.Uint64(b[34:])
	p.expirySeconds = secondsLeft(p.expiry, now)
	body, rest := b[parcelHead:parcelHead+size:parcelHead+size], b[parcelHead+size:]
	p.name = unsafe.String(unsafe.SliceData(body[nameAt:]), name)
	p.payload = body[size-payload:]
	p.props = body[size-payload-props : size-payload : size-payload]
	if class != 0 {
		p.remember(class-1, body)
	}
	return rest
}

// receiveParcel routes the publications of a parcel from another loop to our sessions.
func (s *Shard) receiveParcel(c *parcel) {
	p, now := &s.pub, s.loop.Now()
	for b := c.buf; len(b) > 0; {
		b = p.loadParcelled(b, now)
		s.routeLocal(p, s.routeOf(p))
		p.reset()
	}
	s.broker.parcels.put(c)
}
