package persist

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func TestSecondBrokerIsRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	first, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(Options{Dir: dir})
	var locked *LockedError
	want := fmt.Sprintf("%q is in use by another broker (process %d)", dir, os.Getpid())
	if !errors.As(err, &locked) || err.Error() != want {
		t.Errorf("the second open: %v, want %s", err, want)
	}
	if err := os.Remove(filepath.Join(dir, lockName)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Dir: dir}); !errors.As(err, &locked) {
		t.Errorf("the open after somebody removed the lock's file: %v, want that it is in use", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Close()
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory is %v, %v, want that only its owner can read it", info.Mode(), err)
	}
}

func TestDirectoryThatCannotBeMade(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var log []string
	troubles := make(chan error, 10)
	s, err := Open(Options{
		Dir:       filepath.Join(file, "store"),
		OnTrouble: func(err error) { troubles <- err },
		Log:       func(line string) { log = append(log, line) },
	})
	if err != nil {
		t.Fatal(err)
	}
	restored(t, s)
	if err := <-troubles; err == nil || !strings.Contains(err.Error(), "nothing is stored until the broker is started again") {
		t.Errorf("trouble %v, want that nothing is stored", err)
	}
	s.Commit(&Batch{Ops: []Op{retainedOp(newMessage("a", "x"))}})
	if err := s.Sync(); err == nil {
		t.Error("Sync says that it is stored")
	}
	if err := s.Close(); err == nil {
		t.Error("Close says that it is stored")
	}
	if !strings.Contains(strings.Join(log, "\n"), "not a directory") {
		t.Errorf("said %q, want why", log)
	}
}

