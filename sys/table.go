package sys

import (
	"fmt"
	"strconv"

	"github.com/noctulemq/noctule/auth"
	"github.com/noctulemq/noctule/shard"
)

// topic is one line of the table.
type topic struct {
	// name stands below prefix; help is what docs/sys.md says of it.
	name, help string
	// text makes the payload; "" while there is nothing to publish.
	text func(v *view) string
}

// topics returns the whole table for a broker of this many loops, in the order of publication.
func topics(loops int) []topic {
	list := append([]topic(nil), mosquitto...)
	list = append(list, loadTopics()...)
	list = append(list, own...)
	for i := range loops {
		list = append(list, loopTopics(i)...)
	}
	return list
}

func unsigned(f func(v *view) uint64) func(v *view) string {
	return func(v *view) string { return strconv.FormatUint(f(v), 10) }
}

func signed(f func(v *view) int64) func(v *view) string {
	return func(v *view) string { return strconv.FormatInt(f(v), 10) }
}

// counter is unsigned for a field of the summed counters.
func counter(f func(c *shard.Counters) uint64) func(v *view) string {
	return func(v *view) string { return strconv.FormatUint(f(&v.figures.Counters), 10) }
}

// mosquitto is the topics that Mosquitto publishes too, but for the loads.
var mosquitto = []topic{
	{"version", "The program and its version, `noctule version x.y.z`. Published once.",
		func(v *view) string { return "noctule version " + v.version }},
	{"uptime", "Time since the start, `N seconds`.",
		func(v *view) string { return strconv.FormatInt(int64(v.now.Sub(v.start).Seconds()), 10) + " seconds" }},

	{"clients/total", "Clients that are connected, and those that are away and whose session is kept.", signed((*view).clientsTotal)},
	{"clients/maximum", "The most that `clients/total` was at an update. Published when there has been a client.",
		func(v *view) string {
			if v.clientsMax == 0 {
				return ""
			}
			return strconv.FormatInt(v.clientsMax, 10)
		}},
	{"clients/inactive", "The old name of `clients/disconnected`.", signed(clientsDisconnected)},
	{"clients/disconnected", "Clients that are away and whose session is kept.", signed(clientsDisconnected)},
	{"clients/active", "The old name of `clients/connected`.", signed(clientsConnected)},
	{"clients/connected", "Clients that are connected.", signed(clientsConnected)},
	{"clients/expired", "Sessions that ended because their time was over.",
		counter(func(c *shard.Counters) uint64 { return c.ExpiredSessions })},
	{"connections/socket/count", "Network connections that are open, also those that have not sent CONNECT.",
		signed(func(v *view) int64 { return v.figures.Connections })},

	{"messages/stored", "The old name of `store/messages/count`.", signed(stored)},
	{"messages/received", "Packets of every type received.", counter(func(c *shard.Counters) uint64 { return c.Packets })},
	{"messages/sent", "Packets of every type sent.", unsigned((*view).packetsSent)},
	{"store/messages/count", "Messages that are kept: retained, queued for a client, or not acknowledged yet. Each counts once, " +
		"however many clients it waits for.", signed(stored)},
	{"store/messages/bytes", "Bytes of the payloads of these messages.", signed(func(v *view) int64 { return v.figures.StoredBytes })},
	{"subscriptions/count", "Subscriptions of all sessions, without shared ones.", signed(func(v *view) int64 { return v.figures.Filters })},
	{"shared_subscriptions/count", "Shared subscriptions of all sessions; each member of a group counts.",
		signed(func(v *view) int64 { return v.figures.SharedFilters })},
	{"retained messages/count", "Topics with a retained message, these topics included.",
		signed(func(v *view) int64 { return v.figures.RetainedMessages })},

	{"heap/current", "Bytes of memory in use on the Go heap.", unsigned(func(v *view) uint64 { return v.heap })},
	{"heap/maximum", "The most that `heap/current` was at an update.", unsigned(func(v *view) uint64 { return v.heapMax })},

	{"publish/messages/dropped", "PUBLISH messages that were not sent because a queue or an output was full, or no member of a " +
		"shared group took them.", unsigned((*view).dropped)},
	{"publish/messages/received", "PUBLISH packets received.", unsigned(func(v *view) uint64 { return sum(v.figures.Received) })},
	{"publish/messages/sent", "PUBLISH packets sent.", unsigned(func(v *view) uint64 { return sum(v.figures.Sent) })},
	{"publish/bytes/received", "Bytes of the payloads of PUBLISH packets received.",
		counter(func(c *shard.Counters) uint64 { return c.ReceivedBytes })},
	{"publish/bytes/sent", "Bytes of the payloads of PUBLISH packets sent.",
		counter(func(c *shard.Counters) uint64 { return c.SentBytes })},
	{"bytes/received", "Bytes received from the network.", unsigned(func(v *view) uint64 { return v.bytesIn })},
	{"bytes/sent", "Bytes sent to the network.", unsigned(func(v *view) uint64 { return v.bytesOut })},
	{"packet/out/count", "Packets that wait to be sent because their client does not read: `packet/out/bytes` by the mean size " +
		"of packets sent so far, at least 1.", signed((*view).unsentPackets)},
	{"packet/out/bytes", "Bytes that wait to be sent because their client does not read.", signed(func(v *view) int64 { return v.unsent })},
}

