package config

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

const bridgeArea = "Bridges"

// bridgeKeys describe connections to other brokers.
var bridgeKeys = []Key{
	{Name: "connection", Type: Text, Area: bridgeArea, Class: NoEffect, Restart: true, repeat: true, fileOnly: true, Values: "a name",
		Help: "Begin the description of a connection to another broker; each is noted at start, and none is made", set: (*parser).setConnection},
	bridgeList("address", "HOST, HOST:PORT, several of them with blanks between", "Addresses of the other broker", (*parser).setBridgeAddress),
	{Name: "addresses", Alias: "address", Scope: PerBridge, Type: List, Area: bridgeArea, Class: NoEffect, Restart: true, Retired: true, Help: "Another name of address", set: (*parser).setBridgeAddress},
	{Name: "topic", Scope: PerBridge, Type: List, Area: bridgeArea, Class: NoEffect, Restart: true, adds: true, Values: "PATTERN [out, in or both] [QOS] [LOCAL-PREFIX] [REMOTE-PREFIX], with \"\" for nothing",
		Help: "What travels, and in which direction", set: (*parser).setBridgeTopic},
	bridgeText("bridge_alpn", "Application protocol of the TLS handshake", func(b *Bridge) *string { return &b.TLS.ALPN }),
	bridgeBool("bridge_attempt_unsubscribe", "true", "Unsubscribe from topics that only go out", func(b *Bridge) *bool { return &b.AttemptUnsubscribe }),
	bridgeText("bridge_bind_address", "Local address of the connection", func(b *Bridge) *string { return &b.BindAddress }),
	bridgeCert("bridge_cafile", "Certificates that the other broker is checked against", func(b *Bridge) *string { return &b.TLS.CAFile }),
	bridgeCert("bridge_capath", "Directory of certificates that the other broker is checked against", func(b *Bridge) *string { return &b.TLS.CAPath }),
	bridgeCert("bridge_certfile", "Certificate to show to the other broker", func(b *Bridge) *string { return &b.TLS.CertFile }),
	bridgeText("bridge_ciphers", "Ciphers of TLS 1.2 that may be used", func(b *Bridge) *string { return &b.TLS.Ciphers }),
	bridgeText("bridge_ciphers_tls1.3", "Ciphers of TLS 1.3 that may be used", func(b *Bridge) *string { return &b.TLS.CipherSuites }),
	bridgePSK("bridge_identity", "Identity of a pre-shared key", func(b *Bridge) *string { return &b.TLS.Identity }),
	bridgeBool("bridge_insecure", "false", "Accept a certificate with another host name", func(b *Bridge) *bool { return &b.TLS.Insecure }),
	bridgeCert("bridge_keyfile", "Private key for bridge_certfile", func(b *Bridge) *string { return &b.TLS.KeyFile }),
	bridgeNumber("bridge_max_packet_size", "0", 0, math.MaxInt32, "Largest packet to the other broker in bytes; 0 means no limit", func(b *Bridge, n int64) { b.MaxPacketSize = uint32(n) }),
	bridgeNumber("bridge_max_topic_alias", "10", 0, 65535, "How many topic aliases the other broker may set", func(b *Bridge, n int64) { b.MaxTopicAlias = uint16(n) }),
	bridgeBool("bridge_outgoing_retain", "true", "Send the retain flag", func(b *Bridge) *bool { return &b.OutgoingRetain }),
	bridgeWord("bridge_protocol_version", "mqttv311", []string{"mqttv31", "mqttv311", "mqttv50"}, "Version of MQTT to speak", (*parser).setBridgeVersion),
	secret(bridgePSK("bridge_psk", "Pre-shared key", func(b *Bridge) *string { return &b.TLS.PSK })),
	bridgeNumber("bridge_receive_maximum", "20", 1, 65535, "How many messages of the other broker may be unacknowledged", func(b *Bridge, n int64) { b.ReceiveMaximum = uint16(n) }),
	bridgeWord("bridge_reload_type", "lazy", []string{"lazy", "immediate"}, "When a changed bridge is reconnected", func(p *parser, v value) { p.bridge.ReloadImmediate = v.text == "immediate" }),
	bridgeBool("bridge_require_ocsp", "false", "Ask for a stapled OCSP answer", func(b *Bridge) *bool { return &b.TLS.RequireOCSP }),
	bridgeNumber("bridge_session_expiry_interval", "0", 0, math.MaxUint32, "Session expiry interval at the other broker in seconds", func(b *Bridge, n int64) { b.SessionExpiry = uint32(n) }),
	bridgeList("bridge_tcp_keepalive", "three numbers: seconds until the first probe, seconds between probes, and how many", "Keep-alive of the TCP connection", (*parser).setBridgeTCPKeepAlive),
	bridgeNumber("bridge_tcp_user_timeout", "0", 0, math.MaxInt32, "How long sent data may stay unacknowledged", func(b *Bridge, n int64) { b.TCPUserTimeout = int(n) }),
	bridgeBool("bridge_tls_use_os_certs", "false", "Check the other broker against the system's certificates", func(b *Bridge) *bool { return &b.TLS.UseOSCerts }),
	bridgeText("bridge_tls_version", "Lowest version of TLS", func(b *Bridge) *string { return &b.TLS.MinVersion }),
	bridgeBool("cleansession", "false", "Begin with a clean session at the other broker", func(b *Bridge) *bool { return &b.CleanSession }),
	bridgeAlias("clientid", "remote_clientid", func(b *Bridge) *string { return &b.RemoteClientID }),
	bridgeNumber("idle_timeout", "60", 1, math.MaxInt32, "Seconds until a lazy bridge is stopped", func(b *Bridge, n int64) { b.IdleTimeout = time.Duration(n) * time.Second }),
	keepAliveKey(),
	{Name: "local_cleansession", Scope: PerBridge, Type: Bool, Area: bridgeArea, Class: NoEffect, Restart: true, Values: "true or false; without the line what cleansession says",
		Help: "Begin with a clean session here", set: func(p *parser, v value) { p.bridge.LocalCleanSession = &v.on }},
	bridgeText("local_clientid", "Client identifier here", func(b *Bridge) *string { return &b.LocalClientID }),
	secret(bridgeText("local_password", "Password here", func(b *Bridge) *string { return &b.LocalPassword })),
	bridgeText("local_username", "User name here", func(b *Bridge) *string { return &b.LocalUserName }),
	bridgeText("notification_topic", "Topic that says whether the bridge is connected", func(b *Bridge) *string { return &b.NotificationTopic }),
	bridgeBool("notifications", "true", "Say whether the bridge is connected", func(b *Bridge) *bool { return &b.Notifications }),
	bridgeBool("notifications_local_only", "false", "Say it to this broker only", func(b *Bridge) *bool { return &b.NotificationsLocalOnly }),
	secret(bridgeAlias("password", "remote_password", func(b *Bridge) *string { return &b.RemotePassword })),
	bridgeText("remote_clientid", "Client identifier at the other broker", func(b *Bridge) *string { return &b.RemoteClientID }),
	secret(bridgeText("remote_password", "Password at the other broker", func(b *Bridge) *string { return &b.RemotePassword })),
	bridgeText("remote_username", "User name at the other broker", func(b *Bridge) *string { return &b.RemoteUserName }),
	bridgeList("restart_timeout", "SECONDS, or BASE and CAP: the time grows at random from one to the other; without the line 5 30", "Seconds until the next attempt to connect", (*parser).setRestartTimeout),
	bridgeBool("round_robin", "false", "Take each address in turn", func(b *Bridge) *bool { return &b.RoundRobin }),
	{Name: "start_type", Scope: PerBridge, Type: List, Default: "automatic", Area: bridgeArea, Class: NoEffect, Restart: true, Values: "automatic, lazy or once",
		Help: "When the bridge connects", set: (*parser).setStartType},
	bridgeNumber("threshold", "10", 1, math.MaxInt32, "How many messages start a lazy bridge", func(b *Bridge, n int64) { b.Threshold = int(n) }),
	bridgeBool("try_private", "true", "Tell the other broker that this is a bridge", func(b *Bridge) *bool { return &b.TryPrivate }),
	bridgeAlias("username", "remote_username", func(b *Bridge) *string { return &b.RemoteUserName }),
}

