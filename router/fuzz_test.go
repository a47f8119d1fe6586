package router

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// record rewrites the seed corpora in testdata/fuzz from seeds: go test ./router -run SeedCorpora -record
var record = flag.Bool("record", false, "rewrite testdata/fuzz from the table of seeds")

// The flags of FuzzMatch.
const (
	fuzzCollide    = 1 << iota // all filters of a shape have the same key
	fuzzCrowd                  // no shape is free at the start
	fuzzNoInterest             // one loop
)

// corpusFile is one seed in the form that the go command reads.
func corpusFile(values []any) []byte {
	var b bytes.Buffer
	b.WriteString("go test fuzz v1\n")
	for _, v := range values {
		switch v := v.(type) {
		case byte:
			fmt.Fprintf(&b, "byte(%q)\n", v)
		case string:
			fmt.Fprintf(&b, "string(%q)\n", v)
		default:
			panic(fmt.Sprintf("BUG: a seed has a %T", v))
		}
	}
	return b.Bytes()
}

func TestSeedCorporaFollowTheTableOfSeeds(t *testing.T) {
	for target, corpus := range seeds() {
		dir := filepath.Join("testdata", "fuzz", target)
		for name, values := range corpus {
			file, want := filepath.Join(dir, "table-"+name), corpusFile(values)
			if *record {
				if err := os.MkdirAll(dir, 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, want, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s is not what the table says (%v); run this test with -record", file, err)
			}
		}
	}
}

// naiveTopic is ValidTopic as the standard says it.
func naiveTopic(s string) bool {
	return s != "" && !strings.ContainsAny(s, "+#") && len(levelsOf(s)) <= LevelsMax
}

// naiveFilter is ValidFilter, one level at a time.
func naiveFilter(s string) bool {
	levels := levelsOf(s)
	for i, level := range levels {
		switch {
		case level == "+", level == "#" && i == len(levels)-1:
		case strings.ContainsAny(level, "+#"):
			return false
		}
	}
	return s != "" && len(levels) <= LevelsMax
}

// naiveShare is ParseShare, one level at a time.
func naiveShare(s string) (share Share, shared, ok bool) {
	levels := levelsOf(s)
	if levels[0] != "$share" {
		return Share{}, false, false
	}
	if len(levels) > 1 {
		share = Share{levels[1], strings.Join(levels[2:], "/")}
	}
	return share, true, share.Group != "" && !strings.ContainsAny(share.Group, "+#") && naiveFilter(share.Filter)
}

// naiveMatch is MatchOne, one level at a time.
func naiveMatch(filter, topic string) bool {
	want, have := levelsOf(filter), levelsOf(topic)
	if strings.HasPrefix(topic, "$") && (want[0] == "+" || want[0] == "#") {
		return false
	}
	for i, level := range want {
		switch {
		case level == "#":
			return true // also the parent: all levels before it are there
		case i == len(have), level != "+" && level != have[i]:
			return false
		}
	}
	return len(want) == len(have)
}

// matchModel is what an index should hold, with the groups, and what it should answer by naiveMatch.
type matchModel struct {
	t      *testing.T
	x      *Index
	subs   model
	groups map[Share]map[uint32]bool
	crowd  map[string]bool // the filters of fuzzCrowd that are there
}

// subscribe enters a filter as a session does: into the index or into its group.
func (m *matchModel) subscribe(filter string, key uint32) {
	share, shared, ok := ParseShare(filter)
	switch {
	case shared && !ok, !shared && !ValidFilter(filter):
	case shared:
		if m.groups[share] == nil {
			m.groups[share] = make(map[uint32]bool)
		}
		if g, replaced := m.x.Join(share, Member{Key: key, Loop: 1}); replaced != m.groups[share][key] || g.Share != share {
			m.t.Fatalf("Join(%+v, %d) = %+v, %v", share, key, g.Share, replaced)
		}
		m.groups[share][key] = true
	default:
		s := Subscriber{Key: key, ID: uint32(len(m.subs)), QoS: uint8(key % 3)}
		if replaced := m.x.Subscribe(filter, s); replaced != m.subs.subscribe(filter, s) {
			m.t.Fatalf("Subscribe(%q, %d) = %v", filter, key, replaced)
		}
	}
}

// unsubscribe removes what subscribe entered.
func (m *matchModel) unsubscribe(filter string, key uint32) {
	share, shared, ok := ParseShare(filter)
	switch {
	case shared && !ok, !shared && !ValidFilter(filter):
	case shared:
		if existed := m.x.Leave(share, 1, key); existed != m.groups[share][key] {
			m.t.Fatalf("Leave(%+v, %d) = %v", share, key, existed)
		}
		delete(m.groups[share], key)
		if len(m.groups[share]) == 0 {
			delete(m.groups, share)
		}
	default:
		if existed := m.x.Unsubscribe(filter, key); existed != m.subs.unsubscribe(filter, key) {
			m.t.Fatalf("Unsubscribe(%q, %d) = %v", filter, key, existed)
		}
	}
}

// toggle takes one of the filters that use up the shapes out, or enters it again.
func (m *matchModel) toggle(filter string) {
	if m.crowd[filter] {
		m.unsubscribe(filter, 1)
	} else {
		m.subscribe(filter, 1)
	}
	m.crowd[filter] = !m.crowd[filter]
}

// match compares the answer for one topic, its subscribers and groups and the interest included, with the model's.
func (m *matchModel) match(topic string) {
	var scanned Topic
	scanned.Scan(m.x.hasher, topic)
	want := []string{}
	for filter := range m.subs {
		if naiveMatch(filter, topic) {
			want = append(want, filter)
		}
	}
	groups := 0
	for share := range m.groups {
		if naiveMatch(share.Filter, topic) {
			groups++
			want = append(want, share.Filter)
		}
	}
	slices.Sort(want)
	want = slices.Compact(want) // a filter with subscribers and groups is one entry
	got := m.x.Match(&scanned, nil)
	if !slices.Equal(filtersOf(got), want) {
		m.t.Fatalf("topic %q matches %q, want %q", topic, filtersOf(got), want)
	}
	for _, e := range got {
		for _, s := range e.Subs {
			if s != m.subs[e.Filter][s.Key] {
				m.t.Fatalf("filter %q has %+v, want %+v", e.Filter, s, m.subs[e.Filter][s.Key])
			}
		}
		if len(e.Subs) != len(m.subs[e.Filter]) {
			m.t.Fatalf("filter %q has %d subscribers, want %d", e.Filter, len(e.Subs), len(m.subs[e.Filter]))
		}
		for _, g := range e.Groups {
			if groups--; g.Share.Filter != e.Filter || len(g.Members) != len(m.groups[g.Share]) {
				m.t.Fatalf("filter %q has the group %+v of %d members", e.Filter, g.Share, len(g.Members))
			}
		}
	}
	if groups != 0 {
		m.t.Fatalf("topic %q: %d groups are missing", topic, groups)
	}
	if n := m.x.interest; n != nil && len(want) > 0 && n.Loops(&scanned)&(1<<m.x.loop) == 0 {
		m.t.Fatalf("topic %q: the interest is missing, filters %q match", topic, want)
	}
}

// end empties the index.
func (m *matchModel) end() {
	for filter, subs := range m.subs {
		for key := range subs {
			m.unsubscribe(filter, key)
		}
	}
	for share, members := range m.groups {
		for key := range members {
			m.unsubscribe("$share/"+share.Group+"/"+share.Filter, key)
		}
	}
	checkEmpty(m.t, m.x)
}

// FuzzMatch runs a script on an index, one operation a line: "s", a key and a filter subscribes, "u", a key and a
// filter unsubscribes, "f" and a byte is toggle, "e" is end, "m" and a topic matches. After each change the first
// topics are matched again. The index says what a matcher of one level at a time says.
func FuzzMatch(f *testing.F) {
	f.Fuzz(func(t *testing.T, script string, flags byte) {
		h := NewHasher(uint64(flags))
		m := &matchModel{t: t, subs: model{}, groups: make(map[Share]map[uint32]bool), crowd: make(map[string]bool)}
		m.x = NewIndex(&h, NewInterest(), 3)
		if flags&fuzzCollide != 0 {
			m.x.hasher = zeroHasher()
		}
		if flags&fuzzNoInterest != 0 {
			m.x.interest = nil
		}
		for i := 0; flags&fuzzCrowd != 0 && i < shapesMax; i++ {
			m.toggle(shapeFilter(i))
		}
		var topics []string
		for line := range limitedLines(script) {
			switch {
			case len(line) > 2 && line[0] == 's':
				m.subscribe(line[2:], uint32(line[1]))
			case len(line) > 2 && line[0] == 'u':
				m.unsubscribe(line[2:], uint32(line[1]))
			case len(line) == 2 && line[0] == 'f':
				m.toggle(shapeFilter(int(line[1])))
			case line == "e":
				m.end()
				clear(m.crowd)
			case line != "" && line[0] == 'm' && ValidTopic(line[1:]):
				m.match(line[1:])
				if len(topics) < 4 {
					topics = append(topics, line[1:])
				}
				continue
			}
			for _, topic := range topics {
				m.match(topic)
			}
		}
		m.end()
	})
}

// limitedLines are the first operations of a script; a fuzzer that finds long ones finds nothing more.
func limitedLines(script string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		left := 200
		for line := range strings.SplitSeq(script, "\n") {
			if left--; left < 0 || !yield(line) {
				return
			}
		}
	}
}

