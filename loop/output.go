package loop

import "syscall"

// Ref is a counted payload that is sent by reference. Release is called once, on the loop's thread, when it has been
// sent or dropped.
type Ref interface{ Release() }

// output is what waits to be sent on one connection: a list of nodes, each a pooled chunk, an array of its own, or a
// reference. Its bound is the handler's, by Unsent.
type output struct {
	first, last *node
	unsent      uint32 // bytes; the handler stops long before it overflows, at twice its largest bound and a packet
	noted       uint32 // of unsent, what the loop's count has
}

// node is one piece of output: b[sent:] is to be sent, b[len(b):cap(b)] may be filled unless it is a reference.
type node struct {
	next   *node
	b      []byte
	sent   int
	ref    Ref
	pooled bool // b is a chunk of the pool
}

// Unsent returns the bytes that have not been given to the kernel.
func (c *Conn) Unsent() int {
	if c.wire != nil {
		return int(c.out.unsent + c.wire.raw.unsent)
	}
	return int(c.out.unsent)
}

// WantDrain asks for one call of Drained when Unsent has fallen to zero.
func (c *Conn) WantDrain() {
	c.flags |= flagDrain
	if c.Unsent() == 0 {
		c.loop.makeDirty(c)
	}
}

// Append copies b to the output.
func (c *Conn) Append(b []byte) {
	c.loop.makeDirty(c)
	c.loop.appendTo(&c.out, b)
}

// Reserve returns n contiguous bytes of output, to be filled before the next call.
func (c *Conn) Reserve(n int) []byte {
	c.loop.makeDirty(c)
	c.out.unsent += uint32(n)
	last := c.out.last
	if last == nil || last.ref != nil || cap(last.b)-len(last.b) < n {
		if n > chunkBytes {
			last = &node{b: make([]byte, 0, n)}
		} else {
			last = c.loop.chunk()
		}
		c.out.append(last)
	}
	at := len(last.b)
	last.b = last.b[:at+n]
	return last.b[at : at+n : at+n]
}

// AppendRef adds b by reference; b must not change until r is released.
func (c *Conn) AppendRef(b []byte, r Ref) {
	c.loop.makeDirty(c)
	c.out.unsent += uint32(len(b))
	n := c.loop.refNode()
	n.b, n.ref = b, r
	c.out.append(n)
}

func (o *output) append(n *node) {
	if o.last == nil {
		o.first = n
	} else {
		o.last.next = n
	}
	o.last = n
}

// chunk takes a pooled node with an empty buffer.
func (l *Loop) chunk() *node {
	n := l.chunks
	if n == nil {
		return &node{b: make([]byte, 0, chunkBytes), pooled: true}
	}
	l.chunks = n.next
	l.chunkCount--
	n.next = nil
	return n
}

func (l *Loop) refNode() *node {
	n := l.refs
	if n == nil {
		return &node{}
	}
	l.refs = n.next
	l.refCount--
	n.next = nil
	return n
}

// freeNode gives a node back to its pool and releases what it referenced.
func (l *Loop) freeNode(n *node) {
	if n.pooled {
		if l.chunkCount < chunksKept {
			n.b, n.sent, n.next = n.b[:0], 0, l.chunks
			l.chunks = n
			l.chunkCount++
		}
		return
	}
	if n.ref == nil {
		return
	}
	n.ref.Release()
	n.b, n.ref, n.sent = nil, nil, 0
	if l.refCount < refsKept {
		n.next = l.refs
		l.refs = n
		l.refCount++
	}
}

// flush gives the output to the kernel until it is empty or the kernel takes no more.
func (l *Loop) flush(c *Conn) {
	o := &c.out
	if c.wire != nil {
		o = &c.wire.raw
		if c.wire.pourer != nil {
			l.pour(c)
		}
	}
	for {
		if c.wire != nil {
			l.wrap(c)
		}
		if o.first == nil {
			break
		}
		n, errno := l.writeOnce(c, o)
		l.stats.writes.own++
		if errno == syscall.EAGAIN {
			c.flags |= flagBlocked | flagDrain
			l.noteUnsent(c)
			return
		}
		if errno == syscall.EINTR {
			continue
		}
		if errno != 0 {
			l.dropOutput(c)
			e := &ending{err: errno, abort: true}
			if c.flags&flagClosing != 0 {
				e.err = c.ending.err // it ends for another reason
			}
			c.end(e)
			return
		}
		l.stats.bytesOut.own += uint64(n)
		l.advance(o, n)
	}
	l.noteUnsent(c)
	if c.flags&flagDrain != 0 && c.flags&flagClosing == 0 {
		c.flags &^= flagDrain
		l.handler.Drained(c)
	}
}

// writeOnce makes one system call with the first pieces of an output.
func (l *Loop) writeOnce(c *Conn, o *output) (int, syscall.Errno) {
	first := o.first
	if first.next == nil {
		return l.sys.Write(c.fd, first.b[first.sent:])
	}
	v := l.vectors[:0]
	for n := first; n != nil && len(v) < vectorsMax; n = n.next {
		v = append(v, n.b[n.sent:])
	}
	n, errno := l.sys.Writev(c.fd, v)
	clear(v)
	return n, errno
}

// advance takes n sent bytes off the output.
func (l *Loop) advance(o *output, n int) {
	o.unsent -= uint32(n)
	for o.first != nil {
		f := o.first
		left := len(f.b) - f.sent
		if n < left {
			f.sent += n
			return
		}
		n -= left
		if o.first = f.next; o.first == nil {
			o.last = nil
		}
		l.freeNode(f)
	}
}

// noteUnsent brings the loop's count of unsent bytes up to date with what a flush of the connection left.
func (l *Loop) noteUnsent(c *Conn) {
	if o, unsent := &c.out, uint32(c.Unsent()); unsent != o.noted {
		l.stats.unsent.own += uint64(int64(unsent) - int64(o.noted))
		o.noted = unsent
	}
}

// dropOutput forgets what has not been sent.
func (l *Loop) dropOutput(c *Conn) {
	l.dropNodes(&c.out)
	if c.wire != nil {
		l.dropNodes(&c.wire.raw)
	}
	l.noteUnsent(c)
	c.out = output{}
}

func (l *Loop) dropNodes(o *output) {
	for n := o.first; n != nil; {
		next := n.next
		l.freeNode(n)
		n = next
	}
	o.first, o.last, o.unsent = nil, nil, 0
}
