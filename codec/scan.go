package codec

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

// This file is the seam for SIMD: the two functions below are all that looks at every byte of a string. Anything faster
// replaces scan and keeps to its contract; the tests hold it against a byte by byte reading.

const (
	eachByte   = 0x0101010101010101
	eachHigh   = 0x8080808080808080
	eachNumber = '#' * eachByte
	// wildcardBit is the one bit in which '+' (0x2B) and '#' (0x23) differ, in each byte.
	wildcardBit = ('+' ^ '#') * eachByte
)

// ValidString reports whether b is an MQTT string: well-formed UTF-8 without surrogates [MQTT-1.5.4-1] and without
// U+0000 [MQTT-1.5.4-2]. A byte order mark is a character like others [MQTT-1.5.4-3].
func ValidString(b []byte) bool {
	high, nul, _ := scan(b)
	return !nul && (!high || utf8.Valid(b))
}

// validTopic is ValidString, and whether there is a wildcard in b.
func validTopic(b []byte) (valid, wildcard bool) {
	high, nul, wildcard := scan(b)
	return !nul && (!high || utf8.Valid(b)), wildcard
}

// scan reports whether b has a byte above 0x7F, a zero byte, a '+' or '#'. It takes eight bytes at a time, the last
// eight of them partly for the second time.
func scan(b []byte) (high, nul, wildcard bool) {
	var h, z, w uint64
	switch n := len(b); {
	case n >= 8:
		for i := 0; i < n-8; i += 8 {
			x := binary.LittleEndian.Uint64(b[i:])
			h |= x
			z |= zeroBytes(x)
			w |= zeroBytes(x&^wildcardBit ^ eachNumber)
		}
		h, z, w = scanWord(binary.LittleEndian.Uint64(b[n-8:]), h, z, w)
	case n >= 4:
		x := uint64(binary.LittleEndian.Uint32(b)) | uint64(binary.LittleEndian.Uint32(b[n-4:]))<<32
		h, z, w = scanWord(x, h, z, w)
	case n > 0:
		x := uint64(eachByte&^0xFFFFFF) | uint64(b[0]) | uint64(b[n/2])<<8 | uint64(b[n-1])<<16
		h, z, w = scanWord(x, h, z, w)
	}
	return h&eachHigh != 0, z != 0, w != 0
}

func scanWord(x, h, z, w uint64) (uint64, uint64, uint64) {
	return h | x, z | zeroBytes(x), w | zeroBytes(x&^wildcardBit^eachNumber)
}

// zeroBytes is not zero exactly when x has a zero byte.
func zeroBytes(x uint64) uint64 { return (x - eachByte) &^ x & eachHigh }

// stringError says what is wrong with a string that ValidString refused.
func stringError(b []byte) *Error {
	if utf8.Valid(b) && bytes.IndexByte(b, 0) >= 0 {
		return errNUL
	}
	return errUTF8
}
