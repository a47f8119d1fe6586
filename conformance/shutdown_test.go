package conformance

import (
	"testing"
)

// TestShutdownIsAnnounced: after SIGTERM version 5 clients get DISCONNECT 0x8B, the others a close; the broker ends with
// status 0 within seconds.
//
// v5 [MQTT-3.14.2-1] [MQTT-3.14.4-2]
func TestShutdownIsAnnounced(t *testing.T) {
	skipKnown(t)
	t.Parallel()
	b, err := launch(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	five := join(t, b, hello{level: v5, id: "five"})
	four := join(t, b, hello{level: v4, id: "four"})
	if err := b.stop(); err != nil {
		t.Fatal(err)
	}
	five.expectRefusal(0x8B)
	four.expectClose()
}
