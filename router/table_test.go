package router

import (
	"fmt"
	"runtime"
	"testing"
)

func newTestIndex() *Index {
	h := NewHasher(11)
	return NewIndex(&h, NewInterest(), 0)
}

func nameOf(i int) string { return fmt.Sprintf("t/%d", i) }

// found reports whether an exact filter is matched, once.
func found(x *Index, topic *Topic, i int) bool {
	topic.Scan(x.hasher, nameOf(i))
	got := x.Match(topic, nil)
	return len(got) == 1 && got[0].Filter == topic.Name && x.interest.Loops(topic) != 0
}

// The whole table is looked at whenever an array has just been replaced, and while one is being moved.
func TestTableGrowsWithoutLosingFilters(t *testing.T) {
	const filters = 100_000
	x := newTestIndex()
	var topic Topic
	moving := 0
	for i := range filters {
		x.Subscribe(nameOf(i), Subscriber{Key: 1})
		tb := oneTable(x)
		if tb.old == nil {
			continue
		}
		moving++
		for _, k := range []int{0, i / 3, i / 2, i - 1, i} {
			if !found(x, &topic, max(k, 0)) {
				t.Fatalf("filter %d is lost at %d filters, %d of %d slots moved", k, i+1, tb.moved, len(tb.old))
			}
		}
		if found(x, &topic, filters+i) {
			t.Fatalf("filter %d is found, it was never there", filters+i)
		}
	}
	if moving == 0 {
		t.Fatal("no growth was seen")
	}
	for i := range filters {
		if !found(x, &topic, i) {
			t.Fatalf("filter %d is lost", i)
		}
	}
	for i := range filters {
		if !x.Unsubscribe(nameOf(i), 1) {
			t.Fatalf("filter %d cannot be removed", i)
		}
	}
	checkEmpty(t, x)
}

// Filters go while the table moves: from the old array, from the new one, and those that were moved.
func TestDeletesWhileTheTableGrows(t *testing.T) {
	r := newRandom(13)
	x := newTestIndex()
	present := make(map[int]bool)
	var list []int
	var topic Topic
	moving, next := 0, 0
	for len(present) < 60_000 {
		x.Subscribe(nameOf(next), Subscriber{Key: 1})
		present[next], list = true, append(list, next)
		next++
		if oneTable(x).old != nil {
			moving++
		}
		if r.IntN(5) < 2 {
			at := r.IntN(len(list))
			i := list[at]
			list[at] = list[len(list)-1]
			list = list[:len(list)-1]
			delete(present, i)
			if !x.Unsubscribe(nameOf(i), 1) {
				t.Fatalf("filter %d of %d cannot be removed", i, next)
			}
			if len(present) > 0 && found(x, &topic, i) {
				t.Fatalf("filter %d is still found after it was removed", i)
			}
		}
	}
	if moving == 0 {
		t.Fatal("no growth was seen")
	}
	for i := range next {
		if found(x, &topic, i) != present[i] {
			t.Fatalf("filter %d: found %v, want %v", i, !present[i], present[i])
		}
	}
	if oneTable(x).live != len(present) {
		t.Errorf("live = %d, want %d", oneTable(x).live, len(present))
	}
}

// A table of constant size under churn clears its deleted slots: the array does not grow and probing always ends.
func TestChurnDoesNotGrowATable(t *testing.T) {
	x := newTestIndex()
	for i := range 1000 {
		x.Subscribe(nameOf(i), Subscriber{Key: 1})
	}
	for i := range 100_000 {
		x.Unsubscribe(nameOf(i), 1)
		x.Subscribe(nameOf(i+1000), Subscriber{Key: 1})
		if tb := oneTable(x); 4*tb.spent > 3*len(tb.slots) || len(tb.slots) > 8192 {
			t.Fatalf("after %d: %d of %d slots are spent by %d filters", i, tb.spent, len(tb.slots), tb.live)
		}
	}
	if slots := *x.interest.shapes[oneTable(x).shape].slots.Load(); len(slots) > 8192 {
		t.Errorf("interest of 1000 filters has %d slots", len(slots))
	}
}

