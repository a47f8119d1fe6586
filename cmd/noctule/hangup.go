package main

import (
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/noctulemq/noctule/shard"
)

// signalMarker is a signal that nobody sends to a broker; by default it is ignored.
const signalMarker = syscall.SIGWINCH

// markerPatience is how long a login waits for a marker, which takes some 50 µs.
const markerPatience = 200 * time.Millisecond

// hangups is SIGHUP. Whoever sends it and then opens a connection expects the new files to hold for it, as they do in a broker
// of one thread. Here the signal is handled by one thread and the connection by others; so a login, before files are asked,
// sends a marker the same way and waits until it is through.
type hangups struct {
	broker atomic.Pointer[shard.Broker] // whose logins wait for reloads, once it is there
	marker chan struct{}                // a marker is through
	mu     struct {
		sync.Mutex
		sent time.Time // when the last marker was sent
	}
}

// catch tells of SIGHUP: one that waits stands for all.
func (h *hangups) catch() <-chan struct{} {
	both, reload := make(chan os.Signal, 16), make(chan struct{}, 1)
	h.marker = make(chan struct{}, 1)
	signal.Notify(both, syscall.SIGHUP, signalMarker)
	go func() {
		for sig := range both {
			to := h.marker
			if sig == syscall.SIGHUP {
				to = reload
				if b := h.broker.Load(); b != nil {
					b.ExpectReload()
				}
			}
			select {
			case to <- struct{}{}:
			default:
			}
		}
	}()
	return reload
}

// await returns when each SIGHUP that was sent before since is known to the broker. The goroutine must be locked to its thread.
func (h *hangups) await(since time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.mu.sent.After(since) {
		return
	}
	h.mu.sent = time.Now()
	select {
	case <-h.marker: // of somebody else
	default:
	}
	// On its way back from the first call the thread handles, if no other has begun to, each signal that waits for the process.
	// The runtime has signals of the same moment come by number: SIGHUP is the first.
	pid, thread := os.Getpid(), unix.Gettid()
	_ = unix.Tgkill(pid, thread, unix.SIGURG) // of no meaning, as the runtime sends it to itself
	_ = unix.Tgkill(pid, thread, signalMarker)
	select {
	case <-h.marker:
	case <-time.After(markerPatience):
	}
}
