package codec

// Unsuback answers UNSUBSCRIBE: packet identifier and, in 5.0, properties and one reason code for each filter in its
// order [MQTT-3.11.3-1]. The slices alias the packet.
type Unsuback struct {
	PacketID       uint16
	Codes          []byte // not written in version 3
	ReasonString   string
	UserProperties []byte // a stretch for NextUserProperty
}

// Decode reads the body of an UNSUBACK, as a client does.
func (u *Unsuback) Decode(h Header, body []byte, v Version) error {
	return result(u.decode(h, body, v))
}

func (u *Unsuback) decode(h Header, body []byte, v Version) *Error {
	*u = Unsuback{}
	r := reader{b: body}
	r.fail(h.check(v))
	u.PacketID = r.packetID()
	if v != V5 {
		return r.end()
	}
	if len(r.b) == 0 {
		r.fail(errTruncated)
	}
	u.ReasonString, u.UserProperties = decodeReason(&r, TypeUnsuback)
	if len(r.b) == 0 {
		r.fail(errNoCodes)
	}
	for _, c := range r.b {
		if !ReasonCode(c).allowedIn(TypeUnsuback) {
			r.fail(errUnsubackCode) // [MQTT-3.11.3-2]
		}
	}
	u.Codes, r.b = r.b, nil
	return r.end()
}

// Size is the number of bytes that Append writes.
func (u *Unsuback) Size(v Version) int {
	n := u.remaining(v)
	return headerSize(n) + n
}

func (u *Unsuback) remaining(v Version) int {
	if v != V5 {
		return 2
	}
	return 2 + u.listProperties(counter(v)).blockSize() + len(u.Codes)
}

// Append writes the packet.
func (u *Unsuback) Append(b []byte, v Version) []byte {
	b = appendUint16(appendHeader(b, TypeUnsuback, 0, u.remaining(v)), u.PacketID)
	if v != V5 {
		return b
	}
	b = u.listProperties(u.listProperties(counter(v)).writer(b)).b
	return append(b, u.Codes...)
}

func (u *Unsuback) listProperties(w propertyWriter) propertyWriter {
	w.string(idReasonString, u.ReasonString != "", u.ReasonString)
	w.userProperties(u.UserProperties)
	return w
}
