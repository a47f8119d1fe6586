package logging

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// logFile is a path for a log, and its text.
func logFile(t *testing.T) string { return filepath.Join(t.TempDir(), "noctule.log") }

func content(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func open(t *testing.T, o Options) *Log {
	t.Helper()
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func closed(t *testing.T, l *Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestLinesOfTheChosenTypesReachTheFile(t *testing.T) {
	path := logFile(t)
	l := open(t, Options{File: path, Types: Types(0).With(Error).With(Subscribe)})
	l.Log(Error, "one")
	l.Log(Notice, "two")
	l.Logf(Subscribe, "%s %d %s", "me", 1, "a/b")
	closed(t, l)
	if got := content(t, path); got != "one\nme 1 a/b\n" {
		t.Errorf("got %q", got)
	}
	if l.Enabled(Notice) || !l.Enabled(Error) {
		t.Error("Enabled does not say what is written")
	}
}

func TestNothingIsEnabledWithoutDestination(t *testing.T) {
	l := open(t, Options{Types: AllTypes})
	defer closed(t, l)
	for i := range typesLen {
		if l.Enabled(i) {
			t.Errorf("%s is enabled", i)
		}
	}
}

func TestFlushWaitsForTheFile(t *testing.T) {
	path := logFile(t)
	l := open(t, Options{File: path, Types: AllTypes})
	defer closed(t, l)
	l.Log(Error, "one")
	l.Flush()
	if got := content(t, path); got != "one\n" {
		t.Errorf("got %q", got)
	}
}

func TestFileIsAppendedToAndPrivate(t *testing.T) {
	path := logFile(t)
	for _, line := range []string{"first", "second"} {
		l := open(t, Options{File: path, Types: AllTypes})
		l.Log(Error, line)
		closed(t, l)
	}
	if got := content(t, path); got != "first\nsecond\n" {
		t.Errorf("got %q", got)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, error %v, want 0600 as Mosquitto's", info.Mode(), err)
	}
}

// TestReopenSplitsAtTheCall: what was logged before goes to the moved file, what comes after to the new one.
func TestReopenSplitsAtTheCall(t *testing.T) {
	path := logFile(t)
	l := open(t, Options{File: path, Types: AllTypes})
	l.Log(Error, "before")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	l.Log(Error, "after")
	closed(t, l)
	if before, after := content(t, path+".1"), content(t, path); before != "before\n" || after != "after\n" {
		t.Errorf("before %q, after %q", before, after)
	}
}

func TestFileThatCannotBeReopenedStaysOpen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	l := open(t, Options{File: filepath.Join(dir, "l"), Types: AllTypes})
	if err := os.Rename(dir, dir+".1"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := l.Reopen(); err == nil || !strings.HasPrefix(err.Error(), "Unable to open log file "+dir+"/l for writing.") {
			t.Errorf("error %v", err)
		}
	}
	l.Log(Error, "kept")
	closed(t, l)
	if got := content(t, filepath.Join(dir+".1", "l")); got != "kept\n" {
		t.Errorf("got %q", got)
	}
}

func TestFileThatCannotBeOpenedIsSaidAndOthersGoOn(t *testing.T) {
	path := logFile(t)
	l, err := Open(Options{File: filepath.Join(t.TempDir(), "missing", "l"), Stderr: true, Types: AllTypes})
	if err == nil || !strings.Contains(err.Error(), "for writing. (no such file or directory)") {
		t.Errorf("error %v", err)
	}
	if err := l.Configure(Options{File: path, Types: AllTypes}); err != nil {
		t.Fatal(err)
	}
	l.Log(Error, "here")
	closed(t, l)
	if got := content(t, path); got != "here\n" {
		t.Errorf("got %q", got)
	}
}

// TestNothingIsLostWhileManyThreadsLog holds the promise of normal operation: every line, in each thread's order.
func TestNothingIsLostWhileManyThreadsLog(t *testing.T) {
	const threads, lines = 8, 2000
	path := logFile(t)
	l := open(t, Options{File: path, Types: AllTypes})
	var wg sync.WaitGroup
	for n := range threads {
		wg.Go(func() {
			for i := range lines {
				l.Logf(Notice, "%d %d", n, i)
			}
		})
	}
	wg.Wait()
	closed(t, l)
	var next [threads]int
	for line := range strings.Lines(content(t, path)) {
		var n, i int
		if _, err := fmt.Sscanf(line, "%d %d\n", &n, &i); err != nil || i != next[n] {
			t.Fatalf("line %q, want number %d, error %v", line, next[n], err)
		}
		next[n]++
	}
	for n := range next {
		if next[n] != lines {
			t.Errorf("thread %d: %d lines", n, next[n])
		}
	}
	if l.Lost() != 0 {
		t.Errorf("%d lines lost", l.Lost())
	}
}

// TestSlowDestinationLosesLinesAndSaysHowMany fills the queue while nobody reads the destination.
func TestSlowDestinationLosesLinesAndSaysHowMany(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	l := &Log{wake: make(chan struct{}, 1), done: make(chan struct{})}
	out := &outputs{o: Options{Types: AllTypes, Stderr: true}, files: []*os.File{w}, sink: &l.sink}
	l.types.Store(uint32(AllTypes))
	go l.write(out)
	line := strings.Repeat("x", 1000)
	logged := 0
	for ; l.Lost() < 5; logged++ {
		l.Log(Error, line)
	}
	l.mu.Lock()
	if n := len(l.waiting); n > queueBytesMax {
		t.Errorf("%d bytes wait", n)
	}
	l.mu.Unlock()
	text := make(chan []string)
	go func() {
		defer r.Close()
		var all []byte
		buf := make([]byte, 1<<16)
		for {
			n, err := r.Read(buf)
			all = append(all, buf[:n]...)
			if err != nil {
				break
			}
		}
		text <- strings.Split(strings.TrimSuffix(string(all), "\n"), "\n")
	}()
	closed(t, l)
	w.Close()
	written, told := 0, 0
	for _, s := range <-text {
		var n int
		if _, err := fmt.Sscanf(s, "Warning: %d log lines were left out", &n); err == nil {
			told += n
		} else if s == line {
			written++
		}
	}
	if told == 0 || uint64(told) != l.Lost() || written+told != logged {
		t.Errorf("logged %d, written %d, said to be lost %d, counted %d", logged, written, told, l.Lost())
	}
}

func TestCloseDoesNotWaitForever(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	l := &Log{wake: make(chan struct{}, 1), done: make(chan struct{})}
	l.types.Store(uint32(AllTypes))
	go l.write(&outputs{o: Options{Types: AllTypes, Stderr: true}, files: []*os.File{w}, sink: &l.sink})
	for range 1000 {
		l.Log(Error, strings.Repeat("x", 1000))
	}
	if err := l.Close(); err != ErrStuck {
		t.Errorf("error %v", err)
	}
}

func TestJSONLines(t *testing.T) {
	path := logFile(t)
	l := open(t, Options{File: path, Types: AllTypes, JSON: true, Timestamp: true})
	lines := []string{"plain", `with "quotes" and \`, "tab\tand\nline\x7f", "no UTF-8 \xff", "grüße <&>"}
	before := time.Now().Add(-time.Millisecond)
	for _, line := range lines {
		l.Log(Notice, line)
	}
	closed(t, l)
	got := strings.Split(strings.TrimSuffix(content(t, path), "\n"), "\n")
	if len(got) != len(lines) {
		t.Fatalf("%d lines:\n%s", len(got), strings.Join(got, "\n"))
	}
	for i, text := range got {
		var o struct {
			TS         time.Time
			Level, Msg string
		}
		if err := json.Unmarshal([]byte(text), &o); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if want := strings.ToValidUTF8(lines[i], "\ufffd"); o.Msg != want || o.Level != "notice" || o.TS.Before(before) {
			t.Errorf("%s, want %q", text, want)
		}
	}
}

func TestClientTextCannotBeginALine(t *testing.T) {
	if got := string(appendPlain(nil, "Client a\n1: forged\r\x00\x7f\tb [x]")); got != `Client a\x0a1: forged\x0d\x00\x7f`+"\tb [x]" {
		t.Errorf("got %q", got)
	}
}

func TestLongLineIsCut(t *testing.T) {
	path := logFile(t)
	l := open(t, Options{File: path, Types: AllTypes})
	l.Log(Error, strings.Repeat("x", lineBytesMax+1))
	closed(t, l)
	if got := content(t, path); len(got) != lineBytesMax+1 {
		t.Errorf("%d bytes", len(got))
	}
}

// collected keeps what a Sink gets.
type collected struct{ lines []string }

func (c *collected) Publish(topic, line string) { c.lines = append(c.lines, topic+" "+line) }

func TestTopicsOfLines(t *testing.T) {
	l := open(t, Options{Topic: true, Types: AllTypes})
	var sink collected
	l.SetSink(&sink)
	for i := range typesLen {
		l.Log(i, i.String())
	}
	l.Log(Warning, "Outgoing messages are being dropped for client x: $SYS/broker/log/N")
	l.Log(Subscribe, "x 0 $SYS/broker/log/#")
	closed(t, l)
	want := []string{
		"$SYS/broker/log/E error", "$SYS/broker/log/W warning", "$SYS/broker/log/N notice", "$SYS/broker/log/I information",
		"$SYS/broker/log/M/subscribe subscribe", "$SYS/broker/log/M/unsubscribe unsubscribe", "$SYS/broker/log/WS websockets",
		"$SYS/broker/log/M/subscribe x 0 $SYS/broker/log/#",
	}
	if strings.Join(sink.lines, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(sink.lines, "\n"), strings.Join(want, "\n"))
	}
}

func TestSyslogLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	server, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	f := func(facility int, ty Type, want string) {
		t.Helper()
		l := &Log{wake: make(chan struct{}, 1), done: make(chan struct{})}
		l.types.Store(uint32(AllTypes))
		o := Options{Syslog: true, Types: AllTypes, Facility: facility, Name: "mosquitto", Timestamp: true}
		out := &outputs{o: o, stamp: stamp{o: o}, sink: &l.sink, syslogPath: path}
		go l.write(out)
		l.Log(ty, "hello")
		closed(t, l)
		buf := make([]byte, 1000)
		_ = server.SetReadDeadline(time.Now().Add(10 * time.Second))
		n, err := server.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		var stamp [3]string
		var priority, pid, unix int
		if _, err := fmt.Sscanf(string(buf[:n]), "<%d>%s %s %s mosquitto[%d]: %d: hello\n", &priority, &stamp[0], &stamp[1], &stamp[2], &pid, &unix); err != nil ||
			fmt.Sprint(priority) != want || pid != os.Getpid() {
			t.Errorf("got %q, want priority %s, error %v", buf[:n], want, err)
		}
	}
	f(-1, Information, "30")
	f(-1, Error, "27")
	f(-1, Notice, "29")
	f(5, Information, "174")
	f(0, Debug, "135")
}

func TestStrftime(t *testing.T) {
	at := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	if got := strftime("%Y-%m-%dT%H:%M:%S%z %j %% %Q", at); got != "2026-02-03T04:05:06+0000 034 % %Q" {
		t.Errorf("got %q", got)
	}
}

func TestTimestamps(t *testing.T) {
	f := func(o Options, at time.Time, want string) {
		t.Helper()
		s := stamp{o: o}
		if got := string(s.plain(at)); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	at := time.Unix(1795265778, 5).UTC()
	f(Options{}, at, "")
	f(Options{Timestamp: true}, at, "1795265778: ")
	f(Options{Timestamp: true, TimestampFormat: "%Y-%m-%dT%H:%M:%S"}, at, at.Format("2006-01-02T15:04:05: "))
}
