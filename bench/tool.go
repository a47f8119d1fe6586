package bench

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/noctulemq/noctule/codec"
	"golang.org/x/sys/unix"
)

// The commands that load a broker which runs already. Their flags are those of emqtt-bench where it has them.
const (
	toolConn = "conn"
	toolPub  = "pub"
	toolSub  = "sub"
)

// Bounds of what the command line may ask for.
const (
	toolClientsMax = 1_000_000
	// toolPacketMax is the largest packet that a client sends or takes: each client may hold two of them.
	toolPacketMax = 16 << 20
	// toolHeadMax is what a PUBLISH has beside topic and payload: fixed header, topic length, identifier, no properties.
	toolHeadMax   = 5 + 2 + 2 + 1
	toolStringMax = 65_535
	toolIdleMax   = time.Hour // the longest interval
	toolFirstMax  = 1_000_000_000
	// toolSpareFiles is what the process opens beside its connections.
	toolSpareFiles = 32
)

// toolOptions is the command line of conn, pub or sub. It does not change after parseTool.
type toolOptions struct {
	kind         string
	host         string
	port         int
	unixPath     string
	count, first int
	interval     float64 // ms between two connects
	rate         float64 // connects per second; 0: interval counts
	version      codec.Version
	user         string
	password     string
	keepAlive    int
	clean        bool
	expiry       uint64
	prefix       string
	duration     time.Duration
	json         bool

	topic      string
	qos        int
	limit      uint64
	size       int
	pubPause   float64 // ms between two messages of a client
	inflight   int
	retain     bool
	transport  transportOptions
	dial       dialFunc
	streamBase uint32 // number of the first publisher in stamps; at random, so that two runs are told apart
}

// runConn is `noctule bench conn`.
func runConn(args []string, out, progress io.Writer) error {
	return runTool(toolConn, args, out, progress)
}

// runPub is `noctule bench pub`.
func runPub(args []string, out, progress io.Writer) error {
	return runTool(toolPub, args, out, progress)
}

// runSub is `noctule bench sub`.
func runSub(args []string, out, progress io.Writer) error {
	return runTool(toolSub, args, out, progress)
}

// runTool runs until it is done or told to end. A second signal ends the process at once.
func runTool(kind string, args []string, out, _ io.Writer) error {
	o, err := parseTool(kind, args, out)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	seconds := time.NewTicker(time.Second)
	defer seconds.Stop()
	return newToolRun(o).run(ctx, newToolPrinter(out, o.json), seconds.C)
}

