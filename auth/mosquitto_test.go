package auth_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/noctulemq/noctule/auth"
	"github.com/noctulemq/noctule/auth/passwd"
)

const mosquitto = "/usr/sbin/mosquitto"

// needMosquitto skips a test where there is no Mosquitto 2.0 to compare with.
func needMosquitto(t *testing.T) {
	t.Helper()
	out, err := exec.Command(mosquitto, "-h").CombinedOutput()
	if !bytes.HasPrefix(out, []byte("mosquitto version 2.0.")) {
		t.Skipf("install mosquitto 2.0 to run this test: %v", err)
	}
}

// broker is a running Mosquitto.
type broker struct {
	t    *testing.T
	addr string
}

// start runs Mosquitto with a configuration, beside files by name; DIR stands for their directory. It returns the log and
// the exit code if Mosquitto ends instead of listening.
func start(t *testing.T, conf string, files map[string]string) (b *broker, log string, exit int) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(addr)
	conf = "listener " + port + " 127.0.0.1\nuser root\n" + strings.ReplaceAll(conf, "DIR", dir)
	if err := os.WriteFile(filepath.Join(dir, "conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := exec.Command(mosquitto, "-c", filepath.Join(dir, "conf"))
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
	for {
		select {
		case <-ended:
			return nil, strings.ReplaceAll(out.String(), dir, "DIR"), cmd.ProcessState.ExitCode()
		case <-time.After(5 * time.Millisecond):
		}
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return &broker{t: t, addr: addr}, "", 0
		}
	}
}

// client is a connection that speaks MQTT 5.
type client struct {
	*broker
	net.Conn
}

func field(s string) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...) }

// packet sends a packet of up to 127 bytes, or of up to 16 KiB.
func (c *client) packet(kind byte, parts ...[]byte) {
	c.t.Helper()
	body := bytes.Join(parts, nil)
	head := binary.AppendUvarint([]byte{kind}, uint64(len(body)))
	if _, err := c.Write(append(head, body...)); err != nil {
		c.t.Fatal(err)
	}
}

// read returns the next packet; kind 0 means that the connection is closed.
func (c *client) read() (kind byte, body []byte) {
	c.t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	var one [1]byte
	if _, err := io.ReadFull(c, one[:]); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			c.t.Fatal("Mosquitto does not answer")
		}
		return 0, nil
	}
	kind, size := one[0], 0
	for shift := 0; ; shift += 7 {
		if _, err := io.ReadFull(c, one[:]); err != nil {
			c.t.Fatal(err)
		}
		size |= int(one[0]&0x7f) << shift
		if one[0] < 0x80 {
			break
		}
	}
	body = make([]byte, size)
	if _, err := io.ReadFull(c, body); err != nil {
		c.t.Fatal(err)
	}
	return kind, body
}

// connect logs a client in; code is the reason code of the CONNACK.
func (b *broker) connect(who auth.Client) (c *client, code byte) {
	b.t.Helper()
	conn, err := net.Dial("tcp", b.addr)
	if err != nil {
		b.t.Fatal(err)
	}
	c = &client{broker: b, Conn: conn}
	flags := byte(2)
	payload := field(who.ID)
	if who.HasUserName {
		flags |= 0x80
		payload = append(payload, field(who.UserName)...)
	}
	if who.HasPassword {
		flags |= 0x40
		payload = append(payload, field(string(who.Password))...)
	}
	c.packet(0x10, field("MQTT"), []byte{5, flags, 0, 60, 0}, payload)
	_, body := c.read()
	if len(body) < 2 {
		b.t.Fatal("no CONNACK")
	}
	return c, body[1]
}

// publish sends a message and returns the reason code of its PUBACK.
func (c *client) publish(topic string) byte {
	c.t.Helper()
	c.packet(0x32, field(topic), []byte{0, 1, 0}, []byte("x"))
	for {
		switch kind, body := c.read(); kind {
		case 0x40:
			if len(body) > 2 {
				return body[2]
			}
			return 0
		case 0:
			c.t.Fatalf("closed after a PUBLISH to %q", topic)
		}
	}
}

// subscribe enters a filter and returns the reason code of the SUBACK.
func (c *client) subscribe(filter string) byte {
	c.t.Helper()
	c.packet(0x82, []byte{0, 1, 0}, field(filter), []byte{0})
	for {
		if kind, body := c.read(); kind == 0x90 {
			return body[len(body)-1]
		} else if kind == 0 {
			c.t.Fatalf("closed after a SUBSCRIBE to %q", filter)
		}
	}
}

