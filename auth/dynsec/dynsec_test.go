package dynsec

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/noctulemq/noctule/auth"
)

func user(id, name, secret string) *auth.Client {
	return &auth.Client{ID: id, UserName: name, HasUserName: name != "", Password: []byte(secret), HasPassword: secret != ""}
}

func TestLogin(t *testing.T) {
	p := memoryPlugin(t, Options{})
	do(t, p, `createClient "username":"plain","password":"p"`, `createClient "username":"bound","password":"p","clientid":"mine"`,
		`createClient "username":"off","password":"p"`, `disableClient "username":"off"`, `createClient "username":"none"`,
		`createClient "username":"empty","password":""`, `createClient "username":"","password":"p"`)
	f := func(id, name, secret string, want auth.Decision) {
		t.Helper()
		got, rule := p.Login(user(id, name, secret))
		if got != want || (got == auth.Deny) != (rule != "") {
			t.Errorf("%s/%s with %q: %v by %q, want %v", id, name, secret, got, rule, want)
		}
	}
	f("any", "plain", "p", auth.Allow)
	f("any", "plain", "q", auth.Deny)
	f("any", "plain", "", auth.Defer)
	f("mine", "bound", "p", auth.Allow)
	f("other", "bound", "p", auth.Deny)
	f("", "bound", "p", auth.Deny)
	f("any", "off", "p", auth.Deny)
	f("any", "none", "p", auth.Defer)
	f("any", "empty", "p", auth.Defer)
	f("any", "unknown", "p", auth.Defer)
	f("any", "", "", auth.Defer)
	f("any", "", "p", auth.Defer)

	do(t, p, `setClientPassword "username":"plain","password":"q"`, `setClientId "username":"bound"`,
		`enableClient "username":"off"`, `modifyClient "username":"none","password":"p"`, `deleteClient "username":"empty"`)
	f("any", "plain", "q", auth.Allow)
	f("any", "plain", "p", auth.Deny)
	f("other", "bound", "p", auth.Allow)
	f("any", "off", "p", auth.Allow)
	f("any", "none", "p", auth.Allow)
	f("any", "empty", "p", auth.Defer)
}

// TestRightsFollowChanges holds one client's rights while everything around them changes.
func TestRightsFollowChanges(t *testing.T) {
	p := memoryPlugin(t, Options{})
	r := p.Rights(user("id", "u", "p"))
	f := func(a auth.Action, topic string, want auth.Decision) {
		t.Helper()
		got, rule := r.Allows(a, topic)
		if got != want || (got == auth.Deny) != (rule != "") {
			t.Errorf("%d %s: %v by %q, want %v", a, topic, got, rule, want)
		}
	}
	f(auth.Publish, "a", auth.Defer)
	do(t, p, `createClient "username":"u"`)
	f(auth.Publish, "a", auth.Deny)
	f(auth.Receive, "a", auth.Allow)
	f(auth.Subscribe, "a", auth.Deny)
	f(auth.Unsubscribe, "a", auth.Allow)
	do(t, p, `createRole "rolename":"r","acls":[{"acltype":"publishClientSend","topic":"a","allow":true}]`,
		`createGroup "groupname":"g"`, `addClientRole "username":"u","rolename":"r"`)
	f(auth.Publish, "a", auth.Allow)
	do(t, p, `removeRoleACL "rolename":"r","acltype":"publishClientSend","topic":"a"`)
	f(auth.Publish, "a", auth.Deny)
	do(t, p, `addRoleACL "rolename":"r","acltype":"publishClientSend","topic":"a","allow":true`)
	f(auth.Publish, "a", auth.Allow)
	do(t, p, `removeClientRole "username":"u","rolename":"r"`)
	f(auth.Publish, "a", auth.Deny)
	do(t, p, `addGroupRole "groupname":"g","rolename":"r"`, `addGroupClient "groupname":"g","username":"u"`)
	f(auth.Publish, "a", auth.Allow)
	do(t, p, `disableClient "username":"u"`)
	f(auth.Publish, "a", auth.Deny)
	do(t, p, `enableClient "username":"u"`)
	f(auth.Publish, "a", auth.Allow)
	do(t, p, `deleteGroup "groupname":"g"`)
	f(auth.Publish, "a", auth.Deny)
	do(t, p, `setDefaultACLAccess "acls":[{"acltype":"publishClientSend","allow":true}]`)
	f(auth.Publish, "a", auth.Allow)
	do(t, p, `deleteClient "username":"u"`)
	f(auth.Publish, "a", auth.Defer)

	r = p.Rights(user("id", "", ""))
	f(auth.Subscribe, "s", auth.Deny)
	f(auth.Publish, "a", auth.Allow)
	do(t, p, `createGroup "groupname":"g"`, `setAnonymousGroup "groupname":"g"`, `addGroupRole "groupname":"g","rolename":"r"`,
		`modifyRole "rolename":"r","acls":[{"acltype":"publishClientSend","topic":"a"}]`)
	f(auth.Publish, "a", auth.Deny)
	f(auth.Publish, "b", auth.Allow)
}

