package codec

// Error is a peer's mistake in one packet. Req is the requirement it violates, in the numbering of 5.0 unless it says
// otherwise; where the specification states the rule without a number, it is the section. Detail is a short text for a
// log line. All instances are package variables that nobody writes to after start, so that refusing bad input allocates
// nothing and an instance may be compared by address.
type Error struct {
	Code   ReasonCode
	Req    string
	Detail string
}

// Error implements error.
func (e *Error) Error() string { return e.Detail + " (" + e.Code.String() + ", " + e.Req + ")" }

// result makes an error of e. Returning e itself would make a nil pointer look like a mistake.
func result(e *Error) error {
	if e == nil {
		return nil
	}
	return e
}

// The fixed header.
var (
	errReservedType    = &Error{MalformedPacket, "section 2.1.2", "reserved packet type 0"}
	errFlags           = &Error{MalformedPacket, "MQTT-2.1.3-1", "wrong fixed header flags"}
	errQoS3            = &Error{MalformedPacket, "MQTT-3.3.1-4", "PUBLISH with QoS 3"}
	errDupQoS0         = &Error{MalformedPacket, "MQTT-3.3.1-2", "PUBLISH with DUP at QoS 0"}
	errLengthTooLong   = &Error{MalformedPacket, "section 1.5.5", "remaining length of more than four bytes"}
	errLengthOverlong  = &Error{MalformedPacket, "MQTT-1.5.5-1", "remaining length in more bytes than needed"}
	errPingBody        = &Error{MalformedPacket, "section 3.12.1", "PINGREQ or PINGRESP with a body"}
	errDisconnectFlags = &Error{MalformedPacket, "MQTT-3.14.1-1", "DISCONNECT with wrong fixed header flags"}
	errAuthFlags       = &Error{MalformedPacket, "MQTT-3.15.1-1", "AUTH with wrong fixed header flags"}
	errSubscribeFlags  = &Error{MalformedPacket, "MQTT-3.8.1-1", "SUBSCRIBE with wrong fixed header flags"}
	errUnsubFlags      = &Error{MalformedPacket, "MQTT-3.10.1-1", "UNSUBSCRIBE with wrong fixed header flags"}
)

// Any body.
var (
	errTruncated   = &Error{MalformedPacket, "section 2.1.4", "packet ends inside a field"}
	errTrailing    = &Error{MalformedPacket, "section 2.1.4", "packet goes on after its last field"}
	errVarint      = &Error{MalformedPacket, "section 1.5.5", "variable byte integer of more than four bytes"}
	errVarintLong  = &Error{MalformedPacket, "MQTT-1.5.5-1", "variable byte integer in more bytes than needed"}
	errUTF8        = &Error{MalformedPacket, "MQTT-1.5.4-1", "string is not well-formed UTF-8"}
	errNUL         = &Error{MalformedPacket, "MQTT-1.5.4-2", "string with U+0000"}
	errControl     = &Error{MalformedPacket, "section 1.5.4", "string with a control character"}
	errPacketID    = &Error{ProtocolError, "MQTT-2.2.1-3", "packet identifier 0"}
	errWrongPacket = &Error{MalformedPacket, "section 2.1.2", "packet type that this version of the protocol does not have"}
)

// Properties.
var (
	errPropertyUnknown  = &Error{MalformedPacket, "section 2.2.2.2", "unknown property"}
	errUserProperty     = &Error{MalformedPacket, "MQTT-1.5.7-1", "user property is not valid UTF-8"}
	errContentType      = &Error{MalformedPacket, "MQTT-3.3.2-19", "content type is not valid UTF-8"}
	errResponseUTF8     = &Error{MalformedPacket, "MQTT-3.3.2-13", "response topic is not valid UTF-8"}
	errResponseTopic    = &Error{ProtocolError, "MQTT-3.3.2-14", "response topic with a wildcard"}
	errResponseEmpty    = &Error{ProtocolError, "MQTT-4.7.3-1", "empty response topic"}
	errFlagProperty     = &Error{ProtocolError, "section 2.2.2.2", "property with a value other than 0 or 1"}
	errReceiveMaximum0  = &Error{ProtocolError, "section 3.1.2.11.3", "receive maximum 0"}
	errMaximumPacket0   = &Error{ProtocolError, "section 3.1.2.11.4", "maximum packet size 0"}
	errTopicAlias0      = &Error{TopicAliasInvalid, "MQTT-3.3.2-8", "topic alias 0"}
	errSubID0           = &Error{ProtocolError, "section 3.8.2.1.2", "subscription identifier 0"}
	errSubIDFromClient  = &Error{ProtocolError, "MQTT-3.3.4-6", "PUBLISH from a client with a subscription identifier"}
	errAuthDataNoMethod = &Error{ProtocolError, "section 3.1.2.11.10", "authentication data without authentication method"}
)

