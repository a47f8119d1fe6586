package config

// LogConfig is where log lines go, which of them, and what stands before each.
type LogConfig struct {
	Dest            []LogDest
	Types           LogTypes
	Timestamp       bool
	TimestampFormat string // strftime(3); empty means Unix seconds
	Facility        int    // syslog local0 to local7; -1 means daemon
	JSON            bool   // one object a line instead of Mosquitto's form
}

// LogDest is one destination of log lines. An empty list of them means no log.
type LogDest struct {
	Kind string // stderr, stdout, file, syslog, topic; dlt and android, which this build does not write to
	Path string // of a file
}

func defaultLog() LogConfig {
	types, _ := logType("error")
	for _, name := range []string{"warning", "notice", "information"} {
		t, _ := logType(name)
		types |= t
	}
	return LogConfig{Dest: []LogDest{{Kind: "stderr"}}, Types: types, Timestamp: true, Facility: -1}
}

// LogTypes is a set of log types.
type LogTypes uint16

// logTypeNames are the values of log_type that name one type; a type's bit is its place here.
var logTypeNames = [...]string{"error", "warning", "notice", "information", "debug", "subscribe", "unsubscribe", "websockets", "internal"}

// logType returns the bit of a type.
func logType(name string) (t LogTypes, ok bool) {
	for i, n := range logTypeNames {
		if n == name {
			return 1 << i, true
		}
	}
	return 0, false
}

// Has is whether a type, named as in the file, is in the set.
func (t LogTypes) Has(name string) bool {
	bit, _ := logType(name)
	return t&bit != 0
}

// String lists the types as in the file.
func (t LogTypes) String() string {
	s := ""
	for i, name := range logTypeNames {
		if t&(1<<i) != 0 {
			if s != "" {
				s += " "
			}
			s += name
		}
	}
	if s == "" {
		return "none"
	}
	return s
}
