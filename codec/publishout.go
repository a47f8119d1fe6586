package codec

// PublishOut is a PUBLISH to send. Its properties go out in this order: Props as they are, message expiry interval,
// topic alias, subscription identifiers. In version 3 there are none, whatever the fields say. Everything is borrowed
// until Append or AppendHead returns.
type PublishOut struct {
	Version    Version
	Dup        bool
	QoS        uint8
	Retain     bool
	HasExpiry  bool
	TopicAlias uint16 // 0: none
	PacketID   uint16 // not written at QoS 0 [MQTT-2.2.1-2]
	Expiry     uint32
	Topic      string
	Props      []byte
	SubIDs     []uint32
	Payload    []byte
}

const (
	expirySize = 5
	aliasSize  = 3
)

// Size is the number of bytes of the whole packet. A packet of more than MaxPacket cannot be sent: properties that the
// server adds can take a message there that was within it when it came.
func (p *PublishOut) Size() int {
	n := p.remaining(p.propertiesSize())
	return headerSize(n) + n
}

// Append writes the whole packet.
func (p *PublishOut) Append(b []byte) []byte { return append(p.AppendHead(b), p.Payload...) }

// AppendHead writes everything in front of the payload, for a payload that is sent by reference.
func (p *PublishOut) AppendHead(b []byte) []byte {
	props := p.propertiesSize()
	b = appendHeader(b, TypePublish, p.flags(), p.remaining(props))
	b = appendString(b, p.Topic)
	if p.QoS > 0 {
		b = appendUint16(b, p.PacketID)
	}
	if p.Version != V5 {
		return b
	}
	b = append(appendVarint(b, uint32(props)), p.Props...)
	if p.HasExpiry {
		b = appendUint32(append(b, byte(idMessageExpiry)), p.Expiry)
	}
	if p.TopicAlias != 0 {
		b = appendUint16(append(b, byte(idTopicAlias)), p.TopicAlias)
	}
	for _, id := range p.SubIDs {
		b = appendVarint(append(b, byte(idSubscriptionID)), id)
	}
	return b
}

// PacketIDOffset is where the packet identifier stands, counted from the start of the packet: one encoding serves many
// receivers when only these two bytes are written for each. It means nothing at QoS 0.
func (p *PublishOut) PacketIDOffset() int {
	return headerSize(p.remaining(p.propertiesSize())) + 2 + len(p.Topic)
}

func (p *PublishOut) flags() byte {
	flags := p.QoS << shiftQoS
	if p.Dup {
		flags |= flagDup
	}
	if p.Retain {
		flags |= flagRetain
	}
	return flags
}

func (p *PublishOut) propertiesSize() int {
	if p.Version != V5 {
		return 0
	}
	n := len(p.Props)
	if p.HasExpiry {
		n += expirySize
	}
	if p.TopicAlias != 0 {
		n += aliasSize
	}
	for _, id := range p.SubIDs {
		n += 1 + varintSize(id)
	}
	return n
}

// remaining is the remaining length with props bytes of properties.
func (p *PublishOut) remaining(props int) int {
	n := 2 + len(p.Topic) + len(p.Payload)
	if p.QoS > 0 {
		n += 2
	}
	if p.Version == V5 {
		n += varintSize(uint32(props)) + props
	}
	return n
}
