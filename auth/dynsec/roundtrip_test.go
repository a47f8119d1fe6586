package dynsec

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/noctulemq/noctule/auth"
)

// elaborate configures something of everything that a file can hold.
var elaborate = []string{
	`createRole "rolename":"r1","textname":"T \"1\"","textdescription":"über\n\u0001/<&>","acls":[
		{"acltype":"publishClientSend","topic":"a/%c","priority":3,"allow":true},
		{"acltype":"publishClientSend","topic":"b","priority":-3},{"acltype":"publishClientReceive","topic":"#","allow":true},
		{"acltype":"subscribeLiteral","topic":"#"},{"acltype":"subscribePattern","topic":"s/+/x","allow":true},
		{"acltype":"unsubscribeLiteral","topic":"u"},{"acltype":"unsubscribePattern","topic":"u/#","allow":true}]`,
	`createRole "rolename":"r2","textname":""`, `createRole "rolename":"r3"`,
	`createGroup "groupname":"g1","textname":"G","textdescription":"D","roles":[{"rolename":"r1","priority":4},{"rolename":"r2"}]`,
	`createGroup "groupname":"g2"`, `setAnonymousGroup "groupname":"g2"`,
	`createClient "username":"c1","password":"p1","clientid":"id1","textname":"n","textdescription":"",
		"roles":[{"rolename":"r1","priority":1},{"rolename":"r3","priority":7},{"rolename":"r2"}],
		"groups":[{"groupname":"g2","priority":9},{"groupname":"g1"}]`,
	`createClient "username":"c2","groups":[{"groupname":"g1","priority":0}]`, `disableClient "username":"c2"`,
	`createClient "username":"c3","password":"p3"`,
	`setDefaultACLAccess "acls":[{"acltype":"subscribe","allow":true},{"acltype":"unsubscribe","allow":false}]`,
}

var listAll = []string{
	`{"commands":[{"command":"listClients","verbose":true},{"command":"listGroups","verbose":true},{"command":"listRoles","verbose":true}]}`,
	`{"commands":[{"command":"getAnonymousGroup"},{"command":"getDefaultACLAccess"}]}`,
}

// TestMosquittoReadsOurFile: it lists the same, lets the same clients in, and writes the same bytes again.
func TestMosquittoReadsOurFile(t *testing.T) {
	debian(t)
	p := open(t, Options{})
	do(t, p, elaborate...)
	theirs := filepath.Join(t.TempDir(), "dynsec.json")
	copyFile(t, p.options.File, theirs)
	m := startMosquitto(t, theirs)
	admin := m.admin()
	for _, line := range listAll {
		got, err := admin.control(line)
		if want := string(p.Handle(administrator, []byte(line))); err != nil || got != want {
			t.Errorf("Mosquitto lists %s (%v), want %s", got, err, want)
		}
	}
	for _, c := range []*auth.Client{user("id1", "c1", "p1"), user("id2", "c1", "p1"), user("id1", "c1", "p2"),
		user("x", "c2", "p"), user("x", "c3", "p3")} {
		want, _ := p.Login(c)
		if _, code := m.connect(c.ID, c.UserName, string(c.Password)); (code == 0) != (want == auth.Allow) {
			t.Errorf("%s/%s: Mosquitto answers %#x, Login %v", c.ID, c.UserName, code, want)
		}
	}
	// The control tool sees it too.
	out, err := exec.Command("mosquitto_ctrl", "-h", "127.0.0.1", "-p", fmt.Sprint(m.port), "-u", "admin", "-P", adminPassword,
		"dynsec", "getClient", "c1").Output()
	if err != nil || !strings.Contains(string(out), "Clientid: id1\n") {
		t.Errorf("mosquitto_ctrl: %v: %s", err, out)
	}

	if _, err := admin.control(`{"commands":[{"command":"enableClient","username":"c3"}]}`); err != nil {
		t.Fatal(err)
	}
	m.stop()
	equalFiles(t, theirs, p.options.File)
}

