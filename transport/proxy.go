package transport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ProxySettings is what holds for the connections of a listener whose clients come through a proxy. It is shared by them and not
// changed.
type ProxySettings struct {
	// Version of the header that every connection must begin with: 1 or 2.
	Version uint8
	// RequireTLS admits only clients that the proxy saw using TLS, RequireCertificate only those whose certificate it verified. A
	// header of version 1 says neither: nobody is admitted.
	RequireTLS, RequireCertificate bool
	// Trusted are the networks of the proxies; empty: all.
	Trusted []netip.Prefix
}

// Why a connection is refused, beside CorruptProxy.
const (
	proxyNoTLS         Rejection = "client did not connect using TLS"
	proxyNoCertificate Rejection = "client did not provide a certificate"
	proxyUnknown       Rejection = "its address is not in proxy_trusted"
)

// Proxy is the layer that reads a PROXY header (haproxy.org, "The PROXY protocol", versions 1 and 2), tells the peer from it and
// is gone. Version 2, in bytes:
//
//	0           12              13       14              16                  16+n
//	+-----------+---------------+--------+---------------+-------------------+-------------+
//	| signature | 0x20 local    | family | bytes that    | both addresses,   | TLVs: kind, |
//	|           | 0x21 for a    |        | follow after  | both ports: n     | 2 of size,  |
//	|           | client        |        | byte 16       | bytes by family   | value       |
//	+-----------+---------------+--------+---------------+-------------------+-------------+
type Proxy struct {
	settings *ProxySettings
	peer     *Peer
	remote   netip.AddrPort
	kept     []byte // what has arrived of the header. Owned
	done     bool
}

// NewProxy returns the layer of one connection. remote is the TCP peer, not valid where there is none; then it is trusted only
// without a list.
func NewProxy(s *ProxySettings, peer *Peer, remote netip.AddrPort) *Proxy {
	return &Proxy{settings: s, peer: peer, remote: remote}
}

// In is loop.Layer's.
func (p *Proxy) In(up, down, b []byte) (newUp, newDown []byte, err error) {
	if p.done {
		return append(up, b...), down, nil
	}
	if len(p.settings.Trusted) > 0 && !trusts(p.settings.Trusted, p.remote.Addr()) {
		return up, down, proxyUnknown
	}
	before := len(p.kept)
	header := b
	if before > 0 {
		p.kept = append(p.kept, b[:min(len(b), proxyV2Max-before)]...)
		header = p.kept
	}
	var size int
	if p.settings.Version == 1 {
		size, err = p.readV1(header)
	} else {
		size, err = p.readV2(header)
	}
	switch {
	case err != nil:
		return up, down, err
	case size > 0:
		if err := p.judge(); err != nil {
			return up, down, err
		}
		p.kept, p.done = nil, true
		return append(up, b[size-before:]...), down, nil
	case before == 0:
		p.kept = bytes.Clone(b)
	}
	return up, down, nil
}

// Waits is loop.Waiter's.
func (p *Proxy) Waits() string {
	if p.done {
		return ""
	}
	return "PROXY header"
}

// judge is whether the listener wants the client that the header told of.
func (p *Proxy) judge() error {
	switch {
	case p.settings.RequireTLS && !p.peer.TLS:
		return proxyNoTLS
	case p.settings.RequireCertificate && !p.peer.Verified:
		return proxyNoCertificate
	}
	return nil
}

// readV1 takes a header of version 1 and returns its size, 0 when it has not arrived whole.
func (p *Proxy) readV1(b []byte) (size int, err error) {
	const start = "PROXY "
	if n := min(len(b), len(start)); string(b[:n]) != start[:n] {
		return 0, CorruptProxy
	}
	end := bytes.Index(b[:min(len(b), proxyV1Max)], []byte("\r\n"))
	if end < 0 {
		if len(b) >= proxyV1Max {
			return 0, CorruptProxy
		}
		return 0, nil
	}
	line := string(b[len(start):end])
	if line != "UNKNOWN" && !strings.HasPrefix(line, "UNKNOWN ") {
		if p.peer.Address, err = parseV1(strings.Split(line, " ")); err != nil {
			return 0, err
		}
	}
	return end + len("\r\n"), nil
}

// parseV1 reads `TCP4 SOURCE DESTINATION PORT PORT`.
func parseV1(fields []string) (netip.AddrPort, error) {
	if len(fields) != 5 {
		return netip.AddrPort{}, CorruptProxy
	}
	source, err1 := netip.ParseAddr(fields[1])
	destination, err2 := netip.ParseAddr(fields[2])
	port, err3 := parsePort(fields[3])
	_, err4 := parsePort(fields[4])
	four := fields[0] == "TCP4"
	switch {
	case errors.Join(err1, err2, err3, err4) != nil,
		!four && fields[0] != "TCP6",
		source.Is4() != four || destination.Is4() != four || source.Zone() != "" || destination.Zone() != "":
		return netip.AddrPort{}, CorruptProxy
	}
	return netip.AddrPortFrom(source.Unmap(), port), nil
}

