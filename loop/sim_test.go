package loop

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"testing"
)

// simGroup makes n loops on a simulated network with one listener.
func simGroup(t *testing.T, seed uint64, handlers ...Handler) (*SimNet, *Group, *Listener) {
	t.Helper()
	net := NewSimNet(seed)
	g, err := NewGroup(len(handlers), GroupOptions{System: net.System})
	if err != nil {
		t.Fatal(err)
	}
	ls := net.Listen(netip.MustParseAddrPort("127.0.0.1:1883"))
	for i, h := range handlers {
		g.Loop(i).SetHandler(h)
		if err := g.Loop(i).Listen(ls); err != nil {
			t.Fatal(err)
		}
	}
	return net, g, ls
}

// turnAll runs turns until nothing moves.
func turnAll(net *SimNet, g *Group) {
	for worked := true; worked; {
		worked = net.Busy()
		for i := range g.Len() {
			worked = g.Loop(i).Turn(true) || worked
		}
	}
}

func TestSimEchoSurvivesFaults(t *testing.T) {
	for seed := range uint64(50) {
		closed := 0
		h := &handler{closed: func(_ *Conn, err error) {
			if err != io.EOF {
				t.Errorf("closed with %v", err)
			}
			closed++
		}}
		net, g, ls := simGroup(t, seed, h, h, h)
		net.Faults = SimFaults{SplitReads: true, ShortWrites: true}
		s := net.Dial(ls)
		s.SetWindow(1000)
		sent := bytes.Repeat([]byte("0123456789"), 2000)
		s.Write(sent)
		var got []byte
		for range 1000 {
			turnAll(net, g)
			got = append(got, s.Read(700)...)
		}
		if !bytes.Equal(got, sent) {
			t.Fatalf("seed %d: %d bytes came back, want %d", seed, len(got), len(sent))
		}
		s.CloseWrite()
		turnAll(net, g)
		if closed != 1 || !s.Ended() || net.Open() != 0 {
			t.Fatalf("seed %d: closed %d times, ended %v, %d sockets open", seed, closed, s.Ended(), net.Open())
		}
	}
}

func TestSimWriterIsToldOfRoomOnceAThirdIsFree(t *testing.T) {
	net := NewSimNet(1)
	sys, _ := net.System(0)
	ls := net.Listen(netip.MustParseAddrPort("127.0.0.1:1883"))
	s := net.Dial(ls)
	s.SetWindow(300)
	fd, _, _ := sys.Accept(ls.fd, false)
	if err := sys.Watch(fd, 7); err != nil {
		t.Fatal(err)
	}
	events := make([]Event, 8)
	if n := sys.Poll(events, -1); n != 1 || events[0] != (Event{7, Writable}) {
		t.Fatalf("after Watch: %v", events[:n])
	}
	if n, errno := sys.Write(fd, make([]byte, 400)); n != 300 || errno != 0 {
		t.Fatalf("first write: %d, %v", n, errno)
	}
	if n, errno := sys.Write(fd, make([]byte, 1)); errno == 0 {
		t.Fatalf("write into a full window took %d", n)
	}
	s.Read(99)
	if n := sys.Poll(events, -1); n != 0 {
		t.Fatalf("an edge with less than a third free: %v", events[:n])
	}
	s.Read(1)
	if n := sys.Poll(events, -1); n != 1 || events[0].Ready&Writable == 0 {
		t.Fatalf("no edge with a third free: %v", events[:n])
	}
	if n := sys.Poll(events, -1); n != 0 {
		t.Fatalf("the edge came twice: %v", events[:n])
	}
}

func TestSimEdgeIsReportedOnceAndAgainForNewBytes(t *testing.T) {
	net := NewSimNet(1)
	sys, _ := net.System(0)
	ls := net.Listen(netip.MustParseAddrPort("127.0.0.1:1883"))
	s := net.Dial(ls)
	s.Write([]byte("ab"))
	fd, _, _ := sys.Accept(ls.fd, false)
	if err := sys.Watch(fd, 7); err != nil {
		t.Fatal(err)
	}
	events := make([]Event, 8)
	if n := sys.Poll(events, 0); n != 1 || events[0].Ready != Readable|Writable {
		t.Fatalf("bytes before Watch: %v", events[:n])
	}
	if n := sys.Poll(events, 0); n != 0 {
		t.Fatalf("unread bytes made a second edge: %v", events[:n])
	}
	s.Write([]byte("c"))
	s.CloseWrite()
	if n := sys.Poll(events, 0); n != 1 || events[0].Ready != Readable|Writable|HungUp {
		t.Fatalf("new bytes and the end: %v", events[:n])
	}
	b := make([]byte, 8)
	if n, errno := sys.Read(fd, b); n != 3 || errno != 0 {
		t.Fatalf("read: %d, %v", n, errno)
	}
	if n, errno := sys.Read(fd, b); n != 0 || errno != 0 {
		t.Fatalf("read at the end: %d, %v", n, errno)
	}
	if !sys.PeerGone(fd) {
		t.Error("the peer is not gone")
	}
}

func TestSimEveryLoopAccepts(t *testing.T) {
	var accepted [3]int
	var handlers []Handler
	for i := range accepted {
		handlers = append(handlers, &handler{opened: func(*Conn) { accepted[i]++ }})
	}
	net, g, ls := simGroup(t, 3, handlers...)
	for range 60 {
		net.Dial(ls)
		turnAll(net, g)
	}
	for i, n := range accepted {
		if n < 5 {
			t.Errorf("loop %d accepted %d of 60 connections", i, n)
		}
	}
}

func TestSimResetIsAnError(t *testing.T) {
	var errs []error
	h := &handler{closed: func(_ *Conn, err error) { errs = append(errs, err) }}
	net, g, ls := simGroup(t, 1, h)
	s := net.Dial(ls)
	turnAll(net, g)
	s.Reset()
	turnAll(net, g)
	if len(errs) != 1 || errs[0] == nil || errs[0] == io.EOF {
		t.Errorf("closed with %v", errs)
	}
}

func TestSimIsDeterministic(t *testing.T) {
	script := func() string {
		var log bytes.Buffer
		var handlers []Handler
		for i := range 2 {
			handlers = append(handlers, &handler{data: func(c *Conn, b []byte, _ bool) (int, int) {
				fmt.Fprintf(&log, "%d:%d %v;", i, len(b), c.Remote())
				c.Append(b)
				return len(b), 0
			}})
		}
		net, g, ls := simGroup(t, 9, handlers...)
		net.Faults = SimFaults{SplitReads: true, ShortWrites: true}
		for range 20 {
			net.Dial(ls).Write(make([]byte, 500))
			turnAll(net, g)
		}
		return log.String()
	}
	if first, again := script(), script(); first != again {
		t.Errorf("the same seed went two ways:\n%s\n%s", first, again)
	}
}
