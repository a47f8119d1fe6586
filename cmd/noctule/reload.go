package main

import (
	"slices"

	"github.com/noctulemq/noctule/config"
	"github.com/noctulemq/noctule/logging"
)

// reload reads the configuration again and puts it into force: all of it, or nothing when anything in it is wrong. The log
// file is reopened in any case. It returns false when the broker must end because `reload_failure exit` says so.
func (s *server) reload() bool {
	s.notify(reloading())
	defer s.notify("READY=1")
	s.log.Log(logging.Information, "Reloading config.")
	var next *config.Config
	err := s.hooks.reload(func() (_ *config.Config, err error) {
		next, err = loadConfig(s.flags)
		if err == nil {
			err = startable(next)
		}
		return next, err
	})
	if err != nil {
		logErrors(s.log, err)
		s.log.Log(logging.Error, "Error: The configuration has not been changed.")
		s.reopenLog()
		return !s.cfg.ReloadFailureExit
	}
	if err := s.log.Configure(logOptions(next.Log)); err != nil {
		logErrors(s.log, err)
	}
	for _, n := range next.Notes {
		if !slices.Contains(s.cfg.Notes, n) {
			s.log.Logf(logging.Warning, "Warning: %s", n)
		}
	}
	logChanges(s.log, s.cfg, next)
	s.sys.SetInterval(sysInterval(next))
	s.cfg = next
	return true
}

// logChanges says what a reload changed, and what of it waits for the next start.
func logChanges(log *logging.Log, old, next *config.Config) {
	for _, c := range config.Diff(old, next) {
		if c.Restart {
			log.Logf(logging.Warning, "Warning: %s at the next start of the broker only.", c)
		} else {
			log.Logf(logging.Information, "Config changed: %s.", c)
		}
	}
}
