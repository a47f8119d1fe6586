package conformance

import (
	"testing"
)

// TestV3MalformedConnectIsClosedWithoutConnack lists CONNECT packets whose form is wrong.
//
// v3.1.1 [MQTT-3.1.4-1] [MQTT-3.1.2-3] [MQTT-3.1.2-9] [MQTT-3.1.2-11] [MQTT-3.1.2-13] [MQTT-3.1.2-14] [MQTT-3.1.2-15]
// v3.1.1 [MQTT-3.1.2-18] [MQTT-3.1.2-19] [MQTT-3.1.2-20] [MQTT-3.1.2-21] [MQTT-3.1.2-22] [MQTT-3.1.3-1] [MQTT-3.1.3-3]
// v3.1.1 [MQTT-3.1.3-4] [MQTT-3.1.3-10] [MQTT-3.1.3-11] [MQTT-3.2.2-6] [MQTT-1.5.3-1] [MQTT-1.5.3-2] [MQTT-4.8.0-1]
func TestV3MalformedConnectIsClosedWithoutConnack(t *testing.T) {
	b := shared(t)
	connect := func(flags int, payload ...any) []byte {
		return pkt(connectByte, "MQTT", v4, flags, u16(0), bin(payload...))
	}
	cases := map[string][]byte{
		"reserved flag":                connect(0x03, "id"),
		"fixed header flags":           append([]byte{0x11}, connect(0x02, "id")[1:]...),
		"no client identifier":         connect(0x02),
		"client identifier cut off":    connect(0x02, []byte{0, 5, 'a'}),
		"client identifier not UTF-8":  connect(0x02, "id\xC3\x28"),
		"client identifier with NUL":   connect(0x02, "id\x00"),
		"client identifier surrogate":  connect(0x02, "id\xED\xA0\x80"),
		"trailing byte":                connect(0x02, "id", 0),
		"will QoS without will":        connect(0x0A, "id"),
		"will retain without will":     connect(0x22, "id"),
		"will QoS 3":                   connect(0x1E, "id", "will", "gone"),
		"will fields without flag":     connect(0x02, "id", "will", "gone"),
		"will flag without fields":     connect(0x06, "id"),
		"will without message":         connect(0x06, "id", "will"),
		"will topic not UTF-8":         connect(0x06, "id", "will\xFF", "gone"),
		"will topic with wildcard":     connect(0x06, "id", "will/#", "gone"),
		"will topic empty":             connect(0x06, "id", "", "gone"),
		"user name flag without field": connect(0x82, "id"),
		"user name without flag":       connect(0x02, "id", "ann"),
		"user name not UTF-8":          connect(0x82, "id", "ann\xC0\xAF"),
		"password flag without field":  connect(0xC2, "id", "ann"),
		"password without flag":        connect(0x82, "id", "ann", "secret"),
		"password without user name":   connect(0x42, "id", "secret"),
		"nothing but a protocol name":  pkt(connectByte, "MQTT"),
		"empty":                        pkt(connectByte),
	}
	for what, bytes := range cases {
		t.Run(what, func(t *testing.T) {
			skipKnown(t)
			c := dial(t, b)
			c.send(bytes)
			c.expectClose()
		})
	}
}

