package codec

// Unsubscribe takes topic filters back: packet identifier, properties (5.0), filters. The strings alias the packet; the
// slice that holds them is reused.
type Unsubscribe struct {
	PacketID       uint16
	UserProperties []byte // a stretch for NextUserProperty
	Filters        []string
}

// Decode reads the body of an UNSUBSCRIBE.
func (u *Unsubscribe) Decode(h Header, body []byte, v Version) error {
	return result(u.decode(h, body, v))
}

func (u *Unsubscribe) decode(h Header, body []byte, v Version) *Error {
	*u = Unsubscribe{Filters: emptied(u.Filters)}
	r := reader{b: body}
	r.fail(h.check(v))
	u.PacketID = r.packetID()
	p := properties{block: r.properties(v), where: TypeUnsubscribe}
	for p.next() {
		continue
	}
	u.UserProperties = p.userProperties()
	r.fail(p.err)
	if len(r.b) == 0 {
		r.fail(errNoUnsubs) // [MQTT-3.10.3-2]
	}
	for len(r.b) > 0 {
		u.Filters = append(u.Filters, r.string(errUnsubUTF8)) // [MQTT-3.10.3-1]
	}
	return r.end()
}

// Size is the number of bytes that Append writes.
func (u *Unsubscribe) Size(v Version) int {
	n := u.remaining(v)
	return headerSize(n) + n
}

func (u *Unsubscribe) remaining(v Version) int {
	n := 2 + u.listProperties(counter(v)).blockSize()
	for _, filter := range u.Filters {
		n += 2 + len(filter)
	}
	return n
}

// Append writes the packet.
func (u *Unsubscribe) Append(b []byte, v Version) []byte {
	b = appendUint16(appendHeader(b, TypeUnsubscribe, flagAcked, u.remaining(v)), u.PacketID)
	b = u.listProperties(u.listProperties(counter(v)).writer(b)).b
	for _, filter := range u.Filters {
		b = appendString(b, filter)
	}
	return b
}

func (u *Unsubscribe) listProperties(w propertyWriter) propertyWriter {
	w.userProperties(u.UserProperties)
	return w
}
