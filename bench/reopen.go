package bench

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"
)

// `noctule bench restart`: a broker is filled with retained messages and queues, stopped, started again, and asked for
// what it had.

const (
	// reopenWindow is how many messages wait for their acknowledgements while a broker is filled.
	reopenWindow = 1000
	// reopenTimeout bounds a stop and a start.
	reopenTimeout = 5 * time.Minute
	// reopenPoll is the time between two attempts to connect to a broker that starts.
	reopenPoll = 2 * time.Millisecond
)

// reopenOptions is the command line of restart.
type reopenOptions struct {
	retained, sessions, queued int // retained messages; sessions, and how many messages wait in each
	payloadBytes               int
	commit                     string
	check                      bool
	settle                     time.Duration
	dir                        string
	cpus                       [2]int
	specs                      []brokerSpec
	jsonPath                   string
}

// reopenResult is what one broker did. Times are in seconds.
type reopenResult struct {
	Broker       string `json:"broker"`
	Error        string `json:"error,omitempty"`
	Retained     int    `json:"retained"`
	Sessions     int    `json:"sessions"`
	Queued       int    `json:"queued_per_session"`
	PayloadBytes int    `json:"payload_bytes"`
	Commit       string `json:"commit"`
	FileSystem   string `json:"file_system"`

	FillSeconds   float64 `json:"fill_seconds"`
	FullResident  int64   `json:"full_resident_bytes"` // before the stop
	StopSeconds   float64 `json:"stop_seconds"`        // from SIGTERM until the process was gone
	DiskBytes     int64   `json:"disk_bytes"`          // after it
	ConnackAfter  float64 `json:"connack_after"`       // from the start of the process
	RetainedAfter float64 `json:"retained_after"`      // until a retained message came; 0 if there is none
	QueuedAfter   float64 `json:"queued_after"`        // until a session had its first message; 0 if there is none
	Resident      int64   `json:"resident_bytes"`      // then
	IdleResident  int64   `json:"idle_resident_bytes"` // after settling
	PeakResident  int64   `json:"peak_resident_bytes"` // since the start
	StartCPU      float64 `json:"start_cpu_seconds"`   // of the broker until the last of these answers
	CheckSeconds  float64 `json:"check_seconds,omitempty"`
	LastStop      float64 `json:"last_stop_seconds"` // the stop at the end, with what the check left
}

// runReopen is `noctule bench restart`.
func runReopen(args []string, out, progress io.Writer) error {
	o, err := parseReopen(args, progress)
	if err != nil {
		return err
	}
	if err := prepare(o.cpus[1]); err != nil {
		return err
	}
	return reopenAll(o, out, progress)
}

func parseReopen(args []string, output io.Writer) (o reopenOptions, err error) {
	flags := flag.NewFlagSet("noctule bench restart", flag.ContinueOnError)
	flags.SetOutput(output)
	brokers := flags.String("brokers", "noctule", "comma-separated `names` of brokers known here; 'none' for peers only")
	var more peers
	flags.Var(&more, "peer", "another broker as `NAME=COMMAND`, with {conf} in the command; may be repeated")
	flags.IntVar(&o.retained, "retained", 1_000_000, "`number` of retained messages")
	flags.IntVar(&o.sessions, "sessions", 10_000, "`number` of sessions whose clients are away")
	flags.IntVar(&o.queued, "queued", 100, "`number` of messages that wait in each session")
	flags.IntVar(&o.payloadBytes, "payload", 64, "`bytes` of each message")
	flags.StringVar(&o.commit, "commit", "balanced", "persistence_commit of Noctule, a `policy`: strict, balanced or fast")
	flags.BoolVar(&o.check, "check", true, "after the restart, fetch everything and compare")
	flags.DurationVar(&o.settle, "settle", 3*time.Second, "`time` after the restart until the resident memory is read again")
	flags.StringVar(&o.dir, "dir", ".", "`directory` on the disk below which brokers store")
	flags.StringVar(&o.jsonPath, "json", "", "write the results to this `file`")
	cpus := flags.String("cpus", "-1,-1", "CPUs of the broker and of the generator; -1 leaves one unbound")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return o, err
		}
		return o, usageError{err}
	}
	switch {
	case o.retained < 0 || o.retained > 10_000_000 || o.sessions < 0 || o.sessions > 100_000 || o.queued < 0 || o.queued > 60_000:
		err = errors.New("restart: want at most 10000000 -retained, 100000 -sessions and 60000 -queued, none below 0")
	case o.payloadBytes < payloadBytesMin || o.payloadBytes > readBytes/4:
		err = fmt.Errorf("restart: want a -payload of %d to %d bytes", payloadBytesMin, readBytes/4)
	case setDurable(&scenario{}, o.commit) != nil:
		err = fmt.Errorf("restart: -commit %q: want strict, balanced or fast", o.commit)
	case flags.NArg() > 0:
		err = errors.New("restart: no arguments are wanted behind the flags; see -help")
	default:
		if o.cpus, err = parseCPUs(*cpus); err == nil {
			o.specs, err = pickBrokers(*brokers, more)
		}
	}
	for _, spec := range o.specs {
		if why := spec.lacks(scenario{durable: o.commit}); why != "" || spec.name == memoryName || spec.port != 0 {
			err = fmt.Errorf("restart: %s does not store, or no configuration is known here with which it does", spec.name)
		}
	}
	if err != nil {
		return o, usageError{err}
	}
	return o, nil
}

