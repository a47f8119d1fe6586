package config

import "strings"

// Origin is where an effective value comes from. The zero Origin is the default.
type Origin struct {
	File     string // with Line, when it comes from a file
	Line     int
	Variable string // of the environment
	Flag     string // of the command line
}

// String returns the origin in words.
func (o Origin) String() string {
	switch {
	case o.Flag != "":
		return "flag " + o.Flag
	case o.Variable != "":
		return "environment variable " + o.Variable
	case o.File != "":
		return place(o.File, o.Line)
	}
	return "default"
}

// setting is one value that was given.
type setting struct {
	key   string // in the table; of an alias, the key whose name it stands for
	name  string // as written; differs from key for plugin options
	owner string // see ownerOf
	value string
	from  Origin
}

// defaultListener is the owner of options before any `listener` line.
const defaultListener = "listener (default)"

// record keeps a value that was stored, for Explain and Diff.
func (p *parser) record(k *Key, v value) {
	from := p.from
	if from == (Origin{}) {
		from = Origin{File: p.file, Line: p.line}
	}
	name := v.name
	if !strings.HasSuffix(k.Name, "*") {
		name = k.canonical()
	}
	p.cfg.settings = append(p.cfg.settings, setting{k.canonical(), name, p.ownerOf(k), v.String(), from})
}

// ownerOf names what a value of the current line belongs to: a kind, a blank and a name, or nothing for the broker.
func (p *parser) ownerOf(k *Key) string {
	switch {
	case k.Scope == PerBridge || k.Name == "connection":
		return "bridge " + p.bridge.Name
	case k.Scope == PerPlugin:
		return "plugin " + p.plugin.Path
	case k.Scope == PerListener || k.security && p.perListener && p.from == (Origin{}):
		if p.current == p.fallback {
			return defaultListener
		}
		return p.current.name()
	}
	return ""
}

// settingIndex finds what was given by key and owner.
type settingIndex struct {
	cfg    *Config
	owners []string // the listeners, bridges and plugins for which something was given, in order
	has    map[string]bool
	by     map[ownedKey][]setting
}

type ownedKey struct{ key, owner string }

func indexSettings(c *Config) *settingIndex {
	x := &settingIndex{cfg: c, has: map[string]bool{"": true}, by: map[ownedKey][]setting{}}
	for _, s := range c.settings {
		if !x.has[s.owner] {
			x.has[s.owner] = true
			x.owners = append(x.owners, s.owner)
		}
		at := ownedKey{s.key, s.owner}
		x.by[at] = append(x.by[at], s)
	}
	return x
}

// given is what was given for a key and an owner, in order.
func (x *settingIndex) given(k *Key, owner string) []setting { return x.by[ownedKey{k.Name, owner}] }

// ownersOf is who has a key: the broker, or each listener, bridge or plugin of the kind that it belongs to. The default
// listener has what was given for it.
func (x *settingIndex) ownersOf(k *Key) []string {
	kind := map[Scope]string{PerListener: "listener ", PerBridge: "bridge ", PerPlugin: "plugin "}[k.Scope]
	var all []string
	for _, owner := range append([]string{""}, x.owners...) {
		has := kind != "" && strings.HasPrefix(owner, kind) && owner != defaultListener
		if has || k.Scope == Global && owner == "" && !k.whole() || len(x.given(k, owner)) > 0 {
			all = append(all, owner)
		}
	}
	return all
}

// SetFlag records that a flag of the command line decided a key of the broker, in place of what was written; the caller
// changes the field itself.
func (c *Config) SetFlag(key, flag string, values ...string) {
	kept := c.settings[:0:0]
	for _, s := range c.settings {
		if s.key != key || s.owner != "" {
			kept = append(kept, s)
		}
	}
	for _, value := range values {
		kept = append(kept, setting{key, key, "", value, Origin{Flag: flag}})
	}
	c.settings = kept
}
