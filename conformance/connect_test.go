package conformance

import (
	"strings"
	"testing"
)

// TestUnsupportedProtocolLevel: an unknown level is told so in the form of version 5, a name that does not belong to
// its level in the form of version 3.
//
// v3.1.1 [MQTT-3.1.2-1] [MQTT-3.1.2-2] v5 [MQTT-3.1.2-1] [MQTT-3.1.2-2] [MQTT-3.2.2-7]
func TestUnsupportedProtocolLevel(t *testing.T) {
	b := shared(t)
	f := func(protocol string, level int, want string) {
		t.Helper()
		c := dial(t, b)
		body := bin(protocol, level, 2, u16(0))
		c.send(pkt(connectByte, body, "some-id"), pkt(pingreqByte))
		c.expectHex(want)
		c.expectClose()
	}
	f("MQTT", 2, "20 03 00 84 00")
	f("MQTT", 6, "20 03 00 84 00")
	f("MQIsdp", 2, "20 03 00 84 00")
	f("MQIsdp", 6, "20 03 00 84 00")
	f("MQTT", 3, "20 02 00 01")
	f("MQIsdp", 4, "20 02 00 01")
}

// TestUnknownProtocolName is closed without service.
//
// v3.1.1 [MQTT-3.1.2-1] v5 [MQTT-3.1.2-1]
func TestUnknownProtocolName(t *testing.T) {
	b := shared(t)
	for _, protocol := range []string{"", "M", "mqtt", "MQTTX", "MQIsdq", "HTTP/1.1", strings.Repeat("MQTT", 1000)} {
		for _, level := range []int{v31, v4, v5} {
			c := dial(t, b)
			c.send(pkt(connectByte, protocol, level, 2, u16(0), 0, "some-id"))
			c.expectClose()
		}
	}
}

// TestBridgeLevels: 0x83 and 0x84 are 3.1 and 3.1.1 spoken by a bridge; its own messages do not come back to it, and
// RETAIN arrives as it was published.
func TestBridgeLevels(t *testing.T) {
	b := shared(t)
	for _, level := range []int{0x80 | v31, 0x80 | v4} {
		topic := name(t, string(rune('a'+level&3)))
		bridge := join(t, b, hello{level: level, id: topic})
		bridge.subscribe(topic+"/#", 0)
		other := join(t, b, hello{level: v4, id: topic + "-other"})
		bridge.publish(message{topic: topic + "/own", payload: "own"})
		other.publish(message{topic: topic + "/x", payload: "foreign", retain: true})
		bridge.expectMessage(message{topic: topic + "/x", payload: "foreign", retain: true})
		other.publish(message{topic: topic + "/x", retain: true})
	}
}

// TestAcceptProtocolVersions refuses the versions that a listener leaves out.
func TestAcceptProtocolVersions(t *testing.T) {
	f := func(t *testing.T, allowed string, level int, want string) {
		t.Helper()
		c := dial(t, special(t, "accept_protocol_versions "+allowed))
		c.send(hello{level: level, id: "some-id"}.bytes())
		c.expectHex(want)
		c.expectClose()
	}
	skipKnown(t)
	t.Parallel()
	t.Run("v3.1", func(t *testing.T) { f(t, "4, 5", v31, "20 02 00 01") })
	t.Run("v3.1.1", func(t *testing.T) { f(t, "3 ,5", v4, "20 02 00 01") })
	t.Run("v5", func(t *testing.T) { f(t, "3,4", v5, "20 03 00 84 00") })
}

// TestAnonymousIsRefused where `allow_anonymous false`; the packets sent right after the CONNECT get no answer.
//
// v3.1.1 [MQTT-3.1.4-5] [MQTT-3.2.2-4] [MQTT-3.2.2-5] v5 [MQTT-3.1.4-2] [MQTT-3.1.4-6] [MQTT-3.2.2-6] [MQTT-3.2.2-7] [MQTT-4.13.2-1]
func TestAnonymousIsRefused(t *testing.T) {
	b := special(t, "allow_anonymous false")
	f := func(h hello, want string) {
		t.Helper()
		c := dial(t, b)
		c.send(h.bytes(), pkt(pingreqByte), message{topic: "a", payload: "b"}.bytes(h.level))
		c.expectHex(want)
		c.expectClose()
	}
	f(hello{level: v31, id: "some-id"}, "20 02 00 05")
	f(hello{level: v4, id: "some-id"}, "20 02 00 05")
	f(hello{level: v5, id: "some-id"}, "20 03 00 87 00")
	f(hello{level: v4, id: "some-id", hasUser: true}, "20 02 00 05")
	f(hello{level: v5, id: "some-id", hasUser: true}, "20 03 00 87 00")
}

