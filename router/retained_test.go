package router

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// walk collects what a cursor visits, in order.
func walk(c *Cursor[string], steps int) (topics []string) {
	for c.NextN(steps, func(topic string) bool { topics = append(topics, topic); return true }) {
	}
	return topics
}

func treeOf(topics ...string) *Retained[string] {
	r := NewRetained[string]()
	for _, topic := range topics {
		r.Set(topic, topic)
	}
	return r
}

func TestRetainedSetGetDelete(t *testing.T) {
	r := NewRetained[int]()
	random := newRandom(31)
	want := map[string]int{}
	for step := range 20_000 {
		topic := randomTopic(random, 4)
		had, has := want[topic]
		if random.IntN(2) == 0 {
			old, replaced := r.Set(topic, step)
			if replaced != has || old != had {
				t.Fatalf("Set(%q) = %d, %v, want %d, %v", topic, old, replaced, had, has)
			}
			want[topic] = step
		} else {
			old, ok := r.Delete(topic)
			if ok != has || old != had {
				t.Fatalf("Delete(%q) = %d, %v, want %d, %v", topic, old, ok, had, has)
			}
			delete(want, topic)
		}
		topic = randomTopic(random, 4)
		had, has = want[topic]
		if v, ok := r.Get(topic); ok != has || v != had {
			t.Fatalf("Get(%q) = %d, %v, want %d, %v", topic, v, ok, had, has)
		}
		if r.Len() != len(want) {
			t.Fatalf("Len() = %d, want %d", r.Len(), len(want))
		}
	}
	for topic := range want {
		r.Delete(topic)
	}
	if r.Len() != 0 || r.root.first != nil || r.root.last != nil || r.root.children != nil || r.root.childrenCount != 0 {
		t.Error("an empty tree has nodes")
	}
}

func TestRetainedWalkOrder(t *testing.T) {
	r := treeOf("b/2/x", "b", "a/1", "b/1", "a", "b/2", "/", "c//d")
	for filter, want := range map[string][]string{
		"#":     {"b", "b/2", "b/2/x", "b/1", "a", "a/1", "/", "c//d"},
		"b/#":   {"b", "b/2", "b/2/x", "b/1"},
		"+":     {"b", "a"},
		"+/1":   {"b/1", "a/1"},
		"+/+":   {"b/2", "b/1", "a/1", "/"},
		"b/+/#": {"b/2", "b/2/x", "b/1"},
		"a":     {"a"},
		"c":     nil,
		"c/#":   {"c//d"},
		"c/+/+": {"c//d"},
		"/#":    {"/"},
		"z/#":   nil,
	} {
		for steps := 1; steps < 12; steps++ {
			c := r.Find(filter)
			if got := walk(c, steps); !slices.Equal(got, want) {
				t.Errorf("%q, %d at a time: %q, want %q", filter, steps, got, want)
			}
			if len(r.cursors) != 0 {
				t.Fatalf("%q: the cursor is still registered at its end", filter)
			}
		}
	}
}

// [MQTT-4.7.2-1]
func TestRetainedSystemTopicsNeedALiteralFirstLevel(t *testing.T) {
	r := treeOf("$SYS/a", "a", "$SYS", "$x", "a/$SYS", "$SYS/a/b", "b")
	for filter, want := range map[string][]string{
		"#":      {"a", "a/$SYS", "b"},
		"+":      {"a", "b"},
		"+/a":    nil,
		"+/#":    {"a", "a/$SYS", "b"},
		"+/+":    {"a/$SYS"},
		"$SYS/#": {"$SYS", "$SYS/a", "$SYS/a/b"},
		"$SYS/+": {"$SYS/a"},
		"$x":     {"$x"},
	} {
		if got := walk(r.Find(filter), 3); !slices.Equal(got, want) {
			t.Errorf("%q finds %q, want %q", filter, got, want)
		}
	}
}

