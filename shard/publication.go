package shard

import (
	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/router"
)

// encodings is how many wire forms of one publication are shared by several receivers: protocol family (3.x or 5),
// QoS and retain flag.
const encodings = 2 * 3 * 2

// publication is one message on its way to its receivers during one turn. Borrowed: name, props and payload alias a
// read buffer or msg, and nothing of it is kept when routing returns. Each shard has two, reused for every message:
// one for what is being routed, one for what is sent from a queue.
type publication struct {
	name    string
	props   []byte
	payload []byte
	qos     uint8
	retain  bool
	// expiry is the deadline in monotonic nanoseconds, 0 for none; expirySeconds what is left of it now.
	expiry        int64
	expirySeconds uint32
	version       uint64
	origin        origin
	source        *identity

	receipt *receipt // who waits until it is stored; nil: nobody

	// body is the packet's own array when the loop gave it away, so that msg can keep it instead of a copy.
	body []byte
	// msg is made when the publication must outlive the turn; the publication holds one reference.
	msg *Message

	topic   router.Topic // of scan
	scanned bool
	// encoded remembers where in some receiver's output (or in the read buffer) a wire form of this publication
	// already stands, so that the next receiver of the same form gets a copy. The bytes stay in place until the
	// turn's flush.
	encoded [encodings][]byte
	used    uint16 // bit i: encoded[i] is set
}

// reset forgets the publication and gives back its message.
func (p *publication) reset() {
	if p.msg != nil {
		p.msg.Release()
	}
	for i := 0; p.used != 0; i++ {
		if p.used&(1<<i) != 0 {
			p.encoded[i] = nil
			p.used &^= 1 << i
		}
	}
	p.name, p.props, p.payload, p.body, p.msg, p.receipt = "", nil, nil, nil, nil, nil
	p.qos, p.retain, p.expiry, p.expirySeconds, p.version, p.origin, p.source, p.scanned = 0, false, 0, 0, 0, origin{}, nil, false
}

// load makes the publication stand for m, of which it takes one more reference.
func (p *publication) load(m *Message, now int64) {
	p.reset()
	p.msg = m.Retain()
	p.name, p.props, p.payload = m.Topic(), m.Props(), m.Payload()
	p.qos, p.retain, p.version, p.origin, p.source = m.qos, m.retain, m.version, m.origin, m.source
	p.expiry = m.expiry
	p.expirySeconds = secondsLeft(m.expiry, now)
}

// size is what the publication counts against byte limits, as its message would.
func (p *publication) size() int64 { return int64(len(p.name) + len(p.props) + len(p.payload)) }

// scan returns the split and hashed topic name.
func (p *publication) scan(h *router.Hasher) *router.Topic {
	if !p.scanned {
		p.topic.Scan(h, p.name)
		p.scanned = true
	}
	return &p.topic
}

// message returns the counted form of the publication; the caller retains it to keep it.
func (p *publication) message(pools *messagePools) *Message {
	if p.msg != nil {
		return p.msg
	}
	if p.body != nil {
		p.msg = adopt(p.body, p.name, p.props, p.payload)
	} else {
		p.msg = pools.make(p.name, p.props, p.payload)
	}
	m := p.msg
	m.qos, m.retain, m.expiry, m.version, m.origin, m.source = p.qos, p.retain, p.expiry, p.version, p.origin, p.source
	return m
}

// encoding numbers the wire form shared by all receivers with the same version, QoS and retain flag.
func encoding(v codec.Version, qos uint8, retain bool) int {
	i := int(qos) * 2
	if v == codec.V5 {
		i += 6
	}
	if retain {
		i++
	}
	return i
}

// remember keeps the place of one encoded form.
func (p *publication) remember(i int, b []byte) {
	p.encoded[i] = b
	p.used |= 1 << i
}

// secondsLeft is the message expiry interval to send for a deadline that has not passed: whole seconds, at least 1. A
// second is taken off when three quarters of it have passed, because the clocks of two loops, each read once per turn,
// may differ by a turn; 0 when there is no deadline.
func secondsLeft(deadline, now int64) uint32 {
	if deadline == 0 {
		return 0
	}
	return uint32(max((deadline-now+second*3/4)/second, 1))
}

const second = int64(1e9)
