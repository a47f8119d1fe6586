package crash

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/noctulemq/noctule/codec"
)

// standstill is the value of world.standstill where nothing is expected to be missing: a busy machine may take its time.
const standstill = 10 * time.Second

// world is one run: a broker, its clients, and what happens to them.
type world struct {
	options
	t       *testing.T
	seed    uint64
	rng     *rand.Rand // the test's goroutine only
	broker  *broker
	history *history
	gate    *gate
	clients sync.WaitGroup

	subscribers []*subscriber
	changers    []*changer
	states      map[string]*register // retained messages by topic; fixed after newWorld

	round    atomic.Int32
	draining atomic.Bool

	// Set by the test before run.

	uptime     [2]time.Duration // of a round, from and to
	end        func()           // ends the broker and notes when
	epoch      int              // after how many rounds everything is let through and checked
	standstill time.Duration    // how long nothing may happen before what is missing counts as missing
	impatient  bool             // now and then the broker is killed while it starts
}

// options is what a run's clients are made for.
type options struct {
	late   int  // until which round subscribers may still join
	groups bool // there are shared subscriptions
	large  bool // some payloads are large
}

// newWorld makes the clients of a seed.
func newWorld(t *testing.T, seed uint64, h *history, o options) *world {
	w := &world{options: o, t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 0)), history: h, gate: newGate(),
		states: map[string]*register{}, epoch: 10, standstill: standstill}
	n := 0
	client := func(kind string) client {
		n++
		rng := rand.New(rand.NewPCG(seed, uint64(n)))
		version := [...]codec.Version{codec.V311, codec.V5}[rng.IntN(2)]
		return client{w: w, name: fmt.Sprintf("%s%d", kind, n), version: version, rng: rng}
	}
	subscribe := func(group string, slow bool, filters ...filter) {
		s := &subscriber{client: client("sub"), slow: slow, held: map[uint16]holding{}}
		s.r = &receiver{name: s.name, group: group, filters: filters}
		if len(w.subscribers) > 2 && s.chance(30) {
			s.join = s.rng.IntN(o.late + 1)
		}
		w.subscribers = append(w.subscribers, s)
		h.receivers = append(h.receivers, s.r)
		w.clients.Go(func() { s.live(s.session) })
	}
	subscribe("", false, filter{"c/#", 2})
	subscribe("", true, filter{"c/#", 2})
	subscribe("", false, filter{"c/#", 1})
	subscribe("", true, filter{"c/+/+/1", 1}, filter{"c/+/2/0", 2})
	subscribe("", false, filter{"c/#", 2}, filter{"c/+/2/#", 2}, filter{"c/+/+/0", 1})
	subscribe("", true, filter{"c/pub1/#", 2}, filter{"c/pub2/#", 1}, filter{"c/+/+/2", 2})
	if o.groups {
		subscribe("$share/g", false, filter{"c/#", 2})
		subscribe("$share/g", false, filter{"c/#", 2})
		subscribe("$share/g", true, filter{"c/#", 2})
		subscribe("$share/h", false, filter{"c/+/+/1", 1})
		subscribe("$share/h", true, filter{"c/+/+/1", 1})
	}
	publish := func(prepare func(p *publisher)) {
		p := &publisher{client: client("pub")}
		if p.idMax = 65535; p.chance(50) {
			p.idMax = 2 * outstandingMax
		}
		prepare(p)
		w.clients.Go(func() { p.live(p.session) })
	}
	n = 0 // publishers are named from 1, as in the filters above
	for range 4 {
		publish((*publisher).numbered)
	}
	for range 2 {
		publish(func(p *publisher) { p.retaining(w.states) })
	}
	for range 2 {
		c := &changer{client: client("change")}
		for i := range c.filters {
			c.filters[i] = newRegister("")
		}
		w.changers = append(w.changers, c)
		w.clients.Go(func() { c.live(c.session) })
	}
	t.Cleanup(func() {
		w.gate.finish()
		w.clients.Wait()
	})
	return w
}

// run ends the broker so many times, or until the faults that were found are enough.
func (w *world) run(rounds int, enough func(map[fault]int) bool) {
	w.start()
	w.gate.open()
	w.settle()
	for range rounds {
		round := int(w.round.Add(1))
		time.Sleep(w.uptime[0] + time.Duration(w.rng.Int64N(int64(w.uptime[1]-w.uptime[0]))))
		if !w.broker.running() {
			w.t.Fatalf("the broker ended by itself: %v\n%s", w.broker.cmd.ProcessState, w.report())
		}
		w.gate.shut()
		w.end()
		w.gate.wait()
		if w.impatient && w.rng.IntN(5) == 0 {
			if err := w.broker.launch(); err == nil {
				time.Sleep(time.Duration(w.rng.Int64N(int64(60 * time.Millisecond))))
				w.broker.end(syscall.SIGKILL)
			}
		}
		w.start()
		w.probe()
		w.gate.open()
		if round%w.epoch == 0 || round == rounds {
			w.drain()
			w.gate.shut()
			w.history.nextEpoch()
			w.draining.Store(false)
			w.gate.open()
		}
		if enough(w.faults()) {
			break
		}
	}
}

// hold runs so many rounds and fails the test at the first fault.
func (w *world) hold(rounds int) {
	w.run(rounds, func(n map[fault]int) bool { return len(n) > 0 })
	if len(w.faults()) > 0 {
		w.t.Fatal(w.report())
	}
	w.t.Logf("seed %d: %d stops, nothing lost; %d QoS 2 messages of a group changed hands in flight", w.seed, rounds,
		w.history.handed)
}

