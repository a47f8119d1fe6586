package bench

import (
	"fmt"
	"io"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// readBytes is the one read buffer of a run; every client reads through it.
	readBytes = 256 << 10
	// heldBytesMax bounds what a paced publisher keeps for a broker that does not read; beyond it messages are held back
	// and counted, not sent.
	heldBytesMax = 1 << 20
	// slowBufferBytes is the receive buffer of a subscriber that stops reading.
	slowBufferBytes = 4 << 10
	// answerBytesMax bounds the answer to a request of a handshake: the SUBACK of filtersPerPacket filters, and some.
	answerBytesMax = 64 + filtersPerPacket
	// handshakeTimeout bounds each blocking read and write before a client joins the loop.
	handshakeTimeout = 10 * time.Second
)

// client is one connection: raw, non-blocking once connected, and driven by the one thread of the run.
type client struct {
	fd  int
	in  []byte // the bytes of a partial packet, owned; empty between packets
	out []byte // bytes not yet taken by the socket, from sent on, owned
	// sent is how much of out, or of sealed, is written.
	sent int
	wrap wrapping // nil: TCP alone
	// sealed is what was in out and is not yet taken by the socket, as wrap has it, owned. Out is sealed only when it is empty.
	sealed []byte
	// sinceNs is when the client of a churning scenario began to connect.
	sinceNs int64
	// queued says that the client stands in the engine's flush list.
	queued bool
	// leaving says that the last bytes of out are a DISCONNECT: what still comes is not taken, until the broker closes.
	// back says that the client is wanted again as soon as that has happened.
	leaving, back bool
}

// dialClient connects over blocking calls and returns when the CONNACK, and the SUBACK if there is a filter, have come.
func dialClient(port int, clientID, filter string, qos byte) (*client, error) {
	return dialWrapped(nil, port, clientID, filter, qos)
}

// dialWrapped is dialClient over a transport.
func dialWrapped(wrap wrapFunc, port int, clientID, filter string, qos byte) (*client, error) {
	return dialWith(appendConnect(nil, clientID), wrap, port, clientID, filter, qos)
}

// dialSession is dialClient with a session that stays when the client goes.
func dialSession(port int, clientID, filter string, qos byte) (*client, error) {
	return dialWith(appendResume(nil, clientID), nil, port, clientID, filter, qos)
}

func dialWith(connect []byte, wrap wrapFunc, port int, clientID, filter string, qos byte) (*client, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open a socket: %w", err)
	}
	c := &client{fd: fd}
	if err := c.handshake(connect, wrap, port, filter, qos); err != nil {
		c.close()
		return nil, fmt.Errorf("connect %s to port %d: %w", clientID, port, err)
	}
	return c, nil
}

func (c *client) handshake(connect []byte, wrap wrapFunc, port int, filter string, qos byte) error {
	err := c.open(port)
	if err == nil && wrap != nil {
		c.wrap, err = wrap(c.fd)
	}
	if err != nil {
		return err
	}
	if err := c.exchange(connect, packetConnack, 1); err != nil {
		return err
	}
	if filter == "" {
		return nil
	}
	return c.exchange(appendSubscribe(nil, filter, qos), packetSuback, 2)
}

// open makes the blocking connection.
func (c *client) open(port int) error {
	timeout := unix.NsecToTimeval(int64(handshakeTimeout))
	if err := unix.SetsockoptTimeval(c.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
		return err
	}
	if err := unix.SetsockoptTimeval(c.fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &timeout); err != nil {
		return err
	}
	if err := unix.SetsockoptInt(c.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return err
	}
	// A reset on close leaves no TIME_WAIT behind: thousands of connections per run would use up the local ports.
	if err := unix.SetsockoptLinger(c.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		return err
	}
	return connectBlocking(c.fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
}

// connectBlocking connects a blocking socket. A signal does not end the attempt, only the waiting for it.
func connectBlocking(fd int, to unix.Sockaddr) error {
	err := unix.Connect(fd, to)
	if err != unix.EINTR {
		return err
	}
	wait := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
	for {
		n, err := unix.Poll(wait, int(handshakeTimeout.Milliseconds()))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return err
		case n == 0:
			return unix.ETIMEDOUT
		default:
			failed, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
			if err != nil || failed == 0 {
				return err
			}
			return unix.Errno(failed)
		}
	}
}

// exchange writes one request and reads its answer, whose bytes from codeAt on must all say success.
func (c *client) exchange(request []byte, answer byte, codeAt int) error {
	if err := c.request(request); err != nil {
		return err
	}
	var buf [answerBytesMax]byte
	have := 0
	for {
		n, err := c.answer(buf[have:])
		if err == io.EOF {
			err = errClosed
		}
		if err != nil {
			return fmt.Errorf("wait for packet 0x%02x: %w", answer, err)
		}
		have += n
		p, size, err := splitPacket(buf[:have])
		if err != nil {
			return err
		}
		if size == 0 {
			continue
		}
		if p.first != answer || len(p.body) <= codeAt || slices.Max(p.body[codeAt:]) >= 0x80 || size != have {
			return fmt.Errorf("want packet 0x%02x with success, got % x", answer, buf[:have])
		}
		if answer == packetConnack && p.body[codeAt] != 0 {
			return fmt.Errorf("CONNACK refuses with code %d", p.body[codeAt])
		}
		return nil
	}
}

// request writes to the blocking socket.
func (c *client) request(b []byte) error {
	if c.wrap == nil {
		return writeBlocking(c.fd, b)
	}
	sealed, err := c.wrap.seal(nil, b)
	if err != nil {
		return err
	}
	return writeBlocking(c.fd, sealed)
}

// answer reads once from the blocking socket; n may be 0 over a transport.
func (c *client) answer(b []byte) (n int, err error) {
	if c.wrap == nil {
		return readBlocking(c.fd, b)
	}
	var buf [wireBytes]byte
	if n, err = readBlocking(c.fd, buf[:]); err != nil {
		return 0, err
	}
	plain, err := c.wrap.open(nil, buf[:n])
	if len(plain) > len(b) {
		return 0, fmt.Errorf("answer of more than %d bytes: %w", answerBytesMax, errMalformed)
	}
	return copy(b, plain), err
}

func (c *client) close() { _ = unix.Close(c.fd) }

// waiting is how many bytes are not yet taken by the socket, or are to be sealed first.
func (c *client) waiting() int { return len(c.out) + len(c.sealed) }

// flush writes what waits in out and returns whether all of it is gone.
func (c *client) flush() (done bool, err error) {
	if c.wrap == nil {
		return c.write(&c.out)
	}
	for {
		done, err = c.write(&c.sealed)
		if !done || err != nil || len(c.out) == 0 {
			return done, err
		}
		if c.sealed, err = c.wrap.seal(c.sealed, c.out); err != nil {
			return false, fmt.Errorf("write to the broker: %w", err)
		}
		c.out = c.out[:0]
	}
}

// write writes b from sent on and empties it when all is gone. Raw calls: the socket never blocks, and the runtime need
// not hear of every write.
func (c *client) write(b *[]byte) (done bool, err error) {
	for c.sent < len(*b) {
		n, errno := rawWrite(c.fd, (*b)[c.sent:])
		if errno == unix.EINTR {
			continue
		}
		if errno == unix.EAGAIN {
			return false, nil
		}
		if errno != 0 {
			return false, fmt.Errorf("write to the broker: %w", errno)
		}
		c.sent += n
	}
	*b, c.sent = (*b)[:0], 0
	return true, nil
}
