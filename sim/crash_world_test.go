package sim_test

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/netip"
	"os"
	"strings"

	"github.com/noctulemq/noctule/config"
	"github.com/noctulemq/noctule/loop"
	"github.com/noctulemq/noctule/persist"
	"github.com/noctulemq/noctule/shard"
)

const second = int64(1e9)

// world is one broker through all its lives, with its store and its clients.
type world struct {
	seed    uint64
	op, ops int
	rng     *rand.Rand
	cfg     *config.Config
	store   *persist.Memory

	// Of the present life.
	net      *loop.SimNet
	group    *loop.Group
	broker   *shard.Broker
	listener *loop.Listener
	inTurn   []bool
	depth    int
	base     int64 // Unix milliseconds at time 0 of net's clock
	bornAt   int64 // Unix milliseconds
	lives    int

	clients  []*client
	messages []*message
	conns    []*conn // those that have not ended
	probes   int
	step     int

	moves    int  // batches that the store took, and acknowledgements that clients sent
	stepping int  // percent of the moments at which the store takes a batch, if there is one
	safe     bool // what is acknowledged is stored
	lossy    bool // queues are short: nothing is owed
	// leaky is the shared subscriptions that had a member whose messages may be lost: at QoS 0, or with a session that ended with
	// its connection.
	leaky     map[string]bool
	drainedAt int // step at which everything was quiet and stored

	transcript uint64
	recent     []string
}

// recentMax is how many lines of the transcript a failure prints.
const recentMax = 100

// failure ends a run; it is recovered by run.
type failure string

func newWorld(seed uint64, ops int) *world {
	w := &world{seed: seed, ops: ops, rng: rand.New(rand.NewPCG(seed, 0xc4a5)), cfg: config.Default(), store: persist.NewMemory(), leaky: map[string]bool{}}
	w.configure()
	w.stepping = w.pick(100, 50, 10, 2)
	w.start(1_700_000_000_000)
	for i := range 2 + w.rng.IntN(5) {
		w.clients = append(w.clients, newClient(w, i))
	}
	return w
}

// configure varies what changes the broker's ways.
func (w *world) configure() {
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
func (w *world) start(now int64) {
	loops := 1 + w.rng.IntN(4)
	w.net = loop.NewSimNet(w.rng.Uint64())
	w.net.Faults = loop.SimFaults{SplitReads: w.chance(70), ShortWrites: w.chance(50)}
	w.net.Clock.Advance(w.rng.Int64N(3600 * second))
	w.base = now - w.net.Clock.Now()/1e6
	w.bornAt = now
	w.lives++
	group, err := loop.NewGroup(loops, loop.GroupOptions{System: w.net.System})
	if err != nil {
		panic(err)
	}
	w.group = group
	listener := shard.NewListener(config.NewListener(), shard.Everyone{})
	w.broker = shard.New(shard.Options{Config: w.cfg, Seed: w.rng.Uint64(), Group: group, Store: w.store, Wall: w.now, Listeners: []*shard.Listener{listener}})
	if err := w.broker.Restore(); err != nil {
		w.fail("restore: %v", err)
	}
	if n := w.store.Stats().SetAside; n > 0 {
		w.fail("%d stored records could not be served", n)
	}
	w.listener = w.net.Listen(netip.MustParseAddrPort("127.0.0.1:1883"))
	w.listener.Tag = listener
	w.inTurn = make([]bool, loops)
	yields := w.chance(70)
	for i := range loops {
		if err := group.Loop(i).Listen(w.listener); err != nil {
			panic(err)
		}
		if yields {
			w.net.Yield = w.yield
			group.Loop(i).SetHandler(&between{group.Loop(i).Handler(), w})
		}
	}
	w.note("life %d: %d loops, %v, waiting %d, duplicates %v, upgrade %v, QoS 0 queued %v, inflight %d, queued %d, stepping %d", w.lives, loops,
		w.cfg.Persistence.Commit, w.cfg.Persistence.MaxWaiting, w.cfg.AllowDuplicateMessages, w.cfg.UpgradeOutgoingQoS, w.cfg.QueueQoS0Messages,
		w.cfg.MaxInflightMessages, w.cfg.MaxQueuedMessages, w.stepping)
}

// now is Unix milliseconds.
func (w *world) now() int64 { return w.base + w.net.Clock.Now()/1e6 }

func (w *world) chance(percent int) bool { return w.rng.IntN(100) < percent }

func (w *world) pick(from ...int) int { return from[w.rng.IntN(len(from))] }

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
	panic(failure(w.report(text)))
}

func (w *world) report(text string) string {
	return fmt.Sprintf("seed %d: %s\n%s\nreplay: go test ./sim -run TestCrash -crash.seed=%d -crash.ops=%d -crash.trace", w.seed, text,
		strings.Join(w.recent[max(0, len(w.recent)-recentMax):], "\n"), w.seed, w.ops)
}

// turn runs one turn of a loop.
func (w *world) turn(i int, block bool) bool {
	w.inTurn[i] = true
	worked := w.group.Loop(i).Turn(block)
	w.inTurn[i] = false
	return worked
}

// yield lets another loop run, or the store take a batch, in the middle of a system call, as it would on another core.
func (w *world) yield(int) {
	if w.depth >= 2 || !w.chance(5) {
		return
	}
	if w.chance(w.stepping) {
		w.take()
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

// take lets the store take its oldest batch.
func (w *world) take() bool {
	if !w.store.Step() {
		return false
	}
	w.moves++
	w.note("the store takes a batch")
	return true
}

// someTurns runs a few turns of random loops.
func (w *world) someTurns() {
	for range w.rng.IntN(4) {
		w.turn(w.rng.IntN(w.loops()), w.chance(50))
		if w.chance(w.stepping) {
			w.take()
		}
	}
}

// settleMax bounds the rounds of settle: a broker that goes on working with nothing to do has a mistake.
const settleMax = 20000

// settle lets loops and clients go on until nothing moves. The store takes batches at its own pace.
func (w *world) settle() {
	quiet := 0
	for range settleMax {
		worked := false
		for range w.loops() {
			worked = w.turn(w.rng.IntN(w.loops()), w.chance(50)) || worked
			if w.chance(w.stepping) {
				worked = w.take() || worked
			}
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
		if quiet++; quiet < 2 {
			continue
		}
		for _, c := range w.conns {
			if !c.dead {
				c.emptyAt = w.now()
			}
		}
		return
	}
	w.fail("the broker does not become quiet")
}

// drain lets everything become quiet and stored.
func (w *world) drain() {
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
		if c := k.conn; c != nil && c.connected {
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
	w.settle()
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

// crash ends the broker's life at once and begins the next one, after some time.
func (w *world) crash() {
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
