package codec

// Connect is the first packet of a client.
//
//	protocol name   string, "MQTT", or "MQIsdp" in 3.1
//	protocol level  byte, 3, 4 or 5; 0x83 and 0x84 are a Mosquitto bridge speaking 3 or 4
//	connect flags   byte: user name, password, will retain, will QoS (2), will, clean start, reserved
//	keep alive      uint16, seconds
//	properties      5.0
//	payload         client identifier, will properties (5.0), will topic, will payload, user name, password
//
// Strings and slices alias the packet.
type Connect struct {
	Version      Version
	ProtocolName string
	Level        uint8 // as it came
	Bridge       bool
	CleanStart   bool // called clean session in 3.1 and 3.1.1
	KeepAlive    uint16
	ClientID     string

	HasUserName bool
	HasPassword bool
	UserName    string
	Password    []byte
	HasWill     bool
	Will        Will

	// The properties, with the specification's value when absent.
	HasSessionExpiry    bool
	SessionExpiry       uint32
	ReceiveMaximum      uint16 // 65,535 when absent; Append takes 0 for absent too
	MaximumPacketSize   uint32 // 0 when absent: no limit
	TopicAliasMaximum   uint16
	RequestResponseInfo bool
	RequestProblemInfo  bool // true when absent
	HasAuthMethod       bool
	AuthMethod          string
	HasAuthData         bool
	AuthData            []byte
	UserProperties      []byte // a stretch for NextUserProperty
}

const (
	nameMQTT   = "MQTT"
	nameMQIsdp = "MQIsdp"
	levelBit   = 0x80 // set in the protocol level by a bridge

	connectReserved = 0x01
	connectClean    = 0x02
	connectWill     = 0x04
	connectWillQoS  = 3 // shift
	connectRetain   = 0x20
	connectPassword = 0x40
	connectUserName = 0x80

	receiveMaximumDefault = 65_535
)

// Decode reads the body of a CONNECT. When it fails, ProtocolName, Level and Version hold what was read so far, and
// Version is 0 unless name and level are supported.
func (c *Connect) Decode(h Header, body []byte) error { return result(c.decode(h, body)) }

func (c *Connect) decode(h Header, body []byte) *Error {
	*c = Connect{ReceiveMaximum: receiveMaximumDefault, RequestProblemInfo: true}
	r := reader{b: body}
	c.decodeProtocol(&r)
	if r.err == nil {
		r.fail(h.check(c.Version))
	}
	flags := r.uint8()
	r.fail(c.decodeFlags(flags))
	c.KeepAlive = r.uint16()
	c.decodeProperties(&r)
	c.ClientID = r.string(errClientID) // [MQTT-3.1.3-3] [MQTT-3.1.3-4]
	if c.HasWill {
		c.Will.decode(&r, c.Version) // [MQTT-3.1.2-9]
	}
	c.HasUserName = c.present(&r, flags&connectUserName)
	if c.HasUserName {
		c.UserName = r.string(errUserName) // [MQTT-3.1.2-17] [MQTT-3.1.3-12]
	}
	c.HasPassword = c.present(&r, flags&connectPassword)
	if c.HasPassword {
		c.Password = r.binary() // [MQTT-3.1.2-19]
	}
	return r.end()
}

// present reports whether a field announced by a flag is there. In 3.1 the remaining length is right where the flag
// is not: a user name or password that would begin at the end of the packet is absent.
func (c *Connect) present(r *reader, flag uint8) bool {
	return flag != 0 && (c.Version != V31 || len(r.b) > 0)
}

// decodeProtocol reads protocol name and level.
func (c *Connect) decodeProtocol(r *reader) {
	name := r.binary()
	c.Level = r.uint8()
	if r.err != nil {
		return
	}
	c.ProtocolName = alias(name)
	if c.ProtocolName != nameMQTT && c.ProtocolName != nameMQIsdp {
		r.fail(errProtocolName) // [MQTT-3.1.2-1]
		return
	}
	level := Version(c.Level &^ levelBit)
	c.Bridge = c.Level&levelBit != 0
	switch {
	case c.ProtocolName == nameMQIsdp && level == V31:
	case c.ProtocolName == nameMQTT && level == V311:
	case c.ProtocolName == nameMQTT && level == V5 && !c.Bridge:
	default:
		r.fail(errProtocolLevel) // [MQTT-3.1.2-2]
		return
	}
	c.Version = level
}

