package transport

// What one connection's layers keep at most.
const (
	// proxyV1Max is the longest PROXY header of version 1, with its line end.
	proxyV1Max = 107
	// proxyV2Max is the longest PROXY header of version 2 that is read: addresses are at most 216 bytes, names and identifiers a
	// few hundred; a proxy that sends whole certificates needs a few thousand.
	proxyV2Max = 8 << 10

	// headerBytes is the longest block of HTTP headers, unless websockets_headers_size says otherwise.
	headerBytes = 4 << 10
	// frameBytesMin is the least bound of a frame's payload. Payload is not kept, so a frame costs nothing, and a client may put
	// many small packets in one.
	frameBytesMin = 1 << 20
	// frameBytesMax is the bound without max_packet_size: the largest packet of MQTT.
	frameBytesMax = packetHeaderMax + 268_435_455
	// packetHeaderMax is how many bytes a packet of MQTT may have beside what its length counts.
	packetHeaderMax = 5
	// pourBytes is how much of a file is sent at a time.
	pourBytes = 16 << 10
	// filesMax is how much of http_dir is served: it stays in memory. fileCount is how many files.
	filesMax  = 64 << 20
	fileCount = 4096
	// controlMax is the longest payload of a control frame (RFC 6455, section 5.5). Of frames that are not whole, only the header is
	// kept, and control frames.
	controlMax = 125
)
