package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// memory is files that exist in a test only; directories are the parts of their names.
type memory map[string]string

func (m memory) ReadFile(path string) ([]byte, error) {
	text, ok := m[path]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	return []byte(text), nil
}

func (m memory) ReadDir(path string) ([]string, error) {
	var names []string
	for name := range m {
		if rest, ok := strings.CutPrefix(name, path+"/"); ok {
			names = append(names, rest)
		}
	}
	if names == nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	return names, nil
}

// parsed returns the configuration of a text that must be right.
func parsed(t *testing.T, text string) *Config {
	t.Helper()
	c, err := parse("test.conf", []byte(text), memory{})
	if err != nil {
		t.Fatalf("%q: %s", text, err)
	}
	return c
}

// fields is a configuration without the record of what was written.
func fields(c *Config) Config {
	f := *c
	f.settings = nil
	return f
}

// mistakes returns the errors of a text that must be wrong.
func mistakes(t *testing.T, text string) Errors {
	t.Helper()
	c, err := parse("test.conf", []byte(text), memory{})
	if err == nil {
		t.Fatalf("%q was accepted", text)
	}
	if c != nil {
		t.Errorf("%q: a configuration beside the errors", text)
	}
	var all Errors
	if !errors.As(err, &all) {
		t.Fatalf("%q: the error is %T", text, err)
	}
	return all
}

func TestEmptyFileIsDefault(t *testing.T) {
	for _, text := range []string{"", "\n", "\n\n  \n", "# nothing", "#\r\n\r\n"} {
		if c := parsed(t, text); !reflect.DeepEqual(c, Default()) {
			t.Errorf("%q gives %+v", text, c)
		}
	}
}

func TestFormOfLines(t *testing.T) {
	f := func(text string, want int) {
		t.Helper()
		if got := parsed(t, text).MaxQueuedMessages; got != want {
			t.Errorf("%q: max_queued_messages %d, want %d", text, got, want)
		}
	}
	f("max_queued_messages 7\n", 7)
	f("max_queued_messages 7", 7)
	f("max_queued_messages 7\r\n", 7)
	f("max_queued_messages    7   \n", 7)
	f("  max_queued_messages 7\t\n", 7)
	f("# a comment\n#\n\nmax_queued_messages 7\n# max_queued_messages 8\n", 7)
	f("max_queued_messages 7\nmax_queued_messages 9\n", 9)
	f("max_queued_messages -5\n", 0)
}

func TestValueKeepsItsBlanks(t *testing.T) {
	if got := parsed(t, "log_timestamp_format  %Y-%m-%d  %H:%M \r\n").Log.TimestampFormat; got != "%Y-%m-%d  %H:%M" {
		t.Errorf("log_timestamp_format is %q", got)
	}
}

func TestBooleans(t *testing.T) {
	f := func(value string, want bool) {
		t.Helper()
		if got := parsed(t, "queue_qos0_messages "+value).QueueQoS0Messages; got != want {
			t.Errorf("%q is %t", value, got)
		}
	}
	f("true", true)
	f("1", true)
	f("false", false)
	f("0", false)
	for _, value := range []string{"TRUE", "yes", "on", "2"} {
		mistakes(t, "queue_qos0_messages "+value)
	}
}

func TestWordsBehindAValueAreIgnoredAndNoted(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if c := parsed(t, text); len(c.Notes) != 1 || !strings.Contains(c.Notes[0].String(), want) {
			t.Errorf("%q: notes: %v", text, c.Notes)
		}
	}
	f("max_inflight_messages 5 # five\n", "'max_inflight_messages' is ignored: '# five'. (test.conf:1)")
	f("listener 1884 127.0.0.1 # local\nallow_anonymous true\n", "'listener' is ignored: '# local'. (test.conf:1)")
	f("listener 0 /a b # local\nallow_anonymous true\n", "'listener' is ignored: '# local'. (test.conf:1)")
	if c := parsed(t, "max_inflight_messages 5 # five\n"); c.MaxInflightMessages != 5 {
		t.Errorf("max_inflight_messages is %d", c.MaxInflightMessages)
	}
	if c := parsed(t, "listener 0 /a b # local\n"); c.Listeners[0].SocketPath != "/a b" {
		t.Errorf("the path is %q", c.Listeners[0].SocketPath)
	}
}

