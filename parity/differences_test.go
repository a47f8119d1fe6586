package parity

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false,
	"write differences.txt and docs/parity-conversations.md from what the brokers say")

const (
	differencesFile = "testdata/differences.txt"
	documentFile    = "../docs/parity-conversations.md"
)

// kinds is what a difference can be, with the heading of the document.
var kinds = []struct{ kind, heading string }{
	{"2.1", "Changes of Mosquitto 2.1"},
	{"fix", "The specification"},
	{"decision", "Decisions"},
	{"open", "Not settled"},
}

// difference is one conversation in which the brokers differ on purpose.
//
// In the file it is a block that a blank line ends: the title after "# ", the kind and the reason with a colon between,
// and the notes: lines that both brokers have begin with a blank, Mosquitto's with "-", Noctule's with "+".
type difference struct {
	title, kind, reason string
	notes               []string
}

// differences is the file, and what this run has found out about it.
type differences struct {
	list []*difference
}

func readDifferences(t *testing.T) *differences {
	t.Helper()
	text, err := os.ReadFile(differencesFile)
	if err != nil && !*update {
		t.Fatal(err)
	}
	d := &differences{}
	for block := range strings.SplitSeq(strings.TrimSpace(string(text)), "\n\n") {
		lines := strings.Split(block, "\n")
		if len(lines) < 3 {
			continue
		}
		kind, reason, _ := strings.Cut(lines[1], ": ")
		d.list = append(d.list, &difference{title: strings.TrimPrefix(lines[0], "# "), kind: kind, reason: reason,
			notes: lines[2:]})
	}
	return d
}

func (d *differences) find(title string) *difference {
	for _, e := range d.list {
		if e.title == title {
			return e
		}
	}
	return nil
}

// compare holds that two notes are the same, or differ exactly as recorded.
func (d *differences) compare(t *testing.T, title string, theirs, ours []string) {
	e := d.find(title)
	if slices.Equal(theirs, ours) {
		if e != nil && !*update {
			t.Errorf("the brokers no longer differ; remove the recorded difference with -update")
		}
		if e != nil {
			d.list = slices.DeleteFunc(d.list, func(x *difference) bool { return x == e })
		}
		return
	}
	notes := diff(theirs, ours)
	switch {
	case *update && e == nil:
		e = &difference{title: title, kind: "?", reason: "?", notes: notes}
		d.list = append(d.list, e)
	case *update:
		e.notes = notes
	case e == nil:
		t.Fatalf("the brokers differ (- Mosquitto, + Noctule):\n%s", strings.Join(notes, "\n"))
	case !slices.Equal(e.notes, notes):
		t.Errorf("the brokers differ otherwise than recorded (- Mosquitto, + Noctule); recorded:\n%s\nnow:\n%s",
			strings.Join(e.notes, "\n"), strings.Join(notes, "\n"))
	}
}

// finish writes the file when asked to.
func (d *differences) finish(t *testing.T) {
	if !*update {
		return
	}
	titles := allTitles()
	d.list = slices.DeleteFunc(d.list, func(e *difference) bool { return !titles[e.title] })
	slices.SortFunc(d.list, func(a, b *difference) int { return strings.Compare(a.title, b.title) })
	var out bytes.Buffer
	for _, e := range d.list {
		fmt.Fprintf(&out, "# %s\n%s: %s\n%s\n\n", e.title, e.kind, e.reason, strings.Join(e.notes, "\n"))
	}
	if err := os.WriteFile(differencesFile, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(documentFile, []byte(document(d)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestDifferencesAreExplained holds that every recorded difference belongs to a conversation and has a kind and a reason,
// and that the document says the same.
func TestDifferencesAreExplained(t *testing.T) {
	d := readDifferences(t)
	titles := allTitles()
	for _, e := range d.list {
		known := slices.ContainsFunc(kinds, func(k struct{ kind, heading string }) bool { return k.kind == e.kind })
		if !titles[e.title] || !known || len(e.reason) < 10 {
			t.Errorf("%s: no such conversation, or the kind %q or the reason %q will not do", e.title, e.kind, e.reason)
		}
	}
	if *update {
		return
	}
	have, err := os.ReadFile(documentFile)
	if err != nil || string(have) != document(d) {
		t.Errorf("%s is not up to date (%v); run: go test ./parity -update", documentFile, err)
	}
}

func allTitles() map[string]bool {
	titles := map[string]bool{}
	for _, g := range groups() {
		for _, c := range g.casts() {
			titles[c.title] = true
		}
	}
	return titles
}

// document is docs/parity-conversations.md.
func document(d *differences) string {
	var out strings.Builder
	count := len(allTitles())
	fmt.Fprintf(&out, `# Conversations with both brokers

<!-- Written by: go test ./parity -update. Edit parity/testdata/differences.txt instead. -->

%d conversations were sent to Debian's Mosquitto 2.0.11 and to Noctule with the same configuration. In %d both answered the
same bytes. In the other %d they differ for these reasons; the bytes are in parity/testdata/differences.txt. Numbers in parentheses are versions of MQTT.
`, count, count-len(d.list), len(d.list))
	for _, k := range kinds {
		byReason := map[string][]string{}
		for _, e := range d.list {
			if e.kind == k.kind {
				byReason[e.reason] = append(byReason[e.reason], e.title)
			}
		}
		if len(byReason) == 0 {
			continue
		}
		fmt.Fprintf(&out, "\n## %s\n", k.heading)
		var reasons []string
		for reason := range byReason {
			reasons = append(reasons, reason)
		}
		slices.Sort(reasons)
		for _, reason := range reasons {
			fmt.Fprintf(&out, "\n%s\n\n", reason)
			for _, line := range byVersion(byReason[reason]) {
				fmt.Fprintf(&out, "* %s\n", line)
			}
		}
	}
	return out.String()
}

// byVersion puts the titles of one conversation under several versions into one line.
func byVersion(titles []string) (lines []string) {
	versions := map[string]string{}
	for _, title := range titles {
		group, rest, _ := strings.Cut(title, ", ")
		version, name, _ := strings.Cut(rest, ": ")
		line := group + ": " + name
		if versions[line] != "" {
			versions[line] += ", "
		}
		versions[line] += version
	}
	for line, list := range versions {
		lines = append(lines, line+" ("+list+")")
	}
	slices.Sort(lines)
	return lines
}

// diff is the shortest way from one note to the other, line by line.
func diff(a, b []string) (out []string) {
	length := make([][]int, len(a)+1) // of the longest common rest
	for i := range length {
		length[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				length[i][j] = length[i+1][j+1] + 1
			} else {
				length[i][j] = max(length[i+1][j], length[i][j+1])
			}
		}
	}
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			out = append(out, " "+a[i])
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && length[i+1][j] >= length[i][j+1]:
			out = append(out, "-"+a[i])
			i++
		default:
			out = append(out, "+"+b[j])
			j++
		}
	}
	return out
}
