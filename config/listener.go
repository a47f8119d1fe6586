package config

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

	AcceptVersions        Versions
	UseUserNameAsClientID bool
	MountPoint            string // put before every topic of clients of this listener
	BindInterface         string // network interface to listen on
	SocketDomain          SocketDomain
	Protocol              string // "mqtt"

	// File and Line are where the listener was defined.
	File string
	Line int
}

// NewListener returns a listener with the defaults, on no port yet.
func NewListener() Listener {
	return Listener{MaxConnections: -1, MaxQoS: 2, MaxTopicAlias: 10, MaxTopicAliasBroker: 10, AcceptVersions: AllVersions, Protocol: "mqtt"}
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
