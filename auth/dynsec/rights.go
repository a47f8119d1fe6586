package dynsec

import (
	"github.com/noctulemq/noctule/auth"
)

// rights is what one connected client may do. Its loop's thread only.
type rights struct {
	plugin    *Plugin
	user      string
	anonymous bool
	who       who

	// own is what the snapshot of version says of the client. Roles are kept, not the snapshot: a client that is silent for
	// days would otherwise hold on to tables of days ago.
	own struct {
		version uint64
		found   bool // false: the user name is not ours to decide about
		denied  bool // the client is disabled
		roles   []*role
		access  [eventCount]bool
	}
}

var _ auth.Provider = (*Plugin)(nil)

// Rights returns what a client may do. It is never nil: a user name that is unknown now may be created while its client
// is connected. All decisions follow every change at once.
func (p *Plugin) Rights(c *auth.Client) auth.Rights {
	r := &rights{plugin: p, user: c.UserName, anonymous: anonymous(c), who: newWho(c.ID, c.UserName)}
	r.resolve(p.now.Load())
	return r
}

// anonymous reports whether a client counts as one without a user name. An empty one is none, as in Mosquitto.
func anonymous(c *auth.Client) bool { return c.UserName == "" }

// resolve looks the client up again: its own roles first, then those of each of its groups.
func (r *rights) resolve(s *snapshot) {
	own := &r.own
	own.version, own.access = s.version, s.access
	own.found, own.denied = r.anonymous, false
	clear(own.roles)
	own.roles = own.roles[:0]
	if r.anonymous {
		r.addGroup(s, s.anonymous)
		return
	}
	c := s.clients.find(r.user)
	if c == nil {
		return
	}
	own.found, own.denied = true, c.disabled
	r.addRoles(s, c.roles)
	for _, g := range c.groups {
		r.addGroup(s, g.name)
	}
}

func (r *rights) addGroup(s *snapshot, name string) {
	if g := s.groups.find(name); g != nil {
		r.addRoles(s, g.roles)
	}
}

func (r *rights) addRoles(s *snapshot, list refs) {
	for _, x := range list {
		if role := s.roles.find(x.name); role != nil {
			r.own.roles = append(r.own.roles, role)
		}
	}
}

// ruleDefault is what the log says of a denial by default access.
var ruleDefault = [eventCount]string{
	"dynamic security: default access of publishClientSend", "dynamic security: default access of publishClientReceive",
	"dynamic security: default access of subscribe", "dynamic security: default access of unsubscribe",
}

const ruleDisabled = "dynamic security: client disabled"

// Allows decides one action: by the first ACL that matches, in the order of the roles, literal ACLs of a role before its
// patterns; by default access if none does. It defers for user names that are not configured here.
func (r *rights) Allows(a auth.Action, topic string) (auth.Decision, string) {
	if s := r.plugin.now.Load(); s.version != r.own.version {
		r.resolve(s)
	}
	switch {
	case !r.own.found:
		return auth.Defer, ""
	case r.own.denied:
		return auth.Deny, ruleDisabled
	}
	for _, role := range r.own.roles {
		var found *acl
		switch a {
		case auth.Publish:
			found = r.byTopic(role.acls[publishClientSend], topic)
		case auth.Receive:
			found = r.byTopic(role.acls[publishClientReceive], topic)
		case auth.Subscribe:
			found = r.byFilter(role.acls[subscribeLiteral], role.acls[subscribePattern], topic)
		case auth.Unsubscribe:
			found = r.byFilter(role.acls[unsubscribeLiteral], role.acls[unsubscribePattern], topic)
		}
		switch {
		case found == nil:
		case found.allow:
			return auth.Allow, ""
		default:
			return auth.Deny, found.rule
		}
	}
	if r.own.access[a] {
		return auth.Allow, ""
	}
	return auth.Deny, ruleDefault[a]
}

func (r *rights) byTopic(list []acl, topic string) *acl {
	for i := range list {
		if r.who.matchesTopic(list[i].filter, topic) {
			return &list[i]
		}
	}
	return nil
}

func (r *rights) byFilter(literal, pattern []acl, filter string) *acl {
	for i := range literal {
		if literal[i].filter == filter {
			return &literal[i]
		}
	}
	for i := range pattern {
		if r.who.matchesFilter(pattern[i].filter, filter) {
			return &pattern[i]
		}
	}
	return nil
}
