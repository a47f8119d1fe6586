package bench

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	brokerStartTimeout = 10 * time.Second
	brokerStopTimeout  = 5 * time.Second
	brokerPollDelay    = 5 * time.Millisecond
)

// confTemplate is the configuration file behind {conf}. Without the queue limit off, Mosquitto drops QoS 0 to a
// subscriber that is behind, and a broker that drops looks cheap.
const confTemplate = `listener {port} 127.0.0.1
allow_anonymous true
max_queued_messages 0
log_type none
set_tcp_nodelay {nodelay}
`

// brokerSpec is a broker and how it is started: {port} and {conf} in the command are put in for each start.
type brokerSpec struct {
	name    string
	command string
	port    int // where it listens whatever we say; 0: it takes {port} or {conf}
}

// memoryName is Noctule that keeps everything in memory, also in a durable scenario: what storing costs stands beside it.
const memoryName = "noctule-memory"

// builtin are the brokers whose command lines are known here. The first word is looked for on the PATH and where Debian
// keeps daemons.
var builtin = []brokerSpec{
	{name: "noctule", command: "noctule -q -c {conf}"},
	{name: memoryName, command: "noctule -q -c {conf}"},
	{name: "mosquitto", command: "mosquitto -c {conf}"},
	{name: "flashmq", command: "flashmq --config-file {conf}"},
	{name: "nanomq", command: "nanomq start --url nmq-tcp://127.0.0.1:{port}"},
	{name: "emqx", command: "emqx foreground", port: 1883},
	{name: "vernemq", command: "vernemq console", port: 1883},
	{name: "floor", command: "floor"},
}

func builtinNames() (names []string) {
	for _, s := range builtin {
		names = append(names, s.name)
	}
	return names
}

// pickBrokers returns the brokers of a comma-separated list of known names, and the peers behind them.
func pickBrokers(list string, more []brokerSpec) ([]brokerSpec, error) {
	var specs []brokerSpec
	for name := range strings.SplitSeq(list, ",") {
		if list == "none" || list == "" {
			break
		}
		i := slices.IndexFunc(builtin, func(s brokerSpec) bool { return s.name == name })
		if i < 0 {
			return nil, fmt.Errorf("unknown broker %q: known are %s; -peer NAME=COMMAND takes any other", name, strings.Join(builtinNames(), ", "))
		}
		spec, err := builtin[i].located()
		if err != nil {
			return nil, err
		}
		specs = append(specs, spec)
	}
	specs = append(specs, more...)
	if len(specs) == 0 {
		return nil, errors.New("no broker: -brokers names known ones, -peer any other")
	}
	for i, s := range specs {
		if slices.ContainsFunc(specs[:i], func(o brokerSpec) bool { return o.name == s.name }) {
			return nil, fmt.Errorf("broker %s is named twice", s.name)
		}
	}
	return specs, nil
}

// located puts the path of the program into a built-in command. Noctule and the floor are this program itself.
func (s brokerSpec) located() (brokerSpec, error) {
	program, rest, _ := strings.Cut(s.command, " ")
	switch s.name {
	case "noctule", memoryName, "floor":
		self, err := os.Executable()
		if err != nil {
			return s, fmt.Errorf("find own program: %w", err)
		}
		program = self
		if s.name == "floor" {
			rest = "bench floor -p {port}"
		}
	default:
		found, err := exec.LookPath(program)
		if err != nil {
			if found, err = exec.LookPath("/usr/sbin/" + program); err != nil {
				return s, fmt.Errorf("broker %s: no program %s on the PATH or in /usr/sbin: install it or leave it out", s.name, program)
			}
		}
		program = found
	}
	s.command = strings.TrimSpace(program + " " + rest)
	return s, nil
}

// lacks says why the broker cannot run a scenario; "" if it can.
func (s brokerSpec) lacks(sc scenario) string {
	if s.name == "floor" && (sc.share != "" || sc.filters > 0 || sc.retained > 0) {
		return "the floor knows exact topics only: no groups, no wildcards, no retained messages"
	}
	if sc.transport != "" && slices.Contains([]string{"flashmq", "nanomq", "emqx", "vernemq", "floor"}, s.name) {
		return "no configuration is known here with which it speaks " + sc.transport + "; give it as a -peer with its own"
	}
	if sc.durable != "" && slices.Contains([]string{"flashmq", "nanomq", "emqx", "vernemq", "floor"}, s.name) {
		return "no configuration is known here with which it stores sessions; give it as a -peer with its own"
	}
	return ""
}

