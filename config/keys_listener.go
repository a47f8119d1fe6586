package config

import (
	"fmt"
	"strconv"
	"strings"
)

// defaultPort is the port of the default listener.
const defaultPort = 1883

// listenerKeys say where the broker listens and what holds for clients that come in there.
var listenerKeys = []Key{
	{Name: "listener", Scope: PerListener, Restart: true, Type: List, Area: "Listeners", Values: "PORT or PORT ADDRESS; 0 SOCKET-PATH, a Unix socket, is refused by this build",
		Help: "Listen on a port, on one address if it is given; the listener options below it belong to this listener", set: (*parser).setListener},
	{Name: "port", Scope: PerListener, Restart: true, Type: Number, Default: "1883", Area: "Listeners", min: 1, max: 65535,
		Help: "Port of the default listener; 'listener' is the better way to say it", set: (*parser).setPort},
	{Name: "bind_address", Scope: PerListener, Restart: true, Type: Text, Area: "Listeners", Values: "an address or host name",
		Help: "Address of the default listener; 'listener' is the better way to say it", set: (*parser).setBindAddress},
	{Name: "max_connections", Scope: PerListener, Type: Number, Default: "-1", Area: "Listeners", min: -1, max: 1<<31 - 1, clamp: true, makes: true,
		Help: "How many clients may be connected to the listener at a time; -1 means no limit", set: listenerNumberInto(func(l *Listener) *int { return &l.MaxConnections })},
	{Name: "max_qos", Scope: PerListener, Type: Number, Default: "2", Area: "Listeners", max: 2, bound: "'max_qos' must be between 0 and 2 inclusive.", makes: true,
		Help: "Highest QoS that clients of the listener may use", set: listenerNumberInto(func(l *Listener) *uint8 { return &l.MaxQoS })},
	{Name: "maximum_qos", Alias: "max_qos", Scope: PerListener, Type: Number, Default: "2", Area: "Listeners", Retired: true, max: 2, bound: "'max_qos' must be between 0 and 2 inclusive.", makes: true,
		Help: "Another name of max_qos", set: listenerNumberInto(func(l *Listener) *uint8 { return &l.MaxQoS })},
	{Name: "max_topic_alias", Scope: PerListener, Type: Number, Default: "10", Area: "Listeners", max: 65535, bound: "Invalid 'max_topic_alias' value in configuration.",
		Help: "How many topic aliases an MQTT 5.0 client may set; 0 means none", set: listenerNumberInto(func(l *Listener) *uint16 { return &l.MaxTopicAlias })},
	{Name: "max_topic_alias_broker", Scope: PerListener, Type: Number, Default: "10", Area: "Listeners", max: 65535, bound: "Invalid 'max_topic_alias_broker' value in configuration.", strict: true,
		Help: "How many topic aliases the broker sets towards one MQTT 5.0 client; 0 means none", set: listenerNumberInto(func(l *Listener) *uint16 { return &l.MaxTopicAliasBroker })},
	{Name: "accept_protocol_versions", Scope: PerListener, Type: List, Default: "3, 4, 5", Area: "Listeners", strict: true, Values: "a list of 3 (MQTT 3.1), 4 (3.1.1) and 5 (5.0), with commas",
		Help: "Versions of MQTT that clients of the listener may speak", set: (*parser).setVersions},
	{Name: "listener_allow_anonymous", Scope: PerListener, Type: Bool, Area: "Listeners", strict: true,
		Help: "What allow_anonymous is, for this listener alone", set: func(p *parser, v value) { p.current.AllowAnonymous = &v.on }},
	{Name: "listener_auto_id_prefix", Scope: PerListener, Type: Text, Area: "Listeners", strict: true,
		Help: "What auto_id_prefix is, for this listener alone", set: func(p *parser, v value) {
			if p.checkPrefix(v) {
				p.current.AutoIDPrefix = &v.text
			}
		}},
	{Name: "use_username_as_clientid", Scope: PerListener, Type: Bool, Default: "false", Area: "Listeners", makes: true,
		Help: "Take a client's user name as its client identifier; a client without one is refused", set: func(p *parser, v value) { p.current.UseUserNameAsClientID = v.on }},
	{Name: "mount_point", Scope: PerListener, Type: Text, Area: "Listeners", Restart: true, strict: true, Values: "a topic prefix",
		Help: "Put before every topic of the listener's clients, who then see nothing else", set: (*parser).setMountPoint},
	{Name: "bind_interface", Scope: PerListener, Type: Text, Area: "Listeners", Class: Refused, Restart: true, Values: "the name of a network interface", makes: true,
		Help: "Listen on one network interface only", Why: "the listener would be open on the other interfaces too; give the interface's address in the 'listener' line instead", set: listenerTextInto(func(l *Listener) *string { return &l.BindInterface })},
	{Name: "socket_domain", Scope: PerListener, Type: Word, Area: "Listeners", Class: Refused, Restart: true, choices: []string{"ipv4", "ipv6"}, makes: true,
		Help: "Listen on addresses of one family only", Why: "the listener would be open on both address families; give an address of the wanted family, as in 'listener 1883 0.0.0.0', instead", set: (*parser).setDomain},
	{Name: "protocol", Scope: PerListener, Type: Word, Default: "mqtt", Area: "Listeners", Class: Refused, Restart: true, choices: []string{"mqtt", "websockets", "http_api"}, makes: true,
		Help: "What the listener speaks; this build speaks mqtt", Why: "a client that speaks it would find plain MQTT on the port; take the listener out, or put a proxy for it in front of a listener with MQTT", set: listenerTextInto(func(l *Listener) *string { return &l.Protocol })},
}

