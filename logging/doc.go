// Package logging writes the broker's log: Mosquitto's line shapes and destinations, and JSON. Lines are appended to a
// bounded queue from any thread and written by one goroutine, so that a slow disk or terminal never stops a loop.
//
// It knows no configuration file, no broker and no clients: the command translates its configuration into Options, and a
// Sink publishes the lines of `log_dest topic`. Read log.go first.
package logging
