package loop

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Handler is what a loop runs for its owner. Every method is called on the loop's thread.
type Handler interface {
	// Opened: a socket was accepted; Listener tells where.
	Opened(c *Conn)
	// Adopted: a connection that another loop handed over arrived; its unread bytes follow through Data at once.
	Adopted(c *Conn, state any)
	// Lost: a connection that was handed over here could not be taken and has been closed.
	Lost(l *Listener)
	// Data brings bytes, borrowed until it returns unless owned: then they are exactly the packet that need announced
	// and the handler may keep the array. used bytes are consumed, the rest comes again with what follows. need is the
	// size of the packet that the rest begins, when known, else 0.
	Data(c *Conn, b []byte, owned bool) (used, need int)
	// Drained: the output is empty after the kernel had refused some of it, or after WantDrain.
	Drained(c *Conn)
	// Closed is the last call for c. err: nil, closed by the handler; io.EOF, by the peer; else the socket's error.
	Closed(c *Conn, err error)
	// Mail is an entry from another loop's ring, from this loop itself, or from Submit (from is -1).
	Mail(from int, m Mail)
	// Expired: a timer is due and no longer armed.
	Expired(t *Timer)
	// EndTurn comes after everything was read and handled, before the flush.
	EndTurn()
}

// Loop is one event loop. Only Submit, Stats and the identity are for other threads.
type Loop struct {
	// Immutable after start.
	id      int
	group   *Group
	sys     System
	handler Handler
	in      []*ring // from each loop; nil for itself
	out     []*ring // to each loop

	// Any thread.
	sleeping atomic.Bool // announced before a blocking poll; whoever clears it owes a Wake
	stop     atomic.Bool
	stats    stats
	inbox    struct {
		sync.Mutex // guards mail and closed; Submit is the control plane, never the way of a message
		mail       []Mail
		closed     bool
	}
	inboxFull atomic.Int32 // length of inbox.mail, to look without the lock

	// Loop thread only.
	now       int64
	timers    wheel
	alarm     int64 // when a turn is wanted at the latest; 0: whenever
	buf       []byte
	events    []Event
	self      []Mail
	selfSpare []Mail
	touched   uint64 // loops posted to in this turn
	draining  bool
	worked    bool
	busy      bool // the last poll brought many events

	conns     []*[connsChunk]Conn
	made      uint32
	freeConns []uint32
	open      int
	listeners []*Listener

	ready, readySpare     []*Conn
	dirty, dirtySpare     []*Conn
	closing, closingSpare []*Conn
	lingering             []*Conn
	lingerTimer           Timer

	chunks, refs         *node
	chunkCount, refCount int
	vectors              [][]byte

	// Scratch of connections with layers: bytes on their way up and down, one level in one and the next in the other, and a layer's own answer.
	up, out2     [2][]byte
	down, gather []byte
	behind       []byte // what came behind the bytes that are being fed, and moves with them
	keptFree     [keptClasses][][]byte
}

func newLoop(id int, g *Group, sys System) *Loop {
	l := &Loop{id: id, group: g, sys: sys}
	l.buf = make([]byte, readBytes)
	l.events = make([]Event, eventsMax)
	l.vectors = make([][]byte, 0, vectorsMax)
	l.now = sys.Now()
	l.timers.tick = l.now >> tickShift
	l.lingerTimer.internal = true
	return l
}

// ID returns the loop's number in its group.
func (l *Loop) ID() int { return l.id }

// Now returns monotonic nanoseconds, read once after each poll.
func (l *Loop) Now() int64 { return l.now }

// SetHandler must be called before the loop runs.
func (l *Loop) SetHandler(h Handler) { l.handler = h }

// Arm sets the timer to the first tick at or after at (nanoseconds of Now), replacing an earlier time.
func (l *Loop) Arm(t *Timer, at int64) { l.timers.arm(t, at) }

// Disarm stops the timer if it is armed.
func (l *Loop) Disarm(t *Timer) { l.timers.disarm(t) }

