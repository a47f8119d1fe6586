package loop

import "math/bits"

// Timer is one deadline, embedded in the record it is for. Kind and Key belong to the handler. Loop thread only.
type Timer struct {
	next, prev *Timer
	tick       int64 // when it is due
	Key        uint32
	Kind       uint8
	level      uint8 // where it hangs, valid while armed
	slot       uint8
	internal   bool // the loop's own
}

// Armed reports whether the timer is waiting.
func (t *Timer) Armed() bool { return t.next != nil }

// A tick is 2^tickShift nanoseconds, 67 ms: fine enough for protocol times, which are in seconds.
const (
	tickShift  = 26
	levelBits  = 6
	levelSlots = 1 << levelBits
	levels     = 6 // 2^36 ticks: 146 years
)

// wheel keeps timers in levels of 64 slots. A timer hangs in the level of the highest group of six bits in which its
// tick differs from the present one, so each level's timers come before the next level's, and a bitmap for each level
// finds the next due slot without ticking: an idle loop can sleep until then. Arm and disarm cost a few instructions;
// one sorted heap was refused because a million keep-alives would pay its logarithm on every connect and disconnect.
type wheel struct {
	tick  int64
	used  [levels]uint64
	slots [levels][levelSlots]Timer // list heads
}

func ticksUp(ns int64) int64 { return (ns + 1<<tickShift - 1) >> tickShift }

func (w *wheel) arm(t *Timer, at int64) {
	if t.Armed() {
		w.disarm(t)
	}
	t.tick = max(ticksUp(at), w.tick+1)
	t.tick = min(t.tick, w.tick|(1<<(levelBits*levels)-1))
	w.hang(t)
}

// hang puts a timer that is due after the present tick into its slot.
func (w *wheel) hang(t *Timer) {
	level := 0
	if differ := uint64(t.tick ^ w.tick); differ != 0 {
		level = (63 - bits.LeadingZeros64(differ)) / levelBits
	}
	slot := int(t.tick>>(levelBits*level)) & (levelSlots - 1)
	head := &w.slots[level][slot]
	if head.next == nil {
		head.next, head.prev = head, head
	}
	t.level, t.slot = uint8(level), uint8(slot)
	t.prev, t.next = head.prev, head
	head.prev.next = t
	head.prev = t
	w.used[level] |= 1 << slot
}

func (w *wheel) disarm(t *Timer) {
	if !t.Armed() {
		return
	}
	t.prev.next, t.next.prev = t.next, t.prev
	t.next, t.prev = nil, nil
	if head := &w.slots[t.level][t.slot]; head.next == head {
		w.used[t.level] &^= 1 << t.slot
	}
}

// next returns the tick of the first slot in use, and its level; ok is false when no timer is armed. Timers in a
// higher level than the first may be due later than the slot's tick, never earlier.
func (w *wheel) next() (tick int64, level int, ok bool) {
	for level := range w.used {
		if w.used[level] == 0 {
			continue
		}
		slot := int64(bits.TrailingZeros64(w.used[level]))
		above := levelBits * (level + 1)
		return w.tick>>above<<above | slot<<(levelBits*level), level, true
	}
	return 0, 0, false
}

// due takes one timer that is due at now; nil when there is none.
func (w *wheel) due(now int64) *Timer {
	tick := now >> tickShift
	for {
		at, level, ok := w.next()
		if !ok || at > tick {
			w.tick = max(w.tick, tick)
			return nil
		}
		w.tick = max(w.tick, at)
		head := &w.slots[level][int(at>>(levelBits*level))&(levelSlots-1)]
		if level == 0 {
			t := head.next
			w.disarm(t)
			return t
		}
		// The whole slot comes down together: what stayed behind would hang above timers that are due later.
		for w.used[level]&(1<<(int(at>>(levelBits*level))&(levelSlots-1))) != 0 {
			t := head.next
			w.disarm(t)
			w.hang(t)
		}
	}
}

// wait returns how long from now until the first slot is due; -1 when no timer is armed.
func (w *wheel) wait(now int64) int64 {
	at, _, ok := w.next()
	if !ok {
		return -1
	}
	return max(at<<tickShift-now, 0)
}
