package config

import "math"

const inMemory = "this build keeps everything in memory, and a restart loses sessions, queued messages and retained messages"

// persistenceKeys are about what survives the process.
var persistenceKeys = []Key{
	{Name: "persistence", Type: Bool, Default: "false", Area: "Persistence", Class: NoEffect, Restart: true,
		Help: "Keep sessions, queued and retained messages over a restart", Why: inMemory, set: boolInto(func(c *Config) *bool { return &c.Persistence.Enabled })},
	{Name: "persistence_location", Type: Text, Area: "Persistence", Class: NoEffect, Restart: true,
		Help: "Directory of the database", set: textInto(func(c *Config) *string { return &c.Persistence.Location })},
	{Name: "persistence_file", Type: Text, Default: "mosquitto.db", Area: "Persistence", Class: NoEffect, Restart: true,
		Help: "Name of the database", set: textInto(func(c *Config) *string { return &c.Persistence.File })},
	{Name: "autosave_interval", Type: Number, Default: "1800", Area: "Persistence", Class: NoEffect, Restart: true, max: math.MaxInt32, clamp: true,
		Help: "Seconds, or changes, between writings of the database", set: numberInto(func(c *Config) *int { return &c.Persistence.AutosaveInterval })},
	{Name: "autosave_on_changes", Type: Bool, Default: "false", Area: "Persistence", Class: NoEffect, Restart: true,
		Help: "Count changes and not seconds for autosave_interval", set: boolInto(func(c *Config) *bool { return &c.Persistence.AutosaveOnChanges })},
	{Name: "retained_persistence", Alias: "persistence", Type: Bool, Default: "false", Area: "Persistence", Class: NoEffect, Retired: true, Restart: true,
		Help: "Another name of persistence", Why: inMemory, set: boolInto(func(c *Config) *bool { return &c.Persistence.Enabled })},
}
