package parity

import "strings"

func connectGroups() []group {
	return []group{
		{name: "no packet limit", talks: []conversation{
			{"CONNACK", nil, func(s *script) { s.join("a", hello{}) }},
			{"CONNACK without keep-alive", nil, func(s *script) { s.join("a", hello{keepAlive: -1}) }},
		}},
		{name: "connect", config: sized, talks: append(connects(), badConnects()...)},
	}
}

func connects() []conversation {
	return []conversation{
		{"clean session", nil, func(s *script) { s.join("a", hello{}) }},
		{"longest keep-alive", nil, func(s *script) { s.join("a", hello{keepAlive: 65535}) }},
		{"keep-alive 0", only3, func(s *script) { s.join("a", hello{keepAlive: -1}) }},
		{"session present", nil, func(s *script) {
			stored := hello{keep: true, props: bin(sessionExpiry, u32(100))}
			s.join("a", stored)
			s.leave("a")
			s.join("a", stored)
			s.leave("a")
			s.join("a", hello{})
			s.leave("a")
			s.join("a", stored)
			s.leave("a")
			s.join("a", hello{})
		}},
		{"expiry never", only5, func(s *script) {
			s.join("a", hello{props: bin(sessionExpiry, u32(0xFFFFFFFF))})
			s.leave("a")
			s.join("a", hello{keep: true})
			s.leave("a")
			s.join("a", hello{keep: true})
		}},
		{"expiry 0 is no session", only5, func(s *script) {
			s.join("a", hello{keep: true})
			s.leave("a")
			s.join("a", hello{keep: true})
		}},
		{"expiry changed by DISCONNECT", only5, func(s *script) {
			s.join("a", hello{props: bin(sessionExpiry, u32(100))})
			s.leave("a", 0, props(sessionExpiry, u32(0)))
			s.join("a", hello{keep: true, props: bin(sessionExpiry, u32(100))})
			s.leave("a", 0, props(sessionExpiry, u32(200)))
			s.join("a", hello{keep: true, props: bin(sessionExpiry, u32(0))})
			s.leave("a")
		}},
		{"expiry raised from 0 by DISCONNECT", only5, func(s *script) {
			s.join("a", hello{})
			s.leave("a", 0, props(sessionExpiry, u32(100)))
		}},
		{"empty identifier", nil, func(s *script) { s.join("a", hello{noID: true}) }},
		{"empty identifier for a stored session", nil, func(s *script) { s.join("a", hello{noID: true, keep: true}) }},
		{"identifiers of many kinds", nil, func(s *script) {
			for i, id := range []string{"with blanks in it", "ünïcödé €", "a/b/c", "$SYS", strings.Repeat("x", 24),
				strings.Repeat("y", 1000)} {
				who := string(rune('a' + i))
				s.join(who, hello{id: s.tag + id})
				s.subscribe(who, "x", 0)
			}
			s.publish("a", message{topic: "x", payload: "hello"})
		}},
		{"identifier with wildcards", nil, func(s *script) {
			s.join("a", hello{id: s.tag + "+"})
			s.join("b", hello{id: s.tag + "#"})
		}},
		{"identifier with control characters", nil, func(s *script) { s.join("a", hello{id: s.tag + "\x01\x7f"}) }},
		{"identifier of 65535 bytes", nil, func(s *script) { s.join("a", hello{id: s.tag + strings.Repeat("i", 65535-8)}) }},
		{"user name and password where nobody asks", nil, func(s *script) {
			s.join("a", hello{user: "somebody", pass: "secret"})
			s.join("b", hello{user: "somebody"})
			s.join("c", hello{hasUser: true})
			s.join("d", hello{hasUser: true, hasPass: true})
		}},
		{"password without user name", nil, func(s *script) { s.join("a", hello{pass: "secret"}) }},
		{"CONNECT in pieces", nil, func(s *script) {
			s.hello(s.dial("a"), s.trickle("a", s.fill("a", hello{}).bytes()))
		}},
		{"CONNECT with what follows", nil, func(s *script) {
			s.hello(s.dial("a"), s.fill("a", hello{}).bytes(), subscribe(s.level, 7, s.topic("x"), 1),
				message{topic: s.topic("x"), qos: 1, id: 9, payload: "early"}.bytes(s.level))
		}},
		{"CONNECT and DISCONNECT at once", nil, func(s *script) {
			s.hello(s.dial("a"), s.fill("a", hello{}).bytes(), pkt(disconnectByte))
		}},
		{"second CONNECT", nil, func(s *script) {
			s.join("a", hello{})
			s.send("a", s.fill("a", hello{}).bytes())
		}},
		{"bridge", both, func(s *script) {
			if s.level == v5 {
				s.join("a", hello{level: 0x85})
				return
			}
			s.join("a", hello{level: 0x84})
			s.subscribe("a", "#", 1)
			s.join("b", hello{})
			s.publish("b", message{topic: "x", retain: true, payload: "kept"})
			s.publish("a", message{topic: "x", retain: true, payload: "own"})
			s.publish("a", message{topic: "x", retain: true})
		}},
		{"bridge of 3.1", []int{v31}, func(s *script) { s.join("a", hello{level: 0x83}) }},
		{"properties of CONNECT", only5, func(s *script) {
			s.join("a", hello{props: bin(sessionExpiry, u32(10), receiveMaximum, u16(5), maximumPacketSize, u32(1000),
				topicAliasMaximum, u16(3), responseInfo, 1, problemInfo, 0, userProperty, "k", "v", userProperty, "k", "w")})
		}},
		{"request problem information 0", only5, func(s *script) {
			s.join("a", hello{props: bin(problemInfo, 0)})
			s.send("a", message{topic: s.topic("x"), qos: 1, id: 1, payload: "x"}.bytes(v5))
			s.send("a", hx("32 06 00 01 61 00 00 00"))
		}},
		{"authentication method", only5, func(s *script) { s.join("a", hello{props: bin(authMethod, "SCRAM")}) }},
		{"authentication method and data", only5, func(s *script) {
			s.join("a", hello{props: bin(authMethod, "SCRAM",
				authData, "x")})
		}},
		{"CONNACK larger than the client takes", only5, func(s *script) {
			s.join("a", hello{props: bin(maximumPacketSize,
				u32(10))})
		}},
		{"DISCONNECT with reasons", only5, func(s *script) {
			for _, reason := range []int{0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99} {
				s.join("a", hello{})
				s.leave("a", reason)
			}
		}},
		{"DISCONNECT with properties", only5, func(s *script) {
			s.join("a", hello{})
			s.leave("a", 0, props(0x1F, "because", userProperty, "a", "b"))
		}},
	}
}

