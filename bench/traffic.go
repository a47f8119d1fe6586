package bench

import "fmt"

// refill lets every publisher that got credit back publish up to its bound; the messages go out in one write.
func (e *engine) refill() {
	now := e.nowNs()
	for _, j := range e.refillList {
		p := &e.pubs[j]
		p.ready = false
		done := p.arrived
		switch {
		case e.s.away > 0:
			done = p.acked
		case e.s.qos > 0:
			done = min(done, p.acked)
		}
		for p.sent-done < uint64(e.s.outstanding) && (e.s.away == 0 || p.sent < uint64(e.s.away)) && (e.s.share == "" || p.sent-p.low < flowWindow) {
			e.publish(j, now)
		}
		e.markFlush(j)
	}
	e.refillList = e.refillList[:0]
}

// sendDue sends the messages of one tick if they are due, one per write, the publishers in turn. One tick only: a
// generator that catches up goes on receiving in between.
func (e *engine) sendDue(now int64) error {
	n, dueNs, late, ok := e.pace.take(now)
	if !ok {
		return nil
	}
	for range n {
		j := e.turn
		e.turn = (e.turn + 1) % len(e.pubs)
		p := &e.pubs[j]
		c := p.c
		if c.waiting() > heldBytesMax || p.sentNs != nil && p.sent-p.acked == ackWindow {
			if e.recording {
				e.heldBack++
			}
			continue
		}
		if late && e.recording {
			e.late++
		}
		e.publish(j, dueNs)
		if _, err := c.flush(); err != nil {
			return err
		}
	}
	return nil
}

// publish appends publisher j's next message to its output.
func (e *engine) publish(j int, sentNs int64) {
	p := &e.pubs[j]
	template := &p.template
	if p.retained != nil {
		template = &p.retained[p.sent%uint64(len(p.retained))]
	}
	p.c.out = template.append(p.c.out, stamp{seq: p.sent, sentNs: sentNs, pub: uint32(j)})
	if p.sentNs != nil {
		p.sentNs[p.sent%ackWindow] = sentNs
	}
	if p.waiting != nil {
		p.waiting[p.sent%uint64(len(p.waiting))] = e.s.copies()
	}
	p.sent++
}

func (e *engine) takeAtPublisher(j int, p packet, now int64) error {
	id, err := p.ackID()
	if err != nil {
		return err
	}
	switch {
	case p.kind() == packetPubrec && e.s.qos == 2:
		c := e.clients[j]
		c.out = appendAck(c.out, packetPubrel, id)
		e.markFlush(j)
	case p.kind() == packetPuback && e.s.qos == 1, p.kind() == packetPubcomp && e.s.qos == 2:
		if e.pubs[j].sentNs != nil {
			if err := e.takeDurableAck(j, id, now); err != nil {
				return err
			}
		}
		e.pubs[j].acked++
		e.credit(j)
	default:
		return fmt.Errorf("a publisher got packet 0x%02x: %w", p.first, errMalformed)
	}
	return nil
}

func (e *engine) takeAtSubscriber(i int, p packet, now int64) error {
	c := e.clients[i]
	switch p.kind() {
	case packetPublish:
		m, err := p.publish()
		if err != nil {
			return err
		}
		switch m.qos {
		case 1:
			c.out = appendAck(c.out, packetPuback, m.id)
			e.markFlush(i)
		case 2:
			c.out = appendAck(c.out, packetPubrec, m.id)
			e.markFlush(i)
		}
		if p.first&flagRetain != 0 && e.restart != nil {
			e.takeStored(i-e.subBase, m, now)
		} else {
			e.deliver(i-e.subBase, m, now)
		}
	case packetSuback:
		return e.takeSuback(i-e.subBase, p)
	case packetConnack:
		return e.takeReturn(i-e.subBase, p)
	case packetPubrel & 0xF0:
		id, err := p.ackID()
		if err != nil {
			return err
		}
		c.out = appendAck(c.out, packetPubcomp, id)
		e.markFlush(i)
	default:
		return fmt.Errorf("a subscriber got packet 0x%02x: %w", p.first, errMalformed)
	}
	return nil
}

// deliver counts one message at subscriber i and gives its credit back. Messages that were skipped give theirs back as
// well, or one lost message would stop a publisher for ever.
func (e *engine) deliver(i int, m publish, now int64) {
	s, ok := readStamp(m.payload, e.s.payloadBytes)
	j := int(s.pub)
	if !ok || m.qos != e.s.qos || i >= e.s.subs || j >= len(e.pubs) || s.seq >= e.pubs[j].sent || e.s.paired() && i != j {
		e.corrupt++
		return
	}
	at := e.flowAt(i, j)
	if e.restart != nil && !e.restart.live[at] {
		e.corrupt++
		return
	}
	if i >= e.s.subs-e.s.slow || e.restart != nil && e.restart.skips(i, at, s.seq) {
		return
	}
	f := &e.flows[at]
	first, unique := f.next, e.counts.unique
	f.observe(s.seq, &e.counts)
	e.lastNewsNs = now
	if e.recording && !e.s.leaves() {
		e.latency.record(now - s.sentNs)
	}
	if e.s.share != "" {
		e.arriveShared(j, f, e.counts.unique-unique)
		return
	}
	for seq := first; seq < f.next; seq++ {
		e.arrive(j, seq)
	}
}

func (e *engine) flowAt(i, j int) int {
	switch {
	case e.s.paired():
		return i
	case e.s.share != "":
		return j
	}
	return i*len(e.pubs) + j
}

// arriveShared gives credit for a message of publisher j at any member of the group. The members' sockets are read in any
// order, so a message that was skipped may well be under way, and a late one breaks no order. Refill keeps low within the
// window of the flow, so that a late one is never taken for lost.
func (e *engine) arriveShared(j int, f *flow, n uint64) {
	e.counts.orderBreaks = 0
	p := &e.pubs[j]
	p.arrived += n
	for p.low < f.next && f.has(p.low) {
		p.low++
	}
	e.credit(j)
}

// arrive takes note that one more subscriber is done with message seq of publisher j.
func (e *engine) arrive(j int, seq uint64) {
	p := &e.pubs[j]
	if p.waiting != nil {
		left := &p.waiting[seq%uint64(len(p.waiting))]
		if *left--; *left > 0 {
			return
		}
	}
	p.arrived++
	e.credit(j)
}

func (e *engine) credit(j int) {
	if e.s.outstanding > 0 {
		e.markReady(j)
	}
}