// durableLines are the lines of the configuration file with which the broker stores everything below {dir}: our own keys
// for a name that begins with noctule, Mosquitto's for any other, which then writes its database with each change or,
// without eachChange, when it stops. Both brokers would give up root, and could then not write there.
func (s brokerSpec) durableLines(commit string, eachChange bool) string {
	const where = "user root\npersistence true\npersistence_location {dir}/\n"
	switch {
	case s.name == memoryName:
		return "persistence false\n"
	case strings.HasPrefix(s.name, "noctule"):
		return where + "persistence_commit " + commit + "\npersistence_sync_interval 1\n"
	case eachChange:
		return where + "autosave_on_changes true\nautosave_interval 1\n"
	}
	return where
}

// parsePeer reads NAME=COMMAND[,PORT].
func parsePeer(text string) (brokerSpec, error) {
	name, command, ok := strings.Cut(strings.TrimSpace(text), "=")
	if !ok || name == "" || strings.TrimSpace(command) == "" {
		return brokerSpec{}, fmt.Errorf("peer %q: want NAME=COMMAND, as in mosquitto=/usr/sbin/mosquitto -c {conf}", text)
	}
	s := brokerSpec{name: name, command: command}
	if i := strings.LastIndexByte(command, ','); i >= 0 {
		port, err := strconv.Atoi(command[i+1:])
		if err != nil || port < 1 || port > 65535 {
			return s, fmt.Errorf("peer %s: %q is not a port", name, command[i+1:])
		}
		s.command, s.port = command[:i], port
	}
	if s.port == 0 && !strings.Contains(command, "{port}") && !strings.Contains(command, "{conf}") {
		return s, fmt.Errorf("peer %s: its command must say where {port} or {conf} goes, or end in ,PORT", name)
	}
	return s, nil
}

// broker is one broker, which runs as a process that is started by us and stopped by its own process id.
type broker struct {
	spec   brokerSpec
	start  brokerStart
	port   int
	dir    string   // its configuration, log and stored messages; removed by stop
	wrap   wrapFunc // of the transport of its clients
	cmd    *exec.Cmd
	exited chan error
}

// brokerStart is how a broker is started.
type brokerStart struct {
	cpu     int // that it is bound to; -1: any
	nodelay bool
	lines   string // behind those of confTemplate; {dir} in them is the broker's directory
	under   string // where that directory is made; "": where the system has temporary files
	// transport is what the lines put the listener on: see transportLines.
	transport string
}

// startBroker starts a broker on a free port and returns when the port answers. The calling goroutine must be locked to
// its thread: the child takes the thread's CPU mask over, and the kernel kills it should the thread end.
func startBroker(spec brokerSpec, start brokerStart) (*broker, error) {
	b, err := newBroker(spec, start)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.name, err)
	}
	if err = b.spawn(); err == nil {
		err = b.awaitPort()
	}
	if err != nil {
		err = fmt.Errorf("start %s: %w%s", spec.name, err, b.logTail())
		return nil, errors.Join(err, b.stop())
	}
	return b, nil
}

