// The crash simulation: the whole broker over fake sockets, a simulated clock and persist.Memory, killed at random moments and
// restored from what the store had taken until then. A run follows from its seed; a failure prints the command that
// replays it.
//
// There is no exact model. The clients are faithful ones that keep their session state, and each checks what it receives: that it
// was sent and asked for, in order, at QoS 2 once, under the packet identifier it had. Beyond that a session is owed every message that
// was acknowledged while it surely subscribed, and the retained messages are those that were acknowledged last. Times are steps of the
// driver. Read crash_world_test.go first, then crash_model_test.go.
package sim_test

import (
	"flag"
	"fmt"
	"testing"
)

var (
	flagSeeds = flag.Int("crash.seeds", 250, "how many seeds TestCrash runs")
	flagSeed  = flag.Uint64("crash.seed", 0, "the one seed to run (0: -crash.seeds of them)")
	flagFirst = flag.Uint64("crash.first", 1, "the first of -crash.seeds seeds")
	flagOps   = flag.Int("crash.ops", 150, "operations in one run")
	flagTrace = flag.Bool("crash.trace", false, "print the transcript")
)

// run simulates one seed and returns what failed, "" if nothing did.
func run(seed uint64, ops int) (failed string, transcript uint64) {
	w := newWorld(seed, ops)
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		if _, ok := r.(failure); !ok {
			fmt.Println(w.report(fmt.Sprint(r)))
			panic(r)
		}
		failed, transcript = string(r.(failure)), w.transcript
	}()
	for w.op = 0; w.op < ops; w.op++ {
		w.operate()
	}
	w.finish()
	return "", w.transcript
}

func TestCrash(t *testing.T) {
	if *flagSeed != 0 {
		if failed, _ := run(*flagSeed, *flagOps); failed != "" {
			t.Fatal(failed)
		}
		return
	}
	bad := 0
	for i := range uint64(*flagSeeds) {
		if failed, _ := run(*flagFirst+i, *flagOps); failed != "" {
			t.Error(failed)
			if bad++; bad == 3 {
				t.Fatal("three seeds failed; the rest is not run")
			}
		}
	}
}

// TestSameSeedSameCrashes holds the simulation to its promise: without it no failure could be replayed.
func TestSameSeedSameCrashes(t *testing.T) {
	for seed := uint64(1); seed <= 10; seed++ {
		failed1, first := run(seed, *flagOps)
		failed2, again := run(seed, *flagOps)
		if first != again || failed1 != failed2 {
			t.Fatalf("seed %d: transcript %x, then %x", seed, first, again)
		}
	}
}
