package loop

// Bounds of a loop. What a client can fill is bounded by the sums its owner makes of these.
const (
	// LoopsMax is how many loops a group may have; the interest masks of the broker have one bit for each.
	LoopsMax = 64

	// readBytes is the loop's one read buffer, and with it a connection's read budget for one turn.
	readBytes = 64 << 10
	// directBytes is the packet size from which a partial packet is read into its own array, not through the buffer.
	directBytes = 16 << 10
	// directStart is the least size of that array; it is at most four times what was received.
	directStart = 24 << 10
	// directReads bounds the reads of one large packet in one turn.
	directReads = 4

	// chunkBytes is one pooled output buffer.
	chunkBytes = 4 << 10
	// chunksKept is how many unused output buffers a loop keeps: 1,024 clients written to in one turn, once each.
	chunksKept = 1024
	// refsKept is how many unused nodes for payloads by reference a loop keeps.
	refsKept = 1024
	// vectorsMax is how many pieces one writev sends.
	vectorsMax = 64

	// eventsMax is how many events one poll collects.
	eventsMax = 1024
	// acceptsMax is how many connections one listener gives one loop in one turn.
	acceptsMax = 64
	// ringSlots is the room of one ring between two loops; beyond it the producer keeps a list of its own.
	ringSlots = 4096
	// inboxMax is how much mail other threads may leave for a loop before Submit refuses.
	inboxMax = 1 << 16
	// connsChunk is how many connections one allocation of the slab holds.
	connsChunk = 128
	// spillRetry is how long a loop waits, in nanoseconds, before it offers its spill to a full ring again.
	spillRetry = int64(1e6)
	// listenBacklog is the accept queue asked of the kernel, which cuts it to net.core.somaxconn.
	listenBacklog = 4096
)