// The matching of the tree is that of MatchOne.
func TestRetainedFindsAsMatchOne(t *testing.T) {
	random := newRandom(41)
	for range 300 {
		r := NewRetained[string]()
		set := map[string]bool{}
		for range random.IntN(60) {
			topic := randomTopic(random, 4)
			r.Set(topic, topic)
			set[topic] = true
		}
		for range 20 {
			filter := randomFilter(random, 4)
			want := []string{}
			for topic := range set {
				if MatchOne(filter, topic) {
					want = append(want, topic)
				}
			}
			got := append([]string{}, walk(r.Find(filter), 1+random.IntN(5))...)
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Fatalf("%q finds %q, want %q", filter, got, want)
			}
		}
	}
}

// A pause is after the node that asked for it; nothing is lost and nothing comes twice.
func TestRetainedVisitPauses(t *testing.T) {
	r := treeOf("a", "a/b", "c", "d/e/f", "g")
	c := r.Find("#")
	var got []string
	for more := true; more; {
		before := len(got)
		more = c.NextN(100, func(topic string) bool { got = append(got, topic); return false })
		if more && len(got) != before+1 {
			t.Fatalf("visited %q in one call", got[before:])
		}
	}
	if want := []string{"a", "a/b", "c", "d/e/f", "g"}; !slices.Equal(got, want) {
		t.Errorf("visited %q, want %q", got, want)
	}
}

// One call looks at a bounded number of nodes, also where few match.
func TestRetainedStepsAreBounded(t *testing.T) {
	r := NewRetained[string]()
	const topics = 1000
	for i := range topics {
		for _, topic := range []string{fmt.Sprintf("$%d/x", i), fmt.Sprintf("n/%d/x", i)} {
			r.Set(topic, topic)
		}
	}
	r.Set("last", "last")
	for filter, want := range map[string]int{"+": 1, "n/+/y": 0, "+/+/y": 0, "#": topics + 1} {
		c := r.Find(filter)
		calls, found := 1, 0
		for c.NextN(10, func(string) bool { found++; return true }) {
			calls++
		}
		if found != want {
			t.Errorf("%q found %d, want %d", filter, found, want)
		}
		if calls < topics/10 {
			t.Errorf("%q took %d calls of 10 steps, it looked at more nodes than it may", filter, calls)
		}
	}
}

func TestRetainedCloseUnregisters(t *testing.T) {
	r := treeOf("a", "b")
	one, two := r.Find("#"), r.Find("+")
	one.Close()
	one.Close()
	if len(r.cursors) != 1 || r.cursors[0] != two {
		t.Fatalf("%d cursors are registered, want the second", len(r.cursors))
	}
	if one.NextN(5, func(string) bool { t.Error("visited after Close"); return true }) {
		t.Error("a closed cursor has more")
	}
	two.Close()
	if len(r.cursors) != 0 {
		t.Error("a closed cursor is registered")
	}
}

// The visitor may change the tree, even delete the topic that it is shown and its neighbours.
func TestRetainedVisitorDeletesEverything(t *testing.T) {
	r := NewRetained[string]()
	for i := range 300 {
		topic := fmt.Sprintf("a/%d/%d", i%7, i)
		r.Set(topic, topic)
	}
	seen := 0
	c := r.Find("a/#")
	for c.NextN(3, func(topic string) bool {
		seen++
		if _, ok := r.Delete(topic); !ok {
			t.Fatalf("%q was visited and is not there", topic)
		}
		return true
	}) {
	}
	if seen != 300 || r.Len() != 0 || r.root.first != nil {
		t.Errorf("visited %d, %d left", seen, r.Len())
	}
}

// retainedWalk is a cursor under test with what it has to visit.
type retainedWalk struct {
	cursor  *Cursor[string]
	filter  string
	owed    map[string]bool // matches, was there at the start and all the time since
	visited map[string]int  // visits since the topic was last set anew
}

// retainedModel drives a tree and some cursors with random or fuzzed choices.
type retainedModel struct {
	t     *testing.T
	tree  *Retained[string]
	set   map[string]bool
	walks []*retainedWalk
}

func newRetainedModel(t *testing.T) *retainedModel {
	return &retainedModel{t: t, tree: NewRetained[string](), set: make(map[string]bool)}
}

