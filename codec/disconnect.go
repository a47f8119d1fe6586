package codec

// Disconnect ends a connection. In version 3 it has no body. In 5.0 reason code and properties follow; both are left out
// when the code is Success without properties, and the properties when there are none. Strings and slices alias the
// packet.
type Disconnect struct {
	Code             ReasonCode
	HasSessionExpiry bool
	SessionExpiry    uint32 // only from a client [MQTT-3.14.2-2]
	ReasonString     string
	ServerReference  string
	UserProperties   []byte // a stretch for NextUserProperty
}

// Decode reads the body of a DISCONNECT.
func (d *Disconnect) Decode(h Header, body []byte, v Version) error {
	return result(d.decode(h, body, v))
}

func (d *Disconnect) decode(h Header, body []byte, v Version) *Error {
	*d = Disconnect{}
	r := reader{b: body}
	r.fail(h.check(v))
	if v != V5 || len(r.b) == 0 {
		return r.end()
	}
	d.Code = ReasonCode(r.uint8())
	if !d.Code.allowedIn(TypeDisconnect) {
		r.fail(errDisconnectCode) // [MQTT-3.14.2-1]
	}
	if len(r.b) == 0 {
		return r.end()
	}
	p := properties{block: r.properties(v), where: TypeDisconnect}
	for p.next() {
		switch p.id {
		case idSessionExpiry:
			d.HasSessionExpiry, d.SessionExpiry = true, p.num
		case idReasonString:
			d.ReasonString = p.string()
		case idServerReference:
			d.ServerReference = p.string()
		}
	}
	d.UserProperties = p.userProperties()
	r.fail(p.err)
	return r.end()
}

// Size is the number of bytes that Append writes.
func (d *Disconnect) Size(v Version) int {
	n := d.remaining(v)
	return headerSize(n) + n
}

func (d *Disconnect) remaining(v Version) int {
	if v != V5 {
		return 0
	}
	if props := d.listProperties(counter(V5)).n; props > 0 {
		return 1 + varintSize(uint32(props)) + props
	}
	if d.Code != Success {
		return 1
	}
	return 0
}

// Append writes the packet.
func (d *Disconnect) Append(b []byte, v Version) []byte {
	n := d.remaining(v)
	b = appendHeader(b, TypeDisconnect, 0, n)
	if n > 0 {
		b = append(b, byte(d.Code))
	}
	if n > 1 {
		b = d.listProperties(d.listProperties(counter(v)).writer(b)).b
	}
	return b
}

func (d *Disconnect) listProperties(w propertyWriter) propertyWriter {
	w.uint32(idSessionExpiry, d.HasSessionExpiry, d.SessionExpiry)
	w.string(idServerReference, d.ServerReference != "", d.ServerReference)
	w.string(idReasonString, d.ReasonString != "", d.ReasonString)
	w.userProperties(d.UserProperties)
	return w
}
