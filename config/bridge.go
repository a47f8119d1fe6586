package config

import "time"

// Bridge is one connection to another broker, as the file describes it. Texts are empty where the file does not say.
type Bridge struct {
	Name      string
	Addresses []BridgeAddress // at least one
	Topics    []BridgeTopic   // at least one
	StartType string          // automatic, lazy or once
	// RoundRobin takes each address in turn; without it the first one is preferred.
	RoundRobin bool

	// The client at the other broker. RemoteClientID is empty for the name and the host's name.
	RemoteClientID, RemoteUserName, RemotePassword string
	// The client here. LocalClientID is empty for "local." and the client identifier there.
	LocalClientID, LocalUserName, LocalPassword string
	// CleanSession is there, LocalCleanSession here; that is nil for what CleanSession says.
	CleanSession      bool
	LocalCleanSession *bool
	SessionExpiry     uint32 // seconds, at the other broker, under MQTT 5.0

	KeepAlive time.Duration
	// IdleTimeout and Threshold are of the start type lazy.
	IdleTimeout time.Duration
	Threshold   int // messages
	// RestartBase is the time to the next attempt to connect; up to RestartCap at random where that is not 0.
	RestartBase, RestartCap time.Duration

	Notifications          bool
	NotificationsLocalOnly bool
	NotificationTopic      string

	ProtocolLevel      uint8 // 3, 4 or 5
	TryPrivate         bool
	AttemptUnsubscribe bool
	OutgoingRetain     bool
	MaxPacketSize      uint32 // bytes; 0 means no limit
	MaxTopicAlias      uint16
	ReceiveMaximum     uint16
	ReloadImmediate    bool // reconnect at once when a reload changes it

	BindAddress    string
	TCPKeepAlive   BridgeTCPKeepAlive
	TCPUserTimeout int // as written; 0 means the system's
	TLS            BridgeTLS

	File string
	Line int
}

// BridgeAddress is one address of the other broker.
type BridgeAddress struct {
	Host string
	Port uint16
}

// BridgeTopic is what travels. A prefix is put before the pattern on its side.
type BridgeTopic struct {
	Pattern                   string // may be empty with both prefixes: these are then the topics
	Direction                 string // out, in or both
	QoS                       uint8
	LocalPrefix, RemotePrefix string
}

// BridgeTCPKeepAlive is the system's keep-alive of a connection: seconds, seconds and a count; all 0 means none.
type BridgeTCPKeepAlive struct{ Idle, Interval, Count int }

// BridgeTLS is how a bridge's connection is encrypted: by certificates, or by a pre-shared key.
type BridgeTLS struct {
	CAFile, CAPath, CertFile, KeyFile string
	Identity, PSK                     string // both or neither
	UseOSCerts                        bool
	Insecure                          bool // accept a certificate with another host name
	RequireOCSP                       bool
	ALPN, MinVersion                  string
	Ciphers, CipherSuites             string
}

// certificate is whether any of it is about certificates.
func (t *BridgeTLS) certificate() bool {
	return t.CAFile != "" || t.CAPath != "" || t.CertFile != "" || t.KeyFile != ""
}

// newBridge is a bridge with the defaults.
func newBridge(name string) *Bridge {
	return &Bridge{
		Name: name, StartType: "automatic", KeepAlive: time.Minute, IdleTimeout: time.Minute, Threshold: 10,
		RestartBase: 5 * time.Second, RestartCap: 30 * time.Second, Notifications: true, ProtocolLevel: 4, TryPrivate: true,
		AttemptUnsubscribe: true, OutgoingRetain: true, MaxTopicAlias: 10, ReceiveMaximum: 20,
	}
}