// TestWeReadMosquittosFile: what it wrote is what we would have written, and clients log in with the passwords it hashed.
func TestWeReadMosquittosFile(t *testing.T) {
	debian(t)
	file := filepath.Join(t.TempDir(), "dynsec.json")
	if out, err := exec.Command("mosquitto_ctrl", "dynsec", "init", file, "admin", adminPassword).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var skipped []string
	initial, err := Open(Options{File: file, Log: func(line string) { skipped = append(skipped, line) }})
	if err != nil {
		t.Fatal(err)
	}
	if d, rule := initial.Login(user("", "admin", adminPassword)); d != auth.Allow || len(skipped) > 0 {
		t.Errorf("the administrator of mosquitto_ctrl dynsec init: %v by %s; skipped %s", d, rule, skipped)
	}

	m := startMosquitto(t, file)
	admin := m.admin()
	for _, c := range elaborate {
		name, members, _ := strings.Cut(c, " ")
		got, err := admin.control(`{"commands":[{"command":"` + name + `",` + members + `}]}`)
		if err != nil || strings.Contains(got, `"error"`) {
			t.Fatalf("%s: %s %v", c, got, err)
		}
	}
	var lists []string
	for _, line := range listAll {
		got, err := admin.control(line)
		if err != nil {
			t.Fatal(err)
		}
		lists = append(lists, got)
	}
	m.stop()

	theirs := file + ".theirs"
	copyFile(t, file, theirs)
	skipped = nil
	p, err := Open(Options{File: file, Log: func(line string) { skipped = append(skipped, line) }})
	if err != nil || len(skipped) > 0 {
		t.Fatalf("%v; skipped %s", err, skipped)
	}
	for i, line := range listAll {
		if got := string(p.Handle(administrator, []byte(line))); got != lists[i] {
			t.Errorf("we list      %s\nMosquitto did %s", got, lists[i])
		}
	}
	if d, rule := p.Login(user("id1", "c1", "p1")); d != auth.Allow {
		t.Errorf("c1 is refused by %s", rule)
	}
	do(t, p, `enableClient "username":"c3"`)
	equalFiles(t, file, theirs)
}

func equalFiles(t *testing.T, got, want string) {
	t.Helper()
	a, err1 := os.ReadFile(got)
	b, err2 := os.ReadFile(want)
	if err1 != nil || err2 != nil || string(a) != string(b) {
		t.Errorf("%v %v\ngot:\n%s\nwant:\n%s", err1, err2, a, b)
	}
}

// TestSameDecisionsAsMosquitto asks both for the same actions of the same clients.
func TestSameDecisionsAsMosquitto(t *testing.T) {
	debian(t)
	p := open(t, Options{})
	roles := map[string]string{
		"order":   `{"acltype":"subscribePattern","topic":"a/#","allow":true,"priority":9},{"acltype":"subscribeLiteral","topic":"a/b"}`,
		"reverse": `{"acltype":"subscribePattern","topic":"a/#","priority":9},{"acltype":"subscribeLiteral","topic":"a/b","allow":true}`,
		"sub": `{"acltype":"subscribePattern","topic":"+/x","allow":true},{"acltype":"subscribePattern","topic":"s/#","allow":true},
			{"acltype":"subscribePattern","topic":"t/+","allow":true},{"acltype":"subscribeLiteral","topic":"l/+/#","allow":true},
			{"acltype":"subscribePattern","topic":"d/+/#","allow":true}`,
		"all": `{"acltype":"subscribePattern","topic":"#","allow":true},{"acltype":"publishClientSend","topic":"#","allow":true}`,
		"pub": `{"acltype":"publishClientSend","topic":"p/+/x","allow":true},
			{"acltype":"publishClientSend","topic":"p/no/x","priority":4},{"acltype":"publishClientSend","topic":"q/#","allow":true},
			{"acltype":"publishClientSend","topic":"","allow":true},{"acltype":"publishClientSend","topic":"w/#/x","allow":true}`,
		"unsub":  `{"acltype":"unsubscribePattern","topic":"x/#"},{"acltype":"unsubscribeLiteral","topic":"x/y","allow":true}`,
		"g":      `{"acltype":"publishClientSend","topic":"g","allow":true}`,
		"deny-g": `{"acltype":"publishClientSend","topic":"g"}`,
		"hi":     `{"acltype":"subscribePattern","topic":"a/#","allow":true}`,
		"lo":     `{"acltype":"subscribeLiteral","topic":"a/b"}`,
	}
	for name, acls := range roles {
		do(t, p, `createRole "rolename":"`+name+`","acls":[`+acls+`]`,
			`createClient "username":"`+name+`","password":"p","roles":[{"rolename":"`+name+`"}]`)
	}
	do(t, p, `createGroup "groupname":"allow","roles":[{"rolename":"g"}]`, `createGroup "groupname":"deny","roles":[{"rolename":"deny-g"}]`,
		`createClient "username":"own-first","password":"p","roles":[{"rolename":"deny-g","priority":-100}],"groups":[{"groupname":"allow","priority":100}]`,
		`createClient "username":"deny-higher","password":"p","groups":[{"groupname":"allow","priority":1},{"groupname":"deny","priority":2}]`,
		`createClient "username":"by-name","password":"p","groups":[{"groupname":"deny"},{"groupname":"allow"}]`,
		`createClient "username":"hi-first","password":"p","roles":[{"rolename":"hi","priority":5},{"rolename":"lo","priority":1}]`,
		`createClient "username":"lo-first","password":"p","roles":[{"rolename":"hi","priority":1},{"rolename":"lo","priority":5}]`,
		`setAnonymousGroup "groupname":"allow"`)
	theirs := filepath.Join(t.TempDir(), "dynsec.json")
	copyFile(t, p.options.File, theirs)
	m := startMosquitto(t, theirs)

	f := func(name string, a auth.Action, topics ...string) {
		t.Helper()
		secret := "p"
		if name == "" {
			secret = ""
		}
		who := user("id", name, secret)
		for _, topic := range topics {
			c, code := m.connect(who.ID, who.UserName, secret)
			if code != 0 {
				t.Fatalf("%s is refused: %#x", name, code)
			}
			act := map[auth.Action]func(string) (byte, error){
				auth.Publish: c.publish, auth.Subscribe: c.subscribe, auth.Unsubscribe: c.unsubscribe}[a]
			code, err := act(topic)
			if err != nil {
				t.Fatalf("%s %s: %v", name, topic, err)
			}
			_ = c.conn.Close()
			if got, rule := p.Rights(who).Allows(a, topic); (got == auth.Allow) != (code < 0x80) {
				t.Errorf("%s: action %d on %s: %v by %q, Mosquitto answers %#x", name, a, topic, got, rule, code)
			}
		}
	}
	f("order", auth.Subscribe, "a/b", "a/c", "a/#", "a/+", "a", "#", "+/b")
	f("reverse", auth.Subscribe, "a/b", "a/c", "a/#", "b")
	f("sub", auth.Subscribe, "$SYS/x", "a/x", "+/x", "#", "s", "s/", "s/#", "t", "t/", "t/a", "t/+", "t/#", "/x", "$share/g/t/a",
		"$share/g/s/#", "l/+/#", "l/a/b", "d/x", "d/+", "d/#", "d/+/#", "d/+/+", "d")
	f("all", auth.Subscribe, "#", "$SYS/#", "$share/g/a", "+", "/", "a/+/#")
	f("all", auth.Publish, "a", "/", "a/b/c")
	f("pub", auth.Publish, "p/a/x", "p/no/x", "p/a/y", "p//x", "q", "q/", "q/a/b", "P/a/x", "w/a/x", "w", "z")
	f("pub", auth.Unsubscribe, "a")
	f("unsub", auth.Unsubscribe, "x/y", "x/z", "x", "o", "x/#")
	f("own-first", auth.Publish, "g")
	f("deny-higher", auth.Publish, "g")
	f("by-name", auth.Publish, "g")
	f("hi-first", auth.Subscribe, "a/b", "a/c")
	f("lo-first", auth.Subscribe, "a/b", "a/c")
	f("", auth.Publish, "g", "h")
	f("", auth.Subscribe, "g")
	f("", auth.Unsubscribe, "g")
}

