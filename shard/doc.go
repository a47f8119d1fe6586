// Package shard is the broker proper, one Shard per event loop: clients, sessions, QoS, delivery, wills, shared
// subscriptions and retained messages.
//
// A shard owns everything of the client identifiers whose home is its loop and runs on that loop's thread only, so
// nothing in it is locked. Shards reach each other by mail through the loops' rings (the kinds are in shard.go) and
// share a few atomics and the interest table. Everything that is not a socket comes in by the two doors of
// inject.go: Inject and Attach.
//
// It knows no sockets, no files and no wall clock: time is the loop's. Read client.go first (the way of a packet),
// then route.go (the way of a message), outbound.go (the window and the queue) and retained.go (why a new subscriber
// misses nothing).
package shard
