package config

import (
	"fmt"
	"strings"
)

// Error is one mistake in a configuration file.
type Error struct {
	File string
	Line int    // 0 when the mistake is in no single line
	Text string // Mosquitto's sentence where it has one
	Hint string // what to do; may be empty
}

// Error returns sentence, place and hint, in this order, so that what looks for Mosquitto's sentence finds it.
func (e Error) Error() string {
	var b strings.Builder
	b.WriteString("Error: ")
	b.WriteString(e.Text)
	b.WriteString(" (")
	b.WriteString(place(e.File, e.Line))
	b.WriteByte(')')
	if e.Hint != "" {
		b.WriteString("; ")
		b.WriteString(e.Hint)
	}
	return b.String()
}

// Errors is every mistake found in a configuration, in the order of the files' lines. It has at most errorsMax.
type Errors []Error

// Error returns one error a line.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i := range e {
		lines[i] = e[i].Error()
	}
	return strings.Join(lines, "\n")
}

// Note is something the file asks for that this build accepts and does not do, or does in its own way.
type Note struct {
	File string
	Line int
	Text string
}

// String returns the note with its place.
func (n Note) String() string { return n.Text + " (" + place(n.File, n.Line) + ")" }

// place is a file and, if known, a line.
func place(file string, line int) string {
	if line == 0 {
		return file
	}
	return fmt.Sprintf("%s:%d", file, line)
}
