package dynsec

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

var errFileSize = fmt.Errorf("the configuration is larger than %d bytes", fileBytesMax)

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, fileBytesMax+1))
	if err == nil && len(data) > fileBytesMax {
		err = errFileSize
	}
	return data, err
}

// writeFile replaces the file by one of a snapshot: whole or not at all, whatever is killed when. The new file has the
// permissions of the old one, or 0600.
func (p *Plugin) writeFile(s *snapshot) error {
	data := encodeFile(s)
	if len(data) > fileBytesMax {
		return errFileSize
	}
	mode := fs.FileMode(0o600)
	if info, err := os.Stat(p.options.File); err == nil {
		mode = info.Mode().Perm()
	}
	next := p.options.File + ".new"
	if err := writeSynced(next, data, mode); err != nil {
		return errors.Join(err, removeIfExists(next))
	}
	if err := os.Rename(next, p.options.File); err != nil {
		return errors.Join(err, removeIfExists(next))
	}
	// From here on the new file is in place. That its name survives a power cut cannot be undone or promised any more.
	if err := syncDirectory(filepath.Dir(p.options.File)); err != nil {
		p.log(fmt.Sprintf("dynsec: %s was written, but its directory could not be synced: %v", p.options.File, err))
	}
	return nil
}

func writeSynced(name string, data []byte, mode fs.FileMode) (err error) {
	if err := removeIfExists(name); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := f.Chmod(mode); err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.Sync()
}

