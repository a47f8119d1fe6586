package dynsec

// setDefaultACLAccess changes what holds where no ACL matches. Entries that are not understood are skipped.
func setDefaultACLAccess(x *call) error {
	items, ok := x.args.array("acls")
	if !ok {
		return refusal("Missing/invalid actions array")
	}
	for i := range items {
		name, _ := items[i].string("acltype")
		allow := items[i].get("allow")
		e := indexFold(eventNames[:], name)
		if e < 0 || allow == nil || allow.kind != kindBool {
			continue
		}
		x.access[e] = allow.yes
		x.noted("acltype=%s | allow=%t", name, allow.yes)
	}
	x.changed = true
	return nil
}

func getDefaultACLAccess(x *call) error {
	w := &x.data
	w.object()
	w.name("acls").array()
	for e, name := range eventNames {
		w.object()
		w.name("acltype").string(name)
		w.name("allow").bool(x.access[e])
		w.end()
	}
	w.end()
	w.end()
	return nil
}

func setAnonymousGroup(x *call) error {
	name, err := x.required("groupname")
	switch {
	case err != nil:
		return err
	case !x.hasGroup(name):
		return errGroupMissing
	}
	x.anonymous, x.changed, x.kickedAnonymous = name, true, true
	x.noted("groupname=%s", name)
	return nil
}

func getAnonymousGroup(x *call) error {
	w := &x.data
	w.object()
	w.name("group").object()
	w.name("groupname").string(x.anonymous)
	w.end()
	w.end()
	return nil
}
