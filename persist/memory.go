package persist

import (
	"slices"
	"strings"
	"sync"
)

// Memory is a Store in memory, for the simulation and for tests: what is stored when is up to its owner. Records go through
// the same encoding as on a disk.
type Memory struct {
	// Auto stores every batch in Commit itself and calls its Done there. Set before the first Commit.
	Auto bool

	// mu guards what follows. Done is called without it.
	mu     sync.Mutex
	queue  []*Batch // not stored yet
	enc    encoder
	engine memoryEngine
	stats  Stats
}

// NewMemory returns an empty store.
func NewMemory() *Memory {
	return &Memory{enc: newEncoder(identity{}), engine: memoryEngine{}}
}

// Restore gives everything that is stored to r.
func (m *Memory) Restore(r Restorer) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	found, err := restore(m.engine, r)
	if err != nil {
		return err
	}
	m.enc.adopt(found)
	m.stats.SetAside += found.broken
	m.apply(found.garbage)
	return nil
}

// Commit queues a batch for Step, or stores it at once when Auto is set.
func (m *Memory) Commit(b *Batch) {
	m.mu.Lock()
	m.queue = append(m.queue, b)
	m.mu.Unlock()
	if m.Auto {
		m.Step()
	}
}

// Step stores the oldest queued batch and calls its Done, and is false when there is none.
func (m *Memory) Step() bool {
	m.mu.Lock()
	if len(m.queue) == 0 {
		m.mu.Unlock()
		return false
	}
	b := m.queue[0]
	m.queue = slices.Delete(m.queue, 0, 1)
	m.store(b)
	m.mu.Unlock()
	if b.Done != nil {
		b.Done()
	}
	return true
}

// store writes b's records and reads them again.
func (m *Memory) store(b *Batch) {
	m.stats.Commits++
	m.stats.Ops += uint64(len(b.Ops))
	m.enc.buf = m.enc.buf[:0]
	m.enc.batch(b.Ops)
	m.stats.BytesWritten += uint64(len(m.enc.buf))
	for rest := m.enc.buf; len(rest) > 0; {
		f, size, ok := readFrame(rest, m.enc.seed)
		if !ok {
			panic("BUG: a record that was just written cannot be read")
		}
		m.apply(f.payload)
		rest = rest[size:]
	}
}

func (m *Memory) apply(payload []byte) {
	for len(payload) > 0 {
		c, rest, ok := nextChange(payload)
		if !ok {
			panic("BUG: a change that was just written cannot be read")
		}
		if c.value == nil {
			delete(m.engine, string(c.key))
		} else {
			m.engine[string(c.key)] = string(c.value)
		}
		payload = rest
	}
}

// Sync stores every queued batch.
func (m *Memory) Sync() error {
	for m.Step() {
	}
	m.mu.Lock()
	m.stats.Syncs++
	m.mu.Unlock()
	return nil
}

// Crash ends m and returns a store with what was stored. The queued batches are dropped and their messages released.
func (m *Memory) Crash() *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, b := range m.queue {
		for i := range b.Ops {
			if message := b.Ops[i].Message; message != nil {
				message.Release()
			}
		}
	}
	m.queue = nil
	next := NewMemory()
	next.Auto, next.engine = m.Auto, m.engine
	m.engine = memoryEngine{}
	return next
}

// Stats is what was counted since the store was made.
func (m *Memory) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.stats
	s.Messages, s.LiveBytes = m.enc.bodies, m.enc.bytes
	return s
}

// Close stores what was committed.
func (m *Memory) Close() error { return m.Sync() }

// memoryEngine is an engine in memory.
type memoryEngine map[string]string

func (m memoryEngine) each(prefix []byte, visit func(key, value []byte) error) error {
	var keys []string
	for key := range m {
		if strings.HasPrefix(key, string(prefix)) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		if err := visit([]byte(key), []byte(m[key])); err != nil {
			return err
		}
	}
	return nil
}
