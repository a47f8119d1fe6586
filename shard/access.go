package shard

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/noctulemq/noctule/auth"
	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/loop"
)

// Access decides for the clients of a listener; *auth.Scope is one. It is never changed: a reload brings another.
type Access interface {
	// NeedsWorker tells that Login may take long, or that a reload may change its answer.
	NeedsWorker() bool
	// Login decides whether a client may connect. Any thread, but a worker's when NeedsWorker says so. rule names for the log
	// what refused it.
	Login(c *auth.Client) (ok bool, rule string)
	// Rights returns what a client may do; nil: everything. Any thread.
	Rights(c *auth.Client) auth.Rights
}

// Everyone lets everybody do everything.
type Everyone struct{}

// NeedsWorker implements Access.
func (Everyone) NeedsWorker() bool { return false }

// Login implements Access.
func (Everyone) Login(*auth.Client) (ok bool, rule string) { return true, "" }

// Rights implements Access.
func (Everyone) Rights(*auth.Client) auth.Rights { return nil }

// identity is who the client of a session is or was last; sessions of clients without a user name that may do everything
// have none. The client's words are immutable, and messages to be retained point to them; the rest is the home loop's.
type identity struct {
	auth.Client
	listener *Listener

	public *identity // without the password, made by the first retained message

	certified bool // a certificate named the user: no password is asked for, nor after a reload

	access Access      // what rights was asked of
	rights auth.Rights // nil: everything
	// denied is the hash of the topic of the last denial that was logged, in loop minute deniedMinute.
	denied       uint64
	deniedMinute uint32
	deniedLines  int // in that minute
}

// publisher is the identity as retained messages, which may outlive the connection, point to it: without the password.
func (who *identity) publisher() *identity {
	if who == nil || who.Password == nil {
		return who
	}
	if who.public == nil {
		who.public = &identity{Client: who.Client, listener: who.listener}
		who.public.Password = nil
	}
	return who.public
}

// login is a CONNECT that waits for a worker's verdict; its packet stays unread meanwhile. One for each connection.
type login struct {
	who     *identity
	access  Access // that was asked
	rule    string
	decided bool
	ok      bool
	stale   bool        // Disconnect meant this client while its login was decided: it is asked again
	gone    atomic.Bool // its connection has ended. Any thread
}

// identify fills in the identity of a CONNECT, which it borrows from the packet.
func (who *identity) identify(c *client, p *codec.Connect, set *ListenerSettings) {
	*who = identity{listener: c.listener, access: set.Access}
	who.ID, who.UserName, who.HasUserName = p.ClientID, p.UserName, p.HasUserName
	who.HasPassword, who.Password = p.HasPassword, p.Password
	who.Address, who.Port = c.conn.Remote(), set.Config.Port
}

// own returns a copy of a borrowed identity to keep.
func (who *identity) own() *identity {
	kept := *who
	kept.ID, kept.UserName = strings.Clone(who.ID), strings.Clone(who.UserName)
	kept.Password = slices.Clone(who.Password)
	return &kept
}

// authenticate decides a CONNECT: at once, or by a worker, for which the connection waits. It returns the identity when it
// was accepted; waits tells that the same packet is to be read again; else r refuses it.
func (s *Shard) authenticate(c *client, p *codec.Connect, certified bool) (who *identity, r refusal, waits bool) {
	set := c.listener.Settings()
	if l := c.login; l != nil && l.decided && !l.stale && l.access == set.Access {
		c.login = nil
		if !l.ok {
			return nil, s.refuseLogin(c, l.who, l.rule), false
		}
		return l.who, refusal{}, false
	}
	who = &s.visitor // most clients need no identity of their own
	who.identify(c, p, set)
	if certified {
		who.certified = true
		return who, refusal{}, false
	}
	if !set.Access.NeedsWorker() {
		ok, rule := set.Access.Login(&who.Client)
		if !ok {
			return nil, s.refuseLogin(c, who, rule), false
		}
		who.Password = nil
		return who, refusal{}, false
	}
	if !s.startLogin(c, who.own(), set.Access) {
		s.count.RefusedLogins++
		return nil, refusedBusy, false
	}
	return nil, refusal{}, true
}

// startLogin puts a CONNECT before the workers. It reports false when too many wait.
func (s *Shard) startLogin(c *client, who *identity, access Access) bool {
	l := &login{who: who, access: access}
	key, serial, since := c.key, c.serial, time.Now()
	ok := s.broker.workers.Submit(func() {
		if l.gone.Load() {
			return // nobody waits: the worker's time is for those that do
		}
		s.broker.awaitReload(since)
		l.access = who.listener.Settings().Access // a reload may have replaced it
		l.ok, l.rule = l.access.Login(&who.Client)
		s.tell(func(s *Shard) { s.decided(key, serial, l) })
	})
	if !ok {
		return false
	}
	c.login = l
	c.conn.Pause()
	s.limitConnect(c)
	return true
}

