// Package parity holds Noctule against Debian's Mosquitto, from outside. It has tests only.
//
// Conversations are scripts that send packets over one or several connections and note everything that comes back. Each
// one runs against both brokers with the same configuration, and the two notes must be the same, byte by byte. Where they
// are not, testdata/differences.txt has both notes and the reason; docs/parity-conversations.md is made from that file.
// Configurations in testdata/configs are files as people have them: both brokers must take them and behave the same.
//
// Read script_test.go first. `go test ./parity -update` writes differences.txt and the document anew; a new difference
// then stands there without a reason, and the test fails until somebody has written one.
package parity
