package bench

import "testing"

// newTestEngine is an engine without sockets: messages are handed to deliver directly.
func newTestEngine(s scenario) *engine {
	e := &engine{s: s, pubs: make([]publisher, s.pubs), flows: make([]flow, s.subs*s.pubs)}
	for j := range e.pubs {
		e.pubs[j].c = &client{}
		e.pubs[j].template = newPublishTemplate(s.topic(j), s.qos, s.payloadBytes)
		if s.copies() > 1 {
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
	if err := e.takeAtPublisher(0, packet{first: packetPuback, body: []byte{0, 1}}); err != nil {
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
