package loop

import "sync/atomic"

// Mail is one entry between loops. Kind and Arg belong to the handler; Body is a pointer, so that sending allocates
// nothing.
type Mail struct {
	Kind, Arg uint32
	Body      any
}

type cacheLine [64]byte

// ring carries mail from one loop to one other: bounded, single producer, single consumer, lock-free. A slot belongs
// to the producer from the consumer's store of head past it until the producer's store of tail past it, and to the
// consumer otherwise. Each side keeps its last view of the other's index, so that the line is fetched only when the
// ring looks full or empty.
type ring struct {
	slots []Mail
	_     cacheLine
	// Producer.
	tail     atomic.Uint64
	headSeen uint64
	spill    []Mail // what did not fit, oldest first, from spillAt on; the producer's own
	spillAt  int
	_        cacheLine
	// Consumer.
	head     atomic.Uint64
	tailSeen uint64
	_        cacheLine
	// spilled is the length of spill for the consumer to see: while it is not 0, draining the ring does not yield
	// everything that was posted.
	spilled atomic.Int64
}

func newRing() *ring { return &ring{slots: make([]Mail, ringSlots)} }

// push appends m and reports whether there was room; it is visible to the consumer when push returns.
func (r *ring) push(m Mail) bool {
	t := r.tail.Load()
	if t-r.headSeen == ringSlots {
		if r.headSeen = r.head.Load(); t-r.headSeen == ringSlots {
			return false
		}
	}
	r.slots[t%ringSlots] = m
	r.tail.Store(t + 1)
	return true
}

// pop takes the oldest entry.
func (r *ring) pop() (Mail, bool) {
	h := r.head.Load()
	if h == r.tailSeen {
		if r.tailSeen = r.tail.Load(); h == r.tailSeen {
			return Mail{}, false
		}
	}
	slot := &r.slots[h%ringSlots]
	m := *slot
	*slot = Mail{}
	r.head.Store(h + 1)
	return m, true
}

// empty is the consumer's question before it sleeps.
func (r *ring) empty() bool { return r.head.Load() == r.tail.Load() }

// send pushes m, behind what has spilled. It reports false when m went to the spill.
func (r *ring) send(m Mail) bool {
	if len(r.spill) == 0 && r.push(m) {
		return true
	}
	r.spilled.Add(1)
	r.spill = append(r.spill, m)
	return false
}

// respill moves what now fits from the spill into the ring.
func (r *ring) respill() {
	n := r.spillAt
	for n < len(r.spill) && r.push(r.spill[n]) {
		r.spill[n] = Mail{}
		n++
	}
	moved := n - r.spillAt
	if moved == 0 {
		return
	}
	switch r.spillAt = n; {
	case n == len(r.spill):
		r.spill, r.spillAt = r.spill[:0], 0
		if cap(r.spill) > ringSlots {
			r.spill = nil
		}
	case 2*n > len(r.spill):
		left := copy(r.spill, r.spill[n:])
		clear(r.spill[left:])
		r.spill, r.spillAt = r.spill[:left], 0
	}
	r.spilled.Add(int64(-moved))
}
