package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// value is what follows a name, checked by the key's type.
type value struct {
	key    *Key
	name   string // as written; for a key that ends in '*' the whole name
	text   string // the rest of the line; for Word the word
	on     bool   // Bool
	number int64  // Number
}

// String returns the value as it would be written.
func (v value) String() string {
	switch v.key.Type {
	case Bool:
		return strconv.FormatBool(v.on)
	case Number:
		return strconv.FormatInt(v.number, 10)
	}
	return v.text
}

// isDefault is whether writing the value changes nothing.
func (v value) isDefault() bool {
	return v.String() == v.key.Default
}

// check reads a value in the form its key wants, and reports what is wrong with it.
func (p *parser) check(k *Key, name, text string) (v value, ok bool) {
	v = value{key: k, name: name, text: text}
	switch {
	case text == "" && k.empty:
		return v, true
	case text == "":
		p.fail(fmt.Sprintf("Empty '%s' value in configuration.", name), wanted(k))
		return v, false
	case !utf8.ValidString(text) || strings.ContainsRune(text, 0):
		p.fail("Malformed UTF-8 in configuration.", fmt.Sprintf("in the value of '%s'", name))
		return v, false
	}
	switch k.Type {
	case Bool:
		return p.checkBool(v)
	case Number:
		return p.checkNumber(v)
	case Word:
		return p.checkWord(v)
	case Text:
		return p.checkText(v)
	}
	return v, true
}

// firstWord leaves the first word of a value. Mosquitto does not look at what follows it; we say that it is ignored.
func (p *parser) firstWord(v value) value {
	word, rest, _ := strings.Cut(v.text, " ")
	if rest = strings.TrimSpace(rest); rest != "" {
		p.ignored(v.name, rest)
	}
	v.text = word
	return v
}

// cutComment separates a value from a # that begins it or follows a blank, and all behind it.
func cutComment(text string) (before, comment string) {
	if i := strings.Index(" "+text, " #"); i >= 0 {
		return strings.TrimRight(text[:i], " "), text[i:]
	}
	return text, ""
}

// ignored notes what stands behind a value and is not read.
func (p *parser) ignored(name, rest string) {
	p.note(fmt.Sprintf("What follows the value of '%s' is ignored: '%s'.", name, shown(rest)))
}

func (p *parser) checkBool(v value) (value, bool) {
	v = p.firstWord(v)
	switch v.text {
	case "true", "1":
		v.on = true
	case "false", "0":
	default:
		p.invalid(v)
		return v, false
	}
	return v, true
}

func (p *parser) checkNumber(v value) (value, bool) {
	v = p.firstWord(v)
	n, err := strconv.ParseInt(v.text, 10, 64)
	if errors.Is(err, strconv.ErrRange) {
		p.invalid(v)
		return v, false
	}
	if err != nil {
		p.fail(fmt.Sprintf("'%s' value not a number.", v.name), wanted(v.key))
		return v, false
	}
	k := v.key
	if n < k.min && k.clamp {
		n = k.min
	}
	v.number = n
	if n >= k.min && n <= k.max {
		return v, true
	}
	if k.bound == "" {
		p.invalid(v)
	} else {
		p.fail(k.bound, "")
	}
	return v, false
}

func (p *parser) checkWord(v value) (value, bool) {
	v = p.firstWord(v)
	if !slices.Contains(v.key.choices, v.text) {
		p.invalid(v)
		return v, false
	}
	return v, true
}

func (p *parser) checkText(v value) (value, bool) {
	if _, comment := cutComment(v.text); comment != "" && !v.key.Secret && v.key.Scope != PerPlugin { // an option may be a password
		p.note(fmt.Sprintf("The value of '%s' goes to the end of the line, with '%s': a comment is a line of its own.", v.name, shown(comment)))
	}
	if v.key.repeat || p.from != (Origin{}) {
		return v, true
	}
	key := givenKey{name: v.key.canonical()}
	switch {
	case v.key.Scope == PerListener || v.key.security && p.perListener:
		key.listener = p.current
	case v.key.Scope == PerBridge:
		key.bridge = p.bridge
	}
	if p.given[key] {
		p.fail(fmt.Sprintf("Duplicate '%s' value in configuration.", v.name), "")
		return v, false
	}
	p.given[key] = true
	return v, true
}

// invalid reports a value that is not one of the key's.
func (p *parser) invalid(v value) {
	hint := wanted(v.key)
	if _, comment := cutComment(v.text); comment != "" {
		hint += "; a comment is a line of its own"
	}
	p.fail(fmt.Sprintf("Invalid '%s' value (%s).", v.name, shown(v.text)), strings.TrimPrefix(hint, "; "))
}

// wanted is a hint: what may be written.
func wanted(k *Key) string {
	if words := k.Wanted(); words != "" {
		return "it takes " + words
	}
	return ""
}

// either joins choices as in a sentence.
func either(choices []string) string {
	if len(choices) == 1 {
		return choices[0]
	}
	last := len(choices) - 1
	return strings.Join(choices[:last], ", ") + " or " + choices[last]
}

// shownMax is how much of a wrong value an error repeats.
const shownMax = 80

// shown makes a value fit for a message: cut, and without bytes that would move a terminal's cursor.
func shown(s string) string {
	if len(s) > shownMax {
		s = s[:shownMax] + "..."
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
