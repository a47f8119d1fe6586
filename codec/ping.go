package codec

// PINGREQ and PINGRESP are a fixed header alone; DecodeHeader refuses one with a body.

// AppendPingreq writes a PINGREQ.
func AppendPingreq(b []byte) []byte { return append(b, byte(TypePingreq)<<4, 0) }

// AppendPingresp writes a PINGRESP [MQTT-3.12.4-1].
func AppendPingresp(b []byte) []byte { return append(b, byte(TypePingresp)<<4, 0) }
