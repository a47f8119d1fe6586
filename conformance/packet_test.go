package conformance

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

// First bytes of the packets that a client sends.
const (
	connectByte     = 0x10
	pubackByte      = 0x40
	pubrecByte      = 0x50
	pubrelByte      = 0x62
	pubcompByte     = 0x70
	subscribeByte   = 0x82
	unsubscribeByte = 0xA2
	pingreqByte     = 0xC0
	disconnectByte  = 0xE0
	authByte        = 0xF0
)

// Properties of MQTT 5.
const (
	payloadFormat      = 0x01
	messageExpiry      = 0x02
	contentType        = 0x03
	responseTopic      = 0x08
	correlationData    = 0x09
	subscriptionID     = 0x0B
	sessionExpiry      = 0x11
	assignedClientID   = 0x12
	serverKeepAlive    = 0x13
	authMethod         = 0x15
	authData           = 0x16
	requestProblemInfo = 0x17
	willDelay          = 0x18
	requestResponse    = 0x19
	responseInfo       = 0x1A
	reasonString       = 0x1F
	receiveMaximum     = 0x21
	topicAliasMaximum  = 0x22
	topicAlias         = 0x23
	maximumQoS         = 0x24
	userProperty       = 0x26
	maximumPacketSize  = 0x27
)

// u16 and u32 are fixed width integers, varint a variable byte integer in the shortest form.
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
		case byte:
			b = append(b, p)
		case u16:
			b = binary.BigEndian.AppendUint16(b, uint16(p))
		case u32:
			b = binary.BigEndian.AppendUint32(b, uint32(p))
		case varint:
			b = appendVarint(b, uint32(p))
		case string:
			b = binary.BigEndian.AppendUint16(b, uint16(len(p)))
			b = append(b, p...)
		case []byte:
			b = append(b, p...)
		default:
			panic(fmt.Sprintf("BUG: bin cannot write %T", part))
		}
	}
	return b
}

// pkt is a whole packet: first byte, remaining length, and the parts as bin joins them.
func pkt(first int, parts ...any) []byte {
	body := bin(parts...)
	return append(appendVarint([]byte{byte(first)}, uint32(len(body))), body...)
}

// props is a property block with its length before it.
func props(parts ...any) []byte {
	body := bin(parts...)
	return append(appendVarint(nil, uint32(len(body))), body...)
}

// hx reads hexadecimal digits; blanks are for the reader.
func hx(digits string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return b
}

func appendVarint(b []byte, n uint32) []byte {
	for n >= 0x80 {
		b = append(b, byte(n)|0x80)
		n >>= 7
	}
	return append(b, byte(n))
}

// hello describes a CONNECT. The zero values make a clean session without keep alive.
type hello struct {
	level     int
	id        string
	keep      bool // clean session or clean start 0
	keepAlive int
	props     []byte // properties without their length, v5
	will      *will
	user      string
	hasUser   bool
	pass      string
	hasPass   bool
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
	if h.hasPass {
		flags |= 0x40
	}
	if h.hasUser {
		flags |= 0x80
	}
	body := bin(name, h.level, flags, u16(h.keepAlive))
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
	if h.hasUser {
		body = append(body, bin(h.user)...)
	}
	if h.hasPass {
		body = append(body, bin(h.pass)...)
	}
	return pkt(connectByte, body)
}

// message is a PUBLISH, to send or as received.
type message struct {
	dup, retain bool
	qos         int
	id          int
	topic       string
	props       []byte // without their length, v5
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
		return pkt(subscribeByte, u16(id), 0, bin(pairs...))
	}
	return pkt(subscribeByte, u16(id), bin(pairs...))
}

// subscribeAs is a v5 SUBSCRIBE with a subscription identifier.
func subscribeAs(id, subID int, pairs ...any) []byte {
	return pkt(subscribeByte, u16(id), props(subscriptionID, varint(subID)), bin(pairs...))
}

