package config

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Config is a broker's whole configuration. Load, Parse and Default make it; after the command has applied its flags
// nobody writes to it, so every loop reads it without a lock. A limit of 0 means no limit unless its field says otherwise.
type Config struct {
	// Listeners is in the order of the file; empty when the file has none, and the command then listens on loopback only.
	Listeners []Listener

	// Loops is how many event loops run; 0 means one for each CPU the process may use, LoopsMax at most.
	Loops int
	// PinLoops ties each loop's thread to a CPU.
	PinLoops bool

	// AllowAnonymous admits clients without a user name on listeners that do not say otherwise; AllowAnonymousSet is
	// whether the file says so at all, because the default depends on where the broker listens.
	AllowAnonymous    bool
	AllowAnonymousSet bool

	// PasswordFile, ACLFile and PSKFile are empty where the file names none. With PerListenerSettings these, the settings
	// above and below that Security lists, and plugins belong to each listener; Security says what holds for one.
	PerListenerSettings            bool
	PasswordFile, ACLFile, PSKFile string

	// Plugins are those of all listeners, in the order of the file.
	Plugins []Plugin
	// Bridges are connections to other brokers. This build makes none.
	Bridges []Bridge

	// AllowZeroLengthClientID admits clients without an identifier; they get AutoIDPrefix and a UUID.
	AllowZeroLengthClientID bool
	AutoIDPrefix            string
	// ClientIDPrefixes admits only clients whose identifier begins with one of them; empty: any.
	ClientIDPrefixes []string
	// AuthWorkers is how many threads check passwords (0: as many as loops), AuthQueueLimit how many logins may wait for them.
	AuthWorkers    int
	AuthQueueLimit int

	// AllowDuplicateMessages sends one copy for each overlapping subscription of a client instead of one in all.
	AllowDuplicateMessages bool
	// UpgradeOutgoingQoS delivers at the QoS of the subscription even where the message was published with a lower one.
	UpgradeOutgoingQoS bool
	// QueueQoS0Messages queues QoS 0 messages for sessions that are not connected.
	QueueQoS0Messages bool
	RetainAvailable   bool
	// CheckRetainSource asks again, at delivery, whether the publisher of a retained message may publish it.
	CheckRetainSource bool
	SetTCPNoDelay     bool

	// ReasonStrings explains reason codes to MQTT 5.0 clients, where Mosquitto sends the codes alone.
	ReasonStrings bool

	// MaxInflightMessages and MaxInflightBytes bound what a client has not yet acknowledged.
	MaxInflightMessages int
	MaxInflightBytes    int64
	// MaxQueuedMessages and MaxQueuedBytes bound what waits behind the in-flight window of one session.
	MaxQueuedMessages int
	MaxQueuedBytes    int64
	// MaxOutputBytes is how much unsent output a client may have before QoS 0 messages to it are dropped.
	MaxOutputBytes int
	// MaxCrossingBytes is how much may wait from one loop to another before publishers are not read from.
	MaxCrossingBytes int64
	// SlowConsumer says what happens to a message for a full queue.
	SlowConsumer Policy

	// MaxPacketSize bounds a packet from a client, MessageSizeLimit its payload.
	MaxPacketSize    uint32
	MessageSizeLimit uint32
	// MaxKeepAlive is the longest keep-alive in seconds; 0 and 65535 mean any, also none.
	MaxKeepAlive uint16

	// PersistentClientExpiration ends sessions that were not connected for so long; 0 means never.
	PersistentClientExpiration time.Duration
	// RetainExpiryInterval ends retained messages that have no message expiry interval of their own; 0 means they stay. No
	// key sets it: Mosquitto's retain_expiry_interval is how often it searches for messages that have expired.
	RetainExpiryInterval time.Duration

	// MaxSessions bounds stored sessions, connected or not; GlobalMaxClients does so too in Mosquitto's words, and
	// GlobalMaxConnections bounds open connections. -1 means no limit for these last two.
	MaxSessions          int
	GlobalMaxClients     int
	GlobalMaxConnections int
	// MemoryLimit is the budget of the garbage collector in bytes; 0: none.
	MemoryLimit int64
	// MaxSubscriptions bounds the subscriptions of one session.
	MaxSubscriptions int
	// ClientRate bounds what one client brings, AddressRate what all clients of one address bring together.
	ClientRate, AddressRate Rate
	// MaxRetainedMessages and MaxRetainedBytes bound the retained messages of the broker.
	MaxRetainedMessages int
	MaxRetainedBytes    int64
	// SharedStrategy chooses a member of a shared subscription: round-robin, sticky, hash-client or hash-topic.
	SharedStrategy string

	// ConnectTimeout is how long a connection may take to send a whole CONNECT. ShutdownTimeout bounds a graceful stop.
	ConnectTimeout  time.Duration
	ShutdownTimeout time.Duration

	// SysInterval is the time in seconds between updates of the $SYS topics; 0 means none are published.
	SysInterval int
	// EnableControlAPI answers requests on $CONTROL/broker/v1.
	EnableControlAPI bool
	// ReloadFailureExit ends the broker when a reload fails; without it the configuration in force stays.
	ReloadFailureExit bool
	// PIDFile is where the command writes its process identifier, User whom it becomes when started by root; empty
	// where the file does not say.
	PIDFile string
	User    string

	Persistence Persistence
	Log         LogConfig
	// ConnectionMessages logs connects and disconnects.
	ConnectionMessages bool

	// MaxTLSHandshakes bounds the handshakes that are under way at a time.
	MaxTLSHandshakes int
	// WebSockets holds for all listeners that speak it. This build has none.
	WebSockets WebSockets

	// Local is what a listener that the command makes by itself starts from: the defaults, and the listener options that
	// the file gives without defining a listener.
	Local Listener

	// Notes is what the file asks for and does not get, to be said once at start.
	Notes []Note
	// Unsupported is what the file asks for and this build does not have, where starting without it would be wrong: a
	// broker with this configuration must not be started. The file itself is right.
	Unsupported []Note

	settings []setting // what was written, in the order in which it was read
}

