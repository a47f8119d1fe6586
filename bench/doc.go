// Package bench is `noctule bench`: load programs that talk to any MQTT broker over the wire, and their scenarios.
//
// It owns the question "what does a delivered message cost the broker's machine?": a broker here is a process that speaks
// MQTT, ours or anyone's. Nothing in this room imports the broker (codec is the one package of ours that it may use), so
// a mistake of the broker cannot hide in its own yardstick.
//
// For each run a broker is started on a free loopback port, bound to one CPU, driven from another, and stopped. Within a
// repetition the brokers take turns, so that a disturbance of the machine meets all of them. The generator is one thread
// with an epoll loop of its own on raw sockets, because at these rates a library's scheduler is what would be measured;
// the broker's CPU is its process clock in the kernel, which on loopback includes the kernel's work for what the broker
// sends. The same run checks that nothing was lost, doubled, reordered or damaged. A broker must be one process that stays
// in the foreground.
//
// In scenarios with a transport clients speak TLS or WebSocket from the same loop; what waits together is sealed together
// (wrapping.go).
//
// In durable scenarios brokers store on the disk, below the directory of -dir, and the time until a message is acknowledged
// is measured beside what the disk was given (durable.go); restart fills a broker, stops it, and waits until it serves what
// it had (reopen.go).
//
// The sub-commands conn, pub and sub are something else: tools for trying out a broker by hand or from afar, over TCP, TLS,
// WebSocket and Unix sockets, with a goroutine for each client (tool*.go, dial.go, websocket.go).
//
// Files to read: main.go (the sub-commands), scenario.go and scenarios/ (the loads), engine.go and traffic.go (the loop),
// measure.go (what one run counts), relay.go (the floor).
package bench
