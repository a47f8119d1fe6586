package config

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Reasons why a file is judged otherwise than by Mosquitto 2.0.
const (
	numbers  = "2.1 reports what is no number, 2.0 takes it for 0 or for the digits it begins with"
	longer   = "2.1 bounds the prefix, 2.0 does not"
	quotes   = "2.1 takes a topic in quotes, 2.0 splits it"
	nothing  = "2.0 reports the missing value and goes on, 2.1 ends"
	newer    = "2.0 was built without it"
	lowBound = "2.1 takes keep-alive bounds below 10, and 0 for none"
	ours     = "a decision: see docs/mosquitto-parity.md"
)

// mosquittoTable is one file a line, and why Mosquitto 2.0 judges it otherwise. DIR is a directory with a.conf in it.
var mosquittoTable = []struct{ text, differs string }{
	// The form of lines.
	{"", ""},
	{"\n\n#\n# x\n", ""},
	{"listener 1884", ""},
	{"listener 1884\r\n", ""},
	{"listener 1884\r", ""},
	{"listener 1884\n\r\n#a\r\n", ""},
	{"listener   1884  \n", ""},
	{"   listener 1884\n", ""},
	{"listener 1884\t\n", ""},
	{"listener\t1884\n", ""},
	{"\tlistener 1884\n", ""},
	{"listener 1884\n   \n", ""},
	{"listener 1884\n \t \nallow_anonymous true\n", ours},
	{"allow_anonymous true\t\n", ours},
	{"allow_anonymous true \t \n", ""},
	{"socket_domain ipv4\v\f\n", ours},
	{"\x00\n", ours},
	{"listener 1884\n\x00foo\n", ours},
	{"user a\x00b\n", ours},
	{" # x\n", ""},
	{"listener 1884\t127.0.0.1\n", numbers},
	{"\xef\xbb\xbflistener 1884\n", ""},
	{"# " + strings.Repeat("x", 5000) + "\n", ""},
	{"auto_id_prefix " + strings.Repeat("x", 3000) + "\n", longer},
	{"auto_id_prefix a b\n", ""},
	{"auto_id_prefix \xff\n", ""},
	{"LISTENER 1884\n", ""},
	{"listen 1884\n", ""},
	{"store_clean_interval 5\n", ""},
	{"foo\n", ""},
	{"allow_anonymous \ttrue\n", ""},
	// Listeners.
	{"listener\n", ""},
	{"listener 0\n", ""},
	{"listener 0 /tmp/x.sock\n", ""},
	{"listener -1\n", ""},
	{"listener 65536\n", ""},
	{"listener x\n", ""},
	{"listener 1884x\n", numbers},
	{"listener 1884 127.0.0.1 # comment\n", ""},
	{"listener 1884 no.such.host.invalid\n", ""},
	{"listener 1884\nlistener 1884\n", ""},
	{"port 1884\n", ""},
	{"port 1884\nport 1885\n", ""},
	{"port 1884\nlistener 1885\nport 1886\n", ""},
	{"port\n", ""},
	{"port 0\n", ""},
	{"port x\n", ""},
	{"port -1\n", ""},
	{"port 65536\n", ""},
	{"bind_address 127.0.0.1\n", ""},
	{"bind_address\n", ""},
	{"bind_address 127.0.0.1\nbind_address 127.0.0.1\n", ""},
	{"bind_interface lo\n", ""},
	{"bind_interface\n", ""},
	{"bind_interface lo\nbind_interface lo\n", ""},
	{"listener 1884\nbind_interface lo\nlistener 1885\nbind_interface lo\n", ""},
	{"max_connections 5\n", ""},
	{"max_connections -5\n", ""},
	{"max_connections x\n", numbers},
	{"max_connections\n", nothing},
	{"max_qos 1\n", ""},
	{"max_qos\n", ""},
	{"max_qos 3\n", ""},
	{"max_qos -1\n", ""},
	{"maximum_qos 1 2\n", ""},
	{"max_topic_alias 5\n", ""},
	{"max_topic_alias\n", ""},
	{"max_topic_alias -1\n", ""},
	{"max_topic_alias 65536\n", ""},
	{"use_username_as_clientid true\n", ""},
	{"use_username_as_clientid x\n", ""},
	{"mount_point a\n", ""},
	{"listener 1884\nmount_point a/\n", ""},
	{"listener 1884\nmount_point a/#\n", ""},
	{"listener 1884\nmount_point a/+/b\n", ""},
	{"listener 1884\nmount_point a\nmount_point b\n", ""},
	{"listener 1884\nmount_point\n", ""},
	{"protocol mqtt\n", ""},
	{"protocol mqtt x\n", ""},
	{"protocol websockets\n", ""},
	{"protocol mqttsn\n", ""},
	{"protocol\n", nothing},
	{"protocol http_api\n", newer},
	{"socket_domain ipv4\n", ""},
	{"socket_domain ipv6 x\n", ""},
	{"socket_domain ipv5\n", ""},
	{"socket_domain\n", ""},
	{"http_dir /tmp\n", ""},
	{"http_dir\n", ""},
	{"listener 1884\nhttp_dir a\nhttp_dir b\n", ""},
	// Access.
	{"allow_anonymous\n", ""},
	{"allow_anonymous True\n", ""},
	{"allow_anonymous true false\n", ""},
	{"allow_anonymous 1\nallow_anonymous 0\n", ""},
	{"allow_anonymous  true  \n", ""},
	{"allow_zero_length_clientid x\n", ""},
	{"per_listener_settings x\n", ""},
	{"per_listener_settings true\nallow_anonymous true\n", ""},
	{"allow_anonymous true\nper_listener_settings true\n", ""},
	{"allow_anonymous true\nper_listener_settings false\n", ""},
	{"per_listener_settings true\nallow_anonymous true\nper_listener_settings false\n", ""},
	{"per_listener_settings true\nallow_anonymous true\nper_listener_settings true\n", ""},
	{"password_file a\nper_listener_settings true\n", ""},
	{"auto_id_prefix a\nper_listener_settings true\n", ""},
	{"allow_zero_length_clientid true\nper_listener_settings true\n", ""},
	{"plugin a\nper_listener_settings true\n", ""},
	{"clientid_prefixes a\nper_listener_settings true\n", ""},
	{"listener 1884\nper_listener_settings true\n", ""},
	{"password_file a\n", ""},
	{"password_file\n", ""},
	{"password_file a\npassword_file b\n", ""},
	{"listener 1884\npassword_file a\nlistener 1885\npassword_file b\n", ""},
	{"per_listener_settings true\nlistener 1884\npassword_file a\nlistener 1885\npassword_file b\n", ""},
	{"per_listener_settings true\nlistener 1884\npassword_file a\npassword_file b\n", ""},
	{"per_listener_settings true\npassword_file a\nlistener 1884\npassword_file b\n", ""},
	{"acl_file a\nacl_file b\n", ""},
	{"acl_file\n", ""},
	{"psk_file a\npsk_file b\n", ""},
	{"auto_id_prefix\n", ""},
	{"auto_id_prefix a\nauto_id_prefix b\n", ""},
	{"clientid_prefixes a b\n", ""},
	{"clientid_prefixes a\nclientid_prefixes b\n", ""},
	{"clientid_prefixes\n", ""},
	{"check_retain_source 1\n", ""},
	// Plugins.
	{"plugin\n", ""},
	{"auth_plugin\n", ""},
	{"plugin a\nplugin b\n", ""},
	{"plugin a\nplugin_opt_file y\n", ""},
	{"plugin a\nauth_opt_file y z\n", ""},
	{"plugin a\nplugin_opt_file\n", ""},
	{"plugin a\nplugin_opt_ y\n", ""},
	{"plugin_opt_file y\n", ""},
	{"auth_opt_file y\n", ""},
	{"auth_plugin_deny_special_chars true\n", ""},
	{"plugin a\nauth_plugin_deny_special_chars x\n", ""},
	{"plugin a\nauth_plugin_deny_special_chars true\n", ""},
	{"plugin a\nlistener 1884\nplugin_opt_file y\n", ""},
	// Messages and limits.
	{"allow_duplicate_messages true\nallow_duplicate_messages false\n", ""},
	{"queue_qos0_messages\n", ""},
	{"queue_qos0_messages x\n", ""},
	{"retain_available false\n", ""},
	{"upgrade_outgoing_qos 1\n", ""},
	{"max_inflight_messages 0\n", ""},
	{"max_inflight_messages -1\n", ""},
	{"max_inflight_messages 65536\n", ""},
	{"max_inflight_messages 99999999999\n", ""},
	{"max_inflight_bytes -1\n", ""},
	{"max_inflight_bytes x\n", numbers},
	{"max_queued_messages -1\n", ""},
	{"max_queued_messages\n", ""},
	{"max_queued_bytes 5000000000\n", ""},
	{"max_keepalive 10\n", ""},
	{"max_keepalive 65535\n", ""},
	{"max_keepalive 65536\n", ""},
	{"max_keepalive -1\n", ""},
	{"max_keepalive 0\n", lowBound},
	{"max_keepalive 5\n", lowBound},
	{"max_packet_size 19\n", ""},
	{"max_packet_size 0\n", ""},
	{"max_packet_size 20\n", ""},
	{"max_packet_size 999999999\n", ""},
	{"memory_limit -1\n", ""},
	{"memory_limit x\n", numbers},
	{"message_size_limit -1\n", ""},
	{"message_size_limit 268435455\n", ""},
	{"message_size_limit 268435456\n", ""},
	{"retry_interval\n", ""},
	{"retry_interval x\n", ""},
	{"persistent_client_expiration 5\n", ""},
	{"persistent_client_expiration 5x\n", ""},
	{"persistent_client_expiration 5D\n", ""},
	{"persistent_client_expiration 5 d\n", ""},
	{"persistent_client_expiration 5d x\n", ""},
	{"persistent_client_expiration 0d\n", ""},
	{"persistent_client_expiration -1d\n", ""},
	{"persistent_client_expiration d\n", ""},
	{"persistent_client_expiration 5h\n", ""},
	{"persistent_client_expiration 14d\n", ""},
	{"persistent_client_expiration 2w\n", ""},
	{"persistent_client_expiration 2m\n", ""},
	{"persistent_client_expiration 99999y\n", ""},
	{"persistent_client_expiration 999999999999y\n", ours},
	{"persistent_client_expiration 1.5d\n", numbers},
	{"persistent_client_expiration 5s\n", ours},
	{"persistent_client_expiration\n", nothing},
	// The process.
	{"set_tcp_nodelay x\n", ""},
	{"user\n", ""},
	{"user  \n", ""},
	{"user a\nuser b\n", ""},
	{"user a\xff\n", ""},
	{"include_dir\n", ""},
	{"include_dir /nonexistent\n", ""},
	{"include_dir DIR\n", ""},
	{"include_dir DIR\ninclude_dir DIR/\n", ""},
	{"include_dir DIR/bad\n", ""},
	{"include_dir DIR/nested\n", ""},
	{"sys_interval 0\n", ""},
	{"sys_interval 65535\n", ""},
	{"sys_interval 65536\n", ""},
	{"sys_interval -1\n", ""},
	{"sys_interval\n", ""},
	{"sys_interval x\n", numbers},
	// Log.
	{"log_dest\n", ""},
	{"log_dest stdout stderr\n", ""},
	{"log_dest syslog\nlog_dest stderr\n", ""},
	{"log_dest topic\nlog_dest stderr\n", ""},
	{"log_dest file\n", ""},
	{"log_dest file \n", ""},
	{"log_dest file /tmp/a.log\nlog_dest file /tmp/b.log\n", ""},
	{"log_dest none\nlog_dest stderr\n", ""},
	{"log_dest foo\n", ""},
	{"log_dest android\n", newer},
	{"log_facility 5\n", ""},
	{"log_facility 8\n", ""},
	{"log_facility -1\n", ""},
	{"log_facility x\n", numbers},
	{"log_type error warning\n", ""},
	{"log_type all\n", ""},
	{"log_type none\n", ""},
	{"log_type internal\n", ""},
	{"log_type foo\n", ""},
	{"log_type\n", nothing},
	{"log_timestamp x\n", ""},
	{"log_timestamp_format\n", ""},
	{"log_timestamp_format %s\nlog_timestamp_format %s\n", ""},
	{"connection_messages 2\n", ""},
	// Persistence.
	{"persistence true\nretained_persistence false\n", ""},
	{"persistence x\n", ""},
	{"persistence_location\n", ""},
	{"persistence_location a\npersistence_location b\n", ""},
	{"persistence_file\n", ""},
	{"persistence_file a/b\n", ""},
	{"persistence_file a\npersistence_file b\n", ""},
	{"retained_persistence x\n", ""},
	{"persistence_location a b/\n", ""},
	{"persistence_file /a\n", ""},
	{"autosave_interval -1\n", ""},
	{"autosave_interval\n", ""},
	{"autosave_interval x\n", numbers},
	{"autosave_on_changes x\n", ""},
	// TLS and WebSockets.
	{"listener 1884\ncertfile a\n", ""},
	{"listener 1884\ncertfile a\ncertfile b\n", ours},
	{"listener 1884\ncertfile a\nkeyfile b\nlistener 1885\ncertfile a\nkeyfile b\n", ""},
	{"certfile a\nkeyfile b\n", ""},
	{"listener 1884\ncafile\n", ""},
	{"listener 1884\nciphers a\nciphers b\n", ""},
	{"listener 1884\nciphers_tls1.3 a\n", ""},
	{"listener 1884\ndhparamfile\n", ""},
	{"listener 1884\nrequire_certificate x\n", ""},
	{"listener 1884\nuse_identity_as_username true\nuse_subject_as_username true\n", ""},
	{"listener 1884\ntls_version foo\n", ""},
	{"listener 1884\ntls_version a\ntls_version b\n", ""},
	{"listener 1884\ntls_engine a\ntls_engine b\n", ""},
	{"listener 1884\ntls_keyform foo\n", ""},
	{"listener 1884\ntls_keyform pem\ntls_keyform engine\n", ""},
	{"listener 1884\ntls_keyform\n", ""},
	{"listener 1884\ntls_engine_kpass_sha1 aabb\n", ""},
	{"listener 1884\ntls_engine_kpass_sha1 0123456789012345678901234567890123456789\n", ""},
	{"listener 1884\ntls_engine_kpass_sha1 01234567890123456789012345678901234567zz\n", ""},
	{"listener 1884\npsk_hint\n", ""},
	{"listener 1884\npsk_hint a b\npsk_hint c\n", ""},
	{"websockets_headers_size -1\n", ""},
	{"websockets_headers_size 65535\n", ""},
	{"websockets_headers_size 65536\n", ""},
	{"websockets_log_level -1\n", ""},
	{"websockets_log_level x\n", numbers},
	// Bridges. B is a whole one.
	{"B", ""},
	{"connection\n", ""},
	{"connection b\n", ""},
	{"connection b\naddress 127.0.0.1\n", ""},
	{"connection b\ntopic #\n", ""},
	{"connection b c\naddress 127.0.0.1\ntopic #\n", ""},
	{"BB", ""},
	{"topic #\n", ""},
	{"address h\n", ""},
	{"cleansession true\n", ""},
	{"username u\n", ""},
	{"start_type lazy\n", ""},
	{"bridge_psk aa\n", ""},
	{"connection b\naddress\n", ""},
	{"connection b\naddress 127.0.0.1:0\ntopic #\n", ""},
	{"connection b\naddress 127.0.0.1:65536\ntopic #\n", ""},
	{"connection b\naddress 127.0.0.1:x\ntopic #\n", ""},
	{"connection b\naddress 127.0.0.1: 127.0.0.1\ntopic #\n", ""},
	{"connection b\naddress ::1:1883\ntopic #\n", ""},
	{"connection b\naddresses 127.0.0.1:1 127.0.0.1:2\ntopic #\n", ""},
	{"Baddress 127.0.0.1\n", ""},
	{"Btopic\n", ""},
	{"Btopic a\ntopic a\n", ""},
	{"Btopic a  in  1\n", ""},
	{"Btopic a IN 2\n", ""},
	{"Btopic a\tin\t1\n", ""},
	{"Btopic a x\n", ""},
	{"Btopic a out 3\n", ""},
	{"Btopic a out -1\n", ""},
	{"Btopic a out x\n", numbers},
	{"Btopic # both 2 a/ b/\n", ""},
	{"Btopic # both 2 a/ b/ c/\n", ""},
	{"Btopic # both 2 a b/\n", ""},
	{"Btopic # both 2 a/ b\n", ""},
	{"Btopic # both 2 a/# b/\n", ""},
	{"Btopic # both 2 a/ b/+\n", ""},
	{"Btopic a#b\n", ""},
	{"Btopic a#b out 0 x/ y/\n", ""},
	{"Btopic a+ out 0 \"\" y/\n", ""},
	{"Btopic \"\"\n", ""},
	{"Btopic \"\" out 0 a\n", ""},
	{"Btopic \"\" out 0 \"\" b\n", ""},
	{"Btopic \"\" out 0 a b\n", ""},
	{"Btopic \"a b\" out\n", quotes},
	{"Btopic \"a b\n", ""},
	{"Bcleansession x\n", ""},
	{"Blocal_cleansession true\n", ""},
	{"Bclientid\n", ""},
	{"Bclientid a\nclientid b\n", ""},
	{"Bremote_clientid a\nclientid b\n", ""},
	{"Busername u\nremote_username u\n", ""},
	{"Bpassword p\n", ""},
	{"Bremote_password p\npassword p\n", ""},
	{"Bidle_timeout 0\n", ""},
	{"Bidle_timeout\n", ""},
	{"Bidle_timeout x\n", numbers},
	{"Bkeepalive_interval 4\n", ""},
	{"Bkeepalive_interval 65535\n", ""},
	{"Bkeepalive_interval 65536\n", ""},
	{"Blocal_clientid a\nlocal_clientid b\n", ""},
	{"Blocal_username\n", ""},
	{"Bnotifications x\n", ""},
	{"Bnotifications_local_only true\n", ""},
	{"Bnotification_topic a\nnotification_topic b\n", ""},
	{"Brestart_timeout\n", ""},
	{"Brestart_timeout 0\n", ""},
	{"Brestart_timeout 10 30\n", ""},
	{"Brestart_timeout 30 10\n", ""},
	{"Brestart_timeout 10 10\n", ""},
	{"Brestart_timeout 1 0\n", ""},
	{"Brestart_timeout x\n", numbers},
	{"Bround_robin x\n", ""},
	{"Bstart_type once x\n", ""},
	{"Bstart_type manual\n", ""},
	{"Bstart_type x\n", ""},
	{"Bthreshold -1\n", ""},
	{"Btry_private false\n", ""},
	{"Bbridge_alpn a\nbridge_alpn b\n", ""},
	{"Bbridge_attempt_unsubscribe x\n", ""},
	{"Bbridge_bind_address 127.0.0.1\nbridge_bind_address 127.0.0.1\n", ""},
	{"Bbridge_cafile\n", ""},
	{"Bbridge_certfile a\n", ""},
	{"Bbridge_identity a\n", ""},
	{"Bbridge_psk aa\n", ""},
	{"Bbridge_identity a\nbridge_psk aa\n", ""},
	{"Bbridge_cafile a\nbridge_identity a\nbridge_psk aa\n", ""},
	{"Bbridge_identity a\nbridge_psk aa\nbridge_cafile a\n", ""},
	{"Bbridge_identity a\nbridge_psk aa\nbridge_certfile a\n", ""},
	{"Bbridge_identity a\nbridge_psk aa\nbridge_keyfile a\n", ""},
	{"Bbridge_keyfile a\nbridge_identity a\nbridge_psk aa\n", ""},
	{"Bbridge_insecure x\n", ""},
	{"Bbridge_max_packet_size -1\n", ""},
	{"Bbridge_outgoing_retain x\n", ""},
	{"Bbridge_protocol_version mqttv50\n", ""},
	{"Bbridge_protocol_version foo\n", ""},
	{"Bbridge_protocol_version\n", ""},
	{"Bbridge_require_ocsp x\n", ""},
	{"Bbridge_tls_version foo\n", ""},
	{"Bbridge_tls_version tlsv1.2\nbridge_tls_version tlsv1.2\n", ""},
	{"B\nlistener 1884\ncleansession true\n", ""},
	{"B\nmax_qos 1\n", ""},
}

