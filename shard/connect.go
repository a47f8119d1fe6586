package shard

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/config"
	"github.com/noctulemq/noctule/router"
)

// refusal is why a CONNECT is not accepted, in both families: the return code of 3.x [MQTT-3.2.2-3 of 3.1.1] and the
// reason code of 5.
type refusal struct {
	text string
	v3   byte
	v5   codec.ReasonCode
}

// Return codes of a 3.x CONNACK.
const (
	v3UnacceptableProtocol byte = 1
	v3IdentifierRejected   byte = 2
	v3ServerUnavailable    byte = 3
	v3BadUserName          byte = 4
	v3NotAuthorized        byte = 5
)

var (
	refusedVersion    = refusal{"protocol version not accepted", v3UnacceptableProtocol, codec.UnsupportedProtocolVersion}
	refusedEmptyID    = refusal{"empty client identifier", v3IdentifierRejected, codec.UnspecifiedError}
	refusedKeepAlive  = refusal{"keep-alive too long", v3IdentifierRejected, codec.UnspecifiedError}
	refusedAuth       = refusal{"not authorised", v3NotAuthorized, codec.NotAuthorized}
	refusedNameless   = refusal{"not authorised", v3BadUserName, codec.BadUserNameOrPassword}
	refusedMethod     = refusal{"unknown authentication method", v3NotAuthorized, codec.BadAuthenticationMethod}
	refusedWillSize   = refusal{"will message too large", v3NotAuthorized, codec.PacketTooLarge}
	refusedWillQoS    = refusal{"will QoS not supported", v3NotAuthorized, codec.QoSNotSupported}
	refusedWillRetain = refusal{"will retain not supported", v3NotAuthorized, codec.RetainNotSupported}
	refusedWillTopic  = refusal{"invalid will topic", v3NotAuthorized, codec.TopicNameInvalid}
	refusedBusy       = refusal{"too many clients", v3ServerUnavailable, codec.ServerBusy}
	refusedQuota      = refusal{"too many sessions", v3ServerUnavailable, codec.QuotaExceeded}
	refusedRate       = refusal{"connection rate exceeded", v3ServerUnavailable, codec.ConnectionRateExceeded}
	refusedStopping   = refusal{"server shutting down", v3ServerUnavailable, codec.ServerShuttingDown}
)

// connect handles the first packet of a connection. away reports that the client identifier lives on loop home,
// where the same bytes are to be read again. more tells that bytes follow the CONNECT.
func (s *Shard) connect(c *client, h codec.Header, body []byte, more bool) (home int, away bool) {
	p := &s.in.connect
	if err := p.Decode(h, body); err != nil {
		s.refuseMalformed(c, p, err)
		return 0, false
	}
	c.version, c.bridge, c.maxPacket = p.Version, p.Bridge, p.MaximumPacketSize
	assigned, l := false, &c.listener.Settings().Config
	certified, ok := s.certify(c, p)
	if !ok {
		s.refuseWith(c, refusedNameless)
		return 0, false
	}
	if p.ClientID == "" {
		if !s.mayAssign(p, l) {
			s.refuseWith(c, refusedEmptyID)
			return 0, false
		}
		assigned = true
		if c.login != nil {
			p.ClientID = c.login.who.ID
		} else {
			p.ClientID = s.assignID(l)
		}
	}
	if l.UseUserNameAsClientID {
		if !p.HasUserName || p.UserName == "" {
			s.refuseWith(c, refusedAuth)
			return 0, false
		}
		p.ClientID = p.UserName // and assigned, when the client sent none [MQTT-3.2.2-16]
	}
	if home := s.broker.home(p.ClientID); home != int(s.id) {
		return home, true
	}
	if r, ok := s.checkEarly(c, l, p); !ok {
		s.refuseWith(c, r)
		return 0, false
	}
	who, r, waits := s.authenticate(c, p, certified)
	if waits {
		return 0, false
	}
	if who == nil {
		s.refuseWith(c, r)
		return 0, false
	}
	if r, ok := s.checkConnect(l, p); !ok {
		if p.Version != codec.V5 && (r == refusedWillTopic || r == refusedWillQoS || r == refusedWillRetain) {
			s.close(c, disconnectedBy(r.text, 0), false) // malformed under 3.x: no CONNACK [MQTT-3.1.4-1 of 3.1.1]
			return 0, false
		}
		s.refuseWith(c, r)
		return 0, false
	}
	if !more && s.isAbandoned(c, p.ClientID) {
		s.close(c, disconnectedBy("closed before it was accepted", 0), false)
		return 0, false
	}
	s.accept(c, p, who, assigned)
	return 0, false
}

