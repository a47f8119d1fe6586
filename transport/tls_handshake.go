package transport

import (
	"crypto/tls"
	"iter"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
)

const (
	// handshakeNice is by how much the priority of the handshakes' threads is below that of the loops.
	handshakeNice = 19
)

// Handshakes is the threads of low priority on which the TLS handshakes of all listeners run, so that a storm of them takes
// only the time that the loops leave.
//
// crypto/tls cannot go on with a handshake after a temporary error of its connection, so each handshake has a stack of its own
// while it lasts: a coroutine, which runs on its thread until it has used up what came from the client, and then lets the
// thread take the next one. One goroutine for each with a semaphore around the work would need the same stacks, and run at the
// priority of the loops.
type Handshakes struct {
	queues []chan *handshake // one for each thread; a handshake is in at most one, once: they are never full
	room   atomic.Int64      // how many more may begin
	turn   atomic.Uint32     // picks the thread of the next one
	start  sync.Once         // the threads begin with the first handshake
}

// NewHandshakes makes threads that work on at most inFlight handshakes at a time; what comes beyond is refused.
func NewHandshakes(threads, inFlight int) *Handshakes {
	p := &Handshakes{queues: make([]chan *handshake, max(threads, 1))}
	for i := range p.queues {
		p.queues[i] = make(chan *handshake, inFlight)
	}
	p.room.Store(int64(inFlight))
	return p
}

// InFlight returns how many handshakes are under way, at most limit.
func (p *Handshakes) InFlight() (now, limit int) {
	limit = cap(p.queues[0])
	return limit - int(p.room.Load()), limit
}

// begin takes on the handshake of conn over wire, whose input holds the first record. It reports false when there are too many.
func (p *Handshakes) begin(conn *tls.Conn, wire *tlsWire, wake func()) (*handshake, bool) {
	if p.room.Add(-1) < 0 {
		p.room.Add(1)
		return nil, false
	}
	p.start.Do(func() {
		for _, queue := range p.queues {
			go serveHandshakes(queue)
		}
	})
	h := &handshake{pool: p, conn: conn, wire: wire, wake: wake}
	h.queue = p.queues[p.turn.Add(1)%uint32(len(p.queues))]
	wire.shaking = h
	h.mu.queued = true
	h.queue <- h
	return h, true
}

func serveHandshakes(queue <-chan *handshake) {
	runtime.LockOSThread()
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, syscall.Gettid(), handshakeNice) // at worst they run as the loops do
	for h := range queue {
		h.step()
	}
}

// handshake is one that is under way.
type handshake struct {
	// Immutable.
	pool  *Handshakes
	queue chan<- *handshake
	wake  func()

	mu struct {
		sync.Mutex
		in, out  []byte // from and to the client: what the other thread has not yet taken; in is at most one read of the loop
		queued   bool   // its turn will come
		stepping bool   // it has its turn
		dropped  bool   // the connection is gone
		done     bool   // conn, wire and result are the loop's from now on
	}

	// The handshake's thread only, until done.
	conn   *tls.Conn
	wire   *tlsWire
	result handshakeResult
	next   func() (struct{}, bool)
	stop   func()
	yield  func(struct{}) bool
}

// handshakeResult is what a handshake ends with.
type handshakeResult struct {
	peer Peer // the fields that TLS knows
	err  error
}

// exchange gives what came from the client and takes what is to be sent. works is whether it works on what it was given; it calls
// wake when it has.
func (h *handshake) exchange(down, b []byte) (newDown []byte, done, works bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	down = append(down, h.mu.out...)
	h.mu.out = h.mu.out[:0]
	h.mu.in = append(h.mu.in, b...)
	if len(b) > 0 {
		h.enqueueLocked()
	}
	return down, h.mu.done, h.mu.queued || h.mu.stepping
}

// drop ends it: nobody waits any more.
func (h *handshake) drop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mu.dropped = true
	h.enqueueLocked()
}

func (h *handshake) enqueueLocked() {
	if !h.mu.queued && !h.mu.done {
		h.mu.queued = true
		h.queue <- h
	}
}

// step works on it until it waits for the client, or is done.
func (h *handshake) step() {
	h.mu.Lock()
	h.mu.queued, h.mu.stepping = false, true
	if h.mu.done { // it was dropped at its end
		h.mu.Unlock()
		h.pool.room.Add(1)
		return
	}
	dropped := h.mu.dropped
	h.wire.in = append(h.wire.in, h.mu.in...)
	h.mu.in = h.mu.in[:0]
	h.mu.Unlock()

	waits := false
	switch {
	case !dropped:
		if h.next == nil {
			h.next, h.stop = iter.Pull(h.run)
		}
		_, waits = h.next()
	case h.stop != nil:
		h.stop()
	}

	h.mu.Lock()
	h.mu.out = append(h.mu.out, h.wire.out...)
	h.wire.out = h.wire.out[:0]
	h.mu.stepping = false
	if !waits {
		h.mu.done = true
		if !h.mu.queued { // else its place in the queue is still taken
			h.pool.room.Add(1)
		}
	}
	h.mu.Unlock()
	if !dropped {
		h.wake()
	}
}

// run is the coroutine.
func (h *handshake) run(yield func(struct{}) bool) {
	h.yield = yield
	if h.result.err = h.conn.Handshake(); h.result.err == nil {
		h.result.peer = peerOf(h.conn.ConnectionState())
	}
}

// await returns when the client has sent more, with an error when nobody waits any more.
func (h *handshake) await() error {
	for len(h.wire.in) == 0 {
		if !h.yield(struct{}{}) {
			return net.ErrClosed
		}
	}
	return nil
}
