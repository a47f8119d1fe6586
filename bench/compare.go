package bench

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// settings is the command line of compare.
type settings struct {
	specs    []brokerSpec
	picked   []scenario
	reps     int
	jsonPath string
	htmlPath string
	svgPath  string
	options  measureOptions
}

// runCompare is `noctule bench compare`.
func runCompare(args []string, out, progress io.Writer) error {
	set, err := parseSettings(args, progress)
	if err != nil {
		return err
	}
	if err := prepare(set.options.cpus[1]); err != nil {
		return err
	}
	return measureAll(set, out, progress)
}

// measureAll runs every scenario, its brokers in turn in each repetition, and fails if any run did.
func measureAll(set settings, out, progress io.Writer) error {
	var results []result
	failed := 0
	for _, s := range set.picked {
		for rep := range set.reps {
			for _, spec := range set.specs {
				fmt.Fprintf(progress, "%s, repetition %d of %d: %s\n", s.name, rep+1, set.reps, spec.name)
				r := measure(s, spec, rep+1, set.options)
				if r.Error != "" {
					failed++
				}
				results = append(results, r)
			}
		}
		printScenario(out, s, set.specs, results)
	}
	rep := newReport(set.picked, set.specs, results)
	if set.jsonPath != "" {
		if err := rep.write(set.jsonPath); err != nil {
			return err
		}
	}
	if set.htmlPath != "" {
		if err := rep.writeHTML(set.htmlPath); err != nil {
			return err
		}
	}
	if set.svgPath != "" {
		if err := rep.writeSVG(set.svgPath); err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d runs failed", failed, len(results))
	}
	return nil
}

// peers collects the --peer flags.
type peers []brokerSpec

func (p *peers) String() string { return "" }

// Set takes NAME=COMMAND or NAME=COMMAND,PORT.
func (p *peers) Set(text string) error {
	spec, err := parsePeer(text)
	if err == nil {
		*p = append(*p, spec)
	}
	return err
}

func parseSettings(args []string, output io.Writer) (settings, error) {
	var set settings
	o := &set.options
	flags := flag.NewFlagSet("noctule bench compare", flag.ContinueOnError)
	flags.SetOutput(output)
	brokers := flags.String("brokers", "noctule,mosquitto", "comma-separated `names` of brokers known here ("+strings.Join(builtinNames(), ", ")+"); ratios are the first one's; 'none' for peers only")
	var more peers
	flags.Var(&more, "peer", "another broker as `NAME=COMMAND[,PORT]`; {port} and {conf} in the command are put in, or PORT is where it listens anyway; may be repeated")
	names := flags.String("scenarios", "all", "comma-separated `names` of scenarios or files, NAME* for all that begin so, or all")
	flags.IntVar(&set.reps, "reps", 3, "repetitions of each scenario")
	flags.StringVar(&set.jsonPath, "json", "", "write all results to this `file`")
	flags.StringVar(&set.htmlPath, "html", "", "write a report with plots to this `file`")
	flags.StringVar(&set.svgPath, "svg", "", "write the plot of all ratios to this `file`")
	seconds := flags.Float64("seconds", 5, "length of the measured window")
	flags.DurationVar(&o.warmup, "warmup", 500*time.Millisecond, "time before the window that is not counted")
	flags.DurationVar(&o.tick, "tick", time.Millisecond, "at a fixed rate: the time between two bursts, at most 1ms")
	conf := flags.String("conf", "", "more `lines` for the configuration file of every broker, separated by ;")
	flags.StringVar(&o.dir, "dir", ".", dirHelp)
	cpus := flags.String("cpus", "0,1", "CPUs of the broker and of the generator; -1 leaves one unbound")
	nodelay := flags.String("nodelay", "auto", "set_tcp_nodelay of the brokers: auto (each scenario's own), on, off")
	idle := flags.Int("connections", 0, "connections of idle-rss, if not its own number")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return set, err
		}
		return set, usageError{err}
	}
	o.window = time.Duration(*seconds * float64(time.Second))
	if set.reps < 1 || o.window <= 0 || o.tick <= 0 || o.tick > time.Millisecond || flags.NArg() > 0 {
		return set, usageError{errors.New("want -reps of at least 1, -seconds above 0, -tick of at most 1ms and no further arguments; see -help")}
	}
	for line := range strings.SplitSeq(*conf, ";") {
		o.confExtra += strings.TrimSpace(line) + "\n"
	}
	var err error
	if o.cpus, err = parseCPUs(*cpus); err == nil {
		set.picked, err = pickScenarios(*names)
	}
	if err == nil {
		err = adjustScenarios(set.picked, *nodelay, *idle)
	}
	if err == nil {
		set.specs, err = pickBrokers(*brokers, more)
	}
	if err != nil {
		return set, usageError{err}
	}
	return set, nil
}

// adjustScenarios puts the settings of the command line in place of the scenarios' own.
func adjustScenarios(picked []scenario, nodelay string, connections int) error {
	if nodelay != "auto" && nodelay != "on" && nodelay != "off" {
		return fmt.Errorf("-nodelay %q: want auto, on or off", nodelay)
	}
	for i := range picked {
		s := &picked[i]
		if nodelay != "auto" {
			s.nodelay = nodelay == "on"
		}
		if s.idle > 0 && connections > 0 {
			s.idle = connections
		}
	}
	return nil
}

func parseCPUs(text string) ([2]int, error) {
	broker, generator, ok := strings.Cut(text, ",")
	b, errB := strconv.Atoi(broker)
	g, errG := strconv.Atoi(generator)
	if !ok || errB != nil || errG != nil {
		return [2]int{}, fmt.Errorf("-cpus %q: want two numbers, as in 0,1", text)
	}
	return [2]int{b, g}, nil
}
