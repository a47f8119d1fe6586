package dynsec

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "record testdata/responses.txt anew")

// TestTranscript does the commands of testdata/commands.txt and compares with the responses recorded, so that every
// answer is held also where there is no Mosquitto to compare with.
func TestTranscript(t *testing.T) {
	const recorded = "testdata/responses.txt"
	data, err := os.ReadFile("testdata/commands.txt")
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for section := range strings.SplitSeq(string(data), "\n== ") {
		title, lines, _ := strings.Cut(section, "\n")
		got.WriteString("== " + title + "\n")
		p := memoryPlugin(t, Options{})
		for line := range strings.Lines(lines) {
			line = strings.TrimPrefix(strings.TrimSuffix(line, "\n"), "!")
			if line != "" && line[0] != '#' {
				got.WriteString("> " + line + "\n< " + string(p.Handle(administrator, []byte(line))) + "\n")
			}
		}
	}
	if *update {
		if err := os.WriteFile(recorded, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(recorded)
	if err != nil {
		t.Fatal(err)
	}
	gotLines, wantLines := strings.Split(got.String(), "\n"), strings.Split(string(want), "\n")
	for i := range max(len(gotLines), len(wantLines)) {
		if i >= len(gotLines) || i >= len(wantLines) || gotLines[i] != wantLines[i] {
			t.Fatalf("%s:%d: got %s", recorded, i+1, gotLines[min(i, len(gotLines)-1)])
		}
	}
}

// open makes a plugin with an initial configuration in a new directory.
func open(t testing.TB, o Options) *Plugin {
	t.Helper()
	o.File = filepath.Join(t.TempDir(), "dynsec.json")
	o.InitPassword = adminPassword
	p, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// memoryPlugin is one that does not wait for a disk: what it would write must be what it would read.
func memoryPlugin(t testing.TB, o Options) *Plugin {
	t.Helper()
	p := open(t, o)
	p.save = func(s *snapshot) error {
		data := encodeFile(s)
		back, _, err := decodeFile(data)
		if err != nil {
			t.Errorf("%v: %s", err, data)
		} else if again := encodeFile(back); string(again) != string(data) {
			t.Errorf("written:\n%s\nread and written again:\n%s", data, again)
		}
		return nil
	}
	return p
}

// do does one command each, given as the members after "command", and fails where one is refused.
func do(t testing.TB, p *Plugin, commands ...string) string {
	t.Helper()
	response := ask(p, commands...)
	if strings.Contains(response, `"error"`) {
		t.Fatalf("%s: %s", commands, response)
	}
	return response
}

// ask does commands in one message. Each is its name and its other members.
func ask(p *Plugin, commands ...string) string {
	list := make([]string, len(commands))
	for i, c := range commands {
		name, members, more := strings.Cut(c, " ")
		list[i] = `{"command":"` + name + `"`
		if more {
			list[i] += "," + members
		}
		list[i] += "}"
	}
	return string(p.Handle(administrator, []byte(`{"commands":[`+strings.Join(list, ",")+`]}`)))
}
