package main

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// publishRetained publishes a retained message at QoS 1 over 3.1.1 and returns what comes: PUBACK, or the end.
func publishRetained(t *testing.T, c net.Conn, topic, payload string) error {
	t.Helper()
	p := append([]byte{0x33, byte(4 + len(topic) + len(payload)), 0, byte(len(topic))}, topic...)
	p = append(append(p, 0, 7), payload...)
	if _, err := c.Write(p); err != nil {
		t.Fatal(err)
	}
	ack := make([]byte, 4)
	_, err := io.ReadFull(c, ack)
	if err == nil && !bytes.Equal(ack, []byte{0x40, 2, 0, 7}) {
		t.Errorf("PUBLISH answered by % x", ack)
	}
	return err
}

// retainedOn returns the payload of the retained message of a topic; empty when there is none.
func retainedOn(t *testing.T, port int, topic string) (payload string) {
	t.Helper()
	c := dialPort(t, "127.0.0.1", port)
	connect(t, c, "reader")
	p := append([]byte{0x82, byte(5 + len(topic)), 0, 1, 0, byte(len(topic))}, topic...)
	if _, err := c.Write(append(p, 0, 0xc0, 0)); err != nil { // what is retained comes before PINGRESP
		t.Fatal(err)
	}
	for {
		head := make([]byte, 2)
		if _, err := io.ReadFull(c, head); err != nil {
			t.Fatal(err)
		}
		rest := make([]byte, head[1])
		if _, err := io.ReadFull(c, rest); err != nil {
			t.Fatal(err)
		}
		switch head[0] {
		case 0x31:
			payload = string(rest[2+len(topic):])
		case 0xd0:
			return payload
		}
	}
}

// stored is a configuration with persistence in a directory of its own.
func stored(t *testing.T) (lines []string, dir string, port int) {
	dir, port = t.TempDir(), freePort(t)
	return []string{fmt.Sprintf("listener %d 127.0.0.1", port), "allow_anonymous true", "persistence true", "persistence_location " + dir}, dir, port
}

func end(t *testing.T, cmd *exec.Cmd, sig syscall.Signal) {
	t.Helper()
	signalTo(t, cmd, sig)
	if err := cmd.Wait(); err != nil && sig == syscall.SIGTERM {
		t.Error(err)
	}
}

// TestStoreSurvives kills and stops the broker, and removes its note.
func TestStoreSurvives(t *testing.T) {
	lines, dir, port := stored(t)
	note := filepath.Join(dir, "mosquitto.db")
	for i, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGKILL} {
		cmd, _, _ := startLogging(t, lines...)
		want := ""
		if i > 0 {
			want = fmt.Sprint("value", i-1)
		}
		if got := retainedOn(t, port, "topic"); got != want {
			t.Errorf("start %d: %q is retained, want %q", i, got, want)
		}
		c := dialPort(t, "127.0.0.1", port)
		connect(t, c, "writer")
		if err := publishRetained(t, c, "topic", fmt.Sprint("value", i)); err != nil {
			t.Fatal(err)
		}
		end(t, cmd, sig)
		if !fileHas(note, "mosquitto.db.noctule")() {
			t.Errorf("start %d: no note", i)
		}
	}
	if err := os.Remove(note); err != nil {
		t.Fatal(err)
	}
	cmd, _, log := startLogging(t, lines...)
	if got := retainedOn(t, port, "topic"); got != "" {
		t.Errorf("%q is retained after the note was removed", got)
	}
	end(t, cmd, syscall.SIGTERM)
	if !fileHas(log, "was removed, so the broker starts without what was stored")() {
		t.Error("the log does not say so")
	}
	if aside, _ := filepath.Glob(note + ".noctule.removed-*"); len(aside) != 1 {
		t.Errorf("set aside: %q", aside)
	}
}

