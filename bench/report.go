package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"
)

// spread is a median with the least and the greatest value it stands for.
type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	return spread{Median: (v[(n-1)/2] + v[n/2]) / 2, Min: v[0], Max: v[n-1]}
}

// summary is what all repetitions of one scenario say about one broker.
type summary struct {
	Scenario string `json:"scenario"`
	Broker   string `json:"broker"`
	Runs     int    `json:"runs"`
	Failed   int    `json:"failed"`
	Cost     spread `json:"cost"` // CPU µs per message, or resident bytes per connection
	// Ratio is the first broker's cost over this one's, taken within each repetition: the two runs stand next to each other in time.
	Ratio spread `json:"first_to_this"`
	// RateRatio is the same of messages or connections per second, where as many are made as the broker takes.
	RateRatio spread `json:"rate_first_to_this"`
}

// cost is the figure that brokers are compared by.
func (r *result) cost() float64 {
	if r.Connections > 0 {
		return r.BytesPerConn
	}
	return r.CPUMicros
}

func summarize(scenarioName, first, broker string, results []result) summary {
	s := summary{Scenario: scenarioName, Broker: broker}
	firstCost, firstRate := map[int]float64{}, map[int]float64{}
	var costs, ratios, rateRatios []float64
	for i := range results {
		r := &results[i]
		if r.Scenario == scenarioName && r.Broker == first && r.Error == "" && r.Skipped == "" {
			firstCost[r.Rep], firstRate[r.Rep] = r.cost(), r.Rate
		}
	}
	for i := range results {
		r := &results[i]
		if r.Scenario != scenarioName || r.Broker != broker {
			continue
		}
		if r.Skipped != "" {
			continue
		}
		s.Runs++
		if r.Error != "" {
			s.Failed++
			continue
		}
		costs = append(costs, r.cost())
		if base, ok := firstCost[r.Rep]; ok && r.cost() > 0 {
			ratios = append(ratios, base/r.cost())
		}
		if base, ok := firstRate[r.Rep]; ok && r.Rate > 0 {
			rateRatios = append(rateRatios, base/r.Rate)
		}
	}
	s.Cost, s.Ratio, s.RateRatio = spreadOf(costs), spreadOf(ratios), spreadOf(rateRatios)
	return s
}

// total adds one count up over the runs of a broker, the failed ones included.
func total(results []result, scenarioName, broker string, count func(*result) uint64) (sum uint64) {
	for i := range results {
		if r := &results[i]; r.Scenario == scenarioName && r.Broker == broker {
			sum += count(r)
		}
	}
	return sum
}

// median takes one figure's median over the runs of a broker that did not fail.
func median(results []result, scenarioName, broker string, figure func(*result) float64) float64 {
	var values []float64
	for i := range results {
		if r := &results[i]; r.Scenario == scenarioName && r.Broker == broker && r.Error == "" && r.Skipped == "" {
			values = append(values, figure(r))
		}
	}
	return spreadOf(values).Median
}

// printScenario writes the table of one scenario.
func printScenario(w io.Writer, s scenario, specs []brokerSpec, results []result) {
	fmt.Fprintf(w, "\n%s: %s\n", s.name, s.describe())
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if s.idle > 0 {
		printIdle(t, s, specs, results)
	} else {
		printTraffic(t, s, specs, results)
	}
	_ = t.Flush()
	if s.durable != "" {
		printDurable(w, s, specs, results)
	}
	if s.transport != "" && s.outstanding > 0 {
		printRates(w, s, specs, results)
	}
	for i := range results {
		if r := &results[i]; r.Scenario == s.name && r.Error != "" {
			fmt.Fprintf(w, "FAILED %s, repetition %d: %s\n", r.Broker, r.Rep, r.Error)
		}
		if r := &results[i]; r.Scenario == s.name && r.Skipped != "" && r.Rep == 1 {
			fmt.Fprintf(w, "SKIPPED %s: %s\n", r.Broker, r.Skipped)
		}
	}
}

func ratioText(sum summary, first string) string {
	if sum.Broker == first {
		return "-"
	}
	return sum.Ratio.text("%.3f")
}

// latencyText shows milliseconds; "-" where no latency was taken.
func latencyText(ms float64) string {
	if ms == 0 {
		return "-"
	}
	return fmt.Sprintf("%.3f", ms)
}

