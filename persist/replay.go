package persist

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// placed is a record of a segment that was read: where it is.
type placed struct {
	number uint64
	flags  byte
	from   int // of the record
	to     int
}

// scanned is a segment that was read.
type scanned struct {
	segment uint64
	data    []byte
	records []placed
	end     int // of the last sound record
	// holes is the places, before end, where there is something else than a record.
	holes []int
	torn  int // bytes behind end that are no zeros
	// partial says that not all of it could be read.
	partial bool
}

// searchBytes bounds how much is checked in the search for the next record behind a damaged one.
const searchBytes = 256 << 20

// scan finds the records in data.
func scan(segment uint64, data []byte, seed uint32) scanned {
	s := scanned{segment: segment, data: data, end: min(headBytes, len(data))}
	limit := max(len(bytes.TrimRight(data, "\x00")), s.end)
	budget := searchBytes
	for at := s.end; at < limit; {
		f, size, ok := readFrame(data[at:], seed)
		if !ok {
			next := s.search(at, limit, seed, &budget)
			if next < 0 {
				break
			}
			s.holes = append(s.holes, at)
			at = next
			continue
		}
		s.records = append(s.records, placed{number: f.number, flags: f.flags, from: at, to: at + size})
		at += size
		s.end = at
	}
	s.torn = max(limit-s.end, 0)
	return s
}

// search returns where the next record behind at is, -1: nowhere. Numbers only grow, which spares most checks; a record whose
// checksum is zero is not found.
func (s *scanned) search(at, limit int, seed uint32, budget *int) int {
	last := uint64(0)
	if n := len(s.records); n > 0 {
		last = s.records[n-1].number
	}
	for at++; at < limit && at+frameBytes <= len(s.data) && *budget > 0; at++ {
		if binary.BigEndian.Uint32(s.data[at:]) == 0 {
			continue
		}
		n := binary.BigEndian.Uint32(s.data[at+4:])
		number := binary.BigEndian.Uint64(s.data[at+8:])
		if n == 0 || n > recordMax || number <= last || last > 0 && number-last > 1<<32 {
			continue
		}
		if _, _, ok := readFrame(s.data[at:], seed); ok {
			return at
		}
		*budget -= min(int(n), len(s.data)-at)
	}
	return -1
}

// sound says whether there was nothing but records and zeros.
func (s *scanned) sound() bool { return len(s.holes) == 0 && s.torn == 0 }

// replayed is what segments say together.
type replayed struct {
	over overlay
	last uint64 // number of the last record, also of one that was not used
	// first is the number of the first record that the engine does not have; 0: there is none. missing is how many records are not
	// there between that one and the last.
	first, missing uint64
	// body is the largest id of a body that was written.
	body uint64
	// ordered says that the numbers only grow from segment to segment.
	ordered bool
}

// at names a record: in which segment, and where in its list.
type at struct {
	number  uint64
	segment int
	record  int
}

// replay joins the changes of whole batches, in the order of their numbers and from behind after on. A record that is there
// twice was written again after a failed sync, and the later one counts. tried says for each segment whether the engine may
// know some of it.
func replay(segments []scanned, tried []bool, after uint64) replayed {
	var order []at
	sorted := true
	for i := range segments {
		for k, p := range segments[i].records {
			if p.number <= after {
				continue
			}
			if n := len(order); n > 0 && order[n-1].number >= p.number {
				sorted = false
			}
			order = append(order, at{p.number, i, k})
		}
	}
	if !sorted {
		slices.SortStableFunc(order, func(a, b at) int {
			switch {
			case a.number < b.number:
				return -1
			case a.number > b.number:
				return 1
			}
			return b.segment - a.segment
		})
		order = slices.CompactFunc(order, func(a, b at) bool { return a.number == b.number })
	}
	r := replayed{last: after, ordered: sorted}
	for i := range order {
		if i > 0 {
			r.missing += order[i].number - r.last - 1
		} else {
			r.first = order[0].number
		}
		r.last = order[i].number
	}
	r.over = newOverlay(segments, tried)
	for len(order) > 0 {
		n := wholeBatch(segments, order)
		for _, a := range order[:n] {
			r.body = max(r.body, r.over.add(a.segment, segments[a.segment].records[a.record]))
		}
		order = order[max(n, 1):]
	}
	r.over.build()
	return r
}

