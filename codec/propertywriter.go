package codec

// propertyWriter writes properties behind b, or only counts their bytes. A packet lists its properties once, in
// listProperties, and Size and Append both run that list. It is passed and returned by value there: through a pointer in
// an interface or a type parameter it would be allocated.
type propertyWriter struct {
	b    []byte
	n    int // bytes counted or written, the block's length not included
	mode writerMode
}

// writerMode is what a propertyWriter does with what it is given.
type writerMode uint8

const (
	counting writerMode = iota
	writing
	without // the version has no properties
)

// counter returns a propertyWriter that counts what version v has.
func counter(v Version) propertyWriter {
	if v != V5 {
		return propertyWriter{mode: without}
	}
	return propertyWriter{mode: counting}
}

// blockSize is the size of the property block with its length; version 3 has none.
func (w propertyWriter) blockSize() int {
	if w.mode == without {
		return 0
	}
	return varintSize(uint32(w.n)) + w.n
}

// writer returns a propertyWriter that writes behind b what w counted, after its length [MQTT-2.2.2-1].
func (w propertyWriter) writer(b []byte) propertyWriter {
	if w.mode == without {
		return propertyWriter{b: b, mode: without}
	}
	return propertyWriter{b: appendVarint(b, uint32(w.n)), mode: writing}
}

// room counts n bytes and reports whether they are to be written.
func (w *propertyWriter) room(n int) bool {
	w.n += n
	return w.mode == writing
}

// flag writes a byte of 1 or 0 when have is set.
func (w *propertyWriter) flag(id propertyID, have, v bool) {
	if have && w.room(2) {
		w.b = append(w.b, byte(id), 0)
		if v {
			w.b[len(w.b)-1] = 1
		}
	}
}

func (w *propertyWriter) uint16(id propertyID, have bool, v uint16) {
	if have && w.room(3) {
		w.b = appendUint16(append(w.b, byte(id)), v)
	}
}

func (w *propertyWriter) uint32(id propertyID, have bool, v uint32) {
	if have && w.room(5) {
		w.b = appendUint32(append(w.b, byte(id)), v)
	}
}

func (w *propertyWriter) varint(id propertyID, have bool, v uint32) {
	if have && w.room(1+varintSize(v)) {
		w.b = appendVarint(append(w.b, byte(id)), v)
	}
}

func (w *propertyWriter) string(id propertyID, have bool, s string) {
	if have && w.room(3+len(s)) {
		w.b = appendString(append(w.b, byte(id)), s)
	}
}

func (w *propertyWriter) binary(id propertyID, have bool, v []byte) {
	if have && w.room(3+len(v)) {
		w.b = appendString(append(w.b, byte(id)), v)
	}
}

// kept copies the properties of block that are not in left.
func (w *propertyWriter) kept(block []byte, left propertySet) {
	if w.room(keptSize(block, left)) {
		w.b = appendKept(w.b, block, left)
	}
}

// userProperties copies the user properties out of a stretch as Decode left it.
func (w *propertyWriter) userProperties(stretch []byte) {
	w.kept(stretch, allProperties&^onlyUserProperties)
}