// TestSubstitution: %c and %u are whole levels of all ACLs but the literal ones, and an id cannot be used to widen rights.
func TestSubstitution(t *testing.T) {
	p := memoryPlugin(t, Options{})
	do(t, p, `createRole "rolename":"r","acls":[
		{"acltype":"publishClientSend","topic":"c/%c/x","allow":true},{"acltype":"publishClientSend","topic":"%u/#","allow":true},
		{"acltype":"publishClientSend","topic":"x%c","allow":true},{"acltype":"subscribePattern","topic":"c/%c/+","allow":true},
		{"acltype":"subscribeLiteral","topic":"l/%c","allow":true},{"acltype":"publishClientReceive","topic":"c/%c/no"}]`)
	for _, name := range []string{"u", "a+b"} {
		do(t, p, `createClient "username":"`+name+`","roles":[{"rolename":"r"}]`)
	}
	f := func(id, name string, a auth.Action, topic string, want auth.Decision) {
		t.Helper()
		if got, _ := p.Rights(user(id, name, "")).Allows(a, topic); got != want {
			t.Errorf("%s/%s: %d %s: %v, want %v", id, name, a, topic, got, want)
		}
	}
	f("id", "u", auth.Publish, "c/id/x", auth.Allow)
	f("id", "u", auth.Publish, "c/other/x", auth.Deny)
	f("id", "u", auth.Publish, "c/%c/x", auth.Deny)
	f("id", "u", auth.Publish, "u", auth.Allow)
	f("id", "u", auth.Publish, "u/a/b", auth.Allow)
	f("id", "u", auth.Publish, "xid", auth.Deny)
	f("id", "u", auth.Publish, "x%c", auth.Allow)
	f("id", "u", auth.Receive, "c/id/no", auth.Deny)
	f("id", "u", auth.Receive, "c/other/no", auth.Allow)
	f("id", "u", auth.Subscribe, "c/id/z", auth.Allow)
	f("id", "u", auth.Subscribe, "c/id/+", auth.Allow)
	f("id", "u", auth.Subscribe, "c/id/#", auth.Deny)
	f("id", "u", auth.Subscribe, "l/id", auth.Deny)
	f("id", "u", auth.Subscribe, "l/%c", auth.Allow)
	f("+", "u", auth.Subscribe, "c/+/z", auth.Deny)
	f("#", "u", auth.Subscribe, "c/#", auth.Deny)
	f("", "u", auth.Publish, "c//x", auth.Deny)
	f("a/b", "u", auth.Publish, "c/a/b/x", auth.Deny)
	f("id", "a+b", auth.Publish, "a+b/x", auth.Deny)
}

