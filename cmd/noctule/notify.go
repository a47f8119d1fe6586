package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/noctulemq/noctule/logging"
)

// notify tells the service manager how far the broker is, as sd_notify(3) does: READY=1, RELOADING=1, STOPPING=1, WATCHDOG=1.
// Without NOTIFY_SOCKET nobody asks. Debian's mosquitto.service has Type=notify and ends a broker that never says that it is ready.
func (s *server) notify(state string) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	if rest, abstract := strings.CutPrefix(path, "@"); abstract {
		path = "\x00" + rest
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err == nil {
		_, err = c.Write([]byte(state))
		c.Close()
	}
	if err != nil {
		s.log.Logf(logging.Warning, "Warning: the service manager could not be told %s: %s", state, err)
	}
}

// reloading is what a service manager with Type=notify-reload wants to be told when a reload begins.
func reloading() string {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return "RELOADING=1"
	}
	return fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", now.Nano()/1000)
}

// watchdogInterval is how often the service manager wants a sign of life at least; 0: never.
func watchdogInterval() time.Duration {
	if pid := os.Getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0
	}
	n, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil || n <= 0 || n > int64(24*time.Hour/time.Microsecond) {
		return 0
	}
	return time.Duration(n) * time.Microsecond
}

// watchdog gives signs of life, twice in each interval, for as long as every loop turns. It never ends.
func (s *server) watchdog(interval time.Duration) {
	for range time.Tick(interval / 2) {
		if s.broker.Turns(interval / 2) {
			s.notify("WATCHDOG=1")
		} else {
			s.log.Logf(logging.Error, "Error: a loop has not turned for %s: the service manager's watchdog is not told that all is well.", interval/2)
		}
	}
}
