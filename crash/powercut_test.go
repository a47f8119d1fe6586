package crash

import (
	"syscall"
	"testing"
	"time"
)

// syncWindow is what balanced may lose: persistence_sync_interval, and half a second for the sync itself.
const syncWindow = 1500 * time.Millisecond

// TestPowerCut: what was acknowledged before a power cut stays true after it, all of it under strict and, under balanced, what is
// older than the sync interval.
func TestPowerCut(t *testing.T) {
	program := program(t)
	for _, policy := range policies(t) {
		t.Run(policy, func(t *testing.T) {
			d := newDisk(t)
			dedup := seed()%2 == 0
			window := time.Duration(0)
			if policy == "balanced" {
				window = syncWindow
			}
			w := newWorld(t, seed(), newHistory(window, dedup), options{groups: true, large: true})
			w.broker = newBroker(t, program, d.path("disk"), ours(policy, dedup)...)
			w.cutOf(d, window)
			w.hold(*flagCuts)
		})
	}
}

// cutOf ends the broker by cuts of d's power.
func (w *world) cutOf(d *disk, window time.Duration) {
	w.uptime = [2]time.Duration{window + 300*time.Millisecond, window + 1500*time.Millisecond}
	w.end = func() {
		from := w.history.now()
		if err := d.cut(w.broker.kill, func() { w.broker.end(syscall.SIGKILL) }); err != nil {
			w.t.Fatal(err)
		}
		w.history.stopped(from, int(w.round.Load()))
	}
}