// Alarm asks for a turn at the latest at a time, finer than timers, in place of an earlier one; 0: not any more.
func (l *Loop) Alarm(at int64) { l.alarm = at }

// Post sends mail to another loop, or to this one for later in this turn or the next. It never blocks: what does not
// fit into the ring waits in the producer's spill, in order. When Post returns, the entry is visible to the receiver
// unless it was spilled; the receiver is woken at the end of the turn.
func (l *Loop) Post(to int, m Mail) {
	if to == l.id {
		l.self = append(l.self, m)
		return
	}
	if !l.out[to].send(m) {
		l.stats.spills.own++
	}
	l.touched |= 1 << to
}

// Submit leaves mail from any thread. It reports false when the loop has stopped or too much waits.
func (l *Loop) Submit(m Mail) bool {
	l.inbox.Lock()
	ok := !l.inbox.closed && len(l.inbox.mail) < inboxMax
	if ok {
		l.inbox.mail = append(l.inbox.mail, m)
		l.inboxFull.Store(int32(len(l.inbox.mail)))
	}
	l.inbox.Unlock()
	if ok {
		l.wake()
	}
	return ok
}

// SubmitWait is Submit that waits while too much waits; it reports false when the loop has stopped. Not from a loop.
func (l *Loop) SubmitWait(m Mail) bool {
	for !l.Submit(m) {
		if l.Stopped() {
			return false
		}
		time.Sleep(time.Millisecond)
	}
	return true
}

// Stopped reports whether the loop takes no more mail. Any thread.
func (l *Loop) Stopped() bool {
	l.inbox.Lock()
	defer l.inbox.Unlock()
	return l.inbox.closed
}

// wake ends the loop's sleep if it sleeps; any thread.
func (l *Loop) wake() bool {
	if !l.sleeping.Load() || !l.sleeping.Swap(false) {
		return false
	}
	l.sys.Wake()
	return true
}

// Turn runs one turn; with block it waits for something to do. It reports whether there was anything.
func (l *Loop) Turn(block bool) bool {
	l.worked = false
	n := l.poll(block)
	l.stats.turns.own++
	l.handleEvents(l.events[:n])
	l.drainAll()
	l.readReady()
	l.expire()
	l.handler.EndTurn()
	l.flushDirty()
	l.finishClosing()
	l.sendOff()
	l.stats.publish()
	return l.worked
}

// busyEvents is how many events a poll must bring for the next one to look without waiting: a busy loop finds the next
// ones there already and saves the scheduler's part, a quiet one would look in vain before each sleep.
const busyEvents = 4

// poll collects events. It sleeps only when nothing is listed, and after it announced so.
func (l *Loop) poll(block bool) int {
	if !block || l.busy || l.pending() {
		n := l.sys.Poll(l.events, 0)
		l.now = l.sys.Now()
		l.busy = n >= busyEvents
		if n > 0 || !block || l.pending() {
			l.worked = l.worked || n > 0
			return n
		}
	}
	wait := l.timers.wait(l.now)
	if l.spilling() && (wait < 0 || wait > spillRetry) {
		wait = spillRetry
	}
	if l.alarm != 0 && (wait < 0 || wait > l.alarm-l.now) {
		wait = max(l.alarm-l.now, 0)
	}
	l.sleeping.Store(true)
	if wait == 0 || l.mailWaits() || l.stop.Load() {
		l.sleeping.Store(false)
		wait = 0
	} else {
		l.stats.sleeps.own++
	}
	n := l.sys.Poll(l.events, wait)
	l.sleeping.Store(false)
	l.now = l.sys.Now()
	l.busy = n >= busyEvents
	l.worked = n > 0
	return n
}

// pending reports whether the loop has listed work for itself.
func (l *Loop) pending() bool {
	return len(l.ready)+len(l.self)+len(l.dirty)+len(l.closing) > 0
}

func (l *Loop) spilling() bool {
	for _, r := range l.out {
		if r != nil && len(r.spill) > 0 {
			return true
		}
	}
	return false
}

