package dynsec

import "slices"

func (x *call) role() (*role, error) {
	name, err := x.required("rolename")
	if err != nil {
		return nil, err
	}
	r := x.roles.find(name)
	if r == nil {
		return nil, errRoleMissing
	}
	return r, nil
}

// createRole makes a role. ACLs that are not understood are skipped, as in Mosquitto.
func createRole(x *call) (err error) {
	r := &role{}
	if r.name, err = x.required("rolename"); err != nil {
		return err
	}
	if r.description, err = x.newDescription(); err != nil {
		return err
	}
	items, _ := x.args.array("acls")
	switch {
	case x.hasRole(r.name):
		return refusal("Role already exists")
	case len(x.roles) >= rolesMax, len(items) > aclsMax:
		return errTooMany
	}
	r.acls = decodeACLs(r.name, items)
	x.putRole(r)
	x.noted("rolename=%s", r.name)
	return nil
}

// deleteRole removes a role, also from the clients and groups that have it.
func deleteRole(x *call) error {
	r, err := x.role()
	if err != nil {
		return err
	}
	x.kickRole(r.name)
	var clients []*client
	for _, old := range x.clients {
		if old.roles.has(r.name) {
			c := *old
			c.roles = c.roles.without(r.name)
			clients = append(clients, &c)
		}
	}
	for _, c := range clients {
		x.putClient(c)
	}
	var groups []*group
	for _, old := range x.groups {
		if old.roles.has(r.name) {
			g := *old
			g.roles = g.roles.without(r.name)
			groups = append(groups, &g)
		}
	}
	for _, g := range groups {
		x.putGroup(g)
	}
	x.dropRole(r.name)
	x.noted("rolename=%s", r.name)
	return nil
}

func getRole(x *call) error {
	r, err := x.role()
	if err != nil {
		return err
	}
	x.data.object()
	x.data.name("role")
	x.data.role(r)
	x.data.end()
	x.noted("rolename=%s", r.name)
	return nil
}

func listRoles(x *call) error { return page(x, "roles", x.roles, x.data.role) }

// modifyRole replaces what is given, the ACLs as a whole. It disconnects nobody: rights follow at once.
func modifyRole(x *call) error {
	old, err := x.role()
	if err == errRoleMissing {
		return refusal("Role does not exist")
	}
	if err != nil {
		return err
	}
	r := *old
	if r.description, err = x.changedDescription(r.description); err != nil {
		return err
	}
	if items, ok := x.args.array("acls"); ok {
		if len(items) > aclsMax {
			return errTooMany
		}
		r.acls = decodeACLs(r.name, items)
	}
	x.putRole(&r)
	x.noted("rolename=%s", r.name)
	return nil
}

// roleAndACL finds what addRoleACL and removeRoleACL are about.
func (x *call) roleAndACL() (r *role, t aclType, filter string, err error) {
	if r, err = x.role(); err != nil {
		return nil, 0, "", err
	}
	name, err := x.required("acltype")
	if err != nil {
		return nil, 0, "", err
	}
	i := indexFold(aclTypeNames[:], name)
	if i < 0 {
		return nil, 0, "", refusal("Unknown acltype")
	}
	filter, err = x.required("topic")
	return r, aclType(i), filter, err
}

func addRoleACL(x *call) error {
	old, t, filter, err := x.roleAndACL()
	switch {
	case err != nil:
		return err
	case !validFilter(filter):
		return refusal("Invalid ACL topic")
	case slices.ContainsFunc(old.acls[t], func(a acl) bool { return a.filter == filter }):
		return refusal("ACL with this topic already exists")
	case old.count() >= aclsMax:
		return errTooMany
	}
	a := newACL(old.name, t, filter, x.args.int("priority", 0), x.args.isTrue("allow"))
	r := *old
	r.acls[t] = insertACL(r.acls[t], a)
	x.putRole(&r)
	x.kickRole(r.name)
	x.noted("rolename=%s | acltype=%s | topic=%s | priority=%d | allow=%t", r.name, aclTypeNames[t], filter, a.priority,
		a.allow)
	return nil
}

func removeRoleACL(x *call) error {
	old, t, filter, err := x.roleAndACL()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(old.acls[t], func(a acl) bool { return a.filter == filter })
	if i < 0 {
		return refusal("ACL not found")
	}
	r := *old
	r.acls[t] = slices.Delete(slices.Clone(r.acls[t]), i, i+1)
	x.putRole(&r)
	x.kickRole(r.name)
	x.noted("rolename=%s | acltype=%s | topic=%s", r.name, aclTypeNames[t], filter)
	return nil
}