func TestCommentInATextIsNoted(t *testing.T) {
	c := parsed(t, "pid_file /run/a.pid # comment\n")
	if c.PIDFile != "/run/a.pid # comment" || len(c.Notes) != 1 || !strings.Contains(c.Notes[0].String(), "with '# comment': a comment is a line of its own. (test.conf:1)") {
		t.Errorf("pid_file %q, notes %v", c.PIDFile, c.Notes)
	}
	if c := parsed(t, "connection a\naddress b\ntopic # in\nremote_password a #b\n"); strings.Contains(fmt.Sprint(c.Notes), "#b") {
		t.Errorf("a password is repeated: %v", c.Notes)
	}
}

// TestSentences holds Mosquitto's sentences, which scripts look for, and what we add to them.
func TestSentences(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if got := mistakes(t, text).Error(); got != want {
			t.Errorf("%q:\n got %s\nwant %s", text, got, want)
		}
	}
	f("foo bar", "Error: Unknown configuration variable 'foo'. (test.conf:1)")
	f("\nmax_conections 5", "Error: Unknown configuration variable 'max_conections'. (test.conf:2); did you mean 'max_connections'?")
	f("Listener 1883", "Error: Unknown configuration variable 'Listener'. (test.conf:1); did you mean 'listener'? Names are in lower case")
	f(" # x", "Error: Unknown configuration variable '#'. (test.conf:1); a comment has its # in the first column")
	f("listener\t1883", "Error: Unknown configuration variable 'listener?1883'. (test.conf:1); name and value are separated by a blank, not by a tab")
	f("\tlistener 1883", "Error: Unknown configuration variable '?listener'. (test.conf:1); a line is indented with blanks, not with tabs")
	f("listener 1883\naccept_protocol_versions 4 # x", "Error: Invalid 'accept_protocol_versions' value (4 # x). (test.conf:2); it takes a list of 3 (MQTT 3.1), 4 (3.1.1) and 5 (5.0), with commas; a comment is a line of its own")
	f("auto_id_prefix", "Error: Empty 'auto_id_prefix' value in configuration. (test.conf:1); it takes text of up to 50 bytes")
	f("allow_anonymous maybe", "Error: Invalid 'allow_anonymous' value (maybe). (test.conf:1); it takes true or false; without the line false, and true where the broker listens on the loopback addresses because no listener is defined")
	f("set_tcp_nodelay 2", "Error: Invalid 'set_tcp_nodelay' value (2). (test.conf:1); it takes true or false")
	f("sys_interval x", "Error: 'sys_interval' value not a number. (test.conf:1); it takes a number from 0 to 65535")
	f("sys_interval 5x", "Error: 'sys_interval' value not a number. (test.conf:1); it takes a number from 0 to 65535")
	f("max_keepalive 70000", "Error: Invalid 'max_keepalive' value (70000). (test.conf:1); it takes a number from 0 to 65535")
	f("max_inflight_messages 65536", "Error: 'max_inflight_messages' must be <= 65535. (test.conf:1)")
	f("max_packet_size 19", "Error: 'max_packet_size' must be >= 20. (test.conf:1)")
	f("message_size_limit 268435456", "Error: Invalid 'message_size_limit' value (268435456). (test.conf:1); it takes a number from 0 to 268435455")
	f("max_queued_bytes 99999999999999999999", "Error: Invalid 'max_queued_bytes' value (99999999999999999999). (test.conf:1); it takes a number")
	f("max_qos 3", "Error: 'max_qos' must be between 0 and 2 inclusive. (test.conf:1)")
	f("max_topic_alias 65536", "Error: Invalid 'max_topic_alias' value in configuration. (test.conf:1)")
	f("user a\nuser b", "Error: Duplicate 'user' value in configuration. (test.conf:2)")
	f("user \xff", "Error: Malformed UTF-8 in configuration. (test.conf:1); in the value of 'user'")
	f("listener", "Error: Empty 'listener' value in configuration. (test.conf:1); it takes PORT, PORT ADDRESS, or 0 SOCKET-PATH for a Unix socket")
	f("listener 99999", "Error: Invalid 'port' value (99999). (test.conf:1); a port is a number from 1 to 65535")
	f("port 0", "Error: Invalid 'port' value (0). (test.conf:1); it takes a number from 1 to 65535")
	f("listener 0", "Error: A listener with port 0 must provide a Unix socket path. (test.conf:1)")
	f("listener_allow_anonymous true", "Error: The 'listener_allow_anonymous' option requires a listener to be defined first. (test.conf:1); put it below a 'listener' line")
	f("mount_point a", "Error: The 'mount_point' option requires a listener to be defined first. (test.conf:1); put it below a 'listener' line")
	f("topic #", "Error: The 'topic' option requires a bridge to be defined first. (test.conf:1); put it below a 'connection' line")
	f("plugin_opt_file x", "Error: The 'plugin_opt_file' option requires plugin/global_plugin/plugin_load to be defined first. (test.conf:1)")
	f("plugin_opt_ x", "Error: Invalid 'plugin_opt_' config option. (test.conf:1); the name of the option follows the underscore")
	f("persistent_client_expiration 3x", "Error: Invalid 'persistent_client_expiration' duration in configuration. (test.conf:1); it takes a number and one of s, h, d, w, m or y for seconds, hours, days, weeks, months of 30 and years of 365 days, as in 14d; without the line sessions stay")
	f("log_dest file", "Error: Empty 'log_dest file' value in configuration. (test.conf:1); the path of the file is missing")
	f("log_dest file a\nlog_dest file b", "Error: Duplicate 'log_dest file' value. (test.conf:2); only one file can be given")
	f("plugin_load a", "Error: Invalid 'plugin_load' value (a). (test.conf:1); it takes NAME PATH")
	f("listener 1883\nplugin_use a", "Error: Invalid 'plugin_use' value (a). (test.conf:2); no 'plugin_load' line above it has this name")
	f("plugin_load a x.so\nplugin_load a y.so", "Error: Duplicate 'plugin_load' value (a). (test.conf:2); each plugin needs a name of its own")
	f("listener 1883\ntls_engine_kpass_sha1 ab", "Error: Invalid 'tls_engine_kpass_sha1' value. (test.conf:2); it takes 40 hexadecimal digits")
	f("listener 1883\nenable_proxy_protocol 3", "Error: enable_proxy_protocol must be 1 or 2. (test.conf:2)")
	f("listener 1883\nmount_point a/#", "Error: Invalid 'mount_point' value (a/#). Does it contain a wildcard character? (test.conf:2)")
	f("allow_anonymous true\nper_listener_settings true", "Error: per_listener_settings must be set before any other security settings. (test.conf:2); move the line to the top of the file")
	f("auto_id_prefix "+strings.Repeat("x", 51), "Error: 'auto_id_prefix' length must be <= 50. (test.conf:1)")
	f("websockets_headers_size -1", "Error: Websockets headers size must be between 0 and 65535 inclusive. (test.conf:1)")
	f("include_dir nowhere", "Error: Unable to open include_dir 'nowhere'. (test.conf:1); file does not exist")
}