func (p *parser) setDomain(v value) {
	p.current.SocketDomain = IPv4
	if v.text == "ipv6" {
		p.current.SocketDomain = IPv6
	}
}

// setListener reads `listener PORT [ADDRESS]`. Everything after the port is the address, as in Mosquitto.
func (p *parser) setListener(v value) {
	number, address, _ := strings.Cut(v.text, " ")
	address = strings.TrimSpace(address)
	port, err := strconv.ParseInt(number, 10, 64)
	switch {
	case err != nil:
		p.fail("'listener' value not a number.", wanted(v.key))
	case port < 0 || port > 65535:
		p.fail(fmt.Sprintf("Invalid 'port' value (%d).", port), "a port is a number from 1 to 65535")
	case port == 0 && address == "":
		p.fail("A listener with port 0 must provide a Unix socket path.", "")
	}
	l := NewListener()
	l.Port, l.Address, l.File, l.Line = uint16(port), address, p.file, p.line
	if port == 0 {
		l.Address, l.SocketPath = "", address
	}
	p.current = &l
	p.addListener(&l)
	if l.SocketPath != "" {
		p.refuse("listener 0", "there are no Unix sockets in this build, and a client that looks for the path would not find it; let it connect to 127.0.0.1")
	}
}

func (p *parser) setPort(v value) {
	if p.portGiven {
		p.note("Default listener port specified multiple times. Only the latest will be used.")
	}
	p.portGiven = true
	p.fallback.Port = uint16(v.number)
	p.makeFallback()
}

func (p *parser) setBindAddress(v value) {
	p.fallback.Address = v.text
	p.makeFallback()
}

// setVersions reads a list such as `3, 4 ,5`.
func (p *parser) setVersions(v value) {
	var set Versions
	for _, item := range strings.Split(v.text, ",") {
		n, err := strconv.ParseUint(strings.TrimSpace(item), 10, 8)
		if err != nil || !AllVersions.Has(uint8(n)) {
			p.invalid(v)
			return
		}
		set |= 1 << n
	}
	p.current.AcceptVersions = set
}

func (p *parser) setMountPoint(v value) {
	if strings.ContainsAny(v.text, "+#") {
		p.fail(fmt.Sprintf("Invalid 'mount_point' value (%s). Does it contain a wildcard character?", shown(v.text)), "")
	}
	p.current.MountPoint = v.text
}

// checkPrefix reports a prefix of client identifiers that is too long.
func (p *parser) checkPrefix(v value) bool {
	if len(v.text) > autoIDPrefixMax {
		p.fail(fmt.Sprintf("'%s' length must be <= %d.", v.name, autoIDPrefixMax), "")
		return false
	}
	return true
}
