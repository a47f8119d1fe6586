package loop

import (
	"net/netip"
	"syscall"
)

// System is what a loop asks of the operating system. There are two: the real one (system_linux.go), one for each
// loop, and the simulated one (sim.go). What each method must guarantee:
//
//	Poll      fills events with what became ready, waiting at most timeout ns (0: not at all, <0: without end)
//	Wake      makes a waiting Poll return, or the next one; any thread
//	Watch     reports fd's edges (readable, writable, hung up) under token from now on, beginning with what is ready
//	WatchAccept reports fd's pending connections, to one of the loops that watch it
//	Forget    ends Watch or WatchAccept
//	Accept    takes one connection, non-blocking; EAGAIN: none; EMFILE: one was turned away for lack of descriptors
//	Read, Write, Writev, Close as the system calls, never blocking
//	PeerGone  reports that the peer closed or reset fd and that everything it sent has been read
//	Now       monotonic nanoseconds, never 0
type System interface {
	Poll(events []Event, timeout int64) int
	Wake()
	Watch(fd int32, token uint64) error
	WatchAccept(fd int32, token uint64) error
	Forget(fd int32)
	Accept(fd int32, noDelay bool) (int32, netip.AddrPort, syscall.Errno)
	Read(fd int32, b []byte) (int, syscall.Errno)
	Write(fd int32, b []byte) (int, syscall.Errno)
	Writev(fd int32, bufs [][]byte) (int, syscall.Errno)
	Close(fd int32)
	PeerGone(fd int32) bool
	Now() int64
}

// Event is one ready descriptor.
type Event struct {
	Token uint64
	Ready Ready
}

// Ready says what an event reports.
type Ready uint8

// What an event can report.
const (
	Readable Ready = 1 << iota
	Writable
	HungUp // the peer closed, or the socket has an error: read until it says so
	Gone   // with HungUp: nothing can be sent to the peer either
)

// wakeToken is reported by Poll for Wake; it belongs to no connection.
const wakeToken = ^uint64(0)

// acceptBit marks tokens of listeners.
const acceptBit = uint64(1) << 63
