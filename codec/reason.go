package codec

// ReasonCode is the outcome that version 5 packets carry. A CONNACK of version 3 holds its return code in one.
type ReasonCode uint8

// The reason codes of version 5.
const (
	Success                             ReasonCode = 0x00
	GrantedQoS1                         ReasonCode = 0x01
	GrantedQoS2                         ReasonCode = 0x02
	DisconnectWithWill                  ReasonCode = 0x04
	NoMatchingSubscribers               ReasonCode = 0x10
	NoSubscriptionExisted               ReasonCode = 0x11
	ContinueAuthentication              ReasonCode = 0x18
	ReAuthenticate                      ReasonCode = 0x19
	UnspecifiedError                    ReasonCode = 0x80
	MalformedPacket                     ReasonCode = 0x81
	ProtocolError                       ReasonCode = 0x82
	ImplementationSpecificError         ReasonCode = 0x83
	UnsupportedProtocolVersion          ReasonCode = 0x84
	ClientIdentifierNotValid            ReasonCode = 0x85
	BadUserNameOrPassword               ReasonCode = 0x86
	NotAuthorized                       ReasonCode = 0x87
	ServerUnavailable                   ReasonCode = 0x88
	ServerBusy                          ReasonCode = 0x89
	Banned                              ReasonCode = 0x8A
	ServerShuttingDown                  ReasonCode = 0x8B
	BadAuthenticationMethod             ReasonCode = 0x8C
	KeepAliveTimeout                    ReasonCode = 0x8D
	SessionTakenOver                    ReasonCode = 0x8E
	TopicFilterInvalid                  ReasonCode = 0x8F
	TopicNameInvalid                    ReasonCode = 0x90
	PacketIdentifierInUse               ReasonCode = 0x91
	PacketIdentifierNotFound            ReasonCode = 0x92
	ReceiveMaximumExceeded              ReasonCode = 0x93
	TopicAliasInvalid                   ReasonCode = 0x94
	PacketTooLarge                      ReasonCode = 0x95
	MessageRateTooHigh                  ReasonCode = 0x96
	QuotaExceeded                       ReasonCode = 0x97
	AdministrativeAction                ReasonCode = 0x98
	PayloadFormatInvalid                ReasonCode = 0x99
	RetainNotSupported                  ReasonCode = 0x9A
	QoSNotSupported                     ReasonCode = 0x9B
	UseAnotherServer                    ReasonCode = 0x9C
	ServerMoved                         ReasonCode = 0x9D
	SharedSubscriptionsNotSupported     ReasonCode = 0x9E
	ConnectionRateExceeded              ReasonCode = 0x9F
	MaximumConnectTime                  ReasonCode = 0xA0
	SubscriptionIdentifiersNotSupported ReasonCode = 0xA1
	WildcardSubscriptionsNotSupported   ReasonCode = 0xA2
)

// packets is a set of control packet types: bit n stands for Type n, and bit 0 for the will inside CONNECT.
type packets uint16

const (
	inWill        packets = 1
	inConnect     packets = 1 << TypeConnect
	inConnack     packets = 1 << TypeConnack
	inPublish     packets = 1 << TypePublish
	inPuback      packets = 1 << TypePuback
	inPubrec      packets = 1 << TypePubrec
	inPubrel      packets = 1 << TypePubrel
	inPubcomp     packets = 1 << TypePubcomp
	inSubscribe   packets = 1 << TypeSubscribe
	inSuback      packets = 1 << TypeSuback
	inUnsubscribe packets = 1 << TypeUnsubscribe
	inUnsuback    packets = 1 << TypeUnsuback
	inDisconnect  packets = 1 << TypeDisconnect
	inAuth        packets = 1 << TypeAuth

	inReceived = inPuback | inPubrec
	inEnd      = inConnack | inDisconnect
	inAcks     = inReceived | inPubrel | inPubcomp
)

