package mosquittodb

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/persist"
	"github.com/noctulemq/noctule/router"
)

func TestJSONL(t *testing.T) {
	s := persist.NewMemory()
	s.Auto = true
	props := codec.AppendUserProperty([]byte("\x01\x01\x03\x00\x01t\x08\x00\x01r\x09\x00\x02\x00\x01"), "k", "v<")
	full := &message{body: persist.Body{Topic: "t/1", Payload: []byte(`say "hi"`), Props: props, QoS: 1, Retain: true,
		Source: persist.Source{ClientID: "p", UserName: "pete", HasUserName: true, Port: 1883}}}
	binary := &message{body: persist.Body{Topic: "t/2", Payload: []byte{0xFF, 0}}}
	delivery := func(session, seq uint64, op persist.Op) persist.Op {
		op.Kind, op.Session, op.Seq = persist.PutDelivery, session, seq
		return op
	}
	s.Commit(&persist.Batch{Ops: []persist.Op{
		{Kind: persist.PutSession, Session: 1, Extra: &persist.Extra{Session: &persist.Session{Number: 1, ClientID: "a", Expiry: never,
			LastID: 7, Version: 4}}},
		{Kind: persist.PutSession, Session: 2, Extra: &persist.Extra{Session: &persist.Session{Number: 2, ClientID: "b", Expiry: 60,
			EndsAt: 1_795_000_000_250, Version: 5, Source: persist.Source{UserName: "u", HasUserName: true, Port: 8883}, Address: "[::1]:5",
			Will: &persist.Will{Body: persist.Body{Topic: "w", Payload: []byte("gone")}, Delay: 5, At: 1_795_000_000_000}}}},
		{Kind: persist.PutSubscription, Session: 2, Extra: &persist.Extra{Subscription: &persist.Subscription{Filter: "t/#", ID: 3, QoS: 2,
			Flags: router.FlagNoLocal | router.FlagRetainAsPublished}}},
		delivery(2, 1, persist.Op{QoS: 1, PacketID: 1, State: persist.Sent, Again: true, SubID: 3, Message: full, Ref: 1,
			Expires: 1_795_000_000_000}),
		delivery(2, 2, persist.Op{QoS: 2, PacketID: 2, State: persist.Release, Again: true}),
		delivery(2, 3, persist.Op{Message: binary, Ref: 1, Extra: &persist.Extra{SubIDs: []uint32{3, 4}, Group: "g", Filter: "t/2"}}),
		delivery(9, 1, persist.Op{QoS: 1, PacketID: 1, Message: binary, Ref: 1, Extra: &persist.Extra{Group: "g", Filter: "t/2"}}),
		{Kind: persist.PutInbound, Session: 1, PacketID: 5, Message: binary, Ref: 1},
		{Kind: persist.PutRetained, Message: full, Ref: 1, Expires: 1_795_000_000_000},
	}})
	var out strings.Builder
	j := NewJSONL(&out)
	if err := s.Restore(j); err != nil {
		t.Fatal(err)
	}
	if err := j.Flush(); err != nil {
		t.Fatal(err)
	}
	golden(t, "lines.jsonl", out.String())
	for line := range strings.Lines(out.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("no JSON: %s", line)
		}
	}
}

func TestJSONLTellsThatItCannotWrite(t *testing.T) {
	j := NewJSONL(full{})
	for range 10_000 {
		j.Session(&persist.Session{Number: 1, ClientID: "a", Expiry: 1})
	}
	if err := j.Flush(); !errors.Is(err, errFull) {
		t.Errorf("%v", err)
	}
	if err := small().Write(full{}); !errors.Is(err, errFull) {
		t.Errorf("%v", err)
	}
}

var errFull = errors.New("no space left on device")

// full is a disk without room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }
