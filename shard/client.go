package shard

import (
	"fmt"
	"strings"

	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/loop"
)

// clientState is where one connection stands.
//
//	awaitingConnect opened or handed over, CONNECT not yet complete; leaves on CONNECT, time-out or error
//	accepted        linked with a session; CONNACK waits until what it says is stored, and nothing is sent or read before; leaves
//	                when it is stored or the store is in trouble, on time-out, take-over, stop or socket end
//	connected       CONNACK sent, linked with a session; leaves on DISCONNECT, error, take-over, stop or socket end
//	closing         unlinked from its session, the loop will report Closed; then the record is free
type clientState uint8

const (
	awaitingConnect clientState = iota
	accepted
	connected
	closing
)

// timerKind tells Expired what record a timer belongs to.
const (
	timerClient uint8 = iota + 1
	timerSession
	timerRetained
	timerFlow
)

// client is one network connection (or one attached receiver), from accept to close. Loop thread only; it lives in
// the slab of the loop that reads it, and is remade on the home loop when CONNECT is handed over. Bounded by
// `max_connections` and `global_max_connections`.
type client struct {
	conn     *loop.Conn // nil for an attached client
	sink     *Attachment
	session  *session // while accepted or connected
	listener *Listener
	will     *will
	// aliasIn holds the topic of each alias the client set, at index alias-1 [MQTT-3.3.2-7].
	aliasIn  []string
	aliasOut *aliasTable
	login    *login // while a worker decides
	connack  []byte // while accepted: what waits
	acks     acks   // what it was not told yet
	flow     *flow  // nil without rate limits

	lastSeen int64 // monotonic ns of the last packet that came whole
	timer    loop.Timer

	key         uint32
	serial      uint32 // tells the connection from earlier ones in this record
	maxPacket   uint32 // largest packet the client takes; 0: any
	progress    int    // when the timer was last due: bytes that were here of a large packet, or left of a file that is sent
	choked      int    // its unsent bytes when last looked at, while it is not read on because of them; else 0
	keepAlive   uint16 // seconds; 0: none
	receiveMax  uint16
	aliasInMax  uint16
	version     codec.Version
	state       clientState
	doomed      codec.ReasonCode // set by the slow-consumer policy, or by an answer that it does not take; carried out at the end of the turn
	warnedMax   bool             // the receive-maximum warning was written
	crowded     bool             // not read from because another loop has too much to do
	bridge      bool             // protocol level had the bridge bit
	tellWhy     bool             // it may be told reasons in words, in every packet that has room for them
	mounted     bool             // its listener has a mount point
	slowed      bool             // not read from until its rate allows
	unmet       bool             // it has layers, and they have not given bytes yet
	subscribing bool             // not read from until its SUBSCRIBE or UNSUBSCRIBE is answered
	waiting     bool             // not read from because it waits for too many acknowledgements
	answering   bool             // not read from while its $CONTROL message is handled
}

// aliasTable gives topic aliases to a client first come, first served. Bounded by the smaller of
// `max_topic_alias_broker` and the client's topic alias maximum.
type aliasTable struct {
	byTopic map[string]uint16
	max     uint16
}

// use returns the alias for topic (0: none left) and whether the client knows it already.
func (t *aliasTable) use(topic string) (alias uint16, known bool) {
	if a, ok := t.byTopic[topic]; ok {
		return a, true
	}
	if len(t.byTopic) >= int(t.max) {
		return 0, false
	}
	a := uint16(len(t.byTopic) + 1)
	t.byTopic[string([]byte(topic))] = a
	return a, false
}