// TestKilledWhileSaving kills a process that changes the configuration as fast as it can, again and again. Each time the
// file is whole and holds every change that was answered.
func TestKilledWhileSaving(t *testing.T) {
	const variable = "DYNSEC_TEST_FILE"
	if file := os.Getenv(variable); file != "" {
		changeUntilKilled(t, file)
		return
	}
	p := open(t, Options{})
	clients := make([]string, 3000)
	for i := range clients {
		clients[i] = fmt.Sprintf(`createClient "username":"filler-%04d","textdescription":"%s"`, i, strings.Repeat("x", 100))
	}
	do(t, p, clients...)
	answered := ""
	for round := range 25 {
		child := exec.Command(os.Args[0], "-test.run=^TestKilledWhileSaving$", "-test.v")
		child.Env = append(os.Environ(), variable+"="+p.options.File)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		scan := bufio.NewScanner(out)
		for n := 1 + rand.IntN(5); n > 0 && scan.Scan(); {
			if name, ok := strings.CutPrefix(scan.Text(), "answered "); ok {
				answered = name
				n--
			}
		}
		_ = child.Process.Kill()
		for scan.Scan() { // what it said before it was killed
			if name, ok := strings.CutPrefix(scan.Text(), "answered "); ok {
				answered = name
			}
		}
		_ = child.Wait()
		again, err := Open(Options{File: p.options.File, Log: func(line string) { t.Error(line) }})
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		s := again.now.Load()
		if answered == "" || s.clients.find(answered) == nil || s.clients.find("filler-2999") == nil {
			t.Fatalf("round %d: %q was answered and is not in the file of %d clients", round, answered, len(s.clients))
		}
	}
}

// changeUntilKilled is the process that is killed.
func changeUntilKilled(t *testing.T, file string) {
	p, err := Open(Options{File: file})
	if err != nil {
		t.Fatal(err)
	}
	for i := len(p.now.Load().clients); ; i++ {
		name := fmt.Sprintf("new-%06d", i)
		do(t, p, `createClient "username":"`+name+`"`)
		fmt.Println("answered " + name)
	}
}
