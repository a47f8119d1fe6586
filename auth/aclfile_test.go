package auth

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestRights(t *testing.T) {
	l := loadACL(t, strings.Join([]string{
		"topic read public/#", // 1
		"topic deny public/secret",
		"user ann",
		"topic home/+/state", // 4
		"topic deny home/cellar/state",
		"topic write out",
		"topic with%u",
		"pattern read inbox/%u/%c",  // 8
		"pattern deny inbox/%u/bad", // 9
		"user bob",
		"topic read $SYS/#", // 11
		"user ann",
		"topic #",                    // 13
		"pattern deny public/secret", // 14
	}, "\n"))
	f := func(c Client, want Decision, a Action, topic, rule string) {
		t.Helper()
		d, r := l.Rights(&c).Allows(a, topic)
		if d != want || r != strings.ReplaceAll(rule, "FILE", l.path) {
			t.Errorf("%s/%s %v %q: %v %q, want %v %q", c.UserName, c.ID, a, topic, d, r, want, rule)
		}
	}
	const nothing = "no rule of FILE grants it"
	nobody := Client{ID: "n"}
	f(nobody, Allow, Receive, "public", "")
	f(nobody, Allow, Receive, "public/a/b", "")
	f(nobody, Deny, Publish, "public/a", nothing)
	f(nobody, Deny, Receive, "public/secret", "FILE:2: topic deny public/secret")
	f(nobody, Deny, Receive, "inbox//n", nothing)
	f(nobody, Allow, Subscribe, "anything/#", "")
	f(nobody, Allow, Unsubscribe, "anything/#", "")
	f(Client{ID: "n", HasUserName: true}, Allow, Receive, "public/a", "") // an empty user name

	ann := Client{ID: "a1", UserName: "ann", HasUserName: true}
	f(ann, Allow, Publish, "home/attic/state", "")
	f(ann, Deny, Publish, "home/cellar/state", "FILE:5: topic deny home/cellar/state")
	f(ann, Allow, Receive, "out", "")
	f(ann, Allow, Receive, "with%u", "")
	f(ann, Allow, Receive, "inbox/ann/bad", "") // a pattern cannot deny what a topic line grants
	f(ann, Deny, Receive, "$SYS/broker/uptime", nothing)

	bob := Client{ID: "b1", UserName: "bob", HasUserName: true}
	f(bob, Allow, Receive, "$SYS/broker/uptime", "")
	f(bob, Deny, Publish, "$SYS/broker/uptime", nothing)
	f(bob, Deny, Receive, "public/a", nothing) // the anonymous section is not for users
	f(bob, Deny, Receive, "public/secret", "FILE:14: pattern deny public/secret")
	f(bob, Allow, Receive, "inbox/bob/b1", "")
	f(bob, Deny, Receive, "inbox/bob/b2", nothing)
	f(bob, Deny, Receive, "inbox/bob/bad", "FILE:9: pattern deny inbox/%u/bad")

	f(Client{ID: "x", UserName: "#", HasUserName: true}, Deny, Receive, "inbox/#/x",
		"FILE: patterns are not for a client identifier or user name with + or #")
	if d, rule := l.Login(&ann); d != Defer || rule != "" {
		t.Errorf("login %v %q, want Defer", d, rule)
	}
}

func TestACLErrors(t *testing.T) {
	f := func(content, want string) {
		t.Helper()
		path := write(t, content)
		_, err := LoadACL(path)
		var errs Errors
		if !errors.As(err, &errs) || !strings.HasPrefix(err.Error(), strings.ReplaceAll(want, "FILE", path)) {
			t.Errorf("%.100q: %v, want %s", content, err, want)
		}
	}
	f("topic\ttab", "Error: Invalid line in acl_file \"FILE\": topic\ttab (FILE:1); separate words with blanks, not with tabs")
	f("\n# c\nbogus x", "Error: Invalid line in acl_file \"FILE\": bogus (FILE:3); a line begins with")
	f("topic a\x00b", "Error: Invalid ACL topic ")
	f("topic "+strings.Repeat("x", 66_000), "Error: Invalid ACL topic ")
	f("user "+strings.Repeat("x", 66_000), "Error: Invalid username ")
	f("topic "+strings.Repeat("x", 80_000), "Error: Line too long in acl_file")
	f("topic foo bar", "Error: Invalid topic access type \"foo\" in acl_file \"FILE\" (FILE:1); use read, write, readwrite or deny")
	_, err := LoadACL(write(t, "bogus\nuser\ntopic a#\n"))
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("%v, want three errors", err)
	}
	if _, err := LoadACL(write(t, strings.Repeat("bad\n", 1000))); strings.Count(err.Error(), "\n")+1 != errorsMax {
		t.Errorf("a file of bad lines has %d errors, want %d", strings.Count(err.Error(), "\n")+1, errorsMax)
	}
}

func TestACLFileHasABoundOnRules(t *testing.T) {
	l := newACLLoader("f")
	l.rules = rulesMax - 1
	if err := l.line(1, "topic a"); err != nil {
		t.Fatal(err)
	}
	if err := l.line(2, "topic b"); !errors.Is(err, errEnough) {
		t.Fatalf("%v, want errEnough", err)
	}
	if _, err := l.finish(); err == nil || !strings.Contains(err.Error(), "Too many rules") {
		t.Errorf("%v", err)
	}
}

func TestACLWarnsOfPatternsForEverybody(t *testing.T) {
	l := loadACL(t, "pattern a/%u\npattern deny b\n"+strings.Repeat("pattern c\n", 2*warningsMax))
	if want := fmt.Sprintf("Warning: ACL pattern 'b' does not contain '%%c' or '%%u'. (%s:2)", l.path); l.Warnings()[0] != want {
		t.Errorf("%s, want %s", l.Warnings()[0], want)
	}
	if len(l.Warnings()) != warningsMax {
		t.Errorf("%d warnings, want %d", len(l.Warnings()), warningsMax)
	}
}

func TestAllowsDoesNotAllocate(t *testing.T) {
	r := loadACL(t, bigACL(1000)).Rights(&Client{ID: "c", UserName: "u", HasUserName: true})
	for _, topic := range []string{"dev/7/state", "dev/7/x/y", "site/9/denied", "in/u/c", "nowhere/at/all"} {
		if n := testing.AllocsPerRun(100, func() { r.Allows(Publish, topic) }); n != 0 {
			t.Errorf("%s: %v allocations", topic, n)
		}
	}
}

func BenchmarkAllows(b *testing.B) {
	for _, rules := range []int{10, 10_000} {
		r := loadACL(b, bigACL(rules)).Rights(&Client{ID: "c", UserName: "u", HasUserName: true})
		for _, topic := range []string{"dev/7/state", "dev/7/x/y", "site/7/denied", "in/u/c", "nowhere/at/all"} {
			b.Run(fmt.Sprintf("rules=%d/%s", rules, strings.ReplaceAll(topic, "/", "_")), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					r.Allows(Publish, topic)
				}
			})
		}
	}
}

// bigACL is a file with three rules for each of n devices.
func bigACL(n int) string {
	var b strings.Builder
	b.WriteString("pattern in/%u/%c\nuser u\n")
	for i := range n {
		fmt.Fprintf(&b, "topic dev/%d/state\ntopic dev/%d/x/#\ntopic deny site/%d/denied\n", i, i, i)
	}
	return b.String()
}

func loadACL(t testing.TB, content string) *ACL {
	t.Helper()
	l, err := LoadACL(write(t, content))
	if err != nil {
		t.Fatal(err)
	}
	return l
}