// findLoss runs rounds, a few at a time, until messages are found to be lost, and fails the test if none are.
func (w *world) findLoss() {
	w.epoch, w.standstill = 2, 3*time.Second
	w.run(40, func(n map[fault]int) bool { return n[lost] > 0 })
	w.t.Logf("seed %d, after %d stops: %v", w.seed, w.round.Load(), w.faults())
	if w.faults()[lost] == 0 {
		w.t.Error("no message was found to be lost")
	}
}

func (w *world) start() {
	if err := w.broker.start(); err != nil {
		w.t.Fatalf("%v\n%s", err, w.report())
	}
}

// settle waits until the subscribers of the first round have their SUBACK.
func (w *world) settle() {
	for late := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		missing := ""
		w.history.mu.Lock()
		for _, s := range w.subscribers {
			if s.join == 0 && s.r.since == 0 {
				missing = s.name
			}
		}
		w.history.mu.Unlock()
		if missing == "" {
			return
		}
		if time.Now().After(late) {
			w.t.Fatalf("%s gets no SUBACK\n%s", missing, w.report())
		}
	}
}

// probe looks at retained messages and subscriptions while the other clients wait outside.
func (w *world) probe() {
	var wait sync.WaitGroup
	for _, c := range w.changers {
		wait.Go(c.probe)
	}
	w.checkRetained()
	wait.Wait()
}

// checkRetained reads all retained messages and holds them against what was acknowledged.
func (w *world) checkRetained() {
	c, _, err := dial(w.broker.addr, codec.V311, &codec.Connect{ClientID: "reader", CleanStart: true})
	if err != nil {
		w.history.fail(retained, "cannot connect after the restart: %v", err)
		return
	}
	defer c.close()
	sub := codec.Subscribe{PacketID: 1, Filters: []codec.Subscription{{Filter: "r/#"}}}
	c.send(codec.AppendPingreq(sub.Append(nil, c.version)))
	got, answered := map[string]string{}, false
	right := func() bool {
		for topic, r := range w.states {
			if !slices.Contains(r.allowed(w.history), got[topic]) {
				return false
			}
		}
		return answered
	}
	// What does not fit behind the SUBACK comes after the PINGRESP.
	for late := time.After(patience); !right(); {
		select {
		case in, ok := <-c.in:
			if !ok {
				return // the broker ended; that is reported elsewhere
			}
			answered = answered || in.header.Type == codec.TypePingresp
			var p codec.Publish
			if in.header.Type == codec.TypePublish && p.DecodeFromServer(in.header, in.body, c.version) == nil {
				if w.states[p.Topic] == nil {
					w.history.fail(retained, "%s is retained, but nobody set it", p.Topic)
				}
				got[p.Topic] = string(p.Payload)
			}
			continue
		case <-late:
		}
		break
	}
	for topic, r := range w.states {
		w.judge(retained, topic, r, got[topic])
	}
}

// judge holds a value that was seen after a restart against those that may be.
func (w *world) judge(what fault, name string, r *register, got string) {
	if allowed := r.allowed(w.history); !slices.Contains(allowed, got) {
		w.history.fail(what, "%s after stop %d is %.40q, must be %.40q; changes, the acknowledged ones with the time of that: %s",
			name, w.round.Load(), got, allowed, r.story())
	}
	r.settle(w.history, got)
}

// drain lets everything through and checks it.
func (w *world) drain() {
	w.draining.Store(true)
	last, since := -1, time.Now()
	for {
		n, settled := w.history.progress()
		if n != last {
			last, since = n, time.Now()
		}
		if quiet := time.Since(since); settled && quiet > 200*time.Millisecond || quiet > w.standstill || !w.broker.running() {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.history.check()
}

// faults is how often each promise was broken.
func (w *world) faults() map[fault]int {
	w.history.mu.Lock()
	defer w.history.mu.Unlock()
	n := map[fault]int{}
	for _, f := range w.history.failures {
		n[f.what]++
	}
	return n
}

// report is what to say when the run failed.
func (w *world) report() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d, round %d: %v\n", w.seed, w.round.Load(), w.faults())
	w.history.mu.Lock()
	shown := map[fault]int{}
	for _, f := range w.history.failures {
		if shown[f.what]++; shown[f.what] <= 3 {
			fmt.Fprintf(&b, "%s: %s\n", strings.ToUpper(string(f.what)), f.text)
		}
	}
	w.history.mu.Unlock()
	fmt.Fprintf(&b, "the broker's last words:\n%s", &w.broker.log)
	return b.String()
}

// gate lets clients connect only while the broker is up and nothing is being looked at.
type gate struct {
	ended chan struct{} // closed at the end of the run

	mu      sync.Mutex // guards all below
	changed *sync.Cond
	isOpen  bool
	over    bool
	inside  int // clients that connect or are connected
}

func newGate() *gate {
	g := &gate{ended: make(chan struct{})}
	g.changed = sync.NewCond(&g.mu)
	return g
}

// enter waits until the gate is open; false says that the run is over.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for !g.isOpen && !g.over {
		g.changed.Wait()
	}
	if g.over {
		return false
	}
	g.inside++
	return true
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	g.changed.Broadcast()
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.isOpen = true
	g.changed.Broadcast()
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.isOpen = false
}

// wait returns when everybody who was inside has left.
func (g *gate) wait() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.inside > 0 {
		g.changed.Wait()
	}
}

func (g *gate) finish() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.over {
		g.over = true
		close(g.ended)
	}
	g.changed.Broadcast()
}
