package router

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// benchLevels are the levels of a benchmark's filters: site, line, machine and so on, a number each.
func benchTopic(i, depth int) string {
	levels := []string{"site" + strconv.Itoa(i%50)}
	for level := 1; level < depth-1; level++ {
		levels = append(levels, []string{"line", "machine", "unit", "sensor"}[level%4]+strconv.Itoa(i/(7*level)%40))
	}
	return strings.Join(append(levels, "v"+strconv.Itoa(i)), "/")
}

// benchIndex has n filters: nine of ten exact, the others with '+' or '#' in ten shapes.
func benchIndex(n, depth int) *Index {
	h := NewHasher(7)
	x := NewIndex(&h, NewInterest(), 0)
	for i := range n {
		filter := benchTopic(i, depth)
		if i%10 == 0 {
			levels := strings.Split(filter, "/")
			at := 1 + i/10%(depth-2)
			if i/10%2 == 0 {
				levels[at] = "+"
			} else {
				levels[0], levels[depth-1] = levels[0]+"-"+levels[depth-1], "#"
				levels[at] = "+"
			}
			filter = strings.Join(levels, "/")
		}
		x.Subscribe(filter, Subscriber{Key: uint32(i)})
	}
	return x
}

// benchTopics are scanned in advance, so that matching alone is measured; there are enough of them to miss the caches.
func benchTopics(x *Index, n, depth int) []Topic {
	topics := make([]Topic, 8192)
	for i := range topics {
		topics[i].Scan(x.hasher, benchTopic(i*7919%n, depth))
	}
	return topics
}

func BenchmarkMatch(b *testing.B) {
	for _, size := range []struct {
		name string
		n    int
	}{{"10k", 10_000}, {"1M", 1_000_000}} {
		for _, depth := range []int{3, 4, 6, 8} {
			x := benchIndex(size.n, depth)
			topics := benchTopics(x, size.n, depth)
			b.Run(fmt.Sprintf("filters=%s/depth=%d", size.name, depth), func(b *testing.B) {
				dst := make([]*Entry, 0, 8)
				matched := 0
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					dst = x.Match(&topics[i%len(topics)], dst[:0])
					matched += len(dst)
				}
				b.ReportMetric(float64(matched)/float64(b.N), "matches/op")
				b.ReportMetric(float64(len(x.shapes)), "shapes")
			})
		}
	}
}

func BenchmarkScan(b *testing.B) {
	h := NewHasher(7)
	for _, topic := range []string{
		"a", "site1/line22/machine/v17", "sensors/7/temperature/outdoor/celsius/now", deep(32), deep(LevelsMax),
	} {
		b.Run(fmt.Sprintf("bytes=%d/levels=%d", len(topic), strings.Count(topic, "/")+1), func(b *testing.B) {
			var t Topic
			b.ReportAllocs()
			for b.Loop() {
				t.Scan(&h, topic)
			}
		})
	}
}

// Scanning and matching topics that differ in the lengths of their levels: what a publication costs whose route is not
// remembered.
func BenchmarkScanMatch(b *testing.B) {
	for _, size := range []int{1_000, 10_000, 1_000_000} {
		for _, depth := range []int{3, 4, 6} {
			x := benchIndex(size, depth)
			names := make([]string, 8192)
			for i := range names {
				names[i] = benchTopic(i*7919%size, depth)
			}
			b.Run(fmt.Sprintf("filters=%d/depth=%d", size, depth), func(b *testing.B) {
				dst := make([]*Entry, 0, 8)
				var t Topic
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					t.Scan(x.hasher, names[i&8191])
					dst = x.Match(&t, dst[:0])
				}
			})
		}
	}
}

// Topics of 3 to 7 levels in turn.
func BenchmarkScanVaried(b *testing.B) {
	h := NewHasher(7)
	names := make([]string, 1024)
	for i := range names {
		names[i] = benchTopic(i*7919%1_000_000, 3+i*7919/1024%5)
	}
	var t Topic
	for i := 0; b.Loop(); i++ {
		t.Scan(&h, names[i&1023])
	}
}

func BenchmarkInterest(b *testing.B) {
	for _, size := range []struct {
		name string
		n    int
	}{{"10k", 10_000}, {"1M", 1_000_000}} {
		x := benchIndex(size.n, 6)
		topics := benchTopics(x, size.n, 6)
		b.Run("filters="+size.name+"/depth=6", func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if x.interest.Loops(&topics[i%len(topics)])+uint64(i) == 1<<62 {
					b.Fatal("unreachable")
				}
			}
		})
	}
}

// One subscription and its end, in an index that has many.
func BenchmarkSubscribe(b *testing.B) {
	const filters = 100_000
	x := benchIndex(filters, 4)
	names := make([]string, 8192)
	for i := range names {
		names[i] = benchTopic(filters+i*10+1, 4)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		filter := names[i%len(names)]
		x.Subscribe(filter, Subscriber{Key: 1})
		x.Unsubscribe(filter, 1)
	}
}

func BenchmarkMatchOne(b *testing.B) {
	matched := 0
	for b.Loop() {
		if MatchOne("site1/+/machine/#", "site1/line22/machine/v17") {
			matched++
		}
	}
}
