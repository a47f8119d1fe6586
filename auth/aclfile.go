package auth

import (
	"errors"
	"fmt"
	"strings"

	"github.com/noctulemq/noctule/router"
)

// ACL is an access control file. Immutable; any thread.
type ACL struct {
	path      string
	anonymous ruleIndex             // topic lines before the first user line: clients without a user name
	users     map[string]*ruleIndex // topic lines after user lines, by user name
	patterns  ruleIndex             // pattern lines: everybody
	warnings  []string
	// nothing and barred are the rules that no line states.
	nothing, barred string
}

// LoadACL reads an ACL file. The error is Errors with every bad line, or says why the file cannot be read.
//
//	user NAME
//	topic   [read|write|readwrite|deny] FILTER
//	pattern [read|write|readwrite|deny] FILTER
//
// Words are separated by blanks, not by tabs; a filter with a blank in it needs its access. Lines that begin with # and
// blank lines are skipped.
func LoadACL(path string) (*ACL, error) {
	l := newACLLoader(path)
	if err := readLines("acl_file", path, l.line); err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	return l.finish()
}

// Warnings returns what Mosquitto warns of when it reads the file, one sentence each.
func (l *ACL) Warnings() []string { return l.warnings }

// Login returns Defer: an ACL file decides no logins.
func (l *ACL) Login(*Client) (Decision, string) { return Defer, "" }

// Rights returns what a client may do. It never defers.
//
// A client has the lines of its user name, or the anonymous ones. Among these the denials come first, wherever they stand,
// then the grants. What they leave open is for the patterns, again denials first: a pattern cannot deny what a topic line
// grants. Patterns say nothing about clients whose identifier or user name has a wildcard in it.
func (l *ACL) Rights(c *Client) Rights {
	r := &aclRights{acl: l, own: &l.anonymous, id: c.ID}
	if !c.anonymous() {
		r.user, r.own = c.UserName, l.users[c.UserName]
	}
	r.barred = len(l.patterns.open)+len(l.patterns.byPrefix) > 0 &&
		(strings.ContainsAny(r.user, "+#") || strings.ContainsAny(r.id, "+#"))
	return r
}

// aclRights is what one client may do by an ACL file. Immutable.
type aclRights struct {
	acl      *ACL
	own      *ruleIndex // nil when the user has no lines
	user, id string     // what %u and %c stand for; user is empty when there is none
	barred   bool       // from the patterns
}

// Allows decides one action. Entering and leaving filters is always allowed: what is delivered is checked instead.
func (r *aclRights) Allows(a Action, topic string) (Decision, string) {
	var want access
	switch a {
	case Receive:
		want = mayRead
	case Publish:
		want = mayWrite
	default:
		return Allow, ""
	}
	if d, rule := r.own.decide(want, topic, r); d != Defer {
		return d, rule
	}
	if r.barred {
		return Deny, r.acl.barred
	}
	if d, rule := r.acl.patterns.decide(want, topic, r); d != Defer {
		return d, rule
	}
	return Deny, r.acl.nothing
}

// aclLoader is an ACL file while it is read.
type aclLoader struct {
	*ACL
	errors Errors
	rules  int
	// section is where topic lines go: the anonymous section until the first user line, then users[user], which exists once
	// the user has a rule.
	user    string
	section *ruleIndex
}

func newACLLoader(path string) *aclLoader {
	l := &aclLoader{ACL: &ACL{
		path:    path,
		users:   map[string]*ruleIndex{},
		nothing: "no rule of " + path + " grants it",
		barred:  path + ": patterns are not for a client identifier or user name with + or #",
	}}
	l.patterns.substitutes = true
	l.section = &l.anonymous
	return l
}

// line reads one line.
func (l *aclLoader) line(n int, text string) error {
	if text[0] == '#' {
		return nil
	}
	text = strings.TrimRight(text, blanks)
	if strings.Trim(text, blanks) == "" {
		return nil
	}
	word, rest := cutWord(text)
	switch word {
	case "user":
		return l.userLine(n, rest)
	case "topic", "pattern":
		return l.ruleLine(n, word, rest)
	}
	hint := "a line begins with user, topic or pattern"
	if strings.Contains(word, "\t") {
		hint = "separate words with blanks, not with tabs"
	}
	return l.errors.add(l.path, n, fmt.Sprintf("Invalid line in acl_file %q: %.80s", l.path, word), hint)
}

// userLine begins a section.
func (l *aclLoader) userLine(n int, name string) error {
	switch {
	case name == "":
		return l.errors.add(l.path, n, fmt.Sprintf("Missing username in acl_file %q", l.path), "a line is \"user NAME\"")
	case len(name) > nameBytesMax:
		return l.errors.add(l.path, n, fmt.Sprintf("Invalid username in acl_file %q", l.path), "it is longer than MQTT allows")
	}
	l.user, l.section = name, l.users[name]
	return nil
}

// ruleLine reads a topic or pattern line.
func (l *aclLoader) ruleLine(n int, kind, rest string) error {
	filter, may := rest, mayRead|mayWrite
	if word, second := cutWord(rest); second != "" {
		var known bool
		filter = second
		if may, known = parseAccess(word); !known {
			return l.errors.add(l.path, n, fmt.Sprintf("Invalid topic access type \"%.80s\" in acl_file %q", word, l.path),
				"use read, write, readwrite or deny; a filter with a blank in it needs one of them before it")
		}
	}
	switch {
	case filter == "":
		return l.errors.add(l.path, n, fmt.Sprintf("Empty topic in acl_file %q", l.path),
			fmt.Sprintf("a line is \"%s [read|write|readwrite|deny] FILTER\"", kind))
	case len(filter) > nameBytesMax || strings.IndexByte(filter, 0) >= 0 || !router.ValidFilter(filter):
		return l.errors.add(l.path, n, fmt.Sprintf("Invalid ACL topic \"%.200s\" in acl_file %q", filter, l.path),
			fmt.Sprintf("# stands alone at the end, + alone between slashes, and a filter has at most %d levels", router.LevelsMax))
	}
	if l.rules++; l.rules > rulesMax {
		_ = l.errors.add(l.path, n, fmt.Sprintf("Too many rules in acl_file %q", l.path),
			fmt.Sprintf("a file has at most %d", rulesMax))
		return errEnough
	}
	r := rule{filter: filter, may: may}
	if may == 0 {
		r.text = fmt.Sprintf("%s: %s deny %s", place(l.path, n), kind, filter)
	}
	if kind == "pattern" {
		l.warnPattern(n, filter)
		l.patterns.add(r)
		return nil
	}
	if l.section == nil {
		l.section = &ruleIndex{}
		l.users[l.user] = l.section
	}
	l.section.add(r)
	return nil
}

// warnPattern notes a pattern that is the same for everybody.
func (l *aclLoader) warnPattern(n int, filter string) {
	if !strings.Contains(filter, "%c") && !strings.Contains(filter, "%u") && len(l.warnings) < warningsMax {
		l.warnings = append(l.warnings, fmt.Sprintf("Warning: ACL pattern '%.200s' does not contain '%%c' or '%%u'. (%s)",
			filter, place(l.path, n)))
	}
}

// finish returns the file, or its errors.
func (l *aclLoader) finish() (*ACL, error) {
	if len(l.errors) > 0 {
		return nil, l.errors
	}
	return l.ACL, nil
}

// cutWord splits off the first word. Blanks around it are dropped; tabs are not blanks.
func cutWord(s string) (word, rest string) {
	word, rest, _ = strings.Cut(strings.TrimLeft(s, " "), " ")
	return word, strings.TrimLeft(rest, " ")
}