// FuzzFilter holds what is asked of any string that a client sends, and all ways of matching, against the naive ones.
// Only valid filters and topics are matched: the shards see to that.
func FuzzFilter(f *testing.F) {
	f.Fuzz(func(t *testing.T, filter, topic string) {
		for _, s := range []string{filter, topic} {
			checkString(t, s)
		}
		if share, shared, ok := ParseShare(filter); shared && ok {
			filter = share.Filter
		}
		if !ValidFilter(filter) || !ValidTopic(topic) {
			return
		}
		want := naiveMatch(filter, topic)
		if got := MatchOne(filter, topic); got != want {
			t.Fatalf("MatchOne(%q, %q) = %v", filter, topic, got)
		}
		var deep trie
		deep.insert(&Entry{Filter: filter})
		if got := deep.match(topic, nil); len(got) > 1 || (len(got) == 1) != want {
			t.Fatalf("%q: the trie with %q has %d matches", topic, filter, len(got))
		}
		if deep.remove(filter); deep.len != 0 || deep.root.count != 0 {
			t.Fatalf("the trie is not empty after %q", filter)
		}
		if got := walk(treeOf(topic).Find(filter), 3); len(got) > 1 || (len(got) == 1) != want {
			t.Fatalf("%q finds %q in a tree of %q", filter, got, topic)
		}
		if want {
			checkHashes(t, filter, topic)
		}
	})
}

