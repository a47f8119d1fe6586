package bench

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Connections that come and go. A slot of conn-rate goes round: connect, CONNACK, DISCONNECT, close. A client of
// reconnect-storm is cut off and comes back once: connect, CONNACK, SUBSCRIBE, SUBACK. Both are clients of the engine
// whose sockets change.

// sourceAddresses is how many loopback addresses the connections come from in turn. A closed connection keeps its local
// port in TIME_WAIT, and one address has only some 28,000.
const sourceAddresses = 200

// ipBindAddressNoPort lets bind choose the address alone; the port is found by connect, which may take one that is in
// use towards another destination.
const ipBindAddressNoPort = 24

// dial begins to connect client i anew. Its CONNECT goes out with the next flush, or as soon as the connection stands;
// its latency counts from sinceNs.
func (e *engine) dial(i int, sinceNs int64) error {
	c := e.clients[i]
	c.fd = -1
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("open a socket: %w", err)
	}
	c.fd, c.sent, c.in = fd, 0, c.in[:0]
	if e.s.churns() {
		c.out = appendConnect(c.out[:0], churnID(i))
	} else {
		c.out = appendResume(c.out[:0], subscriberID(i-e.subBase))
	}
	c.sinceNs = sinceNs
	from := [4]byte{127, 0, 1, byte(1 + e.dials%sourceAddresses)}
	e.dials++
	if err := e.beginConnect(fd, from); err != nil {
		return fmt.Errorf("connect from %v: %w", from, err)
	}
	ev := unix.EpollEvent{Events: clientEvents, Fd: int32(i)}
	if err := unix.EpollCtl(e.epfd, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		return fmt.Errorf("add a socket to epoll: %w", err)
	}
	e.markFlush(i)
	return nil
}

func (e *engine) beginConnect(fd int, from [4]byte) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, ipBindAddressNoPort, 1); err != nil {
		return err
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: from}); err != nil {
		return err
	}
	err := unix.Connect(fd, &unix.SockaddrInet4{Port: e.port, Addr: [4]byte{127, 0, 0, 1}})
	if err == unix.EINPROGRESS {
		return nil
	}
	return err
}

// cutOff closes every client with a reset, as a failing network would, and begins to connect all of them anew.
func (e *engine) cutOff() error {
	e.lastNewsNs = e.nowNs()
	for _, c := range e.clients {
		c.close()
		c.fd = -1
	}
	for i := range e.clients {
		if err := e.dial(i, e.lastNewsNs); err != nil {
			return err
		}
	}
	return e.flush()
}

// takeAtCaller handles what comes on a connection that comes or goes.
func (e *engine) takeAtCaller(i int, p packet, now int64) error {
	c := e.clients[i]
	switch {
	case p.first == packetConnack && len(p.body) == 2 && p.body[1] == 0 && e.s.connects > 0:
		c.out = append(c.out, packetDisconnect, 0)
		e.hangUps = append(e.hangUps, i)
	case p.first == packetConnack && len(p.body) == 2 && p.body[1] == 0:
		c.out = appendSubscribe(c.out, churnFilter(i), 0)
		e.markFlush(i)
		return nil
	case p.first == packetSuback && len(p.body) == 3 && p.body[2] < 0x80 && e.s.reconnects > 0:
	default:
		return fmt.Errorf("a client that connects got packet 0x%02x % x: %w", p.first, p.body, errMalformed)
	}
	e.counts.unique++
	e.lastNewsNs = now
	if e.recording {
		e.latency.record(now - c.sinceNs)
	}
	return nil
}

// redial ends the connections that have their CONNACK, and begins the next ones in their slots.
func (e *engine) redial() error {
	for _, i := range e.hangUps {
		c := e.clients[i]
		if _, err := c.flush(); err != nil {
			return fmt.Errorf("send DISCONNECT: %w", err)
		}
		c.close()
		if err := e.dial(i, e.nowNs()); err != nil {
			return err
		}
	}
	e.hangUps = e.hangUps[:0]
	return nil
}

// openChurn makes the slots, or connects and subscribes the clients that will be cut off.
func (e *engine) openChurn() error {
	for range e.s.connects {
		e.clients = append(e.clients, &client{fd: -1})
	}
	for i := range e.s.reconnects {
		c, err := dialClient(e.port, churnID(i), churnFilter(i), 0)
		if err != nil {
			return err
		}
		e.clients = append(e.clients, c)
	}
	if e.s.connects > 0 {
		return nil
	}
	return e.register()
}

func churnID(i int) string { return fmt.Sprintf("load-churn-%05d", i) }

func churnFilter(i int) string { return fmt.Sprintf("bench/churn/%05d/state", i) }
