package codec

import "testing"

// [MQTT-3.1.2-1]
func TestUnknownProtocolNameIsUnsupported(t *testing.T) {
	for _, name := range []string{"", "mqtt", "MQTT ", "MQIsdp2", "HTTP"} {
		refuses(t, V5, wire(0x10, `"`+name+`" 05 02 0000 {} ""`), errProtocolName, UnsupportedProtocolVersion)
	}
}

// [MQTT-3.1.2-2]
func TestUnknownProtocolLevelIsUnsupported(t *testing.T) {
	f := func(name, level string) {
		t.Helper()
		b := wire(0x10, `"`+name+`" `+level+` 02 0000 {} ""`)
		refuses(t, V5, b, errProtocolLevel, UnsupportedProtocolVersion)
		c := &Connect{}
		h, n, _ := DecodeHeader(b)
		_ = c.Decode(h, b[n:])
		if want := block(level)[0]; c.Version != 0 || c.Level != want || c.ProtocolName != name {
			t.Errorf("%s %s: the caller sees %q, level %d, version %d", name, level, c.ProtocolName, c.Level, c.Version)
		}
	}
	for _, level := range []string{"00", "01", "02", "03", "06", "7F", "80", "83", "85", "FF"} {
		f("MQTT", level)
	}
	for _, level := range []string{"02", "04", "05", "06", "84"} {
		f("MQIsdp", level)
	}
}

func TestFailedConnectTellsItsVersion(t *testing.T) {
	c := &Connect{}
	b := wire(0x10, `"MQTT" 05 02 0000 {21 0000} "id"`)
	h, n, _ := DecodeHeader(b)
	if err := c.Decode(h, b[n:]); err != error(errReceiveMaximum0) || c.Version != V5 || c.Level != 5 || c.ProtocolName != "MQTT" {
		t.Errorf("%+v, %v", c, err)
	}
}

// [MQTT-3.1.2-3]
func TestReservedConnectFlagIsMalformed(t *testing.T) {
	refuses(t, V5, wire(0x10, `"MQTT" 05 03 0000 {} ""`), errConnectReserved, MalformedPacket)
	refuses(t, V311, wire(0x10, `"MQTT" 04 03 0000 ""`), errConnectReserved, MalformedPacket)
	accepts(t, V31, wire(0x10, `"MQIsdp" 03 03 0000 "id"`))
}

// [MQTT-3.1.2-12], and [MQTT-3.1.2-14] of 3.1.1.
func TestWillQoS3IsMalformed(t *testing.T) {
	refuses(t, V5, wire(0x10, `"MQTT" 05 1E 0000 {} "" {} "will" ""`), errWillQoS3, MalformedPacket)
	refuses(t, V311, wire(0x10, `"MQTT" 04 1E 0000 "" "will" ""`), errWillQoS3, MalformedPacket)
	refuses(t, V31, wire(0x10, `"MQIsdp" 03 1E 0000 "id" "will" ""`), errWillQoS3, MalformedPacket)
	refuses(t, V31, wire(0x10, `"MQIsdp" 03 1A 0000 "id"`), errWillQoS3, MalformedPacket)
}

// [MQTT-3.1.2-11] [MQTT-3.1.2-13], and [MQTT-3.1.2-11] to [MQTT-3.1.2-15] of 3.1.1. In 3.1 the bits mean nothing then.
func TestWillBitsWithoutAWillAreMalformed(t *testing.T) {
	refuses(t, V5, wire(0x10, `"MQTT" 05 0A 0000 {} ""`), errWillQoS, MalformedPacket)
	refuses(t, V311, wire(0x10, `"MQTT" 04 12 0000 ""`), errWillQoS, MalformedPacket)
	refuses(t, V5, wire(0x10, `"MQTT" 05 22 0000 {} ""`), errWillRetain, MalformedPacket)
	refuses(t, V311, wire(0x10, `"MQTT" 04 22 0000 ""`), errWillRetain, MalformedPacket)
	c := accepts(t, V31, wire(0x10, `"MQIsdp" 03 32 0000 "id"`)).(*anyConnect)
	if c.HasWill || c.Will.QoS != 0 || c.Will.Retain {
		t.Errorf("%+v", c.Will)
	}
}

// [MQTT-3.1.2-22] of 3.1.1; 5.0 allows it.
func TestPasswordNeedsAUserNameBefore5(t *testing.T) {
	refuses(t, V311, wire(0x10, `"MQTT" 04 42 0000 "id" "secret"`), errPasswordAlone, ProtocolError)
	refuses(t, V31, wire(0x10, `"MQIsdp" 03 42 0000 "id" "secret"`), errPasswordAlone, ProtocolError)
	accepts(t, V5, wire(0x10, `"MQTT" 05 42 0000 {} "id" "secret"`))
}

