package config

// accessKeys say who may connect, publish and subscribe.
var accessKeys = []Key{
	{Name: "per_listener_settings", Type: Bool, Default: "false", Area: "Access",
		Help: "The keys of this area and allow_zero_length_clientid and auto_id_prefix belong to the listener above them; this line stands before all of them", set: (*parser).setPerListener},
	{Name: "allow_anonymous", Type: Bool, Area: "Access", security: true, Values: "true or false; without the line false, and true where the broker listens on the loopback addresses because no listener is defined",
		Help: "Admit clients that give no user name", set: (*parser).setAnonymous},
	{Name: "password_file", Type: Text, Area: "Access", Class: Refused, security: true,
		Help: "User names and hashed passwords", Why: "no password would be checked"},
	{Name: "acl_file", Type: Text, Area: "Access", Class: Refused, security: true,
		Help: "Who may read and write which topics", Why: "every client could read and write every topic"},
	{Name: "psk_file", Type: Text, Area: "Access", Class: Refused, security: true,
		Help: "Identities and pre-shared keys", Why: "there is no TLS in this build, and no key would be checked"},
	{Name: "clientid_prefixes", Type: Text, Area: "Access", Class: Refused,
		Help: "Admit only clients whose identifier begins so", Why: "clients with other identifiers would be admitted"},
	{Name: "check_retain_source", Type: Bool, Default: "true", Area: "Access", Class: NoEffect,
		Help: "Ask again, when a retained message is sent, whether its publisher may publish it", Why: "there are no access rights to ask for", set: boolInto(func(c *Config) *bool { return &c.CheckRetainSource })},
}

// setPerListener must stand before what it changes the meaning of.
func (p *parser) setPerListener(v value) {
	if p.security {
		p.fail("per_listener_settings must be set before any other security settings.", "move the line to the top of the file")
		return
	}
	p.perListener = v.on
}

func (p *parser) setAnonymous(v value) {
	if p.perListener {
		p.current.AllowAnonymous = &v.on
		return
	}
	p.cfg.AllowAnonymous, p.cfg.AllowAnonymousSet = v.on, true
}

func (p *parser) setAutoIDPrefix(v value) {
	switch {
	case !p.checkPrefix(v):
	case p.perListener:
		p.current.AutoIDPrefix = &v.text
	default:
		p.cfg.AutoIDPrefix = v.text
	}
}

// setZeroLength refuses what this build cannot do: one answer for one listener and another for the next.
func (p *parser) setZeroLength(v value) {
	if p.perListener && !v.on {
		p.refuse(v.name, "it is one setting for all listeners in this build, and others would refuse or admit the wrong clients; leave per_listener_settings out to set it for all")
		return
	}
	p.cfg.AllowZeroLengthClientID = v.on
}
