package router

import (
	"strings"
	"testing"
)

// deep returns a name of n levels.
func deep(n int) string { return strings.Repeat("a/", n-1) + "a" }

// A topic name is not empty [MQTT-4.7.3-1] and has no wildcard [MQTT-4.7.0-1] [MQTT-3.3.2-2].
func TestValidTopic(t *testing.T) {
	for topic, want := range map[string]bool{
		"": false, "a": true, "/": true, "//": true, "/a": true, "a/": true, "a//b": true, " ": true, "$SYS/x": true,
		"a/b/c": true, "Ünïcode/温度": true, "#": false, "+": false, "a/#": false, "a/+/b": false, "a+": false, "a#b": false,
		deep(LevelsMax): true, deep(LevelsMax + 1): false, strings.Repeat("/", LevelsMax-1): true, strings.Repeat("/", LevelsMax): false,
	} {
		if got := ValidTopic(topic); got != want {
			t.Errorf("ValidTopic(%q) = %v, want %v", topic, got, want)
		}
	}
}

func TestTooDeepCountsLevels(t *testing.T) {
	for levels, want := range map[int]bool{1: false, LevelsMax - 1: false, LevelsMax: false, LevelsMax + 1: true} {
		if got := TooDeep(deep(levels)); got != want {
			t.Errorf("TooDeep of %d levels = %v, want %v", levels, got, want)
		}
	}
}

// '#' is the last character, alone in its level [MQTT-4.7.1-1]; '+' is alone in its level [MQTT-4.7.1-2]; a filter is
// not empty [MQTT-4.7.3-1].
func TestValidFilter(t *testing.T) {
	for filter, want := range map[string]bool{
		"": false, "a": true, "/": true, "//": true, "a//b": true, "$SYS/#": true,
		"#": true, "/#": true, "a/#": true, "+/#": true, "a/b/#": true,
		"a#": false, "#/a": false, "a/#/b": false, "##": false, "a/##": false, "a/b#": false, "#/": false, "#/#": false,
		"+": true, "/+": true, "+/": true, "+/+": true, "a/+/b": true, "+/a": true, "a/+": true,
		"a+": false, "+a": false, "a/b+": false, "a/+b/c": false, "++": false, "a/++": false, "+#": false, "#+": false,
		deep(LevelsMax): true, deep(LevelsMax + 1): false, deep(LevelsMax-1) + "/#": true, deep(LevelsMax) + "/#": false,
	} {
		if got := ValidFilter(filter); got != want {
			t.Errorf("ValidFilter(%q) = %v, want %v", filter, got, want)
		}
	}
}

// A share name is not empty [MQTT-4.8.2-1], has no wildcard and is followed by a filter [MQTT-4.8.2-2].
func TestParseShare(t *testing.T) {
	for _, c := range []struct {
		filter     string
		want       Share
		shared, ok bool
	}{
		{"a/b", Share{}, false, false},
		{"$shared/g/a", Share{}, false, false},
		{"$Share/g/a", Share{}, false, false},
		{"/$share/g/a", Share{}, false, false},
		{"$share/g/a", Share{"g", "a"}, true, true},
		{"$share/g/#", Share{"g", "#"}, true, true},
		{"$share/g/a/+/#", Share{"g", "a/+/#"}, true, true},
		{"$share/g//", Share{"g", "/"}, true, true},
		{"$share/g//a", Share{"g", "/a"}, true, true},
		{"$share/g/$SYS/#", Share{"g", "$SYS/#"}, true, true},
		{"$share/ /a", Share{" ", "a"}, true, true},
		{"$share", Share{}, true, false},
		{"$share/", Share{}, true, false},
		{"$share/g", Share{"g", ""}, true, false},
		{"$share/g/", Share{"g", ""}, true, false},
		{"$share//a", Share{"", "a"}, true, false},
		{"$share/+/a", Share{"+", "a"}, true, false},
		{"$share/#", Share{"#", ""}, true, false},
		{"$share/g+/a", Share{"g+", "a"}, true, false},
		{"$share/g#/a", Share{"g#", "a"}, true, false},
		{"$share/g/a#", Share{"g", "a#"}, true, false},
		{"$share/g/#/a", Share{"g", "#/a"}, true, false},
	} {
		s, shared, ok := ParseShare(c.filter)
		if s != c.want || shared != c.shared || ok != c.ok {
			t.Errorf("ParseShare(%q) = %+v, %v, %v, want %+v, %v, %v", c.filter, s, shared, ok, c.want, c.shared, c.ok)
		}
	}
}

// matchCases are the examples of section 4.7 and the corners around them: empty levels, "a/#" and its parent, '$'
// [MQTT-4.7.2-1], no normalisation [MQTT-4.7.3-4].
var matchCases = []struct {
	filter, topic string
	want          bool
}{
	{"sport/tennis/player1/#", "sport/tennis/player1", true},
	{"sport/tennis/player1/#", "sport/tennis/player1/ranking", true},
	{"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
	{"sport/tennis/player1/#", "sport/tennis/player10", false},
	{"sport/#", "sport", true},
	{"sport/#", "sports", false},
	{"sport/tennis/+", "sport/tennis/player1", true},
	{"sport/tennis/+", "sport/tennis/player1/ranking", false},
	{"sport/+", "sport", false},
	{"sport/+", "sport/", true},
	{"sport/+/#", "sport", false},
	{"sport/+/#", "sport/a", true},
	{"a", "A", false},
	{"a", "a ", false},
	{"Å", "A\u030a", false},
	{"/", "/", true},
	{"/", "//", false},
	{"//", "/", false},
	{"//", "//", true},
	{"+/+", "/", true},
	{"+/+", "//", false},
	{"+/+/+", "//", true},
	{"+", "/", false},
	{"/+", "/finance", true},
	{"+/+", "/finance", true},
	{"+", "/finance", false},
	{"/#", "/", true},
	{"/#", "/a", true},
	{"/#", "a", false},
	{"+/#", "/a", true},
	{"#", "/", true},
	{"#", "a//b", true},
	{"a//b", "a//b", true},
	{"a/+/b", "a//b", true},
	{"a//b", "a/b", false},
	{"a/b", "a//b", false},
	{"a/", "a", false},
	{"a", "a/", false},
	{"a/#", "a/", true},
	{"/a", "a", false},
	{"/a", "/a", true},
	{"#", "$SYS", false},
	{"#", "$SYS/broker/clients", false},
	{"+", "$SYS", false},
	{"+/broker/clients", "$SYS/broker/clients", false},
	{"+/#", "$SYS/broker", false},
	{"$SYS/#", "$SYS/broker/clients", true},
	{"$SYS/#", "$SYS", true},
	{"$SYS/+/clients", "$SYS/broker/clients", true},
	{"$SYS/broker/+", "$SYS/broker/clients", true},
	{"#", "a/$SYS", true},
	{"+/+", "a/$SYS", true},
	{"a/+", "a/$SYS", true},
	{"#", "/$SYS", true},
	{"+/$SYS", "/$SYS", true},
}

func TestMatchOne(t *testing.T) {
	for _, c := range matchCases {
		if got := MatchOne(c.filter, c.topic); got != c.want {
			t.Errorf("MatchOne(%q, %q) = %v, want %v", c.filter, c.topic, got, c.want)
		}
	}
}
