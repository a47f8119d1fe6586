package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/noctulemq/noctule/auth"
	"github.com/noctulemq/noctule/config"
	"github.com/noctulemq/noctule/logging"
)

// hooks is what signals ask of the running broker. They are called on the goroutine that waits for signals, tree on one of
// its own; start sets them before that goroutine begins.
type hooks struct {
	// reload makes connections that have not logged in wait, calls load, and puts the configuration that it returns into
	// force: all of it or, with an error of load or its own, nothing.
	reload func(load func() (*config.Config, error)) error
	// save writes the durable state now.
	save func() error
	// tree prints the subscriptions.
	tree func(w io.Writer) error
}

// signals are the waiting signals by what they ask for. A second one of a kind that waits already adds nothing.
type signals struct {
	hangups        hangups
	reload, rotate <-chan struct{}
	save, tree     chan os.Signal
	stop           chan os.Signal // holds two: the second one ends a stop that takes long
}

// catchSignals must be called before anything else is started, so that no signal is lost and none ends the process.
func catchSignals() (*signals, error) {
	s := &signals{save: make(chan os.Signal, 1), tree: make(chan os.Signal, 1), stop: make(chan os.Signal, 2)}
	s.reload = s.hangups.catch()
	signal.Notify(s.save, syscall.SIGUSR1)
	signal.Notify(s.tree, syscall.SIGUSR2)
	signal.Notify(s.stop, syscall.SIGTERM, syscall.SIGINT)
	signal.Ignore(syscall.SIGPIPE)
	var err error
	s.rotate, err = catchRotate()
	return s, err
}

// serve runs the broker until a signal ends it, and returns the exit status. Privileges are dropped before anything is
// opened, as Mosquitto does: what the broker opens it must be able to open again on a signal.
func serve(f *flags, cfg *config.Config) int {
	fail := func(format string, args ...any) int {
		fmt.Fprintf(os.Stderr, "Error: "+format+"\n", args...)
		daemonReport(exitSetup)
		return exitSetup
	}
	waiting, err := catchSignals()
	if err != nil {
		return fail("catch signals: %s", err)
	}
	warning, err := dropPrivileges(cfg.User)
	if err != nil {
		return fail("%s", err)
	}
	log := openLog(cfg.Log)
	defer log.Close() //nolint:errcheck // nowhere to report it
	if warning != "" {
		log.Log(logging.Warning, "Warning: "+warning)
	}
	s, err := start(cfg, f, log, &waiting.hangups)
	if err != nil {
		logErrors(log, err)
		log.Flush()
		status := setupStatus(err)
		daemonReport(status)
		return status
	}
	if cfg.PIDFile != "" {
		if err := writePIDFile(cfg.PIDFile); err != nil {
			logErrors(log, flagErrorf("Unable to write pid file. (%s)", err))
			logStop(log, s.stop())
			log.Flush()
			daemonReport(exitSetup)
			return exitSetup
		}
		defer os.Remove(cfg.PIDFile)
	}
	log.Flush() // before the destinations stdout and stderr go
	daemonReport(exitOK)
	s.notify("READY=1")
	if interval := watchdogInterval(); interval > 0 {
		go s.watchdog(interval)
	}
	return s.run(waiting)
}

// writePIDFile writes the file of `pid_file`. One of root's that has this process in it already, as start-stop-daemon
// --make-pidfile leaves it, will do.
func writePIDFile(path string) error {
	pid := strconv.Itoa(os.Getpid())
	err := os.WriteFile(path, []byte(pid), 0o644)
	if err != nil {
		if text, _ := os.ReadFile(path); strings.TrimSpace(string(text)) == pid {
			return nil
		}
	}
	return err
}

// setupStatus is the exit status for what start could not do: a file of users or rights is wrong, or cannot be read.
func setupStatus(err error) int {
	var wrong auth.Errors
	var unreadable auth.Error
	var plugin pluginError
	switch {
	case errors.As(err, &wrong):
		return exitConfig
	case errors.As(err, &unreadable), errors.As(err, &plugin):
		return exitPlugin
	}
	return exitSetup
}

// run does what signals ask for until one of them ends it.
func (s *server) run(waiting *signals) int {
	for {
		select {
		case <-waiting.stop:
			return s.end(waiting.stop)
		case <-waiting.reload:
			// It may check many passwords again; a stop does not wait for that.
			done := make(chan bool, 1)
			go func() { done <- s.reload() }()
			ok := false
			select {
			case ok = <-done:
			case <-waiting.stop:
				return s.end(waiting.stop)
			}
			if !ok {
				if status := s.end(waiting.stop); status != exitOK {
					return status
				}
				return exitConfig
			}
		case <-waiting.rotate:
			s.reopenLog()
		case <-waiting.save:
			if err := s.hooks.save(); err != nil {
				s.log.Logf(logging.Error, "Error: save: %s", err)
			}
		case <-waiting.tree:
			s.printTree()
		}
	}
}

// end stops the broker. A second signal does not wait for it.
func (s *server) end(again <-chan os.Signal) int {
	s.log.Logf(logging.Information, "noctule version %s terminating", version)
	s.notify("STOPPING=1")
	done := make(chan error, 1)
	go func() { done <- s.stop() }()
	began := time.Now()
	for {
		select {
		case err := <-done:
			logStop(s.log, err)
			return exitOK
		case <-again:
			if time.Since(began) < sameSignal {
				continue
			}
			s.log.Logf(logging.Warning, "Warning: a second signal ended the stop before it was complete.")
			return exitSetup
		}
	}
}

// sameSignal is how long after the first a signal to stop still counts as the same: timeout(1) sends it to its child, and
// then to the group that the child is in.
const sameSignal = time.Second

func logStop(log *logging.Log, err error) {
	if err != nil {
		logErrors(log, fmt.Errorf("stop: %w", err))
	}
}

// printTree writes the subscription tree to stdout, as Mosquitto does. Whoever reads it may be slow, so it has a
// goroutine; a signal that comes meanwhile adds nothing.
func (s *server) printTree() {
	if s.printing.Swap(true) {
		return
	}
	go func() {
		defer s.printing.Store(false)
		var text strings.Builder
		if err := s.hooks.tree(&text); err != nil {
			s.log.Logf(logging.Error, "Error: print the subscription tree: %s", err)
			return
		}
		_, _ = io.WriteString(os.Stdout, text.String()) // nobody to tell
	}()
}

// reopenLog closes and opens the log file.
func (s *server) reopenLog() {
	if err := s.log.Reopen(); err != nil {
		logErrors(s.log, err)
	}
}
