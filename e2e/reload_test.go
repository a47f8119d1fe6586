package e2e

import (
	"encoding/binary"
	"fmt"
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

const (
	reloads       = 100
	reloadClients = 100
)

// TestReloadUnderLoad reloads a hundred times while a hundred clients publish to themselves as fast as they can: nobody who
// is still allowed loses the connection or a message, a broken file changes nothing and says why, and a user who is taken out
// of the password file is disconnected.
func TestReloadUnderLoad(t *testing.T) {
	dir := t.TempDir()
	passwords, acl := filepath.Join(dir, "passwords"), filepath.Join(dir, "acl")
	makePasswords(t, passwords, map[string]string{"u": "secret", "leaver": "secret"})
	writeFile(t, acl, "user u\ntopic readwrite own/#\nuser leaver\ntopic readwrite own/#\n")
	b := start(t, "password_file "+passwords, "acl_file "+acl, "max_queued_messages 0")
	leaver := joinRaw(t, b, "leaver", "leaver", "secret")

	var stop atomic.Bool
	var done sync.WaitGroup
	var sent, got atomic.Int64
	for i := range reloadClients {
		c := joinRaw(t, b, fmt.Sprint("client", i), "u", "secret")
		topic := fmt.Sprintf("own/%d", i)
		if _, err := c.conn.Write(subscribeBytes(0, topic)); err != nil {
			t.Fatal(err)
		}
		if err := c.want(0x90, 0); err != nil {
			t.Fatal(err)
		}
		done.Go(func() {
			if err := publishToItself(c, topic, &stop, &sent, &got); err != nil {
				t.Errorf("client %d: %v", i, err)
			}
		})
	}
	good, err := os.ReadFile(b.conf)
	if err != nil {
		t.Fatal(err)
	}
	for i := range reloads {
		want := fmt.Sprintf("becomes %d", 30+i)
		text := string(good) + fmt.Sprintf("max_inflight_messages %d\n", 30+i)
		writeFile(t, acl, fmt.Sprintf("# %d\nuser u\ntopic readwrite own/#\nuser leaver\ntopic readwrite own/#\n", i))
		switch i % 10 {
		case 3:
			text += "no_such_key 1\n"
			want = "Unknown configuration variable 'no_such_key'"
		case 7:
			writeFile(t, acl, "user u\ntopic nonsense own/#\n")
			want = acl + ":2"
		}
		writeFile(t, b.conf, text)
		b.expect(t, want, func() { _ = b.cmd.Process.Signal(syscall.SIGHUP) })
	}
	makePasswords(t, passwords, map[string]string{"u": "secret"})
	writeFile(t, acl, "user u\ntopic readwrite own/#\n")
	writeFile(t, b.conf, string(good))
	_ = b.cmd.Process.Signal(syscall.SIGHUP)
	if first, _, err := leaver.packet(); err == nil {
		t.Errorf("a user who is not in the file any more got packet %02X", first)
	}
	stop.Store(true)
	done.Wait()
	if sent.Load() != got.Load() || sent.Load() < reloads*reloadClients {
		t.Errorf("%d messages sent, %d received", sent.Load(), got.Load())
	}
	t.Logf("%d messages during %d reloads", sent.Load(), reloads)
}

// publishToItself keeps a few messages under way until stop, and holds that each comes back in order.
func publishToItself(c *raw, topic string, stop *atomic.Bool, sent, got *atomic.Int64) error {
	const window = 8
	var out, in uint32
	for {
		for !stop.Load() && out-in < window {
			out++
			if _, err := c.conn.Write(publishBytes(0, topic, 0, binary.BigEndian.AppendUint32(nil, out))); err != nil {
				return err
			}
			sent.Add(1)
		}
		if out == in {
			return nil
		}
		first, body, err := c.packet()
		if err != nil {
			return err
		}
		if first != 0x30 || len(body) < 4 {
			return fmt.Errorf("got packet %02X % X", first, body)
		}
		if n := binary.BigEndian.Uint32(body[len(body)-4:]); n != in+1 {
			return fmt.Errorf("got message %d after %d", n, in)
		}
		in++
		got.Add(1)
	}
}

// TestSignalBeforeConnect holds that a connection opened right after SIGHUP was sent sees the new password file.
func TestSignalBeforeConnect(t *testing.T) {
	passwords := filepath.Join(t.TempDir(), "passwords")
	makePasswords(t, passwords, map[string]string{"u": "0"})
	b := start(t, "password_file "+passwords)
	for i := range 20 {
		old, now := fmt.Sprint(i), fmt.Sprint(i+1)
		makePasswords(t, passwords, map[string]string{"u": now})
		if err := b.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		for password, code := range map[string]int{old: 5, now: 0} {
			c, err := dialRaw(b)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.conn.Write(connectBytes("c", "u", password)); err != nil {
				t.Fatal(err)
			}
			if err := c.want(0x20, code); err != nil {
				t.Errorf("round %d: %v", i, err)
			}
			c.conn.Close()
		}
	}
}

// makePasswords writes a password file with Debian's tool.
func makePasswords(t *testing.T, path string, users map[string]string) {
	t.Helper()
	var plain strings.Builder
	for user, password := range users {
		fmt.Fprintf(&plain, "%s:%s\n", user, password)
	}
	next := path + ".next"
	writeFile(t, next, plain.String())
	if out, err := exec.Command("mosquitto_passwd", "-U", next).CombinedOutput(); err != nil {
		t.Fatalf("mosquitto_passwd: %v\n%s", err, out)
	}
	if err := os.Rename(next, path); err != nil {
		t.Fatal(err)
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	next := path + ".new" // in one step: a reload may read it now
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, path); err != nil {
		t.Fatal(err)
	}
}

// expect does something and waits for a log line with a text.
func (b *broker) expect(t *testing.T, text string, do func()) {
	t.Helper()
	lines := make(chan string, 1)
	b.wanted.Store(&wanted{text: text, found: lines})
	defer b.wanted.Store(nil)
	do()
	select {
	case <-lines:
	case <-time.After(patience):
		t.Fatalf("no log line has %q", text)
	}
}

// TestSignalBeforeConnectWithRights is TestSignalBeforeConnect for an ACL file alone.
func TestSignalBeforeConnectWithRights(t *testing.T) {
	acl := filepath.Join(t.TempDir(), "acl")
	writeFile(t, acl, "topic readwrite 0\n")
	b := start(t, "acl_file "+acl)
	for i := range 20 {
		topic := fmt.Sprint(i + 1)
		writeFile(t, acl, "topic readwrite "+topic+"\n")
		if err := b.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		c := joinRaw(t, b, "c", "", "")
		old, now := fmt.Sprint(i), publishBytes(0, topic, 0, []byte("x"))
		_, err := c.conn.Write(append(append(append(subscribeBytes(0, "#"), publishBytes(0, old, 0, []byte("x"))...), now...), 0xC0, 0))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.want(0x90, 0); err != nil {
			t.Fatal(err)
		}
		if first, body, err := c.packet(); err != nil || first != 0x30 || string(body[2:]) != topic+"x" {
			t.Errorf("round %d: got %02X %q, %v", i, first, body, err)
		}
		c.conn.Close()
	}
}
