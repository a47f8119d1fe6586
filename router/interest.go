package router

import (
	"sync"
	"sync/atomic"
)

// Interest tells which loops have a filter for a topic. It is shared by all loops: readers use atomic loads only;
// writers, which come with the first and the last filter of a key on a loop, take a mutex. A false positive costs the
// other loop a look. A false negative does not exist: a bit is set in the table that every later reader loads, before
// the SUBACK goes out.
type Interest struct {
	read     atomic.Pointer[interestTables]
	overflow atomic.Uint64 // loops with filters that have no shape: they get everything
	version  atomic.Uint64 // counts the changes, each after it can be seen

	// mu guards the writers' side: shapes, and every store into tables.
	mu     sync.Mutex
	shapes map[shape]*interestTable
	beyond map[shape]int // shapes over the bound → keys; none of their keys is in a table
	over   [64]int       // by loop, why it is in overflow: its keys in beyond, and 1 when its index uses its trie
}

// interestTables is what readers see; immutable.
type interestTables struct {
	fitting fitting[*interestTable]
}

// interestTable is the keys of one shape.
type interestTable struct {
	shape shape
	slots atomic.Pointer[[]interestSlot]
	spent int // writers: slots in use, also those whose mask is 0
	live  int // writers: slots whose mask is not 0
}

// interestSlot is one key. hash is 0 while it is free and is stored after mask; it never changes in one array.
type interestSlot struct {
	hash atomic.Uint64
	mask atomic.Uint64
}

// NewInterest makes an empty table.
func NewInterest() *Interest {
	n := &Interest{shapes: make(map[shape]*interestTable), beyond: make(map[shape]int)}
	n.read.Store(&interestTables{})
	return n
}

// Version changes after every change that Loops can show, and before the SUBACK of it: what Loops said of a topic holds
// as long as a version read before is the present one.
func (n *Interest) Version() uint64 { return n.version.Load() }

// Loops returns the loops that may have a filter for the topic, one bit each. No allocation, no lock.
func (n *Interest) Loops(t *Topic) uint64 {
	exact, open := n.read.Load().fitting.of(t.depth)
	return n.overflow.Load() | loopsOf(exact, t) | loopsOf(open, t)
}

func loopsOf(tables []*interestTable, t *Topic) (loops uint64) {
	system := t.system()
	for _, tb := range tables {
		if system && tb.shape.leadingWildcard() {
			continue
		}
		loops |= tb.lookup(tb.shape.key(t))
	}
	return loops
}

func (tb *interestTable) lookup(key uint64) uint64 {
	slots := *tb.slots.Load()
	for i := firstSlot(key, len(slots)); ; i = (i + 1) & (len(slots) - 1) {
		switch slots[i].hash.Load() {
		case key:
			return slots[i].mask.Load()
		case 0:
			return 0
		}
	}
}

// set registers a loop's interest in a key.
func (n *Interest) set(s shape, key uint64, loop int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	defer n.version.Add(1)
	tb := n.shapes[s]
	if tb == nil {
		if len(n.shapes) >= shapesMax || n.beyond[s] > 0 {
			n.beyond[s]++
			n.addOver(loop, 1)
			return
		}
		tb = &interestTable{shape: s}
		slots := make([]interestSlot, tableStart)
		tb.slots.Store(&slots)
		n.shapes[s] = tb
		defer n.publish(func(f *fitting[*interestTable]) { f.add(tb, s) }) // after the key is in
	}
	tb.set(key, 1<<loop)
}

// publish gives readers the tables after a change of the shapes.
func (n *Interest) publish(change func(*fitting[*interestTable])) {
	next := *n.read.Load()
	change(&next.fitting)
	n.read.Store(&next)
}

// set adds a bit; mu is held.
func (tb *interestTable) set(key, bit uint64) {
	slots := *tb.slots.Load()
	i := firstSlot(key, len(slots))
	for ; slots[i].hash.Load() != 0; i = (i + 1) & (len(slots) - 1) {
		if slots[i].hash.Load() == key {
			mask := slots[i].mask.Load()
			if mask == 0 {
				tb.live++
			}
			slots[i].mask.Store(mask | bit)
			return
		}
	}
	if 4*(tb.spent+1) > 3*len(slots) {
		tb.grow()
		tb.set(key, bit)
		return
	}
	slots[i].mask.Store(bit)
	slots[i].hash.Store(key)
	tb.spent++
	tb.live++
}

// grow copies the keys that some loop still has into a new array and publishes it; mu is held. Readers of the old
// array began before anything that is set in the new one. It takes time in proportion to the keys of one shape, on the
// loop that subscribes; spread over the subscriptions that filled the array it is a few nanoseconds each.
func (tb *interestTable) grow() {
	old := *tb.slots.Load()
	size := tableStart
	for 2*(tb.live+1) > size {
		size *= 2
	}
	slots := make([]interestSlot, size)
	tb.spent = 0
	for i := range old {
		mask := old[i].mask.Load()
		if mask == 0 {
			continue
		}
		key := old[i].hash.Load()
		at := firstSlot(key, len(slots))
		for slots[at].hash.Load() != 0 {
			at = (at + 1) & (len(slots) - 1)
		}
		slots[at].mask.Store(mask)
		slots[at].hash.Store(key)
		tb.spent++
	}
	tb.slots.Store(&slots)
}

// clear ends a loop's interest in a key; a shape goes with its last key.
func (n *Interest) clear(s shape, key uint64, loop int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	defer n.version.Add(1)
	if keys := n.beyond[s]; keys > 0 {
		n.beyond[s]--
		if keys == 1 {
			delete(n.beyond, s)
		}
		n.addOver(loop, -1)
		return
	}
	tb := n.shapes[s]
	if tb == nil {
		panic("BUG: interest ends in a shape that is not there")
	}
	if tb.clear(key, 1<<loop); tb.live == 0 {
		delete(n.shapes, s)
		n.publish(func(f *fitting[*interestTable]) { f.remove(tb, s) })
	}
}

// clear removes a bit; mu is held. The slot stays until the table grows.
func (tb *interestTable) clear(key, bit uint64) {
	slots := *tb.slots.Load()
	for i := firstSlot(key, len(slots)); slots[i].hash.Load() != 0; i = (i + 1) & (len(slots) - 1) {
		if slots[i].hash.Load() != key {
			continue
		}
		mask := slots[i].mask.Load() &^ bit
		slots[i].mask.Store(mask)
		if mask == 0 {
			tb.live--
		}
		return
	}
}

// setOverflow says whether a loop has filters without a shape; it is told of changes only.
func (n *Interest) setOverflow(loop int, on bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	defer n.version.Add(1)
	if on {
		n.addOver(loop, 1)
	} else {
		n.addOver(loop, -1)
	}
}

// addOver counts what puts a loop into overflow; mu is held.
func (n *Interest) addOver(loop, change int) {
	n.over[loop] += change
	loops := n.overflow.Load() &^ (1 << loop)
	if n.over[loop] > 0 {
		loops |= 1 << loop
	}
	n.overflow.Store(loops)
}