// text shows a ratio; "-" if there is none.
func (s spread) text(format string) string {
	if s.Median == 0 {
		return "-"
	}
	return fmt.Sprintf(format+" ("+format+"–"+format+")", s.Median, s.Min, s.Max)
}

func printTraffic(w io.Writer, s scenario, specs []brokerSpec, results []result) {
	first, unit := specs[0].name, "msg"
	if s.churns() {
		unit = "connect"
	}
	fmt.Fprintf(w, "broker\tCPU µs/%s (min–max)\t%s/this\t%s/s\tlost\tdup\torder\tcorrupt\tlate\theld\t", unit, first, unit)
	fmt.Fprint(w, "p50 ms\tp99\tp99.9\tmax\tRSS MiB\tCPU %\tload %\tothers %")
	if s.retained > 0 {
		fmt.Fprint(w, "\tretained ms")
	}
	fmt.Fprintln(w)
	for _, spec := range specs {
		sum := summarize(s.name, first, spec.name, results)
		count := func(f func(*result) uint64) uint64 { return total(results, s.name, spec.name, f) }
		mid := func(f func(*result) float64) float64 { return median(results, s.name, spec.name, f) }
		if sum.Runs == 0 {
			fmt.Fprintf(w, "%s\tskipped\n", spec.name)
			continue
		}
		fmt.Fprintf(w, "%s\t%.3f (%.3f–%.3f)\t%s\t%.0f\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t%s\t%s\t%.1f\t%.0f\t%.0f\t%.0f+%.0f",
			spec.name, sum.Cost.Median, sum.Cost.Min, sum.Cost.Max, ratioText(sum, first),
			mid(func(r *result) float64 { return r.Rate }),
			count(func(r *result) uint64 { return r.Lost }),
			count(func(r *result) uint64 { return r.Duplicates }),
			count(func(r *result) uint64 { return r.OrderBreaks }),
			count(func(r *result) uint64 { return r.Corrupt }),
			count(func(r *result) uint64 { return r.Late }),
			count(func(r *result) uint64 { return r.HeldBack }),
			latencyText(mid(func(r *result) float64 { return r.P50Ms })),
			latencyText(mid(func(r *result) float64 { return r.P99Ms })),
			latencyText(mid(func(r *result) float64 { return r.P999Ms })),
			latencyText(mid(func(r *result) float64 { return r.MaxMs })),
			mid(func(r *result) float64 { return float64(r.ResidentBytes) / (1 << 20) }),
			100*mid(func(r *result) float64 { return r.BrokerCPU }),
			100*mid(func(r *result) float64 { return r.GeneratorCPU }),
			100*mid(func(r *result) float64 { return r.BrokerOthers }),
			100*mid(func(r *result) float64 { return r.GeneratorOthers }))
		if s.retained > 0 {
			fmt.Fprintf(w, "\t%.1f", mid(func(r *result) float64 { return r.RetainedMs }))
		}
		fmt.Fprintln(w)
	}
}

// generatorFull is the share of its CPU from which the load program counts as what bounded a run.
const generatorFull = 0.95

// printRates writes what the brokers deliver at full speed beside the first one, and whose rate is bounded by the load
// program, so that it says too little of the broker.
func printRates(w io.Writer, s scenario, specs []brokerSpec, results []result) {
	first := specs[0].name
	for _, spec := range specs {
		if sum := summarize(s.name, first, spec.name, results); spec.name != first && sum.RateRatio.Median > 0 {
			fmt.Fprintf(w, "msg/s, %s/%s: %s\n", first, spec.name, sum.RateRatio.text("%.2f"))
		}
		mid := func(f func(*result) float64) float64 { return median(results, s.name, spec.name, f) }
		load, own := mid(func(r *result) float64 { return r.GeneratorCPU }), mid(func(r *result) float64 { return r.BrokerCPU })
		if load >= generatorFull && own < load {
			fmt.Fprintf(w, "%s waits for the load program, which has %.0f %% of its CPU: it can do more than this.\n", spec.name, 100*load)
		}
	}
}

