package bench

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/noctulemq/noctule/codec"
)

const (
	// toolConnecting bounds the clients that are connecting at a time.
	toolConnecting = 1024
	// toolStripes is how many ways the figures of a run are split, so that the clients need not wait for each other.
	toolStripes = 16
	// toolFlowsMax bounds the pairs of a publisher and a subscriber whose messages are followed (56 MB). Messages of
	// further pairs count as received, and as unchecked.
	toolFlowsMax = 100_000
)

// toolRun is one run of conn, pub or sub: its clients and what they count.
type toolRun struct {
	// Immutable once it runs.
	o      *toolOptions
	end    context.CancelFunc // lets the clients finish
	filler []byte             // the payload, but for its stamp

	// Any goroutine.
	connected, failed   atomic.Uint64 // clients; one that fails later counts in both
	tickets             atomic.Uint64 // messages sent or received, as far as they count for the limit
	sent, acked         atomic.Uint64
	refused, heldBack   atomic.Uint64
	received, flowsMade atomic.Uint64
	stripes             [toolStripes]toolStripe

	mu         sync.Mutex // guards what follows
	firstError error      // of a client
	firstCode  codec.ReasonCode
}

// toolStripe is what some of the clients measured.
type toolStripe struct {
	mu sync.Mutex // guards all below, and the flows of the clients that write here
	toolFigures
}

// toolFigures are the figures of a time.
type toolFigures struct {
	// latency is the time to CONNACK of conn, to the last acknowledgement of pub, from publisher to subscriber of sub.
	latency   histogram
	flows     flowCounts
	expected  uint64 // messages that the stamps say were sent between the first and the last one received
	unchecked uint64 // messages without a stamp, retained ones, and those beyond toolFlowsMax
}

// toolFlow follows the messages of one publisher to one subscriber from the first one that comes: what was sent before
// the subscriber was there is not missed.
type toolFlow struct {
	flow
	first uint64
}

func newToolRun(o *toolOptions) *toolRun {
	r := &toolRun{o: o}
	if o.kind == toolPub {
		r.filler = slices.Repeat([]byte{0xA5}, o.size)
	}
	return r
}

// run starts the clients one after the other, and reports each time that a second passes, until the context or the
// limit ends it, or every client has failed.
func (r *toolRun) run(ctx context.Context, out *toolPrinter, seconds <-chan time.Time) error {
	began := time.Now()
	if r.o.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.o.duration)
		defer cancel()
	}
	ctx, r.end = context.WithCancel(ctx)
	defer r.end()
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.startClients(ctx)
	}()
	meter := newToolMeter(r, began)
	for {
		select {
		case <-done:
			if err := out.totals(meter.totals(time.Now())); err != nil {
				return fmt.Errorf("print the totals: %w", err)
			}
			return r.verdict()
		case now := <-seconds:
			if err := out.second(meter.second(now)); err != nil {
				r.end()
				<-done
				return fmt.Errorf("print a line: %w", err)
			}
		}
	}
}

// startClients starts every client in its time and returns when all of them have ended.
func (r *toolRun) startClients(ctx context.Context) {
	var clients sync.WaitGroup
	defer clients.Wait()
	connecting := make(chan struct{}, toolConnecting)
	group := r.sharedFlows()
	timer := time.NewTimer(0)
	defer timer.Stop()
	began := time.Now()
	for i := range r.o.count {
		if wait := time.Duration(i)*r.o.connectPause() - time.Since(began); wait > 0 {
			timer.Reset(wait)
			select {
			case <-ctx.Done():
			case <-timer.C:
			}
		}
		select {
		case <-ctx.Done():
			return
		case connecting <- struct{}{}:
		}
		c := r.newClient(i, group)
		clients.Go(func() { r.serve(ctx, c, connecting) })
	}
}

// sharedFlows is one map of flows for all clients when they form one group with a shared subscription: then each gets a
// part of a publisher's messages, and only all together get them all.
func (r *toolRun) sharedFlows() map[uint32]*toolFlow {
	if r.o.kind == toolSub && r.o.grouped() {
		return map[uint32]*toolFlow{}
	}
	return nil
}

func (o *toolOptions) grouped() bool { return strings.HasPrefix(o.topic, "$share/") }

