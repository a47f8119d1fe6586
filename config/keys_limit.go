package config

import (
	"math"
	"time"
)

// limitKeys bound what one client, and what all of them together, may take.
var limitKeys = []Key{
	{Name: "max_packet_size", Type: Number, Default: "2000000", Area: "Limits", min: packetSizeMin, max: math.MaxInt32, bound: "'max_packet_size' must be >= 20.",
		Help: "Largest packet in bytes that is accepted; a client that sends a larger one is disconnected", set: numberInto(func(c *Config) *uint32 { return &c.MaxPacketSize })},
	{Name: "message_size_limit", Type: Number, Default: "0", Area: "Limits", max: payloadMax,
		Help: "Largest payload in bytes; a message with a larger one is acknowledged and dropped; 0 means no limit", set: numberInto(func(c *Config) *uint32 { return &c.MessageSizeLimit })},
	{Name: "max_keepalive", Type: Number, Default: "65535", Area: "Limits", max: 65535,
		Help: "Longest keep-alive in seconds; a 5.0 client is told, another refused; 65535 and 0 mean any, also none", set: numberInto(func(c *Config) *uint16 { return &c.MaxKeepAlive })},
	{Name: "connect_timeout", Type: Number, Default: "30", Area: "Limits", Ours: true, max: timeoutMaxSeconds,
		Help: "Seconds a connection may take until its CONNECT is complete, and then until it can be answered; 0 means no limit; Mosquitto has no such key",
		set:  func(p *parser, v value) { p.cfg.ConnectTimeout = time.Duration(v.number) * time.Second }},
	{Name: "global_max_connections", Type: Number, Default: "-1", Area: "Limits", min: -1, max: math.MaxInt32, clamp: true,
		Help: "How many connections the broker has at a time; one more is closed without a byte; -1 means no limit", set: numberInto(func(c *Config) *int { return &c.GlobalMaxConnections })},
	{Name: "global_max_clients", Type: Number, Default: "-1", Area: "Limits", min: -1, max: math.MaxInt32, clamp: true,
		Help: "How many clients the broker has at a time; one more is refused; -1 means no limit", set: numberInto(func(c *Config) *int { return &c.GlobalMaxClients })},
	{Name: "max_subscriptions", Type: Number, Default: "100000", Area: "Limits", Ours: true, max: math.MaxInt32,
		Help: "How many subscriptions a session may have, a filter of 16 levels and more counting once more for every 16; 0 means no limit", set: numberInto(func(c *Config) *int { return &c.MaxSubscriptions })},
	{Name: "max_retained_messages", Type: Number, Default: "0", Area: "Limits", Ours: true, max: math.MaxInt32,
		Help: "How many retained messages are kept; more are refused; 0 means no limit", set: numberInto(func(c *Config) *int { return &c.MaxRetainedMessages })},
	{Name: "max_retained_bytes", Type: Number, Default: "0", Area: "Limits", Ours: true, max: math.MaxInt64,
		Help: "How many bytes of retained messages are kept; more are refused; 0 means no limit", set: numberInto(func(c *Config) *int64 { return &c.MaxRetainedBytes })},
	{Name: "memory_limit", Type: Number, Default: "0", Area: "Limits", Restart: true, max: math.MaxInt64,
		Help: "Memory in bytes that the broker tries to stay below by collecting garbage more often; what clients may make it hold is bounded by the other keys of this area; 0 means no limit", set: numberInto(func(c *Config) *int64 { return &c.MemoryLimit })},
	{Name: "packet_buffer_size", Type: Number, Default: "4096", Area: "Limits", Class: NoEffect, Restart: true, min: 1, max: math.MaxInt32,
		Help: "Size of the read buffer of a connection", Why: "connections have no read buffer of their own"},
}
