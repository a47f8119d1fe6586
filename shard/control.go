package shard

import (
	"strings"

	"github.com/noctulemq/noctule/auth"
	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/loop"
)

// Control answers what clients publish to $CONTROL topics. Its method runs on one goroutine, one message after the other,
// and may wait for a disk. The response is published to the topic + "/response"; nil: none.
type Control interface {
	Control(from *auth.Client, topic string, payload []byte) (response []byte)
}

// controlPrefix is what the topics of control messages begin with. No rule but rights says who may publish there.
const controlPrefix = "$CONTROL/"

// responseSuffix is what stands behind the topic of a control message in that of its response.
const responseSuffix = "/response"

// controlQueue is how many control messages may wait; the next one is refused with 0x97.
const controlQueue = 64

// control hands control messages to the one goroutine that answers them. Immutable.
type control struct {
	answer Control
	jobs   *loop.Workers
}

func newControl(answer Control) *control {
	if answer == nil {
		return nil
	}
	return &control{answer: answer, jobs: loop.NewWorkers(1, controlQueue)}
}

// controlMessage handles a PUBLISH to a $CONTROL topic, which goes nowhere else. Nothing more is read from its client until
// it is answered, so that acknowledgements keep their order.
func (s *Shard) controlMessage(c *client, in *codec.Publish) error {
	ctl := s.broker.control
	if ctl == nil {
		s.acknowledge(c, in.QoS, in.PacketID, codec.NoMatchingSubscribers)
		return nil
	}
	ss := c.session
	from := ss.authClient()
	key, serial, qos, id := c.key, c.serial, in.QoS, in.PacketID
	topic, payload := strings.Clone(in.Topic), append([]byte(nil), in.Payload...)
	ok := ctl.jobs.Submit(func() {
		response := ctl.answer.Control(from, topic, payload)
		s.tell(func(s *Shard) { s.answered(key, serial, qos, id, topic, response) })
	})
	if !ok {
		s.count.RefusedControl++
		s.acknowledge(c, qos, id, codec.QuotaExceeded)
		return nil
	}
	c.answering = true
	c.conn.Pause()
	return nil
}

// answered acknowledges a control message, if its client is still there, and publishes the response.
func (s *Shard) answered(key, serial uint32, qos uint8, id uint16, topic string, response []byte) {
	if c := s.clients.at(key); c.serial == serial && c.state == connected {
		c.answering = false
		s.acknowledge(c, qos, id, codec.Success)
		s.readOn(c)
	}
	if response == nil || len(topic)+len(responseSuffix) > topicBytesMax {
		return
	}
	p := &s.pub
	p.name, p.payload = topic+responseSuffix, response
	s.publishRouted(p)
	p.reset()
}