// decided continues a connection whose login was decided, if it is still there.
func (s *Shard) decided(key, serial uint32, l *login) {
	c := s.clients.at(key)
	if c.serial != serial || c.login != l || c.state != awaitingConnect {
		return
	}
	l.decided = true
	l.who.access = l.access
	s.readOn(c)
}

// refuseLogin notes why a client may not connect.
func (s *Shard) refuseLogin(c *client, who *identity, rule string) refusal {
	s.count.RefusedLogins++
	s.detail = " " + userWords(&who.Client) + rule + "."
	return refusedAuth
}

// userWords is a client's user name as log lines give it.
func userWords(c *auth.Client) string {
	if !c.HasUserName {
		return "No user name: "
	}
	return "User '" + c.UserName + "': "
}

// settleIdentity gives a session the identity of its new client. It is dropped when nothing will ask for it.
func (s *Shard) settleIdentity(ss *session, who *identity) {
	who.rights = who.access.Rights(&who.Client)
	if who.rights == nil && who.UserName == "" && !who.access.NeedsWorker() {
		ss.who = nil
		return
	}
	if who == &s.visitor {
		who = who.own()
		who.rights = who.access.Rights(&who.Client)
	}
	ss.who = who
}

// authClient is who the client of a session is; connected over a socket when the session has no identity.
func (ss *session) authClient() *auth.Client {
	if ss.who != nil {
		return &ss.who.Client
	}
	return &auth.Client{ID: ss.id, Address: ss.client.conn.Remote()}
}

// may reports whether a client may do something with a topic, or a filter. Nobody (nil) may do everything.
func (s *Shard) may(who *identity, a auth.Action, topic string) bool {
	if who == nil || who.rights == nil {
		return true
	}
	d, rule := who.rights.Allows(a, topic)
	if d == auth.Allow {
		return true
	}
	s.count.Denied[a]++
	if a != auth.Receive {
		s.logDenied(who, a, topic, rule)
	}
	return false
}

// deniedLinesMax is how many denials of one client are logged in a minute.
const deniedLinesMax = 20

// logDenied writes a denial, once a minute for the same topic.
func (s *Shard) logDenied(who *identity, a auth.Action, topic, rule string) {
	hash, minute := s.hasher.Name(topic), s.minute()
	if who.deniedMinute != minute {
		who.deniedMinute, who.deniedLines, who.denied = minute, 0, 0
	}
	if who.denied == hash || who.deniedLines >= deniedLinesMax || !s.log.Enabled(LogNotice) {
		return
	}
	who.denied = hash
	who.deniedLines++
	s.log.Log(LogNotice, fmt.Sprintf("Denied %s from %s [%s] to '%s'. %s%s.", actionWords[a], who.ID, addressText(who.Address), topic,
		userWords(&who.Client), rule))
}

var actionWords = [...]string{auth.Publish: "PUBLISH", auth.Receive: "delivery", auth.Subscribe: "SUBSCRIBE", auth.Unsubscribe: "UNSUBSCRIBE"}

// mayRetained reports whether the publisher of a retained message may still publish it (`check_retain_source`).
func (s *Shard) mayRetained(m *Message) bool {
	who := m.source
	if who == nil || !s.cfg.CheckRetainSource {
		return true
	}
	access := who.listener.Settings().Access
	r, known := s.sources[who]
	if !known || r.access != access {
		if len(s.sources) >= sourcesKept {
			clear(s.sources)
		}
		if s.sources == nil {
			s.sources = make(map[*identity]sourceRights)
		}
		r = sourceRights{access, access.Rights(&who.Client)}
		s.sources[who] = r
	}
	if r.rights == nil {
		return true
	}
	d, _ := r.rights.Allows(auth.Publish, m.Topic())
	return d == auth.Allow
}

// sourceRights is what the publisher of a retained message may do.
type sourceRights struct {
	access Access
	rights auth.Rights
}

// sourcesKept is for how many publishers of retained messages a shard keeps their rights.
const sourcesKept = 1024

// tell runs f on the shard's loop, from a worker. It waits while the loop's inbox is full.
func (s *Shard) tell(f func(*Shard)) {
	for !s.loop.Submit(loop.Mail{Kind: mailCall, Body: f}) && !s.broker.stopped.Load() {
		time.Sleep(time.Millisecond)
	}
}
