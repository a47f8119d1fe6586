package persist

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// Of one call of the engine: bounds what it must hold in memory.
	applyBytes   = 8 << 20
	applyChanges = 64 << 10
)

// checkpoint is an order to move segments into the engine.
type checkpoint struct {
	segments []segment // synced; copies without their files
	atLeast  int       // of them, when there is no room for all
	short    bool      // space is short
	spare    uint64    // number of the segment to prepare for the journal; 0: none
	// tidy is closed to end the tidying of the engine after it.
	tidy chan struct{}
}

// checkpointed is how it went.
type checkpointed struct {
	err   error
	moved int // segments, from the first one on; with err, those of which some may be in the engine
	spare *segment
	// damaged is a sentence for each segment whose records were not all there any more.
	damaged []string
	took    time.Duration
}

// keeper carries out checkpoints on a goroutine of its own. Until that runs, the caller of Restore owns it.
type keeper struct {
	files  files
	engine engine
	id     identity
	made   int64 // when the store was made, in Unix seconds
	// through is the last record of the journal that is in the engine.
	through uint64
	orders  chan checkpoint
	// results has room for one: there is one order at a time.
	results chan checkpointed
	ended   chan struct{}

	// inbound is the keys of inbound messages that the engine may have. They are put and deleted all the time, and a delete of
	// what the engine does not have would only make it grow.
	inbound map[string]struct{}

	tidied func() // lets the committer see what the tables take now
	log    func(line string)
	said   bool // that tidy failed last

	// Any thread.
	stop       atomic.Bool // no further checkpoint, and the one under way stops early
	disk, live atomic.Int64
}

func (k *keeper) run() {
	defer close(k.ended)
	// A thread of lower priority, so that the loops go first; not the lowest, because commits wait when it falls far behind.
	runtime.LockOSThread()
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), keeperNice) // at worst it runs as the loops do
	for order := range k.orders {
		began := time.Now()
		result := k.carryOut(order)
		result.took = time.Since(began)
		k.measure()
		k.results <- result
		if result.err == nil && !k.stop.Load() {
			k.say(k.engine.tidy(order.tidy, order.short))
			k.measure()
			k.tidied()
		}
	}
}

// keeperNice is by how much the priority of the checkpoint's thread is below that of the loops: it gets a quarter of a CPU that
// others want, and needs a few hundredths.
const keeperNice = 5

// say logs why deleted records cannot be tidied away, once until they can. A full disk is the committer's to tell.
func (k *keeper) say(err error) {
	if isFull(err) {
		return
	}
	if err != nil && !k.said {
		k.log(fmt.Sprintf("The space of deleted records cannot be given back: %v.", err))
	}
	k.said = err != nil
}

func (k *keeper) measure() {
	disk, live := k.engine.size()
	k.disk.Store(disk)
	k.live.Store(live)
}

func (k *keeper) carryOut(order checkpoint) (result checkpointed) {
	if order.spare != 0 {
		result.spare, _ = makeSegment(k.files, order.spare, k.id)
	}
	segments := order.segments
	damaged, err := k.move(segments)
	if errors.Is(err, errNoRoom) && order.atLeast < len(segments) {
		segments = segments[:order.atLeast]
		damaged, err = k.move(segments)
	}
	if result.err = err; errors.Is(err, errNoRoom) {
		return result
	}
	result.moved = len(segments)
	if err != nil {
		return result
	}
	for i := range segments {
		name := segmentName(segments[i].number)
		switch aside := "damaged-" + stamp() + "-" + name; {
		case damaged[i] && k.files.rename(name, aside) == nil:
			result.damaged = append(result.damaged,
				fmt.Sprintf("A part of the journal is damaged. It is kept as %s; what was sound of it is used.", aside))
		case damaged[i]:
			result.damaged = append(result.damaged, fmt.Sprintf("A part of the journal, %s, was removed. What was in it is lost.", name))
		default:
			_ = k.files.remove(name) // else the next start does
		}
	}
	return result
}

// errNoRoom is of a checkpoint that was not begun.
var errNoRoom = fmt.Errorf("move the journal: %w", syscall.ENOSPC)

