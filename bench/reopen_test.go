package bench

import (
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// runReopened restarts a small broker of this command.
func runReopened(t *testing.T, peer string) reopenResult {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	o, err := parseReopen([]string{"-brokers", "none", "-peer", peer, "-retained", "2500", "-sessions", "20", "-queued", "30",
		"-settle", "0", "-dir", t.TempDir()}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	r := reopenBroker(o.specs[0], o, io.Discard)
	printReopen(&out, o, []reopenResult{r})
	if r.Error != "" {
		t.Fatal(out.String())
	}
	return r
}

func TestRestartFindsEverythingAgain(t *testing.T) {
	t.Run("noctule", func(t *testing.T) { checkReopened(t, runReopened(t, "noctule="+buildBroker(t)+" -q -c {conf}")) })
	t.Run("mosquitto", func(t *testing.T) {
		const path = "/usr/sbin/mosquitto"
		if _, err := os.Stat(path); err != nil {
			t.Skip("Debian's package mosquitto is not installed")
		}
		checkReopened(t, runReopened(t, "mosquitto="+path+" -c {conf}"))
	})
}

func checkReopened(t *testing.T, r reopenResult) {
	t.Helper()
	if r.StopSeconds <= 0 || r.ConnackAfter <= 0 || r.RetainedAfter < r.ConnackAfter || r.QueuedAfter < r.RetainedAfter {
		t.Errorf("stop %v s, CONNACK %v, retained %v, queued %v", r.StopSeconds, r.ConnackAfter, r.RetainedAfter, r.QueuedAfter)
	}
	if r.DiskBytes == 0 || r.Resident == 0 || r.IdleResident == 0 || r.PeakResident < r.Resident/2 || r.CheckSeconds <= 0 {
		t.Errorf("%d bytes on the disk, %d, %d and %d resident, checked in %v s", r.DiskBytes, r.Resident, r.IdleResident, r.PeakResident, r.CheckSeconds)
	}
}

// TestRestartOfABrokerThatForgetsFails runs the relay, which keeps nothing.
func TestRestartOfABrokerThatForgetsFails(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o, err := parseReopen([]string{"-brokers", "none", "-peer", "relay=" + self + " bench floor -p {port}", "-retained", "0",
		"-sessions", "1", "-queued", "1", "-dir", t.TempDir()}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if r := reopenBroker(o.specs[0], o, io.Discard); !strings.Contains(r.Error, "session 0 is not there") {
		t.Fatalf("error %q", r.Error)
	}
}

func TestRestartFlagsAreChecked(t *testing.T) {
	f := func(want string, args ...string) {
		t.Helper()
		_, err := parseReopen(append([]string{"-brokers", "none"}, args...), io.Discard)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", args, err, want)
		}
	}
	peer := []string{"-peer", "noctule=x -c {conf}"}
	f("", peer...)
	f("none below 0", append(peer, "-retained", "-1")...)
	f("none below 0", append(peer, "-queued", "60001")...)
	f("-payload", append(peer, "-payload", "5")...)
	f("-commit", append(peer, "-commit", "later")...)
	f("no arguments", append(peer, "more")...)
	f("does not store", "-peer", memoryName+"=x -c {conf}")
	f("does not store", "-peer", "noctule=x,1883")
	f("no broker")
}

func TestHaltSaysHowLongItTook(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	b := &broker{spec: brokerSpec{command: "/bin/sleep 60"}, start: brokerStart{cpu: -1}, dir: t.TempDir()}
	if err := b.spawn(); err != nil {
		t.Fatal(err)
	}
	if took, err := b.halt(time.Minute); err != nil || took <= 0 || took > time.Minute {
		t.Fatalf("%v, %v", took, err)
	}
	if took, err := b.halt(time.Minute); err != nil || took != 0 {
		t.Fatalf("without a process: %v, %v", took, err)
	}
}
