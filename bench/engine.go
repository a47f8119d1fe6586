package bench

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// stallNs is how long a run waits for the next delivery before it gives up: on full speed, and when it collects
	// what is still under way after the window.
	stallNs = int64(2 * time.Second)
	// stormStallNs is the same while clients reconnect: a SYN that found the broker's accept queue full is sent again after
	// 1, 3, 7 and 15 seconds.
	stormStallNs = int64(20 * time.Second)
	// diskStallNs is the same where brokers wait for a disk.
	diskStallNs = int64(30 * time.Second)
	// pollNs bounds one wait, so that the phases end in time when nothing arrives.
	pollNs = int64(time.Millisecond)
)

var (
	errClosed  = errors.New("the broker closed a connection")
	errStalled = errors.New("nothing was delivered")
)

// clientEvents is what a socket is watched for.
const clientEvents = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET

// publisher is the sending side of one client.
type publisher struct {
	c        *client
	template publishTemplate
	sent     uint64
	acked    uint64 // QoS 1: PUBACKs, QoS 2: PUBCOMPs
	arrived  uint64 // messages that every subscriber has, or that count as lost
	// waiting[seq mod its length] counts the subscribers that still miss message seq. Only for several copies at full
	// speed; its length exceeds the outstanding bound.
	waiting []int
	// sentNs[seq mod its length] is when message seq, which waits for its acknowledgement, was sent or due. Only with durable.
	sentNs []int64
	// retained are the templates of the topics that messages take in turn. Only with retain.
	retained []publishTemplate
	// low is the oldest message that no member of the group has yet. Only with share.
	low   uint64
	ready bool // stands in the engine's refill list
}

// engine is one run: all clients, their loop, and what it counted. One thread drives it.
type engine struct {
	s       scenario
	port    int
	wrap    wrapFunc // of the scenario's transport; nil: TCP alone
	epfd    int
	clients []*client
	pubs    []publisher
	flows   []flow // of subscriber i from publisher j: i*len(pubs)+j; i alone for pairs, j alone for a group
	subBase int    // clients[subBase+i] is subscriber i
	buf     []byte
	events  []unix.EpollEvent
	base    time.Time

	flushList  []int // clients with output, once each
	refillList []int // publishers that may have credit, once each
	pace       pacer
	turn       int // the publisher whose turn it is at a fixed rate
	recording  bool
	goal       uint64 // deliveries at which the window ends; 0: at its time

	restart *restart // nil but for a scenario with stored messages
	hangUps []int    // churning clients that are done and close
	dials   int      // connections begun, to take the source addresses in turn

	swapAtNs int64 // with cycle: when subscribers leave and come back next
	swaps    int   // how often they did

	counts     flowCounts
	acked      uint64 // with durable: messages acknowledged, of all publishers
	corrupt    uint64 // payloads that failed their check, or claim a message that was not sent
	late       uint64 // messages sent a tick or more after they were due, in the window
	heldBack   uint64 // messages not sent because the broker did not read, in the window
	lastNewsNs int64  // when the last message was delivered
	latency    histogram
	ackLatency histogram // with durable: until a message is acknowledged
}

func newEngine(s scenario, port int, wrap wrapFunc, tick time.Duration) (*engine, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("open epoll: %w", err)
	}
	e := &engine{s: s, port: port, wrap: wrap, epfd: epfd, buf: make([]byte, readBytes), events: make([]unix.EpollEvent, 512), base: time.Now()}
	e.pace = pacer{tickNs: int64(tick), perSec: int64(s.perSec)}
	if err := e.connect(port); err != nil {
		e.close()
		return nil, err
	}
	return e, nil
}

func (e *engine) connect(port int) error {
	s := &e.s
	if s.churns() {
		return e.openChurn()
	}
	if s.retained > 0 {
		e.restart = newRestart(s)
		if err := e.restart.store(port, s.payloadBytes); err != nil {
			return err
		}
	}
	e.pubs = make([]publisher, s.pubs)
	for i := range e.pubs {
		c, err := dialWrapped(e.wrap, port, fmt.Sprintf("load-pub-%04d", i), "", 0)
		if err != nil {
			return err
		}
		e.clients = append(e.clients, c)
		e.pubs[i] = publisher{c: c, template: newPublishTemplate(s.topic(i), s.qos, s.payloadBytes)}
		if s.copies() > 1 && s.outstanding > 0 {
			e.pubs[i].waiting = make([]int, 2*s.outstanding)
		}
		if s.durable != "" {
			e.pubs[i].makeDurable(s, i)
		}
	}
	e.subBase = len(e.clients)
	for i := range s.subs {
		connect := appendConnect(nil, subscriberID(i))
		if s.durable != "" {
			connect = appendResume(nil, subscriberID(i))
		}
		c, err := dialWith(connect, e.wrap, port, subscriberID(i), s.filter(i), s.qos)
		if err != nil {
			return err
		}
		e.clients = append(e.clients, c)
	}
	if err := e.fillIndex(port); err != nil {
		return err
	}
	e.flows = make([]flow, s.flows())
	return e.register()
}

