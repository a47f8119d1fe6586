package bench

import (
	"bytes"
	_ "embed" // for html.tmpl
	"encoding/xml"
	"fmt"
	"html/template"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
)

//go:embed html.tmpl
var pageText string

// missing stands where there is no figure.
const missing = "–"

// page is what html.tmpl shows. Its pictures are the only parts that the template does not escape.
type page struct {
	Date, Kernel, Processor, Go, Command string
	Brokers                              []pageBroker
	Ratios                               template.HTML
	Sections                             []section
}

type pageBroker struct{ Name, Command string }

// section is the part of one scenario.
type section struct {
	Name, About string
	Plot        template.HTML
	Titles      []string
	Rows        []row
	Failures    []result
	Skipped     []result // of the first repetition: the others were skipped for the same reason
}

// row is one broker's line of a table.
type row struct {
	Broker string
	Cells  []cell
}

// cell is one figure; a bad one is a count that should be zero.
type cell struct {
	Text string
	Bad  bool
}

// writeHTML writes the report as one page that needs no other file and no script.
func (r *report) writeHTML(path string) error {
	t, err := template.New("html.tmpl").Parse(pageText)
	if err != nil {
		return fmt.Errorf("parse the template of the report page: %w", err)
	}
	var text bytes.Buffer
	if err := t.Execute(&text, r.page()); err != nil {
		return fmt.Errorf("fill in the report page: %w", err)
	}
	if err := os.WriteFile(path, text.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write the report page: %w", err)
	}
	return nil
}

// writeSVG writes the ratios of all scenarios as a picture of its own.
func (r *report) writeSVG(path string) error {
	if err := os.WriteFile(path, []byte(r.svgRatios()), 0o644); err != nil {
		return fmt.Errorf("write the picture of the ratios: %w", err)
	}
	return nil
}

func (r *report) page() page {
	p := page{Date: missing, Kernel: orMissing(r.Kernel), Processor: orMissing(r.Processor), Go: orMissing(r.Go)}
	p.Command = orMissing(commandLine(r.Command))
	if !r.Time.IsZero() {
		p.Date = r.Time.Format("2 January 2006, 15:04 MST")
	}
	for _, name := range r.brokerNames() {
		p.Brokers = append(p.Brokers, pageBroker{name, orMissing(r.Brokers[name])})
	}
	p.Ratios = template.HTML(r.svgRatios()) // the drawing escapes every text in it
	for _, name := range r.scenarioNames() {
		p.Sections = append(p.Sections, r.section(name))
	}
	return p
}

func orMissing(text string) string {
	if text == "" {
		return missing
	}
	return text
}

