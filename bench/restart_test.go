package bench

import (
	"errors"
	"testing"
)

func TestFilterMatches(t *testing.T) {
	f := func(filter, topic string, want bool) {
		t.Helper()
		if filterMatches(filter, topic) != want {
			t.Errorf("%q and %q: want %v", filter, topic, want)
		}
	}
	f("#", "a/b", true)
	f("a/#", "a", true)
	f("a/#", "a/b/c", true)
	f("a/#", "ab", false)
	f("+/+/c", "a/b/c", true)
	f("+/+/c", "a/c", false)
	f("+/+", "a/b/c", false)
	f("+", "a", true)
	f("a/+/#", "a", false)
}

func TestBackgroundMatchesNoMeasuredTopicAndNoFilterTwice(t *testing.T) {
	pairs, one := scenario{pairs: true}, scenario{}
	seen := map[string]bool{}
	for i := range 5000 {
		filter := backgroundFilter(i)
		if seen[filter] {
			t.Fatalf("filter %q is there twice", filter)
		}
		seen[filter] = true
		if filterMatches(filter, pairs.topic(7)) || filterMatches(filter, one.topic(0)) {
			t.Fatalf("filter %q matches", filter)
		}
	}
}

// newRestartEngine has one publisher and two subscribers: one to everything, one to what no publisher sends.
func newRestartEngine() *engine {
	e := newTestEngine(scenario{pubs: 1, subs: 2, perSec: 10, payloadBytes: 64, retained: 4, subscribe: []string{"#", "homeassistant/#"}})
	e.restart = newRestart(&e.s)
	return e
}

func (e *engine) storedCame(sub int, n uint64, topic string) {
	payload := make([]byte, e.s.payloadBytes)
	stamp{seq: n, pub: storedPub}.put(payload)
	e.takeStored(sub, publish{topic: []byte(topic), payload: payload}, 1)
}

func TestEveryStoredMessageMustComeOnce(t *testing.T) {
	e := newRestartEngine()
	if e.expected() != 4+2 {
		t.Fatalf("%d expected, want all 4 and the 2 of homeassistant", e.expected())
	}
	for n := range uint64(4) {
		e.storedCame(0, n, storedTopic(int(n)))
	}
	e.storedCame(0, 1, storedTopic(1))
	e.storedCame(1, 0, storedTopic(0))
	if e.counts != (flowCounts{unique: 5, duplicates: 1}) || e.restart.doneNs != 0 {
		t.Fatalf("%+v, done at %d", e.counts, e.restart.doneNs)
	}
	e.storedCame(1, 1, storedTopic(0))
	if e.corrupt != 1 {
		t.Fatal("a message on the topic of another passed")
	}
	e.storedCame(1, 1, storedTopic(1))
	if e.restart.doneNs != 1 || e.counts.unique != e.expected() {
		t.Fatalf("done at %d, %+v", e.restart.doneNs, e.counts)
	}
}

func TestLiveMessagesCountFromTheSuback(t *testing.T) {
	e := newRestartEngine()
	e.publish(0, 0)
	e.publish(0, 0)
	if err := e.takeSuback(0, packet{first: packetSuback, body: []byte{0, 1, 0}}); err != nil {
		t.Fatal(err)
	}
	e.deliverSeq(0, 1) // sent before, came after
	e.publish(0, 0)
	if e.expected() != 6+1 || e.counts.unique != 0 {
		t.Fatalf("%d expected, %+v", e.expected(), e.counts)
	}
	e.deliverSeq(0, 2)
	e.deliverSeq(1, 2)
	if e.counts != (flowCounts{unique: 1}) || e.corrupt != 1 {
		t.Fatalf("%+v, %d corrupt; the second subscriber takes no live message", e.counts, e.corrupt)
	}
}

func TestSubackThatRefusesOrComesTwiceIsMalformed(t *testing.T) {
	e := newRestartEngine()
	f := func(ok bool, body ...byte) {
		t.Helper()
		if err := e.takeSuback(0, packet{first: packetSuback, body: body}); (err == nil) != ok || err != nil && !errors.Is(err, errMalformed) {
			t.Errorf("SUBACK % x: %v", body, err)
		}
	}
	f(false, 0, 1, 0x80)
	f(false, 0, 1)
	f(true, 0, 1, 0)
	f(false, 0, 1, 0)
	e.restart = nil
	f(false, 0, 1, 0)
}
