package persist

import (
	"strings"
	"testing"
)

// record is one of each kind, with every field set.
func fullOps() (ops []Op, ms map[string]*message) {
	source := Source{ClientID: "pump", UserName: "", HasUserName: true, Port: 1883}
	ms = map[string]*message{
		"long":     {body: Body{Topic: strings.Repeat("t", 60000), Payload: []byte(strings.Repeat("x", 3*chunkBytes)), Props: []byte(strings.Repeat("p", 100_000)), QoS: 2, Retain: true, Source: source}, refs: 1},
		"short":    {body: Body{Topic: "a/b", Payload: []byte("short"), Props: []byte{1, 0}, QoS: 1, Retain: true, Source: source}, refs: 1},
		"inbound":  newMessage("in", "inbound"),
		"delivery": newMessage("d", "delivery"),
	}
	session := &Session{
		Number: 7, ClientID: "client", Expiry: 0xFFFFFFFF, EndsAt: 1 << 41, Connected: true, LastID: 65535, Version: 5,
		Source: Source{ClientID: "client", UserName: "u", HasUserName: true, Port: 8883}, Address: "[::1]:1",
		Will: &Will{
			Body:  Body{Topic: "will", Props: []byte(strings.Repeat("w", 600_000)), Payload: []byte("bye"), QoS: 2, Retain: true, Source: source},
			Delay: 5, HasExpiry: true, Expiry: 0, At: 12345,
		},
	}
	long := "$share/g/" + strings.Repeat("f", 65000)
	ops = []Op{
		{Kind: PutSession, Session: 7, Extra: &Extra{Session: session}},
		{Kind: PutSubscription, Session: 7, Extra: &Extra{Subscription: &Subscription{Filter: "a/+", ID: 268435455, QoS: 2, Flags: 255}}},
		{Kind: PutSubscription, Session: 7, Extra: &Extra{Subscription: &Subscription{Filter: long, QoS: 1}}},
		{Kind: PutRetained, Ref: 1, Expires: 99, Message: ms["long"].hold()},
		{Kind: PutRetained, Ref: 1, Message: ms["short"].hold()},
		{Kind: PutInbound, Ref: 1, Session: 7, PacketID: 65535, Message: ms["inbound"].hold()},
		{Kind: PutDelivery, Ref: 1, Session: 7, Seq: 1, QoS: 2, State: Release, PacketID: 5},
		{Kind: PutDelivery, Ref: 1, Session: 7, Seq: 2, QoS: 2, State: Sent, PacketID: 300, Retain: true, Again: true, SubID: 7, Message: ms["delivery"].hold()},
		{Kind: PutDelivery, Ref: 1, Session: 7, Seq: 1 << 40, QoS: 1, Message: ms["delivery"].hold(), Extra: &Extra{SubIDs: []uint32{1, 268435455}, Group: "g", Filter: long}},
	}
	return ops, ms
}

func TestEveryKindComesBackAsItWas(t *testing.T) {
	ops, ms := fullOps()
	m := NewMemory()
	m.Auto = true
	m.Commit(&Batch{Ops: ops})
	for name, x := range ms {
		if x.refs != 1 {
			t.Errorf("%d references to %s are left, want the owner's one", x.refs, name)
		}
	}
	st := restored(t, m.Crash())
	same(t, "session", st.sessions[7], *ops[0].Extra.Session)
	same(t, "subscription", st.subscriptions["7 a/+"], *ops[1].Extra.Subscription)
	same(t, "long subscription", st.subscriptions["7 "+ops[2].Extra.Subscription.Filter], *ops[2].Extra.Subscription)
	want := ms["long"].body
	want.Expires = 99
	same(t, "long retained", st.bodies["r "+want.Topic].body, want)
	same(t, "retained", st.bodies["r a/b"].body, ms["short"].body)
	same(t, "inbound", string(st.bodies["i 7 65535"].body.Payload), "inbound")
	same(t, "order", st.order, []string{"7 1", "7 2", "7 1099511627776"})
	same(t, "release", st.deliveries["7 1"], Delivery{Seq: 1, QoS: 2, State: Release, PacketID: 5})
	same(t, "sent", st.deliveries["7 2"], Delivery{Seq: 2, QoS: 2, State: Sent, PacketID: 300, Retain: true, Again: true, SubID: 7})
	same(t, "shared", st.deliveries["7 1099511627776"], Delivery{Seq: 1 << 40, QoS: 1, SubIDs: []uint32{1, 268435455}, Group: "g", Filter: ops[2].Extra.Subscription.Filter})
	if st.bodies["d 7 2"] != st.bodies["d 7 1099511627776"] || len(st.messages) != 4 {
		t.Errorf("a body was stored more than once: %d messages", len(st.messages))
	}
}

