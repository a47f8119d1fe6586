package codec

import "strings"

// namedPacket is one row of the table that feeds the tests, the fuzz corpora and the allocation counts: bytes and
// meaning of the same packet. The bytes are in the order in which Append writes.
type namedPacket struct {
	name string
	v    Version
	wire []byte
	want packet
}

const users = `26 "k" "v" 26 "k" "w"`

// namedPackets returns the table.
func namedPackets() []namedPacket {
	var all []namedPacket
	for _, part := range [][]namedPacket{connectPackets(), connackPackets(), publishPackets(), ackPackets(),
		subscriptionPackets(), endPackets()} {
		all = append(all, part...)
	}
	return all
}

// connect is a Connect as Decode leaves it, for the fields that every row would repeat.
func connect(v Version, name string, c Connect) *anyConnect {
	c.Version, c.ProtocolName = v, name
	c.Level = uint8(v)
	if c.Bridge {
		c.Level |= 0x80
	}
	if c.ReceiveMaximum == 0 {
		c.ReceiveMaximum = 65535
	}
	return &anyConnect{c}
}

func connectPackets() []namedPacket {
	return []namedPacket{
		{"connect v31", V31, wire(0x10, `"MQIsdp" 03 02 003C "id"`),
			connect(V31, "MQIsdp", Connect{CleanStart: true, KeepAlive: 60, ClientID: "id", RequestProblemInfo: true})},
		{"connect v31 long identifier", V31, wire(0x10, `"MQIsdp" 03 00 0000 "an-identifier-of-more-than-23-bytes"`),
			connect(V31, "MQIsdp", Connect{ClientID: "an-identifier-of-more-than-23-bytes", RequestProblemInfo: true})},
		{"connect v31 bridge", V31, wire(0x10, `"MQIsdp" 83 02 003C "bridge"`),
			connect(V31, "MQIsdp", Connect{Bridge: true, CleanStart: true, KeepAlive: 60, ClientID: "bridge", RequestProblemInfo: true})},
		{"connect v311 bare", V311, wire(0x10, `"MQTT" 04 02 0000 ""`),
			connect(V311, "MQTT", Connect{CleanStart: true, RequestProblemInfo: true})},
		{"connect v311 bridge", V311, wire(0x10, `"MQTT" 84 00 001E "bridge"`),
			connect(V311, "MQTT", Connect{Bridge: true, KeepAlive: 30, ClientID: "bridge", RequestProblemInfo: true})},
		{"connect v311 full", V311, wire(0x10, `"MQTT" 04 EE 000A "id" "will/topic" "gone" "user" "secret"`),
			connect(V311, "MQTT", Connect{CleanStart: true, KeepAlive: 10, ClientID: "id", HasUserName: true, UserName: "user",
				HasPassword: true, Password: []byte("secret"), HasWill: true, RequestProblemInfo: true,
				Will: Will{QoS: 1, Retain: true, Topic: "will/topic", Payload: []byte("gone")}})},
		{"connect v5 bare", V5, wire(0x10, `"MQTT" 05 00 FFFF {} "id"`),
			connect(V5, "MQTT", Connect{KeepAlive: 65535, ClientID: "id", RequestProblemInfo: true})},
		{"connect v5 password alone", V5, wire(0x10, `"MQTT" 05 42 003C {} "id" "secret"`),
			connect(V5, "MQTT", Connect{CleanStart: true, KeepAlive: 60, ClientID: "id", HasPassword: true,
				Password: []byte("secret"), RequestProblemInfo: true})},
		{"connect v5 full", V5, wire(0x10, `"MQTT" 05 F6 003C
			{11 00000E10 21 0014 27 00010000 22 000A 19 01 17 00 15 "PLAIN" 16 "data" `+users+`} "id"
			{18 0000003C 02 00000078 01 01 03 "text/plain" 08 "reply/to" 09 "77" `+users+`} "will" "gone" "user" "secret"`),
			connect(V5, "MQTT", Connect{CleanStart: true, KeepAlive: 60, ClientID: "id", HasUserName: true, UserName: "user",
				HasPassword: true, Password: []byte("secret"), HasWill: true,
				Will: Will{QoS: 2, Retain: true, Topic: "will", Payload: []byte("gone"), DelaySeconds: 60, HasExpiry: true, Expiry: 120,
					Props: block(`18 0000003C 02 00000078 01 01 03 "text/plain" 08 "reply/to" 09 "77" ` + users)},
				HasSessionExpiry: true, SessionExpiry: 3600, ReceiveMaximum: 20, MaximumPacketSize: 65536, TopicAliasMaximum: 10,
				RequestResponseInfo: true, HasAuthMethod: true, AuthMethod: "PLAIN", HasAuthData: true, AuthData: []byte("data"),
				UserProperties: block(users)})},
	}
}

