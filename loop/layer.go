package loop

import (
	"errors"
	"net/netip"
	"slices"
)

// Layer is a transport between the socket and the handler: a PROXY header, TLS, WebSocket. Each belongs to one connection, is
// used on the thread of the loop that has the connection, and moves with it. Buffers given to it are borrowed.
type Layer interface {
	// In takes bytes from below, appends those for above to up, and to down what it answers itself. What is not complete it
	// keeps, within a bound of its own. It is called without bytes after Wake. An error ends the connection, when down has been
	// sent.
	In(up, down, b []byte) (newUp, newDown []byte, err error)
	// Out takes bytes from above and appends to down what is to be sent for them.
	Out(down, b []byte) []byte
	// Close appends what says that nothing more comes.
	Close(down []byte) []byte
	// Passes reports that bytes pass in both directions as they are from now on: the layer is taken out.
	Passes() bool
}

// Dropper is a layer that must know when its connection is gone.
type Dropper interface{ Drop() }

// Holder is a layer that at times wants nothing more from below until it was woken.
type Holder interface{ Holds() bool }

// Pourer is a layer that may have more to answer than should wait in the output.
type Pourer interface {
	Layer
	// Pour appends the next part of it to down, some KiB; nothing when there is no more.
	Pour(down []byte) []byte
	// Left returns how many bytes of it are to come.
	Left() int
}

// Waiter is a layer that needs something of the peer before it lets bytes through.
type Waiter interface {
	// Waits returns what that is, in the peer's terms; empty when it has it.
	Waits() string
}

// Waker lets a layer be called again, when something that it left to another thread is done.
type Waker struct {
	loop  *Loop
	token uint64
}

// Wake lets the loop call In without bytes, if the connection is still there. Any thread; not after the connection has moved.
func (w Waker) Wake() {
	w.loop.SubmitWait(Mail{Body: w})
}

// wire is what a connection with layers has beside a plain one.
type wire struct {
	layers []Layer // the lowest first
	holder Holder  // one of them, or nil
	pourer Pourer  // the same
	raw    output  // for the socket; Conn.out is above all layers
	peer   any     // see SetPeer
	failed error   // of a layer: the connection ends when what came before was handled, wherever it then is
	closed bool    // the layers' Close was called
}

const (
	// recordBytes is how much output is wrapped at a time: what waits shares a TLS record or a WebSocket frame.
	recordBytes = 16 << 10
	// rawMax is from how much wrapped output on no more is wrapped until some is sent.
	rawMax = 64 << 10
	// answersMax is from how much wrapped output on a connection ends to which a layer still has to answer.
	answersMax = 4 * rawMax
)

var errAnswers = errors.New("it reads no answers of its transport")

// SetLayers puts layers on a connection that was just opened, the lowest first. Only from inside Opened.
func (c *Conn) SetLayers(layers ...Layer) {
	if len(layers) == 0 {
		return
	}
	c.wire = &wire{layers: layers}
	for _, layer := range layers {
		if h, ok := layer.(Holder); ok {
			c.wire.holder = h
		}
		if p, ok := layer.(Pourer); ok {
			c.wire.pourer = p
		}
	}
}

// Left returns how many bytes the layers have still to answer.
func (c *Conn) Left() int {
	if c.wire == nil || c.wire.pourer == nil {
		return 0
	}
	return c.wire.pourer.Left() + int(c.wire.raw.unsent)
}

// Waits returns what the lowest layer that lets nothing through needs of the peer; empty when all do.
func (c *Conn) Waits() string {
	if c.wire == nil {
		return ""
	}
	for _, layer := range c.wire.layers {
		if w, ok := layer.(Waiter); ok && w.Waits() != "" {
			return w.Waits()
		}
	}
	return ""
}

// SetPeer keeps what the layers of this connection share with its handler. It moves with the connection. After SetLayers.
func (c *Conn) SetPeer(p any) {
	if c.wire != nil {
		c.wire.peer = p
	}
}

// Peer returns what SetPeer was given; nil for a connection without layers.
func (c *Conn) Peer() any {
	if c.wire == nil {
		return nil
	}
	return c.wire.peer
}

// Waker returns what wakes the layers of this connection.
func (c *Conn) Waker() Waker { return Waker{c.loop, c.token()} }

// SetRemote replaces the peer's address by one that a layer was told.
func (c *Conn) SetRemote(a netip.AddrPort) { c.remote = a }

// wakeLayers handles a Wake.
func (l *Loop) wakeLayers(w Waker) {
	index := uint32(w.token)
	if index >= l.made {
		return
	}
	if c := l.conn(index); c.token() == w.token && c.flags&(flagFree|flagClosing) == 0 && c.wire != nil {
		l.rise(c, nil)
		l.readOn(c, c.flags&flagUnread != 0)
	}
}

