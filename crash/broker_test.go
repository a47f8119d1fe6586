package crash

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var (
	flagRounds = flag.Int("crash.rounds", 10, "how often TestCrash kills the broker")
	flagCuts   = flag.Int("crash.cuts", 3, "how often TestPowerCut cuts the power, for each policy")
	flagSeed   = flag.Uint64("crash.seed", 0, "the seed of moments and traffic (0: a new one)")
	flagPolicy = flag.String("crash.policy", "", "strict or balanced: the only persistence_commit to run (empty: both)")
	flagBroker = flag.String("crash.broker", "", "the broker's program (empty: built from this tree)")
	flagLoops  = flag.Int("crash.loops", 2, "event loops of the broker")
)

const (
	// patience is how long anything may take that must happen.
	patience = 20 * time.Second
	// tailBytes is how much of the broker's log a failure shows.
	tailBytes = 6000

	mosquitto = "/usr/sbin/mosquitto"
)

// program is the broker under test.
func program(t *testing.T) string {
	t.Helper()
	if *flagBroker != "" {
		return *flagBroker
	}
	path := filepath.Join(t.TempDir(), "noctule")
	if out, err := exec.Command("go", "build", "-o", path, "../cmd/noctule").CombinedOutput(); err != nil {
		t.Fatalf("build the broker: %v\n%s", err, out)
	}
	return path
}

// broker is a program that is started again and again with one configuration. Only the test's goroutine uses it.
type broker struct {
	program string
	conf    string
	addr    string
	cmd     *exec.Cmd
	exited  chan struct{}
	log     tail
}

// newBroker writes the configuration for a broker that keeps its state in dir. lines are added to it.
func newBroker(t *testing.T, program, dir string, lines ...string) *broker {
	t.Helper()
	port := freePort(t)
	b := &broker{program: program, addr: fmt.Sprintf("127.0.0.1:%d", port), conf: filepath.Join(t.TempDir(), "conf")}
	text := fmt.Sprintf("listener %d 127.0.0.1\nallow_anonymous true\nuser root\npersistence true\npersistence_location %s/\n"+
		"max_queued_messages 0\nmax_inflight_messages 100\n%s\n", port, dir, strings.Join(lines, "\n"))
	if err := os.WriteFile(b.conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.end(syscall.SIGKILL) })
	return b
}

// freePort is a port below those that the kernel gives to clients: it must stay free while the broker is down.
func freePort(t *testing.T) int {
	for range 100 {
		port := 20000 + rand.IntN(10000)
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

// launch starts the broker and does not wait for it.
func (b *broker) launch() error {
	b.log.listen()
	b.exited = make(chan struct{})
	b.cmd = exec.Command(b.program, "-c", b.conf)
	b.cmd.Stdout, b.cmd.Stderr = &b.log, &b.log
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := b.cmd.Start(); err != nil {
		b.cmd = nil
		return err
	}
	go func(cmd *exec.Cmd, exited chan struct{}) {
		_ = cmd.Wait()
		close(exited)
	}(b.cmd, b.exited)
	return nil
}

// start runs the broker and waits until it says that it does.
func (b *broker) start() error {
	if err := b.launch(); err != nil {
		return err
	}
	select {
	case <-b.log.up:
		return nil
	case <-b.exited:
		return fmt.Errorf("the broker ended at its start: %v", b.cmd.ProcessState)
	case <-time.After(patience):
		return errors.New("the broker does not say that it runs")
	}
}

// kill sends SIGKILL to the broker, if it runs.
func (b *broker) kill() {
	if b.cmd != nil {
		_ = b.cmd.Process.Kill()
	}
}

// end signals the broker, if it runs, and waits for its end.
func (b *broker) end(sig syscall.Signal) {
	if b.cmd == nil {
		return
	}
	_ = b.cmd.Process.Signal(sig)
	select {
	case <-b.exited:
	case <-time.After(patience):
		_ = b.cmd.Process.Kill()
		<-b.exited
	}
	b.cmd = nil
}

// running reports whether the broker has not ended by itself.
func (b *broker) running() bool {
	select {
	case <-b.exited:
		return false
	default:
		return true
	}
}

// tail keeps the last tailBytes of what a broker writes.
type tail struct {
	mu   sync.Mutex // guards all below
	text []byte
	from int           // where the present start's text begins, while open
	open bool          // up is not closed
	up   chan struct{} // closed when the broker says that it runs
}

// listen waits for another start.
func (w *tail) listen() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text = append(w.text, "-- start --\n"...)
	w.from = len(w.text)
	w.up, w.open = make(chan struct{}), true
}

func (w *tail) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text = append(w.text, p...)
	if w.open && bytes.Contains(w.text[w.from:], []byte(" running\n")) {
		close(w.up)
		w.open = false
	}
	if cut := len(w.text) - tailBytes; cut > 0 && !w.open {
		w.text = append(w.text[:0], w.text[cut:]...)
	}
	return len(p), nil
}

func (w *tail) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.text)
}
