package shard

import (
	"fmt"

	"github.com/noctulemq/noctule/codec"
)

// Lines of `log_type debug`, a packet each, in Mosquitto's words. s.debug is looked at first, so that they cost a branch
// where nobody reads them.

func (s *Shard) debugf(format string, args ...any) {
	s.log.Log(LogDebug, fmt.Sprintf(format, args...))
}

func (s *Shard) debugWill(p *codec.Connect) {
	if !p.HasWill {
		s.debugf("No will message specified.")
		return
	}
	s.debugf("Will message specified (%d bytes) (r%d, q%d).", len(p.Will.Payload), flag(p.Will.Retain), p.Will.QoS)
	s.debugf("\t%s", p.Will.Topic)
}

func (s *Shard) debugReceived(c *client, in *codec.Publish) {
	s.debugf("Received PUBLISH from %s (d%d, q%d, r%d, m%d, '%s', ... (%d bytes))", c.session.id, flag(in.Dup), in.QoS, flag(in.Retain),
		in.PacketID, in.Topic, len(in.Payload))
}

func (s *Shard) debugSent(c *client, p *publication, g *outgoing) {
	s.debugf("Sending PUBLISH to %s (d%d, q%d, r%d, m%d, '%s', ... (%d bytes))", c.session.id, flag(g.dup), g.qos, flag(g.retain), g.id,
		p.name, len(p.payload))
}

func (s *Shard) debugAck(c *client, a *codec.Ack) {
	switch a.Type {
	case codec.TypePuback, codec.TypePubcomp:
		s.debugf("Received %v from %s (Mid: %d, RC:%d)", a.Type, c.session.id, a.PacketID, a.Code)
	default:
		s.debugf("Received %v from %s (Mid: %d)", a.Type, c.session.id, a.PacketID)
	}
}

func (s *Shard) debugAnswer(c *client, t codec.Type, id uint16, code codec.ReasonCode) {
	switch t {
	case codec.TypePuback, codec.TypePubrec:
		s.debugf("Sending %v to %s (m%d, rc%d)", t, c.session.id, id, code)
	default:
		s.debugf("Sending %v to %s (m%d)", t, c.session.id, id)
	}
}

// debugFilters lists the filters of a SUBSCRIBE.
func (s *Shard) debugFilters(c *client, filters []codec.Subscription) {
	s.debugf("Received SUBSCRIBE from %s", c.session.id)
	for i := range filters {
		s.debugf("\t%s (QoS %d)", filters[i].Filter, filters[i].QoS)
	}
}

func (s *Shard) debugUnsubscribe(c *client, filters []string) {
	s.debugf("Received UNSUBSCRIBE from %s", c.session.id)
	for _, filter := range filters {
		s.debugf("\t%s", filter)
	}
}
