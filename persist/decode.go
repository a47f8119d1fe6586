package persist

import (
	"encoding/binary"
	"math"
)

// reader takes fields from a value. bad is set at the first one that is not there, and then all are zero. Bytes that follow the
// last field are a later version's and left alone.
type reader struct {
	b   []byte
	bad bool
}

// open checks the version of a value.
func openValue(value []byte) reader {
	if len(value) == 0 || value[0] != valueVersion {
		return reader{bad: true}
	}
	return reader{b: value[1:]}
}

func (r *reader) fail() { r.b, r.bad = nil, true }

func (r *reader) byte() byte {
	if len(r.b) < 1 {
		r.fail()
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) uint16() uint16 {
	if len(r.b) < 2 {
		r.fail()
		return 0
	}
	n := binary.BigEndian.Uint16(r.b)
	r.b = r.b[2:]
	return n
}

func (r *reader) uvarint() uint64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[size:]
	return n
}

// uint32 is a uvarint that fits.
func (r *reader) uint32() uint32 {
	n := r.uvarint()
	if n > math.MaxUint32 {
		r.fail()
		return 0
	}
	return uint32(n)
}

func (r *reader) varint() int64 {
	n, size := binary.Varint(r.b)
	if size <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[size:]
	return n
}

// bytes is borrowed.
func (r *reader) bytes() []byte {
	field, rest, ok := cutBytes(r.b)
	if !ok {
		r.fail()
		return nil
	}
	r.b = rest
	return field
}

func (r *reader) string() string { return string(r.bytes()) }

func (r *reader) source() (s Source) {
	s.ClientID = r.string()
	if r.byte() != 0 {
		s.HasUserName, s.UserName = true, r.string()
	}
	port := r.uvarint()
	if port > math.MaxUint16 {
		r.fail()
		return Source{}
	}
	s.Port = uint16(port)
	return s
}

// bodyHead is what chunk 0 says of a body. content begins in it.
type bodyHead struct {
	body    Body // without Props and Payload
	props   int
	payload int
	content []byte // borrowed
}

func decodeBodyHead(value []byte) (h bodyHead, ok bool) {
	r := openValue(value)
	flags := r.byte()
	h.body.QoS, h.body.Retain = flags&3, flags&(1<<2) != 0
	h.body.Expires = r.varint()
	if flags&(1<<3) != 0 {
		h.body.Source = r.source()
	}
	h.body.Topic = r.string()
	props, payload := r.uvarint(), r.uvarint()
	if r.bad || props > math.MaxInt32 || payload > math.MaxInt32-props {
		return h, false
	}
	h.props, h.payload = int(props), int(payload)
	n := min(h.props+h.payload, firstBytes)
	if len(r.b) < n {
		return h, false
	}
	h.content = r.b[:n:n]
	return h, true
}

// deliveryValue is a delivery and the body it refers to; 0: none.
type deliveryValue struct {
	Delivery
	body uint64
}

func decodeDelivery(value []byte) (d deliveryValue, ok bool) {
	r := openValue(value)
	flags := r.byte()
	d.QoS, d.State = flags&3, State(flags>>2&3)
	d.Retain, d.Again = flags&(1<<4) != 0, flags&(1<<5) != 0
	d.PacketID = r.uint16()
	d.body = r.uvarint()
	d.SubID = r.uint32()
	if flags&(1<<6) != 0 {
		n := r.uvarint()
		if n > subIDsMax || n > uint64(len(r.b)) {
			return d, false
		}
		if n > 0 {
			d.SubIDs = make([]uint32, n)
		}
		for i := range d.SubIDs {
			d.SubIDs[i] = r.uint32()
		}
		d.Group, d.Filter = r.string(), r.string()
	}
	return d, !r.bad && d.QoS < 3 && d.State <= Release
}

func decodeReference(value []byte) (body uint64, ok bool) {
	r := openValue(value)
	body = r.uvarint()
	return body, !r.bad
}

// decodeSubscription takes the filter from the key, or from the value when long.
func decodeSubscription(filter, value []byte, long bool) (*Subscription, bool) {
	r := openValue(value)
	s := &Subscription{QoS: r.byte(), Flags: r.byte(), ID: r.uint32()}
	if long {
		s.Filter = r.string()
	} else {
		s.Filter = string(filter)
	}
	return s, !r.bad && s.QoS < 3
}

func decodeSession(number uint64, value []byte) (*Session, bool) {
	r := openValue(value)
	flags := r.byte()
	s := &Session{Number: number, Version: r.byte(), LastID: r.uint16(), Expiry: r.uint32(), EndsAt: r.varint()}
	s.Connected = flags&(1<<0) != 0
	s.ClientID = r.string()
	s.Source = r.source()
	s.Address = r.string()
	if flags&(1<<1) == 0 {
		return s, !r.bad
	}
	flags = r.byte()
	w := &Will{Delay: r.uint32(), Expiry: r.uint32(), At: r.varint()}
	w.QoS, w.Retain, w.HasExpiry = flags&3, flags&(1<<2) != 0, flags&(1<<3) != 0
	w.Source = r.source()
	w.Topic = r.string()
	w.Props = append([]byte(nil), r.bytes()...)
	w.Payload = append([]byte(nil), r.bytes()...)
	s.Will = w
	return s, !r.bad && w.QoS < 3
}
