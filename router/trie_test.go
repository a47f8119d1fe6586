package router

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// fillShapes uses up the shapes of an index with filters that no test topic matches, so that the trie takes the next.
func fillShapes(x *Index) {
	for i := range shapesMax {
		x.Subscribe(shapeFilter(i), Subscriber{Key: 1})
	}
}

// shapeFilter returns a filter of the i-th of many shapes: ten levels, literal where i has a bit.
func shapeFilter(i int) string {
	levels := []string{"only-to-fill-shapes"}
	for bit := range 12 {
		if i>>bit&1 == 1 {
			levels = append(levels, "x")
		} else {
			levels = append(levels, "+")
		}
	}
	return strings.Join(levels, "/")
}

func TestShapesAreBounded(t *testing.T) {
	h := NewHasher(1)
	x := NewIndex(&h, NewInterest(), 2)
	const more = 50
	for i := range shapesMax + more {
		x.Subscribe(shapeFilter(i), Subscriber{Key: 1})
	}
	if len(x.shapes) != shapesMax || x.deep.len != more {
		t.Fatalf("%d shapes and %d filters in the trie, want %d and %d", len(x.shapes), x.deep.len, shapesMax, more)
	}
	var topic Topic
	for i := range shapesMax + more {
		topic.Scan(&h, strings.ReplaceAll(shapeFilter(i), "+", "y"))
		got := filtersOf(x.Match(&topic, nil))
		if !slices.Contains(got, shapeFilter(i)) {
			t.Fatalf("filter %d is not found, got %d others", i, len(got))
		}
	}
	topic.Scan(&h, "nobody")
	if x.interest.Loops(&topic) != 1<<2 {
		t.Error("with filters in the trie every topic is of interest")
	}
	for i := shapesMax; i < shapesMax+more; i++ {
		if !x.Unsubscribe(shapeFilter(i), 1) {
			t.Fatalf("filter %d is not in the trie", i)
		}
	}
	if loops := x.interest.Loops(&topic); loops != 0 {
		t.Errorf("the trie is empty, interest is still %b", loops)
	}
	for i := range shapesMax {
		x.Unsubscribe(shapeFilter(i), 1)
	}
	checkEmpty(t, x)
}

// A filter stays where it is while shapes come and go, and is found there.
func TestFilterInTheTrieIsFoundAfterItsShapeGotATable(t *testing.T) {
	h := NewHasher(1)
	x := NewIndex(&h, NewInterest(), 0)
	fillShapes(x)
	m := model{}
	for i := range shapesMax {
		m.subscribe(shapeFilter(i), Subscriber{Key: 1})
	}
	subscribe := func(filter string, key uint32) {
		if x.Subscribe(filter, Subscriber{Key: key}) != m.subscribe(filter, Subscriber{Key: key}) {
			t.Fatalf("Subscribe(%q, %d) is wrong about a replacement", filter, key)
		}
	}
	subscribe("a/+", 1)
	x.Unsubscribe(shapeFilter(0), 1)
	m.unsubscribe(shapeFilter(0), 1)
	subscribe("b/+", 1) // takes the free shape
	subscribe("a/+", 1)
	subscribe("a/+", 2)
	if x.deep.len != 1 || x.find("b/+").table == nil {
		t.Fatal("the two filters should be in the trie and in a table")
	}
	for _, topic := range []string{"a/x", "b/x", "c/x"} {
		m.check(t, x, topic)
	}
	for key := range uint32(3) {
		if x.Unsubscribe("a/+", key) != m.unsubscribe("a/+", key) {
			t.Fatalf("Unsubscribe of key %d is wrong", key)
		}
	}
	m.check(t, x, "a/x")
	m.check(t, x, "b/x")
}

func TestFiltersDeeperThanShapes(t *testing.T) {
	h := NewHasher(1)
	x := NewIndex(&h, NewInterest(), 0)
	m := model{}
	var filters []string
	for _, levels := range []int{shapeLevels - 1, shapeLevels, shapeLevels + 1, LevelsMax - 1, LevelsMax} {
		name := deep(levels)
		filters = append(filters, name, "+"+name[1:], name[:len(name)-1]+"+", name[:len(name)-1]+"#", "+"+name[1:len(name)-1]+"#", name[:len(name)-1])
	}
	filters = append(filters, "#", "+/#", "a/#", "a/a/+/#", strings.Repeat("+/", LevelsMax-1)+"+", strings.Repeat("+/", LevelsMax-1)+"#")
	for _, filter := range filters {
		if !ValidFilter(filter) {
			t.Fatalf("filter %q is not valid", filter)
		}
		x.Subscribe(filter, Subscriber{Key: 7})
		m.subscribe(filter, Subscriber{Key: 7})
	}
	for levels := 1; levels <= LevelsMax; levels++ {
		name := deep(levels)
		for _, topic := range []string{name, "b" + name[1:], name[:len(name)-1] + "b", "$" + name[1:], name[:len(name)-1]} {
			if topic != "" {
				m.check(t, x, topic)
			}
		}
	}
	for _, filter := range filters {
		x.Unsubscribe(filter, 7)
	}
	checkEmpty(t, x)
}

// Random filters go to both, tables and trie.
func TestIndexWithTrieUnderRandomChurnIsExact(t *testing.T) {
	r := newRandom(6)
	h := NewHasher(3)
	x := NewIndex(&h, NewInterest(), 1)
	m := model{}
	var used []string
	for step := range 6000 {
		filter := randomFilter(r, 10)
		if len(used) > 0 && r.IntN(2) == 0 {
			filter = used[r.IntN(len(used))]
		}
		if step/1500%2 == 0 || r.IntN(4) == 0 {
			if x.Subscribe(filter, Subscriber{Key: 1}) != m.subscribe(filter, Subscriber{Key: 1}) {
				t.Fatalf("Subscribe(%q) is wrong about a replacement", filter)
			}
			used = append(used, filter)
		} else if x.Unsubscribe(filter, 1) != m.unsubscribe(filter, 1) {
			t.Fatalf("Unsubscribe(%q) is wrong", filter)
		}
		if step%8 == 0 {
			m.check(t, x, randomTopic(r, 11))
		}
		if step == 1499 && (x.deep.len == 0 || len(x.shapes) != shapesMax) {
			t.Fatalf("the trie has %d filters beside %d shapes", x.deep.len, len(x.shapes))
		}
	}
	for filter := range m {
		x.Unsubscribe(filter, 1)
	}
	checkEmpty(t, x)
}

func BenchmarkMatchInTrie(b *testing.B) {
	h := NewHasher(1)
	x := NewIndex(&h, nil, 0)
	fillShapes(x)
	for i := range 10_000 {
		x.Subscribe(fmt.Sprintf("site/%d/+", i), Subscriber{Key: 1})
	}
	var topic Topic
	topic.Scan(&h, "site/77/temperature")
	dst := x.Match(&topic, nil)
	b.ReportAllocs()
	for b.Loop() {
		dst = x.Match(&topic, dst[:0])
	}
}
