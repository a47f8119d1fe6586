// Package crash ends the real broker at random moments, by SIGKILL and by a power cut, and holds it to what it had
// acknowledged. It has tests only, and knows the broker from outside: a program, a directory, a port.
//
// Clients publish, subscribe and acknowledge as the specification wants it of a client that keeps its session on disk, and
// note everything that happens to each message. After some rounds everything is let through, and the notes must show: what
// was acknowledged arrived, QoS 2 once, in order, and nothing else. Retained messages and subscriptions are looked at after
// each restart. The moments and the traffic follow from a seed; when what happens in between is up to the machine.
//
// The rig proves itself with Debian's Mosquitto, which must be found to lose messages when it is killed and not when it is
// stopped, and with files that were and were not synced before a cut.
//
// Read history_test.go first: what is noted, and check. Then world_test.go.
package crash
