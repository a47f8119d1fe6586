package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/noctulemq/noctule/codec"
)

const (
	toolReadBytesMin = 2 << 10
	toolReadBytesMax = 64 << 10 // what a read buffer grows to, but for one packet that is larger
	// toolWriteBytes is how much a client gathers before it writes.
	toolWriteBytes = 32 << 10
	// subscribeID is the one packet identifier that a subscriber uses of its own.
	subscribeID = 1
)

// longAgo is a deadline that has passed: it ends a read that is under way.
var longAgo = time.Unix(1, 0)

var (
	errSilent     = errors.New("the broker did not answer a PINGREQ within the keep-alive: it hangs, or -k is too short")
	errLongPacket = fmt.Errorf("the broker sent a packet of more than %d bytes", toolPacketMax)
	errStuck      = fmt.Errorf("the broker read nothing for %v", handshakeTimeout)
	errLeft       = errors.New("the broker closed the connection")
)

// toolClient is one connection. The goroutine that made it owns it; a publisher hands the fields of the reading side to a
// second one.
type toolClient struct {
	run    *toolRun
	number int
	id     string
	topic  string
	conn   net.Conn
	stripe *toolStripe
	flows  map[uint32]*toolFlow // by publisher; guarded by stripe.mu
	out    []byte               // packets to be written
	ack    codec.Connack        // its strings are not to be used: they alias the read buffer

	// The reading side.
	in          toolReader
	message     codec.Publish
	pingPending bool
	pingEvery   time.Duration // 0: no keep-alive
}

// open connects, and subscribes if there is that to do. It returns when the broker has granted both.
func (c *toolClient) open(ctx context.Context) error {
	began := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, handshakeTimeout, fmt.Errorf("no answer within %v", handshakeTimeout))
	defer cancel()
	conn, err := c.run.o.dial(ctx, c.number-c.run.o.first)
	if err != nil {
		return err
	}
	c.conn, c.in.conn = conn, conn
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(longAgo) })
	defer stop()
	if err = c.connect(); err == nil && c.run.o.kind == toolConn {
		c.stripe.record(int64(time.Since(began)))
	}
	if err == nil && c.run.o.kind == toolSub {
		err = c.subscribe()
	}
	switch {
	case !stop() && err != nil:
		return fmt.Errorf("%w (%w)", context.Cause(ctx), err)
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return err
	}
	return conn.SetDeadline(time.Time{})
}

func (c *toolClient) connect() error {
	o := c.run.o
	request := codec.Connect{ClientID: c.id, CleanStart: o.clean, KeepAlive: uint16(o.keepAlive), RequestProblemInfo: true,
		HasUserName: o.user != "", UserName: o.user, HasPassword: o.password != "", Password: []byte(o.password),
		HasSessionExpiry: o.expiry > 0, SessionExpiry: uint32(o.expiry)}
	c.out = request.Append(c.out, o.version)
	if err := c.flush(); err != nil {
		return err
	}
	h, body, err := c.nextPacket()
	if err != nil {
		return fmt.Errorf("wait for CONNACK: %w", err)
	}
	if h.Type != codec.TypeConnack {
		return fmt.Errorf("want CONNACK, got %v", h.Type)
	}
	if err := c.ack.Decode(h, body, o.version); err != nil {
		return fmt.Errorf("read CONNACK: %w", err)
	}
	if c.ack.Code != codec.Success {
		return fmt.Errorf("the broker refused the connection: %s", connackText(c.ack.Code, o.version))
	}
	keepAlive := o.keepAlive
	if c.ack.HasServerKeepAlive {
		keepAlive = int(c.ack.ServerKeepAlive)
	}
	c.pingEvery = time.Duration(keepAlive) * time.Second / 2
	return nil
}

// connackText names the code of a refusing CONNACK.
func connackText(code codec.ReasonCode, v codec.Version) string {
	v3 := [...]string{1: "unacceptable protocol version: try another -V", 2: "identifier rejected: try another --prefix",
		3: "server unavailable", 4: "bad user name or password: see -u and -P", 5: "not authorized: see -u and -P"}
	if v != codec.V5 && int(code) < len(v3) {
		return v3[code]
	}
	return code.String()
}

func (c *toolClient) subscribe() error {
	o := c.run.o
	request := codec.Subscribe{PacketID: subscribeID, Filters: []codec.Subscription{{Filter: c.topic, QoS: uint8(o.qos)}}}
	c.out = request.Append(c.out, o.version)
	if err := c.flush(); err != nil {
		return err
	}
	for { // a session that was taken up may deliver before the SUBACK
		h, body, err := c.nextPacket()
		if err != nil {
			return fmt.Errorf("wait for SUBACK: %w", err)
		}
		if h.Type != codec.TypeSuback {
			if err := c.take(h, body); err != nil {
				return err
			}
			continue
		}
		var granted codec.Suback
		if err := granted.Decode(h, body, o.version); err != nil {
			return fmt.Errorf("read SUBACK: %w", err)
		}
		if granted.PacketID != subscribeID || len(granted.Codes) != 1 {
			return errors.New("the SUBACK is not for our SUBSCRIBE")
		}
		if code := codec.ReasonCode(granted.Codes[0]); code >= codec.UnspecifiedError {
			return fmt.Errorf("the broker refused to subscribe %s: %v", c.topic, code)
		}
		return c.flush()
	}
}

