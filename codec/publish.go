package codec

import "encoding/binary"

// Publish is a decoded PUBLISH.
//
//	topic name         string
//	packet identifier  uint16, QoS 1 and 2 only [MQTT-2.2.1-2]
//	properties         5.0
//	payload            all that is left
//
// Topic, Payload and Props alias the packet.
type Publish struct {
	Dup        bool
	Retain     bool
	QoS        uint8
	HasExpiry  bool
	HasSubIDs  bool   // only from a server
	TopicAlias uint16 // 0 when absent
	PacketID   uint16 // 0 at QoS 0
	Expiry     uint32 // message expiry interval, seconds
	Topic      string // empty only with a topic alias
	Payload    []byte
	// Props is the property block as it came, without its length.
	Props []byte
	// SubIDs are the subscription identifiers that a server sent. Decode reuses the slice.
	SubIDs []uint32

	// valid is the topic name that was checked last: publishers say the same ones again and again.
	valid    [validKept]byte
	validLen uint8
}

// validKept is the length up to which a checked topic name is remembered.
const validKept = 47

// Decode reads the body of a PUBLISH from a client: one with a subscription identifier is refused [MQTT-3.3.4-6].
func (p *Publish) Decode(h Header, body []byte, v Version) error {
	e := p.decode(h, body, v)
	if e == nil && p.HasSubIDs {
		e = errSubIDFromClient
	}
	return result(e)
}

// DecodeFromServer reads the body of a PUBLISH as a client receives it.
func (p *Publish) DecodeFromServer(h Header, body []byte, v Version) error {
	return result(p.decode(h, body, v))
}

func (p *Publish) decode(h Header, body []byte, v Version) *Error {
	// Field by field: clearing the whole struct costs as much as the rest of a small packet.
	p.Dup, p.QoS, p.Retain = h.Flags&flagDup != 0, h.Flags>>shiftQoS&maskQoS, h.Flags&flagRetain != 0
	p.HasExpiry, p.HasSubIDs, p.TopicAlias, p.PacketID, p.Expiry = false, false, 0, 0, 0
	p.Topic, p.Payload, p.Props = "", nil, nil
	if len(p.SubIDs) > 0 {
		p.SubIDs = emptied(p.SubIDs)
	}
	if e := h.check(v); e != nil {
		return e
	}
	if len(body) < 2 {
		return errTruncated
	}
	at := 2 + int(binary.BigEndian.Uint16(body))
	if at > len(body) {
		return errTruncated
	}
	topic := body[2:at]
	if string(topic) != string(p.valid[:p.validLen]) {
		valid, wildcard := validTopic(topic)
		if !valid {
			return errTopicUTF8 // [MQTT-3.3.2-1]
		}
		if wildcard {
			return errTopicWildcard // [MQTT-3.3.2-2]
		}
		if len(topic) <= len(p.valid) {
			p.validLen = uint8(copy(p.valid[:], topic))
		}
	}
	p.Topic = alias(topic)
	if p.QoS > 0 {
		if len(body) < at+2 {
			return errTruncated
		}
		p.PacketID = binary.BigEndian.Uint16(body[at:])
		if p.PacketID == 0 {
			return errPacketID // [MQTT-2.2.1-3]
		}
		at += 2
	}
	rest := body[at:]
	if v == V5 {
		var e *Error
		if rest, e = p.decodeProperties(rest); e != nil {
			return e
		}
	}
	if p.Topic == "" && p.TopicAlias == 0 {
		return errTopicEmpty
	}
	p.Payload = rest
	return nil
}

// decodeProperties reads the property block at the start of b and returns what is behind it.
func (p *Publish) decodeProperties(b []byte) (rest []byte, e *Error) {
	if len(b) > 0 && b[0] == 0 {
		return b[1:], nil
	}
	r := reader{b: b}
	p.Props = r.properties(V5)
	if r.err != nil {
		return nil, r.err
	}
	list := properties{block: p.Props, where: TypePublish}
	for list.next() {
		switch list.id {
		case idMessageExpiry:
			p.HasExpiry, p.Expiry = true, list.num
		case idTopicAlias:
			p.TopicAlias = uint16(list.num)
		case idSubscriptionID:
			p.HasSubIDs = true
			p.SubIDs = append(p.SubIDs, list.num)
		}
	}
	return r.b, list.err
}

// ForwardProps returns the properties to send onwards: all but message expiry, topic alias and subscription
// identifiers, which each receiver gets its own of, in their order [MQTT-3.3.2-18]. It is Props itself when none of the
// three is there, else they are written to scratch.
func (p *Publish) ForwardProps(scratch []byte) []byte {
	if !p.HasExpiry && p.TopicAlias == 0 && !p.HasSubIDs {
		return p.Props
	}
	return appendKept(scratch[:0], p.Props, publishRewritten)
}

// emptied returns s without its elements. Their strings are let go, and so is a slice larger than entriesKept.
func emptied[S any](s []S) []S {
	if cap(s) > entriesKept {
		return nil
	}
	clear(s)
	return s[:0]
}
