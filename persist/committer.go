package persist

import (
	"fmt"
	"slices"
	"time"
)

const (
	// groupBytes is where a group of batches ends: they are encoded and written together.
	groupBytes = 1 << 20
	// bufferBytes is about the size of the buffers that hold what is not synced.
	bufferBytes = 512 << 10
	// unsyncedEarly is where a sync does not wait for its time, unsyncedMax where writing waits for the sync. It bounds the memory
	// that is kept because a sync may fail; one group or one large message may go beyond it.
	unsyncedEarly = 4 << 20
	unsyncedMax   = 12 << 20
	// idleBytes is the room for buffers that an idle store keeps.
	idleBytes = 1 << 20

	// journalTimes is how many times CheckpointBytes the journal may hold before commits wait for the engine.
	journalTimes = 8
	// segmentsMax is how many segments the journal may have before it is moved, however small they are: each start begins one.
	segmentsMax = 32
	// tidyTimes is how many times CheckpointBytes it may hold before the engine must stop tidying.
	tidyTimes  = 3
	retryAfter = time.Second
	// checkpointRetry is how long a failed checkpoint waits while the journal has room; also how long a directory that is too
	// large waits for one.
	checkpointRetry = 10 * time.Second
)

// committer takes batches from the queue, encodes and writes them in groups, and calls their Done. It is one goroutine; two
// others, syncer and keeper, wait for the disk on its behalf. A batch goes this way:
//
//	queue → taken → pending (encoded) → written → synced
//
// Done is called when it is written, under Strict when it is synced.
type committer struct {
	d        *Disk
	o        Options
	enc      encoder
	journal  journal
	reserve  reserve
	found    *recovered // what Open read; until Restore
	unusable error      // why nothing will ever be written; nil: it will

	taken   []*Batch // from the queue
	garbage []byte   // deletes that Restore found; they become the first records
	count   uint64   // batches that were taken since the start
	encoded uint64   // of them

	// open is the buffer that records are encoded into. Its first written bytes are in the journal, the rest is pending.
	open    *buffer
	written int
	pending []*Batch
	began   time.Time // when pending was encoded
	tail    []*buffer // written, not synced, oldest first
	unsync  int       // bytes in tail and open
	spares  []*buffer // empty ones

	toSync     chan []*segment
	results    chan error
	syncing    []*segment // what the sync under way is about; empty: there is none
	marks      []segment  // their state at its beginning
	covers     int        // buffers of tail that it covers
	syncBy     time.Time  // when the next is due; zero: nothing needs it
	synced     uint64     // batches that survive a power cut
	waiting    []waiter
	again      bool // tail must be written once more: its sync failed
	failed     error
	syncFailed bool // failed is a sync's, and over when one succeeds
	retryAt    time.Time
	closing    bool

	ordered        []*segment    // what the checkpoint under way is about; empty: there is none. Some may have left journal.full
	rotated        bool          // the open segment was ended for the next one
	order          chan struct{} // its tidy
	tidy           chan struct{} // ends the tidying after the last checkpoint; nil: it was closed
	checkpointAt   time.Time     // not before
	lastCheckpoint time.Time
	urgent         bool  // the journal was damaged: it goes into the engine, so that this is not found again
	engineErr      error // of the last checkpoint
	tooLarge       bool
	said           error // the last trouble that was told

	timer   *time.Timer
	timerAt time.Time // zero: it does not run
	stats   Stats     // copied to d.stats at the end of a turn
}

// buffer is records that are not synced yet.
type buffer struct {
	buf     []byte
	last    uint64   // number of its last written record
	through uint64   // count of the batches up to there
	batches []*Batch // that wait for the sync, under Strict
}

// waiter is a Sync that waits for the first through batches.
type waiter struct {
	through uint64
	done    chan error
}

func (c *committer) init(d *Disk, o Options, fs files, found *recovered) {
	c.d, c.o, c.found = d, o, found
	c.enc = newEncoder(d.keeper.id)
	c.enc.number = found.last + 1
	c.journal = journal{files: fs, id: d.keeper.id, limit: o.CheckpointBytes, number: found.number, full: found.segments}
	c.reserve = newReserve(fs, o.CheckpointBytes)
	c.toSync, c.results = make(chan []*segment, 1), make(chan error, 1)
	c.timer = time.NewTimer(time.Hour)
	c.timer.Stop()
}

