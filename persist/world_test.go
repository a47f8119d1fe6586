package persist

import (
	"bytes"
	"io/fs"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
)

// world is a disk that can fail and lose power: the files of a store and its engine.
type world struct {
	mu      sync.Mutex
	names   map[string]*inode // as a process sees them
	durable map[string]*inode // as a power cut leaves them, at least
	engine  memoryEngine
	off     bool // the process was killed: nothing changes any more

	// fault is asked before each operation. name is "engine" for the engine.
	fault func(op, name string) error
	// space is how many bytes there are for files; 0: enough.
	space int64
	syncs int
}

const simPage = 512

// inode is a file. dirty has the pages that a sync would make durable.
type inode struct {
	data   []byte
	synced []byte
	dirty  map[int]bool
}

func newWorld() *world {
	return &world{names: map[string]*inode{}, durable: map[string]*inode{}, engine: memoryEngine{}}
}

func (w *world) begin(op, name string) error {
	if w.off {
		return syscall.EIO
	}
	if w.fault != nil {
		return w.fault(op, name)
	}
	return nil
}

// kill ends the process and returns what the next one finds.
func (w *world) kill() *world {
	return w.next(&w.names, func(f *inode) []byte { return bytes.Clone(f.data) })
}

// cut ends the process and the power. Pages that were not synced are there or not, or half.
func (w *world) cut(r *rand.Rand) *world {
	return w.next(&w.durable, func(f *inode) []byte {
		data := make([]byte, len(f.data))
		copy(data, f.synced)
		for page := range (len(data) + simPage - 1) / simPage {
			at := page * simPage
			if end := min(at+simPage, len(data)); f.dirty[page] {
				switch r.IntN(4) {
				case 0:
				case 1:
					copy(data[at:at+r.IntN(end-at+1)], f.data[at:])
				default:
					copy(data[at:end], f.data[at:])
				}
			}
		}
		return data
	})
}

func (w *world) next(names *map[string]*inode, content func(*inode) []byte) *world {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.off = true
	n := newWorld()
	maps.Copy(n.engine, w.engine)
	for _, name := range slices.Sorted(maps.Keys(*names)) {
		data := content((*names)[name])
		i := &inode{data: data, synced: bytes.Clone(data), dirty: map[int]bool{}}
		n.names[name], n.durable[name] = i, i
	}
	return n
}

func (w *world) create(name string) (file, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.begin("create", name); err != nil {
		return nil, err
	}
	i := &inode{dirty: map[int]bool{}}
	w.names[name] = i
	return simFile{w, i, name}, nil
}

func (w *world) open(name string) (file, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := w.names[name]
	if i == nil {
		return nil, fs.ErrNotExist
	}
	if err := w.begin("open", name); err != nil {
		return nil, err
	}
	return simFile{w, i, name}, nil
}

func (w *world) read(name string) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.begin("read", name); err != nil {
		return nil, err
	}
	i := w.names[name]
	if i == nil {
		return nil, fs.ErrNotExist
	}
	return bytes.Clone(i.data), nil
}

func (w *world) list() (names []string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name := range w.names {
		names = append(names, name)
	}
	return names, w.begin("list", "")
}

func (w *world) remove(name string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.begin("remove", name); err != nil {
		return err
	}
	delete(w.names, name)
	return nil
}

func (w *world) rename(from, to string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.begin("rename", from); err != nil {
		return err
	}
	w.names[to] = w.names[from]
	delete(w.names, from)
	return nil
}

func (w *world) syncDir() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.begin("syncdir", ""); err != nil {
		return err
	}
	w.durable = map[string]*inode{}
	for name, i := range w.names {
		w.durable[name] = i
	}
	return nil
}

func (w *world) used() (n int64) {
	for _, i := range w.names {
		n += int64(len(i.data))
	}
	return n
}

func (w *world) capacity() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.space == 0 {
		return math.MaxInt64
	}
	return w.space
}

