package codec

import "fmt"

func appendUint16(b []byte, v uint16) []byte { return append(b, byte(v>>8), byte(v)) }

func appendUint32(b []byte, v uint32) []byte {
	return append(b, byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
}

// appendVarint writes a variable byte integer in its shortest form [MQTT-1.5.5-1].
func appendVarint(b []byte, v uint32) []byte {
	for v > lengthDigit {
		b = append(b, byte(v)|moreLength)
		v >>= 7
	}
	return append(b, byte(v))
}

func varintSize(v uint32) int {
	switch {
	case v < 1<<7:
		return 1
	case v < 1<<14:
		return 2
	case v < 1<<21:
		return 3
	}
	return 4
}

// appendString writes a string or binary data behind its length. Whoever made s keeps it within 65,535 bytes.
func appendString[S ~string | ~[]byte](b []byte, s S) []byte {
	if len(s) > stringMax {
		panicTooLong(len(s), stringMax)
	}
	return append(appendUint16(b, uint16(len(s))), s...)
}

func panicTooLong(n, limit int) {
	panic(fmt.Sprintf("BUG: field of %d bytes where MQTT allows %d", n, limit))
}
