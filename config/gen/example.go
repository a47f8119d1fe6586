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
# lines below open it to the network, for everybody who has a password; this build has no TLS yet.
#
#listener 1883
#password_file /etc/noctule/passwd
`
