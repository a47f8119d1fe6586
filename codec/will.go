package codec

// Will is the will message of a CONNECT. Topic, Payload and Props alias the packet.
type Will struct {
	QoS          uint8
	Retain       bool
	Topic        string
	Payload      []byte
	DelaySeconds uint32
	HasExpiry    bool
	Expiry       uint32 // message expiry interval, seconds
	// Props is the will's property block as it came, delay and expiry included. Append takes these two from the fields
	// above and the rest from here.
	Props []byte
}

// ForwardProps appends the properties to publish the will with: all but will delay and message expiry, in their order
// [MQTT-3.1.3-10].
func (w *Will) ForwardProps(dst []byte) []byte { return appendKept(dst, w.Props, willRewritten) }

// decode reads the will's part of the payload.
func (w *Will) decode(r *reader, v Version) {
	w.Props = r.properties(v)
	p := properties{block: w.Props}
	for p.next() {
		switch p.id {
		case idWillDelay:
			w.DelaySeconds = p.num
		case idMessageExpiry:
			w.HasExpiry, w.Expiry = true, p.num
		}
	}
	r.fail(p.err)
	w.Topic = r.string(errWillTopic) // [MQTT-3.1.3-11]
	w.Payload = r.binary()
}

func (w *Will) size(v Version) int {
	return w.listProperties(counter(v)).blockSize() + 2 + len(w.Topic) + 2 + len(w.Payload)
}

func (w *Will) append(b []byte, v Version) []byte {
	b = w.listProperties(w.listProperties(counter(v)).writer(b)).b
	return appendString(appendString(b, w.Topic), w.Payload)
}

func (w *Will) listProperties(p propertyWriter) propertyWriter {
	p.uint32(idWillDelay, w.DelaySeconds != 0, w.DelaySeconds)
	p.uint32(idMessageExpiry, w.HasExpiry, w.Expiry)
	p.kept(w.Props, willRewritten)
	return p
}
