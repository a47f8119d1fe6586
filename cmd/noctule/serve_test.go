package main

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// await waits until a condition holds.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func signalTo(t *testing.T, cmd *exec.Cmd, sig os.Signal) {
	t.Helper()
	if err := cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// fileHas is whether a file has a text.
func fileHas(path, text string) func() bool {
	return func() bool {
		got, _ := os.ReadFile(path)
		return strings.Contains(string(got), text)
	}
}

// startLogging starts the command with a configuration that logs to a file, and waits until it runs.
func startLogging(t *testing.T, lines ...string) (cmd *exec.Cmd, conf, log string) {
	t.Helper()
	log = filepath.Join(t.TempDir(), "noctule.log")
	conf = writeConfig(t, append([]string{"log_dest file " + log, staysRoot}, lines...)...)
	cmd = command(t, "-c", conf)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	await(t, "running", fileHas(log, version+" running"))
	return cmd, conf, log
}

// TestLogFileIsReopened rotates the log with each of the signals that do so.
func TestLogFileIsReopened(t *testing.T) {
	port := freePort(t)
	cmd, _, log := startLogging(t, fmt.Sprintf("listener %d 127.0.0.1", port), "allow_anonymous true")
	for i, sig := range []syscall.Signal{signalRotate, syscall.SIGHUP, signalRotate} {
		id := fmt.Sprint("client", i)
		old := fmt.Sprintf("%s.%d", log, i)
		if err := os.Rename(log, old); err != nil {
			t.Fatal(err)
		}
		signalTo(t, cmd, sig)
		await(t, "the new log file", fileHas(log, ""))
		await(t, "the new log file exists", func() bool { _, err := os.Stat(log); return err == nil })
		connect(t, dialPort(t, "127.0.0.1", port), id)
		await(t, "a line in the new file", fileHas(log, "as "+id))
		if sig == syscall.SIGHUP && !fileHas(old, "Reloading config.")() {
			t.Error("the old file does not say that the configuration is reloaded")
		}
		if fileHas(old, "as "+id)() {
			t.Error("the old file has a line that came later")
		}
	}
}

func TestRotateSignalIsToldOnce(t *testing.T) {
	rotate, err := catchRotate()
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if err := syscall.Kill(os.Getpid(), signalRotate); err != nil {
			t.Fatal(err)
		}
		select {
		case <-rotate:
		case <-time.After(20 * time.Second):
			t.Fatal("SIGRTMIN was not told")
		}
	}
}

// TestUnopenableLogFile: Mosquitto says so on stderr and runs; ours logs to stderr then.
func TestUnopenableLogFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "missing", "log")
	conf := writeConfig(t, fmt.Sprintf("listener %d 127.0.0.1", freePort(t)), "log_dest file "+path, "log_timestamp false")
	r := startBroker(t, "-c", conf)
	if !strings.HasPrefix(r.first, "Error: Unable to open log file "+path+" for writing.") {
		t.Errorf("first line %q", r.first)
	}
}

func TestUnwritablePIDFile(t *testing.T) {
	conf := writeConfig(t, fmt.Sprintf("listener %d 127.0.0.1", freePort(t)), "pid_file "+filepath.Join(t.TempDir(), "missing", "pid"))
	status, _, errs := result(t, "-c", conf)
	if status != exitSetup || !strings.Contains(errs, ": Error: Unable to write pid file.") {
		t.Errorf("status %d, stderr %q", status, errs)
	}
}

// TestPIDFileOfStartScript: start-stop-daemon --make-pidfile has written the process id where the broker's user may not write.
func TestPIDFileOfStartScript(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	dir, err := os.MkdirTemp("", "pid") // which others may enter
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	pidFile := filepath.Join(dir, "pid")
	conf := writeConfig(t, fmt.Sprintf("listener %d 127.0.0.1", freePort(t)), "user nobody", "pid_file "+pidFile)
	r := startScript(t, `umask 022; echo $$ >"$0"; exec "$@"`, pidFile, "-c", conf)
	signalTo(t, r.cmd, syscall.SIGTERM)
	if err := r.cmd.Wait(); err != nil {
		t.Errorf("the broker with its own pid file: %v", err)
	}
	writeFile(t, pidFile, "1")
	status, _, errs := result(t, "-c", conf)
	if status != exitSetup || !strings.Contains(errs, "Error: The broker runs as the user 'nobody', who must be able to use this file") {
		t.Errorf("another's pid file: status %d, stderr %q", status, errs)
	}
}

// startScript starts the command by a script of the shell, which has file as $0 and the command as its arguments.
func startScript(t *testing.T, script, file string, args ...string) *running {
	t.Helper()
	inner := command(t, args...)
	cmd := exec.CommandContext(t.Context(), "/bin/sh", append([]string{"-c", script, file}, inner.Args...)...)
	cmd.Env = inner.Env
	return startCommand(t, cmd)
}

func TestPIDFileGoesWithTheBroker(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	cmd, _, _ := startLogging(t, fmt.Sprintf("listener %d 127.0.0.1", freePort(t)), "pid_file "+path)
	await(t, "the pid file", fileHas(path, strconv.Itoa(cmd.Process.Pid)))
	signalTo(t, cmd, syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("pid file: %v", err)
	}
}

// TestReloadChangesAllOrNothing: a good file is in force for the next connection, a bad one changes nothing and says why.
func TestReloadChangesAllOrNothing(t *testing.T) {
	port := freePort(t)
	listener := fmt.Sprintf("listener %d 127.0.0.1", port)
	cmd, conf, log := startLogging(t, listener, "allow_anonymous true")
	text := func(lines ...string) string {
		return strings.Join(append([]string{"log_dest file " + log, staysRoot, listener}, lines...), "\n")
	}
	reload := func(text, want string) {
		t.Helper()
		writeFile(t, conf, text)
		if err := os.Truncate(log, 0); err != nil {
			t.Fatal(err)
		}
		signalTo(t, cmd, syscall.SIGHUP)
		await(t, want, fileHas(log, want))
	}
	answer := func(want byte) {
		t.Helper()
		if ack := connect(t, dialPort(t, "127.0.0.1", port), "me"); ack[3] != want {
			t.Errorf("CONNACK % x, want code %d", ack, want)
		}
	}
	answer(0)
	reload(text("allow_anonymous false", "no_such_key 1"), "Error: The configuration has not been changed.")
	if !fileHas(log, "Error: Unknown configuration variable 'no_such_key'")() {
		t.Error("the log does not say what is wrong")
	}
	answer(0)
	reload(text("allow_anonymous false", "loops 3"), "Warning: loops: ")
	if !fileHas(log, "Config changed: allow_anonymous: ")() {
		t.Error("the log does not say what has changed")
	}
	await(t, "the new rule", func() bool { return connect(t, dialPort(t, "127.0.0.1", port), "me")[3] == 5 })
	reload(text("allow_anonymous true"), "Reloading config.")
	await(t, "the old rule", func() bool { return connect(t, dialPort(t, "127.0.0.1", port), "me")[3] == 0 })
	if err := os.Remove(conf); err != nil {
		t.Fatal(err)
	}
	signalTo(t, cmd, syscall.SIGHUP)
	await(t, "the missing file", fileHas(log, "Error: Unable to open config file"))
	answer(0)
}

func TestReloadFailureExit(t *testing.T) {
	cmd, conf, _ := startLogging(t, fmt.Sprintf("listener %d 127.0.0.1", freePort(t)), "reload_failure exit")
	writeFile(t, conf, "no_such_key 1")
	signalTo(t, cmd, syscall.SIGHUP)
	_ = cmd.Wait() // the status says it
	if status := cmd.ProcessState.ExitCode(); status != exitConfig {
		t.Errorf("status %d, want %d", status, exitConfig)
	}
}

func TestSubscriptionTreeGoesToStdout(t *testing.T) {
	port := freePort(t)
	log := filepath.Join(t.TempDir(), "log")
	cmd := command(t, "-c", writeConfig(t, fmt.Sprintf("listener %d 127.0.0.1", port), "allow_anonymous true", staysRoot, "log_dest file "+log))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	await(t, "running", fileHas(log, "running"))
	c := dialPort(t, "127.0.0.1", port)
	connect(t, c, "treeclient")
	subscribe(t, c, "house/+")
	signalTo(t, cmd, syscall.SIGUSR2)
	var text []byte
	buf := make([]byte, 1000)
	for !bytes.Contains(text, []byte("(treeclient, 0)")) {
		n, err := out.Read(buf)
		if err != nil {
			t.Fatalf("stdout ended with %v after %q", err, text)
		}
		text = append(text, buf[:n]...)
	}
}