func bridgeKey(name string, t Type, fallback, help string, set func(*parser, value)) Key {
	return Key{Name: name, Scope: PerBridge, Type: t, Default: fallback, Area: bridgeArea, Class: NoEffect, Restart: true, Help: help, set: set}
}

func bridgeText(name, help string, field func(*Bridge) *string) Key {
	return bridgeKey(name, Text, "", help, func(p *parser, v value) { *field(p.bridge) = v.text })
}

func bridgeAlias(name, of string, field func(*Bridge) *string) Key {
	k := bridgeText(name, "Another name of "+of, field)
	k.Alias, k.Retired = of, true
	return k
}

func secret(k Key) Key {
	k.Secret = true
	return k
}

func bridgeBool(name, fallback, help string, field func(*Bridge) *bool) Key {
	return bridgeKey(name, Bool, fallback, help, func(p *parser, v value) { *field(p.bridge) = v.on })
}

func bridgeNumber(name, fallback string, least, most int64, help string, set func(*Bridge, int64)) Key {
	k := bridgeKey(name, Number, fallback, help, func(p *parser, v value) { set(p.bridge, v.number) })
	k.min, k.max, k.clamp = least, most, true
	return k
}

func keepAliveKey() Key {
	k := bridgeNumber("keepalive_interval", "60", 5, 65535, "Keep-alive in seconds; less than 5 counts as 5", func(b *Bridge, n int64) { b.KeepAlive = time.Duration(n) * time.Second })
	k.bound = "Bridge keepalive value too high."
	return k
}