func connackPackets() []namedPacket {
	return []namedPacket{
		{"connack v31", V31, wire(0x20, `00 00`), &Connack{}},
		{"connack v311 present", V311, wire(0x20, `01 00`), &Connack{SessionPresent: true}},
		{"connack v311 refused", V311, wire(0x20, `00 05`), &Connack{Code: 5}},
		{"connack v5 refused", V5, wire(0x20, `00 87 {}`), &Connack{Code: NotAuthorized}},
		{"connack v5 as mosquitto", V5, wire(0x20, `00 00 {22 000A 27 001E8480 21 0014}`),
			&Connack{TopicAliasMaximum: 10, MaximumPacketSize: 2_000_000, ReceiveMaximum: 20}},
		{"connack v5 full", V5, wire(0x20, `01 00 {13 003C 22 000A 12 "auto-1" 15 "PLAIN" 16 "data" 25 00 27 001E8480 21 0014 24 01
			11 00000E10 28 00 29 00 2A 00 1A "info" 1C "other" 1F "why" `+users+`}`),
			&Connack{SessionPresent: true, HasServerKeepAlive: true, ServerKeepAlive: 60, TopicAliasMaximum: 10, AssignedClientID: "auto-1",
				AuthMethod: "PLAIN", AuthData: []byte("data"), RetainUnavailable: true, MaximumPacketSize: 2_000_000, ReceiveMaximum: 20,
				HasMaximumQoS: true, MaximumQoS: 1, HasSessionExpiry: true, SessionExpiry: 3600, WildcardUnavailable: true,
				SubscriptionIDUnavailable: true, SharedUnavailable: true, ResponseInformation: "info", ServerReference: "other",
				ReasonString: "why", UserProperties: block(users)}},
	}
}

func publishPackets() []namedPacket {
	long := strings.Repeat("0123456789abcdef", 16)
	props := `01 01 03 "text/plain" 08 "reply/to" 09 "77" ` + users
	return []namedPacket{
		{"publish v31", V31, wire(0x30, `"a/b" 'hi'`), &anyPublish{Publish: Publish{Topic: "a/b", Payload: []byte("hi")}}},
		{"publish v311 empty retained", V311, wire(0x31, `"a"`), &anyPublish{Publish: Publish{Retain: true, Topic: "a"}}},
		{"publish v311 repeated", V311, wire(0x3A, `"a/b" 0007 'hi'`),
			&anyPublish{Publish: Publish{Dup: true, QoS: 1, PacketID: 7, Topic: "a/b", Payload: []byte("hi")}}},
		{"publish v311 two length bytes", V311, wire(0x34, `"a/b" FFFF '`+long+`'`),
			&anyPublish{Publish: Publish{QoS: 2, PacketID: 65535, Topic: "a/b", Payload: []byte(long)}}},
		{"publish v5 without properties", V5, wire(0x30, `"a/b" {} 'hi'`),
			&anyPublish{Publish: Publish{Topic: "a/b", Payload: []byte("hi")}}},
		{"publish v5 by alias", V5, wire(0x32, `"" 0001 {23 0003} 'hi'`),
			&anyPublish{Publish: Publish{QoS: 1, PacketID: 1, TopicAlias: 3, Props: block(`23 0003`), Payload: []byte("hi")}}},
		{"publish v5 full", V5, wire(0x3D, `"a/b" 0007 {`+props+`02 0000003C 23 0003} 'hi'`),
			&anyPublish{Publish: Publish{Dup: true, QoS: 2, Retain: true, PacketID: 7, Topic: "a/b", HasExpiry: true, Expiry: 60, TopicAlias: 3,
				Props: block(props + `02 0000003C 23 0003`), Payload: []byte("hi")}}},
		{"publish v5 from a server", V5, wire(0x30, `"a/b" {`+users+` 0B 01 0B FFFFFF7F} 'hi'`),
			&anyPublish{Publish: Publish{Topic: "a/b", HasSubIDs: true, SubIDs: []uint32{1, 268_435_455},
				Props: block(users + ` 0B 01 0B FFFFFF7F`), Payload: []byte("hi")}}},
	}
}

