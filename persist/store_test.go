package persist

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// session of a test: a store in a world, and what it said.
type harness struct {
	t        *testing.T
	w        *world
	d        *Disk
	st       *state
	log      []string
	troubles []error
}

func (h *harness) open(o Options) *harness {
	h.t.Helper()
	o.OnTrouble = func(err error) { h.troubles = append(h.troubles, err) }
	o.Log = func(line string) { h.log = append(h.log, line) }
	o.defaults()
	d, err := openDisk(o, h.w, simEngine{h.w}, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	h.d, h.st = d, restored(h.t, d)
	h.t.Cleanup(func() { _ = d.Close() })
	return h
}

func start(t *testing.T, w *world, o Options) *harness {
	t.Helper()
	return (&harness{t: t, w: w}).open(o)
}

// kill opens the store again after a SIGKILL.
func (h *harness) kill(o Options) *harness {
	h.t.Helper()
	return h.after(h.w.kill(), o)
}

func (h *harness) after(w *world, o Options) *harness {
	h.t.Helper()
	_ = h.d.Close() // ends the goroutines; the disk is off
	return start(h.t, w, o)
}

// commit commits ops and returns whether Done came when nothing moves any more.
func (h *harness) commit(ops ...Op) *bool {
	done := new(bool)
	h.d.Commit(&Batch{Ops: ops, Done: func() { *done = true }})
	synctest.Wait()
	return done
}

func bubble(t *testing.T, name string, f func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

func TestDoneMeansWhatThePolicySays(t *testing.T) {
	f := func(policy Policy, name string, wait time.Duration, want map[string]string) {
		bubble(t, name, func(t *testing.T) {
			h := start(t, newWorld(), Options{Policy: policy})
			if done := h.commit(retainedOp(newMessage("a", "x"))); !*done {
				t.Fatal("the batch is not done")
			}
			time.Sleep(wait)
			synctest.Wait()
			killed := h.w.kill()
			cut := h.w.cut(rand.New(rand.NewPCG(0, 0)))
			for name := range cut.names { // the worst case: nothing that was not synced is there
				cut.names[name].data = h.w.names[name].synced
			}
			same(t, "after a kill", h.after(killed, Options{}).st.texts(), map[string]string{"r a": "x"})
			h2 := h.after(cut, Options{})
			same(t, "after a power cut", h2.st.texts(), want)
			if err := h2.d.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	stored, nothing := map[string]string{"r a": "x"}, map[string]string{}
	f(Strict, "strict", 0, stored)
	f(Balanced, "balanced", 0, nothing)
	f(Balanced, "balanced, synced", time.Second, stored)
	f(Fast, "fast, synced", time.Second, stored)
}

func TestIdleStoreDoesNothing(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		h := start(t, newWorld(), Options{})
		h.commit(retainedOp(newMessage("a", "x")))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		syncs := h.w.syncs
		if !h.d.own.timerAt.IsZero() {
			t.Error("a timer runs although everything is synced")
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if h.w.syncs != syncs {
			t.Errorf("an idle hour made %d syncs", h.w.syncs-syncs)
		}
	})
}

func TestFullDiskHoldsWhatItCannotStore(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		w := newWorld()
		h := start(t, w, Options{})
		h.commit(retainedOp(newMessage("a", "before")))
		w.mu.Lock()
		w.space = w.used()
		w.mu.Unlock()
		small := h.commit(retainedOp(newMessage("s", strings.Repeat("x", allocateBytes))))
		if !*small || len(h.troubles) != 1 || !errors.Is(h.troubles[0], syscall.ENOSPC) {
			t.Errorf("done %v, troubles %v, want that the reserve takes it and that this is a trouble", *small, h.troubles)
		}
		big := h.commit(retainedOp(newMessage("b", strings.Repeat("x", checkpointBytesDefault+allocateBytes))))
		later := h.commit(retainedOp(newMessage("c", "later")))
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if *big || *later {
			t.Error("a batch was done on a full disk")
		}
		if len(h.troubles) != 1 || !errors.Is(h.troubles[0], syscall.ENOSPC) || h.d.Stats().Trouble == nil {
			t.Errorf("troubles %v, want one of a full disk", h.troubles)
		}
		if err := h.d.Sync(); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("Sync: %v, want that the disk is full", err)
		}
		w.mu.Lock()
		w.space = 0
		w.mu.Unlock()
		if err := h.d.Sync(); err != nil || !*big || !*later {
			t.Errorf("with space again: %v, done %v %v", err, *big, *later)
		}
		if len(h.troubles) != 2 || h.troubles[1] != nil {
			t.Errorf("troubles %v, want that it is over", h.troubles)
		}
		h = h.kill(Options{})
		same(t, "topics", keysOf(h.st.bodies), []string{"r a", "r b", "r c", "r s"})
		same(t, "said at the start", len(h.log), 0)
	})
}

// failing lets n operations fail.
func failing(op string, n int, err error) func(string, string) error {
	return func(o, name string) error {
		if o != op || n == 0 {
			return nil
		}
		n--
		return err
	}
}

func TestErrorsOfTheDisk(t *testing.T) {
	f := func(name string, policy Policy, op string, n int, err error) {
		bubble(t, name, func(t *testing.T) {
			w := newWorld()
			h := start(t, w, Options{Policy: policy})
			h.commit(retainedOp(newMessage("a", "1")), sessionOp(1, "c"))
			time.Sleep(2 * time.Second)
			w.mu.Lock()
			w.fault = failing(op, n, err)
			w.mu.Unlock()
			var all []*bool
			for i := range 5 {
				all = append(all, h.commit(deliveryOp(1, uint64(i), newMessage("d", fmt.Sprint(i)))))
				time.Sleep(300 * time.Millisecond)
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			for i, done := range all {
				if !*done {
					t.Errorf("batch %d is not done after the trouble", i)
				}
			}
			if len(h.troubles) != 2 || !errors.Is(h.troubles[0], err) || h.troubles[1] != nil {
				t.Errorf("troubles %v, want %v and its end", h.troubles, err)
			}
			h = h.after(w.cut(rand.New(rand.NewPCG(1, 1))), Options{})
			same(t, "payloads", h.st.texts(), map[string]string{"r a": "1", "d 1 0": "0", "d 1 1": "1", "d 1 2": "2", "d 1 3": "3", "d 1 4": "4"})
		})
	}
	for _, policy := range []Policy{Balanced, Strict} {
		for _, n := range []int{1, 2, 5} {
			f(fmt.Sprint("write ", policy, n), policy, "write", n, syscall.EIO)
			f(fmt.Sprint("sync ", policy, n), policy, "sync", n, syscall.EIO)
		}
	}
	f("read-only", Balanced, "write", 20, syscall.EROFS)
}

func TestWriteThatCannotBeTakenBackGoesElsewhere(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		w := newWorld()
		h := start(t, w, Options{})
		h.commit(retainedOp(newMessage("a", "1")))
		failed := false
		w.fault = func(op, name string) error {
			if op == "truncate" || op == "write" && !failed {
				failed = true
				return syscall.EIO
			}
			return nil
		}
		h.commit(retainedOp(newMessage("b", strings.Repeat("2", 5000))))
		time.Sleep(5 * time.Second)
		h = h.kill(Options{})
		same(t, "topics", keysOf(h.st.bodies), []string{"r a", "r b"})
	})
}

