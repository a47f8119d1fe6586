package config

import (
	"fmt"
	"slices"
	"strings"
)

// logKeys say what is logged and where.
var logKeys = []Key{
	{Name: "log_dest", Type: List, Default: "stderr", Area: "Log", adds: true, Values: "stderr, stdout, file PATH, syslog, topic ($SYS/broker/log/...) or none; dlt and android are understood and have no effect",
		Help: "Where log lines go; several lines add up, none takes all before it away", set: (*parser).setLogDest, shown: shownLogDest},
	{Name: "log_type", Type: Word, Area: "Log", adds: true, choices: append(slices.Clone(logTypeNames[:]), "none", "all"), Values: "error, warning, notice, information, debug, subscribe, unsubscribe, websockets, internal, none or all; without the line error, warning, notice and information",
		Help: "What is logged; several lines add up", set: (*parser).setLogType, shown: func(c *Config) string { return c.Log.Types.String() }},
	{Name: "connection_messages", Type: Bool, Default: "true", Area: "Log",
		Help: "Log when clients connect and disconnect", set: boolInto(func(c *Config) *bool { return &c.ConnectionMessages })},
	{Name: "log_timestamp", Type: Bool, Default: "true", Area: "Log",
		Help: "Begin each line with the time", set: boolInto(func(c *Config) *bool { return &c.Log.Timestamp })},
	{Name: "log_timestamp_format", Type: Text, Area: "Log", Values: "a format of strftime(3), as in %Y-%m-%dT%H:%M:%S; without the line the Unix time in seconds",
		Help: "How the time is written", set: textInto(func(c *Config) *string { return &c.Log.TimestampFormat })},
	{Name: "log_facility", Type: Number, Area: "Log", max: 7, Values: "a number from 0 to 7; without the line the facility is daemon",
		Help: "Which of syslog's local0 to local7 lines go to", set: numberInto(func(c *Config) *int { return &c.Log.Facility })},
	{Name: "log_format", Type: Word, Default: "text", Area: "Log", Ours: true, choices: []string{"text", "json"},
		Help: "How lines are written: as Mosquitto does, or one JSON object each", set: func(p *parser, v value) { p.cfg.Log.JSON = v.text == "json" }},
}

// setLogDest adds a destination; the first one takes the place of the default.
func (p *parser) setLogDest(v value) {
	kind, path, _ := strings.Cut(v.text, " ")
	path = strings.TrimSpace(path)
	log := &p.cfg.Log
	if !p.logDestGiven {
		log.Dest = nil
	}
	p.logDestGiven = true
	switch kind {
	case "none":
		log.Dest = nil
		return
	case "stderr", "stdout", "syslog", "topic":
		path = ""
	case "dlt", "android":
		path = ""
		p.note(fmt.Sprintf("'log_dest %s' has no effect in this build.", kind))
	case "file":
		if path == "" {
			p.fail("Empty 'log_dest file' value in configuration.", "the path of the file is missing")
			return
		}
		if slices.ContainsFunc(log.Dest, func(d LogDest) bool { return d.Kind == kind }) {
			p.fail("Duplicate 'log_dest file' value.", "only one file can be given")
			return
		}
	default:
		p.fail(fmt.Sprintf("Invalid 'log_dest' value (%s).", shown(kind)), wanted(v.key))
		return
	}
	if d := (LogDest{Kind: kind, Path: path}); !slices.Contains(log.Dest, d) {
		log.Dest = append(log.Dest, d)
	}
}

func shownLogDest(c *Config) string {
	var all []string
	for _, d := range c.Log.Dest {
		all = append(all, strings.TrimSpace(d.Kind+" "+d.Path))
	}
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, ", ")
}

// setLogType adds a type; the first one takes the place of the default.
func (p *parser) setLogType(v value) {
	if !p.logTypeGiven {
		p.cfg.Log.Types = 0
	}
	p.logTypeGiven = true
	switch v.text {
	case "none":
		p.cfg.Log.Types = 0
	case "all":
		p.cfg.Log.Types = 1<<len(logTypeNames) - 1
	default:
		t, _ := logType(v.text)
		p.cfg.Log.Types |= t
	}
}

// keepLog sends the log to stderr when none of the destinations asked for exists in this build, so that it is not lost.
func (p *parser) keepLog() {
	log := &p.cfg.Log
	built := func(d LogDest) bool { return d.Kind != "dlt" && d.Kind != "android" }
	if len(log.Dest) > 0 && !slices.ContainsFunc(log.Dest, built) {
		log.Dest = append(log.Dest, LogDest{Kind: "stderr"})
	}
}
