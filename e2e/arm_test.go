package e2e

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// armTests run with the broker of other machines, too: between them they use every kind of socket, files, and signals.
const armTests = "^(TestKilledBehindTLSAndWebSocket|TestUnixSocketThatAKilledBrokerLeftIsReplaced|TestSocketsOfTheServiceManagerAreUsed|" +
	"TestPaho5EveryQoSBothWays|TestTLSReload|TestHTTPDir)$"

// TestOnARM runs armTests with brokers that emulators run: with an int of 32 bits, and with the system calls, structures and assembly of
// these machines.
func TestOnARM(t *testing.T) {
	if testing.Short() || os.Getenv("NOCTULE_E2E_BROKER") != "" {
		t.Skip("runs with all tests of this tree's broker")
	}
	f := func(qemu, goarch string) {
		t.Run(goarch, func(t *testing.T) {
			t.Parallel()
			emulator, err := exec.LookPath(qemu + "-static")
			if err != nil {
				if emulator, err = exec.LookPath(qemu); err != nil {
					t.Skipf("needs %s-static, of Debian's qemu-user-static", qemu)
				}
			}
			program, run := filepath.Join(t.TempDir(), "noctule"), filepath.Join(t.TempDir(), "run")
			build := exec.Command("go", "build", "-o", program, "../cmd/noctule")
			build.Env = append(os.Environ(), "GOARCH="+goarch, "GOARM=6", "CGO_ENABLED=0", "GOFLAGS=")
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("build the broker: %v\n%s", err, out)
			}
			must(t, os.WriteFile(run, fmt.Appendf(nil, "#!/bin/sh\nexec '%s' '%s' \"$@\"\n", emulator, program), 0o700))
			tests := exec.Command(os.Args[0], "-test.run", armTests, "-test.timeout", "300s", "-test.v")
			tests.Env = append(os.Environ(), "NOCTULE_E2E_BROKER="+run)
			out, err := tests.CombinedOutput()
			passed, want := strings.Count("\n"+string(out), "\n--- PASS: "), strings.Count(armTests, "|")+1
			if err != nil || passed != want {
				t.Fatalf("%d of %d tests passed, %v\n%s", passed, want, err, out)
			}
		})
	}
	f("qemu-arm", "arm")
	f("qemu-aarch64", "arm64")
}

// TestKilledBehindTLSAndWebSocket kills the broker when it has acknowledged messages for an absent client, and again when some of them
// were delivered. The clients speak MQTT in a WebSocket in TLS.
func TestKilledBehindTLSAndWebSocket(t *testing.T) {
	t.Parallel()
	const messages = 60
	a, dir := newAuthority(t), t.TempDir()
	certFile, keyFile, _ := a.issue("localhost", ecKey(t), nil)
	again := func() *broker {
		t.Helper()
		return start(t, "certfile "+certFile, "keyfile "+keyFile, "protocol websockets", "persistence true", "persistence_location "+dir,
			"max_queued_messages 2147483647", "max_output_bytes 1073741824") // the largest that they may be
	}
	// join connects with a session that stays, and holds whether there was one.
	join := func(b *broker, id string, present byte) *raw {
		t.Helper()
		conn, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", b.addr(), a.config())
		must(t, err)
		s := openSocket(t, conn)
		r := &raw{conn: s, in: bufio.NewReader(s)}
		_, err = r.conn.Write(frame(0x10, append(append(text("MQTT"), 4, 0, 0, 60), text(id)...)))
		must(t, err)
		if first, body, err := r.packet(); err != nil || first != 0x20 || !bytes.Equal(body, []byte{present, 0}) {
			t.Fatalf("CONNECT of %s: %02X % X, %v", id, first, body, err)
		}
		return r
	}
	payload := func(i int) string { return strings.Repeat(fmt.Sprint("message ", i, " "), 1+i*i) }
	// take returns which message came, and acknowledges it.
	take := func(r *raw) (i int) {
		t.Helper()
		first, body, err := r.packet()
		must(t, err)
		head := len(text("a/b"))
		if _, err := fmt.Sscanf(string(body[head+2:]), "message %d", &i); err != nil || first&^0x08 != 0x32 || string(body[head+2:]) != payload(i) {
			t.Fatalf("%02X and %d bytes instead of message %d", first, len(body), i)
		}
		_, err = r.conn.Write(frame(0x40, body[head:head+2]))
		must(t, err)
		return i
	}

	b := again()
	r := join(b, "reader", 0)
	_, err := r.conn.Write(subscribeBytes(1, "a/#"))
	must(t, err)
	must(t, r.want(0x90, 1))
	r.conn.Close()
	w, choked := join(b, "writer", 0), awaitLine(t, b, "does not read its answers")
	for i := range messages {
		_, err := w.conn.Write(publishBytes(1, "a/b", uint16(i+1), []byte(payload(i))))
		must(t, err)
		must(t, w.want(0x40, i+1))
	}
	_, err = w.conn.Write(publishBytes(2, "other", 200, nil))
	must(t, err)
	must(t, w.want(0x50, 200))
	select {
	case line := <-choked:
		t.Error(line)
	default:
	}
	_ = b.stop(syscall.SIGKILL)

	b = again()
	r = join(b, "reader", 1)
	for i := range messages / 2 {
		if got := take(r); got != i {
			t.Fatalf("message %d instead of %d", got, i)
		}
	}
	_ = b.stop(syscall.SIGKILL)

	b = again()
	r = join(b, "reader", 1)
	first := take(r) // one that was acknowledged may come again
	if first > messages/2 {
		t.Fatalf("begins with message %d", first)
	}
	for i := first + 1; i < messages; i++ {
		if got := take(r); got != i {
			t.Fatalf("message %d instead of %d", got, i)
		}
	}
	must(t, b.stop(syscall.SIGTERM))
}