// mailWaits reports whether another thread left something since we looked.
func (l *Loop) mailWaits() bool {
	if l.inboxFull.Load() > 0 {
		return true
	}
	for _, r := range l.in {
		if r != nil && !r.empty() {
			return true
		}
	}
	return false
}

func (l *Loop) handleEvents(events []Event) {
	for _, e := range events {
		switch {
		case e.Token == wakeToken:
		case e.Token&acceptBit != 0:
			l.accept(l.listeners[e.Token&^acceptBit])
		default:
			l.connEvent(e)
		}
	}
}

func (l *Loop) connEvent(e Event) {
	index := uint32(e.Token)
	if index >= l.made {
		return
	}
	c := l.conn(index)
	if c.token() != e.Token || c.flags&flagFree != 0 {
		return // an event of the slot's earlier owner
	}
	if e.Ready&Writable != 0 && c.flags&flagBlocked != 0 {
		c.flags &^= flagBlocked
		l.makeDirty(c)
	}
	if e.Ready&HungUp != 0 {
		c.flags |= flagHungUp
	}
	if e.Ready&Gone != 0 {
		c.flags |= flagGone
		if c.flags&flagPaused != 0 {
			c.end(&ending{err: syscall.ECONNRESET})
			return
		}
	}
	if e.Ready&(Readable|HungUp) != 0 {
		c.flags |= flagUnread
		if c.flags&flagReady == 0 {
			l.read(c)
		}
	}
}

func (l *Loop) conn(index uint32) *Conn { return &l.conns[index/connsChunk][index%connsChunk] }

// drainAll handles mail: the inbox, our own posts of the last turn, and what stands in the rings.
func (l *Loop) drainAll() {
	if l.inboxFull.Load() > 0 {
		l.inbox.Lock()
		mail := l.inbox.mail
		l.inbox.mail = nil
		l.inboxFull.Store(0)
		l.inbox.Unlock()
		for _, m := range mail {
			if w, ok := m.Body.(Waker); ok {
				l.wakeLayers(w)
				continue
			}
			l.handler.Mail(-1, m)
		}
		l.worked = true
	}
	if len(l.self) > 0 {
		self := l.self
		l.self = l.selfSpare[:0]
		for i := range self {
			l.handler.Mail(l.id, self[i])
		}
		clear(self)
		l.selfSpare = self[:0]
		l.worked = true
	}
	l.DrainRings()
}

// DrainRings handles the mail that other loops have posted. It reports true when everything posted before the call
// has been handled: false when some of it is still spilled at its producer, or when a drain is going on already (it
// is called from inside Mail).
func (l *Loop) DrainRings() bool {
	if l.draining {
		return false
	}
	l.draining = true
	complete := true
	for from, r := range l.in {
		if r == nil {
			continue
		}
		// Looked at before the ring: what is spilled later was posted later.
		if r.spilled.Load() > 0 {
			complete = false
		}
		for range ringSlots {
			m, ok := r.pop()
			if !ok {
				break
			}
			l.worked = true
			if h, moved := m.Body.(*handover); moved {
				l.adopt(h)
				continue
			}
			l.handler.Mail(from, m)
		}
	}
	l.draining = false
	return complete
}

// readReady continues the connections that used up an earlier turn's share.
func (l *Loop) readReady() {
	if len(l.ready) == 0 {
		return
	}
	l.worked = true
	list := l.ready
	l.ready = l.readySpare[:0]
	for _, c := range list {
		c.flags &^= flagReady
		if c.flags&flagUnread != 0 {
			l.read(c)
		}
	}
	clear(list)
	l.readySpare = list[:0]
}

func (l *Loop) makeReady(c *Conn) {
	if c.flags&flagReady == 0 {
		c.flags |= flagReady
		l.ready = append(l.ready, c)
	}
}