// isAbandoned reports whether a connection that would take over another has already been closed by its peer. Loops
// accept independently, so the CONNECT of a connection that was given up can arrive after that of its successor, and
// must not end it.
func (s *Shard) isAbandoned(c *client, id string) bool {
	key, have := s.byID[id]
	return have && s.sessions.at(key).client != nil && c.conn.PeerGone()
}

// mayAssign reports whether an empty client identifier may be replaced by one of ours [MQTT-3.1.3-6]: under 3.1 never,
// under 3.1.1 only with a clean session [MQTT-3.1.3-7 of 3.1.1].
func (s *Shard) mayAssign(p *codec.Connect, l *config.Listener) bool {
	allowed := s.cfg.AllowZeroLengthClientID
	if l.AllowZeroLengthClientID != nil {
		allowed = *l.AllowZeroLengthClientID
	}
	if p.Version == codec.V31 || !allowed {
		return false
	}
	return p.Version == codec.V5 || p.CleanStart
}

// assignID makes a client identifier that lives on this loop: the prefix and a version 4 UUID [MQTT-3.2.2-16].
func (s *Shard) assignID(l *config.Listener) string {
	prefix := s.cfg.AutoIDPrefix
	if l.AutoIDPrefix != nil {
		prefix = *l.AutoIDPrefix
	}
	for {
		id := prefix + newUUID(s.rng)
		if s.broker.home(id) == int(s.id) {
			return id
		}
	}
}

func newUUID(rng *rand.Rand) string {
	hi, lo := rng.Uint64(), rng.Uint64()
	return fmt.Sprintf("%08X-%04X-4%03X-%04X-%012X", uint32(hi>>32), uint16(hi>>16), uint16(hi)&0xfff,
		uint16(lo>>48)&0x3fff|0x8000, lo&0xffffffffffff)
}

// checkEarly is what decides on a well-formed CONNECT before anybody is asked who its client is.
func (s *Shard) checkEarly(c *client, l *config.Listener, p *codec.Connect) (r refusal, ok bool) {
	switch {
	case s.stopping:
		return refusedStopping, false
	case !l.AcceptsVersion(uint8(p.Version)):
		return refusedVersion, false
	case p.HasAuthMethod:
		return refusedMethod, false
	case c.login == nil && !s.admitComing(p.ClientID):
		return refusedRate, false
	case !s.mayUseID(p.ClientID):
		return refusedAuth, false
	}
	return refusal{}, true
}

// mayUseID applies `clientid_prefixes`.
func (s *Shard) mayUseID(id string) bool {
	for _, prefix := range s.cfg.ClientIDPrefixes {
		if strings.HasPrefix(id, prefix) {
			return true
		}
	}
	return len(s.cfg.ClientIDPrefixes) == 0
}

// checkConnect is what decides on a CONNECT of a client that may connect.
func (s *Shard) checkConnect(l *config.Listener, p *codec.Connect) (r refusal, ok bool) {
	if r, ok := s.checkWill(l, p); !ok {
		return r, false
	}
	if limit := s.cfg.MaxKeepAlive; limit > 0 && limit < 65535 && (p.KeepAlive > limit || p.KeepAlive == 0) &&
		p.Version != codec.V5 {
		return refusedKeepAlive, false
	}
	_, have := s.byID[p.ClientID]
	if limit := s.cfg.GlobalMaxClients; !have && limit > 0 && s.broker.sessions.Load() >= int64(limit) {
		return refusedBusy, false
	}
	if !have && s.cfg.MaxSessions > 0 && s.broker.sessions.Load() >= int64(s.cfg.MaxSessions) {
		return refusedQuota, false
	}
	return refusal{}, true
}

// checkWill applies the broker's limits to a will [MQTT-3.2.2-12] [MQTT-3.2.2-13].
func (s *Shard) checkWill(l *config.Listener, p *codec.Connect) (r refusal, ok bool) {
	if !p.HasWill {
		return refusal{}, true
	}
	w := &p.Will
	switch {
	case !router.ValidTopic(w.Topic):
		return refusedWillTopic, false
	case w.QoS > l.MaxQoS:
		return refusedWillQoS, false
	case w.Retain && !s.cfg.RetainAvailable:
		return refusedWillRetain, false
	case s.cfg.MessageSizeLimit > 0 && len(w.Payload) > int(s.cfg.MessageSizeLimit):
		return refusedWillSize, false
	}
	return refusal{}, true
}

