package persist

import (
	"crypto/sha256"
	"encoding/binary"
)

// formatVersion is of the keys and values below and of the journal. README.md has the layouts.
const formatVersion = 1

// The first byte of a key says what it is the key of.
const (
	keyVersion      = 'v'
	keyBody         = 'm' // id(8) chunk(2)
	keySession      = 's' // session(8), of its further parts: session(8) part(2)
	keySubscription = 'f' // session(8) filter
	keyDelivery     = 'd' // session(8) seq(8)
	keyInbound      = 'i' // session(8) packet id(2)
	keyRetained     = 'r' // topic

	// The same with SHA-256 of the name instead of a name that is longer than nameMax: engines limit their keys.
	keySubscriptionLong = 'F'
	keyRetainedLong     = 'R'
)

// Bounds of what is one value. Their sum is below recordMax-recordBytes.
const (
	nameMax    = 1 << 10
	firstBytes = 60 << 10  // properties and payload beside the head of a body; the head is three strings of 64 KiB at most
	chunkBytes = 256 << 10 // properties and payload in each further chunk; what is in each part of a session's record
	subIDsMax  = 16 << 10  // subscription identifiers of one delivery; further ones are forgotten
)

const valueVersion = 1

// encoder turns batches into journal records, and keeps the account of references. The committer's thread owns it.
type encoder struct {
	framer
	nextBody uint64 // the last id that was given
	bodies   int64  // stored ones
	bytes    int64  // of their properties and payloads
	// parts is how many further parts the records of some sessions have: those with a will of many properties.
	parts map[uint64]int
	value []byte // scratch
	key   []byte // scratch
}

func newEncoder(id identity) encoder {
	return encoder{
		framer: framer{seed: id.seed(), number: 1},
		value:  make([]byte, 0, 256),
		key:    make([]byte, 0, 1+8+nameMax),
	}
}

// batch appends the records of ops and releases their messages. It is false when nothing changes: there is no record then.
func (e *encoder) batch(ops []Op) bool {
	e.begin()
	for i := range ops {
		e.op(&ops[i])
	}
	return e.end()
}

// deletes appends records that delete the keys of garbage.
func (e *encoder) deletes(garbage []byte) {
	e.begin()
	for len(garbage) > 0 {
		c, rest, _ := nextChange(garbage)
		e.delete(c.key)
		garbage = rest
	}
	e.end()
}

func (e *encoder) op(op *Op) {
	id := uint64(0)
	if op.Message != nil {
		id = e.refer(op)
	}
	switch op.Kind {
	case PutSession:
		e.putSession(op.Session, op.Extra.Session)
	case DeleteSession:
		e.delete(numberKey(e.key[:0], keySession, op.Session))
		e.setParts(op.Session, 0)
	case PutSubscription:
		e.putSubscription(op.Session, op.Extra.Subscription)
	case DeleteSubscription:
		key, _ := subscriptionKey(e.key[:0], op.Session, op.Extra.Subscription.Filter)
		e.delete(key)
	case PutDelivery:
		e.putDelivery(op, id)
	case DeleteDelivery:
		e.room(20)
		b := append(e.buf, 0, 17, keyDelivery)
		b = binary.BigEndian.AppendUint64(b, op.Session)
		e.buf = binary.BigEndian.AppendUint64(b, op.Seq)
	case PutInbound:
		e.put(0, inboundKey(e.key[:0], op.Session, op.PacketID), e.reference(id))
	case DeleteInbound:
		e.delete(inboundKey(e.key[:0], op.Session, op.PacketID))
	case PutRetained:
		e.put(0, retainedKey(e.key[:0], op.Message.Body().Topic), e.reference(id))
	case DeleteRetained:
		e.delete(retainedKey(e.key[:0], op.Message.Body().Topic))
	}
	if op.Message != nil {
		op.Message.Release()
	}
}

// refer counts op's reference: the body is stored with the first and deleted with the last. A count below zero is a
// reference whose end was committed, by another shard, before its beginning.
func (e *encoder) refer(op *Op) uint64 {
	mark := op.Message.Mark()
	before := mark.refs
	mark.refs += int32(op.Ref)
	if op.Ref > 0 && mark.id == 0 {
		e.nextBody++
		mark.id = e.nextBody
	}
	if before <= 0 && mark.refs > 0 {
		e.putBody(mark, op)
	} else if before > 0 && mark.refs <= 0 {
		e.deleteBody(mark)
	}
	return mark.id
}

// put appends a change. key and value are copied.
func (e *encoder) put(flags byte, key, value []byte) {
	e.room(1 + 2*binary.MaxVarintLen32 + len(key) + len(value))
	b := append(e.buf, flags|changePut)
	b = append(binary.AppendUvarint(b, uint64(len(key))), key...)
	e.buf = append(binary.AppendUvarint(b, uint64(len(value))), value...)
}

func (e *encoder) delete(key []byte) {
	e.room(1 + binary.MaxVarintLen32 + len(key))
	b := append(e.buf, 0)
	e.buf = append(binary.AppendUvarint(b, uint64(len(key))), key...)
}

