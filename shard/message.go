package shard

import (
	"strconv"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/noctulemq/noctule/loop"
	"github.com/noctulemq/noctule/persist"
)

// messageClasses are the body sizes in bytes for which spent messages are kept for reuse. Larger bodies go to the
// garbage collector: copying them costs more than allocating them.
var messageClasses = [...]int{256, 1 << 10, 4 << 10, 16 << 10}

// Message is one application message that outlives the turn in which it was read: queued, retained, on its way to
// another loop, or sent by reference. Its content is immutable once it is shared; only the count changes.
//
// Counted: whoever stores a pointer holds one reference and gives it back with Release, on any loop. The last one
// returns the message to its pool.
type Message struct {
	// refs counts all references in its low half, and in its high half those of keep.
	refs atomic.Int64
	// pool takes the message back; nil when the body is larger than every class, and may be an array of the loops.
	pool *sync.Pool

	// buf is owned: topic name, properties to forward and payload, at the offsets below; the payload runs to its end.
	buf        []byte
	propsOff   uint32
	payloadOff uint32
	topicOff   uint16
	topicLen   uint16

	qos    uint8
	retain bool
	// expiry is the time (monotonic nanoseconds of the loops' clock) at which the message expires; 0: never.
	expiry int64
	// version orders the retained publications of all loops; 0 when retain is not set.
	version uint64
	// origin is the session that published, for no-local and for throttling.
	origin origin
	// source is who published a retained message, where that matters; it is only compared and asked for its words.
	source *identity
	mark   persist.Mark // the store's
}

// origin names a publishing session: its loop, its index in that loop's slab and the generation of the slot.
// The zero origin is nobody.
type origin struct {
	gen  uint32
	key  uint32
	loop uint8
	some bool
}

// messagePools holds spent messages of each class for all loops. sync.Pool moves them between loops without a lock,
// where a free list per loop would run dry on the publishing side and overflow on the other.
type messagePools [len(messageClasses)]sync.Pool

// take returns a message with one reference and an empty body of at least n bytes of room.
func (ps *messagePools) take(n int) *Message {
	for i, size := range messageClasses {
		if n > size {
			continue
		}
		m, _ := ps[i].Get().(*Message)
		if m == nil {
			m = &Message{pool: &ps[i], buf: make([]byte, 0, size)}
		}
		m.refs.Store(1)
		return m
	}
	m := &Message{buf: loop.TakeArray(n)}
	m.refs.Store(1)
	return m
}

// make returns a message with one reference that holds copies of the three parts.
func (ps *messagePools) make(topic string, props, payload []byte) *Message {
	m := ps.take(len(topic) + len(props) + len(payload))
	m.fill(topic, props, payload)
	return m
}

// fill copies the three parts into an empty body that has room for them.
func (m *Message) fill(topic string, props, payload []byte) {
	m.buf = append(append(append(m.buf, topic...), props...), payload...)
	m.topicOff, m.topicLen = 0, uint16(len(topic))
	m.propsOff = uint32(len(topic))
	m.payloadOff = m.propsOff + uint32(len(props))
}

// adopt returns a message with one reference that keeps body, an array nobody else uses, in place of a copy. topic,
// props and payload lie in body in this order, props directly followed by the payload.
func adopt(body []byte, topic string, props, payload []byte) *Message {
	base := uintptr(unsafe.Pointer(unsafe.SliceData(body)))
	m := &Message{buf: body, topicLen: uint16(len(topic))}
	m.topicOff = uint16(uintptr(unsafe.Pointer(unsafe.StringData(topic))) - base)
	m.payloadOff = uint32(len(body) - len(payload))
	m.propsOff = m.payloadOff - uint32(len(props))
	m.refs.Store(1)
	return m
}

// Topic returns the topic name; it aliases the message.
func (m *Message) Topic() string {
	return unsafe.String(&m.buf[m.topicOff], int(m.topicLen))
}

// Props returns the PUBLISH properties to send onwards, without their length; they alias the message.
func (m *Message) Props() []byte { return m.buf[m.propsOff:m.payloadOff] }

// Payload returns the payload; it aliases the message.
func (m *Message) Payload() []byte { return m.buf[m.payloadOff:] }

// size is what the message counts against byte limits: its topic, properties and payload.
func (m *Message) size() int64 { return int64(m.topicLen) + int64(len(m.buf)) - int64(m.propsOff) }

// Retain adds a reference.
func (m *Message) Retain() *Message {
	m.refs.Add(1)
	return m
}

// Release gives one reference back. It satisfies loop.Ref for payloads sent by reference.
func (m *Message) Release() {
	m.released(int32(m.refs.Add(-1)))
}

// keptRef is one reference of keep.
const keptRef = 1<<32 + 1

// keep takes a reference for a place where messages are stored: a queue, a window, a session's held QoS 2 messages, the
// retained tree. A message is counted as stored while it has any.
func (s *Shard) keep(m *Message) *Message {
	if m.refs.Add(keptRef)>>32 == 1 {
		s.count.Stored++
		s.count.StoredBytes += int64(len(m.Payload()))
	}
	return m
}

// unkeep gives a reference of keep back.
func (s *Shard) unkeep(m *Message) {
	size := int64(len(m.Payload()))
	refs := m.refs.Add(-keptRef)
	if refs>>32 == 0 {
		s.count.Stored--
		s.count.StoredBytes -= size
	}
	m.released(int32(refs))
}

// released ends the message when no reference is left.
func (m *Message) released(left int32) {
	if left > 0 {
		return
	}
	if left < 0 {
		panic("BUG: message released " + strconv.Itoa(int(-left)) + " times too often")
	}
	if m.pool == nil {
		loop.GiveArray(m.buf)
		m.buf = nil
		return
	}
	m.buf = m.buf[:0]
	m.qos, m.retain, m.expiry, m.version, m.origin, m.source = 0, false, 0, 0, origin{}, nil
	m.mark = persist.Mark{}
	m.pool.Put(m)
}
