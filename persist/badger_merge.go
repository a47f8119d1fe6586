package persist

import (
	"bytes"
	"slices"
)

// badgerMerge reads runs as one, each key once, in its newest version; deletes too.
type badgerMerge struct {
	heap []*badgerCursor // by key, then newest first; each stands on a record
	all  []*badgerCursor
	last []byte // the key that was given
	any  bool   // there is one
}

// merge begins at the first key that is not less than from.
func (e *badgerEngine) merge(tables []badgerTable, from []byte) (*badgerMerge, error) {
	from = from[:min(len(from), badgerLongKey)]
	m := &badgerMerge{}
	for _, run := range badgerSplit(tables) {
		i, _ := slices.BinarySearchFunc(run, from, func(t badgerTable, key []byte) int { return bytes.Compare(t.last, key) })
		if i == len(run) || len(from) > 0 && bytes.Compare(run[i].first, from) > 0 && !bytes.HasPrefix(run[i].first, from) {
			continue // nothing of it begins with from
		}
		c := &badgerCursor{e: e, tables: run[i:]}
		m.all = append(m.all, c)
		ok, err := c.seek(from)
		if err != nil {
			m.close()
			return nil, err
		}
		if ok {
			m.heap = append(m.heap, c)
		}
	}
	for i := len(m.heap)/2 - 1; i >= 0; i-- {
		m.down(i)
	}
	return m, nil
}

// badgerSplit makes runs of tables: those of one batch, and those of one level beneath the first. A table that overlaps with
// the one before it is a run of its own: after a repair, or where Badger itself wrote.
func badgerSplit(tables []badgerTable) [][]badgerTable {
	tables = slices.Clone(tables)
	slices.SortFunc(tables, func(a, b badgerTable) int {
		if a.level != b.level {
			return int(a.level) - int(b.level)
		}
		if a.level == 0 && a.version != b.version {
			return badgerCompare(a.version, b.version)
		}
		return bytes.Compare(a.first, b.first)
	})
	var runs [][]badgerTable
	for i, from := 0, 0; i < len(tables); i++ {
		if i+1 < len(tables) {
			t, next := &tables[i], &tables[i+1]
			if t.level == next.level && (t.level > 0 || t.version == next.version) && bytes.Compare(t.last, next.first) < 0 {
				continue
			}
		}
		runs = append(runs, tables[from:i+1])
		from = i + 1
	}
	return runs
}

// next is the next record, borrowed until the following call; nil at the end.
func (m *badgerMerge) next() (*badgerRecord, error) {
	for {
		if m.any { // leave the record that was given, and older versions of it
			if len(m.heap) == 0 {
				return nil, nil
			}
			top := m.heap[0]
			ok, err := top.next()
			if err != nil {
				return nil, err
			}
			if !ok {
				n := len(m.heap) - 1
				m.heap[0] = m.heap[n]
				m.heap = m.heap[:n]
			}
			m.down(0)
		}
		if len(m.heap) == 0 {
			return nil, nil
		}
		r := &m.heap[0].record
		if m.any && bytes.Equal(r.key, m.last) {
			continue
		}
		m.any, m.last = true, append(m.last[:0], r.key...)
		return r, nil
	}
}

func (m *badgerMerge) down(i int) {
	h := m.heap
	for {
		least := i
		for j := 2*i + 1; j <= 2*i+2 && j < len(h); j++ {
			if badgerBefore(&h[j].record, &h[least].record) {
				least = j
			}
		}
		if least == i {
			return
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}

func badgerBefore(a, b *badgerRecord) bool {
	o := bytes.Compare(a.key, b.key)
	return o < 0 || o == 0 && a.version > b.version
}

func (m *badgerMerge) close() {
	for _, c := range m.all {
		c.close()
	}
}
