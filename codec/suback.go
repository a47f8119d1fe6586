package codec

// Suback answers SUBSCRIBE: packet identifier, properties (5.0), one reason code for each filter in its order
// [MQTT-3.9.3-1]. Version 3 has the codes 0, 1, 2 and 0x80. The slices alias the packet.
type Suback struct {
	PacketID       uint16
	Codes          []byte
	ReasonString   string
	UserProperties []byte // a stretch for NextUserProperty
}

// Decode reads the body of a SUBACK, as a client does.
func (s *Suback) Decode(h Header, body []byte, v Version) error { return result(s.decode(h, body, v)) }

func (s *Suback) decode(h Header, body []byte, v Version) *Error {
	*s = Suback{}
	r := reader{b: body}
	r.fail(h.check(v))
	s.PacketID = r.packetID()
	if v == V5 && len(r.b) == 0 {
		r.fail(errTruncated)
	}
	if v == V5 {
		s.ReasonString, s.UserProperties = decodeReason(&r, TypeSuback)
	}
	if len(r.b) == 0 {
		r.fail(errNoCodes)
	}
	for _, c := range r.b {
		code := ReasonCode(c)
		if !code.allowedIn(TypeSuback) || v != V5 && code > GrantedQoS2 && code != UnspecifiedError {
			r.fail(errSubackCode) // [MQTT-3.9.3-2]
		}
	}
	s.Codes, r.b = r.b, nil
	return r.end()
}

// Size is the number of bytes that Append writes.
func (s *Suback) Size(v Version) int {
	n := 2 + s.listProperties(counter(v)).blockSize() + len(s.Codes)
	return headerSize(n) + n
}

// Append writes the packet.
func (s *Suback) Append(b []byte, v Version) []byte {
	b = appendHeader(b, TypeSuback, 0, 2+s.listProperties(counter(v)).blockSize()+len(s.Codes))
	b = appendUint16(b, s.PacketID)
	b = s.listProperties(s.listProperties(counter(v)).writer(b)).b
	return append(b, s.Codes...)
}

func (s *Suback) listProperties(w propertyWriter) propertyWriter {
	w.string(idReasonString, s.ReasonString != "", s.ReasonString)
	w.userProperties(s.UserProperties)
	return w
}
