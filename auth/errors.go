package auth

import (
	"errors"
	"fmt"
	"strings"
)

// Error is one mistake in a password or ACL file.
type Error struct {
	File string
	Line int    // 0 when the mistake is in no single line
	Text string // Mosquitto's sentence where it has one
	Hint string // what to do; may be empty
	// Cause is the operating system's error where the file cannot be read; nil for a mistake in it.
	Cause error
}

// Error returns sentence, place and hint, in this order, so that what looks for Mosquitto's sentence finds it.
func (e Error) Error() string {
	s := "Error: " + e.Text
	if e.Line != 0 {
		s += " (" + place(e.File, e.Line) + ")"
	}
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// Unwrap returns the operating system's error.
func (e Error) Unwrap() error { return e.Cause }

// Errors is every mistake found in one file, in the order of its lines. It has at most errorsMax. A file that cannot be
// read at all is a single Error with a Cause.
type Errors []Error

// Error returns one error a line.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i := range e {
		lines[i] = e[i].Error()
	}
	return strings.Join(lines, "\n")
}

// errEnough ends the reading of a file with errorsMax mistakes.
var errEnough = errors.New("too many errors")

// add notes a mistake; it returns errEnough when there are enough of them.
func (e *Errors) add(file string, line int, text, hint string) error {
	*e = append(*e, Error{File: file, Line: line, Text: text, Hint: hint})
	if len(*e) >= errorsMax {
		return errEnough
	}
	return nil
}

// place is a file and a line.
func place(file string, line int) string { return fmt.Sprintf("%s:%d", file, line) }
