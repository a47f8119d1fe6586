package shard

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/noctulemq/noctule/config"
	"github.com/noctulemq/noctule/loop"
)

// Rate limits. A client that brings more than its rate, or that its address has, is not read from until it may bring more:
// nothing is lost. A connection beyond the rate is refused.

// gauge is how far into the future what came has used up its rate, in nanoseconds of the loops' clock.
type gauge struct{ until atomic.Int64 }

// rateBurst is how far a gauge may be ahead: what a rate allows in a second may come at once.
const rateBurst = second

// take counts n at a rate for each second (0: any) and returns how long to wait until more may come; 0: not at all.
func (g *gauge) take(now, n, rate int64) (wait int64) {
	if rate <= 0 {
		return 0
	}
	for {
		old := g.until.Load()
		until := max(old, now) + n*second/rate
		if g.until.CompareAndSwap(old, until) {
			return max(until-now-rateBurst, 0)
		}
	}
}

// admit takes one of a rate, unless that were too many.
func (g *gauge) admit(now, rate int64) bool {
	if rate <= 0 {
		return true
	}
	for {
		old := g.until.Load()
		until := max(old, now) + second/rate
		if until-now > rateBurst {
			return false
		}
		if g.until.CompareAndSwap(old, until) {
			return true
		}
	}
}

// flow is what one connection brings. Loop thread only, but for address.
type flow struct {
	messages, bytes gauge
	address         *addressFlow // nil: not limited
	timer           loop.Timer
	logMinute       uint32
}

// addressFlow is what all connections of one address bring. Any thread.
type addressFlow struct {
	connections, messages, bytes gauge
	open                         atomic.Int64
}

// addressFlows finds the flow of an address; only accepting and closing connections look here. It has at most
// addressesMax; an address beyond them is not limited.
type addressFlows struct {
	sync.Mutex // guards all
	all        map[netip.Addr]*addressFlow
}

const addressesMax = 1 << 16

// find returns the flow of an address, made when it has none; nil when there are too many.
func (f *addressFlows) find(a netip.Addr, now int64) *addressFlow {
	f.Lock()
	defer f.Unlock()
	if one := f.all[a]; one != nil {
		return one
	}
	if len(f.all) >= addressesMax {
		for have, one := range f.all {
			if one.open.Load() == 0 && one.connections.until.Load() <= now {
				delete(f.all, have)
			}
		}
		if len(f.all) >= addressesMax {
			return nil
		}
	}
	if f.all == nil {
		f.all = make(map[netip.Addr]*addressFlow)
	}
	one := &addressFlow{}
	f.all[a] = one
	return one
}

// admitAddress applies `allow_address`, `deny_address` and `address_connection_rate` to a connection. Those of Unix sockets have
// no address.
func (s *Shard) admitAddress(conn *loop.Conn, set *ListenerSettings) bool {
	if !set.Config.Admits(conn.Remote().Addr()) {
		s.logf(LogNotice, "Connection from %s rejected: allow_address and deny_address do not admit it.", addressColon(conn))
		return false
	}
	rate := s.cfg.AddressRate.Connections
	if rate == 0 || !conn.Remote().IsValid() {
		return true
	}
	one := s.broker.flows.find(conn.Remote().Addr().Unmap(), s.loop.Now())
	if one == nil || one.connections.admit(s.loop.Now(), int64(rate)) {
		return true
	}
	s.logf(LogNotice, "Connection from %s rejected: more connections than address_connection_rate allows.", addressColon(conn))
	return false
}

// comingsMax is for how many client identifiers a shard remembers that they connected.
const comingsMax = 1 << 16

// admitComing applies `client_connection_rate` to a CONNECT.
func (s *Shard) admitComing(id string) bool {
	rate := int64(s.cfg.ClientRate.Connections)
	if rate == 0 {
		return true
	}
	now := s.loop.Now()
	key := s.hasher.Name(id)
	g := s.comings[key]
	if g == nil {
		if s.comings == nil {
			s.comings = make(map[uint64]*gauge)
		}
		if len(s.comings) >= comingsMax {
			for have, g := range s.comings {
				if g.until.Load() <= now {
					delete(s.comings, have)
				}
			}
		}
		if len(s.comings) >= comingsMax {
			return true
		}
		g = &gauge{}
		s.comings[key] = g
	}
	return g.admit(now, rate)
}

func limits(r config.Rate) bool { return r.Messages > 0 || r.Bytes > 0 }

// newFlow returns what counts for a new connection; nil without limits.
func (s *Shard) newFlow(c *client) *flow {
	if !limits(s.cfg.ClientRate) && !limits(s.cfg.AddressRate) {
		return nil
	}
	f := &flow{}
	f.timer.Kind, f.timer.Key = timerFlow, c.key
	if limits(s.cfg.AddressRate) && c.conn.Remote().IsValid() {
		if f.address = s.broker.flows.find(c.conn.Remote().Addr().Unmap(), s.loop.Now()); f.address != nil {
			f.address.open.Add(1)
		}
	}
	return f
}

func (s *Shard) endFlow(c *client) {
	f := c.flow
	if f == nil {
		return
	}
	s.loop.Disarm(&f.timer)
	if f.address != nil {
		f.address.open.Add(-1)
	}
}

// charge counts a packet, and stops reading when the client, or its address, brings too much.
func (s *Shard) charge(c *client, isPublish bool, bytes int) {
	f, now := c.flow, s.loop.Now()
	own, all := &s.cfg.ClientRate, &s.cfg.AddressRate
	wait := f.bytes.take(now, int64(bytes), own.Bytes)
	if isPublish {
		wait = max(wait, f.messages.take(now, 1, int64(own.Messages)))
	}
	if a := f.address; a != nil {
		wait = max(wait, a.bytes.take(now, int64(bytes), all.Bytes))
		if isPublish {
			wait = max(wait, a.messages.take(now, 1, int64(all.Messages)))
		}
	}
	if wait == 0 || c.slowed {
		return
	}
	c.slowed = true
	s.count.Slowed++
	c.conn.Pause()
	s.loop.Arm(&f.timer, now+wait)
	if minute := s.minute(); f.logMinute != minute && c.session != nil {
		f.logMinute = minute
		s.logf(LogNotice, "Client %s [%s] sends more than its rate limit allows: it is read from more slowly.", c.session.id, c.address())
	}
}

// flowDue reads on from a client whose rate allows it again.
func (s *Shard) flowDue(c *client) {
	if c.slowed {
		c.slowed = false
		s.readOn(c)
	}
}
