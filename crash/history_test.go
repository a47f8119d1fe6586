package crash

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/noctulemq/noctule/codec"
)

// kind is what happened to a message.
type kind uint8

// The kinds. Those of the publisher come first, then those of a subscriber.
const (
	sent      kind = iota // PUBLISH, for the first time
	resent                // PUBLISH with DUP
	acked                 // PUBACK came
	received              // PUBREC came
	released              // PUBREL was sent
	completed             // PUBCOMP came
	abandoned             // the publisher's session was lost before an answer came
	delivered             // PUBLISH came and was handed to the application
	repeated              // PUBLISH came, but the application has the message: its identifier is held
	finished              // PUBREL came: the identifier is free
)

var kinds = [...]string{"PUBLISH", "PUBLISH again (DUP)", "PUBACK came", "PUBREC came", "PUBREL", "PUBCOMP came",
	"given up, the session was lost", "delivered", "came again and was recognised", "PUBREL came"}

// event is one note on a message.
type event struct {
	at   time.Duration // since the start of the history
	what kind
	qos  uint8 // of the PUBLISH that came
	who  string
	id   uint16
}

// message is one application message of a publisher.
type message struct {
	publisher string
	qos       uint8
	n         int // counted by publisher and QoS
	topic     string
	size      int // of the payload, about
	epoch     int
	events    []event
}

func (m *message) key() string { return fmt.Sprintf("%s %d %d", m.publisher, m.qos, m.n) }

// payload begins with the key and goes on with bytes that follow from it.
func (m *message) payload() []byte {
	b := append([]byte(m.key()), '|')
	for i := 0; len(b) < m.size; i++ {
		b = append(b, byte('a'+(i*7+m.n)%26))
	}
	return b
}

// answered reports whether the publisher has everything that it waits for.
func (m *message) answered() bool {
	for _, e := range m.events {
		if e.what == acked || e.what == completed || e.what == abandoned {
			return true
		}
	}
	return false
}

// filter is a subscription's.
type filter struct {
	text string
	qos  uint8
}

// receiver is a subscriber as the checker sees it.
type receiver struct {
	name    string
	filters []filter
	group   string        // of a shared subscription, which is its only one; else empty
	since   time.Duration // when its SUBACK came; 0: it has not
	got     []delivery
}

type delivery struct {
	m   *message
	qos uint8
}

// copies is how many copies of a message a receiver is owed, by their QoS.
func (r *receiver) copies(m *message, dedup bool) (n [3]int) {
	best := -1
	for _, f := range r.filters {
		if matches(f.text, m.topic) {
			q := min(f.qos, m.qos)
			n[q]++
			best = max(best, int(q))
		}
	}
	if dedup && best >= 0 {
		n = [3]int{}
		n[best] = 1
	}
	return n
}

// matches reports whether a topic matches a filter without $share.
func matches(filter, topic string) bool {
	f, t := strings.Split(filter, "/"), strings.Split(topic, "/")
	for i, level := range f {
		if level == "#" {
			return true
		}
		if i >= len(t) || level != "+" && level != t[i] {
			return false
		}
	}
	return len(f) == len(t)
}

// stop is one end of the broker: what it had acknowledged at from counts, and at to it had ended.
type stop struct {
	from, to time.Duration
	round    int
}

// history is everything that happened. Its methods may be called from any goroutine.
type history struct {
	start  time.Time
	window time.Duration // what was acknowledged less than this before a stop may be undone
	dedup  bool          // one copy for overlapping subscriptions

	mu        sync.Mutex // guards all below
	stops     []stop
	epoch     int
	messages  map[string]*message // of this epoch and the one before
	receivers []*receiver
	count     int // events
	failures  []failure
	handed    int // QoS 2 messages of a group that another member got while they were in flight
}

// failure is one broken promise.
type failure struct {
	what fault
	text string
}

type fault string

// The faults.
const (
	lost         fault = "lost"
	twice        fault = "delivered more than once"
	disordered   fault = "out of order"
	unknown      fault = "never sent"
	unanswered   fault = "not answered"
	refused      fault = "refused"
	wrongQoS     fault = "wrong QoS"
	identifier   fault = "packet identifier used for two messages"
	session      fault = "session present"
	retained     fault = "retained"
	subscription fault = "subscription"
)

// failuresMax is how many failures are kept with their texts.
const failuresMax = 1000

func newHistory(window time.Duration, dedup bool) *history {
	return &history{start: time.Now(), window: window, dedup: dedup, messages: map[string]*message{}}
}

// now is the time in the history's terms; never 0.
func (h *history) now() time.Duration { return max(1, time.Since(h.start)) }

// send notes a new message.
func (h *history) send(m *message, id uint16) {
	h.mu.Lock()
	defer h.mu.Unlock()
	m.epoch = h.epoch
	h.messages[m.key()] = m
	h.noteLocked(m, event{what: sent, who: m.publisher, id: id})
}

// note adds an event of a message.
func (h *history) note(m *message, e event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.noteLocked(m, e)
}

