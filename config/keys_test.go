package config

import (
	"reflect"
	"strings"
	"testing"
)

// directives are Mosquitto's of 2.0 and 2.1.
const directives = `
allow_anonymous allow_duplicate_messages allow_zero_length_clientid auth_plugin auth_opt_* auth_plugin_deny_special_chars
auto_id_prefix autosave_interval autosave_on_changes acl_file check_retain_source clientid_prefixes connection_messages
enable_control_api global_max_clients global_max_connections global_plugin include_dir log_dest log_facility log_timestamp
log_timestamp_format log_type max_inflight_bytes max_inflight_messages max_keepalive max_packet_size max_queued_bytes
max_queued_messages memory_limit message_size_limit packet_buffer_size password_file per_listener_settings persistence
persistence_file persistence_location persistent_client_expiration pid_file plugin plugin_load plugin_use plugin_opt_*
psk_file queue_qos0_messages retain_available retain_expiry_interval retained_persistence retry_interval set_tcp_nodelay
sys_interval upgrade_outgoing_qos user websockets_headers_size websockets_log_level

listener port bind_address accept_protocol_versions bind_interface cafile capath certfile ciphers ciphers_tls1.3 crlfile
dhparamfile disable_client_cert_date_checks enable_proxy_protocol http_dir keyfile listener_allow_anonymous
listener_auto_id_prefix max_connections max_qos maximum_qos max_topic_alias max_topic_alias_broker mount_point protocol
proxy_protocol_v2_require_tls psk_hint require_certificate socket_domain tls_engine tls_engine_kpass_sha1 tls_keyform
tls_version use_identity_as_username use_subject_as_username use_username_as_clientid websockets_origin

connection address addresses topic bridge_alpn bridge_attempt_unsubscribe bridge_bind_address bridge_cafile bridge_capath
bridge_certfile bridge_ciphers bridge_ciphers_tls1.3 bridge_identity bridge_insecure bridge_keyfile bridge_max_packet_size
bridge_max_topic_alias bridge_outgoing_retain bridge_protocol_version bridge_psk bridge_receive_maximum bridge_reload_type
bridge_require_ocsp bridge_session_expiry_interval bridge_tcp_keepalive bridge_tcp_user_timeout bridge_tls_use_os_certs
bridge_tls_version cleansession clientid idle_timeout keepalive_interval local_cleansession local_clientid local_password
local_username notification_topic notifications notifications_local_only password remote_clientid remote_password
remote_username restart_timeout round_robin start_type threshold try_private username`

func TestEveryDirectiveOfMosquittoIsKnown(t *testing.T) {
	known, ours := map[string]bool{}, map[string]bool{}
	for _, k := range Keys() {
		if known[k.Name] {
			t.Errorf("%s is in the table twice", k.Name)
		}
		known[k.Name], ours[k.Name] = true, k.Ours
	}
	for _, name := range strings.Fields(directives) {
		if !known[name] || ours[name] {
			t.Errorf("%s: known %t, ours %t", name, known[name], ours[name])
		}
		delete(known, name)
	}
	for name := range known {
		if !ours[name] {
			t.Errorf("%s is neither Mosquitto's nor marked as ours", name)
		}
	}
}

func TestEveryKeyIsDescribed(t *testing.T) {
	known := map[string]bool{}
	for _, k := range Keys() {
		known[k.Name] = true
	}
	for _, k := range Keys() {
		if k.Area == "" || k.Help == "" || strings.HasSuffix(k.Help, ".") || strings.HasSuffix(k.Why, ".") {
			t.Errorf("%s: area %q, help %q, why %q", k.Name, k.Area, k.Help, k.Why)
		}
		if k.Class == Refused && k.Why == "" {
			t.Errorf("%s is refused without a reason", k.Name)
		}
		if k.Class == Honoured && k.set == nil {
			t.Errorf("%s is honoured and stores nothing", k.Name)
		}
		if a := k.canonical(); a != k.Name && !known[a] {
			t.Errorf("%s is another name of %s, which is no key", k.Name, a)
		}
		if k.Type == Word && len(k.choices) == 0 || k.Type == Number && k.min > k.max {
			t.Errorf("%s takes nothing", k.Name)
		}
	}
}

