package config

import (
	"cmp"
	"fmt"
	"math"
	"strings"
)

// Key is one configuration variable: what the parser checks by, and what the manual says about it.
type Key struct {
	Name    string // ends in '*' when it stands for every name that begins so
	Scope   Scope
	Type    Type
	Default string // as it would be written; empty when there is none
	Class   Class
	Area    string // heading in the manual
	Ours    bool   // not a key of Mosquitto's
	Values  string // what may be written, in words; empty where the type says it
	Help    string // what it does, one sentence without its full stop
	Why     string // why it is without effect or refused
	// Retired keys are understood and nothing else; they have no place in an example.
	Retired bool
	// Restart keys take effect at the next start, the others when the configuration is reloaded.
	Restart bool
	// Secret values are shown to nobody.
	Secret bool
	// Alias is the key whose other name this is; empty for most.
	Alias string

	min, max int64    // of a Number
	clamp    bool     // a number below min counts as min, as Mosquitto has it
	bound    string   // Mosquitto's own sentence for a number out of bounds
	choices  []string // of a Word
	repeat   bool     // a Text that may be given more than once
	strict   bool     // needs a `listener` line before it; other listener keys also configure the default listener
	makes    bool     // with a value that is not its default, makes the default listener exist
	security bool     // must come after per_listener_settings
	empty    bool     // may have no value
	adds     bool     // its lines add up; a comma in an environment variable ends one of them
	fileOnly bool     // of the broker, and yet no environment variable sets it

	// shown is the effective value where it is not simply what was written last.
	shown func(c *Config) string

	// set stores a checked value. It is nil where nothing is kept.
	set func(p *parser, v value)
}

// Scope is what a key belongs to.
type Scope uint8

// The scopes.
const (
	Global      Scope = iota
	PerListener       // the listener above it
	PerBridge         // the bridge above it
	PerPlugin         // the plugin above it
)

// Type is the form of a value.
type Type uint8

// The types.
const (
	Bool   Type = iota // true or false, also 1 or 0
	Number             // a whole number
	Word               // one word of a fixed set
	Text               // the rest of the line, given once
	List               // a form of its own, read by the key
)

// Class is what this build does with a key.
type Class uint8

// The classes.
const (
	Honoured Class = iota
	NoEffect       // read and checked, then noted when it is not the default
	Refused        // checked and then, unless it is the default, in Config.Unsupported: ignoring it would be dangerous
)

// String returns the class in the words of the manual.
func (c Class) String() string {
	switch c {
	case Honoured:
		return "honoured"
	case NoEffect:
		return "accepted without effect"
	}
	return "refused"
}

// Keys returns every key, in the order of the manual.
func Keys() []Key {
	var all []Key
	for _, part := range [][]Key{listenerKeys, accessKeys, messageKeys, limitKeys, sessionKeys, machineKeys, logKeys, persistenceKeys, sysKeys, transportKeys, pluginKeys, bridgeKeys} {
		all = append(all, part...)
	}
	return all
}

// KeyNames returns the names of all keys that can be written as they are, for a shell to complete.
func KeyNames() []string {
	var names []string
	for _, k := range Keys() {
		if !strings.HasSuffix(k.Name, "*") {
			names = append(names, k.Name)
		}
	}
	return names
}

// canonical is the name a value of the key is kept under.
func (k *Key) canonical() string { return cmp.Or(k.Alias, k.Name) }

// fromEnvironment is whether an environment variable can set the key.
func (k *Key) fromEnvironment() bool { return k.Scope == Global && !k.fileOnly }

// boolInto, numberInto, and their like return setters for keys that are one field of Config or Listener.

func boolInto(field func(*Config) *bool) func(*parser, value) {
	return func(p *parser, v value) { *field(p.cfg) = v.on }
}

func numberInto[T ~int | ~int64 | ~uint16 | ~uint32](field func(*Config) *T) func(*parser, value) {
	return func(p *parser, v value) { *field(p.cfg) = T(v.number) }
}

func textInto(field func(*Config) *string) func(*parser, value) {
	return func(p *parser, v value) { *field(p.cfg) = v.text }
}

func listenerNumberInto[T ~int | ~uint8 | ~uint16](field func(*Listener) *T) func(*parser, value) {
	return func(p *parser, v value) { *field(p.current) = T(v.number) }
}

func listenerBoolInto(field func(*Listener) *bool) func(*parser, value) {
	return func(p *parser, v value) { *field(p.current) = v.on }
}

func listenerTextInto(field func(*Listener) *string) func(*parser, value) {
	return func(p *parser, v value) { *field(p.current) = v.text }
}

// listenerAdd returns a setter of a key whose lines add up.
func listenerAdd(field func(*Listener) *[]string) func(*parser, value) {
	return func(p *parser, v value) { *field(p.current) = append(*field(p.current), v.text) }
}

// Wanted says in words what a key takes.
func (k *Key) Wanted() string {
	switch {
	case k.Values != "":
		return k.Values
	case k.Type == Bool:
		return "true or false"
	case k.Type == Number && k.max >= math.MaxInt32 && (k.clamp || k.min == 0):
		return "a number"
	case k.Type == Number && k.max >= math.MaxInt32:
		return fmt.Sprintf("a number, at least %d", k.min)
	case k.Type == Number && k.clamp:
		return fmt.Sprintf("a number up to %d", k.max)
	case k.Type == Number:
		return fmt.Sprintf("a number from %d to %d", k.min, k.max)
	case k.Type == Word:
		return either(k.choices)
	}
	return ""
}
