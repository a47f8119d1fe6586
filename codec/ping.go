package codec

// PINGREQ and PINGRESP are a fixed header alone; DecodeHeader refuses one with a body.

// DecodePing looks at the header that a PINGREQ is.
func (h Header) DecodePing(v Version) error {
	if e := h.check(v); e != nil {
		return e
	}
	return nil
}

// AppendPingreq writes a PINGREQ.
func AppendPingreq(b []byte) []byte { return append(b, byte(TypePingreq)<<4, 0) }

// AppendPingresp writes a PINGRESP [MQTT-3.12.4-1].
func AppendPingresp(b []byte) []byte { return append(b, byte(TypePingresp)<<4, 0) }
