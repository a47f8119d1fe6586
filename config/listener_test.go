package config

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

// addresses lists the listeners as port and address.
func addresses(c *Config) []string {
	var all []string
	for _, l := range c.Listeners {
		all = append(all, strings.TrimSpace(strings.Join([]string{place(":", int(l.Port))[2:], l.Address}, " ")))
	}
	return all
}

// TestListenersAreAsWritten holds which lines make a listener; what Mosquitto 2.0 opens for each text was observed.
func TestListenersAreAsWritten(t *testing.T) {
	f := func(text string, want ...string) {
		t.Helper()
		if got := addresses(parsed(t, text)); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: listeners %q, want %q", text, got, want)
		}
	}
	f("allow_anonymous true\n")
	f("listener 1884\n", "1884")
	f("listener 1884 127.0.0.1\nlistener 1885 ::1 \n", "1884 127.0.0.1", "1885 ::1")
	f("listener 1884  host.example \r\n", "1884 host.example")
	f("listener 1884 # comment\nlistener 1885 127.0.0.1 # comment\nlistener 1886 #\n", "1884", "1885 127.0.0.1", "1886")
	f("listener 1884 127.0.0.1 other\n", "1884 127.0.0.1")
	f("port 1884\n", "1884")
	f("bind_address 127.0.0.1\n", "1883 127.0.0.1")
	f("bind_address 127.0.0.1\nport 1884\n", "1884 127.0.0.1")
	f("listener 1885\nport 1884\n", "1885", "1884")
	f("port 1884\nport 1886\n", "1886")
	f("max_connections 5\n", "1883")
	f("max_connections 5\nlistener 1884\n", "1883", "1884")
	f("max_connections -1\n")
	f("max_qos 1\n", "1883")
	f("use_username_as_clientid true\n", "1883")
	f("use_username_as_clientid false\n")
	f("max_topic_alias 5\n")
	f("protocol mqtt\n")
	f("protocol websockets\n", "1883")
	f("bind_interface lo\n", "1883")
	f("socket_domain ipv4\n", "1883")
	f("certfile a\n", "1883")
	f("require_certificate true\n", "1883")
	f("tls_version tlsv1.2\n")
	f("http_dir /tmp\n")
}

func TestListenerOptionsBelongToTheListenerAbove(t *testing.T) {
	c := parsed(t, `max_topic_alias 4
port 1883
listener 1884
max_connections 7
max_qos 1
max_topic_alias 0
max_topic_alias_broker 3
accept_protocol_versions 3, 4 ,5
listener_allow_anonymous true
listener_auto_id_prefix here-
use_username_as_clientid true
listener 1885 127.0.0.1
accept_protocol_versions 5
`)
	want := []Listener{NewListener(), NewListener(), NewListener()}
	yes, prefix := true, "here-"
	want[0].Port, want[0].MaxTopicAlias, want[0].Line = 1883, 4, 2
	want[1] = Listener{Port: 1884, MaxConnections: 7, MaxQoS: 1, MaxTopicAliasBroker: 3, AllowAnonymous: &yes, AutoIDPrefix: &prefix,
		AcceptVersions: AllVersions, UseUserNameAsClientID: true, Protocol: "mqtt", SocketMode: 0o770, Line: 3}
	want[2].Port, want[2].Address, want[2].AcceptVersions, want[2].Line = 1885, "127.0.0.1", 1<<5, 12
	for i := range want {
		want[i].File = "test.conf"
	}
	if !reflect.DeepEqual(c.Listeners, want) {
		t.Errorf("got  %+v\nwant %+v", c.Listeners, want)
	}
}

