package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Load reads a configuration file, and the files its include_dir name. The error is Errors.
func Load(path string) (*Config, error) { return load(path, nil, osFiles{}) }

// LoadEnv is Load with an environment of NAME=VALUE, as os.Environ returns it, whose variables take the place of the
// file's lines. An empty path means that there is no file. The error is Errors.
func LoadEnv(path string, env []string) (*Config, error) { return load(path, env, osFiles{}) }

// Parse reads the text of a configuration file; name stands for it in errors. The files that include_dir names are
// read too. The error is Errors.
func Parse(name string, text []byte) (*Config, error) { return parse(name, text, osFiles{}) }

func load(path string, env []string, files source) (*Config, error) {
	p := newParser(files)
	p.readEnvironment(env)
	if path != "" {
		text, err := files.ReadFile(path)
		p.file, p.line = path, 0
		switch {
		case errors.Is(err, errTooLarge):
			p.fail(fmt.Sprintf("Config file '%s' is too large.", path), fmt.Sprintf("a file may have %d bytes", fileBytesMax))
		case err != nil:
			p.fail(fmt.Sprintf("Unable to open config file '%s'.", path), reason(err))
		default:
			p.read(path, text)
		}
	}
	return p.result()
}

func parse(name string, text []byte, files source) (*Config, error) {
	p := newParser(files)
	p.read(name, text)
	return p.result()
}

// parser is the reading of one configuration with everything it includes.
type parser struct {
	cfg   *Config
	files source
	errs  Errors
	keys  []Key
	index map[string]*Key // by name; those that end in '*' without it, in prefixes
	// prefixes are the keys that stand for every name that begins so.
	prefixes []*Key

	file      string
	line      int
	depth     int // 0 in the main file, 1 in an included one
	fileCount int

	// fallback is the default listener: what `port`, `bind_address` and listener options before any `listener` line
	// configure. It is a listener of the broker only once made is set.
	fallback *Listener
	made     bool
	// current is the listener that options belong to: fallback until the file's first `listener` line.
	current   *Listener
	listeners []*Listener

	bridge  *Bridge // the one that options belong to; nil before the first
	bridges []*Bridge
	plugin  *Plugin // the one that options belong to; nil before the first
	// global are the plugins of all listeners, loaded those that plugin_use can name, used those of one listener.
	global, loaded []*Plugin
	used           map[*Listener][]*Plugin
	pluginCount    int

	given map[givenKey]bool // Text keys that were given, to find a second one
	env   map[*Key]bool     // keys that the environment gave: the file's values are checked and left out
	from  Origin            // of a value that is not from the file; else zero

	perListener                bool // per_listener_settings
	security                   bool // a key came that per_listener_settings must stand before
	portGiven                  bool
	autosave                   Note // an autosave key that was written with another value than the default, and where; empty: none
	logDestGiven, logTypeGiven bool
}

// givenKey is a key and the listener or bridge it was given for; nil for all of the broker.
type givenKey struct {
	listener *Listener
	bridge   *Bridge
	name     string
}

func newParser(files source) *parser {
	fallback := NewListener()
	p := &parser{cfg: Default(), files: files, keys: Keys(), index: map[string]*Key{}, fallback: &fallback, current: &fallback,
		given: map[givenKey]bool{}, env: map[*Key]bool{}, used: map[*Listener][]*Plugin{}}
	for i := range p.keys {
		k := &p.keys[i]
		if name, ok := strings.CutSuffix(k.Name, "*"); ok {
			p.index[name] = k
			p.prefixes = append(p.prefixes, k)
			continue
		}
		p.index[k.Name] = k
	}
	return p
}

// read reads one file. Options before its first `listener` line belong to the default listener, also in an included file.
func (p *parser) read(name string, text []byte) {
	file, lineNumber, current := p.file, p.line, p.current
	p.file, p.line, p.current = name, 0, p.fallback
	for len(text) > 0 && len(p.errs) < errorsMax {
		var line []byte
		line, text = cutLine(text)
		p.line++
		p.readLine(string(line))
	}
	p.file, p.line, p.current = file, lineNumber, current
}

// cutLine returns the first line without its end, and what follows.
func cutLine(text []byte) (line, rest []byte) {
	for i, c := range text {
		if c == '\n' {
			return text[:i], text[i+1:]
		}
	}
	return text, nil
}

