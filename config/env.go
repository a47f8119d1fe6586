package config

import (
	"fmt"
	"slices"
	"strings"
)

const (
	// envPrefix and a key in upper case are the variable that sets it.
	envPrefix = "NOCTULE_"
	// envLocation is Mosquitto's own variable for persistence_location.
	envLocation = "MOSQUITTO_PERSISTENCE_LOCATION"
)

// readEnvironment gives keys of the broker their values from the environment, in the order of the manual. It comes before
// the file, whose values for these keys are then left out. An empty variable counts as none.
func (p *parser) readEnvironment(env []string) {
	values := map[string]string{}
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		if value != "" && (strings.HasPrefix(name, envPrefix) || name == envLocation) {
			values[name] = value
		}
	}
	for i := range p.keys {
		k := &p.keys[i]
		name := variable(k.Name)
		value, ok := values[name]
		if !ok && k.Name == "persistence_location" {
			name = envLocation
			value, ok = values[name]
		}
		if ok {
			p.setVariable(k, name, value)
			delete(values, name)
		}
	}
	p.unknownVariables(values)
}

// variable is the name of the environment variable of a key.
func variable(key string) string { return envPrefix + strings.ToUpper(key) }

func (p *parser) setVariable(k *Key, name, text string) {
	p.file, p.line, p.from = "environment variable "+name, 0, Origin{Variable: name}
	defer func() { p.from = Origin{} }()
	if !k.fromEnvironment() {
		p.note(fmt.Sprintf("It has no effect: '%s' can only be set in a file.", k.Name))
		return
	}
	lines := []string{text}
	if k.adds {
		lines = strings.Split(text, ",")
	}
	for _, line := range lines {
		if v, ok := p.check(k, k.Name, strings.Trim(line, " \t\r\n")); ok {
			p.store(k, v)
		}
	}
	p.security = false // the file may still say per_listener_settings
	for i := range p.keys {
		if p.keys[i].canonical() == k.canonical() {
			p.env[&p.keys[i]] = true
		}
	}
}

// unknownVariables notes names that look like a key misspelt. Others that begin so are not for us: a container of the
// name has variables of its own.
func (p *parser) unknownVariables(values map[string]string) {
	var names []string
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		key := strings.ToLower(strings.TrimPrefix(name, envPrefix))
		if nearest := p.nearest(key); nearest != "" && distance(key, nearest) <= 2 {
			p.file, p.line = "environment variable "+name, 0
			p.note(fmt.Sprintf("It has no effect; did you mean %s?", variable(nearest)))
		}
	}
}
