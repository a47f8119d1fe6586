package config

import (
	"fmt"
	"math"
	"strings"
)

// bridgeKeys describe connections to other brokers. `connection` is refused, so what belongs to it needs no word of its own.
var bridgeKeys = []Key{
	{Name: "connection", Type: Text, Area: "Bridges", Class: Refused, repeat: true, Values: "a name", Help: "Begin a connection to another broker", Why: "there are no bridges in this build, and messages for and from the other broker would not travel",
		set: func(p *parser, _ value) { p.bridge = true }},
	bridgeText("address", "Addresses of the other broker"),
	bridgeText("addresses", "Another name of address"),
	{Name: "topic", Scope: Bridge, Type: List, Area: "Bridges", Class: NoEffect, Values: "PATTERN, a direction, a QoS and prefixes", Help: "What travels, and in which direction", set: (*parser).checkBridgeTopic},
	bridgeText("bridge_alpn", "Application protocol of the TLS handshake"),
	bridgeBool("bridge_attempt_unsubscribe", "true", "Unsubscribe from topics that only go out"),
	bridgeText("bridge_bind_address", "Local address of the connection"),
	bridgeText("bridge_cafile", "Certificates that the other broker is checked against"),
	bridgeText("bridge_capath", "Directory of certificates that the other broker is checked against"),
	bridgeText("bridge_certfile", "Certificate to show to the other broker"),
	bridgeText("bridge_ciphers", "Ciphers of TLS 1.2 that may be used"),
	bridgeText("bridge_ciphers_tls1.3", "Ciphers of TLS 1.3 that may be used"),
	bridgeText("bridge_identity", "Identity of a pre-shared key"),
	bridgeBool("bridge_insecure", "false", "Accept a certificate with another host name"),
	bridgeText("bridge_keyfile", "Private key for bridge_certfile"),
	bridgeNumber("bridge_max_packet_size", "0", math.MaxInt32, "Largest packet to the other broker"),
	bridgeNumber("bridge_max_topic_alias", "10", 65535, "How many topic aliases the other broker may set"),
	bridgeBool("bridge_outgoing_retain", "true", "Send the retain flag"),
	{Name: "bridge_protocol_version", Scope: Bridge, Type: Word, Default: "mqttv311", Area: "Bridges", Class: NoEffect, choices: []string{"mqttv31", "mqttv311", "mqttv50"}, Help: "Version of MQTT to speak"},
	bridgeText("bridge_psk", "Pre-shared key"),
	bridgeNumber("bridge_receive_maximum", "20", 65535, "How many messages of the other broker may be unacknowledged"),
	{Name: "bridge_reload_type", Scope: Bridge, Type: Word, Default: "lazy", Area: "Bridges", Class: NoEffect, choices: []string{"lazy", "immediate"}, Help: "When a changed bridge is reconnected"},
	bridgeBool("bridge_require_ocsp", "false", "Ask for a stapled OCSP answer"),
	bridgeText("bridge_session_expiry_interval", "Session expiry interval at the other broker"),
	bridgeText("bridge_tcp_keepalive", "Keep-alive of the TCP connection"),
	bridgeNumber("bridge_tcp_user_timeout", "0", math.MaxInt32, "How long sent data may stay unacknowledged"),
	bridgeBool("bridge_tls_use_os_certs", "false", "Check the other broker against the system's certificates"),
	bridgeText("bridge_tls_version", "Lowest version of TLS"),
	bridgeBool("cleansession", "false", "Begin with a clean session at the other broker"),
	bridgeText("clientid", "Another name of remote_clientid"),
	bridgeNumber("idle_timeout", "60", math.MaxInt32, "Seconds until a lazy bridge is stopped"),
	bridgeNumber("keepalive_interval", "60", 65535, "Keep-alive in seconds"),
	bridgeBool("local_cleansession", "", "Begin with a clean session here"),
	bridgeText("local_clientid", "Client identifier here"),
	bridgeText("local_password", "Password here"),
	bridgeText("local_username", "User name here"),
	bridgeText("notification_topic", "Topic that says whether the bridge is connected"),
	bridgeBool("notifications", "true", "Say whether the bridge is connected"),
	bridgeBool("notifications_local_only", "false", "Say it to this broker only"),
	bridgeText("password", "Another name of remote_password"),
	bridgeText("remote_clientid", "Client identifier at the other broker"),
	bridgeText("remote_password", "Password at the other broker"),
	bridgeText("remote_username", "User name at the other broker"),
	bridgeText("restart_timeout", "Seconds until the next attempt to connect"),
	bridgeBool("round_robin", "false", "Take each address in turn"),
	{Name: "start_type", Scope: Bridge, Type: Word, Default: "automatic", Area: "Bridges", Class: NoEffect, choices: []string{"automatic", "lazy", "once", "manual"}, Help: "When the bridge connects"},
	bridgeNumber("threshold", "10", math.MaxInt32, "How many messages start a lazy bridge"),
	bridgeBool("try_private", "true", "Tell the other broker that this is a bridge"),
	bridgeText("username", "Another name of remote_username"),
}

func bridgeText(name, help string) Key {
	return Key{Name: name, Scope: Bridge, Type: Text, Area: "Bridges", Class: NoEffect, Help: help}
}

func bridgeBool(name, fallback, help string) Key {
	return Key{Name: name, Scope: Bridge, Type: Bool, Default: fallback, Area: "Bridges", Class: NoEffect, Help: help}
}

func bridgeNumber(name, fallback string, most int64, help string) Key {
	return Key{Name: name, Scope: Bridge, Type: Number, Default: fallback, Area: "Bridges", Class: NoEffect, max: most, clamp: true, Help: help}
}

// checkBridgeTopic finds a quoted pattern that does not end.
func (p *parser) checkBridgeTopic(v value) {
	if strings.HasPrefix(v.text, `"`) && !strings.Contains(v.text[1:], `"`) {
		p.fail(fmt.Sprintf("Missing closing quote in topic value (%s).", shown(v.text)), "")
	}
}