// cannotStore keeps everything from being written: what is there could not be read, and would not go with it.
func (c *committer) cannotStore(why error) {
	c.unusable = fmt.Errorf("nothing is stored until the broker is started again: %w", why)
}

func (c *committer) run() {
	defer close(c.d.ended)
	go c.syncer()
	defer close(c.toSync)
	if c.unusable == nil {
		c.reserve.begin(time.Now())
	}
	for !c.turn(time.Now()) {
		select {
		case <-c.d.wake:
		case err := <-c.results:
			c.onSynced(err, time.Now())
		case result := <-c.d.keeper.results:
			c.onCheckpoint(result, time.Now())
		case <-c.timer.C:
			c.timerAt = time.Time{}
		}
	}
}

func (c *committer) syncer() {
	tail := uint64(0) // the record that tail names
	for segments := range c.toSync {
		var err error
		for _, s := range segments {
			if err = s.f.sync(); err != nil {
				err = fmt.Errorf("sync %s: %w", segmentName(s.number), err)
				break
			}
		}
		if err == nil {
			tail = writeTail(c.journal.files, c.journal.id, segments, tail)
		}
		c.results <- err
	}
}

// turn does what can be done now, and is true when the store is closed and all is done that can be.
func (c *committer) turn(now time.Time) (end bool) {
	c.take(now)
	c.writeAll(now)
	c.startSync(now)
	c.startCheckpoint(now)
	c.restock(now)
	c.answer(now)
	c.tell()
	c.publish()
	if c.closing && c.finished(now) {
		return true
	}
	c.setTimer(now)
	return false
}

// take empties the queue. A Sync or a Close makes it try again at once what failed.
func (c *committer) take(now time.Time) {
	d := c.d
	d.mu.Lock()
	defer d.mu.Unlock()
	c.taken = append(c.taken, d.queue...)
	c.count += uint64(len(d.queue))
	clear(d.queue)
	d.queue = d.queue[:0]
	for _, done := range d.syncs {
		c.waiting = append(c.waiting, waiter{c.count, done})
		c.retryAt, c.reserve.retry = now, now
	}
	d.syncs = d.syncs[:0]
	if d.closing && !c.closing {
		c.closing, c.retryAt = true, now
	}
}

// writeAll encodes and writes what was taken, group by group.
func (c *committer) writeAll(now time.Time) {
	if c.unusable != nil {
		c.failed, c.retryAt = c.unusable, now.Add(time.Hour)
	}
	for {
		if c.failed != nil && now.Before(c.retryAt) || c.again && !c.writeAgain(now) || c.syncFailed {
			return
		}
		if len(c.pending) == 0 && c.pendingBytes() == 0 && !c.encode() {
			return
		}
		if c.held() || !c.write(now) {
			return
		}
		c.startSync(now)
	}
}

func (c *committer) pendingBytes() int {
	if c.open == nil {
		return 0
	}
	return len(c.open.buf) - c.written
}

// held says whether writing must wait: for the engine, or for a sync.
func (c *committer) held() bool {
	return c.journalFull() && !c.closing || c.unsync >= unsyncedMax && len(c.syncing) > 0
}

// journalFull says whether the journal has reached its bound, which is a segment larger while the reserve is given up.
func (c *committer) journalFull() bool {
	_, held := c.journal.bytes()
	times := int64(journalTimes)
	if c.reserve.lack != nil {
		times++
	}
	return held >= times*c.journal.limit
}

// restock makes the reserve anew, if that is due.
func (c *committer) restock(now time.Time) {
	if c.reserve.lack != nil && c.failed == nil && c.unusable == nil && !c.closing && !now.Before(c.reserve.retry) {
		c.reserve.again(now)
	}
}

// encode makes a group of what was taken, and is false when there is nothing.
func (c *committer) encode() bool {
	if len(c.taken) == 0 && len(c.garbage) == 0 {
		return false
	}
	c.began = time.Now()
	c.openBuffer()
	start := len(c.open.buf)
	c.enc.buf = c.open.buf
	c.enc.deletes(c.garbage)
	c.garbage = nil
	n := 0
	for n < len(c.taken) && len(c.enc.buf)-start < groupBytes {
		c.stats.Ops += uint64(len(c.taken[n].Ops))
		c.enc.batch(c.taken[n].Ops)
		n++
	}
	c.open.buf, c.enc.buf = c.enc.buf, nil
	c.unsync += len(c.open.buf) - start
	c.encoded += uint64(n)
	c.pending = append(c.pending, c.taken[:n]...)
	c.taken = slices.Delete(c.taken, 0, n)
	return true
}