// checkString compares the answers about one string with the naive ones.
func checkString(t *testing.T, s string) {
	if got, want := ValidTopic(s), naiveTopic(s); got != want {
		t.Fatalf("ValidTopic(%q) = %v", s, got)
	}
	if got, want := ValidFilter(s), naiveFilter(s); got != want {
		t.Fatalf("ValidFilter(%q) = %v", s, got)
	}
	levels := len(levelsOf(s))
	if got := TooDeep(s); got != (levels > LevelsMax) {
		t.Fatalf("TooDeep(%q) = %v", s, got)
	}
	share, shared, ok := ParseShare(s)
	if wantShare, wantShared, wantOK := naiveShare(s); shared != wantShared || ok != wantOK || share != wantShare {
		t.Fatalf("ParseShare(%q) = %+v, %v, %v, want %+v, %v, %v", s, share, shared, ok, wantShare, wantShared, wantOK)
	}
	h := NewHasher(1)
	var scanned Topic
	if scanned.Scan(&h, s); scanned.depth != levels || scanned.Name != s {
		t.Fatalf("%q has %d levels, want %d", s, scanned.depth, levels)
	}
	checkScan(t, &h, s)
}

// checkHashes holds what tables and partitions need of a filter and a topic that match.
func checkHashes(t *testing.T, filter, topic string) {
	h := NewHasher(1)
	var ft, tt Topic
	ft.Scan(&h, filter)
	tt.Scan(&h, topic)
	if filter[0] != '+' && filter[0] != '#' && ft.First() != tt.First() {
		t.Fatalf("%q matches %q in another partition", filter, topic)
	}
	s, key, ok := shapeOf(&h, filter)
	if !ok {
		return
	}
	var fit fitting[bool]
	fit.add(true, s)
	if exact, open := fit.of(tt.depth); len(exact)+len(open) != 1 || s.key(&tt) != key {
		t.Fatalf("%q matches %q, its shape %+v does not", filter, topic, s)
	}
}