func TestAcceptedVersions(t *testing.T) {
	f := func(value string, want ...uint8) {
		t.Helper()
		l := &parsed(t, "listener 1883\naccept_protocol_versions "+value).Listeners[0]
		var got []uint8
		for level := range uint8(255) {
			if l.AcceptsVersion(level) {
				got = append(got, level)
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q accepts %v, want %v", value, got, want)
		}
	}
	f("3", 3)
	f("5,3", 3, 5)
	f("3, 4 ,5", 3, 4, 5)
	for _, value := range []string{"2", "6", "3,", "3 4", "x", "259"} {
		mistakes(t, "listener 1883\naccept_protocol_versions "+value)
	}
}

func TestAnonymousIsGlobalOrPerListener(t *testing.T) {
	c := parsed(t, "listener 1883\nlistener 1884\nallow_anonymous true\n")
	if !c.AllowAnonymous || !c.AllowAnonymousSet || c.Listeners[1].AllowAnonymous != nil {
		t.Errorf("without per_listener_settings: %+v", c)
	}
	c = parsed(t, "per_listener_settings true\nlistener 1883\nallow_anonymous true\nauto_id_prefix a-\nlistener 1884\nauto_id_prefix b-\n")
	if c.AllowAnonymous || c.AllowAnonymousSet {
		t.Errorf("with per_listener_settings: global %t", c.AllowAnonymous)
	}
	first, second := c.Listeners[0], c.Listeners[1]
	if first.AllowAnonymous == nil || !*first.AllowAnonymous || second.AllowAnonymous != nil {
		t.Errorf("listeners: %+v", c.Listeners)
	}
	if *first.AutoIDPrefix != "a-" || *second.AutoIDPrefix != "b-" || c.AutoIDPrefix != "auto-" {
		t.Errorf("prefixes: %+v", c.Listeners)
	}
}

func TestOptionsWithoutListenerAreForTheLocalOne(t *testing.T) {
	c := parsed(t, "max_topic_alias 3\n")
	if len(c.Listeners) != 0 || c.Local.MaxTopicAlias != 3 || c.Local.Port != 0 {
		t.Errorf("%+v", c)
	}
}

func TestUnreachableListenerIsNoted(t *testing.T) {
	f := func(text string, noted bool) {
		t.Helper()
		c := parsed(t, text)
		if got := len(c.Notes) == 1 && strings.Contains(c.Notes[0].Text, "No client can connect on 'listener 1884'"); got != noted {
			t.Errorf("%q: notes %v", text, c.Notes)
		}
	}
	f("listener 1884\n", true)
	f("listener 1884\nallow_anonymous true\n", false)
	f("listener 1884\nlistener_allow_anonymous true\n", false)
	f("allow_anonymous true\nlistener 1884\nlistener_allow_anonymous false\n", true)
	f("allow_anonymous false\n", false)
	f("listener 1884\npassword_file p\n", false)
	f("listener 1884\nplugin mosquitto_dynamic_security.so\n", false)
	f("per_listener_settings true\nlistener 1883\nallow_anonymous true\nlistener 1884\n", true)
}

func TestIdentityWithoutCertificatesIsNoted(t *testing.T) {
	f := func(text, note string) {
		t.Helper()
		c := parsed(t, "allow_anonymous true\nlistener 1884\n"+text)
		if note == "" && len(c.Notes) > 0 || note != "" && (len(c.Notes) != 1 || !strings.Contains(c.Notes[0].Text, note)) {
			t.Errorf("%q: notes %v", text, c.Notes)
		}
	}
	const plain = "asks no client for a certificate"
	f("use_identity_as_username true\n", plain)
	f("use_subject_as_username true\nenable_proxy_protocol 1\n", plain)
	f("use_subject_as_username true\nenable_proxy_protocol 2\n", "no client can log in")
	f("use_identity_as_username true\nenable_proxy_protocol 2\n", "")
	f("require_certificate true\nenable_proxy_protocol 2\n", "")
	f("require_certificate true\nenable_proxy_protocol 1\n", plain)
	f("use_identity_as_username true\ncertfile c\nkeyfile k\n", "")
}

func TestTransportOptionsBelongToTheListenerAbove(t *testing.T) {
	c := parsed(t, `websockets_headers_size 1000
listener 8883
certfile a
keyfile b
certfile c
keyfile d
enable_proxy_protocol 2
proxy_trusted 10.0.0.0/8, 192.168.1.1
proxy_trusted fd00::/8
websockets_origin https://a
websockets_origin https://b
protocol auto
listener 0 /run/noctule.sock
socket_owner ann
socket_group 7
socket_mode 0660
`)
	want := NewListener()
	want.Port, want.File, want.Line, want.Protocol, want.ProxyProtocol = 8883, "test.conf", 2, "auto", 2
	want.TLS.CertFiles, want.TLS.KeyFiles = []string{"a", "c"}, []string{"b", "d"}
	want.WebSocketOrigins = []string{"https://a", "https://b"}
	want.ProxyTrusted = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.168.1.1/32"), netip.MustParsePrefix("fd00::/8")}
	if !reflect.DeepEqual(c.Listeners[0], want) {
		t.Errorf("got  %+v\nwant %+v", c.Listeners[0], want)
	}
	want = NewListener()
	want.SocketPath, want.File, want.Line = "/run/noctule.sock", "test.conf", 13
	want.SocketOwner, want.SocketGroup, want.SocketMode = "ann", "7", 0o660
	if !reflect.DeepEqual(c.Listeners[1], want) {
		t.Errorf("got  %+v\nwant %+v", c.Listeners[1], want)
	}
	if c.WebSockets.HeadersSize != 1000 || len(c.Notes) != 1 { // nobody can connect
		t.Errorf("headers %d, notes %v", c.WebSockets.HeadersSize, c.Notes)
	}
}

func TestNetworksAdmitAddresses(t *testing.T) {
	f := func(lines, address string, want bool) {
		t.Helper()
		l := parsed(t, "listener 1883\n"+lines).Listeners[0]
		if got := l.Admits(netip.MustParseAddr(address)); got != want {
			t.Errorf("%q: %s is admitted: %t", lines, address, got)
		}
	}
	f("", "192.0.2.1", true)
	f("allow_address 192.0.2.0/24\n", "192.0.2.1", true)
	f("allow_address 192.0.2.77/24\n", "192.0.2.1", true)
	f("allow_address 192.0.2.0/24\n", "::ffff:192.0.2.1", true)
	f("allow_address ::ffff:192.0.2.0/120\n", "192.0.2.1", true)
	f("allow_address 192.0.2.0/24\n", "192.0.3.1", false)
	f("allow_address 192.0.2.0/24\n", "2001:db8::1", false)
	f("allow_address 192.0.2.0/24 2001:db8::/32\n", "2001:db8::1", true)
	f("allow_address fe80::/10\n", "fe80::1%eth0", true)
	f("deny_address 192.0.2.1\n", "192.0.2.1", false)
	f("deny_address 192.0.2.1\n", "192.0.2.2", true)
	f("allow_address 192.0.2.0/24\ndeny_address 192.0.2.1,192.0.2.3\n", "192.0.2.3", false)
	none := parsed(t, "listener 0 /x\nallow_address 192.0.2.0/24\n").Listeners[0]
	if !none.Admits(netip.Addr{}) {
		t.Error("a Unix socket admits nobody")
	}
}

func TestNetworksMustBeNetworks(t *testing.T) {
	for _, value := range []string{"x", "192.0.2.0/33", "192.0.2", ",", "::ffff:192.0.2.0/95", "fe80::1%eth0", "192.0.2.1 x"} {
		if _, err := Parse("test.conf", []byte("listener 1883\nallow_address "+value+"\n")); err == nil {
			t.Errorf("%q is taken", value)
		}
	}
	many := "listener 1883\n" + strings.Repeat("deny_address 192.0.2.1\n", networksMax)
	if _, err := Parse("test.conf", []byte(many)); err != nil {
		t.Error(err)
	}
	if _, err := Parse("test.conf", []byte(many+"deny_address 192.0.2.1\n")); err == nil {
		t.Error("there is no bound")
	}
}