// accept links the connection with its session. CONNACK goes out when what it says is stored, which may be at once.
func (s *Shard) accept(c *client, p *codec.Connect, who *identity, assigned bool) {
	c.keepAlive, c.mounted = p.KeepAlive, c.listener.Settings().Config.MountPoint != ""
	ack := codec.Connack{}
	if p.Version == codec.V5 {
		s.negotiate(c, p, &ack)
		if assigned {
			ack.AssignedClientID = p.ClientID
		}
	}
	expiry := s.expiryOf(p, &ack)
	if c.maxPacket != 0 && ack.Size(p.Version) > int(c.maxPacket) { // [MQTT-3.1.2-24]
		s.close(c, disconnectedBy("its maximum packet size leaves no room for a CONNACK", 0), false)
		return
	}
	ss, present := s.sessionFor(p)
	c.session, c.state, ss.client = ss, accepted, c
	ack.SessionPresent, ss.expiry = present, expiry
	s.settleIdentity(ss, who)
	c.will = s.newWill(c, p)
	s.settleDurability(ss)
	s.broker.clients.Add(1)
	s.count.Connects++
	if p.Version == codec.V31 {
		ack.SessionPresent = false // the byte is reserved in 3.1
	}
	s.logConnected(c, p)
	if s.debug && s.cfg.ConnectionMessages {
		s.debugWill(p)
		s.debugf("Sending CONNACK to %s (%d, 0)", ss.id, flag(present))
	}
	connack := ack.Append(s.scratch[:0], p.Version)
	r := s.sessionReceipt(ss)
	if r == nil {
		s.welcome(c, connack)
		return
	}
	c.connack = slices.Clone(connack)
	s.limitConnect(c)
	c.conn.Pause()
	key, serial := c.key, c.serial
	r.then = func() {
		if c := s.clients.at(key); c.serial == serial && c.state == accepted {
			s.welcome(c, c.connack)
			s.readOn(c)
		}
	}
	s.fulfil(r)
}

// welcome answers CONNACK and continues what the session has in flight.
func (s *Shard) welcome(c *client, connack []byte) {
	ss := c.session
	c.state, c.connack, c.lastSeen = connected, nil, s.loop.Now()
	s.loop.Disarm(&c.timer)
	if c.keepAlive > 0 {
		s.loop.Arm(&c.timer, s.loop.Now()+int64(c.keepAlive)*second*3/2)
	}
	s.answer(c, connack)
	if ss.throttled > 0 {
		c.conn.Pause()
	}
	s.resume(ss, c)
}

// negotiate keeps what a version 5 client allows us and writes what we allow it.
func (s *Shard) negotiate(c *client, p *codec.Connect, ack *codec.Connack) {
	l := &c.listener.Settings().Config
	c.tellWhy = s.cfg.ReasonStrings && p.RequestProblemInfo
	c.receiveMax, c.maxPacket, c.aliasInMax = p.ReceiveMaximum, p.MaximumPacketSize, l.MaxTopicAlias
	if limit := min(l.MaxTopicAliasBroker, p.TopicAliasMaximum); limit > 0 {
		c.aliasOut = &aliasTable{byTopic: make(map[string]uint16), max: limit}
	}
	if limit := s.cfg.MaxKeepAlive; limit > 0 && limit < 65535 && (p.KeepAlive > limit || p.KeepAlive == 0) {
		c.keepAlive = limit
		ack.HasServerKeepAlive, ack.ServerKeepAlive = true, limit
	}
	ack.TopicAliasMaximum = l.MaxTopicAlias
	ack.RetainUnavailable = !s.cfg.RetainAvailable
	ack.MaximumPacketSize = s.cfg.MaxPacketSize
	ack.ReceiveMaximum = uint16(s.cfg.MaxInflightMessages)
	if l.MaxQoS < 2 {
		ack.HasMaximumQoS, ack.MaximumQoS = true, l.MaxQoS
	}
}

// expiryOf returns the session expiry interval in seconds and tells a version 5 client when it differs from what it
// asked for [MQTT-3.2.2-21].
func (s *Shard) expiryOf(p *codec.Connect, ack *codec.Connack) uint32 {
	if p.Version != codec.V5 {
		if p.CleanStart {
			return 0
		}
		return s.cappedExpiry(expiryNever)
	}
	expiry := s.cappedExpiry(p.SessionExpiry)
	if expiry != p.SessionExpiry {
		ack.HasSessionExpiry, ack.SessionExpiry = true, expiry
	}
	return expiry
}

// cappedExpiry applies `persistent_client_expiration`.
func (s *Shard) cappedExpiry(asked uint32) uint32 {
	limit := s.cfg.PersistentClientExpiration
	if limit <= 0 || int64(asked)*second <= int64(limit) {
		return asked
	}
	return uint32(int64(limit) / second)
}

