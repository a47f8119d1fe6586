package loop

import (
	"io"
	"net/netip"
	"syscall"
)

// Conn is one connection. It lives in the slab of its loop and is used on that loop's thread only. An idle one holds
// no buffer.
type Conn struct {
	// Tag is the handler's: the index of its own record.
	Tag uint32

	fd       int32
	index    uint32
	gen      uint32
	flags    connFlags
	need     int32 // size of the packet that kept begins, when known
	loop     *Loop
	listener *Listener
	remote   netip.AddrPort

	// kept is the start of a packet that has not arrived whole. Owned.
	kept []byte
	out  output
	wire *wire // nil for a plain connection
	// ending is set while the connection closes or moves.
	ending *ending
}

type connFlags uint16

const (
	flagDirty   connFlags = 1 << iota // in the loop's flush list
	flagReady                         // in the loop's ready list
	flagBlocked                       // the kernel took no more output; an edge will come
	flagPaused                        // the handler wants no data
	flagUnread                        // there may be bytes to read without a new edge
	flagRefeed                        // kept holds bytes the handler has not seen since Resume
	flagHungUp                        // read until the end
	flagGone                          // the peer is not there any more
	flagDrain                         // call Drained when the output is empty
	flagClosing                       // Data is not called any more; in the loop's closing list
	flagMoving                        // Handover was called
	flagFree                          // the slot is unused
)

// ending says how a connection goes.
type ending struct {
	err      error
	deadline int64 // until when to go on writing; 0: only the flush of this turn
	abort    bool
	to       int // Handover
	state    any
}

// Loop returns the loop the connection lives on.
func (c *Conn) Loop() *Loop { return c.loop }

// Listener returns where the connection was accepted.
func (c *Conn) Listener() *Listener { return c.listener }

// Remote returns the peer's address.
func (c *Conn) Remote() netip.AddrPort { return c.remote }

// PeerGone asks the kernel whether the peer has closed and sent nothing that is still to be read. One system call.
func (c *Conn) PeerGone() bool { return c.loop.sys.PeerGone(c.fd) }

// Partial returns how many bytes of a packet that has not come whole are here, and how many it has.
func (c *Conn) Partial() (have, need int) { return len(c.kept), int(c.need) }

func (c *Conn) token() uint64 { return uint64(c.gen&0x7fffffff)<<32 | uint64(c.index) }

// Pause stops reading; what has been read and not used is kept. A peer that closes its side is not noticed until
// Resume, because what it sent before is still to be read; one that is gone altogether ends the connection.
func (c *Conn) Pause() {
	c.flags |= flagPaused
	if c.flags&(flagGone|flagClosing) == flagGone {
		c.end(&ending{err: syscall.ECONNRESET})
	}
}

// Resume reads on, beginning with what was kept.
func (c *Conn) Resume() {
	if c.flags&flagPaused == 0 || c.flags&(flagClosing|flagMoving) != 0 {
		return
	}
	c.flags &^= flagPaused
	c.flags |= flagRefeed | flagUnread
	c.loop.makeReady(c)
}

// Close flushes once, at the end of the turn, and closes; output that the kernel does not take then is dropped.
func (c *Conn) Close() { c.end(&ending{}) }

// CloseAfterFlush closes when the output is empty, at the latest at deadline (nanoseconds of Loop.Now).
func (c *Conn) CloseAfterFlush(deadline int64) { c.end(&ending{deadline: deadline}) }

// Abort closes without flushing.
func (c *Conn) Abort() { c.end(&ending{abort: true}) }

// end marks the connection as closing. Data is not called again; Closed comes at the end of the turn, or later with a
// deadline. A later call in the same turn replaces an earlier one.
func (c *Conn) end(e *ending) {
	if c.flags&(flagMoving|flagFree) != 0 {
		return
	}
	c.ending = e
	if c.flags&flagClosing == 0 {
		c.flags |= flagClosing
		c.loop.closing = append(c.loop.closing, c)
		if c.wire != nil && !e.abort {
			c.loop.makeDirty(c) // the layers say so
		}
	}
}

// Handover moves the connection to another loop with the bytes Data has not used; there it begins with Adopted. Only
// from inside Data. Closed is not called here, and the output must be empty.
func (c *Conn) Handover(to int, state any) {
	c.flags |= flagMoving
	c.ending = &ending{to: to, state: state}
}