// readLine reads one line: `name value`. A comment has its # in the first column, as in Mosquitto.
func (p *parser) readLine(line string) {
	if strings.HasPrefix(line, "#") {
		return
	}
	line = strings.TrimLeft(strings.TrimRight(line, " \t\r\v\f"), " ")
	if line == "" {
		return
	}
	name, text, _ := strings.Cut(line, " ")
	k := p.find(name)
	if k == nil {
		p.unknown(name)
		return
	}
	if !p.belongs(k, name) {
		return
	}
	if v, ok := p.check(k, name, strings.TrimLeft(text, " ")); ok && !p.env[k] {
		p.store(k, v)
	}
}

// find returns the key for a name, or nil.
func (p *parser) find(name string) *Key {
	if k := p.index[name]; k != nil {
		return k
	}
	for _, k := range p.prefixes {
		if strings.HasPrefix(name, strings.TrimSuffix(k.Name, "*")) {
			return k
		}
	}
	return nil
}

// belongs is whether there is the listener, bridge or plugin that a key needs.
func (p *parser) belongs(k *Key, name string) bool {
	switch {
	case k.Scope == PerListener && k.strict && p.current == p.fallback:
		p.fail(fmt.Sprintf("The '%s' option requires a listener to be defined first.", name), "put it below a 'listener' line")
	case k.Scope == PerBridge && p.bridge == nil:
		p.fail(fmt.Sprintf("The '%s' option requires a bridge to be defined first.", name), "put it below a 'connection' line")
	case k.Scope == PerPlugin && name+"*" == k.Name:
		p.fail(fmt.Sprintf("Invalid '%s' config option.", name), "the name of the option follows the underscore")
	case k.Scope == PerPlugin && p.plugin == nil:
		p.fail(fmt.Sprintf("The '%s' option requires plugin/global_plugin/plugin_load to be defined first.", name), "")
	default:
		return true
	}
	return false
}

// store gives a checked value to its key, by the key's class.
func (p *parser) store(k *Key, v value) {
	if k.security {
		p.security = true
	}
	if k.set != nil {
		k.set(p, v)
	}
	p.record(k, v)
	if k.makes && !v.isDefault() && p.current == p.fallback {
		p.makeFallback()
	}
	switch {
	case k.Class == Honoured || v.isDefault():
	case k.Class == Refused:
		p.refuse(v.name, k.Why)
	case k.Class == NoEffect && k.Why != "":
		p.note(fmt.Sprintf("'%s' has no effect in this build: %s.", v.name, k.Why))
	}
}

// makeFallback makes the default listener one of the broker's.
func (p *parser) makeFallback() {
	if p.made {
		return
	}
	p.made = true
	p.fallback.Port = cmp.Or(p.fallback.Port, defaultPort)
	p.fallback.File, p.fallback.Line = p.file, p.line
	p.addListener(p.fallback)
}

func (p *parser) addListener(l *Listener) {
	if len(p.listeners) == listenersMax {
		p.fail(fmt.Sprintf("Too many listeners: there can be %d.", listenersMax), "")
		return
	}
	p.listeners = append(p.listeners, l)
}

// result is the configuration, or the errors, when everything is read.
func (p *parser) result() (*Config, error) {
	p.keepPlugins()
	p.keepBridges()
	for _, l := range p.listeners {
		p.checkTLS(l)
		p.cfg.Listeners = append(p.cfg.Listeners, *l)
	}
	p.cfg.Local = *p.fallback
	p.keepLog()
	if len(p.errs) > 0 {
		return nil, p.errs
	}
	p.checkReachable()
	p.checkAutosave()
	return p.cfg, nil
}

