package persist

import (
	"testing"
	"testing/synctest"
)

// FuzzJournal reads bytes as a segment, as a start does.
func FuzzJournal(f *testing.F) {
	ops, _ := fullOps()
	e := newEncoder(identity{1})
	e.batch(ops[:2])
	e.batch(ops[5:])
	sound := append(appendHead(nil, 1, identity{1}), e.buf...)
	f.Add(sound)
	f.Add(append(sound[:len(sound)-5:len(sound)-5], make([]byte, 300)...))
	f.Add(append(sound[:60:60], sound[61:]...))
	f.Fuzz(func(t *testing.T, data []byte) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			i := &inode{data: data, synced: data, dirty: map[int]bool{}}
			w.names[segmentName(1)], w.durable[segmentName(1)] = i, i
			w.names[tailName] = &inode{data: data[:min(len(data), tailBytes)], dirty: map[int]bool{}}
			d, err := openDisk(Options{CheckpointBytes: 1, Log: func(string) {}, OnTrouble: func(error) {}}, w, simEngine{w}, nil)
			if err != nil {
				return // a newer version
			}
			st := restored(t, d)
			if err := d.Sync(); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			w = w.kill()
			if d, err = openDisk(d.own.o, w, simEngine{w}, nil); err != nil {
				t.Fatal(err)
			}
			same(t, "restored again", restored(t, d).texts(), st.texts())
			_ = d.Close()
		})
	})
}

// FuzzRecords reads bytes as the records of an engine, in the form of changes.
func FuzzRecords(f *testing.F) {
	ops, _ := fullOps()
	for _, op := range ops {
		e := newEncoder(identity{})
		e.op(&op)
		if len(e.buf) < 1<<16 {
			f.Add(e.buf)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m := NewMemory()
		for {
			c, rest, ok := nextChange(data)
			if !ok {
				break
			}
			m.engine[string(c.key)] = string(c.value)
			data = rest
		}
		st := restored(t, m)
		again := restored(t, m.Crash())
		same(t, "restored again", again.texts(), st.texts())
		same(t, "sessions again", again.sessions, st.sessions)
		same(t, "deliveries again", again.deliveries, st.deliveries)
	})
}
