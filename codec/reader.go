package codec

import (
	"encoding/binary"
	"unsafe"
)

// reader takes a packet body apart, front to back. The first failure sticks and empties it: later reads return zero
// values, so that the caller looks at err once, and the error is that of the first rule broken in reading order.
type reader struct {
	b   []byte // what is left
	err *Error
}

// fail records e unless an earlier failure, or none at all, is there.
func (r *reader) fail(e *Error) {
	if r.err == nil && e != nil {
		r.err, r.b = e, nil
	}
}

// end reports the first failure; bytes left over are one.
func (r *reader) end() *Error {
	if len(r.b) > 0 {
		r.fail(errTrailing)
	}
	return r.err
}

func (r *reader) uint8() uint8 {
	if len(r.b) < 1 {
		r.fail(errTruncated)
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

func (r *reader) uint16() uint16 {
	if len(r.b) < 2 {
		r.fail(errTruncated)
		return 0
	}
	v := binary.BigEndian.Uint16(r.b)
	r.b = r.b[2:]
	return v
}

// packetID reads a packet identifier, which is never zero [MQTT-2.2.1-3].
func (r *reader) packetID() uint16 {
	id := r.uint16()
	if id == 0 {
		r.fail(errPacketID)
	}
	return id
}

// binary reads a length of two bytes and that many bytes, which alias the input.
func (r *reader) binary() []byte {
	if len(r.b) < 2 {
		r.fail(errTruncated)
		return nil
	}
	end := 2 + int(binary.BigEndian.Uint16(r.b))
	if end > len(r.b) {
		r.fail(errTruncated)
		return nil
	}
	v := r.b[2:end:end]
	r.b = r.b[end:]
	return v
}

// string reads a UTF-8 string, which aliases the input; invalid is the failure when it is not one.
func (r *reader) string(invalid *Error) string {
	v := r.binary()
	if !ValidString(v) {
		r.fail(invalid)
		return ""
	}
	return alias(v)
}

// properties reads a property block without its length. Version 3 has none.
func (r *reader) properties(v Version) []byte {
	if v != V5 || r.err != nil {
		return nil
	}
	n, size, e := decodeVarint(r.b)
	if e != nil {
		r.fail(e)
		return nil
	}
	if int(n) > len(r.b)-size {
		r.fail(errTruncated)
		return nil
	}
	end := size + int(n)
	block := r.b[size:end:end]
	r.b = r.b[end:]
	return block
}

// decodeVarint reads a variable byte integer in its shortest form [MQTT-1.5.5-1].
func decodeVarint(b []byte) (v uint32, size int, e *Error) {
	for i := 0; i < varintMax; i++ {
		if i == len(b) {
			return 0, 0, errTruncated
		}
		v |= uint32(b[i]&lengthDigit) << (7 * i)
		if b[i]&moreLength == 0 {
			if i > 0 && b[i] == 0 {
				return 0, 0, errVarintLong
			}
			return v, i + 1, nil
		}
	}
	return 0, 0, errVarint
}

// alias is the bytes of b as a string, without a copy.
func alias(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
