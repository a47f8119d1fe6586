package shard

// Counters is what one shard has counted since its start. Loop thread only; the control plane gets a copy.
type Counters struct {
	Connects, Pings, Handovers, TakeOvers uint64
	Wills                                 uint64
	Subscriptions                         uint64
	Injected                              uint64

	// Received and Sent count PUBLISH packets by QoS, ReceivedBytes and SentBytes their payloads.
	Received, Sent           [3]uint64
	ReceivedBytes, SentBytes uint64
	// Packets counts packets received, of every type; Answers those sent that are not PUBLISH.
	Packets, Answers uint64
	// Filters and SharedFilters are the subscriptions that sessions have now, without and with $share.
	Filters, SharedFilters int64
	// Stored and StoredBytes are the messages in queues, in windows, held for PUBREL and retained, each once, and their
	// payloads. Only the sum over the shards means anything: a message may leave another loop's queue last.
	Stored, StoredBytes int64
	// Denied counts what rights forbade, by auth.Action.
	Denied [4]uint64
	// Crossed counts publications posted to other loops.
	Crossed uint64
	// Redirected counts shared deliveries that went to a second member.
	Redirected uint64

	// What was refused or dropped, and why. Each has a line in the log too.
	ProtocolErrors       uint64
	RefusedConnections   uint64 // max_connections, global_max_connections
	RefusedHandshakes    uint64 // max_tls_handshakes
	RefusedConnects      uint64 // answered in CONNACK
	RefusedLogins        uint64 // of them: not authorised, or too many wait (auth_queue_limit)
	RefusedControl       uint64 // $CONTROL messages beyond controlQueue
	RefusedSubscriptions uint64 // max_subscriptions
	RefusedRetained      uint64 // max_retained_messages, max_retained_bytes
	Oversize             uint64 // message_size_limit
	RefusedTopics        uint64 // publications to $SYS and $share
	TooLargeForClient    uint64 // the client's maximum packet size
	DroppedQueued        uint64 // max_queued_messages, max_queued_bytes
	DroppedOutput        uint64 // max_output_bytes
	DroppedShared        uint64 // no member took it
	Throttled            uint64 // publishers held by slow_consumer_policy throttle
	Choked               uint64 // clients not read on because they did not take their answers
	Crowded              uint64 // publishers held by max_crossing_bytes
	HeldWaiting          uint64 // clients held by persistence_max_waiting
	RefusedStoring       uint64 // QoS 1 and 2 messages while nothing can be stored
	Slowed               uint64 // clients not read from for a while because of a rate limit
	Expired              uint64 // messages
	ExpiredSessions      uint64
	UnknownAcks          uint64
	ReusedIDs            uint64
	OverReceiveMax       uint64

	retainedLogMinute uint32
}

// add sums another shard's counters into c.
func (c *Counters) add(o *Counters) {
	sum := [...]struct{ to, from *uint64 }{
		{&c.Connects, &o.Connects}, {&c.Pings, &o.Pings}, {&c.Handovers, &o.Handovers}, {&c.TakeOvers, &o.TakeOvers},
		{&c.Wills, &o.Wills}, {&c.Subscriptions, &o.Subscriptions}, {&c.Injected, &o.Injected}, {&c.Crossed, &o.Crossed},
		{&c.Redirected, &o.Redirected}, {&c.ProtocolErrors, &o.ProtocolErrors},
		{&c.RefusedConnections, &o.RefusedConnections}, {&c.RefusedHandshakes, &o.RefusedHandshakes}, {&c.RefusedConnects, &o.RefusedConnects},
		{&c.RefusedLogins, &o.RefusedLogins}, {&c.RefusedControl, &o.RefusedControl},
		{&c.RefusedSubscriptions, &o.RefusedSubscriptions}, {&c.RefusedRetained, &o.RefusedRetained},
		{&c.Oversize, &o.Oversize}, {&c.RefusedTopics, &o.RefusedTopics}, {&c.TooLargeForClient, &o.TooLargeForClient},
		{&c.DroppedQueued, &o.DroppedQueued}, {&c.DroppedOutput, &o.DroppedOutput},
		{&c.DroppedShared, &o.DroppedShared}, {&c.Throttled, &o.Throttled}, {&c.Choked, &o.Choked}, {&c.Crowded, &o.Crowded}, {&c.HeldWaiting, &o.HeldWaiting}, {&c.RefusedStoring, &o.RefusedStoring},
		{&c.Slowed, &o.Slowed}, {&c.Expired, &o.Expired},
		{&c.ExpiredSessions, &o.ExpiredSessions}, {&c.UnknownAcks, &o.UnknownAcks}, {&c.ReusedIDs, &o.ReusedIDs},
		{&c.OverReceiveMax, &o.OverReceiveMax},
	}
	for _, f := range sum {
		*f.to += *f.from
	}
	for a := range c.Denied {
		c.Denied[a] += o.Denied[a]
	}
	c.ReceivedBytes += o.ReceivedBytes
	c.SentBytes += o.SentBytes
	c.Packets += o.Packets
	c.Answers += o.Answers
	c.Filters += o.Filters
	c.SharedFilters += o.SharedFilters
	c.Stored += o.Stored
	c.StoredBytes += o.StoredBytes
	for q := range c.Received {
		c.Received[q] += o.Received[q]
		c.Sent[q] += o.Sent[q]
	}
}