// Opened implements loop.Handler: a socket was accepted.
func (s *Shard) Opened(conn *loop.Conn) {
	l, _ := conn.Listener().Tag.(*Listener)
	if !s.broker.admitConnection(l) {
		s.count.RefusedConnections++
		s.logf(LogNotice, "Client connection from %s denied: max_connections exceeded.", addressColon(conn))
		conn.Abort()
		conn.Tag = noClient
		return
	}
	set := l.Settings()
	proxied := set.Config.ProxyProtocol != 0 // whose address it is, its header says
	if !proxied && !s.admitAddress(conn, set) {
		s.broker.releaseConnection(l)
		s.count.RefusedConnections++
		conn.Abort()
		conn.Tag = noClient
		return
	}
	if set.Transport != nil {
		layers, peer := set.Transport.Layers(conn)
		conn.SetLayers(layers...)
		conn.SetPeer(peer)
	}
	s.newClient(conn, l).unmet = set.Transport != nil
	if !proxied {
		s.logNew(conn, set)
	}
}

// noClient is the tag of a connection that never got a client record.
const noClient = ^uint32(0)

// Adopted implements loop.Handler: another loop read the start of a CONNECT whose home is here; the packet follows.
func (s *Shard) Adopted(conn *loop.Conn, _ any) {
	l, _ := conn.Listener().Tag.(*Listener)
	s.newClient(conn, l)
	if s.stopping {
		s.refuse(s.clients.at(conn.Tag))
	}
}

// Lost implements loop.Handler.
func (s *Shard) Lost(listener *loop.Listener) {
	l, _ := listener.Tag.(*Listener)
	s.broker.releaseConnection(l)
}

// newClient takes a record for conn and starts the time limit for its CONNECT.
func (s *Shard) newClient(conn *loop.Conn, l *Listener) *client {
	key, c := s.clients.take()
	s.serial++
	*c = client{conn: conn, listener: l, key: key, serial: s.serial, lastSeen: s.loop.Now(), receiveMax: packetIDs}
	c.timer.Kind, c.timer.Key = timerClient, key
	c.flow = s.newFlow(c)
	conn.Tag = key
	s.limitConnect(c)
	return c
}

// limitConnect gives a client `connect_timeout` from now on until it is connected.
func (s *Shard) limitConnect(c *client) {
	if t := s.cfg.ConnectTimeout; t > 0 {
		s.loop.Arm(&c.timer, s.loop.Now()+int64(t))
	}
}

// Closed implements loop.Handler: the last word on a connection.
func (s *Shard) Closed(conn *loop.Conn, err error) {
	if conn.Tag == noClient {
		return
	}
	c := s.clients.at(conn.Tag)
	switch c.state {
	case accepted, connected:
		s.leave(c, causeClosed(err), true)
	case awaitingConnect:
		s.logUnmet(c, err)
	}
	s.broker.releaseConnection(c.listener)
	s.freeClient(c)
}

// freeClient clears the record and gives it back.
func (s *Shard) freeClient(c *client) {
	s.loop.Disarm(&c.timer)
	s.endFlow(c)
	if c.login != nil {
		c.login.gone.Store(true)
	}
	s.dropAcks(c)
	key := c.key
	*c = client{}
	s.clients.put(key)
	s.reportIdle()
}

// Data implements loop.Handler: it handles every whole packet in b.
func (s *Shard) Data(conn *loop.Conn, b []byte, owned bool) (used, need int) {
	c := s.clients.at(conn.Tag)
	if c.unmet {
		s.meet(c)
	}
	s.debug = s.log.Enabled(LogDebug)
	for c.state != closing && c.doomed == 0 && !c.isHeld() && !s.choke(c) {
		if len(s.willsDue) > 0 {
			s.publishWills() // a client may set right what its earlier connection's will said
		}
		h, n, err := codec.DecodeHeader(b[used:])
		if err != nil {
			s.failHeader(c, err)
			break
		}
		if c.state == awaitingConnect && len(b) > used && b[used]>>4 != byte(codec.TypeConnect) {
			s.fail(c, errFirstPacket)
			break
		}
		if n == 0 {
			return used, 0
		}
		total := n + h.Remaining
		if limit := int(s.cfg.MaxPacketSize); limit > 0 && total > limit {
			s.fail(c, errPacketTooLarge)
			break
		}
		if len(b)-used < total {
			return used, total
		}
		packet := b[used : used+total]
		s.whole = nil
		if owned && used == 0 && total == len(b) {
			s.whole = packet
		}
		if c.state == awaitingConnect {
			home, away := s.connect(c, h, packet[n:], len(b) > used+total)
			s.in.connect = codec.Connect{} // it borrows the read buffer
			if away {
				s.sendHome(c, home)
				return used, 0
			}
			if c.login != nil && c.state != closing {
				return used, 0 // a worker decides, then it is read again
			}
		} else if err := s.packet(c, h, packet, n); err != nil {
			s.fail(c, err)
		}
		s.count.Packets++
		c.lastSeen = s.loop.Now()
		used += total
		if c.flow != nil && c.state != closing {
			s.charge(c, h.Type == codec.TypePublish, total)
		}
	}
	if c.state == closing {
		used = len(b)
	}
	return used, 0
}