// receives reports whether a message arrives before the answer to a ping.
func (c *client) receives() bool {
	c.t.Helper()
	c.packet(0xc0)
	for got := false; ; {
		switch kind, _ := c.read(); kind >> 4 {
		case 3:
			got = true
		case 13:
			return got
		case 0:
			c.t.Fatal("closed after a PINGREQ")
		}
	}
}

func user(id, name string) auth.Client {
	return auth.Client{ID: id, UserName: name, HasUserName: true, Password: []byte("x"), HasPassword: true}
}

// ask is a client that publishes to a topic and wants its messages. An empty user name is none.
type ask struct{ id, user, topic string }

// mosquittoACLs are ACL files and what is asked of them.
var mosquittoACLs = []struct {
	file string
	asks []ask
}{
	{"topic a", []ask{{"c", "", "a"}, {"c", "u", "a"}, {"c", "", "b"}, {"c", "", "a"}}},
	{"topic read a\ntopic write b\ntopic readwrite c\ntopic deny d", []ask{
		{"c", "", "a"}, {"c", "", "b"}, {"c", "", "c"}, {"c", "", "d"},
	}},
	{"topic a\ntopic deny a", []ask{{"c", "", "a"}}},
	{"topic deny #\ntopic a", []ask{{"c", "", "a"}, {"c", "", "b"}}},
	{"topic #\ntopic deny a", []ask{{"c", "", "a"}, {"c", "", "b"}, {"c", "", "$foo/x"}}},
	{"topic $foo/#", []ask{{"c", "", "$foo/x"}, {"c", "", "a"}}},
	{"topic +/x", []ask{{"c", "", "$foo/x"}, {"c", "", "a/x"}}},
	{"user u\ntopic a\nuser v\ntopic b\nuser u\ntopic c", []ask{
		{"c", "u", "a"}, {"c", "u", "b"}, {"c", "u", "c"}, {"c", "v", "c"}, {"c", "v", "b"},
	}},
	{"topic a\nuser u\ntopic b", []ask{{"c", "u", "a"}, {"c", "u", "b"}, {"c", "", "a"}, {"c", "", "b"}, {"c", "w", "a"}}},
	{"user u\ntopic a\npattern deny a\npattern b", []ask{{"c", "u", "a"}, {"c", "u", "b"}, {"c", "", "a"}, {"c", "", "b"}}},
	{"user u\ntopic deny b\npattern b", []ask{{"c", "u", "b"}, {"c", "", "b"}}},
	{"pattern deny #\npattern b", []ask{{"c", "u", "b"}, {"c", "", "b"}}},
	{"pattern a/%u\npattern b/%c\npattern c", []ask{
		{"c", "u", "a/u"}, {"c", "u", "b/c"}, {"c", "u", "c"}, {"c", "", "a/u"}, {"c", "", "b/c"}, {"c", "", "c"},
		{"c", "", "a/"}, {"c", "", "a/%u"},
	}},
	{"pattern deny a/%u\npattern #", []ask{{"c", "u", "a/u"}, {"c", "", "a/"}, {"c", "u", "b"}}},
	{"pattern a\nuser u+\ntopic b", []ask{{"c", "u+", "a"}, {"c", "u+", "b"}, {"u+", "", "a"}, {"c", "", "a"}}},
	{"pattern a\nuser #\ntopic b", []ask{{"c", "#", "a"}, {"c", "#", "b"}, {"#", "", "a"}}},
	{"pattern a/%u/b\npattern +/%c", []ask{{"c", "u/x", "a/u/x/b"}, {"c", "", "z/c"}, {"i/d", "", "z/i/d"}}},
	{"pattern a/%c\npattern b/%u", []ask{{"%u", "u", "a/%u"}, {"%u", "u", "a/u"}, {"c", "%c", "b/%c"}, {"c", "%c", "b/c"}}},
	{"pattern x%u/a\npattern %ux/b\npattern %c%u/c", []ask{
		{"c", "u", "xu/a"}, {"c", "u", "ux/b"}, {"c", "u", "cu/c"}, {"c", "u", "x%u/a"},
	}},
	{"pattern %x/a\npattern 100%/b\npattern %%u/c\npattern %U/d", []ask{
		{"c", "u", "%x/a"}, {"c", "u", "100%/b"}, {"c", "u", "%u/c"}, {"c", "u", "%%u/c"}, {"c", "u", "u/d"},
	}},
	{"pattern %u/#", []ask{{"c", "$foo", "$foo/x"}, {"c", "x", "x/y"}}},
	{"topic %u/a\nuser u\ntopic %u/x", []ask{{"c", "", "%u/a"}, {"c", "u", "u/x"}, {"c", "u", "%u/x"}}},
	{"pattern read a/%u\npattern write b/%u", []ask{{"c", "u", "a/u"}, {"c", "u", "b/u"}}},
	{"user u\n", []ask{{"c", "u", "a"}, {"c", "", "a"}}},
	{"topic a\nuser u\nuser v\ntopic b", []ask{{"c", "u", "a"}, {"c", "v", "b"}, {"c", "u", "b"}}},
	{"", []ask{{"c", "u", "a"}, {"c", "", "a"}}},
	{"topic read a b", []ask{{"c", "", "a b"}, {"c", "", "a"}}},
	{"topic read a  b", []ask{{"c", "", "a  b"}, {"c", "", "a b"}}},
	{"topic  read  a", []ask{{"c", "", "a"}, {"c", "", " a"}}},
	{" topic a", []ask{{"c", "", "a"}}},
	{"topic a \t", []ask{{"c", "", "a"}, {"c", "", "a "}}},
	{"topic a\r\n\r\n# x\r\ntopic b\r", []ask{{"c", "", "a"}, {"c", "", "b"}}},
	{"topic read a\r\n\n   \n\t\n", []ask{{"c", "", "a"}}},
	{"user  u\ntopic a", []ask{{"c", "u", "a"}}},
	{"user u \ntopic a", []ask{{"c", "u", "a"}, {"c", "u ", "a"}}},
	{"user u v\ntopic a", []ask{{"c", "u v", "a"}, {"c", "u", "a"}}},
	{"user \"u v\"\ntopic a", []ask{{"c", "u v", "a"}, {"c", "\"u v\"", "a"}}},
	{"topic readwrite\ntopic deny deny\ntopic read", []ask{{"c", "", "readwrite"}, {"c", "", "deny"}, {"c", "", "read"}}},
	{"topic a/#\ntopic +/+/b/#", []ask{
		{"c", "", "a"}, {"c", "", "a/b"}, {"c", "", "ab"}, {"c", "", "x/y/b"}, {"c", "", "x/y/b/c"}, {"c", "", "x/b"},
	}},
	{"topic //\ntopic /", []ask{{"c", "", "//"}, {"c", "", "/"}, {"c", "", "a"}}},
	{"topic +/#", []ask{{"c", "", "a"}, {"c", "", "/a"}, {"c", "", "$foo/a"}}},
}