// lead is what must stand before a key for it to be in its place.
func lead(k Key) string {
	if k.Scope == PerListener && k.Name != "listener" {
		return "listener 1883\nallow_anonymous true\n"
	}
	return ""
}

func TestWritingADefaultChangesNothing(t *testing.T) {
	for _, k := range Keys() {
		if k.Default == "" || k.Scope == PerBridge || k.Scope == PerPlugin || k.Name == "port" {
			continue
		}
		if got, want := parsed(t, lead(k)+k.Name+" "+k.Default), parsed(t, lead(k)); !reflect.DeepEqual(fields(got), fields(want)) {
			t.Errorf("%s %s:\n got %+v\nwant %+v", k.Name, k.Default, got, want)
		}
	}
}

// other is a value that is right and not the default.
func other(k Key) string {
	switch {
	case k.Type == Bool && k.Default == "true":
		return "false"
	case k.Type == Bool:
		return "true"
	case k.Type == Number && k.Default == "1":
		return "2"
	case k.Type == Number:
		return "1"
	case k.Type == Word:
		return k.choices[len(k.choices)-1]
	case k.Name == "tls_engine_kpass_sha1":
		return "0123456789012345678901234567890123456789"
	}
	return "something"
}

func TestRefusedKeysPreventTheStart(t *testing.T) {
	for _, k := range Keys() {
		if k.Class != Refused || k.Name == "psk_hint" {
			continue
		}
		text := lead(k) + k.Name + " " + other(k)
		all := parsed(t, text).Unsupported
		if want := "The '" + k.Name + "' option cannot be honoured by this build yet; starting without it would be wrong: " + k.Why + "."; len(all) == 0 || all[0].Text != want {
			t.Errorf("%q: %v", text, all)
		}
	}
	f := func(text string, want ...int) {
		t.Helper()
		var lines []int
		for _, n := range parsed(t, text).Unsupported {
			lines = append(lines, n.Line)
		}
		if !reflect.DeepEqual(lines, want) {
			t.Errorf("%q: unsupported in lines %v, want %v", text, lines, want)
		}
	}
	f("listener 1883\n")
	f("listener 0 /run/noctule.sock\n")
	f("listener 1883\nprotocol mqtt\nprotocol auto\nprotocol websockets\n")
	f("listener 1883\nprotocol http_api\n", 2)
	f("listener 8883\ncertfile a\nkeyfile b\ncertfile c\nkeyfile d\ncafile c\nrequire_certificate true\n")
	f("listener 8883\ncertfile a\n", 1)
	f("listener 8883\ncertfile a\nkeyfile b\nkeyfile c\n", 1)
}

func TestPreSharedKeysAreRefused(t *testing.T) {
	_, err := Parse("test.conf", []byte("listener 8883\npsk_hint x\npsk_file y\n"))
	if err == nil || !strings.Contains(err.Error(), "client certificates") || !strings.Contains(err.Error(), "test.conf:1") {
		t.Error(err)
	}
}

func TestKeysWithoutEffectAreNoted(t *testing.T) {
	for _, k := range Keys() {
		if k.Class != NoEffect || k.Scope == PerBridge || k.Scope == PerPlugin || k.Name == "connection" {
			continue
		}
		text := lead(k) + k.Name + " " + other(k)
		if n := len(parsed(t, text).Notes); (n == 1) != (k.Why != "") {
			t.Errorf("%q: %d notes", text, n)
		}
	}
}

func TestNearestKey(t *testing.T) {
	p := newParser(memory{})
	f := func(name, want string) {
		t.Helper()
		if got := p.nearest(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	f("alow_anonymous", "allow_anonymous")
	f("allow_anonymuos", "allow_anonymous")
	f("listner", "listener")
	f("max_inflight_message", "max_inflight_messages")
	f("presistence", "persistence")
	f("x", "")
	f("something_else_entirely", "")
	f(strings.Repeat("listener", 20), "")
}

func TestDistance(t *testing.T) {
	f := func(a, b string, want int) {
		t.Helper()
		if got := distance(a, b); got != want {
			t.Errorf("%q to %q: %d, want %d", a, b, got, want)
		}
	}
	f("", "", 0)
	f("abc", "", 3)
	f("", "abc", 3)
	f("abc", "abc", 0)
	f("abc", "axc", 1)
	f("abc", "acb", 1)
	f("abc", "xabc", 1)
	f("kitten", "sitting", 3)
}