func (l *Loop) makeDirty(c *Conn) {
	if c.flags&flagDirty == 0 {
		c.flags |= flagDirty
		l.dirty = append(l.dirty, c)
	}
}

// expire runs the timers that are due.
func (l *Loop) expire() {
	for {
		t := l.timers.due(l.now)
		if t == nil {
			return
		}
		l.worked = true
		if t.internal {
			l.endLingering()
			continue
		}
		l.handler.Expired(t)
	}
}

// flushDirty flushes every connection that was written to, once. Drained may write again: that goes out in this
// turn too, up to a bound, then the next turn continues.
func (l *Loop) flushDirty() {
	for range 4 {
		if len(l.dirty) == 0 {
			return
		}
		l.worked = true
		list := l.dirty
		l.dirty = l.dirtySpare[:0]
		for _, c := range list {
			c.flags &^= flagDirty
			if c.flags&(flagBlocked|flagFree) != 0 {
				l.noteUnsent(c)
				continue
			}
			if c.flags&flagClosing != 0 && c.ending.abort {
				continue
			}
			l.flush(c)
		}
		clear(list)
		l.dirtySpare = list[:0]
	}
}

// finishClosing closes what was marked during the turn, but for connections that may write until a deadline.
func (l *Loop) finishClosing() {
	for len(l.closing) > 0 {
		l.worked = true
		list := l.closing
		l.closing = l.closingSpare[:0]
		for _, c := range list {
			if c.flags&flagFree != 0 {
				continue
			}
			if c.ending.deadline > l.now && c.Unsent() > 0 {
				l.lingering = append(l.lingering, c)
				continue
			}
			l.release(c, c.ending.err)
		}
		clear(list)
		l.closingSpare = list[:0]
	}
	if len(l.lingering) > 0 {
		l.endLingering()
	}
}

// endLingering closes the connections that have written everything, or whose deadline has passed.
func (l *Loop) endLingering() {
	kept := l.lingering[:0]
	first := int64(0)
	for _, c := range l.lingering {
		if c.Unsent() > 0 && c.ending.deadline > l.now && !c.ending.abort {
			kept = append(kept, c)
			if first == 0 || c.ending.deadline < first {
				first = c.ending.deadline
			}
			continue
		}
		l.release(c, c.ending.err)
	}
	clear(l.lingering[len(kept):])
	l.lingering = kept
	if first != 0 {
		l.timers.arm(&l.lingerTimer, first)
	}
}

// sendOff offers the spills to their rings and wakes the sleepers among the loops that were posted to.
func (l *Loop) sendOff() {
	for to, r := range l.out {
		if r == nil {
			continue
		}
		if len(r.spill) > 0 {
			r.respill()
			l.touched |= 1 << to
		}
		if l.touched&(1<<to) != 0 && l.group.loops[to].wake() {
			l.stats.wakeups.own++
		}
	}
	l.touched = 0
}

// accept takes at most acceptsMax connections from a listener.
func (l *Loop) accept(ls *Listener) {
	for range acceptsMax {
		fd, remote, errno := l.sys.Accept(ls.fd, ls.NoDelay)
		switch errno {
		case 0:
			c := l.open1(fd, ls, remote)
			if c == nil {
				continue
			}
			l.stats.accepts.own++
			l.handler.Opened(c)
		case syscall.ECONNABORTED, syscall.EINTR, syscall.EPROTO:
		case syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM:
			l.stats.acceptErrors.own++
			return
		default:
			return
		}
	}
}

// open1 makes the record of a socket and watches it; nil when the kernel refuses.
func (l *Loop) open1(fd int32, ls *Listener, remote netip.AddrPort) *Conn {
	c := l.takeConn()
	c.fd, c.listener, c.remote = fd, ls, remote
	if err := l.sys.Watch(fd, c.token()); err != nil {
		l.stats.acceptErrors.own++
		l.sys.Close(fd)
		l.putConn(c)
		return nil
	}
	return c
}