// parseTool reads the command line; asked for help, it prints that on help.
func parseTool(kind string, args []string, help io.Writer) (*toolOptions, error) {
	o := &toolOptions{kind: kind, streamBase: rand.Uint32()}
	flags := o.flags()
	version := flags.Lookup("version").Value
	err := flags.Parse(joinBools(flags, args))
	switch {
	case errors.Is(err, flag.ErrHelp):
		printToolUsage(help, flags)
		return nil, err
	case err != nil:
		return nil, o.misuse("%w; 'noctule bench %s -help' shows what it takes", err, kind)
	case flags.NArg() > 0:
		return nil, o.misuse("%q is no flag: leave it out, or put the flag that it belongs to in front of it", flags.Arg(0))
	}
	switch version.String() {
	case "4":
		o.version = codec.V311
	case "5":
		o.version = codec.V5
	default:
		return nil, o.misuse("-V %s: want 4 for MQTT 3.1.1 or 5 for MQTT 5.0", version)
	}
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for _, check := range []func(given map[string]bool) error{o.checkConnect, o.checkMessages, o.checkTransport} {
		if err := check(given); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// misuse is a mistake on the command line; the text says what to do.
func (o *toolOptions) misuse(format string, values ...any) error {
	return usageError{fmt.Errorf(o.kind+": "+format, values...)}
}

func (o *toolOptions) flags() *flag.FlagSet {
	f := flag.NewFlagSet("noctule bench "+o.kind, flag.ContinueOnError)
	f.SetOutput(io.Discard) // Parse would print its error and the help; the error alone is printed once, by Main
	f.Usage = func() {}
	f.StringVar(&o.host, "host", "localhost", "`host` name or address of the broker")
	f.IntVar(&o.port, "port", 1883, "`port` of the broker")
	f.IntVar(&o.count, "count", 200, "`number` of clients")
	f.IntVar(&o.first, "startnumber", 0, "`number` of the first client")
	f.Float64Var(&o.interval, "interval", 10, "`milliseconds` between two connects")
	f.Float64Var(&o.rate, "connrate", 0, "connects a second, a `rate`; 0 leaves it to the interval")
	f.Int("version", 5, "protocol `version`: 4 is MQTT 3.1.1, 5 is MQTT 5.0")
	f.StringVar(&o.user, "username", "", "user `name`")
	f.StringVar(&o.password, "password", "", "`password`")
	f.IntVar(&o.keepAlive, "keepalive", 300, "keep-alive in `seconds`; 0 is none")
	f.BoolVar(&o.clean, "clean", true, "start a clean session; -C false takes up an earlier one")
	f.Uint64Var(&o.expiry, "session-expiry", 0, "session expiry in `seconds`, MQTT 5.0 only")
	f.StringVar(&o.prefix, "prefix", "", "client identifiers are this `text` and the client's number; a random text if not given")
	f.DurationVar(&o.duration, "duration", 0, "end after this `time`, as in 10s; 0 waits for SIGINT or SIGTERM")
	f.BoolVar(&o.json, "json", false, "print one JSON object per second and a last one with the totals")
	o.transport.flags(f)
	f.StringVar(&o.unixPath, "unix", "", "connect to this Unix socket `path` in place of host and port")
	o.messageFlags(f)
	for long, short := range shortNames() {
		if known := f.Lookup(long); known != nil {
			f.Var(known.Value, short, known.Usage)
		}
	}
	return f
}

// messageFlags are the flags of pub and sub.
func (o *toolOptions) messageFlags(f *flag.FlagSet) {
	if o.kind == toolConn {
		return
	}
	f.StringVar(&o.topic, "topic", "", "`topic`; %i is the client's number, %c its identifier, %u the user name")
	f.IntVar(&o.qos, "qos", 0, "`QoS`: 0, 1 or 2")
	f.Uint64Var(&o.limit, "limit", 0, "end after this `number` of messages of all clients together; 0 is no limit")
	if o.kind == toolSub {
		return
	}
	f.IntVar(&o.size, "size", 256, fmt.Sprintf("payload in `bytes`; from %d on it carries what sub checks", payloadBytesMin))
	f.Float64Var(&o.pubPause, "interval_of_msg", 1000, "`milliseconds` between two messages of a client; 0 is as fast as they go")
	f.IntVar(&o.inflight, "inflight", 10, "`number` of messages of a client that may wait for their acknowledgement, QoS 1 and 2")
	f.BoolVar(&o.retain, "retain", false, "let the broker retain the messages")
}

// shortNames are the one-letter names of emqtt-bench by the long ones. -h is the host, so help is -help.
func shortNames() map[string]string {
	return map[string]string{"host": "h", "port": "p", "count": "c", "startnumber": "n", "interval": "i", "connrate": "R",
		"version": "V", "username": "u", "password": "P", "keepalive": "k", "clean": "C", "session-expiry": "x", "ssl": "S",
		"topic": "t", "qos": "q", "limit": "L", "size": "s", "interval_of_msg": "I", "inflight": "F", "retain": "r"}
}

// joinBools lets a switch be followed by true or false, as emqtt-bench has it; package flag wants -C=false.
func joinBools(flags *flag.FlagSet, args []string) []string {
	var joined []string
	for _, arg := range args {
		last := len(joined) - 1
		if (arg == "true" || arg == "false") && last >= 0 && strings.HasPrefix(joined[last], "-") {
			known := flags.Lookup(strings.TrimLeft(joined[last], "-"))
			if known != nil {
				if b, ok := known.Value.(interface{ IsBoolFlag() bool }); ok && b.IsBoolFlag() {
					joined[last] += "=" + arg
					continue
				}
			}
		}
		joined = append(joined, arg)
	}
	return joined
}

func printToolUsage(w io.Writer, flags *flag.FlagSet) {
	fmt.Fprintf(w, "Usage: %s [flags]\n\n", flags.Name())
	short := shortNames()
	flags.VisitAll(func(f *flag.Flag) {
		if len(f.Name) == 1 {
			return
		}
		value, text := flag.UnquoteUsage(f)
		name := "    --" + f.Name
		if s := short[f.Name]; s != "" {
			name = "-" + s + ", --" + f.Name
		}
		if f.DefValue != "" && f.DefValue != "0" && f.DefValue != "false" && f.DefValue != "0s" {
			text += " (default " + f.DefValue + ")"
		}
		fmt.Fprintf(w, "  %-36s %s\n", strings.TrimSpace(name+" "+value), text)
	})
	fmt.Fprint(w, "\nExit status: 0, 1 if clients failed or messages were refused, 2 if the command line is wrong.\n")
}

// checkConnect holds the flags of all three commands against what MQTT and this machine allow.
func (o *toolOptions) checkConnect(given map[string]bool) error {
	switch pause := o.interval; {
	case o.count < 1 || o.count > toolClientsMax:
		return o.misuse("-c %d: want 1 to %d clients", o.count, toolClientsMax)
	case o.first < 0 || o.first > toolFirstMax:
		return o.misuse("-n %d: want a first number from 0 to %d", o.first, toolFirstMax)
	case !(pause >= 0 && pause <= float64(toolIdleMax.Milliseconds())):
		return o.misuse("-i %v: want milliseconds from 0 to an hour, 3600000", pause)
	case !(o.rate == 0 || o.rate >= 0.001 && o.rate <= 1e9):
		return o.misuse("-R %v: want connects per second from 0.001, or 0 for the interval of -i", o.rate)
	case o.keepAlive < 0 || o.keepAlive > 65_535:
		return o.misuse("-k %d: want seconds from 0 to 65535", o.keepAlive)
	case o.expiry > 1<<32-1:
		return o.misuse("-x %d: want seconds from 0 to %d, the last of which is for ever", o.expiry, uint32(1<<32-1))
	case (given["x"] || given["session-expiry"]) && o.version != codec.V5:
		return o.misuse("-x is of MQTT 5.0: use -V 5, or -C false for a session that stays")
	case o.password != "" && o.user == "" && o.version != codec.V5:
		return o.misuse("-P without a user name is of MQTT 5.0: give one with -u, or use -V 5")
	case o.duration < 0:
		return o.misuse("--duration %v: want a time above 0, or leave it out", o.duration)
	}
	if !given["prefix"] {
		o.prefix = fmt.Sprintf("bench-%s-%04x-", o.kind, rand.N(1<<16))
	}
	for name, text := range map[string]string{"-u": o.user, "-P": o.password, "--prefix": o.prefix + strconv.Itoa(o.first+o.count)} {
		if len(text) > toolStringMax || name != "-P" && !codec.ValidString([]byte(text)) {
			return o.misuse("%s: want at most %d bytes of UTF-8 without a NUL", name, toolStringMax)
		}
	}
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err == nil && uint64(o.count)+toolSpareFiles > files.Cur {
		return o.misuse("-c %d: this process may open %d files; raise that with 'ulimit -n %d' first",
			o.count, files.Cur, o.count+toolSpareFiles)
	}
	return nil
}

// checkMessages holds the flags of pub and sub against what MQTT allows.
func (o *toolOptions) checkMessages(map[string]bool) error {
	if o.kind == toolConn {
		return nil
	}
	last := o.expand(o.topic, o.first+o.count-1)
	switch pause := o.pubPause; {
	case o.topic == "":
		return o.misuse("which topic? Give one with -t, as in -t bench/%%i")
	case len(last) > toolStringMax || !codec.ValidString([]byte(last)):
		return o.misuse("-t: want a topic of at most %d bytes of UTF-8 without a NUL", toolStringMax)
	case o.kind == toolPub && strings.ContainsAny(last, "+#"):
		return o.misuse("-t %s: a topic to publish to has no + or #; only sub takes them", o.topic)
	case o.qos < 0 || o.qos > 2:
		return o.misuse("-q %d: want 0, 1 or 2", o.qos)
	case o.kind == toolSub:
		return nil
	case o.size < 0 || o.size > toolPacketMax-toolHeadMax-len(last):
		return o.misuse("-s %d: want 0 to %d bytes with this topic", o.size, toolPacketMax-toolHeadMax-len(last))
	case !(pause >= 0 && pause <= float64(toolIdleMax.Milliseconds())):
		return o.misuse("-I %v: want milliseconds from 0 to an hour, 3600000", pause)
	case o.inflight < 1 || o.inflight > 65_535:
		return o.misuse("-F %d: want 1 to 65535 messages", o.inflight)
	}
	return nil
}

func (o *toolOptions) checkTransport(given map[string]bool) error {
	t := &o.transport
	if o.unixPath != "" && t.localList != "" {
		return o.misuse("--ifaddr is for TCP: leave it or --unix out")
	}
	if o.host == "" {
		return o.misuse("-h is empty: want a name or an address")
	}
	if o.port < 1 || o.port > 65_535 {
		return o.misuse("-p %d: want a port from 1 to 65535", o.port)
	}
	if given["path"] && !t.webSocket {
		return o.misuse("--path is for WebSocket: add --ws or leave it out")
	}
	dial, err := t.dialer(o.host, o.port, o.unixPath)
	if err != nil {
		return o.misuse("%w", err)
	}
	o.dial = dial
	return nil
}

// clientID is the identifier of the client with this number.
func (o *toolOptions) clientID(number int) string { return o.prefix + strconv.Itoa(number) }

// expand puts the number, the identifier and the user name of a client into a topic.
func (o *toolOptions) expand(topic string, number int) string {
	return strings.NewReplacer("%i", strconv.Itoa(number), "%c", o.clientID(number), "%u", o.user).Replace(topic)
}

// connectPause is the time between two connects.
func (o *toolOptions) connectPause() time.Duration {
	if o.rate > 0 {
		return time.Duration(float64(time.Second) / o.rate)
	}
	return milliseconds(o.interval)
}

func milliseconds(n float64) time.Duration { return time.Duration(n * float64(time.Millisecond)) }

// isTerminal reports whether w is a terminal, which takes a line that is written over each second.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
