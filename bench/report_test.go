package bench

import (
	"strings"
	"testing"
)

func TestRatioIsTakenWithinEachRepetition(t *testing.T) {
	results := []result{
		{Scenario: "s", Broker: "a", Rep: 1, CPUMicros: 1, Rate: 20}, {Scenario: "s", Broker: "b", Rep: 1, CPUMicros: 10, Rate: 4},
		{Scenario: "s", Broker: "a", Rep: 2, CPUMicros: 4, Rate: 10}, {Scenario: "s", Broker: "b", Rep: 2, CPUMicros: 20, Rate: 5},
		{Scenario: "s", Broker: "a", Rep: 3, CPUMicros: 3}, {Scenario: "s", Broker: "b", Rep: 3, Error: "lost its way"},
	}
	sum := summarize("s", "a", "b", results)
	if sum.Runs != 3 || sum.Failed != 1 {
		t.Fatalf("%d runs, %d failed", sum.Runs, sum.Failed)
	}
	if q := sum.RateRatio; q.Min != 2 || q.Max != 5 {
		t.Fatalf("ratio of the rates %+v", q)
	}
	if sum.Cost != (spread{Median: 15, Min: 10, Max: 20}) {
		t.Fatalf("cost %+v", sum.Cost)
	}
	if r := sum.Ratio; r.Min != 0.1 || r.Max != 0.2 || r.Median < 0.149 || r.Median > 0.151 {
		t.Fatalf("ratio %+v", r)
	}
}

func TestFailedRunIsInTheTable(t *testing.T) {
	var out strings.Builder
	s := scenarios()[0]
	printScenario(&out, s, []brokerSpec{{name: "a"}}, []result{{Scenario: s.name, Broker: "a", Rep: 1, Error: "it fell over", Lost: 7}})
	if text := out.String(); !strings.Contains(text, "FAILED a, repetition 1: it fell over") {
		t.Fatalf("table:\n%s", text)
	}
}

func TestSkippedBrokerIsInTheTableWithoutFigures(t *testing.T) {
	var out strings.Builder
	s, err := findScenario("wildcard-1k")
	if err != nil {
		t.Fatal(err)
	}
	floor := brokerSpec{name: "floor"}
	results := []result{{Scenario: s.name, Broker: "a", Rep: 1, CPUMicros: 3}, measure(s, floor, 1, measureOptions{})}
	specs := []brokerSpec{{name: "a"}, floor}
	printScenario(&out, s, specs, results)
	if text := out.String(); !strings.Contains(text, "floor   skipped\n") || !strings.Contains(text, "SKIPPED floor: the floor knows exact topics only") {
		t.Fatalf("table:\n%s", text)
	}
	if sum := summarize(s.name, "a", "floor", results); sum.Runs != 0 || sum.Failed != 0 || sum.Cost != (spread{}) {
		t.Fatalf("summary %+v", sum)
	}
}