func (h *history) noteLocked(m *message, e event) {
	e.at = h.now()
	m.events = append(m.events, e)
	h.count++
}

// deliver notes that r's application got a message.
func (h *history) deliver(m *message, r *receiver, qos uint8, id uint16) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r.got = append(r.got, delivery{m, qos})
	h.noteLocked(m, event{what: delivered, who: r.name, id: id, qos: qos})
}

// find is the message with a payload, nil when nobody sent that.
func (h *history) find(payload []byte) *message {
	key, _, _ := strings.Cut(string(payload[:min(len(payload), 60)]), "|")
	h.mu.Lock()
	m := h.messages[key]
	h.mu.Unlock()
	if m == nil || !bytes.Equal(payload, m.payload()) {
		return nil
	}
	return m
}

// subscribed notes that r's SUBACK came.
func (h *history) subscribed(r *receiver) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r.since = h.now()
}

// stopped notes that the broker has ended.
func (h *history) stopped(from time.Duration, round int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stops = append(h.stops, stop{from, h.now(), round})
}

// unsure reports whether a stop may have undone what was acknowledged at a time.
func (h *history) unsure(at time.Duration) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.unsureLocked(at)
}

func (h *history) unsureLocked(at time.Duration) bool {
	if h.window == 0 {
		return false
	}
	i, _ := slices.BinarySearchFunc(h.stops, at, func(s stop, at time.Duration) int { return cmp.Compare(s.to, at) })
	return i < len(h.stops) && h.stops[i].from-h.window < at
}

// fail notes a failure.
func (h *history) fail(what fault, format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failLocked(what, format, args...)
}

func (h *history) failLocked(what fault, format string, args ...any) {
	if len(h.failures) < failuresMax {
		h.failures = append(h.failures, failure{what, fmt.Sprintf(format, args...)})
	}
}

// progress is the number of events so far, and whether every message was answered and delivered.
func (h *history) progress() (events int, settled bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range h.messages {
		if !m.answered() {
			return h.count, false
		}
	}
	settled = true
	h.eachOwed(func(m *message, _ string, owed, got [3]int, _ []event) {
		if got[1] < owed[1] || got[2] < owed[2] {
			settled = false
		}
	})
	return h.count, settled
}

// eachOwed visits each message with each receiver, or group of them, that has anything to do with it: how many copies are owed
// by QoS, how many came, and the deliveries. A message that need not arrive is owed 0 times.
func (h *history) eachOwed(visit func(m *message, who string, owed, got [3]int, deliveries []event)) {
	var names []string
	members := map[string][]*receiver{}
	for _, r := range h.receivers {
		name := cmp.Or(r.group, r.name)
		if members[name] == nil {
			names = append(names, name)
		}
		members[name] = append(members[name], r)
	}
	got := map[string]*[3]int{}
	for _, m := range h.messages {
		clear(got)
		for _, e := range m.events {
			if e.what == delivered {
				if got[e.who] == nil {
					got[e.who] = new([3]int)
				}
				got[e.who][e.qos]++
			}
		}
		for _, name := range names {
			var sum [3]int
			since := time.Duration(0)
			for _, r := range members[name] {
				if n := got[r.name]; n != nil {
					for q := range sum {
						sum[q] += n[q]
					}
				}
				if r.since != 0 && (since == 0 || r.since < since) {
					since = r.since
				}
			}
			owed := members[name][0].copies(m, h.dedup)
			if since == 0 || m.events[0].at < since || !h.keptLocked(m) {
				owed = [3]int{}
			}
			if owed != sum {
				visit(m, name, owed, sum, h.deliveriesTo(m, members[name]))
			}
		}
	}
}

func (h *history) deliveriesTo(m *message, to []*receiver) (all []event) {
	for _, e := range m.events {
		if e.what >= delivered && slices.ContainsFunc(to, func(r *receiver) bool { return r.name == e.who }) {
			all = append(all, e)
		}
	}
	return all
}

// keptLocked reports whether the broker must have kept a message: it said so, and no stop undid that.
func (h *history) keptLocked(m *message) bool {
	kept := false
	for _, e := range m.events {
		switch e.what {
		case acked, received:
			kept = true
			if h.unsureLocked(e.at) {
				return false
			}
		case completed:
			if h.unsureLocked(e.at) {
				return false
			}
		case abandoned:
			return false
		}
	}
	return kept
}

// check holds everything that is known against the promises, after everything was let through.
func (h *history) check() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range h.messages {
		if !m.answered() {
			h.failMessageLocked(unanswered, m, m.publisher, "its publisher waits for an acknowledgement")
		}
	}
	h.eachOwed(func(m *message, who string, owed, got [3]int, deliveries []event) {
		possible := h.possible(who, m)
		for q := range got {
			switch {
			case got[q] < owed[q]:
				h.failMessageLocked(lost, m, who, fmt.Sprintf("%d of %d copies of QoS %d came", got[q], owed[q], q))
			case got[q] > 0 && possible[q] == 0:
				h.failMessageLocked(wrongQoS, m, who, fmt.Sprintf("no subscription gives it QoS %d", q))
			case q == 2 && got[q] > possible[q]:
				h.extraLocked(m, who, got[q], possible[q], deliveries)
			}
		}
	})
	for _, r := range h.receivers {
		if r.group == "" {
			h.checkOrderLocked(r)
		}
	}
}

