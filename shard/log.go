package shard

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"syscall"

	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/loop"
)

// LogType is one of Mosquitto's log types that the broker proper writes.
type LogType uint8

// Log types, as `log_type` names them.
const (
	LogError LogType = iota
	LogWarning
	LogNotice
	LogInformation
	LogDebug
	LogSubscribe
	LogUnsubscribe
)

// Logger takes finished lines. Log must not block and may be called from every loop.
type Logger interface {
	Enabled(t LogType) bool
	Log(t LogType, line string)
}

// Discard is a Logger that keeps nothing.
type Discard struct{}

// Enabled implements Logger.
func (Discard) Enabled(LogType) bool { return false }

// Log implements Logger.
func (Discard) Log(LogType, string) {}

// minute numbers the minutes of the loop's clock from 1, for lines that are written once in each.
func (s *Shard) minute() uint32 { return uint32(s.loop.Now()/(60*second)) + 1 }

func (s *Shard) logf(t LogType, format string, args ...any) {
	if s.log.Enabled(t) {
		s.log.Log(t, fmt.Sprintf(format, args...))
	}
}

// address is where a client comes from, as Mosquitto writes it: ADDR:PORT, also for IPv6.
func (c *client) address() string {
	if c.conn == nil {
		return "attached"
	}
	return addressColon(c.conn)
}

// addressColon is the peer's address, or the path of the Unix socket with the port 0, as Mosquitto writes it.
func addressColon(conn *loop.Conn) string {
	if l, ok := conn.Listener().Tag.(*Listener); ok && !conn.Remote().IsValid() {
		if path := l.Settings().Config.SocketPath; path != "" {
			return path + ":0"
		}
	}
	return addressText(conn.Remote())
}

func addressText(a netip.AddrPort) string {
	if !a.IsValid() {
		return "local"
	}
	return a.Addr().Unmap().String() + ":" + strconv.Itoa(int(a.Port()))
}

// protocolNumber is the p of a connection message.
func protocolNumber(v codec.Version) int {
	switch v {
	case codec.V31:
		return 1
	case codec.V311:
		return 2
	}
	return 5
}

func (s *Shard) logConnected(c *client, p *codec.Connect) {
	if !s.cfg.ConnectionMessages || !s.log.Enabled(LogNotice) {
		return
	}
	clean := 0
	if p.CleanStart {
		clean = 1
	}
	user := ""
	if who := c.session.who; who != nil && who.UserName != "" {
		user = ", u'" + who.UserName + "'"
	}
	s.log.Log(LogNotice, fmt.Sprintf("New client connected from %s as %s (p%d, c%d, k%d%s).",
		c.address(), c.session.id, protocolNumber(c.version), clean, c.keepAlive, user))
}

func (s *Shard) logLeft(c *client, ss *session, why cause) {
	if !s.cfg.ConnectionMessages || !s.log.Enabled(LogNotice) {
		return
	}
	s.log.Log(LogNotice, fmt.Sprintf("Client %s [%s] %s%s", ss.id, c.address(), why.text, why.detail))
}

// logNew says that a connection was made.
func (s *Shard) logNew(conn *loop.Conn, set *ListenerSettings) {
	if s.cfg.ConnectionMessages && s.log.Enabled(LogNotice) {
		s.log.Log(LogNotice, fmt.Sprintf("New connection from %s on port %d.", addressColon(conn), set.Config.Port))
	}
}

// logRefused says why a connection ended before it was a client.
func (s *Shard) logRefused(c *client, why cause) {
	if !s.cfg.ConnectionMessages || !s.log.Enabled(LogNotice) {
		return
	}
	s.log.Log(LogNotice, fmt.Sprintf("Client %s [%s] %s%s", s.refusedID(c), c.address(), why.text, s.detail))
}

// refusedID is the identifier of a client that is not connected, as its CONNECT in hand or its pending login has it.
func (s *Shard) refusedID(c *client) string {
	switch {
	case c.login != nil:
		return c.login.who.ID
	case s.in.connect.ClientID == "" || c.version == 0:
		return "<unknown>"
	}
	return s.in.connect.ClientID
}

// causeClosed is why a socket ended by itself.
func causeClosed(err error) cause {
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		return cause{text: "closed its connection."}
	}
	return cause{text: "disconnected: " + err.Error() + "."}
}

func (s *Shard) logRetainedFull(topic string) {
	minute := s.minute()
	if s.count.retainedLogMinute == minute {
		return
	}
	s.count.retainedLogMinute = minute
	s.logf(LogWarning, "Retained message on %q was not stored: max_retained_messages or max_retained_bytes is reached.", topic)
}