func TestPeersAreChecked(t *testing.T) {
	f := func(text string, ok bool) {
		t.Helper()
		if _, err := parsePeer(text); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
	f("a=x -p {port}", true)
	f("a=x -c {conf}", true)
	f("a=x,1883", true)
	f("a=x", false)
	f("a=x,port", false)
	f("a=x,70000", false)
	f("=x {port}", false)
	f("x {port}", false)
	a, b := brokerSpec{name: "a", command: "x {port}"}, brokerSpec{name: "b", command: "y {port}"}
	if specs, err := pickBrokers("none", []brokerSpec{a, b}); err != nil || len(specs) != 2 {
		t.Errorf("two peers: %v, %v", specs, err)
	}
	for _, list := range []string{"none", "nosuch", "floor,floor"} {
		if specs, err := pickBrokers(list, nil); err == nil {
			t.Errorf("%q: %v", list, specs)
		}
	}
	if _, err := pickBrokers("floor", []brokerSpec{{name: "floor", command: "x {port}"}}); err == nil {
		t.Error("a name is given twice")
	}
}

func TestScenarioFilesAreChecked(t *testing.T) {
	for text, want := range map[string]string{
		"# x\npublishers 1\nsubscribers 1\nrate 5":           "",
		"publishers 1\nsubscribers 1":                        "either outstanding or rate",
		"publishers 1\nsubscribers 1\nrate 5\noutstanding 5": "either outstanding or rate",
		"publishers 1\nsubscribers 2\ntopics pairs\nrate 5":  "pairs of 1 publishers and 2",
		"publishers 0\nsubscribers 2\nrate 5":                "n:1: publishers: ",
		"\nsubscriber 2":                                     "n:2: unknown key \"subscriber\"",
		"publishers 1\nsubscribers 1\nrate 5\nqos 3":         "n:4: qos: ",
		"publishers 1\nsubscribers 1\nrate 5\ntopics any":    "n:4: topics: ",
		"publishers 1\nsubscribers 1\nrate 5\nnodelay maybe": "n:4: nodelay: ",
		"idle 10":         "",
		"connects 10":     "",
		"connects many":   "n:1: connects: ",
		"reconnects 0":    "n:1: reconnects: ",
		"share":           "n:1: share: ",
		"share a/b":       "n:1: share: ",
		"filters -1":      "n:1: filters: ",
		"slow 0":          "n:1: slow: ",
		"messages none":   "n:1: messages: ",
		"retained 0":      "n:1: retained: ",
		"subscribe":       "n:1: subscribe: a filter is wanted",
		"subscribe a/b/#": "retained, subscribe and subscribers",
		"publishers 2\nsubscribers 2\nrate 5\nshare a\nmessages 9":                  "",
		"publishers 2\nsubscribers 2\nrate 5\nshare a\ntopics pairs":                "not for pairs",
		"publishers 2\nsubscribers 2\nrate 5\nslow 1\ntopics pairs":                 "not for pairs",
		"publishers 2\nsubscribers 2\nrate 5\nslow 2":                               "2 slow subscribers leave no other of 2",
		"publishers 2\nsubscribers 3\nrate 5\nslow 2\nshare a":                      "or share a subscription",
		"subscribers 1\nretained 5":                                                 "retained, subscribe and subscribers",
		"subscribers 1\nretained 5\nsubscribe #":                                    "wants messages",
		"subscribers 1\nretained 5\nsubscribe #\nmessages 5":                        "",
		"subscribers 1\nretained 5\nsubscribe #\nmessages 5\nshare a":               "retained is not for",
		"publishers 1\nsubscribers 1\nretained 5\nsubscribe #\nsubscribe a\nrate 5": "",
		"publishers 1\nsubscribers 1\nretained 5\nsubscribe #":                      "want a rate",
		"durable often": "n:1: durable: ",
		"away 0":        "n:1: away: ",
		"cycle 0":       "n:1: cycle: ",
		"retain 5000":   "n:1: retain: ",
		"seconds none":  "n:1: seconds: ",
		"publishers 2\nsubscribers 2\ntopics pairs\nqos 1\nrate 5\naway 5":                              "are for durable",
		"publishers 2\nsubscribers 2\ntopics pairs\nrate 5\ndurable strict":                             "and qos 1",
		"publishers 2\nsubscribers 2\nqos 1\nrate 5\ndurable strict":                                    "wants pairs",
		"publishers 2\nsubscribers 2\ntopics pairs\nqos 1\ndurable strict":                              "either outstanding or rate",
		"publishers 2\nsubscribers 2\ntopics pairs\nqos 1\ndurable strict\noutstanding 5000":            "at most 1024",
		"publishers 2\nsubscribers 2\ntopics pairs\nqos 1\ndurable strict\nrate 5\naway 5":              "away wants outstanding",
		"publishers 2\nsubscribers 2\ntopics pairs\nqos 1\ndurable strict\noutstanding 5\ncycle 5":      "cycle wants a rate",
		"publishers 2\nsubscribers 2\ntopics pairs\nqos 1\ndurable strict\nrate 5\nmessages 9":          "durable is not for",
		"publishers 2\nsubscribers 2\ntopics pairs\nqos 1\ndurable fast\nrate 5\ncycle 5\nretain 5":     "",
		"publishers 2\nsubscribers 2\ntopics pairs\nqos 1\ndurable balanced\noutstanding 5\naway 60000": "",
	} {
		_, err := parseScenario("n", strings.ReplaceAll(text, "\n", "\n"))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := findScenario("nosuch"); err == nil || !strings.Contains(err.Error(), "bench list") {
		t.Errorf("an unknown name: %v", err)
	}
}

func TestRssIsReadFromTheRollup(t *testing.T) {
	n, err := parseRss([]byte("55d0-7ffd ---p 00000000 00:00 0 [rollup]\nRss:  1234 kB\nPss: 9 kB\n"))
	if err != nil || n != 1234<<10 {
		t.Fatalf("%d, %v", n, err)
	}
	if _, err := parseRss([]byte("Pss: 9 kB\n")); err == nil {
		t.Fatal("a file without Rss passed")
	}
}

func TestScenariosAreNamedByTheirBeginning(t *testing.T) {
	picked, err := pickScenarios("durable-offline*,pair-1-full")
	if err != nil || len(picked) != 3 || picked[0].away == 0 || picked[2].name != "pair-1-full" {
		t.Errorf("picked %v, %v", picked, err)
	}
	if _, err := pickScenarios("nosuch*"); err == nil || !strings.Contains(err.Error(), "bench list") {
		t.Errorf("a beginning that nothing has: %v", err)
	}
}
