package router

import "unsafe"

// table is the filters of one shape in one index: open addressing with linear probing. A slot holds 32 bits of the
// key and the entry's position, so that a probe that finds nothing touches one cache line.
type table struct {
	shape shape
	exact bool // no wildcard
	slots []slot
	old   []slot // while it grows: slots[moved:] of it are still to be moved
	moved int
	live  int // entries
	spent int // slots of slots that are or were in use
}

// slot is empty (entry 0), deleted (entryDeleted) or holds entry-1.
type slot struct{ tag, entry uint32 }

const entryDeleted = ^uint32(0)

// tableStart is the first size of a table: many shapes have a handful of filters.
const tableStart = 8

func newTable(s shape) *table {
	return &table{shape: s, exact: s.exact(), slots: make([]slot, tableStart)}
}

func tagOf(key uint64) uint32 { return uint32(key >> 32) }

// firstSlot spreads keys over the table: sums of few levels differ in all bits already.
func firstSlot(key uint64, size int) int { return int(uint32(key)) & (size - 1) }

// probe appends the entries with this key that match the topic. This is the group probe for SIMD: tags of several
// slots compared at once.
func (x *Index) probe(tb *table, key uint64, topic string, dst []*Entry) []*Entry {
	if tb.old != nil {
		x.migrate(tb, migrateProbe) // matching pays for two arrays: it helps to get rid of one
		dst = x.probeIn(tb.old, tb.exact, key, topic, dst)
	}
	return x.probeIn(tb.slots, tb.exact, key, topic, dst)
}

func (x *Index) probeIn(slots []slot, exact bool, key uint64, topic string, dst []*Entry) []*Entry {
	if slots == nil {
		return dst
	}
	tag, mask := tagOf(key), len(slots)-1
	for i := firstSlot(key, len(slots)); ; i = (i + 1) & mask {
		s := slots[i]
		if s.entry == 0 {
			return dst
		}
		if s.tag != tag || s.entry == entryDeleted {
			continue
		}
		if e := x.entry(s.entry - 1); e.key == key && (e.Filter == topic || !exact && MatchOne(e.Filter, topic)) {
			dst = append(dst, e)
		}
	}
}

// lookup returns the entry of exactly this filter.
func (x *Index) lookup(tb *table, key uint64, filter string) *Entry {
	for _, slots := range [2][]slot{tb.slots, tb.old} {
		if slots == nil {
			continue
		}
		for i := firstSlot(key, len(slots)); slots[i].entry != 0; i = (i + 1) & (len(slots) - 1) {
			s := slots[i]
			if s.tag != tagOf(key) || s.entry == entryDeleted {
				continue
			}
			if e := x.entry(s.entry - 1); e.key == key && e.Filter == filter {
				return e
			}
		}
	}
	return nil
}

// count returns how many entries have this key: filters that collide.
func (x *Index) count(tb *table, key uint64) int {
	n := 0
	for _, slots := range [2][]slot{tb.slots, tb.old} {
		if slots == nil {
			continue
		}
		for i := firstSlot(key, len(slots)); slots[i].entry != 0; i = (i + 1) & (len(slots) - 1) {
			s := slots[i]
			if s.tag == tagOf(key) && s.entry != entryDeleted && x.entry(s.entry-1).key == key {
				n++
			}
		}
	}
	return n
}

// insert adds an entry and reports whether it is the first with its key.
func (x *Index) insert(tb *table, e *Entry) (first bool) {
	first = x.count(tb, e.key) == 0
	x.migrate(tb, migrateSlots)
	if 4*(tb.spent+1) > 3*len(tb.slots) {
		tb.grow()
	}
	tb.place(e.key, e.self+1)
	tb.live++
	return first
}

// grow begins to move to a new array, at most half full when all has moved. It takes len/4 changes to fill that array
// to 3/4, which move 8*len slots of the old one: not smaller than a quarter of the old one, it is never filled before
// the old one is done with.
func (tb *table) grow() {
	if tb.old != nil {
		panic("BUG: a table grows while it grows")
	}
	size := max(tableStart, len(tb.slots)/4)
	for 2*(tb.live+1) > size {
		size *= 2
	}
	tb.old, tb.moved, tb.spent = tb.slots, 0, 0
	tb.slots = make([]slot, size)
	adviseHuge(unsafe.Pointer(&tb.slots[0]), unsafe.Sizeof(slot{})*uintptr(size))
}

func (tb *table) place(key uint64, entry uint32) {
	mask := len(tb.slots) - 1
	i := firstSlot(key, len(tb.slots))
	for tb.slots[i].entry != 0 {
		i = (i + 1) & mask
	}
	tb.slots[i] = slot{tagOf(key), entry}
	tb.spent++
}

// migrate moves at most n slots of the old array.
func (x *Index) migrate(tb *table, n int) {
	for ; n > 0 && tb.old != nil; n-- {
		if tb.moved == len(tb.old) {
			tb.old = nil
			return
		}
		s := &tb.old[tb.moved]
		tb.moved++
		if s.entry == 0 || s.entry == entryDeleted {
			continue
		}
		tb.place(x.entry(s.entry-1).key, s.entry)
		s.entry = entryDeleted // keeps the probe chains of what has not moved
	}
	if tb.old != nil && tb.moved == len(tb.old) {
		tb.old = nil
	}
}

// remove takes an entry out and reports whether it was the last with its key.
func (x *Index) remove(tb *table, e *Entry) (last bool) {
	x.migrate(tb, migrateSlots)
	for _, slots := range [2][]slot{tb.slots, tb.old} {
		if slots == nil {
			continue
		}
		for i := firstSlot(e.key, len(slots)); slots[i].entry != 0; i = (i + 1) & (len(slots) - 1) {
			if slots[i].entry == e.self+1 {
				slots[i].entry = entryDeleted
				tb.live--
				return x.count(tb, e.key) == 0
			}
		}
	}
	panic("BUG: filter " + e.Filter + " is not in its table")
}
