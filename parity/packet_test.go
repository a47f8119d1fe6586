package parity

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
)

// Protocol levels.
const (
	v31 = 3
	v4  = 4
	v5  = 5
)

// First bytes of packets.
const (
	pubackByte     = 0x40
	pubrecByte     = 0x50
	pubrelByte     = 0x62
	pubcompByte    = 0x70
	pingreqByte    = 0xC0
	disconnectByte = 0xE0
	authByte       = 0xF0
)

// Properties of MQTT 5.
const (
	payloadFormat     = 0x01
	messageExpiry     = 0x02
	contentType       = 0x03
	responseTopic     = 0x08
	correlationData   = 0x09
	subscriptionID    = 0x0B
	sessionExpiry     = 0x11
	authMethod        = 0x15
	authData          = 0x16
	problemInfo       = 0x17
	willDelay         = 0x18
	responseInfo      = 0x19
	receiveMaximum    = 0x21
	topicAliasMaximum = 0x22
	topicAlias        = 0x23
	userProperty      = 0x26
	maximumPacketSize = 0x27
)

// u16 and u32 are integers of fixed width, varint is a variable byte integer in the shortest form.
type (
	u16    uint16
	u32    uint32
	varint uint32
)

// bin joins its parts as MQTT writes them: an int is one byte, a string has its length before it, a []byte stands for itself.
func bin(parts ...any) []byte {
	var b []byte
	for _, part := range parts {
		switch p := part.(type) {
		case int:
			b = append(b, byte(p))
		case u16:
			b = binary.BigEndian.AppendUint16(b, uint16(p))
		case u32:
			b = binary.BigEndian.AppendUint32(b, uint32(p))
		case varint:
			for ; p >= 0x80; p >>= 7 {
				b = append(b, byte(p)|0x80)
			}
			b = append(b, byte(p))
		case string:
			b = append(binary.BigEndian.AppendUint16(b, uint16(len(p))), p...)
		case []byte:
			b = append(b, p...)
		default:
			panic(fmt.Sprintf("BUG: bin cannot write %T", part))
		}
	}
	return b
}

// pkt is a whole packet: first byte, remaining length, and the parts as bin joins them.
func pkt(first int, parts ...any) []byte { return bin(first, props(parts...)) }

// props is a block with its length before it, as property blocks are.
func props(parts ...any) []byte {
	body := bin(parts...)
	return bin(varint(len(body)), body)
}

// hx reads hexadecimal digits; blanks are for the reader.
func hx(digits string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return b
}

// hello describes a CONNECT. Zero values are filled by the script: its level, an identifier of its own, 60 seconds.
type hello struct {
	level     int
	id        string
	noID      bool
	keep      bool // clean session or clean start 0
	keepAlive int  // -1 for none
	props     []byte
	will      *will
	user      string
	pass      string
	hasUser   bool // implied by user
	hasPass   bool // implied by pass
}

type will struct {
	topic, payload string
	qos            int
	retain         bool
	props          []byte
}

func (h hello) bytes() []byte {
	name := "MQTT"
	if h.level&0x7F == v31 {
		name = "MQIsdp"
	}
	hasUser, hasPass := h.hasUser || h.user != "", h.hasPass || h.pass != ""
	body := bin(name, h.level, h.flags(hasUser, hasPass), u16(max(h.keepAlive, 0)))
	if h.level == v5 {
		body = append(body, props(h.props)...)
	}
	body = append(body, bin(h.id)...)
	if h.will != nil {
		if h.level == v5 {
			body = append(body, props(h.will.props)...)
		}
		body = append(body, bin(h.will.topic, h.will.payload)...)
	}
	if hasUser {
		body = append(body, bin(h.user)...)
	}
	if hasPass {
		body = append(body, bin(h.pass)...)
	}
	return pkt(0x10, body)
}

func (h hello) flags(hasUser, hasPass bool) int {
	flags := 0
	if !h.keep {
		flags |= 0x02
	}
	if h.will != nil {
		flags |= 0x04 | h.will.qos<<3
		if h.will.retain {
			flags |= 0x20
		}
	}
	if hasPass {
		flags |= 0x40
	}
	if hasUser {
		flags |= 0x80
	}
	return flags
}

// message is a PUBLISH.
type message struct {
	dup, retain bool
	qos         int
	id          int
	topic       string
	props       []byte // without their length, version 5
	payload     string
}

func (m message) bytes(level int) []byte {
	first := 0x30 | m.qos<<1
	if m.dup {
		first |= 0x08
	}
	if m.retain {
		first |= 0x01
	}
	body := bin(m.topic)
	if m.qos > 0 {
		body = append(body, bin(u16(m.id))...)
	}
	if level == v5 {
		body = append(body, props(m.props)...)
	}
	return pkt(first, body, []byte(m.payload))
}

// subscribe is a SUBSCRIBE without properties; each filter is followed by its options byte.
func subscribe(level, id int, pairs ...any) []byte {
	if level == v5 {
		return pkt(0x82, u16(id), 0, bin(pairs...))
	}
	return pkt(0x82, u16(id), bin(pairs...))
}

// subscribeAs is a version 5 SUBSCRIBE with a subscription identifier.
func subscribeAs(id, subID int, pairs ...any) []byte {
	return pkt(0x82, u16(id), props(subscriptionID, varint(subID)), bin(pairs...))
}

func unsubscribe(level, id int, filters ...any) []byte {
	if level == v5 {
		return pkt(0xA2, u16(id), 0, bin(filters...))
	}
	return pkt(0xA2, u16(id), bin(filters...))
}

// ack is a PUBACK, PUBREC, PUBREL or PUBCOMP of two bytes, success in every version.
func ack(first, id int) []byte { return pkt(first, u16(id)) }
