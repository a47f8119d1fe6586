package persist

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/dgraph-io/badger/v4/table"
	"golang.org/x/sys/unix"
)

// badgerEngine keeps the records in a Badger 4 directory: its table files and its MANIFEST. It writes them with Badger's
// table builder, in the caller's thread; badger.DB can open what is there, and the other way round.
//
// badger.DB itself is not run, because it breaks promises that this broker gives (v4.9.6):
//   - levels.go, subcompact: `defer inflightBuilders.Done(err)` takes err while it is nil, so a table that cannot be created
//     (no descriptor, no address space, a failing disk) is left out, and the compaction deletes what it was made from.
//   - z/file.go makes a mapped file sparse; a full disk is then a SIGBUS in a goroutine of Badger's (write-ahead log, flush,
//     compaction, value log), and so is a failed read of a table. No caller can recover from either.
//   - table.go, readNoFail and y.AssertTrue, y.Check: log.Fatalf for a damaged footer, and for a key of more than 65,527 bytes.
//   - table/iterator.go: a damaged block ends the iteration; levels and transactions never ask for the error.
//   - db.go, handleMemTableFlush: the directory is not synced between creating a table and naming it in the MANIFEST, and
//     flushMemtable retries for ever, with Close waiting for it. A half-written MANIFEST change stays in the file.
//   - db.Sync syncs the log of the newest memtable only.
//   - z/allocator.go, Allocate: on a 32-bit machine a builder whose buffer is full overwrites its first blocks (badgerTakes).
//   - Two compactors look for work every 50 ms; all tables are mapped, which a 32-bit process has no room for.
//
// Nothing of that is needed: the journal in front is the write-ahead log, changes come in large sorted batches, and the only
// reader is the next start. So a batch becomes tables of level 0 at once, and tidy merges them into the last level. While
// nothing is written or read, there is no goroutine, timer, descriptor or mapped page.
//
// Files: NNNNNN.sst and MANIFEST, which is replaced as a whole (written aside, synced, renamed) with each change. Tables that
// it does not name are left from an interrupted write and are removed at the next start. Keys carry Badger's version, which
// is the number of the batch: of two tables, the higher version of a key holds.
type badgerEngine struct {
	dir string
	opt badgerOptions

	// Of the checkpoint's thread.
	tables  []badgerTable // what MANIFEST names
	nextID  uint64        // of the next table file
	version uint64        // of the newest batch
	rewrite *badgerRewrite
	short   bool // of the last tidy

	// Any thread.
	disk, live atomic.Int64
}

// badgerOptions is what tests set otherwise.
type badgerOptions struct {
	tableBytes int64 // about the size of a table file; 0: 2 MiB. While one is made it takes 3 times that, and 3 MiB
	slack      int64 // bytes beside twice the live ones that the tables may take before tidy acts; 0: 64 MiB
}

const (
	badgerTableBytes = 2 << 20
	badgerSlack      = 64 << 20
	// badgerRuns is how many batches may wait for tidy in a small directory; one more for each badgerRunBytes of tables, so
	// that many small batches do not make it rewrite a large directory each time.
	badgerRuns     = 64
	badgerRunBytes = 4 << 20
	// badgerLongKey is from where keys are shortened: Badger's tables hold 65,535 bytes of key and version, while a topic
	// alone may have as many. A longer key is stored as its beginning and a hash of all of it; the rest is put before the
	// value. Keys that agree in so many bytes are visited in the order of their hashes.
	badgerLongKey = 60_000
	badgerDeleted = 1 // of Badger's meta byte
	badgerPointer = 2 // of Badger's meta byte: the value is in a value log, which is never written here
	badgerIsLong  = 1 // of the user's meta byte: the key was shortened
)