// reasons is the specification's table of reason codes: the name, and the packets that may carry it.
var reasons = [256]struct {
	name string
	in   packets
}{
	Success:                     {"Success", inConnack | inAcks | inSuback | inUnsuback | inDisconnect | inAuth},
	GrantedQoS1:                 {"Granted QoS 1", inSuback},
	GrantedQoS2:                 {"Granted QoS 2", inSuback},
	DisconnectWithWill:          {"Disconnect with Will Message", inDisconnect},
	NoMatchingSubscribers:       {"No matching subscribers", inReceived},
	NoSubscriptionExisted:       {"No subscription existed", inUnsuback},
	ContinueAuthentication:      {"Continue authentication", inAuth},
	ReAuthenticate:              {"Re-authenticate", inAuth},
	UnspecifiedError:            {"Unspecified error", inReceived | inEnd | inSuback | inUnsuback},
	MalformedPacket:             {"Malformed Packet", inEnd},
	ProtocolError:               {"Protocol Error", inEnd},
	ImplementationSpecificError: {"Implementation specific error", inReceived | inEnd | inSuback | inUnsuback},
	UnsupportedProtocolVersion:  {"Unsupported Protocol Version", inConnack},
	ClientIdentifierNotValid:    {"Client Identifier not valid", inConnack},
	BadUserNameOrPassword:       {"Bad User Name or Password", inConnack},
	NotAuthorized:               {"Not authorized", inReceived | inEnd | inSuback | inUnsuback},
	ServerUnavailable:           {"Server unavailable", inConnack},
	ServerBusy:                  {"Server busy", inEnd},
	Banned:                      {"Banned", inConnack},
	ServerShuttingDown:          {"Server shutting down", inDisconnect},
	BadAuthenticationMethod:     {"Bad authentication method", inEnd},
	KeepAliveTimeout:            {"Keep Alive timeout", inDisconnect},
	SessionTakenOver:            {"Session taken over", inDisconnect},
	TopicFilterInvalid:          {"Topic Filter invalid", inSuback | inUnsuback | inDisconnect},
	TopicNameInvalid:            {"Topic Name invalid", inReceived | inEnd},
	PacketIdentifierInUse:       {"Packet Identifier in use", inReceived | inSuback | inUnsuback},
	PacketIdentifierNotFound:    {"Packet Identifier not found", inPubrel | inPubcomp},
	ReceiveMaximumExceeded:      {"Receive Maximum exceeded", inDisconnect},
	TopicAliasInvalid:           {"Topic Alias invalid", inDisconnect},
	// The specification has 0x95 only where a connection ends; Mosquitto says it in PUBACK too, and so do we.
	PacketTooLarge:                      {"Packet too large", inEnd | inReceived},
	MessageRateTooHigh:                  {"Message rate too high", inDisconnect},
	QuotaExceeded:                       {"Quota exceeded", inReceived | inEnd | inSuback},
	AdministrativeAction:                {"Administrative action", inDisconnect},
	PayloadFormatInvalid:                {"Payload format invalid", inReceived | inEnd},
	RetainNotSupported:                  {"Retain not supported", inEnd},
	QoSNotSupported:                     {"QoS not supported", inEnd},
	UseAnotherServer:                    {"Use another server", inEnd},
	ServerMoved:                         {"Server moved", inEnd},
	SharedSubscriptionsNotSupported:     {"Shared Subscriptions not supported", inSuback | inDisconnect},
	ConnectionRateExceeded:              {"Connection rate exceeded", inEnd},
	MaximumConnectTime:                  {"Maximum connect time", inDisconnect},
	SubscriptionIdentifiersNotSupported: {"Subscription Identifiers not supported", inSuback | inDisconnect},
	WildcardSubscriptionsNotSupported:   {"Wildcard Subscriptions not supported", inSuback | inDisconnect},
}

// String returns the specification's name of the reason code.
func (c ReasonCode) String() string {
	if name := reasons[c].name; name != "" {
		return name
	}
	return "unknown reason code"
}

// allowedIn reports whether a packet of type t may carry the reason code.
func (c ReasonCode) allowedIn(t Type) bool { return reasons[c].in&(1<<t) != 0 }
