package codec

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
)

// wire makes a packet from its first byte and a body in a small notation: hexadecimal digits are bytes, "text" is a
// string behind its two length bytes, 'text' is the text alone, {…} is a property block behind its length, and blanks
// say nothing. The lengths are encoded here a second time, independent of what is tested.
func wire(first byte, body string) []byte {
	b, rest := notation(body)
	if rest != "" {
		panic("unbalanced notation: " + body)
	}
	return append(append([]byte{first}, naiveVarint(len(b))...), b...)
}

// notation reads up to the end or a closing brace.
func notation(s string) (b []byte, rest string) {
	for s != "" {
		switch c := s[0]; c {
		case ' ', '\t', '\n':
			s = s[1:]
		case '}':
			return b, s
		case '{':
			block, rest := notation(s[1:])
			b = append(append(b, naiveVarint(len(block))...), block...)
			s = strings.TrimPrefix(rest, "}")
		case '"', '\'':
			text, rest, ok := strings.Cut(s[1:], string(c))
			if !ok {
				panic("open quote: " + s)
			}
			if c == '"' {
				b = append(b, byte(len(text)>>8), byte(len(text)))
			}
			b, s = append(b, text...), rest
		default:
			v, err := hex.DecodeString(s[:2])
			if err != nil {
				panic(err)
			}
			b, s = append(b, v...), s[2:]
		}
	}
	return b, ""
}

func naiveVarint(n int) (b []byte) {
	for {
		digit := byte(n % 128)
		n /= 128
		if n > 0 {
			digit |= 128
		}
		b = append(b, digit)
		if n == 0 {
			return b
		}
	}
}

// block is a property block in the notation, without its length.
func block(s string) []byte {
	b, _ := notation(s)
	return b
}

// packet is what all packets have in common. Connect and Publish get it through the two wrappers below.
type packet interface {
	Decode(h Header, body []byte, v Version) error
	Append(b []byte, v Version) []byte
	Size(v Version) int
}

// anyConnect gives Connect the signature of the others.
type anyConnect struct{ Connect }

func (c *anyConnect) Decode(h Header, body []byte, _ Version) error { return c.Connect.Decode(h, body) }

// anyPublish reads a PUBLISH as a client does and writes it through PublishOut.
type anyPublish struct {
	Publish
	scratch []byte
}

func (p *anyPublish) Decode(h Header, body []byte, v Version) error {
	return p.DecodeFromServer(h, body, v)
}

func (p *anyPublish) out(v Version) PublishOut {
	p.scratch = append(p.scratch[:0], p.ForwardProps(p.scratch)...)
	return PublishOut{Version: v, Dup: p.Dup, QoS: p.QoS, Retain: p.Retain, Topic: p.Topic, PacketID: p.PacketID,
		Props: p.scratch, HasExpiry: p.HasExpiry, Expiry: p.Expiry, TopicAlias: p.TopicAlias, SubIDs: p.SubIDs, Payload: p.Payload}
}

func (p *anyPublish) Append(b []byte, v Version) []byte { o := p.out(v); return o.Append(b) }
func (p *anyPublish) Size(v Version) int                { o := p.out(v); return o.Size() }

// ping is PINGREQ or PINGRESP.
type ping struct{ t Type }

func (p *ping) Decode(h Header, _ []byte, v Version) error {
	p.t = h.Type
	return h.DecodePing(v)
}

func (p *ping) Append(b []byte, _ Version) []byte {
	if p.t == TypePingreq {
		return AppendPingreq(b)
	}
	return AppendPingresp(b)
}

func (p *ping) Size(Version) int { return 2 }

// newPacket returns an empty struct for packets of type t.
func newPacket(t Type) packet {
	switch t {
	case TypeConnect:
		return &anyConnect{}
	case TypeConnack:
		return &Connack{}
	case TypePublish:
		return &anyPublish{}
	case TypeSubscribe:
		return &Subscribe{}
	case TypeSuback:
		return &Suback{}
	case TypeUnsubscribe:
		return &Unsubscribe{}
	case TypeUnsuback:
		return &Unsuback{}
	case TypePingreq, TypePingresp:
		return &ping{}
	case TypeDisconnect:
		return &Disconnect{}
	case TypeAuth:
		return &Auth{}
	}
	return &Ack{}
}

// decode reads one whole packet.
func decode(b []byte, v Version) (packet, error) {
	h, n, err := DecodeHeader(b)
	if err != nil {
		return nil, err
	}
	if n == 0 || len(b) != n+h.Remaining {
		return nil, fmt.Errorf("%d bytes are not one packet of %d+%d", len(b), n, h.Remaining)
	}
	p := newPacket(h.Type)
	return p, p.Decode(h, b[n:], v)
}

// text is a packet's content for comparison: empty and absent slices are the same, and the property blocks that keep the
// sender's order are reduced to what Append takes from them.
func text(p packet) string {
	switch q := p.(type) {
	case *anyConnect:
		c := q.Connect
		c.Will.Props = c.Will.ForwardProps(nil)
		c.UserProperties = userProperties(c.UserProperties)
		return fmt.Sprintf("%+v", c)
	case *anyPublish:
		c := q.Publish
		c.Props = c.ForwardProps(nil)
		c.valid, c.validLen = [validKept]byte{}, 0
		return fmt.Sprintf("%+v", c)
	case *Connack:
		c := *q
		c.UserProperties = userProperties(c.UserProperties)
		return fmt.Sprintf("%+v", c)
	case *Disconnect:
		c := *q
		c.UserProperties = userProperties(c.UserProperties)
		return fmt.Sprintf("%+v", c)
	case *Auth:
		c := *q
		c.UserProperties = userProperties(c.UserProperties)
		return fmt.Sprintf("%+v", c)
	case *Subscribe:
		c := *q
		c.UserProperties = userProperties(c.UserProperties)
		return fmt.Sprintf("%+v", c)
	case *Ack:
		c := *q
		c.UserProperties = userProperties(c.UserProperties)
		return fmt.Sprintf("%+v", c)
	case *Suback:
		c := *q
		c.UserProperties = userProperties(c.UserProperties)
		return fmt.Sprintf("%+v", c)
	case *Unsuback:
		c := *q
		c.UserProperties = userProperties(c.UserProperties)
		return fmt.Sprintf("%+v", c)
	}
	return fmt.Sprintf("%+v", p)
}

// userProperties is what is written of a stretch.
func userProperties(stretch []byte) []byte {
	return appendKept(nil, stretch, allProperties&^onlyUserProperties)
}

// accepts fails the test unless b decodes.
func accepts(t *testing.T, v Version, b []byte) packet {
	t.Helper()
	p, err := decode(b, v)
	if err != nil {
		t.Fatalf("version %v: % X: %v", v, b, err)
	}
	return p
}

// refuses fails the test unless b is refused with exactly want and the reason code in it.
func refuses(t *testing.T, v Version, b []byte, want *Error, code ReasonCode) {
	t.Helper()
	_, err := decode(b, v)
	if err != error(want) {
		t.Errorf("version %v: % X:\ngot  %v\nwant %v", v, b, err, want)
	} else if want.Code != code {
		t.Errorf("version %v: % X: refused with 0x%02X, want 0x%02X", v, b, byte(want.Code), byte(code))
	}
}
