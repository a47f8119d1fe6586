package config

import "encoding/hex"

// Reasons that several keys share.
const (
	noTLS       = "there is no TLS in this build, and what was meant to be encrypted and checked would not be; take the listener's TLS lines out, or put a TLS proxy in front of a listener on 127.0.0.1"
	noProxy     = "PROXY headers are not read, and no client behind the proxy could connect; let the proxy send none"
	tlsAlone    = "there is no TLS in this build"
	noWebsocket = "there are no WebSocket and HTTP listeners in this build"
)

const (
	tlsArea       = "TLS"
	transportArea = "WebSocket, HTTP and PROXY"
)

// transportKeys are about TLS, WebSocket and PROXY listeners.
var transportKeys = []Key{
	tlsText("certfile", noTLS, "Certificate of the listener", func(l *Listener) *string { return &l.TLS.CertFile }),
	tlsText("keyfile", noTLS, "Private key of the listener", func(l *Listener) *string { return &l.TLS.KeyFile }),
	tlsText("cafile", noTLS, "Certificates that client certificates are checked against", func(l *Listener) *string { return &l.TLS.CAFile }),
	tlsText("capath", noTLS, "Directory of certificates that client certificates are checked against", func(l *Listener) *string { return &l.TLS.CAPath }),
	tlsText("crlfile", noTLS, "Certificates that were revoked", func(l *Listener) *string { return &l.TLS.CRLFile }),
	tlsBool("require_certificate", noTLS, "Admit only clients with a valid certificate", func(l *Listener) *bool { return &l.TLS.RequireCertificate }),
	tlsBool("use_identity_as_username", noTLS, "Take the name in a client's certificate as its user name", func(l *Listener) *bool { return &l.TLS.IdentityAsUserName }),
	tlsBool("use_subject_as_username", noTLS, "Take the subject of a client's certificate as its user name", func(l *Listener) *bool { return &l.TLS.SubjectAsUserName }),
	tlsText("psk_hint", noTLS, "Hint for clients with a pre-shared key", func(l *Listener) *string { return &l.TLS.PSKHint }),
	tlsText("ciphers", tlsAlone, "Ciphers of TLS 1.2 that may be used", func(l *Listener) *string { return &l.TLS.Ciphers }),
	tlsText("ciphers_tls1.3", tlsAlone, "Ciphers of TLS 1.3 that may be used", func(l *Listener) *string { return &l.TLS.CipherSuites }),
	{Name: "tls_version", Scope: PerListener, Type: Text, Area: tlsArea, Class: NoEffect, Restart: true, Values: "tlsv1.3, tlsv1.2 or tlsv1.1; without the line tlsv1.2",
		Help: "Lowest version of TLS", Why: tlsAlone, set: listenerTextInto(func(l *Listener) *string { return &l.TLS.MinVersion })},
	tlsText("dhparamfile", tlsAlone, "Parameters for key exchange", func(l *Listener) *string { return &l.TLS.DHParamFile }),
	{Name: "disable_client_cert_date_checks", Scope: PerListener, Type: Bool, Default: "false", Area: tlsArea, Class: NoEffect, Restart: true, strict: true,
		Help: "Accept client certificates out of their time", Why: tlsAlone, set: listenerBoolInto(func(l *Listener) *bool { return &l.TLS.IgnoreClientDates })},
	tlsText("tls_engine", tlsAlone, "OpenSSL engine", func(l *Listener) *string { return &l.TLS.Engine }),
	{Name: "tls_engine_kpass_sha1", Scope: PerListener, Type: Text, Area: tlsArea, Class: NoEffect, Restart: true, Secret: true, makes: true, Values: "40 hexadecimal digits",
		Help: "Hash of the password of an engine's key", Why: tlsAlone, set: (*parser).setEnginePassword},
	{Name: "tls_keyform", Scope: PerListener, Type: Text, Default: "pem", Area: tlsArea, Class: NoEffect, Restart: true, makes: true, repeat: true, Values: "pem or engine",
		Help: "Form of the private key", Why: tlsAlone, set: func(p *parser, v value) {
			if v.text != "pem" {
				p.current.TLS.KeyForm = v.text
			}
		}},
	{Name: "enable_proxy_protocol", Scope: PerListener, Type: Number, Area: transportArea, Class: Refused, Restart: true, strict: true, min: 1, max: 2, bound: "enable_proxy_protocol must be 1 or 2.",
		Help: "Read PROXY headers of this version", Why: noProxy, set: listenerNumberInto(func(l *Listener) *uint8 { return &l.ProxyProtocol })},
	{Name: "proxy_protocol_v2_require_tls", Scope: PerListener, Type: Bool, Default: "false", Area: transportArea, Class: Refused, Restart: true, strict: true,
		Help: "Admit only clients that the proxy saw using TLS", Why: noProxy, set: listenerBoolInto(func(l *Listener) *bool { return &l.ProxyRequireTLS })},
	{Name: "websockets_origin", Scope: PerListener, Type: Text, Area: transportArea, Class: NoEffect, Restart: true, repeat: true, strict: true,
		Help: "Admit only WebSocket clients from this origin; several lines add up", Why: noWebsocket,
		set: func(p *parser, v value) {
			p.current.WebSocketOrigins = append(p.current.WebSocketOrigins, v.text)
		}},
	{Name: "websockets_headers_size", Type: Number, Default: "0", Area: transportArea, Class: NoEffect, Restart: true, max: 65535, bound: "Websockets headers size must be between 0 and 65535 inclusive.",
		Help: "Largest size of HTTP headers", Why: noWebsocket, set: numberInto(func(c *Config) *int { return &c.WebSockets.HeadersSize })},
	{Name: "websockets_log_level", Type: Number, Default: "0", Area: transportArea, Class: NoEffect, Restart: true, max: 1<<31 - 1, clamp: true,
		Help: "What the WebSocket library logs", Why: noWebsocket, set: numberInto(func(c *Config) *int { return &c.WebSockets.LogLevel })},
	{Name: "http_dir", Scope: PerListener, Type: Text, Area: transportArea, Class: NoEffect, Restart: true, Values: "a directory",
		Help: "Directory of files to serve", Why: noWebsocket, set: listenerTextInto(func(l *Listener) *string { return &l.HTTPDir })},
}

// tlsText and tlsBool are TLS keys of one field. They are refused where leaving TLS out would open what the file closes.

func tlsText(name, why, help string, field func(*Listener) *string) Key {
	return Key{Name: name, Scope: PerListener, Type: Text, Area: tlsArea, Class: tlsClass(why), Restart: true, makes: true, Help: help, Why: why, set: listenerTextInto(field)}
}

func tlsBool(name, why, help string, field func(*Listener) *bool) Key {
	return Key{Name: name, Scope: PerListener, Type: Bool, Default: "false", Area: tlsArea, Class: tlsClass(why), Restart: true, makes: true, Help: help, Why: why, set: listenerBoolInto(field)}
}

func tlsClass(why string) Class {
	if why == noTLS {
		return Refused
	}
	return NoEffect
}

func (p *parser) setEnginePassword(v value) {
	if sum, err := hex.DecodeString(v.text); err != nil || len(sum) != 20 {
		p.fail("Invalid 'tls_engine_kpass_sha1' value.", wanted(v.key))
		return
	}
	p.current.TLS.EngineKeyPassSHA1 = v.text
}
