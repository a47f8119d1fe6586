package dynsec

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/noctulemq/noctule/auth"
)

// refusal is why a command was not done, in the words of the response.
type refusal string

func (r refusal) Error() string { return string(r) }

const (
	errTooLong     refusal = "A name, text or topic is longer than 65535 bytes"
	errTooMany     refusal = "The limit for this kind of object is reached"
	errCorrelation refusal = "Invalid correlationData data type."
	errResponse    refusal = "The list is too long for one response, use count and offset"
)

// command does one command: it checks everything first, then changes. It writes the value of "data" where it has one, and
// appends to the log line what it was asked.
type command func(x *call) error

// commands are all that there are. Their names are known without regard to case.
var commands = []struct {
	name string
	do   command
}{
	{"setDefaultACLAccess", setDefaultACLAccess},
	{"getDefaultACLAccess", getDefaultACLAccess},
	{"setAnonymousGroup", setAnonymousGroup},
	{"getAnonymousGroup", getAnonymousGroup},

	{"createClient", createClient},
	{"deleteClient", deleteClient},
	{"getClient", getClient},
	{"listClients", listClients},
	{"modifyClient", modifyClient},
	{"setClientId", setClientID},
	{"setClientPassword", setClientPassword},
	{"enableClient", enableClient},
	{"disableClient", disableClient},
	{"addClientRole", addClientRole},
	{"removeClientRole", removeClientRole},

	{"createGroup", createGroup},
	{"deleteGroup", deleteGroup},
	{"getGroup", getGroup},
	{"listGroups", listGroups},
	{"modifyGroup", modifyGroup},
	{"addGroupClient", addGroupClient},
	{"removeGroupClient", removeGroupClient},
	{"addGroupRole", addGroupRole},
	{"removeGroupRole", removeGroupRole},

	{"createRole", createRole},
	{"deleteRole", deleteRole},
	{"getRole", getRole},
	{"listRoles", listRoles},
	{"modifyRole", modifyRole},
	{"addRoleACL", addRoleACL},
	{"removeRoleACL", removeRoleACL},
}

// call is one command of a message on its way.
type call struct {
	*change
	args *value
	data writer // what "data" will be; empty: the response has none
	room int    // how long data may become
	log  strings.Builder
}

// result is one entry of the response.
type result struct {
	command     string
	correlation *value // a string, or nil
	err         error
	data        []byte
	changed     bool
}

// Handle does the commands of one message and returns the response, which is JSON, never nil. Any thread but a loop's: it
// hashes passwords and waits for the disk. One message is handled at a time, its commands in order.
//
// What was changed is in the file, and decides, before Handle returns. If the file cannot be written, nothing of the
// message is changed and each command that would have changed something answers so: a revocation that a restart would
// undo must not look done. A command that is refused changes nothing; those after it are still done.
func (p *Plugin) Handle(from *auth.Client, payload []byte) (response []byte) {
	list, err := readCommands(payload)
	if err != nil {
		return respond([]result{{command: "Unknown command", err: err}})
	}
	p.commands.Lock()
	c := newChange(p.now.Load())
	results, lines := c.run(from, list)
	saved := true
	if c.changed {
		next := c.snapshot
		next.version++
		if err := p.save(&next); err != nil {
			saved = false
			fail(results, err)
			p.log(fmt.Sprintf("dynsec: nothing was changed, because %s could not be written: %v", p.options.File, err))
		} else {
			p.now.Store(&next)
		}
	}
	p.commands.Unlock()

	for _, line := range lines {
		p.log(line)
	}
	if match := c.kicks(); saved && match != nil && p.options.Kick != nil {
		p.options.Kick(match)
	}
	return respond(results)
}

func readCommands(payload []byte) ([]value, error) {
	root, err := readJSON(payload)
	if err != nil {
		return nil, refusal("Payload not valid JSON")
	}
	list, ok := root.array("commands")
	switch {
	case !ok:
		return nil, refusal("Invalid/missing commands")
	case len(list) > commandsMax:
		return nil, refusal(fmt.Sprintf("More than %d commands in one message", commandsMax))
	}
	return list, nil
}

// run does the commands. lines is what the log says of those that were done.
func (c *change) run(from *auth.Client, list []value) (results []result, lines []string) {
	room := responseBytesMax
	sender := orNull(from.ID) + "/" + orNull(from.UserName)
	for i := range list {
		r := result{command: "Unknown command"}
		do, err := r.read(&list[i])
		if err == nil {
			x := &call{change: c, args: &list[i], room: room}
			before := c.changed
			c.changed = false
			err = do(x)
			r.changed, c.changed = c.changed, before || c.changed
			if len(x.data.buf) > room {
				err = errResponse
			}
			if err == nil {
				r.data = x.data.buf
				room -= len(r.data)
				lines = append(lines, "dynsec: "+sender+" | "+r.command+x.log.String())
			}
		}
		r.err = err
		results = append(results, r)
		if err == errCorrelation {
			break // Mosquitto does not look at what follows
		}
	}
	return results, lines
}

func orNull(s string) string {
	if s == "" {
		return "(null)"
	}
	return s
}

// read finds what to do.
func (r *result) read(v *value) (command, error) {
	if v.kind != kindObject {
		return nil, refusal("Command not an object")
	}
	name, ok := v.string("command")
	if !ok {
		return nil, refusal("Missing command")
	}
	r.command = name
	if r.correlation = v.get("correlationData"); r.correlation != nil && r.correlation.kind != kindString {
		r.correlation = nil
		return nil, errCorrelation
	}
	for i := range commands {
		if strings.EqualFold(commands[i].name, name) {
			r.command = commands[i].name
			return commands[i].do, nil
		}
	}
	return nil, refusal("Unknown command")
}

