package config

import (
	"slices"
	"strings"
)

// Change is one difference between two configurations.
type Change struct {
	Key      string // with its owner, as in "listener 1883: max_connections"; or "listener" and "bridge" for whole ones
	Old, New string // effective values; empty where there is none. Secret ones are hidden
	Restart  bool   // takes effect at the next start only
}

// String returns the change in words.
func (c Change) String() string {
	return c.Key + ": " + orNothing(c.Old) + " becomes " + orNothing(c.New)
}

// Diff is what differs between two configurations by what the file, the environment and the flags say: the broker's keys
// in the order of the manual, then listeners, bridges and plugin options that go, stay or come.
func Diff(old, new *Config) []Change {
	var changes []Change
	seen := map[string]bool{}
	keys, o, n := Keys(), indexSettings(old), indexSettings(new)
	for i := range keys {
		if k := &keys[i]; k.Scope == Global && k.Alias == "" && !k.whole() {
			changes = appendChange(changes, k, "", o, n)
		}
	}
	for _, owner := range slices.Concat(o.owners, n.owners) {
		was, is := o.has[owner], n.has[owner]
		kind, name, _ := strings.Cut(owner, " ")
		switch {
		case seen[owner]:
		case was && is || kind == "plugin": // a plugin's own line is a key of the broker or a listener
			for i := range keys {
				if k := &keys[i]; k.Alias == "" && !k.whole() {
					changes = appendChange(changes, k, owner, o, n)
				}
			}
		case was:
			changes = append(changes, Change{Key: kind, Old: name, Restart: true})
		default:
			changes = append(changes, Change{Key: kind, New: name, Restart: true})
		}
		seen[owner] = true
	}
	return changes
}

// whole is whether a key makes an owner, whose coming and going is a change of its own.
func (k *Key) whole() bool { return k.Name == "listener" || k.Name == "connection" }

func appendChange(changes []Change, k *Key, owner string, old, new *settingIndex) []Change {
	was, wasSecret := old.effective(k, owner)
	is, isSecret := new.effective(k, owner)
	if slices.Equal(was, is) {
		return changes
	}
	c := Change{Key: k.Name, Old: strings.Join(was, ", "), New: strings.Join(is, ", "), Restart: k.Restart}
	if wasSecret || isSecret {
		c.Old, c.New = veil(c.Old), veil(c.New)
	}
	if owner != "" {
		c.Key = owner + ": " + k.Name
	}
	return append(changes, c)
}

func veil(value string) string {
	if value == "" {
		return ""
	}
	return hidden
}

// effective is what holds for a key and an owner, and whether any of it is secret.
func (x *settingIndex) effective(k *Key, owner string) (values []string, secret bool) {
	if k.shown != nil && owner == "" {
		return []string{k.shown(x.cfg)}, false
	}
	given := x.given(k, owner)
	switch {
	case len(given) == 0 && k.Default == "":
		return nil, false
	case len(given) == 0:
		return []string{k.Default}, false
	case !k.several():
		given = given[len(given)-1:]
	}
	for _, s := range given {
		value := s.value
		if k.Scope == PerPlugin {
			value = s.name + " " + value
		}
		values = append(values, value)
		secret = secret || k.secretIn(s.name)
	}
	return values, secret
}
