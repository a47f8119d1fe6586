package shard

import (
	"fmt"

	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/config"
)

// throttling is the publishers that one full queue holds back under `slow_consumer_policy throttle`. Bounded by the
// number of connected publishers: each is listed once.
type throttling struct {
	held []origin
}

// admit decides whether a session's queue takes one more message of size bytes; when it does not, the message has
// been dropped and counted.
func (s *Shard) admit(ss *session, p *publication, size int64) bool {
	if s.paced {
		return true
	}
	o, c := ss.out, ss.client
	full := (s.cfg.MaxQueuedMessages > 0 && o.waiting() >= s.cfg.MaxQueuedMessages) ||
		(s.cfg.MaxQueuedBytes > 0 && o.queuedBytes+size > s.cfg.MaxQueuedBytes)
	if !full {
		return true
	}
	switch s.cfg.SlowConsumer {
	case config.DropOldest:
		return s.dropOldest(ss, size)
	case config.Disconnect:
		if c != nil {
			s.doom(c, codec.QuotaExceeded)
		}
	case config.Throttle:
		// Only a consumer that is connected and not itself held can become faster. The queue takes what its publishers
		// had sent before they were held: at most one read of each, and no more than there are packet identifiers.
		if c != nil && c.throttled == 0 {
			s.hold(ss, p.origin)
			return true
		}
	}
	s.dropQueued(ss, c, "its queue is full")
	return false
}

// dropOldest makes room for size bytes by dropping from the front of the queue.
func (s *Shard) dropOldest(ss *session, size int64) bool {
	o := ss.out
	for o.next < o.n {
		d := o.at(o.next)
		if d.state == done {
			o.next++
			continue
		}
		if d.state != queued || d.again {
			break // in flight on an earlier connection: it was promised
		}
		o.next++
		o.queuedBytes -= d.msg.size()
		s.finish(o, d)
		s.dropQueued(ss, ss.client, "its queue is full")
		if s.cfg.MaxQueuedBytes == 0 || o.queuedBytes+size <= s.cfg.MaxQueuedBytes {
			o.trim()
			return true
		}
	}
	o.trim()
	s.dropQueued(ss, ss.client, "its queue is full")
	return false
}

// dropQueued counts a message that a session does not get, and says so once per client and minute.
func (s *Shard) dropQueued(ss *session, c *client, why string) {
	s.count.DroppedQueued++
	s.logDrop(ss, "Outgoing messages are being dropped for client "+ss.id+": "+why+".")
}

// dropOutput counts a QoS 0 message beyond the output bound of a connection.
func (s *Shard) dropOutput(ss *session) {
	s.count.DroppedOutput++
	s.logDrop(ss, "Outgoing QoS 0 messages are being dropped for client "+ss.id+": it does not read fast enough.")
}

func (s *Shard) logDrop(ss *session, text string) {
	minute := uint32(s.loop.Now()/(60*second)) + 1
	if ss.dropLogged == minute {
		return
	}
	ss.dropLogged = minute
	s.log.Log(LogNotice, text)
}

// hold stops reading from the publisher until the queue of ss has half emptied.
func (s *Shard) hold(ss *session, who origin) {
	if !who.some || (who.loop == s.id && who.key == ss.key) {
		return // nobody to hold, or the consumer itself, which must go on acknowledging
	}
	if ss.throttling == nil {
		ss.throttling = &throttling{}
	}
	for _, o := range ss.throttling.held {
		if o == who {
			return
		}
	}
	ss.throttling.held = append(ss.throttling.held, who)
	s.count.Throttled++
	s.throttle(who, true)
}

// relieve lets held publishers go when the queue is at most half full.
func (s *Shard) relieve(ss *session) {
	if ss.throttling == nil {
		return
	}
	o := ss.out
	half := (s.cfg.MaxQueuedMessages == 0 || o.waiting() <= s.cfg.MaxQueuedMessages/2) &&
		(s.cfg.MaxQueuedBytes == 0 || o.queuedBytes <= s.cfg.MaxQueuedBytes/2)
	if half || ss.client == nil {
		s.unthrottleAll(ss)
	}
}

// unthrottleAll lets every publisher go that ss holds.
func (s *Shard) unthrottleAll(ss *session) {
	if ss.throttling == nil {
		return
	}
	held := ss.throttling.held
	ss.throttling = nil
	for _, who := range held {
		s.throttle(who, false)
	}
}

// throttle tells the publisher's loop to stop or to continue reading from it.
func (s *Shard) throttle(who origin, stop bool) {
	if who.loop == s.id {
		s.throttleLocal(who.key, who.gen, stop)
		return
	}
	kind := mailResume
	if stop {
		kind = mailHold
	}
	s.post(int(who.loop), kind, who.key, &throttleMail{gen: who.gen})
}

// throttleMail is the body of mailHold and mailResume.
type throttleMail struct{ gen uint32 }

// throttleLocal counts how many full queues hold one of our publishers, and pauses or resumes it.
func (s *Shard) throttleLocal(key, gen uint32, stop bool) {
	ss := s.lookup(key, gen)
	if ss == nil || ss.client == nil || ss.client.conn == nil {
		return
	}
	c := ss.client
	if stop {
		c.throttled++
		if c.throttled == 1 {
			c.conn.Pause()
			// What it would acknowledge is not read now: it must not hold others, or two could wait for each other.
			s.unthrottleAll(ss)
		}
		return
	}
	if c.throttled == 0 {
		return // held before it reconnected
	}
	c.throttled--
	if c.throttled == 0 {
		c.lastSeen = s.loop.Now()
		if c.choked == 0 {
			c.conn.Resume()
		}
	}
}

// unthrottle forgets that c is held, when it leaves: queues that still list it let go of nobody.
func (s *Shard) unthrottle(c *client) { c.throttled = 0 }

// closeDoomed disconnects the clients that the policy gave up during this turn.
func (s *Shard) closeDoomed() {
	for _, c := range s.doomed {
		if c.state == connected && c.doomed != 0 {
			s.close(c, cause{text: fmt.Sprintf("disconnected: %s.", "outgoing queue is full"), code: c.doomed}, true)
		}
	}
	clear(s.doomed)
	s.doomed = s.doomed[:0]
}
