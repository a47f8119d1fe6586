package config

import "math"

// persistenceKeys are about what survives the process.
var persistenceKeys = []Key{
	{Name: "persistence", Type: Bool, Default: "false", Area: "Persistence", Class: NoEffect,
		Help: "Keep sessions, queued and retained messages over a restart", Why: "this build keeps everything in memory, and a restart loses sessions, queued messages and retained messages", set: boolInto(func(c *Config) *bool { return &c.Persistence.Enabled })},
	{Name: "persistence_location", Type: Text, Area: "Persistence", Class: NoEffect,
		Help: "Directory of the database", set: textInto(func(c *Config) *string { return &c.Persistence.Location })},
	{Name: "persistence_file", Type: Text, Default: "mosquitto.db", Area: "Persistence", Class: NoEffect,
		Help: "Name of the database", set: textInto(func(c *Config) *string { return &c.Persistence.File })},
	{Name: "autosave_interval", Type: Number, Default: "1800", Area: "Persistence", Class: NoEffect, max: math.MaxInt32, clamp: true,
		Help: "Seconds, or changes, between writings of the database", set: numberInto(func(c *Config) *int { return &c.Persistence.AutosaveInterval })},
	{Name: "autosave_on_changes", Type: Bool, Default: "false", Area: "Persistence", Class: NoEffect,
		Help: "Count changes and not seconds for autosave_interval", set: boolInto(func(c *Config) *bool { return &c.Persistence.AutosaveOnChanges })},
	{Name: "retained_persistence", Type: Bool, Default: "true", Area: "Persistence", Class: NoEffect,
		Help: "Retained messages are part of the database", set: boolInto(func(c *Config) *bool { return &c.Persistence.Retained })},
}
