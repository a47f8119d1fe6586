package router

import "unsafe"

// Flags of a subscription.
const (
	FlagNoLocal uint8 = 1 << iota
	FlagRetainAsPublished
)

// Subscriber is one subscription of one session to one filter.
type Subscriber struct {
	Key   uint32 // the session: its index in the shard's slab
	ID    uint32 // subscription identifier, 0: none
	QoS   uint8
	Flags uint8
}

// Entry is one filter of an index and who subscribed to it. It is valid until the index changes.
type Entry struct {
	Filter string
	Subs   []Subscriber
	Groups []*Group

	byKey map[uint32]int32 // positions in Subs, when there are many
	table *table           // nil: in the trie
	key   uint64           // combined hash of the literal levels
	self  uint32           // position in the index's slab
	one   [1]Subscriber    // Subs aliases it while there is one: most filters have one subscriber
}

// Index is the filters of one shard. Loop thread only. A filter with one subscriber costs about 145 bytes and its own
// text: the entry (128) and its share of a table of 8-byte slots that is between 3/8 and 3/4 full. Tables grow by
// moving a bounded number of slots with each change.
type Index struct {
	hasher   *Hasher
	interest *Interest // nil: one loop
	loop     int

	shapes  map[shape]*table
	fitting fitting[*table]
	deep    trie
	version uint64 // counts the entries that came and went
	groups  map[Share]*Group

	entries []*[entriesChunk]Entry
	free    []uint32
	made    uint32
	subs    int
}

const entriesChunk = 128

// NewIndex makes the index of one loop. interest is nil when there is only one.
func NewIndex(h *Hasher, interest *Interest, loop int) *Index {
	return &Index{hasher: h, interest: interest, loop: loop, shapes: make(map[shape]*table), groups: make(map[Share]*Group)}
}

// Len returns the number of subscriptions, members of shared groups not counted.
func (x *Index) Len() int { return x.subs }

// Version changes when an entry comes or goes: what Match said of a topic holds as long as it does not.
func (x *Index) Version() uint64 { return x.version }

// Subscribe adds a subscription or replaces the one with the same key. The loop's interest is registered when it
// returns. filter is kept.
func (x *Index) Subscribe(filter string, s Subscriber) (replaced bool) {
	e := x.enter(filter)
	if i := e.position(s.Key); i >= 0 {
		e.Subs[i] = s
		return true
	}
	e.add(s)
	x.subs++
	return false
}

// Unsubscribe removes a subscription; the filter goes with its last one.
func (x *Index) Unsubscribe(filter string, key uint32) (existed bool) {
	e := x.find(filter)
	if e == nil {
		return false
	}
	i := e.position(key)
	if i < 0 {
		return false
	}
	e.removeAt(i)
	x.subs--
	x.dropIfEmpty(e)
	return true
}

// Match appends every entry whose filter matches the topic.
func (x *Index) Match(t *Topic, dst []*Entry) []*Entry {
	exact, open := x.fitting.of(t.depth)
	dst = x.matchTables(exact, t, dst)
	dst = x.matchTables(open, t, dst)
	if x.deep.len > 0 {
		dst = x.deep.match(t.Name, dst)
	}
	return dst
}

// probesAtOnce is how many tables are looked at together: their first slots are loaded before any is judged, so that the
// cache misses of a large index overlap.
const probesAtOnce = 8

func (x *Index) matchTables(tables []*table, t *Topic, dst []*Entry) []*Entry {
	system := t.system()
	var keys [probesAtOnce]uint64
	var first [probesAtOnce]slot
	for len(tables) > 0 {
		n := min(len(tables), probesAtOnce)
		for i, tb := range tables[:n] {
			keys[i&(probesAtOnce-1)] = tb.shape.key(t)
			first[i&(probesAtOnce-1)] = tb.slots[firstSlot(keys[i&(probesAtOnce-1)], len(tb.slots))]
		}
		for i, tb := range tables[:n] {
			if first[i&(probesAtOnce-1)].entry == 0 && tb.old == nil || system && tb.shape.leadingWildcard() {
				continue
			}
			dst = x.probe(tb, keys[i&(probesAtOnce-1)], t.Name, dst)
		}
		tables = tables[n:]
	}
	return dst
}

// find returns the entry of a filter, nil when there is none.
func (x *Index) find(filter string) *Entry {
	s, key, ok := shapeOf(x.hasher, filter)
	tb := x.shapes[s]
	if ok && tb != nil {
		if e := x.lookup(tb, key, filter); e != nil {
			return e
		}
	}
	return x.deep.find(filter)
}

