package codec

// Connack is the server's answer to CONNECT: flags, reason code (return code in 3.1 and 3.1.1), properties (5.0).
// A zero or empty field stands for an absent property, where it has no Has of its own. Strings and slices alias the
// packet.
type Connack struct {
	SessionPresent bool
	Code           ReasonCode // the byte itself: in version 3 a return code, 0 to 5

	HasServerKeepAlive        bool
	ServerKeepAlive           uint16
	TopicAliasMaximum         uint16
	AssignedClientID          string
	AuthMethod                string
	AuthData                  []byte
	RetainUnavailable         bool
	MaximumPacketSize         uint32
	ReceiveMaximum            uint16 // 0 when absent, which means 65,535
	HasMaximumQoS             bool
	MaximumQoS                uint8
	HasSessionExpiry          bool
	SessionExpiry             uint32
	WildcardUnavailable       bool
	SubscriptionIDUnavailable bool
	SharedUnavailable         bool
	ResponseInformation       string
	ServerReference           string
	ReasonString              string
	UserProperties            []byte // a stretch for NextUserProperty
}

const (
	connackPresent = 0x01
	returnCodeMax  = 5 // the last return code of version 3
)

// Decode reads the body of a CONNACK, as a client does.
func (c *Connack) Decode(h Header, body []byte, v Version) error {
	return result(c.decode(h, body, v))
}

func (c *Connack) decode(h Header, body []byte, v Version) *Error {
	*c = Connack{}
	r := reader{b: body}
	r.fail(h.check(v))
	flags := r.uint8()
	c.Code = ReasonCode(r.uint8())
	if r.err == nil {
		r.fail(c.decodeFlags(flags, v))
	}
	c.decodeProperties(&r, v)
	return r.end()
}

func (c *Connack) decodeFlags(flags uint8, v Version) *Error {
	if v == V31 {
		flags = 0 // the byte is reserved and has no meaning
	}
	c.SessionPresent = flags&connackPresent != 0
	switch {
	case flags&^connackPresent != 0:
		return errConnackFlags // [MQTT-3.2.2-1]
	case c.SessionPresent && c.Code != Success:
		return errConnackPresent // [MQTT-3.2.2-6]
	case v == V5 && !c.Code.allowedIn(TypeConnack), v != V5 && c.Code > returnCodeMax:
		return errConnackCode // [MQTT-3.2.2-8]
	}
	return nil
}

func (c *Connack) decodeProperties(r *reader, v Version) {
	p := properties{block: r.properties(v), where: TypeConnack}
	for p.next() {
		switch p.id {
		case idServerKeepAlive:
			c.HasServerKeepAlive, c.ServerKeepAlive = true, uint16(p.num)
		case idTopicAliasMaximum:
			c.TopicAliasMaximum = uint16(p.num)
		case idMaximumPacketSize:
			c.MaximumPacketSize = p.num
		case idReceiveMaximum:
			c.ReceiveMaximum = uint16(p.num)
		case idMaximumQoS:
			c.HasMaximumQoS, c.MaximumQoS = true, uint8(p.num)
		case idSessionExpiry:
			c.HasSessionExpiry, c.SessionExpiry = true, p.num
		case idRetainAvailable:
			c.RetainUnavailable = !p.flag()
		case idWildcardAvailable:
			c.WildcardUnavailable = !p.flag()
		case idSubscriptionIDs:
			c.SubscriptionIDUnavailable = !p.flag()
		case idSharedAvailable:
			c.SharedUnavailable = !p.flag()
		default:
			c.decodeText(&p)
		}
	}
	c.UserProperties = p.userProperties()
	r.fail(p.err)
	if len(c.AuthData) > 0 && c.AuthMethod == "" {
		r.fail(errAuthDataNoMethod)
	}
}

// decodeText takes the properties that are strings or binary data.
func (c *Connack) decodeText(p *properties) {
	switch p.id {
	case idAssignedClientID:
		c.AssignedClientID = p.string()
	case idAuthMethod:
		c.AuthMethod = p.string()
	case idAuthData:
		c.AuthData = p.data
	case idResponseInformation:
		c.ResponseInformation = p.string()
	case idServerReference:
		c.ServerReference = p.string()
	case idReasonString:
		c.ReasonString = p.string()
	}
}

// Size is the number of bytes that Append writes.
func (c *Connack) Size(v Version) int {
	n := 2 + c.listProperties(counter(v)).blockSize()
	return headerSize(n) + n
}

// Append writes the packet.
func (c *Connack) Append(b []byte, v Version) []byte {
	b = appendHeader(b, TypeConnack, 0, 2+c.listProperties(counter(v)).blockSize())
	flags := byte(0)
	if c.SessionPresent {
		flags = connackPresent
	}
	b = append(b, flags, byte(c.Code))
	return c.listProperties(c.listProperties(counter(v)).writer(b)).b
}

// listProperties keeps the order in which Mosquitto writes them, up to maximum QoS. User properties and the reason
// string come last, being what is left out for a client that takes no packet of that size.
func (c *Connack) listProperties(w propertyWriter) propertyWriter {
	w.uint16(idServerKeepAlive, c.HasServerKeepAlive, c.ServerKeepAlive)
	w.uint16(idTopicAliasMaximum, c.TopicAliasMaximum != 0, c.TopicAliasMaximum)
	w.string(idAssignedClientID, c.AssignedClientID != "", c.AssignedClientID)
	w.string(idAuthMethod, c.AuthMethod != "", c.AuthMethod)
	w.binary(idAuthData, len(c.AuthData) > 0, c.AuthData)
	w.flag(idRetainAvailable, c.RetainUnavailable, false)
	w.uint32(idMaximumPacketSize, c.MaximumPacketSize != 0, c.MaximumPacketSize)
	w.uint16(idReceiveMaximum, c.ReceiveMaximum != 0, c.ReceiveMaximum)
	w.flag(idMaximumQoS, c.HasMaximumQoS, c.MaximumQoS != 0)
	w.uint32(idSessionExpiry, c.HasSessionExpiry, c.SessionExpiry)
	w.flag(idWildcardAvailable, c.WildcardUnavailable, false)
	w.flag(idSubscriptionIDs, c.SubscriptionIDUnavailable, false)
	w.flag(idSharedAvailable, c.SharedUnavailable, false)
	w.string(idResponseInformation, c.ResponseInformation != "", c.ResponseInformation)
	w.string(idServerReference, c.ServerReference != "", c.ServerReference)
	w.string(idReasonString, c.ReasonString != "", c.ReasonString)
	w.userProperties(c.UserProperties)
	return w
}