func (r *toolRun) newClient(index int, group map[uint32]*toolFlow) *toolClient {
	number := r.o.first + index
	c := &toolClient{run: r, number: number, id: r.o.clientID(number), topic: r.o.expand(r.o.topic, number)}
	c.stripe, c.flows = &r.stripes[index%toolStripes], map[uint32]*toolFlow{}
	if group != nil {
		c.stripe, c.flows = &r.stripes[0], group // the one stripe's mutex guards them
	}
	return c
}

// serve is the life of one client.
func (r *toolRun) serve(ctx context.Context, c *toolClient, connecting <-chan struct{}) {
	err := c.open(ctx)
	<-connecting
	opened := err == nil
	if opened {
		r.connected.Add(1)
		if r.o.kind == toolPub {
			err = c.publish(ctx)
		} else {
			err = c.hold(ctx)
		}
	}
	if c.conn != nil {
		_ = c.conn.Close()
	}
	if err != nil && (opened || ctx.Err() == nil) { // one that was about to connect at the end has not failed
		r.fail(fmt.Errorf("client %s: %w", c.id, err))
	}
}

func (r *toolRun) fail(err error) {
	r.failed.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.firstError == nil {
		r.firstError = err
	}
}

// refuse counts a message that the broker refused.
func (r *toolRun) refuse(code codec.ReasonCode) {
	r.refused.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.firstCode == codec.Success {
		r.firstCode = code
	}
}

// verdict is the error of a run that did not go well.
func (r *toolRun) verdict() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := r.failed.Load(); n > 0 {
		return fmt.Errorf("%s: %d of %d clients failed; the first one: %w", r.o.kind, n, r.o.count, r.firstError)
	}
	if n := r.refused.Load(); n > 0 {
		return fmt.Errorf("%s: the broker refused %d messages; the first one: %v", r.o.kind, n, r.firstCode)
	}
	return nil
}

// takeTicket takes the right to send or count one message. The one who takes the last ends the run.
func (r *toolRun) takeTicket() bool {
	if r.o.limit == 0 {
		return true
	}
	n := r.tickets.Add(1)
	if n == r.o.limit {
		r.end()
	}
	return n <= r.o.limit
}

// receive counts the message that client c has decoded.
func (r *toolRun) receive(c *toolClient) {
	if r.o.kind != toolSub || !r.takeTicket() {
		return
	}
	r.received.Add(1)
	m := &c.message
	s, ok := readStamp(m.Payload, len(m.Payload))
	nowNs := time.Now().UnixNano()
	c.stripe.mu.Lock()
	defer c.stripe.mu.Unlock()
	if !ok || m.Retain { // a retained message may be of any age
		c.stripe.unchecked++
		return
	}
	c.stripe.latency.record(nowNs - s.sentNs)
	f := c.flows[s.pub]
	if f == nil {
		if r.flowsMade.Add(1) > toolFlowsMax {
			c.stripe.unchecked++
			return
		}
		f = &toolFlow{flow: flow{next: s.seq}, first: s.seq}
		c.flows[s.pub] = f
	}
	c.stripe.observe(f, s.seq, r.o.grouped())
}

// observe follows message seq. Between the members of a group there is no order that could be broken.
func (g *toolFigures) observe(f *toolFlow, seq uint64, grouped bool) {
	var counts flowCounts
	if before := f.next; seq >= f.first {
		f.observe(seq, &counts)
		g.expected += f.next - before
	} else {
		counts.orderBreaks++
	}
	g.flows.unique += counts.unique
	g.flows.duplicates += counts.duplicates
	if !grouped {
		g.flows.orderBreaks += counts.orderBreaks
	}
}

// record takes one latency.
func (s *toolStripe) record(ns int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.latency.record(ns)
}

// take adds the figures to sum and starts anew.
func (s *toolStripe) take(sum *toolFigures) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum.add(&s.toolFigures)
	s.toolFigures = toolFigures{}
}

func (g *toolFigures) add(more *toolFigures) {
	for i, n := range more.latency.counts {
		g.latency.counts[i] += n
	}
	g.latency.total += more.latency.total
	g.flows.unique += more.flows.unique
	g.flows.duplicates += more.flows.duplicates
	g.flows.orderBreaks += more.flows.orderBreaks
	g.expected += more.expected
	g.unchecked += more.unchecked
}

// lost is how many messages were skipped and did not come later.
func (g *toolFigures) lost() uint64 { return g.expected - min(g.flows.unique, g.expected) }
