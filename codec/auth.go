package codec

// Auth carries one step of an enhanced authentication, in 5.0 only: reason code and properties, both left out when the
// code is Success without properties. Strings and slices alias the packet.
type Auth struct {
	Code           ReasonCode
	HasMethod      bool
	Method         string
	HasData        bool
	Data           []byte
	ReasonString   string
	UserProperties []byte // a stretch for NextUserProperty
}

// Decode reads the body of an AUTH. Other versions do not have the packet.
func (a *Auth) Decode(h Header, body []byte, v Version) error { return result(a.decode(h, body, v)) }

func (a *Auth) decode(h Header, body []byte, v Version) *Error {
	*a = Auth{}
	if v != V5 {
		return errWrongPacket
	}
	r := reader{b: body}
	r.fail(h.check(v))
	if len(r.b) == 0 {
		return r.end()
	}
	a.Code = ReasonCode(r.uint8())
	if !a.Code.allowedIn(TypeAuth) {
		r.fail(errAuthCode) // [MQTT-3.15.2-1]
	}
	p := properties{block: r.properties(v), where: TypeAuth}
	for p.next() {
		switch p.id {
		case idAuthMethod:
			a.HasMethod, a.Method = true, p.string()
		case idAuthData:
			a.HasData, a.Data = true, p.data
		case idReasonString:
			a.ReasonString = p.string()
		}
	}
	a.UserProperties = p.userProperties()
	r.fail(p.err)
	return r.end()
}

// Size is the number of bytes that Append writes.
func (a *Auth) Size(_ Version) int {
	n := a.remaining()
	return headerSize(n) + n
}

func (a *Auth) remaining() int {
	props := a.listProperties(counter(V5)).n
	if a.Code == Success && props == 0 {
		return 0
	}
	return 1 + varintSize(uint32(props)) + props
}

// Append writes the packet as 5.0 has it.
func (a *Auth) Append(b []byte, _ Version) []byte {
	n := a.remaining()
	b = appendHeader(b, TypeAuth, 0, n)
	if n == 0 {
		return b
	}
	b = append(b, byte(a.Code))
	return a.listProperties(a.listProperties(counter(V5)).writer(b)).b
}

func (a *Auth) listProperties(w propertyWriter) propertyWriter {
	w.string(idAuthMethod, a.HasMethod, a.Method)
	w.binary(idAuthData, a.HasData, a.Data)
	w.string(idReasonString, a.ReasonString != "", a.ReasonString)
	w.userProperties(a.UserProperties)
	return w
}
