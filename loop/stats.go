package loop

import "sync/atomic"

// counter is counted by the loop and published once per turn, so that counting costs no atomic operation.
type counter struct {
	own  uint64
	seen atomic.Uint64
}

type stats struct {
	turns, sleeps, wakeups, spills  counter
	reads, writes, accepts          counter
	acceptErrors, bytesIn, bytesOut counter
	// unsent goes up and down with the bytes that connections have left over after a flush.
	unsent counter
}

func (s *stats) each(f func(*counter)) {
	for _, c := range [...]*counter{&s.turns, &s.sleeps, &s.wakeups, &s.spills, &s.reads, &s.writes, &s.accepts,
		&s.acceptErrors, &s.bytesIn, &s.bytesOut, &s.unsent} {
		f(c)
	}
}

// publish makes the counts visible to other threads; loop thread only.
func (s *stats) publish() {
	s.each(func(c *counter) {
		if c.seen.Load() != c.own {
			c.seen.Store(c.own)
		}
	})
}

// Stats is what a loop has counted since its start.
type Stats struct {
	Turns, Sleeps uint64
	Wakeups       uint64 // sleeping loops woken by this one
	Spills        uint64 // posts that found a ring full
	Reads, Writes uint64 // system calls
	Accepts       uint64
	AcceptErrors  uint64 // connections turned away for lack of descriptors or memory
	BytesIn       uint64
	BytesOut      uint64
	Unsent        int64 // bytes that the kernel did not take yet
}

// Stats returns the counts as of the last turn; any thread.
func (l *Loop) Stats() Stats {
	s := &l.stats
	return Stats{
		Turns: s.turns.seen.Load(), Sleeps: s.sleeps.seen.Load(), Wakeups: s.wakeups.seen.Load(),
		Spills: s.spills.seen.Load(), Reads: s.reads.seen.Load(), Writes: s.writes.seen.Load(),
		Accepts: s.accepts.seen.Load(), AcceptErrors: s.acceptErrors.seen.Load(),
		BytesIn: s.bytesIn.seen.Load(), BytesOut: s.bytesOut.seen.Load(),
		Unsent: int64(s.unsent.seen.Load()),
	}
}
