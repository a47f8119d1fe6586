package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/noctulemq/noctule/config"
	"github.com/noctulemq/noctule/shard"
)

// logLines is how many lines may wait for the writer; beyond it lines are counted and left out, so that a slow
// terminal or disk never stops a loop.
const logLines = 8192

// logger writes log lines in Mosquitto's form from a goroutine of its own. It implements shard.Logger.
type logger struct {
	lines   chan string
	dropped atomic.Uint64
	enabled [shard.LogDebug + 1]bool
	stamp   func(time.Time) string
	outputs []io.Writer
	files   []*os.File
	done    sync.WaitGroup
}

// openLog opens the destinations of the configuration and starts the writer.
func openLog(c config.LogConfig, f flags) (*logger, error) {
	l := &logger{lines: make(chan string, logLines), stamp: stampFunc(c)}
	if !f.quiet {
		if err := l.open(c); err != nil {
			return nil, err
		}
	}
	if len(l.outputs) > 0 {
		for t, name := range [...]string{"error", "warning", "notice", "information", "debug"} {
			l.enabled[t] = f.verbose || c.Types.Has(name)
		}
	}
	l.done.Add(1)
	go l.write()
	return l, nil
}

func (l *logger) open(c config.LogConfig) error {
	for _, d := range c.Dest {
		switch d.Kind {
		case "stderr":
			l.outputs = append(l.outputs, os.Stderr)
		case "stdout":
			l.outputs = append(l.outputs, os.Stdout)
		case "file":
			file, err := os.OpenFile(d.Path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
			if err != nil {
				return fmt.Errorf("unable to open log file %s for writing: %w", d.Path, err)
			}
			l.outputs = append(l.outputs, file)
			l.files = append(l.files, file)
		}
	}
	return nil
}

// stampFunc returns what stands before each line.
func stampFunc(c config.LogConfig) func(time.Time) string {
	switch {
	case !c.Timestamp:
		return func(time.Time) string { return "" }
	case c.TimestampFormat != "":
		return func(t time.Time) string { return strftime(c.TimestampFormat, t) + ": " }
	}
	return func(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) + ": " }
}

// Enabled implements shard.Logger.
func (l *logger) Enabled(t shard.LogType) bool { return l.enabled[t] }

// Log implements shard.Logger.
func (l *logger) Log(t shard.LogType, line string) {
	if !l.enabled[t] {
		return
	}
	select {
	case l.lines <- l.stamp(time.Now()) + line + "\n":
	default:
		l.dropped.Add(1)
	}
}

// Printf writes a line of the command itself, as notice.
func (l *logger) Printf(format string, args ...any) {
	l.Log(shard.LogNotice, fmt.Sprintf(format, args...))
}

// write is the writer: it collects what is there and writes it at once.
func (l *logger) write() {
	defer l.done.Done()
	w := bufio.NewWriterSize(io.MultiWriter(l.outputs...), 32<<10)
	for line := range l.lines {
		_, _ = w.WriteString(line) // nowhere to report a failing log
		if n := l.dropped.Swap(0); n > 0 {
			fmt.Fprintf(w, "%sWarning: %d log lines were left out: the log destination is too slow.\n", l.stamp(time.Now()), n)
		}
		if len(l.lines) == 0 {
			_ = w.Flush()
		}
	}
	_ = w.Flush()
}

// Close writes what waits and closes the files.
func (l *logger) Close() {
	close(l.lines)
	l.done.Wait()
	for _, f := range l.files {
		f.Close()
	}
}
