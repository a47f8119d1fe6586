package config

import (
	"fmt"
	"strings"
)

// unknown reports a name that is no key, with the nearest one.
func (p *parser) unknown(name string) {
	var hint string
	switch {
	case strings.HasPrefix(name, "#"):
		hint = "a comment has its # in the first column"
	case strings.HasPrefix(name, "\t"):
		hint = "a line is indented with blanks, not with tabs"
	case strings.Contains(name, "\t"):
		hint = "name and value are separated by a blank, not by a tab"
	case p.index[strings.ToLower(name)] != nil:
		hint = fmt.Sprintf("did you mean '%s'? Names are in lower case", strings.ToLower(name))
	default:
		if nearest := p.nearest(name); nearest != "" {
			hint = fmt.Sprintf("did you mean '%s'?", nearest)
		}
	}
	p.fail(fmt.Sprintf("Unknown configuration variable '%s'.", shown(name)), hint)
}

// nearest returns the key that takes the fewest edits to reach from name, or "" when none is near: more than a third
// of the name would have to change. Among equals the first of the manual wins.
func (p *parser) nearest(name string) string {
	if len(name) > shownMax {
		return ""
	}
	best, bestDistance := "", len(name)/3+1
	for i := range p.keys {
		candidate := p.keys[i].Name
		if d := distance(name, candidate); d < bestDistance {
			best, bestDistance = candidate, d
		}
	}
	return best
}

// distance is how many insertions, deletions, replacements and swaps of neighbours make b of a.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
