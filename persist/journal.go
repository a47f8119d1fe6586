package persist

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strconv"
	"strings"
)

// The journal is a sequence of segments, files that are only appended to. A process never appends to a segment of an earlier
// one. A segment begins with a head, all integers big endian:
//
//	0          8          12         20          36     40
//	| NoctuleJ | version  | number   | identity  | crc  | records (frame.go) … zeros
//
// crc is CRC-32C of the 36 bytes before it. Behind the records there is room that was allocated in advance.
const (
	segmentMagic = "NoctuleJ"
	headBytes    = 40
	// allocateBytes is how much room is made at a time. A full disk is an error then before anything is written.
	allocateBytes = 1 << 20

	segmentPrefix = "journal-"
)

func segmentName(number uint64) string { return fmt.Sprintf("%s%016x", segmentPrefix, number) }

// segmentNumber is false for what is no segment.
func segmentNumber(name string) (uint64, bool) {
	digits, ok := strings.CutPrefix(name, segmentPrefix)
	if !ok || len(digits) != 16 {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 16, 64)
	return n, err == nil
}

func appendHead(b []byte, number uint64, id identity) []byte {
	b = append(b, segmentMagic...)
	b = binary.BigEndian.AppendUint32(b, formatVersion)
	b = binary.BigEndian.AppendUint64(b, number)
	return checked(append(b, id[:]...))
}

// checked appends the checksum of a head.
func checked(head []byte) []byte {
	return binary.BigEndian.AppendUint32(head, crc32.Checksum(head, castagnoli))
}

var (
	errNoHead = errors.New("it does not begin as a journal does")
	// ErrNewer is a store that this version of the broker cannot read.
	ErrNewer = errors.New("it was written by a newer version of the broker")
)

// readHead returns the identity in b.
func readHead(b []byte) (id identity, err error) {
	if len(b) < headBytes || string(b[:8]) != segmentMagic ||
		crc32.Checksum(b[:36], castagnoli) != binary.BigEndian.Uint32(b[36:]) {
		return id, errNoHead
	}
	if binary.BigEndian.Uint32(b[8:]) > formatVersion {
		return id, ErrNewer
	}
	return identity(b[20:36]), nil
}

// segment is one file of the journal. The committer owns it; a checkpoint borrows number, size and last of a synced one.
type segment struct {
	number uint64
	f      file // nil once all of it is synced and nothing more will be written
	size   int64
	first  uint64 // number of the first record; 0: there is none, or this process has not written it
	last   uint64 // number of the last record
	room   int64  // how far it is allocated

	synced     int64 // as size, of what survives a power cut
	syncedLast uint64
	// tried says that some of it may be in the engine.
	tried bool
	// together says that it goes into the engine in one checkpoint with the other recovered ones: the same records may be in several
	// of them, with some damaged.
	together bool
	// stale says that behind size there is what is written again elsewhere, and may still be needed if the process ends before.
	stale bool
}

// journal writes segments. The committer owns it.
type journal struct {
	files files
	id    identity
	limit int64 // of a segment, in bytes; one write more may go beyond it

	number uint64     // of the last segment that was named
	seg    *segment   // nil: the next write begins one
	spare  *segment   // an empty one for the next; nil: it is made when needed
	full   []*segment // complete ones that are not in the engine, oldest first
}

// makeSegment creates an empty segment that survives a power cut. Any thread.
func makeSegment(fs files, number uint64, id identity) (*segment, error) {
	name := segmentName(number)
	f, err := fs.create(name)
	if err != nil {
		return nil, fmt.Errorf("create the journal: %w", err)
	}
	s := &segment{number: number, f: f, size: headBytes, room: allocateBytes, synced: headBytes}
	if err = f.allocate(0, allocateBytes); err == nil {
		err = f.writeAt(appendHead(nil, number, id), 0)
	}
	if err == nil {
		err = f.sync()
	}
	if err == nil {
		err = fs.syncDir()
	}
	if err != nil {
		f.close()
		_ = fs.remove(name)
		return nil, fmt.Errorf("create the journal %s: %w", name, err)
	}
	return s, nil
}