func subscribe(t *testing.T, c net.Conn, filter string) {
	t.Helper()
	p := append([]byte{0x82, byte(5 + len(filter)), 0, 1, 0, byte(len(filter))}, filter...)
	if _, err := c.Write(append(p, 0)); err != nil {
		t.Fatal(err)
	}
	for head := make([]byte, 2); head[0] != 0x90; { // a message may come before SUBACK
		if _, err := io.ReadFull(c, head); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, head[1])); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSecondSignalEndsAtOnce stops a broker that waits for a client which takes no output.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	port := freePort(t)
	cmd, _, log := startLogging(t, fmt.Sprintf("listener %d 127.0.0.1", port), "allow_anonymous true", "shutdown_timeout 60")
	deaf, talks := dialPort(t, "127.0.0.1", port), dialPort(t, "127.0.0.1", port)
	_ = deaf.(*net.TCPConn).SetReadBuffer(4096)
	connect(t, deaf, "deaf")
	subscribe(t, deaf, "a")
	connect(t, talks, "talks")
	packet := append([]byte{0x30, 0, 0, 0}, 0, 1, 'a')
	packet = append(packet, make([]byte, 1<<20)...)
	n := len(packet) - 4
	packet[1], packet[2], packet[3] = byte(n)|0x80, byte(n>>7)|0x80, byte(n>>14)
	for range 16 {
		if _, err := talks.Write(packet); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := talks.Write([]byte{0xC0, 0}); err != nil { // its answer says that everything has been handled
		t.Fatal(err)
	}
	if _, err := io.ReadFull(talks, make([]byte, 2)); err != nil {
		t.Fatal(err)
	}
	signalTo(t, cmd, syscall.SIGTERM)
	await(t, "terminating", fileHas(log, "terminating"))
	start := time.Now()
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // the status says it
		close(ended)
	}()
	for again := time.NewTicker(100 * time.Millisecond); ; { // those of the first second do not count
		select {
		case <-again.C:
			_ = cmd.Process.Signal(syscall.SIGTERM)
			continue
		case <-ended:
		}
		break
	}
	if status := cmd.ProcessState.ExitCode(); status != exitSetup || time.Since(start) > 30*time.Second {
		t.Errorf("status %d after %s, want %d at once", status, time.Since(start), exitSetup)
	}
}

func TestQuietAndVerbose(t *testing.T) {
	port := freePort(t)
	log := filepath.Join(t.TempDir(), "log")
	conf := writeConfig(t, fmt.Sprintf("listener %d 127.0.0.1", port), "log_dest file "+log, "log_type error", staysRoot)
	pid := filepath.Join(t.TempDir(), "pid")
	quiet := command(t, "-q", "-c", writeConfig(t, fmt.Sprintf("listener %d 127.0.0.1", freePort(t)), "pid_file "+pid, staysRoot))
	var errs bytes.Buffer
	quiet.Stderr = &errs
	if err := quiet.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = quiet.Process.Kill(); _ = quiet.Wait() })
	await(t, "running", fileHas(pid, strconv.Itoa(quiet.Process.Pid)))
	signalTo(t, quiet, syscall.SIGTERM)
	if err := quiet.Wait(); err != nil || errs.Len() > 0 {
		t.Errorf("-q: %v, stderr %q", err, errs.String())
	}
	verbose := command(t, "-v", "-c", conf)
	if err := verbose.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = verbose.Process.Kill(); _ = verbose.Wait() })
	await(t, "a line that log_type error leaves out", fileHas(log, "running"))
}