func clientsConnected(v *view) int64    { return v.figures.Clients }
func clientsDisconnected(v *view) int64 { return v.clientsTotal() - v.figures.Clients }
func stored(v *view) int64              { return v.figures.Stored }

// loadNames are the topics of the loads, in the order of their counters.
var loadNames = [loadCount]struct{ name, help string }{
	loadMessagesReceived: {"messages/received", "packets of every type received"},
	loadMessagesSent:     {"messages/sent", "packets of every type sent"},
	loadPublishDropped:   {"publish/dropped", "PUBLISH messages dropped"},
	loadPublishReceived:  {"publish/received", "PUBLISH packets received"},
	loadPublishSent:      {"publish/sent", "PUBLISH packets sent"},
	loadBytesReceived:    {"bytes/received", "bytes received"},
	loadBytesSent:        {"bytes/sent", "bytes sent"},
	loadSockets:          {"sockets", "network connections opened"},
	loadConnections:      {"connections", "CONNECT packets received"},
}

func loadTopics() []topic {
	var list []topic
	for w, minutes := range windows {
		for i, l := range loadNames {
			name := "load/" + l.name + "/" + strconv.Itoa(int(minutes)) + "min"
			list = append(list, topic{name, "Per minute: " + l.help + ".",
				func(v *view) string { return strconv.FormatFloat(v.loads[i].averages[w], 'f', 2, 64) }})
		}
	}
	return list
}

