package main

import (
	"strings"
	"testing"
)

func TestRatioIsTakenWithinEachRepetition(t *testing.T) {
	results := []result{
		{Scenario: "s", Broker: "a", Rep: 1, CPUMicros: 1}, {Scenario: "s", Broker: "b", Rep: 1, CPUMicros: 10},
		{Scenario: "s", Broker: "a", Rep: 2, CPUMicros: 4}, {Scenario: "s", Broker: "b", Rep: 2, CPUMicros: 20},
		{Scenario: "s", Broker: "a", Rep: 3, CPUMicros: 3}, {Scenario: "s", Broker: "b", Rep: 3, Error: "lost its way"},
	}
	sum := summarize("s", "a", "b", results)
	if sum.Runs != 3 || sum.Failed != 1 {
		t.Fatalf("%d runs, %d failed", sum.Runs, sum.Failed)
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

func TestBrokerListIsChecked(t *testing.T) {
	f := func(list string, ok bool) {
		t.Helper()
		if _, err := parseBrokers(list); (err == nil) != ok {
			t.Errorf("%q: %v", list, err)
		}
	}
	f("a=x -p {port},b=y -c {conf}", true)
	f("a=x", false)
	f("=x {port}", false)
	f("x {port}", false)
	f("a=x {port},a=y {port}", false)
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
