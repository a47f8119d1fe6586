package persist

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// reading gives the records of a prefix in the order of their keys; an engine does, and an engine under an overlay.
type reading interface {
	each(prefix []byte, visit func(key, value []byte) error) error
}

// restorer is one Restore: it resolves the references between records and finds what nobody needs.
type restorer struct {
	from reading
	to   Restorer

	// ids and messages are the bodies, in the order of their ids. 24 bytes each; a map took 60 and twice the time.
	ids      []uint64
	messages []Message
	// sessions are the numbers of the sessions that were restored, in their order.
	sessions []uint64

	// nextBody is the largest body id that was seen, parts the sessions whose records have further parts.
	nextBody uint64
	parts    map[uint64]int
	bodies   int64
	bytes    int64
	// garbage is deletes of records that nobody refers to or that cannot be served, encoded as in a journal record.
	garbage []byte
	// broken counts the records that could not be served.
	broken uint64

	gather gathered // the body or session that is being put together
	at     int      // where the last body was found
	seat   int      // where the last session was found
}

// gathered is a record in parts.
type gathered struct {
	id    uint64
	open  bool // it has begun and is sound so far
	parts int
	head  bodyHead
	bytes []byte // owned
}

// restore gives what from holds to to. An error is that of from: then not all was restored, and nothing may be taken for garbage.
func restore(from reading, to Restorer) (r *restorer, err error) {
	r = &restorer{from: from, to: to}
	defer r.release()
	for _, step := range []struct {
		prefix byte
		visit  func(key, value []byte) error
		end    func()
	}{
		{keyBody, r.chunk, r.endBody},
		{keySession, r.session, r.endSession},
		{keySubscription, r.subscription, nil},
		{keySubscriptionLong, r.subscription, nil},
		{keyDelivery, r.delivery, nil},
		{keyInbound, r.inbound, nil},
		{keyRetained, r.retained, nil},
		{keyRetainedLong, r.retained, nil},
	} {
		if failed := from.each([]byte{step.prefix}, step.visit); failed != nil && err == nil {
			err = fmt.Errorf("read the stored records: %w", failed)
		}
		if step.end != nil {
			step.end()
		}
	}
	r.sweep()
	if err != nil {
		r.garbage = nil
	}
	return r, err
}

// release gives back the references of the store. The records' own references are the shards' by now.
func (r *restorer) release() {
	for _, m := range r.messages {
		m.Release()
	}
	r.messages = nil
}

// sweep finds the bodies that no record refers to.
func (r *restorer) sweep() {
	for i, m := range r.messages {
		mark := m.Mark()
		if mark.refs > 0 {
			r.bodies++
			r.bytes += int64(mark.size)
			continue
		}
		r.dropBody(r.ids[i], chunksOf(int(mark.size)))
	}
}

func (r *restorer) drop(key []byte) {
	r.garbage = append(r.garbage, 0)
	r.garbage = append(binary.AppendUvarint(r.garbage, uint64(len(key))), key...)
}

// dropBroken is drop for a record that cannot be served.
func (r *restorer) dropBroken(key []byte) error {
	r.broken++
	r.drop(key)
	return nil
}

func (r *restorer) dropBody(id uint64, chunks int) {
	for chunk := range chunks {
		r.drop(binary.BigEndian.AppendUint16(numberKey(nil, keyBody, id), uint16(chunk)))
	}
}

// chunk takes one chunk of a body.
func (r *restorer) chunk(key, value []byte) error {
	if len(key) != 11 {
		return r.dropBroken(key)
	}
	id, chunk := binary.BigEndian.Uint64(key[1:]), int(binary.BigEndian.Uint16(key[9:]))
	g := &r.gather
	if id != g.id {
		r.endBody()
		r.gather = gathered{id: id, bytes: g.bytes[:0]}
		r.nextBody = max(r.nextBody, id)
	}
	if chunk == 0 {
		g.head, g.open = decodeBodyHead(value)
		if whole := len(g.head.content); g.open && whole == g.head.props+g.head.payload {
			r.message(g.head.content)
			return nil
		}
		g.bytes = append(g.bytes, g.head.content...)
	} else if g.open && chunk == g.parts && len(value) > 0 && value[0] == valueVersion {
		g.bytes = append(g.bytes, value[1:]...)
	} else {
		g.open = false
	}
	if !g.open {
		return r.dropBroken(key)
	}
	g.parts++
	return nil
}

// endBody closes the body whose chunks have been read.
func (r *restorer) endBody() {
	g := &r.gather
	if g.parts == 0 {
		return
	}
	if g.open && len(g.bytes) == g.head.props+g.head.payload {
		r.message(g.bytes)
	} else {
		r.broken++
		r.dropBody(g.id, g.parts)
	}
	*g = gathered{bytes: g.bytes[:0]}
}

