package config

import (
	"fmt"
	"slices"
	"strings"
)

// logKeys say what is logged and where.
var logKeys = []Key{
	{Name: "log_dest", Type: List, Default: "stderr", Area: "Log", Values: "stderr, stdout, file PATH, none; syslog, topic and dlt are understood and not built yet",
		Help: "Where log lines go; several lines add up, none takes all before it away", set: (*parser).setLogDest},
	{Name: "log_type", Type: Word, Area: "Log", choices: append(slices.Clone(logTypeNames[:]), "none", "all"), Values: "error, warning, notice, information, debug, subscribe, unsubscribe, websockets, internal, none or all; without the line error, warning, notice and information",
		Help: "What is logged; several lines add up", set: (*parser).setLogType},
	{Name: "connection_messages", Type: Bool, Default: "true", Area: "Log",
		Help: "Log when clients connect and disconnect", set: boolInto(func(c *Config) *bool { return &c.ConnectionMessages })},
	{Name: "log_timestamp", Type: Bool, Default: "true", Area: "Log",
		Help: "Begin each line with the time", set: boolInto(func(c *Config) *bool { return &c.Log.Timestamp })},
	{Name: "log_timestamp_format", Type: Text, Area: "Log", Values: "a format of strftime(3), as in %Y-%m-%dT%H:%M:%S; without the line the Unix time in seconds",
		Help: "How the time is written", set: textInto(func(c *Config) *string { return &c.Log.TimestampFormat })},
	{Name: "log_facility", Type: Number, Area: "Log", Class: NoEffect, max: 7,
		Help: "Which of syslog's local0 to local7 lines go to", Why: "it does not log to syslog", set: numberInto(func(c *Config) *int { return &c.Log.Facility })},
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
	case "stderr", "stdout":
		path = ""
	case "syslog", "topic", "dlt", "android":
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
	built := func(d LogDest) bool { return d.Kind == "stderr" || d.Kind == "stdout" || d.Kind == "file" }
	if len(log.Dest) > 0 && !slices.ContainsFunc(log.Dest, built) {
		log.Dest = append(log.Dest, LogDest{Kind: "stderr"})
	}
}
