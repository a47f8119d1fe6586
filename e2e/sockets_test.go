package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// unixTool is tool over a Unix socket.
func unixTool(t *testing.T, path, name string, args ...string) *exec.Cmd {
	t.Helper()
	return exec.CommandContext(soon(t), "stdbuf", append([]string{"-oL", name, "--unix", path}, args...)...)
}

// said waits for a line of the log while f runs.
func (b *broker) said(t *testing.T, line string, f func()) string {
	t.Helper()
	w := &wanted{text: line, found: make(chan string, 1)}
	b.wanted.Store(w)
	defer b.wanted.Store(nil)
	f()
	return next(t, w.found)
}

// fails runs a broker that must not start, and holds its status and a part of what it says.
func fails(t *testing.T, status int, want, conf string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "noctule.conf")
	writeFile(t, path, "user root\nallow_anonymous true\n"+conf)
	cmd := exec.CommandContext(soon(t), brokerPath, "-c", path)
	out, _ := cmd.CombinedOutput()
	if got := cmd.ProcessState.ExitCode(); got != status || !strings.Contains(string(out), want) {
		t.Errorf("%q: status %d, want %d with %q:\n%s", conf, got, status, want, out)
	}
}

func TestMosquittoClientsOverAUnixSocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "broker.sock")
	b := start(t, "address_connection_rate 1", "address_message_rate 1", "listener 0 "+path, "socket_mode 0600", "deny_address 0.0.0.0/0")
	for _, version := range []string{"mqttv31", "mqttv311", "mqttv5"} {
		sub := unixTool(t, path, "mosquitto_sub", "-V", version, "-q", "2", "-t", "a", "-C", "3", "-d")
		out, err := sub.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := sub.Start(); err != nil {
			t.Fatal(err)
		}
		scan, got := bufio.NewScanner(out), 0
		for scan.Scan() {
			switch {
			case strings.HasPrefix(scan.Text(), "Subscribed "):
				for qos := range 3 {
					line := b.said(t, "New client connected from "+path+":0 as pub", func() {
						if out, err := unixTool(t, path, "mosquitto_pub", "-V", version, "-i", "pub", "-q", strconv.Itoa(qos), "-t", "a", "-m", "hello").CombinedOutput(); err != nil {
							t.Errorf("%v: %s", err, out)
						}
					})
					if !strings.Contains(line, "k60") {
						t.Errorf("log line %q", line)
					}
				}
			case scan.Text() == "hello":
				got++
			}
		}
		if err := sub.Wait(); err != nil || got != 3 {
			t.Errorf("%s: %d messages, %v", version, got, err)
		}
	}
	if st, err := os.Stat(path); err != nil || st.Mode() != os.ModeSocket|0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	if err := b.stop(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is still there: %v", err)
	}
}

func TestUnixSocketThatAKilledBrokerLeftIsReplaced(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "broker.sock")
	_ = start(t, "listener 0 "+path).stop(syscall.SIGKILL)
	if _, err := os.Lstat(path); err != nil {
		t.Fatal(err)
	}
	group := uint32(os.Getgid())
	if os.Geteuid() == 0 {
		group = 12345
	}
	start(t, "listener 0 "+path, fmt.Sprint("socket_group ", group))
	if out, err := unixTool(t, path, "mosquitto_pub", "-t", "a", "-m", "x").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	st, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if gid := st.Sys().(*syscall.Stat_t).Gid; gid != group || st.Mode().Perm() != 0o770 {
		t.Errorf("group %d, mode %v", gid, st.Mode())
	}
	// A second broker neither takes the path over nor removes it.
	fails(t, 1, "Address already in use", "listener 0 "+path+"\n")
	if out, err := unixTool(t, path, "mosquitto_pub", "-t", "a", "-m", "x").CombinedOutput(); err != nil {
		t.Errorf("after the second broker: %v: %s", err, out)
	}
}

func TestUnixSocketsThatCannotBeMade(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	writeFile(t, file, "keep")
	fails(t, 1, "is no socket", "listener 0 "+file+"\n")
	if b, err := os.ReadFile(file); err != nil || string(b) != "keep" {
		t.Errorf("the file is %q, %v", b, err)
	}
	fails(t, 1, "No such file or directory", "listener 0 "+filepath.Join(dir, "none", "x")+"\n")
	fails(t, 1, "107 bytes", "listener 0 /"+strings.Repeat("x", 108)+"\n")
	fails(t, 1, "socket_owner nobody-of-this-name", "listener 0 "+filepath.Join(dir, "x")+"\nsocket_owner nobody-of-this-name\n")
	fails(t, 3, "Invalid 'socket_mode' value", "listener 0 "+filepath.Join(dir, "x")+"\nsocket_mode 0999\n")
	fails(t, 3, "client certificates", "listener 18830\npsk_hint x\n")
}

