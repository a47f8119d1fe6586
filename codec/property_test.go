package codec

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// propertyPlaces is the specification's table of properties once more: a block with a good value, and where it may
// stand. "will" is the will in CONNECT; "*" is everywhere.
var propertyPlaces = map[propertyID][2]string{
	0x01: {`01 01`, "PUBLISH will"},
	0x02: {`02 00000001`, "PUBLISH will"},
	0x03: {`03 "text/plain"`, "PUBLISH will"},
	0x08: {`08 "reply"`, "PUBLISH will"},
	0x09: {`09 "00"`, "PUBLISH will"},
	0x0B: {`0B 01`, "PUBLISH SUBSCRIBE"},
	0x11: {`11 00000000`, "CONNECT CONNACK DISCONNECT"},
	0x12: {`12 "id"`, "CONNACK"},
	0x13: {`13 0000`, "CONNACK"},
	0x15: {`15 "PLAIN"`, "CONNECT CONNACK AUTH"},
	0x16: {`16 "data"`, "CONNECT CONNACK AUTH"},
	0x17: {`17 01`, "CONNECT"},
	0x18: {`18 00000000`, "will"},
	0x19: {`19 00`, "CONNECT"},
	0x1A: {`1A "info"`, "CONNACK"},
	0x1C: {`1C "other"`, "CONNACK DISCONNECT"},
	0x1F: {`1F "why"`, "CONNACK PUBACK PUBREC PUBREL PUBCOMP SUBACK UNSUBACK DISCONNECT AUTH"},
	0x21: {`21 0001`, "CONNECT CONNACK"},
	0x22: {`22 0000`, "CONNECT CONNACK"},
	0x23: {`23 0001`, "PUBLISH"},
	0x24: {`24 01`, "CONNACK"},
	0x25: {`25 01`, "CONNACK"},
	0x26: {`26 "k" "v"`, "*"},
	0x27: {`27 00000001`, "CONNECT CONNACK"},
	0x28: {`28 01`, "CONNACK"},
	0x29: {`29 01`, "CONNACK"},
	0x2A: {`2A 01`, "CONNACK"},
}

// propertyCarriers makes a packet of each kind around a property block.
var propertyCarriers = map[string]func(block string) []byte{
	"CONNECT":     func(b string) []byte { return wire(0x10, `"MQTT" 05 02 0000 {`+b+`} "id"`) },
	"will":        func(b string) []byte { return wire(0x10, `"MQTT" 05 06 0000 {} "id" {`+b+`} "will" ""`) },
	"CONNACK":     func(b string) []byte { return wire(0x20, `00 00 {`+b+`}`) },
	"PUBLISH":     func(b string) []byte { return wire(0x30, `"a" {`+b+`}`) },
	"PUBACK":      func(b string) []byte { return wire(0x40, `0001 00 {`+b+`}`) },
	"PUBREC":      func(b string) []byte { return wire(0x50, `0001 00 {`+b+`}`) },
	"PUBREL":      func(b string) []byte { return wire(0x62, `0001 00 {`+b+`}`) },
	"PUBCOMP":     func(b string) []byte { return wire(0x70, `0001 00 {`+b+`}`) },
	"SUBSCRIBE":   func(b string) []byte { return wire(0x82, `0001 {`+b+`} "a" 00`) },
	"SUBACK":      func(b string) []byte { return wire(0x90, `0001 {`+b+`} 00`) },
	"UNSUBSCRIBE": func(b string) []byte { return wire(0xA2, `0001 {`+b+`} "a"`) },
	"UNSUBACK":    func(b string) []byte { return wire(0xB0, `0001 {`+b+`} 00`) },
	"DISCONNECT":  func(b string) []byte { return wire(0xE0, `00 {`+b+`}`) },
	"AUTH":        func(b string) []byte { return wire(0xF0, `18 {`+b+`}`) },
}

// eachPlace runs f for every property in every packet.
func eachPlace(f func(where string, carry func(string) []byte, id propertyID, good string, allowed bool)) {
	for where, carry := range propertyCarriers {
		for id, row := range propertyPlaces {
			allowed := row[1] == "*" || slices.Contains(strings.Fields(row[1]), where)
			f(where, carry, id, row[0], allowed)
		}
	}
}

// needed are properties that id does not stand without.
func needed(id propertyID) string {
	if id == idAuthData {
		return propertyPlaces[idAuthMethod][0]
	}
	return ""
}

func TestPropertiesStandOnlyWhereTheSpecificationHasThem(t *testing.T) {
	eachPlace(func(where string, carry func(string) []byte, id propertyID, good string, allowed bool) {
		if allowed {
			accepts(t, V5, carry(needed(id)+good))
			return
		}
		refuses(t, V5, carry(good), &propertyErrors[id].misplaced, MalformedPacket)
	})
}

func TestRepeatedPropertyIsAProtocolError(t *testing.T) {
	eachPlace(func(where string, carry func(string) []byte, id propertyID, good string, allowed bool) {
		if !allowed {
			return
		}
		twice := carry(needed(id) + good + good)
		if id == idUserProperty || id == idSubscriptionID && where == "PUBLISH" {
			accepts(t, V5, twice)
			return
		}
		refuses(t, V5, twice, &propertyErrors[id].twice, ProtocolError)
	})
}

func TestUnknownPropertyIsMalformed(t *testing.T) {
	for where, carry := range propertyCarriers {
		for id := range 256 {
			if _, known := propertyPlaces[propertyID(id)]; known {
				continue
			}
			b := carry("26" + `"k" "v"` + string("0123456789ABCDEF"[id>>4]) + string("0123456789ABCDEF"[id&15]) + "00")
			if _, err := decode(b, V5); err != error(errPropertyUnknown) {
				t.Errorf("%s with property %02X: %v", where, id, err)
			}
		}
	}
}

