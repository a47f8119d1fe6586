package mosquittodb

import (
	"errors"

	"github.com/noctulemq/noctule/persist"
)

// The file, as Debian's 2.0.11 writes it (version 6). Numbers are big endian but for those marked "native", which are in
// the order of the machine that wrote them: little endian nearly everywhere, so that is what Write writes. Which one a file
// has is told by the last identifier of its configuration chunk.
//
//	header      magic(15) 00 B5 00 "mosquitto db" · checksum(4), always 0, never looked at · version(4)
//	chunk       type(4) · length(4), what follows · content; in versions 2 to 4 the type has 2 bytes
//
//	1 config    last message identifier(8 native) · 1 after a clean end(1) · size of identifiers(1), 8 · 0(6)
//	            once, at the start. i386: 2 bytes of zeros instead of 6
//	2 message   identifier(8 native) · expires(8 native, Unix seconds, 0 never) · payload length(4) · packet identifier of
//	            the publisher(2) · client id length(2) · user name length(2) · topic length(2) · port of the publisher's
//	            listener(2) · QoS(1) · retain(1) · client id · user name · topic · payload · properties, unless none
//	6 client    expires(8 native, Unix seconds, 0 never or connected) · session expiry interval(4) · last packet
//	            identifier(2) · id length(2) · port of its listener(2) · user name length(2) · 0(4), not on i386 · id · user name
//	            version 5: ends with the id length, and the id
//	3 delivery  message identifier(8 native) · packet identifier(2) · client id length(2) · QoS(1) · state(1) · retain(4
//	            bits) · dup(4 bits) · direction(1), 0 in, 1 out · client id · properties, unless none: subscription identifiers
//	            behind the client it belongs to, in flight before queued
//	5 filter    subscription identifier(4) · client id length(2) · filter length(2) · QoS(1) · options(1), 4 no local,
//	            8 retain as published · 0(2) · client id · filter
//	4 retained  message identifier(8 native)
//
// Properties are in wire form behind their length. Messages come first, the newest at the top, then clients, filters and
// retained. 2.0.11 writes no wills, no filters of shared subscriptions (it reads them), and no sessions that began with
// clean start. For a client without a user name it repeats the length of the name before, with its bytes swapped every other
// time, and with it either that name or what stood in memory behind it: a name with a zero byte is such memory.
//
// Versions 2 to 4 have strings behind their length(2), and everything else in this order:
//
//	1 config    clean end(1) · size of identifiers(1) · last identifier(8 native)
//	2 message   identifier(8 native) · client id · in version 4 user name and port(2) · packet identifier of the
//	            publisher(2) · not used(2) · topic · QoS(1) · retain(1) · payload length(4) · payload
//	6 client    id · last packet identifier(2) · from version 3 the time of its end, which nobody needs
//	3 delivery  client id · message identifier(8 native) · packet identifier(2) · QoS(1) · retain(1) · direction(1) · state(1) · dup(1)
//	5 filter    client id · filter · QoS(1)
const magic = "\x00\xB5\x00mosquitto db"

const (
	versionOldest = 2
	version       = 6 // what Write writes
	headerBytes   = len(magic) + 8

	chunkConfig       = 1
	chunkMessage      = 2
	chunkDelivery     = 3
	chunkRetained     = 4
	chunkSubscription = 5
	chunkClient       = 6

	messageFixed      = 32
	deliveryFixed     = 16
	subscriptionFixed = 12
	clientFixed       = 24
	clientFixedI386   = 20 // without the padding
	clientFixed5      = 16

	optionNoLocal           = 4
	optionRetainAsPublished = 8

	idSubscription = 0x0B
)

// ErrNotDatabase is what Read returns for a file that does not begin as a Mosquitto database.
var ErrNotDatabase = errors.New("this is no Mosquitto database: its first bytes are not those of one")

// DB is what a database file holds, in the order of the file. After Read every Delivery that needs a Message, every
// Retained and every Subscription has what it refers to.
type DB struct {
	Version       uint32 // of the file that was read; Write writes 6
	LastID        uint64 // the highest Message.ID that was given
	Clean         bool   // the broker wrote it when it ended
	Messages      []Message
	Clients       []Client
	Subscriptions []Subscription
	Retained      []uint64 // Message.ID
}

// Message is a message that deliveries and retained refer to.
type Message struct {
	ID             uint64
	Expires        int64 // Unix seconds; 0: never
	Topic          string
	Payload, Props []byte // Props in wire form without their length
	QoS            uint8
	Retain         bool
	PacketID       uint16 // the publisher's
	Source         persist.Source
}

// Client is a session.
type Client struct {
	ID          string
	Expiry      uint32 // session expiry interval, seconds; 0xFFFFFFFF: never
	EndsAt      int64  // Unix seconds; 0: never, or its client was connected
	LastID      uint16 // the last packet identifier given
	UserName    string
	HasUserName bool
	Port        uint16 // of its listener; 0: not known
	Deliveries  []Delivery
}

// Delivery is a message on its way to or from a client.
type Delivery struct {
	Message  uint64 // Message.ID
	PacketID uint16 // 0 at QoS 0
	QoS      uint8
	State    State
	Retain   bool
	Dup      bool
	Inbound  bool // from the client: QoS 2, its PUBREL has not come
	SubIDs   []uint32
}

// Subscription is one filter of a client.
type Subscription struct {
	ClientID, Filter  string
	ID                uint32 // 0: none
	QoS               uint8
	NoLocal           bool
	RetainAsPublished bool
}

// State is where a Delivery stands.
type State uint8

// The states, with the numbers of the file. 2.0.11 leaves 3, 5, 7, 9 and 11 behind, the others last for an instant.
const (
	Publish0      State = 1 + iota // to be sent
	Publish1                       // to be sent
	AwaitPuback                    // sent
	Publish2                       // to be sent
	AwaitPubrec                    // sent
	ResendPubrel                   // 2.0.11 sends the PUBLISH again when it reads this one
	AwaitPubrel                    // inbound
	ResendPubcomp                  // inbound, PUBREL has come
	AwaitPubcomp                   // PUBREL was sent
	SendPubrec                     // inbound
	Queued                         // to be sent when the window has room, or inbound and without PUBREC
)

// released reports whether PUBREC has come: the message is not needed any more.
func (d *Delivery) released() bool {
	return !d.Inbound && (d.State == ResendPubrel || d.State == AwaitPubcomp)
}
