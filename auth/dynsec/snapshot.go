package dynsec

import (
	"cmp"
	"slices"
	"strings"
)

// snapshot is everything that is configured. Immutable once published, and so is all that it points to.
type snapshot struct {
	version   uint64 // one more with each change
	clients   table[*client]
	groups    table[*group]
	roles     table[*role]
	access    [eventCount]bool // default access: what holds where no ACL matches
	anonymous string           // name of the group of clients without a user name; empty: none
}

// named is what a table is sorted by. No two entries of a table have the same name.
type named interface{ key() string }

type table[T named] []T

func (t table[T]) search(name string) (int, bool) {
	return slices.BinarySearchFunc(t, name, func(x T, name string) int { return cmp.Compare(x.key(), name) })
}

// find returns the entry of a name, or the zero value: nil.
func (t table[T]) find(name string) (found T) {
	if i, ok := t.search(name); ok {
		found = t[i]
	}
	return found
}

// client is one user name.
type client struct {
	username    string
	clientID    string      // the only client id that may use it; empty: any
	description description // textname and textdescription
	disabled    bool
	roles       refs
	groups      refs // the one place that says who is in which group; the priority is the group's for this client
	password    *password
}

func (c *client) key() string { return c.username }

// password is what is kept of one. nil where none is set, and then nobody logs in as the client here.
type password struct {
	hash       []byte // PBKDF2-HMAC-SHA512, 64 bytes
	salt       []byte
	iterations int
}

type group struct {
	name        string
	description description
	roles       refs
}

func (g *group) key() string { return g.name }

type role struct {
	name        string
	description description
	acls        [aclTypeCount][]acl // each by priority, highest first, then as added
}

func (r *role) key() string { return r.name }

func (r *role) count() int {
	n := 0
	for _, list := range r.acls {
		n += len(list)
	}
	return n
}

// description is for people. A text that was never set is nil, and differs from an empty one where it is listed.
type description struct{ name, text *string }

// ref names a role or group that something has. A higher priority is asked first.
type ref struct {
	name     string
	priority int32
}

// refs are sorted by priority, highest first, then by name. Immutable: with and without make new ones.
type refs []ref

func (r refs) has(name string) bool {
	return slices.ContainsFunc(r, func(x ref) bool { return x.name == name })
}

// with returns the references with one more, which must be new.
func (r refs) with(added ref) refs {
	i, _ := slices.BinarySearchFunc(r, added, func(a, b ref) int {
		return cmp.Or(cmp.Compare(b.priority, a.priority), cmp.Compare(a.name, b.name))
	})
	return slices.Insert(slices.Clip(r), i, added)
}

func (r refs) without(name string) refs {
	return slices.DeleteFunc(slices.Clone(r), func(x ref) bool { return x.name == name })
}

// aclType is a list of ACLs of a role.
type aclType uint8

const (
	publishClientSend aclType = iota
	publishClientReceive
	subscribeLiteral
	subscribePattern
	unsubscribeLiteral
	unsubscribePattern
	aclTypeCount
)

var aclTypeNames = [aclTypeCount]string{
	"publishClientSend", "publishClientReceive", "subscribeLiteral", "subscribePattern", "unsubscribeLiteral",
	"unsubscribePattern",
}

// event is what has a default access. Its order is that of auth.Action.
type event uint8

const (
	eventSend event = iota
	eventReceive
	eventSubscribe
	eventUnsubscribe
	eventCount
)

var eventNames = [eventCount]string{"publishClientSend", "publishClientReceive", "subscribe", "unsubscribe"}

// indexFold returns where a name stands among names, without regard to the case of letters; -1 if it does not.
func indexFold(names []string, name string) int {
	return slices.IndexFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
}

// acl allows or denies what its filter matches.
type acl struct {
	filter   string
	priority int32
	allow    bool
	rule     string // what the log says of a denial; empty if allow
}

func newACL(roleName string, t aclType, filter string, priority int32, allow bool) acl {
	a := acl{filter: filter, priority: priority, allow: allow}
	if !allow {
		a.rule = "dynamic security: role " + roleName + ": " + aclTypeNames[t] + " " + filter + " deny"
	}
	return a
}

// insertACL returns a list with one more ACL, after those of its priority.
func insertACL(list []acl, a acl) []acl {
	i := slices.IndexFunc(list, func(x acl) bool { return x.priority < a.priority })
	if i < 0 {
		i = len(list)
	}
	return slices.Insert(slices.Clip(list), i, a)
}
