package shard

// What one loop posts to another waits in a ring, and then in the ring's spill. This file bounds it: each loop counts
// the bytes it has posted to each other one and not yet seen handled, by marks that travel with the mail and come back.
// Over `max_crossing_bytes` the loop reads no further from a client that publishes, until half of it is through. So a
// loop that is slower than its publishers slows them, as its socket buffers would if they were its own.
//
// Deliveries that a shared group's home passes on are counted apart. While they are over the bound the home keeps back
// the marks of ordinary publications, which slows whoever publishes to it; the marks of what is passed on are never
// kept back, so that no circle of loops can wait for itself.

// crossingClass says which count a posted message belongs to.
type crossingClass uint32

const (
	published crossingClass = iota // by a client of this loop, or its will
	passedOn                       // by a group's home to the loop of a member
	crossingClasses
)

// mailCost is what a posted message counts beside its content.
const mailCost = 128

// backlog is what may wait at one other loop, in bytes.
type backlog struct {
	bytes int64 // posted, not known to be handled
	asked int64 // how much of it the mark on its way covers; 0: no mark is on its way
}

// crossings is a shard's backlogs. Loop thread only.
type crossings struct {
	max  int64
	to   [crossingClasses][]backlog // by loop
	full [crossingClasses]bool      // some backlog was over max and not all are below half of it since
	// held are the clients not read from while published is full. Each is listed once.
	held []clientRef
	// owed are the loops whose marks wait while passedOn is full: at most one each.
	owed []int
}

// clientRef names a connection.
type clientRef struct{ key, serial uint32 }

// postMessage posts a message with one reference, or what carries one, and counts its size.
func (s *Shard) postMessage(class crossingClass, to int, kind uint32, body any, size int64) {
	s.post(to, kind, 0, body)
	if to == int(s.id) {
		return
	}
	b := &s.crossing.to[class][to]
	b.bytes += size + mailCost
	s.mark(class, to, b)
	if b.bytes > s.crossing.max {
		s.crossing.full[class] = true
	}
}

// mark sends a mark after what was posted, unless one is on its way or it would not be worth it.
func (s *Shard) mark(class crossingClass, to int, b *backlog) {
	if b.asked == 0 && b.bytes >= s.crossing.max/4 {
		b.asked = b.bytes
		s.post(to, mailMark, uint32(class), nil)
	}
}

// marked answers another loop's mark: what it posted before has been handled here.
func (s *Shard) marked(from int, class crossingClass) {
	if class == published && (s.crossing.full[passedOn] || s.storageFull()) {
		s.crossing.owed = append(s.crossing.owed, from)
		return
	}
	s.post(from, mailThrough, uint32(class), nil)
}

// through handles the answer to our mark.
func (s *Shard) through(from int, class crossingClass) {
	x := &s.crossing
	b := &x.to[class][from]
	b.bytes -= b.asked
	b.asked = 0
	s.mark(class, from, b)
	if !x.full[class] {
		return
	}
	for i := range x.to[class] {
		if x.to[class][i].bytes > x.max/2 {
			return
		}
	}
	x.full[class] = false
	s.releaseHeld()
}

// releaseHeld lets go on what waits for a backlog, or for the store, when neither is full.
func (s *Shard) releaseHeld() {
	x := &s.crossing
	if s.storageFull() {
		return
	}
	if !x.full[passedOn] {
		for _, from := range x.owed {
			s.post(from, mailThrough, uint32(published), nil)
		}
		x.owed = x.owed[:0]
	}
	if x.full[published] {
		return
	}
	for _, ref := range x.held {
		if c := s.clients.at(ref.key); c.serial == ref.serial && c.crowded {
			c.crowded = false
			s.readOn(c)
		}
	}
	x.held = x.held[:0]
}

// holdCrowded stops reading from a client that has just published while a backlog is over its bound.
func (s *Shard) holdCrowded(c *client) {
	if !(s.crossing.full[published] || s.storageFull()) || c.conn == nil || c.crowded {
		return
	}
	c.crowded = true
	s.count.Crowded++
	c.conn.Pause()
	s.crossing.held = append(s.crossing.held, clientRef{c.key, c.serial})
}

// isHeld reports whether something keeps us from reading what the client sends.
func (c *client) isHeld() bool {
	return c.state == accepted || c.choked != 0 || c.crowded || c.answering || c.subscribing || c.waiting || c.slowed || (c.login != nil && !c.login.decided) || (c.session != nil && c.session.throttled > 0)
}

// readOn reads from a client again, if nothing else holds it.
func (s *Shard) readOn(c *client) {
	if c.isHeld() || c.state == closing || s.stopping {
		return
	}
	c.lastSeen = s.loop.Now()
	c.conn.Resume()
}
