package config

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
)

// persistenceKeys are about what survives the process.
var persistenceKeys = []Key{
	{Name: "persistence", Type: Bool, Default: "false", Area: "Persistence", Restart: true,
		Help: "Keep sessions, their subscriptions and queues, retained messages and waiting wills over a restart", set: boolInto(func(c *Config) *bool { return &c.Persistence.Enabled }),
		shown: func(c *Config) string { return strconv.FormatBool(c.Persistence.Enabled) }},
	{Name: "persistence_location", Type: Text, Area: "Persistence", Restart: true, Values: "a directory that exists, with or without / at its end; without the line the working directory",
		Help: "Where persistence_file stands", set: textInto(func(c *Config) *string { return &c.Persistence.Location })},
	{Name: "persistence_file", Type: Text, Default: "mosquitto.db", Area: "Persistence", Restart: true,
		Help: "Name of Mosquitto's database, which is imported at the first start; what is stored is in the directory of this name with .noctule behind it", set: textInto(func(c *Config) *string { return &c.Persistence.File })},
	{Name: "persistence_engine", Type: Word, Default: "badger", Area: "Persistence", Ours: true, Restart: true, choices: []string{"badger", "memory"},
		Help: "What keeps the records; memory keeps them for as long as the broker runs and is for tests", set: textInto(func(c *Config) *string { return &c.Persistence.Engine })},
	{Name: "persistence_commit", Type: Word, Default: "balanced", Area: "Persistence", Ours: true, Restart: true, choices: commitNames[:],
		Help: "When an acknowledgement is sent: once the operating system has what is acknowledged, once it is on the disk, or at once",
		set:  func(p *parser, v value) { p.cfg.Persistence.Commit = Commit(slices.Index(commitNames[:], v.text)) }},
	{Name: "persistence_sync_interval", Type: Number, Default: "1", Area: "Persistence", Ours: true, Restart: true, min: 1, max: syncMaxSeconds,
		Help: "Seconds until what the operating system has is on the disk, under persistence_commit balanced and fast",
		set:  func(p *parser, v value) { p.cfg.Persistence.SyncInterval = time.Duration(v.number) * time.Second }},
	{Name: "persistence_max_bytes", Type: Number, Default: "0", Area: "Persistence", Ours: true, Restart: true, max: math.MaxInt64,
		Help: "Bytes that the stored records and the journal may take on the disk, beyond which new QoS 1 and 2 messages are refused until there is room again; 0 means no limit", set: numberInto(func(c *Config) *int64 { return &c.Persistence.MaxBytes })},
	{Name: "persistence_max_waiting", Type: Number, Default: "1000", Area: "Persistence", Ours: true, min: 1, max: 65535,
		Help: "How many messages of one client may wait to be stored before nothing more is read from it; it is read again when half of them are", set: numberInto(func(c *Config) *int { return &c.Persistence.MaxWaiting })},
	{Name: "autosave_interval", Type: Number, Default: "1800", Area: "Persistence", Class: NoEffect, max: math.MaxInt32, clamp: true,
		Help: "Seconds, or changes, between Mosquitto's writings of its database; here every change is stored as it comes, as persistence_commit says", set: (*parser).setAutosave},
	{Name: "autosave_on_changes", Type: Bool, Default: "false", Area: "Persistence", Class: NoEffect,
		Help: "Count changes and not seconds for autosave_interval; here every change is stored as it comes, as persistence_commit says", set: (*parser).setAutosave},
	{Name: "retained_persistence", Alias: "persistence", Type: Bool, Default: "false", Area: "Persistence", Retired: true, Restart: true,
		Help: "Another name of persistence", set: boolInto(func(c *Config) *bool { return &c.Persistence.Enabled })},
}

// setAutosave remembers where the file asks for other intervals than Mosquitto's own.
func (p *parser) setAutosave(v value) {
	if !v.isDefault() {
		p.autosave = Note{File: p.file, Line: p.line, Text: v.name}
	}
}

// checkAutosave notes what holds in place of intervals. Where nothing is stored there is nothing to say.
func (p *parser) checkAutosave() {
	s := &p.cfg.Persistence
	if p.autosave.Text == "" || !s.Enabled || s.Engine == "memory" {
		return
	}
	p.file, p.line = p.autosave.File, p.autosave.Line
	p.note(fmt.Sprintf("'%s' has no effect: every change is stored as it comes, as 'persistence_commit %s' says, and none waits for an interval.", p.autosave.Text, s.Commit))
}
