package loop

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

const sizeOfTimer = unsafe.Sizeof(Timer{})

// handler is a Handler made of functions; what is nil does nothing. Data echoes by default.
type handler struct {
	lost    int
	opened  func(*Conn)
	adopted func(*Conn, any)
	data    func(*Conn, []byte, bool) (int, int)
	drained func(*Conn)
	closed  func(*Conn, error)
	mail    func(int, Mail)
	expired func(*Timer)
}

func (h *handler) Opened(c *Conn) {
	if h.opened != nil {
		h.opened(c)
	}
}

func (h *handler) Lost(*Listener) { h.lost++ }

func (h *handler) Adopted(c *Conn, state any) {
	if h.adopted != nil {
		h.adopted(c, state)
	}
}

func (h *handler) Data(c *Conn, b []byte, owned bool) (int, int) {
	if h.data != nil {
		return h.data(c, b, owned)
	}
	c.Append(b)
	return len(b), 0
}

func (h *handler) Drained(c *Conn) {
	if h.drained != nil {
		h.drained(c)
	}
}

func (h *handler) Closed(c *Conn, err error) {
	if h.closed != nil {
		h.closed(c, err)
	}
}

func (h *handler) Mail(from int, m Mail) {
	if f, ok := m.Body.(func()); ok {
		f()
	} else if h.mail != nil {
		h.mail(from, m)
	}
}

func (h *handler) Expired(t *Timer) {
	if h.expired != nil {
		h.expired(t)
	}
}

func (h *handler) EndTurn() {}

// serve runs n loops with one handler each behind a listener and returns the group and its address.
func serve(t testing.TB, host string, handlers ...Handler) (*Group, string) {
	t.Helper()
	g, err := NewGroup(len(handlers), GroupOptions{})
	if err != nil {
		t.Fatal(err)
	}
	listeners, err := ListenTCP(host, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i, h := range handlers {
		g.Loop(i).SetHandler(h)
		for _, ls := range listeners {
			if err := g.Loop(i).Listen(ls); err != nil {
				t.Fatal(err)
			}
		}
	}
	g.Start()
	t.Cleanup(func() {
		g.Stop()
		for _, ls := range listeners {
			ls.Close()
		}
	})
	return g, listeners[0].Addr().String()
}

func dial(t testing.TB, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

// onLoop runs f on the loop's thread and waits for it.
func onLoop(t testing.TB, l *Loop, f func()) {
	t.Helper()
	done := make(chan struct{})
	if !l.Submit(Mail{Body: func() { f(); close(done) }}) {
		t.Fatal("Submit refused")
	}
	<-done
}

func echo(t *testing.T, c net.Conn, b []byte) {
	t.Helper()
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(b))
	if _, err := io.ReadFull(c, got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, b) {
		t.Fatalf("echo of %d bytes differs", len(b))
	}
}

func TestEchoOverBothFamilies(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		_, addr := serve(t, host, &handler{})
		c := dial(t, addr)
		for i := range 100 {
			echo(t, c, fmt.Appendf(nil, "message %d", i))
		}
	}
}

func TestPortInUseFails(t *testing.T) {
	listeners, err := ListenTCP("127.0.0.1", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer listeners[0].Close()
	_, err = ListenTCP("127.0.0.1", listeners[0].Addr().Port())
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Fatalf("second listener: %v, want EADDRINUSE", err)
	}
}

// TestPartialPacketsAreKept frames records of 4 bytes of length and a body, sent one byte at a time.
func TestPartialPacketsAreKept(t *testing.T) {
	_, addr := serve(t, "127.0.0.1", &handler{data: framed})
	c := dial(t, addr)
	_ = c.SetNoDelay(true)
	record := frame(bytes.Repeat([]byte("x"), 300))
	for i := range record {
		if _, err := c.Write(record[i : i+1]); err != nil {
			t.Fatal(err)
		}
	}
	got := make([]byte, len(record))
	if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, record) {
		t.Fatalf("record differs or %v", err)
	}
}

