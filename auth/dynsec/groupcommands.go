package dynsec

func (x *call) group() (*group, error) {
	name, err := x.required("groupname")
	if err != nil {
		return nil, err
	}
	return x.groupNamed(name)
}

func (x *call) groupNamed(name string) (*group, error) {
	g := x.groups.find(name)
	if g == nil {
		return nil, errGroupMissing
	}
	return g, nil
}

func createGroup(x *call) (err error) {
	g := &group{}
	if g.name, err = x.required("groupname"); err != nil {
		return err
	}
	if g.description, err = x.newDescription(); err != nil {
		return err
	}
	switch {
	case x.hasGroup(g.name):
		return refusal("Group already exists")
	case len(x.groups) >= groupsMax:
		return errTooMany
	}
	if g.roles, _, err = x.roleList(errInternal); err != nil {
		return err
	}
	x.putGroup(g)
	x.noted("groupname=%s", g.name)
	return nil
}

func deleteGroup(x *call) error {
	g, err := x.group()
	switch {
	case err != nil:
		return err
	case g.name == x.anonymous:
		return refusal("Deleting the anonymous group is forbidden")
	}
	x.kickGroup(g.name)
	x.setMembers(g.name, nil)
	x.dropGroup(g.name)
	x.noted("groupname=%s", g.name)
	return nil
}

// setMembers makes clients, and no others, the members of a group. The priorities are the group's for each client.
func (c *change) setMembers(group string, clients refs) {
	var changed []*client
	for _, old := range c.clients {
		if old.groups.has(group) {
			x := *old
			x.groups = x.groups.without(group)
			changed = append(changed, &x)
		}
	}
	for _, x := range changed {
		c.putClient(x)
	}
	for _, member := range clients {
		x := *c.clients.find(member.name)
		x.groups = x.groups.with(ref{name: group, priority: member.priority})
		c.putClient(&x)
	}
}

func getGroup(x *call) error {
	g, err := x.group()
	if err != nil {
		return err
	}
	var members refs
	for _, c := range x.clients {
		if c.groups.has(g.name) {
			members = append(members, ref{name: c.username, priority: -1})
		}
	}
	x.data.object()
	x.data.name("group")
	x.data.group(g, members)
	x.data.end()
	x.noted("groupname=%s", g.name)
	return nil
}

// group writes a group. The members' priorities are not shown.
func (w *writer) group(g *group, members refs) {
	w.object()
	w.name("groupname").string(g.name)
	w.description(g.description)
	w.name("clients").array()
	for _, m := range members {
		w.object()
		w.name("username").string(m.name)
		w.end()
	}
	w.end()
	w.refs("roles", "rolename", g.roles)
	w.end()
}

func listGroups(x *call) error {
	var members map[string]refs
	if x.args.isTrue("verbose") {
		members = membersOf(&x.snapshot)
	}
	return page(x, "groups", x.groups, func(g *group) { x.data.group(g, members[g.name]) })
}

// modifyGroup replaces what is given. Clients and roles are replaced as a whole.
func modifyGroup(x *call) error {
	old, err := x.group()
	if err != nil {
		return err
	}
	g := *old
	if g.description, err = x.changedDescription(g.description); err != nil {
		return err
	}
	if roles, given, err := x.roleList(errRoles); err != nil {
		return err
	} else if given {
		g.roles = roles
	}
	items, given := x.args.array("clients")
	members, err := x.members(items, g.name)
	if err != nil {
		return err
	}
	x.kickGroup(g.name)
	if given {
		x.setMembers(g.name, members)
		x.kickGroup(g.name)
	}
	x.putGroup(&g)
	x.noted("groupname=%s", g.name)
	return nil
}

// members reads the clients of modifyGroup.
func (x *call) members(items []value, group string) (refs, error) {
	if len(items) > clientsMax {
		return nil, errTooMany
	}
	var list refs
	seen := make(map[string]bool)
	for i := range items {
		name, ok := items[i].string("username")
		if !ok {
			return nil, refusal("'clients' contains an object with an invalid 'username'")
		}
		c := x.clients.find(name)
		switch {
		case c == nil:
			return nil, refusal("'clients' contains an object with a 'username' that does not exist")
		case len(c.groups) >= refsMax && !c.groups.has(group):
			return nil, errTooMany
		case !seen[name]:
			seen[name] = true
			list = append(list, ref{name: name, priority: items[i].int("priority", -1)})
		}
	}
	return list, nil
}

// groupAndRole finds what addGroupRole and removeGroupRole are about.
func (x *call) groupAndRole() (*group, string, error) {
	name, role, err := x.names("groupname", "rolename")
	if err != nil {
		return nil, "", err
	}
	g, err := x.groupNamed(name)
	switch {
	case err != nil:
		return nil, "", err
	case !x.hasRole(role):
		return nil, "", errRoleMissing
	}
	return g, role, nil
}

func addGroupRole(x *call) error {
	old, role, err := x.groupAndRole()
	switch {
	case err != nil:
		return err
	case old.roles.has(role):
		return refusal("Group is already in this role")
	case len(old.roles) >= refsMax:
		return errTooMany
	}
	priority := x.args.int("priority", -1)
	g := *old
	g.roles = g.roles.with(ref{name: role, priority: priority})
	x.putGroup(&g)
	x.kickGroup(g.name)
	x.noted("groupname=%s | rolename=%s | priority=%d", g.name, role, priority)
	return nil
}

func removeGroupRole(x *call) error {
	old, role, err := x.groupAndRole()
	if err != nil {
		return err
	}
	g := *old
	g.roles = g.roles.without(role)
	x.putGroup(&g)
	x.kickGroup(g.name)
	x.noted("groupname=%s | rolename=%s", g.name, role)
	return nil
}

// clientAndGroup finds what addGroupClient and removeGroupClient are about.
func (x *call) clientAndGroup() (*client, string, error) {
	name, group, err := x.names("username", "groupname")
	if err != nil {
		return nil, "", err
	}
	c, err := x.clientNamed(name)
	switch {
	case err != nil:
		return nil, "", err
	case !x.hasGroup(group):
		return nil, "", errGroupMissing
	}
	return c, group, nil
}

func addGroupClient(x *call) error {
	old, group, err := x.clientAndGroup()
	switch {
	case err != nil:
		return err
	case old.groups.has(group):
		return refusal("Client is already in this group")
	case len(old.groups) >= refsMax:
		return errTooMany
	}
	priority := x.args.int("priority", -1)
	c := *old
	c.groups = c.groups.with(ref{name: group, priority: priority})
	x.putClient(&c)
	x.kick(c.username)
	x.noted("groupname=%s | username=%s | priority=%d", group, c.username, priority)
	return nil
}

func removeGroupClient(x *call) error {
	old, group, err := x.clientAndGroup()
	if err != nil {
		return err
	}
	c := *old
	c.groups = c.groups.without(group)
	x.putClient(&c)
	x.kick(c.username)
	x.noted("groupname=%s | username=%s", group, c.username)
	return nil
}
