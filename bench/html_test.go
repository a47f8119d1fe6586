package bench

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"html"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// hostile is a name that would break out of an attribute, an element and a style, and that XML cannot hold as it is.
const hostile = "x\"'></title></svg><script>alert(1)</script>&amp;\x00{{.Date}}"

// sampleReport has two repetitions of every built-in scenario and of an unknown one.
func sampleReport(brokers ...string) report {
	r := report{Time: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC), Kernel: "6.18.5", Processor: "Example <CPU>", Go: "go1.26"}
	r.Command = []string{"noctule", "bench", "compare", "-peer", "other=x -p {port}"}
	r.Brokers = map[string]string{}
	all := append(scenarios(), scenario{name: "of-my-own"})
	for _, s := range all {
		for rep := 1; rep <= 2; rep++ {
			for i, name := range brokers {
				r.Brokers[name] = "run " + name
				r.Runs = append(r.Runs, sampleRun(s, name, rep, float64(i+1)))
			}
		}
	}
	for _, s := range all {
		for _, name := range brokers {
			r.Summaries = append(r.Summaries, summarize(s.name, brokers[0], name, r.Runs))
		}
	}
	return r
}

func sampleRun(s scenario, name string, rep int, weight float64) result {
	run := result{Scenario: s.name, Broker: name, Rep: rep, NoDelay: s.nodelay}
	if s.idle > 0 {
		run.Connections, run.BytesPerConn, run.ResidentAfter = s.idle, 900*weight+float64(rep), 12<<20
		return run
	}
	run.CPUMicros, run.Rate, run.P50Ms, run.P99Ms, run.P999Ms = weight*0.7*float64(rep), 1e6/weight, 0.25, 0.5, 0.875
	return run
}

// written returns the page of a report.
func written(t *testing.T, r report) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "report.html")
	if err := r.writeHTML(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// svgParts returns the pictures in a page, each checked to be well-formed and to have sound coordinates.
func svgParts(t *testing.T, page string) []string {
	t.Helper()
	parts := regexp.MustCompile(`(?s)<svg .*?</svg>`).FindAllString(page, -1)
	for _, part := range parts {
		checkSVG(t, part)
	}
	return parts
}

func checkSVG(t *testing.T, picture string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(picture))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, picture)
		}
		element, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if name := element.Name.Local; !strings.Contains(" svg title style rect line circle text ", " "+name+" ") {
			t.Errorf("element %s in a picture", name)
		}
		for _, attribute := range element.Attr {
			if strings.Contains(attribute.Value, "NaN") || strings.Contains(attribute.Value, "Inf") {
				t.Errorf("%s of %s is %s", attribute.Name.Local, element.Name.Local, attribute.Value)
			}
		}
	}
}

func TestHTMLShowsEveryBrokerAndScenario(t *testing.T) {
	r := sampleReport("noctule", "mosquitto", "floor")
	page := written(t, r)
	parts := svgParts(t, page)
	names := r.scenarioNames()
	if len(parts) != 1+len(names) {
		t.Fatalf("%d pictures for %d scenarios", len(parts), len(names))
	}
	sections := strings.Split(page, "<section>")[1:]
	if len(sections) != len(names) {
		t.Fatalf("%d sections for %d scenarios", len(sections), len(names))
	}
	for i, name := range names {
		if !strings.Contains(sections[i], "<h2>"+name+"</h2>") || !strings.Contains(parts[0], ">"+name+"<") {
			t.Errorf("%s is missing in its section or in the ratios", name)
		}
		for _, broker := range []string{"noctule", "mosquitto", "floor"} {
			if !strings.Contains(sections[i], `<th scope="row">`+broker+"</th>") || !strings.Contains(parts[1+i], ">"+broker+"<") {
				t.Errorf("%s: %s is missing in the table or in the plot", name, broker)
			}
		}
		if dots := strings.Count(parts[1+i], "<circle"); dots != 6 {
			t.Errorf("%s: %d dots for 3 brokers with 2 repetitions", name, dots)
		}
	}
	if dots := strings.Count(parts[0], "<circle"); dots != 2*len(names) {
		t.Errorf("%d ratios of %d", dots, 2*len(names))
	}
	text := html.UnescapeString(page)
	for _, want := range []string{"21 November 2026, 10:00 UTC", "6.18.5", "Example <CPU>", "go1.26", "run mosquitto",
		"noctule bench compare -peer 'other=x -p {port}'"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing", want)
		}
	}
}

