package sys

import (
	"time"

	"github.com/noctulemq/noctule/shard"
)

// prefix is what every topic begins with.
const prefix = "$SYS/broker/"

// origin is who publishes, as Inject names it: all topics of one update arrive in the order of the table.
const origin = "$SYS"

// qos is what Mosquitto publishes with: a subscriber gets what it asked for.
const qos = 2

// Broker is what is watched and published to.
type Broker interface {
	Snapshot() (shard.Snapshot, error)
	Inject(in shard.Injection, done func(matched bool)) error
}

// Options is what a publisher is made of.
type Options struct {
	Broker Broker
	// Interval is the time between updates (`sys_interval`); 0: none.
	Interval time.Duration
	// Version is the program's, as in "2.1.0".
	Version string
}

// Publisher keeps the topics up to date on a goroutine of its own.
type Publisher struct {
	interval   chan time.Duration
	stop, done chan struct{}
}

// Start publishes every topic once, and from then on what has changed whenever the clock shows a multiple of the
// interval: with 10 s at :00, :10, :20, as Mosquitto 2.1 has it. With interval 0 it waits for SetInterval.
func Start(o Options) *Publisher {
	p := &Publisher{interval: make(chan time.Duration), stop: make(chan struct{}), done: make(chan struct{})}
	go p.run(o)
	return p
}

// SetInterval changes the interval; 0 ends the updates. What has been published stays. It may wait for an update that is
// under way, so it must not be called from a loop, nor after Stop.
func (p *Publisher) SetInterval(d time.Duration) { p.interval <- d }

// Stop ends the updates and waits for one that is under way. It must be called once, before the broker is stopped,
// because an update waits for the loops.
func (p *Publisher) Stop() {
	close(p.stop)
	<-p.done
}

func (p *Publisher) run(o Options) {
	defer close(p.done)
	t := newTree(o.Version, time.Now())
	interval, at := o.Interval, int64(0)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		var due <-chan time.Time
		if interval > 0 {
			due = timer.C
		}
		select {
		case <-p.stop:
			return
		case interval = <-p.interval:
			timer.Reset(0)
			at = 0
		case <-due:
			now := time.Now()
			t.update(o.Broker, now)
			at = nextUpdate(now, interval, at)
			timer.Reset(time.Duration(at - time.Now().UnixNano()))
		}
	}
}

// nextUpdate returns the first multiple of the interval after now, in nanoseconds of Unix time, but not last again: the
// timer runs on another clock than the calendar's and may come a little early.
func nextUpdate(now time.Time, interval time.Duration, last int64) int64 {
	n := int64(interval)
	next := (now.UnixNano()/n + 1) * n
	if next == last {
		next += n
	}
	return next
}

// tree is the topics with what was published last. The goroutine's only; bounded by the table and the number of loops.
type tree struct {
	view   view
	topics []topic
	// published has the payload of each topic that the broker took last; "": none.
	published []string
}

func newTree(version string, start time.Time) *tree {
	return &tree{view: view{version: version, start: start}}
}

// update asks the broker for its figures and publishes what differs from the last time. What the broker does not take,
// because too much waits, is tried again with the next update.
func (t *tree) update(b Broker, now time.Time) {
	s, err := b.Snapshot()
	if err != nil {
		return // it stops
	}
	t.view.take(&s, now)
	if t.topics == nil {
		t.topics = topics(len(s.Loops))
		t.published = make([]string, len(t.topics))
	}
	for i := range t.topics {
		text := t.topics[i].text(&t.view)
		if text == t.published[i] {
			continue
		}
		in := shard.Injection{Origin: origin, Topic: prefix + t.topics[i].name, Payload: []byte(text), QoS: qos, Retain: true}
		if b.Inject(in, nil) == nil {
			t.published[i] = text
		}
	}
}
