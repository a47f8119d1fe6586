package config

import (
	"fmt"
	"net/netip"
	"slices"
)

// Listener is one address the broker accepts connections on, with what applies to clients that come in there.
type Listener struct {
	Port       uint16
	Address    string // host name or address; empty means every address of both families
	SocketPath string // Unix socket instead of Port and Address

	MaxConnections      int // open connections at a time; -1 means no limit
	MaxQoS              uint8
	MaxTopicAlias       uint16 // aliases a client may set
	MaxTopicAliasBroker uint16 // aliases the broker sets towards one client

	// AllowAnonymous, AllowZeroLengthClientID and AutoIDPrefix take the place of the global settings where they are not nil.
	AllowAnonymous          *bool
	AllowZeroLengthClientID *bool
	AutoIDPrefix            *string

	// PasswordFile, ACLFile and PSKFile are set with per_listener_settings only; Config.Security says what holds.
	PasswordFile, ACLFile, PSKFile string
	// Plugins are the listener's own, by plugin_use or by per_listener_settings, in the order of the file.
	Plugins []Plugin

	AcceptVersions        Versions
	UseUserNameAsClientID bool
	MountPoint            string // put before every topic of clients of this listener
	BindInterface         string // network interface to listen on
	SocketDomain          SocketDomain
	Protocol              string // mqtt, websockets, auto or http_api
	// SocketOwner, SocketGroup (a name or number; empty: the broker's own) and SocketMode are those of SocketPath.
	SocketOwner, SocketGroup string
	SocketMode               uint32
	// AllowAddresses are the networks that clients may come from (none: any), unless they are in DenyAddresses.
	AllowAddresses, DenyAddresses []netip.Prefix

	TLS TLS
	// ProxyProtocol is the version of PROXY headers that are read; 0 means none. ProxyRequireTLS admits only clients that
	// the proxy saw using TLS.
	ProxyProtocol    uint8
	ProxyRequireTLS  bool
	ProxyTrusted     []netip.Prefix // where proxies are; none: PROXY headers from everywhere, X-Forwarded-For from nowhere
	WebSocketOrigins []string       // of WebSocket clients that are admitted; empty: any
	HTTPDir          string         // directory of files to serve

	// File and Line are where the listener was defined.
	File string
	Line int
}

// NewListener returns a listener with the defaults, on no port yet.
func NewListener() Listener {
	return Listener{MaxConnections: -1, MaxQoS: 2, MaxTopicAlias: 10, MaxTopicAliasBroker: 10, AcceptVersions: AllVersions, Protocol: "mqtt", SocketMode: 0o770}
}

// Name is the listener as errors, explanations and the log call it.
func (l *Listener) Name() string { return l.name() }

// name is the listener as errors and explanations call it.
func (l *Listener) name() string {
	switch {
	case l.SocketPath != "":
		return "listener 0 " + l.SocketPath
	case l.Address != "":
		return fmt.Sprintf("listener %d %s", l.Port, l.Address)
	}
	return fmt.Sprintf("listener %d", l.Port)
}

// TLS is how a listener's connections are encrypted. Paths and lists are as written and empty where the file does not say.
type TLS struct {
	CertFiles, KeyFiles []string // a key for each certificate, in their order; none: no TLS
	CAFile, CAPath      string   // what client certificates are checked against
	CRLFile             string
	// RequireCertificate admits only clients with a valid certificate; its name, or the whole subject, is their user name.
	RequireCertificate bool
	IdentityAsUserName bool
	SubjectAsUserName  bool
	IgnoreClientDates  bool // accept client certificates out of their time

	PSKHint string // not empty: clients use pre-shared keys, which is refused

	MinVersion   string // as written; empty means tlsv1.2
	Ciphers      string // of TLS 1.2, with colons
	CipherSuites string // of TLS 1.3, with colons
	DHParamFile  string

	Engine, EngineKeyPassSHA1 string // of OpenSSL
	KeyForm                   string // pem or engine; empty means pem
}

// Wanted is whether connections are encrypted.
func (t *TLS) Wanted() bool { return len(t.CertFiles) > 0 && len(t.CertFiles) == len(t.KeyFiles) }

// Admits is whether connections from an address may be made; every one of a Unix socket, which has none, may.
func (l *Listener) Admits(a netip.Addr) bool {
	if !a.IsValid() || len(l.AllowAddresses)+len(l.DenyAddresses) == 0 {
		return true
	}
	a = a.Unmap().WithZone("")
	return (len(l.AllowAddresses) == 0 || inside(a, l.AllowAddresses)) && !inside(a, l.DenyAddresses)
}

func inside(a netip.Addr, networks []netip.Prefix) bool {
	return slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(a) })
}

// AcceptsVersion is whether clients of an MQTT protocol level (3, 4 or 5) may connect here.
func (l *Listener) AcceptsVersion(level uint8) bool { return l.AcceptVersions.Has(level) }

// Versions is a set of MQTT protocol levels: 3 for 3.1, 4 for 3.1.1, 5 for 5.0.
type Versions uint8

// AllVersions is every version there is.
const AllVersions Versions = 1<<3 | 1<<4 | 1<<5

// Has is whether the set has a level.
func (v Versions) Has(level uint8) bool { return level < 8 && v&(1<<level) != 0 }

// SocketDomain is the address family a listener is limited to.
type SocketDomain uint8

// The address families.
const (
	AnyDomain SocketDomain = iota
	IPv4
	IPv6
)
