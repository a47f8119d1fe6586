package crash

import (
	"math/rand/v2"
	"time"

	"github.com/noctulemq/noctule/codec"
)

// retryPause is how long a client waits whose connection was refused.
const retryPause = 5 * time.Millisecond

// client is what all clients with a durable session have in common. Its own goroutine uses it, or the test's while the gate is
// shut.
type client struct {
	w       *world
	name    string // and client identifier
	version codec.Version
	rng     *rand.Rand
	met     bool          // a CONNECT may have reached the broker
	known   time.Duration // when the present session was first acknowledged; 0: not yet
}

// connect opens a connection with the durable session and judges whether there was one.
func (c *client) connect() (*conn, bool, error) {
	hello := &codec.Connect{ClientID: c.name, RequestProblemInfo: true}
	if c.version == codec.V5 {
		hello.HasSessionExpiry, hello.SessionExpiry = true, 0xFFFFFFFF
	}
	conn, present, err := dial(c.w.broker.addr, c.version, hello)
	if err != nil {
		c.met = true
		return nil, false, err
	}
	h := c.w.history
	switch {
	case present && !c.met:
		h.fail(session, "%s at %v in round %d: CONNACK says that there was a session, but the client is new", c.name, h.now(),
			c.w.round.Load())
	case !present && c.known != 0 && !h.unsure(c.known):
		h.fail(session, "%s at %v in round %d: CONNACK says that there was no session, but that was acknowledged at %v", c.name,
			h.now(), c.w.round.Load(), c.known)
	}
	if !present {
		c.known = 0
	}
	c.met = true
	return conn, present, nil
}

// acknowledged notes that the broker told something that belongs to the session.
func (c *client) acknowledged() {
	if c.known == 0 {
		c.known = c.w.history.now()
	}
}

// chance is true in so many of 100 cases.
func (c *client) chance(percent int) bool { return c.rng.IntN(100) < percent }

// between is a random duration.
func (c *client) between(low, high time.Duration) time.Duration {
	return low + time.Duration(c.rng.Int64N(int64(high-low)))
}

// live runs sessions until the end, each inside the gate and with a pause behind it that session asks for.
func (c *client) live(session func() time.Duration) {
	for c.w.gate.enter() {
		pause := session()
		c.w.gate.leave()
		select {
		case <-time.After(pause):
		case <-c.w.gate.ended:
		}
	}
}