func unsubscribe(level, id int, filters ...any) []byte {
	if level == v5 {
		return pkt(unsubscribeByte, u16(id), 0, bin(filters...))
	}
	return pkt(unsubscribeByte, u16(id), bin(filters...))
}

// ack is a PUBACK, PUBREC, PUBREL or PUBCOMP of two bytes: success in every version.
func ack(first, id int) []byte { return pkt(first, u16(id)) }

// goodbye is a DISCONNECT without reason code.
func goodbye() []byte { return pkt(disconnectByte) }

// property is one property as received; number holds integers, text and second the strings and binary data.
type property struct {
	id           byte
	number       uint32
	text, second string
}

// parseProps reads a property block that begins at b[0] and returns the bytes after it. It checks what a receiver may
// check of its form: known identifiers, whole values and the shortest integers.
func parseProps(b []byte) (list []property, raw, rest []byte, err error) {
	n, size, err := readVarint(b)
	if err != nil {
		return nil, nil, nil, err
	}
	if len(b) < size+int(n) {
		return nil, nil, nil, fmt.Errorf("property length %d, but %d bytes follow", n, len(b)-size)
	}
	raw, rest = b[size:size+int(n)], b[size+int(n):]
	for left := raw; len(left) > 0; {
		var p property
		p, left, err = parseProp(left)
		if err != nil {
			return nil, nil, nil, err
		}
		list = append(list, p)
	}
	return list, raw, rest, nil
}

func parseProp(b []byte) (p property, rest []byte, err error) {
	short := fmt.Errorf("property %#x is cut off", b[0])
	p.id, b = b[0], b[1:]
	switch p.id {
	case payloadFormat, requestProblemInfo, requestResponse, maximumQoS, 0x25, 0x28, 0x29, 0x2A:
		if len(b) < 1 {
			return p, nil, short
		}
		p.number = uint32(b[0])
		return p, b[1:], nil
	case serverKeepAlive, receiveMaximum, topicAliasMaximum, topicAlias:
		if len(b) < 2 {
			return p, nil, short
		}
		p.number = uint32(binary.BigEndian.Uint16(b))
		return p, b[2:], nil
	case messageExpiry, sessionExpiry, willDelay, maximumPacketSize:
		if len(b) < 4 {
			return p, nil, short
		}
		p.number = binary.BigEndian.Uint32(b)
		return p, b[4:], nil
	case subscriptionID:
		n, size, err := readVarint(b)
		if err != nil {
			return p, nil, err
		}
		p.number = n
		return p, b[size:], nil
	case contentType, responseTopic, correlationData, assignedClientID, authMethod, authData, responseInfo, 0x1C, reasonString:
		p.text, b, err = readString(b)
		return p, b, err
	case userProperty:
		if p.text, b, err = readString(b); err != nil {
			return p, nil, err
		}
		p.second, b, err = readString(b)
		return p, b, err
	}
	return p, nil, fmt.Errorf("unknown property %#x", p.id)
}

func readString(b []byte) (s string, rest []byte, err error) {
	if len(b) < 2 || len(b) < 2+int(binary.BigEndian.Uint16(b)) {
		return "", nil, fmt.Errorf("string is cut off: % x", b)
	}
	n := int(binary.BigEndian.Uint16(b))
	return string(b[2 : 2+n]), b[2+n:], nil
}

// readVarint refuses integers that are longer than they need be.
func readVarint(b []byte) (n uint32, size int, err error) {
	for shift := 0; shift < 28; shift += 7 {
		if size >= len(b) {
			return 0, 0, fmt.Errorf("variable byte integer is cut off: % x", b)
		}
		c := b[size]
		size++
		n |= uint32(c&0x7F) << shift
		if c&0x80 == 0 {
			if size > 1 && c == 0 {
				return 0, 0, fmt.Errorf("variable byte integer is not the shortest: % x", b[:size])
			}
			return n, size, nil
		}
	}
	return 0, 0, fmt.Errorf("variable byte integer of more than four bytes: % x", b[:size])
}
