package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/noctulemq/noctule/codec"
)

const (
	// toolBatch bounds the messages of one write.
	toolBatch = 64
	// toolLateMax is how far a publisher may fall behind its interval and still make up for it. What it is further behind
	// is not sent, and counted as held back.
	toolLateMax = time.Second
	// toolDrainTime is how long a publisher waits for its last acknowledgements.
	toolDrainTime = 5 * time.Second
)

var errCrowded = errors.New("the broker acknowledged more messages than were sent")

// toolAnswer is what the reading side of a publisher hands to its writing side: an acknowledgement, or, with the type of
// PINGREQ, that it is time for one.
type toolAnswer struct {
	kind codec.Type
	code codec.ReasonCode
	id   uint16
}

// toolPublisher is the writing side of a publisher: all that it sends goes through it, so that the reading side never
// waits for the broker to read.
type toolPublisher struct {
	*toolClient
	head    codec.PublishOut
	stream  uint32 // the publisher in stamps
	seq     uint64
	window  int
	busy    map[uint16]int64 // packet identifier of each message under way: when it was due, by the wall clock
	nextID  uint16
	started time.Time
	turn    int64 // messages of the schedule until now, held back ones too
	pause   time.Duration
}

func newToolPublisher(c *toolClient) (*toolPublisher, error) {
	o := c.run.o
	p := &toolPublisher{toolClient: c, stream: o.streamBase + uint32(c.number), window: o.inflight, busy: map[uint16]int64{},
		pause: milliseconds(o.pubPause), started: time.Now()}
	p.head = codec.PublishOut{Version: o.version, QoS: uint8(o.qos), Retain: o.retain, Topic: c.topic, Payload: c.run.filler}
	if c.ack.ReceiveMaximum > 0 {
		p.window = min(p.window, int(c.ack.ReceiveMaximum)) // [MQTT-3.3.4-9]
	}
	switch size := p.head.Size(); {
	case c.ack.MaximumPacketSize > 0 && uint64(size) > uint64(c.ack.MaximumPacketSize):
		return nil, fmt.Errorf("the broker takes packets of up to %d bytes, ours have %d: lower -s", c.ack.MaximumPacketSize, size)
	case c.ack.HasMaximumQoS && p.head.QoS > c.ack.MaximumQoS:
		return nil, fmt.Errorf("the broker takes QoS %d at most: lower -q", c.ack.MaximumQoS) // [MQTT-3.2.2-11]
	case c.ack.RetainUnavailable && o.retain:
		return nil, errors.New("the broker retains nothing: leave out -r") // [MQTT-3.2.2-14]
	}
	return p, nil
}

// publish sends until the run ends, and then waits for what is under way.
func (c *toolClient) publish(ctx context.Context) error {
	p, err := newToolPublisher(c)
	if err != nil {
		return err
	}
	answers := make(chan toolAnswer, p.window+1)
	failed := make(chan error, 1)
	c.armPing()
	go func() {
		defer close(failed)
		failed <- c.readAnswers(answers)
	}()
	err = p.drive(ctx, answers, failed)
	_ = c.conn.Close() // ends the reading side
	for range failed {
	}
	return err
}

// readAnswers is the reading side.
func (c *toolClient) readAnswers(answers chan<- toolAnswer) error {
	for {
		a := toolAnswer{kind: codec.TypePingreq}
		h, body, err := c.nextPacket()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			if c.pingPending {
				return errSilent
			}
			c.pingPending = true
			c.armPing()
		case err != nil:
			return err
		case h.Type == codec.TypePingresp:
			c.pingPending = false
			continue
		case h.Type < codec.TypePuback || h.Type > codec.TypePubcomp:
			return c.unexpected(h, body)
		default:
			var ack codec.Ack
			if err := ack.Decode(h, body, c.run.o.version); err != nil {
				return fmt.Errorf("read %v: %w", h.Type, err)
			}
			a = toolAnswer{kind: ack.Type, code: ack.Code, id: ack.PacketID}
		}
		select {
		case answers <- a: // there is room for one of each message under way, and a PINGREQ
		default:
			return errCrowded
		}
	}
}

