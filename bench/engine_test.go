package bench

import "testing"

// newTestEngine is an engine without sockets: messages are handed to deliver directly.
func newTestEngine(s scenario) *engine {
	e := &engine{s: s, pubs: make([]publisher, s.pubs), flows: make([]flow, s.flows())}
	for j := range e.pubs {
		e.pubs[j].c = &client{}
		e.pubs[j].template = newPublishTemplate(s.topic(j), s.qos, s.payloadBytes)
		if s.copies() > 1 && s.outstanding > 0 {
			e.pubs[j].waiting = make([]int, 2*s.outstanding)
		}
		e.clients = append(e.clients, e.pubs[j].c)
	}
	return e
}

func (e *engine) deliverSeq(sub int, seq uint64) {
	payload := make([]byte, e.s.payloadBytes)
	stamp{seq: seq}.put(payload)
	e.deliver(sub, publish{payload: payload, qos: e.s.qos}, 1)
}

func TestCreditOfFanOutComesBackWithTheLastCopy(t *testing.T) {
	e := newTestEngine(scenario{pubs: 1, subs: 3, payloadBytes: 64, outstanding: 2})
	e.markReady(0)
	e.refill()
	if e.pubs[0].sent != 2 {
		t.Fatalf("%d sent at first, want the bound of 2", e.pubs[0].sent)
	}
	e.deliverSeq(0, 0)
	e.deliverSeq(1, 0)
	e.refill()
	if e.pubs[0].sent != 2 {
		t.Fatal("credit came back before the last subscriber had the message")
	}
	e.deliverSeq(2, 0)
	e.refill()
	if e.pubs[0].sent != 3 {
		t.Fatalf("%d sent after one message arrived everywhere, want 3", e.pubs[0].sent)
	}
}

func TestLostMessageGivesItsCreditBack(t *testing.T) {
	e := newTestEngine(scenario{pubs: 1, subs: 1, payloadBytes: 64, outstanding: 4})
	e.markReady(0)
	e.refill()
	e.deliverSeq(0, 3)
	e.refill()
	if e.pubs[0].sent != 8 || e.counts.unique != 1 || e.expected() != 8 {
		t.Fatalf("%d sent, %+v, %d expected", e.pubs[0].sent, e.counts, e.expected())
	}
}

func TestAcknowledgementsHoldCreditToo(t *testing.T) {
	e := newTestEngine(scenario{pubs: 1, subs: 1, qos: 1, payloadBytes: 64, outstanding: 1})
	e.markReady(0)
	e.refill()
	e.deliverSeq(0, 0)
	e.refill()
	if e.pubs[0].sent != 1 {
		t.Fatal("a second message went out before the PUBACK of the first")
	}
	if err := e.takeAtPublisher(0, packet{first: packetPuback, body: []byte{0, 1}}, 1); err != nil {
		t.Fatal(err)
	}
	e.refill()
	if e.pubs[0].sent != 2 {
		t.Fatalf("%d sent after delivery and PUBACK, want 2", e.pubs[0].sent)
	}
}

func TestMessageThatWasNeverSentIsCorrupt(t *testing.T) {
	e := newTestEngine(scenario{pubs: 1, subs: 1, payloadBytes: 64, outstanding: 2})
	e.deliverSeq(0, 0)
	if e.corrupt != 1 || e.counts.unique != 0 {
		t.Fatalf("corrupt %d, %+v", e.corrupt, e.counts)
	}
}

func TestGroupCreditComesBackWithEachMessageAndOnlyOnce(t *testing.T) {
	e := newTestEngine(scenario{pubs: 1, subs: 3, share: "g", payloadBytes: 64, outstanding: 3})
	e.markReady(0)
	e.refill()
	e.deliverSeq(2, 1)
	e.refill()
	if e.pubs[0].sent != 4 || e.pubs[0].low != 0 {
		t.Fatalf("%d sent and low at %d after the second message came first, want 4 and 0", e.pubs[0].sent, e.pubs[0].low)
	}
	e.deliverSeq(0, 0)
	e.deliverSeq(1, 0)
	e.refill()
	if e.counts != (flowCounts{unique: 2, duplicates: 1}) || e.pubs[0].sent != 5 || e.pubs[0].low != 2 {
		t.Fatalf("%+v, %d sent, low at %d", e.counts, e.pubs[0].sent, e.pubs[0].low)
	}
}

func TestGroupWaitsForAMessageThatIsMissing(t *testing.T) {
	e := newTestEngine(scenario{pubs: 1, subs: 2, share: "g", payloadBytes: 64, outstanding: 2})
	e.markReady(0)
	e.refill()
	for seq := uint64(1); seq < e.pubs[0].sent; seq++ {
		e.deliverSeq(0, seq)
		e.refill()
	}
	if e.pubs[0].sent != flowWindow {
		t.Fatalf("%d sent while message 0 is missing, want the window of %d", e.pubs[0].sent, flowWindow)
	}
	e.deliverSeq(1, 0)
	if got := e.expected() - e.counts.unique; got != 0 || e.counts.duplicates != 0 {
		t.Fatalf("%d lost, %+v", got, e.counts)
	}
}

func TestSlowSubscribersAreNotCounted(t *testing.T) {
	e := newTestEngine(scenario{pubs: 1, subs: 3, slow: 1, payloadBytes: 64, perSec: 10})
	e.publish(0, 0)
	e.deliverSeq(0, 0)
	e.deliverSeq(2, 0)
	e.deliverSeq(1, 0)
	if e.counts.unique != 2 || e.expected() != 2 || e.corrupt != 0 {
		t.Fatalf("%+v, %d expected, %d corrupt", e.counts, e.expected(), e.corrupt)
	}
}

func TestMessageToAClientOfTheBackgroundIsCorrupt(t *testing.T) {
	e := newTestEngine(scenario{pubs: 1, subs: 1, payloadBytes: 64, outstanding: 2})
	e.publish(0, 0)
	e.deliverSeq(1, 0)
	if e.corrupt != 1 || e.counts.unique != 0 {
		t.Fatalf("corrupt %d, %+v", e.corrupt, e.counts)
	}
}
