package main

import (
	"net"
	"os"
	"strings"

	"github.com/noctulemq/noctule/logging"
)

// notify tells the service manager how far the broker is, as sd_notify(3) does: READY=1, STOPPING=1. Without NOTIFY_SOCKET
// nobody asks. Debian's mosquitto.service has Type=notify and ends a broker that never says that it is ready.
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
