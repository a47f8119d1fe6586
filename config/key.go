package config

import (
	"fmt"
	"math"
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

	min, max int64    // of a Number
	clamp    bool     // a number below min counts as min, as Mosquitto has it
	bound    string   // Mosquitto's own sentence for a number out of bounds
	choices  []string // of a Word
	repeat   bool     // a Text that may be given more than once
	strict   bool     // needs a `listener` line before it; other listener keys also configure the default listener
	makes    bool     // with a value that is not its default, makes the default listener exist
	security bool     // must come after per_listener_settings

	// set stores a checked value. It is nil where nothing is kept.
	set func(p *parser, v value)
}

// Scope is what a key belongs to.
type Scope uint8

// The scopes.
const (
	Global Scope = iota
	Listen       // the listener above it
	Bridge       // the bridge above it
	Plugin       // the plugin above it
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
	Refused        // an error unless it is the default: ignoring it would be dangerous
)

// Keys returns every key, in the order of the manual.
func Keys() []Key {
	var all []Key
	for _, part := range [][]Key{listenerKeys, accessKeys, messageKeys, limitKeys, sessionKeys, machineKeys, logKeys, persistenceKeys, sysKeys, transportKeys, pluginKeys, bridgeKeys} {
		all = append(all, part...)
	}
	return all
}

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
