package shard

import (
	"slices"

	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/config"
)

// throttling is the publishing sessions that one full queue holds back under `slow_consumer_policy throttle`. Bounded by
// the number of sessions: each place in a loop's slab is listed once.
type throttling struct {
	held []origin
}

// admit decides whether a session's queue takes one more message of size bytes; when it does not, the message has
// been dropped and counted.
func (s *Shard) admit(ss *session, p *publication, size int64) bool {
	if s.paced {
		return true
	}
	o, c := ss.out, ss.receiver()
	waiting := o.waiting()
	if ss.isDurable() && c != nil {
		waiting -= max(s.window(c)-o.inflight, 0) // these wait for the store only
	}
	full := (s.cfg.MaxQueuedMessages > 0 && waiting >= s.cfg.MaxQueuedMessages) ||
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
		// had sent before they were held, at most one read of each, or what comes while it is held itself: in either
		// case no more than there are packet identifiers.
		if c != nil {
			if ss.throttled == 0 {
				s.hold(ss, p.origin)
			}
			return true
		}
	}
	s.dropQueued(ss, c, queueFull)
	return false
}

// dropOldest makes room for size bytes by dropping the oldest messages that were never sent. What is in flight, also on
// an earlier connection, was promised and stays.
func (s *Shard) dropOldest(ss *session, size int64) bool {
	o := ss.out
	made := false
	for i := o.next; i < o.n && !made; i++ {
		d := o.at(i)
		if d.state != queued || d.again {
			continue
		}
		o.queuedBytes -= d.size()
		s.finish(ss, d)
		o.holes++
		s.dropQueued(ss, ss.client, queueFull)
		made = s.cfg.MaxQueuedBytes == 0 || o.queuedBytes+size <= s.cfg.MaxQueuedBytes
	}
	for o.next < o.n && o.at(o.next).state == done {
		o.next++
		o.holes--
	}
	if o.holes > o.waiting()+holesMin {
		ss.lastID = o.closeHoles(ss.lastID)
		if ss.isDurable() {
			for i := o.next; i < o.n; i++ { // they have other packet identifiers now
				if d := o.at(i); d.state == queued {
					s.storeRenumbered(ss, d)
				}
			}
		}
	}
	o.trim()
	if !made {
		s.dropQueued(ss, ss.client, queueFull)
	}
	return made
}

// holesMin is how many dropped deliveries may stand between those in flight and those that wait.
const holesMin = 64

// dropQueued counts a message that a session does not get, and says so once per client and minute.
func (s *Shard) dropQueued(ss *session, c *client, why string) {
	s.count.DroppedQueued++
	s.logDrop(ss, "messages", why)
}

// queueFull is the one reason that Mosquitto has as well.
const queueFull = "its queue is full"

// dropOutput counts a QoS 0 message beyond the output bound of a connection.
func (s *Shard) dropOutput(ss *session) {
	s.count.DroppedOutput++
	s.logDrop(ss, "QoS 0 messages", "it does not read fast enough")
}

func (s *Shard) logDrop(ss *session, what, why string) {
	minute := s.minute()
	if ss.dropLogged == minute {
		return
	}
	ss.dropLogged = minute
	if why == queueFull {
		s.logf(LogNotice, "Outgoing messages are being dropped for client %s.", ss.id) // Mosquitto's line
		return
	}
	s.logf(LogNotice, "Outgoing %s are being dropped for client %s: %s.", what, ss.id, why)
}

// hold stops reading from the publisher until the queue of ss has half emptied.
func (s *Shard) hold(ss *session, who origin) {
	if !who.some || (who.loop == s.id && who.key == ss.key) {
		return // nobody to hold, or the consumer itself, which must go on acknowledging
	}
	if ss.throttling == nil {
		ss.throttling = &throttling{}
	}
	for i, o := range ss.throttling.held {
		if o.loop != who.loop || o.key != who.key {
			continue
		}
		if int32(who.gen-o.gen) <= 0 {
			return // listed, or a late message of a session that has ended: its will, or one that a member left behind
		}
		ss.throttling.held = slices.Delete(ss.throttling.held, i, i+1) // that session has ended
		break
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

// throttleLocal counts how many full queues hold one of our publishers, and pauses or resumes it. The session is held,
// so that a publisher that reconnects is, too.
func (s *Shard) throttleLocal(key, gen uint32, stop bool) {
	ss := s.lookup(key, gen)
	if ss == nil {
		return
	}
	if !stop {
		if ss.throttled--; ss.throttled == 0 && ss.client != nil && ss.client.conn != nil {
			s.readOn(ss.client)
		}
		return
	}
	if ss.throttled++; ss.throttled > 1 {
		return
	}
	// What it would acknowledge is not read now: it must not hold others, or two could wait for each other.
	s.unthrottleAll(ss)
	if ss.client != nil && ss.client.conn != nil {
		ss.client.conn.Pause()
	}
}

// closeDoomed disconnects the clients that were doomed during this turn.
func (s *Shard) closeDoomed() {
	for _, c := range s.doomed {
		if c.state == connected && c.doomed != 0 {
			why := "outgoing queue is full"
			if c.doomed == codec.PacketTooLarge {
				why = "an answer is larger than its maximum packet size"
			}
			s.close(c, disconnectedBy(why, c.doomed), true)
		}
	}
	clear(s.doomed)
	s.doomed = s.doomed[:0]
}