// newBroker finds a port and makes the broker's directory with its configuration.
func newBroker(spec brokerSpec, start brokerStart) (*broker, error) {
	port, err := spec.port, error(nil)
	if port == 0 {
		port, err = freePort()
	}
	if err != nil {
		return nil, err
	}
	under, err := start.under, error(nil)
	if under != "" { // a broker may change its working directory
		if under, err = filepath.Abs(under); err != nil {
			return nil, err
		}
	}
	dir, err := os.MkdirTemp(under, "mqtt-load-")
	if err != nil {
		return nil, fmt.Errorf("make a directory: %w", err)
	}
	b := &broker{spec: spec, start: start, port: port, dir: dir}
	if b.wrap, err = newWrap(start.transport, dir); err == nil {
		err = b.configure()
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return b, nil
}

func (b *broker) configure() error {
	// Mosquitto gives up root before it opens some of its files.
	if err := os.Chmod(b.dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(b.confPath(), []byte(b.fill(confTemplate+b.start.lines)), 0o644)
}

func (b *broker) confPath() string { return filepath.Join(b.dir, "broker.conf") }

// fill puts what is known of the broker into its command or configuration.
func (b *broker) fill(text string) string {
	return strings.NewReplacer("{port}", strconv.Itoa(b.port), "{conf}", b.confPath(), "{dir}", b.dir,
		"{nodelay}", strconv.FormatBool(b.start.nodelay)).Replace(text)
}

// spawn begins to run the process; also again, after halt.
func (b *broker) spawn() error {
	log, err := os.Create(filepath.Join(b.dir, "broker.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	words := strings.Fields(b.spec.command)
	for i := range words {
		words[i] = b.fill(words[i])
	}
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := onCPU(b.start.cpu, cmd.Start); err != nil {
		return err
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	b.cmd, b.exited = cmd, exited
	return nil
}

// onCPU calls f with the calling thread bound to one CPU and restores the thread's mask. A negative CPU binds nothing.
func onCPU(cpu int, f func() error) error {
	if cpu < 0 {
		return f()
	}
	var old, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &old); err != nil {
		return fmt.Errorf("read the CPU mask: %w", err)
	}
	one.Set(cpu)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return fmt.Errorf("bind to CPU %d: %w", cpu, err)
	}
	return errors.Join(f(), unix.SchedSetaffinity(0, &old))
}

// bindSelf binds every thread of this process to one CPU; threads made later inherit it.
func bindSelf(cpu int) error {
	if cpu < 0 {
		return nil
	}
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return fmt.Errorf("list own threads: %w", err)
	}
	var one unix.CPUSet
	one.Set(cpu)
	for _, task := range tasks {
		tid, err := strconv.Atoi(task.Name())
		if err != nil {
			continue
		}
		if err := unix.SchedSetaffinity(tid, &one); err != nil && err != unix.ESRCH {
			return fmt.Errorf("bind to CPU %d: %w", cpu, err)
		}
	}
	return nil
}

// freePort finds a port below the range that the kernel gives to outgoing connections: polling a port of that range
// before anyone listens can connect a socket to itself.
func freePort() (int, error) {
	for range 100 {
		port := 20000 + rand.IntN(12000)
		if bindable(port) {
			return port, nil
		}
	}
	return 0, errors.New("no free port between 20000 and 32000")
}

func bindable(port int) bool {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	return unix.Bind(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}) == nil
}

// awaitPort polls until the broker answers a CONNECT.
func (b *broker) awaitPort() error {
	deadline := time.Now().Add(brokerStartTimeout)
	for {
		c, err := dialWrapped(b.wrap, b.port, "load-probe", "", 0)
		if err == nil {
			c.close()
			return nil
		}
		select {
		case exit := <-b.exited:
			b.exited <- exit
			return fmt.Errorf("it ended at once (%v)", exit)
		case <-time.After(brokerPollDelay):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("no answer within %v: %w", brokerStartTimeout, err)
		}
	}
}

// logTail is the end of what the broker printed, to be shown behind an error.
func (b *broker) logTail() string {
	text, err := os.ReadFile(filepath.Join(b.dir, "broker.log"))
	if err != nil || len(bytes.TrimSpace(text)) == 0 {
		return ""
	}
	return "\n" + string(bytes.TrimSpace(text[max(0, len(text)-1000):]))
}

// stop ends the process and removes what it left.
func (b *broker) stop() error {
	defer os.RemoveAll(b.dir)
	_, err := b.halt(brokerStopTimeout)
	return err
}

// halt ends the process, if there is one: SIGTERM, and SIGKILL if it is still there after the timeout. It returns the
// time from SIGTERM until the process was gone.
func (b *broker) halt(timeout time.Duration) (time.Duration, error) {
	if b.cmd == nil {
		return 0, nil
	}
	pid, begun := b.cmd.Process.Pid, time.Now()
	defer func() { b.cmd = nil }()
	_ = b.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-b.exited:
		return time.Since(begun), nil
	case <-time.After(timeout):
	}
	if err := b.cmd.Process.Kill(); err != nil {
		return 0, fmt.Errorf("kill process %d: %w", pid, err)
	}
	<-b.exited
	return time.Since(begun), nil
}

// lockMain binds the calling goroutine to its thread for good and makes the process ready to measure.
func lockMain(cpu int) error {
	runtime.LockOSThread()
	runtime.GOMAXPROCS(1)
	return bindSelf(cpu)
}
