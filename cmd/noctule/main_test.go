package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// commandVariable makes the test binary be the command, called by the name in it.
const commandVariable = "NOCTULE_TEST_COMMAND"

func TestMain(m *testing.M) {
	if name := os.Getenv(commandVariable); name != "" {
		os.Exit(run(append([]string{name}, os.Args[1:]...)))
	}
	os.Exit(m.Run())
}

// command is the command with arguments, not started.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), commandVariable+"=noctule")
	return cmd
}

// result runs the command to its end.
func result(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs strings.Builder
	cmd := command(t, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// freePort is a port that nobody listened on a moment ago.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func writeConfig(t *testing.T, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "noctule.conf")
	writeFile(t, path, strings.Join(lines, "\n"))
	return path
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// staysRoot lets a broker that root starts write into the tests' private directories.
const staysRoot = "user root"

func TestHelpAndVersion(t *testing.T) {
	status, out, _ := result(t, "-h")
	if status != 0 || !strings.Contains(out, "Usage: noctule [-c config_file] [-d] [-h] [-p port] [-v]") {
		t.Errorf("-h: status %d, output %q", status, out)
	}
	status, out, _ = result(t, "--version")
	if status != 0 || !strings.HasPrefix(out, "noctule version ") {
		t.Errorf("--version: status %d, output %q", status, out)
	}
}

func TestWrongCommandLines(t *testing.T) {
	f := func(want string, args ...string) {
		t.Helper()
		status, out, errs := result(t, args...)
		if status != exitConfig || errs != want+"\n" {
			t.Errorf("%q: status %d, stderr %q, want status 3 and %q", args, status, errs, want)
		}
		if unknown := strings.Contains(want, "Unknown option"); unknown != strings.Contains(out, "Usage: ") {
			t.Errorf("%q: stdout %q; the usage text belongs to unknown options only", args, out)
		}
	}
	f("Error: Invalid port specified (0).", "-p", "0")
	f("Error: Invalid port specified (0).", "-p", "x")
	f("Error: -p argument given, but no port specified.", "-p")
	f("Error: -c argument given, but no config file specified.", "-c")
	f("Error: --tls-keylog argument given, but no file specified.", "--tls-keylog")
	f("Error: Unknown option '--x'.", "--x")
	f("Error: Unknown option '--x'.", "--x", "-h")
	f("Error: Unknown option 'no-command'.", "no-command")
}

// TestCommandLinesAsMosquitto runs command lines that end at once through Debian's mosquitto too: the same sentences on the
// same streams and the same status, but for the status of help, which is 0 since 2.1.
func TestCommandLinesAsMosquitto(t *testing.T) {
	const mosquitto = "/usr/sbin/mosquitto"
	if _, err := os.Stat(mosquitto); err != nil {
		t.Skip("no mosquitto to compare with")
	}
	stamp := regexp.MustCompile(`(?m)^\d+: `)
	f := func(args ...string) {
		t.Helper()
		var out, errs strings.Builder
		cmd := exec.CommandContext(t.Context(), mosquitto, args...)
		cmd.Stdout, cmd.Stderr = &out, &errs
		_ = cmd.Run() // the status says it
		wantStatus, wantErrs := cmd.ProcessState.ExitCode(), stamp.ReplaceAllString(errs.String(), "")
		status, gotOut, gotErrs := result(t, args...)
		if status != wantStatus && wantErrs != "" || gotErrs != wantErrs {
			t.Errorf("%q: status %d, stderr %q; mosquitto: %d, %q", args, status, gotErrs, wantStatus, wantErrs)
		}
		if got, want := strings.Contains(gotOut, "\nUsage: "), strings.Contains(out.String(), "\nUsage: "); got != want {
			t.Errorf("%q: usage text on stdout: %v; mosquitto: %v", args, got, want)
		}
	}
	f("-h")
	f("--help")
	f("-h", "-x")
	f("-v", "-h")
	f("-x")
	f("--foo")
	f("foo")
	f("")
	f("-vp", "1883")
	f("-x", "-h")
	f("-p", "abc")
	f("-p", "")
	f("-p", "0")
	f("-p", "-1")
	f("-p", "70000")
	f("-p", " 70000x")
	f("-p", "+0")
	f("-p")
	f("--port")
	f("-p", "abc", "-h")
	f("-c")
	f("--config-file")
	var many []string
	for range portsMax + 1 {
		many = append(many, "-p", "1883")
	}
	f(many...)
}

func TestConfigurationErrorsNameFileAndLine(t *testing.T) {
	path := writeConfig(t, "# comment", "listner 1883", "max_qos 7", "")
	for _, args := range [][]string{{"-c", path}, {"-c", path, "--test-config"}} {
		status, _, errs := result(t, args...)
		if status != exitConfig || !strings.Contains(errs, "Error: Unknown configuration variable 'listner'") ||
			!strings.Contains(errs, path+":2") || !strings.Contains(errs, "'listener'") || !strings.Contains(errs, path+":3") {
			t.Errorf("%q: status %d, stderr:\n%s", args, status, errs)
		}
	}
	status, _, errs := result(t, "-c", path+".missing")
	if status != exitConfig || !strings.HasPrefix(errs, "Error: Unable to open config file '"+path+".missing'.") {
		t.Errorf("missing file: status %d, stderr %q", status, errs)
	}
}

func TestTestConfigOpensNoPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	path := writeConfig(t, fmt.Sprintf("listener %d 127.0.0.1", l.Addr().(*net.TCPAddr).Port))
	if status, _, errs := result(t, "-c", path, "--test-config"); status != 0 {
		t.Fatalf("status %d, stderr %q", status, errs)
	}
	status, _, errs := result(t, "-c", path)
	if status != exitSetup || !strings.Contains(errs, "Error: Address already in use") || !strings.Contains(errs, "("+path+":1)") {
		t.Fatalf("port in use: status %d, stderr %q, want status 1", status, errs)
	}
}

// running is a started broker and its log.
type running struct {
	cmd   *exec.Cmd
	log   *bufio.Scanner
	first string // line of the log
}

// startBroker starts the command and waits until it says that it runs.
func startBroker(t *testing.T, args ...string) *running {
	t.Helper()
	return startCommand(t, command(t, args...))
}

func startCommand(t *testing.T, cmd *exec.Cmd) *running {
	t.Helper()
	pipe, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := &running{cmd: cmd, log: bufio.NewScanner(pipe)}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	r.await(t, version+" running")
	return r
}

// await reads the log up to a line that contains text, and returns it.
func (r *running) await(t *testing.T, text string) string {
	t.Helper()
	var all []string
	for r.log.Scan() {
		if r.first == "" {
			r.first = r.log.Text()
		}
		all = append(all, r.log.Text())
		if strings.Contains(r.log.Text(), text) {
			return r.log.Text()
		}
	}
	t.Fatalf("the log ended without %q:\n%s", text, strings.Join(all, "\n"))
	return ""
}

func dialPort(t *testing.T, address string, port int) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", net.JoinHostPort(address, strconv.Itoa(port)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

// connect sends a 3.1.1 CONNECT and returns the CONNACK.
func connect(t *testing.T, c net.Conn, id string) []byte {
	t.Helper()
	p := append([]byte{0x10, byte(12 + len(id)), 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 60, 0, byte(len(id))}, id...)
	if _, err := c.Write(p); err != nil {
		t.Fatal(err)
	}
	ack := make([]byte, 4)
	if _, err := io.ReadFull(c, ack); err != nil {
		t.Fatal(err)
	}
	return ack
}

func TestLocalOnlyModeListensOnLoopback(t *testing.T) {
	port := freePort(t)
	r := startBroker(t, "-p", strconv.Itoa(port))
	for _, address := range []string{"127.0.0.1", "::1"} {
		if ack := connect(t, dialPort(t, address, port), "local"); ack[3] != 0 {
			t.Errorf("%s: CONNACK % x", address, ack)
		}
	}
	_ = r
}

// TestTermination holds what an init system sees: status 0, soon, with clients connected, and the port free at once.
func TestTermination(t *testing.T) {
	for _, sig := range []os.Signal{syscall.SIGTERM, syscall.SIGINT} {
		port := freePort(t)
		r := startBroker(t, "-p", strconv.Itoa(port), "-v")
		c := dialPort(t, "127.0.0.1", port)
		connect(t, c, "stays")
		if err := r.cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(c); err != nil {
			t.Errorf("%s: the connection ended with %v", sig, err)
		}
		r.await(t, " terminating")
		if err := r.cmd.Wait(); err != nil {
			t.Errorf("%s: %v", sig, err)
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatalf("%s: port not free: %v", sig, err)
		}
		l.Close()
	}
}

func TestConnectionLogLines(t *testing.T) {
	port := freePort(t)
	r := startBroker(t, "-p", strconv.Itoa(port))
	c := dialPort(t, "127.0.0.1", port)
	local := c.LocalAddr().String()
	connect(t, c, "me")
	c.Close()
	for _, want := range []string{
		fmt.Sprintf(": New connection from %s on port %d.", local, port),
		fmt.Sprintf(": New client connected from %s as me (p2, c1, k60).", local),
		fmt.Sprintf(": Client me [%s] closed its connection.", local),
	} {
		if line := r.await(t, "c"); !strings.HasSuffix(line, want) {
			t.Errorf("log line %q, want %q", line, want)
		}
	}
}

// TestDaemonReturnsWhenListening starts in the background, uses the broker at once, and stops it by its pid file.
func TestDaemonReturnsWhenListening(t *testing.T) {
	port := freePort(t)
	pidFile := filepath.Join(t.TempDir(), "noctule.pid")
	logFile := filepath.Join(t.TempDir(), "noctule.log")
	path := writeConfig(t, fmt.Sprintf("listener %d 127.0.0.1", port), "allow_anonymous true", "pid_file "+pidFile,
		"log_dest file "+logFile, staysRoot)
	if status, _, errs := result(t, "-d", "-c", path); status != 0 {
		t.Fatalf("status %d, stderr %q", status, errs)
	}
	text, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(text))
	if err != nil {
		t.Fatal(err)
	}
	c := dialPort(t, "127.0.0.1", port)
	connect(t, c, "daemon")
	// A second one cannot have the port, and -d says so.
	if status, _, errs := result(t, "-d", "-c", path); status != exitSetup {
		t.Errorf("second: status %d, stderr %q, want 1", status, errs)
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(c); err != nil {
		t.Error(err)
	}
	log, err := os.ReadFile(logFile)
	if err != nil || !strings.Contains(string(log), "as daemon (p2, c1, k60)") {
		t.Errorf("log file: %v\n%s", err, log)
	}
}