func TestHTMLTablesHaveTheFigures(t *testing.T) {
	r := sampleReport("noctule", "mosquitto")
	for i := range r.Runs {
		if run := &r.Runs[i]; run.Scenario == "pairs-100-full" {
			run.NoDelay = true // as the command line may say
		}
	}
	page := written(t, r)
	sectionOf := func(name string) string {
		_, text, _ := strings.Cut(page, "<h2>"+name+"</h2>")
		text, _, _ = strings.Cut(text, "</section>")
		return text
	}
	f := func(name string, wants ...string) {
		t.Helper()
		for _, want := range wants {
			if !strings.Contains(sectionOf(name), want) {
				t.Errorf("%s: %q is missing in\n%s", name, want, sectionOf(name))
			}
		}
	}
	f("pair-1-full", "One publisher to one subscriber", "TCP_NODELAY off", "<th scope=\"col\">noctule/this (min–max)</th>",
		"<td>1000000</td>", "<td>0.875</td>")
	f("pair-1-full", "<tr><th scope=\"row\">noctule</th><td>1.050 (0.700–1.400)</td><td>–</td>", "<td>0.500 (0.500–0.500)</td>")
	f("pairs-100-100k", "TCP_NODELAY on")
	f("pairs-100-full", "TCP_NODELAY on")
	f("idle-rss", "resident bytes/connection", "<td>902 (901–902)</td>", "<td>15000</td>", "<td>12.0</td>")
	f("of-my-own", "not one of the built-in ones", "<td>1.050 (0.700–1.400)</td>")
}

func TestHTMLEscapesWhatComesFromOutside(t *testing.T) {
	r := sampleReport("noctule", hostile)
	r.Kernel, r.Processor, r.Go = hostile, hostile, hostile
	r.Command = append(r.Command, hostile)
	for i := range r.Runs {
		if run := &r.Runs[i]; run.Broker == hostile && run.Rep == 2 {
			run.Error = hostile
		}
		if run := &r.Runs[i]; run.Scenario == "of-my-own" {
			run.Scenario = hostile
		}
	}
	page := written(t, r)
	if strings.Contains(strings.ToLower(page), "<script") || strings.ContainsRune(page, 0) {
		t.Error("a name became markup")
	}
	shown := strings.ReplaceAll(hostile, "\x00", "\uFFFD")
	if n := strings.Count(html.UnescapeString(page), shown); n < 8 {
		t.Errorf("the name is in the page %d times", n)
	}
	if n := strings.Count(page, "</svg>"); n != len(svgParts(t, page)) {
		t.Errorf("%d ends of pictures", n)
	}
	r = sampleReport(hostile, "other")
	checkSVG(t, r.svgRatios())
}

func TestHTMLShowsFailedRuns(t *testing.T) {
	r := sampleReport("noctule", "mosquitto", "floor")
	for i := range r.Runs {
		run := &r.Runs[i]
		if run.Scenario == "pair-1-full" && (run.Broker == "floor" || run.Rep == 2) {
			run.Error, run.Lost = fmt.Sprintf("%s fell over in %d", run.Broker, run.Rep), 7
		}
	}
	r.Brokers["absent"] = "run absent"
	page := written(t, r)
	svgParts(t, page)
	if n := strings.Count(page, ">not run</text>"); n != len(r.scenarioNames()) {
		t.Errorf("a broker without runs is named %d times", n)
	}
	for _, want := range []string{"<li>noctule, repetition 2:<pre>noctule fell over in 2</pre>", "<pre>floor fell over in 1</pre>",
		`<td class="bad">14</td>`, `<td class="bad">2, 1 failed</td>`, `<td class="bad">2, 2 failed</td>`, "no run without a failure"} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if strings.Count(page, "Failed runs") != 1 {
		t.Error("a scenario without failures has a list of them")
	}
}