// One change moves a bounded number of slots, also when a table that was large has few filters left.
func TestNoChangeMovesMoreThanItsShare(t *testing.T) {
	const filters = 200_000
	x := newTestIndex()
	for i := range filters {
		x.Subscribe(nameOf(i), Subscriber{Key: 1})
	}
	for i := range filters - 1 {
		x.Unsubscribe(nameOf(i), 1)
	}
	for i := range 2 * filters {
		tb := oneTable(x)
		oldLen, moved := len(tb.old), tb.moved
		x.Subscribe(nameOf(filters+i), Subscriber{Key: 1})
		x.Unsubscribe(nameOf(filters+i), 1)
		if tb.old == nil && oldLen-moved > 4*migrateSlots {
			t.Fatalf("change %d moved %d slots at once", i, oldLen-moved)
		}
	}
}

// Colliding keys: the answer is still exact, and interest stays until the last filter of the key has gone.
func TestInterestOfCollidingFiltersStaysUntilTheLast(t *testing.T) {
	x := NewIndex(zeroHasher(), NewInterest(), 5)
	const filters = 50
	for i := range filters {
		x.Subscribe(nameOf(i), Subscriber{Key: 1})
	}
	var topic Topic
	for i := range filters {
		for k := range filters {
			topic.Scan(x.hasher, nameOf(k))
			if got := x.Match(&topic, nil); (len(got) == 1) != (k >= i) {
				t.Fatalf("filter %d of %d: matched %q after %d were removed", k, filters, filtersOf(got), i)
			}
		}
		if topic.Scan(x.hasher, nameOf(i)); x.interest.Loops(&topic) != 1<<5 {
			t.Fatalf("interest went with %d colliding filters left", filters-i)
		}
		x.Unsubscribe(nameOf(i), 1)
	}
	if loops := x.interest.Loops(&topic); loops != 0 {
		t.Errorf("interest is %b after the last filter", loops)
	}
	checkEmpty(t, x)
}

// Two loops whose filters collide share a slot of the interest table, each with its own bit.
func TestCollidingFiltersOfTwoLoops(t *testing.T) {
	h, n := zeroHasher(), NewInterest()
	one, two := NewIndex(h, n, 1), NewIndex(h, n, 2)
	one.Subscribe("a/b", Subscriber{Key: 1})
	two.Subscribe("c/d", Subscriber{Key: 1})
	var topic Topic
	topic.Scan(h, "a/b")
	if loops := n.Loops(&topic); loops != 1<<1|1<<2 {
		t.Fatalf("interest is %b", loops)
	}
	two.Unsubscribe("c/d", 1)
	if loops := n.Loops(&topic); loops != 1<<1 {
		t.Fatalf("interest is %b, only loop 1 is left", loops)
	}
	if got := two.Match(&topic, nil); len(got) != 0 {
		t.Errorf("loop 2 matches %q", filtersOf(got))
	}
}

// The doc comment of Index states what a filter costs; this holds it to that.
func TestMemoryOfAFilter(t *testing.T) {
	const filters, bytesMax = 300_000, 150
	names := make([]string, filters)
	for i := range names {
		names[i] = nameOf(i)
	}
	h := NewHasher(1)
	worst, best := 0.0, 1e9
	x := NewIndex(&h, nil, 0)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i, name := range names {
		x.Subscribe(name, Subscriber{Key: 1})
		if i+1 < filters/3 || i%10_000 != 0 {
			continue
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		each := float64(after.HeapAlloc-before.HeapAlloc) / float64(i+1)
		worst, best = max(worst, each), min(best, each)
	}
	t.Logf("a filter with one subscriber costs %.0f to %.0f bytes and its text", best, worst)
	if worst > bytesMax {
		t.Errorf("a filter costs up to %.0f bytes, want at most %d", worst, bytesMax)
	}
	runtime.KeepAlive(names)
	runtime.KeepAlive(x)
}

// oneTable returns the table of an index that has one shape.
func oneTable(x *Index) *table {
	for _, tb := range x.shapes {
		return tb
	}
	return nil
}