// openBadger opens the engine's directory, and makes it when there is none. Every block of every table is read and checked.
// If something is damaged, the directory is set aside as DIR.damaged-TIME, and what can be read of it takes its place; the
// sentences say so.
//
// The engine is returned with an error when its records can be read but the directory cannot be written: each works then, and
// apply fails.
func openBadger(dir string, o badgerOptions) (engine, []string, error) {
	if o.tableBytes == 0 {
		o.tableBytes = badgerTableBytes
	}
	if o.slack == 0 {
		o.slack = badgerSlack
	}
	if err := badgerFinishRepair(dir); err != nil {
		return nil, nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("make the directory of the stored records: %w", err)
	}
	e := &badgerEngine{dir: dir, opt: o}
	damage, err := e.load()
	if err != nil {
		return nil, nil, err
	}
	var notes []string
	if len(damage) > 0 {
		if notes, err = e.repair(damage); err != nil {
			return nil, nil, fmt.Errorf("%s is damaged (%s), and what is sound of it cannot be stored anew: %w", dir, damage[0], err)
		}
	}
	e.measure()
	if err := unix.Access(dir, unix.W_OK); err != nil {
		return e, notes, fmt.Errorf("%s can be read but not written; give the broker's user the right to write: %w", dir, err)
	}
	e.sweep()
	return e, notes, nil
}

// apply makes tables of the changes, and names them in the MANIFEST. Nothing of it is kept when it fails, but where the
// failure is that of the last sync, which says nothing about what is on the disk.
func (e *badgerEngine) apply(changes []change) error {
	if len(changes) == 0 {
		return nil
	}
	changes = badgerSorted(changes)
	w := badgerWriter{e: e, level: 0}
	for i := range changes {
		c := &changes[i]
		r := badgerRecord{key: c.key, value: c.value, version: e.version + 1}
		if c.value == nil {
			r.meta = badgerDeleted
		}
		if len(c.key) > badgerLongKey {
			r.shorten()
		}
		if err := w.add(&r); err != nil {
			w.discard()
			return err
		}
	}
	if err := w.finish(); err != nil {
		w.discard()
		return err
	}
	if err := badgerSyncDir(e.dir); err != nil { // before the MANIFEST names them
		w.discard()
		return err
	}
	e.version++
	replaced, err := e.install(append(slices.Clone(e.tables), w.done...))
	if err != nil && !replaced {
		w.discard()
	}
	return err
}

// install makes tables the ones that are named. replaced tells whether they are, even with an error.
func (e *badgerEngine) install(tables []badgerTable) (replaced bool, err error) {
	replaced, err = badgerWriteManifest(e.dir, tables)
	if replaced {
		e.tables = tables
		e.measure()
	}
	return replaced, err
}

func (e *badgerEngine) each(prefix []byte, visit func(key, value []byte) error) error {
	m, err := e.merge(e.tables, prefix)
	if err != nil {
		return err
	}
	defer m.close()
	for {
		r, err := m.next()
		if err != nil {
			return err
		}
		if r == nil || !bytes.HasPrefix(r.key, prefix[:min(len(prefix), badgerLongKey)]) {
			return nil
		}
		if r.meta&badgerDeleted != 0 {
			continue
		}
		key, value := r.key, r.value
		if r.user&badgerIsLong != 0 {
			if key, value, err = r.whole(); err != nil {
				return err
			}
		}
		if len(prefix) > badgerLongKey && !bytes.HasPrefix(key, prefix) {
			continue
		}
		if err := visit(key, value); err != nil {
			return err
		}
	}
}

// size may be called from any thread. What a rewrite under way has written beside the tables, at most badgerInstall and two
// tables, is not counted.
func (e *badgerEngine) size() (disk, live int64) { return e.disk.Load(), e.live.Load() }

// measure sums the tables up. live is an estimate: a deleted record is taken to be as long as others with the same first
// byte are, and one that replaced another is counted with it until the next tidy.
func (e *badgerEngine) measure() {
	var disk, live int64
	var sums [256]badgerKind
	for i := range e.tables {
		disk += e.tables[i].size
		for _, k := range e.tables[i].kinds {
			s := &sums[k.first]
			s.puts, s.bytes, s.deletes = s.puts+k.puts, s.bytes+k.bytes, s.deletes+k.deletes
		}
	}
	for _, s := range sums {
		if s.puts > s.deletes {
			live += s.bytes / s.puts * (s.puts - s.deletes)
		}
	}
	e.disk.Store(disk)
	e.live.Store(min(live, disk))
}