// checkTLS reports what of a listener's TLS does not fit together.
func (p *parser) checkTLS(l *Listener) {
	t := &l.TLS
	p.file, p.line = l.File, l.Line
	if t.PSKHint != "" { // for --test-config too: nothing in the place of the broker could make it work
		p.fail(fmt.Sprintf("'%s' cannot be opened with 'psk_hint': %s.", l.name(), noPSK), "")
	}
	named := t.IdentityAsUserName || t.SubjectAsUserName
	told := l.ProxyProtocol == 2 // a PROXY header of version 2 says whether there was a certificate, and its common name
	if len(t.CertFiles) != len(t.KeyFiles) {
		p.unsupported(fmt.Sprintf("Both certfile and keyfile must be given for TLS; one of them is missing for '%s'.", l.name()))
	} else if !t.Wanted() && told && t.SubjectAsUserName && !t.IdentityAsUserName {
		p.note(fmt.Sprintf("no client can log in to '%s': a PROXY header has no more of a certificate than the name for 'use_identity_as_username'.", l.name()))
	} else if !t.Wanted() && (t.CAFile != "" || t.CAPath != "" || !told && (t.RequireCertificate || named)) {
		p.note(fmt.Sprintf("'%s' is not encrypted and asks no client for a certificate: that takes 'certfile' and 'keyfile'.", l.name()))
	}
}

// checkReachable notes the first listener that nobody can use: with neither anonymous clients nor a way to log in.
func (p *parser) checkReachable() {
	for i := range p.cfg.Listeners {
		l := &p.cfg.Listeners[i]
		s := p.cfg.Security(l)
		if !s.AllowAnonymous && s.PasswordFile == "" && len(s.Plugins) == 0 && !l.TLS.IdentityAsUserName && !l.TLS.SubjectAsUserName {
			p.file, p.line = l.File, l.Line
			p.note(fmt.Sprintf("No client can connect on '%s': it takes neither anonymous clients nor passwords. Set 'password_file', or 'allow_anonymous true'.", l.name()))
			return
		}
	}
}

// include reads the files of a directory in Mosquitto's order.
func (p *parser) include(v value) {
	if p.depth > 0 {
		p.note("'include_dir' works in the main configuration file only.")
		return
	}
	names, err := p.files.ReadDir(v.text)
	if err != nil {
		p.fail(fmt.Sprintf("Unable to open include_dir '%s'.", shown(v.text)), reason(err))
		return
	}
	names = slices.DeleteFunc(names, func(n string) bool { return len(n) <= len(".conf") || !strings.HasSuffix(n, ".conf") })
	slices.SortFunc(names, includeOrder)
	p.depth++
	for _, n := range names {
		if p.fileCount++; p.fileCount > filesMax {
			p.fail(fmt.Sprintf("Too many configuration files: there can be %d.", filesMax), "")
			break
		}
		path := strings.TrimSuffix(v.text, "/") + "/" + n
		text, err := p.files.ReadFile(path)
		if err != nil {
			p.fail(fmt.Sprintf("Unable to open config file '%s'.", shown(path)), reason(err))
			continue
		}
		p.read(path, text)
	}
	p.depth--
}

// includeOrder sorts by letter, the upper case of each before its lower case.
func includeOrder(a, b string) int {
	for i := range min(len(a), len(b)) {
		if x, y := a[i], b[i]; x != y {
			return cmp.Or(cmp.Compare(lower(x), lower(y)), cmp.Compare(x, y))
		}
	}
	return cmp.Compare(len(a), len(b))
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// fail reports a mistake in the current line. hint may be empty.
func (p *parser) fail(text, hint string) {
	if len(p.errs) < errorsMax {
		p.errs = append(p.errs, Error{File: p.file, Line: p.line, Text: text, Hint: hint})
	}
}

// refuse notes an option of the current line that this build cannot honour where starting without it would be wrong; why
// says what would go wrong. A listener's options of the same reason are said once.
func (p *parser) refuse(what, why string) {
	reason := givenKey{listener: p.current, name: "refused: " + why}
	if p.given[reason] {
		return
	}
	p.given[reason] = true
	p.unsupported(fmt.Sprintf("The '%s' option cannot be honoured by this build yet; starting without it would be wrong: %s.", what, why))
}

// unsupported says why a broker with the current line must not be started.
func (p *parser) unsupported(text string) {
	if len(p.cfg.Unsupported) < notesMax {
		p.cfg.Unsupported = append(p.cfg.Unsupported, Note{File: p.file, Line: p.line, Text: text})
	}
}

// note says something about the current line at start.
func (p *parser) note(text string) {
	if len(p.cfg.Notes) < notesMax {
		p.cfg.Notes = append(p.cfg.Notes, Note{File: p.file, Line: p.line, Text: text})
	}
}
