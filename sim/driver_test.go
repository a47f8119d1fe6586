package sim

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/noctulemq/noctule/config"
	"github.com/noctulemq/noctule/loop"
	"github.com/noctulemq/noctule/persist"
	"github.com/noctulemq/noctule/shard"
)

const second = int64(1e9)

// driver runs one broker's loops over a simulated network and clock, and the clients' connections to it. Everything is
// drawn from rng, and what happens goes into the transcript.
type driver struct {
	flags *flags
	seed  uint64
	rng   *rand.Rand
	cfg   *config.Config

	// Of the broker's present life.
	net      *loop.SimNet
	group    *loop.Group
	broker   *shard.Broker
	listener *loop.Listener
	inTurn   []bool
	depth    int

	store    *persist.Memory // nil: nothing is stored
	stepping int             // percent of the moments at which the store takes a batch, if there is one
	moves    int             // batches that the store took, and acknowledgements that clients sent

	conns     []*link // every connection that is not known to have ended
	published []*publication
	step      int

	transcript uint64
	recent     []string
}

// recentMax is how many lines of the transcript a failure prints.
const recentMax = 100

// failure ends a run; it is recovered by run.
type failure string

func newDriver(f *flags, seed uint64) *driver {
	return &driver{flags: f, seed: seed, cfg: config.Default()}
}

func (d *driver) chance(percent int) bool { return d.rng.IntN(100) < percent }

func (d *driver) pick(from ...int) int { return from[d.rng.IntN(len(from))] }

// loops returns the number of loops.
func (d *driver) loops() int { return len(d.inTurn) }

// note adds a line to the transcript.
func (d *driver) note(format string, args ...any) {
	line := fmt.Sprintf("%5d ", d.step) + fmt.Sprintf(format, args...)
	h := fnv.New64a()
	fmt.Fprintf(h, "%x", d.transcript)
	h.Write([]byte(line))
	d.transcript = h.Sum64()
	d.recent = append(d.recent, line)
	if *d.flags.trace {
		fmt.Fprintln(os.Stderr, line)
	}
	if len(d.recent) > 2*recentMax {
		d.recent = append(d.recent[:0], d.recent[recentMax:]...)
	}
}

// fail ends the run: the broker broke a promise.
func (d *driver) fail(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	d.note("FAIL %s", text)
	panic(failure(d.report(text)))
}

func (d *driver) report(text string) string {
	f := d.flags
	return fmt.Sprintf("seed %d: %s\n%s\nreplay: go test ./sim -run %s -%s.seed=%d -%s.ops=%d -%s.trace", d.seed, text,
		strings.Join(d.recent[max(0, len(d.recent)-recentMax):], "\n"), f.test, f.name, d.seed, f.name, *f.ops, f.name)
}

// newNet makes the network of a broker's life.
func (d *driver) newNet(seed uint64) {
	d.net = loop.NewSimNet(seed)
	d.net.Faults = loop.SimFaults{SplitReads: d.chance(70), ShortWrites: d.chance(50)}
}

// newBroker makes a broker with its loops.
func (d *driver) newBroker(loops int, o shard.Options) {
	group, err := loop.NewGroup(loops, loop.GroupOptions{System: d.net.System})
	if err != nil {
		panic(err)
	}
	d.group, d.inTurn = group, make([]bool, loops)
	o.Config, o.Group = d.cfg, group
	d.broker = shard.New(o)
}

// listen opens the broker to clients.
func (d *driver) listen(tag *shard.Listener) {
	d.listener = d.net.Listen(netip.MustParseAddrPort("127.0.0.1:1883"))
	d.listener.Tag = tag
	yields := d.chance(70)
	for i := range d.loops() {
		l := d.group.Loop(i)
		if err := l.Listen(d.listener); err != nil {
			panic(err)
		}
		if yields {
			d.net.Yield = d.yield
			l.SetHandler(&between{l.Handler(), d})
		}
	}
}

