// Package sys publishes the broker's figures below $SYS/broker, as Mosquitto 2.1 does, and Noctule's own below
// $SYS/broker/noctule.
//
// It owns the names, the payloads and the averages; table.go is the one list of topics, and docs/sys.md says the same for
// people. Counting is the shards' and the loops' business: once per interval one goroutine asks them for a copy
// (Broker.Snapshot), makes the payloads and publishes those that differ from what it published before (Broker.Inject),
// retained and with QoS 2. Nothing is asked between, so a broker that is told `sys_interval 0` never wakes for it.
//
// It knows no sockets and no clients. $SYS/broker/log is the log's, $SYS/broker/connection the bridges'.
//
// Read publisher.go first.
package sys
