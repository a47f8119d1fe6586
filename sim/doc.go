// Package sim runs the whole broker, one to four loops with their shards, over a simulated network and clock, and
// holds it to a naive model. It has tests only.
//
// Everything that happens follows from a seed: the configuration, what the clients do, how bytes are split, which
// loop takes the next turn, also in the middle of another one's system call. A failure prints the seed and the
// command that replays it.
//
// The model does not predict the one right outcome; while things cross each other there are several. It keeps, with
// steps of the driver for times, when each message was sent and surely routed, and when each subscription may and
// must have been in force, and derives from that what a session must, may and must not receive. Read driver_test.go and
// world_test.go first, then model_test.go.
package sim
