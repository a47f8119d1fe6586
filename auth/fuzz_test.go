package auth

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/noctulemq/noctule/router"
)

// naiveACL decides as the manual reads: every rule in turn, with %c and %u put into its text.
type naiveACL struct {
	topics   map[string][][2]string // by user, "" for anonymous: word for access, filter
	patterns [][2]string
}

// readNaive reads an ACL file that is known to be valid.
func readNaive(content string) naiveACL {
	n := naiveACL{topics: map[string][][2]string{}}
	user := ""
	for text := range strings.Lines(content) {
		if strings.HasPrefix(text, "#") || strings.Trim(text, blanks) == "" {
			continue
		}
		kind, rest, _ := strings.Cut(strings.TrimLeft(strings.TrimRight(text, blanks), " "), " ")
		rest = strings.TrimLeft(rest, " ")
		if kind == "user" {
			user = rest
			continue
		}
		entry := [2]string{"readwrite", rest}
		if word, filter, found := strings.Cut(rest, " "); found {
			entry = [2]string{word, strings.TrimLeft(filter, " ")}
		}
		if kind == "pattern" {
			n.patterns = append(n.patterns, entry)
		} else {
			n.topics[user] = append(n.topics[user], entry)
		}
	}
	return n
}

func (n naiveACL) allows(user, id string, a Action, topic string) Decision {
	if d := naiveList(n.topics[user], a, topic, func(f string) string { return f }); d != Defer {
		return d
	}
	if len(n.patterns) > 0 && strings.ContainsAny(user+id, "+#") {
		return Deny
	}
	d := naiveList(n.patterns, a, topic, func(f string) string {
		if user == "" && strings.Contains(f, "%u") {
			return ""
		}
		return strings.NewReplacer("%u", user, "%c", id).Replace(f)
	})
	if d == Defer {
		return Deny
	}
	return d
}

func naiveList(list [][2]string, a Action, topic string, fill func(string) string) Decision {
	d := Defer
	for _, e := range list {
		if filter := fill(e[1]); filter == "" || topic == "" || !router.MatchOne(filter, topic) {
			continue
		}
		switch {
		case e[0] == "deny":
			return Deny
		case e[0] == "readwrite", e[0] == "read" && a == Receive, e[0] == "write" && a == Publish:
			d = Allow
		}
	}
	return d
}

// compareNaive holds the indexed rules of a file against the naive ones. A file with errors is not compared.
func compareNaive(t *testing.T, content, user, id, topic string) {
	t.Helper()
	loader := newACLLoader("f")
	if err := scanLines("acl_file", "f", strings.NewReader(content), loader.line); err != nil {
		return
	}
	l, err := loader.finish()
	if err != nil {
		return
	}
	naive := readNaive(content)
	rights := l.Rights(&Client{ID: id, UserName: user, HasUserName: user != ""})
	for _, a := range []Action{Publish, Receive} {
		got, rule := rights.Allows(a, topic)
		if want := naive.allows(user, id, a, topic); got != want || (got == Deny) != (rule != "") {
			t.Fatalf("%s\nuser %q id %q action %d topic %q: %v %q, want %v", content, user, id, a, topic, got, rule, want)
		}
	}
}

func FuzzACL(f *testing.F) {
	f.Add("topic read a/#\nuser u\ntopic deny a/+/b\npattern x/%u/%c\r\n", "u", "c", "a/x/b")
	f.Add("pattern deny %u/#\npattern readwrite  #\ntopic write $SYS/#", "$SYS", "c", "$SYS/a")
	f.Add("user a b\ntopic /\n#\ntopic %c", "a b", "u/x", "/")
	f.Fuzz(func(t *testing.T, content, user, id, topic string) { compareNaive(t, content, user, id, topic) })
}

func TestIndexedRulesAgreeWithNaiveOnes(t *testing.T) {
	const seed = 4
	random := rand.New(rand.NewPCG(seed, seed))
	pick := func(s ...string) string { return s[random.IntN(len(s))] }
	levels := func(max int, words ...string) string {
		parts := make([]string, 1+random.IntN(max))
		for i := range parts {
			parts[i] = pick(words...)
		}
		return strings.Join(parts, "/")
	}
	for range 20_000 {
		var b strings.Builder
		for range random.IntN(8) {
			if random.IntN(5) == 0 {
				fmt.Fprintln(&b, "user", pick("u", "v", "a/b"))
				continue
			}
			filter := levels(3, "a", "b", "", "+", "$S", "%c", "%u", "x%u", "%c%u", "%x") + pick("", "", "/#")
			fmt.Fprintln(&b, pick("topic", "pattern"), pick("read", "write", "readwrite", "deny"), pick(filter, filter, filter, "#"))
		}
		compareNaive(t, b.String(), pick("", "u", "v", "a/b", "+", "$S"), pick("a", "b", "u", "a/b", "#", "$S"),
			levels(4, "a", "b", "", "u", "xu", "$S", "%u"))
	}
}

func FuzzPasswords(f *testing.F) {
	f.Add(line7 + "\n" + line6 + "\r\n# comment\n\n")
	f.Add("a:$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$cMGpSiTtHiLBmUbBSEDFLDqbzpiQ2R5cLMb6qnJRLbs")
	f.Add("u:plain\n:\nu\nu:$7$0$$\n")
	f.Fuzz(func(t *testing.T, content string) {
		l := newPasswordLoader("f")
		if err := scanLines("pwfile", "f", strings.NewReader(content), l.line); err != nil {
			return
		}
		p, err := l.finish()
		if err != nil {
			return
		}
		for user, c := range p.users {
			if user == "" || c.iterations > IterationsMax || c.memory > argonMemoryMax || c.threads > argonThreadsMax ||
				uint64(c.memory)*uint64(c.iterations) > argonWorkMax || !saltFits(c.salt) || len(c.hash) != c.hashBytes ||
				len(c.hash) < argonHashMin || len(c.hash) > argonHashMax {
				t.Fatalf("user %q: %+v is out of bounds", user, c)
			}
		}
	})
}
