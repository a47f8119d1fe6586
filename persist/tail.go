package persist

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io/fs"
)

// A missing segment shows in the numbers of the records around it, but for the last one. So the file tail says which segment the journal
// had at least, and with which record it begins; all integers big endian:
//
//	0        8        16     20
//	| number | record | crc  |
//
// crc is CRC-32C of the 16 bytes before it, begun with that of the identity. It is written over when the first records of a segment are
// synced, so it never names what may not be there after a power cut; when it cannot be written or read, nothing is compared.
const (
	tailName  = "tail"
	tailBytes = 20
)

func appendTail(b []byte, number, record uint64, id identity) []byte {
	b = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, number), record)
	return binary.BigEndian.AppendUint32(b, crc32.Update(id.seed(), castagnoli, b))
}

// writeTail notes the newest of segments that were just synced, if its first record is behind known, and returns the one that is noted.
func writeTail(fs files, id identity, segments []*segment, known uint64) uint64 {
	newest := segments[len(segments)-1]
	if newest.first <= known {
		return known
	}
	f, made := openOrCreate(fs, tailName)
	if f == nil {
		return known
	}
	defer f.close()
	if f.writeAt(appendTail(nil, newest.number, newest.first, id), 0) != nil || f.sync() != nil || made && fs.syncDir() != nil {
		return known
	}
	return newest.first
}

// openOrCreate opens a file for writing; nil when that cannot be.
func openOrCreate(dir files, name string) (f file, made bool) {
	f, err := dir.open(name)
	if errors.Is(err, fs.ErrNotExist) {
		made = true
		f, err = dir.create(name)
	}
	if err != nil {
		return nil, false
	}
	return f, made
}

// checkTail compares the journal with what tail says of its end. after is the last record that is in the engine.
func (r *recovered) checkTail(fs files, id identity, after uint64) {
	b, err := fs.read(tailName)
	if err != nil || len(b) != tailBytes || string(appendTail(nil, binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:]), id)) != string(b) {
		return
	}
	number, record := binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])
	if record <= max(after, r.last) {
		return
	}
	r.number = max(r.number, number)
	r.aside++
	r.note("%s is missing or empty, with what was stored last: all changes from record %d of the journal on.", segmentName(number), record)
}
