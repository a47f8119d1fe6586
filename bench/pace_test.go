package bench

import (
	"testing"
	"time"
)

func TestPacerKeepsItsRate(t *testing.T) {
	f := func(perSec int64, tick time.Duration) {
		t.Helper()
		p := pacer{startNs: 42, tickNs: int64(tick), perSec: perSec}
		sum := 0
		for {
			n, due, _, ok := p.take(42 + 3*int64(time.Second) - 1)
			if !ok {
				break
			}
			if want := int64(float64(perSec) * tick.Seconds()); int64(n) < want || int64(n) > want+1 {
				t.Fatalf("%d messages in the tick at %d, want %d or one more", n, due, want)
			}
			sum += n
		}
		// The last tick begins before the end of the third second and may reach past it.
		lastTick := int64(float64(perSec)*tick.Seconds()) + 1
		if d := int64(sum) - 3*perSec; d < 0 || d > lastTick {
			t.Fatalf("%d messages in 3 s at %d per second", sum, perSec)
		}
	}
	f(100_000, time.Millisecond)
	f(1_000, time.Millisecond)
	f(1_000, 300*time.Microsecond)
	f(12_345, 700*time.Microsecond)
}

func TestPacerSendsNothingEarly(t *testing.T) {
	p := pacer{startNs: 1000, tickNs: 100, perSec: 1e9}
	if _, _, _, ok := p.take(999); ok {
		t.Fatal("a tick before the start")
	}
	if n, due, late, ok := p.take(1000); !ok || n != 100 || due != 1000 || late {
		t.Fatalf("first tick: %d due %d late %v ok %v", n, due, late, ok)
	}
	if _, _, _, ok := p.take(1099); ok {
		t.Fatal("the second tick came early")
	}
}

func TestPacerCatchesUpWithoutMovingItsSchedule(t *testing.T) {
	p := pacer{tickNs: 100, perSec: 1e9}
	var dues []int64
	var lates []bool
	for {
		_, due, late, ok := p.take(250)
		if !ok {
			break
		}
		dues, lates = append(dues, due), append(lates, late)
	}
	if len(dues) != 3 || dues[0] != 0 || dues[1] != 100 || dues[2] != 200 {
		t.Fatalf("due at %v, want 0, 100 and 200", dues)
	}
	if !lates[0] || !lates[1] || lates[2] {
		t.Fatalf("late %v, want the first two only", lates)
	}
}
