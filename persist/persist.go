package persist

import "time"

// Store is durable state. Restore comes first, Close last; Commit and Stats may be called from any thread between them.
type Store interface {
	// Restore gives everything that is stored to r, on the caller's thread.
	Restore(r Restorer) error
	// Commit takes over a batch. Batches of one caller are stored in the order given; a batch is stored whole or, after a
	// crash, not at all. It never blocks: what one shard may have uncommitted is the shard's own bound.
	Commit(b *Batch)
	// Sync returns when everything that was committed before would survive a power cut.
	Sync() error
	// Stats is what the store counts.
	Stats() Stats
	// Close stores what was committed and gives the directory back.
	Close() error
}

// Policy says when a batch counts as committed.
type Policy uint8

// The policies. What each loses is a table in README.md.
const (
	Balanced Policy = iota // the operating system has it; on the disk within the sync interval
	Strict                 // on the disk
	Fast                   // nobody waits for it; with the operating system within a bounded time
)

// Batch is a list of changes that are stored together.
type Batch struct {
	Ops []Op
	// Done is called once, on a thread of the store's, when the batch is committed. It must not block. While the disk fails
	// it is not called: the store tries again until it can.
	Done func()
}

// Kind is what an Op does.
type Kind uint8

// The kinds. Put replaces a record of the same key.
const (
	None               Kind = iota // nothing, but for Message and Ref
	PutSession                     // Extra.Session
	DeleteSession                  // the record alone, not what hangs on it
	PutSubscription                // Extra.Subscription
	DeleteSubscription             // Extra.Subscription's Filter
	PutDelivery                    // Seq, and the fields from PacketID on
	DeleteDelivery                 // Seq
	PutInbound                     // a QoS 2 message whose PUBREL has not come: PacketID
	DeleteInbound                  // PacketID
	PutRetained                    // Message's topic
	DeleteRetained                 // Message's topic
)

// Op is one change. What it points to must not change afterwards.
type Op struct {
	Kind Kind
	// Ref is 1 when the record comes to refer to Message, -1 when it no longer does, 0 when nothing changes. The body of a
	// message is stored with its first reference and deleted with its last. A PutDelivery with Ref 1 is the first of its Seq,
	// and later ones never bring another message.
	Ref int8

	// Of a delivery.
	QoS      uint8
	State    State
	Retain   bool // the copy carries the retain flag
	Again    bool // it was sent on an earlier connection
	PacketID uint16
	SubID    uint32 // the one subscription identifier; 0: none

	Session uint64 // its number, of all but the retained kinds
	Seq     uint64 // of a delivery: its place in the session's queue
	// Expires is when Message expires, in Unix milliseconds; 0: never. Only with Ref 1.
	Expires int64
	// Message is counted: the Op holds a reference, which the store releases. nil where the kind needs none.
	Message Message
	Extra   *Extra // nil when there is none
}

// Extra is what few Ops have.
type Extra struct {
	Session      *Session
	Subscription *Subscription
	SubIDs       []uint32 // of a delivery, when there are several
	Group        string   // of a delivery: the shared subscription that chose the session
	Filter       string
}

// State is where a delivery stands.
type State uint8

// The states. Their numbers are stored.
const (
	Queued  State = iota // never sent
	Sent                 // PUBLISH was sent, QoS 1 or 2
	Release              // PUBREL was sent or is due; the message itself is not needed any more
)

// Message is an application message as the store sees it.
type Message interface {
	// Body is the content, borrowed until Release.
	Body() Body
	// Mark is the store's own note on the message; only the store reads or writes it, and it is zero at first.
	Mark() *Mark
	// Release gives one reference back. Any thread.
	Release()
}

// Mark is what a Store notes on a message: the key of its body and how many records refer to it.
type Mark struct {
	id   uint64
	refs int32
	size uint32 // of the stored body: properties and payload, from which the number of its chunks follows
}

// Body is the content of an application message.
type Body struct {
	Topic   string
	Props   []byte // PUBLISH properties to forward, in wire form without their length
	Payload []byte
	QoS     uint8
	Retain  bool
	// Expires is in Unix milliseconds, 0: never. Set by the store when it restores; Op has it when it is stored.
	Expires int64
	Source  Source
}

// Source is who published a message, where that matters for a retained one; zero: not known.
type Source struct {
	ClientID, UserName string
	HasUserName        bool
	Port               uint16 // of the listener
}

// Session is the record of one session.
type Session struct {
	Number   uint64 // unique over the life of the store
	ClientID string
	Expiry   uint32 // the session expiry interval in seconds; 0xFFFFFFFF: never
	// EndsAt is when a session whose client is away ends, in Unix milliseconds; 0: never, or its client was connected.
	EndsAt    int64
	Connected bool   // its client was connected when this was written
	LastID    uint16 // the last packet identifier given
	Version   uint8  // protocol level of the client: 3, 4, 5
	// Source is the identity of the client: user name, listener.
	Source  Source
	Address string // where the client came from, ADDR:PORT; may be empty
	Will    *Will  // one with a delay, else nil
}

// Will is a will message that waits, or may have to wait, for its delay.
type Will struct {
	Body
	Delay     uint32 // seconds
	HasExpiry bool
	Expiry    uint32 // message expiry interval in seconds, counted from its publication
	At        int64  // when it is due, in Unix milliseconds; 0: its client was connected
}

// Subscription is one filter of a session.
type Subscription struct {
	Filter string // as written, with $share
	ID     uint32 // subscription identifier; 0: none
	QoS    uint8
	Flags  uint8 // shard's own, stored as they are
}

// Delivery is one message of a session's queue or window.
type Delivery struct {
	Seq           uint64
	PacketID      uint16
	QoS           uint8
	State         State
	Retain, Again bool
	SubID         uint32
	SubIDs        []uint32
	Group, Filter string
}

// Restorer takes what was stored. Sessions come before what belongs to them, deliveries in the order of their Seq.
type Restorer interface {
	// Message makes a message with one reference for the store, which it releases at the end of Restore. b is borrowed.
	Message(b *Body) Message
	Session(s *Session)
	Subscription(session uint64, s *Subscription)
	// Delivery has m nil in the state Release.
	Delivery(session uint64, d *Delivery, m Message)
	Inbound(session uint64, id uint16, m Message)
	Retained(m Message)
}

// Stats is what a store counts.
type Stats struct {
	Commits, Ops   uint64 // batches and changes that were committed
	BytesWritten   uint64
	Syncs          uint64
	DiskBytes      int64         // what the directory takes
	LiveBytes      int64         // of it, what is needed
	Messages       int64         // bodies
	CommitTime     time.Duration // of the last group of batches
	Trouble        error         // why nothing can be stored at present; nil: it can
	SetAside       uint64        // damaged files or records since the start
	JournalBytes   int64         // not yet in the engine
	Checkpoints    uint64
	CheckpointTime time.Duration // of the last one
}
