package bench

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"time"
)

// runOne is `noctule bench run SCENARIO`: compare with one broker and one repetition.
func runOne(args []string, out, progress io.Writer) error {
	flags := flag.NewFlagSet("noctule bench run SCENARIO", flag.ContinueOnError)
	flags.SetOutput(progress)
	broker := flags.String("broker", "noctule", "`name` of a broker known here, or NAME=COMMAND[,PORT]")
	reps := flags.Int("reps", 1, "repetitions")
	seconds := flags.Float64("seconds", 5, "length of the measured window")
	dir := flags.String("dir", ".", dirHelp)
	cpus := flags.String("cpus", "0,1", "CPUs of the broker and of the generator; -1 leaves one unbound")
	jsonPath := flags.String("json", "", "write all results to this `file`")
	if len(args) == 0 {
		return usageError{errors.New("run: which scenario? 'noctule bench list' shows them")}
	}
	name := args[0]
	if name == "-h" || name == "-help" || name == "--help" {
		flags.Usage()
		return flag.ErrHelp
	}
	if err := flags.Parse(args[1:]); err != nil {
		return usageError{err}
	}
	s, err := findScenario(name)
	if err != nil {
		return usageError{err}
	}
	set := settings{picked: []scenario{s}, reps: *reps, jsonPath: *jsonPath}
	set.options = measureOptions{warmup: 500 * time.Millisecond, window: time.Duration(*seconds * float64(time.Second)), tick: time.Millisecond, dir: *dir}
	if set.options.cpus, err = parseCPUs(*cpus); err != nil {
		return usageError{err}
	}
	if peer, err := parsePeer(*broker); err == nil {
		set.specs = []brokerSpec{peer}
	} else if set.specs, err = pickBrokers(*broker, nil); err != nil {
		return usageError{err}
	}
	if set.reps < 1 || set.options.window <= 0 || flags.NArg() > 0 {
		return usageError{fmt.Errorf("run: want -reps of at least 1, -seconds above 0 and no further arguments")}
	}
	if err := prepare(set.options.cpus[1]); err != nil {
		return err
	}
	return measureAll(set, out, progress)
}

// runFloor is `noctule bench floor`.
func runFloor(args []string, _, progress io.Writer) error {
	flags := flag.NewFlagSet("noctule bench floor", flag.ContinueOnError)
	flags.SetOutput(progress)
	port := flags.Int("p", 1883, "`port` on 127.0.0.1")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return usageError{err}
	}
	if flags.NArg() > 0 || *port < 1 || *port > 65535 {
		return usageError{errors.New("floor: want a port from 1 to 65535 and no further arguments")}
	}
	return runRelay(*port)
}
