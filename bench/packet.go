package bench

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Control packet types of MQTT 3.1.1 as they stand in the first byte of a packet, with the flags the specification fixes.
const (
	packetConnect    = 0x10
	packetConnack    = 0x20
	packetPublish    = 0x30
	packetPuback     = 0x40
	packetPubrec     = 0x50
	packetPubrel     = 0x62
	packetPubcomp    = 0x70
	packetSubscribe  = 0x82
	packetSuback     = 0x90
	packetDisconnect = 0xE0
)

// The head of every payload, little endian; the rest is filler:
//
//	0        8        16       20                      n-8      n
//	| seq    | stamp  | pub    | filler 0xA5 ...       | check  |
//
// seq counts the messages of publisher pub from 0, stamp is the (intended) time of sending in nanoseconds of the
// generator's clock, check is seq xor checkMask and shows a payload that was cut or mixed up on its way.
const (
	stampHeadBytes  = 20
	stampCheckBytes = 8
	payloadBytesMin = stampHeadBytes + stampCheckBytes
	checkMask       = 0x9E3779B97F4A7C15
)

var errMalformed = errors.New("malformed packet from the broker")

// stamp is what a payload says about itself.
type stamp struct {
	seq    uint64
	sentNs int64
	pub    uint32
}

// put writes the stamp into payload, which has at least payloadBytesMin bytes.
func (s stamp) put(payload []byte) {
	binary.LittleEndian.PutUint64(payload, s.seq)
	binary.LittleEndian.PutUint64(payload[8:], uint64(s.sentNs))
	binary.LittleEndian.PutUint32(payload[16:], s.pub)
	binary.LittleEndian.PutUint64(payload[len(payload)-stampCheckBytes:], s.seq^checkMask)
}

// readStamp reads the stamp of payload; ok is false for a payload that is not wantBytes long or fails its check.
func readStamp(payload []byte, wantBytes int) (s stamp, ok bool) {
	if len(payload) != wantBytes || len(payload) < payloadBytesMin {
		return stamp{}, false
	}
	s.seq = binary.LittleEndian.Uint64(payload)
	s.sentNs = int64(binary.LittleEndian.Uint64(payload[8:]))
	s.pub = binary.LittleEndian.Uint32(payload[16:])
	return s, binary.LittleEndian.Uint64(payload[len(payload)-stampCheckBytes:]) == s.seq^checkMask
}

func appendRemainingLength(b []byte, n int) []byte {
	for n >= 128 {
		b = append(b, byte(n)|0x80)
		n >>= 7
	}
	return append(b, byte(n))
}

func appendString(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
	return append(b, s...)
}

// appendConnect appends a 3.1.1 CONNECT with clean session and no keep-alive.
func appendConnect(b []byte, clientID string) []byte { return appendConnectFlags(b, clientID, 0x02) }

// appendResume appends a 3.1.1 CONNECT of a session that stays, and no keep-alive.
func appendResume(b []byte, clientID string) []byte { return appendConnectFlags(b, clientID, 0) }

func appendConnectFlags(b []byte, clientID string, flags byte) []byte {
	b = append(b, packetConnect)
	b = appendRemainingLength(b, 10+2+len(clientID))
	b = appendString(b, "MQTT")
	b = append(b, 4, flags, 0, 0)
	return appendString(b, clientID)
}

// appendSubscribe appends a SUBSCRIBE with packet identifier 1 and one filter.
func appendSubscribe(b []byte, filter string, qos byte) []byte {
	return appendSubscribeAll(b, []string{filter}, qos)
}

// appendSubscribeAll appends a SUBSCRIBE with packet identifier 1 and several filters.
func appendSubscribeAll(b []byte, filters []string, qos byte) []byte {
	size := 2
	for _, filter := range filters {
		size += 2 + len(filter) + 1
	}
	b = append(b, packetSubscribe)
	b = appendRemainingLength(b, size)
	b = append(b, 0, 1)
	for _, filter := range filters {
		b = appendString(b, filter)
		b = append(b, qos)
	}
	return b
}