func TestAllErrorsAreReported(t *testing.T) {
	all := mistakes(t, "foo 1\nmax_qos 9\n# fine\nlistener 1883\nmax_qos x\n")
	var lines []int
	for _, e := range all {
		lines = append(lines, e.Line)
	}
	if !reflect.DeepEqual(lines, []int{1, 2, 5}) {
		t.Errorf("errors in lines %v:\n%s", lines, all)
	}
}

func TestErrorsAreBounded(t *testing.T) {
	if n := len(mistakes(t, strings.Repeat("\x7fELF\n", 100_000))); n != errorsMax {
		t.Errorf("%d errors", n)
	}
	long := mistakes(t, strings.Repeat("x", 1<<20))
	if n := len(long.Error()); n > 1000 {
		t.Errorf("an error of %d bytes", n)
	}
}

func TestControlCharactersAreNotRepeated(t *testing.T) {
	if text := mistakes(t, "a\x1b[2Jb c").Error(); strings.Contains(text, "\x1b") {
		t.Errorf("%q", text)
	}
}

func TestExpirations(t *testing.T) {
	f := func(value string, want time.Duration) {
		t.Helper()
		if got := parsed(t, "persistent_client_expiration "+value).PersistentClientExpiration; got != want {
			t.Errorf("%s is %s, want %s", value, got, want)
		}
	}
	day := 24 * time.Hour
	f("45s", 45*time.Second)
	f("1h", time.Hour)
	f("14d", 14*day)
	f("2w", 14*day)
	f("2m", 60*day)
	f("1y", 365*day)
	f("99999y", expirationMax)
	f("9223372036854775807s", expirationMax)
	for _, value := range []string{"d", "0d", "-1d", "2x", "2", "1.5d", "99999999999999999999s"} {
		mistakes(t, "persistent_client_expiration "+value)
	}
}

