package crash

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/noctulemq/noctule/codec"
)

const (
	// changedFilters is how many filters a changer has.
	changedFilters = 5
	// retainedTopics is how many topics a publisher of retained messages has. All of them together are sent with the SUBACK.
	retainedTopics = 12
)

// changer subscribes and unsubscribes with a durable session, one request under way at a time.
type changer struct {
	client
	filters [changedFilters]*register // "" for none, else the QoS
	ready   bool                      // the session has the fixed subscriptions, on which probes end
	probes  int
}

func (c *changer) topic(i int) string   { return fmt.Sprintf("s/%s/%d", c.name, i) }
func (c *changer) end(qos uint8) string { return fmt.Sprintf("s/%s/end/%d", c.name, qos) }

// session is one connection, until it ends or the changer goes away.
func (c *changer) session() time.Duration {
	conn, err := c.open()
	if err != nil {
		return retryPause
	}
	defer conn.close()
	for {
		if c.w.draining.Load() || c.chance(3) {
			conn.leave(c.chance(50))
			return c.between(0, 100*time.Millisecond)
		}
		if c.change(conn) != nil {
			return 0
		}
		time.Sleep(c.between(0, pace))
	}
}

// open connects and sees to the fixed subscriptions.
func (c *changer) open() (*conn, error) {
	conn, present, err := c.connect()
	if err != nil {
		return nil, err
	}
	if !present {
		c.ready = false
		for i := range c.filters {
			c.filters[i] = newRegister("")
		}
	}
	if c.ready {
		return conn, nil
	}
	sub := codec.Subscribe{PacketID: 1}
	for q := range uint8(3) {
		sub.Filters = append(sub.Filters, codec.Subscription{Filter: c.end(q), QoS: q})
	}
	conn.send(sub.Append(nil, c.version))
	if err := c.await(conn, codec.TypeSuback, 1); err != nil {
		conn.close()
		return nil, err
	}
	c.ready = true
	return conn, nil
}

// await acknowledges what comes until the answer with an identifier is there.
func (c *changer) await(conn *conn, t codec.Type, id uint16) error {
	late := time.After(patience)
	for {
		select {
		case in, ok := <-conn.in:
			if !ok {
				return errEnded
			}
			if in.header.Type == t && uint16(in.body[0])<<8|uint16(in.body[1]) == id {
				c.acknowledged()
				return nil
			}
			c.receive(conn, in)
		case <-late:
			c.w.history.fail(unanswered, "%s waits for %v", c.name, t)
			return errEnded
		}
	}
}

// change subscribes or unsubscribes.
func (c *changer) change(conn *conn) error {
	i, id := c.rng.IntN(changedFilters), uint16(2+c.rng.IntN(1000))
	if c.chance(40) {
		c.filters[i].set(c.w.history, "")
		unsub := codec.Unsubscribe{PacketID: id, Filters: []string{c.topic(i)}}
		conn.send(unsub.Append(nil, c.version))
		if err := c.await(conn, codec.TypeUnsuback, id); err != nil {
			return err
		}
	} else {
		qos := uint8(c.rng.IntN(3))
		c.filters[i].set(c.w.history, strconv.Itoa(int(qos)))
		sub := codec.Subscribe{PacketID: id, Filters: []codec.Subscription{{Filter: c.topic(i), QoS: qos}}}
		conn.send(sub.Append(nil, c.version))
		if err := c.await(conn, codec.TypeSuback, id); err != nil {
			return err
		}
	}
	c.filters[i].ack(c.w.history)
	return nil
}

// receive acknowledges a packet and returns the PUBLISH if it was one.
func (c *changer) receive(conn *conn, in packet) (p codec.Publish, ok bool) {
	switch in.header.Type {
	case codec.TypePublish:
		if err := p.DecodeFromServer(in.header, in.body, c.version); err != nil {
			return p, false
		}
		if p.QoS == 1 {
			conn.send(codec.AppendAck(nil, codec.TypePuback, c.version, p.PacketID, codec.Success))
		} else if p.QoS == 2 {
			conn.send(codec.AppendAck(nil, codec.TypePubrec, c.version, p.PacketID, codec.Success))
		}
		return p, true
	case codec.TypePubrel:
		if id, _, err := in.ack(c.version); err == nil {
			conn.send(codec.AppendAck(nil, codec.TypePubcomp, c.version, id, codec.Success))
		}
	}
	return p, false
}

// probe publishes to each filter and to the fixed ones, and holds what comes against what was acknowledged. The gate is shut.
func (c *changer) probe() {
	conn, err := c.open()
	if err != nil {
		c.w.history.fail(subscription, "%s cannot connect after the restart: %v", c.name, err)
		return
	}
	defer conn.close()
	c.probes++
	payload := fmt.Sprintf("probe %d", c.probes)
	go c.sendProbes(payload)
	got, ends := [changedFilters]string{}, 0
	late := time.After(patience)
	for ends < 3 {
		select {
		case in, ok := <-conn.in:
			if !ok {
				return // the broker ended; that is reported elsewhere
			}
			p, ok := c.receive(conn, in)
			if !ok || string(p.Payload) != payload {
				continue // an older probe whose acknowledgement was lost
			}
			if strings.HasPrefix(p.Topic, "s/"+c.name+"/end/") {
				ends++
			} else if i, err := strconv.Atoi(p.Topic[strings.LastIndexByte(p.Topic, '/')+1:]); err == nil && i < changedFilters {
				got[i] = strconv.Itoa(int(p.QoS))
			}
		case <-late:
			c.w.history.fail(subscription, "%s in round %d: %d of 3 subscriptions that were acknowledged and never changed are there",
				c.name, c.w.round.Load(), ends)
			return
		}
	}
	for i, r := range c.filters {
		c.w.judge(subscription, c.topic(i), r, got[i])
		c.filters[i] = newRegister(got[i]) // a request that was under way is not sent again
	}
}

// sendProbes publishes from a client of its own, with QoS 2 so that the QoS of each subscription shows.
func (c *changer) sendProbes(payload string) {
	conn, _, err := dial(c.w.broker.addr, codec.V311, &codec.Connect{ClientID: "prober-" + c.name, CleanStart: true})
	if err != nil {
		return
	}
	defer conn.close()
	topics := []string{c.end(0), c.end(1), c.end(2)}
	for i := range c.filters {
		topics = append([]string{c.topic(i)}, topics...)
	}
	for i, topic := range topics {
		f := flight{id: uint16(i + 1), qos: 2, topic: topic, payload: []byte(payload)}
		conn.send(f.publish(codec.V311, false))
		if _, err := conn.next(codec.TypePubrec); err != nil {
			return
		}
		conn.send(codec.AppendAck(nil, codec.TypePubrel, codec.V311, f.id, codec.Success))
		if _, err := conn.next(codec.TypePubcomp); err != nil {
			return
		}
	}
}
