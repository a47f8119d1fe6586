// Command noctule is the MQTT broker: it takes Mosquitto's command line and configuration file, and carries its tools.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/noctulemq/noctule/config"
)

// version is set by the linker for releases.
var version = "0.1.0-dev"

// Exit statuses, Mosquitto's.
const (
	exitOK     = 0
	exitSetup  = 1  // a listener, the pid file or the user could not be set up
	exitPlugin = 13 // a file of users or rights, or the dynamic security, could not be opened
	exitConfig = 3  // the command line or the configuration is wrong
)

func main() { os.Exit(run(os.Args)) }

// run is the whole life of the process; it returns the exit status. The name it was called by chooses the tool, then
// the first argument does; everything else is the broker with Mosquitto's own flags.
func run(args []string) int {
	if name, ok := toolNames[filepath.Base(args[0])]; ok {
		return runCommand(args[0], append([]string{name}, args[1:]...))
	}
	if len(args) > 1 && isCommand(args[1]) {
		return runCommand(args[0], args[1:])
	}
	f, err := parseFlags(args[1:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "Error: %s\n", err)
		if errors.As(err, &unknownFlag{}) {
			fmt.Print(usage(args[0]))
		}
		return exitConfig
	}
	switch {
	case f.help:
		fmt.Print(usage(args[0]))
		return exitOK
	case f.version:
		printVersion()
		return exitOK
	}
	cfg, err := loadConfig(&f)
	if err != nil {
		printErrors(err)
		return exitConfig
	}
	if f.testConfig {
		if f.configFile == "" {
			fmt.Fprintln(os.Stderr, "Error: Please provide a configuration file to test.")
			return exitConfig
		}
		for _, n := range cfg.Notes {
			fmt.Fprintf(os.Stderr, "Warning: %s\n", n)
		}
		for _, n := range cfg.Unsupported {
			fmt.Fprintf(os.Stderr, "Warning: the broker does not start with this: %s\n", n)
		}
		fmt.Fprintln(os.Stderr, "Configuration file is OK.")
		return exitOK
	}
	if err := startable(cfg); err != nil {
		printErrors(err)
		if usesPlugin(cfg, config.NoBuiltin) {
			return exitPlugin
		}
		return exitConfig
	}
	if f.daemon {
		if done, status := daemonize(args); done {
			return status
		}
	}
	return serve(&f, cfg)
}

func printVersion() { fmt.Printf("noctule version %s\n", version) }

// loadConfig reads the file, if one was given, with the environment, and applies the flags on top.
func loadConfig(f *flags) (*config.Config, error) {
	cfg, err := config.LoadEnv(f.configFile, os.Environ())
	if err != nil {
		return nil, err
	}
	switch {
	case f.quiet:
		cfg.Log.Types = 0
		cfg.SetFlag("log_type", "-q", "none")
	case f.verbose:
		cfg.Log.Types = ^config.LogTypes(0)
		cfg.SetFlag("log_type", "-v", "all")
	}
	applyFlags(cfg, f)
	return cfg, nil
}

// startable is nil unless the configuration asks for something that this build does not have and must not go without.
func startable(cfg *config.Config) error {
	var all []error
	for _, n := range cfg.Unsupported {
		all = append(all, flagErrorf("Error: %s", n))
	}
	return errors.Join(all...)
}

// printErrors writes each configuration error on a line of its own.
func printErrors(err error) {
	var all config.Errors
	if errors.As(err, &all) {
		for _, e := range all {
			fmt.Fprintln(os.Stderr, e.Error())
		}
		return
	}
	fmt.Fprintln(os.Stderr, err)
}
