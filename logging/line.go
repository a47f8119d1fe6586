package logging

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// stamp renders times. Lines of the same second share one text.
type stamp struct {
	o      Options
	second int64
	text   []byte
}

// plain is what stands before a line.
func (s *stamp) plain(at time.Time) []byte {
	if !s.o.Timestamp || s.text != nil && at.Unix() == s.second {
		return s.text
	}
	s.second = at.Unix()
	if s.o.TimestampFormat == "" {
		s.text = strconv.AppendInt(s.text[:0], s.second, 10)
	} else {
		s.text = appendPlain(s.text[:0], strftime(s.o.TimestampFormat, at))
	}
	s.text = append(s.text, ": "...)
	return s.text
}

// json is the time of a JSON line; empty for none.
func (s *stamp) json(at time.Time) string {
	switch {
	case !s.o.Timestamp:
		return ""
	case s.o.TimestampFormat != "":
		return strftime(s.o.TimestampFormat, at)
	}
	return at.Format("2006-01-02T15:04:05.000000Z07:00")
}

const hexDigits = "0123456789abcdef"

// appendPlain appends a line so that it stays one: what a client sends must not begin a line of its own.
func appendPlain(b []byte, line string) []byte {
	for i := range len(line) {
		switch c := line[i]; {
		case c >= 0x20 && c != 0x7f || c == '\t':
			b = append(b, c)
		default:
			b = append(b, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return b
}

// appendJSON appends a line as one object.
func appendJSON(b []byte, at string, t Type, line string) []byte {
	b = append(b, '{')
	if at != "" {
		b = append(appendQuoted(append(b, `"ts":`...), at), ',')
	}
	b = append(append(append(b, `"level":"`...), t.String()...), `","msg":`...)
	return append(appendQuoted(b, line), '}')
}

// appendQuoted appends a JSON string; what is no UTF-8 becomes U+FFFD.
func appendQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\t':
			b = append(b, '\\', 't')
		case r < 0x20 || r == 0x7f:
			b = append(b, '\\', 'u', '0', '0', hexDigits[r>>4], hexDigits[r&15])
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}