// FuzzRetained runs a script on a tree, one operation a line: "s" and a topic sets it, "d" deletes it, "g" gets it,
// "f" and a filter opens a cursor, "n", a cursor and a number of steps moves it on, "x" moves it and deletes all that
// it visits, "c" and a cursor closes it. Two bytes of dense are one more operation, with one of few names. Each cursor
// visits once what was there from its beginning to its end.
func FuzzRetained(f *testing.F) {
	f.Fuzz(func(t *testing.T, script, dense string) {
		for i := 0; i+1 < len(dense); i += 2 {
			script += "\n" + denseOperation(dense[i], dense[i+1])
		}
		m := newRetainedModel(t)
		values, want := NewRetained[int](), make(map[string]int)
		number := 0
		for line := range limitedLines(script) {
			number++
			if len(line) < 2 {
				continue
			}
			switch op, name := line[0], line[1:]; op {
			case 's', 'd', 'g':
				if !ValidTopic(name) {
					continue
				}
				had, has := want[name]
				v, ok := had, has
				switch op {
				case 's':
					m.put(name)
					v, ok = values.Set(name, number)
					want[name] = number
				case 'd':
					m.remove(name)
					v, ok = values.Delete(name)
					delete(want, name)
				}
				if ok != has || v != had {
					t.Fatalf("%q: what was there is %d, %v, want %d, %v", line, v, ok, had, has)
				}
				checkValue(t, values, want, name)
			case 'f':
				if ValidFilter(name) && len(m.walks) < 8 {
					m.find(name)
				}
			case 'n', 'x', 'c':
				moveCursor(m, op, name)
			}
		}
		m.end()
		for name := range want {
			checkValue(t, values, want, name)
		}
	})
}

// denseOperation is an operation of FuzzRetained. It names one of the topics of up to three levels of two words, or a
// filter with wildcards for some of the levels, so that the operations meet.
func denseOperation(op, name byte) string {
	op = "ssdddgfnnxc"[int(op)%11]
	words := []string{"a", "b"}
	switch op {
	case 'n', 'x', 'c':
		return string([]byte{op, name, name >> 4})
	case 'f':
		words = []string{"a", "b", "+", "#"}
	}
	levels := make([]string, 1+int(name)%3)
	for i := range levels {
		levels[i] = words[int(name>>(2+2*i))%len(words)]
	}
	return string(op) + strings.Join(levels, "/")
}

// checkValue compares what is stored under one topic name with the model.
func checkValue(t *testing.T, r *Retained[int], want map[string]int, name string) {
	had, has := want[name]
	if v, ok := r.Get(name); ok != has || v != had || r.Len() != len(want) {
		t.Fatalf("Get(%q) = %d, %v of %d topics, want %d, %v of %d", name, v, ok, r.Len(), had, has, len(want))
	}
}

// moveCursor does "n", "x" or "c" with the cursor that the first byte of args names.
func moveCursor(m *retainedModel, op byte, args string) {
	if len(m.walks) == 0 {
		return
	}
	i, steps := int(args[0])%len(m.walks), 1
	if len(args) > 1 {
		steps += int(args[1]) % 16
	}
	switch w := m.walks[i]; op {
	case 'n':
		m.step(i, steps)
	case 'x':
		w.cursor.NextN(steps, func(topic string) bool { m.visit(w, topic); m.remove(topic); return true })
	case 'c':
		w.cursor.Close()
		if w.cursor.NextN(steps, func(string) bool { m.t.Fatalf("%q: visited after Close", w.filter); return true }) {
			m.t.Fatalf("%q: a closed cursor has more", w.filter)
		}
		m.walks = slices.Delete(m.walks, i, i+1)
	}
}

// seeds are the corpora of the fuzz targets, by target and name: one value for each argument.
func seeds() map[string]map[string][]any {
	return map[string]map[string][]any{
		"FuzzMatch": matchSeeds(), "FuzzFilter": filterSeeds(), "FuzzRetained": retainedSeeds(),
	}
}