// CONNECT and CONNACK.
var (
	errProtocolName    = &Error{UnsupportedProtocolVersion, "MQTT-3.1.2-1", "unknown protocol name"}
	errProtocolLevel   = &Error{UnsupportedProtocolVersion, "MQTT-3.1.2-2", "unsupported protocol version"}
	errConnectReserved = &Error{MalformedPacket, "MQTT-3.1.2-3", "reserved connect flag is set"}
	errWillQoS3        = &Error{MalformedPacket, "MQTT-3.1.2-12", "will QoS 3"}
	errWillQoS         = &Error{MalformedPacket, "MQTT-3.1.2-11", "will QoS without a will"}
	errWillRetain      = &Error{MalformedPacket, "MQTT-3.1.2-13", "will retain without a will"}
	errPasswordAlone   = &Error{ProtocolError, "MQTT-3.1.2-22 of 3.1.1", "password without user name"}
	errClientID        = &Error{MalformedPacket, "MQTT-3.1.3-4", "client identifier is not valid UTF-8"}
	errWillTopic       = &Error{MalformedPacket, "MQTT-3.1.3-11", "will topic is not valid UTF-8"}
	errUserName        = &Error{MalformedPacket, "MQTT-3.1.3-12", "user name is not valid UTF-8"}
	errConnackFlags    = &Error{MalformedPacket, "MQTT-3.2.2-1", "reserved CONNACK flag is set"}
	errConnackPresent  = &Error{ProtocolError, "MQTT-3.2.2-6", "refusing CONNACK with session present"}
	errConnackCode     = &Error{ProtocolError, "MQTT-3.2.2-8", "unknown reason code in CONNACK"}
)

// PUBLISH and its acknowledgements.
var (
	errTopicUTF8     = &Error{MalformedPacket, "MQTT-3.3.2-1", "topic name is not valid UTF-8"}
	errTopicWildcard = &Error{MalformedPacket, "MQTT-3.3.2-2", "topic name with a wildcard"}
	errTopicEmpty    = &Error{ProtocolError, "MQTT-4.7.3-1", "empty topic name without topic alias"}
	errAckCode       = &Error{ProtocolError, "MQTT-3.4.2-1", "unknown reason code in an acknowledgement"}
)

// SUBSCRIBE, UNSUBSCRIBE and their acknowledgements.
var (
	errFilterUTF8     = &Error{MalformedPacket, "MQTT-3.8.3-1", "topic filter is not valid UTF-8"}
	errNoFilters      = &Error{ProtocolError, "MQTT-3.8.3-2", "SUBSCRIBE without topic filter"}
	errOptionBits     = &Error{MalformedPacket, "MQTT-3.8.3-5", "reserved subscription option is set"}
	errOptionQoS      = &Error{ProtocolError, "section 3.8.3.1", "subscription with QoS 3"}
	errRetainHandling = &Error{ProtocolError, "section 3.8.3.1", "subscription with retain handling 3"}
	errOptionBitsV3   = &Error{MalformedPacket, "MQTT-3.8.3-4 of 3.1.1", "subscription with more than a QoS of 0, 1 or 2"}
	errUnsubUTF8      = &Error{MalformedPacket, "MQTT-3.10.3-1", "topic filter is not valid UTF-8"}
	errNoUnsubs       = &Error{ProtocolError, "MQTT-3.10.3-2", "UNSUBSCRIBE without topic filter"}
	errSubackCode     = &Error{ProtocolError, "MQTT-3.9.3-2", "unknown reason code in SUBACK"}
	errUnsubackCode   = &Error{ProtocolError, "MQTT-3.11.3-2", "unknown reason code in UNSUBACK"}
	errNoCodes        = &Error{ProtocolError, "MQTT-3.8.4-6", "SUBACK or UNSUBACK without reason code"}
)

// DISCONNECT and AUTH.
var (
	errDisconnectCode = &Error{ProtocolError, "MQTT-3.14.2-1", "unknown reason code in DISCONNECT"}
	errAuthCode       = &Error{ProtocolError, "MQTT-3.15.2-1", "unknown reason code in AUTH"}
)
