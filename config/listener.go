package config

import "fmt"

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
	Protocol              string // mqtt, websockets or http_api

	TLS TLS
	// ProxyProtocol is the version of PROXY headers that are read; 0 means none. ProxyRequireTLS admits only clients that
	// the proxy saw using TLS.
	ProxyProtocol    uint8
	ProxyRequireTLS  bool
	WebSocketOrigins []string // of WebSocket clients that are admitted; empty: any
	HTTPDir          string   // directory of files to serve

	// File and Line are where the listener was defined.
	File string
	Line int
}

// NewListener returns a listener with the defaults, on no port yet.
func NewListener() Listener {
	return Listener{MaxConnections: -1, MaxQoS: 2, MaxTopicAlias: 10, MaxTopicAliasBroker: 10, AcceptVersions: AllVersions, Protocol: "mqtt"}
}

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
	CertFile, KeyFile string // both, or neither: no TLS by certificate
	CAFile, CAPath    string // what client certificates are checked against
	CRLFile           string
	// RequireCertificate admits only clients with a valid certificate; its name, or the whole subject, is their user name.
	RequireCertificate bool
	IdentityAsUserName bool
	SubjectAsUserName  bool
	IgnoreClientDates  bool   // accept client certificates out of their time
	PSKHint            string // not empty: clients use pre-shared keys

	MinVersion   string // tlsv1.1, tlsv1.2 or tlsv1.3; empty means tlsv1.2
	Ciphers      string // of TLS 1.2, with colons
	CipherSuites string // of TLS 1.3, with colons
	DHParamFile  string

	Engine, EngineKeyPassSHA1 string // of OpenSSL
	KeyForm                   string // pem or engine; empty means pem
}

// wanted is whether any of it asks for TLS.
func (t *TLS) wanted() bool {
	return t.CertFile != "" || t.KeyFile != "" || t.PSKHint != ""
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