// turn runs one turn of a loop.
func (d *driver) turn(i int, block bool) bool {
	d.inTurn[i] = true
	worked := d.group.Loop(i).Turn(block)
	d.inTurn[i] = false
	return worked
}

// yield lets another loop run, or the store take a batch, in the middle of a system call, as it would on another core.
func (d *driver) yield(int) {
	if d.loops() == 1 && d.store == nil || d.depth >= 2 || !d.chance(5) {
		return
	}
	d.pace()
	i := d.rng.IntN(d.loops())
	if d.inTurn[i] {
		return
	}
	d.depth++
	d.turn(i, d.chance(50))
	d.depth--
}

// between lets other loops run before a loop's mail is handled and before its turn ends.
type between struct {
	loop.Handler
	d *driver
}

// Mail implements loop.Handler.
func (b *between) Mail(from int, m loop.Mail) {
	b.d.yield(0)
	b.Handler.Mail(from, m)
}

// EndTurn implements loop.Handler.
func (b *between) EndTurn() {
	b.d.yield(0)
	b.Handler.EndTurn()
}

// take lets the store take its oldest batch.
func (d *driver) take() bool {
	if !d.store.Step() {
		return false
	}
	d.moves++
	d.note("the store takes a batch")
	return true
}

// pace lets the store take a batch if that is its pace.
func (d *driver) pace() bool { return d.store != nil && d.chance(d.stepping) && d.take() }

// someTurns runs a few turns of random loops.
func (d *driver) someTurns() {
	for range d.rng.IntN(4) {
		d.turn(d.rng.IntN(d.loops()), d.chance(50))
		d.pace()
	}
}

// settleMax bounds the rounds of settle: a broker that goes on working with nothing to do has a mistake.
const settleMax = 20000

// settle lets loops and clients go on until nothing moves.
func (d *driver) settle() {
	quiet := 0
	for range settleMax {
		worked := false
		for range d.loops() {
			worked = d.turn(d.rng.IntN(d.loops()), d.chance(50)) || worked
			worked = d.pace() || worked
		}
		for i := range d.loops() {
			worked = d.turn(i, false) || worked
		}
		for _, c := range d.conns {
			worked = c.owner.run(1<<30) || worked
		}
		d.dropEnded()
		if worked || d.net.Busy() {
			quiet = 0
			continue
		}
		if quiet++; quiet < 2 {
			continue
		}
		for _, c := range d.conns {
			if !c.dead {
				c.emptyAt = d.net.Clock.Now()
			}
		}
		return
	}
	d.fail("the broker does not become quiet")
}

// dropEnded forgets connections that both sides have ended.
func (d *driver) dropEnded() {
	d.conns = slices.DeleteFunc(d.conns, func(c *link) bool { return c.over })
}

// advance moves the clock on by ns, stopping at every timer on the way.
func (d *driver) advance(ns int64) {
	end := d.net.Clock.Now() + ns
	for d.net.Clock.Now() < end {
		next := end
		for i := range d.loops() {
			if at, ok := d.group.Loop(i).NextTimer(); ok && at > d.net.Clock.Now() {
				next = min(next, at)
			}
		}
		d.net.Clock.Advance(max(next-d.net.Clock.Now(), 1))
		d.settle()
	}
}

// snapshot asks the shards for their counts, while the driver runs them.
func (d *driver) snapshot() shard.Snapshot {
	type answer struct {
		s   shard.Snapshot
		err error
	}
	done := make(chan answer, 1)
	go func() {
		s, err := d.broker.Snapshot()
		done <- answer{s, err}
	}()
	for {
		select {
		case a := <-done:
			if a.err != nil {
				d.fail("snapshot: %v", a.err)
			}
			return a.s
		default:
			for i := range d.loops() {
				d.turn(i, false)
			}
		}
	}
}

// outQoS is the QoS of a delivery.
func (d *driver) outQoS(published, granted uint8) uint8 {
	if d.cfg.UpgradeOutgoingQoS {
		return granted
	}
	return min(published, granted)
}