// sessionFor returns the session for an accepted CONNECT: the one there is, after the connection that had it was
// ended, or a new one [MQTT-3.1.4-3] [MQTT-3.1.2-4] [MQTT-3.1.2-5].
func (s *Shard) sessionFor(p *codec.Connect) (ss *session, present bool) {
	key, have := s.byID[p.ClientID]
	if !have {
		return s.newSession(strings.Clone(p.ClientID)), false
	}
	ss = s.sessions.at(key)
	ended := p.CleanStart
	if old := ss.client; old != nil {
		ended = ended || ss.expiry == 0
		s.takeOver(ss, old, ended)
	}
	s.loop.Disarm(&ss.timer)
	if w := ss.will; w != nil {
		ss.will = nil
		if ended {
			s.willDue(ss, w)
		} else {
			w.message.Release()
		}
	}
	if ended {
		return s.clearSession(ss), false
	}
	ss.out.rewind()
	return ss, true
}

// takeOver ends the connection that a new one with the same client identifier replaces [MQTT-3.1.4-3]. Its will is
// sent when its session ends with it.
func (s *Shard) takeOver(ss *session, old *client, sessionEnds bool) {
	s.count.TakeOvers++
	why := cause{text: "already connected, closing old connection.", code: codec.SessionTakenOver}
	s.logLeft(old, ss, why)
	if old.will != nil {
		if sessionEnds {
			s.willDue(ss, old.will)
		} else {
			old.will.message.Release()
		}
		old.will = nil
	}
	if !sessionEnds {
		s.storeSent(ss)
	}
	wasConnected := old.state == connected
	ss.client, old.session, old.state = nil, nil, closing
	s.dropAcks(old)
	s.broker.clients.Add(-1)
	s.loop.Disarm(&old.timer)
	if old.conn == nil {
		old.sink.ended(why)
		s.freeClient(old)
		return
	}
	if wasConnected && old.version == codec.V5 {
		d := codec.Disconnect{Code: codec.SessionTakenOver}
		s.answer(old, d.Append(s.scratch[:0], codec.V5))
	}
	old.conn.Close()
}

// refuseWith answers CONNACK with the refusal and closes [MQTT-3.2.2-7].
func (s *Shard) refuseWith(c *client, r refusal) {
	s.count.RefusedConnects++
	ack := codec.Connack{Code: r.v5}
	if c.version != codec.V5 {
		ack.Code = codec.ReasonCode(r.v3)
	}
	if s.debug {
		name := s.refusedID(c)
		if name == "<unknown>" {
			name = c.addressAlone()
		}
		s.debugf("Sending CONNACK to %s (0, %d)", name, ack.Code)
	}
	if c.version == codec.V5 {
		if s.cfg.ReasonStrings {
			ack.ReasonString = r.text
		}
		s.answerWhy(c, &ack, &ack.ReasonString)
	} else {
		s.answer(c, ack.Append(s.scratch[:0], c.version))
	}
	s.close(c, disconnectedBy(r.text, 0), false)
	s.detail = ""
}

// refuse closes a connection that arrived while the broker stops.
func (s *Shard) refuse(c *client) { s.close(c, disconnectedBy("server shutting down", 0), false) }

// refuseMalformed answers a CONNECT that does not decode. A version 5 client gets its reason code, except where not
// even the flags or the user name can be trusted; 3.x gets a plain close [MQTT-3.1.4-1].
func (s *Shard) refuseMalformed(c *client, p *codec.Connect, err error) {
	s.count.ProtocolErrors++
	e := err.(*codec.Error)
	switch {
	case e.Code == codec.UnsupportedProtocolVersion:
		s.refuseVersion(c, p)
		return
	case p.Version == codec.V5 && e.Req != "MQTT-3.1.2-3" && e.Req != "MQTT-3.1.3-12":
		ack := codec.Connack{Code: e.Code}
		s.answer(c, ack.Append(s.scratch[:0], codec.V5))
	}
	s.close(c, disconnectedBy(e.Detail, 0), false)
}

// refuseVersion answers an unknown protocol [MQTT-3.1.2-2]: level 3 and 4 under the other's name with return code 1,
// an unknown level with the reason code of version 5, and an unknown name with a close.
func (s *Shard) refuseVersion(c *client, p *codec.Connect) {
	s.count.RefusedConnects++
	level := p.Level &^ 0x80
	known := p.ProtocolName == "MQTT" || p.ProtocolName == "MQIsdp"
	switch {
	case known && (level == 3 || level == 4):
		ack := codec.Connack{Code: codec.ReasonCode(v3UnacceptableProtocol)}
		s.answer(c, ack.Append(s.scratch[:0], codec.V311))
	case known:
		ack := codec.Connack{Code: codec.UnsupportedProtocolVersion}
		s.answer(c, ack.Append(s.scratch[:0], codec.V5))
	}
	s.close(c, disconnectedBy("unsupported protocol version", 0), false)
}