// TestLogTopics publishes the log into the broker.
func TestLogTopics(t *testing.T) {
	port := freePort(t)
	cmd, _, _ := startLogging(t, fmt.Sprintf("listener %d 127.0.0.1", port), "allow_anonymous true", "log_dest topic")
	c := dialPort(t, "127.0.0.1", port)
	connect(t, c, "watcher")
	subscribe(t, c, "$SYS/broker/log/#")
	connect(t, dialPort(t, "127.0.0.1", port), "other")
	var text []byte
	buf := make([]byte, 4096)
	for !bytes.Contains(text, []byte("as other (p2, c1, k60).")) {
		n, err := c.Read(buf)
		if err != nil {
			t.Fatalf("%v after %q", err, text)
		}
		text = append(text, buf[:n]...)
	}
	topic := binary.BigEndian.AppendUint16(nil, uint16(len("$SYS/broker/log/N")))
	if !bytes.Contains(text, append(topic, "$SYS/broker/log/N"...)) {
		t.Errorf("got %q", text)
	}
	_ = cmd
}

// statusFields reads a line of /proc/PID/task/*/status of every thread; all must agree.
func statusFields(t *testing.T, pid int, field string) string {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(tasks) < 2 {
		t.Fatalf("threads of %d: %v, %v", pid, tasks, err)
	}
	value := ""
	for i, path := range tasks {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // a thread that has ended
		}
		_, rest, _ := strings.Cut(string(text), "\n"+field+":")
		line, _, _ := strings.Cut(rest, "\n")
		line = strings.Join(strings.Fields(line), " ")
		if i > 0 && value != "" && line != value {
			t.Errorf("%s of thread %s is %q, of another %q", field, path, line, value)
		}
		value = line
	}
	return value
}

func TestPrivilegesAreDroppedOnAllThreads(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	f := func(name string, lines ...string) {
		t.Helper()
		u, err := user.Lookup(name)
		if err != nil {
			t.Skipf("no user %s on this machine", name)
		}
		r := startBroker(t, "-c", writeConfig(t, append(lines, fmt.Sprintf("listener %d 127.0.0.1", freePort(t)), "log_type all")...))
		pid := r.cmd.Process.Pid
		if got, want := statusFields(t, pid, "Uid"), strings.Join([]string{u.Uid, u.Uid, u.Uid, u.Uid}, " "); got != want {
			t.Errorf("Uid %s, want %s", got, want)
		}
		if got, want := statusFields(t, pid, "Gid"), strings.Join([]string{u.Gid, u.Gid, u.Gid, u.Gid}, " "); got != want {
			t.Errorf("Gid %s, want %s", got, want)
		}
		if got := statusFields(t, pid, "CapEff"); strings.Trim(got, "0") != "" {
			t.Errorf("capabilities %s are left", got)
		}
		if got := strings.Fields(statusFields(t, pid, "Groups")); len(got) == 0 || got[0] != u.Gid {
			t.Errorf("Groups %s, want %s", got, u.Gid)
		}
	}
	f("nobody", "user nobody")
	f("mosquitto", "user mosquitto")
	f("mosquitto")
}

func TestUserProblems(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	listener := fmt.Sprintf("listener %d 127.0.0.1", freePort(t))
	status, _, errs := result(t, "-c", writeConfig(t, listener, "user no-such-user"))
	if status != exitSetup || errs != "Error: Unable to drop privileges to 'no-such-user' because this user does not exist.\n" {
		t.Errorf("status %d, stderr %q", status, errs)
	}
	r := startBroker(t, "-c", writeConfig(t, listener, staysRoot))
	if !strings.HasSuffix(r.first, ": Warning: Noctule should not be run as root/administrator.") {
		t.Errorf("first line %q", r.first)
	}
}

// TestServiceManagerIsTold holds what systemd hears, at a path and at an abstract address.
func TestServiceManagerIsTold(t *testing.T) {
	for _, name := range []string{filepath.Join(t.TempDir(), "notify"), "@noctule-test-" + rand.Text()} {
		address := name
		if name[0] == '@' {
			address = "\x00" + name[1:]
		}
		socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		defer socket.Close()
		cmd := command(t, "-c", writeConfig(t, fmt.Sprintf("listener %d 127.0.0.1", freePort(t)), staysRoot))
		cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+name)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"READY=1", "STOPPING=1"} {
			buf := make([]byte, 100)
			if err := socket.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
				t.Fatal(err)
			}
			n, err := socket.Read(buf)
			if err != nil || string(buf[:n]) != want {
				t.Errorf("%s: %q, %v, want %s", name, buf[:n], err, want)
			}
			if want == "READY=1" {
				signalTo(t, cmd, syscall.SIGTERM)
			}
		}
		_ = cmd.Wait()
	}
}