// [MQTT-3.1.3-4] [MQTT-3.1.3-11] [MQTT-3.1.3-12]
func TestConnectStringsAreUTF8(t *testing.T) {
	refuses(t, V5, wire(0x10, `"MQTT" 05 02 0000 {} 0001 FF`), errClientID, MalformedPacket)
	refuses(t, V311, wire(0x10, `"MQTT" 04 02 0000 0001 00`), errClientID, MalformedPacket)
	refuses(t, V5, wire(0x10, `"MQTT" 05 06 0000 {} "" {} 0001 80 ""`), errWillTopic, MalformedPacket)
	refuses(t, V5, wire(0x10, `"MQTT" 05 82 0000 {} "" 0002 C080`), errUserName, MalformedPacket)
	accepts(t, V5, wire(0x10, `"MQTT" 05 C6 0000 {} "" {} "w" 0002 00FF "" 0002 00FF`))
}

// [MQTT-3.1.2-9] [MQTT-3.1.2-17] [MQTT-3.1.2-19], [MQTT-3.1.3-3]
func TestConnectWithoutAnAnnouncedFieldIsMalformed(t *testing.T) {
	refuses(t, V311, wire(0x10, `"MQTT" 04 02 0000`), errTruncated, MalformedPacket)
	refuses(t, V311, wire(0x10, `"MQTT" 04 82 0000 ""`), errTruncated, MalformedPacket)
	refuses(t, V311, wire(0x10, `"MQTT" 04 C2 0000 "" "user"`), errTruncated, MalformedPacket)
	refuses(t, V311, wire(0x10, `"MQTT" 04 06 0000 ""`), errTruncated, MalformedPacket)
	refuses(t, V5, wire(0x10, `"MQTT" 05 06 0000 {} "" {} "will"`), errTruncated, MalformedPacket)
	refuses(t, V5, wire(0x10, `"MQTT" 05 02 0000`), errTruncated, MalformedPacket)
	refuses(t, V5, wire(0x10, `"MQTT" 05`), errTruncated, MalformedPacket)
	refuses(t, V5, wire(0x10, `"MQTT"`), errTruncated, MalformedPacket)
	refuses(t, V5, wire(0x10, `0004 'MQ'`), errTruncated, MalformedPacket)
}

// [MQTT-3.1.2-16] [MQTT-3.1.2-18]
func TestConnectWithAFieldNotAnnouncedIsMalformed(t *testing.T) {
	refuses(t, V311, wire(0x10, `"MQTT" 04 02 0000 "id" "user"`), errTrailing, MalformedPacket)
	refuses(t, V5, wire(0x10, `"MQTT" 05 82 0000 {} "id" "user" "secret"`), errTrailing, MalformedPacket)
}

// 3.1 gives the remaining length precedence over the user name and password flags.
func TestVersion31ForgivesAnAnnouncedUserNameThatIsNotThere(t *testing.T) {
	c := accepts(t, V31, wire(0x10, `"MQIsdp" 03 C2 0000 "id"`)).(*anyConnect)
	if c.HasUserName || c.HasPassword {
		t.Errorf("%+v", c.Connect)
	}
	c = accepts(t, V31, wire(0x10, `"MQIsdp" 03 C2 0000 "id" "user"`)).(*anyConnect)
	if !c.HasUserName || c.UserName != "user" || c.HasPassword {
		t.Errorf("%+v", c.Connect)
	}
	refuses(t, V31, wire(0x10, `"MQIsdp" 03 C2 0000 "id" 00`), errTruncated, MalformedPacket)
}

func TestConnectPropertyDefaults(t *testing.T) {
	c := accepts(t, V5, wire(0x10, `"MQTT" 05 02 0000 {} ""`)).(*anyConnect)
	if c.ReceiveMaximum != 65535 || c.MaximumPacketSize != 0 || c.TopicAliasMaximum != 0 || c.HasSessionExpiry ||
		!c.RequestProblemInfo || c.RequestResponseInfo {
		t.Errorf("%+v", c.Connect)
	}
}

// [MQTT-3.2.2-1] [MQTT-3.2.2-6] [MQTT-3.2.2-8]
func TestConnackRules(t *testing.T) {
	refuses(t, V5, wire(0x20, `02 00 {}`), errConnackFlags, MalformedPacket)
	refuses(t, V311, wire(0x20, `80 00`), errConnackFlags, MalformedPacket)
	refuses(t, V311, wire(0x20, `01 05`), errConnackPresent, ProtocolError)
	refuses(t, V5, wire(0x20, `01 87 {}`), errConnackPresent, ProtocolError)
	refuses(t, V5, wire(0x20, `00 05 {}`), errConnackCode, ProtocolError)
	refuses(t, V311, wire(0x20, `00 06`), errConnackCode, ProtocolError)
	refuses(t, V311, wire(0x20, `00`), errTruncated, MalformedPacket)
	refuses(t, V5, wire(0x20, `00 00 {16 "data"}`), errAuthDataNoMethod, ProtocolError)
	accepts(t, V31, wire(0x20, `FF 00`))
}
