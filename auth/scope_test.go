package auth

import "testing"

// What Mosquitto 2.0.11 answers for every combination; mosquitto_test.go asks it again where it is installed.
func TestScopeLogin(t *testing.T) {
	passwords := loadPasswords(t, line7)
	clients := []struct {
		name   string
		client Client
		// let in without a password_file, and with one; both with allow_anonymous
		open, filed bool
		// let in with a password_file and without allow_anonymous; without both nobody is
		closed bool
	}{
		{"no user name", Client{}, true, true, false},
		{"no user name, password", Client{Password: []byte("pw"), HasPassword: true}, true, true, false},
		{"empty user name", Client{HasUserName: true}, true, true, false},
		{"empty user name, password", named("", "pw"), true, true, false},
		{"user", Client{UserName: "u", HasUserName: true}, true, false, false},
		{"user, empty password", named("u", ""), true, false, false},
		{"user, password", named("u", "pw"), true, true, true},
		{"user, wrong password", named("u", "x"), true, false, false},
		{"unknown", Client{UserName: "n", HasUserName: true}, true, false, false},
		{"unknown, password", named("n", "pw"), true, false, false},
	}
	for _, x := range clients {
		f := func(s Scope, want bool) {
			t.Helper()
			for _, s.ACL = range []*ACL{nil, loadACL(t, "topic a")} {
				if ok, rule := s.Login(&x.client); ok != want || ok != (rule == "") {
					t.Errorf("%s: %v %q, want %v", x.name, ok, rule, want)
				}
			}
		}
		f(Scope{AllowAnonymous: true}, x.open)
		f(Scope{AllowAnonymous: true, Passwords: passwords}, x.filed)
		f(Scope{Passwords: passwords}, x.closed)
		f(Scope{}, false)
	}
}

// fixed is a provider, and its rights, with one answer.
type fixed struct{ login, rights Decision }

func (f fixed) Login(*Client) (Decision, string)         { return f.login, "fixed" }
func (f fixed) Rights(*Client) Rights                    { return f }
func (f fixed) Allows(Action, string) (Decision, string) { return f.rights, "fixed" }

// silent is a provider without an opinion about actions.
type silent struct{ fixed }

func (silent) Rights(*Client) Rights { return nil }

func TestProvidersComeBeforeTheFiles(t *testing.T) {
	passwords, acl := loadPasswords(t, line7), loadACL(t, "user u\ntopic a")
	u, bad, nobody := named("u", "pw"), named("u", "x"), Client{}
	f := func(s Scope, c Client, want bool) {
		t.Helper()
		if ok, rule := s.Login(&c); ok != want {
			t.Errorf("%q: %v %q, want %v", c.UserName, ok, rule, want)
		}
	}
	f(Scope{Providers: []Provider{fixed{login: Allow}}, Passwords: passwords}, bad, true)
	f(Scope{Providers: []Provider{fixed{login: Deny}}, Passwords: passwords}, u, false)
	f(Scope{Providers: []Provider{fixed{}}, Passwords: passwords}, u, true)
	f(Scope{Providers: []Provider{fixed{}, fixed{login: Allow}}}, u, true)
	f(Scope{Providers: []Provider{fixed{}}, AllowAnonymous: true}, u, false) // somebody knows user names, and not this one
	f(Scope{Providers: []Provider{fixed{}}, AllowAnonymous: true}, nobody, true)
	f(Scope{Providers: []Provider{fixed{}}}, nobody, false)

	g := func(s Scope, topic string, want Decision) {
		t.Helper()
		if d, rule := s.Rights(&u).Allows(Publish, topic); d != want || (d == Deny) != (rule != "") && d == Deny {
			t.Errorf("%q: %v %q, want %v", topic, d, rule, want)
		}
	}
	g(Scope{ACL: acl}, "a", Allow)
	g(Scope{ACL: acl}, "b", Deny)
	g(Scope{ACL: acl, Providers: []Provider{silent{}}}, "b", Deny)
	g(Scope{ACL: acl, Providers: []Provider{fixed{rights: Allow}}}, "b", Allow)
	g(Scope{ACL: acl, Providers: []Provider{fixed{rights: Deny}}}, "a", Deny)
	g(Scope{ACL: acl, Providers: []Provider{fixed{}}}, "a", Allow)
	g(Scope{ACL: acl, Providers: []Provider{fixed{}}}, "b", Deny)
	g(Scope{Providers: []Provider{fixed{}}}, "a", Deny)
	if r := (&Scope{Passwords: passwords, Providers: []Provider{silent{}}}).Rights(&u); r != nil {
		t.Errorf("rights %v where nothing restricts", r)
	}
	if (&Scope{AllowAnonymous: true}).NeedsWorker() || !(&Scope{ACL: acl}).NeedsWorker() || !(&Scope{Passwords: passwords}).NeedsWorker() ||
		!(&Scope{Providers: []Provider{fixed{}}}).NeedsWorker() {
		t.Error("NeedsWorker is wrong")
	}
}