// Bodies.
//
//	chunk 0     version, flags (bits 0-1 QoS, 2 retain, 3 source), expiry (varint), source if there is one, topic, length of
//	            the properties, length of the payload, then up to firstBytes of properties and payload
//	chunk n     version, up to chunkBytes more of them
func (e *encoder) putBody(mark *Mark, op *Op) {
	body := op.Message.Body()
	head := append(e.value[:0], valueVersion, 0)
	flags := body.QoS & 3
	if body.Retain {
		flags |= 1 << 2
	}
	head = binary.AppendVarint(head, op.Expires)
	if body.Source != (Source{}) {
		flags |= 1 << 3
		head = appendSource(head, &body.Source)
	}
	head[1] = flags
	head = appendString(head, body.Topic)
	head = binary.AppendUvarint(head, uint64(len(body.Props)))
	head = binary.AppendUvarint(head, uint64(len(body.Payload)))
	e.value = head[:0]

	content := content{body.Props, body.Payload}
	e.bodies++
	e.bytes += int64(content.len())
	mark.size = uint32(content.len())
	e.putChunk(mark.id, 0, head, &content, firstBytes)
	for chunk := uint16(1); content.len() > 0; chunk++ {
		e.putChunk(mark.id, chunk, []byte{valueVersion}, &content, chunkBytes)
	}
}

func (e *encoder) putChunk(id uint64, chunk uint16, head []byte, c *content, limit int) {
	n := min(limit, c.len())
	e.room(1 + 1 + 11 + binary.MaxVarintLen32 + len(head) + n)
	b := append(e.buf, changePut|changeNew, 11, keyBody)
	b = binary.BigEndian.AppendUint64(b, id)
	b = binary.BigEndian.AppendUint16(b, chunk)
	b = binary.AppendUvarint(b, uint64(len(head)+n))
	e.buf = c.cut(append(b, head...), n)
}

func (e *encoder) deleteBody(mark *Mark) {
	e.bodies--
	e.bytes -= int64(mark.size)
	for chunk := range chunksOf(int(mark.size)) {
		e.room(13)
		b := append(e.buf, 0, 11, keyBody)
		b = binary.BigEndian.AppendUint64(b, mark.id)
		e.buf = binary.BigEndian.AppendUint16(b, uint16(chunk))
	}
}

// chunksOf is in how many chunks a body with n bytes of properties and payload is stored.
func chunksOf(n int) int {
	return 1 + (max(n-firstBytes, 0)+chunkBytes-1)/chunkBytes
}

// content is what is left to write of properties and payload.
type content struct{ props, payload []byte }

func (c *content) len() int { return len(c.props) + len(c.payload) }

func (c *content) cut(b []byte, n int) []byte {
	k := min(n, len(c.props))
	b = append(b, c.props[:k]...)
	b = append(b, c.payload[:n-k]...)
	c.props, c.payload = c.props[k:], c.payload[n-k:]
	return b
}

// Deliveries: version, flags (bits 0-1 QoS, 2-3 state, 4 retain, 5 again, 6 more), packet id (2), body (uvarint, 0 in the state
// Release), subscription id (uvarint); with bit 6: number of subscription ids and the ids (uvarints), group, filter.
func (e *encoder) putDelivery(op *Op, body uint64) {
	if op.State == Release {
		body = 0
	}
	flags := op.QoS&3 | uint8(op.State)&3<<2
	if op.Retain {
		flags |= 1 << 4
	}
	if op.Again {
		flags |= 1 << 5
	}
	change := byte(changePut)
	if op.Ref > 0 {
		change |= changeNew
	}
	if x := op.Extra; x != nil && (len(x.SubIDs) > 0 || x.Group != "" || x.Filter != "") {
		v := appendDelivery(e.value[:0], flags|1<<6, op, body)
		ids := x.SubIDs[:min(len(x.SubIDs), subIDsMax)]
		v = binary.AppendUvarint(v, uint64(len(ids)))
		for _, id := range ids {
			v = binary.AppendUvarint(v, uint64(id))
		}
		v = appendString(appendString(v, x.Group), x.Filter)
		e.value = v[:0]
		e.put(change, deliveryKey(e.key[:0], op.Session, op.Seq), v)
		return
	}
	e.room(64)
	b := append(e.buf, change, 17, keyDelivery)
	b = binary.BigEndian.AppendUint64(b, op.Session)
	b = binary.BigEndian.AppendUint64(b, op.Seq)
	length := len(b)
	b = appendDelivery(append(b, 0), flags, op, body)
	b[length] = byte(len(b) - length - 1)
	e.buf = b
}

func appendDelivery(b []byte, flags byte, op *Op, body uint64) []byte {
	b = append(b, valueVersion, flags)
	b = binary.BigEndian.AppendUint16(b, op.PacketID)
	b = binary.AppendUvarint(b, body)
	return binary.AppendUvarint(b, uint64(op.SubID))
}

// reference is the value of a retained message and of an inbound one: version, body (uvarint).
func (e *encoder) reference(body uint64) []byte {
	v := binary.AppendUvarint(append(e.value[:0], valueVersion), body)
	e.value = v[:0]
	return v
}

