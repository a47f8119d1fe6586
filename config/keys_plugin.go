package config

import (
	"fmt"
	"slices"
	"strings"
)

const plugins = "the file of a plugin; only its name matters, which must be that of a built-in: mosquitto_password_file.so, mosquitto_acl_file.so, " +
	"mosquitto_dynamic_security.so, mosquitto_persist_sqlite.so or mosquitto_sparkplug_aware.so"

// pluginKeys ask for plugins and set their options.
var pluginKeys = []Key{
	{Name: "plugin", Type: Text, Area: "Plugins", repeat: true, security: true, fileOnly: true, Restart: true, Values: plugins,
		Help: "Use a plugin, for all listeners or, with per_listener_settings, for the listener above", set: (*parser).setPlugin},
	{Name: "global_plugin", Type: Text, Area: "Plugins", repeat: true, fileOnly: true, Restart: true, Values: plugins,
		Help: "Use a plugin for all listeners", set: (*parser).setGlobalPlugin},
	{Name: "plugin_load", Type: List, Area: "Plugins", fileOnly: true, adds: true, Restart: true, Values: "NAME PATH",
		Help: "Give a plugin a name, for listeners to use it with plugin_use", set: (*parser).setPluginLoad},
	{Name: "plugin_use", Scope: PerListener, Type: Text, Area: "Plugins", repeat: true, Restart: true, Values: "a name of plugin_load",
		Help: "Use a plugin for the listener above", set: (*parser).setPluginUse},
	{Name: "plugin_opt_*", Scope: PerPlugin, Type: Text, Area: "Plugins", repeat: true, Restart: true,
		Help: "Option of the plugin above it: password_file, acl_file and config_file name the file that the built-in reads", set: (*parser).setPluginOption},
	{Name: "auth_plugin", Alias: "plugin", Type: Text, Area: "Plugins", Retired: true, repeat: true, security: true, fileOnly: true, Restart: true,
		Help: "Another name of plugin", set: (*parser).setPlugin},
	{Name: "auth_opt_*", Scope: PerPlugin, Alias: "plugin_opt_*", Type: Text, Area: "Plugins", Retired: true, repeat: true, Restart: true,
		Help: "Another name of plugin_opt_*", set: (*parser).setPluginOption},
	{Name: "auth_plugin_deny_special_chars", Scope: PerPlugin, Type: Bool, Default: "true", Area: "Plugins", Class: NoEffect, Restart: true,
		Help: "Refuse user names and client identifiers with wildcards before the plugin is asked", Why: "the built-ins refuse them themselves"},
}

func (p *parser) setPlugin(v value) {
	pl := p.newPlugin("", v.text)
	if p.perListener {
		p.used[p.current] = append(p.used[p.current], pl)
		return
	}
	p.global = append(p.global, pl)
}

func (p *parser) setGlobalPlugin(v value) { p.global = append(p.global, p.newPlugin("", v.text)) }

func (p *parser) setPluginLoad(v value) {
	name, path, _ := strings.Cut(v.text, " ")
	path = strings.TrimSpace(path)
	if path == "" {
		p.fail("Invalid 'plugin_load' value ("+shown(v.text)+").", wanted(v.key))
		return
	}
	if slices.ContainsFunc(p.loaded, func(pl *Plugin) bool { return pl.Name == name }) {
		p.fail(fmt.Sprintf("Duplicate 'plugin_load' value (%s).", shown(name)), "each plugin needs a name of its own")
		return
	}
	p.loaded = append(p.loaded, p.newPlugin(name, path))
}

func (p *parser) setPluginUse(v value) {
	i := slices.IndexFunc(p.loaded, func(pl *Plugin) bool { return pl.Name == v.text })
	if i < 0 {
		p.fail(fmt.Sprintf("Invalid 'plugin_use' value (%s).", shown(v.text)), "no 'plugin_load' line above it has this name")
		return
	}
	p.used[p.current] = append(p.used[p.current], p.loaded[i])
}

func (p *parser) setPluginOption(v value) {
	name := strings.TrimPrefix(strings.TrimPrefix(v.name, "plugin_opt_"), "auth_opt_")
	p.plugin.Options = append(p.plugin.Options, Option{name, v.text})
}

// newPlugin is a plugin of the current line; the option lines that follow are its own. A plugin that is not built in stays
// in the configuration, which is then not to be started.
func (p *parser) newPlugin(name, path string) *Plugin {
	p.plugin = &Plugin{Name: name, Path: path, Builtin: builtin(path), File: p.file, Line: p.line}
	if p.pluginCount++; p.pluginCount > pluginsMax {
		p.fail(fmt.Sprintf("Too many plugins: there can be %d.", pluginsMax), "")
	}
	if p.plugin.Builtin == NoBuiltin {
		p.unsupported(fmt.Sprintf("The plugin '%s' cannot be loaded: this broker has its plugins built in; %s.", shown(path), instead(path)))
	}
	return p.plugin
}

// keepPlugins copies the plugins into the configuration, when their options are all read.
func (p *parser) keepPlugins() {
	copies := func(from []*Plugin) (to []Plugin) {
		for _, pl := range from {
			to = append(to, *pl)
		}
		return to
	}
	p.cfg.Plugins = copies(p.global)
	for l, used := range p.used {
		l.Plugins = copies(used)
	}
	names := map[*Plugin]bool{}
	for _, pl := range p.global {
		p.keepPersistSQLite(pl)
	}
	for _, used := range p.used {
		for _, pl := range used {
			names[pl] = true
			p.keepPersistSQLite(pl)
		}
	}
	for _, pl := range p.loaded {
		if !names[pl] {
			p.file, p.line = pl.File, pl.Line
			p.note(fmt.Sprintf("No listener uses the plugin '%s': 'plugin_use %s' is missing.", shown(pl.Name), shown(pl.Name)))
		}
	}
}

// keepPersistSQLite makes the plugin that stores for Mosquitto mean persistence, whatever the key says.
func (p *parser) keepPersistSQLite(pl *Plugin) {
	if pl.Builtin != PersistSQLite {
		return
	}
	p.cfg.Persistence.Enabled = true
	p.file, p.line = pl.File, pl.Line
	p.note(fmt.Sprintf("'%s' counts as 'persistence true': what is stored is below '%s.noctule', and no database of the plugin's is read.", pl.Builtin, shown(p.cfg.Persistence.Path())))
}
