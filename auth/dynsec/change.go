package dynsec

import (
	"slices"

	"github.com/noctulemq/noctule/auth"
)

// change is one message's way from a snapshot to the next. Its commands run one after the other and see what those before
// them did; nobody else does before it is saved. The thread that holds Plugin.commands.
type change struct {
	snapshot         // the next one; equal to the old one until changed
	changed  bool    // by any command
	copied   [3]bool // the tables that are the change's own and may be written: clients, groups, roles

	kicked          map[string]struct{} // user names whose clients are to be disconnected
	kickedAnonymous bool
}

const (
	ownClients = iota
	ownGroups
	ownRoles
)

func newChange(s *snapshot) *change {
	return &change{snapshot: *s, kicked: make(map[string]struct{})}
}

// own returns a table that may be written: a copy the first time.
func own[T named](c *change, which int, t table[T]) table[T] {
	c.changed = true
	if c.copied[which] {
		return t
	}
	c.copied[which] = true
	return append(make(table[T], 0, len(t)+1), t...)
}

// put adds an entry, or replaces the one of its name.
func put[T named](t table[T], x T) table[T] {
	i, found := t.search(x.key())
	if found {
		t[i] = x
		return t
	}
	return slices.Insert(t, i, x)
}

func drop[T named](t table[T], name string) table[T] {
	if i, found := t.search(name); found {
		return slices.Delete(t, i, i+1)
	}
	return t
}

func (c *change) putClient(x *client) { c.clients = put(own(c, ownClients, c.clients), x) }
func (c *change) putGroup(x *group)   { c.groups = put(own(c, ownGroups, c.groups), x) }
func (c *change) putRole(x *role)     { c.roles = put(own(c, ownRoles, c.roles), x) }

func (c *change) dropClient(name string) { c.clients = drop(own(c, ownClients, c.clients), name) }
func (c *change) dropGroup(name string)  { c.groups = drop(own(c, ownGroups, c.groups), name) }
func (c *change) dropRole(name string)   { c.roles = drop(own(c, ownRoles, c.roles), name) }

func (c *change) kick(user string) { c.kicked[user] = struct{}{} }

// kickGroup kicks the members of a group; those without a user name if it is theirs.
func (c *change) kickGroup(name string) {
	if name == c.anonymous {
		c.kickedAnonymous = true
	}
	for _, x := range c.clients {
		if x.groups.has(name) {
			c.kick(x.username)
		}
	}
}

// kickRole kicks who has a role, directly or by a group.
func (c *change) kickRole(name string) {
	groups := make(map[string]bool)
	for _, g := range c.groups {
		if g.roles.has(name) {
			groups[g.name] = true
		}
	}
	c.kickedAnonymous = c.kickedAnonymous || groups[c.anonymous]
	for _, x := range c.clients {
		if x.roles.has(name) || slices.ContainsFunc(x.groups, func(g ref) bool { return groups[g.name] }) {
			c.kick(x.username)
		}
	}
}

// kicks returns the test for those to disconnect, nil if there is nobody. The change must not be used any more.
func (c *change) kicks() func(*auth.Client) bool {
	if len(c.kicked) == 0 && !c.kickedAnonymous {
		return nil
	}
	return func(x *auth.Client) bool {
		if anonymous(x) {
			return c.kickedAnonymous
		}
		_, found := c.kicked[x.UserName]
		return found
	}
}