func bridgeWord(name, fallback string, choices []string, help string, set func(*parser, value)) Key {
	k := bridgeKey(name, Word, fallback, help, set)
	k.choices = choices
	return k
}

func bridgeList(name, values, help string, set func(*parser, value)) Key {
	k := bridgeKey(name, List, "", help, set)
	k.Values = values
	return k
}

// A bridge has certificates or a pre-shared key.

const certificateAndKey = "Cannot use both certificate and psk encryption in a single bridge."

func bridgeCert(name, help string, field func(*Bridge) *string) Key {
	return bridgeKey(name, Text, "", help, func(p *parser, v value) {
		if p.bridge.TLS.Identity != "" || p.bridge.TLS.PSK != "" {
			p.fail(certificateAndKey, "")
		}
		*field(p.bridge) = v.text
	})
}

func bridgePSK(name, help string, field func(*Bridge) *string) Key {
	return bridgeKey(name, Text, "", help, func(p *parser, v value) {
		if p.bridge.TLS.certificate() {
			p.fail(certificateAndKey, "")
		}
		*field(p.bridge) = v.text
	})
}

func (p *parser) setConnection(v value) {
	v = p.firstWord(v)
	if slices.ContainsFunc(p.bridges, func(b *Bridge) bool { return b.Name == v.text }) {
		p.fail(fmt.Sprintf("Duplicate bridge name '%s'.", shown(v.text)), "")
	}
	p.bridge = newBridge(v.text)
	p.bridge.File, p.bridge.Line = p.file, p.line
	if len(p.bridges) == bridgesMax {
		p.fail(fmt.Sprintf("Too many bridges: there can be %d.", bridgesMax), "")
		return
	}
	p.bridges = append(p.bridges, p.bridge)
}

