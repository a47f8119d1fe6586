package config

import "math"

// accessKeys say who may connect, publish and subscribe.
var accessKeys = []Key{
	{Name: "per_listener_settings", Type: Bool, Default: "false", Area: "Access",
		Help: "allow_anonymous, password_file, acl_file, psk_file, plugin, allow_zero_length_clientid and auto_id_prefix belong to the listener above them; this line stands before all of them", set: (*parser).setPerListener},
	{Name: "allow_anonymous", Type: Bool, Area: "Access", security: true, Values: "true or false; without the line false, and true where the broker listens on the loopback addresses because no listener is defined",
		Help: "Admit clients that give no user name", set: (*parser).setAnonymous, shown: shownAnonymous},
	{Name: "password_file", Type: Text, Area: "Access", security: true, Values: "a file that noctule passwd or mosquitto_passwd writes",
		Help: "User names and hashed passwords", set: (*parser).setPasswordFile},
	{Name: "acl_file", Type: Text, Area: "Access", security: true, Values: "a file",
		Help: "Who may read and write which topics", set: (*parser).setACLFile},
	{Name: "psk_file", Type: Text, Area: "Access", Class: NoEffect, security: true,
		Help: "Identities and pre-shared keys", Why: "the TLS of this broker has no pre-shared keys, and a listener with psk_hint is refused; use client certificates", set: (*parser).setPSKFile},
	{Name: "clientid_prefixes", Type: Text, Area: "Access", Values: "a prefix",
		Help: "Admit only clients whose identifier begins so", set: func(p *parser, v value) { p.cfg.ClientIDPrefixes = []string{v.text} }},
	{Name: "check_retain_source", Type: Bool, Default: "true", Area: "Access",
		Help: "Ask again, when a retained message is sent, whether its publisher may publish it", set: boolInto(func(c *Config) *bool { return &c.CheckRetainSource })},
	{Name: "auth_workers", Type: Number, Default: "0", Area: "Access", Ours: true, Restart: true, max: 1024,
		Help: "How many threads check passwords; 0 means as many as event loops", set: numberInto(func(c *Config) *int { return &c.AuthWorkers })},
	{Name: "auth_queue_limit", Type: Number, Default: "20000", Area: "Access", Ours: true, Restart: true, min: 1, max: 10_000_000,
		Help: "How many logins wait for a thread; a client that would be one more is refused", set: numberInto(func(c *Config) *int { return &c.AuthQueueLimit })},
	{Name: "reason_strings", Type: Bool, Default: "false", Area: "Access", Ours: true,
		Help: "Tell MQTT 5.0 clients in words why something was refused", set: boolInto(func(c *Config) *bool { return &c.ReasonStrings })},
	rateKey("client_connection_rate", "connections one client identifier may open", func(c *Config) *int { return &c.ClientRate.Connections }),
	rateKey("client_message_rate", "messages one client may publish", func(c *Config) *int { return &c.ClientRate.Messages }),
	rateKey("client_byte_rate", "bytes one client may send", func(c *Config) *int64 { return &c.ClientRate.Bytes }),
	rateKey("address_connection_rate", "connections one address may open", func(c *Config) *int { return &c.AddressRate.Connections }),
	rateKey("address_message_rate", "messages the clients of one address may publish", func(c *Config) *int { return &c.AddressRate.Messages }),
	rateKey("address_byte_rate", "bytes the clients of one address may send", func(c *Config) *int64 { return &c.AddressRate.Bytes }),
}

func rateKey[T ~int | ~int64](name, what string, field func(*Config) *T) Key {
	most := int64(math.MaxInt32)
	if _, ok := any(T(0)).(int64); ok {
		most = 1 << 40
	}
	return Key{Name: name, Type: Number, Default: "0", Area: "Access", Ours: true, max: most,
		Help: "How many " + what + " in a second; 0 means no limit", set: func(p *parser, v value) { *field(p.cfg) = T(v.number) }}
}

// perHere is whether a security setting is one of the listener above it. What the environment says is for all of them.
func (p *parser) perHere() bool { return p.perListener && p.from == (Origin{}) }

// setPerListener must stand before what it changes the meaning of.
func (p *parser) setPerListener(v value) {
	if p.security && v.on {
		p.fail("per_listener_settings must be set before any other security settings.", "move the line to the top of the file")
		return
	}
	p.perListener, p.cfg.PerListenerSettings = v.on, v.on
}

func (p *parser) setAnonymous(v value) {
	if p.perHere() {
		p.current.AllowAnonymous = &v.on
		return
	}
	p.cfg.AllowAnonymous, p.cfg.AllowAnonymousSet = v.on, true
}

func shownAnonymous(c *Config) string {
	switch {
	case c.AllowAnonymousSet && c.AllowAnonymous, !c.AllowAnonymousSet && len(c.Listeners) == 0:
		return "true"
	}
	return "false"
}

func (p *parser) setPasswordFile(v value) {
	if p.perHere() {
		p.current.PasswordFile = v.text
		return
	}
	p.cfg.PasswordFile = v.text
}

func (p *parser) setACLFile(v value) {
	if p.perHere() {
		p.current.ACLFile = v.text
		return
	}
	p.cfg.ACLFile = v.text
}

func (p *parser) setPSKFile(v value) {
	if p.perHere() {
		p.current.PSKFile = v.text
		return
	}
	p.cfg.PSKFile = v.text
}

func (p *parser) setAutoIDPrefix(v value) {
	switch {
	case !p.checkPrefix(v):
	case p.perHere():
		p.current.AutoIDPrefix = &v.text
	default:
		p.cfg.AutoIDPrefix = v.text
	}
}

func (p *parser) setZeroLength(v value) {
	if p.perHere() {
		p.current.AllowZeroLengthClientID = &v.on
		return
	}
	p.cfg.AllowZeroLengthClientID = v.on
}
