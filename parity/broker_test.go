package parity

import (
	"bytes"
	"fmt"
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

const mosquitto = "/usr/sbin/mosquitto"

// reference is the version of Mosquitto that differences.txt was written with.
const reference = "mosquitto version 2.0.11"

// noctule is the broker under test: NOCTULE_E2E_BROKER, or one built from this tree.
var noctule string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "parity")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if noctule = os.Getenv("NOCTULE_E2E_BROKER"); noctule == "" {
		noctule = filepath.Join(dir, "noctule")
		if out, err := exec.Command("go", "build", "-o", noctule, "../cmd/noctule").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build the broker: %v\n%s", err, out)
			return 1
		}
	}
	return m.Run()
}

// needMosquitto skips a test where there is no Mosquitto to compare with, or another one.
func needMosquitto(t *testing.T) {
	t.Helper()
	out, err := exec.Command(mosquitto, "-h").CombinedOutput()
	if len(out) == 0 {
		t.Skipf("install mosquitto to run this test: %v", err)
	}
	if line, _, _ := strings.Cut(string(out), "\n"); line != reference {
		t.Skipf("the test compares with %s, this is %s", reference, line)
	}
}

// broker is one running broker.
type broker struct {
	dial   func(port int) (net.Conn, error) // of the configuration's n-th port, from 1
	cmd    *exec.Cmd
	log    *logWatch
	exited chan struct{}
}

// logWatch keeps what a broker writes and tells when it says that it runs. Only the goroutine of os/exec writes; the rest
// is read after the broker has ended.
type logWatch struct {
	text bytes.Buffer
	up   chan struct{}
	once sync.Once
}

func (w *logWatch) String() string { return w.text.String() }

func (w *logWatch) Write(p []byte) (int, error) {
	n, err := w.text.Write(p)
	if bytes.Contains(w.text.Bytes(), []byte(" running\n")) {
		w.once.Do(func() { close(w.up) })
	}
	return n, err
}

// place is a directory with a broker's files, and the ports that stand in them.
type place struct {
	dir   string
	ports []int
}

// maxPorts is how many ports a configuration may name: @PORT1@ and so on.
const maxPorts = 4

// newPlace makes a directory that Mosquitto can write to after it has dropped its privileges, and chooses ports.
func newPlace(t *testing.T) *place {
	t.Helper()
	p := &place{dir: t.TempDir()}
	for d := p.dir; strings.HasPrefix(d, os.TempDir()+"/"); d = filepath.Dir(d) {
		_ = os.Chmod(d, 0o777)
	}
	var held []net.Listener
	for range maxPorts {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, l)
		p.ports = append(p.ports, l.Addr().(*net.TCPAddr).Port)
	}
	for _, l := range held {
		l.Close()
	}
	return p
}

// fill puts the place's directory and ports into a text.
func (p *place) fill(text string) string {
	text = strings.ReplaceAll(text, "@DIR@", p.dir)
	for i, port := range p.ports {
		text = strings.ReplaceAll(text, fmt.Sprintf("@PORT%d@", i+1), fmt.Sprint(port))
	}
	return text
}

// addr is the address of the n-th port, from 1.
func (p *place) addr(n int) string { return fmt.Sprintf("127.0.0.1:%d", p.ports[n-1]) }

// write puts a file into the place.
func (p *place) write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(p.dir, name)
	_ = os.MkdirAll(filepath.Dir(path), 0o777)
	_ = os.Chmod(filepath.Dir(path), 0o777)
	if err := os.WriteFile(path, []byte(p.fill(text)), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// start runs a broker in a place with its configuration file and waits until it says that it runs.
func (p *place) start(program, file string) (*broker, error) {
	b, err := p.launch(program, file)
	if err != nil {
		return nil, err
	}
	select {
	case <-b.log.up:
		return b, nil
	case <-b.exited:
		return nil, fmt.Errorf("%s ended at start: %v\n%s", program, b.cmd.ProcessState, b.log)
	case <-time.After(patience):
		err := b.stop()
		return nil, fmt.Errorf("%s does not say that it runs; %v\n%s", program, err, b.log)
	}
}

// launch runs a broker and does not wait.
func (p *place) launch(program, file string) (*broker, error) {
	b := &broker{log: &logWatch{up: make(chan struct{})}, exited: make(chan struct{})}
	b.dial = func(n int) (net.Conn, error) { return net.Dial("tcp", p.addr(n)) }
	b.cmd = exec.Command(program, "-c", file)
	b.cmd.Dir = p.dir
	b.cmd.Env = append(os.Environ(), "NOCTULE_LOOPS=1") // what comes when would otherwise depend on the loops of the machine
	b.cmd.Stdout, b.cmd.Stderr = b.log, b.log
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := b.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = b.cmd.Wait()
		close(b.exited)
	}()
	return b, nil
}

// stop ends the broker and reports how it went.
func (b *broker) stop() error {
	_ = b.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-b.exited:
	case <-time.After(patience):
		_ = b.cmd.Process.Kill()
		<-b.exited
		return fmt.Errorf("did not end after SIGTERM\n%s", b.log)
	}
	if code := b.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("ended with status %d\n%s", code, b.log)
	}
	return nil
}

// accepts reports whether noctule finds nothing wrong with a configuration file, and what it says otherwise.
func accepts(file string) (bool, string) {
	cmd := exec.Command(noctule, "--test-config", "-c", file)
	cmd.Dir = filepath.Dir(file)
	out, err := cmd.CombinedOutput()
	return err == nil, string(out)
}
