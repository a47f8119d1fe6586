package crash

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/noctulemq/noctule/codec"
)

// packet is one that came from the broker. body is its own.
type packet struct {
	header codec.Header
	body   []byte
}

// ack reads an acknowledgement.
func (p packet) ack(v codec.Version) (id uint16, code codec.ReasonCode, err error) {
	var a codec.Ack
	err = a.Decode(p.header, p.body, v)
	return a.PacketID, a.Code, err
}

// conn is one connection to the broker.
type conn struct {
	net.Conn
	version codec.Version
	in      chan packet // closed when the connection has ended
	closed  chan struct{}
	once    sync.Once
}

// dial connects, says hello and waits for the answer.
func dial(addr string, v codec.Version, hello *codec.Connect) (*conn, bool, error) {
	sock, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return nil, false, err
	}
	c := &conn{Conn: sock, version: v, in: make(chan packet, 64), closed: make(chan struct{})}
	go c.receive()
	c.send(hello.Append(nil, v))
	p, err := c.next(codec.TypeConnack)
	if err != nil {
		c.close()
		return nil, false, err
	}
	var answer codec.Connack
	if err := answer.Decode(p.header, p.body, v); err != nil || answer.Code != 0 {
		c.close()
		return nil, false, fmt.Errorf("CONNACK: %v, code %d", err, answer.Code)
	}
	return c, answer.SessionPresent, nil
}

// receive reads packets until the connection ends.
func (c *conn) receive() {
	defer close(c.in)
	var buf []byte
	room := make([]byte, 64<<10)
	for {
		n, err := c.Read(room)
		if err != nil {
			return
		}
		buf = append(buf, room[:n]...)
		for {
			h, size, err := codec.DecodeHeader(buf)
			if err != nil {
				return
			}
			if size == 0 || len(buf) < size+h.Remaining {
				break
			}
			select {
			case c.in <- packet{h, bytes.Clone(buf[size : size+h.Remaining])}:
			case <-c.closed:
				return
			}
			buf = buf[size+h.Remaining:]
		}
	}
}

var errEnded = errors.New("the connection has ended")

// next waits for a packet of a type and drops others.
func (c *conn) next(want codec.Type) (packet, error) {
	late := time.After(patience)
	for {
		select {
		case p, ok := <-c.in:
			if !ok {
				return packet{}, errEnded
			}
			if p.header.Type == want {
				return p, nil
			}
		case <-late:
			return packet{}, fmt.Errorf("no %v came", want)
		}
	}
}

// send writes; that it failed is seen where packets are read.
func (c *conn) send(b []byte) {
	if len(b) > 0 {
		_, _ = c.Write(b)
	}
}

func (c *conn) close() {
	c.once.Do(func() {
		close(c.closed)
		c.Close()
	})
}

// leave says goodbye in half of the cases, and is silent in the others.
func (c *conn) leave(polite bool) {
	if polite {
		var d codec.Disconnect
		c.send(d.Append(nil, c.version))
	}
	c.close()
}