// setBridgeAddress reads `HOST[:PORT] ...`. What follows the last colon is the port, also of an IPv6 address without
// brackets, as in Mosquitto.
func (p *parser) setBridgeAddress(v value) {
	if len(p.bridge.Addresses) > 0 {
		p.fail(fmt.Sprintf("Duplicate '%s' value in configuration.", v.name), "all addresses of a bridge stand in one line")
		return
	}
	for _, item := range strings.Fields(v.text) {
		a := BridgeAddress{Host: item, Port: defaultPort}
		if i := strings.LastIndexByte(item, ':'); i >= 0 && !strings.HasSuffix(item, "]") {
			port, err := strconv.ParseUint(item[i+1:], 10, 16)
			if err != nil || port == 0 {
				p.fail(fmt.Sprintf("Invalid 'port' value (%s).", shown(item[i+1:])), "a port is a number from 1 to 65535")
				return
			}
			a.Host, a.Port = item[:i], uint16(port)
		}
		a.Host = strings.TrimSuffix(strings.TrimPrefix(a.Host, "["), "]")
		if a.Host == "" {
			p.invalid(v)
			return
		}
		p.bridge.Addresses = append(p.bridge.Addresses, a)
	}
}

func (p *parser) setBridgeVersion(v value) {
	p.bridge.ProtocolLevel = map[string]uint8{"mqttv31": 3, "mqttv311": 4, "mqttv50": 5}[v.text]
}

func (p *parser) setBridgeTCPKeepAlive(v value) {
	words := strings.Fields(v.text)
	var n [3]int
	for i := range n {
		var err error
		if len(words) == len(n) {
			n[i], err = strconv.Atoi(words[i])
		}
		if len(words) != len(n) || err != nil || n[i] < 1 || n[i] > math.MaxInt32 {
			p.invalid(v)
			return
		}
	}
	p.bridge.TCPKeepAlive = BridgeTCPKeepAlive{n[0], n[1], n[2]}
}

// setRestartTimeout reads `SECONDS` or `BASE CAP`. Less than a second counts as one, as in Mosquitto.
func (p *parser) setRestartTimeout(v value) {
	words := strings.Fields(v.text)
	var seconds [2]int64
	for i, w := range words[:min(len(words), 2)] {
		n, err := strconv.ParseInt(w, 10, 32)
		if err != nil {
			p.fail("'restart_timeout' value not a number.", wanted(v.key))
			return
		}
		seconds[i] = n
	}
	base, most := max(seconds[0], 1), seconds[1]
	if len(words) > 1 && most < base {
		p.fail("backoff cap is lower than the base in restart_timeout.", "the second number is at least the first")
		return
	}
	p.bridge.RestartBase, p.bridge.RestartCap = time.Duration(base)*time.Second, time.Duration(most)*time.Second
}

func (p *parser) setStartType(v value) {
	v = p.firstWord(v)
	switch v.text {
	case "automatic", "lazy", "once":
		p.bridge.StartType = v.text
	case "manual":
		p.fail("Manual start_type not supported.", wanted(v.key))
	default:
		p.invalid(v)
	}
}

// keepBridges checks what can be checked only when a bridge is complete, and notes that none is made.
func (p *parser) keepBridges() {
	for _, b := range p.bridges {
		p.file, p.line = b.File, b.Line
		missing := cmp.Or(
			missing(len(b.Addresses) == 0, "no remote addresses defined"),
			missing(len(b.Topics) == 0, "no topics defined"),
			missing(b.TLS.PSK != "" && b.TLS.Identity == "", "missing bridge_identity"),
			missing(b.TLS.Identity != "" && b.TLS.PSK == "", "missing bridge_psk"))
		if missing != "" {
			p.fail(fmt.Sprintf("Invalid bridge configuration: %s.", missing), fmt.Sprintf("this is about the connection '%s'", shown(b.Name)))
			continue
		}
		p.note(fmt.Sprintf("The bridge '%s' has no effect in this build: nothing travels to or from %s.", shown(b.Name), shown(b.Addresses[0].Host)))
		p.cfg.Bridges = append(p.cfg.Bridges, *b)
	}
}

func missing(is bool, what string) string {
	if is {
		return what
	}
	return ""
}
