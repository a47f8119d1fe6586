package codec

// Subscription is one topic filter of a SUBSCRIBE with its options. Version 3 has only the QoS.
type Subscription struct {
	Filter            string // UTF-8, not checked further
	QoS               uint8
	NoLocal           bool
	RetainAsPublished bool
	RetainHandling    uint8
}

// Subscribe asks for topic filters: packet identifier, properties (5.0), then each filter with a byte of options.
// Everything but Filters aliases the packet, and so do the strings in Filters; the slice itself is reused.
type Subscribe struct {
	PacketID       uint16
	SubID          uint32 // subscription identifier; 0 when absent
	UserProperties []byte // a stretch for NextUserProperty
	Filters        []Subscription
}

// The subscription options.
const (
	optionQoS               = 0x03
	optionNoLocal           = 0x04
	optionRetainAsPublished = 0x08
	optionRetainHandling    = 4 // shift
	optionReserved          = 0xC0
)

// Decode reads the body of a SUBSCRIBE.
func (s *Subscribe) Decode(h Header, body []byte, v Version) error {
	return result(s.decode(h, body, v))
}

func (s *Subscribe) decode(h Header, body []byte, v Version) *Error {
	*s = Subscribe{Filters: emptied(s.Filters)}
	r := reader{b: body}
	r.fail(h.check(v))
	s.PacketID = r.packetID()
	p := properties{block: r.properties(v), where: TypeSubscribe}
	for p.next() {
		if p.id == idSubscriptionID {
			s.SubID = p.num
		}
	}
	s.UserProperties = p.userProperties()
	r.fail(p.err)
	if len(r.b) == 0 {
		r.fail(errNoFilters) // [MQTT-3.8.3-2]
	}
	for len(r.b) > 0 {
		f := Subscription{Filter: r.string(errFilterUTF8)} // [MQTT-3.8.3-1]
		options := r.uint8()
		r.fail(f.decodeOptions(options, v))
		s.Filters = append(s.Filters, f)
	}
	return r.end()
}

func (f *Subscription) decodeOptions(options uint8, v Version) *Error {
	f.QoS = options & optionQoS
	if v != V5 {
		if options > 2 {
			return errOptionBitsV3 // [MQTT-3.8.3-4] of 3.1.1
		}
		return nil
	}
	f.NoLocal = options&optionNoLocal != 0
	f.RetainAsPublished = options&optionRetainAsPublished != 0
	f.RetainHandling = options >> optionRetainHandling & 3
	switch {
	case options&optionReserved != 0:
		return errOptionBits // [MQTT-3.8.3-5]
	case f.QoS == 3:
		return errOptionQoS
	case f.RetainHandling == 3:
		return errRetainHandling
	}
	return nil
}

func (f *Subscription) options(v Version) uint8 {
	o := f.QoS
	if v != V5 {
		return o
	}
	o |= f.RetainHandling << optionRetainHandling
	if f.NoLocal {
		o |= optionNoLocal
	}
	if f.RetainAsPublished {
		o |= optionRetainAsPublished
	}
	return o
}

// Size is the number of bytes that Append writes.
func (s *Subscribe) Size(v Version) int {
	n := s.remaining(v)
	return headerSize(n) + n
}

func (s *Subscribe) remaining(v Version) int {
	n := 2 + s.listProperties(counter(v)).blockSize()
	for i := range s.Filters {
		n += 2 + len(s.Filters[i].Filter) + 1
	}
	return n
}

// Append writes the packet.
func (s *Subscribe) Append(b []byte, v Version) []byte {
	b = appendUint16(appendHeader(b, TypeSubscribe, flagAcked, s.remaining(v)), s.PacketID)
	b = s.listProperties(s.listProperties(counter(v)).writer(b)).b
	for i := range s.Filters {
		b = append(appendString(b, s.Filters[i].Filter), s.Filters[i].options(v))
	}
	return b
}

func (s *Subscribe) listProperties(w propertyWriter) propertyWriter {
	w.varint(idSubscriptionID, s.SubID != 0, s.SubID)
	w.userProperties(s.UserProperties)
	return w
}
