package router

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

// stressLoops is how many goroutines own an index in the stress test.
const stressLoops = 4

// stressFilters are a loop's filters: its own, and one of each set that all loops share.
func stressFilters(loop int) []string {
	var filters []string
	for i := range 60 {
		filters = append(filters, fmt.Sprintf("own/%d/%d", loop, i), fmt.Sprintf("all/%d", i), fmt.Sprintf("all/+/%d", i),
			fmt.Sprintf("+/%d/%d/#", loop, i), fmt.Sprintf("deep/%d/%s", i, deepest[:2*shapeLevels+1]))
	}
	for i := range shapesMax + 10 {
		if i%stressLoops == loop || i%7 == 0 {
			filters = append(filters, shapeFilter(i))
		}
	}
	return filters
}

// exampleTopic is a topic that a filter of the stress test matches.
func exampleTopic(filter string) string {
	topic := []byte(filter)
	for i := range topic {
		if topic[i] == '+' || topic[i] == '#' {
			topic[i] = 'q'
		}
	}
	return string(topic)
}

// Every loop changes its index while all of them, and readers that own none, ask for topics. A loop's bit is there from
// Subscribe's return to the call of Unsubscribe, also for the goroutines that did not subscribe.
func TestInterestIsNeverAFalseNegativeUnderConcurrentChanges(t *testing.T) {
	hasher := NewHasher(21)
	for name, h := range map[string]*Hasher{"hashed": &hasher, "all colliding": zeroHasher()} {
		t.Run(name, func(t *testing.T) { stressInterest(t, h) })
	}
}

func stressInterest(t *testing.T, h *Hasher) {
	n := NewInterest()
	// present has, for each loop and filter, 1 while the bit must be there; changing it goes by even numbers, so that
	// a reader can tell that nothing changed while it looked.
	present := make([][]atomic.Uint64, stressLoops)
	filters := make([][]string, stressLoops)
	for loop := range stressLoops {
		filters[loop] = stressFilters(loop)
		present[loop] = make([]atomic.Uint64, len(filters[loop]))
	}
	var writers, readers sync.WaitGroup
	var ended atomic.Bool
	for loop := range stressLoops {
		writers.Go(func() { changeIndex(t, NewIndex(h, n, loop), filters[loop], present[loop]) })
	}
	for reader := range 2 {
		readers.Go(func() {
			r := newRandom(uint64(100 + reader))
			var topic Topic
			for !ended.Load() {
				loop := r.IntN(stressLoops)
				i := r.IntN(len(filters[loop]))
				before := present[loop][i].Load()
				topic.Scan(h, exampleTopic(filters[loop][i]))
				loops := n.Loops(&topic)
				if before%2 == 1 && present[loop][i].Load() == before && loops&(1<<loop) == 0 {
					t.Errorf("loop %d has %q, its interest is missing", loop, filters[loop][i])
					return
				}
			}
		})
	}
	writers.Wait()
	ended.Store(true)
	readers.Wait()
	if len(n.shapes) != 0 || len(n.beyond) != 0 || n.overflow.Load() != 0 {
		t.Errorf("at the end: %d shapes, %d beyond, overflow %b", len(n.shapes), len(n.beyond), n.overflow.Load())
	}
}

// changeIndex is one loop: subscribes, looks for itself, unsubscribes, and ends with an empty index.
func changeIndex(t *testing.T, x *Index, filters []string, present []atomic.Uint64) {
	r := newRandom(uint64(x.loop))
	var topic Topic
	for range 4000 {
		i := r.IntN(len(filters))
		if present[i].Load()%2 == 0 {
			x.Subscribe(filters[i], Subscriber{Key: 1})
			present[i].Add(1)
		} else {
			present[i].Add(1)
			x.Unsubscribe(filters[i], 1)
		}
		k := r.IntN(len(filters))
		topic.Scan(x.hasher, exampleTopic(filters[k]))
		if present[k].Load()%2 == 1 && x.interest.Loops(&topic)&(1<<x.loop) == 0 {
			t.Errorf("loop %d does not see its own interest in %q", x.loop, filters[k])
			return
		}
	}
	for i := range filters {
		if present[i].Load()%2 == 1 {
			present[i].Add(1)
			x.Unsubscribe(filters[i], 1)
		}
	}
	checkIndexEmpty(t, x)
}

