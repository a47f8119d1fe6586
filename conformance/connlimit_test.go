package conformance

import (
	"testing"
	"time"
)

// TestMaxConnections beyond which the socket is closed without a byte.
func TestMaxConnections(t *testing.T) {
	b := special(t, "max_connections 2")
	one := joinEventually(t, b, hello{level: v4, id: "one"})
	two := joinEventually(t, b, hello{level: v5, id: "two"})
	c := dial(t, b)
	c.send(hello{level: v4, id: "three"}.bytes())
	c.expectClose()
	one.ping()
	two.ping()
	one.leave()
	joinEventually(t, b, hello{level: v4, id: "three"}).ping()
}

// TestGlobalMaxConnections is the same bound over all listeners.
func TestGlobalMaxConnections(t *testing.T) {
	b := special(t, "global_max_connections 1")
	one := joinEventually(t, b, hello{level: v4, id: "one"})
	c := dial(t, b)
	c.send(hello{level: v5, id: "two"}.bytes())
	c.expectClose()
	one.leave()
	joinEventually(t, b, hello{level: v4, id: "two"}).ping()
}

// TestGlobalMaxClients counts sessions and is told with 0x89.
func TestGlobalMaxClients(t *testing.T) {
	b := special(t, "global_max_clients 2")
	join(t, b, hello{level: v4, id: "one"})
	join(t, b, hello{level: v5, id: "two"})
	c := dial(t, b)
	c.send(hello{level: v5, id: "three"}.bytes())
	c.expectHex("20 03 00 89 00")
	c.expectClose()
}

// joinEventually connects again and again while the broker still counts a connection that has just ended.
func joinEventually(t *testing.T, b *broker, h hello) *client {
	t.Helper()
	for until := time.Now().Add(patience); ; {
		c := dial(t, b)
		c.level = h.level
		c.send(h.bytes())
		if p, err := c.readWithin(patience); err == nil && p.first == 0x20 && p.body[1] == 0 {
			return c
		}
		c.conn.Close()
		if time.Now().After(until) {
			t.Fatal("no place was free again")
		}
	}
}