// TestLargePacketArrivesOwned checks that a packet beyond the read buffer comes as one owned array, and that what
// follows it is not lost.
func TestLargePacketArrivesOwned(t *testing.T) {
	var ownedSizes []int
	h := &handler{data: func(c *Conn, b []byte, owned bool) (int, int) {
		if owned {
			ownedSizes = append(ownedSizes, len(b))
		}
		return framed(c, b, owned)
	}}
	g, addr := serve(t, "127.0.0.1", h)
	c := dial(t, addr)
	large := frame(bytes.Repeat([]byte("abcdefgh"), 200_000))
	sent := append(append([]byte(nil), large...), frame([]byte("tail"))...)
	go func() { _, _ = c.Write(sent) }()
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("echo differs or %v", err)
	}
	onLoop(t, g.Loop(0), func() {
		if len(ownedSizes) != 1 || ownedSizes[0] != len(large) {
			t.Errorf("owned packets of %v bytes, want one of %d", ownedSizes, len(large))
		}
	})
}

// TestClaimedLengthCostsNothing has a client announce 256 MB and send 10 bytes.
func TestClaimedLengthCostsNothing(t *testing.T) {
	arrived := make(chan *Conn, 1)
	g, addr := serve(t, "127.0.0.1", &handler{data: func(c *Conn, b []byte, _ bool) (int, int) {
		if len(b) >= 10 {
			arrived <- c
		}
		return 0, 256 << 20
	}})
	c := dial(t, addr)
	if _, err := c.Write(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	conn := <-arrived
	onLoop(t, g.Loop(0), func() {
		if cap(conn.kept) > directStart {
			t.Errorf("10 bytes of a claimed 256 MB are kept in an array of %d", cap(conn.kept))
		}
	})
}

func frame(body []byte) []byte {
	n := len(body)
	return append([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, body...)
}

// framed echoes whole frames.
func framed(c *Conn, b []byte, _ bool) (used, need int) {
	for len(b)-used >= 4 {
		p := b[used:]
		total := 4 + int(p[0])<<24 + int(p[1])<<16 + int(p[2])<<8 + int(p[3])
		if len(p) < total {
			return used, total
		}
		c.Append(p[:total])
		used += total
	}
	return used, 0
}

// TestSlowReaderGetsEverything fills the socket of a client that reads late and checks every byte, and that Drained
// is called when it caught up.
func TestSlowReaderGetsEverything(t *testing.T) {
	const total = 8 << 20
	drained := make(chan int, 8)
	body := make([]byte, total)
	for i := range body {
		body[i] = byte(i * 7)
	}
	g, addr := serve(t, "127.0.0.1", &handler{
		data: func(c *Conn, b []byte, _ bool) (int, int) {
			c.Append(body[:total/2])
			copy(c.Reserve(total/4), body[total/2:])
			c.AppendRef(body[total*3/4:], noRef{})
			c.WantDrain()
			return len(b), 0
		},
		drained: func(c *Conn) { drained <- c.Unsent() },
	})
	c := dial(t, addr)
	if _, err := c.Write([]byte("go")); err != nil {
		t.Fatal(err)
	}
	// The loop has met EAGAIN when it has come round to this call after the write.
	onLoop(t, g.Loop(0), func() {})
	got := make([]byte, total)
	if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, body) {
		t.Fatalf("bytes differ or %v", err)
	}
	if left := <-drained; left != 0 {
		t.Fatalf("Drained with %d bytes unsent", left)
	}
}

type noRef struct{}

func (noRef) Release() {}

type countedRef struct{ released *int }

func (r countedRef) Release() { *r.released++ }

func TestReferenceIsReleasedOnceAlsoWhenDropped(t *testing.T) {
	released := 0
	closed := make(chan error, 2)
	h := &handler{
		data: func(c *Conn, b []byte, _ bool) (int, int) {
			c.AppendRef(make([]byte, 64<<20), countedRef{&released}) // more than the socket takes
			if b[0] == 'a' {
				c.Abort()
			}
			return len(b), 0
		},
		closed: func(_ *Conn, err error) { closed <- err },
	}
	g, addr := serve(t, "127.0.0.1", h)
	for _, first := range []string{"a", "b"} {
		c := dial(t, addr)
		if _, err := c.Write([]byte(first)); err != nil {
			t.Fatal(err)
		}
		onLoop(t, g.Loop(0), func() {})
		c.Close()
		<-closed
	}
	onLoop(t, g.Loop(0), func() {
		if released != 2 {
			t.Errorf("released %d times, want 2", released)
		}
	})
}

func TestHalfClosedPeerGetsItsAnswer(t *testing.T) {
	closed := make(chan error, 1)
	_, addr := serve(t, "127.0.0.1", &handler{closed: func(_ *Conn, err error) { closed <- err }})
	c := dial(t, addr)
	if _, err := c.Write([]byte("last words")); err != nil {
		t.Fatal(err)
	}
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(c)
	if err != nil || string(got) != "last words" {
		t.Fatalf("got %q, %v", got, err)
	}
	if err := <-closed; !errors.Is(err, io.EOF) {
		t.Fatalf("Closed with %v, want io.EOF", err)
	}
}

// TestHandoverKeepsEveryByte moves each connection to the other loop in the middle of its first bytes.
func TestHandoverKeepsEveryByte(t *testing.T) {
	var mu sync.Mutex
	states := map[any]int{}
	mover := func(c *Conn, b []byte, _ bool) (int, int) {
		if b[0] == 'm' {
			if len(b) < 2 {
				return 0, 0
			}
			c.Handover(1-c.Loop().ID(), "moved")
			return 1, 0
		}
		c.Append(b)
		return len(b), 0
	}
	adopted := func(_ *Conn, state any) {
		mu.Lock()
		states[state]++
		mu.Unlock()
	}
	_, addr := serve(t, "127.0.0.1", &handler{data: mover, adopted: adopted}, &handler{data: mover, adopted: adopted})
	for range 20 {
		c := dial(t, addr)
		if _, err := c.Write([]byte("mhello")); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 5)
		if _, err := io.ReadFull(c, got); err != nil || string(got) != "hello" {
			t.Fatalf("got %q, %v", got, err)
		}
		echo(t, c, []byte("again"))
	}
	mu.Lock()
	defer mu.Unlock()
	if states["moved"] != 20 {
		t.Fatalf("adopted %v, want 20 with the state", states)
	}
}

