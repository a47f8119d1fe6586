package conformance

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience bounds every read that expects something. It is generous because the whole suite shares two cores; a passing
// test never waits for it.
const patience = 10 * time.Second

// packet is one packet as it came: raw is all of it, body what follows the fixed header.
type packet struct {
	first     byte
	body, raw []byte
}

func (p packet) String() string { return fmt.Sprintf("% X", p.raw) }

// client is one connection to the broker, used by the test's goroutine alone. Every failure ends the test with the
// bytes that came.
type client struct {
	t     testing.TB
	conn  net.Conn
	in    *bufio.Reader
	level int
	next  int // last packet identifier given by this client
	// Messages that came while this client waited for an acknowledgement; read returns them first.
	early []packet
	// Of the CONNACK.
	present bool
	props   []property
}

// dial opens a connection and says nothing yet.
func dial(t testing.TB, b *broker) *client {
	t.Helper()
	conn, err := net.DialTimeout("tcp", b.addr, patience)
	if err != nil {
		t.Fatalf("dial the broker: %v", err)
	}
	t.Cleanup(func() { conn.Close() })
	return &client{t: t, conn: conn, in: bufio.NewReaderSize(conn, 1<<16)}
}

// join connects and expects to be accepted.
func join(t testing.TB, b *broker, h hello) *client {
	t.Helper()
	c := dial(t, b)
	c.level = h.level
	c.send(h.bytes())
	p := c.read()
	if p.first != 0x20 || len(p.body) < 2 || p.body[1] != 0 {
		t.Fatalf("CONNECT of %q answered by %v, want acceptance", h.id, p)
	}
	if p.body[0]&^1 != 0 {
		t.Fatalf("CONNACK flags %#x, want the reserved bits to be zero", p.body[0])
	}
	c.present = p.body[0] == 1
	if h.level == v5 {
		list, _, rest, err := parseProps(p.body[2:])
		if err != nil || len(rest) > 0 {
			t.Fatalf("CONNACK %v: %v, %d bytes left", p, err, len(rest))
		}
		c.props = list
	} else if len(p.body) != 2 {
		t.Fatalf("CONNACK %v, want two bytes", p)
	}
	return c
}

// send writes packets. A connection that the broker has already closed is no error here: what matters is what it sent.
func (c *client) send(packets ...[]byte) {
	c.t.Helper()
	_ = c.conn.SetWriteDeadline(time.Now().Add(patience))
	_, err := c.conn.Write(bytes.Join(packets, nil))
	if err != nil && !closedByPeer(err) {
		c.t.Fatalf("send: %v", err)
	}
}

// read returns the next packet; none within the patience, or a close, fails the test.
func (c *client) read() packet {
	c.t.Helper()
	if len(c.early) > 0 {
		p := c.early[0]
		c.early = c.early[1:]
		return p
	}
	return c.readNew()
}

// readNew is read without the messages that were set aside.
func (c *client) readNew() packet {
	c.t.Helper()
	p, err := c.readWithin(patience)
	if err != nil {
		c.t.Fatalf("read a packet: %v", err)
	}
	return p
}

// readWithin reads one packet. Its remaining length must be the shortest, as every variable byte integer must.
func (c *client) readWithin(d time.Duration) (packet, error) {
	_ = c.conn.SetReadDeadline(time.Now().Add(d))
	head, err := c.in.Peek(2)
	if err != nil {
		return packet{}, err
	}
	for i := 1; head[i]&0x80 != 0; i++ {
		if i == 4 {
			return packet{}, fmt.Errorf("remaining length of five bytes: % x", head)
		}
		if head, err = c.in.Peek(i + 2); err != nil {
			return packet{}, err
		}
	}
	n, size, err := readVarint(head[1:])
	if err != nil {
		return packet{}, err
	}
	raw := make([]byte, 1+size+int(n))
	if _, err := io.ReadFull(c.in, raw); err != nil {
		return packet{}, err
	}
	return packet{first: raw[0], body: raw[1+size:], raw: raw}, nil
}

