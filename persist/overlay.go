package persist

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"slices"
)

// overlay is the changes of some segments by key: the last one of each counts, and what was put and deleted again without the
// engine having seen it is gone. It aliases the segments.
//
// It is made from the segments when a checkpoint or a start needs it, not kept by commits: those would pay for each change what
// a checkpoint pays for the changes that are left, and one routine reads the journal in both cases.
type overlay struct {
	segments []scanned
	tried    []bool
	seed     maphash.Seed
	// adds is the records to join, count how many changes they have.
	adds  []added
	count int
	// entries holds each key once; table has the index of an entry plus one at the key's hash, or behind it.
	entries []entry
	table   []uint32
}

type added struct {
	segment uint32
	from    uint32 // of the payload
	to      uint32
}

// entry is the last change of a key.
type entry struct {
	at      uint32 // in the segment
	segment uint16
	fresh   bool // the engine does not know the key
}

func newOverlay(segments []scanned, tried []bool) overlay {
	return overlay{segments: segments, tried: tried, seed: maphash.MakeSeed()}
}

// add takes a record up, and returns the largest id of a body in it.
func (o *overlay) add(segment int, p placed) (body uint64) {
	payload := o.segments[segment].data[p.from+frameBytes : p.to]
	o.adds = append(o.adds, added{uint32(segment), uint32(p.from + frameBytes), uint32(p.to)})
	for {
		c, rest, ok := nextChange(payload)
		if !ok {
			return body
		}
		if c.key[0] == keyBody && len(c.key) == 11 {
			body = max(body, binary.BigEndian.Uint64(c.key[1:]))
		}
		o.count++
		payload = rest
	}
}

// build joins what was added.
func (o *overlay) build() {
	size := 16
	for size < 2*o.count {
		size *= 2
	}
	o.table = make([]uint32, size)
	for _, a := range o.adds {
		data := o.segments[a.segment].data
		payload := data[a.from:a.to]
		for {
			c, rest, ok := nextChange(payload)
			if !ok {
				break
			}
			o.join(c, entry{
				at: a.to - uint32(len(payload)), segment: uint16(a.segment), fresh: c.fresh && !o.tried[a.segment],
			})
			payload = rest
		}
	}
	o.adds, o.table = nil, nil
}

func (o *overlay) join(c stored, e entry) {
	mask := uint64(len(o.table) - 1)
	for i := maphash.Bytes(o.seed, c.key) & mask; ; i = (i + 1) & mask {
		slot := o.table[i]
		if slot == 0 {
			o.entries = append(o.entries, e)
			o.table[i] = uint32(len(o.entries))
			return
		}
		if known := &o.entries[slot-1]; bytes.Equal(o.change(*known).key, c.key) {
			known.at, known.segment = e.at, e.segment
			return
		}
	}
}

// change reads an entry's change again.
func (o *overlay) change(e entry) change {
	c, _, _ := nextChange(o.segments[e.segment].data[e.at:])
	return c.change
}

// sort drops what vanishes and puts the rest in the order of the keys.
func (o *overlay) sort() {
	o.entries = slices.DeleteFunc(o.entries, func(e entry) bool { return e.fresh && o.change(e).value == nil })
	slices.SortFunc(o.entries, func(a, b entry) int { return bytes.Compare(o.change(a).key, o.change(b).key) })
}

// under is an engine with sorted changes over it.
type under struct {
	engine reading
	over   *overlay
	// saw is called for each key of the engine itself.
	saw func(key []byte)
}

func (u under) each(prefix []byte, visit func(key, value []byte) error) error {
	entries := u.over.entries
	first, _ := slices.BinarySearchFunc(entries, prefix, func(e entry, prefix []byte) int {
		return bytes.Compare(u.over.change(e).key, prefix)
	})
	entries = entries[first:]
	// next gives the changes before key, nil: all that are left with the prefix, and says whether key itself is changed.
	next := func(key []byte) (changed bool, err error) {
		for len(entries) > 0 {
			c := u.over.change(entries[0])
			order := -1
			if key != nil {
				order = bytes.Compare(c.key, key)
			}
			if order > 0 || !bytes.HasPrefix(c.key, prefix) {
				return false, nil
			}
			entries = entries[1:]
			if c.value != nil {
				if err := visit(c.key, c.value); err != nil {
					return false, err
				}
			}
			if order == 0 {
				return true, nil
			}
		}
		return false, nil
	}
	err := u.engine.each(prefix, func(key, value []byte) error {
		u.saw(key)
		if changed, err := next(key); changed || err != nil {
			return err
		}
		return visit(key, value)
	})
	if err != nil {
		return err
	}
	_, err = next(nil)
	return err
}