// decodeFlags reads the connect flags. 3.1 leaves the reserved bit, and most of the will's bits without a will, open.
func (c *Connect) decodeFlags(flags uint8) *Error {
	qos := flags >> connectWillQoS & maskQoS
	c.CleanStart = flags&connectClean != 0
	c.HasWill = flags&connectWill != 0
	switch strict := c.Version != V31; {
	case strict && flags&connectReserved != 0:
		return errConnectReserved // [MQTT-3.1.2-3]
	case qos == 3:
		return errWillQoS3 // [MQTT-3.1.2-12]
	case strict && !c.HasWill && qos != 0:
		return errWillQoS // [MQTT-3.1.2-11]
	case strict && !c.HasWill && flags&connectRetain != 0:
		return errWillRetain // [MQTT-3.1.2-13]
	case c.Version != V5 && flags&connectPassword != 0 && flags&connectUserName == 0:
		return errPasswordAlone // [MQTT-3.1.2-22] of 3.1.1
	}
	if c.HasWill {
		c.Will.QoS, c.Will.Retain = qos, flags&connectRetain != 0
	}
	return nil
}

func (c *Connect) decodeProperties(r *reader) {
	p := properties{block: r.properties(c.Version), where: TypeConnect}
	for p.next() {
		switch p.id {
		case idSessionExpiry:
			c.HasSessionExpiry, c.SessionExpiry = true, p.num
		case idReceiveMaximum:
			c.ReceiveMaximum = uint16(p.num)
		case idMaximumPacketSize:
			c.MaximumPacketSize = p.num
		case idTopicAliasMaximum:
			c.TopicAliasMaximum = uint16(p.num)
		case idRequestResponseInfo:
			c.RequestResponseInfo = p.flag()
		case idRequestProblemInfo:
			c.RequestProblemInfo = p.flag()
		case idAuthMethod:
			c.HasAuthMethod, c.AuthMethod = true, p.string()
		case idAuthData:
			c.HasAuthData, c.AuthData = true, p.data
		}
	}
	c.UserProperties = p.userProperties()
	r.fail(p.err)
	if c.HasAuthData && !c.HasAuthMethod {
		r.fail(errAuthDataNoMethod)
	}
}

// Size is the number of bytes that Append writes.
func (c *Connect) Size(v Version) int {
	n := c.remaining(v)
	return headerSize(n) + n
}

func (c *Connect) remaining(v Version) int {
	n := 2 + len(protocolName(v)) + 1 + 1 + 2 + c.listProperties(counter(v)).blockSize() + 2 + len(c.ClientID)
	if c.HasWill {
		n += c.Will.size(v)
	}
	if c.HasUserName {
		n += 2 + len(c.UserName)
	}
	if c.HasPassword {
		n += 2 + len(c.Password)
	}
	return n
}

// Append writes the packet for version v, which decides protocol name and level; Version, ProtocolName and Level are not
// looked at. RequestProblemInfo is written when it is false.
func (c *Connect) Append(b []byte, v Version) []byte {
	b = appendHeader(b, TypeConnect, 0, c.remaining(v))
	b = appendString(b, protocolName(v))
	level := uint8(v)
	if c.Bridge {
		level |= levelBit
	}
	b = appendUint16(append(b, level, c.flags()), c.KeepAlive)
	b = c.listProperties(c.listProperties(counter(v)).writer(b)).b
	b = appendString(b, c.ClientID)
	if c.HasWill {
		b = c.Will.append(b, v)
	}
	if c.HasUserName {
		b = appendString(b, c.UserName)
	}
	if c.HasPassword {
		b = appendString(b, c.Password)
	}
	return b
}

func protocolName(v Version) string {
	if v == V31 {
		return nameMQIsdp
	}
	return nameMQTT
}

func (c *Connect) flags() (flags uint8) {
	if c.CleanStart {
		flags |= connectClean
	}
	if c.HasWill {
		flags |= connectWill | c.Will.QoS<<connectWillQoS
		if c.Will.Retain {
			flags |= connectRetain
		}
	}
	if c.HasUserName {
		flags |= connectUserName
	}
	if c.HasPassword {
		flags |= connectPassword
	}
	return flags
}

func (c *Connect) listProperties(w propertyWriter) propertyWriter {
	w.uint32(idSessionExpiry, c.HasSessionExpiry, c.SessionExpiry)
	w.uint16(idReceiveMaximum, c.ReceiveMaximum != 0 && c.ReceiveMaximum != receiveMaximumDefault, c.ReceiveMaximum)
	w.uint32(idMaximumPacketSize, c.MaximumPacketSize != 0, c.MaximumPacketSize)
	w.uint16(idTopicAliasMaximum, c.TopicAliasMaximum != 0, c.TopicAliasMaximum)
	w.flag(idRequestResponseInfo, c.RequestResponseInfo, true)
	w.flag(idRequestProblemInfo, !c.RequestProblemInfo, false)
	w.string(idAuthMethod, c.HasAuthMethod, c.AuthMethod)
	w.binary(idAuthData, c.HasAuthData, c.AuthData)
	w.userProperties(c.UserProperties)
	return w
}
