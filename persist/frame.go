package persist

import (
	"encoding/binary"
	"hash/crc32"
)

// A journal record, all integers big endian:
//
//	0        4        8                16  17
//	| crc    | length | number         |fl | payload: length bytes …
//
//	crc     CRC-32C of everything behind it, begun with the identity of the store: what a client wrote into a payload
//	        can never be taken for a record
//	length  of the payload, 1 to recordMax
//	number  counts the records of the store from 1 without a gap
//	fl      bit 0: a batch begins here, bit 1: it ends here
//
// The payload is a list of changes:
//
//	flags      bit 0: put (else delete), bit 1: the key was not stored before
//	key        its length as a uvarint, the bytes
//	value      likewise, of a put only
const (
	frameBytes = 17
	// recordBytes is where a record is full: a batch goes on in the next one. One change more still fits below recordMax.
	recordBytes = 512 << 10
	recordMax   = 1 << 20

	frameFirst = 1 << 0
	frameLast  = 1 << 1

	changePut = 1 << 0
	changeNew = 1 << 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// identity is the random name of a store.
type identity [16]byte

func (id identity) seed() uint32 { return crc32.Checksum(id[:], castagnoli) }

// framer gathers records in buf. Its owner writes buf out and empties it.
type framer struct {
	buf    []byte
	seed   uint32
	number uint64 // of the next record
	record int    // where in buf the open record begins
	flags  byte   // of the open record
}

// begin opens the first record of a batch.
func (f *framer) begin() { f.open(frameFirst) }

// end closes the last record of a batch, and is false when the batch had no change: nothing is left of it then.
func (f *framer) end() bool {
	if len(f.buf) == f.record+frameBytes {
		f.buf = f.buf[:f.record]
		return false
	}
	f.close(frameLast)
	return true
}

// room makes place for a change of at most n bytes, in a further record if this one is full.
func (f *framer) room(n int) {
	if used := len(f.buf) - f.record - frameBytes; used > 0 && used+n > recordBytes {
		f.close(0)
		f.open(0)
	}
	if need := len(f.buf) + n; need > cap(f.buf) {
		f.grow(n)
	}
}

// grow is apart so that room can be inlined. Large bodies would be copied several times by append's own growth.
func (f *framer) grow(n int) {
	bigger := make([]byte, len(f.buf), max(len(f.buf)+n+frameBytes, min(2*cap(f.buf), cap(f.buf)+2<<20)))
	copy(bigger, f.buf)
	f.buf = bigger
}

func (f *framer) open(flags byte) {
	f.record, f.flags = len(f.buf), flags
	f.buf = append(f.buf, make([]byte, frameBytes)...)
}

func (f *framer) close(flags byte) {
	b := f.buf[f.record:]
	binary.BigEndian.PutUint32(b[4:], uint32(len(b)-frameBytes))
	binary.BigEndian.PutUint64(b[8:], f.number)
	b[16] = f.flags | flags
	binary.BigEndian.PutUint32(b, crc32.Update(f.seed, castagnoli, b[4:]))
	f.number++
}

// frame is one record as it was read. payload is borrowed.
type frame struct {
	number  uint64
	flags   byte
	payload []byte
}

// readFrame decodes the record at the beginning of b, and is false when there is no sound one.
func readFrame(b []byte, seed uint32) (f frame, size int, ok bool) {
	if len(b) < frameBytes {
		return f, 0, false
	}
	n := binary.BigEndian.Uint32(b[4:])
	if n == 0 || n > recordMax || int(n) > len(b)-frameBytes {
		return f, 0, false
	}
	size = frameBytes + int(n)
	if crc32.Update(seed, castagnoli, b[4:size]) != binary.BigEndian.Uint32(b) {
		return f, 0, false
	}
	return frame{number: binary.BigEndian.Uint64(b[8:]), flags: b[16], payload: b[frameBytes:size]}, size, true
}

// stored is one change of a payload; key and value are borrowed, value is nil for a delete.
type stored struct {
	change
	fresh bool // the key was not stored before
}

// nextChange decodes the change at the beginning of b and returns what follows it. It is false at the end, and at bytes
// that are no change.
func nextChange(b []byte) (c stored, rest []byte, ok bool) {
	if len(b) == 0 {
		return c, nil, false
	}
	flags := b[0]
	c.fresh = flags&changeNew != 0
	c.key, b, ok = cutBytes(b[1:])
	if !ok || len(c.key) == 0 {
		return c, nil, false
	}
	if flags&changePut != 0 {
		c.value, b, ok = cutBytes(b)
	}
	return c, b, ok
}

// cutBytes takes a length and so many bytes from b. The result is never nil when ok.
func cutBytes(b []byte) (field, rest []byte, ok bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return nil, nil, false
	}
	end := size + int(n)
	return b[size:end:end], b[end:], true
}
