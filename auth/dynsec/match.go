package dynsec

import "strings"

// who is what %c and %u stand for in the filter of an ACL: a whole level each. An id or user name that is empty or has
// one of + # / stands for nothing, and an ACL with it matches nothing: otherwise a client could widen its own rights by
// the id it chooses.
type who struct{ id, user string }

func newWho(id, user string) who {
	if strings.ContainsAny(id, "+#/") {
		id = ""
	}
	if strings.ContainsAny(user, "+#/") {
		user = ""
	}
	return who{id: id, user: user}
}

// matchesTopic reports whether an ACL's filter matches a topic name. A leading wildcard does not match a leading $.
func (w *who) matchesTopic(filter, topic string) bool {
	if topic != "" && topic[0] == '$' && filter != "" && (filter[0] == '+' || filter[0] == '#') {
		return false
	}
	return w.matchesFilter(filter, topic)
}

// matchesFilter reports whether an ACL's filter covers a subscription: + covers every level but #, and # everything
// from its level on and its parent. The $ of system topics and of $share is nothing special.
func (w *who) matchesFilter(filter, subscription string) bool {
	if filter == "" || subscription == "" {
		return false
	}
	for {
		f, frest, fmore := cutLevel(filter)
		s, srest, smore := cutLevel(subscription)
		switch f {
		case "#":
			return !fmore
		case "+":
			if s == "#" {
				return false
			}
		case "%c":
			if w.id == "" || s != w.id {
				return false
			}
		case "%u":
			if w.user == "" || s != w.user {
				return false
			}
		default:
			if f != s {
				return false
			}
		}
		switch {
		case !fmore && !smore:
			return true
		case !smore:
			return frest == "#"
		case !fmore:
			return false
		}
		filter, subscription = frest, srest
	}
}

// cutLevel splits off the first level.
func cutLevel(s string) (level, rest string, more bool) {
	for i := range len(s) {
		if s[i] == '/' {
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

// validFilter reports whether an ACL's filter may be added: # alone in the last level, + alone in its own. An empty one
// may; it matches nothing.
func validFilter(filter string) bool {
	for more := true; more; {
		var level string
		level, filter, more = cutLevel(filter)
		if strings.ContainsAny(level, "+#") && len(level) > 1 || level == "#" && more {
			return false
		}
	}
	return true
}
