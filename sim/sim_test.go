package sim

import (
	"flag"
	"fmt"
	"testing"
)

// flags are those of one of the two simulations.
type flags struct {
	name, test  string
	seeds, ops  *int
	seed, first *uint64
	trace       *bool
}

func newFlags(name, test string, seeds, ops int) *flags {
	return &flags{name: name, test: test,
		seeds: flag.Int(name+".seeds", seeds, "how many seeds "+test+" runs"),
		seed:  flag.Uint64(name+".seed", 0, "the one seed to run (0: -"+name+".seeds of them)"),
		first: flag.Uint64(name+".first", 1, "the first of -"+name+".seeds seeds"),
		ops:   flag.Int(name+".ops", ops, "operations in one run"),
		trace: flag.Bool(name+".trace", false, "print the transcript")}
}

var simFlags = newFlags("sim", "TestSimulation", 1000, 120)

// simulation is one run: of clients and a model of their own, around a driver.
type simulation interface {
	operate() // does one random thing
	finish()  // checks that nothing is owed, and that the broker ends empty
}

// run simulates one seed and returns what failed, "" if nothing did, and the hash of the transcript.
func (f *flags) run(seed uint64, begin func(*driver) simulation) (failed string, transcript uint64) {
	d := newDriver(f, seed)
	defer func() {
		switch r := recover().(type) {
		case nil:
		case failure:
			failed = string(r)
		default:
			fmt.Println(d.report(fmt.Sprint(r)))
			panic(r)
		}
		transcript = d.transcript
	}()
	s := begin(d)
	for range *f.ops {
		s.operate()
	}
	s.finish()
	return "", d.transcript
}

// runSeeds simulates the seeds that the flags ask for.
func (f *flags) runSeeds(t *testing.T, begin func(*driver) simulation) {
	first, seeds := *f.first, *f.seeds
	if *f.seed != 0 {
		first, seeds = *f.seed, 1
	}
	bad := 0
	for i := range uint64(seeds) {
		if failed, _ := f.run(first+i, begin); failed != "" {
			t.Error(failed)
			if bad++; bad == 3 {
				t.Fatal("three seeds failed; the rest is not run")
			}
		}
	}
}

// runTwice holds a simulation to its promise: without it no failure could be replayed.
func (f *flags) runTwice(t *testing.T, seeds uint64, begin func(*driver) simulation) {
	for seed := uint64(1); seed <= seeds; seed++ {
		failed1, first := f.run(seed, begin)
		failed2, again := f.run(seed, begin)
		if first != again || failed1 != failed2 {
			t.Fatalf("seed %d: transcript %x, then %x", seed, first, again)
		}
	}
}

func TestSimulation(t *testing.T) { simFlags.runSeeds(t, newWorld) }

func TestSameSeedSameTranscript(t *testing.T) { simFlags.runTwice(t, 20, newWorld) }
