package conformance

import (
	"fmt"
	"math/rand"
	"testing"
)

// TestRandomBytes, at once and behind a CONNECT, end connections and nothing else. The seed is fixed: a failure repeats.
func TestRandomBytes(t *testing.T) {
	b := special(t)
	witness := join(t, b, hello{level: v5, id: "witness"})
	random := rand.New(rand.NewSource(20260101))
	for i := range 300 {
		noise := make([]byte, 1+random.Intn(300))
		random.Read(noise)
		c := dial(t, b)
		if i%3 > 0 {
			c.send(hello{level: []int{v31, v4, v5}[i%3], id: fmt.Sprint("random", i%3)}.bytes())
			c.read()
		}
		c.send(noise)
		c.conn.Close()
	}
	witness.ping()
}

// TestMutatedPackets: valid packets with a few bytes changed.
func TestMutatedPackets(t *testing.T) {
	b := special(t)
	witness := join(t, b, hello{level: v5, id: "witness"})
	random := rand.New(rand.NewSource(20260102))
	connect := hello{level: v5, id: "mutant", keep: true, props: bin(sessionExpiry, u32(9), receiveMaximum, u16(3), userProperty, "a", "b"),
		will: &will{topic: "will", payload: "x", props: bin(willDelay, u32(1))}, hasUser: true, user: "u", hasPass: true, pass: "p"}.bytes()
	valid := [][]byte{
		connect,
		message{topic: "a/b", qos: 1, id: 4, payload: "x", props: bin(messageExpiry, u32(5), topicAlias, u16(1), userProperty, "a", "b")}.bytes(v5),
		subscribeAs(5, 9, "a/#", 2, "$share/g/a/+", 1),
		unsubscribe(v5, 6, "a/#"),
		pkt(pubrelByte, u16(4), 0x92, props(reasonString, "why")),
		pkt(disconnectByte, 0x04, props(sessionExpiry, u32(1), userProperty, "a", "b")),
		pkt(authByte, 0x18, props(authMethod, "m", authData, "d")),
	}
	for i := range 600 {
		c := dial(t, b)
		packet := append([]byte(nil), valid[i%len(valid)]...)
		for range 1 + random.Intn(3) {
			packet[random.Intn(len(packet))] ^= byte(1 << random.Intn(8))
		}
		if i%len(valid) > 0 {
			c.send(hello{level: v5, id: "mutant"}.bytes())
			c.read()
		}
		c.send(packet)
		c.conn.Close()
	}
	witness.ping()
}
