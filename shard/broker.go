package shard

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/noctulemq/noctule/config"
	"github.com/noctulemq/noctule/loop"
	"github.com/noctulemq/noctule/persist"
	"github.com/noctulemq/noctule/router"
	"github.com/noctulemq/noctule/transport"
)

// Broker is the shards of all loops and what they share. What is shared is immutable, or atomic, or synchronises
// itself; a shard's own state is reached by mail only.
type Broker struct {
	// Immutable after start.
	log      Logger
	group    *loop.Group
	shards   []*Shard
	loops    int
	hasher   router.Hasher
	interest *router.Interest
	strategy router.Strategy
	seed     uint64
	workers  *loop.Workers
	control  *control      // nil without a Control
	store    persist.Store // nil: nothing is stored
	wall     func() int64  // Unix milliseconds
	// listeners is where restored messages may have come from.
	listeners []*Listener
	flows     addressFlows

	messages messagePools
	parcels  parcels

	// cfg is replaced by a reload. reloads is held by one to its end; logins that look at files wait until it is in force.
	cfg          atomic.Pointer[config.Config]
	reloads      sync.Mutex
	reloading    reloading
	awaitSignals func(since time.Time) // may be nil

	// Any thread, atomic.
	retainVersion                atomic.Uint64
	retainedCount, retainedBytes atomic.Int64
	connections                  atomic.Int64
	clients                      atomic.Int64
	sessions                     atomic.Int64
	stopped                      atomic.Bool
	trouble                      atomic.Bool   // nothing can be stored at present
	sessionNumber                atomic.Uint64 // the last one given to a durable session
}

// Listener is where clients come in: its settings, which a reload replaces, and its count.
type Listener struct {
	settings    atomic.Pointer[ListenerSettings]
	connections atomic.Int64
}

// ListenerSettings are immutable.
type ListenerSettings struct {
	Config config.Listener
	Access Access
	// Transport gives connections their layers; nil: they are plain MQTT.
	Transport Transport
}

// Transport is what stands between the sockets of a listener and MQTT. Layers returns the layers of a connection that was just
// opened, the lowest first, and what they tell about it, on the connection's loop.
type Transport interface {
	Layers(c *loop.Conn) ([]loop.Layer, *transport.Peer)
}

// NewListener makes the tag of a listening socket.
func NewListener(cfg config.Listener, access Access) *Listener {
	l := &Listener{}
	l.Use(&ListenerSettings{Config: cfg, Access: access})
	return l
}

// Use puts settings in place before the broker starts; afterwards Reload does.
func (l *Listener) Use(s *ListenerSettings) { l.settings.Store(s) }

// Settings returns the settings of this moment. Any thread.
func (l *Listener) Settings() *ListenerSettings { return l.settings.Load() }

// Options is what a broker is made of. Config must not change afterwards.
type Options struct {
	Config *config.Config
	Log    Logger
	// Seed keys the hashes and the assigned client identifiers. Take it from a cryptographic source.
	Seed uint64
	// Group is the loops; the broker becomes their handler.
	Group *loop.Group
	// Control answers what is published to $CONTROL topics; nil: nobody does.
	Control Control
	// Store keeps what must outlive the broker; nil: nothing does. Whoever opened it closes it after Stop.
	Store persist.Store
	// AwaitSignals returns when ExpectReload was called for each signal that asked for a reload before since. It is called on
	// threads of their own that may wait; nil: nothing is waited for.
	AwaitSignals func(since time.Time)
	// Listeners are those of which restored messages may come.
	Listeners []*Listener
	// Wall returns Unix milliseconds; nil: the machine's clock.
	Wall func() int64
}

// New makes a broker on the loops of o.Group, one shard each.
func New(o Options) *Broker {
	b := &Broker{log: o.Log, group: o.Group, loops: o.Group.Len(), hasher: router.NewHasher(o.Seed), seed: o.Seed, store: o.Store, wall: o.Wall, listeners: o.Listeners, awaitSignals: o.AwaitSignals}
	b.reloading.changed.L = &b.reloading
	if b.wall == nil {
		b.wall = func() int64 { return time.Now().UnixMilli() }
	}
	b.cfg.Store(o.Config)
	if b.log == nil {
		b.log = Discard{}
	}
	b.workers = loop.NewWorkers(LoginWorkers(o.Config, b.loops), o.Config.AuthQueueLimit)
	b.control = newControl(o.Control)
	switch o.Config.SharedStrategy {
	case "sticky":
		b.strategy = router.Sticky
	case "hash-client":
		b.strategy = router.HashClient
	case "hash-topic":
		b.strategy = router.HashTopic
	}
	if b.loops > 1 {
		b.interest = router.NewInterest()
	}
	for i := range b.loops {
		s := newShard(b, i, o.Group.Loop(i))
		b.shards = append(b.shards, s)
		o.Group.Loop(i).SetHandler(s)
	}
	return b
}

// LoginWorkers is how many threads check passwords beside that many loops.
func LoginWorkers(cfg *config.Config, loops int) int {
	if cfg.AuthWorkers > 0 {
		return cfg.AuthWorkers
	}
	return loops
}

// home returns the loop where a name (client identifier, shared group) lives.
func (b *Broker) home(name string) int {
	if b.loops == 1 {
		return 0
	}
	h := b.seed ^ 0xcbf29ce484222325
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 0x100000001b3
	}
	h ^= h >> 32
	h *= 0x9e3779b97f4a7c15
	return int((h >> 33) % uint64(b.loops))
}

// admitConnection counts an accepted socket against the limits of its listener and of the broker.
func (b *Broker) admitConnection(l *Listener) bool {
	if n := b.connections.Add(1); over(n, b.config().GlobalMaxConnections) {
		b.connections.Add(-1)
		return false
	}
	if n := l.connections.Add(1); over(n, l.Settings().Config.MaxConnections) {
		l.connections.Add(-1)
		b.connections.Add(-1)
		return false
	}
	return true
}