func TestOwnKeys(t *testing.T) {
	c := parsed(t, "loops 3\npin_loops false\nslow_consumer_policy throttle\nshared_subscription_strategy hash-topic\nmax_output_bytes 65536\n"+
		"max_subscriptions 9\nmax_retained_messages 8\nmax_retained_bytes 77\nmax_sessions 6\nconnect_timeout 4\nshutdown_timeout 0\n"+
		"log_format json\nreload_failure exit\nreason_strings true\nauth_workers 2\nauth_queue_limit 5\nclient_connection_rate 1\nclient_message_rate 2\n"+
		"client_byte_rate 3\naddress_connection_rate 4\naddress_message_rate 5\naddress_byte_rate 6000000000\n")
	want := Default()
	want.Loops, want.PinLoops, want.SlowConsumer, want.SharedStrategy, want.MaxOutputBytes = 3, false, Throttle, "hash-topic", 65536
	want.MaxSubscriptions, want.MaxRetainedMessages, want.MaxRetainedBytes, want.MaxSessions = 9, 8, 77, 6
	want.ConnectTimeout, want.ShutdownTimeout = 4*time.Second, 0
	want.Log.JSON, want.ReloadFailureExit, want.ReasonStrings, want.AuthWorkers, want.AuthQueueLimit = true, true, true, 2, 5
	want.ClientRate, want.AddressRate = Rate{1, 2, 3}, Rate{4, 5, 6_000_000_000}
	if !reflect.DeepEqual(fields(c), fields(want)) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
	for p := DropNewest; p <= Throttle; p++ {
		if got := parsed(t, "slow_consumer_policy "+p.String()).SlowConsumer; got != p {
			t.Errorf("slow_consumer_policy %s gives %s", p, got)
		}
	}
	mistakes(t, "slow_consumer_policy drop")
	mistakes(t, "loops 65")
}

func TestIncludeOrder(t *testing.T) {
	files := memory{}
	for _, name := range []string{"b.conf", "A.conf", "01.conf", "a.conf", "B.conf", "00.conf", "ab.conf", "notes.txt", ".conf"} {
		files["d/"+name] = "log_timestamp_format x" + "\n"
	}
	_, err := parse("main.conf", []byte("include_dir d\n"), files)
	var order []string
	var all Errors
	errors.As(err, &all)
	for _, e := range all { // every file but the first has the value twice
		order = append(order, e.File)
	}
	want := []string{"d/01.conf", "d/A.conf", "d/a.conf", "d/ab.conf", "d/B.conf", "d/b.conf"}
	if !reflect.DeepEqual(order, want) {
		t.Errorf("read in the order %v, want %v after d/00.conf", order, want)
	}
}

func TestIncludedFilesAndThePlaceOfTheirErrors(t *testing.T) {
	files := memory{"d/a.conf": "listener 1884\nmax_connections 3\n", "d/b.conf": "max_qos 1\ninclude_dir d\n"}
	c, err := parse("main.conf", []byte("listener 1883\ninclude_dir d\nmax_connections 9\nallow_anonymous true\n"), files)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Listeners) != 3 {
		t.Fatalf("%d listeners: %+v", len(c.Listeners), c.Listeners)
	}
	first, second, fallback := c.Listeners[0], c.Listeners[1], c.Listeners[2]
	if first.MaxConnections != 9 || second.MaxConnections != 3 || second.File != "d/a.conf" || second.Line != 1 {
		t.Errorf("listeners: %+v", c.Listeners)
	}
	if fallback.Port != 1883 || fallback.MaxQoS != 1 { // an option of b.conf before any listener there, as in Mosquitto
		t.Errorf("default listener: %+v", fallback)
	}
	if len(c.Notes) != 1 || c.Notes[0].File != "d/b.conf" || c.Notes[0].Line != 2 {
		t.Errorf("notes: %v", c.Notes)
	}
	files["d/b.conf"] = "\nfoo x\n"
	if _, err := parse("main.conf", []byte("include_dir d\nbar y\n"), files); err == nil ||
		!strings.Contains(err.Error(), "'foo'. (d/b.conf:2)") || !strings.Contains(err.Error(), "'bar'. (main.conf:2)") {
		t.Errorf("error: %v", err)
	}
}

func TestLoadReadsFilesAndDirectories(t *testing.T) {
	dir := t.TempDir()
	main := filepath.Join(dir, "main.conf")
	write := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(main, "max_queued_messages 1\ninclude_dir "+dir+"/more/\n")
	write(dir+"/more/x.conf", "max_queued_messages 2\n")
	c, err := Load(main)
	if err != nil || c.MaxQueuedMessages != 2 {
		t.Errorf("%+v, %v", c, err)
	}
	write(main, strings.Repeat("#\n", fileBytesMax))
	f := func(path, want string) {
		t.Helper()
		if _, err := Load(path); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	f(main, fmt.Sprintf("Error: Config file '%s' is too large. (%s); a file may have 4194304 bytes", main, main))
	f(dir+"/none", fmt.Sprintf("Error: Unable to open config file '%s/none'. (%s/none); no such file or directory", dir, dir))
	f(dir, fmt.Sprintf("Error: Unable to open config file '%s'. (%s); is a directory", dir, dir))
}