// TestKicks: what a change disconnects. Debian's plugin disconnects the same, and some more for commands it refuses.
func TestKicks(t *testing.T) {
	clients := []*auth.Client{user("1", "direct", ""), user("2", "direct", ""), user("3", "member", ""), user("4", "other", ""),
		user("5", "", "")}
	f := func(command string, want ...string) {
		t.Helper()
		kicked := []string{}
		p := memoryPlugin(t, Options{Kick: func(match func(*auth.Client) bool) {
			kicked = kicked[:0] // only of the last message
			for _, c := range clients {
				if match(c) {
					kicked = append(kicked, c.ID)
				}
			}
		}})
		do(t, p, `createRole "rolename":"direct","acls":[{"acltype":"publishClientSend","topic":"x"}]`,
			`createRole "rolename":"group"`, `createRole "rolename":"anonymous"`, `createRole "rolename":"unused"`,
			`createGroup "groupname":"group","roles":[{"rolename":"group"}]`,
			`createGroup "groupname":"anonymous","roles":[{"rolename":"anonymous"}]`, `createGroup "groupname":"unused"`,
			`setAnonymousGroup "groupname":"anonymous"`,
			`createClient "username":"direct","roles":[{"rolename":"direct"}]`,
			`createClient "username":"member","groups":[{"groupname":"group"}]`, `createClient "username":"other"`)
		kicked = kicked[:0]
		_ = ask(p, command)
		if !slices.Equal(kicked, want) {
			t.Errorf("%s disconnects %s, want %s", command, kicked, want)
		}
	}
	f(`listClients "verbose":true`)
	f(`createClient "username":"new","groups":[{"groupname":"group"}]`)
	f(`setClientPassword "username":"direct","password":"p"`, "1", "2")
	f(`setClientId "username":"direct","clientid":"1"`, "1", "2")
	f(`enableClient "username":"direct"`)
	f(`disableClient "username":"direct"`, "1", "2")
	f(`deleteClient "username":"direct"`, "1", "2")
	f(`modifyClient "username":"direct"`, "1", "2")
	f(`modifyClient "username":"direct","roles":[{"rolename":"nope"}]`)
	f(`addClientRole "username":"direct","rolename":"unused"`, "1", "2")
	f(`addClientRole "username":"direct","rolename":"direct"`)
	f(`removeClientRole "username":"direct","rolename":"direct"`, "1", "2")
	f(`addGroupClient "groupname":"group","username":"other"`, "4")
	f(`removeGroupClient "groupname":"group","username":"member"`, "3")
	f(`addGroupRole "groupname":"group","rolename":"unused"`, "3")
	f(`addGroupRole "groupname":"anonymous","rolename":"unused"`, "5")
	f(`removeGroupRole "groupname":"group","rolename":"group"`, "3")
	f(`modifyGroup "groupname":"group"`, "3")
	f(`modifyGroup "groupname":"anonymous"`, "5")
	f(`modifyGroup "groupname":"group","clients":[{"username":"other"}]`, "3", "4")
	f(`deleteGroup "groupname":"group"`, "3")
	f(`deleteGroup "groupname":"unused"`)
	f(`deleteGroup "groupname":"anonymous"`)
	f(`setAnonymousGroup "groupname":"group"`, "5")
	f(`addRoleACL "rolename":"direct","acltype":"publishClientSend","topic":"y"`, "1", "2")
	f(`addRoleACL "rolename":"group","acltype":"publishClientSend","topic":"y"`, "3")
	f(`addRoleACL "rolename":"anonymous","acltype":"publishClientSend","topic":"y"`, "5")
	f(`removeRoleACL "rolename":"direct","acltype":"publishClientSend","topic":"x"`, "1", "2")
	f(`modifyRole "rolename":"direct","acls":[]`)
	f(`deleteRole "rolename":"direct"`, "1", "2")
	f(`deleteRole "rolename":"group"`, "3")
	f(`deleteRole "rolename":"unused"`)
	f(`setDefaultACLAccess "acls":[{"acltype":"publishClientSend","allow":true}]`)
}

func TestDeletingTheAnonymousGroupIsRefused(t *testing.T) {
	p := memoryPlugin(t, Options{})
	do(t, p, `createGroup "groupname":"g"`, `setAnonymousGroup "groupname":"g"`)
	want := `{"responses":[{"command":"deleteGroup","error":"Deleting the anonymous group is forbidden"}]}`
	if got := ask(p, `deleteGroup "groupname":"g"`); got != want {
		t.Error(got)
	}
}

