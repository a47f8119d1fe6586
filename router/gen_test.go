package router

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// words are the levels of generated names: few, so that filters and topics meet; with empty and '$' levels, and with
// every length class of Hasher.bytes.
var words = []string{
	"", "a", "b", "ab", "$SYS", "$", "abc", "abcd", "sensor07", "temperature",
	"exactly-16-bytes", "seventeen-bytes-x", "a level that is longer than thirty-two bytes",
}

func newRandom(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 2)) }

// randomTopic returns a valid topic name of at most depthMax levels.
func randomTopic(r *rand.Rand, depthMax int) string {
	for {
		levels := make([]string, 1+r.IntN(depthMax))
		for i := range levels {
			levels[i] = words[r.IntN(len(words))]
		}
		if topic := strings.Join(levels, "/"); topic != "" {
			return topic
		}
	}
}

// randomFilter returns a valid filter of at most depthMax levels and '#'.
func randomFilter(r *rand.Rand, depthMax int) string {
	if r.IntN(40) == 0 {
		return "#"
	}
	levels := strings.Split(randomTopic(r, depthMax), "/")
	for i := range levels {
		if r.IntN(3) == 0 {
			levels[i] = "+"
		}
	}
	if r.IntN(3) == 0 {
		levels = append(levels, "#")
	}
	return strings.Join(levels, "/")
}

// zeroHasher gives every filter of a shape the same key.
func zeroHasher() *Hasher { return &Hasher{seed: 1} }

// filtersOf returns the filters of entries, sorted.
func filtersOf(entries []*Entry) []string {
	filters := make([]string, 0, len(entries))
	for _, e := range entries {
		filters = append(filters, e.Filter)
	}
	slices.Sort(filters)
	return filters
}

// model is what an index should hold.
type model map[string]map[uint32]Subscriber

func (m model) subscribe(filter string, s Subscriber) (replaced bool) {
	if m[filter] == nil {
		m[filter] = make(map[uint32]Subscriber)
	}
	_, replaced = m[filter][s.Key]
	m[filter][s.Key] = s
	return replaced
}

func (m model) unsubscribe(filter string, key uint32) (existed bool) {
	if _, existed = m[filter][key]; existed {
		delete(m[filter], key)
	}
	if len(m[filter]) == 0 {
		delete(m, filter)
	}
	return existed
}

func (m model) match(topic string) []string {
	filters := []string{}
	for filter := range m {
		if MatchOne(filter, topic) {
			filters = append(filters, filter)
		}
	}
	slices.Sort(filters)
	return filters
}

func (m model) len() (subs int) {
	for _, keys := range m {
		subs += len(keys)
	}
	return subs
}

// check compares what the index says about one topic, its interest included, with the model.
func (m model) check(t *testing.T, x *Index, topic string) {
	t.Helper()
	var scanned Topic
	scanned.Scan(x.hasher, topic)
	got := x.Match(&scanned, nil)
	want := m.match(topic)
	if !slices.Equal(filtersOf(got), want) {
		t.Fatalf("topic %q matches %q, want %q", topic, filtersOf(got), want)
	}
	for _, e := range got {
		if len(e.Subs) != len(m[e.Filter]) {
			t.Fatalf("filter %q has %d subscribers, want %d", e.Filter, len(e.Subs), len(m[e.Filter]))
		}
		for _, s := range e.Subs {
			if s != m[e.Filter][s.Key] {
				t.Fatalf("filter %q has %+v, want %+v", e.Filter, s, m[e.Filter][s.Key])
			}
		}
	}
	if x.interest != nil && len(want) > 0 && x.interest.Loops(&scanned)&(1<<x.loop) == 0 {
		t.Fatalf("topic %q: the interest of loop %d is missing, filters %q match", topic, x.loop, want)
	}
}