// hold takes packets until the run ends.
func (c *toolClient) hold(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = c.conn.SetReadDeadline(longAgo) })
	defer stop()
	c.armPing()
	for ctx.Err() == nil {
		h, body, ok, err := c.in.packet()
		switch {
		case err != nil:
			return err
		case !ok:
			if err = c.flush(); err == nil {
				err = c.in.fill()
			}
		default:
			err = c.take(h, body)
		}
		if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil {
			err = c.ping()
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
	return c.disconnect()
}

// take handles a packet that may come unasked, and answers it in out.
func (c *toolClient) take(h codec.Header, body []byte) error {
	v := c.run.o.version
	switch h.Type {
	case codec.TypePublish:
		if err := c.message.DecodeFromServer(h, body, v); err != nil {
			return fmt.Errorf("read PUBLISH: %w", err)
		}
		switch c.message.QoS {
		case 1:
			c.out = codec.AppendAck(c.out, codec.TypePuback, v, c.message.PacketID, codec.Success)
		case 2:
			c.out = codec.AppendAck(c.out, codec.TypePubrec, v, c.message.PacketID, codec.Success)
		}
		c.run.receive(c)
	case codec.TypePubrel:
		var a codec.Ack
		if err := a.Decode(h, body, v); err != nil {
			return fmt.Errorf("read PUBREL: %w", err)
		}
		c.out = codec.AppendAck(c.out, codec.TypePubcomp, v, a.PacketID, codec.Success)
	case codec.TypePingresp:
		c.pingPending = false
	default:
		return c.unexpected(h, body)
	}
	if len(c.out) >= toolWriteBytes {
		return c.flush()
	}
	return nil
}

// unexpected is the error for a packet that this client has no use for; a DISCONNECT says why it came.
func (c *toolClient) unexpected(h codec.Header, body []byte) error {
	var d codec.Disconnect
	if h.Type == codec.TypeDisconnect && d.Decode(h, body, c.run.o.version) == nil {
		return fmt.Errorf("the broker disconnected: %v", d.Code)
	}
	return fmt.Errorf("unexpected %v from the broker", h.Type)
}

// armPing lets a read end when it is time for a PINGREQ, whatever has come until then: what we receive is no sign of
// life to the broker.
func (c *toolClient) armPing() {
	if c.pingEvery > 0 {
		_ = c.conn.SetReadDeadline(time.Now().Add(c.pingEvery)) // if it fails, so does the next read
	}
}

// ping sends a PINGREQ, unless the one before it has no answer yet.
func (c *toolClient) ping() error {
	if c.pingPending {
		return errSilent
	}
	c.pingPending = true
	c.out = codec.AppendPingreq(c.out)
	c.armPing()
	return c.flush()
}

// disconnect says goodbye, so that no will is sent and nothing is logged as lost.
func (c *toolClient) disconnect() error {
	c.out = (&codec.Disconnect{}).Append(c.out, c.run.o.version)
	_ = c.flush() // the connection is done either way
	return nil
}

// flush writes what is gathered in out.
func (c *toolClient) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	if err := c.conn.SetWriteDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return fmt.Errorf("write to the broker: %w", err)
	}
	if _, err := c.conn.Write(c.out); errors.Is(err, os.ErrDeadlineExceeded) {
		return errStuck // and not what a read returns when it is time for a PINGREQ
	} else if err != nil {
		return fmt.Errorf("write to the broker: %w", err)
	}
	c.out = c.out[:0]
	return nil
}

// nextPacket waits for one packet. Its body is borrowed until the next call.
func (c *toolClient) nextPacket() (codec.Header, []byte, error) {
	for {
		h, body, ok, err := c.in.packet()
		if ok || err != nil {
			return h, body, err
		}
		if err := c.in.fill(); err != nil {
			return h, nil, err
		}
	}
}

// toolReader cuts a stream into packets. A fill that ran into its deadline may be repeated.
type toolReader struct {
	conn     io.Reader
	buf      []byte // owned; from at to end are bytes not yet taken
	at, end  int
	missing  int // bytes of the packet at at, as far as known
	overflow bool
}

// packet takes a packet that has come whole; ok is false when fill has to get more. The body is borrowed until fill.
func (r *toolReader) packet() (h codec.Header, body []byte, ok bool, err error) {
	h, size, err := codec.DecodeHeader(r.buf[r.at:r.end])
	if err != nil {
		return h, nil, false, fmt.Errorf("read a packet: %w", err)
	}
	if size+h.Remaining > toolPacketMax {
		return h, nil, false, errLongPacket
	}
	if r.missing = size + h.Remaining; size == 0 {
		r.missing = 0
	}
	if size == 0 || r.end-r.at < r.missing {
		return h, nil, false, nil
	}
	body = r.buf[r.at+size : r.at+r.missing]
	r.at += r.missing
	return h, body, true, nil
}

// fill reads once, behind the partial packet that is there.
func (r *toolReader) fill() error {
	want := max(r.missing, toolReadBytesMin)
	if r.overflow { // the last read left bytes behind
		want = max(want, min(2*len(r.buf), toolReadBytesMax))
	}
	if len(r.buf) < want {
		grown := make([]byte, want)
		r.end = copy(grown, r.buf[r.at:r.end])
		r.buf, r.at = grown, 0
	} else if r.at > 0 {
		r.end = copy(r.buf, r.buf[r.at:r.end])
		r.at = 0
	}
	n, err := r.conn.Read(r.buf[r.end:])
	r.end += n
	r.overflow = r.end == len(r.buf)
	if n > 0 {
		return nil
	}
	if errors.Is(err, io.EOF) {
		return errLeft
	}
	if err != nil {
		return fmt.Errorf("read from the broker: %w", err)
	}
	return nil
}
