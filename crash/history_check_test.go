package crash

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestCheck holds the checker to histories whose faults are known.
func TestCheck(t *testing.T) {
	const s = time.Second
	type notes []event
	pub := func(at time.Duration, what kind) event { return event{at: at, what: what, who: "p"} }
	sub := func(at time.Duration, who string, what kind, qos uint8) event {
		return event{at: at, what: what, who: who, qos: qos}
	}
	plain := []*receiver{{name: "a", filters: []filter{{"c/#", 2}}, since: s}}
	double := []*receiver{{name: "a", filters: []filter{{"c/#", 2}, {"c/+", 2}}, since: s}}
	group := []*receiver{{name: "a", group: "$share/g", filters: []filter{{"c/#", 2}}, since: s},
		{name: "b", group: "$share/g", filters: []filter{{"c/#", 2}}}}
	whole := notes{pub(2*s, sent), pub(3*s, received), pub(4*s, completed)}

	f := func(name string, receivers []*receiver, h *history, qos uint8, story notes, want ...fault) {
		t.Helper()
		m := &message{publisher: "p", qos: qos, n: 1, topic: "c/x", events: story}
		h.messages[m.key()] = m
		for _, r := range receivers {
			copied := *r
			for _, e := range story {
				if e.what == delivered && e.who == r.name {
					copied.got = append(copied.got, delivery{m, e.qos})
				}
			}
			h.receivers = append(h.receivers, &copied)
		}
		h.check()
		var got []fault
		for _, f := range h.failures {
			got = append(got, f.what)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	fresh := func(window time.Duration, stops ...stop) *history {
		h := newHistory(window, false)
		h.stops = stops
		return h
	}
	more := func(n notes, events ...event) notes { return slices.Concat(n, events) }

	f("once", plain, fresh(0), 2, more(whole, sub(5*s, "a", delivered, 2)))
	f("never", plain, fresh(0), 2, whole, lost)
	f("never, before the SUBACK", plain, fresh(0), 2, notes{pub(s/2, sent), pub(3*s, received), pub(4*s, completed)})
	f("never, given up", plain, fresh(0), 2, notes{pub(2*s, sent), pub(3*s, abandoned)})
	f("no answer", plain, fresh(0), 2, notes{pub(2*s, sent)}, unanswered)
	f("PUBREC, then nothing", plain, fresh(0), 2, notes{pub(2*s, sent), pub(3*s, received)}, unanswered, lost)
	f("twice", plain, fresh(0), 2, more(whole, sub(5*s, "a", delivered, 2),
		sub(6*s, "a", delivered, 2)), twice)
	f("twice, recognised", plain, fresh(0), 2, more(whole, sub(5*s, "a", delivered, 2), sub(6*s, "a", repeated, 2)))
	f("twice, QoS 1", plain, fresh(0), 1, notes{pub(2*s, sent), pub(3*s, acked), sub(5*s, "a", delivered, 1),
		sub(6*s, "a", delivered, 1)})
	f("another QoS", plain, fresh(0), 2, more(whole, sub(5*s, "a", delivered, 1)), wrongQoS, lost)
	f("one of two copies", double, fresh(0), 2, more(whole, sub(5*s, "a", delivered, 2)), lost)
	f("both copies", double, fresh(0), 2, more(whole, sub(5*s, "a", delivered, 2), sub(5*s, "a", delivered, 2)))
	dedup := fresh(0)
	dedup.dedup = true
	f("both copies, one is due", double, dedup, 2, more(whole, sub(5*s, "a", delivered, 2),
		sub(5*s, "a", delivered, 2)), twice)

	f("group, once", group, fresh(0), 2, more(whole, sub(5*s, "b", delivered, 2)))
	f("group, never", group, fresh(0), 2, whole, lost)
	f("group, twice at one member", group, fresh(0), 2, more(whole, sub(5*s, "a", delivered, 2),
		sub(6*s, "a", delivered, 2)), twice)
	f("group, twice after PUBREL", group, fresh(0), 2, more(whole, sub(5*s, "a", delivered, 2), sub(6*s, "a", finished, 2),
		sub(7*s, "b", delivered, 2)), twice)
	f("group, handed over in flight", group, fresh(0), 2, more(whole, sub(5*s, "a", delivered, 2), sub(7*s, "b", delivered, 2)))

	f("lost by a cut within the window", plain, fresh(s, stop{from: 3*s + s/2, to: 3*s + s/2}), 2, whole)
	f("lost, PUBCOMP within the window", plain, fresh(s, stop{from: 4*s + s/2, to: 4*s + s/2}), 2, whole)
	f("lost by a cut after the window", plain, fresh(s, stop{from: 5*s + s/2, to: 5*s + s/2}), 2, whole, lost)
	f("twice around a cut within the window", plain, fresh(s, stop{from: 6 * s, to: 6 * s}), 2, more(whole,
		sub(5*s+s/2, "a", delivered, 2), sub(7*s, "a", delivered, 2)))
	f("twice around a cut after the window", plain, fresh(s, stop{from: 7 * s, to: 7 * s}), 2, more(whole,
		sub(5*s, "a", delivered, 2), sub(8*s, "a", delivered, 2)), twice)
}

// TestCheckOrder: first appearances count, flow by flow.
func TestCheckOrder(t *testing.T) {
	f := func(want int, arrivals ...delivery) {
		t.Helper()
		h := newHistory(0, false)
		r := &receiver{name: "a", filters: []filter{{"c/#", 2}}, since: 1, got: arrivals}
		h.checkOrderLocked(r)
		if len(h.failures) != want {
			t.Errorf("%d failures, want %d: %v", len(h.failures), want, h.failures)
		}
	}
	m := func(qos uint8, n int) *message {
		return &message{publisher: "p", qos: qos, n: n, topic: "c/x", events: []event{{what: sent, who: "p", at: time.Duration(n)}}}
	}
	one, two, three, other := m(1, 1), m(1, 2), m(1, 3), m(2, 1)
	f(0, delivery{one, 1}, delivery{two, 1}, delivery{three, 1})
	f(0, delivery{one, 1}, delivery{two, 1}, delivery{one, 1}, delivery{two, 1}, delivery{three, 1})
	f(1, delivery{one, 1}, delivery{three, 1}, delivery{two, 1})
	f(0, delivery{two, 1}, delivery{other, 2}, delivery{three, 1})
	f(0, delivery{three, 1}, delivery{m(1, 0), 1}) // sent before it had subscribed
}

// TestRegister: what a value may be after a stop.
func TestRegister(t *testing.T) {
	h := newHistory(time.Second, false)
	h.stops = []stop{{from: 10 * time.Second, to: 11 * time.Second}}
	r := newRegister("a")
	f := func(c change, want ...string) {
		t.Helper()
		r.changes = append(r.changes, c)
		if got := r.allowed(h); !slices.Equal(got, want) {
			t.Error(fmt.Sprint(got), "want", want)
		}
	}
	f(change{"b", 1, time.Second}, "b")
	f(change{value: "c", at: 2}, "c", "b")
	f(change{"d", 3, 8 * time.Second}, "d")
	f(change{"e", 3, 9500 * time.Millisecond}, "e", "d")
	f(change{"f", 3, 9600 * time.Millisecond}, "f", "e", "d")
}