// TestFailedSaveChangesNothing: what cannot be written is not done, is said, and disconnects nobody.
func TestFailedSaveChangesNothing(t *testing.T) {
	var lines []string
	p := open(t, Options{
		Log:  func(line string) { lines = append(lines, line) },
		Kick: func(func(*auth.Client) bool) { t.Error("somebody is disconnected") },
	})
	before, err := os.ReadFile(p.options.File)
	if err != nil {
		t.Fatal(err)
	}
	// A directory with something in it stands where the new file would be made.
	obstacle := p.options.File + ".new"
	if err := os.MkdirAll(filepath.Join(obstacle, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	got := ask(p, `disableClient "username":"admin"`, `listRoles`, `createRole "rolename":"admin"`)
	parts := []string{`{"command":"disableClient","error":"Nothing was changed, the configuration file could not be written: `,
		`{"command":"listRoles","data":{"totalCount":1,"roles":["admin"]}}`, `{"command":"createRole","error":"Role already exists"}`}
	for _, part := range parts {
		if !strings.Contains(got, part) {
			t.Errorf("%s\nin %s", part, got)
		}
	}
	if d, rule := p.Login(user("", "admin", adminPassword)); d != auth.Allow {
		t.Errorf("the administrator is refused by %q", rule)
	}
	if after, _ := os.ReadFile(p.options.File); string(after) != string(before) {
		t.Error("the file changed")
	}
	if !slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, "nothing was changed") }) {
		t.Errorf("the log does not say it: %q", lines)
	}

	if err := os.RemoveAll(obstacle); err != nil {
		t.Fatal(err)
	}
	p.options.Kick = nil
	do(t, p, `createRole "rolename":"r"`)
	if after, _ := os.ReadFile(p.options.File); !strings.Contains(string(after), `"rolename":	"r"`) {
		t.Errorf("the role is not in the file: %s", after)
	}
}

