package config

// Reasons that several keys share.
const (
	noTLS       = "there is no TLS in this build, and what was meant to be encrypted and checked would not be"
	noProxy     = "PROXY headers are not read, and no client behind the proxy could connect"
	tlsAlone    = "there is no TLS in this build"
	noWebsocket = "there are no WebSocket and HTTP listeners"
)

// transportKeys are about TLS, WebSocket and PROXY listeners.
var transportKeys = []Key{
	{Name: "certfile", Scope: Listen, Type: Text, Area: "TLS", Class: Refused, Help: "Certificate of the listener", Why: noTLS},
	{Name: "keyfile", Scope: Listen, Type: Text, Area: "TLS", Class: Refused, Help: "Private key of the listener", Why: noTLS},
	{Name: "cafile", Scope: Listen, Type: Text, Area: "TLS", Class: Refused, Help: "Certificates that client certificates are checked against", Why: noTLS},
	{Name: "capath", Scope: Listen, Type: Text, Area: "TLS", Class: Refused, Help: "Directory of certificates that client certificates are checked against", Why: noTLS},
	{Name: "crlfile", Scope: Listen, Type: Text, Area: "TLS", Class: Refused, Help: "Certificates that were revoked", Why: noTLS},
	{Name: "require_certificate", Scope: Listen, Type: Bool, Default: "false", Area: "TLS", Class: Refused, Help: "Admit only clients with a valid certificate", Why: noTLS},
	{Name: "use_identity_as_username", Scope: Listen, Type: Bool, Default: "false", Area: "TLS", Class: Refused, Help: "Take the name in a client's certificate as its user name", Why: noTLS},
	{Name: "use_subject_as_username", Scope: Listen, Type: Bool, Default: "false", Area: "TLS", Class: Refused, Help: "Take the subject of a client's certificate as its user name", Why: noTLS},
	{Name: "psk_hint", Scope: Listen, Type: Text, Area: "TLS", Class: Refused, Help: "Hint for clients with a pre-shared key", Why: noTLS},
	{Name: "ciphers", Scope: Listen, Type: Text, Area: "TLS", Class: NoEffect, Help: "Ciphers of TLS 1.2 that may be used", Why: tlsAlone},
	{Name: "ciphers_tls1.3", Scope: Listen, Type: Text, Area: "TLS", Class: NoEffect, Help: "Ciphers of TLS 1.3 that may be used", Why: tlsAlone},
	{Name: "tls_version", Scope: Listen, Type: Text, Area: "TLS", Class: NoEffect, Help: "Lowest version of TLS", Why: tlsAlone},
	{Name: "dhparamfile", Scope: Listen, Type: Text, Area: "TLS", Class: NoEffect, Help: "Parameters for key exchange", Why: tlsAlone},
	{Name: "disable_client_cert_date_checks", Scope: Listen, Type: Bool, Default: "false", Area: "TLS", Class: NoEffect, strict: true, Help: "Accept client certificates out of their time", Why: tlsAlone},
	{Name: "tls_engine", Scope: Listen, Type: Text, Area: "TLS", Class: NoEffect, Help: "OpenSSL engine", Why: tlsAlone},
	{Name: "tls_engine_kpass_sha1", Scope: Listen, Type: Text, Area: "TLS", Class: NoEffect, Help: "Hash of the password of an engine's key", Why: tlsAlone},
	{Name: "tls_keyform", Scope: Listen, Type: Word, Default: "pem", Area: "TLS", Class: NoEffect, choices: []string{"pem", "engine"}, Help: "Form of the private key", Why: tlsAlone},
	{Name: "enable_proxy_protocol", Scope: Listen, Type: Number, Area: "WebSocket, HTTP and PROXY", Class: Refused, strict: true, min: 1, max: 2, bound: "enable_proxy_protocol must be 1 or 2.", Help: "Read PROXY headers of this version", Why: noProxy},
	{Name: "proxy_protocol_v2_require_tls", Scope: Listen, Type: Bool, Default: "false", Area: "WebSocket, HTTP and PROXY", Class: Refused, strict: true, Help: "Admit only clients that the proxy saw using TLS", Why: noProxy},
	{Name: "websockets_origin", Scope: Listen, Type: Text, Area: "WebSocket, HTTP and PROXY", Class: NoEffect, repeat: true, strict: true, Help: "Admit only WebSocket clients from this origin", Why: noWebsocket},
	{Name: "websockets_headers_size", Type: Number, Default: "0", Area: "WebSocket, HTTP and PROXY", Class: NoEffect, max: 65535, bound: "Websockets headers size must be between 0 and 65535 inclusive.", Help: "Largest size of HTTP headers", Why: noWebsocket},
	{Name: "websockets_log_level", Type: Number, Default: "0", Area: "WebSocket, HTTP and PROXY", Class: NoEffect, max: 1<<31 - 1, clamp: true, Help: "What the WebSocket library logs", Why: noWebsocket},
	{Name: "http_dir", Scope: Listen, Type: Text, Area: "WebSocket, HTTP and PROXY", Class: NoEffect, Help: "Directory of files to serve", Why: noWebsocket},
}