// message makes the message of the body that was gathered.
func (r *restorer) message(content []byte) {
	g := &r.gather
	body := g.head.body
	body.Props, body.Payload = content[:g.head.props:g.head.props], content[g.head.props:]
	m := r.to.Message(&body)
	*m.Mark() = Mark{id: g.id, size: uint32(len(content))}
	r.ids = append(r.ids, g.id)
	r.messages = append(r.messages, m)
	g.open, g.parts = false, 0
}

// find returns the message with a body id, nil when there is none. Bodies are mostly asked for in their order.
func (r *restorer) find(id uint64) Message {
	r.nextBody = max(r.nextBody, id)
	if next := r.at + 1; next < len(r.ids) && r.ids[next] == id {
		r.at = next
		return r.messages[next]
	}
	i, ok := slices.BinarySearch(r.ids, id)
	if !ok {
		return nil
	}
	r.at = i
	return r.messages[i]
}

// session takes a session's record or a further part of it.
func (r *restorer) session(key, value []byte) error {
	g := &r.gather
	switch len(key) {
	case 9:
		r.endSession()
		*g = gathered{id: binary.BigEndian.Uint64(key[1:]), open: true, parts: 1, bytes: append(g.bytes[:0], value...)}
		return nil
	case 11:
		number, part := binary.BigEndian.Uint64(key[1:]), int(binary.BigEndian.Uint16(key[9:]))
		if g.open && number == g.id && part == g.parts {
			g.bytes = append(g.bytes, value...)
			g.parts++
			return nil
		}
	}
	return r.dropBroken(key)
}

func (r *restorer) endSession() {
	g := &r.gather
	if !g.open {
		return
	}
	g.open = false
	s, ok := decodeSession(g.id, g.bytes)
	if !ok {
		r.broken++
		r.drop(numberKey(nil, keySession, g.id))
		for part := 1; part < g.parts; part++ {
			r.drop(partKey(nil, g.id, part))
		}
		return
	}
	if g.parts > 1 {
		if r.parts == nil {
			r.parts = map[uint64]int{}
		}
		r.parts[g.id] = g.parts - 1
	}
	r.sessions = append(r.sessions, g.id)
	r.to.Session(s)
}

// known says whether a session was restored. Records come in the order of their sessions.
func (r *restorer) known(session uint64) bool {
	if r.seat < len(r.sessions) && r.sessions[r.seat] == session {
		return true
	}
	i, ok := slices.BinarySearch(r.sessions, session)
	r.seat = i
	return ok
}

func (r *restorer) subscription(key, value []byte) error {
	if len(key) < 9 {
		return r.dropBroken(key)
	}
	session := binary.BigEndian.Uint64(key[1:])
	s, ok := decodeSubscription(key[9:], value, key[0] == keySubscriptionLong)
	if !ok {
		return r.dropBroken(key)
	}
	if !r.known(session) {
		r.drop(key)
		return nil
	}
	r.to.Subscription(session, s)
	return nil
}

// delivery gives those of a missing session on when a shared subscription had chosen it: another member takes them.
func (r *restorer) delivery(key, value []byte) error {
	if len(key) != 17 {
		return r.dropBroken(key)
	}
	session := binary.BigEndian.Uint64(key[1:])
	d, ok := decodeDelivery(value)
	if !ok {
		return r.dropBroken(key)
	}
	if d.Group == "" && !r.known(session) {
		r.drop(key)
		return nil
	}
	var m Message
	if d.State != Release {
		if m = r.find(d.body); m == nil {
			return r.dropBroken(key)
		}
		m.Mark().refs++
	}
	delivery := d.Delivery
	delivery.Seq = binary.BigEndian.Uint64(key[9:])
	r.to.Delivery(session, &delivery, m)
	return nil
}

func (r *restorer) inbound(key, value []byte) error {
	if len(key) != 11 {
		return r.dropBroken(key)
	}
	session := binary.BigEndian.Uint64(key[1:])
	body, ok := decodeReference(value)
	if !ok {
		return r.dropBroken(key)
	}
	if !r.known(session) {
		r.drop(key)
		return nil
	}
	m := r.find(body)
	if m == nil {
		return r.dropBroken(key)
	}
	m.Mark().refs++
	r.to.Inbound(session, binary.BigEndian.Uint16(key[9:]), m)
	return nil
}

func (r *restorer) retained(key, value []byte) error {
	body, ok := decodeReference(value)
	if !ok {
		return r.dropBroken(key)
	}
	m := r.find(body)
	if m == nil {
		return r.dropBroken(key)
	}
	m.Mark().refs++
	r.to.Retained(m)
	return nil
}
