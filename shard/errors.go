package shard

import (
	"errors"

	"github.com/noctulemq/noctule/codec"
)

// Mistakes of a connected client. Each ends its connection with the reason code.
var (
	errFirstPacket    = &codec.Error{Code: codec.ProtocolError, Req: "MQTT-3.1.0-1", Detail: "first packet is not CONNECT"}
	errSecondConnect  = &codec.Error{Code: codec.ProtocolError, Req: "MQTT-3.1.0-2", Detail: "second CONNECT"}
	errServerPacket   = &codec.Error{Code: codec.ProtocolError, Req: "MQTT-4.13.1-1", Detail: "packet that only a server sends"}
	errPacketTooLarge = &codec.Error{Code: codec.PacketTooLarge, Req: "MQTT-3.2.2-15", Detail: "oversize packet"}
	errExpiryFromZero = &codec.Error{Code: codec.ProtocolError, Req: "MQTT-3.1.2-23", Detail: "session expiry raised from zero in DISCONNECT"}
	errNoAuthMethod   = &codec.Error{Code: codec.ProtocolError, Req: "MQTT-4.12.0-7", Detail: "AUTH without an authentication method"}
	errAckState       = &codec.Error{Code: codec.ProtocolError, Req: "MQTT-4.3.3", Detail: "acknowledgement of another QoS"}
	errTooDeep        = &codec.Error{Code: codec.MalformedPacket, Req: "MQTT-4.7.3-3", Detail: "topic with too many levels"}
	errTopicAlias     = &codec.Error{Code: codec.TopicAliasInvalid, Req: "MQTT-3.3.2-9", Detail: "topic alias out of range"}
	errUnknownAlias   = &codec.Error{Code: codec.ProtocolError, Req: "MQTT-3.3.4", Detail: "topic alias that was never set"}
	errRetain         = &codec.Error{Code: codec.RetainNotSupported, Req: "MQTT-3.2.2-14", Detail: "retain not supported"}
	errQoS            = &codec.Error{Code: codec.QoSNotSupported, Req: "MQTT-3.2.2-11", Detail: "QoS not supported"}
	errReceiveMaximum = &codec.Error{Code: codec.ReceiveMaximumExceeded, Req: "MQTT-3.3.4-8", Detail: "receive maximum exceeded"}
	errFilter         = &codec.Error{Code: codec.MalformedPacket, Req: "MQTT-4.7.1-1", Detail: "invalid topic filter"}
	errNoLocalShared  = &codec.Error{Code: codec.ProtocolError, Req: "MQTT-3.8.3-4", Detail: "no-local on a shared subscription"}
	errStoring        = &codec.Error{Code: codec.QuotaExceeded, Req: "MQTT-4.13.1-1", Detail: "nothing can be stored at present"}
	errShareName      = &codec.Error{Code: codec.MalformedPacket, Req: "MQTT-4.8.2-1", Detail: "invalid share name"}
)

// Refusals at the two doors.
var (
	ErrStopped     = errors.New("the broker has stopped")
	ErrBusy        = errors.New("too many requests wait for this loop; try again later")
	ErrTopic       = errors.New("not a topic name: it is empty, too deep, or has a wildcard, NUL or malformed UTF-8")
	ErrFilter      = errors.New("not a topic filter")
	ErrClientID    = errors.New("an attached client needs a client identifier of 1 to 65535 bytes of UTF-8")
	ErrQoS         = errors.New("QoS must be 0, 1 or 2")
	ErrMessageSize = errors.New("message is larger than the configured limit")
	ErrQuota       = errors.New("a limit of the broker is reached")
	ErrDetached    = errors.New("the attached client has ended")
)
