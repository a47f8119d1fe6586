package conformance

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// broker is one running broker process of this suite.
type broker struct {
	addr string
	pid  int

	cmd    *exec.Cmd
	log    *bytes.Buffer // read only after exited is closed
	exited chan struct{}
}

// suite is what TestMain prepares: the command to start, and the broker that most tests share.
type suite struct {
	path        string
	mosquitto20 bool
	share       func() (*broker, error)

	runs  sync.Map     // of each running test: its number, for name
	count atomic.Int64 // numbers given
}

var current suite

// TestMain finds or builds the broker. The shared one starts with the first test that needs it and ends with the suite.
func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "conformance")
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	current.path = os.Getenv("NOCTULE_E2E_BROKER")
	if current.path == "" {
		current.path = filepath.Join(dir, "noctule")
		build := exec.Command("go", "build", "-o", current.path, "../cmd/noctule")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "conformance: build cmd/noctule: %v\n%s", err, out)
			return 1
		}
	}
	out, _ := exec.Command(current.path, "-h").CombinedOutput()
	current.mosquitto20 = strings.HasPrefix(string(out), "mosquitto version 2.0")
	var shared *broker
	current.share = sync.OnceValues(func() (*broker, error) {
		var err error
		shared, err = launch(dir, "")
		return shared, err
	})
	// Most of a test's time is waiting for the other side, so more of them run at once than there are cores.
	_ = flag.Set("test.parallel", "16")
	code := m.Run()
	if shared != nil {
		if err := shared.stop(); err != nil {
			fmt.Fprintln(os.Stderr, "conformance: shared broker:", err)
			code = max(code, 1)
		}
	}
	return code
}

// shared gives the broker with the default configuration and anonymous access. The test runs beside the others, so it
// uses client identifiers and topics of its own.
func shared(t *testing.T) *broker {
	t.Helper()
	skipKnown(t)
	t.Parallel()
	b, err := current.share()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// special starts a broker of the test's own with extra configuration lines, and stops it when the test ends.
func special(t *testing.T, lines ...string) *broker {
	t.Helper()
	skipKnown(t)
	t.Parallel()
	b, err := launch(t.TempDir(), strings.Join(lines, "\n"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("broker's log:\n%s", b.log)
		}
	})
	return b
}

// launch writes a configuration with a free port and starts the broker, again with another port should somebody have
// taken that one in between.
func launch(dir, lines string) (*broker, error) {
	var last error
	for range 3 {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		b, err := launchAt(dir, port, lines)
		if err == nil {
			return b, nil
		}
		last = err
	}
	return nil, last
}

func launchAt(dir string, port int, lines string) (*broker, error) {
	file := filepath.Join(dir, fmt.Sprintf("broker-%d.conf", port))
	text := fmt.Sprintf("listener %d 127.0.0.1\n", port)
	if !strings.Contains(lines, "allow_anonymous") {
		text += "allow_anonymous true\n"
	}
	if err := os.WriteFile(file, []byte(text+lines+"\n"), 0o644); err != nil {
		return nil, err
	}
	b := &broker{addr: fmt.Sprintf("127.0.0.1:%d", port), log: new(bytes.Buffer), exited: make(chan struct{})}
	b.cmd = exec.Command(current.path, "-c", file)
	b.cmd.Stdout, b.cmd.Stderr = b.log, b.log
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := b.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", current.path, err)
	}
	b.pid = b.cmd.Process.Pid
	go func() {
		_ = b.cmd.Wait()
		close(b.exited)
	}()
	for until := time.Now().Add(patience); time.Now().Before(until); {
		if conn, err := net.DialTimeout("tcp", b.addr, patience); err == nil {
			conn.Close()
			return b, nil
		}
		select {
		case <-b.exited:
			return nil, fmt.Errorf("broker ended at start: %v\n%s", b.cmd.ProcessState, b.log)
		case <-time.After(5 * time.Millisecond):
		}
	}
	_ = b.cmd.Process.Kill()
	<-b.exited
	return nil, fmt.Errorf("broker did not listen on %s\n%s", b.addr, b.log)
}

// stop asks the broker to end and wants status 0.
func (b *broker) stop() error {
	select {
	case <-b.exited:
		return fmt.Errorf("broker ended by itself: %v\n%s", b.cmd.ProcessState, b.log)
	default:
	}
	if err := b.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-b.exited:
	case <-time.After(patience):
		_ = b.cmd.Process.Kill()
		<-b.exited
		return errors.New("broker did not end after SIGTERM")
	}
	if code := b.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("broker ended with status %d\n%s", code, b.log)
	}
	return nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
