package mosquittodb

import "encoding/binary"

// cursor reads a chunk from its start. What is not there reads as zero and sets short.
type cursor struct {
	b      []byte
	native binary.ByteOrder
	short  bool
}

// bytes is the next n bytes, borrowed. Where an int has 32 bits a length can come out negative.
func (c *cursor) bytes(n int) []byte {
	if n < 0 || n > len(c.b) {
		c.b, c.short = nil, true
		return nil
	}
	p := c.b[:n:n]
	c.b = c.b[n:]
	return p
}

func (c *cursor) uint8() uint8 {
	if p := c.bytes(1); p != nil {
		return p[0]
	}
	return 0
}

func (c *cursor) uint16() uint16 {
	if p := c.bytes(2); p != nil {
		return binary.BigEndian.Uint16(p)
	}
	return 0
}

func (c *cursor) uint32() uint32 {
	if p := c.bytes(4); p != nil {
		return binary.BigEndian.Uint32(p)
	}
	return 0
}

// nativeUint64 reads a number in the order of the machine that wrote the file.
func (c *cursor) nativeUint64() uint64 {
	if p := c.bytes(8); p != nil {
		return c.native.Uint64(p)
	}
	return 0
}

func (c *cursor) string(n int) string { return string(c.bytes(n)) }

// prefixed reads a string behind its length.
func (c *cursor) prefixed() string { return c.string(int(c.uint16())) }

// varint reads a variable byte integer.
func (c *cursor) varint() uint32 {
	var n uint32
	for shift := 0; shift < 28; shift += 7 {
		b := c.uint8()
		n |= uint32(b&0x7F) << shift
		if b < 0x80 {
			return n
		}
	}
	c.short = true
	return 0
}

// appendVarint writes a variable byte integer.
func appendVarint(b []byte, n uint32) []byte {
	for n >= 0x80 {
		b = append(b, byte(n)|0x80)
		n >>= 7
	}
	return append(b, byte(n))
}