func TestCheckpointMovesTheJournalIntoTheEngine(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		w := newWorld()
		o := Options{CheckpointBytes: 64 << 10}
		h := start(t, w, o)
		h.commit(sessionOp(1, "c"))
		kept := newMessage("kept", "kept")
		h.commit(retainedOp(kept), deliveryOp(1, 1, kept))
		for i := range 2000 {
			x := newMessage("d", strings.Repeat("x", 100))
			h.commit(deliveryOp(1, uint64(2+i), x))
			h.commit(ackedOp(1, uint64(2+i), x))
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		s := h.d.Stats()
		if s.Checkpoints == 0 || s.JournalBytes > 2*64<<10 || len(w.engine) == 0 {
			t.Errorf("%d checkpoints, %d bytes in the journal, %d records in the engine", s.Checkpoints, s.JournalBytes, len(w.engine))
		}
		if len(w.engine) > 10 {
			t.Errorf("%d records in the engine: what came and went should not be there", len(w.engine))
		}
		h.commit(ackedOp(1, 1, kept))
		h = h.kill(o)
		same(t, "payloads", h.st.texts(), map[string]string{"r kept": "kept"})
	})
}

func TestEngineThatFailsFillsTheJournalOnly(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		w := newWorld()
		o := Options{CheckpointBytes: 16 << 10}
		h := start(t, w, o)
		w.mu.Lock()
		w.fault = func(op, name string) error {
			if op == "apply" {
				return syscall.ENOSPC
			}
			return nil
		}
		w.mu.Unlock()
		var last *bool
		n := 0
		for ; last == nil || *last; n++ {
			last = h.commit(retainedOp(newMessage(fmt.Sprint(n), strings.Repeat("x", 1000))))
			time.Sleep(time.Second)
			if n > 1000 {
				t.Fatal("the journal grows without end")
			}
		}
		if n < 100 || len(h.troubles) != 1 || !errors.Is(h.troubles[0], syscall.ENOSPC) {
			t.Errorf("held after %d batches, troubles %v", n, h.troubles)
		}
		w.mu.Lock()
		w.fault = nil
		w.mu.Unlock()
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if !*last || len(h.troubles) != 2 || h.troubles[1] != nil {
			t.Errorf("done %v, troubles %v after the engine's recovery", *last, h.troubles)
		}
		h = h.kill(o)
		same(t, "retained", len(h.st.bodies), n)
	})
}

