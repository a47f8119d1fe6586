package bench

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"
)

// Exit statuses of the sub-commands.
const (
	exitOK     = 0
	exitFailed = 1 // a run failed, or its checks did
	exitUsage  = 2 // the command line is wrong
)

// command is one sub-command: what it is for, and what runs it with the arguments behind its name.
type command struct {
	name, purpose string
	run           func(args []string, out, progress io.Writer) error
}

// commands are the sub-commands in the order of the help text.
var commands []command

func init() { // the table names functions that print it
	commands = []command{
		{"compare", "run scenarios against several brokers in turn and compare them", runCompare},
		{"run", "run one scenario against one broker", runOne},
		{"restart", "fill a broker that stores, restart it, and say how long it took to serve again", runReopen},
		{"list", "list the scenarios", runList},
		{"floor", "be a bare epoll relay: the least a broker could cost", runFloor},
		{"conn", "connect clients to a running broker and hold the connections", runConn},
		{"pub", "publish to a running broker from many clients", runPub},
		{"sub", "subscribe at a running broker with many clients and check what comes", runSub},
	}
}

// usageError is a mistake on the command line.
type usageError struct{ error }

// Main runs a sub-command of `noctule bench` and returns the exit status.
func Main(args []string) int {
	if len(args) == 0 || args[0] == "-h" || args[0] == "--help" || args[0] == "help" {
		printUsage(os.Stdout)
		return exitOK
	}
	for _, c := range commands {
		if c.name == args[0] {
			return status(c.run(args[1:], os.Stdout, os.Stderr))
		}
	}
	fmt.Fprintf(os.Stderr, "Error: bench: unknown command %q.\n\n", args[0])
	printUsage(os.Stderr)
	return exitUsage
}

func status(err error) int {
	var usage usageError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.As(err, &usage):
		fmt.Fprintln(os.Stderr, "Error:", err)
		return exitUsage
	}
	fmt.Fprintln(os.Stderr, "Error:", err)
	return exitFailed
}

func printUsage(w io.Writer) {
	fmt.Fprint(w, "Usage: noctule bench COMMAND [flags]\n\nMeasure any MQTT broker over the wire.\n\n")
	for _, c := range commands {
		fmt.Fprintf(w, "  %-8s %s\n", c.name, c.purpose)
	}
	fmt.Fprint(w, "\n'noctule bench COMMAND -help' lists the flags of one.\n")
}

// memoryLimit starts the collector after all should a run hold this much; until then it is off, so that it takes no time.
const memoryLimit = 512 << 20

// prepare makes this process a generator: bound to its CPU, on one thread, and without a collector in its way.
func prepare(cpu int) error {
	if err := lockMain(cpu); err != nil {
		return err
	}
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(memoryLimit)
	return nil
}
