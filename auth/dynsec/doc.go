// Package dynsec is Mosquitto's dynamic security: clients, groups, roles and their ACLs, changed by JSON commands while
// the broker runs and kept in one JSON file. It answers the commands of $CONTROL/dynamic-security/v1 byte for byte as
// Mosquitto 2.0 does, and either reads the other's file; README.md lists the differences.
//
// All that is configured is one immutable snapshot behind an atomic pointer. Logins and rights read it without a lock.
// Handle makes the next one under one mutex, saves it, and only then publishes it: a change that could not be saved did
// not happen. The tables of a snapshot are sorted slices, so a message that changes something copies one pointer for
// each client once, and every list is in order without sorting.
//
// It knows no sockets and no topics of its own: the broker hands over payloads, sends the response, and disconnects
// whom Options.Kick matches. Start with plugin.go, then snapshot.go; commands are in commands.go and the files beside it.
package dynsec
