package bench

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// line is a client that waits for what it asks: blocking calls, bounded by handshakeTimeout each.
type line struct {
	c    *client
	buf  []byte
	from int // buf[from:have] is what was read and not yet taken
	have int
	id   uint16 // of the message that was read last; 0: it had QoS 0
	out  []byte // scratch
}

// lineMessage is one message to publish.
type lineMessage struct {
	topic string
	stamp stamp
}

func newLine(c *client) *line { return &line{c: c, buf: make([]byte, readBytes)} }

func (l *line) write(b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(l.c.fd, b)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("write to the broker: %w", err)
		}
		b = b[n:]
	}
	return nil
}

// read returns the next packet, which is borrowed until the next call.
func (l *line) read() (packet, error) {
	for {
		p, size, err := splitPacket(l.buf[l.from:l.have])
		if err != nil || size > 0 {
			l.from += size
			return p, err
		}
		l.have = copy(l.buf, l.buf[l.from:l.have])
		l.from = 0
		if l.have == len(l.buf) {
			return packet{}, fmt.Errorf("packet of more than %d bytes: %w", len(l.buf), errMalformed)
		}
		n, err := unix.Read(l.c.fd, l.buf[l.have:])
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return packet{}, fmt.Errorf("nothing came for %v", handshakeTimeout)
		case err != nil:
			return packet{}, fmt.Errorf("read from the broker: %w", err)
		case n == 0:
			return packet{}, errClosed
		default:
			l.have += n
		}
	}
}

// await reads one packet, which must be of a kind and say success in its last byte.
func (l *line) await(first byte) error {
	p, err := l.read()
	if err == nil && (p.first != first || len(p.body) == 0 || p.body[len(p.body)-1] >= 0x80) {
		err = fmt.Errorf("want packet 0x%02x with success, got 0x%02x % x", first, p.first, p.body)
	}
	return err
}

// acknowledge sends the PUBACK of the message that was read last.
func (l *line) acknowledge() error {
	l.out = appendAck(l.out[:0], packetPuback, l.id)
	return l.write(l.out)
}

// message reads one PUBLISH with a stamp. The publish is borrowed until the next call.
func (l *line) message(payloadBytes int) (publish, stamp, error) {
	p, err := l.read()
	if err != nil {
		return publish{}, stamp{}, err
	}
	if p.kind() != packetPublish {
		return publish{}, stamp{}, fmt.Errorf("want a PUBLISH, got packet 0x%02x % x", p.first, p.body)
	}
	m, err := p.publish()
	if err != nil {
		return m, stamp{}, err
	}
	s, ok := readStamp(m.payload, payloadBytes)
	if !ok {
		return m, s, errors.New("a payload came damaged")
	}
	l.id = m.id
	return m, s, nil
}

// expect reads one PUBLISH, which must be this one.
func (l *line) expect(topic string, want stamp, payloadBytes int) error {
	m, s, err := l.message(payloadBytes)
	if err == nil && (string(m.topic) != topic || s != want) {
		err = fmt.Errorf("want message %d of %s, got %d on %s", want.seq, topic, s.seq, m.topic)
	}
	return err
}

// publishAll publishes messages 0 to n-1 at QoS 1, reopenWindow under way at once, and returns when all are acknowledged.
func (l *line) publishAll(n, payloadBytes int, flags byte, what func(k int) lineMessage) error {
	for sent, acked := 0, 0; acked < n; acked++ {
		if sent < n && sent-acked <= reopenWindow/2 {
			l.out = l.out[:0]
			for ; sent < min(n, acked+reopenWindow) && len(l.out) < readBytes/4; sent++ {
				l.appendPublish(payloadBytes, flags, packetID(uint64(sent)), what(sent))
			}
			if err := l.write(l.out); err != nil {
				return err
			}
		}
		p, err := l.read()
		if err == nil && (p.first != packetPuback || len(p.body) < 2 || binary.BigEndian.Uint16(p.body) != packetID(uint64(acked))) {
			err = fmt.Errorf("want the PUBACK of %d, got packet 0x%02x % x", packetID(uint64(acked)), p.first, p.body)
		}
		if err != nil {
			return fmt.Errorf("after %d of %d messages: %w", acked, n, err)
		}
	}
	return nil
}

func (l *line) appendPublish(payloadBytes int, flags byte, id uint16, m lineMessage) {
	t := newPublishTemplate(m.topic, 1, payloadBytes)
	t.bytes[0] |= flags
	at := len(l.out)
	l.out = t.append(l.out, m.stamp)
	binary.BigEndian.PutUint16(l.out[at+t.idAt:], id)
}
