package config

import (
	"encoding/hex"
	"net/netip"
	"strings"
)

const (
	tlsArea       = "TLS"
	transportArea = "WebSocket, HTTP and PROXY"
)

// Reasons that several keys share.
const (
	noPSK    = "the TLS of this broker has no pre-shared keys, and clients that have nothing else could not connect; use client certificates, with certfile, keyfile, cafile and 'require_certificate true'"
	noEngine = "private keys are read from files, and OpenSSL is not used"
)

// transportKeys are about TLS, WebSocket and PROXY listeners.
var transportKeys = []Key{
	{Name: "certfile", Scope: PerListener, Type: Text, Area: tlsArea, makes: true, repeat: true, Values: "a PEM file with the certificate and those between it and its authority",
		Help: "Certificate of the listener; of several, each with its keyfile, a client gets the one for the server name it asks for, else the first", set: listenerAdd(func(l *Listener) *[]string { return &l.TLS.CertFiles })},
	{Name: "keyfile", Scope: PerListener, Type: Text, Area: tlsArea, makes: true, repeat: true, Values: "a PEM file",
		Help: "Private key of the certificate; the first keyfile line is for the first certfile line, the second for the second", set: listenerAdd(func(l *Listener) *[]string { return &l.TLS.KeyFiles })},
	tlsText("cafile", "a PEM file", "Authorities of client certificates, and what the certificate of the listener needs to be complete, where its file has it alone", func(l *Listener) *string { return &l.TLS.CAFile }),
	tlsText("capath", "a directory", "Directory of authorities of client certificates, one PEM file each", func(l *Listener) *string { return &l.TLS.CAPath }),
	tlsText("crlfile", "a PEM file", "Client certificates that were revoked", func(l *Listener) *string { return &l.TLS.CRLFile }),
	tlsBool("require_certificate", "Admit only clients with a valid certificate", func(l *Listener) *bool { return &l.TLS.RequireCertificate }),
	tlsBool("use_identity_as_username", "Take the common name in a client's certificate as its user name, in place of the one it sends", func(l *Listener) *bool { return &l.TLS.IdentityAsUserName }),
	tlsBool("use_subject_as_username", "Take the whole subject of a client's certificate as its user name, in place of the one it sends", func(l *Listener) *bool { return &l.TLS.SubjectAsUserName }),
	{Name: "psk_hint", Scope: PerListener, Type: Text, Area: tlsArea, Class: Refused, makes: true,
		Help: "Hint for clients with a pre-shared key", Why: noPSK, set: listenerTextInto(func(l *Listener) *string { return &l.TLS.PSKHint })},
	tlsText("ciphers", "names of OpenSSL's with colons between them", "Ciphers of TLS 1.2 that may be used", func(l *Listener) *string { return &l.TLS.Ciphers }),
	tlsText("ciphers_tls1.3", "names of OpenSSL's with colons between them", "Ciphers of TLS 1.3; the names are checked, the choice among all of them is made by Go", func(l *Listener) *string { return &l.TLS.CipherSuites }),
	{Name: "tls_version", Scope: PerListener, Type: Text, Area: tlsArea, Values: "tlsv1.3 or tlsv1.2; without the line tlsv1.2, and tlsv1.1 counts as it",
		Help: "Lowest version of TLS", set: listenerTextInto(func(l *Listener) *string { return &l.TLS.MinVersion })},
	{Name: "dhparamfile", Scope: PerListener, Type: Text, Area: tlsArea, Class: NoEffect,
		Help: "Parameters for key exchange", Why: "keys are exchanged over elliptic curves only", set: listenerTextInto(func(l *Listener) *string { return &l.TLS.DHParamFile })},
	{Name: "disable_client_cert_date_checks", Scope: PerListener, Type: Bool, Default: "false", Area: tlsArea, strict: true,
		Help: "Accept client certificates out of their time", set: listenerBoolInto(func(l *Listener) *bool { return &l.TLS.IgnoreClientDates })},
	{Name: "tls_engine", Scope: PerListener, Type: Text, Area: tlsArea, Class: NoEffect, makes: true,
		Help: "OpenSSL engine", Why: noEngine, set: listenerTextInto(func(l *Listener) *string { return &l.TLS.Engine })},
	{Name: "tls_engine_kpass_sha1", Scope: PerListener, Type: Text, Area: tlsArea, Class: NoEffect, Secret: true, makes: true, Values: "40 hexadecimal digits",
		Help: "Hash of the password of an engine's key", Why: noEngine, set: (*parser).setEnginePassword},
	{Name: "tls_keyform", Scope: PerListener, Type: Text, Default: "pem", Area: tlsArea, Class: Refused, makes: true, repeat: true, Values: "pem or engine",
		Help: "Form of the private key", Why: "private keys are read from PEM files", set: func(p *parser, v value) {
			if v.text != "pem" {
				p.current.TLS.KeyForm = v.text
			}
		}},
	{Name: "enable_proxy_protocol", Scope: PerListener, Type: Number, Area: transportArea, strict: true, min: 1, max: 2, bound: "enable_proxy_protocol must be 1 or 2.",
		Help: "Every connection begins with a PROXY header of this version, which names the client's address; one without it is closed", set: listenerNumberInto(func(l *Listener) *uint8 { return &l.ProxyProtocol })},
	{Name: "proxy_protocol_v2_require_tls", Scope: PerListener, Type: Bool, Default: "false", Area: transportArea, strict: true,
		Help: "Admit only clients that the proxy saw using TLS", set: listenerBoolInto(func(l *Listener) *bool { return &l.ProxyRequireTLS })},
	{Name: "proxy_trusted", Scope: PerListener, Type: List, Area: transportArea, Ours: true, strict: true, adds: true, Values: networksWanted,
		Help: "Where proxies are: a PROXY header from elsewhere closes the connection, and X-Forwarded-For from elsewhere is not looked at; without the line PROXY headers are taken from everywhere, and X-Forwarded-For from nowhere",
		set:  networksInto(func(l *Listener) *[]netip.Prefix { return &l.ProxyTrusted })},
	{Name: "websockets_origin", Scope: PerListener, Type: Text, Area: transportArea, repeat: true, strict: true, Values: "an origin, as https://example.org",
		Help: "Admit only WebSocket clients of pages from this origin; several lines add up", set: listenerAdd(func(l *Listener) *[]string { return &l.WebSocketOrigins })},
	{Name: "websockets_headers_size", Type: Number, Default: "0", Area: transportArea, max: 65535, bound: "Websockets headers size must be between 0 and 65535 inclusive.",
		Help: "Largest size in bytes of the HTTP headers with which a WebSocket begins; 0 means 4096", set: numberInto(func(c *Config) *int { return &c.WebSockets.HeadersSize })},
	{Name: "max_tls_handshakes", Type: Number, Default: "4000", Area: tlsArea, Ours: true, Restart: true, min: 1, max: 1_000_000,
		Help: "How many TLS handshakes may be under way at a time, of all listeners, up to 40 KiB each; a connection beyond it is closed", set: numberInto(func(c *Config) *int { return &c.MaxTLSHandshakes })},
	{Name: "websockets_log_level", Type: Number, Default: "0", Area: transportArea, Class: NoEffect, max: 1<<31 - 1, clamp: true,
		Help: "What the WebSocket library logs", Why: "the library does not log", set: numberInto(func(c *Config) *int { return &c.WebSockets.LogLevel })},
	{Name: "http_dir", Scope: PerListener, Type: Text, Area: transportArea, Values: "a directory",
		Help: "Directory of files that a WebSocket listener serves over HTTP; they are read into memory at start and on SIGHUP, 64 MiB at most", set: listenerTextInto(func(l *Listener) *string { return &l.HTTPDir })},
}

