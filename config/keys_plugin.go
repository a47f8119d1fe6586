package config

const noPlugins = "there are no plugins in this build, and what the plugin decides would not be decided"

// pluginKeys load plugins and set their options.
var pluginKeys = []Key{
	{Name: "plugin", Type: Text, Area: "Plugins", Class: Refused, repeat: true, security: true, Help: "Load a plugin", Why: noPlugins, set: (*parser).setPlugin},
	{Name: "global_plugin", Type: Text, Area: "Plugins", Class: Refused, repeat: true, Help: "Load a plugin for all listeners", Why: noPlugins, set: (*parser).setPlugin},
	{Name: "plugin_load", Type: Text, Area: "Plugins", Class: Refused, repeat: true, Help: "Load a plugin under a name", Why: noPlugins, set: (*parser).setPlugin},
	{Name: "plugin_use", Scope: Listen, Type: Text, Area: "Plugins", Class: Refused, repeat: true, Help: "Use a loaded plugin for the listener", Why: noPlugins},
	{Name: "plugin_opt_*", Scope: Plugin, Type: Text, Area: "Plugins", Class: NoEffect, repeat: true, Help: "Option of the plugin above it"},
	{Name: "auth_plugin", Type: Text, Area: "Plugins", Class: Refused, repeat: true, security: true, Help: "Another name of plugin", Why: noPlugins, set: (*parser).setPlugin},
	{Name: "auth_opt_*", Scope: Plugin, Type: Text, Area: "Plugins", Class: NoEffect, repeat: true, Help: "Another name of plugin_opt_*"},
	{Name: "auth_plugin_deny_special_chars", Scope: Plugin, Type: Bool, Default: "true", Area: "Plugins", Class: NoEffect, Help: "Refuse user names and client identifiers with wildcards before the plugin is asked"},
}

func (p *parser) setPlugin(value) { p.plugin = true }
