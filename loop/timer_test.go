package loop

import (
	"math/rand/v2"
	"testing"
)

const tick = int64(1) << tickShift

// TestWheelAgainstSortedList arms, disarms and advances at random and compares with a plain list of deadlines.
func TestWheelAgainstSortedList(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var w wheel
		now := int64(rng.Uint32())
		w.tick = now >> tickShift
		timers := make([]Timer, 200)
		deadline := make(map[*Timer]int64)
		for step := range 3000 {
			tm := &timers[rng.IntN(len(timers))]
			switch rng.IntN(4) {
			case 0, 1:
				span := int64(1) << rng.IntN(50)
				at := now + rng.Int64N(span)
				w.arm(tm, at)
				deadline[tm] = at
			case 2:
				w.disarm(tm)
				delete(deadline, tm)
			case 3:
				now += rng.Int64N(int64(1) << rng.IntN(45))
				fireAll(t, &w, now, deadline, seed, step)
			}
			if tm.Armed() != (deadline[tm] != 0) {
				t.Fatalf("seed %d step %d: armed = %v", seed, step, tm.Armed())
			}
		}
	}
}

// fireAll takes what is due and checks that it is exactly what must be: nothing early, nothing later than two ticks.
func fireAll(t *testing.T, w *wheel, now int64, deadline map[*Timer]int64, seed uint64, step int) {
	t.Helper()
	for tm := w.due(now); tm != nil; tm = w.due(now) {
		if at := deadline[tm]; at > now {
			t.Fatalf("seed %d step %d: fired %d ns early", seed, step, at-now)
		}
		delete(deadline, tm)
	}
	for _, at := range deadline {
		if at < now-2*tick {
			t.Fatalf("seed %d step %d: %d ns late and not fired", seed, step, now-at)
		}
	}
	if wait := w.wait(now); (wait < 0) != (len(deadline) == 0) {
		t.Fatalf("seed %d step %d: wait = %d with %d armed", seed, step, wait, len(deadline))
	}
}

func TestWheelWaitsForeverWithoutTimers(t *testing.T) {
	var w wheel
	if got := w.wait(5); got != -1 {
		t.Fatalf("wait = %d, want -1", got)
	}
	var tm Timer
	w.arm(&tm, 10*tick)
	if got := w.wait(0); got != 10*tick {
		t.Fatalf("wait = %d, want %d", got, 10*tick)
	}
	w.disarm(&tm)
	if got := w.wait(5); got != -1 {
		t.Fatalf("wait after disarm = %d, want -1", got)
	}
}

func TestTimerIsSmall(t *testing.T) {
	if got := sizeOfTimer; got > 40 {
		t.Fatalf("a Timer takes %d bytes, each client has one: at most 40", got)
	}
}

// TestAlarmEndsASleep holds that an alarm is finer than a tick of the timers.
func TestAlarmEndsASleep(t *testing.T) {
	g, err := NewGroup(1, GroupOptions{})
	if err != nil {
		t.Fatal(err)
	}
	l := g.Loop(0)
	l.SetHandler(nothing{})
	l.Turn(false)
	at := l.Now() + 3e6
	l.Alarm(at)
	if next, ok := l.NextTimer(); !ok || next != at {
		t.Errorf("the next turn is due at %d, %t", next, ok)
	}
	for l.Now() < at {
		l.Turn(true)
	}
	if late := l.Now() - at; late > 1<<tickShift {
		t.Errorf("%d ns late", late)
	}
	l.Alarm(0)
	if _, ok := l.NextTimer(); ok {
		t.Error("the alarm is still set")
	}
}

// nothing is a handler of a loop without connections.
type nothing struct{ Handler }

func (nothing) EndTurn() {}
