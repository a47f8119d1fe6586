package config

import "time"

// Bounds on what a file may hold, so that a wrong path (a device, a core dump) is an error and not a memory problem.
const (
	// fileBytesMax bounds one file; the longest known real configurations have some hundred kilobytes.
	fileBytesMax = 4 << 20
	// filesMax bounds the files of all include_dir together.
	filesMax = 1024
	// errorsMax ends the reading of a file that is no configuration at all.
	errorsMax = 100
	// notesMax bounds what is said at start.
	notesMax = 100
	// pluginsMax bounds the plugins of a configuration.
	pluginsMax = 256
	// bridgesMax bounds the bridges of a configuration.
	bridgesMax = 1024
	// listenersMax bounds the listeners of a configuration.
	listenersMax = 1024
)

// Bounds of values.
const (
	// LoopsMax is how many loops a broker may have: one bit each in a mask of 64.
	LoopsMax = 64
	// autoIDPrefixMax is Mosquitto's bound on the length of a prefix of assigned client identifiers.
	autoIDPrefixMax = 50
	// payloadMax is the largest MQTT payload.
	payloadMax = 268_435_455
	// packetSizeMin is the smallest max_packet_size: below it clients cannot do much.
	packetSizeMin = 20
	// expirationMax caps persistent_client_expiration where a longer time means never for all practical purposes and
	// still fits the arithmetic of nanoseconds.
	expirationMax = 100 * 365 * 24 * time.Hour
	// timeoutMaxSeconds bounds connect_timeout and shutdown_timeout.
	timeoutMaxSeconds = 3600
	// syncMaxSeconds bounds persistence_sync_interval.
	syncMaxSeconds = 3600
)
