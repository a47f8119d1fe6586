package auth

import "net/netip"

// Client is who asks. Nothing changes it after its login.
type Client struct {
	ID          string
	UserName    string
	HasUserName bool
	// Password is kept for as long as the client is connected where a password file may change under it, as Mosquitto
	// does; nil otherwise, and when none was given (HasPassword).
	Password    []byte
	HasPassword bool
	Address     netip.AddrPort // the peer's; zero for a Unix socket
	Port        uint16         // of the listener
}

// Action is what a client asks leave for. The topic is a filter, as written, for Subscribe and Unsubscribe.
type Action uint8

// The actions.
const (
	Publish   Action = iota // the client sends to a topic
	Receive                 // the client is sent a message of a topic
	Subscribe               // the client enters a filter
	Unsubscribe
)

// Decision is one provider's answer. The first that is not Defer counts.
type Decision uint8

// The decisions.
const (
	Defer Decision = iota // somebody else's business
	Allow
	Deny
)

// Provider is one source of decisions.
type Provider interface {
	// Login decides whether a client may connect. Any thread, at the same time as everything else; it may take long. rule
	// names for the log what refused it ("password file", "dynamic security: client disabled").
	Login(c *Client) (d Decision, rule string)
	// Rights returns what a client may do; nil means that the provider has no opinion about any of its actions. Any thread,
	// no waiting.
	Rights(c *Client) Rights
}

// Rights is what one client may do by one provider.
type Rights interface {
	// Allows decides one action. The thread of the client's loop, without allocation and without a lock. rule names for the
	// log the line or ACL that denied it.
	Allows(a Action, topic string) (d Decision, rule string)
}
