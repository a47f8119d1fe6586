package bench

import (
	"encoding/json"
	"io"
	"os"
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

// runLoad compares nothing but the relay with itself, unbound and briefly, and returns the JSON file.
func runLoad(t *testing.T, names string, more ...string) report {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	path := filepath.Join(t.TempDir(), "report.json")
	args := append([]string{"-brokers", "floor", "-scenarios", names, "-reps", "1", "-seconds", "0.05", "-warmup", "10ms", "-cpus", "-1,-1", "-json", path}, more...)
	set, err := parseSettings(args, io.Discard)
	if err != nil {
		t.Fatal(err)
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
	for _, r := range rep.Runs {
		if r.Delivered == 0 || r.CPUMicros <= 0 || r.P50Ms <= 0 {
			t.Errorf("%s: %d delivered at %v µs, median latency %v ms", r.Scenario, r.Delivered, r.CPUMicros, r.P50Ms)
		}
		if r.Lost+r.Duplicates+r.OrderBreaks+r.Corrupt != 0 {
			t.Errorf("%s: %d lost, %d doubled, %d out of order, %d corrupt", r.Scenario, r.Lost, r.Duplicates, r.OrderBreaks, r.Corrupt)
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
