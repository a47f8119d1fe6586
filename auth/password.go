package auth

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// Passwords is a password file. Immutable; any thread.
type Passwords struct {
	path  string
	users map[string]credential
	// decoy has the commonest cost of the file. It is verified when a user is unknown, so that the answer takes as long as
	// for a known one; nobody's password fits it, and the outcome is not looked at.
	decoy credential
	argon *argonMemoryPool
}

// LoadPasswords reads a password file. The error is Errors with every bad line, or says why the file cannot be read.
//
// Each line is USER:HASH; blank lines and those that begin with # are skipped. Where a user stands twice the last line
// counts. A hash is one of Scheme's; a password that is not hashed is an error.
func LoadPasswords(path string) (*Passwords, error) {
	l := newPasswordLoader(path)
	if err := readLines("pwfile", path, l.line); err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	return l.finish()
}

// Login allows a user whose password fits and denies any other. A client without a user name, or with an empty one, is
// anonymous and none of its business.
func (p *Passwords) Login(c *Client) (Decision, string) {
	if c.anonymous() {
		return Defer, ""
	}
	if len(c.Password) == 0 { // as Mosquitto, an empty password is none
		return Deny, p.path + ": a user name without a password"
	}
	stored, known := p.users[c.UserName]
	if !known {
		stored = p.decoy
	}
	fits := len(p.users) > 0 && stored.verify(c.Password, p.argon)
	switch {
	case !known:
		return Deny, p.path + ": no such user"
	case !fits:
		return Deny, place(p.path, stored.line) + ": wrong password"
	}
	return Allow, ""
}

// Rights returns nil: a password file restricts nothing but logins.
func (p *Passwords) Rights(*Client) Rights { return nil }

// SameEntry reports whether a user stands in both files with the same hash, or in neither: whoever has logged in by one
// may stay under the other.
func (p *Passwords) SameEntry(other *Passwords, user string) bool {
	a, inA := p.users[user]
	b, inB := other.users[user]
	return inA == inB && a.cost == b.cost && bytes.Equal(a.salt, b.salt) && bytes.Equal(a.hash, b.hash)
}

// passwordLoader is a password file while it is read.
type passwordLoader struct {
	*Passwords
	errors Errors
	// costs counts the lines of each cost, to choose the decoy.
	costs map[cost]int
}

func newPasswordLoader(path string) *passwordLoader {
	return &passwordLoader{Passwords: &Passwords{path: path, users: map[string]credential{}}, costs: map[cost]int{}}
}

// line reads one line.
func (l *passwordLoader) line(n int, text string) error {
	text = strings.Trim(text, blanks)
	if text == "" || text[0] == '#' {
		return nil
	}
	user, rest, found := strings.Cut(text, ":")
	field, _, _ := strings.Cut(rest, ":")
	field = strings.Trim(field, blanks)
	switch {
	case !found, user == "", field == "":
		return l.errors.add(l.path, n, "Invalid line in password file", "a line is USER:HASH")
	case len(user) > nameBytesMax:
		return l.errors.add(l.path, n, "Invalid line in password file", "the user name is longer than MQTT allows")
	}
	c, err := decodeCredential(field)
	if errors.Is(err, errPlain) {
		return l.errors.add(l.path, n, "Invalid line in password file", fmt.Sprintf("the password of user %.80q is not hashed "+
			"in a known way: run \"noctule passwd -U %s\", which leaves hashed lines alone (or \"mosquitto_passwd -U %[2]s\", if "+
			"no line is hashed yet)", user, l.path))
	} else if err != nil {
		return l.errors.add(l.path, n, "Unable to decode line in password file", fmt.Sprintf("user %.80q: %v; set the password "+
			"again with \"noctule passwd %s USER\"", user, err, l.path))
	}
	c.line = n
	l.users[user] = c
	l.costs[c.cost]++
	return nil
}

// finish returns the file, or its errors.
func (l *passwordLoader) finish() (*Passwords, error) {
	if len(l.errors) > 0 {
		return nil, l.errors
	}
	var memory uint32
	for cost, lines := range l.costs {
		memory = max(memory, cost.memory)
		if lines > l.costs[l.decoy.cost] {
			l.decoy = credential{cost: cost, salt: newSalt(saltBytes), hash: newSalt(cost.hashBytes)}
		}
	}
	l.argon = newArgonMemoryPool(memory)
	return l.Passwords, nil
}
