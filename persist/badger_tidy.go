package persist

import (
	"bytes"
	"os"
	"slices"
)

// badgerInstall is after how many bytes of merged tables these take the place of what they were made from. Disk use passes the
// bound of tidy by so much, and by the tables that span its end.
const badgerInstall = 16 << 20

// badgerShortSlack is what may be left to give back where space is short: less is not worth a merge.
const badgerShortSlack = 64 << 10

// badgerRewrite is a merge of all tables there were at its beginning into new ones of the last level. It goes on over
// several calls of tidy, with batches applied between them: these have higher versions, so they hold.
//
// The merge goes up the keys. When it has passed the end of an old table of the last level, that one is not needed any more:
// what of it was live is in the new tables. So these are named, and it is removed, step by step, and no second copy of
// everything is needed. The batches that were merged in stay to the end: they hide nothing that the new tables have, since
// versions are kept.
type badgerRewrite struct {
	merge   *badgerMerge
	w       badgerWriter
	base    []badgerTable   // old tables of the last level, ascending, that the merge has not passed
	passed  []badgerTable   // those it has, still named
	batches map[uint64]bool // the other tables that are merged, by number
	seen    int
}

// tidy merges the tables when they take more than twice what is live and slack, or when they are many batches: disk use is
// thus at most 2 × live + slack (64 MiB), badgerInstall (16 MiB) and what comes between two calls, with live as size
// estimates it. Each byte that comes in is written about twice more by that. When stop ends it, the next call goes on.
//
// short asks for more: everything beyond live and an eighth of it is given back, by merges that need less room meanwhile.
func (e *badgerEngine) tidy(stop <-chan struct{}, short bool) error {
	e.short = short
	if e.rewrite == nil {
		if !e.worth() {
			return nil
		}
		if err := e.begin(); err != nil {
			return err
		}
	}
	err := e.goOn(stop)
	if err != nil {
		e.abandon()
	}
	return err
}

func (e *badgerEngine) worth() bool {
	var base, batches int64
	last := ^uint64(0)
	for i := range e.tables {
		if t := &e.tables[i]; t.level > 0 {
			base += t.size
		} else if t.version != last { // tables of a batch are neighbours
			last = t.version
			batches++
		}
	}
	disk, live := e.size()
	if e.short && disk > min(live, base)+min(live, base)/8+badgerShortSlack {
		return true
	}
	// What was live at the last merge is the other bound: live does not know which records were replaced.
	return disk > 2*min(live, base)+e.opt.slack || batches > badgerRuns+disk/badgerRunBytes
}

func (e *badgerEngine) begin() error {
	m, err := e.merge(e.tables, nil)
	if err != nil {
		return err
	}
	rw := &badgerRewrite{merge: m, w: badgerWriter{e: e, level: badgerLast}, batches: map[uint64]bool{}}
	var base []badgerTable
	for _, t := range e.tables {
		if t.level == badgerLast {
			base = append(base, t)
		} else {
			rw.batches[t.id] = true
		}
	}
	slices.SortFunc(base, func(a, b badgerTable) int { return bytes.Compare(a.first, b.first) })
	for i := 1; i < len(base); i++ {
		if bytes.Compare(base[i-1].last, base[i].first) >= 0 { // not ours; then all goes at the end
			for _, t := range base {
				rw.batches[t.id] = true
			}
			base = nil
			break
		}
	}
	rw.base = base
	e.rewrite = rw
	return nil
}

func (e *badgerEngine) goOn(stop <-chan struct{}) error {
	rw := e.rewrite
	for {
		if rw.seen++; rw.seen%256 == 0 {
			select {
			case <-stop:
				return nil
			default:
			}
		}
		r, err := rw.merge.next()
		if err != nil {
			return err
		}
		if r == nil {
			return e.conclude()
		}
		if err := e.pass(r.key); err != nil {
			return err
		}
		if r.meta&badgerDeleted != 0 {
			continue
		}
		if err := rw.w.add(r); err != nil {
			return err
		}
	}
}

// pass notes that the merge came to key, and puts the new tables in the place of the old ones when they are worth it.
func (e *badgerEngine) pass(key []byte) error {
	rw := e.rewrite
	if len(rw.base) == 0 || bytes.Compare(key, rw.base[0].last) <= 0 {
		return nil
	}
	for len(rw.base) > 0 && bytes.Compare(key, rw.base[0].last) > 0 {
		rw.passed = append(rw.passed, rw.base[0])
		rw.base = rw.base[1:]
	}
	var bytes int64
	for i := range rw.w.done {
		bytes += rw.w.done[i].size
	}
	install := min(badgerInstall, 8*e.opt.tableBytes)
	if e.short {
		install = e.opt.tableBytes
	}
	if bytes < install {
		return nil
	}
	return e.replace(rw.passed)
}

// conclude ends the merge.
func (e *badgerEngine) conclude() error {
	rw := e.rewrite
	old := append(rw.passed, rw.base...)
	for _, t := range e.tables {
		if rw.batches[t.id] {
			old = append(old, t)
		}
	}
	if err := e.replace(old); err != nil {
		return err
	}
	rw.merge.close()
	e.rewrite = nil
	return nil
}

// replace names the new tables and no longer the old ones, and removes these. The oldest goes first: if the broker is killed
// meanwhile and the MANIFEST is damaged too, no record comes back whose delete is gone.
func (e *badgerEngine) replace(old []badgerTable) error {
	rw := e.rewrite
	if err := rw.w.cut(); err != nil {
		return err
	}
	if err := badgerSyncDir(e.dir); err != nil {
		return err
	}
	gone := map[uint64]bool{}
	for i := range old {
		gone[old[i].id] = true
	}
	tables := append([]badgerTable(nil), rw.w.done...)
	for _, t := range e.tables {
		if !gone[t.id] {
			tables = append(tables, t)
		}
	}
	replaced, err := e.install(tables)
	if replaced {
		rw.w.done, rw.passed = nil, nil // they are ours to remove no longer
	}
	if err != nil {
		return err
	}
	slices.SortFunc(old, func(a, b badgerTable) int { return badgerCompare(a.version, b.version) })
	for i := range old {
		_ = os.Remove(e.path(old[i].id)) // else the next start does
	}
	return nil
}

// abandon gives up a rewrite. What it has put in place stays.
func (e *badgerEngine) abandon() {
	if e.rewrite != nil {
		e.rewrite.merge.close()
		e.rewrite.w.discard()
		e.rewrite = nil
	}
}