// expect reads one packet and compares all of its bytes.
func (c *client) expect(want []byte) {
	c.t.Helper()
	if p := c.read(); !bytes.Equal(p.raw, want) {
		c.t.Fatalf("got % X, want % X", p.raw, want)
	}
}

// expectHex is expect with the bytes written as hexadecimal digits.
func (c *client) expectHex(digits string) {
	c.t.Helper()
	c.expect(hx(digits))
}

// expectClose wants the connection to end without another byte.
func (c *client) expectClose() {
	c.t.Helper()
	p, err := c.readWithin(patience)
	if err == nil {
		c.t.Fatalf("got % X, want the connection to be closed", p.raw)
	}
	if !closedByPeer(err) {
		c.t.Fatalf("want the connection to be closed: %v", err)
	}
}

// expectRefusal wants the answer that ends a connection which is already accepted: DISCONNECT with one of the codes
// under v5, nothing under the older versions; then the close.
func (c *client) expectRefusal(codes ...int) {
	c.t.Helper()
	if c.level == v5 {
		p := c.read()
		if p.first != 0xE0 || len(p.body) != 1 || !slices.Contains(codes, int(p.body[0])) {
			c.t.Fatalf("got %v, want DISCONNECT with %#x", p, codes)
		}
	}
	c.expectClose()
}

// expectQuiet wants nothing to arrive for d and the connection to stay open.
func (c *client) expectQuiet(d time.Duration) {
	c.t.Helper()
	if len(c.early) > 0 {
		c.t.Fatalf("got %v, want nothing", c.early[0])
	}
	p, err := c.readWithin(d)
	if err == nil {
		c.t.Fatalf("got % X, want nothing", p.raw)
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatalf("want an open, quiet connection: %v", err)
	}
}

// drain reads until the broker closes; it is how a test knows that its farewell has been handled.
func (c *client) drain() {
	c.t.Helper()
	for {
		if _, err := c.readWithin(patience); err != nil {
			if !closedByPeer(err) {
				c.t.Fatalf("want the connection to be closed: %v", err)
			}
			return
		}
	}
}

// leave disconnects in good order and waits until the broker has noticed.
func (c *client) leave() {
	c.t.Helper()
	c.send(goodbye())
	c.drain()
	c.conn.Close()
}

// abandon closes the socket as a failing network would.
func (c *client) abandon() {
	if tcp, ok := c.conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	c.conn.Close()
}

// ping proves that the broker has handled all that this client sent, and that nothing else waited for it.
func (c *client) ping() {
	c.t.Helper()
	c.send(pkt(pingreqByte))
	c.expectHex("D0 00")
}

// subscribe asks for one filter and expects the options' QoS to be granted.
func (c *client) subscribe(filter string, options int) {
	c.t.Helper()
	c.next++
	c.send(subscribe(c.level, c.next, filter, options))
	c.expectSuback(c.next, options&3)
}

func (c *client) expectSuback(id int, codes ...int) {
	c.t.Helper()
	want := bin(u16(id))
	if c.level == v5 {
		want = append(want, 0)
	}
	for _, code := range codes {
		want = append(want, byte(code))
	}
	c.expect(pkt(0x90, want))
}

// publish sends a message at its QoS and completes the exchange, whatever success code the broker gives.
func (c *client) publish(m message) {
	c.t.Helper()
	if m.qos > 0 && m.id == 0 {
		c.next++
		m.id = c.next
	}
	c.send(m.bytes(c.level))
	switch m.qos {
	case 0:
		c.send(pkt(pingreqByte))
		if p := c.readPast(); p.first != 0xD0 {
			c.t.Fatalf("got %v, want PINGRESP", p)
		}
	case 1:
		c.expectAck(0x40, m.id)
	case 2:
		c.expectAck(0x50, m.id)
		c.send(ack(pubrelByte, m.id))
		c.expectAck(0x70, m.id)
	}
}

