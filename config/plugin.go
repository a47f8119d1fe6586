package config

import (
	"path/filepath"
	"strings"
)

// Plugin is one plugin that the file asks for, with its options.
type Plugin struct {
	Name    string // of plugin_load; empty for the others
	Path    string
	Builtin Builtin
	Options []Option // in the order of the file
	File    string
	Line    int
}

// Option is one plugin_opt_ or auth_opt_ line; the name is what follows the underscore.
type Option struct{ Name, Value string }

// Option returns the value that was given last for a name.
func (p *Plugin) Option(name string) (value string, ok bool) {
	for _, o := range p.Options {
		if o.Name == name {
			value, ok = o.Value, true
		}
	}
	return value, ok
}

// Builtin is what takes the place of one of Mosquitto's plugins.
type Builtin uint8

// The built-ins.
const (
	NoBuiltin       Builtin = iota
	PasswordFile            // mosquitto_password_file.so, option password_file
	ACLFile                 // mosquitto_acl_file.so, option acl_file
	DynamicSecurity         // mosquitto_dynamic_security.so, option config_file
	PersistSQLite           // mosquitto_persist_sqlite.so, which counts as persistence true
	SparkplugAware          // mosquitto_sparkplug_aware.so
)

// builtinNames are the files, in the order of the constants.
var builtinNames = [...]string{
	"", "mosquitto_password_file.so", "mosquitto_acl_file.so", "mosquitto_dynamic_security.so", "mosquitto_persist_sqlite.so", "mosquitto_sparkplug_aware.so",
}

// String returns the name of the file that the built-in takes the place of.
func (b Builtin) String() string {
	if int(b) < len(builtinNames) {
		return builtinNames[b]
	}
	return ""
}

// builtin finds a built-in by the last element of a path, whatever directory it names.
func builtin(path string) Builtin {
	base := filepath.Base(path)
	for b := PasswordFile; int(b) < len(builtinNames); b++ {
		if base == builtinNames[b] {
			return b
		}
	}
	return NoBuiltin
}

// instead is what to use in place of a plugin that is none of the built-ins.
func instead(path string) string {
	base := strings.ToLower(filepath.Base(path))
	has := func(parts ...string) bool {
		for _, part := range parts {
			if strings.Contains(base, part) {
				return true
			}
		}
		return false
	}
	switch {
	case has("go-auth", "go_auth", "auth-plug", "auth_plug", "jwt", "mysql", "postgres", "redis", "mongo", "ldap", "http"):
		return "users in a database or behind a service have to be exported to a password_file and an acl_file, or to mosquitto_dynamic_security.so"
	case has("dynamic", "dynsec"):
		return "the built-in is called mosquitto_dynamic_security.so"
	case has("persist"):
		return "'persistence true' keeps sessions and messages, without a plugin"
	case has("pass", "auth"):
		return "use password_file, or mosquitto_dynamic_security.so"
	case has("acl"):
		return "use acl_file, or mosquitto_dynamic_security.so"
	}
	return "what is built in is password_file and acl_file, mosquitto_dynamic_security.so, and mosquitto_sparkplug_aware.so"
}