func (l *Loop) takeConn() *Conn {
	l.open++
	if n := len(l.freeConns); n > 0 {
		c := l.conn(l.freeConns[n-1])
		l.freeConns = l.freeConns[:n-1]
		c.flags = 0
		return c
	}
	if l.made%connsChunk == 0 {
		l.conns = append(l.conns, new([connsChunk]Conn))
	}
	c := l.conn(l.made)
	c.index, c.loop = l.made, l
	l.made++
	return c
}

func (l *Loop) putConn(c *Conn) {
	l.open--
	*c = Conn{index: c.index, gen: c.gen + 1, loop: l, flags: flagFree}
	l.freeConns = append(l.freeConns, c.index)
}

// release closes the socket, tells the handler and frees the record.
func (l *Loop) release(c *Conn, err error) {
	l.sys.Close(c.fd)
	l.dropOutput(c)
	if c.wire != nil {
		c.wire.drop()
	}
	if c.kept != nil {
		l.freeKept(c.kept)
		c.kept = nil
	}
	l.handler.Closed(c, err)
	l.unlist(c)
	l.putConn(c)
}

// unlist takes a connection out of the lists of work, so that its slot can be used again.
func (l *Loop) unlist(c *Conn) {
	if c.flags&flagReady != 0 {
		remove(&l.ready, c)
	}
	if c.flags&flagDirty != 0 {
		remove(&l.dirty, c)
	}
}

func remove(list *[]*Conn, c *Conn) {
	for i, have := range *list {
		if have == c {
			last := len(*list) - 1
			(*list)[i] = (*list)[last]
			(*list)[last] = nil
			*list = (*list)[:last]
			return
		}
	}
}

// handover is a connection between two loops. The sender has forgotten it, the receiver has not yet seen it.
type handover struct {
	fd       int32
	hungUp   bool
	remote   netip.AddrPort
	listener *Listener
	rest     []byte // owned
	wire     *wire
	state    any
}

// move sends a connection to the loop that Handover named.
func (l *Loop) move(c *Conn, rest []byte) {
	e := c.ending
	h := &handover{fd: c.fd, hungUp: c.flags&flagHungUp != 0, remote: c.remote, listener: c.listener, state: e.state}
	h.rest = append(append([]byte(nil), rest...), l.behind...)
	l.sys.Forget(c.fd)
	h.wire, c.wire = c.wire, nil
	l.dropOutput(c)
	l.unlist(c)
	l.putConn(c)
	l.Post(e.to, Mail{Body: h})
}

// adopt takes a connection from another loop.
func (l *Loop) adopt(h *handover) {
	c := l.open1(h.fd, h.listener, h.remote)
	if c == nil {
		if h.wire != nil {
			h.wire.drop()
		}
		l.handler.Lost(h.listener)
		return
	}
	if h.hungUp {
		c.flags |= flagHungUp
	}
	if c.wire = h.wire; c.wire != nil && c.wire.raw.unsent > 0 {
		l.makeDirty(c)
	}
	l.handler.Adopted(c, h.state)
	if c.flags&(flagClosing|flagFree) == 0 {
		l.feed(c, h.rest, false)
		c.endIfFailed()
	}
	l.readOn(c, true)
}

// Listen watches a listener's pending connections, which all loops share.
func (l *Loop) Listen(ls *Listener) error {
	l.listeners = append(l.listeners, ls)
	return l.sys.WatchAccept(ls.fd, acceptBit|uint64(len(l.listeners)-1))
}

// StopAccepting ends the loop's part in accepting; loop thread only.
func (l *Loop) StopAccepting() {
	for _, ls := range l.listeners {
		l.sys.Forget(ls.fd)
	}
}

// NextTimer returns when the loop would wake by itself; ok is false when no timer is armed and no alarm is set. For the simulation.
func (l *Loop) NextTimer() (at int64, ok bool) {
	tick, _, ok := l.timers.next()
	at = tick << tickShift
	if l.alarm != 0 && (!ok || l.alarm < at) {
		return l.alarm, true
	}
	return at, ok
}