// choke stops reading from a client that does not take its answers, and reports whether it did: their bound is
// `max_output_bytes`, beside what deliveries may have of the output. It is read on when the output is empty.
func (s *Shard) choke(c *client) bool {
	unsent := c.conn.Unsent()
	if unsent/2 < s.cfg.MaxOutputBytes || unsent == 0 { // an int may have 32 bits
		return false
	}
	c.choked = unsent
	s.count.Choked++
	s.logf(LogNotice, "Client %s does not read its answers: nothing more is read from it until it does.", c.session.id)
	c.conn.Pause()
	c.conn.WantDrain()
	return true
}

// unchoke reads on from a client that took its answers.
func (s *Shard) unchoke(c *client) {
	if c.choked == 0 {
		return
	}
	c.choked = 0
	s.readOn(c)
}

// sendHome hands the connection to the loop where its client identifier lives; the CONNECT is read again there.
func (s *Shard) sendHome(c *client, home int) {
	conn := c.conn
	s.freeClient(c)
	s.count.Handovers++
	conn.Handover(home, nil)
}

// packet handles one packet of a connected client. n is the size of its fixed header.
func (s *Shard) packet(c *client, h codec.Header, packet []byte, n int) error {
	body := packet[n:]
	switch h.Type {
	case codec.TypePublish:
		return s.publish(c, h, packet, body)
	case codec.TypePuback, codec.TypePubrec, codec.TypePubrel, codec.TypePubcomp:
		a := &s.in.ack
		if err := a.Decode(h, body, c.version); err != nil {
			return err
		}
		if s.debug {
			s.debugAck(c, a)
		}
		return s.ack(c, a)
	case codec.TypeSubscribe:
		return s.subscribe(c, h, body)
	case codec.TypeUnsubscribe:
		return s.unsubscribe(c, h, body)
	case codec.TypePingreq:
		if err := h.DecodePing(c.version); err != nil {
			return err
		}
		s.count.Pings++
		if s.debug {
			s.debugf("Received PINGREQ from %s", c.session.id)
			s.debugf("Sending PINGRESP to %s", c.session.id)
		}
		s.answer(c, pingresp)
		return nil
	case codec.TypeDisconnect:
		return s.disconnect(c, h, body)
	case codec.TypeAuth:
		return s.reauthenticate(c, h, body)
	case codec.TypeConnect:
		return errSecondConnect
	}
	return errServerPacket
}

// pingresp is the whole PINGRESP [MQTT-3.12.4-1].
var pingresp = codec.AppendPingresp(nil)

func (s *Shard) ack(c *client, a *codec.Ack) error {
	switch a.Type {
	case codec.TypePuback:
		return s.puback(c, a)
	case codec.TypePubrec:
		return s.pubrec(c, a)
	case codec.TypePubcomp:
		return s.pubcomp(c, a)
	}
	return s.pubrel(c, a)
}

