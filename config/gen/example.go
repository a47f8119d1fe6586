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
func example(keys []config.Key) []byte {
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
	fmt.Fprintf(b, "#%s\n", strings.TrimSpace(k.Name+" "+sample(k)))
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
# lines below open it to the network, for everybody: this build has no passwords and no TLS yet.
#
#listener 1883
#allow_anonymous true
`