func reopenAll(o reopenOptions, out, progress io.Writer) error {
	var results []reopenResult
	failed := 0
	for _, spec := range o.specs {
		r := reopenBroker(spec, o, progress)
		if r.Error != "" {
			failed++
		}
		results = append(results, r)
	}
	printReopen(out, o, results)
	if o.jsonPath != "" {
		text, err := json.MarshalIndent(results, "", "  ")
		if err != nil {
			return fmt.Errorf("encode the results: %w", err)
		}
		if err := os.WriteFile(o.jsonPath, append(text, '\n'), 0o644); err != nil {
			return fmt.Errorf("write the results: %w", err)
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d brokers failed", failed, len(results))
	}
	return nil
}

// reopenBroker takes one broker through all of it. A failure keeps what was measured, with the reason in Error.
func reopenBroker(spec brokerSpec, o reopenOptions, progress io.Writer) reopenResult {
	r := reopenResult{Broker: spec.name, Retained: o.retained, Sessions: o.sessions, Queued: o.queued,
		PayloadBytes: o.payloadBytes, Commit: o.commit, FileSystem: fileSystem(o.dir)}
	start := brokerStart{cpu: o.cpus[0], nodelay: true, lines: spec.durableLines(o.commit, false), under: o.dir}
	b, err := startBroker(spec, start)
	if err != nil {
		r.Error = err.Error()
		return r
	}
	n := &reopener{o: o, b: b, r: &r, progress: progress}
	if err := n.run(); err != nil {
		r.Error = fmt.Sprintf("%v%s", err, b.logTail())
	}
	if err := b.stop(); err != nil {
		r.Error = errors.Join(errors.New(r.Error), err).Error()
	}
	return r
}

// reopener is a broker on its way through a restart.
type reopener struct {
	o        reopenOptions
	b        *broker
	r        *reopenResult
	progress io.Writer
}

func (n *reopener) run() error {
	begun := time.Now()
	if err := n.fill(); err != nil {
		return fmt.Errorf("fill: %w", err)
	}
	n.r.FillSeconds = time.Since(begun).Seconds()
	var err error
	if n.r.FullResident, err = residentBytes(n.b.cmd.Process.Pid); err != nil {
		return err
	}
	n.say("stop")
	if n.r.StopSeconds, err = n.halt(); err != nil {
		return err
	}
	n.r.DiskBytes = diskBytes(n.b.dir)
	n.say("start again")
	if err := n.serve(); err != nil {
		return fmt.Errorf("start again: %w", err)
	}
	time.Sleep(n.o.settle)
	if err := n.readMemory(); err != nil {
		return err
	}
	if n.o.check {
		n.say("check")
		begun = time.Now()
		if err := n.checkAll(); err != nil {
			return fmt.Errorf("check: %w", err)
		}
		n.r.CheckSeconds = time.Since(begun).Seconds()
	}
	n.r.LastStop, err = n.halt()
	return err
}

func (n *reopener) halt() (seconds float64, err error) {
	took, err := n.b.halt(reopenTimeout)
	if err == nil && took >= reopenTimeout {
		err = fmt.Errorf("it did not stop within %v and was killed", reopenTimeout)
	}
	return took.Seconds(), err
}

func (n *reopener) say(what string) { fmt.Fprintf(n.progress, "%s: %s\n", n.r.Broker, what) }

// fill stores the retained messages, makes the sessions, and publishes to each what waits there.
func (n *reopener) fill() error {
	n.say(fmt.Sprintf("store %d retained messages", n.o.retained))
	c, err := dialClient(n.b.port, "load-fill", "", 0)
	if err != nil {
		return err
	}
	defer c.close()
	l := newLine(c)
	if err := l.publishAll(n.o.retained, n.o.payloadBytes, flagRetain, func(k int) lineMessage {
		return lineMessage{reopenTopic(k), stamp{seq: uint64(k), pub: storedPub}}
	}); err != nil {
		return err
	}
	n.say(fmt.Sprintf("make %d sessions", n.o.sessions))
	for i := range n.o.sessions {
		s, err := dialSession(n.b.port, reopenSession(i), reopenQueue(i), 1)
		if err != nil {
			return err
		}
		s.close()
	}
	n.say(fmt.Sprintf("queue %d messages in each", n.o.queued))
	return l.publishAll(n.o.sessions*n.o.queued, n.o.payloadBytes, 0, func(k int) lineMessage {
		i := k % n.o.sessions
		return lineMessage{reopenQueue(i), stamp{seq: uint64(k / n.o.sessions), pub: uint32(i)}}
	})
}

// serve starts the broker and waits until it answers a CONNECT, has given out a retained message, and the first one of a
// queue.
func (n *reopener) serve() error {
	begun := time.Now()
	if err := n.b.spawn(); err != nil {
		return err
	}
	c, err := n.connectSoon(begun)
	if err != nil {
		return err
	}
	defer c.close()
	n.r.ConnackAfter = time.Since(begun).Seconds()
	if k := n.o.retained - 1; k >= 0 {
		l := newLine(c)
		if err := l.write(appendSubscribe(nil, reopenTopic(k), 0)); err != nil {
			return err
		}
		if err := l.await(packetSuback); err != nil {
			return err
		}
		if err := l.expect(reopenTopic(k), stamp{seq: uint64(k), pub: storedPub}, n.o.payloadBytes); err != nil {
			return fmt.Errorf("retained message on %s: %w", reopenTopic(k), err)
		}
		n.r.RetainedAfter = time.Since(begun).Seconds()
	}
	if i := n.o.sessions - 1; i >= 0 && n.o.queued > 0 {
		l, err := n.resume(i)
		if err != nil {
			return err
		}
		defer l.c.close()
		if err := l.expect(reopenQueue(i), stamp{pub: uint32(i)}, n.o.payloadBytes); err != nil {
			return fmt.Errorf("first message of session %d: %w", i, err)
		}
		n.r.QueuedAfter = time.Since(begun).Seconds()
	}
	cpu, err := processCPUNs(n.b.cmd.Process.Pid)
	if err != nil {
		return err
	}
	n.r.StartCPU = float64(cpu) / 1e9
	n.r.Resident, err = residentBytes(n.b.cmd.Process.Pid)
	return err
}

// connectSoon connects as soon as the broker answers.
func (n *reopener) connectSoon(begun time.Time) (*client, error) {
	for {
		c, err := dialClient(n.b.port, "load-probe", "", 0)
		if err == nil {
			return c, nil
		}
		select {
		case exit := <-n.b.exited:
			n.b.exited <- exit
			return nil, fmt.Errorf("it ended at once (%v)", exit)
		case <-time.After(reopenPoll):
		}
		if time.Since(begun) > reopenTimeout {
			return nil, fmt.Errorf("no answer within %v: %w", reopenTimeout, err)
		}
	}
}

// resume connects to session i.
func (n *reopener) resume(i int) (*line, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open a socket: %w", err)
	}
	l := newLine(&client{fd: fd})
	err = l.c.open(n.b.port)
	if err == nil {
		err = l.write(appendResume(nil, reopenSession(i)))
	}
	var p packet
	if err == nil {
		p, err = l.read()
	}
	if err == nil && (p.first != packetConnack || len(p.body) != 2 || p.body[0] != 1 || p.body[1] != 0) {
		err = fmt.Errorf("session %d is not there: packet 0x%02x % x", i, p.first, p.body)
	}
	if err != nil {
		l.c.close()
		return nil, err
	}
	return l, nil
}

