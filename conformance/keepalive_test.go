package conformance

import (
	"errors"
	"os"
	"testing"
	"time"
)

// TestPingIsAnswered several times on one connection.
//
// v3.1.1 [MQTT-3.12.4-1] v5 [MQTT-3.12.4-1]
func TestPingIsAnswered(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		c := join(t, b, hello{level: level, id: name(t, ""), keepAlive: 60})
		for range 3 {
			c.ping()
		}
	})
}

// TestSilenceBeyondKeepAlive ends the connection after one and a half intervals as a failure: the will is sent.
//
// v3.1.1 [MQTT-3.1.2-24] v5 [MQTT-3.1.2-22] [MQTT-3.2.2-22]
func TestSilenceBeyondKeepAlive(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		t.Parallel()
		watch := join(t, b, hello{level: level, id: name(t, "watch")})
		watch.subscribe(name(t, "will"), 0)
		start := time.Now()
		c := join(t, b, hello{level: level, id: name(t, "c"), keepAlive: 1, will: &will{topic: name(t, "will"), payload: "late"}})
		p, err := c.readWithin(patience)
		if err == nil {
			if level != v5 || string(p.raw) != string(hx("E0 01 8D")) {
				t.Fatalf("got %v, want a close", p)
			}
			c.expectClose()
		} else if !closedByPeer(err) {
			t.Fatal(err)
		}
		if after := time.Since(start); after < time.Second {
			t.Fatalf("closed after %v, within the interval", after)
		}
		watch.expectMessage(message{topic: name(t, "will"), payload: "late"})
	})
}

// TestPacketThatDoesNotEnd is no packet: bytes of it keep nothing alive. Of a large one they do, as with Mosquitto.
//
// v3.1.1 [MQTT-3.1.2-24] v5 [MQTT-3.1.2-22]
func TestPacketThatDoesNotEnd(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		t.Parallel()
		c := join(t, b, hello{level: level, id: name(t, ""), keepAlive: 1})
		c.send(hx("30 C8 01")) // 200 bytes
		for end := time.Now().Add(patience); time.Now().Before(end); {
			_, _ = c.conn.Write([]byte{0})
			if p, err := c.readWithin(100 * time.Millisecond); err == nil {
				if level != v5 || string(p.raw) != string(hx("E0 01 8D")) {
					t.Fatalf("got %v, want a close", p)
				}
			} else if !errors.Is(err, os.ErrDeadlineExceeded) {
				return // closed
			}
		}
		t.Fatal("the connection lives")
	})
}

// TestPacketsKeepTheConnectionAlive: a client that pings within the interval stays beyond it.
//
// v3.1.1 [MQTT-3.1.2-24] v5 [MQTT-3.1.2-22] [MQTT-3.2.2-22]
func TestPacketsKeepTheConnectionAlive(t *testing.T) {
	b := shared(t)
	eachVersion(t, func(t *testing.T, level int) {
		t.Parallel()
		c := join(t, b, hello{level: level, id: name(t, ""), keepAlive: 1})
		for range 4 {
			c.expectQuiet(700 * time.Millisecond)
			c.ping()
		}
	}, v4, v5)
}

// TestMaxKeepAlive: version 5 is told the server's value, the older ones are refused; keep alive 0 counts as above.
//
// v5 [MQTT-3.2.2-22]
func TestMaxKeepAlive(t *testing.T) {
	b := special(t, "max_keepalive 60")
	for _, keepAlive := range []int{0, 61, 65535} {
		c := join(t, b, hello{level: v5, id: "five", keepAlive: keepAlive})
		if p, has := prop(c.props, serverKeepAlive); !has || p.number != 60 {
			t.Fatalf("keep alive %d: properties %+v, want server keep alive 60", keepAlive, c.props)
		}
		for _, level := range []int{v31, v4} {
			c := dial(t, b)
			c.send(hello{level: level, id: "old", keepAlive: keepAlive}.bytes())
			c.expectHex("20 02 00 02")
			c.expectClose()
		}
	}
	if c := join(t, b, hello{level: v5, id: "five", keepAlive: 60}); len(c.props) == 0 {
		t.Fatal("no properties at all")
	} else if _, has := prop(c.props, serverKeepAlive); has {
		t.Fatal("server keep alive for a value that is within the limit")
	}
	join(t, b, hello{level: v4, id: "old", keepAlive: 60}).ping()
}