// readLayers is read for a connection with layers.
func (l *Loop) readLayers(c *Conn) {
	if c.wire.holder != nil && c.wire.holder.Holds() {
		return // flagUnread stays
	}
	n, errno := l.sys.Read(c.fd, l.buf)
	l.stats.reads.own++
	if !l.readResult(c, n, errno) {
		return
	}
	more := n == len(l.buf) || c.flags&flagHungUp != 0
	l.rise(c, l.buf[:n])
	l.readOn(c, more)
}

// rise takes bytes from the socket through the layers to the handler. What came before an error is handled before it.
func (l *Loop) rise(c *Conn, b []byte) {
	w := c.wire
	side := 0
	for i := 0; i < len(w.layers); i++ {
		side ^= 1 // by turns, because b is in the other one
		up, down, err := w.layers[i].In(l.up[side][:0], l.down[:0], b)
		l.up[side], l.down = up, down
		if len(down) > 0 {
			l.sink(c, i, down)
			if w.raw.unsent > answersMax && err == nil {
				err = errAnswers
			}
		}
		if err != nil && w.failed == nil {
			w.failed = err
		}
		if w.layers[i].Passes() {
			w.layers = append(w.layers[:i:i], w.layers[i+1:]...)
			i--
		}
		if b = up; len(b) == 0 {
			break
		}
	}
	if len(b) > 0 {
		l.feedMore(c, b)
	}
	c.endIfFailed()
}

// endIfFailed ends a connection of which a layer has failed, when the handler has had what came before.
func (c *Conn) endIfFailed() {
	if c.wire != nil && c.wire.failed != nil && c.flags&flagClosing == 0 && (c.flags&flagPaused == 0 || len(c.kept) == 0) {
		c.end(&ending{err: c.wire.failed})
	}
}

// drop tells the layers that their connection is gone.
func (w *wire) drop() {
	for _, layer := range w.layers {
		if d, ok := layer.(Dropper); ok {
			d.Drop()
		}
	}
}

// feedMore gives bytes to the handler behind what was kept.
func (l *Loop) feedMore(c *Conn, b []byte) {
	if len(c.kept) > 0 {
		whole := int(c.need)
		if c.flags&flagPaused != 0 {
			whole = 0
		}
		k := len(b)
		if whole > len(c.kept) {
			k = min(k, whole-len(c.kept))
		}
		c.kept = append(c.kept, b[:k]...)
		b = b[k:]
		if c.flags&flagPaused != 0 || len(c.kept) < whole {
			return
		}
		kept := c.kept
		c.kept = nil
		l.behind = b
		l.feed(c, kept, false)
		l.behind = nil
		l.freeKept(kept)
	}
	switch {
	case len(b) == 0 || c.flags&(flagClosing|flagMoving|flagFree) != 0:
	case len(c.kept) > 0 || c.flags&flagPaused != 0:
		c.kept = append(c.kept, b...)
	default:
		l.feed(c, b, false)
	}
}

// sink takes bytes of layer i, or of the handler (one above the highest), to the raw output.
func (l *Loop) sink(c *Conn, i int, b []byte) {
	w := c.wire
	for i--; i >= 0 && len(b) > 0; i-- {
		side := i & 1
		l.out2[side] = w.layers[i].Out(l.out2[side][:0], b)
		b = l.out2[side]
	}
	l.appendTo(&w.raw, b)
	l.makeDirty(c)
}

// wrap takes what the handler wrote through the layers, as much as the raw output has room for.
func (l *Loop) wrap(c *Conn) {
	w := c.wire
	for c.out.first != nil && w.raw.unsent < rawMax {
		b := l.gather[:0]
		for n := c.out.first; n != nil && len(b) < recordBytes; n = n.next {
			b = append(b, n.b[n.sent:][:min(len(n.b)-n.sent, recordBytes-len(b))]...)
		}
		l.gather = b
		l.advance(&c.out, len(b))
		l.sink(c, len(w.layers), b)
	}
	if c.flags&flagClosing != 0 && c.out.first == nil && !w.closed && !c.ending.abort {
		w.closed = true
		for i := len(w.layers) - 1; i >= 0; i-- {
			if l.down = w.layers[i].Close(l.down[:0]); len(l.down) > 0 {
				l.sink(c, i, l.down)
			}
		}
	}
}

// pour takes what a layer has to answer beside what it said in In, as much as the raw output has room for. The connection is
// then flushed again, after the others.
func (l *Loop) pour(c *Conn) {
	w := c.wire
	for w.raw.unsent < rawMax {
		if l.down = w.pourer.Pour(l.down[:0]); len(l.down) == 0 {
			return
		}
		l.sink(c, slices.Index(w.layers, Layer(w.pourer)), l.down)
	}
}

// appendTo copies b to an output.
func (l *Loop) appendTo(o *output, b []byte) {
	o.unsent += uint32(len(b))
	if n := o.last; n != nil && n.ref == nil {
		k := copy(n.b[len(n.b):cap(n.b)], b)
		n.b = n.b[:len(n.b)+k]
		b = b[k:]
	}
	for len(b) > 0 {
		n := l.chunk()
		k := copy(n.b[:cap(n.b)], b)
		n.b = n.b[:k]
		b = b[k:]
		o.append(n)
	}
}
