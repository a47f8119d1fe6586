package router

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestIndexMatchesAsMatchOne(t *testing.T) {
	for name, deepAlways := range map[string]bool{"tables": false, "trie": true} {
		t.Run(name, func(t *testing.T) {
			for _, c := range matchCases {
				h := NewHasher(1)
				x := NewIndex(&h, NewInterest(), 3)
				if deepAlways {
					fillShapes(x)
				}
				m := model{}
				m.subscribe(c.filter, Subscriber{Key: 1})
				x.Subscribe(c.filter, Subscriber{Key: 1})
				var scanned Topic
				scanned.Scan(&h, c.topic)
				if got := slices.Contains(filtersOf(x.Match(&scanned, nil)), c.filter); got != c.want {
					t.Errorf("filter %q, topic %q: matched %v, want %v", c.filter, c.topic, got, c.want)
				}
				if c.want && x.interest.Loops(&scanned)&(1<<3) == 0 {
					t.Errorf("filter %q, topic %q: no interest", c.filter, c.topic)
				}
				if !deepAlways && !c.want && x.interest.Loops(&scanned) != 0 {
					t.Errorf("filter %q, topic %q: interest without a filter that matches", c.filter, c.topic)
				}
			}
		})
	}
}

// Subscriptions come and go at random; every answer is compared with the model.
func TestIndexUnderRandomChurnIsExact(t *testing.T) {
	hasher := NewHasher(99)
	for name, h := range map[string]*Hasher{"hashed": &hasher, "all colliding": zeroHasher()} {
		t.Run(name, func(t *testing.T) {
			r := newRandom(5)
			x := NewIndex(h, NewInterest(), 63)
			m := model{}
			var used []string
			for step := range 8000 {
				filter := randomFilter(r, 6)
				if len(used) > 0 && r.IntN(2) == 0 {
					filter = used[r.IntN(len(used))]
				}
				key := uint32(r.IntN(4))
				if step/1000%2 == 0 || r.IntN(3) == 0 {
					s := Subscriber{Key: key, ID: r.Uint32(), QoS: uint8(r.IntN(3)), Flags: FlagNoLocal}
					if got, want := x.Subscribe(filter, s), m.subscribe(filter, s); got != want {
						t.Fatalf("Subscribe(%q) replaced = %v, want %v", filter, got, want)
					}
					used = append(used, filter)
				} else if got, want := x.Unsubscribe(filter, key), m.unsubscribe(filter, key); got != want {
					t.Fatalf("Unsubscribe(%q, %d) = %v, want %v", filter, key, got, want)
				}
				if step%8 == 0 {
					m.check(t, x, randomTopic(r, 7))
				}
			}
			if x.Len() != m.len() {
				t.Fatalf("Len() = %d, want %d", x.Len(), m.len())
			}
			for filter, keys := range m {
				for key := range keys {
					if !x.Unsubscribe(filter, key) {
						t.Fatalf("Unsubscribe(%q, %d) found nothing", filter, key)
					}
				}
			}
			checkEmpty(t, x)
		})
	}
}

// checkEmpty reports what an index without subscriptions still holds.
func checkEmpty(t *testing.T, x *Index) {
	t.Helper()
	if x.Len() != 0 || len(x.shapes) != 0 || x.deep.len != 0 || x.deep.root.count != 0 || len(x.groups) != 0 {
		t.Errorf("an empty index holds %d subscriptions, %d shapes, %d filters in the trie, %d groups",
			x.Len(), len(x.shapes), x.deep.len, len(x.groups))
	}
	if len(x.free) != int(x.made) {
		t.Errorf("%d entries are free, %d were made", len(x.free), x.made)
	}
	for depth := range shapeLevels + 2 {
		if exact, open := x.fitting.of(depth); len(exact)+len(open) != 0 {
			t.Errorf("depth %d still has %d and %d tables", depth, len(exact), len(open))
		}
	}
	if x.interest == nil {
		return
	}
	if len(x.interest.shapes) != 0 || len(x.interest.beyond) != 0 || x.interest.overflow.Load() != 0 {
		t.Errorf("interest without subscriptions: %d shapes, %d beyond, overflow %b",
			len(x.interest.shapes), len(x.interest.beyond), x.interest.overflow.Load())
	}
}

// TestMatchOrder holds that filters without '#' come first, in the order in which their shapes came into use, then
// those with it, shorter ones first.
func TestMatchOrder(t *testing.T) {
	h := NewHasher(1)
	x := NewIndex(&h, nil, 0)
	want := []string{"+/b", "a/b", "a/+", "#", "a/#"}
	for _, filter := range []string{"+/b", "a/#", "a/b", "#", "a/+"} {
		x.Subscribe(filter, Subscriber{Key: 1})
	}
	var topic Topic
	topic.Scan(&h, "a/b")
	got := []string{}
	for _, e := range x.Match(&topic, nil) {
		got = append(got, e.Filter)
	}
	if !slices.Equal(got, want) {
		t.Errorf("order is %q, want %q", got, want)
	}
}

