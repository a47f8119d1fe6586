package main

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/noctulemq/noctule/config"
)

// manual is the page noctule.conf(5) in the man macros.
func manual(keys []config.Key, _ []byte) []byte {
	var b bytes.Buffer
	b.WriteString(manualHead)
	for _, a := range areas(keys) {
		fmt.Fprintf(&b, ".SS %s\n", roff(a.name))
		if text, ok := areaText(a.name); ok {
			fmt.Fprintf(&b, "%s\n", roff(text))
		}
		for _, k := range a.keys {
			manualKey(&b, k)
		}
	}
	b.WriteString(manualTail)
	return b.Bytes()
}

func manualKey(b *bytes.Buffer, k config.Key) {
	fmt.Fprintf(b, ".TP\n.B %s\n", roff(k.Name))
	fmt.Fprintf(b, "%s.\n", roff(k.Help))
	if values := k.Wanted(); values != "" {
		fmt.Fprintf(b, "Takes %s.\n", roff(values))
	}
	if k.Default != "" {
		fmt.Fprintf(b, "Default: %s.\n", roff(k.Default))
	}
	if k.Ours {
		b.WriteString("Not a key of Mosquitto.\n")
	}
	if k.Restart && k.Class == config.Honoured {
		b.WriteString("A change takes effect at the next start.\n")
	}
	if text := classText(k); text != "" {
		fmt.Fprintf(b, ".br\n%s\n", roff(text))
	}
}

// classText says what this build does with a key that it does not honour.
func classText(k config.Key) string {
	why := ""
	if k.Why != "" {
		why = ": " + k.Why
	}
	switch k.Class {
	case config.NoEffect:
		return "Accepted without effect in this build" + why + "."
	case config.Refused:
		if k.Default != "" {
			return "With other values than the default this build does not start" + why + "."
		}
		return "With this key this build does not start" + why + "."
	}
	return ""
}

// areaText is what stands below a heading.
func areaText(name string) (string, bool) {
	switch name {
	case "Listeners":
		return "These keys belong to the listener line above them. Before any listener line they configure the default listener, " +
			"which exists once port, bind_address, max_connections, max_qos, use_username_as_clientid, bind_interface, socket_domain, protocol or a key of TLS is given.", true
	case "Plugins":
		return "Mosquitto's own plugins are built in and chosen by the names of their files, in whatever directory. No other plugin can be loaded.", true
	case "Persistence":
		return "What is acknowledged is stored: when the process is killed nothing of it is lost under persistence_commit balanced and strict, " +
			"and when the power is cut nothing under strict, and under balanced what came in the last persistence_sync_interval. " +
			"Mosquitto writes its database at intervals and loses what came since; autosave_interval and autosave_on_changes are read and change nothing. " +
			"SIGUSR1 puts on the disk what is not there yet. A database of Mosquitto's is imported at the first start and left as it is; " +
			"noctule db export writes one.", true
	case "TLS":
		return "A listener with certfile and keyfile is encrypted. SIGHUP reads all files again, for new connections; when one cannot be used, " +
			"the log says so and what was read before stays in force.", true
	case "WebSocket, HTTP and PROXY":
		return "A connection may have all of them: first comes the PROXY header, then TLS, then WebSocket, then MQTT.", true
	case "Bridges":
		return "Known so that a configuration of Mosquitto is understood; see what is said of each key.", true
	}
	return "", false
}

// roff writes text so that the formatter takes nothing in it for a request.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`).Replace(s)
	if strings.HasPrefix(s, ".") {
		s = `\&` + s
	}
	return s
}

const manualHead = `.\" Written by go run ./config/gen from the table of keys. Do not edit.
.TH NOCTULE.CONF 5 "" "Noctule" "File formats"
.SH NAME
noctule.conf \- configuration of the MQTT broker noctule
.SH DESCRIPTION
.BR noctule (8)
reads a file of this form when it is started with
.BR \-c .
The form is that of mosquitto.conf(5), and the keys are those of Mosquitto 2.0 and 2.1 with a few more.
.PP
Each line is a name, a blank, and a value.
A line whose very first character is # is a comment; what stands behind a value is ignored with a warning, or belongs to the value where that is a path or another text.
Blanks before the name, between name and value and at the end of the line do not matter.
.PP
Names of keys cannot be followed by a tab.
A key that may be given once and stands there twice is an error; of others the last value holds.
.PP
A key that this build does not know how to honour is either accepted without effect, and the log says so at start,
or prevents the start where a broker that ignored it would be more open, or lose more, than the file says.
An unknown key is an error.
All errors are printed with file and line, and the exit status is 3.
.PP
SIGHUP reads the file again.
Where a key says nothing else, a change takes effect then.
.SH ENVIRONMENT
A variable
.B NOCTULE_
with the name of a key in upper case, as in NOCTULE_MAX_QUEUED_MESSAGES, takes the place of every line of that key in the files;
flags of the command line take the place of variables.
This holds for keys of the broker: not for those of a listener, a bridge or a plugin, and not for include_dir.
A variable of a security setting is for all listeners, also with per_listener_settings.
NOCTULE_LOG_DEST and NOCTULE_LOG_TYPE take several values with commas between them.
An empty variable counts as none.
.B MOSQUITTO_PERSISTENCE_LOCATION
is another name of NOCTULE_PERSISTENCE_LOCATION.
.SH KEYS
`

const manualTail = `.SH EXAMPLE
.nf
listener 1883
allow_anonymous true
max_connections 10000
.fi
.SH SEE ALSO
.BR noctule (8)
`
