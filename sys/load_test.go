package sys

import (
	"math"
	"testing"
)

// TestLoadsAsMosquittoComputesThem replays what Debian's Mosquitto published, with `sys_interval 1`, of one connection
// and of the packets of one client: it updates every second second.
func TestLoadsAsMosquittoComputesThem(t *testing.T) {
	for _, c := range []struct {
		name   string
		counts []uint64
		want   [][len(windows)]float64
	}{
		{"one connection", []uint64{1, 1, 1, 1, 1}, [][len(windows)]float64{
			{0.98, 0.20, 0.07}, {0.95, 0.20, 0.07}, {0.92, 0.20, 0.07}, {0.89, 0.20, 0.07}, {0.86, 0.19, 0.07}}},
		{"packets", []uint64{106, 184, 238, 288, 338}, [][len(windows)]float64{
			{104.25, 21.13, 7.06}, {177.55, 36.54, 12.24}, {224.84, 47.06, 15.81}, {266.64, 56.71, 19.10}, {307.08, 66.30, 22.39}}},
	} {
		var l load
		for i, count := range c.counts {
			l.update(count, 2)
			for w, want := range c.want[i] {
				if got := l.averages[w]; math.Abs(got-want) > 0.0051 {
					t.Errorf("%s, update %d, %v minutes: %.4f, Mosquitto has %.2f", c.name, i, windows[w], got, want)
				}
			}
		}
	}
}

func TestSteadyLoadIsItsRate(t *testing.T) {
	var l load
	for i := range uint64(2 * 60 * 15 / 10 * 5) {
		l.update((i+1)*50, 10)
	}
	for w, got := range l.averages {
		if math.Abs(got-300) > 0.1 {
			t.Errorf("%v minutes: %.2f per minute, 300 came", windows[w], got)
		}
	}
}
