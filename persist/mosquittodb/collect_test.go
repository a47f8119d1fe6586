package mosquittodb

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/persist"
	"github.com/noctulemq/noctule/router"
)

const queuedMany = 1500

// someStore has what only a store of ours has, and more of some things than Mosquitto's defaults allow.
func someStore(t *testing.T) persist.Store {
	t.Helper()
	s := persist.NewMemory()
	s.Auto = true
	body := func(topic, payload string) *message {
		return &message{body: persist.Body{Topic: topic, Payload: []byte(payload), QoS: 2}}
	}
	ops := []persist.Op{
		{Kind: persist.PutSession, Session: 5, Extra: &persist.Extra{Session: &persist.Session{Number: 5, ClientID: "full", Expiry: 5000,
			Connected: true, LastID: 2000, Version: 5, Source: persist.Source{UserName: "ute", HasUserName: true}, Address: "[::1]:1",
			Will: &persist.Will{Body: persist.Body{Topic: "w"}, Delay: 5}}}},
		{Kind: persist.PutSubscription, Session: 5, Extra: &persist.Extra{Subscription: &persist.Subscription{Filter: "live/#", ID: 9,
			QoS: 1, Flags: router.FlagRetainAsPublished}}},
		{Kind: persist.PutSubscription, Session: 5, Extra: &persist.Extra{Subscription: &persist.Subscription{Filter: "$share/g/s", QoS: 1}}},
		{Kind: persist.PutInbound, Session: 5, PacketID: 77, Message: body("live/in", "in"), Ref: 1},
		{Kind: persist.PutRetained, Message: &message{body: persist.Body{Topic: "r", Payload: []byte("kept"), Retain: true,
			Source: persist.Source{ClientID: "p", UserName: "pete", HasUserName: true, Port: 9}}}, Ref: 1,
			Expires: time.Now().Add(time.Hour).UnixMilli()},
		{Kind: persist.PutDelivery, Session: 99, Seq: 1, QoS: 1, PacketID: 1, State: persist.Queued, Message: body("s", "for a member"),
			Ref: 1, Extra: &persist.Extra{Group: "g", Filter: "s"}},
	}
	both := body("t", "twice")
	for seq := uint64(1); seq <= 30; seq++ {
		op := persist.Op{Kind: persist.PutDelivery, Session: 5, Seq: seq, PacketID: uint16(seq), QoS: 2, State: persist.Release, Again: true}
		if seq%3 == 1 {
			op.State, op.QoS, op.Message, op.Ref = persist.Sent, 1, both, 1
		}
		ops = append(ops, op)
	}
	ops = append(ops,
		persist.Op{Kind: persist.PutDelivery, Session: 5, Seq: 31, State: persist.Queued, Message: body("t", "zero"), Ref: 1},
		persist.Op{Kind: persist.PutDelivery, Session: 5, Seq: 32, QoS: 2, PacketID: 32, Message: both, Ref: 1, Retain: true,
			Extra: &persist.Extra{SubIDs: []uint32{3, 268_435_455}, Group: "g", Filter: "t"}})
	for i := range queuedMany {
		ops = append(ops, persist.Op{Kind: persist.PutDelivery, Session: 5, Seq: uint64(100 + i), QoS: 1, PacketID: uint16(100 + i),
			Message: body("q", fmt.Sprint(i)), Ref: 1})
	}
	s.Commit(&persist.Batch{Ops: ops})
	return s
}

func TestMosquittoServesAStore(t *testing.T) {
	db, notes := collect(t, someStore(t))
	want := []string{
		"1 wills that wait for their delay cannot be written: Mosquitto does not store wills",
		"1 deliveries of shared subscriptions stay with the session that was chosen: Mosquitto does not hand them on",
		"1 deliveries wait for a member of their shared subscription and cannot be written: Mosquitto stores none without a session",
		"1 deliveries have several subscription identifiers, of which the first is written: Mosquitto stores one",
		"1 sessions have more than 20 messages in flight: set max_inflight_messages 30 in Mosquitto's configuration before it " +
			"starts with this file",
		"1 shared subscriptions are written and Mosquitto reads them, but 2.0 does not store them again: their clients must " +
			"subscribe anew after its next restart",
	}
	if !slices.Equal(notes, want) {
		t.Errorf("said %q", notes)
	}
	b := startMosquitto(t, 30, write(t, db))
	p, present := b.connect(codec.V5, codec.Connect{ClientID: "full", HasSessionExpiry: true, SessionExpiry: 5000})
	got := p.drain()
	if !present || len(got) != 30+1+2+queuedMany {
		t.Fatalf("session present %t, %d packets", present, len(got))
	}
	for i := range 30 { // PUBREL first, see order
		if i < 20 && got[i] != fmt.Sprintf("PUBREL id %d", i/2*3+2+i%2) {
			t.Errorf("packet %d is %s", i, got[i])
		}
		if id := (i-20)*3 + 1; i >= 20 && got[i] != fmt.Sprintf("PUBLISH q1 id %d t \"twice\" dup", id) {
			t.Errorf("packet %d is %s", i, got[i])
		}
	}
	rest := got[30:]
	for _, text := range []string{`PUBLISH q0 id 0 t "zero"`, `PUBLISH q2 id 32 t "twice" retain [3]`, "PUBREL id 32"} {
		i := slices.Index(rest, text)
		if i < 0 {
			t.Fatalf("%s did not come, but %q", text, rest[:10])
		}
		rest = slices.Delete(rest, i, i+1)
	}
	for i, text := range rest {
		if text != fmt.Sprintf("PUBLISH q1 id %d q \"%d\"", 100+i, i) {
			t.Fatalf("queued message %d came as %s", i, text)
		}
	}
	p.publish(codec.PublishOut{Topic: "live/in", Payload: []byte("in"), QoS: 2, PacketID: 77, Dup: true}, true)
	p.send(codec.AppendAck(nil, codec.TypePubrel, codec.V5, 77, 0))
	p.next(codec.TypePublish)
	p.next(codec.TypePubcomp)

	pub, _ := b.connect(codec.V5, codec.Connect{ClientID: "pub", CleanStart: true})
	pub.subscribe(0, codec.Subscription{Filter: "r"})
	if got := pub.drain(); len(got) != 1 || got[0] != `PUBLISH q0 id 0 r "kept" retain expires` {
		t.Errorf("retained: %q", got)
	}
	pub.publish(codec.PublishOut{Topic: "live/x", QoS: 1, PacketID: 1, Retain: true}, false)
	pub.publish(codec.PublishOut{Topic: "s", QoS: 1, PacketID: 1}, false)
	live := strings.Join(p.drain(), "\n")
	if want := "PUBLISH q1 id 2002 live/x \"\" retain [9]\nPUBLISH q1 id 2003 s \"\""; live != want {
		t.Errorf("new messages came as\n%s", live)
	}
}

// There and back, nothing changes but the order of messages and the packet identifiers of their publishers.
func TestExportOfAnImport(t *testing.T) {
	for _, name := range []string{"v5.db", "v4.db"} {
		db := read(t, testdata(t, name))
		for i := range db.Messages {
			db.Messages[i].PacketID = 0
		}
		out := exported(t, db)
		for i := range out.Messages {
			out.Messages[i].PacketID = 0
		}
		if got, want := text(out), text(db); got != want {
			t.Errorf("%s comes back as\n%s\ninstead of\n%s", name, got, want)
		}
	}
}