var errStopped = errors.New("the store is being closed")

// stamp is the time in the names of what is set aside.
func stamp() string { return time.Now().UTC().Format("20060102T150405") }

// move writes the changes of segments to the engine, and says which segments do not hold all of their records.
func (k *keeper) move(segments []segment) (damaged []bool, err error) {
	found := make([]scanned, len(segments))
	tried := make([]bool, len(segments))
	through := k.through
	for i, s := range segments {
		through = max(through, s.last)
		data, err := k.files.read(segmentName(s.number))
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // what was removed does not come back
			return nil, fmt.Errorf("read the journal: %w", err)
		}
		found[i] = scan(s.number, data[:min(int64(len(data)), s.size)], k.id.seed())
		tried[i] = s.tried
		n := len(found[i].records)
		damaged = append(damaged, !found[i].sound() || s.last > 0 && (n == 0 || found[i].records[n-1].number != s.last))
	}
	r := replay(found, tried, k.through)
	r.over.sort()
	if k.isFull(&r.over) {
		return nil, errNoRoom
	}
	var changes []change
	size := 0
	for _, e := range r.over.entries {
		c := r.over.change(e)
		if k.skip(c) {
			continue
		}
		changes = append(changes, c)
		if size += len(c.key) + len(c.value); size < applyBytes && len(changes) < applyChanges {
			continue
		}
		if err := k.apply(changes); err != nil {
			return nil, err
		}
		changes, size = changes[:0], 0
	}
	// The mark goes with the last of the changes: the engine stores a call whole or not at all.
	if err := k.apply(append(changes, k.mark(through))); err != nil {
		return nil, err
	}
	k.through = through
	return damaged, nil
}

// isFull says whether the disk has no room for the changes: a checkpoint that fails in its middle has taken what it cannot use. Room is
// made and given back, since only that tells of quotas and of blocks that are root's.
func (k *keeper) isFull(over *overlay) bool {
	need := int64(64 << 10)
	for _, e := range over.entries {
		c := over.change(e)
		need += int64(len(c.key) + len(c.value) + recordOverhead)
	}
	const name = newPrefix + "room"
	f, err := k.files.create(name)
	if err == nil {
		err = f.allocate(0, need)
		_ = f.close()
		_ = k.files.remove(name)
	}
	return isFull(err)
}

// recordOverhead is about what the engine takes for a record beside key and value.
const recordOverhead = 32

func (k *keeper) apply(changes []change) error {
	if k.stop.Load() {
		return errStopped
	}
	if err := k.engine.apply(changes); err != nil {
		return err
	}
	for _, c := range changes {
		if c.key[0] == keyInbound && c.value == nil {
			delete(k.inbound, string(c.key))
		}
	}
	return nil
}

// skip says whether c deletes what the engine does not have. It notes what the engine may have from now on.
func (k *keeper) skip(c change) bool {
	if c.key[0] != keyInbound {
		return false
	}
	if c.value != nil {
		k.inbound[string(c.key)] = struct{}{}
		return false
	}
	_, there := k.inbound[string(c.key)]
	return !there
}

// mark is the note in the engine up to which record it has the journal: version (4), identity (16), record (8), when the store was
// made (8, Unix seconds).
func (k *keeper) mark(through uint64) change {
	v := binary.BigEndian.AppendUint32(nil, formatVersion)
	v = append(v, k.id[:]...)
	v = binary.BigEndian.AppendUint64(v, through)
	v = binary.BigEndian.AppendUint64(v, uint64(k.made))
	return change{key: []byte{keyVersion}, value: v}
}

// readMark reads what mark wrote; all is zero when there is nothing.
func readMark(e engine) (id identity, through uint64, made int64, err error) {
	err = e.each([]byte{keyVersion}, func(key, value []byte) error {
		if len(value) < 4 {
			return nil
		}
		if binary.BigEndian.Uint32(value) > formatVersion {
			return ErrNewer
		}
		if len(value) >= 36 {
			id = identity(value[4:20])
			through = binary.BigEndian.Uint64(value[20:])
			made = int64(binary.BigEndian.Uint64(value[28:]))
		}
		return nil
	})
	return id, through, made, err
}
