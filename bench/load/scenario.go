package main

import (
	"fmt"
	"strings"
)

// scenario is one load. Publisher and subscriber counts of 1 and n make the shapes: n to n pairs, n to 1, 1 to n.
type scenario struct {
	name         string
	pubs, subs   int
	qos          byte
	payloadBytes int
	outstanding  int // messages per publisher sent and not yet delivered to everyone; 0 at a fixed rate
	perSec       int // messages published per second by all publishers together; 0 at full speed
	idle         int // connections of the memory scenario; then nothing above is used
	// nodelay sets set_tcp_nodelay in the broker's configuration file, which Mosquitto leaves off. At full speed it stays
	// off: there Nagle's algorithm merges the many small writes of a broker that does not batch, and the comparison
	// grants it that. At a fixed rate it would hold messages until the subscriber's delayed acknowledgement (measured with Mosquitto 2.0: 10 ms at
	// the median, 20 ms at p99) and merge them at no cost to the broker, and with 4 KiB it keeps Mosquitto idle
	// nine tenths of the time; there both sides must deliver at once.
	nodelay bool
}

func scenarios() []scenario {
	return []scenario{
		{name: "pairs-full", pubs: 100, subs: 100, payloadBytes: 128, outstanding: 20},
		{name: "fanin-full", pubs: 100, subs: 1, payloadBytes: 128, outstanding: 20},
		{name: "fanout-full", pubs: 1, subs: 100, payloadBytes: 128, outstanding: 20},
		{name: "pair-full", pubs: 1, subs: 1, payloadBytes: 128, outstanding: 1000},
		{name: "pairs-100k", pubs: 100, subs: 100, payloadBytes: 128, perSec: 100_000, nodelay: true},
		{name: "fanin-100k", pubs: 100, subs: 1, payloadBytes: 128, perSec: 100_000, nodelay: true},
		{name: "fanout-100k", pubs: 1, subs: 100, payloadBytes: 128, perSec: 1_000, nodelay: true},
		{name: "qos1-pairs-full", pubs: 50, subs: 50, qos: 1, payloadBytes: 128, outstanding: 20},
		{name: "qos2-pairs-full", pubs: 50, subs: 50, qos: 2, payloadBytes: 128, outstanding: 10},
		{name: "payload-4k", pubs: 20, subs: 20, payloadBytes: 4096, outstanding: 10, nodelay: true},
		{name: "idle-rss", idle: 15_000},
	}
}

// pickScenarios returns the scenarios of a comma-separated list of names, or all of them for "all".
func pickScenarios(list string) ([]scenario, error) {
	all := scenarios()
	if list == "all" {
		return all, nil
	}
	var picked []scenario
	var names []string
	for _, s := range all {
		names = append(names, s.name)
	}
	for name := range strings.SplitSeq(list, ",") {
		found := false
		for _, s := range all {
			if s.name == name {
				picked, found = append(picked, s), true
			}
		}
		if !found {
			return nil, fmt.Errorf("unknown scenario %q; there are all, %s", name, strings.Join(names, ", "))
		}
	}
	return picked, nil
}

// paired reports whether publisher i speaks to subscriber i alone.
func (s *scenario) paired() bool { return s.pubs == s.subs }

// copies is how many subscribers get each message.
func (s *scenario) copies() int {
	if s.paired() {
		return 1
	}
	return s.subs
}

// topic is what publisher or subscriber i publishes or subscribes to.
func (s *scenario) topic(i int) string {
	if s.paired() {
		return fmt.Sprintf("bench/pair/%04d", i)
	}
	return "bench/pair/all0"
}

func (s *scenario) describe() string {
	if s.idle > 0 {
		return fmt.Sprintf("%d connections, one subscription each, then silence", s.idle)
	}
	shape := fmt.Sprintf("%d → %d", s.pubs, s.subs)
	if s.paired() {
		shape = fmt.Sprintf("%d pairs", s.pubs)
	}
	speed := fmt.Sprintf("full speed, %d outstanding per publisher", s.outstanding)
	if s.perSec > 0 {
		speed = fmt.Sprintf("%d messages/s out, one per write", s.perSec*s.copies())
	}
	nodelay := "off"
	if s.nodelay {
		nodelay = "on"
	}
	return fmt.Sprintf("%s, QoS %d, %d bytes, %s, TCP_NODELAY %s", shape, s.qos, s.payloadBytes, speed, nodelay)
}
