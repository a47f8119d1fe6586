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

// builtin are the brokers whose command lines are known here. The first word is looked for on the PATH and where Debian
// keeps daemons.
var builtin = []brokerSpec{
	{name: "noctule", command: "noctule -q -c {conf}"},
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
	case "noctule", "floor":
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
	return ""
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

// broker is one running broker process, started by us and stopped by its own process id.
type broker struct {
	cmd    *exec.Cmd
	port   int
	dir    string // its configuration and log; removed by stop
	exited chan error
}

// startBroker starts the broker on a free port, bound to one CPU (-1: any), with lines behind those of confTemplate, and
// returns when the port answers. The calling goroutine must be locked to its thread: the child takes the thread's CPU
// mask over, and the kernel kills it should the thread end.
func startBroker(spec brokerSpec, cpu int, nodelay bool, lines string) (*broker, error) {
	port, err := spec.port, error(nil)
	if port == 0 {
		port, err = freePort()
	}
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "mqtt-load-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for %s: %w", spec.name, err)
	}
	b := &broker{port: port, dir: dir, exited: make(chan error, 1)}
	if err := b.spawn(spec, cpu, nodelay, lines); err != nil {
		_ = os.RemoveAll(dir)
		return nil, fmt.Errorf("start %s: %w", spec.name, err)
	}
	go func() { b.exited <- b.cmd.Wait() }()
	if err := b.awaitPort(); err != nil {
		err = fmt.Errorf("start %s: %w%s", spec.name, err, b.logTail())
		return nil, errors.Join(err, b.stop())
	}
	return b, nil
}

func (b *broker) spawn(spec brokerSpec, cpu int, nodelay bool, lines string) error {
	// Mosquitto gives up root before it opens some of its files.
	if err := os.Chmod(b.dir, 0o755); err != nil {
		return err
	}
	conf := filepath.Join(b.dir, "broker.conf")
	fill := strings.NewReplacer("{port}", strconv.Itoa(b.port), "{conf}", conf, "{nodelay}", strconv.FormatBool(nodelay))
	if err := os.WriteFile(conf, []byte(fill.Replace(confTemplate+lines)), 0o644); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(b.dir, "broker.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	words := strings.Fields(spec.command)
	for i := range words {
		words[i] = fill.Replace(words[i])
	}
	b.cmd = exec.Command(words[0], words[1:]...)
	b.cmd.Stdout, b.cmd.Stderr = log, log
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return onCPU(cpu, b.cmd.Start)
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
		c, err := dialClient(b.port, "load-probe", "", 0)
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

// stop ends the process: SIGTERM, and SIGKILL if it is still there after brokerStopTimeout.
func (b *broker) stop() error {
	defer os.RemoveAll(b.dir)
	_ = b.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-b.exited:
		return nil
	case <-time.After(brokerStopTimeout):
	}
	if err := b.cmd.Process.Kill(); err != nil {
		return fmt.Errorf("kill process %d: %w", b.cmd.Process.Pid, err)
	}
	<-b.exited
	return nil
}

// lockMain binds the calling goroutine to its thread for good and makes the process ready to measure.
func lockMain(cpu int) error {
	runtime.LockOSThread()
	runtime.GOMAXPROCS(1)
	return bindSelf(cpu)
}