// openBuffer makes sure that the open buffer has room for a group.
func (c *committer) openBuffer() {
	if c.open != nil && len(c.open.buf) > bufferBytes {
		c.seal()
	}
	if c.open != nil {
		return
	}
	c.written = 0
	if n := len(c.spares); n > 0 {
		c.open, c.spares = c.spares[n-1], c.spares[:n-1]
	} else {
		c.open = &buffer{}
	}
}

// seal moves what is written of the open buffer to the tail. What is pending stays, in another buffer.
func (c *committer) seal() {
	if c.open == nil || c.written == 0 {
		return
	}
	whole := c.open
	c.tail = append(c.tail, whole)
	pending := whole.buf[c.written:]
	whole.buf, c.open, c.written = whole.buf[:c.written], nil, 0
	if len(pending) > 0 {
		c.open = &buffer{buf: slices.Clone(pending)}
	}
}

// write writes the pending group, and is false when that failed.
func (c *committer) write(now time.Time) bool {
	records := c.open.buf[c.written:]
	if len(records) == 0 { // batches that change nothing
		c.complete(c.pending)
		c.forgetPending()
		return true
	}
	last := c.enc.number - 1
	if err := c.append(records, last, now); err != nil {
		c.failed, c.retryAt = err, now.Add(retryAfter)
		return false
	}
	c.failed = nil
	c.written = len(c.open.buf)
	c.open.last, c.open.through = last, c.encoded
	c.stats.BytesWritten += uint64(len(records))
	if c.syncBy.IsZero() {
		c.syncBy = now
		if c.o.Policy != Strict {
			c.syncBy = now.Add(c.o.SyncInterval)
		}
	}
	if c.o.Policy == Strict {
		c.open.batches = append(c.open.batches, c.pending...)
	} else {
		c.stats.CommitTime = time.Since(c.began)
		c.complete(c.pending)
	}
	c.forgetPending()
	return true
}

// append writes records to the journal, if need be in the place of the reserve.
func (c *committer) append(records []byte, last uint64, now time.Time) error {
	err := c.journal.write(records, last)
	if c.reserve.give(err, now) {
		err = c.journal.write(records, last)
	}
	return err
}

func (c *committer) forgetPending() {
	clear(c.pending)
	c.pending = c.pending[:0]
}

func (c *committer) complete(batches []*Batch) {
	c.stats.Commits += uint64(len(batches))
	for _, b := range batches {
		if b.Done != nil {
			b.Done()
		}
	}
}

// startSync begins a sync if one is due and none is under way.
func (c *committer) startSync(now time.Time) {
	if len(c.syncing) > 0 || c.again || c.syncBy.IsZero() {
		return
	}
	if now.Before(c.syncBy) && c.unsync < unsyncedEarly && len(c.waiting) == 0 && !c.closing {
		return
	}
	c.seal()
	c.syncBy = time.Time{}
	c.covers = len(c.tail)
	c.syncing = c.journal.dirty(c.syncing[:0])
	c.marks = c.marks[:0]
	for _, s := range c.syncing {
		c.marks = append(c.marks, *s)
	}
	c.toSync <- c.syncing
}

// onSynced takes the result of a sync.
func (c *committer) onSynced(err error, now time.Time) {
	synced := c.syncing
	c.syncing = c.syncing[:0]
	if err != nil {
		// What was not synced may be gone though it can still be read. It is written again, elsewhere: at once, then each second.
		c.again = true
		if !c.syncFailed {
			c.retryAt = now
		} else {
			c.retryAt = now.Add(retryAfter)
		}
		c.failed, c.syncFailed = err, true
		return
	}
	c.stats.Syncs++
	for i, s := range synced {
		s.synced, s.syncedLast = c.marks[i].size, c.marks[i].last
	}
	c.journal.settle()
	if c.syncFailed {
		c.failed, c.syncFailed = nil, false
	}
	for _, b := range c.tail[:c.covers] {
		c.synced = b.through
		c.unsync -= len(b.buf)
		if len(b.batches) > 0 {
			c.stats.CommitTime = time.Since(c.began)
			c.complete(b.batches)
		}
		c.spare(b)
	}
	c.tail = slices.Delete(c.tail, 0, c.covers)
}

