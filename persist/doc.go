// Package persist keeps the broker's state over a restart: sessions with their subscriptions, queues and windows, QoS 2
// identifiers, retained messages and wills. It knows no sockets, no loops and no MQTT beyond the names of things.
//
// Read persist.go first: the whole interface. README.md says what is written where, byte by byte, and what may be lost when.
package persist