// possible is how many copies of a message a receiver or group may get, whenever it subscribed.
func (h *history) possible(who string, m *message) [3]int {
	for _, r := range h.receivers {
		if cmp.Or(r.group, r.name) == who {
			return r.copies(m, h.dedup)
		}
	}
	return [3]int{}
}

// extraLocked judges copies of QoS 2 beyond those that were possible.
func (h *history) extraLocked(m *message, who string, got, possible int, deliveries []event) {
	for _, e := range deliveries {
		if h.unsureLocked(e.at) {
			return // a stop may have undone that it was sent, or that it was acknowledged
		}
	}
	// A member of a group that went away with a message half delivered may see it go to another one.
	if first := deliveries[0]; first.what == delivered {
		free := slices.IndexFunc(deliveries, func(e event) bool { return e.what == finished && e.who == first.who })
		next := slices.IndexFunc(deliveries, func(e event) bool { return e.what == delivered && e.who != first.who })
		if next > 0 && got == possible+1 && (free < 0 || free > next) {
			h.handed++
			return
		}
	}
	h.failMessageLocked(twice, m, who, fmt.Sprintf("%d copies of QoS 2 came, %d were due", got, possible))
}

// checkOrderLocked wants first appearances in the order in which a publisher sent them, for each pair of QoS. Of what was sent
// before r had subscribed, it may get the repetition alone, later than what was sent behind it.
func (h *history) checkOrderLocked(r *receiver) {
	type flow struct {
		publisher string
		sent, got uint8
	}
	type arrival struct {
		flow
		n int
	}
	last := map[flow]*message{}
	seen := map[arrival]bool{}
	for _, d := range r.got {
		f := flow{d.m.publisher, d.m.qos, d.qos}
		if a := (arrival{f, d.m.n}); seen[a] || r.since == 0 || d.m.events[0].at < r.since || slices.ContainsFunc(d.m.events, func(e event) bool { return e.what == abandoned }) {
			continue
		} else {
			seen[a] = true
		}
		if before := last[f]; before != nil && before.n > d.m.n {
			h.failLocked(disordered, "at %s %s came before %s\n%s\n%s\n%s\n%s", r.name, before.key(), d.m.key(),
				d.m.key(), h.storyLocked(d.m, r.name), before.key(), h.storyLocked(before, r.name))
			continue
		}
		last[f] = d.m
	}
}

func (h *history) failMessageLocked(what fault, m *message, who, text string) {
	h.failLocked(what, "%s at %s: %s\n%s", m.key(), who, text, h.storyLocked(m, who))
}

// clash notes that an identifier, held for one message, came with another one: a client that keeps its promise drops that. Either
// may be nil, one that nobody sent.
func (h *history) clash(who string, p *codec.Publish, held holding, m *message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	text := fmt.Sprintf("%s held id %d since %v, and at %v it came with another message, DUP %v\n", who, p.PacketID, held.at,
		h.now(), p.Dup)
	for _, m := range []*message{held.m, m} {
		if m != nil {
			text += m.key() + "\n" + h.storyLocked(m, who)
		}
	}
	h.failLocked(identifier, "%s", text)
}

// storyLocked is the history of a message for one receiver or group, with the stops in between.
func (h *history) storyLocked(m *message, who string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "  topic %s, %d bytes\n", m.topic, len(m.payload()))
	from, to := m.events[0].at, m.events[len(m.events)-1].at
	var lines []event
	for _, e := range m.events {
		if e.what < delivered || e.who == who || h.groupOf(e.who) == who {
			lines = append(lines, e)
		}
	}
	for _, s := range h.stops {
		if s.to >= from-time.Second && s.from <= to+time.Second {
			lines = append(lines, event{at: s.from, id: uint16(s.round)})
		}
	}
	slices.SortStableFunc(lines, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	for _, e := range lines {
		if e.who == "" {
			fmt.Fprintf(&b, "  %9.4f s  ---- stop %d ----\n", e.at.Seconds(), e.id)
			continue
		}
		fmt.Fprintf(&b, "  %9.4f s  %-8s %s, id %d", e.at.Seconds(), e.who, kinds[e.what], e.id)
		if e.what == delivered || e.what == repeated {
			b.WriteString(", QoS " + strconv.Itoa(int(e.qos)))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func (h *history) groupOf(name string) string {
	for _, r := range h.receivers {
		if r.name == name {
			return r.group
		}
	}
	return ""
}

// nextEpoch forgets what belongs to the epoch before this one.
func (h *history) nextEpoch() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for key, m := range h.messages {
		if m.epoch < h.epoch {
			delete(h.messages, key)
		}
	}
	for _, r := range h.receivers {
		r.got = slices.DeleteFunc(r.got, func(d delivery) bool { return d.m.epoch < h.epoch })
	}
	h.epoch++
}
