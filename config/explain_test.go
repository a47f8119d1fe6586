package config

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

const explained = `max_queued_messages 5
max_queued_messages 6
log_type error
log_type debug
maximum_qos 1
plugin mosquitto_dynamic_security.so
auth_opt_config_file /d.json
plugin_opt_db_password geheim
listener 1884
max_connections 9
listener 1885 127.0.0.1
connection b
address h
topic a in
topic b out
remote_password geheim
`

func TestExplain(t *testing.T) {
	c, err := withEnv(explained, "NOCTULE_MAX_KEEPALIVE=60")
	if err != nil {
		t.Fatal(err)
	}
	c.SetFlag("log_dest", "-q", "none")
	f := func(name string, want ...string) {
		t.Helper()
		all, err := Explain(c, name)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range all {
			got = append(got, strings.TrimSpace(fmt.Sprintf("%s: %s = %s from %s", e.Owner, e.Name, e.Value, e.From)))
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n got %q\nwant %q", name, got, want)
		}
	}
	f("max_queued_messages", ": max_queued_messages = 6 from test.conf:2")
	f("max_keepalive", ": max_keepalive = 60 from environment variable NOCTULE_MAX_KEEPALIVE")
	f("max_queued_bytes", ": max_queued_bytes = 0 from default")
	f("log_type", ": log_type = error debug from test.conf:4")
	f("log_dest", ": log_dest = stderr from flag -q")
	f("allow_anonymous", ": allow_anonymous = false from default")
	f("max_connections", "listener 1884: max_connections = 9 from test.conf:10", "listener 1885 127.0.0.1: max_connections = -1 from default")
	f("max_qos", "listener (default): max_qos = 1 from test.conf:5", "listener 1884: max_qos = 2 from default", "listener 1885 127.0.0.1: max_qos = 2 from default")
	f("maximum_qos", "listener (default): max_qos = 1 from test.conf:5", "listener 1884: max_qos = 2 from default", "listener 1885 127.0.0.1: max_qos = 2 from default")
	f("listener", "listener 1884: listener = 1884 from test.conf:9", "listener 1885 127.0.0.1: listener = 1885 127.0.0.1 from test.conf:11")
	f("topic", "bridge b: topic = a in from test.conf:14", "bridge b: topic = b out from test.conf:15")
	f("password", "bridge b: remote_password = (hidden) from test.conf:16")
	f("keepalive_interval", "bridge b: keepalive_interval = 60 from default")
	f("plugin_opt_*", "plugin mosquitto_dynamic_security.so: auth_opt_config_file = /d.json from test.conf:7",
		"plugin mosquitto_dynamic_security.so: plugin_opt_db_password = (hidden) from test.conf:8")
	f("plugin_opt_config_file", "plugin mosquitto_dynamic_security.so: auth_opt_config_file = /d.json from test.conf:7")
	if _, err := Explain(c, "max_conections"); err == nil || err.Error() != "Unknown configuration variable 'max_conections'; did you mean 'max_connections'?" {
		t.Errorf("error %v", err)
	}
}

func TestExplanationInWords(t *testing.T) {
	f := func(text, name, want string) {
		t.Helper()
		all, err := Explain(parsed(t, text), name)
		if err != nil {
			t.Fatal(err)
		}
		if got := all[0].String(); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
	f("persistence true\n", "retained_persistence", `persistence true
  from: test.conf:1
  default: false
  class: honoured
  changes: take effect at the next start
  Keep sessions, their subscriptions and queues, retained messages and waiting wills over a restart.
  It takes true or false.
`)
	f("", "packet_buffer_size", `packet_buffer_size 4096
  from: default
  default: 4096
  class: accepted without effect: connections have no read buffer of their own
  changes: take effect at the next start
  Size of the read buffer of a connection.
  It takes a number, at least 1.
`)
}

func TestExplainAllHidesSecretsAndHasEveryKeyOfTheBroker(t *testing.T) {
	c := parsed(t, explained)
	seen := map[string]bool{}
	for _, e := range ExplainAll(c) {
		seen[e.Owner+" "+e.Name] = true
		if strings.Contains(e.String(), "geheim") {
			t.Errorf("a password is shown: %s", e)
		}
	}
	for _, want := range []string{" allow_anonymous", " log_dest", " max_retained_bytes", "listener 1884 max_connections", "bridge b topic", "plugin mosquitto_dynamic_security.so auth_opt_config_file"} {
		if !seen[want] {
			t.Errorf("no explanation of %q", want)
		}
	}
}

func TestDiff(t *testing.T) {
	f := func(old, new string, want ...Change) {
		t.Helper()
		if got := Diff(parsed(t, old), parsed(t, new)); !reflect.DeepEqual(got, want) {
			t.Errorf("%q to %q:\n got %+v\nwant %+v", old, new, got, want)
		}
	}
	f("", "")
	f("max_queued_messages 1000", "# nothing\n")
	f("max_queued_messages 5", "max_queued_messages 6", Change{Key: "max_queued_messages", Old: "5", New: "6"})
	f("max_queued_messages 5\nmax_queued_messages 6", "max_queued_messages 6")
	f("", "loops 2", Change{Key: "loops", Old: "0", New: "2", Restart: true})
	f("", "password_file p", Change{Key: "password_file", New: "p"})
	f("log_type error\nlog_type debug", "log_type debug\nlog_type error")
	f("log_type error", "log_type all", Change{Key: "log_type", Old: "error", New: "error warning notice information debug subscribe unsubscribe websockets internal"})
	f("listener 1883\nmax_qos 1", "listener 1883\nmaximum_qos 1")
	f("listener 1883\nmax_qos 1", "listener 1883", Change{Key: "listener 1883: max_qos", Old: "1", New: "2"})
	f("listener 1883\nmax_qos 1", "listener 1884\nmax_qos 1", Change{Key: "listener", Old: "1883", Restart: true}, Change{Key: "listener", New: "1884", Restart: true})
	f("listener 1883\nmount_point a", "listener 1883\nmount_point b", Change{Key: "listener 1883: mount_point", Old: "a", New: "b", Restart: true})
	f("per_listener_settings true\nlistener 1883\npassword_file a", "per_listener_settings true\nlistener 1883\npassword_file b",
		Change{Key: "listener 1883: password_file", Old: "a", New: "b"})
	bridge := "connection b\naddress h\ntopic a\n"
	f(bridge, bridge+"topic b\n", Change{Key: "bridge b: topic", Old: "a", New: "a, b", Restart: true})
	f(bridge, bridge+"remote_password x\n", Change{Key: "bridge b: remote_password", New: hidden, Restart: true})
	f(bridge, "", Change{Key: "bridge", Old: "b", Restart: true})
	plugin := "plugin mosquitto_acl_file.so\n"
	f(plugin, plugin+"plugin_opt_acl_file a\n", Change{Key: "plugin mosquitto_acl_file.so: plugin_opt_*", New: "plugin_opt_acl_file a", Restart: true})
	f("", plugin, Change{Key: "plugin", New: "mosquitto_acl_file.so", Restart: true})
	if got := (Change{Key: "a", Old: "", New: "2"}).String(); got != "a: (not set) becomes 2" {
		t.Errorf("got %s", got)
	}
}

func TestKeyNames(t *testing.T) {
	names := KeyNames()
	seen := map[string]bool{}
	for _, n := range names {
		seen[n] = true
	}
	if !seen["listener"] || !seen["log_format"] || seen["plugin_opt_*"] || len(names) < 150 {
		t.Errorf("%d names: %v", len(names), names)
	}
}