// reaches is whether a client gets an answer at an address.
func reaches(t *testing.T, address string) bool {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		return false
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(connectBytes(name(t, "c"), "", "")); err != nil {
		return false
	}
	answer := make([]byte, 4)
	_, err = io.ReadFull(c, answer)
	return err == nil && answer[3] == 0
}

// freePort is a port that nobody uses at the moment.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func TestAddressFamiliesAndInterfaces(t *testing.T) {
	both, four, six, loopback := freePort(t), freePort(t), freePort(t), freePort(t)
	start(t, fmt.Sprintf("listener %d", both), fmt.Sprintf("listener %d\nsocket_domain ipv4", four),
		fmt.Sprintf("listener %d\nsocket_domain ipv6", six), fmt.Sprintf("listener %d\nbind_interface lo", loopback))
	f := func(port int, host string, want bool) {
		t.Helper()
		if got := reaches(t, net.JoinHostPort(host, strconv.Itoa(port))); got != want {
			t.Errorf("%s port %d: reached %t", host, port, got)
		}
	}
	f(both, "127.0.0.1", true)
	f(both, "::1", true)
	f(four, "127.0.0.1", true)
	f(four, "::1", false)
	f(six, "127.0.0.1", false)
	f(six, "::1", true)
	f(loopback, "127.0.0.1", true)
	f(loopback, "::1", true)
	if other := otherAddress(); other != "" {
		f(both, other, true)
		f(loopback, other, false)
	}
	fails(t, 1, "no-such-interface", "listener 18830\nbind_interface no-such-interface\n")
	fails(t, 1, "does not have the address 192.0.2.99", "listener 18830 192.0.2.99\nbind_interface lo\n")
	fails(t, 1, "socket_domain", "listener 18830 127.0.0.1\nsocket_domain ipv6\n")
}

// otherAddress is an address of this machine beside loopback; empty when it has none.
func otherAddress() string {
	all, _ := net.InterfaceAddrs()
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			return n.IP.String()
		}
	}
	return ""
}

func TestAddressesAreAdmittedByNetwork(t *testing.T) {
	t.Parallel()
	only, but := freePort(t), freePort(t)
	b := start(t, fmt.Sprintf("listener %d\nallow_address 127.0.0.0/8", only), fmt.Sprintf("listener %d\ndeny_address 127.0.0.2 127.0.0.3", but))
	f := func(from string, port int, want bool) {
		t.Helper()
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		host := "127.0.0.1"
		if strings.Contains(from, ":") {
			host = "::1"
		}
		c, err := d.Dial("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = c.Write(connectBytes(name(t, "c"), "", ""))
		if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		_, err = io.ReadFull(c, make([]byte, 4))
		if (err == nil) != want {
			t.Errorf("from %s to port %d: %v", from, port, err)
		}
	}
	f("127.0.0.9", only, true)
	f("::1", only, false)
	f("127.0.0.1", but, true)
	f("127.0.0.3", but, false)
	b.said(t, "Connection from 127.0.0.2:", func() { f("127.0.0.2", but, false) })

	// A reload changes it for the next connection.
	text, err := os.ReadFile(b.conf)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, b.conf, strings.Replace(string(text), "deny_address 127.0.0.2 127.0.0.3", "deny_address 127.0.0.1", 1))
	b.said(t, "Config changed", func() { _ = b.cmd.Process.Signal(syscall.SIGHUP) })
	f("127.0.0.2", but, true)
	f("127.0.0.1", but, false)
}

// activated runs a broker as a service manager does: with sockets from descriptor 3 on. The shell is there because LISTEN_PID
// must be the broker's own.
func activated(t *testing.T, conf string, names string, sockets ...*os.File) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "noctule.conf")
	writeFile(t, path, "user root\nallow_anonymous true\n"+conf)
	cmd := exec.CommandContext(soon(t), "sh", "-c", `LISTEN_PID=$$ exec "$0" -c "$1"`, brokerPath, path)
	cmd.ExtraFiles = sockets
	cmd.Env = append(os.Environ(), fmt.Sprintf("LISTEN_FDS=%d", len(sockets)), "LISTEN_FDNAMES="+names)
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd, bufio.NewScanner(out)
}

