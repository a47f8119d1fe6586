package sim

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/netip"
	"os"
	"strings"

	"github.com/noctulemq/noctule/config"
	"github.com/noctulemq/noctule/loop"
	"github.com/noctulemq/noctule/shard"
)

const second = int64(1e9)

// world is one simulated broker with its clients and the model, made from one seed.
type world struct {
	seed uint64
	rng  *rand.Rand
	cfg  *config.Config

	net      *loop.SimNet
	group    *loop.Group
	broker   *shard.Broker
	listener *loop.Listener
	inTurn   []bool
	depth    int

	clients  []*client
	messages []*message
	conns    []*conn // every connection that is not known to have ended
	step     int

	// What the configuration lets the model expect.
	qos0Sure   bool // the output bound is out of reach
	queueLimit int  // deliveries that a session surely queues
	sharedHurt bool // a member's connection ended, so that shared deliveries moved

	transcript uint64
	recent     []string
}

// recentMax is how many lines of the transcript a failure prints.
const recentMax = 80

// failure ends a run; it is recovered by run.
type failure string

func newWorld(seed uint64) *world {
	w := &world{seed: seed, rng: rand.New(rand.NewPCG(seed, 0xb0a7)), cfg: config.Default()}
	w.configure()
	loops := 1 + w.rng.IntN(4)
	w.net = loop.NewSimNet(seed)
	w.net.Faults = loop.SimFaults{SplitReads: w.chance(70), ShortWrites: w.chance(50)}
	group, err := loop.NewGroup(loops, loop.GroupOptions{System: w.net.System})
	if err != nil {
		panic(err)
	}
	w.group = group
	w.broker = shard.New(shard.Options{Config: w.cfg, Seed: seed, Group: group})
	w.listener = w.net.Listen(netip.MustParseAddrPort("127.0.0.1:1883"))
	w.listener.Tag = shard.NewListener(config.NewListener(), shard.Everyone{})
	for i := range loops {
		if err := group.Loop(i).Listen(w.listener); err != nil {
			panic(err)
		}
	}
	w.inTurn = make([]bool, loops)
	if w.chance(70) {
		w.net.Yield = w.yield
		for i := range loops {
			group.Loop(i).SetHandler(&between{group.Loop(i).Handler(), w})
		}
	}
	for i := range 3 + w.rng.IntN(6) {
		w.clients = append(w.clients, newClient(w, i))
	}
	w.note("seed %d: %d loops, %d clients, duplicates %v, inflight %d, queued %d, policy %d, output %d", seed, loops, len(w.clients),
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

func (w *world) chance(percent int) bool { return w.rng.IntN(100) < percent }

func (w *world) pick(from ...int) int { return from[w.rng.IntN(len(from))] }

// loops returns the number of loops.
func (w *world) loops() int { return len(w.inTurn) }

// note adds a line to the transcript.
func (w *world) note(format string, args ...any) {
	line := fmt.Sprintf("%5d ", w.step) + fmt.Sprintf(format, args...)
	h := fnv.New64a()
	fmt.Fprintf(h, "%x", w.transcript)
	h.Write([]byte(line))
	w.transcript = h.Sum64()
	w.recent = append(w.recent, line)
	if *flagTrace {
		fmt.Fprintln(os.Stderr, line)
	}
	if len(w.recent) > 2*recentMax {
		w.recent = append(w.recent[:0], w.recent[recentMax:]...)
	}
}

// fail ends the run: the broker broke a promise.
func (w *world) fail(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	w.note("FAIL %s", text)
	panic(failure(fmt.Sprintf("seed %d: %s\n%s\nreplay: go test ./sim -run TestSimulation -sim.seed=%d -sim.ops=%d -sim.trace", w.seed, text,
		strings.Join(w.recent[max(0, len(w.recent)-recentMax):], "\n"), w.seed, *flagOps)))
}

// turn runs one turn of a loop.
func (w *world) turn(i int, block bool) bool {
	w.inTurn[i] = true
	worked := w.group.Loop(i).Turn(block)
	w.inTurn[i] = false
	return worked
}

// yield lets another loop run in the middle of a system call, as it would on another core.
func (w *world) yield(int) {
	if w.loops() == 1 || w.depth >= 2 || !w.chance(5) {
		return
	}
	i := w.rng.IntN(w.loops())
	if w.inTurn[i] {
		return
	}
	w.depth++
	w.turn(i, w.chance(50))
	w.depth--
}

// between lets other loops run before a loop's mail is handled and before its turn ends.
type between struct {
	loop.Handler
	w *world
}

// Mail implements loop.Handler.
func (b *between) Mail(from int, m loop.Mail) {
	b.w.yield(0)
	b.Handler.Mail(from, m)
}

// EndTurn implements loop.Handler.
func (b *between) EndTurn() {
	b.w.yield(0)
	b.Handler.EndTurn()
}

// someTurns runs a few turns of random loops.
func (w *world) someTurns() {
	for range w.rng.IntN(4) {
		w.turn(w.rng.IntN(w.loops()), w.chance(50))
	}
}

// settleMax bounds the rounds of settle: a broker that goes on working with nothing to do has a mistake.
const settleMax = 20000

// settle lets loops and clients go on until nothing moves.
func (w *world) settle() {
	quiet := 0
	for range settleMax {
		worked := false
		for range w.loops() {
			worked = w.turn(w.rng.IntN(w.loops()), w.chance(50)) || worked
		}
		for i := range w.loops() {
			worked = w.turn(i, false) || worked
		}
		for _, c := range w.conns {
			worked = c.run(1<<30) || worked
		}
		w.dropEnded()
		if worked || w.net.Busy() {
			quiet = 0
			continue
		}
		if quiet++; quiet == 2 {
			return
		}
	}
	w.fail("the broker does not become quiet")
}

// dropEnded forgets connections that both sides have ended.
func (w *world) dropEnded() {
	kept := w.conns[:0]
	for _, c := range w.conns {
		if !c.over {
			kept = append(kept, c)
		}
	}
	w.conns = kept
}

// advance moves the clock on by d, stopping at every timer on the way.
func (w *world) advance(d int64) {
	end := w.net.Clock.Now() + d
	for w.net.Clock.Now() < end {
		next := end
		for i := range w.loops() {
			if at, ok := w.group.Loop(i).NextTimer(); ok && at > w.net.Clock.Now() {
				next = min(next, at)
			}
		}
		w.net.Clock.Advance(max(next-w.net.Clock.Now(), 1))
		w.settle()
	}
}

// snapshot asks the shards for their counts, while the driver runs them.
func (w *world) snapshot() shard.Snapshot {
	type answer struct {
		s   shard.Snapshot
		err error
	}
	done := make(chan answer, 1)
	go func() {
		s, err := w.broker.Snapshot()
		done <- answer{s, err}
	}()
	for {
		select {
		case a := <-done:
			if a.err != nil {
				w.fail("snapshot: %v", a.err)
			}
			return a.s
		default:
			for i := range w.loops() {
				w.turn(i, false)
			}
		}
	}
}