// TestStoreThatIsGone takes the directory away and leaves the note.
func TestStoreThatIsGone(t *testing.T) {
	lines, dir, _ := stored(t)
	cmd, _, _ := startLogging(t, lines...)
	end(t, cmd, syscall.SIGTERM)
	if err := os.RemoveAll(filepath.Join(dir, "mosquitto.db.noctule")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []bool{true, false} {
		cmd, _, log := startLogging(t, lines...)
		end(t, cmd, syscall.SIGTERM)
		if fileHas(log, "so the broker starts without what was stored")() != want {
			t.Errorf("the log says so: %t, want %t", !want, want)
		}
	}
}

// TestExportToAFullDisk leaves nothing behind that could be taken for a whole export.
func TestExportToAFullDisk(t *testing.T) {
	lines, _, port := stored(t)
	cmd, conf, _ := startLogging(t, lines...)
	c := dialPort(t, "127.0.0.1", port)
	connect(t, c, "writer")
	if err := publishRetained(t, c, "topic", strings.Repeat("x", 100)); err != nil {
		t.Fatal(err)
	}
	end(t, cmd, syscall.SIGTERM)
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=4k,nr_inodes=10"); err != nil {
		t.Skipf("a file system of its own needs the right to mount: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) })
	writeFile(t, filepath.Join(disk, "other"), "x") // its one page
	for _, format := range []string{"mosquitto", "jsonl"} {
		status, _, stderr := result(t, "db", "export", "-c", conf, "--format", format, filepath.Join(disk, "out"))
		if status == exitOK || !strings.Contains(stderr, "no space left") {
			t.Errorf("%s: status %d, %q", format, status, stderr)
		}
		if names, _ := os.ReadDir(disk); len(names) != 1 {
			t.Errorf("%s: left %v", format, names)
		}
	}
}

func TestSecondBrokerOfAStoreIsRefused(t *testing.T) {
	lines, _, port := stored(t)
	first, _, _ := startLogging(t, lines...)
	lines[0] = fmt.Sprintf("listener %d 127.0.0.1", freePort(t))
	status, _, stderr := result(t, "-c", writeConfig(t, append(lines, staysRoot)...))
	if status != exitSetup || !strings.Contains(stderr, "is in use by another broker") || !strings.Contains(stderr, fmt.Sprint(first.Process.Pid)) {
		t.Errorf("status %d, %q", status, stderr)
	}
	if got := retainedOn(t, port, "topic"); got != "" {
		t.Errorf("the first one says %q", got)
	}
}

// TestUnusableStore starts the broker where its directory cannot be made.
func TestUnusableStore(t *testing.T) {
	lines, dir, port := stored(t)
	writeFile(t, filepath.Join(dir, "mosquitto.db.noctule"), "in the way")
	_, _, log := startLogging(t, lines...)
	await(t, "the log says so", fileHas(log, "QoS 1 and 2 messages are refused"))
	c := dialPort(t, "127.0.0.1", port)
	connect(t, c, "writer")
	if err := publishRetained(t, c, "topic", "value"); err == nil {
		t.Error("a message that cannot be stored was acknowledged")
	}
	if got := retainedOn(t, port, "topic"); got != "" {
		t.Errorf("%q is retained", got)
	}
}

func TestMosquittosDatabaseIsImported(t *testing.T) {
	lines, dir, port := stored(t)
	sample, err := os.ReadFile("../../persist/mosquittodb/testdata/v6.db")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "mosquitto.db")
	writeFile(t, file, string(sample))
	conf := writeConfig(t, append(lines, staysRoot)...)
	var exported [2]string
	for i := range exported {
		cmd, _, log := startLogging(t, lines...)
		if fileHas(log, "Imported "+file)() != (i == 0) {
			t.Errorf("start %d: imported %t", i, i != 0)
		}
		_ = retainedOn(t, port, "none")
		end(t, cmd, syscall.SIGTERM)
		status, out, stderr := result(t, "db", "export", "-c", conf, "--format", "jsonl")
		if status != exitOK {
			t.Fatalf("export: status %d, %s", status, stderr)
		}
		exported[i] = out
	}
	if exported[0] != exported[1] || strings.Count(exported[0], "\n") < 5 {
		t.Errorf("exported %q, then %q", exported[0], exported[1])
	}
	if now, _ := os.ReadFile(file); !bytes.Equal(now, sample) {
		t.Error("the original was changed")
	}
	if status, out, stderr := result(t, "db", "check", "-c", conf); status != exitOK || !strings.Contains(out, "retained messages") {
		t.Errorf("check: status %d, %q %q", status, out, stderr)
	}
	// There and back: what Mosquitto would read is what it wrote.
	back := filepath.Join(t.TempDir(), "back.db")
	if status, _, stderr := result(t, "db", "export", "-c", conf, back); status != exitOK {
		t.Fatalf("export: status %d, %s", status, stderr)
	}
	if status, _, stderr := result(t, "db", "export", "-c", conf, back); status == exitOK || !strings.Contains(stderr, "exists") {
		t.Errorf("an export wrote over a file: %q", stderr)
	}
	if status, _, stderr := result(t, "db", "import", "-c", conf, back); status == exitOK || !strings.Contains(stderr, "--replace") {
		t.Errorf("an import replaced a store: %q", stderr)
	}
	if status, out, stderr := result(t, "db", "import", "-c", conf, "--replace", back); status != exitOK || !strings.Contains(out, "Imported") {
		t.Fatalf("import: status %d, %q %q", status, out, stderr)
	}
	elsewhere := filepath.Join(t.TempDir(), "noctule.conf")
	writeFile(t, elsewhere, "persistence true\npersistence_location "+filepath.Join(t.TempDir(), "not", "there")+"/\n")
	if status, out, stderr := result(t, "db", "import", "-c", elsewhere, back); status != exitOK || !strings.Contains(out, "Imported") {
		t.Errorf("import into a new directory: status %d, %q %q", status, out, stderr)
	}
	keepsOwner(t, dir, conf, back)
	status, out, stderr := result(t, "db", "export", "-c", conf, "--format", "jsonl")
	if status != exitOK || out != exported[0] {
		t.Errorf("after there and back (%d %s):\n%s\nbefore:\n%s", status, stderr, out, exported[0])
	}
	if status, _, stderr := result(t, "db", "export", "-c", conf, "--format", "xml"); status == exitOK || !strings.Contains(stderr, "jsonl") {
		t.Errorf("format xml: %q", stderr)
	}
	if status, _, stderr := result(t, "db", "import", "-c", conf, "--replace", conf); status == exitOK || stderr == "" {
		t.Errorf("a configuration was imported: %q", stderr)
	}
}

// keepsOwner imports and checks as root what belongs to another user, whose broker must be able to use it afterwards.
func keepsOwner(t *testing.T, dir, conf, database string) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	const uid, gid = 65534, 65534
	owned := owner{uid, gid}
	if err := owned.take(dir); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"import", "-c", conf, "--replace", database}, {"check", "-c", conf}} {
		if status, _, stderr := result(t, append([]string{"db"}, args...)...); status != exitOK {
			t.Fatalf("%q: status %d, %q", args, status, stderr)
		}
		_ = filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
			if got, err2 := ownerOf(name); err != nil || err2 != nil || got != owned {
				t.Errorf("%q: %s belongs to %v (%v, %v)", args, name, got, err, err2)
			}
			return nil
		})
	}
}