func ackPackets() []namedPacket {
	rich := `{1F "why" ` + users + `}`
	return []namedPacket{
		{"puback v311", V311, wire(0x40, `0007`), &Ack{Type: TypePuback, PacketID: 7}},
		{"pubrec v31", V31, wire(0x50, `0007`), &Ack{Type: TypePubrec, PacketID: 7}},
		{"pubrel v311", V311, wire(0x62, `0007`), &Ack{Type: TypePubrel, PacketID: 7}},
		{"pubcomp v311", V311, wire(0x70, `0007`), &Ack{Type: TypePubcomp, PacketID: 7}},
		{"puback v5 success", V5, wire(0x40, `0007`), &Ack{Type: TypePuback, PacketID: 7}},
		{"puback v5 no subscribers", V5, wire(0x40, `0007 10`), &Ack{Type: TypePuback, PacketID: 7, Code: NoMatchingSubscribers}},
		{"pubrec v5 full", V5, wire(0x50, `0007 97 `+rich),
			&Ack{Type: TypePubrec, PacketID: 7, Code: QuotaExceeded, ReasonString: "why", UserProperties: block(users)}},
		{"pubrel v5 full", V5, wire(0x62, `FFFF 92 `+rich),
			&Ack{Type: TypePubrel, PacketID: 65535, Code: PacketIdentifierNotFound, ReasonString: "why", UserProperties: block(users)}},
		{"pubcomp v5 not found", V5, wire(0x70, `0007 92`), &Ack{Type: TypePubcomp, PacketID: 7, Code: PacketIdentifierNotFound}},
	}
}

func subscriptionPackets() []namedPacket {
	return []namedPacket{
		{"subscribe v311", V311, wire(0x82, `0007 "a/#" 01 "b/+" 02`),
			&Subscribe{PacketID: 7, Filters: []Subscription{{Filter: "a/#", QoS: 1}, {Filter: "b/+", QoS: 2}}}},
		{"subscribe v31", V31, wire(0x82, `0007 "a" 00`), &Subscribe{PacketID: 7, Filters: []Subscription{{Filter: "a"}}}},
		{"subscribe v5 bare", V5, wire(0x82, `0007 {} "a" 00`), &Subscribe{PacketID: 7, Filters: []Subscription{{Filter: "a"}}}},
		{"subscribe v5 full", V5, wire(0x82, `0007 {0B 8001 `+users+`} "a/#" 2E "b" 11`),
			&Subscribe{PacketID: 7, SubID: 128, UserProperties: block(users), Filters: []Subscription{
				{Filter: "a/#", QoS: 2, NoLocal: true, RetainAsPublished: true, RetainHandling: 2},
				{Filter: "b", QoS: 1, RetainHandling: 1}}}},
		{"suback v311", V311, wire(0x90, `0007 00 01 02 80`), &Suback{PacketID: 7, Codes: []byte{0, 1, 2, 0x80}}},
		{"suback v5", V5, wire(0x90, `0007 {} 02`), &Suback{PacketID: 7, Codes: []byte{2}}},
		{"suback v5 full", V5, wire(0x90, `0007 {1F "why" `+users+`} 00 87`),
			&Suback{PacketID: 7, Codes: []byte{0, 0x87}, ReasonString: "why", UserProperties: block(users)}},
		{"unsubscribe v311", V311, wire(0xA2, `0007 "a/#" "b"`), &Unsubscribe{PacketID: 7, Filters: []string{"a/#", "b"}}},
		{"unsubscribe v5", V5, wire(0xA2, `0007 {`+users+`} "a/#"`),
			&Unsubscribe{PacketID: 7, UserProperties: block(users), Filters: []string{"a/#"}}},
		{"unsuback v311", V311, wire(0xB0, `0007`), &Unsuback{PacketID: 7}},
		{"unsuback v5", V5, wire(0xB0, `0007 {} 00 11`), &Unsuback{PacketID: 7, Codes: []byte{0, 0x11}}},
		{"unsuback v5 full", V5, wire(0xB0, `0007 {1F "why" `+users+`} 8F`),
			&Unsuback{PacketID: 7, Codes: []byte{0x8F}, ReasonString: "why", UserProperties: block(users)}},
	}
}

func endPackets() []namedPacket {
	return []namedPacket{
		{"pingreq", V311, wire(0xC0, ``), &ping{TypePingreq}},
		{"pingresp", V5, wire(0xD0, ``), &ping{TypePingresp}},
		{"disconnect v311", V311, wire(0xE0, ``), &Disconnect{}},
		{"disconnect v5 normal", V5, wire(0xE0, ``), &Disconnect{}},
		{"disconnect v5 taken over", V5, wire(0xE0, `8E`), &Disconnect{Code: SessionTakenOver}},
		{"disconnect v5 full", V5, wire(0xE0, `9C {11 00000E10 1C "other" 1F "why" `+users+`}`),
			&Disconnect{Code: UseAnotherServer, HasSessionExpiry: true, SessionExpiry: 3600, ReasonString: "why",
				ServerReference: "other", UserProperties: block(users)}},
		{"auth bare", V5, wire(0xF0, ``), &Auth{}},
		{"auth full", V5, wire(0xF0, `18 {15 "PLAIN" 16 "data" 1F "why" `+users+`}`),
			&Auth{Code: ContinueAuthentication, HasMethod: true, Method: "PLAIN", HasData: true, Data: []byte("data"),
				ReasonString: "why", UserProperties: block(users)}},
	}
}
