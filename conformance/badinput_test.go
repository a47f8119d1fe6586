package conformance

import (
	"strings"
	"testing"
)

// TestV3BadPacketsAreClosed: every error of a connected 3.1 or 3.1.1 client is a close without a byte.
//
// v3.1.1 [MQTT-1.5.3-1] [MQTT-1.5.3-2] [MQTT-2.2.2-1] [MQTT-2.2.2-2] [MQTT-2.3.1-1] [MQTT-3.3.1-2] [MQTT-3.3.1-4] [MQTT-3.3.2-1] [MQTT-3.3.2-2]
// v3.1.1 [MQTT-3.6.1-1] [MQTT-3.8.1-1] [MQTT-3.8.3-1] [MQTT-3.8.3-3] [MQTT-3.8.3-4] [MQTT-3.10.1-1] [MQTT-3.10.3-1] [MQTT-3.10.3-2] [MQTT-3.14.1-1]
// v3.1.1 [MQTT-4.7.1-1] [MQTT-4.7.3-1] [MQTT-4.7.3-2] [MQTT-4.8.0-1]
func TestV3BadPacketsAreClosed(t *testing.T) {
	b := shared(t)
	cases := map[string][]byte{
		"packet type 0":                  pkt(0x00),
		"AUTH":                           pkt(authByte),
		"CONNACK":                        hx("20 02 00 00"),
		"SUBACK":                         hx("90 03 0001 00"),
		"UNSUBACK":                       hx("B0 02 0001"),
		"PINGRESP":                       hx("D0 00"),
		"remaining length of five bytes": hx("30 80 80 80 80 01"),
		"PUBLISH QoS 3":                  pkt(0x36, "topic", u16(1)),
		"PUBLISH QoS 0 with DUP":         pkt(0x38, "topic"),
		"PUBLISH identifier 0":           pkt(0x32, "topic", u16(0)),
		"PUBLISH without identifier":     pkt(0x32, "topic"),
		"PUBLISH empty":                  pkt(0x30),
		"PUBLISH topic empty":            pkt(0x30, ""),
		"PUBLISH topic cut off":          pkt(0x30, []byte{0, 9, 'a'}),
		"PUBLISH topic with +":           pkt(0x30, "a/+/b"),
		"PUBLISH topic with #":           pkt(0x30, "a/#"),
		"PUBLISH topic with NUL":         pkt(0x30, "a\x00b"),
		"PUBLISH topic not UTF-8":        pkt(0x30, "a\xFFb"),
		"PUBLISH topic overlong":         pkt(0x30, "a\xC0\xAFb"),
		"PUBLISH topic surrogate":        pkt(0x30, "a\xED\xBF\xBFb"),
		"PUBLISH topic beyond Unicode":   pkt(0x30, "a\xF4\x90\x80\x80b"),
		"PUBLISH topic character cut":    pkt(0x30, "a\xE2\x82"),
		"PUBACK flags":                   pkt(0x41, u16(1)),
		"PUBACK empty":                   pkt(0x40),
		"PUBACK too long":                pkt(0x40, u16(1), 0),
		"PUBREC flags":                   pkt(0x54, u16(1)),
		"PUBREL flags 0":                 pkt(0x60, u16(1)),
		"PUBREL flags 3":                 pkt(0x63, u16(1)),
		"PUBREL empty":                   pkt(0x62),
		"PUBCOMP flags":                  pkt(0x78, u16(1)),
		"SUBSCRIBE flags 0":              pkt(0x80, u16(1), "topic", 0),
		"SUBSCRIBE flags 3":              pkt(0x83, u16(1), "topic", 0),
		"SUBSCRIBE identifier 0":         pkt(0x82, u16(0), "topic", 0),
		"SUBSCRIBE without filter":       pkt(0x82, u16(1)),
		"SUBSCRIBE without QoS":          pkt(0x82, u16(1), "topic"),
		"SUBSCRIBE QoS 3":                pkt(0x82, u16(1), "topic", 3),
		"SUBSCRIBE reserved bits":        pkt(0x82, u16(1), "topic", 4),
		"SUBSCRIBE filter not UTF-8":     pkt(0x82, u16(1), "a\xFF", 0),
		"SUBSCRIBE filter with NUL":      pkt(0x82, u16(1), "a\x00", 0),
		"SUBSCRIBE filter cut off":       pkt(0x82, u16(1), []byte{0, 9, 'a'}),
		"UNSUBSCRIBE flags 0":            pkt(0xA0, u16(1), "topic"),
		"UNSUBSCRIBE identifier 0":       pkt(0xA2, u16(0), "topic"),
		"UNSUBSCRIBE without filter":     pkt(0xA2, u16(1)),
		"UNSUBSCRIBE filter not UTF-8":   pkt(0xA2, u16(1), "a\xFF"),
		"UNSUBSCRIBE filter cut off":     pkt(0xA2, u16(1), []byte{0, 9, 'a'}),
		"PINGREQ flags":                  pkt(0xC1),
		"PINGREQ with body":              pkt(0xC0, 0),
		"DISCONNECT flags":               pkt(0xE1),
		"DISCONNECT with body":           pkt(0xE0, 0),
	}
	for what, bytes := range cases {
		t.Run(what, func(t *testing.T) {
			skipKnown(t)
			for _, level := range []int{v31, v4} {
				c := join(t, b, hello{level: level, id: name(t, "")})
				c.send(bytes, pkt(pingreqByte))
				c.expectClose()
			}
		})
	}
}