// TestV5MalformedConnectIsRefused: the answer is CONNACK with a fitting code or nothing, never DISCONNECT; then the
// close.
//
// v5 [MQTT-3.1.4-1] [MQTT-3.1.2-9] [MQTT-3.1.2-11] [MQTT-3.1.2-12] [MQTT-3.1.2-13] [MQTT-3.1.2-16] [MQTT-3.1.2-17] [MQTT-3.1.2-18]
// v5 [MQTT-3.1.2-19] [MQTT-3.1.3-1] [MQTT-3.1.3-3] [MQTT-3.1.3-4] [MQTT-3.1.3-11] [MQTT-3.14.0-1] [MQTT-2.2.2-1] [MQTT-1.5.7-1]
// v5 [MQTT-2.1.3-1] [MQTT-4.13.1-1] [MQTT-1.5.4-1] [MQTT-1.5.4-2]
func TestV5MalformedConnectIsRefused(t *testing.T) {
	b := shared(t)
	connect := func(flags int, block []byte, payload ...any) []byte {
		return pkt(connectByte, "MQTT", v5, flags, u16(0), block, bin(payload...))
	}
	none := props()
	cases := map[string][]byte{
		"fixed header flags":            append([]byte{0x12}, connect(0x02, none, "id")[1:]...),
		"no client identifier":          connect(0x02, none),
		"client identifier not UTF-8":   connect(0x02, none, "id\xC3\x28"),
		"client identifier with NUL":    connect(0x02, none, "id\x00"),
		"trailing byte":                 connect(0x02, none, "id", 0),
		"no property length":            pkt(connectByte, "MQTT", v5, 2, u16(0)),
		"property length too long":      pkt(connectByte, "MQTT", v5, 2, u16(0), 0x20, "id"),
		"property length of five bytes": pkt(connectByte, "MQTT", v5, 2, u16(0), hx("80 80 80 80 01"), "id"),
		"unknown property":              connect(0x02, props(0x7E, 0), "id"),
		"property of PUBLISH":           connect(0x02, props(topicAlias, u16(1)), "id"),
		"property twice":                connect(0x02, props(sessionExpiry, u32(1), sessionExpiry, u32(1)), "id"),
		"receive maximum 0":             connect(0x02, props(receiveMaximum, u16(0)), "id"),
		"maximum packet size 0":         connect(0x02, props(maximumPacketSize, u32(0)), "id"),
		"request problem info 2":        connect(0x02, props(requestProblemInfo, 2), "id"),
		"request response info 2":       connect(0x02, props(requestResponse, 2), "id"),
		"authentication data alone":     connect(0x02, props(authData, "x"), "id"),
		"user property not UTF-8":       connect(0x02, props(userProperty, "a", "\xFF"), "id"),
		"user property name not UTF-8":  connect(0x02, props(userProperty, "\xFF", "a"), "id"),
		"will QoS without will":         connect(0x0A, none, "id"),
		"will retain without will":      connect(0x22, none, "id"),
		"will QoS 3":                    connect(0x1E, none, "id", none, "will", "gone"),
		"will fields without flag":      connect(0x02, none, "id", none, "will", "gone"),
		"will flag without fields":      connect(0x06, none, "id"),
		"will without properties":       connect(0x06, none, "id", "will", "gone"),
		"will topic not UTF-8":          connect(0x06, none, "id", none, "will\xFF", "gone"),
		"will topic with wildcard":      connect(0x06, none, "id", none, "will/+", "gone"),
		"will with foreign property":    connect(0x06, none, "id", props(receiveMaximum, u16(1)), "will", "gone"),
		"user name flag without field":  connect(0x82, none, "id"),
		"user name without flag":        connect(0x02, none, "id", "ann"),
		"password flag without field":   connect(0x42, none, "id"),
		"password without flag":         connect(0x82, none, "id", "ann", "secret"),
	}
	for what, bytes := range cases {
		t.Run(what, func(t *testing.T) {
			skipKnown(t)
			c := dial(t, b)
			c.send(bytes)
			expectConnectRefused(c)
		})
	}
}

// expectConnectRefused wants the close, and before it at most a refusing CONNACK without properties.
func expectConnectRefused(c *client) {
	c.t.Helper()
	p, err := c.readWithin(patience)
	if err == nil {
		if p.first != 0x20 || len(p.body) != 3 || p.body[0] != 0 || p.body[1] < 0x80 || p.body[2] != 0 {
			c.t.Fatalf("got %v, want a refusing CONNACK or a close", p)
		}
		c.expectClose()
		return
	}
	if !closedByPeer(err) {
		c.t.Fatalf("want the connection to be closed: %v", err)
	}
}

// TestV5ConnectClosedWithoutByte holds the cases in which the page of Mosquitto's behaviour promises silence.
//
// v5 [MQTT-3.1.0-1] [MQTT-3.1.2-3] [MQTT-3.1.3-12] [MQTT-3.14.0-1]
func TestV5ConnectClosedWithoutByte(t *testing.T) {
	b := shared(t)
	f := func(what string, bytes []byte) {
		t.Run(what, func(t *testing.T) {
			skipKnown(t)
			c := dial(t, b)
			c.send(bytes)
			c.expectClose()
		})
	}
	f("reserved flag", pkt(connectByte, "MQTT", v5, 0x03, u16(0), 0, "id"))
	f("user name not UTF-8", pkt(connectByte, "MQTT", v5, 0x82, u16(0), 0, "id", "ann\xC0\xAF"))
	f("remaining length of five bytes", hx("10 80 80 80 80 01 00 04 4D 51 54 54 05"))
	f("first packet is PINGREQ", pkt(pingreqByte))
	f("first packet is DISCONNECT", goodbye())
	f("first packet is AUTH", pkt(authByte))
}

// TestFirstPacketIsNotConnect goes through all packet types.
//
// v3.1.1 [MQTT-3.1.0-1] v5 [MQTT-3.1.0-1]
func TestFirstPacketIsNotConnect(t *testing.T) {
	b := shared(t)
	for first := 0; first < 0x100; first += 0x10 {
		if first == connectByte {
			continue
		}
		flags := 0
		if first == 0x60 || first == 0x80 || first == 0xA0 {
			flags = 2
		}
		c := dial(t, b)
		c.send(pkt(first|flags, "abc", u16(1), 0))
		c.expectClose()
	}
}

// TestSecondConnectEndsTheConnection and nothing else: the session of the first stays.
//
// v3.1.1 [MQTT-3.1.0-2] [MQTT-4.8.0-1] v5 [MQTT-3.1.0-2] [MQTT-3.2.0-2] [MQTT-4.13.1-1]
func TestSecondConnectEndsTheConnection(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		h := hello{level: level, id: name(t, "")}
		c := join(t, b, h)
		c.send(h.bytes())
		c.expectRefusal(0x82)
	})
}