// commandLine joins arguments so that a shell takes them apart again.
func commandLine(args []string) string {
	quoted := make([]string, len(args))
	for i, arg := range args {
		quoted[i] = arg
		if arg == "" || strings.ContainsAny(arg, " \t\n'\"\\$`;&|<>(){}[]*?!#~") {
			quoted[i] = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
	}
	return strings.Join(quoted, " ")
}

// brokerNames returns the brokers in the order they ran in, so that the first is the one the ratios are of.
func (r *report) brokerNames() []string {
	var names []string
	for i := range r.Summaries {
		names = append(names, r.Summaries[i].Broker)
	}
	for i := range r.Runs {
		names = append(names, r.Runs[i].Broker)
	}
	return unique(append(names, slices.Sorted(maps.Keys(r.Brokers))...))
}

// scenarioNames returns the scenarios in the order they ran in.
func (r *report) scenarioNames() []string {
	var names []string
	for i := range r.Summaries {
		names = append(names, r.Summaries[i].Scenario)
	}
	for i := range r.Runs {
		names = append(names, r.Runs[i].Scenario)
	}
	return unique(names)
}

// unique drops repetitions and keeps the order.
func unique(names []string) (kept []string) {
	for _, name := range names {
		if !slices.Contains(kept, name) {
			kept = append(kept, name)
		}
	}
	return kept
}

// group is the runs of one broker in one scenario, among all runs of the report.
type group struct {
	runs    []result
	sum     summary
	isFirst bool
}

func (r *report) group(scenarioName, broker string) group {
	first := r.brokerNames()[0]
	return group{r.Runs, summarize(scenarioName, first, broker, r.Runs), broker == first}
}

// measured reports whether there is a run that did not fail.
func (g *group) measured() bool { return g.sum.Runs > g.sum.Failed }

// compared reports whether there is a ratio to draw.
func (g *group) compared() bool { return !g.isFirst && g.sum.Ratio.Median > 0 }

// column is one column of a table: its title, where FIRST and UNIT are put in, and what it shows of a group.
type column struct {
	title string
	show  func(*group) cell
}

var trafficColumns = []column{
	{"CPU µs/UNIT (min–max)", costCell("%.3f")},
	{"FIRST/this (min–max)", ratioCell},
	{"UNITs/s", medianCell("%.0f", func(r *result) float64 { return r.Rate })},
	{"lost", faultCell(func(r *result) uint64 { return r.Lost })},
	{"dup", faultCell(func(r *result) uint64 { return r.Duplicates })},
	{"order breaks", faultCell(func(r *result) uint64 { return r.OrderBreaks })},
	{"corrupt", faultCell(func(r *result) uint64 { return r.Corrupt })},
	{"late", sumCell(func(r *result) uint64 { return r.Late })},
	{"held", sumCell(func(r *result) uint64 { return r.HeldBack })},
	{"p50 ms", latencyCell(func(r *result) float64 { return r.P50Ms })},
	{"p99 ms", latencyCell(func(r *result) float64 { return r.P99Ms })},
	{"p99.9 ms", latencyCell(func(r *result) float64 { return r.P999Ms })},
	{"max ms", latencyCell(func(r *result) float64 { return r.MaxMs })},
	{"resident MiB", medianCell("%.1f", func(r *result) float64 { return float64(r.ResidentBytes) / (1 << 20) })},
	{"CPU %", medianCell("%.0f", func(r *result) float64 { return 100 * r.BrokerCPU })},
	{"load %", medianCell("%.0f", func(r *result) float64 { return 100 * r.GeneratorCPU })},
	{"others on CPU %", medianCell("%.0f", func(r *result) float64 { return 100 * r.BrokerOthers })},
	{"others on load %", medianCell("%.0f", func(r *result) float64 { return 100 * r.GeneratorOthers })},
	{"runs", runsCell},
}

// retainedColumn is in the tables of scenarios that wait for stored messages.
var retainedColumn = column{"retained ms", medianCell("%.1f", func(r *result) float64 { return r.RetainedMs })}

// durableColumns are in the tables of scenarios in which brokers store.
var durableColumns = []column{
	{"UNITs/s, FIRST/this", rateRatioCell},
	{"ack p50 ms", medianCell("%.3f", func(r *result) float64 { return r.AckP50Ms })},
	{"ack p99 ms", medianCell("%.3f", func(r *result) float64 { return r.AckP99Ms })},
	{"ack p99.9 ms", medianCell("%.3f", func(r *result) float64 { return r.AckP999Ms })},
	{"ack max ms", medianCell("%.3f", func(r *result) float64 { return r.AckMaxMs })},
	{"bytes written/UNIT", medianCell("%.0f", writtenPerMessage)},
	{"MiB on disk", medianCell("%.1f", func(r *result) float64 { return float64(r.DiskBytes) / (1 << 20) })},
}

// drainColumns are in the tables of scenarios whose subscribers come back.
var drainColumns = []column{
	{"drained/s", medianCell("%.0f", func(r *result) float64 { return r.DrainRate })},
	{"CPU µs/drained", medianCell("%.3f", func(r *result) float64 { return r.DrainMicros })},
}

var idleColumns = []column{
	{"resident bytes/connection (min–max)", costCell("%.0f")},
	{"FIRST/this (min–max)", ratioCell},
	{"connections", medianCell("%.0f", func(r *result) float64 { return float64(r.Connections) })},
	{"MiB before", medianCell("%.1f", func(r *result) float64 { return float64(r.ResidentBefore) / (1 << 20) })},
	{"MiB after", medianCell("%.1f", func(r *result) float64 { return float64(r.ResidentAfter) / (1 << 20) })},
	{"CPU µs/connect", medianCell("%.1f", func(r *result) float64 { return r.ConnectMicros })},
	{"idle CPU ‰", medianCell("%.2f", func(r *result) float64 { return r.IdleCPUPermille })},
	{"runs", runsCell},
}

func costCell(format string) func(*group) cell {
	return func(g *group) cell {
		if !g.measured() {
			return cell{Text: missing}
		}
		c := g.sum.Cost
		return cell{Text: fmt.Sprintf(format+" ("+format+"–"+format+")", c.Median, c.Min, c.Max)}
	}
}

func ratioCell(g *group) cell {
	if !g.compared() {
		return cell{Text: missing}
	}
	return cell{Text: g.sum.Ratio.text("%.3f")}
}

func rateRatioCell(g *group) cell {
	if !g.compared() {
		return cell{Text: missing}
	}
	return cell{Text: g.sum.RateRatio.text("%.2f")}
}

func medianCell(format string, figure func(*result) float64) func(*group) cell {
	return func(g *group) cell {
		if !g.measured() {
			return cell{Text: missing}
		}
		return cell{Text: fmt.Sprintf(format, median(g.runs, g.sum.Scenario, g.sum.Broker, figure))}
	}
}

func latencyCell(figure func(*result) float64) func(*group) cell {
	return func(g *group) cell {
		if !g.measured() {
			return cell{Text: missing}
		}
		return cell{Text: latencyText(median(g.runs, g.sum.Scenario, g.sum.Broker, figure))}
	}
}

func sumCell(count func(*result) uint64) func(*group) cell {
	return func(g *group) cell {
		if g.sum.Runs == 0 {
			return cell{Text: missing}
		}
		return cell{Text: strconv.FormatUint(total(g.runs, g.sum.Scenario, g.sum.Broker, count), 10)}
	}
}

// faultCell is a sumCell of what should not happen.
func faultCell(count func(*result) uint64) func(*group) cell {
	show := sumCell(count)
	return func(g *group) cell {
		c := show(g)
		c.Bad = c.Text != missing && c.Text != "0"
		return c
	}
}

func runsCell(g *group) cell {
	if g.sum.Failed == 0 {
		return cell{Text: strconv.Itoa(g.sum.Runs)}
	}
	return cell{fmt.Sprintf("%d, %d failed", g.sum.Runs, g.sum.Failed), true}
}

// section gathers what the page shows of one scenario.
func (r *report) section(name string) section {
	s := section{Name: name, About: r.about(name), Plot: template.HTML(r.svgBars(name))} // escaped as the ratios are
	columns := trafficColumns
	if r.isIdle(name) {
		columns = idleColumns
	} else if known, err := findScenario(name); err == nil && known.retained > 0 {
		columns = append(slices.Clip(columns), retainedColumn)
	}
	if r.has(name, func(run *result) bool { return run.Durable != "" }) {
		columns = append(slices.Clip(columns), durableColumns...)
	}
	if r.has(name, func(run *result) bool { return run.Drained > 0 }) {
		columns = append(slices.Clip(columns), drainColumns...)
	}
	brokers := r.brokerNames()
	s.Titles = append(s.Titles, "broker")
	for _, c := range columns {
		s.Titles = append(s.Titles, strings.NewReplacer("FIRST", brokers[0], "UNIT", unitOf(name)).Replace(c.title))
	}
	for _, broker := range brokers {
		g := r.group(name, broker)
		line := row{Broker: broker}
		for _, c := range columns {
			line.Cells = append(line.Cells, c.show(&g))
		}
		s.Rows = append(s.Rows, line)
	}
	for i := range r.Runs {
		run := &r.Runs[i]
		if run.Scenario == name && run.Error != "" {
			s.Failures = append(s.Failures, *run)
		}
		if run.Scenario == name && run.Skipped != "" && run.Rep == 1 {
			s.Skipped = append(s.Skipped, *run)
		}
	}
	return s
}

// about describes a scenario as it was run: the command line may have changed TCP_NODELAY.
func (r *report) about(name string) string {
	text := "This scenario is not one of the built-in ones, so there is no description of it here."
	known, err := findScenario(name)
	stored := ""
	if i := slices.IndexFunc(r.Runs, func(run result) bool { return run.Scenario == name }); i >= 0 {
		known.nodelay = r.Runs[i].NoDelay
		if files := r.Runs[i].FileSystem; files != "" {
			stored = " Stored on " + files + "."
		}
	}
	if err == nil {
		text = known.describe()
	}
	return text + stored
}

// unitOf is what a scenario counts.
func unitOf(scenarioName string) string {
	if s, err := findScenario(scenarioName); err == nil && s.churns() {
		return "connection"
	}
	return "message"
}

// has reports whether a run of the scenario is of a kind.
func (r *report) has(name string, kind func(*result) bool) bool {
	for i := range r.Runs {
		if run := &r.Runs[i]; run.Scenario == name && kind(run) {
			return true
		}
	}
	return false
}

// isIdle reports whether a scenario is about memory. The runs know it, unless all of them failed early.
func (r *report) isIdle(name string) bool {
	if r.has(name, func(run *result) bool { return run.Connections > 0 }) {
		return true
	}
	s, err := findScenario(name)
	return err == nil && s.idle > 0
}

// Sizes of the pictures in their own units. A picture is as narrow as a telephone, so that its text stays readable there.
const (
	plotWidth   = 400.0
	plotMargin  = 14.0
	plotZoom    = 1.4  // the width at which a picture stands alone is plotWidth times this
	labelWidth  = 96.0 // of the brokers' names beside the ratios
	figureWidth = 52.0 // of the ratios as numbers
)

// plotStyle is in each picture, because a picture may stand in a file of its own.
const plotStyle = `.plot text{font:12px system-ui,sans-serif;fill:#1f2328}.plot .head{font-weight:600}.plot .faint{fill:#59636e}` +
	`.plot .paper{fill:#fff}.plot .bar{fill:#9aa7b4}.plot .first{fill:#4c8dd9}.plot .grid{stroke:#d1d9e0}` +
	`.plot .one,.plot .whisker{stroke:#1f2328;stroke-width:1.5}.plot .dot{fill:#fff;stroke:#1f2328}.plot .ratio{fill:#1a63b8}` +
	`@media(prefers-color-scheme:dark){.plot text{fill:#e6edf3}.plot .faint{fill:#9198a1}.plot .paper{fill:#0d1117}` +
	`.plot .bar{fill:#5b6672}.plot .first{fill:#2f6cb3}.plot .grid{stroke:#3d444d}.plot .one,.plot .whisker{stroke:#e6edf3}` +
	`.plot .dot{fill:#0d1117;stroke:#e6edf3}.plot .ratio{fill:#6cb0ff}}`

// drawing collects the elements of one picture from top to bottom.
type drawing struct {
	elements strings.Builder
	y        float64 // where the next element goes
}

// escapeText makes a text safe in SVG. What XML cannot hold, such as a control character, becomes U+FFFD.
func escapeText(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a strings.Builder takes everything
	return b.String()
}

// shorten keeps a text within a number of characters.
func shorten(text string, limit int) string {
	if runes := []rune(text); len(runes) > limit {
		return string(runes[:limit-1]) + "…"
	}
	return text
}

// text writes a line of text whose start, middle or end is at x.
func (d *drawing) text(x, y float64, class, anchor, text string) {
	fmt.Fprintf(&d.elements, `<text x="%.1f" y="%.1f" class="%s" text-anchor="%s">%s</text>`+"\n",
		x, y, class, anchor, escapeText(text))
}

func (d *drawing) line(x1, y1, x2, y2 float64, class string) {
	fmt.Fprintf(&d.elements, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="%s"/>`+"\n", x1, y1, x2, y2, class)
}

func (d *drawing) rect(x, y, width, height float64, class string) {
	fmt.Fprintf(&d.elements, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" class="%s"/>`+"\n", x, y, width, height, class)
}

// dot draws a point that tells its note under a mouse.
func (d *drawing) dot(x, y, radius float64, class, note string) {
	fmt.Fprintf(&d.elements, `<circle cx="%.1f" cy="%.1f" r="%.1f" class="%s"><title>%s</title></circle>`+"\n",
		x, y, radius, class, escapeText(note))
}

// whisker draws a horizontal line from x1 to x2 with a cap at each end.
func (d *drawing) whisker(x1, x2, y float64) {
	d.line(x1, y, x2, y, "whisker")
	d.line(x1, y-4, x1, y+4, "whisker")
	d.line(x2, y-4, x2, y+4, "whisker")
}

// picture returns what was drawn, with the title that a screen reader says.
func (d *drawing) picture(title string) string {
	var b strings.Builder
	b.WriteString(`<svg xmlns="http://www.w3.org/2000/svg" class="plot" role="img"`)
	fmt.Fprintf(&b, ` viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f">`+"\n", plotWidth, d.y, plotWidth*plotZoom, d.y*plotZoom)
	fmt.Fprintf(&b, "<title>%s</title>\n<style>%s</style>\n", escapeText(title), plotStyle)
	fmt.Fprintf(&b, `<rect width="%.0f" height="%.0f" class="paper"/>`+"\n", plotWidth, d.y)
	return b.String() + d.elements.String() + "</svg>\n"
}

// Heights within the plots.
const (
	barRow     = 44.0 // of one broker: its name and figure, and the bar below them
	barHeight  = 18.0
	ratioRow   = 18.0 // of one broker in the picture of the ratios
	ratioHead  = 22.0 // of a scenario's name above them
	axisHeight = 22.0
)

// svgBars draws the cost of each broker in one scenario.
func (r *report) svgBars(scenarioName string) string {
	title, unit, format := "CPU per "+unitOf(scenarioName), "µs", "%.3f"
	if r.isIdle(scenarioName) {
		title, unit, format = "Resident memory per connection", "bytes", "%.0f"
	}
	var d drawing
	d.text(plotMargin, 18, "head", "start", title+" in "+unit)
	d.y = 28
	brokers := r.brokerNames()
	top := 0.0
	for _, broker := range brokers {
		g := r.group(scenarioName, broker)
		top = max(top, g.sum.Cost.Max)
	}
	x := linearAxis(&d, top, barRow*float64(len(brokers)))
	for _, broker := range brokers {
		g := r.group(scenarioName, broker)
		d.text(plotMargin, d.y+14, "", "start", shorten(broker, 28))
		switch {
		case g.sum.Runs == 0:
			d.text(plotWidth-plotMargin, d.y+14, "faint", "end", "not run")
		case !g.measured():
			d.text(plotWidth-plotMargin, d.y+14, "faint", "end", "no run without a failure")
		default:
			d.text(plotWidth-plotMargin, d.y+14, "", "end", fmt.Sprintf(format+" "+unit, g.sum.Cost.Median))
			r.bar(&d, x, g, format+" "+unit)
		}
		d.y += barRow
	}
	d.y += axisHeight
	return d.picture(scenarioName + ": " + title + " in " + unit)
}

// bar draws the median, the whisker and the repetitions of one broker. The dots stand below each other in the order of
// the repetitions, so that equal ones do not hide each other.
func (r *report) bar(d *drawing, x func(float64) float64, g group, format string) {
	class := "bar"
	if g.isFirst {
		class = "first"
	}
	y := d.y + 20
	d.rect(x(0), y, x(g.sum.Cost.Median)-x(0), barHeight, class)
	d.whisker(x(g.sum.Cost.Min), x(g.sum.Cost.Max), y+barHeight/2)
	drawn, count := 0, g.sum.Runs-g.sum.Failed
	for i := range r.Runs {
		run := &r.Runs[i]
		if run.Scenario != g.sum.Scenario || run.Broker != g.sum.Broker || run.Error != "" {
			continue
		}
		drawn++
		note := fmt.Sprintf("repetition %d: "+format, run.Rep, run.cost())
		d.dot(x(run.cost()), y+barHeight*float64(drawn)/float64(count+1), 2.2, "dot", note)
	}
}

// linearAxis draws a grid from 0 to at least top below the drawing's place and returns where a value lies on it.
func linearAxis(d *drawing, top, height float64) func(float64) float64 {
	if !(top > 1e-9 && top < 1e15) { // no run, or nothing that was ever measured
		top = 1
	}
	step := niceStep(top)
	end := step * max(1, math.Ceil(top/step-1e-9))
	x := func(value float64) float64 {
		return plotMargin + (plotWidth-2*plotMargin)*min(1, max(0, value/end))
	}
	decimals := max(0, -int(math.Floor(math.Log10(step))))
	last := int(math.Round(end / step))
	for i := range last + 1 {
		value, anchor := float64(i)*step, "middle"
		if i == last { // a long number would leave the picture
			anchor = "end"
		}
		d.line(x(value), d.y, x(value), d.y+height, "grid")
		d.text(x(value), d.y+height+14, "faint", anchor, strconv.FormatFloat(value, 'f', decimals, 64))
	}
	return x
}

// niceStep returns 1, 2 or 5 times a power of ten such that at most five steps reach top.
func niceStep(top float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(top/5)))
	for _, factor := range []float64{1, 2, 5} {
		if factor*power*5 >= top*(1-1e-9) {
			return factor * power
		}
	}
	return 10 * power
}

