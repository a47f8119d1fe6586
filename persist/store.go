package persist

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Options is what Open needs to know.
type Options struct {
	Dir    string // made if it is not there
	Policy Policy
	// SyncInterval is how long Balanced and Fast may leave something to the operating system; 0: a second.
	SyncInterval time.Duration
	// MaxBytes is the size of the directory from which on OnTrouble says ErrMaxBytes; 0: none. Batches are stored all the same.
	MaxBytes int64
	// CheckpointBytes is by how much the journal grows before it is moved into the engine; 0: 8 MiB. Up to eight times that, the
	// journal may grow while the engine falls behind. It is at most a sixteenth of MaxBytes.
	CheckpointBytes int64
	// OnTrouble is told why nothing can be stored, once, and nil when that is over. Any thread; it must not block.
	OnTrouble func(error)
	// Log takes whole sentences about what somebody should know. Any thread; may be nil.
	Log func(line string)
}

// ErrMaxBytes is the trouble of a directory that is larger than Options.MaxBytes. It is over when the directory is 5 % smaller.
var ErrMaxBytes = errors.New("the stored state has reached persistence_max_bytes: delete retained messages or sessions, or allow more")

const (
	syncIntervalDefault    = time.Second
	checkpointBytesDefault = 8 << 20
	checkpointBytesLeast   = 64 << 10 // where a small MaxBytes asks for less
	engineDir              = "engine"
)

// Disk is the Store in a directory.
type Disk struct {
	own    committer // of the committer's thread; of Restore's before
	keeper keeper
	lock   *os.File

	wake  chan struct{} // something for the committer; room for one
	ended chan struct{} // the committer has ended
	// closeErr is what could not be stored; read when ended is closed.
	closeErr error

	// mu guards what follows. It is held for a few instructions only.
	mu      sync.Mutex
	queue   []*Batch // committed, not yet taken by the committer; each shard has one at most
	syncs   []chan error
	started bool
	closing bool
	stats   Stats
}

// Open opens the store in o.Dir. Damage is no error, nor is a disk that cannot be written: it is said to o.Log, and what can be
// read is served. The errors are a directory that is in use (LockedError), and one that a newer version of the broker wrote.
func Open(o Options) (Store, error) {
	o.defaults()
	made := os.MkdirAll(o.Dir, 0o700)
	_ = osFiles(filepath.Dir(o.Dir)).syncDir() // its name must survive a power cut, too
	lock, note, err := takeLock(o.Dir)
	if err != nil {
		return nil, err
	}
	slack := int64(badgerSlack)
	if o.MaxBytes > 0 {
		slack = min(slack, max(o.MaxBytes/8, checkpointBytesLeast))
	}
	e, notes, err := openBadger(filepath.Join(o.Dir, engineDir), badgerOptions{slack: slack})
	if made != nil {
		err = made
	} else if note != "" {
		notes = append(notes, note)
	}
	if e == nil {
		e = unusable{err}
	}
	if err != nil {
		notes = append(notes, fmt.Sprintf("The stored state cannot be opened as it should be: %v.", err))
	}
	d, err := openDisk(o, osFiles(o.Dir), e, notes)
	if err != nil {
		_ = e.close()
		if lock != nil {
			_ = lock.Close()
		}
		return nil, fmt.Errorf("open %q: %w", o.Dir, err)
	}
	d.lock = lock
	return d, nil
}

func (o *Options) defaults() {
	if o.SyncInterval <= 0 {
		o.SyncInterval = syncIntervalDefault
	}
	if o.CheckpointBytes <= 0 {
		o.CheckpointBytes = checkpointBytesDefault
	}
	if o.MaxBytes > 0 {
		o.CheckpointBytes = min(o.CheckpointBytes, max(o.MaxBytes/16, checkpointBytesLeast))
	}
	if o.OnTrouble == nil {
		o.OnTrouble = func(error) {}
	}
	if o.Log == nil {
		o.Log = func(string) {}
	}
}

// unusable is an engine that could not be opened. Nothing is stored then: what is in it and what would be stored now would
// not go together at the next start.
type unusable struct{ err error }

func (u unusable) apply([]change) error                             { return u.err }
func (u unusable) each([]byte, func(key, value []byte) error) error { return nil }
func (u unusable) tidy(<-chan struct{}, bool) error                 { return nil }
func (u unusable) size() (disk, live int64)                         { return 0, 0 }
func (u unusable) close() error                                     { return nil }