// parsePort reads a port as the protocol wants it: digits, no zero in front.
func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err == nil && strconv.FormatUint(n, 10) != s {
		err = CorruptProxy
	}
	return uint16(n), err
}

// What a header of version 2 is made of.
const (
	proxySignature = "\r\n\r\n\x00\r\nQUIT\n"
	proxyV2Fixed   = 16

	proxyLocal   = 0x20 // version 2 and command: the proxy speaks for itself
	proxyForward = 0x21

	proxyUnspecified = 0x00 // family and kind of socket
	proxyTCP4        = 0x11
	proxyTCP6        = 0x21
	proxyUnix        = 0x31

	tlvSSL         = 0x20 // one byte of the bits below, four that are zero for a verified certificate, and TLVs
	tlvVersion     = 0x21 // inside tlvSSL, as the next two
	tlvCommonName  = 0x22
	tlvCipher      = 0x23
	sslUsed        = 0x01
	sslCertificate = 0x02 | 0x04 // in this connection, or in the session that it resumes
	tlvSSLFixed    = 5
	tlvHead        = 3
)

// readV2 is readV1 for version 2.
func (p *Proxy) readV2(b []byte) (size int, err error) {
	if n := min(len(b), len(proxySignature)); string(b[:n]) != proxySignature[:n] {
		return 0, CorruptProxy
	}
	if len(b) < proxyV2Fixed {
		return 0, nil
	}
	size = proxyV2Fixed + int(binary.BigEndian.Uint16(b[14:]))
	command, family := b[12], b[13]
	switch {
	case command != proxyLocal && command != proxyForward || size > proxyV2Max:
		return 0, CorruptProxy
	case len(b) < size:
		return 0, nil
	case command == proxyLocal:
		return size, nil // whatever else the header says is not about a client
	}
	addresses := 0
	switch family {
	case proxyUnspecified:
	case proxyTCP4:
		addresses = 2*4 + 2*2
	case proxyTCP6:
		addresses = 2*16 + 2*2
	case proxyUnix:
		addresses = 2 * 108
	default:
		return 0, CorruptProxy
	}
	if size < proxyV2Fixed+addresses {
		return 0, CorruptProxy
	}
	if family == proxyUnspecified {
		return size, nil
	}
	body := b[proxyV2Fixed:size]
	if err := p.readTLVs(body[addresses:]); err != nil {
		return 0, err
	}
	switch family {
	case proxyTCP4:
		p.peer.Address = netip.AddrPortFrom(netip.AddrFrom4([4]byte(body)), binary.BigEndian.Uint16(body[8:]))
	case proxyTCP6:
		p.peer.Address = netip.AddrPortFrom(netip.AddrFrom16([16]byte(body)).Unmap(), binary.BigEndian.Uint16(body[32:]))
	}
	return size, nil
}

// readTLVs looks for what the proxy says of TLS; unique identifiers, host names and the like are passed over.
func (p *Proxy) readTLVs(b []byte) error {
	for len(b) > 0 {
		kind, value, rest, err := cutTLV(b)
		if err != nil {
			return err
		}
		if kind == tlvSSL {
			if err := p.readSSL(value); err != nil {
				return err
			}
		}
		b = rest
	}
	return nil
}

// readSSL reads the value of tlvSSL. A name counts only from a certificate that the proxy verified.
func (p *Proxy) readSSL(b []byte) error {
	if len(b) < tlvSSLFixed {
		return CorruptProxy
	}
	p.peer.TLS = b[0]&sslUsed != 0
	p.peer.Verified = b[0]&sslCertificate != 0 && binary.BigEndian.Uint32(b[1:]) == 0
	for b = b[tlvSSLFixed:]; len(b) > 0; {
		kind, value, rest, err := cutTLV(b)
		if err != nil {
			return err
		}
		switch text := string(value); {
		case kind != tlvVersion && kind != tlvCommonName && kind != tlvCipher:
		case !utf8.Valid(value) || strings.ContainsFunc(text, unicode.IsControl):
			return CorruptProxy
		case kind == tlvVersion:
			p.peer.TLSVersion = text
		case kind == tlvCipher:
			p.peer.Cipher = text
		case p.peer.Verified:
			p.peer.Identity, p.peer.HasIdentity = text, true
		}
		b = rest
	}
	return nil
}

// cutTLV takes one TLV: a byte of kind, two of length, the value.
func cutTLV(b []byte) (kind byte, value, rest []byte, err error) {
	if len(b) < tlvHead {
		return 0, nil, nil, CorruptProxy
	}
	n := int(binary.BigEndian.Uint16(b[1:]))
	if len(b) < tlvHead+n {
		return 0, nil, nil, CorruptProxy
	}
	return b[0], b[tlvHead:][:n], b[tlvHead+n:], nil
}

// Out is loop.Layer's.
func (p *Proxy) Out(down, b []byte) []byte { return append(down, b...) }

// Close is loop.Layer's.
func (p *Proxy) Close(down []byte) []byte { return down }

// Passes is loop.Layer's.
func (p *Proxy) Passes() bool { return p.done }