// svgRatios draws the first broker's cost over that of each other broker in every scenario, on a logarithmic axis. It is
// a whole file, so that it can stand in a document of its own.
func (r *report) svgRatios() string {
	var d drawing
	brokers := r.brokerNames()
	if len(brokers) < 2 {
		d.text(plotMargin, 20, "faint", "start", "There are no two brokers to compare in this report.")
		d.y = 32
		return d.picture("No ratios")
	}
	first := brokers[0]
	title := "Cost of " + shorten(first, 20) + " ÷ cost of the other broker"
	d.text(plotMargin, 18, "head", "start", title)
	d.text(plotMargin, 34, "faint", "start", "CPU per message or connection; when idle: memory")
	d.y = 58
	scenarioNames := r.scenarioNames()
	x := r.ratioAxis(&d, float64(len(scenarioNames))*(ratioHead+ratioRow*float64(len(brokers)-1)))
	for _, scenarioName := range scenarioNames {
		d.text(plotMargin, d.y+16, "head", "start", shorten(scenarioName, 50))
		d.y += ratioHead
		for _, broker := range brokers[1:] {
			d.ratio(x, r.group(scenarioName, broker))
			d.y += ratioRow
		}
	}
	d.y += axisHeight
	return d.picture(title)
}

// ratio draws one broker's line in the picture of the ratios.
func (d *drawing) ratio(x func(float64) float64, g group) {
	d.text(plotMargin, d.y+13, "faint", "start", shorten(g.sum.Broker, 13))
	if !g.compared() {
		d.text(plotWidth-plotMargin, d.y+13, "faint", "end", missing)
		return
	}
	q := g.sum.Ratio
	d.text(plotWidth-plotMargin, d.y+13, "", "end", fmt.Sprintf("%.3f", q.Median))
	d.whisker(x(q.Min), x(q.Max), d.y+9)
	d.dot(x(q.Median), d.y+9, 4, "ratio", fmt.Sprintf("%s: %.3f (%.3f–%.3f)", g.sum.Broker, q.Median, q.Min, q.Max))
}

