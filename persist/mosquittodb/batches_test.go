package mosquittodb

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/noctulemq/noctule/persist"
)

func testdata(t *testing.T, name string) []byte {
	t.Helper()
	file, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestBatchesAreBounded(t *testing.T) {
	db := &DB{}
	for i := range uint64(25_000) {
		size := 10
		if i >= 24_990 {
			size = 1 << 20
		}
		if i == 24_999 {
			size = 10 << 20
		}
		db.Messages = append(db.Messages, Message{ID: i + 1, Topic: fmt.Sprint(i), Payload: make([]byte, size)})
		db.Retained = append(db.Retained, i+1)
	}
	total, batches := 0, 0
	for b := range db.Batches(time.Now()) {
		size := 0
		for _, op := range b.Ops {
			size += len(op.Message.Body().Payload)
		}
		if len(b.Ops) > batchOps || size > batchBytes && len(b.Ops) > 1 {
			t.Errorf("a batch has %d changes and %d bytes", len(b.Ops), size)
		}
		total += len(b.Ops)
		batches++
	}
	if total != 25_000 || batches < 6 || batches > 8 {
		t.Errorf("%d changes in %d batches", total, batches)
	}
}

func TestWhatHasExpiredIsNotImported(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	db := &DB{
		Messages: []Message{{ID: 1, Topic: "gone", Expires: 1_000_000}, {ID: 2, Topic: "left", Expires: 1_000_001}},
		Clients: []Client{
			{ID: "ended", Expiry: 10, EndsAt: 1_000_000},
			{ID: "ends with its connection"},
			{ID: "away", Expiry: 10, EndsAt: 1_000_001, Deliveries: []Delivery{
				{Message: 1, PacketID: 1, QoS: 1, State: AwaitPuback},
				{Message: 1, PacketID: 2, QoS: 1, State: Queued},
				{Message: 2, PacketID: 3, QoS: 1, State: Queued},
				{Message: 2, PacketID: 4, QoS: 2, State: ResendPubcomp, Inbound: true},
			}},
			{ID: "connected", Expiry: 10},
			{ID: "forever", Expiry: never},
		},
		Retained: []uint64{1, 2},
	}
	var sessions, deliveries, retained []string
	for b := range db.Batches(now) {
		for _, op := range b.Ops {
			switch op.Kind {
			case persist.PutSession:
				s := op.Extra.Session
				sessions = append(sessions, fmt.Sprintf("%d %s %d", op.Session, s.ClientID, s.EndsAt))
			case persist.PutDelivery:
				deliveries = append(deliveries, fmt.Sprintf("%d %d %s", op.Seq, op.PacketID, op.Message.Body().Topic))
			case persist.PutRetained:
				retained = append(retained, fmt.Sprintf("%s %d", op.Message.Body().Topic, op.Expires))
			default:
				t.Errorf("a change of kind %d", op.Kind)
			}
		}
	}
	if got := fmt.Sprint(sessions); got != "[1 away 1000001000 2 connected 1000010000 3 forever 0]" {
		t.Errorf("sessions %s", got)
	}
	if got := fmt.Sprint(deliveries); got != "[1 1 gone 2 3 left]" {
		t.Errorf("deliveries %s", got)
	}
	if got := fmt.Sprint(retained); got != "[left 1000001000]" {
		t.Errorf("retained %s", got)
	}
}