func matchSeeds() map[string][]any {
	all := make(map[string][]any)
	script := func(name string, flags byte, lines ...string) { all[name] = []any{strings.Join(lines, "\n"), flags} }
	script("exact-and-wildcards", 0, "s1a/b", "s2a/+", "s3a/#", "s4#", "s5+/b", "ma/b", "ma", "ma/b/c", "u1a/b", "u4#", "mb")
	script("system", 0,
		"s1#", "s1+", "s1+/#", "s1+/a", "s1$SYS/#", "s1$SYS/+", "m$SYS/a", "m$SYS", "ma/$SYS", "m$", "u1$SYS/#")
	script("empty-levels", fuzzNoInterest,
		"s1/", "s1//", "s1+/+", "s1/#", "s1/+", "s1+//+", "m/", "m//", "m/a", "ma/", "ma//b", "u1+/+")
	script("replaced", 0, "s1a/b", "s1a/b", "s2a/b", "ma/b", "u1a/b", "u1a/b", "u2a/b", "u9a/b", "s1a/b")
	script("not-valid", 0, "s1", "s1a#", "s1#/a", "s1a+/b", "s1$share/g", "s1$share//a", "ma/+", "m", "x", "ma")
	script("groups", 0, "s1$share/g/a/+", "s2$share/g/a/+", "s1$share/h/a/+", "s3a/+", "ma/b", "u1$share/g/a/+", "u3a/+",
		"u2$share/g/a/+", "u1$share/h/a/+", "s1$share/g/$SYS/#", "s1$share/g/#", "m$SYS/x")
	script("group-in-a-group", 0,
		"s1$share/g/$share/h/a", "s1$share/g/$share", "m$share/h/a", "m$share", "u1$share/g/$share/h/a")
	script("colliding", fuzzCollide,
		"s1a/b", "s1c/d", "s1a/+", "s1c/+", "s1a/#", "ma/b", "mc/d", "u1a/b", "u1a/+", "s1e/f", "me/f")
	script("crowded", fuzzCrowd,
		"s1a/+", "s2a/b", "s1#", "ma/b", "f\x00", "s1b/+", "s3a/+", "mb/x", "u1b/+", "f\x00", "u1a/+", "u3a/+")
	script("crowd-goes", fuzzCrowd,
		"s1a/+", "e", "s1a/+", "s1+/b", "ma/b", "f\x05", "monly-to-fill-shapes/x/y/x/y/y/y/y/y/y/y/y/y")
	script("deep", 0, "s1"+deep(shapeLevels), "s1"+deep(shapeLevels)+"/#", "s1"+deep(shapeLevels+1),
		"s1"+deep(shapeLevels)+"/+", "s1+/#",
		"m"+deep(shapeLevels), "m"+deep(shapeLevels+1), "m"+deep(shapeLevels+2),
		"u1"+deep(shapeLevels+1), "u1"+deep(shapeLevels)+"/#")
	subscribers := []string{"ma/b"}
	for key := range subsIndexed + 8 {
		subscribers = append(subscribers, "s"+string(rune('0'+key))+"a/+")
	}
	script("many-subscribers", 0, append(subscribers, "u5a/+", "s5a/+", "uRa/+", "u0a/+", "ma/c")...)
	grown := []string{"mn/7"}
	for i := range 3 * tableStart {
		grown = append(grown, fmt.Sprintf("s1n/%d", i))
	}
	script("table-grows", 0, append(grown, "u1n/7", "u1n/20", "s1n/7", "e", "mn/20")...)
	colliding := []string{"mn/45"}
	for i := range 60 { // so many that the table does not move at once
		colliding = append(colliding, fmt.Sprintf("s1n/%d", i))
	}
	script("colliding-table-grows", fuzzCollide, append(colliding, "u1n/2", "mn/11", "mn/14", "u1n/14", "s1n/70")...)
	siblings := []string{"ma/7"}
	for i := range childrenIndexed + 4 {
		siblings = append(siblings, fmt.Sprintf("s1a/%d/+", i))
	}
	script("many-in-the-trie", fuzzCrowd, append(siblings, "s1a/7/#", "ma/7/x", "u1a/7/+", "u1a/3/+", "e", "ma/7/x")...)
	return all
}