func checkIndexEmpty(t *testing.T, x *Index) {
	alone := *x
	alone.interest = nil
	checkEmpty(t, &alone)
}

// Shapes of all loops together have the same bound; over it a loop gets everything, until its last such filter goes.
func TestInterestBeyondTheBoundOfShapes(t *testing.T) {
	h := NewHasher(1)
	n := NewInterest()
	var loops [3]*Index
	for i := range loops {
		loops[i] = NewIndex(&h, n, i)
	}
	fillShapes(loops[0])
	var topic Topic
	topic.Scan(&h, "nobody")
	want := func(step string, mask uint64) {
		t.Helper()
		if got := n.Loops(&topic); got != mask {
			t.Fatalf("%s: interest is %b, want %b", step, got, mask)
		}
	}
	want("shapes in use", 0)
	loops[1].Subscribe("a/+", Subscriber{Key: 1})
	loops[2].Subscribe("b/+", Subscriber{Key: 1})
	want("two loops beyond", 0b110)
	// a shape is free again: the shape that is beyond stays there, so that every key of it is in one place
	loops[0].Unsubscribe(shapeFilter(0), 1)
	loops[1].Subscribe("c/+", Subscriber{Key: 1})
	loops[1].Unsubscribe("a/+", 1)
	want("one of two keys left beyond", 0b110)
	loops[1].Unsubscribe("c/+", 1)
	want("loop 1 gone", 0b100)
	loops[2].Unsubscribe("b/+", 1)
	want("none beyond", 0)
	loops[1].Subscribe("a/+", Subscriber{Key: 1})
	want("a table took the shape", 0)
	topic.Scan(&h, "a/x")
	want("its topic", 0b010)
}

// A shape that nobody uses any more costs readers nothing.
func TestInterestForgetsShapes(t *testing.T) {
	h := NewHasher(1)
	n := NewInterest()
	x := NewIndex(&h, n, 0)
	for round := range 3 {
		for i := range shapesMax {
			x.Subscribe(shapeFilter(i), Subscriber{Key: 1})
		}
		if len(n.shapes) != shapesMax {
			t.Fatalf("round %d: %d shapes", round, len(n.shapes))
		}
		for i := range shapesMax {
			x.Unsubscribe(shapeFilter(i), 1)
		}
		if tables, _ := n.read.Load().fitting.of(13); len(n.shapes) != 0 || len(tables) != 0 {
			t.Fatalf("round %d: %d shapes, readers see %d", round, len(n.shapes), len(tables))
		}
	}
}

func TestInterestOfTheHighestLoop(t *testing.T) {
	h := NewHasher(1)
	n := NewInterest()
	x := NewIndex(&h, n, 63)
	x.Subscribe("a", Subscriber{Key: 1})
	x.Subscribe(deepest, Subscriber{Key: 1})
	var topic Topic
	topic.Scan(&h, "a")
	if n.Loops(&topic) != 1<<63 {
		t.Fatalf("interest is %b", n.Loops(&topic))
	}
	x.Unsubscribe(deepest, 1)
	x.Unsubscribe("a", 1)
	if n.Loops(&topic) != 0 {
		t.Fatalf("interest is %b after both went", n.Loops(&topic))
	}
}

// Groups count as interest of the loop that is their home.
func TestGroupRegistersInterest(t *testing.T) {
	h := NewHasher(1)
	n := NewInterest()
	x := NewIndex(&h, n, 4)
	s := Share{"g", "a/+"}
	var topic Topic
	topic.Scan(&h, "a/b")
	x.Join(s, Member{Key: 1})
	x.Subscribe("a/+", Subscriber{Key: 1})
	x.Unsubscribe("a/+", 1)
	if n.Loops(&topic) != 1<<4 {
		t.Error("interest went with the subscriber, the group is still there")
	}
	x.Leave(s, 0, 1)
	if n.Loops(&topic) != 0 {
		t.Error("interest stayed")
	}
}