func TestHTMLShowsSkippedRunsAndUnits(t *testing.T) {
	r := sampleReport("noctule", "mosquitto")
	for i := range r.Runs {
		if run := &r.Runs[i]; run.Scenario == "pair-1-full" && run.Broker == "mosquitto" {
			*run = result{Scenario: run.Scenario, Broker: run.Broker, Rep: run.Rep, Skipped: "it has no <pairs>"}
		}
	}
	page := written(t, r)
	svgParts(t, page)
	for _, want := range []string{"mosquitto did not run it: it has no &lt;pairs&gt;", "CPU µs/connection (min–max)", "retained ms"} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if n := strings.Count(page, "did not run it"); n != 1 {
		t.Errorf("%d notes for one broker", n)
	}
}

func TestHTMLOfLittleDoesNotPanic(t *testing.T) {
	for name, r := range map[string]report{
		"nothing":        {},
		"brokers only":   {Brokers: map[string]string{"a": "x", "b": "y"}},
		"one broker":     sampleReport("a"),
		"summaries only": {Summaries: []summary{{Scenario: "idle-rss", Broker: "a"}, {Scenario: "idle-rss", Broker: "b"}}},
		"zero cost":      {Runs: []result{{Scenario: "s", Broker: "a"}, {Scenario: "s", Broker: "b"}, {}}},
		"extremes": {Runs: []result{{Scenario: "s", Broker: "a", CPUMicros: 1e300}, {Scenario: "s", Broker: "b", CPUMicros: 1e-300},
			{Scenario: "t", Broker: "a", CPUMicros: 1e-300}, {Scenario: "t", Broker: "b", CPUMicros: math.MaxFloat64}}},
	} {
		t.Run(name, func(t *testing.T) {
			if parts := svgParts(t, written(t, r)); len(parts) == 0 {
				t.Error("no picture of the ratios")
			}
		})
	}
}

func TestHTMLNeedsNothingElse(t *testing.T) {
	page := strings.ReplaceAll(written(t, sampleReport("noctule", "mosquitto")), "http://www.w3.org/2000/svg", "")
	for _, outside := range []string{"http:", "https:", "url(", "@import", "src=", "href=", "<script", "<link"} {
		if strings.Contains(page, outside) {
			t.Errorf("the page has %q", outside)
		}
	}
	if !strings.Contains(page, "prefers-color-scheme: dark") || !strings.Contains(page, "width=device-width") {
		t.Error("the page is for one colour scheme or one width")
	}
}

func TestHTMLRatiosAreAFileOfTheirOwn(t *testing.T) {
	r := sampleReport("noctule", "mosquitto")
	path := filepath.Join(t.TempDir(), "ratios.svg")
	if err := r.writeSVG(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	checkSVG(t, string(text))
	if !bytes.HasPrefix(text, []byte(`<svg xmlns="http://www.w3.org/2000/svg"`)) || !bytes.Contains(text, []byte(`class="one"`)) {
		t.Errorf("the picture is\n%s", text)
	}
	if err := r.writeSVG(t.TempDir()); err == nil || !strings.Contains(err.Error(), "picture of the ratios") {
		t.Errorf("a directory as the file: %v", err)
	}
	if err := r.writeHTML(t.TempDir()); err == nil || !strings.Contains(err.Error(), "report page") {
		t.Errorf("a directory as the file: %v", err)
	}
}

func TestHTMLAxesEncloseTheirValues(t *testing.T) {
	f := func(low, high, wantLow, wantHigh float64) {
		t.Helper()
		if ticks := ratioTicks(low, high); ticks[0] != wantLow || ticks[len(ticks)-1] != wantHigh {
			t.Errorf("ticks of %g to %g: %v", low, high, ticks)
		}
	}
	f(1, 1, 0.5, 2)
	f(0.031, 1, 0.02, 2)
	f(0.02, 2.1, 0.02, 5)
	f(0, math.Inf(1), 0.001, 1000)
	for _, top := range []float64{1e-8, 0.07, 0.9, 1, 1.01, 4.9, 5, 51, 99_999, 3e14} {
		if step := niceStep(top); step*5 < top*(1-1e-9) || step > top {
			t.Errorf("step of %g: %g", top, step)
		}
	}
}