func TestACLAgreesWithMosquitto(t *testing.T) {
	needMosquitto(t)
	for _, x := range mosquittoACLs {
		t.Run(x.file, func(t *testing.T) {
			t.Parallel()
			const admin = "\nuser admin\ntopic #\ntopic $foo/#\n"
			path := filepath.Join(t.TempDir(), "acl")
			if err := os.WriteFile(path, []byte(x.file+admin), 0o600); err != nil {
				t.Fatal(err)
			}
			acl, err := auth.LoadACL(path)
			if err != nil {
				t.Fatal(err)
			}
			b, log, _ := start(t, "allow_anonymous true\nacl_file DIR/acl\n", map[string]string{"acl": x.file + admin})
			if b == nil {
				t.Fatal(log)
			}
			publisher, _ := b.connect(user("admin", "admin"))
			for _, ask := range x.asks {
				who, topic := auth.Client{ID: ask.id}, ask.topic
				if ask.user != "" {
					who = user(ask.id, ask.user)
				}
				c, code := b.connect(who)
				if code != 0 {
					t.Fatalf("%+v: CONNACK %#x", ask, code)
				}
				writes := c.publish(topic) != 0x87
				if code := c.subscribe(topic); code != 0 {
					t.Errorf("%+v: SUBACK %#x", ask, code)
				}
				if code := publisher.publish(topic); code == 0x87 {
					t.Fatalf("%+v: the publisher may not publish", ask)
				}
				reads := c.receives()
				c.Close()
				rights := acl.Rights(&who)
				for a, want := range map[auth.Action]bool{auth.Publish: writes, auth.Receive: reads, auth.Subscribe: true} {
					if d, rule := rights.Allows(a, topic); (d == auth.Allow) != want || d == auth.Defer {
						t.Errorf("%+v, action %d: %v %q, Mosquitto allows: %v", ask, a, d, rule, want)
					}
				}
			}
		})
	}
}

