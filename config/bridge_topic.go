package config

import (
	"fmt"
	"strings"
)

// setBridgeTopic reads `PATTERN [DIRECTION] [QOS] [LOCAL-PREFIX] [REMOTE-PREFIX]`. Each of them may be in double quotes,
// for blanks in it or for nothing at all.
func (p *parser) setBridgeTopic(v value) {
	words, ok := quotedWords(v.text)
	if !ok {
		p.fail(fmt.Sprintf("Missing closing quote in topic value (%s).", shown(v.text)), "")
		return
	}
	if len(words) > 5 {
		p.note(fmt.Sprintf("What follows the value of 'topic' is ignored: '%s'.", shown(strings.Join(words[5:], " "))))
		words = words[:5]
	}
	var word [5]string
	copy(word[:], words)
	t := BridgeTopic{Pattern: word[0], Direction: strings.ToLower(word[1]), LocalPrefix: word[3], RemotePrefix: word[4]}
	switch t.Direction {
	case "":
		t.Direction = "out"
	case "out", "in", "both":
	default:
		p.fail(fmt.Sprintf("Invalid bridge topic direction '%s'.", shown(word[1])), "it is out, in or both")
		return
	}
	switch word[2] {
	case "", "0", "1", "2":
		t.QoS = uint8(strings.Index("012", word[2]))
	default:
		p.fail(fmt.Sprintf("Invalid bridge QoS level '%s'.", shown(word[2])), "it is 0, 1 or 2")
		return
	}
	if p.checkBridgeTopic(t) {
		p.bridge.Topics = append(p.bridge.Topics, t)
	}
}

// checkBridgeTopic is whether the topics on both sides are topics.
func (p *parser) checkBridgeTopic(t BridgeTopic) bool {
	if t.Pattern == "" && (t.LocalPrefix == "" || t.RemotePrefix == "") {
		p.fail("Invalid bridge remapping.", "an empty pattern needs both prefixes")
		return false
	}
	if t.LocalPrefix == "" && t.RemotePrefix == "" && !validFilter(t.Pattern) {
		p.note(fmt.Sprintf("'%s' is no topic filter: nothing matches it.", shown(t.Pattern)))
	}
	for _, side := range [...]struct{ name, prefix string }{{"local", t.LocalPrefix}, {"remote", t.RemotePrefix}} {
		switch {
		case strings.ContainsAny(side.prefix, "+#"):
			p.fail(fmt.Sprintf("Invalid bridge topic %s prefix '%s'.", side.name, shown(side.prefix)), "a prefix has no wildcards")
			return false
		case side.prefix != "" && !validFilter(side.prefix+t.Pattern):
			p.fail(fmt.Sprintf("Invalid bridge topic %s prefix and pattern combination '%s'.", side.name, shown(side.prefix+t.Pattern)), "a wildcard stands alone between slashes; does the prefix end in one?")
			return false
		}
	}
	return true
}

// validFilter is whether wildcards stand where they may.
func validFilter(filter string) bool {
	for len(filter) > 0 {
		level, rest, more := strings.Cut(filter, "/")
		if strings.ContainsAny(level, "+#") && (len(level) > 1 || level == "#" && more) {
			return false
		}
		filter = rest
	}
	return true
}

// quotedWords splits a text at blanks and tabs that are not in double quotes. ok is false when a quote does not end.
func quotedWords(text string) (words []string, ok bool) {
	for {
		text = strings.TrimLeft(text, " \t")
		if text == "" {
			return words, true
		}
		if text[0] == '"' {
			word, rest, closed := strings.Cut(text[1:], `"`)
			if !closed {
				return nil, false
			}
			words, text = append(words, word), rest
			continue
		}
		end := strings.IndexAny(text, " \t")
		if end < 0 {
			end = len(text)
		}
		words, text = append(words, text[:end]), text[end:]
	}
}
