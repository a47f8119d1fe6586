package sys

import "math"

// windows are the minutes over which a load is averaged.
var windows = [...]float64{1, 5, 15}

// load is the moving averages of one counter: events per minute, averaged with a weight that falls by e in each window.
// Mosquitto computes them in this way, from zero at the start.
type load struct {
	last     uint64
	averages [len(windows)]float64
}

// update takes in what was counted by now, seconds after the last time.
func (l *load) update(count uint64, seconds float64) {
	rate := float64(count-l.last) * 60 / seconds
	l.last = count
	for i, minutes := range windows {
		weight := math.Exp(-seconds / (60 * minutes))
		l.averages[i] = rate + weight*(l.averages[i]-rate)
	}
}
