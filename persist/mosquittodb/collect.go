package mosquittodb

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/noctulemq/noctule/persist"
	"github.com/noctulemq/noctule/router"
)

// windowDefault is Mosquitto's max_inflight_messages where nothing else is configured.
const windowDefault = 20

// Collector is a persist.Restorer that makes a database of a store. It holds all of it in memory, as Mosquitto will.
type Collector struct {
	now      int64 // Unix seconds
	db       DB
	clients  map[uint64]int // by session number
	inflight []int          // for each client
	// placeholder is the message of deliveries that need none any more: Mosquitto forgets a delivery without one.
	placeholder uint64

	wills, groups, homeless, identifiers int // for the sentences
}

// NewCollector makes a Collector. now is when sessions whose clients are connected begin to expire.
func NewCollector(now time.Time) *Collector {
	return &Collector{now: now.Unix(), clients: map[uint64]int{}}
}

// collected is a message of the database under way.
type collected struct {
	message
	id uint64
	at int // position in db.Messages
}

// Message implements persist.Restorer.
func (c *Collector) Message(b *persist.Body) persist.Message {
	c.db.LastID++
	m := Message{ID: c.db.LastID, Expires: seconds(b.Expires), Topic: b.Topic, Payload: bytes.Clone(b.Payload),
		Props: bytes.Clone(b.Props), QoS: b.QoS, Retain: b.Retain, Source: b.Source}
	c.db.Messages = append(c.db.Messages, m)
	body := *b
	body.Payload, body.Props = m.Payload, m.Props
	return &collected{message{body: body}, m.ID, len(c.db.Messages) - 1}
}

// seconds is a time in Unix milliseconds in Unix seconds, never earlier.
func seconds(ms int64) int64 { return (ms + 999) / 1000 }

// Session implements persist.Restorer.
func (c *Collector) Session(s *persist.Session) {
	cl := Client{ID: s.ClientID, Expiry: s.Expiry, EndsAt: seconds(s.EndsAt), LastID: s.LastID, UserName: s.Source.UserName,
		HasUserName: s.Source.HasUserName, Port: s.Source.Port}
	if cl.EndsAt == 0 && cl.Expiry != ^uint32(0) {
		cl.EndsAt = c.now + int64(cl.Expiry)
	}
	if s.Will != nil {
		c.wills++
	}
	c.clients[s.Number] = len(c.db.Clients)
	c.db.Clients = append(c.db.Clients, cl)
	c.inflight = append(c.inflight, 0)
}

// Subscription implements persist.Restorer.
func (c *Collector) Subscription(session uint64, s *persist.Subscription) {
	if i, ok := c.clients[session]; ok {
		c.db.Subscriptions = append(c.db.Subscriptions, Subscription{ClientID: c.db.Clients[i].ID, Filter: s.Filter, ID: s.ID,
			QoS: s.QoS, NoLocal: s.Flags&router.FlagNoLocal != 0, RetainAsPublished: s.Flags&router.FlagRetainAsPublished != 0})
	}
}

// Delivery implements persist.Restorer.
func (c *Collector) Delivery(session uint64, d *persist.Delivery, m persist.Message) {
	i, ok := c.clients[session]
	if !ok {
		c.homeless++
		return
	}
	if d.Group != "" {
		c.groups++
	}
	out := Delivery{PacketID: d.PacketID, QoS: d.QoS, State: Queued, Retain: d.Retain, Dup: d.State != persist.Queued}
	switch {
	case d.State == persist.Release:
		out.State, out.Message = AwaitPubcomp, c.released()
	case d.State == persist.Sent && d.QoS == 1:
		out.State = AwaitPuback
	case d.State == persist.Sent && d.QoS == 2:
		out.State = AwaitPubrec
	}
	if m, ok := m.(*collected); ok && out.Message == 0 {
		out.Message = m.id
	}
	if d.SubID != 0 {
		out.SubIDs = []uint32{d.SubID}
	} else if len(d.SubIDs) > 0 {
		out.SubIDs = slices.Clone(d.SubIDs[:1]) // 2.0.11 does not start on a file in which a delivery has two
	}
	if len(d.SubIDs) > 1 {
		c.identifiers++
	}
	if d.State != persist.Queued {
		c.inflight[i]++
	}
	c.db.Clients[i].Deliveries = append(c.db.Clients[i].Deliveries, out)
}

// released is the placeholder.
func (c *Collector) released() uint64 {
	if c.placeholder == 0 {
		c.db.LastID++
		c.placeholder = c.db.LastID
		c.db.Messages = append(c.db.Messages, Message{ID: c.placeholder, Topic: "released", QoS: 2})
	}
	return c.placeholder
}

// Inbound implements persist.Restorer.
func (c *Collector) Inbound(session uint64, id uint16, m persist.Message) {
	i, ok := c.clients[session]
	if m, is := m.(*collected); ok && is {
		c.db.Messages[m.at].PacketID = id
		c.db.Clients[i].Deliveries = append(c.db.Clients[i].Deliveries, Delivery{Message: m.id, PacketID: id, QoS: 2,
			State: AwaitPubrel, Retain: m.body.Retain, Inbound: true})
	}
}

// Retained implements persist.Restorer.
func (c *Collector) Retained(m persist.Message) {
	if m, ok := m.(*collected); ok {
		c.db.Retained = append(c.db.Retained, m.id)
	}
}

// DB is the database, and sentences about what it cannot hold. The Collector is used up.
func (c *Collector) DB() (*DB, []string) {
	for i := range c.db.Clients {
		slices.SortStableFunc(c.db.Clients[i].Deliveries, func(a, b Delivery) int { return a.order() - b.order() })
	}
	c.db.Version, c.db.Clean = version, true
	return &c.db, c.notes()
}

// order puts inbound deliveries first, then released ones: those that do not fit into its window Mosquitto would publish
// again. The others stay as they are.
func (d *Delivery) order() int {
	switch {
	case d.Inbound:
		return 0
	case d.released():
		return 1
	case d.State != Queued:
		return 2
	}
	return 3
}

func (c *Collector) notes() (notes []string) {
	say := func(n int, text string) {
		if n > 0 {
			notes = append(notes, fmt.Sprintf("%d %s", n, text))
		}
	}
	over, window, shared := 0, windowDefault, 0
	for _, n := range c.inflight {
		if n > windowDefault {
			over, window = over+1, max(window, n)
		}
	}
	for _, s := range c.db.Subscriptions {
		if _, is, _ := router.ParseShare(s.Filter); is {
			shared++
		}
	}
	say(c.wills, "wills that wait for their delay cannot be written: Mosquitto does not store wills")
	say(c.groups, "deliveries of shared subscriptions stay with the session that was chosen: Mosquitto does not hand them on")
	say(c.homeless, "deliveries wait for a member of their shared subscription and cannot be written: Mosquitto stores none without "+
		"a session")
	say(c.identifiers, "deliveries have several subscription identifiers, of which the first is written: Mosquitto stores one")
	say(over, fmt.Sprintf("sessions have more than %d messages in flight: set max_inflight_messages %d in Mosquitto's configuration "+
		"before it starts with this file", windowDefault, window))
	say(shared, "shared subscriptions are written and Mosquitto reads them, but 2.0 does not store them again: their clients must "+
		"subscribe anew after its next restart")
	return notes
}
