package logging

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Options is where lines go, which of them, and how they look.
type Options struct {
	// The destinations. Facility is syslog's local0 to local7, or -1 for daemon; Name is what syslog calls the program.
	Stdout, Stderr, Syslog, Topic bool
	File                          string // path; empty: none
	Facility                      int
	Name                          string

	Types Types
	// Timestamp puts the time before each line: in TimestampFormat (strftime), or as Unix seconds where that is empty.
	Timestamp       bool
	TimestampFormat string
	// JSON writes one object a line: ts (RFC 3339 without TimestampFormat), level, msg.
	JSON bool
}

// somewhere is whether a line has any place to go.
func (o *Options) somewhere() bool {
	return o.Stdout || o.Stderr || o.Syslog || o.Topic || o.File != ""
}

// Sink publishes a line of `log_dest topic`. It is called by the writer only, must not wait, and must not log: what it
// cannot publish is lost.
type Sink interface {
	Publish(topic, line string)
}

// Log is a log. Log, Logf, Enabled and Lost may be called from every thread; Configure, Reopen, SetSink and Close from
// one goroutine, which must not be a loop's because they open files.
type Log struct {
	// Any thread, atomic.
	types atomic.Uint32
	lost  atomic.Uint64
	sink  atomic.Pointer[Sink]

	// mu guards what the threads hand to the writer. It is held for as long as a line is copied.
	mu      sync.Mutex
	waiting []byte        // records: type (1 byte), Unix nanoseconds (8), length (2), line; at most queueBytesMax
	next    *outputs      // takes the place of the present ones
	nextAt  int           // for what stands in waiting from here on
	flushed chan struct{} // closed by the writer when what waits has been written; nil when nobody asks
	closed  bool

	wake chan struct{} // holds one signal: something waits
	done chan struct{} // closed by the writer

	options Options // of the last Configure; its caller's only
}

const recordHead = 1 + 8 + 2

// Open starts a log. It always returns one; the error says which destinations are not there, and the lines go to the
// others, or to stderr when there is no other.
func Open(o Options) (*Log, error) {
	l := &Log{wake: make(chan struct{}, 1), done: make(chan struct{}), options: o}
	out, err := l.open(o, "")
	l.types.Store(uint32(out.types()))
	go l.write(out)
	return l, err
}

// Configure changes everything at once: lines that were logged before go where they went so far. A log file is closed
// and opened again. Errors as for Open, but a file of the same name that cannot be opened again stays open.
func (l *Log) Configure(o Options) error {
	out, err := l.open(o, l.options.File)
	l.options = o
	l.types.Store(uint32(out.types()))
	l.mu.Lock()
	if l.next != nil { // a change that the writer has not come to
		l.next.close()
	}
	l.next, l.nextAt = out, len(l.waiting)
	l.mu.Unlock()
	l.signal()
	return err
}

// Reopen closes the log file and opens it again, for log rotation.
func (l *Log) Reopen() error { return l.Configure(l.options) }

// SetSink says who publishes the lines of `log_dest topic`; lines before are in no topic.
func (l *Log) SetSink(s Sink) { l.sink.Store(&s) }

// Enabled is whether lines of a type go anywhere.
func (l *Log) Enabled(t Type) bool { return l.types.Load()&(1<<t) != 0 }

// Lost is how many lines have been left out so far because a destination was too slow or failed.
func (l *Log) Lost() uint64 { return l.lost.Load() }

// Log writes a line. It does not wait.
func (l *Log) Log(t Type, line string) {
	if !l.Enabled(t) {
		return
	}
	if len(line) > lineBytesMax {
		line = line[:lineBytesMax]
	}
	at := time.Now().UnixNano()
	l.mu.Lock()
	first := len(l.waiting) == 0
	if l.closed || len(l.waiting)+recordHead+len(line) > queueBytesMax {
		l.mu.Unlock()
		l.lost.Add(1)
		return
	}
	b := append(l.waiting, byte(t))
	b = binary.LittleEndian.AppendUint64(b, uint64(at))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(line)))
	l.waiting = append(b, line...)
	l.mu.Unlock()
	if first {
		l.signal()
	}
}

// Logf formats a line and writes it.
func (l *Log) Logf(t Type, format string, args ...any) {
	if l.Enabled(t) {
		l.Log(t, fmt.Sprintf(format, args...))
	}
}

func (l *Log) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Flush waits until the destinations have what was logged so far, at most closeWait long.
func (l *Log) Flush() {
	l.mu.Lock()
	if l.flushed == nil {
		l.flushed = make(chan struct{})
	}
	flushed := l.flushed
	l.mu.Unlock()
	l.signal()
	timer := time.NewTimer(closeWait)
	defer timer.Stop()
	select {
	case <-flushed:
	case <-l.done:
	case <-timer.C:
	}
}

// ErrStuck says that a destination did not take its lines before the end.
var ErrStuck = errors.New("the log could not be written to its end")

// Close writes what waits and closes the destinations; at most closeWait long, or ErrStuck.
func (l *Log) Close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.signal()
	timer := time.NewTimer(closeWait)
	defer timer.Stop()
	select {
	case <-l.done:
		return nil
	case <-timer.C:
		return ErrStuck
	}
}

// write is the writer.
func (l *Log) write(out *outputs) {
	defer close(l.done)
	var batch []byte
	var told uint64
	var toldAt time.Time
	for range l.wake {
		if cap(batch) > spareBytesMax {
			batch = nil
		}
		l.mu.Lock()
		batch, l.waiting = l.waiting, batch[:0]
		next, at, flushed, closed := l.next, l.nextAt, l.flushed, l.closed
		l.next, l.flushed = nil, nil
		l.mu.Unlock()

		if next != nil {
			l.lost.Add(out.writeBatch(batch[:at]))
			next.follow(out)
			out, batch = next, batch[at:]
		}
		l.lost.Add(out.writeBatch(batch))
		if n := l.lost.Load(); n > told && (closed || time.Since(toldAt) > lostInterval) {
			toldAt = time.Now()
			out.writeLine(Warning, toldAt, fmt.Sprintf(
				"Warning: %d log lines were left out: a log destination is too slow or fails.", n-told))
			if out.flush() == 0 {
				told = n
			}
		}
		if flushed != nil {
			close(flushed)
		}
		if closed {
			out.close()
			return
		}
	}
}