// expectAck wants an acknowledgement of success: reason codes below 0x80, no properties.
func (c *client) expectAck(first, id int) {
	c.t.Helper()
	p := c.readPast()
	if p.first != byte(first) || len(p.body) < 2 || int(binary.BigEndian.Uint16(p.body)) != id {
		c.t.Fatalf("got %v, want %#x for packet identifier %d", p, first, id)
	}
	if len(p.body) > 3 || len(p.body) == 3 && (c.level != v5 || p.body[2] >= 0x80) {
		c.t.Fatalf("got %v, want a plain acknowledgement of success", p)
	}
}

// readPast sets PUBLISH packets aside and returns the next packet of another kind.
func (c *client) readPast() packet {
	c.t.Helper()
	for {
		p := c.readNew()
		if p.first>>4 != 3 {
			return p
		}
		c.early = append(c.early, p)
	}
}

// receive reads one PUBLISH and takes it apart.
func (c *client) receive() message {
	c.t.Helper()
	m, err := c.parse(c.read())
	if err != nil {
		c.t.Fatal(err)
	}
	return m
}

func (c *client) parse(p packet) (m message, err error) {
	if p.first>>4 != 3 {
		return m, fmt.Errorf("got %v, want PUBLISH", p)
	}
	m.dup, m.qos, m.retain = p.first&8 != 0, int(p.first>>1&3), p.first&1 != 0
	rest := p.body
	if m.topic, rest, err = readString(rest); err != nil {
		return m, err
	}
	if m.qos > 0 {
		if len(rest) < 2 {
			return m, fmt.Errorf("%v: no packet identifier", p)
		}
		m.id, rest = int(binary.BigEndian.Uint16(rest)), rest[2:]
		if m.id == 0 {
			return m, fmt.Errorf("%v: packet identifier zero", p)
		}
	}
	if c.level == v5 {
		if _, m.props, rest, err = parseProps(rest); err != nil {
			return m, fmt.Errorf("%v: %w", p, err)
		}
	}
	m.payload = string(rest)
	return m, nil
}

// expectMessage reads one PUBLISH and compares topic, payload, QoS, RETAIN and DUP; it returns all of it.
func (c *client) expectMessage(want message) message {
	c.t.Helper()
	got := c.receive()
	if got.topic != want.topic || got.payload != want.payload || got.qos != want.qos || got.retain != want.retain || got.dup != want.dup {
		c.t.Fatalf("got %+v, want %+v", got, want)
	}
	return got
}

// acknowledge completes a received message's exchange from the receiver's side.
func (c *client) acknowledge(m message) {
	c.t.Helper()
	switch m.qos {
	case 1:
		c.send(ack(pubackByte, m.id))
	case 2:
		c.send(ack(pubrecByte, m.id))
		c.expect(ack(pubrelByte, m.id))
		c.send(ack(pubcompByte, m.id))
	}
}

// prop returns the first property with this identifier.
func prop(list []property, id byte) (property, bool) {
	for _, p := range list {
		if p.id == id {
			return p, true
		}
	}
	return property{}, false
}

// listOf parses the properties of a received message.
func listOf(t testing.TB, m message) []property {
	t.Helper()
	list, _, _, err := parseProps(props(m.props))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// closedByPeer tells an orderly or abrupt close from a time-out.
func closedByPeer(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// name makes a client identifier or topic that no other test uses, nor this one when it runs again on the same broker.
func name(t testing.TB, suffix string) string {
	run, known := current.runs.Load(t)
	if !known {
		run, _ = current.runs.LoadOrStore(t, current.count.Add(1))
	}
	return fmt.Sprintf("%s~%d%s", strings.ReplaceAll(t.Name(), "#", "_"), run, suffix)
}

// eachVersion runs a test under 3.1, 3.1.1 and 5.0, or under those given.
func eachVersion(t *testing.T, f func(t *testing.T, level int), levels ...int) {
	if levels == nil {
		levels = []int{v31, v4, v5}
	}
	names := map[int]string{v31: "v3.1", v4: "v3.1.1", v5: "v5"}
	for _, level := range levels {
		t.Run(names[level], func(t *testing.T) {
			skipKnown(t)
			f(t, level)
		})
	}
}