// disconnect handles DISCONNECT: the will is dropped unless the client asks for it [MQTT-3.14.4-3].
func (s *Shard) disconnect(c *client, h codec.Header, body []byte) error {
	d := &s.in.disconnect
	if err := d.Decode(h, body, c.version); err != nil {
		return err
	}
	if s.debug {
		s.debugf("Received DISCONNECT from %s", c.session.id)
	}
	if d.HasSessionExpiry && c.version == codec.V5 {
		if c.session.expiry == 0 && d.SessionExpiry != 0 {
			return errExpiryFromZero
		}
		c.session.expiry = s.cappedExpiry(d.SessionExpiry)
	}
	s.close(c, cause{text: "disconnected."}, d.Code == codec.DisconnectWithWill)
	return nil
}

// reauthenticate handles AUTH: no method exists yet, and re-authentication needs the method of the CONNECT
// [MQTT-4.12.1-1], so every AUTH is a protocol error.
func (s *Shard) reauthenticate(c *client, h codec.Header, body []byte) error {
	if err := s.in.auth.Decode(h, body, c.version); err != nil {
		return err
	}
	return errNoAuthMethod
}

// sendAck appends an acknowledgement to a connection; an attached client has none to receive.
func (s *Shard) sendAck(c *client, t codec.Type, id uint16, code codec.ReasonCode) {
	if c.sink != nil {
		c.sink.acknowledged(t, id)
		return
	}
	if s.debug {
		s.debugAnswer(c, t, id, code)
	}
	if code >= codec.UnspecifiedError && c.tellWhy {
		a := codec.Ack{Type: t, PacketID: id, Code: code, ReasonString: code.String()}
		s.answerWhy(c, &a, &a.ReasonString)
		return
	}
	s.scratch = codec.AppendAck(s.scratch[:0], t, c.version, id, code)
	s.answer(c, s.scratch)
}

// answerWhy is answer for a packet with a reason in words, which is left out where the client does not take so large a
// packet [MQTT-3.2.2-19] [MQTT-3.4.2-2] [MQTT-3.5.2-2] [MQTT-3.9.2-1] [MQTT-3.14.2-3].
func (s *Shard) answerWhy(c *client, p interface {
	Append([]byte, codec.Version) []byte
}, reason *string) {
	b := p.Append(s.scratch[:0], codec.V5)
	if len(b) > c.largest() && *reason != "" {
		*reason = ""
		b = p.Append(s.scratch[:0], codec.V5)
	}
	s.answer(c, b)
}

// largest is the largest packet that the client takes [MQTT-3.1.2-24].
func (c *client) largest() int {
	if c.maxPacket == 0 {
		return codec.MaxPacket
	}
	return int(min(c.maxPacket, codec.MaxPacket))
}

// answer appends a packet that is not a PUBLISH to a connection. A client that does not take it has to go: it would wait for it.
func (s *Shard) answer(c *client, packet []byte) {
	if len(packet) > c.largest() {
		s.doom(c, codec.PacketTooLarge)
		return
	}
	s.count.Answers++
	c.conn.Append(packet)
}

// fail ends a connection because of what it sent: DISCONNECT with the reason code under version 5, then close
// [MQTT-4.13.1-1]; the will is published.
func (s *Shard) fail(c *client, err error) {
	e, ok := err.(*codec.Error)
	if !ok {
		panic(fmt.Sprintf("BUG: client error of type %T: %v", err, err))
	}
	s.count.ProtocolErrors++
	s.close(c, disconnectedBy(e.Detail, e.Code), true)
}

// failHeader is fail for a fixed header. A remaining length of five bytes is answered with a plain close, as Mosquitto
// does: where the next packet begins is not known.
func (s *Shard) failHeader(c *client, err error) {
	if e, ok := err.(*codec.Error); ok && e.Req == lengthRule {
		s.count.ProtocolErrors++
		s.close(c, disconnectedBy(e.Detail, 0), true)
		return
	}
	s.fail(c, err)
}

// lengthRule is the requirement that codec names for a variable byte integer of five bytes.
const lengthRule = "section 1.5.5"

// cause says why a connection ends: the log's words after the client's name, and the DISCONNECT to send (0: none).
type cause struct {
	text   string
	detail string // behind it in the log, not for the client
	code   codec.ReasonCode
}

