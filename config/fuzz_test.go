package config

import (
	"slices"
	"testing"
	"time"
)

// FuzzParse reads anything as a configuration. What comes out is either errors, bounded and printable, or a configuration
// within the bounds that the rest of the broker relies on.
func FuzzParse(f *testing.F) {
	f.Add([]byte("listener 1883\nallow_anonymous true\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		files := memory{"d/a.conf": string(text), "d/b.conf": "listener 1885\n"}
		c, err := parse("fuzz.conf", text, files)
		if err != nil {
			if c != nil || err.Error() == "" {
				t.Fatalf("errors %q beside %v", err, c)
			}
			if all := err.(Errors); len(all) == 0 || len(all) > errorsMax {
				t.Fatalf("%d errors", len(all))
			}
			return
		}
		checkBounds(t, c)
		if changes := Diff(c, c); len(changes) != 0 {
			t.Fatalf("a configuration differs from itself: %v", changes)
		}
		for _, e := range ExplainAll(c) {
			if e.String() == "" || e.Key.secretIn(e.Name) && e.Value != "" && e.Value != hidden && e.Value != e.Key.Default {
				t.Fatalf("%+v", e)
			}
		}
	})
}

// FuzzEnvironment gives any value to any key; whatever comes out is within the same bounds.
func FuzzEnvironment(f *testing.F) {
	f.Add("NOCTULE_MAX_QUEUED_MESSAGES", "5")
	f.Add("NOCTULE_LOG_DEST", "stdout,file /x")
	f.Fuzz(func(t *testing.T, name, value string) {
		c, err := load("", []string{name + "=" + value}, memory{})
		if err != nil {
			if all := err.(Errors); len(all) == 0 || len(all) > errorsMax {
				t.Fatalf("%d errors", len(all))
			}
			return
		}
		checkBounds(t, c)
	})
}

func checkBounds(t *testing.T, c *Config) {
	if c.Loops < 0 || c.Loops > LoopsMax || c.MaxInflightMessages < 0 || c.MaxInflightMessages > 65535 || c.MaxInflightBytes < 0 ||
		c.MaxQueuedMessages < 0 || c.MaxQueuedBytes < 0 || c.MaxOutputBytes < 4096 || c.MaxPacketSize < packetSizeMin || c.MessageSizeLimit > payloadMax {
		t.Fatalf("out of bounds: %+v", c)
	}
	if c.GlobalMaxClients < -1 || c.GlobalMaxConnections < -1 || c.MaxSessions < 0 || c.MaxSubscriptions < 0 || c.MaxRetainedMessages < 0 ||
		c.MaxRetainedBytes < 0 || c.ConnectTimeout < 0 || c.ShutdownTimeout < 0 || c.SysInterval < 0 ||
		c.PersistentClientExpiration < 0 || c.PersistentClientExpiration > expirationMax || c.SlowConsumer > Throttle || len(c.AutoIDPrefix) > autoIDPrefixMax {
		t.Fatalf("out of bounds: %+v", c)
	}
	if !slices.Contains([]string{"round-robin", "sticky", "hash-client", "hash-topic"}, c.SharedStrategy) || len(c.Notes) > notesMax || len(c.Unsupported) > notesMax || len(c.Listeners) > listenersMax || len(c.Bridges) > bridgesMax {
		t.Fatalf("out of bounds: %+v", c)
	}
	for _, b := range c.Bridges {
		if len(b.Addresses) == 0 || len(b.Topics) == 0 || b.KeepAlive < 5*time.Second || b.RestartBase < time.Second || b.ProtocolLevel < 3 || b.ProtocolLevel > 5 {
			t.Fatalf("bridge out of bounds: %+v", b)
		}
	}
	for _, l := range c.Listeners {
		if (l.Port == 0) != (l.SocketPath != "") || l.MaxQoS > 2 || l.MaxConnections < -1 || l.AcceptVersions == 0 || l.ProxyProtocol > 2 {
			t.Fatalf("listener out of bounds: %+v", l)
		}
	}
}