// printDurable writes a second table, of what storing means for the publishers and the disk.
func printDurable(w io.Writer, s scenario, specs []brokerSpec, results []result) {
	first := specs[0].name
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "broker\tmsg/s, %s/this\tack p50 ms\tp99\tp99.9\tmax\tbytes written/msg\tMiB on disk", first)
	if s.away > 0 {
		fmt.Fprint(t, "\tdrained msg/s\tCPU µs/drained\tRSS MiB")
	}
	fmt.Fprintln(t)
	files := ""
	for _, spec := range specs {
		sum := summarize(s.name, first, spec.name, results)
		mid := func(f func(*result) float64) float64 { return median(results, s.name, spec.name, f) }
		if sum.Runs == 0 {
			continue
		}
		if spec.name == first {
			sum.RateRatio = spread{}
		}
		fmt.Fprintf(t, "%s\t%s\t%.3f\t%.3f\t%.3f\t%.3f\t%.0f\t%.1f", spec.name, sum.RateRatio.text("%.2f"),
			mid(func(r *result) float64 { return r.AckP50Ms }),
			mid(func(r *result) float64 { return r.AckP99Ms }),
			mid(func(r *result) float64 { return r.AckP999Ms }),
			mid(func(r *result) float64 { return r.AckMaxMs }),
			mid(writtenPerMessage),
			mid(func(r *result) float64 { return float64(r.DiskBytes) / (1 << 20) }))
		if s.away > 0 {
			fmt.Fprintf(t, "\t%.0f\t%.3f\t%.1f",
				mid(func(r *result) float64 { return r.DrainRate }),
				mid(func(r *result) float64 { return r.DrainMicros }),
				mid(func(r *result) float64 { return float64(r.DrainResident) / (1 << 20) }))
		}
		fmt.Fprintln(t)
	}
	_ = t.Flush()
	for i := range results {
		if r := &results[i]; r.Scenario == s.name && r.FileSystem != "" {
			files = r.FileSystem
		}
	}
	fmt.Fprintf(w, "Stored on %s.\n", files)
}

// writtenPerMessage is what a message cost the disk.
func writtenPerMessage(r *result) float64 {
	return float64(r.WrittenBytes) / float64(max(r.Delivered, 1))
}

func printIdle(w io.Writer, s scenario, specs []brokerSpec, results []result) {
	first := specs[0].name
	fmt.Fprintf(w, "broker\tbytes/connection (min–max)\t%s/this\tMiB before\tMiB after\tCPU µs/connect\tidle CPU ‰\n", first)
	for _, spec := range specs {
		sum := summarize(s.name, first, spec.name, results)
		mid := func(f func(*result) float64) float64 { return median(results, s.name, spec.name, f) }
		fmt.Fprintf(w, "%s\t%.0f (%.0f–%.0f)\t%s\t%.1f\t%.1f\t%.1f\t%.2f\n",
			spec.name, sum.Cost.Median, sum.Cost.Min, sum.Cost.Max, ratioText(sum, first),
			mid(func(r *result) float64 { return float64(r.ResidentBefore) / (1 << 20) }),
			mid(func(r *result) float64 { return float64(r.ResidentAfter) / (1 << 20) }),
			mid(func(r *result) float64 { return r.ConnectMicros }),
			mid(func(r *result) float64 { return r.IdleCPUPermille }))
	}
}

// report is the JSON file: enough to judge a figure without the terminal it was printed on.
type report struct {
	Time      time.Time         `json:"time"`
	Kernel    string            `json:"kernel"`
	Processor string            `json:"processor"`
	Go        string            `json:"go"`
	Command   []string          `json:"command"`
	Brokers   map[string]string `json:"brokers"`
	Summaries []summary         `json:"summaries"`
	Runs      []result          `json:"runs"`
}

func newReport(picked []scenario, specs []brokerSpec, results []result) report {
	r := report{Time: time.Now().UTC(), Processor: processorName(), Go: runtime.Version(), Command: os.Args, Brokers: map[string]string{}, Runs: results}
	var uts unix.Utsname
	if unix.Uname(&uts) == nil {
		r.Kernel = unix.ByteSliceToString(uts.Release[:])
	}
	for _, spec := range specs {
		r.Brokers[spec.name] = spec.command
	}
	for _, s := range picked {
		for _, spec := range specs {
			r.Summaries = append(r.Summaries, summarize(s.name, specs[0].name, spec.name, results))
		}
	}
	return r
}

func processorName() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func (r *report) write(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the report: %w", err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}
