package codec

// Ack is a PUBACK, PUBREC, PUBREL or PUBCOMP: packet identifier and, in 5.0, reason code and properties. The code is
// left out with all behind it when it is Success without properties; the properties are left out when there are none.
// ReasonString and UserProperties alias the packet.
type Ack struct {
	Type           Type
	PacketID       uint16
	Code           ReasonCode
	ReasonString   string
	UserProperties []byte // a stretch for NextUserProperty
}

// Decode reads the body of the acknowledgement that h.Type says.
func (a *Ack) Decode(h Header, body []byte, v Version) error { return result(a.decode(h, body, v)) }

func (a *Ack) decode(h Header, body []byte, v Version) *Error {
	*a = Ack{Type: h.Type}
	r := reader{b: body}
	r.fail(h.check(v))
	a.PacketID = r.packetID()
	if v != V5 || len(r.b) == 0 {
		return r.end()
	}
	a.Code = ReasonCode(r.uint8())
	if !a.Code.allowedIn(a.Type) {
		r.fail(errAckCode) // [MQTT-3.4.2-1] [MQTT-3.5.2-1] [MQTT-3.6.2-1] [MQTT-3.7.2-1]
	}
	a.ReasonString, a.UserProperties = decodeReason(&r, a.Type)
	return r.end()
}

// decodeReason reads the properties of a packet that has only a reason string and user properties, and that may leave
// out an empty block.
func decodeReason(r *reader, where Type) (text string, users []byte) {
	if len(r.b) == 0 {
		return "", nil
	}
	p := properties{block: r.properties(V5), where: where}
	for p.next() {
		if p.id == idReasonString {
			text = p.string()
		}
	}
	r.fail(p.err)
	return text, p.userProperties()
}

// Size is the number of bytes that Append writes.
func (a *Ack) Size(v Version) int {
	n := a.remaining(v)
	return headerSize(n) + n
}

func (a *Ack) remaining(v Version) int {
	if v != V5 {
		return 2
	}
	if props := a.listProperties(counter(V5)).n; props > 0 {
		return 3 + varintSize(uint32(props)) + props
	}
	if a.Code != Success {
		return 3
	}
	return 2
}

// Append writes the packet.
func (a *Ack) Append(b []byte, v Version) []byte {
	n := a.remaining(v)
	if n <= 3 {
		return AppendAck(b, a.Type, v, a.PacketID, a.Code)
	}
	b = appendUint16(appendHeader(b, a.Type, ackFlags(a.Type), n), a.PacketID)
	b = append(b, byte(a.Code))
	return a.listProperties(a.listProperties(counter(v)).writer(b)).b
}

func (a *Ack) listProperties(w propertyWriter) propertyWriter {
	w.string(idReasonString, a.ReasonString != "", a.ReasonString)
	w.userProperties(a.UserProperties)
	return w
}

// AppendAck writes an acknowledgement without properties, and without a reason code where it would say Success or the
// version has none.
func AppendAck(b []byte, t Type, v Version, id uint16, code ReasonCode) []byte {
	first := byte(t)<<4 | ackFlags(t)
	if v != V5 || code == Success {
		return append(b, first, 2, byte(id>>8), byte(id))
	}
	return append(b, first, 3, byte(id>>8), byte(id), byte(code))
}

// ackFlags are the fixed header flags of an acknowledgement [MQTT-2.1.3-1].
func ackFlags(t Type) byte {
	if t == TypePubrel {
		return flagAcked
	}
	return 0
}