func (n *reopener) readMemory() (err error) {
	pid := n.b.cmd.Process.Pid
	if n.r.IdleResident, err = residentBytes(pid); err != nil {
		return err
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	n.r.PeakResident = procNumber(text, "VmHWM:") << 10
	return err
}

// checkAll fetches every retained message and every queue, and compares.
func (n *reopener) checkAll() error {
	if n.o.retained > 0 {
		if err := n.checkRetained(); err != nil {
			return err
		}
	}
	for i := range n.o.sessions {
		if err := n.checkQueue(i); err != nil {
			return err
		}
	}
	return nil
}

func (n *reopener) checkRetained() error {
	c, err := dialClient(n.b.port, "load-check", "", 0)
	if err != nil {
		return err
	}
	defer c.close()
	l := newLine(c)
	if err := l.write(appendSubscribe(nil, "+/+/state", 0)); err != nil {
		return err
	}
	if err := l.await(packetSuback); err != nil {
		return err
	}
	came := make([]bool, n.o.retained)
	for have := range n.o.retained {
		m, s, err := l.message(n.o.payloadBytes)
		if err != nil {
			return fmt.Errorf("%d of %d retained messages came: %w", have, n.o.retained, err)
		}
		k := int(s.seq)
		if s.pub != storedPub || k >= len(came) || came[k] || string(m.topic) != reopenTopic(k) {
			return fmt.Errorf("retained message %d on %s came twice or on another topic", k, m.topic)
		}
		came[k] = true
	}
	return nil
}

func (n *reopener) checkQueue(i int) error {
	l, err := n.resume(i)
	if err != nil {
		return err
	}
	defer l.c.close()
	for k := range n.o.queued {
		if err := l.expect(reopenQueue(i), stamp{seq: uint64(k), pub: uint32(i)}, n.o.payloadBytes); err != nil {
			return fmt.Errorf("message %d of session %d: %w", k, i, err)
		}
		if err := l.acknowledge(); err != nil {
			return err
		}
	}
	return nil
}

// reopenTopic is the topic of retained message k: a thousand devices at each site.
func reopenTopic(k int) string { return fmt.Sprintf("site%04d/device%03d/state", k/1000, k%1000) }

func reopenSession(i int) string { return fmt.Sprintf("load-away-%05d", i) }

func reopenQueue(i int) string { return fmt.Sprintf("queue/%05d", i) }

func printReopen(w io.Writer, o reopenOptions, results []reopenResult) {
	fmt.Fprintf(w, "\n%d retained messages, %d sessions with %d messages each, %d bytes; persistence_commit %s; on %s\n",
		o.retained, o.sessions, o.queued, o.payloadBytes, o.commit, fileSystem(o.dir))
	mib := func(n int64) float64 { return float64(n) / (1 << 20) }
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "broker\tfill s\tstop s\tMiB on disk\tCONNACK s\tretained s\tqueued s\tCPU s")
	fmt.Fprintln(t, "\tRSS full\tserving\tidle\tpeak MiB\tchecked s\tlast stop s")
	for i := range results {
		r := &results[i]
		fmt.Fprintf(t, "%s\t%.1f\t%.3f\t%.1f\t%.3f\t%.3f\t%.3f\t%.2f", r.Broker, r.FillSeconds, r.StopSeconds,
			mib(r.DiskBytes), r.ConnackAfter, r.RetainedAfter, r.QueuedAfter, r.StartCPU)
		fmt.Fprintf(t, "\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%.3f\n", mib(r.FullResident),
			mib(r.Resident), mib(r.IdleResident), mib(r.PeakResident), r.CheckSeconds, r.LastStop)
	}
	_ = t.Flush()
	for i := range results {
		if r := &results[i]; r.Error != "" {
			fmt.Fprintf(w, "FAILED %s: %s\n", r.Broker, r.Error)
		}
	}
}