// spare keeps a buffer for reuse, not more of them than an idle store may have or a busy one needs.
func (c *committer) spare(b *buffer) {
	clear(b.batches)
	room := cap(b.buf)
	for _, s := range c.spares {
		room += cap(s.buf)
	}
	if room <= idleBytes || c.unsync > idleBytes && room <= unsyncedMax {
		c.spares = append(c.spares, &buffer{buf: b.buf[:0], batches: b.batches[:0]})
	}
}

// writeAgain writes the tail to a new segment, and is false when that failed.
func (c *committer) writeAgain(now time.Time) bool {
	c.seal()
	c.journal.forget()
	for _, b := range c.tail {
		if err := c.append(b.buf, b.last, now); err != nil {
			c.failed, c.retryAt = err, now.Add(retryAfter)
			return false
		}
	}
	c.again = false
	c.syncBy = now
	return true
}

// startCheckpoint lets the keeper move the full segments into the engine, if that is due.
func (c *committer) startCheckpoint(now time.Time) {
	_, held := c.journal.bytes()
	if held >= tidyTimes*c.journal.limit {
		c.stopTidy()
	}
	if len(c.ordered) > 0 || now.Before(c.checkpointAt) || c.closing {
		return
	}
	limit := c.journal.limit
	short := c.tooLarge || c.failed != nil || c.reserve.lack != nil
	if short { // space comes back only after a checkpoint
		limit /= 16
		if now.Sub(c.lastCheckpoint) >= checkpointRetry {
			limit = 1
		}
	}
	if c.urgent || len(c.journal.full) > segmentsMax {
		limit = 1
	}
	if held < limit {
		return
	}
	// Where the disk is full, the whole journal goes at once: what is put in one segment and deleted in another needs no room then.
	whole := c.reserve.lack != nil
	if c.journal.fullBytes() < limit || whole && !c.rotated && held > c.journal.fullBytes() {
		c.journal.rotate()
	}
	c.rotated = true
	order := checkpoint{tidy: make(chan struct{}), short: short}
	size, unsynced := int64(0), false
	for _, s := range c.journal.full {
		if unsynced = s.stale || s.synced < s.size; unsynced || size > 2*c.journal.limit && !s.together && !whole {
			break
		}
		size += s.size
		if len(order.segments) == 0 || s.together {
			order.atLeast++
		}
		moved := *s
		moved.f = nil
		order.segments = append(order.segments, moved)
	}
	if len(order.segments) == 0 || unsynced && whole {
		if !c.syncBy.IsZero() {
			c.syncBy = now
			c.startSync(now)
		}
		return
	}
	if c.journal.spare == nil && !whole {
		c.journal.number++
		order.spare = c.journal.number
	}
	c.ordered = append(c.ordered[:0], c.journal.full[:len(order.segments)]...)
	c.order, c.rotated = order.tidy, false
	c.d.keeper.orders <- order
}

// stopTidy lets the keeper go on to its next order.
func (c *committer) stopTidy() {
	if c.tidy != nil {
		close(c.tidy)
		c.tidy = nil
	}
}

// stopKeeper ends the keeper early, whatever it does. The committer has ended.
func (c *committer) stopKeeper() {
	c.stopTidy()
	if c.order != nil {
		close(c.order)
	}
	close(c.d.keeper.orders)
}

// onCheckpoint takes the result of a checkpoint.
func (c *committer) onCheckpoint(result checkpointed, now time.Time) {
	if result.spare != nil {
		c.journal.spare = result.spare
	}
	moved := c.ordered[:result.moved]
	c.ordered, c.tidy, c.order = c.ordered[:0], c.order, nil
	c.lastCheckpoint = now
	for _, line := range result.damaged {
		c.stats.SetAside++
		c.o.Log(line)
	}
	if result.err != nil {
		for _, s := range moved {
			s.tried = true
		}
		c.checkpointAt = now.Add(checkpointRetry)
		if c.journalFull() {
			c.reserve.give(result.err, now)
			c.checkpointAt = now.Add(retryAfter)
		}
		if c.engineErr == nil && !c.closing {
			c.o.Log(fmt.Sprintf("The journal cannot be moved into the stored records: %v. It grows up to %d MiB meanwhile.",
				result.err, journalTimes*c.journal.limit>>20))
		}
		c.engineErr = result.err
		return
	}
	c.engineErr, c.urgent = nil, false
	c.journal.full = slices.DeleteFunc(c.journal.full, func(s *segment) bool { return slices.Contains(moved, s) })
	c.stats.Checkpoints++
	c.stats.CheckpointTime = result.took
}