// own is Noctule's own topics about the whole broker. The names are stable: they are added to, not changed.
var own = []topic{
	{"noctule/loops/count", "Event loops.", func(v *view) string { return strconv.Itoa(len(v.figures.Loops)) }},

	{"noctule/connects/accepted", "CONNECT packets accepted.", counter(func(c *shard.Counters) uint64 { return c.Connects })},
	{"noctule/connects/moved", "Connections handed over to the loop where their client lives.",
		counter(func(c *shard.Counters) uint64 { return c.Handovers })},
	{"noctule/connects/taken_over", "Connections ended by another one with their client identifier.",
		counter(func(c *shard.Counters) uint64 { return c.TakeOvers })},
	{"noctule/pings", "PINGREQ packets received.", counter(func(c *shard.Counters) uint64 { return c.Pings })},
	{"noctule/subscriptions/entered", "Subscriptions entered that were not there before.",
		counter(func(c *shard.Counters) uint64 { return c.Subscriptions })},

	{"noctule/messages/crossed", "Messages posted from one loop to another, each loop counted.",
		counter(func(c *shard.Counters) uint64 { return c.Crossed })},
	{"noctule/messages/injected", "Messages the broker published itself, these included.",
		counter(func(c *shard.Counters) uint64 { return c.Injected })},
	{"noctule/messages/wills", "Wills published.", counter(func(c *shard.Counters) uint64 { return c.Wills })},
	{"noctule/messages/redirected", "Messages to a shared group that another member got in place of the first.",
		counter(func(c *shard.Counters) uint64 { return c.Redirected })},
	{"noctule/messages/expired", "Messages that were not delivered because their expiry interval was over.",
		counter(func(c *shard.Counters) uint64 { return c.Expired })},

	{"noctule/refused/sockets", "Network connections turned away: `max_connections`, `global_max_connections`.",
		counter(func(c *shard.Counters) uint64 { return c.RefusedConnections })},
	{"noctule/refused/accepts", "Network connections turned away for lack of descriptors or memory.",
		unsigned(func(v *view) (n uint64) {
			for i := range v.figures.Loops {
				n += v.figures.Loops[i].Stats.AcceptErrors
			}
			return n
		})},
	{"noctule/refused/handshakes", "Network connections closed because too many TLS handshakes were under way: `max_tls_handshakes`.",
		counter(func(c *shard.Counters) uint64 { return c.RefusedHandshakes })},
	{"noctule/refused/connects", "CONNECT packets refused, for whatever reason.",
		counter(func(c *shard.Counters) uint64 { return c.RefusedConnects })},
	{"noctule/refused/logins", "Of them: not authorised, or too many waited for their login.",
		counter(func(c *shard.Counters) uint64 { return c.RefusedLogins })},
	{"noctule/refused/control", "Messages to `$CONTROL` refused because too many waited.",
		counter(func(c *shard.Counters) uint64 { return c.RefusedControl })},
	{"noctule/refused/subscriptions", "Subscriptions refused: `max_subscriptions`.",
		counter(func(c *shard.Counters) uint64 { return c.RefusedSubscriptions })},
	{"noctule/refused/retained", "Messages not retained: `max_retained_messages`, `max_retained_bytes`.",
		counter(func(c *shard.Counters) uint64 { return c.RefusedRetained })},
	{"noctule/refused/oversize", "Messages refused: `message_size_limit`.", counter(func(c *shard.Counters) uint64 { return c.Oversize })},
	{"noctule/refused/topics", "Messages refused because only the broker publishes to their topic.",
		counter(func(c *shard.Counters) uint64 { return c.RefusedTopics })},
	{"noctule/refused/store", "QoS 1 and 2 messages and subscriptions refused because nothing could be stored.",
		counter(func(c *shard.Counters) uint64 { return c.RefusedStoring })},
	{"noctule/denied/publish", "Messages that a client had no right to publish.",
		counter(func(c *shard.Counters) uint64 { return c.Denied[auth.Publish] })},
	{"noctule/denied/receive", "Messages that a subscriber had no right to receive.",
		counter(func(c *shard.Counters) uint64 { return c.Denied[auth.Receive] })},
	{"noctule/denied/subscribe", "Subscriptions that a client had no right to.",
		counter(func(c *shard.Counters) uint64 { return c.Denied[auth.Subscribe] })},
	{"noctule/denied/unsubscribe", "Subscriptions that a client had no right to end.",
		counter(func(c *shard.Counters) uint64 { return c.Denied[auth.Unsubscribe] })},

	{"noctule/dropped/queue", "Messages dropped because a session's queue was full: `max_queued_messages`, `max_queued_bytes`.",
		counter(func(c *shard.Counters) uint64 { return c.DroppedQueued })},
	{"noctule/dropped/output", "QoS 0 messages dropped because their client did not read: `max_output_bytes`.",
		counter(func(c *shard.Counters) uint64 { return c.DroppedOutput })},
	{"noctule/dropped/shared", "Messages to a shared group that no member took.",
		counter(func(c *shard.Counters) uint64 { return c.DroppedShared })},
	{"noctule/dropped/packet_size", "Messages not sent because of the client's maximum packet size.",
		counter(func(c *shard.Counters) uint64 { return c.TooLargeForClient })},

	{"noctule/held/publishers", "Times a publisher was held back for a full queue: `slow_consumer_policy throttle`.",
		counter(func(c *shard.Counters) uint64 { return c.Throttled })},
	{"noctule/held/readers", "Times a client was not read from because it did not read its answers.",
		counter(func(c *shard.Counters) uint64 { return c.Choked })},
	{"noctule/held/crossing", "Times a publisher was held back for a loop that was behind: `max_crossing_bytes`.",
		counter(func(c *shard.Counters) uint64 { return c.Crowded })},
	{"noctule/held/store", "Times a client was held back because it waited for too many acknowledgements: `persistence_max_waiting`.",
		counter(func(c *shard.Counters) uint64 { return c.HeldWaiting })},
	{"noctule/held/rate", "Times a client was not read from because of a rate limit.",
		counter(func(c *shard.Counters) uint64 { return c.Slowed })},

	{"noctule/store/trouble", "1 while nothing can be stored, else 0; the log says why.", func(v *view) string {
		if v.figures.Store.Trouble != nil {
			return "1"
		}
		return "0"
	}},
	{"noctule/store/commits", "Batches of changes that were stored.", unsigned(func(v *view) uint64 { return v.figures.Store.Commits })},
	{"noctule/store/changes", "Changes in them.", unsigned(func(v *view) uint64 { return v.figures.Store.Ops })},
	{"noctule/store/syncs", "Times the disk was told to write at once.", unsigned(func(v *view) uint64 { return v.figures.Store.Syncs })},
	{"noctule/store/written", "Bytes that were written to the journal.", unsigned(func(v *view) uint64 { return v.figures.Store.BytesWritten })},
	{"noctule/store/bytes", "Bytes on disk.", signed(func(v *view) int64 { return v.figures.Store.DiskBytes })},
	{"noctule/store/set_aside", "Damaged files and records that were set aside.", unsigned(func(v *view) uint64 { return v.figures.Store.SetAside })},

	{"noctule/errors/protocol", "Connections ended because of what their client sent.",
		counter(func(c *shard.Counters) uint64 { return c.ProtocolErrors })},
	{"noctule/errors/unknown_acks", "Acknowledgements of messages that were not in flight.",
		counter(func(c *shard.Counters) uint64 { return c.UnknownAcks })},
	{"noctule/errors/reused_ids", "QoS 2 messages dropped because their packet identifier was used again.",
		counter(func(c *shard.Counters) uint64 { return c.ReusedIDs })},
	{"noctule/errors/receive_maximum", "Clients that sent more than the receive maximum allows.",
		counter(func(c *shard.Counters) uint64 { return c.OverReceiveMax })},
}

// loopTopics is the topics of one loop.
func loopTopics(i int) []topic {
	at := "noctule/loops/" + strconv.Itoa(i) + "/"
	return []topic{
		{at + "wakeups/second", "How often the loop woke up from its sleep since the last update, per second.",
			func(v *view) string {
				if v.seconds == 0 {
					return "0.00"
				}
				n, _ := v.wakeups(i)
				return fmt.Sprintf("%.2f", float64(n)/v.seconds)
			}},
		{at + "wakeups/message", "The same per PUBLISH packet received or sent by the loop; 0 when there was none.",
			func(v *view) string {
				if v.seconds == 0 {
					return "0.0000"
				}
				n, messages := v.wakeups(i)
				if messages == 0 {
					return "0.0000"
				}
				return fmt.Sprintf("%.4f", float64(n)/float64(messages))
			}},
		{at + "messages/crossed", "Messages that the loop posted to other loops.",
			unsigned(func(v *view) uint64 { return v.figures.Loops[i].Counters.Crossed })},
		{at + "messages/spilled", "Posts of the loop that found another loop's ring full.",
			unsigned(func(v *view) uint64 { return v.figures.Loops[i].Stats.Spills })},
	}
}
