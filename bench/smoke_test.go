package bench

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestMain lets the test program be the relay: the floor is this program with the arguments bench floor.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "bench" {
		os.Exit(Main(os.Args[2:]))
	}
	os.Exit(m.Run())
}

// shrink makes a scenario small enough for a test.
func shrink(s *scenario) {
	for _, n := range []*int{&s.filters, &s.messages, &s.retained, &s.reconnects, &s.connects, &s.away} {
		*n = min(*n, 2*filtersPerPacket+10)
	}
	s.cycleMs, s.seconds = min(s.cycleMs, 20), 0
	if s.slow > 0 {
		s.subs = 20
	}
}

// runLoad runs scenarios against nothing but the relay, if no other is named, unbound and briefly, and returns the JSON file.
func runLoad(t *testing.T, names string, more ...string) report {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	path := filepath.Join(t.TempDir(), "report.json")
	args := append([]string{"-brokers", "floor", "-scenarios", names, "-reps", "1", "-seconds", "0.05", "-warmup", "10ms", "-cpus", "-1,-1", "-json", path, "-dir", t.TempDir()}, more...)
	set, err := parseSettings(args, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for i := range set.picked {
		shrink(&set.picked[i])
	}
	var out strings.Builder
	if err := measureAll(set, &out, io.Discard); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var rep report
	if err := json.Unmarshal(text, &rep); err != nil {
		t.Fatal(err)
	}
	return rep
}

func TestEveryTrafficScenarioRunsAgainstTheRelay(t *testing.T) {
	var names []string
	for _, s := range scenarios() {
		if s.idle == 0 {
			names = append(names, s.name)
		}
	}
	rep := runLoad(t, strings.Join(names, ","))
	if len(rep.Runs) != len(names) || len(rep.Summaries) != len(names) {
		t.Fatalf("%d runs and %d summaries of %d scenarios", len(rep.Runs), len(rep.Summaries), len(names))
	}
	for i := range rep.Runs {
		if r := &rep.Runs[i]; r.Skipped == "" {
			checkRun(t, r)
		}
	}
}

func buildBroker(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "noctule")
	if out, err := exec.Command("go", "build", "-o", path, "../cmd/noctule").CombinedOutput(); err != nil {
		t.Fatalf("build the broker: %v\n%s", err, out)
	}
	return path
}

func checkRun(t *testing.T, r *result) {
	t.Helper()
	if r.Durable != "" && (r.AckP50Ms <= 0 || r.AckMaxMs < r.AckP999Ms || r.FileSystem == "") {
		t.Errorf("%s: acknowledged after %v to %v ms, on %q", r.Scenario, r.AckP50Ms, r.AckMaxMs, r.FileSystem)
	}
	if r.Delivered == 0 || r.CPUMicros <= 0 || r.P50Ms <= 0 && r.Durable == "" || r.MaxMs < r.P999Ms || r.ResidentBytes == 0 {
		t.Errorf("%s: %d delivered at %v µs, latency %v to %v ms, %d bytes resident",
			r.Scenario, r.Delivered, r.CPUMicros, r.P50Ms, r.MaxMs, r.ResidentBytes)
	}
	if r.Lost+r.Duplicates+r.OrderBreaks+r.Corrupt != 0 {
		t.Errorf("%s: %d lost, %d doubled, %d out of order, %d corrupt", r.Scenario, r.Lost, r.Duplicates, r.OrderBreaks, r.Corrupt)
	}
}

// TestScenariosThatNeedMoreThanTheRelayRunAgainstTheBroker runs what the relay skips, and what ends otherwise than by time.
func TestScenariosThatNeedMoreThanTheRelayRunAgainstTheBroker(t *testing.T) {
	path := buildBroker(t)
	names := "sharesub-10x10-full,wildcard-1k,conn-rate,reconnect-storm,ha-restart,slow-reader,pulse-qos2-throughput,pulse-retained-fanout," +
		"durable-balanced,durable-strict,durable-offline-balanced,durable-offline-strict,durable-rate,durable-churn," +
		"tls-pairs-100-full,tls-pairs-100-30k,ws-pairs-100-full,ws-pairs-100-30k"
	rep := runLoad(t, names, "-brokers", "none", "-peer", "noctule="+path+" -q -c {conf}")
	if want := strings.Count(names, ",") + 1; len(rep.Runs) != want {
		t.Fatalf("%d runs of %d", len(rep.Runs), want)
	}
	for i := range rep.Runs {
		r := &rep.Runs[i]
		checkRun(t, r)
		s, err := findScenario(r.Scenario)
		if err != nil {
			t.Fatal(err)
		}
		shrink(&s)
		if s.retained > 0 && r.RetainedMs <= 0 {
			t.Errorf("%s: no time of the stored messages", r.Scenario)
		}
		if s.away > 0 && (r.Drained < r.Delivered || r.DrainRate <= 0 || r.DrainMicros <= 0) {
			t.Errorf("%s: %d messages stored and %d drained, %v a second at %v µs", r.Scenario, r.Delivered, r.Drained, r.DrainRate, r.DrainMicros)
		}
		if want := uint64(s.messages*s.copies() + s.reconnects); want > 0 && r.Delivered != want {
			t.Errorf("%s: %d delivered, want %d", r.Scenario, r.Delivered, want)
		}
	}
}

func TestBrokerThatEndsAtOnceIsNamed(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r := measure(scenarios()[0], brokerSpec{name: "none", command: "/bin/false {port}"}, 1, measureOptions{cpus: [2]int{-1, -1}})
	if !strings.Contains(r.Error, "start none: it ended at once (exit status 1)") {
		t.Fatalf("error %q", r.Error)
	}
}
