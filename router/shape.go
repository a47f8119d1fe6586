package router

import (
	"math/bits"
	"strings"
)

// shape is what filters have in common that are probed together: which levels are literal and whether '#' ends it.
type shape struct {
	literal uint64 // bit i: level i is literal
	depth   uint8  // levels, without '#'
	hash    bool   // ends in '#'
}

// shapeOf returns the shape of a valid filter and the combined hash of its literal levels, never 0. ok is false when
// it has too many levels to have a shape.
func shapeOf(h *Hasher, filter string) (s shape, key uint64, ok bool) {
	for more := true; more; {
		var level string
		level, filter, more = cutLevel(filter)
		if level == "#" {
			s.hash = true
			break
		}
		if s.depth == shapeLevels {
			return shape{}, 0, false
		}
		if level != "+" {
			s.literal |= 1 << s.depth
			key += h.level(level, int(s.depth))
		}
		s.depth++
	}
	return s, nonZero(key), true
}

func nonZero(key uint64) uint64 {
	if key == 0 {
		return 1
	}
	return key
}

// key returns the combined hash of a topic's levels where the shape is literal.
func (s shape) key(t *Topic) uint64 {
	if bits.OnesCount64(s.literal) == t.depth && t.depth <= shapeLevels {
		return nonZero(t.all)
	}
	sum := uint64(0)
	for left := s.literal; left != 0; left &= left - 1 {
		sum += t.levels[bits.TrailingZeros64(left)]
	}
	return nonZero(sum)
}

// fits reports whether the shape can match topics of a depth.
func (s shape) fits(depth int) bool {
	if s.hash {
		return depth >= int(s.depth)
	}
	return depth == int(s.depth)
}

// leadingWildcard reports whether topics that begin with '$' are not for this shape.
func (s shape) leadingWildcard() bool { return s.literal&1 == 0 }

// fitting keeps, for each depth a topic can have, the tables of the shapes that fit it, so that matching looks at no
// others. Rebuilt when a shape comes or goes.
type fitting[T any] [shapeLevels + 2][]T

// depthClass is the position in fitting for a topic: deeper topics than any shape share the last one.
func depthClass(depth int) int { return min(depth, shapeLevels+1) }

func rebuild[T any](f *fitting[T], tables []T, of func(T) shape) {
	for depth := range f {
		f[depth] = f[depth][:0:0]
		for _, t := range tables {
			if of(t).fits(depth) {
				f[depth] = append(f[depth], t)
			}
		}
	}
}

// levelsOf splits a filter.
func levelsOf(filter string) []string { return strings.Split(filter, "/") }