func (e *engine) register() error {
	for i, c := range e.clients {
		if err := unix.SetNonblock(c.fd, true); err != nil {
			return fmt.Errorf("make a socket non-blocking: %w", err)
		}
		ev := unix.EpollEvent{Events: clientEvents, Fd: int32(i)}
		if err := unix.EpollCtl(e.epfd, unix.EPOLL_CTL_ADD, c.fd, &ev); err != nil {
			return fmt.Errorf("add a socket to epoll: %w", err)
		}
	}
	return nil
}

func (e *engine) close() {
	for _, c := range e.clients {
		c.close()
	}
	_ = unix.Close(e.epfd)
}

func (e *engine) nowNs() int64 { return int64(time.Since(e.base)) }

// drive publishes and receives until endNs of the run's clock, or the goal.
func (e *engine) drive(endNs int64) error {
	for {
		now := e.nowNs()
		if now >= endNs || e.goal > 0 && e.progress() >= e.goal {
			return nil
		}
		wait := min(endNs-now, pollNs)
		if e.s.perSec > 0 {
			if err := e.sendDue(now); err != nil {
				return err
			}
			wait = max(min(wait, e.pace.nextNs()-e.nowNs()), 0)
		}
		if e.s.cycleMs > 0 && now >= e.swapAtNs {
			if err := e.swap(); err != nil {
				return err
			}
		}
		if patience := e.patienceNs(); (e.s.perSec == 0 || e.goal > 0) && e.recording && now-e.lastNewsNs > patience {
			return fmt.Errorf("%w for %v", errStalled, time.Duration(patience))
		}
		if err := e.collect(wait); err != nil {
			return err
		}
		if err := e.redial(); err != nil {
			return err
		}
		e.refill()
		if err := e.flush(); err != nil {
			return err
		}
	}
}

func (e *engine) patienceNs() int64 {
	switch {
	case e.s.reconnects > 0:
		return stormStallNs
	case e.s.durable != "":
		return diskStallNs
	}
	return stallNs
}

// progress is what the window counts: messages delivered, or acknowledged if nobody is there to take them.
func (e *engine) progress() uint64 {
	if e.s.away > 0 {
		return e.acked
	}
	return e.counts.unique
}

// begin does what a scenario does once, when the window begins.
func (e *engine) begin() error {
	e.goal = 0
	if e.s.messages > 0 {
		e.goal = e.counts.unique + uint64(e.s.messages*e.s.copies())
	}
	switch {
	case e.s.retained > 0:
		return e.subscribeAll()
	case e.s.reconnects > 0:
		e.goal = uint64(e.s.reconnects)
		return e.cutOff()
	case e.s.away > 0:
		e.goal = uint64(e.s.away) * uint64(e.s.pubs)
	case e.s.slow > 0:
		return e.stopReading()
	}
	return nil
}

// stopReading takes the slow subscribers, the last ones, out of the loop. Their receive buffers stay small, so that soon
// the broker has to keep what they do not read.
func (e *engine) stopReading() error {
	for i := e.s.subs - e.s.slow; i < e.s.subs; i++ {
		fd := e.clients[e.subBase+i].fd
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, slowBufferBytes); err != nil {
			return fmt.Errorf("bound a receive buffer: %w", err)
		}
		if err := unix.EpollCtl(e.epfd, unix.EPOLL_CTL_DEL, fd, nil); err != nil {
			return fmt.Errorf("take a socket out of epoll: %w", err)
		}
	}
	return nil
}

// start sends every publisher's first messages at full speed, or starts the schedule.
func (e *engine) start() error {
	now := e.nowNs()
	e.pace.startNs, e.lastNewsNs = now, now
	e.swapAtNs = now + int64(e.s.cycleMs)*int64(time.Millisecond)
	if e.s.perSec > 0 {
		return nil
	}
	for i := range e.s.connects {
		if err := e.dial(i, now); err != nil {
			return err
		}
	}
	for i := range e.pubs {
		e.markReady(i)
	}
	e.refill()
	return e.flush()
}

