package loop

import (
	"fmt"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Group is the loops of one process and the rings between them.
type Group struct {
	loops []*Loop
	cpus  []int // loop i is pinned to cpus[i]; empty: not pinned
	wg    sync.WaitGroup
}

// GroupOptions is how a group is made.
type GroupOptions struct {
	// System makes the operating system of loop i; nil: the real one.
	System func(i int) (System, error)
	// Pin binds each loop to one CPU of the process's mask, if there are at least as many CPUs as loops.
	Pin bool
}

// UsableCPUs returns the CPUs this process may run on.
func UsableCPUs() []int {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil
	}
	var cpus []int
	for i := range len(set) * 64 {
		if set.IsSet(i) {
			cpus = append(cpus, i)
		}
	}
	return cpus
}

// NewGroup makes n loops (1 to LoopsMax) with a ring for each ordered pair.
func NewGroup(n int, o GroupOptions) (*Group, error) {
	if n < 1 || n > LoopsMax {
		return nil, fmt.Errorf("%d loops: there can be 1 to %d", n, LoopsMax)
	}
	g := &Group{}
	start := time.Now()
	if cpus := UsableCPUs(); o.Pin && len(cpus) >= n {
		g.cpus = cpus[:n]
	}
	for i := range n {
		sys, err := realOr(o.System, i, start)
		if err != nil {
			return nil, fmt.Errorf("loop %d: %w", i, err)
		}
		g.loops = append(g.loops, newLoop(i, g, sys))
	}
	for i, from := range g.loops {
		from.out = make([]*ring, n)
		for j, to := range g.loops {
			if to.in == nil {
				to.in = make([]*ring, n)
			}
			if i != j {
				r := newRing()
				from.out[j], to.in[i] = r, r
			}
		}
	}
	return g, nil
}

func realOr(make func(int) (System, error), i int, start time.Time) (System, error) {
	if make != nil {
		return make(i)
	}
	return newSystem(start)
}

// Len returns the number of loops.
func (g *Group) Len() int { return len(g.loops) }

// Loop returns loop i.
func (g *Group) Loop(i int) *Loop { return g.loops[i] }

// Start runs every loop on a thread of its own. Pinning that the kernel refuses is left out: the loop runs anyway.
func (g *Group) Start() {
	for i, l := range g.loops {
		g.wg.Add(1)
		go func() {
			defer g.wg.Done()
			// Never unlocked: the thread's affinity must not leak to other goroutines, so it ends with the loop.
			runtime.LockOSThread()
			if len(g.cpus) > 0 {
				var set unix.CPUSet
				set.Set(g.cpus[i])
				_ = unix.SchedSetaffinity(0, &set)
			}
			for !l.stop.Load() {
				l.Turn(true)
			}
			l.shut()
		}()
	}
}

// Stop ends the loops after the turn they are in, closes what is still open, and waits for them.
func (g *Group) Stop() {
	for _, l := range g.loops {
		l.stop.Store(true)
		l.wake()
	}
	g.wg.Wait()
}

// shut refuses more mail, handles what was taken, and closes every connection without a word.
func (l *Loop) shut() {
	l.inbox.Lock()
	l.inbox.closed = true
	l.inbox.Unlock()
	l.drainAll() // somebody may wait for what was taken
	for i := range l.made {
		if c := l.conn(i); c.flags&flagFree == 0 {
			l.sys.Close(c.fd)
		}
	}
	if s, ok := l.sys.(*system); ok {
		s.close()
	}
}