// over reports whether n passes a limit, of which -1 is none.
func over(n int64, limit int) bool { return limit >= 0 && n > int64(limit) }

func (b *Broker) releaseConnection(l *Listener) {
	l.connections.Add(-1)
	b.connections.Add(-1)
}

// admitRetained reports whether a retained message fits in place of old, which may be nil. Partitions ask at the same
// time, so the bound may be passed by one message for each loop.
func (b *Broker) admitRetained(old, m *Message) bool {
	cfg, more := b.config(), m.size()
	if old != nil {
		more -= old.size()
	} else if n := cfg.MaxRetainedMessages; n > 0 && b.retainedCount.Load() >= int64(n) {
		return false
	}
	return cfg.MaxRetainedBytes == 0 || more <= 0 || b.retainedBytes.Load()+more <= cfg.MaxRetainedBytes
}

// call runs f on every loop's thread and waits for all. It must not be called from a loop.
func (b *Broker) call(f func(*Shard)) error {
	var wg sync.WaitGroup
	for i := range b.loops {
		wg.Add(1)
		m := loop.Mail{Kind: mailCall, Body: func(s *Shard) {
			defer wg.Done()
			f(s)
		}}
		if !b.group.Loop(i).SubmitWait(m) {
			wg.Done()
			return fmt.Errorf("loop %d: %w", i, ErrStopped)
		}
	}
	wg.Wait()
	return nil
}

// Turns reports whether every loop takes a turn within limit, or the broker stops. It must not be called from a loop.
func (b *Broker) Turns(limit time.Duration) bool {
	turned := make(chan struct{}, b.loops)
	m := loop.Mail{Kind: mailCall, Body: func(*Shard) { turned <- struct{}{} }}
	for i := range b.loops {
		if !b.group.Loop(i).Submit(m) {
			return b.stopped.Load() // so much waits, or the loop has stopped
		}
	}
	t := time.NewTimer(limit)
	defer t.Stop()
	for range b.loops {
		select {
		case <-turned:
		case <-t.C:
			return b.stopped.Load()
		}
	}
	return true
}

// Snapshot is what the broker counts and holds, summed over its shards.
type Snapshot struct {
	Counters
	Connections, Clients, Sessions int64
	RetainedMessages               int64
	RetainedBytes                  int64
	ActiveSubscriptions            int
	// Store is what the store counts; zero without one.
	Store persist.Stats
	// Loops has what each loop and its shard counted, summed above.
	Loops []LoopSnapshot
}

// LoopSnapshot is what one loop counts, and its shard.
type LoopSnapshot struct {
	Stats    loop.Stats
	Counters Counters
}

// Snapshot asks every shard for its counters. It waits for a turn of every loop, so it must not be called from one, nor
// while Stop runs.
func (b *Broker) Snapshot() (Snapshot, error) {
	loops, subscriptions := make([]LoopSnapshot, b.loops), make([]int, b.loops)
	err := b.call(func(s *Shard) {
		loops[s.id] = LoopSnapshot{Stats: s.loop.Stats(), Counters: s.count}
		subscriptions[s.id] = s.index.Len()
	})
	if err != nil {
		return Snapshot{}, err // some loops may be writing still
	}
	n := Snapshot{Loops: loops}
	for i := range loops {
		n.add(&loops[i].Counters)
		n.ActiveSubscriptions += subscriptions[i]
	}
	n.Connections, n.Clients, n.Sessions = b.connections.Load(), b.clients.Load(), b.sessions.Load()
	if b.store != nil {
		n.Store = b.store.Stats()
	}
	n.RetainedMessages, n.RetainedBytes = b.retainedCount.Load(), b.retainedBytes.Load()
	return n, nil
}

// Stop ends the broker: no more accepts; every will is published; version 5 clients get DISCONNECT 0x8B; output is
// drained until `shutdown_timeout`; then the loops stop. It must not be called from a loop.
func (b *Broker) Stop() error {
	if b.stopped.Swap(true) {
		return nil
	}
	b.reloaded(0)
	deadline := time.Now().Add(b.config().ShutdownTimeout)
	err := b.call((*Shard).stopAccepting)
	err = errors.Join(err, b.settle(deadline), b.Save(), b.settle(deadline)) // who waits for the store is told
	idle := make(chan struct{}, b.loops)
	err = errors.Join(err, b.call(func(s *Shard) { s.closeAll(deadline, idle) }))
	if err == nil {
		waitIdle(idle, b.loops, time.Until(deadline)+second2)
	}
	err = errors.Join(err, b.call((*Shard).giveAll))
	b.group.Stop()
	return err
}

// settleHops is how many loops a message may pass one after the other: the publisher's, a group's home, a member's, and
// back to the home and to another member.
const settleHops = 5

// settle waits until the messages of this moment have passed between the loops, at most until deadline.
func (b *Broker) settle(deadline time.Time) error {
	for hops := 0; hops < settleHops && time.Now().Before(deadline); hops++ {
		var behind atomic.Bool
		if err := b.call(func(s *Shard) {
			if !s.loop.DrainRings() {
				behind.Store(true)
			}
			s.sendParcels()
		}); err != nil {
			return err
		}
		if behind.Load() {
			hops = -1
		}
	}
	return nil
}

// second2 is how much longer than the drain deadline Stop waits for the loops to report.
const second2 = 2 * time.Second

func waitIdle(idle <-chan struct{}, n int, limit time.Duration) {
	t := time.NewTimer(limit)
	defer t.Stop()
	for range n {
		select {
		case <-idle:
		case <-t.C:
			return
		}
	}
}