// wholeBatch is how many records the batch at the beginning of order has; 0: it is not whole.
func wholeBatch(segments []scanned, order []at) int {
	for i, a := range order {
		p := segments[a.segment].records[a.record]
		if (i == 0) != (p.flags&frameFirst != 0) || i > 0 && a.number != order[i-1].number+1 {
			return 0
		}
		if p.flags&frameLast != 0 {
			return i + 1
		}
	}
	return 0
}

// recovered is what Open found in the journal.
type recovered struct {
	replayed
	segments []*segment
	number   uint64 // of the last segment
	notes    []string
	aside    uint64 // damaged files
	// unusable is why nothing may be written: it could not be told from what is there.
	unusable error
	// gone says that the engine's records are not there any more.
	gone bool
}

// recoverJournal reads all segments, sets damaged ones aside and repairs them. id is the identity as the engine has it; if that is
// zero, it becomes that of the journal or a new one. after is the last record that is in the engine; served tells whether that is
// known. The only error is that of a newer format.
func recoverJournal(fs files, id *identity, after uint64, served bool, stamp string) (*recovered, error) {
	r := &recovered{}
	made := served && *id == identity{} // the engine holds nothing
	names, err := fs.list()
	if err != nil {
		r.unusable = fmt.Errorf("the directory cannot be read: %w", err)
		r.note("The directory cannot be read: %v. What the journal holds is not served.", err)
	}
	var found []scanned
	slices.Sort(names)
	for _, name := range names {
		number, ok := segmentNumber(name)
		if strings.HasPrefix(name, newPrefix) {
			_ = fs.remove(name) // left by a start that was interrupted
		}
		if !ok {
			continue
		}
		data, err := fs.read(name)
		if err != nil {
			r.note("%s cannot be read as a whole: %v. What could be read is used.", name, err)
		}
		r.number = max(r.number, number)
		switch head, err := readHead(data); {
		case errors.Is(err, ErrNewer):
			return nil, fmt.Errorf("%s: %w", name, err)
		case err == nil && *id == identity{}:
			*id = head
		}
		found = append(found, scanned{segment: number, data: data, partial: err != nil})
	}
	if *id == (identity{}) {
		*id = guessIdentity(found)
	}
	if *id == (identity{}) {
		_, _ = rand.Read(id[:])
	}
	for i := range found {
		s := &found[i]
		partial := s.partial
		*s = scan(s.segment, s.data, id.seed())
		s.partial = partial
	}
	if made {
		r.engineGone(fs, found, stamp)
	}
	for i := range found {
		s := &found[i]
		r.repair(fs, s, *id, stamp)
		if len(s.records) == 0 {
			continue
		}
		last := s.records[len(s.records)-1].number
		if last <= after {
			_ = fs.remove(segmentName(s.segment)) // all of it is in the engine
			continue
		}
		size := int64(s.end)
		r.segments = append(r.segments, &segment{
			number: s.segment, size: size, last: last, synced: size, syncedLast: last, tried: true,
		})
	}
	tried := make([]bool, len(found))
	for i := range tried {
		tried[i] = true
	}
	r.replayed = replay(found, tried, after)
	if served && r.first > 0 && !r.gone {
		r.missing += r.first - after - 1
	}
	if r.missing > 0 {
		r.aside = max(r.aside, 1)
		r.note("%d records of the journal are missing. What was written before and after them is used.", r.missing)
	}
	if served {
		r.checkTail(fs, *id, after)
	}
	for _, s := range r.segments {
		s.together = !r.ordered || r.aside > 0
	}
	return r, nil
}

