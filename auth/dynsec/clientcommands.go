package dynsec

func (x *call) client() (*client, error) {
	name, err := x.required("username")
	if err != nil {
		return nil, err
	}
	return x.clientNamed(name)
}

func (x *call) clientNamed(name string) (*client, error) {
	c := x.clients.find(name)
	if c == nil {
		return nil, errClientMissing
	}
	return c, nil
}

func createClient(x *call) (err error) {
	c := &client{}
	if c.username, err = x.required("username"); err != nil {
		return err
	}
	secret, err := x.optional("password", "Invalid/missing password")
	if err != nil {
		return err
	}
	id, err := x.optional("clientid", "Invalid/missing client id")
	if err != nil {
		return err
	}
	if c.description, err = x.newDescription(); err != nil {
		return err
	}
	switch {
	case x.hasClient(c.username):
		return refusal("Client already exists")
	case len(x.clients) >= clientsMax:
		return errTooMany
	}
	if c.roles, _, err = x.roleList(errRoles); err != nil {
		return err
	}
	if c.groups, err = x.newGroups(); err != nil {
		return err
	}
	if id != nil {
		c.clientID = *id
	}
	if secret != nil {
		c.password = newPassword(*secret)
	}
	x.putClient(c)
	x.noted("username=%s | password=*****", c.username)
	return nil
}

// newGroups reads the groups of a client that is created. What is not a name is skipped; a group that is named twice is
// refused.
func (x *call) newGroups() (refs, error) {
	items, _ := x.args.array("groups")
	if len(items) > refsMax {
		return nil, errTooMany
	}
	var list refs
	for i := range items {
		name, ok := items[i].string("groupname")
		switch {
		case !ok:
		case !x.hasGroup(name):
			return nil, errGroupMissing
		case list.has(name):
			return nil, errInternal
		default:
			list = list.with(ref{name: name, priority: items[i].int("priority", -1)})
		}
	}
	return list, nil
}

func deleteClient(x *call) error {
	c, err := x.client()
	if err != nil {
		return err
	}
	x.dropClient(c.username)
	x.kick(c.username)
	x.noted("username=%s", c.username)
	return nil
}

func getClient(x *call) error {
	c, err := x.client()
	if err != nil {
		return err
	}
	x.data.object()
	x.data.name("client")
	x.data.client(c)
	x.data.end()
	x.noted("username=%s", c.username)
	return nil
}

func (w *writer) client(c *client) {
	w.object()
	w.name("username").string(c.username)
	w.clientDetails(c)
	w.refs("roles", "rolename", c.roles)
	w.refs("groups", "groupname", c.groups)
	w.end()
}

func listClients(x *call) error { return page(x, "clients", x.clients, x.data.client) }

// modifyClient replaces what is given. Groups and roles are replaced as a whole.
func modifyClient(x *call) error {
	old, err := x.client()
	if err != nil {
		return err
	}
	c := *old
	if c.description, err = x.changedDescription(c.description); err != nil {
		return err
	}
	if id, ok := x.args.string("clientid"); ok {
		c.clientID = id
		if err := tooLong(id); err != nil {
			return err
		}
	}
	if roles, given, err := x.roleList(errRoles); err != nil {
		return err
	} else if given {
		c.roles = roles
	}
	if items, ok := x.args.array("groups"); ok {
		c.groups, err = x.refList(items, "groupname", x.hasGroup,
			refusal("'groups' contains an object with an invalid 'groupname'"),
			refusal("'groups' contains an object with a 'groupname' that does not exist"))
		if err != nil {
			return err
		}
	}
	if secret, _ := x.args.string("password"); secret != "" {
		if err := tooLong(secret); err != nil {
			return err
		}
		c.password = newPassword(secret)
	}
	x.putClient(&c)
	x.kick(c.username)
	x.noted("username=%s", c.username)
	return nil
}

// setClientID sets the only client id that may use a client; without one, any may.
func setClientID(x *call) error {
	name, err := x.required("username")
	if err != nil {
		return err
	}
	id, err := x.optional("clientid", "Invalid/missing client ID")
	if err != nil {
		return err
	}
	old, err := x.clientNamed(name)
	if err != nil {
		return err
	}
	c := *old
	c.clientID = ""
	if id != nil {
		c.clientID = *id
	}
	x.putClient(&c)
	x.kick(name)
	x.noted("username=%s | clientid=%s", name, orNull(c.clientID))
	return nil
}

func setClientPassword(x *call) error {
	name, err := x.required("username")
	if err != nil {
		return err
	}
	secret, err := x.required("password")
	switch {
	case err != nil:
		return err
	case secret == "":
		return refusal("Empty password is not allowed")
	}
	old, err := x.clientNamed(name)
	if err != nil {
		return err
	}
	c := *old
	c.password = newPassword(secret)
	x.putClient(&c)
	x.kick(name)
	x.noted("username=%s | password=******", name)
	return nil
}

func enableClient(x *call) error {
	old, err := x.client()
	if err != nil {
		return err
	}
	c := *old
	c.disabled = false
	x.putClient(&c)
	x.noted("username=%s", c.username)
	return nil
}

func disableClient(x *call) error {
	old, err := x.client()
	if err != nil {
		return err
	}
	c := *old
	c.disabled = true
	x.putClient(&c)
	x.kick(c.username)
	x.noted("username=%s", c.username)
	return nil
}

// clientAndRole finds what addClientRole and removeClientRole are about.
func (x *call) clientAndRole() (*client, string, error) {
	name, role, err := x.names("username", "rolename")
	if err != nil {
		return nil, "", err
	}
	c, err := x.clientNamed(name)
	switch {
	case err != nil:
		return nil, "", err
	case !x.hasRole(role):
		return nil, "", errRoleMissing
	}
	return c, role, nil
}

func addClientRole(x *call) error {
	old, role, err := x.clientAndRole()
	switch {
	case err != nil:
		return err
	case old.roles.has(role):
		return errInternal
	case len(old.roles) >= refsMax:
		return errTooMany
	}
	priority := x.args.int("priority", -1)
	c := *old
	c.roles = c.roles.with(ref{name: role, priority: priority})
	x.putClient(&c)
	x.kick(c.username)
	x.noted("username=%s | rolename=%s | priority=%d", c.username, role, priority)
	return nil
}

func removeClientRole(x *call) error {
	old, role, err := x.clientAndRole()
	if err != nil {
		return err
	}
	c := *old
	c.roles = c.roles.without(role)
	x.putClient(&c)
	x.kick(c.username)
	x.noted("username=%s | rolename=%s", c.username, role)
	return nil
}
