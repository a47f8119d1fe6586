// Package loop runs one event loop per core: epoll, sockets, output, timers, and the rings between loops. It moves
// bytes and mail and knows no MQTT.
//
// A loop's thread owns everything of the loop; other threads reach it through Submit only, other loops through their
// rings. A turn polls, handles events and mail, continues what an earlier turn left, runs due timers, lets the
// handler finish (EndTurn), flushes each connection that was written to once, closes, and wakes the loops it posted to.
//
// Everything the loop asks of the operating system stands in os.go, with a real and a simulated implementation. Read
// loop.go first, then conn.go (reading), output.go (writing), ring.go and timer.go. The bounds are in limits.go.
package loop
