package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// defaultPort is the port of the default listener.
const defaultPort = 1883

// listenerKeys say where the broker listens and what holds for clients that come in there.
var listenerKeys = []Key{
	{Name: "listener", Scope: PerListener, Restart: true, Type: List, Area: "Listeners", Values: "PORT, PORT ADDRESS, or 0 SOCKET-PATH for a Unix socket",
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
	{Name: "bind_interface", Scope: PerListener, Type: Text, Area: "Listeners", Restart: true, Values: "the name of a network interface", makes: true,
		Help: "Listen on the addresses that a network interface has at the start, but for link-local ones; an address in the 'listener' line must be one of them", set: listenerTextInto(func(l *Listener) *string { return &l.BindInterface })},
	{Name: "socket_domain", Scope: PerListener, Type: Word, Area: "Listeners", Restart: true, choices: []string{"ipv4", "ipv6"}, makes: true,
		Help: "Listen on addresses of one family only", set: (*parser).setDomain},
	{Name: "protocol", Scope: PerListener, Type: Word, Default: "mqtt", Area: "Listeners", choices: []string{"mqtt", "websockets", "auto", "http_api"}, makes: true,
		Help: "What the listener speaks; auto, which is not Mosquitto's, takes MQTT and WebSocket clients on one port; with http_api this build does not start", set: (*parser).setProtocol},
	{Name: "socket_owner", Scope: PerListener, Type: Text, Area: "Listeners", Ours: true, Restart: true, strict: true, Values: "a user name or number",
		Help: "Owner of the file of a Unix socket; without the line the user that the broker runs as", set: listenerTextInto(func(l *Listener) *string { return &l.SocketOwner })},
	{Name: "socket_group", Scope: PerListener, Type: Text, Area: "Listeners", Ours: true, Restart: true, strict: true, Values: "a group name or number",
		Help: "Group of the file of a Unix socket; without the line that of the user the broker runs as", set: listenerTextInto(func(l *Listener) *string { return &l.SocketGroup })},
	{Name: "socket_mode", Scope: PerListener, Type: List, Default: "0770", Area: "Listeners", Ours: true, Restart: true, strict: true, Values: "an octal number up to 0777",
		Help: "Rights of the file of a Unix socket: who may write to it may connect", set: (*parser).setSocketMode},
	{Name: "allow_address", Scope: PerListener, Type: List, Area: "Listeners", Ours: true, strict: true, adds: true, Values: networksWanted,
		Help: "Admit only connections from these networks; the others are closed without a byte", set: networksInto(func(l *Listener) *[]netip.Prefix { return &l.AllowAddresses })},
	{Name: "deny_address", Scope: PerListener, Type: List, Area: "Listeners", Ours: true, strict: true, adds: true, Values: networksWanted,
		Help: "Close connections from these networks without a byte, also where allow_address admits them", set: networksInto(func(l *Listener) *[]netip.Prefix { return &l.DenyAddresses })},
}

func (p *parser) setProtocol(v value) {
	p.current.Protocol = v.text
	if v.text == "http_api" {
		p.refuse("protocol http_api", "this build has no HTTP API, and what asks for it would find nothing; take the listener out")
	}
}

// setSocketMode reads the mode of a Unix socket.
func (p *parser) setSocketMode(v value) {
	mode, err := strconv.ParseUint(v.text, 8, 32)
	if err != nil || mode > 0o777 {
		p.invalid(v)
		return
	}
	p.current.SocketMode = uint32(mode)
}

func (p *parser) setDomain(v value) {
	p.current.SocketDomain = IPv4
	if v.text == "ipv6" {
		p.current.SocketDomain = IPv6
	}
}

// setListener reads `listener PORT [ADDRESS]` or `listener 0 SOCKET-PATH`. A comment may follow, as in Mosquitto, and what
// else stands behind an address is ignored; a path may have blanks in it.
func (p *parser) setListener(v value) {
	number, address, _ := strings.Cut(v.text, " ")
	address, comment := cutComment(strings.TrimSpace(address))
	port, err := strconv.ParseInt(number, 10, 64)
	if host, rest, more := strings.Cut(address, " "); more && port != 0 {
		address, comment = host, strings.TrimSpace(rest+" "+comment)
	}
	if comment != "" {
		p.ignored(v.name, comment)
	}
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
