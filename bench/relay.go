package bench

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// relay is the floor: the least that a single-threaded epoll loop in Go can do and still be taken for a broker by this
// program. It checks nothing, knows exact topics only, keeps no state of QoS 1 and 2 (it answers each step, and forwards
// with the publisher's packet identifier, which is sound only while a subscriber hears one publisher), and reads and
// writes each socket at most once per turn.
type relay struct {
	epfd, listenFD int
	conns          map[int]*relayConn
	topics         map[string][]*relayConn
	buf            []byte
	events         []unix.EpollEvent
	flushList      []*relayConn
}

type relayConn struct {
	client
	subscribed []string
	gone       bool
}

// runRelay serves on a loopback port until it fails or is killed.
func runRelay(port int) error {
	r := &relay{conns: map[int]*relayConn{}, topics: map[string][]*relayConn{}, buf: make([]byte, readBytes), events: make([]unix.EpollEvent, 512)}
	if err := r.listen(port); err != nil {
		return fmt.Errorf("relay: listen on port %d: %w", port, err)
	}
	for {
		n, errno := rawEpollWait(r.epfd, r.events, -1)
		if errno != 0 {
			return fmt.Errorf("relay: wait for events: %w", errno)
		}
		for _, ev := range r.events[:n] {
			r.serve(int(ev.Fd), ev.Events)
		}
		r.flush()
	}
}

func (r *relay) listen(port int) error {
	var err error
	if r.epfd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return err
	}
	if r.listenFD, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		return err
	}
	if err := unix.SetsockoptInt(r.listenFD, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return err
	}
	if err := unix.Bind(r.listenFD, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return err
	}
	if err := unix.Listen(r.listenFD, 1024); err != nil {
		return err
	}
	return unix.EpollCtl(r.epfd, unix.EPOLL_CTL_ADD, r.listenFD, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(r.listenFD)})
}

func (r *relay) serve(fd int, events uint32) {
	if fd == r.listenFD {
		r.accept()
		return
	}
	c := r.conns[fd]
	if c == nil {
		return
	}
	if events&unix.EPOLLOUT != 0 && len(c.out) > 0 {
		r.markFlush(c)
	}
	if events&^uint32(unix.EPOLLOUT) != 0 && !r.read(c) {
		r.drop(c)
	}
}

func (r *relay) accept() {
	for {
		fd, _, err := unix.Accept4(r.listenFD, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			return
		}
		ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(fd)}
		if unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) != nil || unix.EpollCtl(r.epfd, unix.EPOLL_CTL_ADD, fd, &ev) != nil {
			_ = unix.Close(fd)
			continue
		}
		r.conns[fd] = &relayConn{client: client{fd: fd}}
	}
}

// read takes what the socket holds and reports whether the connection lives.
func (r *relay) read(c *relayConn) bool {
	for {
		have := copy(r.buf, c.in)
		n, errno := rawRead(c.fd, r.buf[have:])
		if errno == unix.EINTR {
			continue
		}
		if errno == unix.EAGAIN {
			return true
		}
		if errno != 0 || n == 0 {
			return false
		}
		used := 0
		for {
			p, size, err := splitPacket(r.buf[used : have+n])
			if err != nil || size == 0 && have+n-used > readBytes/2 {
				return false
			}
			if size == 0 {
				break
			}
			if !r.take(c, p, r.buf[used:used+size]) {
				return false
			}
			used += size
		}
		c.in = append(c.in[:0], r.buf[used:have+n]...)
		if have+n < len(r.buf) {
			return true
		}
	}
}

// take handles one packet, raw being all of its bytes, and reports whether the connection lives.
func (r *relay) take(c *relayConn, p packet, raw []byte) bool {
	switch p.kind() {
	case packetConnect:
		c.out = append(c.out, packetConnack, 2, 0, 0)
	case packetSubscribe & 0xF0:
		if len(p.body) < 5 {
			return false
		}
		n := int(binary.BigEndian.Uint16(p.body[2:]))
		if len(p.body) != 5+n {
			return false
		}
		topic := string(p.body[4 : 4+n])
		r.topics[topic] = append(r.topics[topic], c)
		c.subscribed = append(c.subscribed, topic)
		c.out = append(c.out, packetSuback, 3, p.body[0], p.body[1], p.body[4+n])
	case packetPublish:
		return r.forward(c, p, raw)
	case packetPubrec, packetPubrel & 0xF0:
		id, err := p.ackID()
		if err != nil {
			return false
		}
		answer := byte(packetPubcomp)
		if p.kind() == packetPubrec {
			answer = packetPubrel
		}
		c.out = appendAck(c.out, answer, id)
	case packetPuback, packetPubcomp:
		return true
	default:
		return false
	}
	r.markFlush(c)
	return true
}

func (r *relay) forward(c *relayConn, p packet, raw []byte) bool {
	m, err := p.publish()
	if err != nil {
		return false
	}
	switch m.qos {
	case 1:
		c.out = appendAck(c.out, packetPuback, m.id)
		r.markFlush(c)
	case 2:
		c.out = appendAck(c.out, packetPubrec, m.id)
		r.markFlush(c)
	}
	for _, to := range r.topics[string(m.topic)] {
		to.out = append(to.out, raw...)
		r.markFlush(to)
	}
	return true
}

func (r *relay) markFlush(c *relayConn) {
	if !c.queued {
		c.queued = true
		r.flushList = append(r.flushList, c)
	}
}

func (r *relay) flush() {
	for _, c := range r.flushList {
		c.queued = false
		if c.gone {
			continue
		}
		if _, err := c.client.flush(); err != nil {
			r.drop(c)
		}
	}
	r.flushList = r.flushList[:0]
}

func (r *relay) drop(c *relayConn) {
	for _, topic := range c.subscribed {
		subs := r.topics[topic]
		for i, other := range subs {
			if other == c {
				r.topics[topic] = append(subs[:i], subs[i+1:]...)
				break
			}
		}
	}
	delete(r.conns, c.fd)
	c.gone = true
	c.close()
}
