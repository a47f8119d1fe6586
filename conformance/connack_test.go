package conformance

import (
	"testing"
)

// TestV5ConnackBytesWithDefaults compares the whole CONNACK of a broker without configuration: topic alias maximum 10,
// maximum packet size 2,000,000, receive maximum 20 and nothing else.
//
// v5 [MQTT-3.1.4-5] [MQTT-3.2.2-1] [MQTT-3.2.2-2] [MQTT-3.1.2-28] [MQTT-4.12.0-6] [MQTT-3.2.2-8]
func TestV5ConnackBytesWithDefaults(t *testing.T) {
	c := dial(t, shared(t))
	c.send(hello{level: v5, id: name(t, ""), keepAlive: 60}.bytes())
	c.expectHex("20 0E 00 00 0B 22 000A 27 001E8480 21 0014")
}

// TestV3ConnackBytes holds the answers of an accepted 3.1 or 3.1.1 CONNECT; 3.1 has no Session Present.
//
// v3.1.1 [MQTT-3.1.4-4] [MQTT-3.2.0-1] [MQTT-3.2.2-1] [MQTT-3.2.2-2] [MQTT-3.2.2-3]
func TestV3ConnackBytes(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		answers := []string{"20 02 00 00", "20 02 01 00"}
		if level == v31 {
			answers[1] = answers[0]
		}
		for _, want := range answers {
			c := dial(t, b)
			c.send(hello{level: level, id: name(t, ""), keep: true}.bytes())
			c.expectHex(want)
			c.leave()
		}
		c := dial(t, b)
		c.send(hello{level: level, id: name(t, "")}.bytes())
		c.expectHex("20 02 00 00")
	}, v31, v4)
}

// TestV5ConnackPropertyOrder provokes every property that a default build can send.
//
// v5 [MQTT-3.2.2-9] [MQTT-3.2.2-16] [MQTT-3.1.3-7]
func TestV5ConnackPropertyOrder(t *testing.T) {
	b := special(t, "max_keepalive 60", "retain_available false", "max_qos 1", "max_packet_size 4096", "max_inflight_messages 7", "max_topic_alias 5")
	c := dial(t, b)
	c.send(hello{level: v5, keepAlive: 100}.bytes())
	p := c.read()
	list, raw, _, err := parseProps(p.body[2:])
	if err != nil {
		t.Fatal(err)
	}
	id, _ := prop(list, assignedClientID)
	want := bin(serverKeepAlive, u16(60), topicAliasMaximum, u16(5), assignedClientID, id.text, 0x25, 0, maximumPacketSize, u32(4096),
		receiveMaximum, u16(7), maximumQoS, 1)
	if string(raw) != string(want) {
		t.Fatalf("properties % X, want % X", raw, want)
	}
}

// TestServerSpeaksAfterConnackOnly: the packets right behind a CONNECT are served, after CONNACK.
//
// v3.1.1 [MQTT-3.2.0-1] v5 [MQTT-3.2.0-1] [MQTT-3.2.0-2]
func TestServerSpeaksAfterConnackOnly(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		c := dial(t, b)
		c.level = level
		topic := name(t, "")
		c.send(hello{level: level, id: topic}.bytes(), subscribe(level, 1, topic, 0), message{topic: topic, payload: "x"}.bytes(level), pkt(pingreqByte))
		if p := c.read(); p.first != 0x20 {
			t.Fatalf("first packet %v, want CONNACK", p)
		}
		c.expectSuback(1, 0)
		seen := 0
		for range 2 {
			if p := c.read(); p.first == 0xD0 {
				seen |= 1
			} else if p.first == 0x30 {
				seen |= 2
			}
		}
		if seen != 3 {
			t.Fatal("PUBLISH and PINGRESP did not both follow")
		}
	})
}
