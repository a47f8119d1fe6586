package sim

import "testing"

// The crash simulation: the whole broker over fake sockets, a simulated clock and persist.Memory, killed at random moments and
// restored from what the store had taken until then. A run follows from its seed; a failure prints the command that
// replays it.
//
// There is no exact model. The clients are faithful ones that keep their session state, and each checks what it receives: that it
// was sent and asked for, in order, at QoS 2 once, under the packet identifier it had. Beyond that a session is owed every message that
// was acknowledged while it surely subscribed, and the retained messages are those that were acknowledged last. Times are steps of the
// driver. Read crash_world_test.go first, then crash_model_test.go. What
// TestSimulation has as well is in driver_test.go, link_test.go and message_test.go.

var crashFlags = newFlags("crash", "TestCrash", 250, 150)

func TestCrash(t *testing.T) { crashFlags.runSeeds(t, newCrashWorld) }

func TestSameSeedSameCrashes(t *testing.T) { crashFlags.runTwice(t, 10, newCrashWorld) }
