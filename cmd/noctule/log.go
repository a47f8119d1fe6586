package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/noctulemq/noctule/config"
	"github.com/noctulemq/noctule/logging"
	"github.com/noctulemq/noctule/shard"
)

// logTypes are the types of the log by their names in the configuration.
var logTypes = [...]logging.Type{
	logging.Error, logging.Warning, logging.Notice, logging.Information, logging.Debug,
	logging.Subscribe, logging.Unsubscribe, logging.Websockets, logging.Internal,
}

// logOptions is where the log goes and what of it.
func logOptions(c config.LogConfig) logging.Options {
	o := logging.Options{
		Facility: c.Facility, Name: filepath.Base(os.Args[0]),
		Timestamp: c.Timestamp, TimestampFormat: c.TimestampFormat, JSON: c.JSON,
	}
	for _, d := range c.Dest {
		switch d.Kind {
		case "stderr":
			o.Stderr = true
		case "stdout":
			o.Stdout = true
		case "file":
			o.File = d.Path
		case "syslog":
			o.Syslog = true
		case "topic":
			o.Topic = true
		}
	}
	for _, t := range logTypes {
		if c.Types.Has(t.String()) {
			o.Types = o.Types.With(t)
		}
	}
	return o
}

// openLog starts the log. A destination that cannot be opened is said on stderr and does not stop the broker, as with
// Mosquitto.
func openLog(c config.LogConfig) *logging.Log {
	log, err := logging.Open(logOptions(c))
	if err != nil && c.Types != 0 {
		for line := range strings.Lines(err.Error()) {
			fmt.Fprintf(os.Stderr, "Error: %s\n", strings.TrimSuffix(line, "\n"))
		}
		if hint := rightsHint(err); hint != "" {
			fmt.Fprintf(os.Stderr, "Error: %s\n", hint)
		}
	}
	return log
}

// logErrors logs an error, or each of several.
func logErrors(log *logging.Log, err error) {
	for line := range strings.Lines(err.Error()) {
		line = strings.TrimSuffix(line, "\n")
		log.Logf(logging.Error, "Error: %s", strings.TrimPrefix(line, "Error: "))
	}
	logRights(log, err)
}

// logRights says who needs the rights that an error is about, if it is about rights.
func logRights(log *logging.Log, err error) {
	if hint := rightsHint(err); hint != "" {
		log.Log(logging.Error, "Error: "+hint)
	}
}

// shardLog is the log as the shards see it.
type shardLog struct{ log *logging.Log }

// shardTypes are the shards' types in the log.
var shardTypes = [...]logging.Type{
	shard.LogError:       logging.Error,
	shard.LogWarning:     logging.Warning,
	shard.LogNotice:      logging.Notice,
	shard.LogInformation: logging.Information,
	shard.LogDebug:       logging.Debug,
	shard.LogSubscribe:   logging.Subscribe,
	shard.LogUnsubscribe: logging.Unsubscribe,
}

// Enabled implements shard.Logger.
func (l shardLog) Enabled(t shard.LogType) bool { return l.log.Enabled(shardTypes[t]) }

// Log implements shard.Logger.
func (l shardLog) Log(t shard.LogType, line string) { l.log.Log(shardTypes[t], line) }

// topicSink publishes the lines of `log_dest topic` into the broker.
type topicSink struct{ broker *shard.Broker }

// Publish implements logging.Sink. A line that the broker is too busy for is not published.
func (s topicSink) Publish(topic, line string) {
	_ = s.broker.Inject(shard.Injection{Origin: "$SYS/broker/log", Topic: topic, Payload: []byte(line), QoS: 2}, nil)
}