// appendAck appends a PUBACK, PUBREC, PUBREL or PUBCOMP.
func appendAck(b []byte, packetType byte, id uint16) []byte {
	return append(b, packetType, 2, byte(id>>8), byte(id))
}

// publishTemplate is one publisher's PUBLISH, encoded once; each message is a copy with its stamp and identifier put in.
type publishTemplate struct {
	bytes     []byte
	idAt      int // offset of the packet identifier; 0 for QoS 0, which has none
	payloadAt int
}

func newPublishTemplate(topic string, qos byte, payloadBytes int) publishTemplate {
	idBytes := 0
	if qos > 0 {
		idBytes = 2
	}
	var t publishTemplate
	b := []byte{packetPublish | qos<<1}
	b = appendRemainingLength(b, 2+len(topic)+idBytes+payloadBytes)
	b = appendString(b, topic)
	if qos > 0 {
		t.idAt = len(b)
		b = append(b, 0, 0)
	}
	t.payloadAt = len(b)
	for range payloadBytes {
		b = append(b, 0xA5)
	}
	t.bytes = b
	return t
}

// append appends one message to b.
func (t *publishTemplate) append(b []byte, s stamp) []byte {
	at := len(b)
	b = append(b, t.bytes...)
	if t.idAt > 0 {
		binary.BigEndian.PutUint16(b[at+t.idAt:], packetID(s.seq))
	}
	s.put(b[at+t.payloadAt:])
	return b
}

// packetID is the identifier of the message with number seq: 1 to 65535 in turn, never 0 [MQTT-2.3.1-1].
func packetID(seq uint64) uint16 { return uint16(seq%65535) + 1 }

// packet is one whole packet; body is borrowed from the bytes it was split from.
type packet struct {
	first byte
	body  []byte
}

func (p packet) kind() byte { return p.first & 0xF0 }

// splitPacket takes the first packet off b. size is 0 while b holds no whole packet.
func splitPacket(b []byte) (p packet, size int, err error) {
	n, shift := 0, 0
	for i := 1; i < len(b); i++ {
		n |= int(b[i]&0x7F) << shift
		if b[i] < 0x80 {
			size = i + 1 + n
			if len(b) < size {
				return packet{}, 0, nil
			}
			return packet{first: b[0], body: b[i+1 : size]}, size, nil
		}
		if shift += 7; shift > 21 {
			return packet{}, 0, fmt.Errorf("remaining length of packet 0x%02x: %w", b[0], errMalformed)
		}
	}
	return packet{}, 0, nil
}

// publish is a PUBLISH taken apart; both slices are borrowed.
type publish struct {
	topic   []byte
	payload []byte
	id      uint16
	qos     byte
}

func (p packet) publish() (publish, error) {
	var m publish
	m.qos = p.first >> 1 & 3
	b := p.body
	if len(b) < 2 {
		return m, fmt.Errorf("PUBLISH of %d bytes: %w", len(b), errMalformed)
	}
	n := int(binary.BigEndian.Uint16(b))
	head := 2 + n
	if m.qos > 0 {
		head += 2
	}
	if len(b) < head {
		return m, fmt.Errorf("PUBLISH of %d bytes with a topic of %d: %w", len(b), n, errMalformed)
	}
	if m.qos > 0 {
		m.id = binary.BigEndian.Uint16(b[head-2:])
	}
	m.topic, m.payload = b[2:2+n], b[head:]
	return m, nil
}

// ackID is the packet identifier of a PUBACK, PUBREC, PUBREL or PUBCOMP.
func (p packet) ackID() (uint16, error) {
	if len(p.body) < 2 {
		return 0, fmt.Errorf("packet 0x%02x of %d bytes: %w", p.first, len(p.body), errMalformed)
	}
	return binary.BigEndian.Uint16(p.body), nil
}