func removeIfExists(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func syncDirectory(name string) (err error) {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	return d.Sync()
}

// encodeFile writes a snapshot as Mosquitto does, byte for byte.
func encodeFile(s *snapshot) []byte {
	const clientBytes = 400 // of one with a password, a role and a group, so that w.buf seldom has to grow
	w := &writer{tabs: true, buf: make([]byte, 0, clientBytes*len(s.clients))}
	w.object()
	w.name("defaultACLAccess").object()
	for e, name := range eventNames {
		w.name(name).bool(s.access[e])
	}
	w.end()
	w.name("clients").array()
	for _, c := range s.clients {
		w.fileClient(c)
	}
	w.end()
	members := membersOf(s)
	w.name("groups").array()
	for _, g := range s.groups {
		w.object()
		w.name("groupname").string(g.name)
		w.description(g.description)
		w.refs("roles", "rolename", g.roles)
		w.refs("clients", "username", members[g.name])
		w.end()
	}
	w.end()
	if s.anonymous != "" {
		w.name("anonymousGroup").string(s.anonymous)
	}
	w.name("roles").array()
	for _, r := range s.roles {
		w.role(r)
	}
	w.end()
	w.end()
	return w.buf
}

// membersOf returns the clients of each group, by user name, with the group's priority for each.
func membersOf(s *snapshot) map[string]refs {
	members := make(map[string]refs)
	for _, c := range s.clients {
		for _, g := range c.groups {
			members[g.name] = append(members[g.name], ref{name: c.username, priority: g.priority})
		}
	}
	return members
}

func (w *writer) fileClient(c *client) {
	w.object()
	w.name("username").string(c.username)
	w.clientDetails(c)
	w.refs("roles", "rolename", c.roles)
	if c.password != nil {
		w.name("password").base64(c.password.hash)
		w.name("salt").base64(c.password.salt)
		w.name("iterations").int(c.password.iterations)
	}
	w.end()
}

// clientDetails writes the members that the file and getClient have in common.
func (w *writer) clientDetails(c *client) {
	if c.clientID != "" {
		w.name("clientid").string(c.clientID)
	}
	w.description(c.description)
	if c.disabled {
		w.name("disabled").bool(true)
	}
}

func (w *writer) description(d description) {
	if d.name != nil {
		w.name("textname").string(*d.name)
	}
	if d.text != nil {
		w.name("textdescription").string(*d.text)
	}
}

// refs writes a list of references. A priority of -1 is the default and left out.
func (w *writer) refs(member, name string, list refs) {
	w.name(member).array()
	for _, x := range list {
		w.object()
		w.name(name).string(x.name)
		if x.priority != -1 {
			w.name("priority").int(int(x.priority))
		}
		w.end()
	}
	w.end()
}

func (w *writer) role(r *role) {
	w.object()
	w.name("rolename").string(r.name)
	w.description(r.description)
	w.name("acls").array()
	for t, list := range r.acls {
		for _, a := range list {
			w.object()
			w.name("acltype").string(aclTypeNames[t])
			w.name("topic").string(a.filter)
			w.name("priority").int(int(a.priority))
			w.name("allow").bool(a.allow)
			w.end()
		}
	}
	w.end()
	w.end()
}

// decodeFile reads a file of ours or Mosquitto's. skipped says what was left out, one line for each kind of thing. Errors:
// errJSON, a table that is too long.
func decodeFile(data []byte) (s *snapshot, skipped []string, err error) {
	root := value{kind: kindObject}
	if len(bytes.TrimSpace(data)) > 0 {
		if root, err = readJSON(data); err != nil {
			return nil, nil, err
		}
		if root.kind != kindObject {
			return nil, nil, errJSON
		}
	}
	d := decoder{s: &snapshot{version: 1}, counts: make(map[string]int)}
	if access := root.get("defaultACLAccess"); access != nil {
		for e, name := range eventNames {
			d.s.access[e] = access.isTrue(name)
		}
	}
	d.known("the file", &root, "defaultACLAccess", "clients", "groups", "anonymousGroup", "roles")
	d.roles(&root)
	d.clients(&root)
	d.groups(&root)
	if name, _ := root.string("anonymousGroup"); name != "" {
		if d.s.groups.find(name) != nil {
			d.s.anonymous = name
		} else {
			d.skip("the anonymous group %q is not among the groups", name)
		}
	}
	switch {
	case len(d.s.clients) > clientsMax:
		return nil, nil, fmt.Errorf("more than %d clients", clientsMax)
	case len(d.s.groups) > groupsMax:
		return nil, nil, fmt.Errorf("more than %d groups", groupsMax)
	case len(d.s.roles) > rolesMax:
		return nil, nil, fmt.Errorf("more than %d roles", rolesMax)
	}
	return d.s, d.lines(), nil
}

// decoder reads the file's value into a snapshot.
type decoder struct {
	s       *snapshot
	skipped []string
	counts  map[string]int // of skipped things of one format; only the first is described
}

func (d *decoder) skip(format string, args ...any) {
	if d.counts[format]++; d.counts[format] == 1 {
		d.skipped = append(d.skipped, format, fmt.Sprintf(format, args...))
	}
}

func (d *decoder) lines() []string {
	var lines []string
	for pair := range slices.Chunk(d.skipped, 2) {
		if more := d.counts[pair[0]] - 1; more > 0 {
			pair[1] += fmt.Sprintf(" (and %d more like this)", more)
		}
		lines = append(lines, pair[1]+": left out")
	}
	return lines
}

// known notes members that would be lost when the file is written again.
func (d *decoder) known(what string, v *value, names ...string) {
	for _, name := range v.names {
		if indexFold(names, name) < 0 {
			d.skip("%s has the unknown member %q", what, name)
		}
	}
}

// each calls do for the objects of a list that have a name.
func (d *decoder) each(root *value, list, name string, do func(v *value, name string)) {
	items, _ := root.array(list)
	for i := range items {
		text, ok := items[i].string(name)
		if !ok || len(text) > nameBytesMax {
			d.skip("an entry of %q has no valid %q", list, name)
			continue
		}
		do(&items[i], text)
	}
}

func (d *decoder) roles(root *value) {
	d.each(root, "roles", "rolename", func(v *value, name string) {
		d.known("the role "+name, v, "rolename", "textname", "textdescription", "acls")
		r := &role{name: name, description: decodeDescription(v)}
		if items, ok := v.array("acls"); ok {
			r.acls = decodeACLs(name, items)
			if r.count() < len(items) {
				d.skip("an ACL of the role %q is not valid or one too many", name)
			}
		}
		d.s.roles = append(d.s.roles, r)
	})
	d.s.roles = sorted(d, "role", d.s.roles)
}

func (d *decoder) clients(root *value) {
	d.each(root, "clients", "username", func(v *value, name string) {
		d.known("the client "+name, v, "username", "clientid", "textname", "textdescription", "disabled", "roles", "groups",
			"password", "salt", "iterations")
		c := &client{username: name, description: decodeDescription(v), disabled: v.isTrue("disabled")}
		c.clientID, _ = v.string("clientid")
		c.roles = d.refs(v, "roles", "rolename", func(role string) bool { return d.s.roles.find(role) != nil })
		hash, ok := v.string("password")
		if salt, salted := v.string("salt"); ok && salted {
			c.password = decodePassword(hash, salt, v.int("iterations", 0))
		}
		if ok && c.password == nil {
			d.skip("the password of the client %q is not valid", name)
		}
		d.s.clients = append(d.s.clients, c)
	})
	d.s.clients = sorted(d, "client", d.s.clients)
}

// groups reads the groups and who is in them.
func (d *decoder) groups(root *value) {
	seen := make(map[string]bool)
	d.each(root, "groups", "groupname", func(v *value, name string) {
		d.known("the group "+name, v, "groupname", "textname", "textdescription", "roles", "clients")
		g := &group{name: name, description: decodeDescription(v)}
		g.roles = d.refs(v, "roles", "rolename", func(role string) bool { return d.s.roles.find(role) != nil })
		d.s.groups = append(d.s.groups, g)
		if seen[name] {
			return
		}
		seen[name] = true
		d.each(v, "clients", "username", func(v *value, user string) {
			c := d.s.clients.find(user)
			if c == nil || c.groups.has(name) || len(c.groups) >= refsMax {
				d.skip("the client %q of the group %q is not known, or in too many groups", user, name)
				return
			}
			c.groups = c.groups.with(ref{name: name, priority: v.int("priority", -1)})
		})
	})
	d.s.groups = sorted(d, "group", d.s.groups)
}

// refs reads the references of a client or group to what exists.
func (d *decoder) refs(v *value, list, name string, exists func(string) bool) (found refs) {
	d.each(v, list, name, func(item *value, x string) {
		if !exists(x) || found.has(x) || len(found) >= refsMax {
			d.skip("the %s %q is not known, or one too many", name, x)
			return
		}
		found = found.with(ref{name: x, priority: item.int("priority", -1)})
	})
	return found
}

func decodeDescription(v *value) (d description) {
	if text, ok := v.string("textname"); ok {
		d.name = &text
	}
	if text, ok := v.string("textdescription"); ok {
		d.text = &text
	}
	return d
}

// decodeACLs reads a list of ACLs, of a file or a command. What is not one is skipped, and so is what is over aclsMax.
func decodeACLs(roleName string, items []value) (acls [aclTypeCount][]acl) {
	for i := range items[:min(len(items), aclsMax)] {
		typeName, ok1 := items[i].string("acltype")
		filter, ok2 := items[i].string("topic")
		t := indexFold(aclTypeNames[:], typeName)
		if !ok1 || !ok2 || t < 0 || len(filter) > nameBytesMax {
			continue
		}
		a := newACL(roleName, aclType(t), filter, items[i].int("priority", 0), items[i].isTrue("allow"))
		acls[t] = append(acls[t], a)
	}
	for t := range acls {
		slices.SortStableFunc(acls[t], func(a, b acl) int { return cmp.Compare(b.priority, a.priority) })
	}
	return acls
}

// sorted brings a table into order. The first of several of a name counts.
func sorted[T named](d *decoder, what string, t table[T]) table[T] {
	slices.SortStableFunc(t, func(a, b T) int { return cmp.Compare(a.key(), b.key()) })
	return slices.CompactFunc(t, func(a, b T) bool {
		if a.key() == b.key() {
			d.skip("there is another %s %q", what, b.key())
			return true
		}
		return false
	})
}
