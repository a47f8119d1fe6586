package auth

import "slices"

// Scope is everything that decides for one listener, or for all of them. Immutable; any thread.
type Scope struct {
	// AllowAnonymous lets clients without a user name in, and every client where neither Passwords nor Providers is set.
	AllowAnonymous bool
	Passwords      *Passwords // password_file; may be nil
	ACL            *ACL       // acl_file; may be nil
	// Providers are asked before the files, in their order. Only what decides logins belongs here: where there is one, a
	// client with a user name that nobody knows is refused.
	Providers []Provider
}

// Login reports whether a client may connect; rule names for the log what refused it. It may take as long as a password
// hash (NeedsWorker), and longer where a provider does.
//
// As Mosquitto has it: the first provider that decides counts, then the password file. What nobody decided is a matter of
// AllowAnonymous for a client without a user name. With a user name it is refused, unless there is nothing that could know
// user names: then AllowAnonymous decides as well.
func (s *Scope) Login(c *Client) (ok bool, rule string) {
	for _, p := range s.Providers {
		if d, rule := p.Login(c); d != Defer {
			return d == Allow, rule
		}
	}
	if s.Passwords != nil {
		if d, rule := s.Passwords.Login(c); d != Defer {
			return d == Allow, rule
		}
	}
	switch {
	case !c.anonymous() && len(s.Providers) > 0:
		return false, "no such user"
	case !s.AllowAnonymous:
		return false, "allow_anonymous false"
	}
	return true, ""
}

// NeedsWorker reports whether Login may take long, because it hashes or asks somebody, or whether a reload that was asked for
// already may change what decides.
func (s *Scope) NeedsWorker() bool { return s.Passwords != nil || s.ACL != nil || len(s.Providers) > 0 }

// Rights returns what a client may do; nil when nothing restricts it. The providers come before the ACL file. An action
// that somebody could have decided and nobody did is denied.
func (s *Scope) Rights(c *Client) Rights {
	var all rightsChain
	for _, p := range s.Providers {
		if r := p.Rights(c); r != nil {
			all = append(all, r)
		}
	}
	if s.ACL != nil {
		if all == nil {
			return s.ACL.Rights(c) // it never defers
		}
		all = append(all, s.ACL.Rights(c))
	}
	if all == nil {
		return nil
	}
	return all
}

// rightsChain asks one after another.
type rightsChain []Rights

// Allows returns the first decision that is not Defer.
func (all rightsChain) Allows(a Action, topic string) (Decision, string) {
	for _, r := range all {
		if d, rule := r.Allows(a, topic); d != Defer {
			return d, rule
		}
	}
	return Deny, "no rule grants it"
}

// anonymous reports whether a client gave no user name. As Mosquitto has it, an empty one is none.
func (c *Client) anonymous() bool { return !c.HasUserName || c.UserName == "" }

// SameLogin reports whether s is certain to decide a login as old did, so that it need not be asked again.
func (s *Scope) SameLogin(old *Scope, c *Client) bool {
	switch {
	case !slices.Equal(s.Providers, old.Providers):
		return false
	case c.anonymous():
		return s.AllowAnonymous == old.AllowAnonymous
	case s.Passwords == nil || old.Passwords == nil:
		return s.Passwords == old.Passwords && s.AllowAnonymous == old.AllowAnonymous
	}
	return s.Passwords.SameEntry(old.Passwords, c.UserName)
}
