// Command load measures what a delivered message costs an MQTT broker in CPU time, for several brokers side by side.
//
//	go run ./bench/load -brokers 'noctule=./bin/noctule -c {conf},mosquitto=/usr/sbin/mosquitto -c {conf}' -reps 3
//
// For each run a broker is started on a free loopback port, bound to one CPU, driven from another, and stopped. Within a
// repetition the brokers take turns, so that a disturbance of the machine meets all of them. The generator is one thread
// with an epoll loop of its own on raw sockets; the broker's CPU is its process clock in the kernel, which on loopback
// includes the kernel's work for what the broker sends. The same run checks that nothing was lost, doubled, reordered or
// damaged. A broker must be one process that stays in the foreground.
//
// Files to read: scenario.go (the loads), engine.go and traffic.go (the loop), measure.go (what one run counts).
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// memoryLimit starts the collector after all should a run hold this much; until then it is off, so that it takes no time.
const memoryLimit = 512 << 20

// settings is the command line.
type settings struct {
	specs    []brokerSpec
	picked   []scenario
	reps     int
	jsonPath string
	relay    int
	options  measureOptions
}

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "load:", err)
		}
		os.Exit(1)
	}
}

func run(args []string, out, progress io.Writer) error {
	set, err := parseSettings(args, progress)
	if err != nil {
		return err
	}
	if set.relay > 0 {
		return runRelay(set.relay)
	}
	if err := lockMain(set.options.cpus[1]); err != nil {
		return err
	}
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(memoryLimit)
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
	if set.jsonPath != "" {
		rep := newReport(set.picked, set.specs, results)
		if err := rep.write(set.jsonPath); err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d runs failed", failed, len(results))
	}
	return nil
}

func parseSettings(args []string, output io.Writer) (settings, error) {
	var set settings
	o := &set.options
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	flags.SetOutput(output)
	brokers := flags.String("brokers", "mosquitto=/usr/sbin/mosquitto -c {conf}", "brokers as `name=command,...`; {port} and {conf} are put in; ratios are the first one's")
	names := flags.String("scenarios", "all", "comma-separated `names` of scenarios, or all")
	floor := flags.Bool("floor", false, "also run a bare epoll relay in Go, named floor")
	flags.IntVar(&set.reps, "reps", 3, "repetitions of each scenario")
	flags.StringVar(&set.jsonPath, "json", "", "write all results to this `file`")
	seconds := flags.Float64("seconds", 5, "length of the measured window")
	flags.DurationVar(&o.warmup, "warmup", 500*time.Millisecond, "time before the window that is not counted")
	flags.DurationVar(&o.tick, "tick", time.Millisecond, "at a fixed rate: the time between two bursts, at most 1ms")
	conf := flags.String("conf", "", "more `lines` for the configuration file of every broker, separated by ;")
	cpus := flags.String("cpus", "0,1", "CPUs of the broker and of the generator; -1 leaves one unbound")
	nodelay := flags.String("nodelay", "auto", "set_tcp_nodelay of the brokers: auto (each scenario's own), on, off")
	idle := flags.Int("connections", 0, "connections of idle-rss, if not its own number")
	flags.IntVar(&set.relay, "relay", 0, "be the bare relay on this `port` and nothing else")
	if err := flags.Parse(args); err != nil {
		return set, err
	}
	if set.relay > 0 {
		return set, nil
	}
	o.window = time.Duration(*seconds * float64(time.Second))
	if set.reps < 1 || o.window <= 0 || o.tick <= 0 || o.tick > time.Millisecond || flags.NArg() > 0 {
		return set, fmt.Errorf("want -reps of at least 1, -seconds above 0, -tick of at most 1ms and no further arguments; see -help")
	}
	for line := range strings.SplitSeq(*conf, ";") {
		o.confExtra += strings.TrimSpace(line) + "\n"
	}
	var err error
	if o.cpus, err = parseCPUs(*cpus); err != nil {
		return set, err
	}
	if set.picked, err = pickScenarios(*names); err != nil {
		return set, err
	}
	if err := adjustScenarios(set.picked, *nodelay, *idle); err != nil {
		return set, err
	}
	set.specs, err = withFloor(*brokers, *floor)
	return set, err
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

// withFloor reads the list of brokers and adds the relay to it, which always sets TCP_NODELAY.
func withFloor(brokers string, floor bool) ([]brokerSpec, error) {
	if floor {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find own program for -floor: %w", err)
		}
		brokers += ",floor=" + self + " -relay {port}"
	}
	specs, err := parseBrokers(brokers)
	if err == nil && len(specs) == 0 {
		err = errors.New("-brokers names none and -floor is not set")
	}
	return specs, err
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
