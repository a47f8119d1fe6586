package config

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestPersistenceDefaults(t *testing.T) {
	want := Persistence{File: "mosquitto.db", Engine: "badger", Commit: Balanced, SyncInterval: time.Second, MaxWaiting: 1000}
	if got := parsed(t, "").Persistence; got != want {
		t.Errorf("%+v", got)
	}
}

func TestPersistenceIsRead(t *testing.T) {
	f := func(text string, want Persistence) {
		t.Helper()
		c := parsed(t, text)
		if c.Persistence != want || len(c.Notes) != 0 || len(c.Unsupported) != 0 {
			t.Errorf("%q: %+v, notes %v, unsupported %v", text, c.Persistence, c.Notes, c.Unsupported)
		}
	}
	p := Persistence{Enabled: true, File: "mosquitto.db", Engine: "badger", SyncInterval: time.Second, MaxWaiting: 1000}
	f("persistence true\n", p)
	f("retained_persistence true\n", p)
	f("persistence false\nretained_persistence 1\n", p)
	p.Location, p.File = "/var/lib/mosquitto/", "my broker.db"
	f("persistence true\npersistence_location /var/lib/mosquitto/\npersistence_file my broker.db\n", p)
	p = Persistence{File: "mosquitto.db", Engine: "memory", Commit: Strict, SyncInterval: time.Hour, MaxBytes: 1 << 40, MaxWaiting: 65535}
	f("persistence_engine memory\npersistence_commit strict\npersistence_sync_interval 3600\npersistence_max_bytes 1099511627776\npersistence_max_waiting 65535\n", p)
	p = Persistence{File: "mosquitto.db", Engine: "badger", Commit: Fast, SyncInterval: time.Second, MaxWaiting: 1}
	f("persistence_commit fast\npersistence_max_waiting 1\n", p)
	f("persistence_commit strict\npersistence_commit fast\npersistence_max_waiting 1\n", p)
}

func TestPersistenceMistakes(t *testing.T) {
	f := func(line, want string) {
		t.Helper()
		if got := mistakes(t, line+"\n").Error(); got != "Error: "+want {
			t.Errorf("%q: %s", line, got)
		}
	}
	f("persistence yes", "Invalid 'persistence' value (yes). (test.conf:1); it takes true or false")
	f("persistence_location", "Empty 'persistence_location' value in configuration. (test.conf:1); it takes a directory that exists, with or without / at its end; without the line the working directory")
	f("persistence_location a\npersistence_location b", "Duplicate 'persistence_location' value in configuration. (test.conf:2)")
	f("persistence_file", "Empty 'persistence_file' value in configuration. (test.conf:1)")
	f("persistence_engine sqlite", "Invalid 'persistence_engine' value (sqlite). (test.conf:1); it takes badger or memory")
	f("persistence_commit always", "Invalid 'persistence_commit' value (always). (test.conf:1); it takes balanced, strict or fast")
	f("persistence_commit", "Empty 'persistence_commit' value in configuration. (test.conf:1); it takes balanced, strict or fast")
	f("persistence_sync_interval 0", "Invalid 'persistence_sync_interval' value (0). (test.conf:1); it takes a number from 1 to 3600")
	f("persistence_sync_interval 3601", "Invalid 'persistence_sync_interval' value (3601). (test.conf:1); it takes a number from 1 to 3600")
	f("persistence_sync_interval 1s", "'persistence_sync_interval' value not a number. (test.conf:1); it takes a number from 1 to 3600")
	f("persistence_max_bytes -1", "Invalid 'persistence_max_bytes' value (-1). (test.conf:1); it takes a number")
	f("persistence_max_bytes 1G", "'persistence_max_bytes' value not a number. (test.conf:1); it takes a number")
	f("persistence_max_waiting 0", "Invalid 'persistence_max_waiting' value (0). (test.conf:1); it takes a number from 1 to 65535")
	f("persistence_max_waiting 65536", "Invalid 'persistence_max_waiting' value (65536). (test.conf:1); it takes a number from 1 to 65535")
	f("persistence_comit fast", "Unknown configuration variable 'persistence_comit'. (test.conf:1); did you mean 'persistence_commit'?")
	f("autosave_interval x", "'autosave_interval' value not a number. (test.conf:1); it takes a number")
	f("autosave_on_changes x", "Invalid 'autosave_on_changes' value (x). (test.conf:1); it takes true or false")
}

func TestAutosaveIsNotedWhereSomethingElseHolds(t *testing.T) {
	f := func(text string, want ...string) {
		t.Helper()
		var got []string
		for _, n := range parsed(t, text).Notes {
			got = append(got, n.String())
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %q", text, got)
		}
	}
	f("persistence true\n")
	f("autosave_interval 60\nautosave_on_changes true\n")
	f("persistence true\npersistence_engine memory\nautosave_interval 60\n")
	f("persistence true\nautosave_interval 1800\nautosave_on_changes false\n")
	f("autosave_interval 0\npersistence true\n",
		"'autosave_interval' has no effect: every change is stored as it comes, as 'persistence_commit balanced' says, and none waits for an interval. (test.conf:1)")
	f("persistence true\nautosave_interval 1\nautosave_on_changes true\npersistence_commit strict\n",
		"'autosave_on_changes' has no effect: every change is stored as it comes, as 'persistence_commit strict' says, and none waits for an interval. (test.conf:3)")
	c, err := withEnv("persistence true\n", "NOCTULE_AUTOSAVE_INTERVAL=300")
	if err != nil || len(c.Notes) != 1 || !strings.HasSuffix(c.Notes[0].String(), "(environment variable NOCTULE_AUTOSAVE_INTERVAL)") {
		t.Errorf("%v, %v", c.Notes, err)
	}
}