// openDisk reads what is there. notes are said first.
func openDisk(o Options, fs files, e engine, notes []string) (*Disk, error) {
	id, through, made, err := readMark(e)
	if errors.Is(err, ErrNewer) {
		return nil, err
	}
	unread := err
	if err != nil {
		notes = append(notes, fmt.Sprintf("The stored records cannot be read: %v.", err))
	}
	aside, known := uint64(len(notes)), id != identity{}
	_, closed := e.(unusable)
	found, err := recoverJournal(fs, &id, through, unread == nil && !closed, stamp())
	if err != nil {
		return nil, err
	}
	if unread != nil {
		found.unusable = unread
	}
	for _, line := range append(notes, found.notes...) {
		o.Log(line)
	}
	d := &Disk{
		wake:  make(chan struct{}, 1),
		ended: make(chan struct{}),
	}
	d.keeper = keeper{
		files: fs, engine: e, id: id, made: made, through: through,
		orders: make(chan checkpoint, 1), results: make(chan checkpointed, 1), ended: make(chan struct{}),
		inbound: map[string]struct{}{}, log: o.Log, tidied: d.rouse,
	}
	if !known && found.unusable == nil { // a second copy of the identity, beside those in the journal
		d.keeper.made = time.Now().Unix()
		if err := e.apply([]change{d.keeper.mark(0)}); err != nil {
			o.Log(fmt.Sprintf("The stored state cannot be written: %v.", err))
		}
	}
	d.keeper.measure()
	d.own.init(d, o, fs, found)
	d.own.urgent = found.aside > 0
	d.own.stats.SetAside = aside + found.aside
	if u, ok := e.(unusable); ok {
		found.unusable = u.err
	}
	if found.unusable != nil {
		d.own.cannotStore(found.unusable)
	}
	return d, nil
}

// Restore gives everything that is stored to r, and lets the commits begin. Its error is always nil: what cannot be read is said
// to Options.Log and is a trouble that lasts.
func (d *Disk) Restore(r Restorer) error {
	c := &d.own
	c.found.over.sort()
	from := under{engine: d.keeper.engine, over: &c.found.over, saw: func(key []byte) {
		if key[0] == keyInbound {
			d.keeper.inbound[string(key)] = struct{}{}
		}
	}}
	found, err := restore(from, r)
	if err != nil {
		c.o.Log(fmt.Sprintf("Not all of the stored state is served: %v.", err))
		c.cannotStore(err)
	}
	c.enc.adopt(found)
	c.enc.nextBody = max(c.enc.nextBody, c.found.body)
	c.garbage, c.found = found.garbage, nil
	c.stats.SetAside += found.broken
	c.publish()
	if found.broken > 0 && err == nil {
		c.o.Log(fmt.Sprintf("%d stored records refer to something that is missing or cannot be read. They are dropped.", found.broken))
	}
	d.mu.Lock()
	d.started = true
	d.mu.Unlock()
	go d.keeper.run()
	go c.run()
	return nil
}

// Commit takes over a batch. Any thread.
func (d *Disk) Commit(b *Batch) {
	d.mu.Lock()
	d.queue = append(d.queue, b)
	d.mu.Unlock()
	d.rouse()
}

// rouse lets the committer look at what is there for it.
func (d *Disk) rouse() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// Sync returns when everything that was committed before would survive a power cut, or why it would not. While the disk fails,
// it makes the store try again at once. Any thread.
func (d *Disk) Sync() error {
	done := make(chan error, 1)
	d.mu.Lock()
	d.syncs = append(d.syncs, done)
	d.mu.Unlock()
	d.rouse()
	select {
	case err := <-done:
		return err
	case <-d.ended:
		select {
		case err := <-done:
			return err
		default:
			return d.closeErr
		}
	}
}

// Stats is what the store counts. Any thread.
func (d *Disk) Stats() Stats {
	d.mu.Lock()
	s := d.stats
	d.mu.Unlock()
	s.DiskBytes += d.keeper.disk.Load()
	s.LiveBytes = d.keeper.live.Load() + s.JournalBytes
	return s
}

// Close stores what was committed and gives the directory back. The error says what could not be stored.
func (d *Disk) Close() error {
	d.mu.Lock()
	started, twice := d.started, d.closing
	d.closing = true
	d.mu.Unlock()
	if twice {
		return d.closeErr
	}
	if started {
		d.keeper.stop.Store(true)
		d.rouse()
		<-d.ended
		d.own.stopKeeper()
		<-d.keeper.ended
		d.own.close()
	} else {
		close(d.ended)
	}
	err := d.closeErr
	if closed := d.keeper.engine.close(); err == nil {
		err = closed
	}
	if d.lock != nil {
		_ = d.lock.Close()
	}
	return err
}
