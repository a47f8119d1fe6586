package persist

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
	"testing"
)

// message is a Message whose references are counted.
type message struct {
	body Body
	mark Mark
	mu   sync.Mutex
	refs int
}

func (m *message) Body() Body    { return m.body }
func (m *message) Mark() *Mark   { return &m.mark }
func (m *message) Release()      { m.add(-1) }
func (m *message) hold() Message { m.add(1); return m }
func (m *message) add(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refs += n; m.refs < 0 {
		panic("a message was released more often than it was held")
	}
}

func newMessage(topic, payload string) *message {
	return &message{body: Body{Topic: topic, Payload: []byte(payload), QoS: 1}, refs: 1}
}

// state is what a Restore gave, in words.
type state struct {
	sessions      map[uint64]Session
	subscriptions map[string]Subscription // by "session filter"
	deliveries    map[string]Delivery     // by "session seq"
	bodies        map[string]*message     // of deliveries, inbound and retained, by "d session seq", "i session id", "r topic"
	order         []string
	messages      []*message
}

func newState() *state {
	return &state{sessions: map[uint64]Session{}, subscriptions: map[string]Subscription{}, deliveries: map[string]Delivery{}, bodies: map[string]*message{}}
}

func (s *state) Message(b *Body) Message {
	m := &message{body: *b, refs: 1}
	m.body.Props, m.body.Payload = slices.Clone(b.Props), slices.Clone(b.Payload)
	s.messages = append(s.messages, m)
	return m
}
func (s *state) Session(x *Session) { s.sessions[x.Number] = *x }
func (s *state) Subscription(n uint64, x *Subscription) {
	s.subscriptions[fmt.Sprint(n, " ", x.Filter)] = *x
}
func (s *state) Delivery(n uint64, d *Delivery, m Message) {
	key := fmt.Sprint(n, " ", d.Seq)
	s.deliveries[key] = *d
	s.order = append(s.order, key)
	if m != nil {
		s.bodies["d "+key] = m.(*message).hold().(*message)
	}
}
func (s *state) Inbound(n uint64, id uint16, m Message) {
	s.bodies[fmt.Sprint("i ", n, " ", id)] = m.(*message).hold().(*message)
}
func (s *state) Retained(m Message) {
	s.bodies["r "+m.Body().Topic] = m.(*message).hold().(*message)
}

// restored opens what a store holds.
func restored(t testing.TB, s Store) *state {
	t.Helper()
	st := newState()
	if err := s.Restore(st); err != nil {
		t.Fatal(err)
	}
	return st
}

// texts are the payloads by the names of what refers to them.
func (s *state) texts() map[string]string {
	out := map[string]string{}
	for name, m := range s.bodies {
		out[name] = string(m.body.Payload)
	}
	return out
}

func same[T any](t testing.TB, what string, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

func keysOf[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// Ops as shards make them.

func sessionOp(n uint64, client string) Op {
	return Op{Kind: PutSession, Session: n, Extra: &Extra{Session: &Session{Number: n, ClientID: client, Expiry: 60, Version: 5}}}
}
func deliveryOp(session, seq uint64, m *message) Op {
	return Op{Kind: PutDelivery, Ref: 1, Session: session, Seq: seq, QoS: 1, Message: m.hold()}
}
func ackedOp(session, seq uint64, m *message) Op {
	return Op{Kind: DeleteDelivery, Ref: -1, Session: session, Seq: seq, Message: m.hold()}
}
func retainedOp(m *message) Op { return Op{Kind: PutRetained, Ref: 1, Message: m.hold()} }
