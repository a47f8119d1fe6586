package sim

import (
	"math/rand/v2"

	"github.com/noctulemq/noctule/config"
	"github.com/noctulemq/noctule/persist"
	"github.com/noctulemq/noctule/shard"
)

// crashWorld is one broker through all its lives, with its store and its clients.
type crashWorld struct {
	*driver
	base   int64 // Unix milliseconds at time 0 of net's clock
	bornAt int64 // Unix milliseconds
	lives  int

	clients  []*crashClient
	messages []*crashMessage
	probes   int

	safe  bool // what is acknowledged is stored
	lossy bool // queues are short: nothing is owed
	// leaky is the shared subscriptions that had a member whose messages may be lost: at QoS 0, or with a session that ended with
	// its connection.
	leaky     map[string]bool
	drainedAt int // step at which everything was quiet and stored
}

func newCrashWorld(d *driver) simulation {
	w := &crashWorld{driver: d, leaky: map[string]bool{}}
	w.rng, w.store = rand.New(rand.NewPCG(w.seed, 0xc4a5)), persist.NewMemory()
	w.configure()
	w.stepping = w.pick(100, 50, 10, 2)
	w.start(1_700_000_000_000)
	for i := range 2 + w.rng.IntN(5) {
		w.clients = append(w.clients, newCrashClient(w, i))
	}
	return w
}

// configure varies what changes the broker's ways.
func (w *crashWorld) configure() {
	c := w.cfg
	c.Persistence.Enabled = true
	c.Persistence.Commit = []config.Commit{config.Strict, config.Balanced, config.Balanced, config.Balanced, config.Fast}[w.rng.IntN(5)]
	c.Persistence.MaxWaiting = w.pick(1000, 1000, 2, 1)
	c.AllowDuplicateMessages = w.chance(50)
	c.UpgradeOutgoingQoS = w.chance(10)
	c.QueueQoS0Messages = w.chance(30)
	c.MaxInflightMessages = w.pick(1, 2, 5, 20, 20)
	c.MaxQueuedMessages = 0
	if w.lossy = w.chance(15); w.lossy {
		c.MaxQueuedMessages = w.pick(8, 10)
		c.SlowConsumer = []config.Policy{config.DropNewest, config.DropOldest, config.DropOldest}[w.rng.IntN(3)]
		if w.chance(30) {
			c.MaxQueuedBytes = 2000
		}
	}
	if w.chance(10) {
		c.MaxInflightBytes = 300
	}
	if w.chance(10) {
		c.MaxOutputBytes = 2000
	}
	c.SharedStrategy = []string{"", "", "sticky", "hash-client", "hash-topic"}[w.rng.IntN(5)]
	w.safe = c.Persistence.Commit != config.Fast
}

// start begins a life at a time in Unix milliseconds, with what the store has.
func (w *crashWorld) start(now int64) {
	loops := 1 + w.rng.IntN(4)
	w.newNet(w.rng.Uint64())
	w.net.Clock.Advance(w.rng.Int64N(3600 * second))
	w.base = now - w.net.Clock.Now()/1e6
	w.bornAt = now
	w.lives++
	listener := shard.NewListener(config.NewListener(), shard.Everyone{})
	w.newBroker(loops, shard.Options{Seed: w.rng.Uint64(), Store: w.store, Wall: w.now, Listeners: []*shard.Listener{listener}})
	if err := w.broker.Restore(); err != nil {
		w.fail("restore: %v", err)
	}
	if n := w.store.Stats().SetAside; n > 0 {
		w.fail("%d stored records could not be served", n)
	}
	w.listen(listener)
	w.note("life %d: %d loops, %v, waiting %d, duplicates %v, upgrade %v, QoS 0 queued %v, inflight %d, queued %d, stepping %d", w.lives, loops,
		w.cfg.Persistence.Commit, w.cfg.Persistence.MaxWaiting, w.cfg.AllowDuplicateMessages, w.cfg.UpgradeOutgoingQoS, w.cfg.QueueQoS0Messages,
		w.cfg.MaxInflightMessages, w.cfg.MaxQueuedMessages, w.stepping)
}

// now is Unix milliseconds.
func (w *crashWorld) now() int64 { return w.wall(w.net.Clock.Now()) }

// wall is Unix milliseconds at a time of the clock of this life.
func (w *crashWorld) wall(clock int64) int64 { return w.base + clock/1e6 }

// advance comes to rest before the clock moves on.
func (w *crashWorld) advance(ns int64) {
	w.settle()
	w.driver.advance(ns)
}

// drain lets everything become quiet and stored.
func (w *crashWorld) drain() {
	for quiet := 0; quiet < 4; quiet++ {
		moves := w.moves
		w.advance(150e6) // two ticks of the loops' timers, with which a batch grows older
		for w.take() {
		}
		if w.moves != moves {
			quiet = -1
		}
	}
	w.step++
	w.drainedAt = w.step
	w.note("quiet and stored")
	for _, m := range w.messages {
		if m.doneAt == 0 && m.ended() {
			m.doneAt = w.step
			w.owe(m)
		}
	}
	for _, k := range w.clients {
		if c := k.conn; c != nil && c.connected() {
			c.recorded = true
		} else if c == nil && !k.gone {
			k.gone = true
			if k.goneBy == 0 {
				k.goneBy = w.now()
			}
		}
		if k.unsure || k.haunted {
			continue
		}
		k.ghosts, k.aging = nil, false
		if s := k.session; s != nil && !s.brief {
			s.stored = true
		}
	}
	w.step++
}

// crash ends the broker's life at once and begins the next one, after some time.
func (w *crashWorld) crash() {
	w.step++
	w.note("CRASH")
	for _, k := range w.clients {
		k.crashed()
	}
	w.conns = nil
	w.step++
	for _, m := range w.messages {
		if !w.safe && m.sentAt != 0 && (m.ackedAt == 0 || m.ackedAt > w.drainedAt) {
			m.unsure = true
		}
		if m.doneAt == 0 && m.ended() {
			m.doneAt = w.step
		}
	}
	w.store = w.store.Crash()
	if w.chance(30) {
		w.stepping = w.pick(100, 50, 10, 2)
	}
	w.start(w.now() + int64(w.pick(0, 0, 100, 1500, 5000, 20000)) + 1)
	for _, k := range w.clients {
		if !k.gone {
			k.goneBy = w.now() // a session that was connected counts from here
		}
	}
}
