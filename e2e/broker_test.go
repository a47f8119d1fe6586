// Package e2e runs real MQTT clients that no one here wrote against the real broker over real sockets.
package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// patience is how long anything may take that must happen.
const patience = 20 * time.Second

// brokerPath is the broker under test: NOCTULE_E2E_BROKER, or one built from this tree.
var brokerPath string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "noctule-e2e")
	if err != nil {
		panic(err)
	}
	brokerPath = os.Getenv("NOCTULE_E2E_BROKER")
	if brokerPath == "" {
		brokerPath = filepath.Join(dir, "noctule")
		if out, err := exec.Command("go", "build", "-o", brokerPath, "../cmd/noctule").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build the broker: %v\n%s", err, out)
			os.Exit(1)
		}
	}
	status := m.Run()
	os.RemoveAll(dir)
	os.Exit(status)
}

// broker is one running broker.
type broker struct {
	port int
	conf string
	cmd  *exec.Cmd
	done chan error
	// wanted is the log line that a test waits for, nil when none does.
	wanted atomic.Pointer[wanted]
}

type wanted struct {
	text  string
	found chan string
}

func (b *broker) addr() string { return fmt.Sprintf("127.0.0.1:%d", b.port) }
func (b *broker) url() string  { return "tcp://" + b.addr() }

// start runs a broker with more lines of configuration; it is stopped with the test.
func start(t *testing.T, lines ...string) *broker {
	t.Helper()
	var last error
	for range 5 { // the port may be taken between its choice and its use
		b, err := tryStart(t, lines)
		if err == nil {
			t.Cleanup(func() { _ = b.stop(syscall.SIGKILL) })
			return b
		}
		last = err
	}
	t.Fatal(last)
	return nil
}

func tryStart(t *testing.T, lines []string) (*broker, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &broker{port: l.Addr().(*net.TCPAddr).Port, done: make(chan error, 1)}
	l.Close()
	conf := filepath.Join(t.TempDir(), fmt.Sprintf("%d.conf", b.port))
	if !strings.Contains(strings.Join(lines, "\n"), "allow_anonymous") {
		lines = append(lines, "allow_anonymous true")
	}
	text := fmt.Sprintf("listener %d 127.0.0.1\nuser root\n%s\n", b.port, strings.Join(lines, "\n"))
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return nil, err
	}
	b.conf = conf
	b.cmd = exec.Command(brokerPath, "-c", conf, "-v")
	log, err := b.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := b.cmd.Start(); err != nil {
		return nil, err
	}
	up := make(chan error, 1)
	go func() {
		var head []string
		scan := bufio.NewScanner(log)
		for scan.Scan() {
			if w := b.wanted.Load(); w != nil && strings.Contains(scan.Text(), w.text) {
				select {
				case w.found <- scan.Text():
				default:
				}
			}
			if head = append(head, scan.Text()); strings.HasSuffix(scan.Text(), "running") {
				up <- nil
			}
		}
		up <- errors.New("broker ended:\n" + strings.Join(head[:min(len(head), 20)], "\n"))
		b.done <- b.cmd.Wait()
	}()
	return b, <-up
}

// stop signals the broker by its own id and waits for its end.
func (b *broker) stop(sig syscall.Signal) error {
	_ = b.cmd.Process.Signal(sig)
	select {
	case err := <-b.done:
		b.done <- err
		return err
	case <-time.After(patience):
		_ = b.cmd.Process.Kill()
		return errors.New("the broker did not end")
	}
}

// names keeps clients and topics of one run apart.
var names atomic.Int64

// name is unique in this run.
func name(t *testing.T, what string) string {
	return fmt.Sprintf("%s-%d-%s", strings.ReplaceAll(t.Name(), "/", "_"), names.Add(1), what)
}

// soon is a context that ends when a thing that must happen has not.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// next takes what must arrive.
func next[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatal("nothing arrived")
		panic("not reached")
	}
}