func (e *badgerEngine) close() error {
	e.abandon()
	return nil
}

// load reads the MANIFEST and checks the tables. damage has a sentence for each file that is not sound; err is what keeps
// from telling.
func (e *badgerEngine) load() (damage []string, err error) {
	files, err := badgerTableFiles(e.dir)
	if err != nil {
		return nil, err
	}
	e.tables, err = badgerReadManifest(e.dir)
	switch {
	case errors.Is(err, os.ErrNotExist) && len(files) == 0:
		_, err := badgerWriteManifest(e.dir, nil)
		return nil, err
	case badgerIsDamage(err):
		// Without it, every table counts. The one thing that may come back: a record whose delete was merged away, if the
		// broker was killed while it removed the merged tables.
		damage = append(damage, fmt.Sprintf("%s: %v", badgerManifest, err))
		for _, id := range files {
			e.tables = append(e.tables, badgerTable{id: id})
		}
	case err != nil:
		return nil, err
	}
	for i := range e.tables {
		t := &e.tables[i]
		e.nextID = max(e.nextID, t.id+1)
		err := e.check(t)
		if badgerIsDamage(err) {
			damage = append(damage, strings.TrimPrefix(err.Error(), "open "))
			t.damaged = true
		} else if err != nil {
			return nil, err
		}
		e.version = max(e.version, t.version)
	}
	for _, id := range files {
		e.nextID = max(e.nextID, id+1)
	}
	return damage, nil
}

// sweep removes table files that are not named. It is housekeeping: what cannot be removed stays.
func (e *badgerEngine) sweep() {
	files, err := badgerTableFiles(e.dir)
	if err != nil {
		return
	}
	for _, id := range files {
		if !slices.ContainsFunc(e.tables, func(t badgerTable) bool { return t.id == id }) {
			_ = os.Remove(e.path(id))
		}
	}
}

func (e *badgerEngine) path(id uint64) string { return table.NewFilename(id, e.dir) }

// badgerTableFiles lists the numbers of the table files in dir, ascending.
func badgerTableFiles(dir string) ([]uint64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list the stored records: %w", err)
	}
	var ids []uint64
	for _, f := range entries {
		if id, ok := table.ParseFileID(f.Name()); ok && f.Name() == table.IDToFilename(id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// badgerSorted is changes in the order of their stored keys; the argument itself when it is so already.
func badgerSorted(changes []change) []change {
	order := func(a, b change) int {
		if len(a.key) > badgerLongKey || len(b.key) > badgerLongKey {
			return bytes.Compare(badgerShort(a.key), badgerShort(b.key))
		}
		return bytes.Compare(a.key, b.key)
	}
	if slices.IsSortedFunc(changes, order) {
		return changes
	}
	changes = slices.Clone(changes)
	slices.SortFunc(changes, order)
	return changes
}

// badgerRecord is one version of a record as it is stored. Its bytes are borrowed.
type badgerRecord struct {
	key, value []byte
	version    uint64
	meta, user byte
}

// badgerShort is the key as it is stored.
func badgerShort(key []byte) []byte {
	if len(key) <= badgerLongKey {
		return key
	}
	sum := sha256.Sum256(key)
	return append(key[:badgerLongKey:badgerLongKey], sum[:]...)
}

func (r *badgerRecord) shorten() {
	if r.meta&badgerDeleted == 0 {
		rest := r.key[badgerLongKey:]
		value := binary.AppendUvarint(make([]byte, 0, len(rest)+len(r.value)+4), uint64(len(rest)))
		r.value = append(append(value, rest...), r.value...)
	}
	r.key = badgerShort(r.key)
	r.user |= badgerIsLong
}

// whole undoes shorten.
func (r *badgerRecord) whole() (key, value []byte, err error) {
	n, w := binary.Uvarint(r.value)
	if w <= 0 || n > uint64(len(r.value)-w) || len(r.key) < badgerLongKey {
		return nil, nil, badgerDamage("a long key without its end")
	}
	rest := r.value[w : w+int(n)]
	return append(r.key[:badgerLongKey:badgerLongKey], rest...), r.value[w+int(n):], nil
}

func badgerSyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return nil
}