func TestThePluginThatStoresCountsAsPersistence(t *testing.T) {
	f := func(text string, want bool) {
		t.Helper()
		c := parsed(t, text)
		all, err := Explain(c, "persistence")
		if err != nil || c.Persistence.Enabled != want || all[0].Value != strconv.FormatBool(want) {
			t.Errorf("%q: %t, explained as %v, %v", text, c.Persistence.Enabled, all, err)
		}
	}
	f("plugin /usr/lib/mosquitto_persist_sqlite.so\nplugin_opt_db_file /a.db\n", true)
	f("persistence false\nglobal_plugin mosquitto_persist_sqlite.so\n", true)
	f("listener 1883\nallow_anonymous true\nplugin_load p mosquitto_persist_sqlite.so\nplugin_use p\n", true)
	f("plugin_load p mosquitto_persist_sqlite.so\n", false)
	c := parsed(t, "persistence_location /data/\nplugin mosquitto_persist_sqlite.so\n")
	want := "'mosquitto_persist_sqlite.so' counts as 'persistence true': what is stored is below '/data/mosquitto.db.noctule', and no database of the plugin's is read. (test.conf:2)"
	if len(c.Notes) != 1 || c.Notes[0].String() != want {
		t.Errorf("%v", c.Notes)
	}
}

func TestPersistenceFromTheEnvironment(t *testing.T) {
	c, err := withEnv("persistence_commit fast\npersistence_max_waiting 5\n", "NOCTULE_PERSISTENCE=true", "NOCTULE_PERSISTENCE_COMMIT=strict",
		"NOCTULE_PERSISTENCE_ENGINE=memory", "NOCTULE_PERSISTENCE_SYNC_INTERVAL=10", "NOCTULE_PERSISTENCE_MAX_BYTES=5000000000",
		"MOSQUITTO_PERSISTENCE_LOCATION=/data", "NOCTULE_PERSISTENCE_FILE=a.db")
	if err != nil {
		t.Fatal(err)
	}
	want := Persistence{Enabled: true, Location: "/data", File: "a.db", Engine: "memory", Commit: Strict, SyncInterval: 10 * time.Second, MaxBytes: 5_000_000_000, MaxWaiting: 5}
	if c.Persistence != want || c.Persistence.Path() != "/data/a.db" || len(c.Notes) != 0 {
		t.Errorf("%+v, notes %v", c.Persistence, c.Notes)
	}
	_, err = withEnv("", "NOCTULE_PERSISTENCE_COMMIT=sometimes")
	want2 := "Error: Invalid 'persistence_commit' value (sometimes). (environment variable NOCTULE_PERSISTENCE_COMMIT); it takes balanced, strict or fast"
	if err == nil || err.Error() != want2 {
		t.Errorf("%v", err)
	}
}

func TestPersistenceDiffers(t *testing.T) {
	got := Diff(parsed(t, "persistence true\n"), parsed(t, "persistence_location /a\npersistence_commit strict\nautosave_interval 5\n"))
	want := []Change{
		{Key: "persistence", Old: "true", New: "false", Restart: true},
		{Key: "persistence_location", New: "/a", Restart: true},
		{Key: "persistence_commit", Old: "balanced", New: "strict", Restart: true},
		{Key: "autosave_interval", Old: "1800", New: "5"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}

func TestCommitNames(t *testing.T) {
	for c, want := range map[Commit]string{Balanced: "balanced", Strict: "strict", Fast: "fast", 3: "unknown commit policy"} {
		if c.String() != want {
			t.Errorf("%d: %s", c, c)
		}
	}
}

// paths is what Path makes of a location and a file, from a directory with data in it.
var paths = []struct{ location, file, want string }{
	{"", "mosquitto.db", "mosquitto.db"},
	{"data", "mosquitto.db", "data/mosquitto.db"},
	{"data/", "mosquitto.db", "data/mosquitto.db"},
	{"./data//", "a b.db", "./data/a b.db"},
	{"data/..", "x.db", "data/../x.db"},
	{".", "data/x.db", "./data/x.db"},
	{"data", "/x.db", "data//x.db"},
}

func TestPath(t *testing.T) {
	for _, c := range paths {
		p := Persistence{Location: c.location, File: c.file}
		if got := p.Path(); got != c.want {
			t.Errorf("%q and %q: %q, want %q", c.location, c.file, got, c.want)
		}
	}
	if p := (Persistence{Location: "/", File: "x"}); p.Path() != "/x" {
		t.Errorf("%q", p.Path())
	}
}

// TestPathIsWhereMosquittoWrites lets Debian's mosquitto write its database and looks for it at Path.
func TestPathIsWhereMosquittoWrites(t *testing.T) {
	broker := debianBroker(t)
	for _, c := range paths {
		dir := t.TempDir()
		text := "user root\nlistener 0 s\npersistence true\npersistence_file " + c.file + "\n"
		if c.location != "" {
			text += "persistence_location " + c.location + "\n"
		}
		if err := os.Mkdir(filepath.Join(dir, "data"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "main"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), broker, "-c", "main")
		cmd.Dir = dir
		stderr, err := cmd.StderrPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			if strings.HasSuffix(lines.Text(), " running") {
				waitForConnack(t, filepath.Join(dir, "s"))
				err = cmd.Process.Signal(syscall.SIGTERM)
			}
		}
		if ended := cmd.Wait(); err != nil || ended != nil {
			t.Fatalf("%q: %v, %v", text, err, ended)
		}
		p := parsed(t, text).Persistence
		if _, err := os.Stat(filepath.Join(dir, p.Path())); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// waitForConnack connects to a broker: one that answers heeds signals, too.
func waitForConnack(t *testing.T, socket string) {
	t.Helper()
	c, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
}
