package persist

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
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