// badConnects are CONNECTs that must be refused.
func badConnects() (all []conversation) {
	one := func(name string, levels []int, packet func(s *script) []byte) {
		all = append(all, conversation{name, levels, func(s *script) { s.hello(s.dial("a"), packet(s)) }})
	}
	for _, p := range []struct{ name, head string }{
		{"level 2", "00 04 'MQTT' 02"}, {"level 6", "00 04 'MQTT' 06"}, {"MQTT with level 3", "00 04 'MQTT' 03"},
		{"MQIsdp with level 2", "00 06 'MQIsdp' 02"},
		{"MQIsdp with level 4", "00 06 'MQIsdp' 04"}, {"MQIsdp with level 5", "00 06 'MQIsdp' 05"}, {"level 0",
			"00 04 'MQTT' 00"}, {"level 255", "00 04 'MQTT' FF"},
		{"protocol name in small letters", "00 04 'mqtt' 04"}, {"protocol name empty", "00 00 04"}, {"protocol name MQTTT",
			"00 05 'MQTTT' 04"}, {"protocol name HTTP", "00 04 'HTTP' 04"},
	} {
		one("CONNECT: "+p.name, only4, func(s *script) []byte {
			return pkt(0x10, mixed(p.head), 2, u16(60), s.topic("a"))
		})
	}
	for _, f := range []struct {
		name  string
		flags int
	}{{"reserved flag", 0x03}, {"will QoS 3", 0x1E}, {"will QoS without a will", 0x0A}, {"will retain without a will",
		0x22}, {"will flag without a will", 0x06},
		{"user name flag without a user name", 0x82}, {"password flag without a password", 0xC2}} {
		one("CONNECT: "+f.name, nil, func(s *script) []byte {
			rest := bin(s.topic("a"))
			if f.flags&0x18 == 0x18 {
				rest = bin(s.topic("a"), "t", "p")
				if s.level == v5 {
					rest = bin(s.topic("a"), 0, "t", "p")
				}
			}
			return pkt(0x10, s.head(), f.flags, u16(60), s.noProps(), rest)
		})
	}
	for _, p := range []struct{ name, id string }{{"not UTF-8", "\xC3\x28"}, {"NUL", "\x00"}, {"surrogate",
		"\xED\xA0\x80"}, {"overlong", "\xC0\x80"}, {"noncharacter", "\xEF\xBF\xBF"}} {
		one("CONNECT: identifier with "+p.name, nil, func(s *script) []byte { return s.fill("a", hello{id: s.tag + p.id}).bytes() })
		one("CONNECT: user name with "+p.name, nil, func(s *script) []byte { return s.fill("a", hello{user: p.id}).bytes() })
		one("CONNECT: will topic with "+p.name, nil, func(s *script) []byte {
			return s.fill("a",
				hello{will: &will{topic: s.tag + p.id}}).bytes()
		})
	}
	for _, topic := range []string{"", "a/#", "+/a", "$SYS/x", "$share/g/x"} {
		one("CONNECT: will for '"+topic+"'", nil, func(s *script) []byte {
			return s.fill("a", hello{will: &will{topic: topic,
				payload: "x"}}).bytes()
		})
	}
	one("CONNECT: flags of the header", nil, func(s *script) []byte {
		p := s.fill("a", hello{}).bytes()
		p[0] = 0x11
		return p
	})
	one("CONNECT: bytes after its end", nil, func(s *script) []byte {
		p := s.fill("a", hello{}).bytes()
		p[1]++
		return append(p, 'x')
	})
	one("CONNECT: empty", nil, func(*script) []byte { return hx("10 00") })
	one("CONNECT: cut off in the identifier", nil, func(s *script) []byte {
		return pkt(0x10, s.head(), 2, u16(60), s.noProps(), hx("00 09"), []byte("short"))
	})
	one("CONNECT: without an identifier", nil, func(s *script) []byte { return pkt(0x10, s.head(), 2, u16(60), s.noProps()) })
	one("CONNECT: cut off in the flags", nil, func(s *script) []byte { return pkt(0x10, s.head()) })
	one("CONNECT: remaining length of five bytes", nil, func(*script) []byte { return hx("10 FF FF FF FF 01") })
	for _, p := range []struct {
		name  string
		props []byte
	}{
		{"receive maximum 0", bin(receiveMaximum, u16(0))}, {"maximum packet size 0", bin(maximumPacketSize, u32(0))},
		{"request problem information 2", bin(problemInfo, 2)},
		{"request response information 2", bin(responseInfo, 2)}, {"session expiry twice", bin(sessionExpiry, u32(1),
			sessionExpiry, u32(1))},
		{"receive maximum twice", bin(receiveMaximum, u16(1), receiveMaximum, u16(1))}, {"unknown property", bin(0x7F, 0)},
		{"property 0", bin(0x00, 0)}, {"property of PUBLISH", bin(topicAlias, u16(1))},
		{"property cut off", bin(sessionExpiry, u16(1))}, {"authentication data alone", bin(authData, "x")},
		{"user property not UTF-8", bin(userProperty, "\xC3\x28", "x")},
		{"authentication method twice", bin(authMethod, "a", authMethod, "a")},
	} {
		one("CONNECT: "+p.name, only5, func(s *script) []byte { return s.fill("a", hello{props: p.props}).bytes() })
	}
	for _, p := range []struct {
		name  string
		props []byte
	}{
		{"will delay twice", bin(willDelay, u32(1), willDelay, u32(1))}, {"unknown property", bin(0x7F, 0)}, {"topic alias",
			bin(topicAlias, u16(1))}, {"payload format 2", bin(payloadFormat, 2)},
		{"response topic with a wildcard", bin(responseTopic, "a/#")}, {"content type not UTF-8", bin(contentType,
			"\xC3\x28")}, {"property of CONNECT", bin(receiveMaximum, u16(1))},
	} {
		one("CONNECT: will with "+p.name, only5, func(s *script) []byte {
			return s.fill("a", hello{will: &will{topic: s.topic("w"), payload: "x", props: p.props}}).bytes()
		})
	}
	one("CONNECT: properties longer than the packet", only5, func(s *script) []byte {
		return pkt(0x10, s.head(), 2,
			u16(60), 0x7F, "a")
	})
	for _, p := range []struct{ name, bytes string }{
		{"PUBLISH", "30 03 00 01 61"}, {"PUBLISH QoS 1", "32 05 00 01 61 00 01"}, {"SUBSCRIBE", "82 06 00 01 00 01 61 00"},
		{"PINGREQ", "C0 00"}, {"DISCONNECT", "E0 00"}, {"AUTH", "F0 00"},
		{"PUBACK", "40 02 00 01"}, {"CONNACK", "20 02 00 00"}, {"type 0", "00 00"}, {"an HTTP request",
			"47 45 54 20 2F 20 48 54 54 50 2F 31 2E 31 0D 0A 0D 0A"}, {"a TLS hello", "16 03 01 00 05 01 00 00 01 00"},
	} {
		one("first packet: "+p.name, only4, func(*script) []byte { return hx(p.bytes) })
	}
	return all
}

// head is protocol name and level.
func (s *script) head() []byte {
	if s.level == v31 {
		return bin("MQIsdp", s.level)
	}
	return bin("MQTT", s.level)
}

// noProps is an empty property block where the level has one.
func (s *script) noProps() []byte {
	if s.level == v5 {
		return []byte{0}
	}
	return nil
}

// mixed is hx with text in single quotes.
func mixed(text string) (b []byte) {
	for i, part := range strings.Split(text, "'") {
		if i%2 == 1 {
			b = append(b, part...)
		} else {
			b = append(b, hx(part)...)
		}
	}
	return b
}