// Security is who may connect on one listener, and by which files and plugins that is decided.
type Security struct {
	AllowAnonymous                 bool
	PasswordFile, ACLFile, PSKFile string   // empty: none
	Plugins                        []Plugin // the listener's own, then those of all listeners
	AllowZeroLengthClientID        bool
	AutoIDPrefix                   string
}

// Security is what holds on a listener: what it says itself, else what is said for all.
func (c *Config) Security(l *Listener) Security {
	s := Security{
		AllowAnonymous:          c.AllowAnonymousSet && c.AllowAnonymous,
		PasswordFile:            cmp.Or(l.PasswordFile, c.PasswordFile),
		ACLFile:                 cmp.Or(l.ACLFile, c.ACLFile),
		PSKFile:                 cmp.Or(l.PSKFile, c.PSKFile),
		Plugins:                 slices.Concat(l.Plugins, c.Plugins),
		AllowZeroLengthClientID: c.AllowZeroLengthClientID,
		AutoIDPrefix:            c.AutoIDPrefix,
	}
	if l.AllowAnonymous != nil {
		s.AllowAnonymous = *l.AllowAnonymous
	}
	if l.AllowZeroLengthClientID != nil {
		s.AllowZeroLengthClientID = *l.AllowZeroLengthClientID
	}
	if l.AutoIDPrefix != nil {
		s.AutoIDPrefix = *l.AutoIDPrefix
	}
	return s
}

// Rate bounds what comes in each second; 0: no bound. What a second did not use, the next may use too.
type Rate struct {
	Connections int
	Messages    int   // PUBLISH packets
	Bytes       int64 // of all packets
}

// WebSockets is what Mosquitto gives to its WebSocket library.
type WebSockets struct {
	HeadersSize int // bytes; 0 means the library's default
	LogLevel    int
}

// Persistence is what survives the process, and how.
type Persistence struct {
	Enabled  bool
	Location string // directory; empty means the working directory
	File     string // below it; Path joins them

	Engine string // badger, or memory, which keeps nothing over a restart
	Commit Commit
	// SyncInterval is how long what was written may wait until it is safe from a power cut, under Balanced and Fast.
	SyncInterval time.Duration
	// MaxBytes bounds what is stored, as the directory's size; 0: none.
	MaxBytes int64
	// MaxWaiting is how many acknowledgements of one client may wait for their commit before nothing more is read from it.
	MaxWaiting int
}

// Path is where Mosquitto would write its database. A relative one is below the working directory.
func (p *Persistence) Path() string {
	if p.Location == "" {
		return p.File
	}
	return strings.TrimRight(p.Location, "/") + "/" + p.File
}

// Default returns the configuration of an empty file.
func Default() *Config {
	return &Config{
		PinLoops:                true,
		AllowZeroLengthClientID: true,
		AutoIDPrefix:            "auto-",
		AuthQueueLimit:          20_000,
		MaxTLSHandshakes:        4000,
		AllowDuplicateMessages:  true,
		RetainAvailable:         true,
		CheckRetainSource:       true,
		MaxInflightMessages:     20,
		MaxQueuedMessages:       1000,
		MaxOutputBytes:          2 << 20,
		MaxCrossingBytes:        8 << 20,
		MaxPacketSize:           2_000_000,
		MaxKeepAlive:            65535,
		GlobalMaxClients:        -1,
		GlobalMaxConnections:    -1,
		MaxSubscriptions:        100_000,
		SharedStrategy:          "round-robin",
		ConnectTimeout:          30 * time.Second,
		ShutdownTimeout:         5 * time.Second,
		SysInterval:             10,
		Persistence:             Persistence{File: "mosquitto.db", Engine: "badger", SyncInterval: time.Second, MaxWaiting: 1000},
		Log:                     defaultLog(),
		Local:                   NewListener(),
		ConnectionMessages:      true,
	}
}
