package persist

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var updateGolden = flag.Bool("persist.update", false, "write testdata/golden-v1 anew; only while version 1 is not released")

const goldenDir = "testdata/golden-v1"

// goldenOps is what the directory holds: first what is in the engine, then what is in the journal.
func goldenOps() (engine, journal []Op, ms []*message) {
	long := newMessage("long", strings.Repeat("0123456789", firstBytes/10+1))
	retained := &message{body: Body{
		Topic: "retained/ü", Payload: []byte("r"), Props: []byte{3, 0, 1, 't'}, QoS: 2, Retain: true,
		Source: Source{ClientID: "pub", UserName: "u", HasUserName: true, Port: 1883},
	}}
	gone, late := newMessage("gone", "gone"), newMessage("late", "late")
	session := &Session{
		Number: 1, ClientID: "one", Expiry: 3600, EndsAt: 4102444800000, LastID: 77, Version: 5,
		Source: Source{ClientID: "one", UserName: "u", HasUserName: true, Port: 8883}, Address: "192.0.2.1:5",
		Will: &Will{Body: Body{Topic: "will", Props: []byte{1, 1}, Payload: []byte("bye"), QoS: 1}, Delay: 9, At: 4102444800000},
	}
	engine = []Op{
		{Kind: PutSession, Session: 1, Extra: &Extra{Session: session}}, sessionOp(2, "two"), sessionOp(3, "three"),
		{Kind: PutSubscription, Session: 1, Extra: &Extra{Subscription: &Subscription{Filter: "a/+", ID: 300, QoS: 2, Flags: 5}}},
		{Kind: PutSubscription, Session: 2, Extra: &Extra{Subscription: &Subscription{Filter: "$share/g/" + strings.Repeat("f", nameMax)}}},
		{Kind: PutRetained, Ref: 1, Expires: 4102444800000, Message: retained.hold()},
		retainedOp(gone),
		deliveryOp(1, 1, long), deliveryOp(2, 1, long),
		{Kind: PutInbound, Ref: 1, Session: 1, PacketID: 9, Message: late.hold()},
	}
	journal = []Op{
		{Kind: DeleteSession, Session: 3},
		{Kind: DeleteRetained, Ref: -1, Message: gone.hold()},
		{Kind: PutDelivery, Session: 1, Seq: 1, QoS: 1, State: Sent, PacketID: 77, Again: true, Message: long.hold()},
		{Kind: PutDelivery, Ref: 1, Session: 2, Seq: 2, QoS: 2, State: Release, PacketID: 3},
		{Kind: PutDelivery, Ref: 1, Session: 2, Seq: 3, QoS: 2, Message: late.hold(), Extra: &Extra{SubIDs: []uint32{1, 2}, Group: "g", Filter: "f"}},
	}
	return engine, journal, []*message{long, retained, late}
}

func TestGoldenDirectory(t *testing.T) {
	if *updateGolden {
		writeGolden(t)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(goldenDir)); err != nil {
		t.Fatal(err)
	}
	s, err := Open(Options{Dir: dir, Log: func(line string) { t.Error("said: " + line) }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	st := restored(t, s)
	engine, _, ms := goldenOps()
	same(t, "session", st.sessions[1], *engine[0].Extra.Session)
	same(t, "session", st.sessions[2], *engine[1].Extra.Session)
	same(t, "subscription", st.subscriptions["1 a/+"], *engine[3].Extra.Subscription)
	long := engine[4].Extra.Subscription
	same(t, "long subscription", st.subscriptions["2 "+long.Filter], *long)
	want := ms[1].body
	want.Expires = 4102444800000
	same(t, "retained", st.bodies["r retained/ü"].body, want)
	same(t, "delivery", st.deliveries["1 1"], Delivery{Seq: 1, PacketID: 77, QoS: 1, State: Sent, Again: true})
	same(t, "delivery", st.deliveries["2 1"], Delivery{Seq: 1, QoS: 1})
	same(t, "delivery", st.deliveries["2 2"], Delivery{Seq: 2, PacketID: 3, QoS: 2, State: Release})
	same(t, "delivery", st.deliveries["2 3"], Delivery{Seq: 3, QoS: 2, SubIDs: []uint32{1, 2}, Group: "g", Filter: "f"})
	same(t, "bodies", keysOf(st.bodies), []string{"d 1 1", "d 2 1", "d 2 3", "i 1 9", "r retained/ü"})
	same(t, "long body", string(st.bodies["d 1 1"].body.Payload), string(ms[0].body.Payload))
	same(t, "sessions", len(st.sessions), 2)
}

func writeGolden(t *testing.T) {
	if err := os.RemoveAll(goldenDir); err != nil {
		t.Fatal(err)
	}
	s, err := Open(Options{Dir: goldenDir, CheckpointBytes: 1})
	if err != nil {
		t.Fatal(err)
	}
	restored(t, s)
	engine, journal, _ := goldenOps()
	s.Commit(&Batch{Ops: engine})
	for s.Stats().Checkpoints == 0 {
		time.Sleep(time.Millisecond)
	}
	// The messages carry the marks of what is stored; the second process restores its own.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(Options{Dir: goldenDir}); err != nil {
		t.Fatal(err)
	}
	st := restored(t, s)
	for i := range journal {
		if m, _ := journal[i].Message.(*message); m != nil {
			for _, x := range st.messages {
				if x.body.Topic == m.body.Topic {
					journal[i].Message = x.hold()
				}
			}
		}
	}
	s.Commit(&Batch{Ops: journal})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(filepath.Join(goldenDir, lockName))
}
