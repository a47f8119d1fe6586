package router

import "strings"

// ValidTopic reports whether topic can be published to: not empty, no wildcard, at most LevelsMax levels
// [MQTT-4.7.3-1] [MQTT-3.3.2-2]. That it is UTF-8 without NUL was checked when it was decoded.
func ValidTopic(topic string) bool {
	if topic == "" {
		return false
	}
	slashes := 0
	for i := range len(topic) {
		switch topic[i] {
		case '+', '#':
			return false
		case '/':
			slashes++
		}
	}
	return slashes < LevelsMax
}

// TooDeep reports whether a topic name or filter has more than LevelsMax levels.
func TooDeep(topic string) bool {
	return len(topic) >= LevelsMax && strings.Count(topic, "/") >= LevelsMax
}

// ValidFilter reports whether filter is a topic filter: '#' alone in the last level, '+' alone in its level
// [MQTT-4.7.1-1] [MQTT-4.7.1-2], not empty, at most LevelsMax levels.
func ValidFilter(filter string) bool {
	if filter == "" || TooDeep(filter) {
		return false
	}
	for i := range len(filter) {
		switch filter[i] {
		case '#':
			if i != len(filter)-1 || (i > 0 && filter[i-1] != '/') {
				return false
			}
		case '+':
			if (i > 0 && filter[i-1] != '/') || (i < len(filter)-1 && filter[i+1] != '/') {
				return false
			}
		}
	}
	return true
}

// Share is a shared subscription: the group's name and the filter its members share.
type Share struct{ Group, Filter string }

// ParseShare splits $share/group/filter. shared is false for every other filter. ok is false when the group is empty
// or has a wildcard [MQTT-4.8.2-1], or when no filter follows [MQTT-4.8.2-2]. Both parts alias the argument.
func ParseShare(filter string) (s Share, shared, ok bool) {
	const prefix = "$share/"
	if !strings.HasPrefix(filter, prefix) {
		return Share{}, filter == "$share", false
	}
	group, rest, found := strings.Cut(filter[len(prefix):], "/")
	ok = found && group != "" && !strings.ContainsAny(group, "+#") && rest != "" && ValidFilter(rest)
	return Share{Group: group, Filter: rest}, true, ok
}

// MatchOne reports whether one valid filter matches one topic name [MQTT-4.7.2-1] [MQTT-4.7.3-4]. It is the meaning
// that all faster ways are held to.
func MatchOne(filter, topic string) bool {
	if topic != "" && topic[0] == '$' && (filter[0] == '+' || filter[0] == '#') {
		return false
	}
	for {
		if filter == "#" {
			return true
		}
		f, frest, fmore := cutLevel(filter)
		t, trest, tmore := cutLevel(topic)
		if f != "+" && f != t {
			return false
		}
		switch {
		case !fmore && !tmore:
			return true
		case !tmore:
			return frest == "#"
		case !fmore:
			return false
		}
		filter, topic = frest, trest
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