// tlsText and tlsBool are TLS keys of one field.

func tlsText(name, values, help string, field func(*Listener) *string) Key {
	return Key{Name: name, Scope: PerListener, Type: Text, Area: tlsArea, makes: true, Values: values, Help: help, set: listenerTextInto(field)}
}

func tlsBool(name, help string, field func(*Listener) *bool) Key {
	return Key{Name: name, Scope: PerListener, Type: Bool, Default: "false", Area: tlsArea, makes: true, Help: help, set: listenerBoolInto(field)}
}

func (p *parser) setEnginePassword(v value) {
	if sum, err := hex.DecodeString(v.text); err != nil || len(sum) != 20 {
		p.fail("Invalid 'tls_engine_kpass_sha1' value.", wanted(v.key))
		return
	}
	p.current.TLS.EngineKeyPassSHA1 = v.text
}

// networksWanted is what a list of networks takes.
const networksWanted = "networks and addresses, as 10.0.0.0/8 or ::1, with blanks or commas; several lines add up"

// networksMax bounds each list of networks of a listener: each is compared with every new connection.
const networksMax = 256

// networksInto returns a setter of a key whose lines add networks to a field of Listener.
func networksInto(field func(*Listener) *[]netip.Prefix) func(*parser, value) {
	return func(p *parser, v value) {
		all := field(p.current)
		for _, word := range strings.FieldsFunc(v.text, func(r rune) bool { return r == ' ' || r == ',' }) {
			n, ok := network(word)
			switch {
			case !ok:
				p.invalid(v)
				return
			case len(*all) == networksMax:
				p.fail("Too many networks.", "a listener takes 256 in each list")
				return
			}
			*all = append(*all, n)
		}
		if len(*all) == 0 {
			p.invalid(v) // commas alone would be a list that admits nobody, or everybody
		}
	}
}

// network reads a network, or an address as the network of it alone.
func network(s string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	n, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, false
	}
	if n.Addr().Is4In6() {
		if n.Bits() < 96 {
			return netip.Prefix{}, false
		}
		n = netip.PrefixFrom(n.Addr().Unmap(), n.Bits()-96)
	}
	return n.Masked(), true
}
