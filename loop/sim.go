package loop

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"syscall"
)

// SimNet is the simulated operating system of one group: descriptors, listeners, a clock, and the client ends that
// talk to the loops. Deterministic: what happens depends on the seed and on the order of calls only. Everything,
// the loops' turns included, runs on one goroutine, the driver's; Poll never blocks.
//
// Bytes of a client travel over a wire first, so that they arrive in pieces and while a loop is in the middle of a
// turn. A socket's edges are epoll's: on bytes or an end that arrive, on room after a refused or short write, and on
// Watch when it is ready; what is reported is the state at the time of Poll.
type SimNet struct {
	Clock  SimClock
	Faults SimFaults
	// Yield, when set, is called inside a loop's system calls: the driver may run turns of other loops there.
	Yield func(loop int)

	rng       *rand.Rand
	systems   []*simSystem
	listeners []*simListener
	sockets   []*SimSocket
}

// SimFaults is what a SimNet does beyond moving bytes. The zero value is a perfect network.
type SimFaults struct {
	// SplitReads lets bytes arrive in pieces of random size, at random times.
	SplitReads bool
	// ShortWrites lets the kernel take less than was offered.
	ShortWrites bool
}

// SimClock is the time of all loops of a SimNet, moved by the driver.
type SimClock struct{ now int64 }

// Now returns nanoseconds, never 0.
func (c *SimClock) Now() int64 { return c.now + 1 }

// Advance moves the time on by d nanoseconds.
func (c *SimClock) Advance(d int64) { c.now += d }

// Virtual descriptors lie above those that a process can have: closing one by mistake harms nothing.
const (
	simListenerBase = 1 << 28
	simSocketBase   = 1 << 29
)

// simWindow is how many bytes a client end takes before it reads, unless SetWindow says otherwise.
const simWindow = 64 << 10

// NewSimNet makes a network whose faults come from seed.
func NewSimNet(seed uint64) *SimNet {
	return &SimNet{rng: rand.New(rand.NewPCG(seed, 0x51a7))}
}

// System makes the operating system of loop i, for GroupOptions.
func (n *SimNet) System(i int) (System, error) {
	s := &simSystem{net: n, loop: i}
	n.systems = append(n.systems, s)
	return s, nil
}

// Handler returns the loop's handler, so that a driver can put one of its own in front of it.
func (l *Loop) Handler() Handler { return l.handler }

// simListener is the kernel's side of a listener.
type simListener struct {
	addr     netip.AddrPort
	pending  []*SimSocket // not accepted, oldest first
	watchers []watch
}

type watch struct {
	system *simSystem
	token  uint64
}

// Listen makes a listener without a socket. Do not Close it.
func (n *SimNet) Listen(addr netip.AddrPort) *Listener {
	fd := int32(simListenerBase + len(n.listeners))
	n.listeners = append(n.listeners, &simListener{addr: addr})
	return &Listener{fd: fd, addr: addr}
}

// Dial connects a client end to a listener. One of the loops that watch it is chosen to be woken, as EPOLLEXCLUSIVE
// does; another one that happens to poll may be faster.
func (n *SimNet) Dial(to *Listener) *SimSocket {
	ls := n.listeners[to.fd-simListenerBase]
	number := len(n.sockets)
	host := netip.AddrFrom4([4]byte{10, byte(number >> 24), byte(number >> 16), byte(number >> 8)})
	remote := netip.AddrPortFrom(host, 1024+uint16(number&0xff))
	s := &SimSocket{net: n, fd: int32(simSocketBase + number), remote: remote, window: simWindow}
	n.sockets = append(n.sockets, s)
	if len(ls.watchers) > 0 {
		s.system = ls.watchers[n.rng.IntN(len(ls.watchers))].system
	}
	ls.pending = append(ls.pending, s)
	return s
}