func TestACLErrorsAreMosquittos(t *testing.T) {
	needMosquitto(t)
	for _, file := range []string{
		"topic", "topic ", "topic a b", "topic READ a", "topic none a", "topic\tread\ta", "\ttopic a", "TOPIC a", "bogus a", "user",
		"user \ntopic a", "topic a#", "topic a/#/b", "topic a+/b", "pattern a#", "pattern #/%u", "pattern", "\ufefftopic a",
		"topic " + strings.Repeat("a/", 300) + "b",
	} {
		t.Run(fmt.Sprintf("%.20q", file), func(t *testing.T) {
			t.Parallel()
			b, log, exit := start(t, "allow_anonymous true\nacl_file DIR/acl\n", map[string]string{"acl": file})
			if b != nil || exit != 3 {
				t.Fatalf("Mosquitto accepts it; exit code %d", exit)
			}
			path := filepath.Join(t.TempDir(), "acl")
			if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := auth.LoadACL(path)
			var errs auth.Errors
			if !errors.As(err, &errs) {
				t.Fatalf("error %v; Mosquitto says\n%s", err, log)
			}
			want := strings.ReplaceAll(errs[0].Text, path, "DIR/acl")
			if len(want) > 150 {
				want = want[:150]
			}
			if !strings.Contains(log, "Error: "+want) {
				t.Errorf("%q is not what Mosquitto says:\n%s", want, log)
			}
		})
	}
}

func TestLoginAgreesWithMosquitto(t *testing.T) {
	needMosquitto(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "passwords")
	var empty bytes.Buffer
	for i, args := range [][]string{
		{"-c", "-b", file, "seven", "pw"},
		{"-H", "sha512", "-b", file, "six", "pw"},
		{"-I", "20000", "-b", file, "slow one", "pw"},
		{"-b", file, "nopassword", ""},
	} {
		// Half of the file is by their tool and half by ours.
		if tool, err := exec.LookPath("mosquitto_passwd"); err == nil && i%2 == 1 {
			if out, err := exec.Command(tool, args...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		} else if code := passwd.Main("passwd", args, &empty, io.Discard, os.Stderr); code != 0 {
			t.Fatalf("%v: exit code %d", args, code)
		}
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	passwords, err := auth.LoadPasswords(file)
	if err != nil {
		t.Fatal(err)
	}
	aclPath := filepath.Join(dir, "acl")
	if err := os.WriteFile(aclPath, []byte("topic a"), 0o600); err != nil {
		t.Fatal(err)
	}
	acl, err := auth.LoadACL(aclPath)
	if err != nil {
		t.Fatal(err)
	}
	var clients []auth.Client
	for _, name := range []string{"-", "", "seven", "six", "slow one", "nopassword", "unknown"} {
		for _, password := range []string{"-", "", "pw", "no"} {
			c := auth.Client{ID: "c"}
			if name != "-" {
				c.UserName, c.HasUserName = name, true
			}
			if password != "-" {
				c.Password, c.HasPassword = []byte(password), true
			}
			clients = append(clients, c)
		}
	}
	for _, anonymous := range []string{"", "allow_anonymous true\n", "allow_anonymous false\n"} {
		for _, withPasswords := range []bool{false, true} {
			for _, withACL := range []bool{false, true} {
				conf, scope := anonymous, auth.Scope{AllowAnonymous: strings.Contains(anonymous, "true")}
				if withPasswords {
					conf, scope.Passwords = conf+"password_file DIR/passwords\n", passwords
				}
				if withACL {
					conf, scope.ACL = conf+"acl_file DIR/acl\n", acl
				}
				b, log, _ := start(t, conf, map[string]string{"passwords": string(content), "acl": "topic a"})
				if b == nil {
					t.Fatal(log)
				}
				for _, who := range clients {
					c, code := b.connect(who)
					c.Close()
					if code != 0 && code != 0x87 {
						t.Fatalf("CONNACK %#x", code)
					}
					if ok, rule := scope.Login(&who); ok != (code == 0) {
						t.Errorf("%q with user %q (%v), password %q (%v): %v %q, Mosquitto %#x", conf, who.UserName, who.HasUserName,
							who.Password, who.HasPassword, ok, rule, code)
					}
				}
			}
		}
	}
}