// enter returns the entry of a filter, made when there is none, with the interest of this loop registered.
func (x *Index) enter(filter string) *Entry {
	if e := x.find(filter); e != nil {
		return e
	}
	x.version++
	e := x.takeEntry()
	e.Filter = filter
	s, key, ok := shapeOf(x.hasher, filter)
	if tb := x.tableFor(s, ok); tb != nil {
		e.table, e.key = tb, key
		if x.insert(tb, e) && x.interest != nil {
			x.interest.set(s, key, x.loop)
		}
		return e
	}
	x.deep.insert(e)
	if x.deep.len == 1 && x.interest != nil {
		x.interest.setOverflow(x.loop, true)
	}
	return e
}

// tableFor returns the table of a shape, made within shapesMax; nil: the trie takes the filter.
func (x *Index) tableFor(s shape, ok bool) *table {
	if !ok {
		return nil
	}
	if tb := x.shapes[s]; tb != nil {
		return tb
	}
	if len(x.shapes) >= shapesMax {
		return nil
	}
	tb := newTable(s)
	x.shapes[s] = tb
	x.fitting.add(tb, s)
	return tb
}

// dropIfEmpty removes an entry that nobody uses, its table with the last entry, and the loop's interest with the last
// entry of its key.
func (x *Index) dropIfEmpty(e *Entry) {
	if len(e.Subs)+len(e.Groups) > 0 {
		return
	}
	x.version++
	tb := e.table
	if tb == nil {
		x.deep.remove(e.Filter)
		if x.deep.len == 0 && x.interest != nil {
			x.interest.setOverflow(x.loop, false)
		}
		x.putEntry(e)
		return
	}
	if last := x.remove(tb, e); last && x.interest != nil {
		x.interest.clear(tb.shape, e.key, x.loop)
	}
	x.putEntry(e)
	if tb.live > 0 {
		return
	}
	delete(x.shapes, tb.shape)
	x.fitting.remove(tb, tb.shape)
}

func (x *Index) entry(i uint32) *Entry { return &x.entries[i/entriesChunk][i%entriesChunk] }

// Each visits every entry, in no order.
func (x *Index) Each(visit func(*Entry)) {
	for i := range x.made {
		if e := x.entry(i); len(e.Subs)+len(e.Groups) > 0 {
			visit(e)
		}
	}
}

func (x *Index) takeEntry() *Entry {
	if n := len(x.free); n > 0 {
		e := x.entry(x.free[n-1])
		x.free = x.free[:n-1]
		return e
	}
	if int(x.made) == len(x.entries)*entriesChunk {
		x.moreEntries()
	}
	e := x.entry(x.made)
	e.self = x.made
	x.made++
	return e
}

// moreEntries makes another sixteenth of the entries there are: a large index then lies in huge pages.
func (x *Index) moreEntries() {
	n := max(1, len(x.entries)/16)
	block := make([][entriesChunk]Entry, n)
	adviseHuge(unsafe.Pointer(&block[0]), unsafe.Sizeof(block[0])*uintptr(n))
	for i := range block {
		x.entries = append(x.entries, &block[i])
	}
}

func (x *Index) putEntry(e *Entry) {
	*e = Entry{self: e.self}
	x.free = append(x.free, e.self)
}

// position returns where a session's subscription stands, -1 when it has none.
func (e *Entry) position(key uint32) int {
	if e.byKey != nil {
		if i, ok := e.byKey[key]; ok {
			return int(i)
		}
		return -1
	}
	for i := range e.Subs {
		if e.Subs[i].Key == key {
			return i
		}
	}
	return -1
}

func (e *Entry) add(s Subscriber) {
	if len(e.Subs) == 0 {
		e.one[0] = s
		e.Subs = e.one[:1:1]
		return
	}
	e.Subs = append(e.Subs, s)
	switch {
	case e.byKey != nil:
		e.byKey[s.Key] = int32(len(e.Subs) - 1)
	case len(e.Subs) > subsIndexed:
		e.byKey = make(map[uint32]int32, 2*subsIndexed)
		for i := range e.Subs {
			e.byKey[e.Subs[i].Key] = int32(i)
		}
	}
}

// removeAt takes subscription i out, keeping the order of the others while they are few.
func (e *Entry) removeAt(i int) {
	last := len(e.Subs) - 1
	if last == 0 {
		e.Subs, e.byKey = nil, nil // the entry stays when it has groups; add starts again
		return
	}
	if e.byKey == nil {
		copy(e.Subs[i:], e.Subs[i+1:])
		e.Subs = e.Subs[:last]
		return
	}
	delete(e.byKey, e.Subs[i].Key)
	if i != last {
		e.Subs[i] = e.Subs[last]
		e.byKey[e.Subs[i].Key] = int32(i)
	}
	e.Subs = e.Subs[:last]
}