func TestBodyGoesWithItsLastReference(t *testing.T) {
	m := NewMemory()
	m.Auto = true
	big := newMessage("t", strings.Repeat("x", 5*chunkBytes))
	m.Commit(&Batch{Ops: []Op{sessionOp(1, "a"), sessionOp(2, "b"), deliveryOp(1, 1, big), deliveryOp(2, 1, big), retainedOp(big)}})
	m.Commit(&Batch{Ops: []Op{{Kind: PutDelivery, Session: 1, Seq: 1, State: Sent, QoS: 1, Message: big.hold()}}})
	m.Commit(&Batch{Ops: []Op{ackedOp(1, 1, big), {Kind: DeleteRetained, Ref: -1, Message: big.hold()}}})
	if got := m.Stats().Messages; got != 1 {
		t.Fatalf("%d bodies are stored, want 1", got)
	}

	m = m.Crash()
	st := restored(t, m)
	if len(st.bodies) != 1 {
		t.Fatalf("restored %v, want one delivery", keysOf(st.bodies))
	}
	m.Commit(&Batch{Ops: []Op{ackedOp(2, 1, st.bodies["d 2 1"]), {Kind: DeleteSession, Session: 1}, {Kind: DeleteSession, Session: 2}}})
	if len(m.engine) != 0 {
		t.Errorf("%d records are left: %q", len(m.engine), keysOf(m.engine))
	}
}

func TestReferenceThatEndsBeforeItBegins(t *testing.T) {
	m := NewMemory()
	m.Auto = true
	x := newMessage("t", "x")
	m.Commit(&Batch{Ops: []Op{sessionOp(1, "a"), {Kind: None, Ref: -1, Message: x.hold()}}})
	m.Commit(&Batch{Ops: []Op{deliveryOp(1, 1, x)}})
	m.Commit(&Batch{Ops: []Op{{Kind: None, Ref: 1, Message: x.hold()}}})
	same(t, "payloads", restored(t, m.Crash()).texts(), map[string]string{"d 1 1": "x"})
}

func TestCrashDropsWhatWasNotStepped(t *testing.T) {
	m := NewMemory()
	x, y := newMessage("t", "x"), newMessage("t", "y")
	done := 0
	m.Commit(&Batch{Ops: []Op{retainedOp(x)}, Done: func() { done++ }})
	m.Commit(&Batch{Ops: []Op{{Kind: None, Ref: -1, Message: x.hold()}, retainedOp(y)}, Done: func() { done++ }})
	if !m.Step() || done != 1 {
		t.Fatalf("%d batches were done, want 1", done)
	}
	same(t, "payloads", restored(t, m.Crash()).texts(), map[string]string{"r t": "x"})
	if done != 1 || x.refs != 1 || y.refs != 1 {
		t.Errorf("done %d, references %d and %d, want 1 each", done, x.refs, y.refs)
	}
}

func TestWhatNobodyNeedsIsDroppedAtRestore(t *testing.T) {
	m := NewMemory()
	m.Auto = true
	x, lost, group := newMessage("x", "x"), newMessage("lost", "lost"), newMessage("g", "group")
	m.Commit(&Batch{Ops: []Op{
		sessionOp(1, "a"), deliveryOp(1, 1, x), deliveryOp(9, 1, x),
		{Kind: PutSubscription, Session: 9, Extra: &Extra{Subscription: &Subscription{Filter: "f"}}},
		{Kind: PutInbound, Ref: 1, Session: 9, PacketID: 1, Message: x.hold()},
		{Kind: None, Ref: 1, Message: newMessage("n", strings.Repeat("n", chunkBytes))},
		deliveryOp(1, 2, lost),
		{Kind: PutDelivery, Ref: 1, Session: 9, Seq: 5, QoS: 1, Message: group.hold(), Extra: &Extra{Group: "g", Filter: "f"}},
	}})
	delete(m.engine, string(append(numberKey(nil, keyBody, lost.mark.id), 0, 0)))
	m = m.Crash()
	st := restored(t, m)
	same(t, "payloads", st.texts(), map[string]string{"d 1 1": "x", "d 9 5": "group"})
	if got := m.Stats(); got.SetAside != 1 || got.Messages != 2 {
		t.Errorf("%d records were set aside and %d bodies kept, want 1 and 2", got.SetAside, got.Messages)
	}
	if len(m.engine) != 5 {
		t.Errorf("%d records are left, want 5: %q", len(m.engine), keysOf(m.engine))
	}
	for _, x := range st.messages {
		held := 0
		for _, b := range st.bodies {
			if b == x {
				held++
			}
		}
		if x.refs != held {
			t.Errorf("%d references to %q are left, want %d", x.refs, x.body.Payload[:1], held)
		}
	}
}