// ratioAxis draws the logarithmic grid with the line at 1 and returns where a ratio lies on it.
func (r *report) ratioAxis(d *drawing, height float64) func(float64) float64 {
	ticks := ratioTicks(r.ratioRange())
	low, high := math.Log(ticks[0]), math.Log(ticks[len(ticks)-1])
	left, right := plotMargin+labelWidth, plotWidth-plotMargin-figureWidth
	x := func(ratio float64) float64 {
		if !(ratio > 0) {
			return left
		}
		return left + (right-left)*min(1, max(0, (math.Log(ratio)-low)/(high-low)))
	}
	for _, tick := range ticks {
		d.line(x(tick), d.y, x(tick), d.y+height, "grid")
		if len(ticks) <= 7 || isPowerOfTen(tick) {
			d.text(x(tick), d.y+height+14, "faint", "middle", strconv.FormatFloat(tick, 'g', -1, 64))
		}
	}
	d.line(x(1), d.y-4, x(1), d.y+height, "one")
	d.text(x(1)-5, d.y-6, "faint", "end", "◂ costs less")
	d.text(x(1)+5, d.y-6, "faint", "start", "more ▸")
	return x
}

// ratioRange returns the least and the greatest ratio in the report, 1 among them.
func (r *report) ratioRange() (low, high float64) {
	low, high = 1, 1
	for _, scenarioName := range r.scenarioNames() {
		for _, broker := range r.brokerNames() {
			if g := r.group(scenarioName, broker); g.compared() {
				low, high = min(low, g.sum.Ratio.Min), max(high, g.sum.Ratio.Max)
			}
		}
	}
	return low, high
}

// ratioTicks returns the ticks 1, 2 and 5 times the powers of ten that enclose a range and leave room on both sides of
// 1. What lies beyond a factor of a thousand is drawn at the edge.
func ratioTicks(low, high float64) []float64 {
	var all []float64
	for _, power := range []float64{0.001, 0.01, 0.1, 1, 10, 100} {
		all = append(all, power, 2*power, 5*power)
	}
	all = append(all, 1000)
	from, to := slices.Index(all, 0.5), slices.Index(all, 2)
	for from > 0 && all[from] > low {
		from--
	}
	for to < len(all)-1 && all[to] < high {
		to++
	}
	return all[from : to+1]
}

func isPowerOfTen(value float64) bool {
	exponent := math.Log10(value)
	return math.Abs(exponent-math.Round(exponent)) < 1e-9
}