// drive sends what is due and handles what comes, until the run ends.
func (p *toolPublisher) drive(ctx context.Context, answers <-chan toolAnswer, failed <-chan error) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return p.drain(answers, failed)
		case err := <-failed:
			return err
		default:
		}
		if err := p.sendDue(ctx, answers); err != nil {
			return err
		}
		if !p.credit() {
			timer.Reset(toolIdleMax)
		} else if wait := p.untilDue(time.Now()); wait > 0 {
			timer.Reset(wait)
		} else {
			continue
		}
		select {
		case <-ctx.Done():
		case err := <-failed:
			return err
		case a := <-answers:
			if err := p.settle(a); err != nil {
				return err
			}
		case <-timer.C:
		}
	}
}

// credit reports whether one more message may be under way.
func (p *toolPublisher) credit() bool { return p.head.QoS == 0 || len(p.busy) < p.window }

// untilDue is the time until the next message is due.
func (p *toolPublisher) untilDue(now time.Time) time.Duration {
	return time.Duration(p.turn)*p.pause - now.Sub(p.started)
}

// sendDue takes the answers that are there, then sends messages that are due, in one write.
func (p *toolPublisher) sendDue(ctx context.Context, answers <-chan toolAnswer) error {
	for len(answers) > 0 {
		if err := p.settle(<-answers); err != nil {
			return err
		}
	}
	now := time.Now()
	if late := -p.untilDue(now); p.pause > 0 && late > toolLateMax {
		missed := int64((late - toolLateMax) / p.pause)
		p.turn += missed
		p.run.heldBack.Add(uint64(missed))
	}
	sent := uint64(0)
	for sent < toolBatch && len(p.out) < toolWriteBytes && p.credit() && ctx.Err() == nil {
		wait := p.untilDue(now)
		if wait > 0 || !p.run.takeTicket() {
			break
		}
		due := now.UnixNano()
		if p.pause > 0 {
			due += int64(wait) // stamped with the time it was due: what held it up until now is latency
			p.turn++
		}
		p.append(due)
		sent++
	}
	if err := p.flush(); err != nil {
		return err
	}
	p.run.sent.Add(sent)
	return nil
}

// append encodes the next message.
func (p *toolPublisher) append(dueNs int64) {
	if p.head.QoS > 0 {
		for p.nextID++; ; p.nextID++ { // the window leaves at least one identifier
			if _, taken := p.busy[p.nextID]; p.nextID != 0 && !taken {
				break
			}
		}
		p.head.PacketID = p.nextID
		p.busy[p.nextID] = dueNs
	}
	p.out = p.head.Append(p.out)
	if n := len(p.head.Payload); n >= payloadBytesMin {
		stamp{seq: p.seq, sentNs: dueNs, pub: p.stream}.put(p.out[len(p.out)-n:])
	}
	p.seq++
}

// settle handles one answer. Its own answer waits in out for the next write.
func (p *toolPublisher) settle(a toolAnswer) error {
	if a.kind == codec.TypePingreq {
		p.out = codec.AppendPingreq(p.out)
		return nil
	}
	dueNs, known := p.busy[a.id]
	refused := a.code >= codec.UnspecifiedError
	switch {
	case !known || a.kind == codec.TypePuback != (p.head.QoS == 1) || a.kind == codec.TypePubrel:
		return fmt.Errorf("the broker sent %v %d, which answers none of our messages", a.kind, a.id)
	case a.kind == codec.TypePubrec && !refused:
		p.out = codec.AppendAck(p.out, codec.TypePubrel, p.head.Version, a.id, codec.Success)
		return nil
	}
	delete(p.busy, a.id)
	if refused {
		p.run.refuse(a.code)
		return nil
	}
	p.run.acked.Add(1)
	p.stripe.record(time.Now().UnixNano() - dueNs)
	return nil
}

// drain waits for the acknowledgements that are still missing, and disconnects.
func (p *toolPublisher) drain(answers <-chan toolAnswer, failed <-chan error) error {
	timeout := time.NewTimer(toolDrainTime)
	defer timeout.Stop()
	for len(p.busy) > 0 {
		if err := p.flush(); err != nil {
			return err
		}
		select {
		case a := <-answers:
			if err := p.settle(a); err != nil {
				return err
			}
		case err := <-failed:
			return err
		case <-timeout.C:
			return fmt.Errorf("messages without acknowledgement %v after the end: %d", toolDrainTime, len(p.busy))
		}
	}
	return p.disconnect()
}