// engineGone finds out whether an engine that holds nothing held something. What the journal says of it would then be dropped with the
// next checkpoint, so the segments are kept, for the case that somebody brings the engine back.
func (r *recovered) engineGone(fs files, found []scanned, stamp string) {
	first := uint64(math.MaxUint64)
	for i := range found {
		if records := found[i].records; len(records) > 0 {
			first = min(first, records[0].number)
		}
	}
	if first == 1 || first == math.MaxUint64 {
		return
	}
	r.gone = true
	r.aside++
	r.note("%s is missing or empty: what was moved there before record %d of the journal is not served. To bring it back, stop the broker, "+
		"put the directory in its place, and the files damaged-%s-journal-… under their names in the place of the journal.", engineDir, first, stamp)
	for i := range found {
		name := segmentName(found[i].segment)
		if err := keep(fs, "damaged-"+stamp+"-"+name, found[i].data[:max(found[i].end+found[i].torn, headBytes)]); err != nil {
			r.unusable = fmt.Errorf("%s is missing or empty, and %s cannot be kept: %w", engineDir, name, err)
			return
		}
	}
}

// guessIdentity takes what stands at its place in a damaged head, when records agree with it.
func guessIdentity(found []scanned) identity {
	for _, f := range found {
		if len(f.data) < headBytes {
			continue
		}
		id := identity(f.data[20:36])
		if s := scan(f.segment, f.data, id.seed()); len(s.records) > 0 {
			return id
		}
	}
	return identity{}
}

func (r *recovered) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

// repair cuts off what was not written completely, and replaces a damaged segment by its sound records; the damaged one is
// kept under another name. Where nothing can be written, nothing is repaired, and the next start finds the same again.
func (r *recovered) repair(fs files, s *scanned, id identity, stamp string) {
	name := segmentName(s.segment)
	_, headErr := readHead(s.data)
	empty := len(s.records) == 0 && s.torn == 0 && (headErr == nil || len(bytes.Trim(s.data, "\x00")) == 0)
	if empty && !s.partial {
		if headErr != nil && len(s.data) > 0 {
			r.aside++
			r.note("%s holds nothing but zeros and is removed.", name)
		}
		_ = fs.remove(name)
		return
	}
	if headErr == nil && s.sound() && !s.partial {
		if f, err := fs.open(name); err == nil {
			if s.end < len(s.data) {
				_ = f.truncate(int64(s.end)) // the room that was made in advance
			}
			_ = f.sync() // the process that wrote it may have ended before it did
			_ = f.close()
		}
		return
	}
	if headErr == nil && len(s.holes) == 0 && !s.partial {
		r.note("The end of %s was not written completely: %d bytes are cut off.", name, s.torn)
		if f, err := fs.open(name); err == nil {
			_ = f.truncate(int64(s.end))
			_ = f.sync()
			_ = f.close()
		}
		return
	}
	r.aside++
	aside := "damaged-" + stamp + "-" + name
	if err := setAside(fs, name, aside, s); err != nil {
		r.note("%s is damaged and cannot be set aside: %v. Its %d sound records are used.", name, err, len(s.records))
		return
	}
	r.note("%s is damaged. It is kept as %s; its %d sound records are used.", name, aside, len(s.records))
	repaired := appendHead(nil, s.segment, id)
	for _, p := range s.records {
		repaired = append(repaired, s.data[p.from:p.to]...)
	}
	if err := keep(fs, newPrefix+name, repaired); err != nil || fs.rename(newPrefix+name, name) != nil {
		return
	}
	_ = fs.syncDir()
	*s = scan(s.segment, repaired, id.seed())
}

// newPrefix is of a repaired segment that has not taken its place yet.
const newPrefix = "new-"

// setAside copies a damaged segment, or renames it when it cannot be read.
func setAside(fs files, name, aside string, s *scanned) error {
	if s.partial {
		return fs.rename(name, aside)
	}
	return keep(fs, aside, s.data)
}

// keep writes a file that survives a power cut.
func keep(fs files, name string, data []byte) error {
	f, err := fs.create(name)
	if err != nil {
		return err
	}
	if err = f.writeAt(data, 0); err == nil {
		err = f.sync()
	}
	if closed := f.close(); err == nil {
		err = closed
	}
	if err == nil {
		err = fs.syncDir()
	}
	if err != nil {
		_ = fs.remove(name)
	}
	return err
}
