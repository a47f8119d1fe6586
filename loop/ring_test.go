package loop

import (
	"runtime"
	"testing"
)

func TestRingSpillsInOrderWhenFull(t *testing.T) {
	r := newRing()
	const n = ringSlots + 100
	for i := range n {
		if fit := r.send(Mail{Arg: uint32(i)}); fit != (i < ringSlots) {
			t.Fatalf("entry %d: fit = %v", i, fit)
		}
	}
	if got := r.spilled.Load(); got != 100 {
		t.Fatalf("spilled = %d, want 100", got)
	}
	for i := range n {
		m, ok := r.pop()
		if !ok {
			r.respill()
			m, ok = r.pop()
		}
		if !ok || m.Arg != uint32(i) {
			t.Fatalf("entry %d: got %d, %v", i, m.Arg, ok)
		}
	}
	if r.spilled.Load() != 0 || len(r.spill) != 0 || !r.empty() {
		t.Fatalf("left over: spilled %d, spill %d", r.spilled.Load(), len(r.spill))
	}
}

func TestRingForgetsWhatWasTaken(t *testing.T) {
	r := newRing()
	r.send(Mail{Body: new(int)})
	r.pop()
	if r.slots[0].Body != nil {
		t.Fatal("a taken entry is still reachable from its slot")
	}
}

func TestRingKeepsOrderBetweenThreads(t *testing.T) {
	r := newRing()
	const n = 200_000
	go func() {
		for i := range n {
			r.send(Mail{Arg: uint32(i)})
			if i%64 == 0 {
				r.respill()
			}
		}
		for len(r.spill) > 0 {
			r.respill()
			runtime.Gosched()
		}
	}()
	for i := 0; i < n; {
		m, ok := r.pop()
		if !ok {
			runtime.Gosched()
			continue
		}
		if m.Arg != uint32(i) {
			t.Fatalf("entry %d: got %d", i, m.Arg)
		}
		i++
	}
}

func BenchmarkRing(b *testing.B) {
	r := newRing()
	b.ReportAllocs()
	for b.Loop() {
		r.send(Mail{Arg: 1})
		r.pop()
	}
}
