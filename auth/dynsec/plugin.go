package dynsec

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/noctulemq/noctule/auth"
)

// Options says where the configuration is and whom to tell.
type Options struct {
	// File is the JSON file (plugin_opt_config_file). Its directory must be writable: each change makes a new file beside
	// it, named FILE.new, and renames it. A symbolic link is followed once, at Open.
	File string
	// InitFile (plugin_opt_password_init_file) and InitPassword (environment MOSQUITTO_DYNSEC_PASSWORD) give the password of
	// the user admin that is created when File does not exist: the first line of InitFile, else InitPassword, else a random
	// one that is written to FILE.pw.
	InitFile, InitPassword string
	// Log takes one line, without a line end. Any thread. May be nil.
	Log func(line string)
	// Kick asks the broker to disconnect, with reason 0x98, the clients for which match is true. match may be called on any
	// thread, and as long as wanted. Kick is called on the thread of Handle, before Handle returns and without a lock held. A
	// change has taken effect by then. May be nil.
	Kick func(match func(*auth.Client) bool)
}

// Plugin is the configuration and what is decided by it. Any thread.
type Plugin struct {
	options Options
	now     atomic.Pointer[snapshot]

	// commands is held while a message is handled: it guards the file, and that now is replaced by what was made of it.
	commands sync.Mutex
	// save makes a snapshot durable. It is writeFile; tests put others here.
	save func(*snapshot) error
}

// Open reads the configuration, or makes an initial one when the file does not exist. An empty file is an empty
// configuration. Errors are sentences that name the file: it cannot be read, is not valid JSON, is too large; the initial
// one cannot be made. What cannot be understood in a valid file is skipped and logged, as it would be lost at the next
// change.
func Open(o Options) (*Plugin, error) {
	p := &Plugin{options: o}
	p.save = p.writeFile
	if o.File == "" {
		return nil, errors.New("dynamic security: plugin_opt_config_file is not set")
	}
	if real, err := filepath.EvalSymlinks(o.File); err == nil {
		p.options.File = real
	}
	data, err := readFile(p.options.File)
	if errors.Is(err, fs.ErrNotExist) {
		if err := p.initialise(); err != nil {
			return nil, err
		}
		return p, nil
	}
	if err != nil {
		return nil, fmt.Errorf("dynamic security: read configuration: %w", err)
	}
	s, skipped, err := decodeFile(data)
	if err != nil {
		return nil, fmt.Errorf("dynamic security: %s: %w", p.options.File, err)
	}
	for _, line := range skipped {
		p.log(fmt.Sprintf("dynsec: %s: %s", p.options.File, line))
	}
	p.now.Store(s)
	return p, nil
}

func (p *Plugin) log(line string) {
	if p.options.Log != nil {
		p.options.Log(printable(line))
	}
}

// printable makes one line of what clients chose.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
}

// Login decides by user name, client id and password. It defers for a client without a user name, for user names that are
// not configured here or have no password here, and where none was given.
func (p *Plugin) Login(c *auth.Client) (auth.Decision, string) {
	if anonymous(c) || !c.HasPassword {
		return auth.Defer, ""
	}
	found := p.now.Load().clients.find(c.UserName)
	switch {
	case found == nil:
		return auth.Defer, ""
	case found.disabled:
		return auth.Deny, ruleDisabled
	case found.clientID != "" && found.clientID != c.ID:
		return auth.Deny, "dynamic security: client id is not the client's"
	case found.password == nil:
		return auth.Defer, ""
	case !found.password.is(c.Password):
		return auth.Deny, "dynamic security: wrong password"
	}
	return auth.Allow, ""
}

// initialise makes the configuration of an installation that has none: the user admin with the role admin.
func (p *Plugin) initialise() error {
	secret, random, err := p.initialPassword()
	if err != nil {
		return err
	}
	const user = "admin"
	if random {
		name := p.options.File + ".pw"
		if err := os.WriteFile(name, []byte(user+" "+secret+"\n"), 0o600); err != nil {
			return fmt.Errorf("dynamic security: write the initial password: %w", err)
		}
		p.log("dynsec: the password of the user admin is in " + name + ": keep it and delete the file")
	}
	s := initialSnapshot(user, secret)
	if err := p.save(s); err != nil {
		return fmt.Errorf("dynamic security: write the initial configuration: %w", err)
	}
	p.log("dynsec: " + p.options.File + " did not exist: made one with the user admin")
	p.now.Store(s)
	return nil
}

func (p *Plugin) initialPassword() (secret string, random bool, err error) {
	switch {
	case p.options.InitFile != "":
		data, err := os.ReadFile(p.options.InitFile)
		if err != nil {
			return "", false, fmt.Errorf("dynamic security: read the initial password: %w", err)
		}
		line, _, _ := strings.Cut(string(data), "\n")
		if secret = strings.TrimSpace(line); secret == "" {
			return "", false, fmt.Errorf("dynamic security: the first line of %s must be the initial password",
				p.options.InitFile)
		}
		return secret, false, nil
	case p.options.InitPassword != "":
		return p.options.InitPassword, false, nil
	}
	return randomPassword(), true, nil
}

// initialSnapshot is what mosquitto_ctrl dynsec init makes: the client may administer dynamic security and see
// everything, and publish nothing else.
func initialSnapshot(user, secret string) *snapshot {
	admin := &role{name: "admin"}
	for _, a := range []struct {
		t      aclType
		filter string
	}{
		{publishClientSend, "$CONTROL/dynamic-security/#"},
		{publishClientReceive, "$CONTROL/dynamic-security/#"},
		{subscribePattern, "$CONTROL/dynamic-security/#"},
		{publishClientReceive, "$SYS/#"},
		{subscribePattern, "$SYS/#"},
		{publishClientReceive, "#"},
		{subscribePattern, "#"},
		{unsubscribePattern, "#"},
	} {
		admin.acls[a.t] = insertACL(admin.acls[a.t], newACL(admin.name, a.t, a.filter, 0, true))
	}
	text := "Dynsec admin user"
	return &snapshot{
		version: 1,
		clients: table[*client]{{
			username:    user,
			description: description{name: &text},
			roles:       refs{{name: admin.name, priority: -1}},
			password:    newPassword(secret),
		}},
		roles:  table[*role]{admin},
		access: [eventCount]bool{eventReceive: true, eventUnsubscribe: true},
	}
}
