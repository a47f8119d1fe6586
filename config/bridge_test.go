package config

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestBridges(t *testing.T) {
	c := parsed(t, `connection cloud
address mqtt.example.com:8883 [2001:db8::1]:8884 10.0.0.1 ::1:1885
topic sensors/# both 1 "" remote/
topic "with blank" in
topic "" out 0 local/x remote/x
username u
remote_password p
clientid c
local_clientid lc
local_username lu
local_password lp
cleansession true
local_cleansession false
keepalive_interval 3
idle_timeout 0
threshold 7
restart_timeout 10 60
start_type lazy
round_robin true
notifications false
notifications_local_only true
notification_topic n
try_private false
bridge_protocol_version mqttv50
bridge_attempt_unsubscribe false
bridge_outgoing_retain false
bridge_max_packet_size 1000
bridge_max_topic_alias 5
bridge_receive_maximum 9
bridge_session_expiry_interval 4294967295
bridge_reload_type immediate
bridge_bind_address 10.0.0.2
bridge_tcp_keepalive 10 20 3
bridge_tcp_user_timeout 30
bridge_cafile ca
bridge_capath cp
bridge_certfile ce
bridge_keyfile k
bridge_tls_use_os_certs true
bridge_insecure true
bridge_require_ocsp true
bridge_alpn mqtt
bridge_tls_version tlsv1.3
bridge_ciphers a:b
bridge_ciphers_tls1.3 c:d
connection second
addresses h
topic #
restart_timeout 20
bridge_identity i
bridge_psk aabb
`)
	no := false
	first := Bridge{
		Name: "cloud", Addresses: []BridgeAddress{{"mqtt.example.com", 8883}, {"2001:db8::1", 8884}, {"10.0.0.1", 1883}, {"::1", 1885}},
		Topics:         []BridgeTopic{{"sensors/#", "both", 1, "", "remote/"}, {"with blank", "in", 0, "", ""}, {"", "out", 0, "local/x", "remote/x"}},
		RemoteUserName: "u", RemotePassword: "p", RemoteClientID: "c", LocalClientID: "lc", LocalUserName: "lu", LocalPassword: "lp",
		CleanSession: true, LocalCleanSession: &no, KeepAlive: 5 * time.Second, IdleTimeout: time.Second, Threshold: 7,
		RestartBase: 10 * time.Second, RestartCap: time.Minute, StartType: "lazy", RoundRobin: true, NotificationsLocalOnly: true, NotificationTopic: "n",
		ProtocolLevel: 5, MaxPacketSize: 1000, MaxTopicAlias: 5, ReceiveMaximum: 9, SessionExpiry: 4294967295, ReloadImmediate: true, BindAddress: "10.0.0.2",
		TCPKeepAlive: BridgeTCPKeepAlive{10, 20, 3}, TCPUserTimeout: 30,
		TLS: BridgeTLS{CAFile: "ca", CAPath: "cp", CertFile: "ce", KeyFile: "k", UseOSCerts: true, Insecure: true, RequireOCSP: true,
			ALPN: "mqtt", MinVersion: "tlsv1.3", Ciphers: "a:b", CipherSuites: "c:d"},
		File: "test.conf", Line: 1,
	}
	second := *newBridge("second")
	second.Addresses, second.Topics = []BridgeAddress{{"h", 1883}}, []BridgeTopic{{Pattern: "#", Direction: "out"}}
	second.RestartBase, second.RestartCap = 20*time.Second, 0
	second.TLS.Identity, second.TLS.PSK, second.File, second.Line = "i", "aabb", "test.conf", 46
	if !reflect.DeepEqual(c.Bridges, []Bridge{first, second}) {
		t.Errorf("got  %+v\nwant %+v", c.Bridges, []Bridge{first, second})
	}
	if len(c.Notes) != 2 || c.Notes[0].Text != "The bridge 'cloud' has no effect in this build: nothing travels to or from mqtt.example.com." || c.Notes[1].Line != 46 {
		t.Errorf("notes: %v", c.Notes)
	}
	if len(c.Unsupported) != 0 {
		t.Errorf("unsupported: %v", c.Unsupported)
	}
}

func TestBridgeSentences(t *testing.T) {
	whole := "connection b\naddress h\ntopic #\n"
	f := func(text, want string) {
		t.Helper()
		if got := mistakes(t, text)[0].Text; got != want {
			t.Errorf("%q:\n got %s\nwant %s", text, got, want)
		}
	}
	f("connection b\naddress h\n", "Invalid bridge configuration: no topics defined.")
	f("connection b\ntopic #\n", "Invalid bridge configuration: no remote addresses defined.")
	f(whole+"bridge_psk aa\n", "Invalid bridge configuration: missing bridge_identity.")
	f(whole+"bridge_identity a\n", "Invalid bridge configuration: missing bridge_psk.")
	f(whole+"bridge_cafile a\nbridge_psk aa\n", "Cannot use both certificate and psk encryption in a single bridge.")
	f(whole+whole, "Duplicate bridge name 'b'.")
	f(whole+"address i\n", "Duplicate 'address' value in configuration.")
	f(whole+"topic \"a b\n", `Missing closing quote in topic value ("a b).`)
	f(whole+"topic a up\n", "Invalid bridge topic direction 'up'.")
	f(whole+"topic a in 3\n", "Invalid bridge QoS level '3'.")
	f(whole+"topic a in 12\n", "Invalid bridge QoS level '12'.")
	f(whole+"topic \"\" in\n", "Invalid bridge remapping.")
	f(whole+"topic # in 0 a\n", "Invalid bridge topic local prefix and pattern combination 'a#'.")
	f(whole+"topic # in 0 a/ b\n", "Invalid bridge topic remote prefix and pattern combination 'b#'.")
	f(whole+"topic # in 0 a/+/\n", "Invalid bridge topic local prefix 'a/+/'.")
	f(whole+"start_type manual\n", "Manual start_type not supported.")
	f(whole+"keepalive_interval 70000\n", "Bridge keepalive value too high.")
	f(whole+"restart_timeout 30 10\n", "backoff cap is lower than the base in restart_timeout.")
	f(whole+"restart_timeout a\n", "'restart_timeout' value not a number.")
	f(whole+"bridge_tcp_keepalive 1 2\n", "Invalid 'bridge_tcp_keepalive' value (1 2).")
	f(whole+"remote_clientid a\nclientid a\n", "Duplicate 'clientid' value in configuration.")
	f("connection b\naddress h:0\ntopic #\n", "Invalid 'port' value (0).")
	f("connection b\naddress :1883\ntopic #\n", "Invalid 'address' value (:1883).")
	f("cleansession true\n", "The 'cleansession' option requires a bridge to be defined first.")
	if all := parsed(t, whole+"topic a#b\n"); len(all.Notes) != 2 || !strings.Contains(all.Notes[0].Text, "'a#b' is no topic filter") {
		t.Errorf("notes: %v", all.Notes)
	}
}
