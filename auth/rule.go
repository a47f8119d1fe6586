package auth

import "strings"

// access is what a rule grants; 0 denies both.
type access uint8

const (
	mayRead access = 1 << iota
	mayWrite
)

// parseAccess reads the word for access of a topic or pattern line.
func parseAccess(word string) (may access, known bool) {
	switch word {
	case "read":
		return mayRead, true
	case "write":
		return mayWrite, true
	case "readwrite":
		return mayRead | mayWrite, true
	case "deny":
		return 0, true
	}
	return 0, false
}

// rule is one topic or pattern line.
type rule struct {
	filter string
	may    access
	user   bool   // has %u that stands for the user name
	plain  bool   // neither wildcard nor %c nor %u
	text   string // of a denial: file, line and the rule, for the log
}

// ruleIndex is a section of an ACL file. Immutable once loaded.
//
// Rules lie under their prefix: the levels before the first one with a wildcard, %c or %u; for most, the whole filter. A
// topic finds the rules that can match it by one look for each of its levels, however many others there are. The order of
// the lines does not matter, because denials win over grants.
type ruleIndex struct {
	byPrefix map[string][]rule
	open     []rule // rules without such a level
	levels   int    // of the longest prefix
	// substitutes is true for patterns: %c and %u stand for client identifier and user name.
	substitutes bool
}

// add enters a rule.
func (x *ruleIndex) add(r rule) {
	r.user = x.substitutes && strings.Contains(r.filter, "%u")
	end, levels := x.prefix(r.filter)
	r.plain = end == len(r.filter)
	if levels == 0 {
		x.open = append(x.open, r)
		return
	}
	if x.byPrefix == nil {
		x.byPrefix = map[string][]rule{}
	}
	prefix := r.filter[:end]
	x.byPrefix[prefix] = append(x.byPrefix[prefix], r)
	x.levels = max(x.levels, levels)
}

// prefix returns where a filter's prefix ends and how many levels it has.
func (x *ruleIndex) prefix(filter string) (end, levels int) {
	start := 0
	for i := 0; i <= len(filter); i++ {
		if i < len(filter) && filter[i] != '/' {
			continue
		}
		level := filter[start:i]
		if level == "+" || level == "#" ||
			x.substitutes && (strings.Contains(level, "%c") || strings.Contains(level, "%u")) {
			break
		}
		end, start = i, i+1
		levels++
	}
	return end, levels
}

// decide returns Deny and the rule if one denies, else Allow if one grants, else Defer. x may be nil.
func (x *ruleIndex) decide(want access, topic string, r *aclRights) (Decision, string) {
	if x == nil || topic == "" {
		return Defer, ""
	}
	d, text := x.among(x.open, want, topic, r)
	if d == Deny {
		return d, text
	}
	for i, levels := 0, 0; i <= len(topic) && levels < x.levels; i++ {
		if i < len(topic) && topic[i] != '/' {
			continue
		}
		levels++
		switch one, text := x.among(x.byPrefix[topic[:i]], want, topic, r); one {
		case Deny:
			return one, text
		case Allow:
			d = Allow
		}
	}
	return d, ""
}

// among is decide for some of the rules.
func (x *ruleIndex) among(rules []rule, want access, topic string, r *aclRights) (Decision, string) {
	d := Defer
	for i := range rules {
		rule := &rules[i]
		if rule.may != 0 && (rule.may&want == 0 || d == Allow) {
			continue
		}
		if !x.matches(rule, topic, r) {
			continue
		}
		if rule.may == 0 {
			return Deny, rule.text
		}
		d = Allow
	}
	return d, ""
}

// matches reports whether a rule is about a topic. A rule with %u is about nothing when there is no user name. What %c and
// %u stand for may have slashes in it, and is compared as it is.
func (x *ruleIndex) matches(r *rule, topic string, who *aclRights) bool {
	f := r.filter
	switch {
	case r.plain:
		return f == topic
	case r.user && who.user == "", topic[0] == '$' && (f[0] == '+' || f[0] == '#'): // [MQTT-4.7.2-1]
		return false
	}
	for len(f) > 0 {
		switch {
		case f == "#":
			return true
		case f == "/#":
			return topic == "" || topic[0] == '/'
		case f[0] == '+':
			end := strings.IndexByte(topic, '/')
			if end < 0 {
				end = len(topic)
			}
			f, topic = f[1:], topic[end:]
			continue
		case x.substitutes && f[0] == '%' && len(f) > 1 && (f[1] == 'c' || f[1] == 'u'):
			value := who.id
			if f[1] == 'u' {
				value = who.user
			}
			rest, found := strings.CutPrefix(topic, value)
			if !found {
				return false
			}
			f, topic = f[2:], rest
			continue
		}
		if topic == "" || f[0] != topic[0] {
			return false
		}
		f, topic = f[1:], topic[1:]
	}
	return topic == ""
}
