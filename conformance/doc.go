// Package conformance holds the broker to the MQTT specification from outside: it starts the real command, speaks to it
// over real sockets in bytes of its own making, and compares what comes back, byte by byte where the answer is fixed.
//
// It owns the list of normative statements (statements.tsv), the tests that hold them, and the generator (gen) that
// writes docs/conformance.md from both. It refuses to know the broker's own packages: a mistake in codec must not be
// able to hide itself here, so packets are built and read by this package alone.
//
// NOCTULE_E2E_BROKER names a broker to test instead of the one in cmd/noctule; Debian's /usr/sbin/mosquitto serves as a
// check of the tests themselves. Read wire_test.go first, then packet_test.go and broker_test.go.
package conformance