// malformed and protocol are the reason codes of the two kinds of error, either stands where the specification does not
// say which of them a case is, and topicName where it leaves the choice of three.
var (
	malformed = []int{0x81}
	protocol  = []int{0x82}
	either    = []int{0x81, 0x82}
	topicName = []int{0x81, 0x82, 0x90}
)

// TestV5BadPacketsAreRefused with the reason code that the specification names; nothing behind the packet is served.
//
// v5 [MQTT-1.5.4-1] [MQTT-1.5.4-2] [MQTT-1.5.7-1] [MQTT-2.1.3-1] [MQTT-2.2.2-1] [MQTT-3.3.1-2] [MQTT-3.3.1-4] [MQTT-3.3.2-1] [MQTT-3.3.2-2] [MQTT-3.3.2-13]
// v5 [MQTT-3.3.2-14] [MQTT-3.3.2-19] [MQTT-3.3.4-6] [MQTT-3.6.1-1] [MQTT-3.8.1-1] [MQTT-3.8.3-1] [MQTT-3.8.3-2] [MQTT-3.8.3-5] [MQTT-3.10.1-1] [MQTT-3.10.3-1]
// v5 [MQTT-3.10.3-2] [MQTT-3.14.1-1] [MQTT-3.14.2-1] [MQTT-3.14.4-1] [MQTT-3.14.4-2] [MQTT-3.15.1-1] [MQTT-4.7.0-1] [MQTT-4.7.3-1] [MQTT-4.7.3-2] [MQTT-4.13.1-1] [MQTT-4.13.2-1]
func TestV5BadPacketsAreRefused(t *testing.T) {
	b := shared(t)
	publish := func(block []byte) []byte { return pkt(0x30, "topic", block) }
	cases := []struct {
		what  string
		codes []int
		bytes []byte
	}{
		{"packet type 0", either, pkt(0x00)},
		{"PUBLISH QoS 3", malformed, pkt(0x36, "topic", u16(1), 0)},
		{"PUBLISH QoS 0 with DUP", malformed, pkt(0x38, "topic", 0)},
		{"PUBLISH identifier 0", either, pkt(0x32, "topic", u16(0), 0)},
		{"PUBLISH without identifier", malformed, pkt(0x32, "topic")},
		{"PUBLISH empty", malformed, pkt(0x30)},
		{"PUBLISH without properties", malformed, pkt(0x30, "topic")},
		{"PUBLISH topic cut off", malformed, pkt(0x30, []byte{0, 9, 'a'})},
		{"PUBLISH topic with +", topicName, pkt(0x30, "a/+/b", 0)},
		{"PUBLISH topic with #", topicName, pkt(0x30, "a/#", 0)},
		{"PUBLISH topic with NUL", malformed, pkt(0x30, "a\x00b", 0)},
		{"PUBLISH topic not UTF-8", malformed, pkt(0x30, "a\xFFb", 0)},
		{"PUBLISH topic surrogate", malformed, pkt(0x30, "a\xED\xA0\x80b", 0)},
		{"PUBLISH property length too long", malformed, pkt(0x30, "topic", 9, payloadFormat)},
		{"PUBLISH property length of five bytes", malformed, pkt(0x30, "topic", hx("80 80 80 80 01"))},
		{"PUBLISH property cut off", malformed, publish(props(messageExpiry, 0, 0))},
		{"PUBLISH property unknown", malformed, publish(props(0x7F, 0))},
		{"PUBLISH property of CONNECT", malformed, publish(props(receiveMaximum, u16(1)))},
		{"PUBLISH property twice", protocol, publish(props(contentType, "a", contentType, "a"))},
		{"PUBLISH expiry twice", protocol, publish(props(messageExpiry, u32(1), messageExpiry, u32(1)))},
		{"PUBLISH alias twice", protocol, publish(props(topicAlias, u16(1), topicAlias, u16(1)))},
		{"PUBLISH payload format 2", either, publish(props(payloadFormat, 2))},
		{"PUBLISH subscription identifier", protocol, publish(props(subscriptionID, varint(1)))},
		{"PUBLISH content type not UTF-8", malformed, publish(props(contentType, "\xFF"))},
		{"PUBLISH response topic not UTF-8", malformed, publish(props(responseTopic, "\xFF"))},
		{"PUBLISH response topic with wildcard", topicName, publish(props(responseTopic, "a/#"))},
		{"PUBLISH user property not UTF-8", malformed, publish(props(userProperty, "a", "\xFF"))},
		{"PUBLISH user property half", malformed, publish(props(userProperty, "a"))},
		{"PUBACK flags", malformed, pkt(0x41, u16(1))},
		{"PUBACK empty", malformed, pkt(0x40)},
		{"PUBACK property of PUBLISH", malformed, pkt(0x40, u16(1), 0, props(topicAlias, u16(1)))},
		{"PUBREL flags 0", malformed, pkt(0x60, u16(1))},
		{"PUBREL flags 3", malformed, pkt(0x63, u16(1))},
		{"SUBSCRIBE flags 0", malformed, pkt(0x80, u16(1), 0, "topic", 0)},
		{"SUBSCRIBE identifier 0", either, pkt(0x82, u16(0), 0, "topic", 0)},
		{"SUBSCRIBE without filter", protocol, pkt(0x82, u16(1), 0)},
		{"SUBSCRIBE without options", malformed, pkt(0x82, u16(1), 0, "topic")},
		{"SUBSCRIBE QoS 3", protocol, pkt(0x82, u16(1), 0, "topic", 3)},
		{"SUBSCRIBE retain handling 3", protocol, pkt(0x82, u16(1), 0, "topic", 0x30)},
		{"SUBSCRIBE reserved bit 6", malformed, pkt(0x82, u16(1), 0, "topic", 0x40)},
		{"SUBSCRIBE reserved bit 7", malformed, pkt(0x82, u16(1), 0, "topic", 0x80)},
		{"SUBSCRIBE subscription identifier 0", protocol, pkt(0x82, u16(1), props(subscriptionID, varint(0)), "topic", 0)},
		{"SUBSCRIBE subscription identifier twice", protocol, pkt(0x82, u16(1), props(subscriptionID, varint(1), subscriptionID, varint(1)), "topic", 0)},
		{"SUBSCRIBE filter not UTF-8", malformed, pkt(0x82, u16(1), 0, "a\xFF", 0)},
		{"UNSUBSCRIBE flags 0", malformed, pkt(0xA0, u16(1), 0, "topic")},
		{"UNSUBSCRIBE identifier 0", either, pkt(0xA2, u16(0), 0, "topic")},
		{"UNSUBSCRIBE without filter", protocol, pkt(0xA2, u16(1), 0)},
		{"UNSUBSCRIBE filter not UTF-8", malformed, pkt(0xA2, u16(1), 0, "a\xFF")},
		{"PINGREQ flags", malformed, pkt(0xC1)},
		{"PINGREQ with body", either, pkt(0xC0, 0)},
		{"DISCONNECT flags", malformed, pkt(0xE1)},
		{"DISCONNECT property twice", protocol, pkt(0xE0, 0, props(sessionExpiry, u32(0), sessionExpiry, u32(0)))},
		{"DISCONNECT property unknown", malformed, pkt(0xE0, 0, props(0x7F, 0))},
		{"DISCONNECT property cut off", malformed, pkt(0xE0, 0, props(sessionExpiry, 0))},
		{"AUTH flags", malformed, pkt(0xF1)},
		{"CONNACK", either, hx("20 03 00 00 00")},
		{"SUBACK", either, hx("90 04 0001 00 00")},
		{"PINGRESP", either, hx("D0 00")},
	}
	for _, test := range cases {
		t.Run(test.what, func(t *testing.T) {
			skipKnown(t)
			c := join(t, b, hello{level: v5, id: name(t, "")})
			c.send(test.bytes, pkt(pingreqByte))
			c.expectRefusal(test.codes...)
		})
	}
	t.Run("remaining length of five bytes", func(t *testing.T) {
		c := join(t, b, hello{level: v5, id: name(t, "")})
		c.send(hx("30 80 80 80 80 01"))
		c.expectClose()
	})
}

