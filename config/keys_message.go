package config

import "math"

// messageKeys say how messages are treated.
var messageKeys = []Key{
	{Name: "retain_available", Type: Bool, Default: "true", Area: "Messages",
		Help: "Keep retained messages; without it a client that sends one is disconnected", set: boolInto(func(c *Config) *bool { return &c.RetainAvailable })},
	{Name: "allow_duplicate_messages", Type: Bool, Default: "true", Area: "Messages",
		Help: "Send a client whose subscriptions overlap one copy for each; false sends one copy with the highest QoS", set: boolInto(func(c *Config) *bool { return &c.AllowDuplicateMessages })},
	{Name: "upgrade_outgoing_qos", Type: Bool, Default: "false", Area: "Messages",
		Help: "Deliver at the QoS of the subscription, also what was published with a lower one", set: boolInto(func(c *Config) *bool { return &c.UpgradeOutgoingQoS })},
	{Name: "queue_qos0_messages", Type: Bool, Default: "false", Area: "Messages",
		Help: "Queue QoS 0 messages too for sessions that are not connected", set: boolInto(func(c *Config) *bool { return &c.QueueQoS0Messages })},
	{Name: "max_inflight_messages", Type: Number, Default: "20", Area: "Messages", max: 65535, clamp: true, bound: "'max_inflight_messages' must be <= 65535.",
		Help: "How many QoS 1 and 2 messages may be unacknowledged in each direction; 0 means 65535", set: numberInto(func(c *Config) *int { return &c.MaxInflightMessages })},
	{Name: "max_inflight_bytes", Type: Number, Default: "0", Area: "Messages", max: math.MaxInt64, clamp: true,
		Help: "How many bytes of QoS 1 and 2 messages may be unacknowledged by a client, one message at least; 0 means no limit", set: numberInto(func(c *Config) *int64 { return &c.MaxInflightBytes })},
	{Name: "max_queued_messages", Type: Number, Default: "1000", Area: "Messages", max: math.MaxInt32, clamp: true,
		Help: "How many QoS 1 and 2 messages wait for a client behind those in flight; 0 means no limit of the configuration", set: numberInto(func(c *Config) *int { return &c.MaxQueuedMessages })},
	{Name: "max_queued_bytes", Type: Number, Default: "0", Area: "Messages", max: math.MaxInt64, clamp: true,
		Help: "How many bytes of messages wait for a client; 0 means no limit", set: numberInto(func(c *Config) *int64 { return &c.MaxQueuedBytes })},
	{Name: "slow_consumer_policy", Type: Word, Default: "drop-newest", Area: "Messages", Ours: true, choices: policyNames[:],
		Help: "What happens to a QoS 1 or 2 message for a full queue: it is dropped, the oldest makes room, the consumer is disconnected, or its publisher waits", set: (*parser).setPolicy},
	{Name: "max_output_bytes", Type: Number, Default: "2097152", Area: "Messages", Ours: true, min: 4096, max: 1 << 30,
		Help: "How much unsent output a client may have before QoS 0 messages to it are dropped; at twice as much, what the client sends is not read until it has read", set: numberInto(func(c *Config) *int { return &c.MaxOutputBytes })},
	{Name: "max_crossing_bytes", Type: Number, Default: "8388608", Area: "Messages", Ours: true, min: 65536, max: 1 << 40,
		Help: "How many bytes of messages wait between two event loops before publishers on the first one have to wait", set: numberInto(func(c *Config) *int64 { return &c.MaxCrossingBytes })},
	{Name: "shared_subscription_strategy", Type: Word, Default: "round-robin", Area: "Messages", Ours: true, Restart: true, choices: []string{"round-robin", "sticky", "hash-client", "hash-topic"},
		Help: "Which member of a shared subscription gets a message: each in turn, the same as long as it is there, by publisher, or by topic", set: textInto(func(c *Config) *string { return &c.SharedStrategy })},
	{Name: "retain_expiry_interval", Type: Number, Default: "0", Area: "Messages", Class: NoEffect, max: 1 << 20,
		Help: "Minutes between Mosquitto's searches for expired retained messages; here each is removed when it expires"},
	{Name: "retry_interval", Type: Text, Area: "Messages", Class: NoEffect, Retired: true, repeat: true, empty: true,
		Help: "Time to repetition of an unacknowledged message", Why: "MQTT forbids what it asked for; messages are repeated when a client reconnects"},
}

func (p *parser) setPolicy(v value) {
	for i, name := range policyNames {
		if name == v.text {
			p.cfg.SlowConsumer = Policy(i)
		}
	}
}
