package main

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/noctulemq/noctule/config"
)

// The table of keys stands between these lines; what is around them is written by people.
const (
	parityBegin = "<!-- keys: written by go run ./config/gen from here -->\n"
	parityEnd   = "<!-- keys: to here -->\n"
)

const parityHead = "# Mosquitto and Noctule\n\n"

// parity is docs/mosquitto-parity.md with the table of keys written anew.
func parity(keys []config.Key, before []byte) []byte {
	head, tail := []byte(parityHead), []byte("")
	if h, rest, ok := bytes.Cut(before, []byte(parityBegin)); ok {
		head = h
		_, tail, _ = bytes.Cut(rest, []byte(parityEnd))
	}
	var b bytes.Buffer
	b.Write(head)
	b.WriteString(parityBegin)
	b.WriteString("\n## Keys of mosquitto.conf\n\n" +
		"*honoured* keys do what they do in Mosquitto 2.1. *without effect* means read, checked, and said once at start where it matters.\n" +
		"*refused* means that the broker does not start with it, because one without it would be more open, or lose more, than the file says;\n" +
		"`--test-config` passes such files and warns. *SIGHUP* and *start* say when a change takes effect.\n\n")
	parityTable(&b, keys, false)
	b.WriteString("\n## Keys of our own\n\n")
	parityTable(&b, keys, true)
	b.WriteString("\n")
	b.WriteString(parityEnd)
	b.Write(tail)
	return b.Bytes()
}

func parityTable(b *bytes.Buffer, keys []config.Key, ours bool) {
	b.WriteString("| key | of | class | changes at | remark |\n|---|---|---|---|---|\n")
	for _, k := range keys {
		if k.Ours != ours {
			continue
		}
		changes := "SIGHUP"
		if k.Restart {
			changes = "start"
		}
		class := strings.TrimPrefix(k.Class.String(), "accepted ")
		fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s |\n", k.Name, scopes[k.Scope], class, changes, cell(remark(k)))
	}
}

var scopes = map[config.Scope]string{config.Global: "broker", config.PerListener: "listener", config.PerBridge: "bridge", config.PerPlugin: "plugin"}

// remark is why a key is not honoured, or what it does.
func remark(k config.Key) string {
	switch {
	case k.Class == config.Refused && k.Default != "":
		return "unless it is " + k.Default + ": " + k.Why
	case k.Why != "":
		return k.Why
	}
	return k.Help
}

// cell writes text so that it stays in its cell.
func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "*", `\*`).Replace(s)
}
