package loop

import "testing"

// TestUnsentBytesAreCounted holds that Stats.Unsent is what all connections together have not sent.
func TestUnsentBytesAreCounted(t *testing.T) {
	var conns []*Conn
	h := &handler{opened: func(c *Conn) { conns = append(conns, c) }}
	net, g, ls := simGroup(t, 1, h)
	var socks []*SimSocket
	for range 2 {
		s := net.Dial(ls)
		s.SetWindow(100)
		socks = append(socks, s)
	}
	unsent := func(when string, want int64) {
		t.Helper()
		turnAll(net, g)
		if got := g.Loop(0).Stats().Unsent; got != want {
			t.Errorf("%s: %d bytes, want %d", when, got, want)
		}
	}
	unsent("nothing", 0)
	for _, c := range conns {
		c.Append(make([]byte, 1000))
	}
	unsent("windows full", 1800)
	conns[0].Append(make([]byte, 50))
	unsent("more while blocked", 1850)
	socks[0].Read(100)
	unsent("some was read", 1750)
	conns[1].Abort()
	unsent("one ended", 850)
	for range 10 {
		socks[0].Read(100)
		turnAll(net, g)
	}
	unsent("all was read", 0)
}
