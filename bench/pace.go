package bench

// pacer says when the messages of a fixed rate are due. Time is cut into ticks; the messages of a tick are due together
// at its start, and the schedule never moves: a generator that was late sends what it missed, tick by tick, stamped with
// the time it was due. Latency therefore includes the generator's and the broker's stalls.
type pacer struct {
	startNs int64
	tickNs  int64
	perSec  int64
	tick    int64 // the next tick to be sent
}

// nextNs is when the next tick is due.
func (p *pacer) nextNs() int64 { return p.startNs + p.tick*p.tickNs }

// take returns the number of messages of the next tick and the time they were due, or ok false if it is not yet due.
// late reports that a whole further tick has passed since: the generator is catching up.
func (p *pacer) take(nowNs int64) (n int, dueNs int64, late, ok bool) {
	dueNs = p.nextNs()
	if nowNs < dueNs {
		return 0, 0, false, false
	}
	n = int(p.before(p.tick+1) - p.before(p.tick))
	p.tick++
	return n, dueNs, nowNs-dueNs >= p.tickNs, true
}

// before is how many messages are due before tick k; differences of it spread a rate that is no multiple of the tick.
func (p *pacer) before(k int64) int64 {
	whole, rest := k*p.tickNs/1e9, k*p.tickNs%1e9
	return whole*p.perSec + rest*p.perSec/1e9
}
