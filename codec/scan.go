package codec

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

// Nearly every string is printable ASCII without wildcards. plain finds that out in vector code where there is some
// (simd_*.go), plainWords without; what is not plain is looked at again. The tests hold all of them against a byte by byte
// reading.

const (
	eachByte   = 0x0101010101010101
	eachHigh   = 0x8080808080808080
	eachNumber = '#' * eachByte
	eachLetter = 'a' * eachByte
	eachSpace  = ' ' * eachByte
	eachDelete = 0x7F * eachByte
	// wildcardBit is the one bit in which '+' (0x2B) and '#' (0x23) differ, in each byte.
	wildcardBit = ('+' ^ '#') * eachByte
)

// ValidString reports whether b is an MQTT string: well-formed UTF-8 without surrogates [MQTT-1.5.4-1], without U+0000
// [MQTT-1.5.4-2], and, as Mosquitto has it and section 1.5.4 allows, without other control characters and without code
// points that are no characters. A byte order mark is a character like others [MQTT-1.5.4-3].
func ValidString(b []byte) bool {
	if plain(b) {
		return true
	}
	high, control, _ := scan(b)
	return !control && (!high || validHigh(b))
}

// validTopic is ValidString, and whether there is a wildcard in b.
func validTopic(b []byte) (valid, wildcard bool) {
	if plain(b) {
		return true, false
	}
	high, control, wildcard := scan(b)
	return !control && (!high || validHigh(b)), wildcard
}

// validHigh is ValidString for what has no control characters below 0x80.
func validHigh(b []byte) bool {
	for i := 0; i < len(b); {
		switch c := b[i]; {
		case c < utf8.RuneSelf:
			i++
		case c < 0xE0: // two bytes, U+00A0 to U+07FF
			if c < 0xC2 || i+1 == len(b) || b[i+1]&0xC0 != 0x80 || c == 0xC2 && b[i+1] < 0xA0 {
				return false
			}
			i += 2
		default:
			r, n := utf8.DecodeRune(b[i:])
			if n == 1 || !isCharacter(r) {
				return false
			}
			i += n
		}
	}
	return true
}

// isCharacter reports whether a code point is neither a control character nor one of those that are no characters.
func isCharacter(r rune) bool {
	return r >= 0x20 && (r < 0x7F || r > 0x9F) && (r < 0xFDD0 || r > 0xFDEF) && r&0xFFFE != 0xFFFE
}

// plainWords reports whether all of b is printable ASCII but '+' and '#'. It takes eight bytes at a time, the last eight of
// them partly for the second time.
func plainWords(b []byte) bool {
	var x uint64
	switch n := len(b); {
	case n >= 8:
		for i := 0; i < n-8; i += 8 {
			x |= notPlain(binary.LittleEndian.Uint64(b[i:]))
		}
		x |= notPlain(binary.LittleEndian.Uint64(b[n-8:]))
	case n >= 4:
		x = notPlain(uint64(binary.LittleEndian.Uint32(b)) | uint64(binary.LittleEndian.Uint32(b[n-4:]))<<32)
	case n > 0:
		x = notPlain(uint64(eachLetter&^0xFFFFFF) | uint64(b[0]) | uint64(b[n/2])<<8 | uint64(b[n-1])<<16)
	}
	return x == 0
}

// notPlain is not zero exactly when x has a byte that is not plain: without one, nothing is borrowed from byte to byte, and
// the lowest one sets its own highest bit.
func notPlain(x uint64) uint64 {
	return (x | (x - eachSpace) | ((x ^ eachDelete) - eachByte) | ((x&^wildcardBit ^ eachNumber) - eachByte)) & eachHigh
}

// scan reports whether b has a byte above 0x7F, one below 0x20 or 0x7F itself, a '+' or '#'. It takes eight bytes at a time, the last
// eight of them partly for the second time.
func scan(b []byte) (high, control, wildcard bool) {
	var h, z, w uint64
	switch n := len(b); {
	case n >= 8:
		for i := 0; i < n-8; i += 8 {
			x := binary.LittleEndian.Uint64(b[i:])
			h |= x
			z |= controlBytes(x)
			w |= zeroBytes(x&^wildcardBit ^ eachNumber)
		}
		h, z, w = scanWord(binary.LittleEndian.Uint64(b[n-8:]), h, z, w)
	case n >= 4:
		x := uint64(binary.LittleEndian.Uint32(b)) | uint64(binary.LittleEndian.Uint32(b[n-4:]))<<32
		h, z, w = scanWord(x, h, z, w)
	case n > 0:
		x := uint64(eachLetter&^0xFFFFFF) | uint64(b[0]) | uint64(b[n/2])<<8 | uint64(b[n-1])<<16
		h, z, w = scanWord(x, h, z, w)
	}
	return h&eachHigh != 0, z != 0, w != 0
}

func scanWord(x, h, z, w uint64) (uint64, uint64, uint64) {
	return h | x, z | controlBytes(x), w | zeroBytes(x&^wildcardBit^eachNumber)
}

// zeroBytes is not zero exactly when x has a zero byte.
func zeroBytes(x uint64) uint64 { return (x - eachByte) &^ x & eachHigh }

// controlBytes is not zero exactly when x has a byte below 0x20 or one of 0x7F.
func controlBytes(x uint64) uint64 {
	return (x-eachSpace)&^x&eachHigh | zeroBytes(x^eachDelete)
}

// stringError says what is wrong with a string that ValidString refused.
func stringError(b []byte) *Error {
	switch {
	case !utf8.Valid(b):
		return errUTF8
	case bytes.IndexByte(b, 0) >= 0:
		return errNUL
	}
	return errControl
}
