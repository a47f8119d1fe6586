package bench

import (
	"fmt"
	"strings"
)

const (
	// storedPub stands in the stamp of a stored message, in place of a publisher of the run.
	storedPub = 1<<32 - 1
	// flagRetain is the retain flag in the first byte of a PUBLISH.
	flagRetain = 1
)

// restart is the part of a run whose subscribers subscribe within it, to messages that were stored before it and that
// publishers may go on adding to: what a home automation does when it is started anew. A live message must come to a
// subscriber if it was sent after the subscriber's SUBACK was read; an earlier one may come and is not counted.
type restart struct {
	topics  []string // of the stored messages
	missing [][]bool // missing[i][n]: subscriber i still waits for stored message n
	stored  uint64   // how many stored messages must come, over all subscribers
	came    uint64   // how many did
	live    []bool   // by flow: subscriber i's filter takes what publisher j sends
	open    []bool   // subscriber i has its SUBACK
	from    []uint64 // by flow: the first live message that must come
	askedNs int64    // when the subscribers subscribed
	doneNs  int64    // when the last stored message had come; 0 before
}

func newRestart(s *scenario) *restart {
	r := &restart{topics: make([]string, s.retained), open: make([]bool, s.subs)}
	for n := range r.topics {
		r.topics[n] = storedTopic(n)
	}
	r.missing = make([][]bool, s.subs)
	r.live, r.from = make([]bool, s.subs*s.pubs), make([]uint64, s.subs*s.pubs)
	for i := range s.subs {
		filter := s.subscribe[i%len(s.subscribe)]
		r.missing[i] = make([]bool, s.retained)
		for n, topic := range r.topics {
			if filterMatches(filter, topic) {
				r.missing[i][n] = true
				r.stored++
			}
		}
		for j := range s.pubs {
			r.live[i*s.pubs+j] = filterMatches(filter, liveTopic(j))
		}
	}
	return r
}

// storedTopic is the topic of stored message n: four shapes in turn, as devices of a house have them.
func storedTopic(n int) string {
	shapes := [...]string{"homeassistant/sensor/node%05d/config", "homeassistant/node%05d/config", "zigbee2mqtt/node%05d/state", "tele/node%05d/LWT"}
	return fmt.Sprintf(shapes[n%len(shapes)], n)
}

// liveTopic is what publisher j publishes to beside stored messages.
func liveTopic(j int) string { return fmt.Sprintf("zigbee2mqtt/live%04d/state", j) }

// filterMatches reports whether a filter takes a topic that does not begin with $.
func filterMatches(filter, topic string) bool {
	for {
		level, filterRest, filterMore := strings.Cut(filter, "/")
		word, topicRest, topicMore := strings.Cut(topic, "/")
		switch {
		case level == "#":
			return true
		case level != "+" && level != word:
			return false
		case !filterMore || !topicMore:
			return filterMore == topicMore || !topicMore && filterRest == "#"
		}
		filter, topic = filterRest, topicRest
	}
}

// store publishes the retained messages at QoS 1 and waits for each, so that all of them are in the broker.
func (r *restart) store(port, payloadBytes int) error {
	c, err := dialClient(port, "load-store", "", 0)
	if err != nil {
		return err
	}
	defer c.close()
	var request []byte
	for n, topic := range r.topics {
		t := newPublishTemplate(topic, 1, payloadBytes)
		t.bytes[0] |= flagRetain
		request = t.append(request[:0], stamp{seq: uint64(n), pub: storedPub})
		request[t.idAt], request[t.idAt+1] = 0, 1
		if err := c.exchange(request, packetPuback, 0); err != nil {
			return fmt.Errorf("store a message on %s: %w", topic, err)
		}
	}
	return nil
}

// subscribeAll lets every subscriber of the scenario subscribe at once.
func (e *engine) subscribeAll() error {
	e.restart.askedNs = e.nowNs()
	e.lastNewsNs = e.restart.askedNs
	for i := range e.s.subs {
		c := e.clients[e.subBase+i]
		c.out = appendSubscribe(c.out, e.s.subscribe[i%len(e.s.subscribe)], e.s.qos)
		e.markFlush(e.subBase + i)
	}
	return e.flush()
}

// takeSuback opens the flows to subscriber i.
func (e *engine) takeSuback(i int, p packet) error {
	r := e.restart
	if r == nil || i >= e.s.subs || r.open[i] || len(p.body) != 3 || p.body[2] >= 0x80 {
		return fmt.Errorf("subscriber %d got a SUBACK % x: %w", i, p.body, errMalformed)
	}
	r.open[i] = true
	for j := range e.pubs {
		at := i*len(e.pubs) + j
		r.from[at] = e.pubs[j].sent
		e.flows[at].next = e.pubs[j].sent
	}
	return nil
}

// takeStored counts a stored message at subscriber i.
func (e *engine) takeStored(i int, m publish, now int64) {
	r := e.restart
	s, ok := readStamp(m.payload, e.s.payloadBytes)
	if !ok || i >= e.s.subs || s.pub != storedPub || s.seq >= uint64(len(r.topics)) || r.topics[s.seq] != string(m.topic) {
		e.corrupt++
		return
	}
	e.lastNewsNs = now
	if !r.missing[i][s.seq] {
		e.counts.duplicates++ // or its filter does not take the topic
		return
	}
	r.missing[i][s.seq] = false
	e.counts.unique++
	if r.came++; r.came == r.stored {
		r.doneNs = now
	}
	if e.recording && len(e.pubs) == 0 {
		e.latency.record(now - r.askedNs)
	}
}

// skips reports that a live message of a flow need not have come, and is not counted.
func (r *restart) skips(i, at int, seq uint64) bool { return !r.open[i] || seq < r.from[at] }

// expected is how many deliveries are due, of stored and live messages.
func (r *restart) expected(pubs []publisher) uint64 {
	n := r.stored
	for at, live := range r.live {
		if live && r.open[at/len(pubs)] {
			n += pubs[at%len(pubs)].sent - r.from[at]
		}
	}
	return n
}
