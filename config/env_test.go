package config

import (
	"strings"
	"testing"
)

// withEnv loads a text with an environment.
func withEnv(text string, env ...string) (*Config, error) {
	return load("test.conf", env, memory{"test.conf": text})
}

func TestEnvironmentTakesThePlaceOfTheFile(t *testing.T) {
	c, err := withEnv("max_queued_messages 5\npersistence_location /a\nlog_dest stdout\nlog_type all\nmax_keepalive 100\n",
		"NOCTULE_MAX_QUEUED_MESSAGES=7", "MOSQUITTO_PERSISTENCE_LOCATION=/b", "NOCTULE_LOG_DEST=file /x.log, stderr", "NOCTULE_LOG_TYPE=error,debug",
		"NOCTULE_MAX_KEEPALIVE=", "PATH=/bin", "NOCTULE_DAEMON_FD=3", "NOCTULE_SERVICE_HOST=10.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	if c.MaxQueuedMessages != 7 || c.Persistence.Location != "/b" || c.Log.Types.String() != "error debug" || c.MaxKeepAlive != 100 || len(c.Notes) != 0 {
		t.Errorf("%+v", c)
	}
	if len(c.Log.Dest) != 2 || c.Log.Dest[0] != (LogDest{"file", "/x.log"}) || c.Log.Dest[1].Kind != "stderr" {
		t.Errorf("log_dest: %v", c.Log.Dest)
	}
	if c, err = withEnv("", "MOSQUITTO_PERSISTENCE_LOCATION=/b", "NOCTULE_PERSISTENCE_LOCATION=/c"); err != nil || c.Persistence.Location != "/c" {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err = withEnv("persistence false\nretained_persistence false\n", "NOCTULE_PERSISTENCE=true"); err != nil || !c.Persistence.Enabled {
		t.Errorf("the other name of a key is left out too: %+v, %v", c, err)
	}
}

func TestEnvironmentWithoutAFile(t *testing.T) {
	c, err := LoadEnv("", []string{"NOCTULE_ALLOW_ANONYMOUS=false"})
	if err != nil || !c.AllowAnonymousSet || c.AllowAnonymous {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestErrorsNameTheVariable(t *testing.T) {
	_, err := withEnv("foo\nmax_queued_messages y\n", "NOCTULE_MAX_QUEUED_MESSAGES=x")
	want := "Error: 'max_queued_messages' value not a number. (environment variable NOCTULE_MAX_QUEUED_MESSAGES); it takes a number\n" +
		"Error: Unknown configuration variable 'foo'. (test.conf:1)\n" +
		"Error: 'max_queued_messages' value not a number. (test.conf:2); it takes a number"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestEnvironmentOfListenersIsNoted(t *testing.T) {
	f := func(variable, want string) {
		t.Helper()
		c, err := withEnv("", variable)
		if err != nil {
			t.Fatal(err)
		}
		if want == "" && len(c.Notes) != 0 || want != "" && (len(c.Notes) != 1 || !strings.Contains(c.Notes[0].String(), want)) {
			t.Errorf("%s: %v", variable, c.Notes)
		}
	}
	f("NOCTULE_PORT=tcp://10.0.0.1:1883", "'port' can only be set in a file. (environment variable NOCTULE_PORT)")
	f("NOCTULE_INCLUDE_DIR=/x", "'include_dir' can only be set in a file.")
	f("NOCTULE_ALOW_ANONYMOUS=true", "did you mean NOCTULE_ALLOW_ANONYMOUS?")
	f("NOCTULE_PORT_1883_TCP_ADDR=10.0.0.1", "")
}

// TestEnvironmentIsForAllListeners holds with per_listener_settings too, wherever that is said.
func TestEnvironmentIsForAllListeners(t *testing.T) {
	f := func(text string, env ...string) {
		t.Helper()
		c, err := withEnv(text, env...)
		if err != nil {
			t.Fatal(err)
		}
		for i := range c.Listeners {
			if s := c.Security(&c.Listeners[i]); s.PasswordFile != "env" || !s.AllowAnonymous {
				t.Errorf("%q: %+v", text, s)
			}
		}
	}
	listeners := "listener 1883\npassword_file a\nlistener 1884\nallow_anonymous false\n"
	f(listeners, "NOCTULE_PASSWORD_FILE=env", "NOCTULE_ALLOW_ANONYMOUS=true")
	f("per_listener_settings true\n"+listeners, "NOCTULE_PASSWORD_FILE=env", "NOCTULE_ALLOW_ANONYMOUS=true")
	f(listeners, "NOCTULE_PASSWORD_FILE=env", "NOCTULE_ALLOW_ANONYMOUS=true", "NOCTULE_PER_LISTENER_SETTINGS=true")
}
