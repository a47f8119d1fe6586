package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Load reads a configuration file, and the files its include_dir name. The error is Errors.
func Load(path string) (*Config, error) { return load(path, osFiles{}) }

// Parse reads the text of a configuration file; name stands for it in errors. The files that include_dir names are
// read too. The error is Errors.
func Parse(name string, text []byte) (*Config, error) { return parse(name, text, osFiles{}) }

func load(path string, files source) (*Config, error) {
	text, err := files.ReadFile(path)
	if errors.Is(err, errTooLarge) {
		return nil, Errors{{File: path, Text: fmt.Sprintf("Config file '%s' is too large.", path), Hint: fmt.Sprintf("a file may have %d bytes", fileBytesMax)}}
	}
	if err != nil {
		return nil, Errors{{File: path, Text: fmt.Sprintf("Unable to open config file '%s'.", path), Hint: reason(err)}}
	}
	return parse(path, text, files)
}

func parse(name string, text []byte, files source) (*Config, error) {
	p := newParser(files)
	p.read(name, text)
	p.finish()
	if len(p.errs) > 0 {
		return nil, p.errs
	}
	return p.cfg, nil
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

	bridge, plugin bool              // there was one for options to belong to
	given          map[givenKey]bool // Text keys that were given, to find a second one

	perListener                bool // per_listener_settings
	security                   bool // a key came that per_listener_settings must stand before
	portGiven                  bool
	logDestGiven, logTypeGiven bool
}

// givenKey is a key and the listener it was given for; nil for all of the broker.
type givenKey struct {
	listener *Listener
	name     string
}

func newParser(files source) *parser {
	fallback := NewListener()
	p := &parser{cfg: Default(), files: files, keys: Keys(), index: map[string]*Key{}, fallback: &fallback, given: map[givenKey]bool{}}
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
	v, ok := p.check(k, name, strings.TrimLeft(text, " "))
	if ok && p.belongs(k, name) {
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
	case k.Scope == Listen && k.strict && p.current == p.fallback:
		p.fail(fmt.Sprintf("The '%s' option requires a listener to be defined first.", name), "put it below a 'listener' line")
	case k.Scope == Bridge && !p.bridge:
		p.fail(fmt.Sprintf("The '%s' option requires a bridge to be defined first.", name), "put it below a 'connection' line")
	case k.Scope == Plugin && name+"*" == k.Name:
		p.fail(fmt.Sprintf("Invalid '%s' config option.", name), "the name of the option follows the underscore")
	case k.Scope == Plugin && !p.plugin:
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

// finish is what can be said only when everything is read.
func (p *parser) finish() {
	for _, l := range p.listeners {
		p.cfg.Listeners = append(p.cfg.Listeners, *l)
	}
	p.cfg.Local = *p.fallback
	p.keepLog()
	p.checkReachable()
}

// checkReachable notes the first listener that nobody can use: with neither anonymous clients nor passwords.
func (p *parser) checkReachable() {
	for i := range p.cfg.Listeners {
		l := &p.cfg.Listeners[i]
		anonymous := p.cfg.AllowAnonymous
		if l.AllowAnonymous != nil {
			anonymous = *l.AllowAnonymous
		}
		if !anonymous {
			p.file, p.line = l.File, l.Line
			p.note(fmt.Sprintf("No client can connect on port %d: anonymous clients are not allowed there, and this build knows no passwords yet. Set 'allow_anonymous true'.", l.Port))
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

// refuse reports an option that this build cannot honour where starting without it would be wrong; why says what would
// go wrong.
func (p *parser) refuse(what, why string) {
	p.fail(fmt.Sprintf("The '%s' option cannot be honoured by this build yet.", what), "starting without it would be wrong: "+why)
}

// note says something about the current line at start.
func (p *parser) note(text string) {
	if len(p.cfg.Notes) < notesMax {
		p.cfg.Notes = append(p.cfg.Notes, Note{File: p.file, Line: p.line, Text: text})
	}
}
