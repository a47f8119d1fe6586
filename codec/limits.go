package codec

const (
	// MaxRemaining is the largest remaining length that four bytes can say.
	MaxRemaining = 268_435_455
	// MaxPacket is the largest packet: the largest remaining length behind the largest fixed header.
	MaxPacket = headerMax + MaxRemaining
	// headerMax is the size of a fixed header with a remaining length of four bytes.
	headerMax = 1 + varintMax
	// varintMax is the most bytes that a variable byte integer takes.
	varintMax = 4
	// stringMax is the longest string or binary data that two length bytes can say.
	stringMax = 65_535

	// entriesKept is the largest capacity (topic filters, subscription identifiers) that a struct keeps from one Decode
	// to the next. A hostile packet may need more for itself; the next Decode lets that go.
	entriesKept = 1024
)