func TestFileKeepsItsPermissionsAndLink(t *testing.T) {
	dir := t.TempDir()
	real, link := filepath.Join(dir, "real"), filepath.Join(dir, "link")
	if err := os.WriteFile(real, []byte("{}"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	p, err := Open(Options{File: link})
	if err != nil {
		t.Fatal(err)
	}
	do(t, p, `createRole "rolename":"r"`)
	info, err := os.Lstat(link)
	if err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v %v", info, err)
	}
	if info, err = os.Stat(real); err != nil || info.Mode().Perm() != 0o640 || info.Size() < 10 {
		t.Errorf("%v %v", info, err)
	}
}

func TestInitialConfiguration(t *testing.T) {
	f := func(o Options, secret string) {
		t.Helper()
		dir := t.TempDir()
		o.File = filepath.Join(dir, "dynsec.json")
		if o.InitFile != "" {
			path := filepath.Join(dir, "init")
			if err := os.WriteFile(path, []byte(o.InitFile), 0o600); err != nil {
				t.Fatal(err)
			}
			o.InitFile = path
		}
		p, err := Open(o)
		if secret == "error" {
			if _, stat := os.Stat(o.File); err == nil || stat == nil {
				t.Errorf("%+v: no error, or a file was made: %v", o, err)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(o.File + ".pw")
		if secret == "" {
			secret, _ = strings.CutPrefix(strings.TrimSuffix(string(data), "\n"), "admin ")
			if len(secret) < 20 {
				t.Errorf("the password file says %q", data)
			}
		} else if err == nil {
			t.Errorf("a password file was made: %q", data)
		}
		for _, name := range []string{o.File, o.File + ".pw"} {
			if info, err := os.Stat(name); err == nil && info.Mode().Perm() != 0o600 {
				t.Errorf("%s has mode %v", name, info.Mode())
			}
		}
		again, err := Open(Options{File: o.File})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range []*Plugin{p, again} {
			if d, rule := p.Login(user("", "admin", secret)); d != auth.Allow {
				t.Errorf("%+v: refused by %s", o, rule)
			}
		}
	}
	f(Options{}, "")
	f(Options{InitPassword: "from the environment"}, "from the environment")
	f(Options{InitFile: " from a file \nsecond line", InitPassword: "other"}, "from a file")
	f(Options{InitFile: "\nsecond line"}, "error")
	if _, err := Open(Options{File: filepath.Join(t.TempDir(), "f"), InitFile: "/nowhere"}); err == nil {
		t.Error("an initial password file that does not exist is no error")
	}
	if _, err := Open(Options{}); err == nil {
		t.Error("no file is no error")
	}
}

func TestOpenErrorsAndWhatIsLeftOut(t *testing.T) {
	f := func(text string, wantErr bool, want ...string) {
		t.Helper()
		file := filepath.Join(t.TempDir(), "dynsec.json")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var lines []string
		_, err := Open(Options{File: file, Log: func(l string) { lines = append(lines, l) }})
		if (err != nil) != wantErr {
			t.Errorf("%s: %v", text, err)
		}
		for i := range max(len(lines), len(want)) {
			if i >= len(want) || i >= len(lines) || !strings.Contains(lines[i], want[i]) {
				t.Errorf("%s: %q, want %q", text, lines, want)
				break
			}
		}
	}
	f("", false)
	f("{}", false)
	f("{", true)
	f("[]", true)
	f(`{"clients":[{"username":"a","encoded":"x"},{"username":"b","encoded":"x"}]}`, false,
		`the client a has the unknown member "encoded" (and 1 more like this): left out`)
	f(`{"clients":[{"username":"a"},{"username":"a","textname":"b"},{}]}`, false,
		`an entry of "clients" has no valid "username"`, `there is another client "a"`)
	f(`{"clients":[{"username":"a","roles":[{"rolename":"r"}],"password":"x","salt":"y","iterations":1}],
		"groups":[{"groupname":"g","clients":[{"username":"b"}]}],"anonymousGroup":"h","extra":1}`, false,
		`the file has the unknown member "extra"`, `the rolename "r" is not known`, `the password of the client "a" is not valid`,
		`the client "b" of the group "g" is not known`, `the anonymous group "h" is not among the groups`)
	f(`{"roles":[{"rolename":"r","acls":[{"acltype":"x","topic":"a"}]}]}`, false, `an ACL of the role "r" is not valid`)
}

func TestBounds(t *testing.T) {
	p := memoryPlugin(t, Options{})
	f := func(want string, commands ...string) {
		t.Helper()
		if got := ask(p, commands...); !strings.Contains(got, `"error":"`+want+`"`) {
			t.Errorf("%.100s: %.200s", commands, got)
		}
	}
	long := strings.Repeat("x", nameBytesMax+1)
	f(string(errTooLong), `createRole "rolename":"`+long+`"`)
	f(string(errTooLong), `createClient "username":"u","textname":"`+long+`"`)
	f(string(errTooLong), `modifyClient "username":"admin","textname":"`+long+`"`)
	f(string(errTooLong), `addRoleACL "rolename":"admin","acltype":"publishClientSend","topic":"`+long+`"`)
	f("More than 10000 commands in one message", slices.Repeat([]string{"listClients"}, commandsMax+1)...)
	acls := strings.Join(slices.Repeat([]string{`{}`}, aclsMax+1), ",")
	f(string(errTooMany), `createRole "rolename":"r","acls":[`+acls+`]`)
	roles := strings.Join(slices.Repeat([]string{`{"rolename":"admin"}`}, refsMax+1), ",")
	f(string(errTooMany), `createClient "username":"u","roles":[`+roles+`]`)
	f("Payload not valid JSON", `listClients "x":`+strings.Repeat("[", depthMax+1)+strings.Repeat("]", depthMax+1))

	text := strings.Repeat("x", 60_000)
	for i := range 600 {
		s := *p.now.Load()
		s.clients = append(slices.Clone(s.clients), &client{username: fmt.Sprintf("c%03d", i), description: description{name: &text}})
		p.now.Store(&s)
	}
	f(string(errResponse), `listClients "verbose":true`)
	if got := ask(p, `listClients "verbose":true,"count":100,"offset":200`); len(got) < 100*len(text) {
		t.Errorf("%.200s", got)
	}
}

// TestLogLine: each command that was done is one line, whatever the names in it.
func TestLogLine(t *testing.T) {
	var lines []string
	p := memoryPlugin(t, Options{Log: func(line string) { lines = append(lines, line) }})
	lines = nil
	_ = ask(p, `createClient "username":"a\nb","password":"secret"`, `createClient "username":"a\nb"`, `listClients "count":3`,
		`addRoleACL "rolename":"admin","acltype":"publishclientsend","topic":"x/#","allow":true`)
	want := []string{
		"dynsec: admin-id/admin | createClient | username=a?b | password=*****",
		"dynsec: admin-id/admin | listClients | verbose=false | count=3 | offset=0",
		"dynsec: admin-id/admin | addRoleACL | rolename=admin | acltype=publishClientSend | topic=x/# | priority=0 | allow=true",
	}
	if !slices.Equal(lines, want) {
		t.Errorf("%q", lines)
	}
}

// TestConcurrent lets logins and connected clients decide while everything changes. It is for the race detector.
func TestConcurrent(t *testing.T) {
	p := memoryPlugin(t, Options{Kick: func(match func(*auth.Client) bool) { match(user("i", "u", "")) }})
	do(t, p, `createRole "rolename":"r","acls":[{"acltype":"publishClientSend","topic":"a","allow":true}]`,
		`createClient "username":"u","password":"p","roles":[{"rolename":"r"}]`)
	stop := make(chan struct{})
	var running sync.WaitGroup
	for range 3 {
		running.Go(func() {
			r := p.Rights(user("i", "u", "p"))
			for {
				select {
				case <-stop:
					return
				default:
				}
				// The role is given and taken, with and without the ACL, but never denies.
				if d, _ := r.Allows(auth.Receive, "a"); d != auth.Allow {
					t.Errorf("receive: %v", d)
				}
				_, _ = r.Allows(auth.Publish, "a")
			}
		})
	}
	for n := range 2 {
		running.Go(func() {
			for i := range 100 {
				name := fmt.Sprintf("%d-%d", n, i)
				_ = ask(p, `createClient "username":"`+name+`"`, `removeClientRole "username":"u","rolename":"r"`,
					`addClientRole "username":"u","rolename":"r"`, `modifyRole "rolename":"r","textname":"`+name+`"`,
					`listClients "verbose":true`, `deleteClient "username":"`+name+`"`)
				if d, rule := p.Login(user("i", "u", "p")); d != auth.Allow {
					t.Errorf("login: %v by %s", d, rule)
				}
			}
		})
	}
	running.Go(func() {
		for range 200 {
			_ = ask(p, `setDefaultACLAccess "acls":[]`)
		}
		close(stop)
	})
	running.Wait()
	if got := len(p.now.Load().clients); got != 2 {
		t.Errorf("%d clients are left", got)
	}
}

func TestAllowsDoesNotAllocate(t *testing.T) {
	p := memoryPlugin(t, Options{})
	do(t, p, `createRole "rolename":"r","acls":[{"acltype":"publishClientSend","topic":"%c/#"},
		{"acltype":"subscribePattern","topic":"a/+","allow":true}]`, `createClient "username":"u","roles":[{"rolename":"r"}]`)
	r := p.Rights(user("id", "u", ""))
	if n := testing.AllocsPerRun(100, func() {
		_, _ = r.Allows(auth.Publish, "id/a/b")
		_, _ = r.Allows(auth.Subscribe, "a/b")
		_, _ = r.Allows(auth.Receive, "a/b")
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestSaveError(t *testing.T) {
	p := open(t, Options{})
	p.save = func(*snapshot) error { return errors.New("the disk is full") }
	want := `{"responses":[{"command":"createRole",` +
		`"error":"Nothing was changed, the configuration file could not be written: the disk is full","correlationData":"c"}]}`
	if got := ask(p, `createRole "rolename":"r","correlationData":"c"`); got != want {
		t.Error(got)
	}
}