// read handles a connection that may have bytes: at most one buffer of them, then it goes to the ready list.
func (l *Loop) read(c *Conn) {
	if c.flags&(flagClosing|flagPaused|flagFree) != 0 {
		return // Resume comes back; an edge that is missed here leaves flagUnread
	}
	if c.flags&flagRefeed != 0 {
		c.flags &^= flagRefeed
		if kept := c.kept; len(kept) > 0 {
			c.kept = nil
			l.feed(c, kept, false)
			l.freeKept(kept)
			c.endIfFailed()
			if c.flags&(flagClosing|flagPaused|flagMoving|flagFree) != 0 {
				return
			}
		}
	}
	if c.wire != nil {
		l.readLayers(c)
		return
	}
	if int(c.need) > directBytes {
		l.readDirect(c)
		return
	}
	n := copy(l.buf, c.kept)
	got, errno := l.sys.Read(c.fd, l.buf[n:])
	l.stats.reads.own++
	if !l.readResult(c, got, errno) {
		return
	}
	more := n+got == len(l.buf) || c.flags&flagHungUp != 0
	if kept := c.kept; kept != nil {
		c.kept = nil
		l.freeKept(kept)
	}
	l.feed(c, l.buf[:n+got], false)
	l.readOn(c, more)
}

// readOn decides whether a connection is read again in the next turn without an edge.
func (l *Loop) readOn(c *Conn, more bool) {
	if c.flags&(flagClosing|flagMoving|flagFree) != 0 {
		return
	}
	if !more {
		c.flags &^= flagUnread
		return
	}
	c.flags |= flagUnread
	if c.flags&flagPaused == 0 {
		l.makeReady(c)
	}
}

// readResult sorts out what a read returned and reports whether there are bytes to handle.
func (l *Loop) readResult(c *Conn, n int, errno syscall.Errno) bool {
	switch {
	case n > 0:
		l.stats.bytesIn.own += uint64(n)
		return true
	case errno == syscall.EAGAIN:
		c.flags &^= flagUnread
		if c.flags&flagHungUp != 0 {
			c.end(&ending{err: io.EOF})
		}
	case errno == syscall.EINTR:
		l.readOn(c, true)
	case errno == 0:
		c.end(&ending{err: io.EOF})
	default:
		c.end(&ending{err: errno})
	}
	return false
}

// readDirect reads a large packet into its own array, which grows with what arrives: a claimed length costs nothing.
func (l *Loop) readDirect(c *Conn) {
	need := int(c.need)
	for range directReads {
		if len(c.kept) == cap(c.kept) {
			grown := append(TakeArray(min(need, max(directStart, 4*len(c.kept)))), c.kept...)
			l.freeKept(c.kept)
			c.kept = grown
		}
		room := c.kept[len(c.kept):min(cap(c.kept), need)]
		n, errno := l.sys.Read(c.fd, room)
		l.stats.reads.own++
		if !l.readResult(c, n, errno) {
			return
		}
		c.kept = c.kept[:len(c.kept)+n]
		if len(c.kept) == need {
			packet := c.kept
			c.kept, c.need = nil, 0
			l.feed(c, packet, true)
			break
		}
		if n < len(room) {
			l.readOn(c, c.flags&flagHungUp != 0)
			return
		}
	}
	l.readOn(c, true)
}

// feed gives bytes to the handler and keeps what it does not use.
func (l *Loop) feed(c *Conn, b []byte, owned bool) {
	used, need := l.handler.Data(c, b, owned)
	rest := b[used:]
	if c.flags&flagMoving != 0 {
		l.move(c, rest)
		return
	}
	if c.flags&flagClosing != 0 {
		return
	}
	c.need = int32(need)
	if len(rest) > 0 {
		c.kept = l.keep(rest, need)
	}
}

// keptClasses are the sizes of arrays for partial packets that a loop reuses: 64 bytes to directBytes.
const keptClasses = 9

// keptEach is how many arrays of each class a loop keeps unused.
const keptEach = 64

// keep copies rest into an array of its own.
func (l *Loop) keep(rest []byte, need int) []byte {
	if need > directBytes || len(rest) > directBytes {
		return append(TakeArray(max(len(rest), min(need, max(directStart, 4*len(rest))))), rest...)
	}
	class := 0
	for 64<<class < len(rest) {
		class++
	}
	if free := l.keptFree[class]; len(free) > 0 {
		b := free[len(free)-1]
		l.keptFree[class] = free[:len(free)-1]
		return append(b, rest...)
	}
	return append(make([]byte, 0, 64<<class), rest...)
}

// freeKept takes an array of keep back.
func (l *Loop) freeKept(b []byte) {
	for class := range keptClasses {
		if cap(b) == 64<<class && len(l.keptFree[class]) < keptEach {
			l.keptFree[class] = append(l.keptFree[class], b[:0])
			return
		}
	}
	GiveArray(b)
}
