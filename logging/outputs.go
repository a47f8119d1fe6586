package logging

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/syslog"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// outputs is the destinations of one configuration and the text on its way to them. The writer's only, once it has been
// handed over.
type outputs struct {
	o     Options
	stamp stamp
	files []*os.File // stdout, stderr and the log file
	// file is the log file, also in files; nil where there is none or where it could not be opened.
	file   *os.File
	syslog *syslog.Writer // nil while there is none
	dialed time.Time      // when syslog was last looked for
	// syslogPath is a socket in place of the system's, for tests.
	syslogPath string
	sink       *atomic.Pointer[Sink]

	text  []byte // rendered lines for files
	lines uint64 // how many
	line  []byte // scratch: the present line
}

// open opens the destinations of o. previous is the log file so far: it stays open when it cannot be opened again.
func (l *Log) open(o Options, previous string) (*outputs, error) {
	if o.Name == "" {
		o.Name = "noctule"
	}
	out := &outputs{o: o, stamp: stamp{o: o}, sink: &l.sink}
	var errs []error
	if o.Stdout {
		out.files = append(out.files, os.Stdout)
	}
	if o.Stderr {
		out.files = append(out.files, os.Stderr)
	}
	if o.File != "" {
		file, err := os.OpenFile(o.File, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			errs = append(errs, sentence(fmt.Sprintf("Unable to open log file %s for writing. (%s)", o.File, reason(err))))
		} else {
			out.file = file
			out.files = append(out.files, file)
		}
	}
	if o.Syslog {
		if err := out.dial(time.Now()); err != nil {
			errs = append(errs, sentence(fmt.Sprintf("Unable to reach syslog: %s. It is looked for again with each line.", reason(err))))
		}
	}
	kept := out.file == nil && o.File != "" && o.File == previous
	if len(out.files) == 0 && out.syslog == nil && !o.Topic && !kept && o.somewhere() {
		out.o.Stderr = true
		out.files = append(out.files, os.Stderr)
	}
	return out, errors.Join(errs...)
}

// types is what these destinations take.
func (out *outputs) types() Types {
	if !out.o.somewhere() {
		return 0
	}
	return out.o.Types & AllTypes
}

// follow takes over from old and closes it.
func (out *outputs) follow(old *outputs) {
	if out.file == nil && out.o.File != "" && out.o.File == old.o.File && old.file != nil {
		out.file, old.file = old.file, nil
		out.files = append(out.files, out.file)
	}
	old.close()
}

func (out *outputs) close() {
	if out.file != nil {
		_ = out.file.Close() // its lines have been written, each with its own error
	}
	if out.syslog != nil {
		_ = out.syslog.Close()
	}
}

// writeBatch writes the records of a batch and returns how many lines a destination did not take.
func (out *outputs) writeBatch(batch []byte) (lost uint64) {
	for len(batch) > 0 {
		t := Type(batch[0])
		at := time.Unix(0, int64(binary.LittleEndian.Uint64(batch[1:])))
		n := int(binary.LittleEndian.Uint16(batch[9:]))
		text := batch[recordHead : recordHead+n]
		batch = batch[recordHead+n:]
		lost += out.writeLine(t, at, string(text))
		if len(out.text) >= writeBytes {
			lost += out.flush()
		}
	}
	return lost + out.flush()
}

// writeLine renders a line for the files and sends it to syslog and topic.
func (out *outputs) writeLine(t Type, at time.Time, line string) (lost uint64) {
	if out.o.JSON {
		out.line = appendJSON(out.line[:0], out.stamp.json(at), t, line)
	} else {
		out.line = appendPlain(append(out.line[:0], out.stamp.plain(at)...), line)
	}
	if len(out.files) > 0 {
		out.text = append(append(out.text, out.line...), '\n')
		out.lines++
	}
	if out.o.Syslog && out.writeSyslog(t, at) != nil {
		lost++
	}
	if sink := out.sink.Load(); out.o.Topic && sink != nil && published(t, line) {
		(*sink).Publish(kinds[t].topic, string(out.line))
	}
	return lost
}

// published is whether a line goes to its topic: not if it is about the log's own topics, where it could cause itself. A
// client's own subscription to them is no such thing.
func published(t Type, line string) bool {
	if kinds[t].topic == "" {
		return false
	}
	return t == Subscribe || t == Unsubscribe || !strings.Contains(line, "$SYS/broker/log/")
}

// flush writes the rendered lines to the files.
func (out *outputs) flush() (lost uint64) {
	if len(out.text) == 0 {
		return 0
	}
	for _, f := range out.files {
		if _, err := f.Write(out.text); err != nil {
			lost = out.lines
		}
	}
	out.text, out.lines = out.text[:0], 0
	return lost
}

func (out *outputs) writeSyslog(t Type, at time.Time) error {
	if out.syslog == nil {
		if at.Sub(out.dialed) < syslogRetry {
			return errNoSyslog
		}
		if err := out.dial(at); err != nil {
			return err
		}
	}
	line := string(out.line)
	switch kinds[t].severity {
	case syslog.LOG_ERR:
		return out.syslog.Err(line)
	case syslog.LOG_WARNING:
		return out.syslog.Warning(line)
	case syslog.LOG_NOTICE:
		return out.syslog.Notice(line)
	case syslog.LOG_INFO:
		return out.syslog.Info(line)
	}
	return out.syslog.Debug(line)
}

var errNoSyslog = errors.New("there is no syslog")

// dial looks for syslog. Once found it is found again by package syslog, at each line.
func (out *outputs) dial(at time.Time) error {
	facility := syslog.LOG_DAEMON
	if n := out.o.Facility; n >= 0 && n <= 7 {
		facility = syslog.LOG_LOCAL0 + syslog.Priority(n)<<3
	}
	out.dialed = at
	network := ""
	if out.syslogPath != "" {
		network = "unixgram"
	}
	w, err := syslog.Dial(network, out.syslogPath, facility|syslog.LOG_INFO, out.o.Name)
	if err != nil {
		return err
	}
	out.syslog = w
	return nil
}

// sentence is an error for people, in Mosquitto's words where it has some.
type sentence string

func (s sentence) Error() string { return string(s) }

// reason is an error of the system without the path, which the sentence around it has.
func reason(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return err.Error()
}
