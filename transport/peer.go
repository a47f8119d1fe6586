package transport

import "net/netip"

// Peer is who is at the other end of one connection, as far as its layers were told: each layer of the connection has the same
// one and fills in what it learns, on the thread of the connection's loop, before it gives bytes to those above it.
type Peer struct {
	// Address is the peer's address where a PROXY header or a listed proxy's X-Forwarded-For names it; else not valid.
	Address netip.AddrPort
	// Identity is the common name of the certificate with which the peer showed who it is, Subject its whole subject; both are
	// empty without HasIdentity. They are believed with Verified only.
	Identity, Subject string
	HasIdentity       bool
	TLS               bool   // the connection is encrypted, here or at the proxy
	Verified          bool   // the certificate was checked against the listener's authorities, here or by the proxy
	TLSVersion        string // with TLS, as TLSv1.3; may be empty when the proxy does not say
	Cipher            string // with TLSVersion
	Path              string // that a WebSocket client asked for
}

// Rejection is the error of a layer whose log line Mosquitto writes as "Connection from ADDRESS rejected, WORDS."
type Rejection string

func (r Rejection) Error() string { return string(r) }

// CorruptProxy is a PROXY header that cannot be read. Its line is "Connection rejected, corrupt PROXY header."
const CorruptProxy Rejection = "corrupt PROXY header"