func filterSeeds() map[string][]any {
	return map[string][]any{
		"empty":         {"", ""},
		"parent":        {"sport/tennis/#", "sport/tennis"},
		"plus":          {"a/+/c", "a/b/c"},
		"empty-level":   {"+/+//", "/a//"},
		"system":        {"#", "$SYS/broker"},
		"system-exact":  {"$SYS/+", "$SYS/broker"},
		"bad-hash":      {"a/#/b", "a#"},
		"bad-plus":      {"a/b+/c", "+a"},
		"share":         {"$share/g/a/+", "a/b"},
		"share-nested":  {"$share/g/$share/h/#", "$share/h/x"},
		"share-alone":   {"$share", "$share/"},
		"share-bad":     {"$share/g+/a", "$share//a"},
		"deepest":       {deep(LevelsMax-1) + "/#", deep(LevelsMax)},
		"too-deep":      {deep(LevelsMax + 1), strings.Repeat("/", LevelsMax)},
		"past-shapes":   {strings.Repeat("+/", shapeLevels) + "#", deep(shapeLevels)},
		"not-utf8-long": {"exactly-16-bytes/\xff\x00/seventeen-bytes-x/#", "exactly-16-bytes/\xff\x00/seventeen-bytes-x"},
	}
}

func retainedSeeds() map[string][]any {
	all := make(map[string][]any)
	script := func(name string, lines ...string) { all[name] = []any{strings.Join(lines, "\n"), ""} }
	script("set-get-delete", "sa/b", "sa/b", "ga/b", "ga", "da/b", "da/b", "ga/b", "sa", "da/b", "da")
	script("walk-order", "sb/2/x", "sb", "sa/1", "sb/1", "sa", "f#", "fb/#", "f+/1", "f+", "n00", "n11", "n22", "n3?")
	script("system", "s$SYS/a", "sa", "s$SYS", "sa/$SYS", "f#", "f+/+", "f$SYS/#", "n0?", "n0?", "n0?")
	script("empty-levels", "s/", "s//", "sa//b", "s/a", "f#", "f+/+", "f/#", "f+//+", "n0?", "n0?", "n0?", "n0?")
	script("next-is-deleted", "sa", "sb", "sc", "f#", "n00", "db", "n00", "n00", "n00")
	script("branch-is-deleted", "sa/b/c/d", "sa/b", "se", "f#", "n00", "n00", "da/b", "da/b/c/d", "n0?")
	script("branches-before-and-after", "sa/b", "sm", "se/f", "sz", "f#", "da/b",
		"de/f", "n0?", "sz/y/x", "f#", "f+/+/x", "dz/y/x", "n0?")
	script("came-back", "sa", "sb", "f#", "n00", "n00", "da", "sa", "n00", "n00", "sc", "n0?")
	script("deleted-on-visit", "sa/b", "sa/c", "sa", "sd", "fa/#", "f#", "x0?", "n1?", "n0?", "f#", "n0?")
	script("closed", "sa", "sb", "f#", "f+", "n00", "c00", "db", "c00", "c00", "f#", "n0?")
	script("not-valid", "s#", "s", "f", "fa#", "f#/a", "n", "c", "x0", "sa", "f#", "n0")
	script("walk-of-nothing", "f#", "n0", "sa", "fb/#", "fa/b", "f+/b", "n0", "n0", "n0")
	script("deep", "s"+deep(shapeLevels+2), "s"+deep(LevelsMax), "f#",
		"f"+deep(shapeLevels)+"/#", "n0?", "d"+deep(LevelsMax), "n1?", "n0?", "n0?")
	var many []string
	for i := range childrenIndexed + 4 {
		many = append(many, fmt.Sprintf("sa/%d", i))
	}
	many = append(many, "fa/+", "f#", "n01", "n12")
	for i := range childrenIndexed + 2 {
		many = append(many, fmt.Sprintf("da/%d", i+1))
	}
	script("many-siblings", append(many, "n00", "sa/3", "n1?", "n0?")...)
	all["dense"] = []any{"sa/m\nf#", "\x00\x01\x00\x12\x06\x0c\x02\x01\x07\x00\x02\x12\x00\x05\x09\x10\x08\x00\x0a\x00"}
	return all
}
