package auth

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Lines that Debian's mosquitto_passwd wrote for the password "pw", and one of the argon2 program.
const (
	line7 = "u:$7$101$43FSfxFaIKX6/Kw2$AlOL91hbXq6ncha5Q2YxhLjcZclPo4vCRm3lF0MkLFM7MnFKqnQgQjyKul5oQ2foCn+H8s+WhJRHo+1E5I1VzA=="
	line6 = "s:$6$w/UCXr4gcLAnLRmv$2iA3kTwCbWwcuG4+bAbVilhBR0tkPbpiAfNUsHzPCM6eHjai2ifTokEeoJ1WJitU1SzIN2ut/qP3W5OlH79K0g=="
)

func TestPasswordsLogin(t *testing.T) {
	argon := "a:" + EncodePassword(Argon2id, []byte("pw"), 0)
	p := loadPasswords(t, line7+"\n"+line6+"\n"+argon+"\n")
	f := func(c Client, want Decision, rule string) {
		t.Helper()
		if d, r := p.Login(&c); d != want || !strings.HasSuffix(r, rule) {
			t.Errorf("%+v: %v %q, want %v %q", c, d, r, want, rule)
		}
	}
	for line, user := range []string{"u", "s", "a"} {
		f(named(user, "pw"), Allow, "")
		f(named(user, "pW"), Deny, fmt.Sprintf(":%d: wrong password", line+1))
		f(Client{UserName: user, HasUserName: true}, Deny, "a user name without a password")
		f(named(user, ""), Deny, "a user name without a password")
	}
	f(named("U", "pw"), Deny, "no such user")
	f(Client{}, Defer, "")
	f(Client{HasUserName: true, Password: []byte("x"), HasPassword: true}, Defer, "")
	f(Client{Password: []byte("x"), HasPassword: true}, Defer, "")
	if r := p.Rights(&Client{}); r != nil {
		t.Errorf("rights %v, want none", r)
	}
}

func TestPasswordFileForms(t *testing.T) {
	f := func(content, user string) {
		t.Helper()
		p := loadPasswords(t, content)
		c := named(user, "pw")
		if d, rule := p.Login(&c); d != Allow {
			t.Errorf("%q: %v %q", content, d, rule)
		}
	}
	f(line7, "u")                     // no line feed at the end
	f(line7+"\r\n", "u")              // Windows
	f("  "+line7+" \t\n", "u")        // blanks around
	f("u: "+line7[2:], "u")           // blanks before the hash
	f("u x"+line7[1:], "u x")         // a blank within
	f("u "+line7[1:], "u ")           // a blank before the colon is the name's
	f("\n \n# c:x\n #y\n"+line7, "u") // comments
	f("u"+line6[1:]+"\n"+line7, "u")  // the last line of a user counts
	f(line7+":more", "u")             // what follows is ignored
	f(line7+"$more", "u")
}

