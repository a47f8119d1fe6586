package codec

import (
	"bytes"
	"testing"
)

// [MQTT-2.2.1-3]
func TestAcknowledgementOfIdentifier0IsAProtocolError(t *testing.T) {
	for _, first := range []byte{0x40, 0x50, 0x62, 0x70} {
		for _, v := range []Version{V31, V311, V5} {
			refuses(t, v, wire(first, `0000`), errPacketID, ProtocolError)
		}
	}
}

// [MQTT-3.4.2-1] [MQTT-3.5.2-1] [MQTT-3.6.2-1] [MQTT-3.7.2-1]
func TestAcknowledgementsHaveCodesOfTheirTable(t *testing.T) {
	received := []byte{0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x95, 0x97, 0x99}
	allowed := map[byte][]byte{0x40: received, 0x50: received, 0x62: {0x00, 0x92}, 0x70: {0x00, 0x92}}
	for first, codes := range allowed {
		for code := range 256 {
			b := append([]byte{first, 3, 0, 1}, byte(code))
			if bytes.IndexByte(codes, byte(code)) >= 0 {
				accepts(t, V5, b)
			} else {
				refuses(t, V5, b, errAckCode, ProtocolError)
			}
		}
	}
}

func TestAcknowledgementBefore5IsOnlyAnIdentifier(t *testing.T) {
	refuses(t, V311, wire(0x40, `0001 00`), errTrailing, MalformedPacket)
	refuses(t, V31, wire(0x62, `0001 00 {}`), errTrailing, MalformedPacket)
	refuses(t, V311, wire(0x40, `00`), errTruncated, MalformedPacket)
}

func TestAcknowledgementMayHaveAnEmptyPropertyBlock(t *testing.T) {
	a := accepts(t, V5, wire(0x40, `0001 00 {}`)).(*Ack)
	if got, want := a.Append(nil, V5), wire(0x40, `0001`); !bytes.Equal(got, want) {
		t.Errorf("written as % X", got)
	}
	a = accepts(t, V5, wire(0x40, `0001 00 {1F "fine"}`)).(*Ack)
	if a.ReasonString != "fine" {
		t.Errorf("%+v", a)
	}
	refuses(t, V5, wire(0x40, `0001 00 {} 00`), errTrailing, MalformedPacket)
}

func TestAppendAckWritesTheShortestForm(t *testing.T) {
	f := func(typ Type, v Version, code ReasonCode, want []byte) {
		t.Helper()
		if got := AppendAck(nil, typ, v, 7, code); !bytes.Equal(got, want) {
			t.Errorf("got % X, want % X", got, want)
		}
		a := Ack{Type: typ, PacketID: 7, Code: code}
		if got := a.Append(nil, v); !bytes.Equal(got, want) || a.Size(v) != len(want) {
			t.Errorf("Append wrote % X, Size is %d, want % X", got, a.Size(v), want)
		}
	}
	f(TypePuback, V311, NotAuthorized, wire(0x40, `0007`))
	f(TypePuback, V5, Success, wire(0x40, `0007`))
	f(TypePuback, V5, NoMatchingSubscribers, wire(0x40, `0007 10`))
	f(TypePubrec, V5, NotAuthorized, wire(0x50, `0007 87`))
	f(TypePubrel, V31, Success, wire(0x62, `0007`))
	f(TypePubrel, V5, PacketIdentifierNotFound, wire(0x62, `0007 92`))
	f(TypePubcomp, V5, Success, wire(0x70, `0007`))
}

// [MQTT-3.14.2-1]
func TestDisconnectHasACodeOfItsTable(t *testing.T) {
	refuses(t, V5, wire(0xE0, `01`), errDisconnectCode, ProtocolError)
	refuses(t, V5, wire(0xE0, `84`), errDisconnectCode, ProtocolError)
	accepts(t, V5, wire(0xE0, `04`))
	d := accepts(t, V5, wire(0xE0, `00 {11 00000005}`)).(*Disconnect)
	if !d.HasSessionExpiry || d.SessionExpiry != 5 || d.Code != Success {
		t.Errorf("%+v", d)
	}
}

func TestDisconnectBefore5HasNoBody(t *testing.T) {
	refuses(t, V311, wire(0xE0, `00`), errTrailing, MalformedPacket)
	d := Disconnect{Code: SessionTakenOver, ReasonString: "why"}
	if got := d.Append(nil, V311); !bytes.Equal(got, []byte{0xE0, 0}) {
		t.Errorf("% X", got)
	}
}

// [MQTT-3.15.2-1]
func TestAuthHasACodeOfItsTable(t *testing.T) {
	refuses(t, V5, wire(0xF0, `87 {}`), errAuthCode, ProtocolError)
	refuses(t, V5, wire(0xF0, `18`), errTruncated, MalformedPacket)
	accepts(t, V5, wire(0xF0, `19 {15 "PLAIN"}`))
}

func TestAuthIsForVersion5Alone(t *testing.T) {
	refuses(t, V311, wire(0xF0, ``), errWrongPacket, MalformedPacket)
	refuses(t, V31, wire(0xF0, `18 {}`), errWrongPacket, MalformedPacket)
}

func TestPingsAreTwoBytes(t *testing.T) {
	if got := AppendPingresp(AppendPingreq(nil)); !bytes.Equal(got, []byte{0xC0, 0, 0xD0, 0}) {
		t.Errorf("% X", got)
	}
}
