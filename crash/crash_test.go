package crash

import (
	"fmt"
	"math/rand/v2"
	"os"
	"syscall"
	"testing"
	"time"
)

// TestCrash: what was acknowledged before a SIGKILL stays true after it, under strict and balanced.
func TestCrash(t *testing.T) {
	program := program(t)
	for _, policy := range policies(t) {
		t.Run(policy, func(t *testing.T) {
			dedup := seed()%2 == 0
			w := newWorld(t, seed(), newHistory(0, dedup), options{late: *flagRounds / 2, groups: true, large: true})
			w.broker = newBroker(t, program, t.ArtifactDir(), ours(policy, dedup)...)
			w.killBy(syscall.SIGKILL)
			w.impatient = true
			w.hold(*flagRounds)
		})
	}
}

// killBy ends the broker by a signal, after times that leave it something to do.
func (w *world) killBy(sig syscall.Signal) {
	w.uptime = [2]time.Duration{10 * time.Millisecond, 600 * time.Millisecond}
	w.end = func() {
		from := w.history.now()
		w.broker.end(sig)
		w.history.stopped(from, int(w.round.Load()))
	}
}

// TestMosquitto holds the rig itself to its promise: it finds what Mosquitto loses, which writes its
// database now and then, and finds nothing lost when Mosquitto is stopped and writes it at the end.
func TestMosquitto(t *testing.T) {
	if _, err := os.Stat(mosquitto); err != nil {
		t.Skip("install mosquitto to run this test")
	}
	prepare := func(t *testing.T, sig syscall.Signal) *world {
		w := newWorld(t, seed(), newHistory(0, false), options{}) // 2.0 forgets shared subscriptions
		w.broker = newBroker(t, mosquitto, t.TempDir(), theirs...)
		w.killBy(sig)
		return w
	}
	t.Run("killed", func(t *testing.T) { prepare(t, syscall.SIGKILL).findLoss() })
	t.Run("stopped", func(t *testing.T) { // it may still repeat and reorder
		w := prepare(t, syscall.SIGTERM)
		w.run(5, func(map[fault]int) bool { return false })
		if n := w.faults(); n[lost]+n[retained]+n[subscription]+n[session]+n[unknown]+n[unanswered] > 0 {
			t.Error(w.report())
		}
	})
}

// theirs is Mosquitto's part of the configuration: it writes its database after each change that it counts.
var theirs = []string{"autosave_on_changes true", "autosave_interval 1", "allow_duplicate_messages true"}

// policies is which values of persistence_commit to run.
func policies(t *testing.T) []string {
	switch *flagPolicy {
	case "":
		return []string{"strict", "balanced"}
	case "strict", "balanced":
		return []string{*flagPolicy}
	}
	t.Fatalf("-crash.policy is strict or balanced, not %s", *flagPolicy)
	return nil
}

// newSeed is the seed of this process when none is given.
var newSeed = rand.Uint64N(1 << 32)

func seed() uint64 {
	if *flagSeed != 0 {
		return *flagSeed
	}
	return newSeed
}

// ours is the part of the configuration that Mosquitto does not know.
func ours(policy string, dedup bool) []string {
	return []string{"persistence_commit " + policy, "persistence_sync_interval 1", fmt.Sprintf("loops %d", *flagLoops),
		fmt.Sprintf("allow_duplicate_messages %v", !dedup)}
}