// Busy reports whether anything travels: bytes on a wire, a connection to accept, or an edge that no Poll reported.
func (n *SimNet) Busy() bool {
	for _, ls := range n.listeners {
		if len(ls.pending) > 0 && len(ls.watchers) > 0 {
			return true
		}
	}
	for _, s := range n.systems {
		if len(s.edges)+len(s.wired) > 0 {
			return true
		}
	}
	return false
}

// Open returns how many accepted or waiting sockets the server has not closed.
func (n *SimNet) Open() int {
	open := 0
	for _, s := range n.sockets {
		if s != nil && !s.closed {
			open++
		}
	}
	return open
}

// SimSocket is one connection. Its methods are the client's end; the fields are both ends' kernel state.
type SimSocket struct {
	net    *SimNet
	fd     int32
	remote netip.AddrPort

	// To the server.
	wire    []byte // sent, not arrived
	in      []byte // arrived, not read
	fin     bool   // the client sends no more; it arrives behind the wire
	eof     bool   // fin arrived
	reset   bool   // the connection is gone
	refused bool   // the server was told of the reset
	// To the client.
	out     []byte // written, not read
	window  int
	noSpace bool // the server found no room: room again is an edge

	system  *simSystem // that watches it, or is to accept it
	token   uint64
	watched bool
	edge    bool // in the system's edges
	wired   bool // in the system's wired
	closed  bool // by the server
}

// Remote returns the client's address, as the server sees it.
func (s *SimSocket) Remote() netip.AddrPort { return s.remote }

// SetWindow sets how many bytes the client takes before it reads: a small one makes a slow client, and one that never
// reads a dead one.
func (s *SimSocket) SetWindow(bytes int) {
	s.window = bytes
	s.opened()
}

// Write sends bytes to the server; they are copied.
func (s *SimSocket) Write(b []byte) {
	if s.fin || s.reset || s.closed {
		return
	}
	s.wire = append(s.wire, b...)
	s.travel()
}

// Untaken returns how many sent bytes the server has not read.
func (s *SimSocket) Untaken() int { return len(s.wire) + len(s.in) }

// Read takes at most n of the bytes that the server sent; the result is the caller's.
func (s *SimSocket) Read(n int) []byte {
	n = min(n, len(s.out))
	b := append([]byte(nil), s.out[:n]...)
	s.out = append(s.out[:0], s.out[n:]...)
	s.opened()
	return b
}

// Ended reports that the server has closed and everything it sent was read.
func (s *SimSocket) Ended() bool { return s.closed && len(s.out) == 0 }

// CloseWrite ends the client's direction behind what it has sent.
func (s *SimSocket) CloseWrite() {
	if s.fin || s.reset || s.closed {
		return
	}
	s.fin = true
	s.travel()
}

// Close ends the connection behind what the client has sent; what the server sends from now on is lost.
func (s *SimSocket) Close() {
	s.CloseWrite()
	s.out = nil
	s.window = 1 << 30
	s.opened()
}

// Reset ends the connection at once. What is on the wire is lost, what arrived can still be read.
func (s *SimSocket) Reset() {
	if s.reset || s.closed {
		return
	}
	s.reset = true
	s.wire, s.out = nil, nil
	s.raise()
}

// opened raises the edge that a refused writer waits for; a third of the window is enough, as in Linux.
func (s *SimSocket) opened() {
	if s.noSpace && s.writable() {
		s.noSpace = false
		s.raise()
	}
}

func (s *SimSocket) writable() bool { return s.reset || 3*(s.window-len(s.out)) >= s.window }

// travel lists the socket as one with something on the wire.
func (s *SimSocket) travel() {
	if s.watched && !s.wired && (len(s.wire) > 0 || s.fin && !s.eof) {
		s.wired = true
		s.system.wired = append(s.system.wired, s)
	}
}