// settle receives what is still under way, until all of it is there or nothing comes any more.
func (e *engine) settle() error {
	e.lastNewsNs = e.nowNs()
	for e.counts.unique < e.expected() || e.unacked() {
		if e.nowNs()-e.lastNewsNs > e.patienceNs() {
			return nil
		}
		if err := e.collect(pollNs); err != nil {
			return err
		}
		if err := e.flush(); err != nil {
			return err
		}
	}
	return nil
}

// expected is how many deliveries the messages sent so far should make.
func (e *engine) expected() uint64 {
	if e.s.churns() {
		return e.counts.unique
	}
	if e.restart != nil {
		return e.restart.expected(e.pubs)
	}
	var sent uint64
	for i := range e.pubs {
		sent += e.pubs[i].sent
	}
	return sent * uint64(e.s.copies())
}

func (e *engine) unacked() bool {
	for i := range e.pubs {
		if e.s.qos > 0 && e.pubs[i].acked < e.pubs[i].sent {
			return true
		}
	}
	return false
}

// collect waits for events and handles them.
func (e *engine) collect(waitNs int64) error {
	n, errno := rawEpollWait(e.epfd, e.events, waitNs)
	if errno != 0 {
		return fmt.Errorf("wait for events: %w", errno)
	}
	for _, ev := range e.events[:n] {
		i := int(ev.Fd)
		if ev.Events&unix.EPOLLOUT != 0 && e.clients[i].waiting() > 0 {
			e.markFlush(i)
		}
		if ev.Events&^uint32(unix.EPOLLOUT) != 0 {
			if err := e.read(i); err != nil {
				return err
			}
		}
	}
	return nil
}

// read takes everything the socket of client i holds; a short read means that it is drained.
func (e *engine) read(i int) error {
	c := e.clients[i]
	for {
		have := 0
		if c.wrap == nil {
			have = copy(e.buf, c.in)
		}
		n, errno := rawRead(c.fd, e.buf[have:])
		if errno == unix.EINTR {
			continue
		}
		if errno == unix.EAGAIN {
			return nil
		}
		if c.leaving && (errno != 0 || n == 0) {
			return e.left(i)
		}
		if errno != 0 {
			return fmt.Errorf("read from the broker: %w", errno)
		}
		if n == 0 {
			return errClosed
		}
		if c.leaving {
			continue
		}
		drained := n < len(e.buf)-have
		b := e.buf[:have+n]
		if c.wrap != nil {
			var err error
			if b, err = c.wrap.open(c.in, b); err != nil {
				return fmt.Errorf("read from the broker: %w", err)
			}
			c.in = b
		}
		used, err := e.takePackets(i, b)
		if err != nil {
			return err
		}
		c.in = append(c.in[:0], b[used:]...)
		if drained {
			return nil
		}
	}
}

func (e *engine) takePackets(i int, b []byte) (used int, err error) {
	now := e.nowNs()
	for used < len(b) {
		p, size, err := splitPacket(b[used:])
		if err != nil {
			return 0, err
		}
		if size == 0 {
			if len(b)-used > readBytes/2 {
				return 0, fmt.Errorf("packet of more than %d bytes: %w", readBytes/2, errMalformed)
			}
			return used, nil
		}
		used += size
		switch {
		case e.s.churns():
			err = e.takeAtCaller(i, p, now)
		case i < e.subBase:
			err = e.takeAtPublisher(i, p, now)
		default:
			err = e.takeAtSubscriber(i, p, now)
		}
		if err != nil {
			return 0, err
		}
	}
	return used, nil
}

func (e *engine) markFlush(i int) {
	if c := e.clients[i]; !c.queued {
		c.queued = true
		e.flushList = append(e.flushList, i)
	}
}

func (e *engine) markReady(j int) {
	if p := &e.pubs[j]; !p.ready {
		p.ready = true
		e.refillList = append(e.refillList, j)
	}
}

// flush writes each client with output once; what the socket does not take waits for its EPOLLOUT.
func (e *engine) flush() error {
	for _, i := range e.flushList {
		c := e.clients[i]
		c.queued = false
		if _, err := c.flush(); err != nil && !c.leaving {
			return err
		}
	}
	e.flushList = e.flushList[:0]
	return nil
}