func TestPropertyCutShortIsMalformed(t *testing.T) {
	eachPlace(func(where string, carry func(string) []byte, id propertyID, good string, allowed bool) {
		if !allowed {
			return
		}
		whole := block(good)
		for n := 1; n < len(whole); n++ {
			cut := ""
			for _, c := range whole[:n] {
				cut += string("0123456789ABCDEF"[c>>4]) + string("0123456789ABCDEF"[c&15])
			}
			refuses(t, V5, carry(needed(id)+cut), errTruncated, MalformedPacket)
		}
	})
}

// The variable byte integer of the block itself [MQTT-1.5.5-1].
func TestPropertyLengthIsHeldToItsEncoding(t *testing.T) {
	f := func(body string, want *Error) {
		t.Helper()
		refuses(t, V5, wire(0x30, body), want, MalformedPacket)
	}
	f(`"a"`, errTruncated)
	f(`"a" 80`, errTruncated)
	f(`"a" 01`, errTruncated)
	f(`"a" 8000`, errVarintLong)
	f(`"a" 808000`, errVarintLong)
	f(`"a" 80808080 01`, errVarint)
	f(`"a" {0B 8100}`, errVarintLong)
	f(`"a" {0B FFFFFFFF 7F}`, errVarint)
}

func TestValuesThatPropertiesMayNotHave(t *testing.T) {
	f := func(where, block string, want *Error, code ReasonCode) {
		t.Helper()
		refuses(t, V5, propertyCarriers[where](block), want, code)
	}
	f("CONNECT", `21 0000`, errReceiveMaximum0, ProtocolError)
	f("CONNACK", `21 0000`, errReceiveMaximum0, ProtocolError)
	f("CONNECT", `27 00000000`, errMaximumPacket0, ProtocolError)
	f("CONNECT", `17 02`, errFlagProperty, ProtocolError)
	f("CONNECT", `19 FF`, errFlagProperty, ProtocolError)
	f("CONNECT", `16 "data"`, errAuthDataNoMethod, ProtocolError)
	f("CONNACK", `24 02`, errFlagProperty, ProtocolError)
	f("PUBLISH", `23 0000`, errTopicAlias0, TopicAliasInvalid) // [MQTT-3.3.2-8]
	f("PUBLISH", `01 02`, errFlagProperty, ProtocolError)
	f("PUBLISH", `0B 00`, errSubID0, ProtocolError)
	f("SUBSCRIBE", `0B 00`, errSubID0, ProtocolError)
	f("PUBLISH", `03 0001 FF`, errContentType, MalformedPacket)          // [MQTT-3.3.2-19]
	f("PUBLISH", `08 0001 FF`, errResponseUTF8, MalformedPacket)         // [MQTT-3.3.2-13]
	f("PUBLISH", `08 "a/#"`, errResponseTopic, ProtocolError)            // [MQTT-3.3.2-14]
	f("will", `08 "+"`, errResponseTopic, ProtocolError)                 // [MQTT-3.3.2-14]
	f("PUBLISH", `08 ""`, errResponseEmpty, ProtocolError)               // [MQTT-4.7.3-1]
	f("PUBLISH", `26 0001 FF "v"`, errUserProperty, MalformedPacket)     // [MQTT-1.5.7-1]
	f("PUBLISH", `26 "k" 0003 EDA080`, errUserProperty, MalformedPacket) // [MQTT-1.5.7-1]
	f("CONNECT", `15 0001 FF`, errUTF8, MalformedPacket)                 // [MQTT-1.5.4-1]
	f("DISCONNECT", `1F 0001 00`, errNUL, MalformedPacket)               // [MQTT-1.5.4-2]
}

func TestPropertiesAreJudgedInTheirOrder(t *testing.T) {
	f := func(block string, want *Error) {
		t.Helper()
		refuses(t, V5, wire(0x30, `"a" {`+block+`}`), want, want.Code)
	}
	f(`23 0000 01 02`, errTopicAlias0)
	f(`01 02 23 0000`, errFlagProperty)
	f(`01 01 01 01 23 0000`, &propertyErrors[idPayloadFormat].twice)
	f(`7F 01 01 01 01`, errPropertyUnknown)
}

func TestUserPropertiesAmongOthersAreFoundInOrder(t *testing.T) {
	d := accepts(t, V5, wire(0xE0, `00 {26 "a" "1" 1F "26" 26 "" "" 11 00000026 26 "a" "2"}`)).(*Disconnect)
	var got []string
	for rest := d.UserProperties; ; {
		name, value, left, ok := NextUserProperty(rest)
		if !ok {
			break
		}
		got, rest = append(got, name+"="+value), left
	}
	if want := "a=1 = a=2"; strings.Join(got, " ") != want {
		t.Errorf("got %q, want %q", got, want)
	}
	var built []byte
	for _, pair := range [][2]string{{"a", "1"}, {"", ""}, {"a", "2"}} {
		built = AppendUserProperty(built, pair[0], pair[1])
	}
	if !bytes.Equal(built, userProperties(d.UserProperties)) {
		t.Errorf("AppendUserProperty wrote % X", built)
	}
}

func TestNoUserPropertyInAnUnsoundStretch(t *testing.T) {
	for _, b := range [][]byte{nil, {}, {0x26}, {0x26, 0, 1}, {0x26, 0, 1, 'k', 0}, {0xFF, 0x26}, {0x1F, 0xFF}, {0x0B, 0x80}} {
		if name, value, _, ok := NextUserProperty(b); ok {
			t.Errorf("% X: %q=%q", b, name, value)
		}
	}
}