// arrive brings bytes from the wire: all, or with faults some.
func (s *SimSocket) arrive() {
	n := len(s.wire)
	if s.net.Faults.SplitReads && n > 0 {
		switch s.net.rng.IntN(4) {
		case 0:
			n = 1 + s.net.rng.IntN(n)
		case 1:
			n = min(n, 1+s.net.rng.IntN(8))
		}
	}
	s.in = append(s.in, s.wire[:n]...)
	s.wire = append(s.wire[:0], s.wire[n:]...)
	if s.fin && len(s.wire) == 0 && (!s.net.Faults.SplitReads || n == 0 || s.net.rng.IntN(2) == 0) {
		s.eof = true
	}
	s.raise()
}

// raise makes an edge for the loop that watches.
func (s *SimSocket) raise() {
	if s.watched && !s.edge {
		s.edge = true
		s.system.edges = append(s.system.edges, s)
	}
}

// state is what poll(2) would say.
func (s *SimSocket) state() (r Ready) {
	if len(s.in) > 0 || s.eof || s.reset {
		r |= Readable
	}
	if s.writable() {
		r |= Writable
	} else {
		s.noSpace = true
	}
	if s.eof || s.reset {
		r |= HungUp
	}
	if s.reset {
		r |= Gone
	}
	return r
}

// simSystem is one loop's share of a SimNet.
type simSystem struct {
	net   *SimNet
	loop  int
	edges []*SimSocket // to report, in the order raised
	wired []*SimSocket // with bytes or an end on the wire
}

func (s *simSystem) yield() {
	if s.net.Yield != nil {
		s.net.Yield(s.loop)
	}
}

// Wake implements System. There is nothing to wake: the driver decides whose turn it is.
func (s *simSystem) Wake() {}

// Now implements System.
func (s *simSystem) Now() int64 { return s.net.Clock.Now() }

// Poll implements System. It does not wait.
func (s *simSystem) Poll(events []Event, _ int64) int {
	s.bring()
	n := s.pollListeners(events)
	i := 0
	for ; i < len(s.edges) && n < len(events); i++ {
		k := s.edges[i]
		k.edge = false
		if r := k.state(); r != 0 {
			events[n] = Event{Token: k.token, Ready: r}
			n++
		}
	}
	s.edges = append(s.edges[:0], s.edges[i:]...)
	return n
}

// bring lets what is on the wires arrive.
func (s *simSystem) bring() {
	kept := s.wired[:0]
	for _, k := range s.wired {
		if !s.net.Faults.SplitReads || s.net.rng.IntN(4) != 0 {
			k.arrive()
		}
		if k.wired = len(k.wire) > 0 || k.fin && !k.eof; k.wired {
			kept = append(kept, k)
		}
	}
	s.wired = kept
}

// pollListeners reports listeners with a connection for this loop, or, less often, with one for another loop.
func (s *simSystem) pollListeners(events []Event) (n int) {
	for _, ls := range s.net.listeners {
		i := slices.IndexFunc(ls.watchers, func(w watch) bool { return w.system == s })
		if i < 0 || len(ls.pending) == 0 || n == len(events) {
			continue
		}
		mine := slices.ContainsFunc(ls.pending, func(k *SimSocket) bool { return k.system == s || k.system == nil })
		if mine || s.net.rng.IntN(8) == 0 {
			events[n] = Event{Token: ls.watchers[i].token, Ready: Readable}
			n++
		}
	}
	return n
}

// Watch implements System.
func (s *simSystem) Watch(fd int32, token uint64) error {
	k := s.socket(fd)
	if k == nil {
		return syscall.EBADF
	}
	if k.watched && k.system == s {
		return syscall.EEXIST
	}
	k.system, k.token, k.watched = s, token, true
	if k.state() != 0 {
		k.raise()
	}
	k.travel()
	return nil
}

// WatchAccept implements System.
func (s *simSystem) WatchAccept(fd int32, token uint64) error {
	ls := s.net.listeners[fd-simListenerBase]
	ls.watchers = append(ls.watchers, watch{s, token})
	return nil
}

// Forget implements System.
func (s *simSystem) Forget(fd int32) {
	if fd < simSocketBase {
		s.forgetListener(s.net.listeners[fd-simListenerBase])
		return
	}
	if k := s.socket(fd); k != nil && k.system == s {
		k.unwatch()
	}
}