func TestDirectoryLargerThanAllowed(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		h := start(t, newWorld(), Options{MaxBytes: 13 << 20, CheckpointBytes: 1 << 20})
		big := newMessage("big", strings.Repeat("x", 27<<18))
		h.commit(retainedOp(big))
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(h.troubles) != 0 {
			t.Fatalf("troubles %v below the limit", h.troubles)
		}
		other := newMessage("other", strings.Repeat("x", 27<<18))
		done := h.commit(retainedOp(other))
		time.Sleep(time.Minute)
		if !*done || len(h.troubles) != 1 || h.troubles[0] != ErrMaxBytes {
			t.Fatalf("done %v, troubles %v above the limit", *done, h.troubles)
		}
		if done := h.commit(Op{Kind: DeleteRetained, Ref: -1, Message: big.hold()}); !*done {
			t.Error("a delete was held")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(h.troubles) != 2 || h.troubles[1] != nil {
			t.Errorf("troubles %v, want that it is over", h.troubles)
		}
	})
}

func TestCloseStoresWhatWasCommitted(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		h := start(t, newWorld(), Options{})
		for i := range 100 {
			h.d.Commit(&Batch{Ops: []Op{retainedOp(newMessage(fmt.Sprint(i), "x"))}})
		}
		if err := h.d.Close(); err != nil {
			t.Fatal(err)
		}
		h = start(t, h.w.cut(rand.New(rand.NewPCG(1, 2))), Options{})
		same(t, "retained", len(h.st.bodies), 100)
	})
	bubble(t, "on a disk that fails", func(t *testing.T) {
		h := start(t, newWorld(), Options{})
		h.w.mu.Lock()
		h.w.fault = failing("write", 1000, syscall.EIO)
		h.w.mu.Unlock()
		h.d.Commit(&Batch{Ops: []Op{retainedOp(newMessage("a", "x"))}})
		if err := h.d.Close(); !errors.Is(err, syscall.EIO) {
			t.Errorf("Close: %v, want the disk's error", err)
		}
	})
}
