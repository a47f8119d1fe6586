package dynsec

import (
	"encoding/base64"
	"strconv"
)

// writer appends JSON in the two shapes Mosquitto writes: on one line for responses, and with tabs for the file. Members
// and items are written in the order of the calls; what a call leaves open must be closed by end.
type writer struct {
	buf    []byte
	tabs   bool
	open   []byte // the closing bracket of each value that is open
	filled bool   // the innermost open value has an item, or a name was just written
	named  bool
}

// next separates a value from what stands before it.
func (w *writer) next() {
	switch {
	case w.named:
		w.named = false
	case len(w.open) == 0:
	case w.filled:
		w.buf = append(w.buf, ',')
		if w.tabs {
			w.buf = append(w.buf, ' ')
		}
	}
	w.filled = true
}

// name starts a member.
func (w *writer) name(name string) *writer {
	if w.filled {
		w.buf = append(w.buf, ',')
		if w.tabs {
			w.buf = append(w.buf, '\n')
		}
	}
	w.indent(len(w.open))
	w.buf = appendString(w.buf, name)
	w.buf = append(w.buf, ':')
	if w.tabs {
		w.buf = append(w.buf, '\t')
	}
	w.filled, w.named = true, true
	return w
}

func (w *writer) indent(depth int) {
	if w.tabs {
		for range depth {
			w.buf = append(w.buf, '\t')
		}
	}
}

func (w *writer) object() {
	w.next()
	w.buf = append(w.buf, '{')
	if w.tabs {
		w.buf = append(w.buf, '\n')
	}
	w.open = append(w.open, '}')
	w.filled = false
}

func (w *writer) array() {
	w.next()
	w.buf = append(w.buf, '[')
	w.open = append(w.open, ']')
	w.filled = false
}

// end closes the innermost object or array.
func (w *writer) end() {
	last := len(w.open) - 1
	bracket := w.open[last]
	w.open = w.open[:last]
	if bracket == '}' && w.tabs {
		if w.filled {
			w.buf = append(w.buf, '\n')
		}
		w.indent(last)
	}
	w.buf = append(w.buf, bracket)
	w.filled = true
}

func (w *writer) string(s string) {
	w.next()
	w.buf = appendString(w.buf, s)
}

func (w *writer) int(n int) {
	w.next()
	w.buf = strconv.AppendInt(w.buf, int64(n), 10)
}

func (w *writer) bool(b bool) {
	w.next()
	w.buf = strconv.AppendBool(w.buf, b)
}

func (w *writer) base64(data []byte) {
	w.next()
	w.buf = append(w.buf, '"')
	w.buf = base64.StdEncoding.AppendEncode(w.buf, data)
	w.buf = append(w.buf, '"')
}

// raw appends values that another writer wrote.
func (w *writer) raw(json []byte) {
	w.next()
	w.buf = append(w.buf, json...)
}

// appendString quotes a string. Only quotes, backslashes and control characters are escaped.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"', c == '\\':
			b = append(b, '\\', c)
		case c == '\b':
			b = append(b, `\b`...)
		case c == '\f':
			b = append(b, `\f`...)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\r':
			b = append(b, `\r`...)
		case c == '\t':
			b = append(b, `\t`...)
		case c < ' ':
			b = append(b, `\u00`...)
			b = append(b, "0123456789abcdef"[c>>4], "0123456789abcdef"[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}