// answer ends the Syncs whose batches are synced, and those that would wait for a disk that fails.
func (c *committer) answer(now time.Time) {
	if len(c.waiting) == 0 {
		return
	}
	if c.clean() {
		c.synced = c.encoded
	}
	c.waiting = slices.DeleteFunc(c.waiting, func(w waiter) bool {
		switch {
		case c.synced >= w.through:
			w.done <- nil
		case c.failed != nil && now.Before(c.retryAt):
			w.done <- c.failed
		case c.journalFull() && c.engineErr != nil:
			w.done <- c.engineErr
		default:
			return false
		}
		return true
	})
}

// clean says that there is nothing that is encoded and not synced.
func (c *committer) clean() bool { return c.unsync == 0 && len(c.pending) == 0 }

// finished says that a store that is being closed can end.
func (c *committer) finished(now time.Time) bool {
	if len(c.syncing) > 0 {
		return false
	}
	if c.clean() && len(c.taken) == 0 && len(c.garbage) == 0 {
		return true
	}
	if c.failed != nil && now.Before(c.retryAt) {
		c.d.closeErr = fmt.Errorf("what was committed last could not be stored: %w", c.failed)
		return true
	}
	return false
}

// tell says a trouble once, and once that it is over.
func (c *committer) tell() {
	var trouble error
	switch {
	case c.failed != nil:
		trouble = c.failed
	case c.reserve.lack != nil:
		trouble = c.reserve.lack
	case c.engineErr != nil && c.journalFull():
		trouble = fmt.Errorf("the journal is full and cannot be moved into the stored records: %w", c.engineErr)
	case c.overMax():
		trouble = ErrMaxBytes
	}
	if (trouble == nil) != (c.said == nil) || (trouble == ErrMaxBytes) != (c.said == ErrMaxBytes) {
		c.said = trouble
		c.o.OnTrouble(trouble)
	}
}

func (c *committer) overMax() bool {
	if c.o.MaxBytes <= 0 {
		return false
	}
	_, journal := c.journal.bytes()
	disk := c.d.keeper.disk.Load() + journal
	if c.tooLarge {
		c.tooLarge = disk > c.o.MaxBytes-c.o.MaxBytes/20
	} else {
		c.tooLarge = disk > c.o.MaxBytes
	}
	return c.tooLarge
}

// publish shows the counters to other threads.
func (c *committer) publish() {
	c.stats.DiskBytes, c.stats.JournalBytes = c.journal.bytes()
	if c.reserve.lack == nil && c.unusable == nil {
		c.stats.DiskBytes += c.reserve.bytes
	}
	c.stats.Messages = c.enc.bodies
	c.stats.Trouble = c.said
	c.d.mu.Lock()
	c.d.stats = c.stats
	c.d.mu.Unlock()
}

// setTimer sets the timer for what is due next; it does not run while nothing is.
func (c *committer) setTimer(now time.Time) {
	var next time.Time
	due := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	if !c.syncBy.IsZero() && len(c.syncing) == 0 && !c.again {
		due(c.syncBy)
	}
	if c.failed != nil && c.unusable == nil && len(c.syncing) == 0 {
		due(c.retryAt)
	}
	if c.reserve.lack != nil && c.failed == nil && c.unusable == nil {
		due(c.reserve.retry)
	}
	if len(c.ordered) == 0 && c.engineErr != nil && c.journalFull() {
		due(c.checkpointAt)
	}
	if _, held := c.journal.bytes(); c.tooLarge && len(c.ordered) == 0 && held > 0 {
		due(c.lastCheckpoint.Add(checkpointRetry))
	}
	if next.Equal(c.timerAt) {
		return
	}
	c.timerAt = next
	if next.IsZero() {
		c.timer.Stop()
		return
	}
	c.timer.Reset(max(next.Sub(now), 0))
}

// close gives back the files. It runs when the goroutines have ended.
func (c *committer) close() {
	select {
	case result := <-c.d.keeper.results:
		c.onCheckpoint(result, time.Now())
	default:
	}
	c.journal.close()
}
