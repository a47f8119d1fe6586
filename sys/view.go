package sys

import (
	"runtime/metrics"
	"time"

	"github.com/noctulemq/noctule/shard"
)

// view is what the payloads are made of: the figures of now, and what is derived from them and from earlier ones.
type view struct {
	version string
	start   time.Time

	now     time.Time
	seconds float64 // since the figures before; 0: these are the first
	figures shard.Snapshot
	before  []shard.LoopSnapshot

	// Sums over the loops.
	accepts, bytesIn, bytesOut uint64
	unsent                     int64 // bytes

	loads      [loadCount]load
	clientsMax int64
	// Bytes of the Go heap that are in use, and the most that an update saw.
	heap, heapMax uint64
}

// The counters whose loads are published.
const (
	loadMessagesReceived = iota
	loadMessagesSent
	loadPublishDropped
	loadPublishReceived
	loadPublishSent
	loadBytesReceived
	loadBytesSent
	loadSockets
	loadConnections
	loadCount
)

// take makes s, which the view keeps, the present figures.
func (v *view) take(s *shard.Snapshot, now time.Time) {
	v.seconds = 0
	if !v.now.IsZero() {
		v.seconds = now.Sub(v.now).Seconds()
	}
	v.before, v.figures, v.now = v.figures.Loops, *s, now
	v.accepts, v.bytesIn, v.bytesOut, v.unsent = 0, 0, 0, 0
	for i := range s.Loops {
		l := &s.Loops[i].Stats
		v.accepts += l.Accepts
		v.bytesIn += l.BytesIn
		v.bytesOut += l.BytesOut
		v.unsent += l.Unsent
	}
	v.clientsMax = max(v.clientsMax, v.clientsTotal())
	v.readHeap()
	if v.seconds > 0 {
		for i, count := range [loadCount]uint64{
			loadMessagesReceived: s.Packets,
			loadMessagesSent:     v.packetsSent(),
			loadPublishDropped:   v.dropped(),
			loadPublishReceived:  sum(s.Received),
			loadPublishSent:      sum(s.Sent),
			loadBytesReceived:    v.bytesIn,
			loadBytesSent:        v.bytesOut,
			loadSockets:          v.accepts,
			loadConnections:      s.Connects + s.RefusedConnects,
		} {
			v.loads[i].update(count, v.seconds)
		}
	}
}

// readHeap samples the heap without stopping anything.
func (v *view) readHeap() {
	sample := [1]metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample[:])
	if sample[0].Value.Kind() == metrics.KindUint64 {
		v.heap = sample[0].Value.Uint64()
		v.heapMax = max(v.heapMax, v.heap)
	}
}

// clientsTotal is the sessions there are. The counts of clients and sessions are read one after the other, so a client
// may be in one of them only.
func (v *view) clientsTotal() int64 { return max(v.figures.Sessions, v.figures.Clients) }

func (v *view) packetsSent() uint64 { return sum(v.figures.Sent) + v.figures.Answers }

func (v *view) dropped() uint64 {
	return v.figures.DroppedQueued + v.figures.DroppedOutput + v.figures.DroppedShared
}

// unsentPackets estimates how many packets the unsent bytes are, from the mean size of what was sent: output is a stream
// in which packets are not counted.
func (v *view) unsentPackets() int64 {
	if v.unsent <= 0 {
		return 0
	}
	perByte := float64(v.packetsSent()) / float64(v.bytesOut+uint64(v.unsent))
	return max(1, int64(float64(v.unsent)*perByte))
}

// wakeups returns how often loop i woke up since the figures before, and how many messages it received and sent.
func (v *view) wakeups(i int) (wakeups, messages uint64) {
	now, before := &v.figures.Loops[i], &v.before[i]
	messages = sum(now.Counters.Received) + sum(now.Counters.Sent) - sum(before.Counters.Received) - sum(before.Counters.Sent)
	return now.Stats.Sleeps - before.Stats.Sleeps, messages
}

func sum(n [3]uint64) uint64 { return n[0] + n[1] + n[2] }
