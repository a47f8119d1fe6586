package codec

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
)

// [MQTT-3.3.2-1]
func TestPublishTopicIsUTF8(t *testing.T) {
	for _, v := range []Version{V31, V311, V5} {
		refuses(t, v, wire(0x30, `0001 FF {}`), errTopicUTF8, MalformedPacket)
		refuses(t, v, wire(0x30, `0003 61 00 62 {}`), errTopicUTF8, MalformedPacket)
		refuses(t, v, wire(0x30, `0003 EDA080 {}`), errTopicUTF8, MalformedPacket)
	}
}

// [MQTT-3.3.2-2]
func TestPublishTopicHasNoWildcard(t *testing.T) {
	for _, v := range []Version{V31, V311, V5} {
		for _, topic := range []string{"#", "+", "a/+/b", "a/b/c/d/e/f/#", "sport+", "x#"} {
			refuses(t, v, wire(0x30, `"`+topic+`" {}`), errTopicWildcard, MalformedPacket)
		}
	}
}

// [MQTT-4.7.3-1]
func TestPublishWithoutTopicNeedsAnAlias(t *testing.T) {
	refuses(t, V31, wire(0x30, `""`), errTopicEmpty, ProtocolError)
	refuses(t, V311, wire(0x30, `""`), errTopicEmpty, ProtocolError)
	refuses(t, V5, wire(0x30, `"" {}`), errTopicEmpty, ProtocolError)
	accepts(t, V5, wire(0x30, `"" {23 0001}`))
}

// [MQTT-2.2.1-3], and [MQTT-2.3.1-1] of 3.1.1.
func TestPublishAboveQoS0HasAPacketIdentifier(t *testing.T) {
	for _, v := range []Version{V31, V311, V5} {
		refuses(t, v, wire(0x32, `"a" 0000 {}`), errPacketID, ProtocolError)
		refuses(t, v, wire(0x34, `"a" 0000 {}`), errPacketID, ProtocolError)
		refuses(t, v, wire(0x32, `"a" 01`), errTruncated, MalformedPacket)
	}
}

// [MQTT-2.2.1-2]
func TestPublishAtQoS0HasNoPacketIdentifier(t *testing.T) {
	p := accepts(t, V311, wire(0x30, `"a" 0007`)).(*anyPublish)
	if p.PacketID != 0 || !bytes.Equal(p.Payload, []byte{0, 7}) {
		t.Errorf("%+v", p.Publish)
	}
}

func TestPublishTopicLongerThanThePacketIsMalformed(t *testing.T) {
	refuses(t, V5, wire(0x30, ``), errTruncated, MalformedPacket)
	refuses(t, V5, wire(0x30, `00`), errTruncated, MalformedPacket)
	refuses(t, V5, wire(0x30, `0005 'abcd'`), errTruncated, MalformedPacket)
}

// [MQTT-3.3.4-6]
func TestSubscriptionIdentifierFromAClientIsAProtocolError(t *testing.T) {
	b := wire(0x30, `"a" {0B 01}`)
	h, n, _ := DecodeHeader(b)
	var p Publish
	if err := p.Decode(h, b[n:], V5); err != error(errSubIDFromClient) || errSubIDFromClient.Code != ProtocolError {
		t.Errorf("as a server: %v", err)
	}
	if err := p.DecodeFromServer(h, b[n:], V5); err != nil || !p.HasSubIDs || len(p.SubIDs) != 1 || p.SubIDs[0] != 1 {
		t.Errorf("as a client: %+v, %v", p, err)
	}
}

// The rule that is broken first in reading order decides.
func TestPublishIsJudgedInReadingOrder(t *testing.T) {
	refuses(t, V5, wire(0x32, `0001 FF 0000 {7F}`), errTopicUTF8, MalformedPacket)
	refuses(t, V5, wire(0x32, `"#" 0000 {7F}`), errTopicWildcard, MalformedPacket)
	refuses(t, V5, wire(0x32, `"a" 0000 {7F}`), errPacketID, ProtocolError)
	refuses(t, V5, wire(0x32, `"" 0001 {7F}`), errPropertyUnknown, MalformedPacket)
}

// [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-18] [MQTT-3.3.2-20]
func TestForwardedPropertiesKeepBytesAndOrder(t *testing.T) {
	f := func(props, want string) {
		t.Helper()
		p := accepts(t, V5, wire(0x30, `"a" {`+props+`} 'hi'`)).(*anyPublish)
		if got := p.ForwardProps(make([]byte, 3, 64)); !bytes.Equal(got, block(want)) {
			t.Errorf("%s: % X", props, got)
		}
	}
	const a, b = `26 "k" "v" 03 "text/plain" 26 "k" "v"`, `09 "000" 08 "reply" 01 00`
	f(``, ``)
	f(a+b, a+b)
	f(b+a, b+a)
	f(`02 00000001`+a, a)
	f(a+`23 0001`+b, a+b)
	f(a+`23 0001 02 00000001`, a)
	f(`0B 8001`+a+`0B 01`+b+`02 00000001 0B FFFFFF7F`, a+b)
}