// TestStoreOnADisk goes through two processes on a real directory, with checkpoints.
func TestStoreOnADisk(t *testing.T) {
	o := Options{Dir: t.TempDir(), CheckpointBytes: 32 << 10, Log: func(line string) { t.Error("said: " + line) }}
	want := map[string]string{}
	live := map[string]*message{}
	for round := range 4 {
		s, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		st := restored(t, s)
		same(t, fmt.Sprint("round ", round), st.texts(), want)
		for name, m := range st.bodies {
			live[name] = m
		}
		for i := range 300 {
			var ops []Op
			m := newMessage(fmt.Sprint(round, "/", i), strings.Repeat(fmt.Sprint(i), 100))
			name := "r " + m.body.Topic
			ops = append(ops, retainedOp(m))
			live[name], want[name] = m, string(m.body.Payload)
			if old := fmt.Sprint("r ", round-1, "/", i); round > 0 && i%3 != 0 {
				ops = append(ops, Op{Kind: DeleteRetained, Ref: -1, Message: live[old].hold()})
				delete(live, old)
				delete(want, old)
			}
			s.Commit(&Batch{Ops: ops})
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSmallMaxBytes fills a store that may be small, and empties it: there must be room again.
func TestSmallMaxBytes(t *testing.T) {
	for _, limit := range []int64{1 << 20, 5 << 20} {
		troubles := make(chan error, 10)
		s, err := Open(Options{Dir: t.TempDir(), MaxBytes: limit, OnTrouble: func(err error) { troubles <- err }})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		restored(t, s)
		var all []*message
		for round := range 2 {
			for len(troubles) == 0 {
				m := newMessage(fmt.Sprint(len(all)), strings.Repeat("x", 10_000))
				all = append(all, m)
				committed(s, retainedOp(m))
				if len(all) > 4000 {
					t.Fatalf("limit %d: no trouble", limit)
				}
			}
			if err := <-troubles; err != ErrMaxBytes {
				t.Fatalf("limit %d: %v, want that the limit is reached", limit, err)
			}
			if stored := int64(len(all)) * 10_000; stored < limit/4 {
				t.Errorf("limit %d, round %d: no more than %d bytes could be stored", limit, round, stored)
			}
			for _, m := range all {
				committed(s, Op{Kind: DeleteRetained, Ref: -1, Message: m.hold()})
			}
			all = all[:0]
			if err := <-troubles; err != nil {
				t.Fatalf("limit %d: %v, want that it is over when everything is deleted", limit, err)
			}
		}
	}
}

// moved returns when the first checkpoint is through, which must be due.
func moved(t *testing.T, s Store) {
	t.Helper()
	for s.Stats().Checkpoints == 0 {
		if err := s.Sync(); err != nil {
			t.Fatal(err)
		}
	}
}

// committed returns when ops are.
func committed(s Store, ops ...Op) {
	done := make(chan struct{})
	s.Commit(&Batch{Ops: ops, Done: func() { close(done) }})
	<-done
}

// TestDiskThatTheStoreFilledIsEmptiedByDeletes fills a file system with what is stored alone. The deletes must get through.
func TestDiskThatTheStoreFilledIsEmptiedByDeletes(t *testing.T) {
	for _, restart := range []bool{false, true} {
		troubles := make(chan error, 10)
		o := Options{Dir: filepath.Join(testSmallDisk(t), "store"), CheckpointBytes: 256 << 10, OnTrouble: func(err error) { troubles <- err }}
		s, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		restored(t, s)
		live := map[string]*message{}
		for i := 0; len(troubles) == 0; i++ {
			m := newMessage(fmt.Sprint(i), strings.Repeat("x", 5_000))
			live["r "+m.body.Topic] = m
			committed(s, retainedOp(m))
			if i > 4000 {
				t.Fatal("the disk is never full")
			}
		}
		if err := <-troubles; !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("%v, want that the disk is full", err)
		}
		if restart {
			_ = s.Close()
			if s, err = Open(o); err != nil {
				t.Fatal(err)
			}
			live = restored(t, s).bodies
		}
		for _, m := range live {
			s.Commit(&Batch{Ops: []Op{{Kind: DeleteRetained, Ref: -1, Message: m.hold()}}})
		}
		for s.Stats().Trouble != nil {
			_ = s.Sync() // tries again at once
		}
		committed(s, retainedOp(newMessage("again", "x")))
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if s, err = Open(o); err != nil {
			t.Fatal(err)
		}
		same(t, "retained", restored(t, s).texts(), map[string]string{"r again": "x"})
		_ = s.Close()
	}
}

// TestFilesThatAreRemoved removes parts of a store, while it is open or not. What is missing is said.
func TestFilesThatAreRemoved(t *testing.T) {
	f := func(name string, open bool, pattern, said, later string, want map[string]string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			var log []string
			note := func(line string) {
				mu.Lock()
				defer mu.Unlock()
				log = append(log, line)
			}
			has := func(part string) bool {
				mu.Lock()
				defer mu.Unlock()
				return strings.Contains(strings.Join(log, "\n"), part)
			}
			o := Options{Dir: t.TempDir(), Policy: Strict, CheckpointBytes: 4 << 10, Log: note, OnTrouble: func(err error) { note(fmt.Sprint(err)) }}
			s, err := Open(o)
			if err != nil {
				t.Fatal(err)
			}
			restored(t, s)
			committed(s, retainedOp(newMessage("engine", strings.Repeat("e", 5000))))
			moved(t, s)
			committed(s, retainedOp(newMessage("journal", "j")))
			if !open {
				_ = s.Close()
			}
			names, _ := filepath.Glob(filepath.Join(o.Dir, pattern))
			for _, name := range names {
				if err := os.RemoveAll(name); err != nil {
					t.Fatal(err)
				}
			}
			if open {
				committed(s, retainedOp(newMessage("late", "l")))
				if !has(said) {
					t.Errorf("said %q, want %q", log, said)
				}
				_ = s.Close()
			}
			log, said = nil, later
			if s, err = Open(o); err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			same(t, "retained", restored(t, s).texts(), want)
			if !has(said) {
				t.Errorf("said %q, want %q", log, said)
			}
		})
	}
	e := strings.Repeat("e", 5000)
	f("the journal of an open store", true, "journal-*", "was removed while the broker runs", "records of the journal are missing",
		map[string]string{"r engine": e, "r late": "l"})
	f("the engine", false, "engine", "", "engine is missing or empty", map[string]string{"r journal": "j"})
	f("the tables", false, "engine/*", "", "engine is missing or empty", map[string]string{"r journal": "j"})
}

// TestEngineCanBeBroughtBack takes the engine away and brings it back, as the note about it says.
func TestEngineCanBeBroughtBack(t *testing.T) {
	o := Options{Dir: t.TempDir(), CheckpointBytes: 4 << 10}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	restored(t, s)
	m := newMessage("old", strings.Repeat("e", 5000))
	committed(s, retainedOp(m))
	moved(t, s)
	committed(s, sessionOp(1, "c"), deliveryOp(1, 1, m))
	_ = s.Close()
	engine, away := filepath.Join(o.Dir, engineDir), filepath.Join(t.TempDir(), "away")
	if err := os.Rename(engine, away); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if s, err = Open(o); err != nil {
			t.Fatal(err)
		}
		same(t, "without the engine", restored(t, s).texts(), map[string]string{})
		_ = s.Close()
	}
	names, _ := filepath.Glob(filepath.Join(o.Dir, "journal-*"))
	for _, name := range names {
		_ = os.Remove(name)
	}
	kept, _ := filepath.Glob(filepath.Join(o.Dir, "damaged-*"))
	for _, name := range kept {
		if err := os.Rename(name, filepath.Join(o.Dir, name[strings.LastIndex(name, segmentPrefix):])); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.RemoveAll(engine), os.Rename(away, engine)); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(o); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	same(t, "with it", keysOf(restored(t, s).bodies), []string{"d 1 1", "r old"})
}
