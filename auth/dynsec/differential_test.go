package dynsec

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/noctulemq/noctule/auth"
)

var administrator = &auth.Client{ID: "admin-id", UserName: "admin", HasUserName: true}

// TestSameAnswersAsMosquitto sends the lines of testdata/commands.txt to Debian's plugin and to ours. Each section starts
// with a new configuration. The responses must be the same, byte for byte; those of lines that start with ! must differ,
// for the reason in the comment above.
func TestSameAnswersAsMosquitto(t *testing.T) {
	debian(t)
	data, err := os.ReadFile("testdata/commands.txt")
	if err != nil {
		t.Fatal(err)
	}
	for section := range strings.SplitSeq(string(data), "\n== ") {
		title, lines, _ := strings.Cut(section, "\n")
		t.Run(title, func(t *testing.T) { compareSection(t, lines) })
	}
}

func compareSection(t *testing.T, lines string) {
	file := filepath.Join(t.TempDir(), "dynsec.json")
	ours, err := Open(Options{File: file, InitPassword: adminPassword})
	if err != nil {
		t.Fatal(err)
	}
	theirs := filepath.Join(t.TempDir(), "dynsec.json")
	copyFile(t, file, theirs)
	m := startMosquitto(t, theirs)
	admin := m.admin()
	for line := range strings.Lines(lines) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		line, different := strings.CutPrefix(line, "!")
		want, err := admin.control(line)
		if err != nil {
			t.Fatalf("%s: Mosquitto: %v", line, err)
		}
		got := string(ours.Handle(administrator, []byte(line)))
		switch {
		case different && got == want:
			t.Errorf("%s\nMosquitto answers as we do: %s", line, got)
		case !different && got != want:
			t.Errorf("%s\nours:      %s\nMosquitto: %s", line, got, want)
		}
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
