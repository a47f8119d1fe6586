package parity

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
)

// users and their passwords, for password files that mosquitto_passwd writes.
var users = [][2]string{{"ann", "secret"}, {"bob", "word with blanks"}}

func passwords(t *testing.T, p *place) {
	t.Helper()
	file := p.write(t, "passwords", "")
	for _, u := range users {
		if out, err := exec.Command("mosquitto_passwd", "-b", file, u[0], u[1]).CombinedOutput(); err != nil {
			t.Fatalf("mosquitto_passwd: %v\n%s", err, out)
		}
	}
}

// dynamicSecurity makes the file of the dynamic security plugin as its own tool does.
func dynamicSecurity(t *testing.T, p *place) {
	t.Helper()
	file := filepath.Join(p.dir, "dynsec.json")
	if out, err := exec.Command("mosquitto_ctrl", "dynsec", "init", file, "admin", "admin").CombinedOutput(); err != nil {
		t.Fatalf("mosquitto_ctrl: %v\n%s", err, out)
	}
	if out, err := exec.Command("chmod", "666", file).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

const dynsecPlugin = `plugin /usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so
plugin_opt_config_file @DIR@/dynsec.json
`

// rules is an ACL file. Topics of conversations begin with a tag, hence the leading +.
const rules = `# for clients without a name
topic read +/open
topic write +/box
topic readwrite +/both
topic deny +/both/secret
topic +/both/#

user ann
topic +/ann/#
topic read +/news
topic deny +/ann/private
topic write $SYS/ann

user bob
topic readwrite #
topic deny +/news

pattern readwrite +/client/%c/#
pattern read +/user/%u
pattern write +/user/%u/in
`

func accessGroups() []group {
	ann := hello{user: "ann", pass: "secret"}
	login := sized + "password_file @DIR@/passwords\nallow_anonymous false\n"
	return []group{
		{name: "anonymous off", config: sized + "allow_anonymous false\n", talks: []conversation{
			{"no user name", nil, func(s *script) { s.join("a", hello{}) }},
			{"user name and password", nil, func(s *script) { s.join("a", ann) }},
			{"will of a refused client", nil, func(s *script) { s.join("a", hello{will: &will{topic: s.topic("w"), payload: "x"}}) }},
		}},
		{name: "passwords", config: login, setUp: passwords, talks: append(logins(),
			conversation{"will of a refused client is not sent", nil, func(s *script) {
				s.join("s", ann)
				s.subscribe("s", "w", 0)
				s.join("a", hello{user: "ann", pass: "wrong", will: &will{topic: s.topic("w"), payload: "x"}})
			}},
			conversation{"a refused client does not take over", nil, func(s *script) {
				s.join("a", hello{id: s.topic("client"), user: "ann", pass: "secret"})
				s.join("b", hello{id: s.topic("client"), user: "ann", pass: "wrong"})
			}},
			conversation{"another user takes over", nil, func(s *script) {
				s.join("a", hello{id: s.topic("client"), user: "ann", pass: "secret"})
				s.join("b", hello{id: s.topic("client"), user: "bob", pass: "word with blanks"})
			}},
			conversation{"packets behind a CONNECT that is refused", nil, func(s *script) {
				s.hello(s.dial("a"), s.fill("a", hello{user: "ann", pass: "wrong"}).bytes(), message{topic: s.topic("x"), qos: 1,
					id: 1, payload: "x"}.bytes(s.level))
			}},
			conversation{"packets behind a CONNECT that is accepted", nil, func(s *script) {
				s.hello(s.dial("a"), s.fill("a", ann).bytes(), subscribe(s.level, 1, s.topic("x"), 0), message{topic: s.topic("x"),
					qos: 1, id: 1, payload: "x"}.bytes(s.level))
			}},
		)},
		{name: "passwords and anonymous", config: sized + "password_file @DIR@/passwords\nallow_anonymous true\n",
			setUp: passwords, talks: logins()},
		{name: "rules", config: sized + "password_file @DIR@/passwords\nallow_anonymous true\nacl_file @DIR@/acl\n",
			setUp: passwords, files: map[string]string{"acl": rules}, talks: ruled()},
		{name: "rules and no retain source",
			config: sized + "password_file @DIR@/passwords\nallow_anonymous true\nacl_file @DIR@/acl\ncheck_retain_source false\n",
			setUp:  passwords, files: map[string]string{"acl": rules}, talks: ruled()[:3]},
		{name: "an empty ACL file", config: sized + "acl_file @DIR@/acl\n", files: map[string]string{"acl": "\n"},
			talks: []conversation{
				{"publish and subscribe", nil, func(s *script) {
					s.join("a", hello{})
					s.subscribe("a", "x", 1)
					s.publish("a", message{topic: "x", qos: 1, id: 1, payload: "x"})
				}},
			}},
		{name: "settings per listener", setUp: passwords, files: map[string]string{"acl": rules},
			config: "per_listener_settings true\n" + sized + "allow_anonymous true\nacl_file @DIR@/acl\n" +
				"listener @PORT2@ 127.0.0.1\nallow_anonymous false\npassword_file @DIR@/passwords\n" +
				"listener @PORT3@ 127.0.0.1\n",
			talks: perListener()},
		{name: "dynamic security", config: sized + dynsecPlugin + "allow_anonymous false\n", setUp: dynamicSecurity,
			talks: dynsec()},
	}
}

func logins() (all []conversation) {
	for _, l := range []struct {
		name string
		h    hello
	}{
		{"right password", hello{user: "ann", pass: "secret"}},
		{"password with blanks", hello{user: "bob", pass: "word with blanks"}},
		{"wrong password", hello{user: "ann", pass: "Secret"}},
		{"empty password", hello{user: "ann", hasPass: true}},
		{"no password", hello{user: "ann"}},
		{"password with something after it", hello{user: "ann", pass: "secret\x00"}},
		{"unknown user", hello{user: "eve", pass: "secret"}},
		{"user name in other letters", hello{user: "Ann", pass: "secret"}},
		{"empty user name", hello{hasUser: true, pass: "secret"}},
		{"nothing", hello{}},
	} {
		all = append(all, conversation{l.name, nil, func(s *script) {
			s.join("a", l.h)
		}})
	}
	return all
}

// ruled are conversations under the rules above.
func ruled() []conversation {
	ann, bob := hello{user: "ann", pass: "secret"}, hello{user: "bob", pass: "word with blanks"}
	each := func(who string, h hello, topics ...string) func(s *script) {
		return func(s *script) {
			s.join("bob", bob)
			s.subscribe("bob", "#", 0)
			s.join(who, h)
			for i, topic := range topics {
				for qos := range 3 {
					s.publish(who, message{topic: topic, qos: qos, id: 10*i + qos + 1, payload: "hello"})
					s.complete(who, qos, 10*i+qos+1)
				}
			}
		}
	}
	hears := func(h hello, filters []string, topics ...string) func(s *script) {
		return func(s *script) {
			s.join("bob", bob)
			s.join("a", h)
			for _, f := range filters {
				s.subscribe("a", f, 1)
			}
			for i, topic := range topics {
				s.publish("bob", message{topic: topic, qos: 1, id: 1 + i, payload: topic})
			}
		}
	}
	all := []string{"open", "box", "both", "both/secret", "both/x", "ann", "ann/1", "ann/private", "news", "user/ann",
		"user/ann/in", "client/a", "client/a/x", "client/b/x"}
	return []conversation{
		{"retained message that its receiver may not read", nil, func(s *script) {
			s.join("bob", bob)
			for _, topic := range []string{"open", "box", "ann/1"} {
				s.publish("bob", message{topic: topic, retain: true, payload: topic})
			}
			s.join("a", hello{})
			s.subscribe("a", "#", 1)
			s.join("ann", ann)
			s.subscribe("ann", "#", 1)
			for _, topic := range []string{"open", "box", "ann/1"} {
				s.publish("bob", message{topic: topic, retain: true})
			}
		}},
		{"retained message of an anonymous publisher", nil, func(s *script) {
			s.join("p", hello{})
			s.publish("p", message{topic: "box", retain: true, payload: "kept"})
			s.publish("p", message{topic: "open", retain: true, payload: "refused"})
			s.leave("p")
			s.join("bob", bob)
			s.subscribe("bob", "#", 0)
			s.publish("bob", message{topic: "box", retain: true})
		}},
		{"refused retained message does not clear", nil, func(s *script) {
			s.join("bob", bob)
			s.publish("bob", message{topic: "open", retain: true, payload: "kept"})
			s.join("a", hello{})
			s.publish("a", message{topic: "open", retain: true, qos: 1, id: 1})
			s.subscribe("a", "open", 0)
			s.publish("bob", message{topic: "open", retain: true})
		}},
		{"anonymous publishes", nil, each("a", hello{}, all...)},
		{"ann publishes", nil, each("ann", ann, all...)},
		{"bob publishes", nil, each("b", bob, "news", "x")},
		{"anonymous subscribes to all", nil, hears(hello{}, []string{"#"}, all...)},
		{"ann subscribes to all", nil, hears(ann, []string{"#"}, all...)},
		{"bob subscribes to all", nil, hears(bob, []string{"#"}, all...)},
		{"subscriptions that bring nothing are granted", nil, hears(hello{}, []string{"box", "nothing", "ann/#", "+",
			"both/secret"}, "box", "both", "both/secret")},
		{"subscriptions to topics of the server", nil, func(s *script) {
			s.join("a", hello{})
			s.send("a", subscribe(s.level, 1, "$SYS/#", 0, "$SYS/broker/version", 0, "$CONTROL/#", 0))
			s.send("a", subscribe(s.level, 2, "$share/g/#", 0))
		}},
		{"publishing to topics of the server", nil, func(s *script) {
			s.join("ann", ann)
			s.send("ann", message{topic: "$SYS/ann", qos: 1, id: 1, payload: "x"}.bytes(s.level))
			s.send("ann", message{topic: "$SYS/bob", qos: 1, id: 2, payload: "x"}.bytes(s.level))
		}},
		{"shared subscription", both, hears(ann, []string{"ann/#"}, "ann/1", "ann/private")},
		{"will that is refused", nil, func(s *script) {
			s.join("bob", bob)
			s.subscribe("bob", "#", 0)
			s.join("a", hello{will: &will{topic: s.topic("open"), payload: "gone"}})
			s.drop("a")
			s.join("c", hello{will: &will{topic: s.topic("box"), payload: "gone"}})
			s.drop("c")
		}},
		{"queued message", nil, func(s *script) {
			h := stored
			h.user, h.pass = "ann", "secret"
			s.join("ann", h)
			s.subscribe("ann", "#", 1)
			s.leave("ann")
			s.join("bob", bob)
			for i, topic := range []string{"ann/1", "ann/private", "x", "ann/2"} {
				s.publish("bob", message{topic: topic, qos: 1, id: 1 + i, payload: topic})
			}
			s.join("ann", h)
		}},
		{"identifier with a wildcard and patterns", nil, func(s *script) {
			s.join("a", hello{id: s.tag + "+"})
			s.subscribe("a", "#", 0)
			s.publish("a", message{topic: "box", payload: "x"})
			s.publish("a", message{topic: "client/" + s.tag + "+/x", qos: 1, id: 1, payload: "x"})
		}},
		{"identifier with a slash and patterns", nil, func(s *script) {
			s.join("a", hello{id: s.tag + "/x"})
			s.publish("a", message{topic: "client/" + s.tag + "/x/y", qos: 1, id: 1, payload: "x"})
		}},
		{"pattern of the identifier", nil, func(s *script) {
			s.join("a", hello{id: s.tag + "-id"})
			s.subscribe("a", "client/#", 0)
			s.publish("a", message{topic: "client/" + s.tag + "-id/y", qos: 1, id: 1, payload: "mine"})
			s.publish("a", message{topic: "client/other/y", qos: 1, id: 2, payload: "not mine"})
		}},
		{"pattern of the user name", nil, func(s *script) {
			s.join("ann", ann)
			s.subscribe("ann", "user/#", 0)
			s.publish("ann", message{topic: "user/ann/in", qos: 1, id: 1, payload: "x"})
			s.publish("ann", message{topic: "user/ann", qos: 1, id: 2, payload: "x"})
			s.publish("ann", message{topic: "user/bob/in", qos: 1, id: 3, payload: "x"})
			s.join("bob", bob)
			s.publish("bob", message{topic: "user/ann", qos: 1, id: 1, payload: "for ann"})
			s.publish("bob", message{topic: "user/bob", qos: 1, id: 2, payload: "for bob"})
		}},
	}
}

// perListener has an anonymous listener with rules, one with passwords and one with nothing.
func perListener() []conversation {
	ann := hello{user: "ann", pass: "secret"}
	return []conversation{
		{"anonymous at each", nil, func(s *script) {
			for i := range 3 {
				s.joinAt(fmt.Sprint("a", i), 1+i, hello{})
			}
		}},
		{"ann at each", nil, func(s *script) {
			for i := range 3 {
				s.joinAt(fmt.Sprint("a", i), 1+i, ann)
			}
		}},
		{"wrong password at each", nil, func(s *script) {
			for i := range 3 {
				s.joinAt(fmt.Sprint("a", i), 1+i, hello{user: "ann", pass: "wrong"})
			}
		}},
		{"rules of one listener", nil, func(s *script) {
			s.joinAt("two", 2, ann)
			s.subscribe("two", "#", 1)
			s.join("one", hello{})
			s.subscribe("one", "#", 1)
			for i, topic := range []string{"open", "box", "x"} {
				s.publish("one", message{topic: topic, qos: 1, id: 1 + i, payload: topic})
				s.publish("two", message{topic: topic, qos: 1, id: 1 + i, payload: topic})
			}
		}},
	}
}

const controlTopic = "$CONTROL/dynamic-security/v1"

// dynsec drives the dynamic security plugin. The conversations of a group follow one another, so each removes what it made.
func dynsec() []conversation {
	admin := hello{user: "admin", pass: "admin"}
	command := func(s *script, json string) {
		s.send("admin", message{topic: controlTopic, qos: 1, id: 9, payload: `{"commands":[` + json + `]}`}.bytes(s.level))
	}
	begin := func(s *script) {
		s.join("admin", admin)
		s.send("admin", subscribe(s.level, 1, controlTopic+"/response", 0))
	}
	commands := func(name string, list ...string) conversation {
		return conversation{name, only4, func(s *script) {
			begin(s)
			for _, c := range list {
				command(s, c)
			}
		}}
	}
	return []conversation{
		{"admin", nil, begin},
		{"nobody", nil, func(s *script) { s.join("a", hello{}) }},
		{"unknown client", nil, func(s *script) { s.join("a", hello{user: "eve", pass: "x"}) }},
		commands("what is there at first", `{"command":"getDefaultACLAccess"}`, `{"command":"listClients"}`,
			`{"command":"listGroups"}`, `{"command":"listRoles"}`, `{"command":"getAnonymousGroup"}`,
			`{"command":"getRole","rolename":"admin"}`, `{"command":"listClients","verbose":true,"count":1}`),
		commands("correlation and unknown commands", `{"command":"listRoles","correlationData":"abc"}`,
			`{"command":"noSuch","correlationData":"abc"}`, `{"nothing":1}`, `3`),
		{"no JSON", only4, func(s *script) {
			begin(s)
			for _, text := range []string{"", "{", "[]", `{"commands":3}`, `{"command":"listRoles"}`} {
				s.send("admin", message{topic: controlTopic, qos: 1, id: 9, payload: text}.bytes(s.level))
			}
		}},
		commands("client",
			`{"command":"createClient","username":"c1","password":"pw","textname":"name","textdescription":"about"}`,
			`{"command":"createClient","username":"c1","password":"pw"}`,
			`{"command":"getClient","username":"c1"}`, `{"command":"listClients"}`,
			`{"command":"modifyClient","username":"c1","textname":"other"}`, `{"command":"getClient","username":"c1"}`,
			`{"command":"disableClient","username":"c1"}`, `{"command":"getClient","username":"c1"}`,
			`{"command":"enableClient","username":"c1"}`, `{"command":"setClientId","username":"c1","clientid":"only"}`,
			`{"command":"getClient","username":"c1"}`, `{"command":"setClientPassword","username":"c1","password":"new"}`,
			`{"command":"deleteClient","username":"c1"}`, `{"command":"getClient","username":"c1"}`,
			`{"command":"deleteClient","username":"c1"}`),
		commands("client with mistakes", `{"command":"createClient"}`, `{"command":"createClient","username":3}`,
			`{"command":"createClient","username":"m1","password":3}`,
			`{"command":"createClient","username":"m2","roles":[{"rolename":"none"}]}`,
			`{"command":"createClient","username":"m3","groups":[{"groupname":"none"}]}`,
			`{"command":"getClient","username":"none"}`, `{"command":"setClientPassword","username":"none","password":"x"}`,
			`{"command":"addClientRole","username":"none","rolename":"admin"}`,
			`{"command":"addClientRole","username":"admin","rolename":"none"}`),
		commands("role",
			`{"command":"createRole","rolename":"r1","textname":"n","textdescription":"d",`+
				`"acls":[{"acltype":"publishClientSend","topic":"a/#","priority":1,"allow":true}]}`,
			`{"command":"getRole","rolename":"r1"}`, `{"command":"createRole","rolename":"r1"}`,
			`{"command":"addRoleACL","rolename":"r1","acltype":"subscribePattern","topic":"a/+","priority":5,"allow":true}`,
			`{"command":"addRoleACL","rolename":"r1","acltype":"subscribePattern","topic":"a/+","priority":5,"allow":true}`,
			`{"command":"addRoleACL","rolename":"r1","acltype":"noSuch","topic":"a"}`, `{"command":"getRole","rolename":"r1"}`,
			`{"command":"removeRoleACL","rolename":"r1","acltype":"subscribePattern","topic":"a/+"}`,
			`{"command":"removeRoleACL","rolename":"r1","acltype":"subscribePattern","topic":"a/+"}`,
			`{"command":"modifyRole","rolename":"r1","textname":"m","acls":[{"acltype":"subscribeLiteral","topic":"x"}]}`,
			`{"command":"getRole","rolename":"r1"}`, `{"command":"listRoles","verbose":true}`,
			`{"command":"deleteRole","rolename":"r1"}`, `{"command":"getRole","rolename":"r1"}`),
		commands("group", `{"command":"createRole","rolename":"r2"}`,
			`{"command":"createClient","username":"c2","password":"pw"}`,
			`{"command":"createGroup","groupname":"g1","textname":"n","roles":[{"rolename":"r2","priority":3}]}`,
			`{"command":"getGroup","groupname":"g1"}`,
			`{"command":"addGroupClient","groupname":"g1","username":"c2","priority":2}`,
			`{"command":"getGroup","groupname":"g1"}`, `{"command":"getClient","username":"c2"}`,
			`{"command":"listGroups","verbose":true}`, `{"command":"removeGroupClient","groupname":"g1","username":"c2"}`,
			`{"command":"removeGroupRole","groupname":"g1","rolename":"r2"}`,
			`{"command":"addGroupRole","groupname":"g1","rolename":"r2","priority":1}`,
			`{"command":"modifyGroup","groupname":"g1","textdescription":"d"}`, `{"command":"getGroup","groupname":"g1"}`,
			`{"command":"deleteGroup","groupname":"g1"}`, `{"command":"getGroup","groupname":"g1"}`,
			`{"command":"deleteRole","rolename":"r2"}`, `{"command":"deleteClient","username":"c2"}`),
		commands("anonymous group", `{"command":"setAnonymousGroup","groupname":"none"}`,
			`{"command":"createGroup","groupname":"nameless"}`, `{"command":"setAnonymousGroup","groupname":"nameless"}`,
			`{"command":"getAnonymousGroup"}`),
		commands("default access",
			`{"command":"setDefaultACLAccess","acls":[{"acltype":"publishClientSend","allow":true},`+
				`{"acltype":"subscribe","allow":true}]}`,
			`{"command":"getDefaultACLAccess"}`,
			`{"command":"setDefaultACLAccess","acls":[{"acltype":"publishClientSend","allow":false},`+
				`{"acltype":"subscribe","allow":false}]}`,
			`{"command":"getDefaultACLAccess"}`),
		{"rights of a client", nil, func(s *script) {
			begin(s)
			command(s, `{"command":"createRole","rolename":"r3","acls":[`+
				`{"acltype":"publishClientSend","topic":"+/in","allow":true},`+
				`{"acltype":"publishClientReceive","topic":"+/out","allow":true},`+
				`{"acltype":"subscribePattern","topic":"+/out","allow":true},`+
				`{"acltype":"subscribeLiteral","topic":"+/+","allow":true},`+
				`{"acltype":"unsubscribePattern","topic":"#","allow":true}]}`)
			command(s, `{"command":"createClient","username":"c3","password":"pw","roles":[{"rolename":"r3"}]}`)
			s.join("c", hello{user: "c3", pass: "pw"})
			s.send("c", subscribe(s.level, 1, s.topic("out"), 1, s.topic("in"), 1, "#", 1, "+/+", 1))
			for i, topic := range []string{"in", "out", "else"} {
				s.publish("c", message{topic: topic, qos: 1, id: 1 + i, payload: "hello"})
				s.publish("admin", message{topic: topic, qos: 1, id: 1 + i, payload: "hello"})
			}
			s.send("c", unsubscribe(s.level, 2, s.topic("out")))
			s.join("d", hello{user: "c3", pass: "wrong"})
			command(s, `{"command":"deleteClient","username":"c3"}`)
			command(s, `{"command":"deleteRole","rolename":"r3"}`)
		}},
		{"client is disabled while connected", nil, func(s *script) {
			begin(s)
			command(s, `{"command":"createClient","username":"c4","password":"pw"}`)
			s.join("c", hello{user: "c4", pass: "pw"})
			command(s, `{"command":"disableClient","username":"c4"}`)
			s.join("d", hello{user: "c4", pass: "pw"})
			command(s, `{"command":"enableClient","username":"c4"}`)
			s.join("e", hello{user: "c4", pass: "pw"})
			command(s, `{"command":"setClientPassword","username":"c4","password":"new"}`)
			s.join("f", hello{user: "c4", pass: "new"})
			command(s, `{"command":"deleteClient","username":"c4"}`)
		}},
		{"client identifier of a client", only4, func(s *script) {
			begin(s)
			command(s, `{"command":"createClient","username":"c5","password":"pw","clientid":"`+s.topic("mine")+`"}`)
			s.join("c", hello{user: "c5", pass: "pw", id: s.topic("mine")})
			s.join("d", hello{user: "c5", pass: "pw", id: s.topic("other")})
			command(s, `{"command":"deleteClient","username":"c5"}`)
		}},
	}
}
