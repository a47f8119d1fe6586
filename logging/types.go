package logging

import "log/syslog"

// Type is what a line is about, one of the values of `log_type`.
type Type uint8

// The types.
const (
	Error Type = iota
	Warning
	Notice
	Information
	Debug
	Subscribe
	Unsubscribe
	Websockets
	Internal

	typesLen
)

// kinds is how the destinations name the types. Debug and internal lines are in no topic: what the broker logs about
// the delivery of a log line would be a log line again.
var kinds = [typesLen]struct {
	name, topic string
	severity    syslog.Priority
}{
	Error:       {"error", "$SYS/broker/log/E", syslog.LOG_ERR},
	Warning:     {"warning", "$SYS/broker/log/W", syslog.LOG_WARNING},
	Notice:      {"notice", "$SYS/broker/log/N", syslog.LOG_NOTICE},
	Information: {"information", "$SYS/broker/log/I", syslog.LOG_INFO},
	Debug:       {"debug", "", syslog.LOG_DEBUG},
	Subscribe:   {"subscribe", "$SYS/broker/log/M/subscribe", syslog.LOG_NOTICE},
	Unsubscribe: {"unsubscribe", "$SYS/broker/log/M/unsubscribe", syslog.LOG_NOTICE},
	Websockets:  {"websockets", "$SYS/broker/log/WS", syslog.LOG_DEBUG},
	Internal:    {"internal", "", syslog.LOG_DEBUG},
}

// String is the type as `log_type` names it.
func (t Type) String() string { return kinds[t].name }

// Types is a set of types.
type Types uint16

// AllTypes is every type there is.
const AllTypes Types = 1<<typesLen - 1

// With returns the set with t in it.
func (s Types) With(t Type) Types { return s | 1<<t }

// Has is whether t is in the set.
func (s Types) Has(t Type) bool { return s&(1<<t) != 0 }