// TestTruncatedPacketsAreWaitedFor: every proper prefix of a packet gets no answer, and the rest completes it.
//
// v3.1.1 [MQTT-7.1.1-1] v5 [MQTT-4.2.0-1]
func TestTruncatedPacketsAreWaitedFor(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		c := join(t, b, hello{level: level, id: name(t, "")})
		whole := message{topic: name(t, ""), payload: strings.Repeat("x", 150), qos: 1, id: 7}.bytes(level)
		for cut := 1; cut < len(whole); cut += 1 + cut/8 {
			c.send(pkt(pingreqByte), whole[:cut])
			c.expectHex("D0 00")
			c.send(whole[cut:])
			c.expectAck(0x40, 7)
		}
		for _, one := range whole {
			c.send([]byte{one})
		}
		c.expectAck(0x40, 7)
		c.send(whole[:len(whole)/2])
	})
}

// TestConnectByteByByte is served as if it came at once.
//
// v3.1.1 [MQTT-7.1.1-1] v5 [MQTT-4.2.0-1]
func TestConnectByteByByte(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		c := dial(t, b)
		for _, one := range (hello{level: level, id: name(t, "")}).bytes() {
			c.send([]byte{one})
		}
		if p := c.read(); p.first != 0x20 || p.body[1] != 0 {
			t.Fatalf("got %v, want CONNACK", p)
		}
	})
}