func TestPasswordFileErrors(t *testing.T) {
	const salt, hash = "43FSfxFaIKX6/Kw2", "AlOL91hbXq6ncha5Q2YxhLjcZclPo4vCRm3lF0MkLFM7MnFKqnQgQjyKul5oQ2foCn+H8s+WhJRHo+1E5I1VzA=="
	const argonTail = "$c29tZXNhbHRzb21lc2FsdA$cMGpSiTtHiLBmUbBSEDFLDqbzpiQ2R5cLMb6qnJRLbs"
	f := func(content string, wants ...string) {
		t.Helper()
		path := write(t, content)
		_, err := LoadPasswords(path)
		var errs Errors
		if !errors.As(err, &errs) {
			t.Fatalf("%.200q: error %v", content, err)
		}
		for _, want := range wants {
			if !strings.Contains(err.Error(), strings.ReplaceAll(want, "FILE", path)) {
				t.Errorf("%.200q: %v\nlacks %q", content, err, want)
			}
		}
	}
	f("u", "Error: Invalid line in password file (FILE:1); ")
	f("\nu:", "Error: Invalid line in password file (FILE:2); ")
	f(":"+salt, "Error: Invalid line in password file (FILE:1); ")
	f(line7+"\nu:secret", "Error: Invalid line in password file (FILE:2); ", `user "u" is not hashed`,
		`"noctule passwd -U FILE"`, `"mosquitto_passwd -U FILE"`)
	f("u:$5$x$y", "is not hashed in a known way")
	f("u:$secret", "is not hashed in a known way")
	decode := func(field, want string) {
		t.Helper()
		f("u:"+field, "Error: Unable to decode line in password file (FILE:1); ", want)
	}
	decode("$7", "a field is missing")
	decode("$7$", "the iterations")
	decode("$7$101$"+salt, "a field is missing")
	decode("$7$0$"+salt+"$"+hash, "the iterations")
	decode("$7$-1$"+salt+"$"+hash, "the iterations")
	decode("$7$5000001$"+salt+"$"+hash, "the iterations")
	decode("$7$99999999999999999999$"+salt+"$"+hash, "the iterations")
	decode("$7$101$!$"+hash, "the salt")
	decode("$7$101$$"+hash, "the salt")
	decode("$7$101$"+strings.Repeat("AAAA", 100)+"$"+hash, "the salt")
	decode("$7$101$"+salt+"$", "the hash")
	decode("$7$101$"+salt+"$AAAA", "the hash")
	decode("$7$101$"+salt+"$"+strings.TrimRight(hash, "="), "the hash")
	decode("$6$"+salt, "a field is missing")
	decode("$6$"+salt+"$AAAA", "the hash")
	decode("$argon2id$v=19", "a field is missing")
	decode("$argon2id$v=16$m=64,t=1,p=1"+argonTail, "argon2id must have")
	decode("$argon2id$v=19$m=64,t=0,p=1"+argonTail, "argon2id must have")
	decode("$argon2id$v=19$m=64,t=1,p=0"+argonTail, "argon2id must have")
	decode("$argon2id$v=19$m=64,t=1,p=9"+argonTail, "argon2id must have")
	decode("$argon2id$v=19$m=4194304,t=1,p=1"+argonTail, "argon2id must have")
	decode("$argon2id$v=19$m=262144,t=100000,p=1"+argonTail, "argon2id must have")
	decode("$argon2id$v=19$m=64,t=1,p=300"+argonTail, "argon2id must have")
	decode("$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$AAAA", "the hash")
	f(strings.Repeat("x", 70_000)+":"+salt, "the user name is longer")
	f("u:"+strings.Repeat("x", 80_000), "Line too long")
	f("a\nb\n"+line7, "FILE:1", "FILE:2")
	if _, err := LoadPasswords(write(t, strings.Repeat("bad\n", 1000))); strings.Count(err.Error(), "\n")+1 != errorsMax {
		t.Errorf("a file of bad lines has %d errors, want %d", strings.Count(err.Error(), "\n")+1, errorsMax)
	}
}

func TestPasswordFileThatCannotBeRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none")
	_, err := LoadPasswords(path)
	if want := fmt.Sprintf("Error: Unable to open pwfile %q: no such file or directory", path); !errors.Is(err, fs.ErrNotExist) ||
		err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if _, err := LoadPasswords(t.TempDir()); err == nil || !strings.HasSuffix(err.Error(), "is a directory") {
		t.Errorf("a directory: %v", err)
	}
}

// A secret must not end up in a log because its line is wrong.
func TestErrorsDoNotRepeatPasswords(t *testing.T) {
	_, err := LoadPasswords(write(t, "u:hunter2\nv:$7$x$hunter2$hunter2\n"))
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v", err)
	}
}

func TestUnknownUserIsVerifiedAtTheCommonCost(t *testing.T) {
	twice := EncodePassword(PBKDF2, []byte("x"), 2000)
	p := loadPasswords(t, line6+"\na:"+twice+"\nb:"+twice+"\n")
	want := cost{scheme: PBKDF2, iterations: 2000, hashBytes: 64}
	if p.decoy.cost != want || len(p.decoy.hash) != 64 {
		t.Errorf("decoy %+v, want %+v", p.decoy.cost, want)
	}
	c := named("nobody", "pw")
	if d, _ := loadPasswords(t, "").Login(&c); d != Deny {
		t.Error("an empty file let somebody in")
	}
}

func TestSameEntry(t *testing.T) {
	a := loadPasswords(t, line7+"\n"+line6)
	b := loadPasswords(t, "# moved\n"+line7+"\ns:"+EncodePassword(SHA512, []byte("pw"), 0))
	f := func(user string, want bool) {
		t.Helper()
		if a.SameEntry(b, user) != want || b.SameEntry(a, user) != want {
			t.Errorf("%s: want %v", user, want)
		}
	}
	f("u", true)
	f("s", false) // another salt
	f("nobody", true)
	if a.SameEntry(loadPasswords(t, line6), "u") {
		t.Error("a user that was removed is the same")
	}
}

func TestArgonHashesShareMemory(t *testing.T) {
	f := func(memory uint32, want int) {
		t.Helper()
		if got := cap(newArgonMemoryPool(memory).places); got != want {
			t.Errorf("m=%d: %d at the same time, want %d", memory, got, want)
		}
	}
	f(46<<10, 5)
	f(256<<10, 1)
	f(200<<10, 1)
}

// named is a client with user name and password.
func named(user, password string) Client {
	return Client{ID: "c", UserName: user, HasUserName: true, Password: []byte(password), HasPassword: true}
}

// write makes a file.
func write(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func loadPasswords(t testing.TB, content string) *Passwords {
	t.Helper()
	p, err := LoadPasswords(write(t, content))
	if err != nil {
		t.Fatal(err)
	}
	return p
}
