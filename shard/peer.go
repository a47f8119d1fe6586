package shard

import (
	"errors"
	"strings"

	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/transport"
)

// peer returns what the layers of a connection were told about the other end; nil without layers.
func (c *client) peer() *transport.Peer {
	if c.conn == nil {
		return nil
	}
	p, _ := c.conn.Peer().(*transport.Peer)
	return p
}

// meet takes what the layers were told when the first bytes have come through them. The client is closed when the address that
// it really has may not connect.
func (s *Shard) meet(c *client) {
	c.unmet = false
	p, set := c.peer(), c.listener.Settings()
	if p == nil {
		return
	}
	proxied := set.Config.ProxyProtocol != 0
	moved := p.Address.IsValid() && p.Address != c.conn.Remote()
	if moved {
		s.endFlow(c)
		c.conn.SetRemote(p.Address)
		c.flow = s.newFlow(c)
	}
	if (proxied || moved) && !s.admitAddress(c.conn, set) {
		s.count.RefusedConnections++
		c.state = closing
		s.loop.Disarm(&c.timer)
		c.conn.Abort()
		return
	}
	if proxied {
		s.logNew(c.conn, set)
	}
	if p.TLSVersion != "" && s.cfg.ConnectionMessages {
		s.logf(LogNotice, "Connection from %s negotiated %s cipher %s", addressColon(c.conn), p.TLSVersion, p.Cipher)
	}
}

// locate gives a connection that ends before it was a client the address that its layers were told, for the log.
func (c *client) locate() {
	if p := c.peer(); c.unmet && p != nil && p.Address.IsValid() {
		c.conn.SetRemote(p.Address)
	}
}

// logUnmet says why a connection ended before it was a client; what a layer rejects has lines of Mosquitto's.
func (s *Shard) logUnmet(c *client, err error) {
	c.locate()
	if errors.Is(err, transport.ErrHandshakes) {
		s.count.RefusedHandshakes++
	}
	var rejected transport.Rejection
	switch {
	case !errors.As(err, &rejected):
		s.logRefused(c, causeClosed(err))
	case !s.cfg.ConnectionMessages:
	case rejected == transport.CorruptProxy:
		s.logf(LogNotice, "Connection rejected, %s.", rejected)
	default:
		s.logf(LogNotice, "Connection from %s rejected, %s.", c.address(), rejected)
	}
}

// certify gives a CONNECT the user name that the client's certificate has, where the listener says so; no password is asked
// for then. ok is false when there is no such name.
func (s *Shard) certify(c *client, p *codec.Connect) (certified, ok bool) {
	set := c.listener.Settings()
	t, who := &set.Config.TLS, c.peer()
	if !t.IdentityAsUserName && !t.SubjectAsUserName || who == nil || !t.Wanted() && set.Config.ProxyProtocol != 2 {
		return false, true
	}
	name := who.Identity
	if !t.IdentityAsUserName {
		name = who.Subject
	}
	if !who.HasIdentity || !who.Verified || name == "" || !codec.ValidString([]byte(name)) {
		return false, false
	}
	p.UserName, p.HasUserName = name, true
	p.Password, p.HasPassword = nil, false
	return true, true
}

// addressAlone is where a client comes from, without its port.
func (c *client) addressAlone() string {
	all := c.address()
	return all[:strings.LastIndexByte(all, ':')]
}