func (m *retainedModel) put(topic string) {
	_, replaced := m.tree.Set(topic, topic)
	if replaced != m.set[topic] {
		m.t.Fatalf("Set(%q) replaced = %v, want %v", topic, replaced, m.set[topic])
	}
	if m.set[topic] {
		return
	}
	m.set[topic] = true
	for _, w := range m.walks {
		delete(w.visited, topic)
	}
}

func (m *retainedModel) remove(topic string) {
	if _, ok := m.tree.Delete(topic); ok != m.set[topic] {
		m.t.Fatalf("Delete(%q) = %v, want %v", topic, ok, m.set[topic])
	}
	delete(m.set, topic)
	for _, w := range m.walks {
		delete(w.owed, topic)
	}
}

func (m *retainedModel) find(filter string) {
	w := &retainedWalk{cursor: m.tree.Find(filter), filter: filter, owed: make(map[string]bool), visited: make(map[string]int)}
	for topic := range m.set {
		if MatchOne(filter, topic) {
			w.owed[topic] = true
		}
	}
	m.walks = append(m.walks, w)
}

// step advances walk i and takes it off the list at its end.
func (m *retainedModel) step(i, steps int) {
	w := m.walks[i]
	more := w.cursor.NextN(steps, func(topic string) bool { m.visit(w, topic); return steps%3 != 0 })
	if more {
		return
	}
	if len(w.owed) != 0 {
		m.t.Fatalf("the walk of %q ended without %v", w.filter, w.owed)
	}
	m.walks = slices.Delete(m.walks, i, i+1)
}

func (m *retainedModel) visit(w *retainedWalk, topic string) {
	if !m.set[topic] || !MatchOne(w.filter, topic) {
		m.t.Fatalf("the walk of %q visited %q, set %v", w.filter, topic, m.set[topic])
	}
	if w.visited[topic]++; w.visited[topic] > 1 {
		m.t.Fatalf("the walk of %q visited %q twice", w.filter, topic)
	}
	delete(w.owed, topic)
	for parent := topic; strings.Contains(parent, "/"); {
		parent = parent[:strings.LastIndexByte(parent, '/')]
		if w.owed[parent] {
			m.t.Fatalf("the walk of %q visited %q before its parent %q", w.filter, topic, parent)
		}
	}
}

func (m *retainedModel) end() {
	for len(m.walks) > 0 {
		m.step(0, 7)
	}
	if len(m.tree.cursors) != 0 {
		m.t.Fatalf("%d cursors are registered at the end", len(m.tree.cursors))
	}
	for topic := range m.set {
		m.remove(topic)
	}
	if m.tree.Len() != 0 || m.tree.root.first != nil {
		m.t.Fatal("the emptied tree has nodes")
	}
}

// What exists during the whole walk is visited exactly once, parents before children, whatever comes and goes.
func TestRetainedCursorUnderRandomChanges(t *testing.T) {
	for seed := range uint64(40) {
		random := newRandom(seed)
		m := newRetainedModel(t)
		for range 1500 {
			switch k := random.IntN(10); {
			case k < 4:
				m.put(randomTopic(random, 4))
			case k < 7:
				m.remove(randomTopic(random, 4))
			case k < 8 && len(m.walks) < 6:
				m.find(randomFilter(random, 3))
			case len(m.walks) > 0:
				m.step(random.IntN(len(m.walks)), 1+random.IntN(4))
			}
		}
		m.end()
	}
}

func BenchmarkRetained(b *testing.B) {
	const topics = 100_000
	names := make([]string, topics)
	r := NewRetained[string]()
	for i := range names {
		names[i] = fmt.Sprintf("site/%d/line/%d/state", i%100, i/100)
		r.Set(names[i], names[i])
	}
	b.Run("set", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			r.Set(names[i*7919%topics], "x")
		}
	})
	b.Run("walk", func(b *testing.B) {
		b.ReportAllocs()
		c := r.Find("#")
		for b.Loop() {
			if !c.NextN(1, func(string) bool { return true }) {
				c = r.Find("#")
			}
		}
		c.Close()
	})
}
