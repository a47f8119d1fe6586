package router

import (
	"math/bits"
	"slices"
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

// key returns the combined hash of a topic's levels where the shape is literal. The topic is at least as deep.
func (s shape) key(t *Topic) uint64 {
	sum := t.sums[s.depth]
	for wild := ^s.literal & (1<<s.depth - 1); wild != 0; wild &= wild - 1 {
		i := bits.TrailingZeros64(wild)
		sum -= t.sums[i+1] - t.sums[i]
	}
	return nonZero(sum)
}

// exact reports whether the shape has no wildcard.
func (s shape) exact() bool { return !s.hash && bits.OnesCount64(s.literal) == int(s.depth) }

// leadingWildcard reports whether topics that begin with '$' are not for this shape.
func (s shape) leadingWildcard() bool { return s.literal&1 == 0 }

// fitting finds the tables of the shapes that a topic's depth fits, so that matching looks at no others: those of that
// depth, and those that end in '#' and are not deeper. A change makes new slices and leaves the old ones as they are,
// for readers of an earlier copy.
type fitting[T comparable] struct {
	exact [shapeLevels + 1][]T // without '#', by depth
	open  []T                  // with '#', by ascending depth
	// opens[d] is how many of open have at most d levels.
	opens [shapeLevels + 1]uint16
}

// of returns the tables for topics of a depth, in two parts. Deeper topics than any shape fit all open shapes.
func (f *fitting[T]) of(depth int) (exact, open []T) {
	if depth > shapeLevels {
		return nil, f.open
	}
	return f.exact[depth], f.open[:f.opens[depth]]
}

// add enters the table of a shape.
func (f *fitting[T]) add(t T, s shape) {
	if !s.hash {
		f.exact[s.depth] = append(slices.Clip(f.exact[s.depth]), t)
		return
	}
	f.open = slices.Insert(slices.Clip(f.open), int(f.opens[s.depth]), t)
	for d := int(s.depth); d <= shapeLevels; d++ {
		f.opens[d]++
	}
}

// remove takes the table of a shape out.
func (f *fitting[T]) remove(t T, s shape) {
	if !s.hash {
		f.exact[s.depth] = without(f.exact[s.depth], t)
		return
	}
	f.open = without(f.open, t)
	for d := int(s.depth); d <= shapeLevels; d++ {
		f.opens[d]--
	}
}

// without returns a copy of list that lacks t.
func without[T comparable](list []T, t T) []T {
	if len(list) == 1 {
		return nil
	}
	out := make([]T, 0, len(list)-1)
	for _, have := range list {
		if have != t {
			out = append(out, have)
		}
	}
	return out
}

// levelsOf splits a filter.
func levelsOf(filter string) []string { return strings.Split(filter, "/") }