// TestPausedConnectionIsNotRead pauses after the first bytes and checks that the rest comes on Resume, kept bytes
// first.
func TestPausedConnectionIsNotRead(t *testing.T) {
	first := make(chan *Conn, 1)
	paused := true
	g, addr := serve(t, "127.0.0.1", &handler{data: func(c *Conn, b []byte, _ bool) (int, int) {
		if paused {
			c.Pause()
			first <- c
			return 1, 0
		}
		c.Append(b)
		return len(b), 0
	}})
	c := dial(t, addr)
	if _, err := c.Write([]byte("abc")); err != nil {
		t.Fatal(err)
	}
	conn := <-first
	if _, err := c.Write([]byte("def")); err != nil {
		t.Fatal(err)
	}
	onLoop(t, g.Loop(0), func() {})
	onLoop(t, g.Loop(0), func() {
		paused = false
		conn.Resume()
	})
	got := make([]byte, 5)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "bcdef" {
		t.Fatalf("got %q, %v", got, err)
	}
}

// TestIdleLoopSleeps checks that a loop without work takes no turns but those it is asked for.
func TestIdleLoopSleeps(t *testing.T) {
	g, addr := serve(t, "127.0.0.1", &handler{})
	c := dial(t, addr)
	echo(t, c, []byte("x"))
	l := g.Loop(0)
	onLoop(t, l, func() {})
	onLoop(t, l, func() {})
	before := l.Stats().Turns
	idle := time.NewTimer(300 * time.Millisecond) // the time in which nothing may happen
	<-idle.C
	if after := l.Stats().Turns; after > before+2 { // what was under way when the count was read
		t.Fatalf("an idle loop took %d turns", after-before)
	}
}