func TestOneFilterWithManySubscribers(t *testing.T) {
	h := NewHasher(1)
	x := NewIndex(&h, NewInterest(), 0)
	m := model{}
	r := newRandom(8)
	x.Join(Share{"g", "a/b"}, Member{Key: 1}) // the entry outlives its subscribers
	for round := range 3 {
		for range 20 * subsIndexed {
			s := Subscriber{Key: uint32(r.IntN(4 * subsIndexed)), ID: r.Uint32()}
			if got, want := x.Subscribe("a/b", s), m.subscribe("a/b", s); got != want {
				t.Fatalf("round %d: Subscribe(%d) replaced = %v, want %v", round, s.Key, got, want)
			}
			key := uint32(r.IntN(8 * subsIndexed))
			if got, want := x.Unsubscribe("a/b", key), m.unsubscribe("a/b", key); got != want {
				t.Fatalf("round %d: Unsubscribe(%d) = %v, want %v", round, key, got, want)
			}
		}
		m.check(t, x, "a/b")
		for key := range uint32(4 * subsIndexed) {
			if got, want := x.Unsubscribe("a/b", key), m.unsubscribe("a/b", key); got != want {
				t.Fatalf("round %d: Unsubscribe(%d) = %v, want %v", round, key, got, want)
			}
		}
	}
	if !x.Leave(Share{"g", "a/b"}, 0, 1) {
		t.Fatal("the group was lost")
	}
	checkEmpty(t, x)
}

func TestSubscribersOfAFilterKeepTheirOrderWhileFew(t *testing.T) {
	h := NewHasher(1)
	x := NewIndex(&h, nil, 0)
	for key := range uint32(5) {
		x.Subscribe("a", Subscriber{Key: key})
	}
	x.Unsubscribe("a", 2)
	var topic Topic
	topic.Scan(&h, "a")
	var keys []uint32
	for _, s := range x.Match(&topic, nil)[0].Subs {
		keys = append(keys, s.Key)
	}
	if want := []uint32{0, 1, 3, 4}; !slices.Equal(keys, want) {
		t.Errorf("keys are %d, want %d", keys, want)
	}
}

// Exactly one allocation-free pass: a client that publishes must not make the collector work.
func TestMatchingAllocatesNothing(t *testing.T) {
	h := NewHasher(1)
	x := NewIndex(&h, NewInterest(), 0)
	for i := range 1000 {
		x.Subscribe(fmt.Sprintf("site/%d/+", i), Subscriber{Key: 1})
		x.Subscribe(fmt.Sprintf("site/%d/#", i), Subscriber{Key: 1})
	}
	x.Subscribe(deep(shapeLevels+1), Subscriber{Key: 1}) // the trie takes part
	var topic Topic
	dst := make([]*Entry, 0, 8)
	loops := uint64(0)
	for name, f := range map[string]func(){
		"Scan":           func() { topic.Scan(&h, "site/17/temperature") },
		"Scan LevelsMax": func() { topic.Scan(&h, deepest) },
		"Match":          func() { topic.Scan(&h, "site/17/temperature"); dst = x.Match(&topic, dst[:0]) },
		"Loops":          func() { topic.Scan(&h, "site/17/temperature"); loops = x.interest.Loops(&topic) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	if topic.Scan(&h, "site/17/temperature"); len(x.Match(&topic, nil)) != 2 || loops != 1 {
		t.Errorf("matched %q, loops %b", filtersOf(x.Match(&topic, nil)), loops)
	}
}

var deepest = deep(LevelsMax)

func TestMatchOneAllocatesNothing(t *testing.T) {
	matched := false
	if n := testing.AllocsPerRun(100, func() { matched = MatchOne("a/+/b/#", "a/x/b/c/d") }); n != 0 || !matched {
		t.Errorf("%v allocations, matched %t", n, matched)
	}
}

// TestShapesComeAndGoCheaply holds that entering and removing a shape costs in proportion to the shapes at most, not
// to the depths they fit: 20,000 times beside 250 other shapes.
func TestShapesComeAndGoCheaply(t *testing.T) {
	h := NewHasher(1)
	x := NewIndex(&h, NewInterest(), 0)
	for i := range 250 {
		x.Subscribe(shapeFilter(i)+"/#", Subscriber{Key: 1})
	}
	began := time.Now()
	for range 20_000 {
		x.Subscribe("#", Subscriber{Key: 1})
		x.Unsubscribe("#", 1)
	}
	if d := time.Since(began); d > 5*time.Second { // in proportion to the depths it takes over ten
		t.Errorf("took %v", d)
	}
}
