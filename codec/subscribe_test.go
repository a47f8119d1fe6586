package codec

import "testing"

// [MQTT-3.8.3-2] [MQTT-3.10.3-2], and [MQTT-3.8.3-3] of 3.1.1.
func TestRequestWithoutFiltersIsAProtocolError(t *testing.T) {
	refuses(t, V5, wire(0x82, `0001 {}`), errNoFilters, ProtocolError)
	refuses(t, V311, wire(0x82, `0001`), errNoFilters, ProtocolError)
	refuses(t, V5, wire(0xA2, `0001 {}`), errNoUnsubs, ProtocolError)
	refuses(t, V31, wire(0xA2, `0001`), errNoUnsubs, ProtocolError)
}

// [MQTT-2.2.1-3], and [MQTT-2.3.1-1] of 3.1.1.
func TestRequestsHaveAPacketIdentifier(t *testing.T) {
	for _, v := range []Version{V311, V5} {
		refuses(t, v, wire(0x82, `0000 {} "a" 00`), errPacketID, ProtocolError)
		refuses(t, v, wire(0xA2, `0000 {} "a"`), errPacketID, ProtocolError)
		refuses(t, v, wire(0x90, `0000 {} 00`), errPacketID, ProtocolError)
		refuses(t, v, wire(0xB0, `0000 {} 00`), errPacketID, ProtocolError)
	}
}

// [MQTT-3.8.3-1] [MQTT-3.10.3-1]
func TestFiltersAreUTF8(t *testing.T) {
	refuses(t, V5, wire(0x82, `0001 {} "a" 00 0001 FF 00`), errFilterUTF8, MalformedPacket)
	refuses(t, V311, wire(0x82, `0001 0001 00 00`), errFilterUTF8, MalformedPacket)
	refuses(t, V5, wire(0xA2, `0001 {} 0001 FF`), errUnsubUTF8, MalformedPacket)
}

// [MQTT-3.8.3-5]
func TestReservedSubscriptionOptionsAreMalformed(t *testing.T) {
	refuses(t, V5, wire(0x82, `0001 {} "a" 40`), errOptionBits, MalformedPacket)
	refuses(t, V5, wire(0x82, `0001 {} "a" 80`), errOptionBits, MalformedPacket)
	refuses(t, V5, wire(0x82, `0001 {} "a" 00 "b" C3`), errOptionBits, MalformedPacket)
}

func TestSubscriptionWithQoS3OrRetainHandling3IsAProtocolError(t *testing.T) {
	refuses(t, V5, wire(0x82, `0001 {} "a" 03`), errOptionQoS, ProtocolError)
	refuses(t, V5, wire(0x82, `0001 {} "a" 30`), errRetainHandling, ProtocolError)
}

// [MQTT-3.8.3-4] of 3.1.1: every byte but 0, 1 and 2.
func TestSubscriptionOptionsBefore5AreOnlyAQoS(t *testing.T) {
	for _, v := range []Version{V31, V311} {
		for options := 3; options < 256; options++ {
			b := append(wire(0x82, `0001 "a" 00`)[:7], byte(options))
			refuses(t, v, b, errOptionBitsV3, MalformedPacket)
		}
	}
}

func TestFilterWithoutOptionsIsMalformed(t *testing.T) {
	refuses(t, V5, wire(0x82, `0001 {} "a"`), errTruncated, MalformedPacket)
	refuses(t, V311, wire(0x82, `0001 "a" 00 "b"`), errTruncated, MalformedPacket)
	refuses(t, V311, wire(0xA2, `0001 "a" 0002 'b'`), errTruncated, MalformedPacket)
}

// [MQTT-3.9.3-2] [MQTT-3.11.3-2]
func TestAnswersHaveCodesOfTheirTable(t *testing.T) {
	refuses(t, V5, wire(0x90, `0001 {} 03`), errSubackCode, ProtocolError)
	refuses(t, V5, wire(0x90, `0001 {} 00 81`), errSubackCode, ProtocolError)
	refuses(t, V311, wire(0x90, `0001 87`), errSubackCode, ProtocolError)
	refuses(t, V5, wire(0xB0, `0001 {} 01`), errUnsubackCode, ProtocolError)
	refuses(t, V5, wire(0x90, `0001 {}`), errNoCodes, ProtocolError)
	refuses(t, V5, wire(0xB0, `0001 {}`), errNoCodes, ProtocolError)
	refuses(t, V311, wire(0xB0, `0001 00`), errTrailing, MalformedPacket)
	refuses(t, V5, wire(0xB0, `0001`), errTruncated, MalformedPacket)
	refuses(t, V5, wire(0x90, `0001`), errTruncated, MalformedPacket)
}
