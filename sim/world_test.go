package sim

import (
	"math/rand/v2"

	"github.com/noctulemq/noctule/config"
	"github.com/noctulemq/noctule/shard"
)

// world is one simulated broker with its clients and the model, made from one seed.
type world struct {
	*driver
	clients  []*client
	messages []*message

	// What the configuration lets the model expect.
	qos0Sure   bool // the output bound is out of reach
	queueLimit int  // deliveries that a session surely queues
	sharedHurt bool // a member's connection ended, so that shared deliveries moved
}

func newWorld(d *driver) simulation {
	w := &world{driver: d}
	w.rng = rand.New(rand.NewPCG(w.seed, 0xb0a7))
	w.configure()
	loops := 1 + w.rng.IntN(4)
	w.newNet(w.seed)
	w.newBroker(loops, shard.Options{Seed: w.seed})
	w.listen(shard.NewListener(config.NewListener(), shard.Everyone{}))
	for i := range 3 + w.rng.IntN(6) {
		w.clients = append(w.clients, newClient(w, i))
	}
	w.note("seed %d: %d loops, %d clients, duplicates %v, inflight %d, queued %d, policy %d, output %d", w.seed, loops, len(w.clients),
		w.cfg.AllowDuplicateMessages, w.cfg.MaxInflightMessages, w.cfg.MaxQueuedMessages, w.cfg.SlowConsumer, w.cfg.MaxOutputBytes)
	return w
}

// configure varies what changes the broker's ways.
func (w *world) configure() {
	c := w.cfg
	c.AllowDuplicateMessages = w.chance(50)
	c.UpgradeOutgoingQoS = w.chance(10)
	c.QueueQoS0Messages = w.chance(20)
	c.MaxInflightMessages = w.pick(1, 2, 5, 20, 20)
	c.MaxQueuedMessages = w.pick(1000, 1000, 1000, 10, 3)
	c.MaxOutputBytes = w.pick(2<<20, 2<<20, 2<<20, 2<<20, 4000)
	c.SlowConsumer = []config.Policy{config.DropNewest, config.DropNewest, config.DropOldest, config.Disconnect, config.Throttle}[w.rng.IntN(5)]
	c.SharedStrategy = []string{"", "", "sticky", "hash-client", "hash-topic"}[w.rng.IntN(5)]
	if w.chance(10) {
		c.MaxInflightBytes = 3000
	}
	if w.chance(10) {
		c.MaxQueuedBytes = 20000
	}
	w.qos0Sure = c.MaxOutputBytes > 1<<20 && !c.QueueQoS0Messages && !c.UpgradeOutgoingQoS
	w.queueLimit = c.MaxQueuedMessages
	if c.MaxQueuedBytes > 0 {
		w.queueLimit = 0
	}
}