// disconnectedBy is the cause of a connection that we end for a reason.
func disconnectedBy(reason string, code codec.ReasonCode) cause {
	return cause{text: "disconnected: " + reason + ".", code: code}
}

// close ends a connection from our side: the session is let go, DISCONNECT is sent to a version 5 client if the cause
// has a code, and what is in the output is flushed.
func (s *Shard) close(c *client, why cause, withWill bool) {
	if c.state == closing {
		return
	}
	wasConnected := c.state == connected // before CONNACK there is no DISCONNECT [MQTT-3.14.0-1]
	if wasConnected && s.debug && why.code != 0 && c.version == codec.V5 {
		s.debugf("Sending DISCONNECT to %s (rc%d)", c.session.id, why.code)
	}
	if c.session != nil {
		s.leave(c, why, withWill)
	} else {
		s.logRefused(c, why)
	}
	c.state = closing
	s.loop.Disarm(&c.timer)
	if c.conn == nil {
		c.sink.ended(why)
		s.freeClient(c)
		return
	}
	if wasConnected && why.code != 0 && c.version == codec.V5 {
		d := codec.Disconnect{Code: why.code}
		if s.cfg.ReasonStrings { // also where tellWhy is false [MQTT-3.1.2-29]
			d.ReasonString = strings.TrimPrefix(why.text, "disconnected: ")
		}
		s.answerWhy(c, &d, &d.ReasonString)
	}
	c.conn.Close()
}

// Drained implements loop.Handler: the connection's output is empty again.
func (s *Shard) Drained(conn *loop.Conn) {
	if conn.Tag == noClient {
		return
	}
	if c := s.clients.at(conn.Tag); c.state == connected {
		s.unchoke(c)
		s.pump(c.session)
		s.replayMore(c.session)
	}
}

// clientDue handles a client's timer: no CONNECT in time, or no packet within one and a half times the keep-alive
// [MQTT-3.1.2-22].
func (s *Shard) clientDue(c *client) {
	switch c.state {
	case awaitingConnect:
		if c.login != nil {
			s.count.RefusedLogins++
			s.refuseWith(c, refusedBusy)
			return
		}
		if left := c.conn.Left(); left > 0 && left != c.progress {
			c.progress = left // of http_dir, and it reads
			s.limitConnect(c)
			return
		}
		waits := "CONNECT"
		if lower := c.conn.Waits(); lower != "" {
			waits = lower
		}
		c.locate()
		s.close(c, disconnectedBy("no "+waits+" in time", 0), false)
	case accepted:
		s.close(c, disconnectedBy("its session was not stored in time", 0), true)
	case connected:
		due := c.lastSeen + int64(c.keepAlive)*second*3/2
		if c.session.throttled > 0 || c.crowded || c.answering || c.subscribing || c.waiting || c.slowed {
			due = s.loop.Now() + int64(c.keepAlive)*second*3/2 // we do not read from it
		}
		if unsent := c.conn.Unsent(); unsent < c.choked {
			c.choked = max(unsent, 1) // nor now, but it reads
			due = s.loop.Now() + int64(c.keepAlive)*second*3/2
		}
		if have, need := c.conn.Partial(); need-have > partialLeft && have != c.progress {
			c.progress = have // a large packet is on its way
			due = s.loop.Now() + int64(c.keepAlive)*second*3/2
		}
		if due > s.loop.Now() {
			s.loop.Arm(&c.timer, due)
			return
		}
		s.close(c, cause{text: "disconnected: exceeded timeout.", code: codec.KeepAliveTimeout}, true)
	}
}

// partialLeft is how many bytes of a packet must still be to come for those that came to count as a sign of life, as Mosquitto has it.
const partialLeft = 1000

// doom marks a client that cannot keep up, or does not take its answer; it is closed when routing is over.
func (s *Shard) doom(c *client, code codec.ReasonCode) {
	if c.doomed == 0 {
		c.doomed = code
		s.doomed = append(s.doomed, c)
	}
}