// Subscriptions: version, QoS, flags, id (uvarint), filter if it is not in the key.
func (e *encoder) putSubscription(session uint64, s *Subscription) {
	key, long := subscriptionKey(e.key[:0], session, s.Filter)
	v := append(e.value[:0], valueVersion, s.QoS, s.Flags)
	v = binary.AppendUvarint(v, uint64(s.ID))
	if long {
		v = appendString(v, s.Filter)
	}
	e.value = v[:0]
	e.put(0, key, v)
}

// Sessions: version, flags (bit 0 connected, 1 will), protocol level, last packet id (2), expiry (uvarint), end (varint),
// client id, source, address; the will: flags (bits 0-1 QoS, 2 retain, 3 expiry), delay and expiry (uvarints), time (varint),
// source, topic, properties, payload.
//
// A record of more than chunkBytes goes on in parts, which are bare bytes. All parts are written in one batch, and what an
// earlier record had more is deleted in the same.
func (e *encoder) putSession(number uint64, s *Session) {
	v := appendSession(e.value[:0], s)
	e.value = v[:0]
	first := min(len(v), chunkBytes)
	key := numberKey(e.key[:0], keySession, number)
	e.put(0, key, v[:first])
	part := 0
	for rest := v[first:]; len(rest) > 0; {
		n := min(len(rest), chunkBytes)
		part++
		e.put(0, partKey(e.key[:0], number, part), rest[:n])
		rest = rest[n:]
	}
	e.setParts(number, part)
	if cap(e.value) > chunkBytes {
		e.value = nil
	}
}

// setParts deletes the parts of an earlier record that the present one does not have.
func (e *encoder) setParts(number uint64, n int) {
	if n == 0 && len(e.parts) == 0 {
		return
	}
	for part := e.parts[number]; part > n; part-- {
		e.delete(partKey(e.key[:0], number, part))
	}
	if n == 0 {
		delete(e.parts, number)
		return
	}
	if e.parts == nil {
		e.parts = map[uint64]int{}
	}
	e.parts[number] = n
}

func appendSession(b []byte, s *Session) []byte {
	flags := byte(0)
	if s.Connected {
		flags |= 1 << 0
	}
	if s.Will != nil {
		flags |= 1 << 1
	}
	b = append(b, valueVersion, flags, s.Version)
	b = binary.BigEndian.AppendUint16(b, s.LastID)
	b = binary.AppendUvarint(b, uint64(s.Expiry))
	b = binary.AppendVarint(b, s.EndsAt)
	b = appendString(b, s.ClientID)
	b = appendSource(b, &s.Source)
	b = appendString(b, s.Address)
	if s.Will == nil {
		return b
	}
	w := s.Will
	flags = w.QoS & 3
	if w.Retain {
		flags |= 1 << 2
	}
	if w.HasExpiry {
		flags |= 1 << 3
	}
	b = append(b, flags)
	b = binary.AppendUvarint(b, uint64(w.Delay))
	b = binary.AppendUvarint(b, uint64(w.Expiry))
	b = binary.AppendVarint(b, w.At)
	b = appendSource(b, &w.Source)
	b = appendString(b, w.Topic)
	b = append(binary.AppendUvarint(b, uint64(len(w.Props))), w.Props...)
	return append(binary.AppendUvarint(b, uint64(len(w.Payload))), w.Payload...)
}

// appendSource: client id, 0 or 1 and user name, port (uvarint).
func appendSource(b []byte, s *Source) []byte {
	b = appendString(b, s.ClientID)
	if s.HasUserName {
		b = appendString(append(b, 1), s.UserName)
	} else {
		b = append(b, 0)
	}
	return binary.AppendUvarint(b, uint64(s.Port))
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// Keys.

func numberKey(b []byte, kind byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64(append(b, kind), n)
}

func partKey(b []byte, session uint64, part int) []byte {
	return binary.BigEndian.AppendUint16(numberKey(b, keySession, session), uint16(part))
}

func deliveryKey(b []byte, session, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(numberKey(b, keyDelivery, session), seq)
}

func inboundKey(b []byte, session uint64, id uint16) []byte {
	return binary.BigEndian.AppendUint16(numberKey(b, keyInbound, session), id)
}

// subscriptionKey says whether the filter was too long to be in the key.
func subscriptionKey(b []byte, session uint64, filter string) (key []byte, long bool) {
	if len(filter) <= nameMax {
		return append(numberKey(b, keySubscription, session), filter...), false
	}
	sum := sha256.Sum256([]byte(filter))
	return append(numberKey(b, keySubscriptionLong, session), sum[:]...), true
}

func retainedKey(b []byte, topic string) []byte {
	if len(topic) <= nameMax {
		return append(append(b, keyRetained), topic...)
	}
	sum := sha256.Sum256([]byte(topic))
	return append(append(b, keyRetainedLong), sum[:]...)
}

// adopt takes over the account of references from a Restore.
func (e *encoder) adopt(r *restorer) {
	e.nextBody = max(e.nextBody, r.nextBody)
	e.bodies, e.bytes, e.parts = r.bodies, r.bytes, r.parts
}