// fail makes all that was done undone in the response.
func fail(results []result, err error) {
	for i := range results {
		if results[i].changed {
			results[i].err = refusal("Nothing was changed, the configuration file could not be written: " + err.Error())
		}
	}
}

func respond(results []result) []byte {
	w := &writer{}
	w.object()
	w.name("responses").array()
	for i := range results {
		r := &results[i]
		w.object()
		w.name("command").string(r.command)
		switch {
		case r.err != nil:
			w.name("error").string(r.err.Error())
		case len(r.data) > 0:
			w.name("data").raw(r.data)
		}
		if r.correlation != nil {
			w.name("correlationData").string(r.correlation.text)
		}
		w.end()
	}
	w.end()
	w.end()
	return w.buf
}

// required returns a string that a command cannot do without.
func (x *call) required(name string) (string, error) {
	text, ok := x.args.string(name)
	if !ok {
		return "", refusal("Invalid/missing " + name)
	}
	return text, tooLong(text)
}

// names returns two strings that a command cannot do without.
func (x *call) names(first, second string) (a, b string, err error) {
	if a, err = x.required(first); err != nil {
		return "", "", err
	}
	b, err = x.required(second)
	return a, b, err
}

// optional returns a string that may be missing, and then is nil, but not be something else; complaint is the refusal.
func (x *call) optional(name string, complaint refusal) (*string, error) {
	if x.args.get(name) == nil {
		return nil, nil
	}
	text, ok := x.args.string(name)
	if !ok {
		return nil, complaint
	}
	return &text, tooLong(text)
}

func tooLong(text string) error {
	if len(text) > nameBytesMax {
		return errTooLong
	}
	return nil
}

// newDescription returns the texts of something that is created.
func (x *call) newDescription() (d description, err error) {
	if d.name, err = x.optional("textname", "Invalid/missing textname"); err != nil {
		return d, err
	}
	d.text, err = x.optional("textdescription", "Invalid/missing textdescription")
	return d, err
}

// changedDescription returns the texts of something that is modified. What is not a string changes nothing.
func (x *call) changedDescription(d description) (description, error) {
	var err1, err2 error
	d.name, err1 = x.replaced("textname", d.name)
	d.text, err2 = x.replaced("textdescription", d.text)
	return d, cmp.Or(err1, err2)
}

func (x *call) replaced(name string, old *string) (*string, error) {
	text, ok := x.args.string(name)
	if !ok {
		return old, nil
	}
	return &text, tooLong(text)
}

// noted appends to the log line.
func (x *call) noted(format string, args ...any) { fmt.Fprintf(&x.log, " | "+format, args...) }

// page writes the names or the details of a part of a table: count entries from offset on. A count below 0 is all; 0 is 1,
// as in Mosquitto.
func page[T named](x *call, list string, t table[T], details func(T)) error {
	verbose := x.args.isTrue("verbose")
	count, offset := x.args.int("count", -1), x.args.int("offset", 0)
	x.noted("verbose=%t | count=%d | offset=%d", verbose, count, offset)
	w := &x.data
	w.object()
	w.name("totalCount").int(len(t))
	w.name(list).array()
	part := t[min(max(int(offset), 0), len(t)):]
	if count >= 0 {
		part = part[:min(max(int(count), 1), len(part))]
	}
	for _, entry := range part {
		if verbose {
			details(entry)
		} else {
			w.string(entry.key())
		}
		if len(w.buf) > x.room {
			return errResponse // run would refuse it too, but only when all is written
		}
	}
	w.end()
	w.end()
	return nil
}

// refList reads the roles or groups of a command. Errors: invalid where an item is not an object with a name, missing
// where one of that name does not exist. The first of several of a name counts.
func (x *call) refList(items []value, name string, exists func(string) bool, invalid, missing error) (refs, error) {
	if len(items) > refsMax {
		return nil, errTooMany
	}
	var list refs
	for i := range items {
		text, ok := items[i].string(name)
		switch {
		case !ok:
			return nil, invalid
		case !exists(text):
			return nil, missing
		case !list.has(text):
			list = list.with(ref{name: text, priority: items[i].int("priority", -1)})
		}
	}
	return list, nil
}

const (
	errRoleMissing   refusal = "Role not found"
	errGroupMissing  refusal = "Group not found"
	errClientMissing refusal = "Client not found"
	errRoles         refusal = "'roles' not an array or missing/invalid rolename"
	errInternal      refusal = "Internal error" // Mosquitto's words for some arguments that are not valid
)

// roleList reads the member "roles". given is false where there is none. invalid is the refusal of one that is wrong.
func (x *call) roleList(invalid error) (list refs, given bool, err error) {
	m := x.args.get("roles")
	if m == nil {
		return nil, false, nil
	}
	if m.kind != kindArray {
		return nil, true, invalid
	}
	list, err = x.refList(m.items, "rolename", x.hasRole, invalid, errRoleMissing)
	return list, true, err
}

func (c *change) hasRole(name string) bool   { return c.roles.find(name) != nil }
func (c *change) hasGroup(name string) bool  { return c.groups.find(name) != nil }
func (c *change) hasClient(name string) bool { return c.clients.find(name) != nil }
