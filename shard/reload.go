package shard

import (
	"sync"
	"time"

	"github.com/noctulemq/noctule/auth"
	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/config"
)

func (b *Broker) config() *config.Config { return b.cfg.Load() }

// reloading counts reloads, for logins to wait until those before them are in force.
type reloading struct {
	sync.Mutex
	changed     sync.Cond
	asked, done uint64
	checking    bool // the last one is in force and asks connected clients again: the next waits for that, logins do not
}

// ExpectReload holds logins back until a Reload that begins later is in force, or has failed. Any thread.
func (b *Broker) ExpectReload() { b.expectReload() }

func (b *Broker) expectReload() (number uint64) {
	b.reloading.Lock()
	defer b.reloading.Unlock()
	b.reloading.asked++
	return b.reloading.asked
}

// reloaded lets those go on who wait for the reloads up to number, all of them when the broker stops.
func (b *Broker) reloaded(number uint64) {
	b.reloading.Lock()
	defer b.reloading.Unlock()
	b.reloading.done = max(b.reloading.done, number)
	b.reloading.changed.Broadcast()
}

func (b *Broker) checking(on bool) {
	b.reloading.Lock()
	defer b.reloading.Unlock()
	b.reloading.checking = on
	b.reloading.changed.Broadcast()
}

// awaitReload returns when the reloads are in force that were asked for before since. A worker's thread.
func (b *Broker) awaitReload(since time.Time) {
	if b.awaitSignals != nil {
		b.awaitSignals(since)
	}
	r := &b.reloading
	r.Lock()
	defer r.Unlock()
	for number := r.asked; r.done < number && !r.checking && !b.stopped.Load(); {
		r.changed.Wait()
	}
}

// Reload holds back logins, calls prepare, and, unless it fails, puts what it returns in force: the configuration, and for
// each listener its settings. Clients that may not connect any more are disconnected, the others get their new rights. It
// must not be called from a loop.
func (b *Broker) Reload(prepare func() (*config.Config, map[*Listener]*ListenerSettings, error)) error {
	b.reloads.Lock()
	defer b.reloads.Unlock()
	review, err := b.putInForce(prepare)
	if err != nil {
		return err
	}
	b.checking(true)
	defer b.checking(false)
	return b.recheck(review) // may take long: meanwhile clients log in by the new rules
}

// putInForce is what logins wait for.
func (b *Broker) putInForce(prepare func() (*config.Config, map[*Listener]*ListenerSettings, error)) (review []*sessionReview, err error) {
	number := b.expectReload()
	defer func() { b.reloaded(number) }()
	cfg, settings, err := prepare()
	if err != nil {
		return nil, err
	}
	b.cfg.Store(cfg)
	for l, set := range settings {
		l.settings.Store(set)
	}
	gathered := make(chan []*sessionReview, b.loops)
	if err := b.call(func(s *Shard) {
		s.cfg = cfg
		s.crossing.max = cfg.MaxCrossingBytes
		gathered <- s.review()
	}); err != nil {
		return nil, err
	}
	for range b.loops {
		review = append(review, <-gathered...)
	}
	return review, nil
}

// sessionReview is a connected client whose login is to be decided again.
type sessionReview struct {
	loop     int
	key, gen uint32
	serial   uint32 // the connection
	who      *auth.Client
	old      Access
	access   Access
	rule     string
}

// review gives every session of this loop its new rights, and lists the clients that must be asked again who they are.
func (s *Shard) review() (again []*sessionReview) {
	clear(s.sources)
	s.eachSession(func(ss *session) {
		c := ss.client
		if c != nil && c.conn == nil {
			return
		}
		who := ss.who
		if who == nil {
			if c == nil {
				return
			}
			who = &identity{Client: *ss.authClient(), listener: c.listener}
		}
		access := who.listener.Settings().Access
		if access == who.access {
			return
		}
		old := who.access
		who.access = access
		s.settleIdentity(ss, who)
		if ss.will != nil {
			ss.will.who = ss.who
		}
		if c != nil && c.will != nil {
			c.will.who = ss.who
		}
		if c != nil && !who.certified {
			again = append(again, &sessionReview{loop: int(s.id), key: ss.key, gen: ss.gen, serial: c.serial, who: &who.Client, old: old,
				access: access})
		}
	})
	return again
}

// recheck decides logins again, away from the loops, and disconnects whom they refuse.
func (b *Broker) recheck(all []*sessionReview) error {
	refused := make([][]*sessionReview, b.loops)
	for _, r := range all {
		if b.stopped.Load() {
			return ErrStopped
		}
		if sameLogin(r) {
			continue
		}
		ok := false
		if ok, r.rule = r.access.Login(r.who); !ok {
			refused[r.loop] = append(refused[r.loop], r)
		}
	}
	return b.call(func(s *Shard) {
		for _, r := range refused[s.id] {
			if ss := s.lookup(r.key, r.gen); ss != nil && ss.client != nil && ss.client.serial == r.serial {
				s.count.RefusedLogins++
				s.close(ss.client, cause{text: "disconnected: not authorised.", detail: " " + userWords(r.who) + r.rule + ".", code: codec.NotAuthorized}, true)
			}
		}
	})
}

// sameLogin reports whether the new rules are certain to decide as the old ones did.
func sameLogin(r *sessionReview) bool {
	old, known := r.old.(*auth.Scope)
	now, same := r.access.(*auth.Scope)
	return known && same && now.SameLogin(old, r.who)
}

// Disconnect ends the connections of the clients that match, with a reason code for version 5 and words for the log. match
// runs on the loops. Disconnect must not be called from a loop.
func (b *Broker) Disconnect(match func(*auth.Client) bool, code codec.ReasonCode, text string) error {
	return b.call(func(s *Shard) {
		for i := range s.clients.made {
			if c := s.clients.at(i); c.login != nil && match(&c.login.who.Client) {
				c.login.stale = true
			}
		}
		s.eachSession(func(ss *session) {
			c := ss.client
			if c == nil || c.conn == nil {
				return
			}
			if match(ss.authClient()) {
				s.close(c, cause{text: text, code: code}, true)
			}
		})
	})
}