func TestForwardedPropertiesAreNotCopiedWithoutNeed(t *testing.T) {
	p := accepts(t, V5, wire(0x30, `"a" {01 01 26 "k" "v"}`)).(*anyPublish)
	if got := p.ForwardProps(nil); &got[0] != &p.Props[0] || len(got) != len(p.Props) {
		t.Error("the block was copied")
	}
}

// [MQTT-3.1.3-10]
func TestWillPropertiesAreForwardedWithoutDelayAndExpiry(t *testing.T) {
	props := `26 "b" "1" 18 00000005 01 01 02 00000006 26 "a" "2"`
	c := accepts(t, V5, wire(0x10, `"MQTT" 05 06 0000 {} "id" {`+props+`} "will" "gone"`)).(*anyConnect)
	w := &c.Will
	if w.DelaySeconds != 5 || !w.HasExpiry || w.Expiry != 6 {
		t.Errorf("%+v", w)
	}
	want := append([]byte("kept"), block(`26 "b" "1" 01 01 26 "a" "2"`)...)
	if got := w.ForwardProps([]byte("kept")); !bytes.Equal(got, want) {
		t.Errorf("% X", got)
	}
}

func TestPublishOutWritesItsOwnPropertiesLast(t *testing.T) {
	out := PublishOut{Version: V5, QoS: 1, Topic: "a", PacketID: 7, Props: block(`26 "k" "v" 01 01`), HasExpiry: true, Expiry: 60,
		TopicAlias: 3, SubIDs: []uint32{1, 200}, Payload: []byte("hi")}
	want := wire(0x32, `"a" 0007 {26 "k" "v" 01 01 02 0000003C 23 0003 0B 01 0B C801} 'hi'`)
	if got := out.Append(nil); !bytes.Equal(got, want) {
		t.Errorf("got  % X\nwant % X", got, want)
	}
	out.Version = V311
	if got, want := out.Append(nil), wire(0x32, `"a" 0007 'hi'`); !bytes.Equal(got, want) {
		t.Errorf("version 3: % X", got)
	}
}

func TestHeadAndPayloadAreThePacket(t *testing.T) {
	each(t, func(t *testing.T, row namedPacket) {
		p, ok := row.want.(*anyPublish)
		if !ok {
			t.Skip("not a PUBLISH")
		}
		out := p.out(row.v)
		if got := append(out.AppendHead(nil), out.Payload...); !bytes.Equal(got, row.wire) {
			t.Errorf("got  % X\nwant % X", got, row.wire)
		}
		if out.QoS > 0 {
			at := out.PacketIDOffset()
			if got := binary.BigEndian.Uint16(row.wire[at:]); got != out.PacketID {
				t.Errorf("at offset %d stands %d", at, got)
			}
		}
	})
}

func TestPacketIDOffsetFollowsTheSizeOfTheHeader(t *testing.T) {
	for _, v := range []Version{V311, V5} {
		for _, size := range []int{0, 100, 120, 127, 128, 16_370, 16_384, 2_097_152} {
			out := PublishOut{Version: v, QoS: 1, Topic: "a/b", PacketID: 0xABCD, Payload: make([]byte, size), SubIDs: []uint32{1}}
			b := out.Append(nil)
			if at := out.PacketIDOffset(); b[at] != 0xAB || b[at+1] != 0xCD {
				t.Errorf("version %v, %d bytes: nothing at offset %d", v, size, at)
			}
			if len(b) != out.Size() {
				t.Errorf("version %v, %d bytes: Size is %d, Append writes %d", v, size, out.Size(), len(b))
			}
		}
	}
}

// TestTopicThatWasCheckedIsRemembered holds that a topic is not taken for the one before it: each of a sequence, good and
// bad ones, long and short, decodes as it does alone.
func TestTopicThatWasCheckedIsRemembered(t *testing.T) {
	topics := []string{"a/b", "a/b", "a/c", "a", "a/b/c", "a/\x00", "a/b", "a/\xff", "a/#", "a", "+", strings.Repeat("x", validKept),
		strings.Repeat("x", validKept+1), strings.Repeat("x", validKept), "", "a/b"}
	var reused Publish
	for _, topic := range topics {
		body := append(binary.BigEndian.AppendUint16(nil, uint16(len(topic))), topic...)
		body = append(body, "payload"...)
		h := Header{Type: TypePublish, Remaining: len(body)}
		var fresh Publish
		got, want := reused.Decode(h, body, V311), fresh.Decode(h, body, V311)
		if got != want || got == nil && (reused.Topic != topic || string(reused.Payload) != "payload") {
			t.Errorf("%q: %v %q, alone %v", topic, got, reused.Topic, want)
		}
	}
}
