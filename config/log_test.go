package config

import (
	"reflect"
	"testing"
)

func TestLogDestinations(t *testing.T) {
	f := func(text string, want ...LogDest) {
		t.Helper()
		if got := parsed(t, text).Log.Dest; !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
	stderr, stdout, syslog := LogDest{Kind: "stderr"}, LogDest{Kind: "stdout"}, LogDest{Kind: "syslog"}
	f("", stderr)
	f("log_dest stdout", stdout)
	f("log_dest stdout\nlog_dest stderr\nlog_dest stdout", stdout, stderr)
	f("log_dest file  /var/log/with blanks.log ", LogDest{Kind: "file", Path: "/var/log/with blanks.log"})
	if got := parsed(t, "log_dest stdout\nlog_dest none").Log.Dest; len(got) != 0 {
		t.Errorf("none leaves %v", got)
	}
	f("log_dest none\nlog_dest stdout", stdout)
	f("log_dest syslog", syslog)
	f("log_dest syslog\nlog_dest stdout", syslog, stdout)
	f("log_dest dlt", LogDest{Kind: "dlt"}, stderr) // not built: the lines must go somewhere
	mistakes(t, "log_dest nowhere")
}

func TestLogTypes(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		types := parsed(t, text).Log.Types
		if got := types.String(); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
	f("", "error warning notice information")
	f("log_type debug", "debug")
	f("log_type error\nlog_type subscribe", "error subscribe")
	f("log_type none", "none")
	f("log_type error\nlog_type none\nlog_type debug", "debug")
	f("log_type all", "error warning notice information debug subscribe unsubscribe websockets internal")
	mistakes(t, "log_type everything")
	types := parsed(t, "log_type debug").Log.Types
	if !types.Has("debug") || types.Has("error") || types.Has("everything") {
		t.Errorf("Has is wrong for %s", types)
	}
}
