package codec

// Header is the fixed header of a packet.
//
//	byte 0      type in bits 7 to 4, flags in bits 3 to 0
//	byte 1..4   remaining length: a variable byte integer, the bytes that follow the fixed header
type Header struct {
	Type      Type
	Flags     byte
	Remaining int
	// Overlong reports a remaining length in more bytes than it needs. Version 5 forbids that, and Decode refuses it there;
	// 3.1 and 3.1.1 do not, so the bytes of such a packet are accepted but are no good for sending on as they are.
	Overlong bool
}

const (
	flagRetain  = 0x01
	flagAcked   = 0x02 // the fixed flags of PUBREL, SUBSCRIBE and UNSUBSCRIBE
	flagDup     = 0x08
	shiftQoS    = 1
	maskQoS     = 0x03
	moreLength  = 0x80
	lengthDigit = 0x7F
)

// DecodeHeader reads the fixed header at the start of b and returns its size. With size 0 and no error, more bytes are
// needed. The first byte is judged as soon as it is there.
func DecodeHeader(b []byte) (h Header, size int, err error) {
	if len(b) == 0 {
		return h, 0, nil
	}
	h.Type, h.Flags = Type(b[0]>>4), b[0]&0x0F
	if e := checkFlags(h.Type, h.Flags); e != nil {
		return h, 0, e
	}
	for i := 1; i < len(b) && i <= varintMax; i++ {
		h.Remaining |= int(b[i]&lengthDigit) << (7 * (i - 1))
		if b[i]&moreLength != 0 {
			continue
		}
		h.Overlong = i > 1 && b[i] == 0
		if h.Remaining > 0 && (h.Type == TypePingreq || h.Type == TypePingresp) {
			return h, 0, errPingBody
		}
		return h, i + 1, nil
	}
	if len(b) > varintMax {
		return h, 0, errLengthTooLong
	}
	return h, 0, nil
}

// checkFlags holds the flags against the table of the packet type [MQTT-2.1.3-1]. DUP on PUBREL, SUBSCRIBE and
// UNSUBSCRIBE is left to check, because 3.1 sets it on retransmission.
func checkFlags(t Type, flags byte) *Error {
	switch t {
	case 0:
		return errReservedType
	case TypePublish:
		qos := flags >> shiftQoS & maskQoS
		if qos == 3 {
			return errQoS3 // [MQTT-3.3.1-4]
		}
		if qos == 0 && flags&flagDup != 0 {
			return errDupQoS0 // [MQTT-3.3.1-2]
		}
		return nil
	case TypePubrel, TypeSubscribe, TypeUnsubscribe:
		if flags&^flagDup == flagAcked {
			return nil
		}
	default:
		if flags == 0 {
			return nil
		}
	}
	return flagsError(t)
}

func flagsError(t Type) *Error {
	switch t {
	case TypeSubscribe:
		return errSubscribeFlags
	case TypeUnsubscribe:
		return errUnsubFlags
	case TypeDisconnect:
		return errDisconnectFlags
	case TypeAuth:
		return errAuthFlags
	}
	return errFlags
}

// check applies what DecodeHeader could not know without the version.
func (h Header) check(v Version) *Error {
	if h.Overlong && v == V5 {
		return errLengthOverlong // [MQTT-1.5.5-1]
	}
	if h.Flags&flagDup != 0 && h.Type != TypePublish && v != V31 {
		return flagsError(h.Type)
	}
	return nil
}

// appendHeader writes a fixed header. A remaining length above MaxRemaining cannot be written: the caller compares Size
// with MaxPacket, or with what the receiver allows, first.
func appendHeader(b []byte, t Type, flags byte, remaining int) []byte {
	if remaining > MaxRemaining {
		panicTooLong(remaining, MaxRemaining)
	}
	return appendVarint(append(b, byte(t)<<4|flags), uint32(remaining))
}

// headerSize is the size of the fixed header in front of remaining bytes.
func headerSize(remaining int) int { return 1 + varintSize(uint32(remaining)) }
