package config

import (
	"errors"
	"fmt"
	"strings"
)

// Explanation is what holds for one key, and why.
type Explanation struct {
	Key   Key    // of the table
	Name  string // as it is written; differs from Key.Name for plugin options
	Owner string // the listener, bridge or plugin it belongs to, as in "listener 1883"; empty for the broker
	Value string // effective; empty where there is none. A secret one is hidden
	From  Origin
}

// hidden stands for the value of a secret.
const hidden = "(hidden)"

// Explain says what holds for a key: once for the broker, or once for each listener, bridge or plugin that has it. The
// error is for a name that is no key.
func Explain(c *Config, name string) ([]Explanation, error) {
	p := newParser(nil)
	k := p.find(name)
	if k == nil {
		p.unknown(name)
		e := p.errs[0]
		return nil, errors.New(strings.TrimSuffix(strings.TrimSuffix(e.Text, ".")+"; "+e.Hint, "; "))
	}
	if k.Alias != "" {
		k = p.index[strings.TrimSuffix(k.Alias, "*")]
	}
	x := indexSettings(c)
	var all []Explanation
	for _, owner := range x.ownersOf(k) {
		all = append(all, x.explain(k, owner)...)
	}
	if strings.HasSuffix(k.Name, "*") && p.index[name] == nil && !strings.HasSuffix(name, "*") {
		all = only(all, strings.TrimPrefix(strings.TrimPrefix(name, "plugin_opt_"), "auth_opt_"))
	}
	if len(all) == 0 {
		all = []Explanation{{Key: *k, Name: k.Name, Value: k.Default}}
	}
	return all, nil
}

// only keeps the explanations of one plugin option.
func only(all []Explanation, option string) (kept []Explanation) {
	for _, e := range all {
		if e.Name == "plugin_opt_"+option || e.Name == "auth_opt_"+option {
			kept = append(kept, e)
		}
	}
	return kept
}

// ExplainAll says what holds for every key of the broker, then for each listener, bridge and plugin what was given.
func ExplainAll(c *Config) []Explanation {
	var all []Explanation
	keys, x := Keys(), indexSettings(c)
	for i := range keys {
		if k := &keys[i]; k.Scope == Global && k.Alias == "" && !k.whole() {
			all = append(all, x.explain(k, "")...)
		}
	}
	for _, owner := range x.owners {
		for i := range keys {
			if k := &keys[i]; k.Alias == "" && len(x.given(k, owner)) > 0 {
				all = append(all, x.explain(k, owner)...)
			}
		}
	}
	return all
}

// explain is what holds for one key of one owner: each of the values of a key that may be given several times.
func (x *settingIndex) explain(k *Key, owner string) []Explanation {
	given := x.given(k, owner)
	computed := k.shown != nil && owner == ""
	if len(given) == 0 {
		e := Explanation{Key: *k, Name: k.Name, Owner: owner, Value: k.Default}
		if computed {
			e.Value = k.shown(x.cfg)
		}
		return []Explanation{e}
	}
	if computed || !k.several() {
		given = given[len(given)-1:]
	}
	var all []Explanation
	for _, s := range given {
		e := Explanation{Key: *k, Name: s.name, Owner: owner, Value: s.value, From: s.from}
		switch {
		case computed:
			e.Value = k.shown(x.cfg)
		case k.secretIn(s.name):
			e.Value = hidden
		}
		all = append(all, e)
	}
	return all
}

// several is whether each line of the key counts beside the others.
func (k *Key) several() bool { return k.repeat || k.adds }

// secretIn is whether nobody is to see the value of a key; name tells plugin options apart.
func (k *Key) secretIn(name string) bool {
	if k.Scope != PerPlugin {
		return k.Secret
	}
	for _, end := range [...]string{"password", "passwd", "pass", "secret", "token", "psk"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}

// String returns the explanation as it is printed: value, origin and class, then what the key is for.
func (e Explanation) String() string {
	var b strings.Builder
	if e.Owner != "" {
		fmt.Fprintf(&b, "%s: ", e.Owner)
	}
	fmt.Fprintf(&b, "%s %s\n", e.Name, orNothing(e.Value))
	fmt.Fprintf(&b, "  from: %s\n", e.From)
	if e.Key.Default != "" {
		fmt.Fprintf(&b, "  default: %s\n", e.Key.Default)
	}
	class := e.Key.Class.String()
	if e.Key.Why != "" {
		class += ": " + e.Key.Why
	}
	fmt.Fprintf(&b, "  class: %s\n  changes: %s\n", class, applies(&e.Key))
	fmt.Fprintf(&b, "  %s.\n", e.Key.Help)
	if wanted := e.Key.Wanted(); wanted != "" {
		fmt.Fprintf(&b, "  It takes %s.\n", wanted)
	}
	return b.String()
}

func orNothing(value string) string {
	if value == "" {
		return "(not set)"
	}
	return value
}

// applies says when a change of a key takes effect.
func applies(k *Key) string {
	if k.Restart {
		return "take effect at the next start"
	}
	return "take effect on SIGHUP"
}
