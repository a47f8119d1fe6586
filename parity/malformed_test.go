package parity

import "strings"

// malformedGroups send one wrong packet over an accepted connection. In the bytes, T stands for a topic of the conversation,
// with its length before it.
func malformedGroups() []group {
	g := group{name: "malformed", config: sized}
	for _, p := range []struct {
		name, bytes string
		levels      []int
	}{
		{"PUBLISH QoS 3", "36 T 00 01", only3},
		{"PUBLISH QoS 3", "36 T 00 01 00", only5},
		{"PUBLISH empty", "30", nil},
		{"PUBLISH topic cut off", "30 00 09 61", nil},
		{"PUBLISH QoS 1 without identifier", "32 T", nil},
		{"PUBLISH QoS 1 identifier 0", "32 T 00 00", only3},
		{"PUBLISH QoS 1 identifier 0", "32 T 00 00 00", only5},
		{"PUBLISH QoS 2 identifier 0", "34 T 00 00", only3},
		{"PUBLISH QoS 2 identifier 0", "34 T 00 00 00", only5},
		{"PUBLISH topic empty", "30 00 00", only3},
		{"PUBLISH topic empty", "30 00 00 00", only5},
		{"PUBLISH QoS 0 with DUP", "38 T", only3},
		{"PUBLISH QoS 0 with DUP", "38 T 00", only5},
		{"PUBLISH topic with +", "30 00 03 61 2F 2B", only3},
		{"PUBLISH topic with +", "30 00 03 61 2F 2B 00", only5},
		{"PUBLISH topic with #", "30 00 03 61 2F 23", only3},
		{"PUBLISH topic with #", "30 00 03 61 2F 23 00", only5},
		{"PUBLISH topic not UTF-8", "30 00 02 C3 28", only3},
		{"PUBLISH topic not UTF-8", "30 00 02 C3 28 00", only5},
		{"PUBLISH topic with NUL", "30 00 02 61 00", only3},
		{"PUBLISH topic with NUL", "30 00 02 61 00 00", only5},
		{"PUBLISH topic with a control character", "30 00 02 61 01", only3},
		{"PUBLISH topic with a control character", "30 00 02 61 01 00", only5},
		{"PUBLISH retained and empty for a wildcard", "31 00 01 23", only3},
		{"PUBLISH without properties", "30 T", only5},
		{"PUBLISH properties cut off", "30 T 05 01", only5},
		{"PUBACK unknown", "40 00 09", nil},
		{"PUBACK identifier 0", "40 00 00", nil},
		{"PUBACK short", "40 00", nil},
		{"PUBACK empty", "40", nil},
		{"PUBACK long", "40 00 01 00 00 00", only3},
		{"PUBACK flags", "42 00 01", nil},
		{"PUBREC unknown", "50 00 09", nil},
		{"PUBREC identifier 0", "50 00 00", nil},
		{"PUBREC flags", "52 00 01", nil},
		{"PUBREL unknown", "62 00 09", nil},
		{"PUBREL flags 0", "60 00 01", nil},
		{"PUBREL identifier 0", "62 00 00", nil},
		{"PUBREL flags 3", "63 00 01", nil},
		{"PUBCOMP unknown", "70 00 09", nil},
		{"PUBCOMP flags", "72 00 01", nil},
		{"PUBCOMP identifier 0", "70 00 00", nil},
		{"PUBACK unknown reason", "40 00 09 55", only5},
		{"PUBACK reason without need", "40 00 09 00", only5},
		{"PUBACK reason and no properties", "40 00 09 00 00", only5},
		{"PUBREC refusal of nothing", "50 00 09 97", only5},
		{"PUBREL reason", "62 00 09 92", only5},
		{"PUBACK unknown property", "40 00 09 00 02 7F 00", only5},
		{"PUBACK property of PUBLISH", "40 00 09 00 03 23 00 01", only5},
		{"PUBACK reason string twice", "40 00 09 00 08 1F 00 01 61 1F 00 01 61", only5},
		{"SUBSCRIBE flags 0", "80 00 01 T 00", only3},
		{"SUBSCRIBE flags 0", "80 00 01 00 T 00", only5},
		{"SUBSCRIBE flags 3", "83 00 01 T 00", only3},
		{"SUBSCRIBE flags 3", "83 00 01 00 T 00", only5},
		{"SUBSCRIBE DUP", "8A 00 01 T 00", only3},
		{"UNSUBSCRIBE DUP", "AA 00 01 T", only3},
		{"PUBREL DUP", "6A 00 01", only3},
		{"SUBSCRIBE without filter", "82 00 01", only3},
		{"SUBSCRIBE without filter", "82 00 01 00", only5},
		{"SUBSCRIBE empty", "82", nil},
		{"SUBSCRIBE identifier 0", "82 00 00 T 00", only3},
		{"SUBSCRIBE identifier 0", "82 00 00 00 T 00", only5},
		{"SUBSCRIBE without options", "82 00 01 T", only3},
		{"SUBSCRIBE without options", "82 00 01 00 T", only5},
		{"SUBSCRIBE QoS 3", "82 00 01 T 03", only3},
		{"SUBSCRIBE QoS 3", "82 00 01 00 T 03", only5},
		{"SUBSCRIBE reserved bits", "82 00 01 T 40", only3},
		{"SUBSCRIBE reserved bits", "82 00 01 00 T C0", only5},
		{"SUBSCRIBE option bits of version 5", "82 00 01 T 0C", only3},
		{"SUBSCRIBE retain handling 3", "82 00 01 00 T 30", only5},
		{"SUBSCRIBE filter empty", "82 00 01 00 00 00", only3},
		{"SUBSCRIBE filter empty", "82 00 01 00 00 00 00", only5},
		{"SUBSCRIBE filter not UTF-8", "82 00 01 00 02 C3 28 00", only3},
		{"SUBSCRIBE filter not UTF-8", "82 00 01 00 00 02 C3 28 00", only5},
		{"SUBSCRIBE filter a#", "82 00 01 00 02 61 23 00", only3},
		{"SUBSCRIBE filter a#", "82 00 01 00 00 02 61 23 00", only5},
		{"SUBSCRIBE filter #/a", "82 00 01 00 03 23 2F 61 00", only3},
		{"SUBSCRIBE filter #/a", "82 00 01 00 00 03 23 2F 61 00", only5},
		{"SUBSCRIBE filter a+", "82 00 01 00 02 61 2B 00", only3},
		{"SUBSCRIBE filter a+", "82 00 01 00 00 02 61 2B 00", only5},
		{"SUBSCRIBE good and bad filter", "82 00 01 T 00 00 02 61 23 00", only3},
		{"SUBSCRIBE good and bad filter", "82 00 01 00 T 00 00 02 61 23 00", only5},
		{"SUBSCRIBE identifier property 0", "82 00 01 02 0B 00 T 00", only5},
		{"SUBSCRIBE identifier property twice", "82 00 01 04 0B 01 0B 02 T 00", only5},
		{"SUBSCRIBE unknown property", "82 00 01 02 7F 00 T 00", only5},
		{"SUBSCRIBE property of PUBLISH", "82 00 01 03 23 00 01 T 00", only5},
		{"UNSUBSCRIBE flags 0", "A0 00 01 T", only3},
		{"UNSUBSCRIBE flags 0", "A0 00 01 00 T", only5},
		{"UNSUBSCRIBE without filter", "A2 00 01", only3},
		{"UNSUBSCRIBE without filter", "A2 00 01 00", only5},
		{"UNSUBSCRIBE identifier 0", "A2 00 00 T", only3},
		{"UNSUBSCRIBE identifier 0", "A2 00 00 00 T", only5},
		{"UNSUBSCRIBE filter a#", "A2 00 01 00 02 61 23", only3},
		{"UNSUBSCRIBE filter a#", "A2 00 01 00 00 02 61 23", only5},
		{"UNSUBSCRIBE filter empty", "A2 00 01 00 00", only3},
		{"UNSUBSCRIBE filter empty", "A2 00 01 00 00 00", only5},
		{"UNSUBSCRIBE filter cut off", "A2 00 01 00 05 61", only3},
		{"UNSUBSCRIBE unknown property", "A2 00 01 02 7F 00 T", only5},
		{"UNSUBSCRIBE property of SUBSCRIBE", "A2 00 01 02 0B 01 T", only5},
		{"PINGREQ flags", "C1", nil},
		{"PINGREQ body", "C0 00", nil},
		{"DISCONNECT flags", "E1", nil},
		{"DISCONNECT body", "E0 00", only3},
		{"CONNACK", "20 00 00", nil},
		{"SUBACK", "90 00 01 00", nil},
		{"UNSUBACK", "B0 00 01", nil},
		{"PINGRESP", "D0", nil},
		{"type 0", "00", nil},
		{"AUTH", "F0", nil},
		{"DISCONNECT unknown reason", "E0 55", only5},
		{"DISCONNECT reason of a server", "E0 8E", only5},
		{"DISCONNECT unknown property", "E0 00 02 7F 00", only5},
		{"DISCONNECT expiry twice", "E0 00 0A 11 00 00 00 01 11 00 00 00 01", only5},
		{"DISCONNECT property cut off", "E0 00 05 11 00", only5},
		{"AUTH continue", "F0 18 00", only5},
		{"AUTH again with a method", "F0 19 04 15 00 01 78", only5},
		{"AUTH success", "F0 00 00", only5},
		{"AUTH flags", "F1 18 00", only5},
		{"PUBLISH alias 0", "30 T 03 23 00 00", only5},
		{"PUBLISH alias over the limit", "30 T 03 23 00 0B", only5},
		{"PUBLISH unknown alias", "30 00 00 03 23 00 01", only5},
		{"PUBLISH alias twice", "30 T 06 23 00 01 23 00 02", only5},
		{"PUBLISH expiry twice", "30 T 0A 02 00 00 00 01 02 00 00 00 01", only5},
		{"PUBLISH payload format 2", "30 T 02 01 02", only5},
		{"PUBLISH payload format twice", "30 T 04 01 01 01 01", only5},
		{"PUBLISH payload is not the text it says", "30 T 02 01 01 C3 28", only5},
		{"PUBLISH subscription identifier", "30 T 02 0B 01", only5},
		{"PUBLISH response topic with #", "30 T 06 08 00 03 61 2F 23", only5},
		{"PUBLISH response topic empty", "30 T 03 08 00 00", only5},
		{"PUBLISH content type not UTF-8", "30 T 05 03 00 02 C3 28", only5},
		{"PUBLISH content type twice", "30 T 08 03 00 01 61 03 00 01 61", only5},
		{"PUBLISH correlation data twice", "30 T 08 09 00 01 61 09 00 01 61", only5},
		{"PUBLISH user property not UTF-8", "30 T 08 26 00 01 61 00 02 C3 28", only5},
		{"PUBLISH unknown property", "30 T 02 7F 00", only5},
		{"PUBLISH property of CONNECT", "30 T 05 11 00 00 00 01", only5},
		{"PUBLISH server reference", "30 T 04 1C 00 01 61", only5},
	} {
		g.talks = append(g.talks, conversation{p.name, p.levels, func(s *script) {
			s.join("a", hello{})
			s.send("a", whole(p.bytes, s.topic("x")))
		}})
	}
	for _, p := range []struct{ name, bytes string }{
		{"remaining length of five bytes", "30 80 80 80 80 01"}, {"remaining length longer than need be", "C0 80 00"},
		{"remaining length of PUBLISH longer than need be", "30 84 80 00 00 02 61 62"},
	} {
		g.talks = append(g.talks, conversation{p.name, only3, func(s *script) {
			s.join("a", hello{})
			s.send("a", hx(p.bytes))
		}})
	}
	g.talks = append(g.talks,
		conversation{"a mistake sends the will", nil, func(s *script) {
			s.join("b", hello{})
			s.subscribe("b", "w", 1)
			s.join("a", hello{will: &will{topic: s.topic("w"), payload: "gone", qos: 1}})
			s.send("a", hx("36 05 00 01 61 00 01"))
		}},
		conversation{"what stands before a mistake is done", nil, func(s *script) {
			s.join("b", hello{})
			s.subscribe("b", "x", 0)
			s.join("a", hello{})
			s.send("a", message{topic: s.topic("x"), payload: "one"}.bytes(s.level), message{topic: s.topic("x"), qos: 1, id: 5,
				payload: "two"}.bytes(s.level), hx("36 05 00 01 61 00 01"), message{topic: s.topic("x"),
				payload: "three"}.bytes(s.level))
		}},
	)
	return []group{g}
}

// whole makes a packet of a first byte and a body; the remaining length is put between them.
func whole(text, topic string) []byte {
	var body []byte
	first, rest, _ := strings.Cut(text, " ")
	for word := range strings.FieldsSeq(rest) {
		if word == "T" {
			body = append(body, bin(topic)...)
		} else {
			body = append(body, hx(word)...)
		}
	}
	return pkt(int(hx(first)[0]), body)
}
