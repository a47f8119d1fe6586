package sim

import (
	"flag"
	"testing"
)

var (
	flagSeeds = flag.Int("sim.seeds", 1000, "how many seeds TestSimulation runs")
	flagSeed  = flag.Uint64("sim.seed", 0, "the one seed to run (0: -sim.seeds of them)")
	flagFirst = flag.Uint64("sim.first", 1, "the first of -sim.seeds seeds")
	flagOps   = flag.Int("sim.ops", 120, "operations in one run")
	flagTrace = flag.Bool("sim.trace", false, "print the transcript")
)

// run simulates one seed and returns what failed, "" if nothing did, and the hash of the transcript.
func run(seed uint64) (failed string, transcript uint64) {
	w := newWorld(seed)
	defer func() {
		if r := recover(); r != nil {
			f, ok := r.(failure)
			if !ok {
				w.note("panic: %v", r)
				for _, line := range w.recent {
					println(line)
				}
				println("seed", seed)
				panic(r)
			}
			failed, transcript = string(f), w.transcript
		}
	}()
	for range *flagOps {
		w.operate()
	}
	w.finish()
	return "", w.transcript
}

func TestSimulation(t *testing.T) {
	if *flagSeed != 0 {
		if failed, _ := run(*flagSeed); failed != "" {
			t.Fatal(failed)
		}
		return
	}
	bad := 0
	for i := range uint64(*flagSeeds) {
		if failed, _ := run(*flagFirst + i); failed != "" {
			t.Error(failed)
			if bad++; bad == 3 {
				t.Fatal("three seeds failed; the rest is not run")
			}
		}
	}
}

// TestSameSeedSameTranscript holds the simulation itself to its promise: without it no failure could be replayed.
func TestSameSeedSameTranscript(t *testing.T) {
	for seed := uint64(1); seed <= 20; seed++ {
		failed1, first := run(seed)
		failed2, again := run(seed)
		if first != again || failed1 != failed2 {
			t.Fatalf("seed %d: transcript %x, then %x", seed, first, again)
		}
	}
}
