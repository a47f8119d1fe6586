// Command noctule is the MQTT broker: it takes Mosquitto's command line and configuration file.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/noctulemq/noctule/bench"
	"github.com/noctulemq/noctule/config"
	"github.com/noctulemq/noctule/scripts/tune"
)

// version is set by the linker for releases.
var version = "0.1.0-dev"

// Exit statuses, Mosquitto's.
const (
	exitOK     = 0
	exitSetup  = 1 // a listener could not be set up
	exitConfig = 3 // the command line or the configuration is wrong
)

func main() { os.Exit(run(os.Args)) }

// run is the whole life of the process; it returns the exit status.
func run(args []string) int {
	if len(args) > 1 && args[1] == "bench" {
		return bench.Main(args[2:])
	}
	if len(args) > 1 && args[1] == "tune" {
		return tune.Main(args[2:])
	}
	f, err := parseFlags(args[1:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "Error: %s\n", err)
		fmt.Fprint(os.Stderr, "\n"+usage(args[0]))
		return exitConfig
	}
	switch {
	case f.help:
		fmt.Print(usage(args[0]))
		return exitOK
	case f.version:
		fmt.Printf("noctule version %s\n", version)
		return exitOK
	}
	cfg, err := loadConfig(&f)
	if err != nil {
		printErrors(err)
		return exitConfig
	}
	if f.testConfig {
		return exitOK
	}
	if f.daemon {
		if done, status := daemonize(args); done {
			return status
		}
	}
	return serve(f, cfg)
}

// loadConfig reads the file, if one was given, and applies the flags on top.
func loadConfig(f *flags) (*config.Config, error) {
	cfg := config.Default()
	if f.configFile != "" {
		var err error
		if cfg, err = config.Load(f.configFile); err != nil {
			return nil, err
		}
	}
	applyFlags(cfg, f)
	return cfg, nil
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

// serve runs the broker until a signal ends it.
func serve(f flags, cfg *config.Config) int {
	log, err := openLog(cfg.Log, f)
	if err != nil {
		fmt.Fprintf(os.Stderr, "Error: %s\n", err)
		return exitSetup
	}
	defer log.Close()
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2)
	signal.Ignore(syscall.SIGPIPE)
	s, err := start(cfg, f, log)
	if err != nil {
		log.Printf("Error: %s", err)
		daemonReport(exitSetup)
		return exitSetup
	}
	if cfg.PIDFile != "" {
		if err := os.WriteFile(cfg.PIDFile, fmt.Appendf(nil, "%d", os.Getpid()), 0o644); err != nil {
			log.Printf("Error: Unable to write pid file: %s", err)
			_ = s.stop()
			daemonReport(exitSetup)
			return exitSetup
		}
		defer os.Remove(cfg.PIDFile)
	}
	daemonReport(exitOK)
	for sig := range signals {
		switch sig {
		case syscall.SIGTERM, syscall.SIGINT:
			log.Printf("noctule version %s terminating", version)
			if err := s.stop(); err != nil {
				log.Printf("Error: %s", err)
			}
			return exitOK
		case syscall.SIGHUP:
			log.Printf("Warning: SIGHUP: this build does not reload its configuration; restart it to apply changes.")
		default:
			log.Printf("Warning: %s has no effect in this build.", sig)
		}
	}
	return exitOK
}