func TestTimersFire(t *testing.T) {
	fired := make(chan uint32, 2)
	g, _ := serve(t, "127.0.0.1", &handler{expired: func(tm *Timer) { fired <- tm.Key }})
	var a, b Timer
	a.Key, b.Key = 1, 2
	l := g.Loop(0)
	onLoop(t, l, func() {
		l.Arm(&b, l.Now()+int64(200*time.Millisecond))
		l.Arm(&a, l.Now()+1)
	})
	if x, y := <-fired, <-fired; x != 1 || y != 2 {
		t.Fatalf("fired %d, %d", x, y)
	}
}

func TestPostReachesOtherLoopsInOrder(t *testing.T) {
	const n = 3 * ringSlots
	got := make(chan uint32, n)
	g, _ := serve(t, "127.0.0.1", &handler{}, &handler{mail: func(from int, m Mail) { got <- m.Arg }})
	l := g.Loop(0)
	onLoop(t, l, func() {
		for i := range n {
			l.Post(1, Mail{Kind: 1, Arg: uint32(i)})
		}
	})
	for i := range n {
		if arg := <-got; arg != uint32(i) {
			t.Fatalf("mail %d arrived in place of %d", arg, i)
		}
	}
	if l.Stats().Spills == 0 {
		t.Fatal("the ring never spilled: the test did not test it")
	}
}

func TestSubmitIsRefusedAfterStop(t *testing.T) {
	g, err := NewGroup(1, GroupOptions{})
	if err != nil {
		t.Fatal(err)
	}
	g.Loop(0).SetHandler(&handler{})
	g.Start()
	g.Stop()
	if g.Loop(0).Submit(Mail{}) {
		t.Fatal("Submit to a stopped loop was accepted")
	}
}

func TestSubmitIsBounded(t *testing.T) {
	g, err := NewGroup(1, GroupOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range inboxMax {
		if !g.Loop(0).Submit(Mail{}) {
			t.Fatalf("refused at %d of %d", i, inboxMax)
		}
	}
	if g.Loop(0).Submit(Mail{}) {
		t.Fatal("the inbox has no bound")
	}
}

// TestReadAndWriteTurnAllocatesNothing drives one loop by hand over a real socket.
func TestReadAndWriteTurnAllocatesNothing(t *testing.T) {
	g, err := NewGroup(1, GroupOptions{})
	if err != nil {
		t.Fatal(err)
	}
	l := g.Loop(0)
	l.SetHandler(&handler{})
	listeners, err := ListenTCP("127.0.0.1", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer listeners[0].Close()
	if err := l.Listen(listeners[0]); err != nil {
		t.Fatal(err)
	}
	raw := dialRaw(t, listeners[0].Addr().Port())
	defer syscall.Close(raw)
	b := make([]byte, 128)
	turn := func() {
		if _, err := syscall.Write(raw, b); err != nil {
			t.Fatal(err)
		}
		for n := 0; n < len(b); {
			l.Turn(true)
			if k, err := syscall.Read(raw, b); err == nil {
				n += k
			}
		}
	}
	for range 10 {
		turn()
	}
	if got := testing.AllocsPerRun(200, turn); got != 0 {
		t.Fatalf("%v allocations for each echo, want none", got)
	}
}

// dialRaw connects a non-blocking socket that no runtime poller watches.
func dialRaw(t testing.TB, port uint16) int {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Connect(fd, &syscall.SockaddrInet4{Port: int(port), Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	return fd
}

func TestConnIsSmall(t *testing.T) {
	if got := unsafe.Sizeof(Conn{}); got > 160 {
		t.Fatalf("a Conn takes %d bytes, at most 160", got)
	}
}
