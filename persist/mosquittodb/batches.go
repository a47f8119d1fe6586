package mosquittodb

import (
	"iter"
	"time"

	"github.com/noctulemq/noctule/persist"
	"github.com/noctulemq/noctule/router"
)

// Bounds of a batch. A message that is larger by itself has a batch of its own.
const (
	batchOps   = 10_000
	batchBytes = 4 << 20
)

// Batches gives the changes that put the database into an empty store, in their order, in batches of at most 10,000 changes
// and about 4 MiB. Sessions are numbered from 1, and the deliveries of each. now is when the broker comes back: a session
// with an expiry interval and no end begins to count then. What has expired by now is left out, and so are sessions that end
// with their connection. The messages alias the database, which must not change while the batches are in use.
func (db *DB) Batches(now time.Time) iter.Seq[*persist.Batch] {
	return func(yield func(*persist.Batch) bool) {
		c := &converter{db: db, now: now.Unix(), messages: make(map[uint64]*message, len(db.Messages)), yield: yield}
		for i := range db.Messages {
			m := &db.Messages[i]
			c.messages[m.ID] = &message{body: persist.Body{Topic: m.Topic, Props: m.Props, Payload: m.Payload, QoS: m.QoS,
				Retain: m.Retain, Expires: m.Expires * 1000, Source: m.Source}}
		}
		c.run()
	}
}

// message is a message of the database as a store sees it. It is held by the converter and the batches alone, so nothing is
// counted.
type message struct {
	body persist.Body
	mark persist.Mark
}

func (m *message) Body() persist.Body  { return m.body }
func (m *message) Mark() *persist.Mark { return &m.mark }
func (m *message) Release()            {}

func (m *message) expired(now int64) bool { return m.body.Expires != 0 && m.body.Expires <= now*1000 }

// converter is a Batches under way.
type converter struct {
	db       *DB
	now      int64 // Unix seconds
	messages map[uint64]*message
	yield    func(*persist.Batch) bool
	ops      []persist.Op
	bytes    int
	stopped  bool
}

func (c *converter) run() {
	subscriptions := map[string][]*Subscription{}
	for i := range c.db.Subscriptions {
		s := &c.db.Subscriptions[i]
		subscriptions[s.ClientID] = append(subscriptions[s.ClientID], s)
	}
	number := uint64(0)
	for i := range c.db.Clients {
		cl := &c.db.Clients[i]
		if cl.Expiry == 0 || cl.EndsAt != 0 && cl.EndsAt <= c.now {
			continue
		}
		number++
		c.session(number, cl, subscriptions[cl.ID])
	}
	for _, id := range c.db.Retained {
		if m := c.messages[id]; m != nil && !m.expired(c.now) {
			c.add(persist.Op{Kind: persist.PutRetained}, m)
		}
	}
	c.flush()
}

func (c *converter) session(number uint64, cl *Client, subscriptions []*Subscription) {
	ends := cl.EndsAt
	if ends == 0 && cl.Expiry != ^uint32(0) {
		ends = c.now + int64(cl.Expiry)
	}
	c.add(persist.Op{Kind: persist.PutSession, Session: number, Extra: &persist.Extra{Session: &persist.Session{
		Number: number, ClientID: cl.ID, Expiry: cl.Expiry, EndsAt: ends * 1000, LastID: cl.LastID,
		Source: persist.Source{ClientID: cl.ID, UserName: cl.UserName, HasUserName: cl.HasUserName, Port: cl.Port},
	}}}, nil)
	for _, s := range subscriptions {
		c.add(persist.Op{Kind: persist.PutSubscription, Session: number, Extra: &persist.Extra{Subscription: &persist.Subscription{
			Filter: s.Filter, ID: s.ID, QoS: s.QoS,
			Flags: when(s.NoLocal, router.FlagNoLocal) | when(s.RetainAsPublished, router.FlagRetainAsPublished),
		}}}, nil)
	}
	seq := uint64(0)
	for i := range cl.Deliveries {
		d := &cl.Deliveries[i]
		m := c.messages[d.Message]
		if d.Inbound {
			if d.QoS == 2 && d.State != ResendPubcomp && m != nil {
				c.add(persist.Op{Kind: persist.PutInbound, Session: number, PacketID: d.PacketID}, m)
			}
			continue
		}
		op := persist.Op{Kind: persist.PutDelivery, Session: number, Seq: seq + 1, QoS: d.QoS, State: d.state(), Retain: d.Retain,
			PacketID: d.PacketID}
		switch {
		case op.State == persist.Release:
			m = nil
		case m == nil, op.State == persist.Queued && m.expired(c.now):
			continue
		}
		op.Again = op.State != persist.Queued
		if len(d.SubIDs) == 1 {
			op.SubID = d.SubIDs[0]
		} else if len(d.SubIDs) > 1 {
			op.Extra = &persist.Extra{SubIDs: d.SubIDs}
		}
		seq++
		c.add(op, m)
	}
}

// state is the state of an outbound delivery. One that was to be sent again was sent.
func (d *Delivery) state() persist.State {
	switch {
	case d.released():
		return persist.Release
	case d.State == AwaitPuback, d.State == AwaitPubrec, d.State != Queued && d.Dup:
		return persist.Sent
	}
	return persist.Queued
}

// add appends a change that comes to refer to m, unless that is nil.
func (c *converter) add(op persist.Op, m *message) {
	if c.stopped {
		return
	}
	size := 64
	if m != nil {
		op.Ref, op.Message, op.Expires = 1, m, m.body.Expires
		size += len(m.body.Topic) + len(m.body.Props) + len(m.body.Payload)
	}
	if len(c.ops) == batchOps || len(c.ops) > 0 && c.bytes+size > batchBytes {
		c.flush()
	}
	c.ops = append(c.ops, op)
	c.bytes += size
}

func (c *converter) flush() {
	if len(c.ops) > 0 && !c.stopped {
		c.stopped = !c.yield(&persist.Batch{Ops: c.ops})
	}
	c.ops, c.bytes = nil, 0
}