// write appends records with the numbers up to last. After an error nothing of them counts as written.
func (j *journal) write(records []byte, last uint64) error {
	if j.seg != nil && j.seg.size >= j.limit {
		j.rotate()
	}
	if j.seg == nil {
		if err := j.begin(); err != nil {
			return err
		}
	}
	s := j.seg
	end := s.size + int64(len(records))
	if end > s.room {
		room := (end + allocateBytes - 1) / allocateBytes * allocateBytes
		if err := s.f.allocate(s.room, room-s.room); err != nil {
			return fmt.Errorf("make room in %s: %w", segmentName(s.number), err)
		}
		s.room = room
	}
	if err := s.f.writeAt(records, s.size); err != nil {
		// What was half written must not stand before the next record.
		if s.f.truncate(s.size) == nil {
			s.room = s.size
		} else {
			j.rotate()
		}
		return fmt.Errorf("write to %s: %w", segmentName(s.number), err)
	}
	if s.first == 0 {
		s.first = binary.BigEndian.Uint64(records[8:]) // frame.go
	}
	s.size, s.last = end, last
	return nil
}

func (j *journal) begin() error {
	if j.spare != nil {
		j.seg, j.spare = j.spare, nil
		return nil
	}
	s, err := makeSegment(j.files, j.number+1, j.id)
	if err != nil {
		return err
	}
	j.number++
	j.seg = s
	return nil
}

// rotate lets the next write begin a new segment.
func (j *journal) rotate() {
	if j.seg != nil {
		j.full = append(j.full, j.seg)
		j.seg = nil
	}
}

// dirty appends the segments that have something to sync.
func (j *journal) dirty(to []*segment) []*segment {
	for _, s := range j.full {
		if s.synced < s.size {
			to = append(to, s)
		}
	}
	if j.seg != nil && j.seg.synced < j.seg.size {
		to = append(to, j.seg)
	}
	return to
}

// settle closes the files of full segments that are synced, as everything is that was written again.
func (j *journal) settle() {
	for _, s := range j.full {
		if s.stale {
			_ = s.f.truncate(s.size)
			s.stale = false
		}
		if s.f != nil && s.synced == s.size {
			if s.room > s.size && s.f.truncate(s.size) == nil {
				s.room = s.size
			}
			_ = s.f.close()
			s.f = nil
		}
	}
}

// forget takes what is not synced out of the journal: after a failed sync it may be gone. Whoever calls it writes it again. Until
// that is synced, the first copy stays, since it survives the end of the process at least.
func (j *journal) forget() {
	j.rotate()
	copied := slices.ContainsFunc(j.full, func(s *segment) bool { return s.stale })
	for _, s := range j.full {
		if s.synced == s.size {
			continue
		}
		s.size, s.last, s.stale = s.synced, s.syncedLast, !copied
		if copied {
			_ = s.f.truncate(s.size)
			s.room = s.size
		}
	}
	j.full = slices.DeleteFunc(j.full, func(s *segment) bool {
		if s.stale || s.size > headBytes || j.files.remove(segmentName(s.number)) != nil {
			return false
		}
		if s.f != nil {
			_ = s.f.close()
		}
		return true
	})
}

// bytes is what the journal takes on the disk, and what its records take.
func (j *journal) bytes() (disk, held int64) {
	for _, s := range j.full {
		disk += max(s.size, s.room)
	}
	held = j.fullBytes()
	if j.seg != nil {
		disk += j.seg.room
		held += j.seg.size - headBytes
	}
	if j.spare != nil {
		disk += j.spare.room
	}
	return disk, held
}

// fullBytes is what the records of the full segments take.
func (j *journal) fullBytes() (held int64) {
	for _, s := range j.full {
		held += s.size - headBytes
	}
	return held
}

// close gives back the room that was made in advance. All that was written must be synced.
func (j *journal) close() {
	if j.spare != nil {
		_ = j.spare.f.close()
		_ = j.files.remove(segmentName(j.spare.number))
	}
	if s := j.seg; s != nil {
		if s.size == headBytes {
			_ = s.f.close()
			_ = j.files.remove(segmentName(s.number))
			return
		}
		_ = s.f.truncate(s.size)
		_ = s.f.close()
	}
	for _, s := range j.full {
		if s.f != nil {
			_ = s.f.close()
		}
	}
}