// TestDamagedDatabaseIsNoReasonNotToStart starts beside a mosquitto.db that ends early, and beside one of nobody's.
func TestDamagedDatabaseIsNoReasonNotToStart(t *testing.T) {
	sample, err := os.ReadFile("../../persist/mosquittodb/testdata/v6.db")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"cut": string(sample[:len(sample)-7]), "foreign": "something else"} {
		lines, dir, port := stored(t)
		file := filepath.Join(dir, "mosquitto.db")
		writeFile(t, file, content)
		cmd, _, log := startLogging(t, lines...)
		_ = retainedOn(t, port, "none")
		if !fileHas(log, "Warning: "+file)() {
			t.Errorf("%s: the log says nothing", name)
		}
		end(t, cmd, syscall.SIGTERM)
		if now, _ := os.ReadFile(file); string(now) != content {
			t.Errorf("%s: the file was changed", name)
		}
	}
}

func TestUserSignalSyncs(t *testing.T) {
	lines, _, port := stored(t)
	cmd, _, log := startLogging(t, append(lines, "persistence_sync_interval 3600", "sys_interval 1")...)
	c := dialPort(t, "127.0.0.1", port)
	connect(t, c, "writer")
	if err := publishRetained(t, c, "topic", "value"); err != nil {
		t.Fatal(err)
	}
	signalTo(t, cmd, syscall.SIGUSR1)
	await(t, "a sync", func() bool { return retainedOn(t, port, "$SYS/broker/noctule/store/syncs") != "0" })
	if fileHas(log, "Error")() {
		t.Error("the log has an error")
	}
}

// TestFullDisk fills the file system under the store, and empties it again.
func TestFullDisk(t *testing.T) {
	lines, dir, port := stored(t)
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=6m"); err != nil {
		t.Skipf("a file system of its own needs the right to mount: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	_, _, log := startLogging(t, lines...)
	other := filepath.Join(dir, "other")
	if err := os.WriteFile(other, make([]byte, 7<<20), 0o600); err == nil {
		t.Fatal("the disk is not full")
	}
	c := dialPort(t, "127.0.0.1", port)
	connect(t, c, "writer")
	payload := strings.Repeat("x", 100)
	taken := 0
	for publishRetained(t, c, fmt.Sprint("t/", taken), payload) == nil {
		if taken++; taken > 1<<20 {
			t.Fatal("a full disk takes everything")
		}
		if taken%1000 == 0 && fileHas(log, "nothing can be stored")() {
			break
		}
	}
	await(t, "the alarm", fileHas(log, "nothing can be stored"))
	c = dialPort(t, "127.0.0.1", port)
	connect(t, c, "writer")
	if err := publishRetained(t, c, "refused", payload); err == nil {
		t.Error("a message was acknowledged while nothing can be stored")
	}
	if err := os.Remove(other); err != nil {
		t.Fatal(err)
	}
	await(t, "the end of the alarm", fileHas(log, "can be stored again"))
	c = dialPort(t, "127.0.0.1", port)
	connect(t, c, "writer")
	if err := publishRetained(t, c, "again", payload); err != nil {
		t.Errorf("after there was room again: %v", err)
	}
}
