package logging

import (
	"encoding/json"
	"strings"
	"testing"
)

// FuzzLine holds that a line stays one line, and that a JSON line is an object with the same text.
func FuzzLine(f *testing.F) {
	f.Add("New client connected from 127.0.0.1:1 as me (p2, c1, k60).")
	f.Fuzz(func(t *testing.T, line string) {
		if plain := string(appendPlain(nil, line)); strings.ContainsAny(plain, "\n\r\x00\x1b\x7f") {
			t.Errorf("%q", plain)
		}
		text := appendJSON(nil, "now", Warning, line)
		var o struct{ TS, Level, Msg string }
		if err := json.Unmarshal(text, &o); err != nil || strings.Contains(string(text), "\n") {
			t.Fatalf("%s: %v", text, err)
		}
		if want := string([]rune(line)); o.Msg != want || o.TS != "now" || o.Level != "warning" {
			t.Errorf("%s, want %q", text, want)
		}
	})
}