// TestUserNameWherePasswordsAreNotChecked connects with every legal combination of the two flags.
//
// v3.1.1 [MQTT-3.1.2-18] [MQTT-3.1.2-19] [MQTT-3.1.2-20] [MQTT-3.1.2-21] v5 [MQTT-3.1.2-16] [MQTT-3.1.2-17] [MQTT-3.1.2-18] [MQTT-3.1.2-19]
func TestUserNameWherePasswordsAreNotChecked(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		join(t, b, hello{level: level, id: name(t, "1")}).ping()
		join(t, b, hello{level: level, id: name(t, "2"), hasUser: true}).ping()
		join(t, b, hello{level: level, id: name(t, "3"), hasUser: true, user: "ann", hasPass: true, pass: "secret"}).ping()
	})
	join(t, b, hello{level: v5, id: name(t, "4"), hasPass: true, pass: "secret"}).ping()
}

// TestConnectFieldsOrder sends every payload field at once and looks at the two that can be observed again.
//
// v3.1.1 [MQTT-3.1.3-1] [MQTT-3.1.2-9] v5 [MQTT-3.1.3-1] [MQTT-3.1.2-9]
func TestConnectFieldsOrder(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		watch := join(t, b, hello{level: level, id: name(t, "watch")})
		watch.subscribe(name(t, "will"), 0)
		c := join(t, b, hello{level: level, id: name(t, "c"), hasUser: true, user: "ann", hasPass: true, pass: "secret",
			will: &will{topic: name(t, "will"), payload: "gone"}})
		c.abandon()
		watch.expectMessage(message{topic: name(t, "will"), payload: "gone"})
	})
}

// TestUnknownAuthenticationMethod is refused with 0x8C.
//
// v5 [MQTT-4.12.0-1] [MQTT-3.2.2-7] [MQTT-3.2.2-8]
func TestUnknownAuthenticationMethod(t *testing.T) {
	b := shared(t)
	for _, block := range [][]byte{bin(authMethod, "magic"), bin(authMethod, "magic", authData, "\x00\xFF")} {
		c := dial(t, b)
		c.send(hello{level: v5, id: name(t, ""), props: block}.bytes())
		c.expectHex("20 03 00 8C 00")
		c.expectClose()
	}
}

// TestAuthWithoutMethod ends the connection: the client has no exchange to go on with and none to begin again.
//
// v5 [MQTT-4.12.1-2] [MQTT-4.12.0-6] [MQTT-4.13.1-1]
func TestAuthWithoutMethod(t *testing.T) {
	b := shared(t)
	for _, auth := range [][]byte{pkt(authByte), pkt(authByte, 0x18, props(authMethod, "magic")), pkt(authByte, 0x19, props(authMethod, "magic"))} {
		c := join(t, b, hello{level: v5, id: name(t, "")})
		c.send(auth)
		c.expectRefusal(0x82)
	}
}

// TestNothingAfterARefusedConnectIsProcessed: a message right behind it reaches nobody.
//
// v3.1.1 [MQTT-3.1.4-5] v5 [MQTT-3.1.4-6]
func TestNothingAfterARefusedConnectIsProcessed(t *testing.T) {
	b := shared(t)
	refused := map[int]hello{v31: {level: v31}, v4: {level: v4, keep: true}, v5: {level: v5, props: bin(authMethod, "magic")}}
	eachVersion(t, func(t *testing.T, level int) {
		topic := name(t, "")
		watch := join(t, b, hello{level: level, id: topic})
		watch.subscribe(topic, 0)
		c := dial(t, b)
		c.send(refused[level].bytes(), message{topic: topic, payload: "unheard", retain: true}.bytes(level))
		c.drain()
		watch.publish(message{topic: topic, payload: "fence"})
		watch.expectMessage(message{topic: topic, payload: "fence"})
		watch.subscribe(topic, 0)
		watch.ping()
	})
}
