package codec

import (
	"bytes"
	"testing"
)

func TestHeaderReadsEveryRemainingLength(t *testing.T) {
	f := func(b []byte, remaining int) {
		t.Helper()
		h, n, err := DecodeHeader(b)
		if err != nil || h.Remaining != remaining || n != len(b) || h.Overlong {
			t.Errorf("% X: %+v, size %d, %v", b, h, n, err)
		}
		if got := appendHeader(nil, TypePublish, 0, remaining); !bytes.Equal(got, b) || headerSize(remaining) != len(b) {
			t.Errorf("%d is written as % X of size %d", remaining, got, headerSize(remaining))
		}
	}
	f([]byte{0x30, 0}, 0)
	f([]byte{0x30, 0x7F}, 127)
	f([]byte{0x30, 0x80, 0x01}, 128)
	f([]byte{0x30, 0xFF, 0x7F}, 16_383)
	f([]byte{0x30, 0x80, 0x80, 0x01}, 16_384)
	f([]byte{0x30, 0xFF, 0xFF, 0x7F}, 2_097_151)
	f([]byte{0x30, 0x80, 0x80, 0x80, 0x01}, 2_097_152)
	f([]byte{0x30, 0xFF, 0xFF, 0xFF, 0x7F}, MaxRemaining)
}

func TestRemainingLengthOfFiveBytesIsMalformed(t *testing.T) {
	for _, b := range [][]byte{{0x30, 0x80, 0x80, 0x80, 0x80}, {0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0x01}} {
		if _, _, err := DecodeHeader(b); err != error(errLengthTooLong) {
			t.Errorf("% X: %v", b, err)
		}
	}
}

// [MQTT-1.5.5-1] binds 5.0; the earlier versions take a length in more bytes than it needs.
func TestOverlongRemainingLengthIsMalformedInVersion5(t *testing.T) {
	overlong := func(first byte, body ...byte) []byte {
		return append([]byte{first, byte(len(body)) | 0x80, 0x80, 0x00}, body...)
	}
	publish := overlong(0x30, 0, 1, 'a', 0)
	refuses(t, V5, publish, errLengthOverlong, MalformedPacket)
	accepts(t, V311, publish)
	refuses(t, V5, overlong(0xE0, 0), errLengthOverlong, MalformedPacket)
	refuses(t, V5, overlong(0xC0), errLengthOverlong, MalformedPacket)
	refuses(t, V5, overlong(0x10, wire(0x10, `"MQTT" 05 02 0000 {} "id"`)[2:]...), errLengthOverlong, MalformedPacket)
	accepts(t, V311, overlong(0x10, wire(0x10, `"MQTT" 04 02 0000 "id"`)[2:]...))
	if h, _, _ := DecodeHeader(publish); !h.Overlong {
		t.Error("Overlong is not set")
	}
}

// [MQTT-2.1.3-1], and [MQTT-2.2.2-1] [MQTT-2.2.2-2] of 3.1.1: each first byte is judged by itself.
func TestFixedHeaderFlags(t *testing.T) {
	want := map[Type][]byte{TypePublish: {0, 1, 2, 3, 4, 5, 0xA, 0xB, 0xC, 0xD}, TypePubrel: {2}, TypeSubscribe: {2}, TypeUnsubscribe: {2}}
	for first := range 256 {
		typ, flags := Type(first>>4), byte(first&0x0F)
		allowed, ok := want[typ]
		if !ok && typ != 0 {
			allowed = []byte{0}
		}
		_, _, err := DecodeHeader([]byte{byte(first)})
		if err == nil && typ != TypePublish {
			err = result(Header{Type: typ, Flags: flags}.check(V5))
		}
		if good := bytes.IndexByte(allowed, flags) >= 0; good != (err == nil) {
			t.Errorf("first byte %02X: %v", first, err)
		}
	}
}

func TestFixedHeaderFlagsNameTheirRequirement(t *testing.T) {
	f := func(first byte, want *Error) {
		t.Helper()
		refuses(t, V5, []byte{first, 0}, want, MalformedPacket)
	}
	f(0x00, errReservedType)
	f(0x11, errFlags)
	f(0x36, errQoS3)    // [MQTT-3.3.1-4]
	f(0x38, errDupQoS0) // [MQTT-3.3.1-2]
	f(0x80, errSubscribeFlags)
	f(0xA0, errUnsubFlags)
	f(0x60, errFlags)
	f(0xE1, errDisconnectFlags)
	f(0xF1, errAuthFlags)
}

// 3.1 sets DUP on a PUBREL, SUBSCRIBE or UNSUBSCRIBE that it sends again; later versions forbid it.
func TestDupOnRetransmissionIsForVersion31Alone(t *testing.T) {
	f := func(b []byte, want *Error) {
		t.Helper()
		accepts(t, V31, b)
		refuses(t, V311, b, want, MalformedPacket)
	}
	f(wire(0x6A, `0001`), errFlags)
	f(wire(0x8A, `0001 "a" 00`), errSubscribeFlags)
	f(wire(0xAA, `0001 "a"`), errUnsubFlags)
}

func TestPingWithABodyIsMalformed(t *testing.T) {
	refuses(t, V311, wire(0xC0, `00`), errPingBody, MalformedPacket)
	refuses(t, V5, wire(0xD0, `00`), errPingBody, MalformedPacket)
}

func TestLongerThanTheProtocolAllowsIsABug(t *testing.T) {
	f := func(name string, write func()) {
		t.Helper()
		defer func() {
			if recover() == nil {
				t.Errorf("%s is written", name)
			}
		}()
		write()
	}
	f("a remaining length of five bytes", func() { appendHeader(nil, TypePublish, 0, MaxRemaining+1) })
	f("a string of 65,536 bytes", func() { appendString(nil, make([]byte, stringMax+1)) })
}

func TestTypesAndVersionsHaveNames(t *testing.T) {
	if TypeConnect.String() != "CONNECT" || TypeAuth.String() != "AUTH" || Type(0).String() != "reserved" || Type(16).String() != "reserved" {
		t.Error("wrong name of a packet type")
	}
	if V31.String() != "3.1" || V311.String() != "3.1.1" || V5.String() != "5.0" || Version(6).String() != "unknown version" {
		t.Error("wrong name of a version")
	}
	if KeepAliveTimeout.String() != "Keep Alive timeout" || ReasonCode(0x03).String() != "unknown reason code" {
		t.Error("wrong name of a reason code")
	}
	if got := errQoS3.Error(); got != "PUBLISH with QoS 3 (Malformed Packet, MQTT-3.3.1-4)" {
		t.Error(got)
	}
}
