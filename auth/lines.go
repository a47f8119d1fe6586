package auth

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// blanks is what C's isspace calls a space, and what Mosquitto trims.
const blanks = " \t\n\v\f\r"

// readLines calls f with every line of a file, counted from 1 and without its line feed, until f returns an error. kind
// names the file in errors as Mosquitto does ("pwfile", "acl_file").
func readLines(kind, path string, f func(line int, text string) error) error {
	file, err := os.Open(path)
	if err != nil {
		return unreadable(kind, path, err)
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil {
		return unreadable(kind, path, err)
	} else if info.IsDir() {
		return unreadable(kind, path, syscall.EISDIR)
	}
	return scanLines(kind, path, file, f)
}

// unreadable is the error of a file that cannot be read.
func unreadable(kind, path string, err error) error {
	var pathError *os.PathError
	if errors.As(err, &pathError) {
		err = pathError.Err
	}
	return Error{File: path, Text: fmt.Sprintf("Unable to open %s %q: %v", kind, path, err), Cause: err}
}

// scanLines is readLines for a file that is open.
func scanLines(kind, path string, r io.Reader, f func(line int, text string) error) error {
	left := fileBytesMax
	buffered := bufio.NewReaderSize(r, lineBytesMax)
	for line := 1; ; line++ {
		text, err := buffered.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return Errors{{File: path, Line: line, Text: fmt.Sprintf("Line too long in %s", kind),
				Hint: fmt.Sprintf("a line has at most %d bytes", lineBytesMax)}}
		case err != nil && !errors.Is(err, io.EOF):
			return unreadable(kind, path, err)
		}
		if left -= len(text); left < 0 {
			return Errors{{File: path, Line: line, Text: fmt.Sprintf("The %s is too large", kind),
				Hint: fmt.Sprintf("it has at most %d bytes", fileBytesMax)}}
		}
		if n := len(text); n > 0 && text[n-1] == '\n' {
			text = text[:n-1]
		}
		if len(text) > 0 {
			if err := f(line, string(text)); err != nil {
				return err
			}
		}
		if err != nil {
			return nil
		}
	}
}
