package main

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/noctulemq/noctule/config"
)

// lineWidth is where comments of the example are broken.
const lineWidth = 100

// example is an annotated configuration: every key that this build honours, commented out with its default.
func example(keys []config.Key, _ []byte) []byte {
	var b bytes.Buffer
	b.WriteString(exampleHead)
	for _, a := range areas(keys) {
		written := false
		for _, k := range a.keys {
			if k.Class != config.Honoured || k.Retired {
				continue
			}
			if !written {
				fmt.Fprintf(&b, "\n# %s %s\n", a.name, strings.Repeat("-", lineWidth-3-len(a.name)))
				written = true
			}
			exampleKey(&b, k)
		}
	}
	return b.Bytes()
}

func exampleKey(b *bytes.Buffer, k config.Key) {
	text := k.Help + "."
	if values := k.Wanted(); values != "" {
		text += " Takes " + values + "."
	}
	if k.Ours {
		text += " Not a key of Mosquitto."
	}
	b.WriteString("\n")
	comment(b, text)
	name := strings.Replace(k.Name, "plugin_opt_*", "plugin_opt_config_file", 1)
	fmt.Fprintf(b, "#%s\n", strings.TrimSpace(name+" "+sample(k)))
}

// sample is a value to show: the default, or one that has the form.
func sample(k config.Key) string {
	if k.Default != "" {
		return k.Default
	}
	switch k.Name {
	case "listener":
		return "1883"
	case "bind_address":
		return "127.0.0.1"
	case "allow_anonymous", "listener_allow_anonymous":
		return "false"
	case "listener_auto_id_prefix":
		return "auto-"
	case "persistent_client_expiration":
		return "14d"
	case "password_file":
		return "/etc/noctule/passwd"
	case "acl_file":
		return "/etc/noctule/acl"
	case "bind_interface":
		return "eth0"
	case "socket_domain":
		return "ipv4"
	case "socket_owner":
		return "mosquitto"
	case "socket_group":
		return "mqtt"
	case "allow_address":
		return "10.0.0.0/8, fd00::/8"
	case "deny_address":
		return "10.0.0.66"
	case "proxy_trusted":
		return "127.0.0.1, ::1"
	case "enable_proxy_protocol":
		return "2"
	case "http_dir":
		return "/usr/share/noctule/www"
	case "websockets_origin":
		return "https://example.org"
	case "certfile":
		return "/etc/noctule/certs/server.crt"
	case "keyfile":
		return "/etc/noctule/certs/server.key"
	case "cafile":
		return "/etc/noctule/certs/ca.crt"
	case "capath":
		return "/etc/noctule/certs/ca"
	case "crlfile":
		return "/etc/noctule/certs/ca.crl"
	case "tls_version":
		return "tlsv1.2"
	case "ciphers":
		return "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"
	case "ciphers_tls1.3":
		return "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256"
	case "clientid_prefixes":
		return "sensor-"
	case "mount_point":
		return "tenant/"
	case "user":
		return "mosquitto"
	case "log_facility":
		return "0"
	case "plugin", "global_plugin":
		return "/usr/lib/mosquitto_dynamic_security.so"
	case "plugin_load":
		return "people /usr/lib/mosquitto_dynamic_security.so"
	case "plugin_use":
		return "people"
	case "plugin_opt_*":
		return "/var/lib/noctule/dynamic-security.json"
	case "persistence_location":
		return "/var/lib/mosquitto/"
	case "include_dir":
		return "/etc/noctule/conf.d"
	case "pid_file":
		return "/run/noctule.pid"
	case "log_type":
		return "error"
	case "log_timestamp_format":
		return "%Y-%m-%dT%H:%M:%S"
	}
	return ""
}

// comment writes text in lines that begin with #.
func comment(b *bytes.Buffer, text string) {
	line := "#"
	for _, word := range strings.Fields(text) {
		if len(line)+1+len(word) > lineWidth {
			b.WriteString(line + "\n")
			line = "#"
		}
		line += " " + word
	}
	b.WriteString(line + "\n")
}

const exampleHead = `# Configuration of noctule, in the form of mosquitto.conf(5). Written by go run ./config/gen.
#
# Sizes are in bytes and times in seconds where nothing else is said. Every key stands here with its default, or a value
# of the right form where there is none; take the # away to set it. noctule.conf(5) has the keys that this build only
# understands.
#
# Without any listener the broker is reachable from this machine only, and takes clients without a user name. The two
# first lines below open it to the network, for everybody who has a password, the others with TLS.
#
#listener 1883
#password_file /etc/noctule/passwd
#
#listener 8883
#certfile /etc/noctule/certs/server.crt
#keyfile /etc/noctule/certs/server.key
`