func TestSocketsOfTheServiceManagerAreUsed(t *testing.T) {
	t.Parallel()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	path := filepath.Join(t.TempDir(), "broker.sock")
	local, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer local.Close()
	tcpFile, err := tcp.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	localFile, err := local.File()
	if err != nil {
		t.Fatal(err)
	}
	port := tcp.Addr().(*net.TCPAddr).Port
	cmd, log := activated(t, fmt.Sprintf("listener %d\nlistener 0 %s\n", port, path), "mqtt:local", tcpFile, localFile)
	taken := 0
	for log.Scan() && !strings.HasSuffix(log.Text(), " running") {
		if strings.Contains(log.Text(), "Using the service manager's") {
			taken++
		}
	}
	if taken != 2 {
		t.Errorf("%d sockets were taken", taken)
	}
	if !reaches(t, tcp.Addr().String()) {
		t.Error("the TCP socket is not served")
	}
	if out, err := unixTool(t, path, "mosquitto_pub", "-t", "a", "-m", "x").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for log.Scan() {
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the service manager's socket was removed: %v", err)
	}

	cmd, log = activated(t, "listener 1\n", "mqtt", tcpFile)
	said := ""
	for log.Scan() {
		said += log.Text() + "\n"
	}
	_ = cmd.Wait()
	if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(said, "listener") {
		t.Errorf("status %d: %s", cmd.ProcessState.ExitCode(), said)
	}
	cmd, log = activated(t, fmt.Sprintf("listener %d\n", freePort(t)), "mqtt", tcpFile)
	said = ""
	for log.Scan() {
		said += log.Text() + "\n"
	}
	_ = cmd.Wait()
	if want := fmt.Sprintf("add the line 'listener %d'", port); cmd.ProcessState.ExitCode() != 1 || !strings.Contains(said, want) {
		t.Errorf("status %d, want %q: %s", cmd.ProcessState.ExitCode(), want, said)
	}
}

// TestMoreSocketsThanTheServiceManagerGave are not looked for among the broker's own files.
func TestMoreSocketsThanTheServiceManagerGave(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(soon(t), "sh", "-c", `LISTEN_PID=$$ exec "$0"`, brokerPath)
	cmd.Env = append(os.Environ(), "LISTEN_FDS=4")
	out, _ := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "Error: LISTEN_FDS=4: descriptor 3 is no socket that listens") {
		t.Errorf("status %d: %s", cmd.ProcessState.ExitCode(), out)
	}
}

// TestServiceManagerHearsOfReloadsAndLife holds what systemd is told, and that a broker that does not turn is not called alive.
func TestServiceManagerHearsOfReloadsAndLife(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	conf := filepath.Join(t.TempDir(), "noctule.conf")
	writeFile(t, conf, fmt.Sprintf("user root\nlistener %d 127.0.0.1\nallow_anonymous true\n", freePort(t)))
	cmd := exec.CommandContext(soon(t), brokerPath, "-c", conf)
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+path, "WATCHDOG_USEC=200000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	hear := func(want string) {
		t.Helper()
		buf := make([]byte, 200)
		if err := socket.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		for {
			n, err := socket.Read(buf)
			if err != nil {
				t.Fatalf("nobody says %s: %v", want, err)
			}
			if strings.HasPrefix(string(buf[:n]), want) {
				return
			}
			if string(buf[:n]) != "WATCHDOG=1" {
				t.Errorf("%q, want %s", buf[:n], want)
			}
		}
	}
	hear("READY=1")
	hear("WATCHDOG=1")
	hear("WATCHDOG=1")
	_ = cmd.Process.Signal(syscall.SIGHUP)
	hear("RELOADING=1\nMONOTONIC_USEC=")
	hear("READY=1")
	_ = cmd.Process.Signal(syscall.SIGTERM)
	hear("STOPPING=1")
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// TestTLSKeyLog holds that --tls-keylog writes the keys of a connection, for the owner's eyes only.
func TestTLSKeyLog(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	certFile, keyFile, _ := a.issue("localhost", ecKey(t), nil)
	conf, keys, port := filepath.Join(t.TempDir(), "noctule.conf"), filepath.Join(t.TempDir(), "keys"), freePort(t)
	writeFile(t, conf, fmt.Sprintf("user root\nlistener %d 127.0.0.1\ncertfile %s\nkeyfile %s\nallow_anonymous true\n", port, certFile, keyFile))
	cmd := exec.CommandContext(soon(t), brokerPath, "-c", conf, "--tls-keylog", keys)
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	for scan := bufio.NewScanner(log); scan.Scan() && !strings.HasSuffix(scan.Text(), " running"); {
	}
	joinTLS(t, &broker{port: port}, a.config(), "c")
	text, err := os.ReadFile(keys)
	if err != nil || !strings.Contains(string(text), "SECRET") {
		t.Errorf("the key log is %q, %v", text, err)
	}
	if st, err := os.Stat(keys); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
}