// forgetListener ends a loop's watch; the connections that were meant for it are anyone's.
func (s *simSystem) forgetListener(ls *simListener) {
	ls.watchers = slices.DeleteFunc(ls.watchers, func(w watch) bool { return w.system == s })
	for _, k := range ls.pending {
		if k.system == s {
			k.system = nil
		}
	}
}

func (s *SimSocket) unwatch() {
	if !s.watched {
		return
	}
	same := func(k *SimSocket) bool { return k == s }
	if s.edge {
		s.system.edges = slices.DeleteFunc(s.system.edges, same)
	}
	if s.wired {
		s.system.wired = slices.DeleteFunc(s.system.wired, same)
	}
	s.watched, s.edge, s.wired, s.system = false, false, false, nil
}

// socket returns the open socket of a descriptor, nil when there is none.
func (s *simSystem) socket(fd int32) *SimSocket {
	i := int(fd - simSocketBase)
	if i < 0 || i >= len(s.net.sockets) {
		return nil
	}
	return s.net.sockets[i]
}

// Accept implements System.
func (s *simSystem) Accept(fd int32, _ bool) (int32, netip.AddrPort, syscall.Errno) {
	s.yield()
	ls := s.net.listeners[fd-simListenerBase]
	if len(ls.pending) == 0 {
		return -1, netip.AddrPort{}, syscall.EAGAIN
	}
	k := ls.pending[0]
	ls.pending = append(ls.pending[:0], ls.pending[1:]...)
	k.system = nil
	return k.fd, k.remote, 0
}

// PeerGone implements System.
func (s *simSystem) PeerGone(fd int32) bool {
	k := s.socket(fd)
	return k != nil && len(k.in) == 0 && (k.eof || k.reset)
}

// Read implements System. More may arrive between the event and the read; the edge for it comes again.
func (s *simSystem) Read(fd int32, b []byte) (int, syscall.Errno) {
	s.yield()
	k := s.socket(fd)
	if k == nil {
		return 0, syscall.EBADF
	}
	if s.net.Faults.SplitReads && k.wired && s.net.rng.IntN(4) == 0 {
		k.arrive()
	}
	switch {
	case len(k.in) > 0:
		n := copy(b, k.in)
		k.in = append(k.in[:0], k.in[n:]...)
		return n, 0
	case k.reset && !k.refused:
		k.refused = true
		return 0, syscall.ECONNRESET
	case k.eof, k.reset:
		return 0, 0
	}
	return 0, syscall.EAGAIN
}

// Write implements System.
func (s *simSystem) Write(fd int32, b []byte) (int, syscall.Errno) {
	s.yield()
	k := s.socket(fd)
	switch {
	case k == nil:
		return 0, syscall.EBADF
	case k.reset && !k.refused:
		k.refused = true
		return 0, syscall.ECONNRESET
	case k.reset:
		return 0, syscall.EPIPE
	}
	room := k.window - len(k.out)
	if room <= 0 {
		k.noSpace = true
		return 0, syscall.EAGAIN
	}
	n := min(len(b), room)
	if s.net.Faults.ShortWrites && n > 1 && s.net.rng.IntN(4) == 0 {
		n = 1 + s.net.rng.IntN(n)
	}
	if n < len(b) && n == room {
		k.noSpace = true
	}
	k.out = append(k.out, b[:n]...)
	return n, 0
}

// Writev implements System.
func (s *simSystem) Writev(fd int32, bufs [][]byte) (int, syscall.Errno) {
	return s.Write(fd, slices.Concat(bufs...))
}

// Close implements System.
func (s *simSystem) Close(fd int32) {
	if k := s.socket(fd); k != nil {
		k.unwatch()
		k.closed = true
		k.wire, k.in = nil, nil
		s.net.sockets[fd-simSocketBase] = nil
	}
}