type simFile struct {
	w    *world
	i    *inode
	name string
}

// extend makes the file as long as end, as far as there is space, and returns how long it is.
func (f simFile) extend(end int64) (int64, error) {
	grow := end - int64(len(f.i.data))
	var err error
	if f.w.space > 0 && grow > 0 && f.w.used()+grow > f.w.space {
		grow, err = max(f.w.space-f.w.used(), 0), syscall.ENOSPC
	}
	if grow > 0 {
		f.i.data = append(f.i.data, make([]byte, grow)...)
	}
	return int64(len(f.i.data)), err
}

func (f simFile) writeAt(b []byte, offset int64) error {
	f.w.mu.Lock()
	defer f.w.mu.Unlock()
	err := f.w.begin("write", f.name)
	if f.w.off {
		return err
	}
	if err != nil {
		b = b[:len(b)/2] // what fails in the middle
	}
	if size, full := f.extend(offset + int64(len(b))); full != nil {
		b, err = b[:max(min(int64(len(b)), size-offset), 0)], full
	}
	copy(f.i.data[min(offset, int64(len(f.i.data))):], b)
	for page := int(offset) / simPage; page*simPage < int(offset)+len(b); page++ {
		f.i.dirty[page] = true
	}
	return err
}

func (f simFile) allocate(offset, n int64) error {
	f.w.mu.Lock()
	defer f.w.mu.Unlock()
	if err := f.w.begin("allocate", f.name); err != nil {
		return err
	}
	if f.w.space > 0 && f.w.used()+offset+n-int64(len(f.i.data)) > f.w.space {
		return syscall.ENOSPC
	}
	_, err := f.extend(offset + n)
	return err
}

func (f simFile) truncate(size int64) error {
	f.w.mu.Lock()
	defer f.w.mu.Unlock()
	if err := f.w.begin("truncate", f.name); err != nil {
		return err
	}
	f.i.data = f.i.data[:min(size, int64(len(f.i.data)))]
	return nil
}

// sync loses what it should have made durable when it fails, as Linux does: a later one does not find it dirty.
func (f simFile) sync() error {
	f.w.mu.Lock()
	defer f.w.mu.Unlock()
	err := f.w.begin("sync", f.name)
	if f.w.off {
		return err
	}
	f.w.syncs++
	if err == nil {
		f.i.synced = slices.Grow(f.i.synced, len(f.i.data))
		for len(f.i.synced) < len(f.i.data) {
			f.i.synced = append(f.i.synced, 0)
		}
		f.i.synced = f.i.synced[:len(f.i.data)]
		for page := range f.i.dirty {
			if at := page * simPage; at < len(f.i.data) {
				copy(f.i.synced[at:min(at+simPage, len(f.i.data))], f.i.data[at:])
			}
		}
	}
	clear(f.i.dirty)
	return err
}

func (f simFile) close() error { return nil }

// simEngine is the engine of a world: what it says is durable is.
type simEngine struct{ w *world }

func (e simEngine) apply(changes []change) error {
	e.w.mu.Lock()
	defer e.w.mu.Unlock()
	if err := e.w.begin("apply", "engine"); err != nil {
		return err
	}
	for _, c := range changes {
		if c.value == nil {
			delete(e.w.engine, string(c.key))
		} else {
			e.w.engine[string(c.key)] = string(c.value)
		}
	}
	return nil
}

func (e simEngine) each(prefix []byte, visit func(key, value []byte) error) error {
	e.w.mu.Lock()
	defer e.w.mu.Unlock()
	return e.w.engine.each(prefix, visit)
}

func (e simEngine) tidy(<-chan struct{}, bool) error { return nil }
func (e simEngine) size() (disk, live int64) {
	e.w.mu.Lock()
	defer e.w.mu.Unlock()
	for key, value := range e.w.engine {
		disk += int64(len(key) + len(value))
	}
	return disk, disk
}
func (e simEngine) close() error { return nil }