// TestFilesAreJudgedAsByMosquitto gives each file to Debian's mosquitto 2.0 and to the parser: both accept it, or both
// refuse it in the same line. A pid file that cannot be written ends mosquitto before it opens a port.
func TestFilesAreJudgedAsByMosquitto(t *testing.T) {
	broker := debianBroker(t)
	for i, c := range mosquittoTable {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			dir := includeDir(t)
			text := wholeBridge(strings.ReplaceAll(c.text, "DIR", dir))
			refused, line := askMosquitto(t, broker, filepath.Join(dir, "main"), text)
			_, err := Load(filepath.Join(dir, "main"))
			switch differs := (err != nil) != refused; {
			case differs && c.differs == "":
				t.Errorf("%q: mosquitto refuses it: %t; we say %v", c.text, refused, err)
			case !differs && c.differs != "":
				t.Errorf("%q is no difference any more, %s: mosquitto refuses it: %t; we say %v", c.text, c.differs, refused, err)
			case refused && err != nil && line != 0:
				var all Errors
				if errors.As(err, &all); all[0].Line != line {
					t.Errorf("%q: mosquitto finds the mistake in line %d, we say %v", c.text, line, err)
				}
			}
		})
	}
}

// debianBroker is the path of Debian's mosquitto 2.0; without it the test is skipped.
func debianBroker(t *testing.T) string {
	t.Helper()
	broker, err := exec.LookPath("mosquitto")
	if err != nil {
		if broker, err = exec.LookPath("/usr/sbin/mosquitto"); err != nil {
			t.Skip("mosquitto is not installed")
		}
	}
	if out, _ := exec.Command(broker, "-h").Output(); !strings.HasPrefix(string(out), "mosquitto version 2.0.") {
		t.Skipf("%s is not of version 2.0", broker)
	}
	return broker
}

// includeDir is a directory with one file to include, and others with a wrong one and one that includes itself.
func includeDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"a.conf": "allow_anonymous true\n", "bad/a.conf": "\nfoo\n", "nested/a.conf": "include_dir /nonexistent\n"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// wholeBridge writes B at the beginning of a text out.
func wholeBridge(text string) string {
	for strings.HasPrefix(text, "B") {
		text = "connection b\naddress 127.0.0.1:1\ntopic #\n" + text[1:]
	}
	return text
}

var foundAt = regexp.MustCompile(`Error found at .*/main:(\d+)\.`)

// askMosquitto writes a file and returns whether mosquitto refuses it and, if it says so, in which line.
func askMosquitto(t *testing.T, broker, path, text string) (refused bool, line int) {
	t.Helper()
	if err := os.WriteFile(path, []byte("pid_file /nonexistent/pid\n"+text), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), broker, "-c", path).CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() == -1 {
		t.Fatalf("%q: %v", text, err)
	}
	if m := foundAt.FindSubmatch(out); m != nil {
		line, _ = strconv.Atoi(string(m[1]))
	}
	return exit.ExitCode() == 3, line
}
