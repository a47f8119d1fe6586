// Package codec is MQTT 3.1, 3.1.1 and 5.0 on the wire: bytes to packets and packets to bytes, in the caller's memory.
//
// It owns the shape of every control packet, the rules that can be checked on one packet alone, and the reason code of
// each broken rule. It refuses to know connections, sessions and topics beyond their spelling: whether a packet is
// welcome now, and what a topic filter matches, is decided by shard and router.
//
// A packet is read in two steps: [DecodeHeader] says how long it is or that bytes are missing, then the Decode method
// of its struct reads exactly that many bytes. Every string and byte slice of a decoded struct aliases the input: it is
// borrowed until the caller gives the input away, and copied by whoever keeps it longer. A struct is reset by each
// Decode and keeps only its slices, so that one struct per loop decodes without allocation. Append writes a whole packet
// behind b, and Size is the number of bytes that Append writes.
//
// Read header.go first, then publish.go, then property.go, whose table drives every property block.
package codec
