package mosquittodb

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"strings"

	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/router"
)

// notesMax is how many sentences Read gives; more are counted.
const notesMax = 100

// firstRead is how much of a chunk is read, and memory taken for, before there is more: the length that a damaged file
// claims is no reason to take it.
const firstRead = 64 << 10

// Read reads a database of versions 2 to 6. The sentences say what was damaged and left out; a file that ends early gives
// what stands before. An error is one of ErrNotDatabase, a version that is not known, or that of the first read.
func Read(r io.Reader) (*DB, []string, error) {
	p := &reader{in: bufio.NewReaderSize(r, firstRead), native: binary.LittleEndian,
		messages: map[uint64]bool{}, clients: map[string]int{}}
	if err := p.header(); err != nil {
		return nil, nil, err
	}
	for p.chunk() {
	}
	p.settle()
	p.names.report(p)
	if p.more > 0 {
		p.notes = append(p.notes, fmt.Sprintf("%d more like these were left out", p.more))
	}
	return &p.db, p.notes, nil
}

// reader is a Read under way.
type reader struct {
	in       *bufio.Reader
	at       int64 // bytes taken from in
	native   binary.ByteOrder
	db       DB
	messages map[uint64]bool
	clients  map[string]int // position in db.Clients
	names    userNames
	publish  codec.Publish // checks topics and properties
	scratch  []byte
	notes    []string
	more     int
}

func (p *reader) note(format string, args ...any) {
	if len(p.notes) == notesMax {
		p.more++
		return
	}
	p.notes = append(p.notes, fmt.Sprintf(format, args...))
}

func (p *reader) header() error {
	head := make([]byte, headerBytes)
	n, err := io.ReadFull(p.in, head)
	switch {
	case err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("read the database: %w", err)
	case n < headerBytes || string(head[:len(magic)]) != magic:
		return ErrNotDatabase
	}
	p.at = int64(n)
	p.db.Version = binary.BigEndian.Uint32(head[len(magic)+4:])
	if p.db.Version < versionOldest || p.db.Version > version {
		return fmt.Errorf("the Mosquitto database has version %d: versions %d to %d can be read", p.db.Version, versionOldest, version)
	}
	return nil
}

// chunk reads one chunk and reports whether there may be another.
func (p *reader) chunk() bool {
	start := p.at
	size := 8
	if p.old() {
		size = 6
	}
	head, err := p.take(uint32(size))
	switch {
	case len(head) == 0 && errors.Is(err, io.EOF):
		return false
	case err != nil:
		p.ended(start, err)
		return false
	}
	c := cursor{b: head}
	var kind uint32
	if p.old() {
		kind = uint32(c.uint16())
	} else {
		kind = c.uint32()
	}
	body, err := p.take(c.uint32())
	if err != nil {
		p.ended(start, err)
		return false
	}
	if err := p.content(kind, body); err != nil {
		p.note("byte %d: %v; it was left out", start, err)
	}
	return true
}

func (p *reader) old() bool { return p.db.Version < 5 }

func (p *reader) ended(start int64, err error) {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		p.note("the file ends at byte %d, within what began at byte %d: it is used up to there", p.at, start)
		return
	}
	p.note("reading ended at byte %d: %v; what stands before byte %d is used", p.at, err, start)
}

// take reads n bytes into memory of their own. With an error it returns what there was.
func (p *reader) take(n uint32) ([]byte, error) {
	b := make([]byte, min(n, firstRead))
	for done := 0; ; {
		got, err := io.ReadFull(p.in, b[done:])
		done += got
		p.at += int64(got)
		if err != nil || uint32(done) == n {
			return b[:done], err
		}
		b = append(b, make([]byte, min(n-uint32(done), uint32(done)))...)
	}
}

// content enters one chunk. The error is a clause that says what was wrong with it.
func (p *reader) content(kind uint32, body []byte) error {
	c := &cursor{b: body, native: p.native}
	switch kind {
	case chunkConfig:
		return p.config(c)
	case chunkMessage:
		return p.message(c)
	case chunkClient:
		return p.client(c, len(body))
	case chunkDelivery:
		return p.delivery(c)
	case chunkSubscription:
		return p.subscription(c)
	case chunkRetained:
		id := c.nativeUint64()
		if c.short {
			return errors.New("a retained message is cut off")
		}
		p.db.Retained = append(p.db.Retained, id)
		return nil
	}
	return fmt.Errorf("chunks of type %d are not known", kind)
}

func (p *reader) config(c *cursor) error {
	var id []byte
	var size uint8
	if p.old() {
		p.db.Clean, size, id = c.uint8() == 1, c.uint8(), c.bytes(8)
	} else {
		id, p.db.Clean, size = c.bytes(8), c.uint8() == 1, c.uint8()
	}
	switch {
	case c.short:
		return errors.New("the configuration is cut off")
	case size != 8:
		return fmt.Errorf("the configuration claims message identifiers of %d bytes instead of 8", size)
	}
	p.db.LastID = binary.LittleEndian.Uint64(id)
	if swapped := bits.ReverseBytes64(p.db.LastID); swapped < p.db.LastID {
		p.db.LastID, p.native = swapped, binary.BigEndian
	}
	return nil
}

func (p *reader) message(c *cursor) error {
	m := Message{ID: c.nativeUint64()}
	if p.old() {
		m.Source.ClientID = c.prefixed()
		if p.db.Version == 4 {
			m.Source.UserName, m.Source.Port = c.prefixed(), c.uint16()
		}
		m.PacketID = c.uint16()
		c.uint16()
		m.Topic, m.QoS, m.Retain = c.prefixed(), c.uint8(), c.uint8() != 0
		m.Payload = c.bytes(int(c.uint32()))
	} else {
		m.Expires = int64(c.nativeUint64())
		payload := c.uint32()
		m.PacketID = c.uint16()
		id, user, topic := c.uint16(), c.uint16(), c.uint16()
		m.Source.Port, m.QoS, m.Retain = c.uint16(), c.uint8(), c.uint8() != 0
		m.Source.ClientID, m.Source.UserName, m.Topic = c.string(int(id)), c.string(int(user)), c.string(int(topic))
		m.Payload = c.bytes(int(payload))
		if len(c.b) > 0 && !c.short {
			m.Props = c.bytes(int(c.varint()))
		}
	}
	m.Source.HasUserName = m.Source.UserName != ""
	switch {
	case c.short:
		return errors.New("a message is cut off")
	case m.QoS > 2 || m.Expires < 0:
		return fmt.Errorf("a message has QoS %d and expires at %d", m.QoS, m.Expires)
	case !validName(m.Source.ClientID) || !validName(m.Source.UserName):
		return errors.New("the publisher of a message has an impossible name")
	case p.messages[m.ID]:
		return fmt.Errorf("there are two messages of the identifier %d", m.ID)
	}
	if err := p.checkMessage(&m); err != nil {
		return err
	}
	p.messages[m.ID] = true
	p.db.Messages = append(p.db.Messages, m)
	return nil
}

// checkMessage decodes topic and properties as a PUBLISH has them, and keeps the properties that are sent on.
func (p *reader) checkMessage(m *Message) error {
	b := binary.BigEndian.AppendUint16(p.scratch[:0], uint16(len(m.Topic)))
	b = append(b, m.Topic...)
	b = appendVarint(b, uint32(len(m.Props)))
	p.scratch = append(b, m.Props...)
	err := p.publish.DecodeFromServer(codec.Header{Type: codec.TypePublish, Remaining: len(p.scratch)}, p.scratch, codec.V5)
	switch {
	case err != nil:
		return fmt.Errorf("a message could not be sent: %w", err)
	case !router.ValidTopic(m.Topic):
		return fmt.Errorf("a message has the impossible topic %q", m.Topic)
	}
	if kept := p.publish.ForwardProps(nil); len(kept) != len(m.Props) {
		m.Props = bytes.Clone(kept)
	}
	return nil
}

func (p *reader) client(c *cursor, size int) error {
	cl := Client{Expiry: ^uint32(0)}
	if p.old() {
		cl.ID, cl.LastID = c.prefixed(), c.uint16()
	} else {
		cl.EndsAt, cl.Expiry, cl.LastID = int64(c.nativeUint64()), c.uint32(), c.uint16()
		id := int(c.uint16())
		user := 0
		if p.db.Version == 6 {
			cl.Port = c.uint16()
			user = int(c.uint16())
			if size != clientFixedI386+id+user {
				c.bytes(clientFixed - clientFixedI386)
			}
		}
		cl.ID = c.string(id)
		cl.UserName = c.string(user)
	}
	switch {
	case c.short:
		return errors.New("a session is cut off")
	case cl.ID == "" || !validName(cl.ID):
		return fmt.Errorf("a session has the impossible client id %q", cl.ID)
	case cl.EndsAt < 0:
		return fmt.Errorf("the session of %q ends at %d", cl.ID, cl.EndsAt)
	}
	if _, known := p.clients[cl.ID]; known {
		return fmt.Errorf("there are two sessions of %q", cl.ID)
	}
	p.names.judge(&cl)
	p.clients[cl.ID] = len(p.db.Clients)
	p.db.Clients = append(p.db.Clients, cl)
	return nil
}

func (p *reader) delivery(c *cursor) error {
	var d Delivery
	var client string
	var direction uint8
	if p.old() {
		client, d.Message, d.PacketID, d.QoS = c.prefixed(), c.nativeUint64(), c.uint16(), c.uint8()
		d.Retain, direction, d.State, d.Dup = c.uint8() != 0, c.uint8(), State(c.uint8()), c.uint8() != 0
	} else {
		d.Message, d.PacketID = c.nativeUint64(), c.uint16()
		id := c.uint16()
		d.QoS, d.State = c.uint8(), State(c.uint8())
		flags := c.uint8()
		d.Retain, d.Dup, direction = flags&0xF0 != 0, flags&0x0F != 0, c.uint8()
		client = c.string(int(id))
		d.SubIDs = subscriptionIDs(c)
	}
	d.Inbound = direction == 0
	switch {
	case c.short:
		return errors.New("a delivery is cut off")
	case direction > 1 || d.QoS > 2 || d.State == 0 || d.State > Queued || (d.PacketID == 0) != (d.QoS == 0):
		return fmt.Errorf("a delivery of %q has direction %d, QoS %d, state %d and packet identifier %d", client, direction, d.QoS,
			d.State, d.PacketID)
	}
	i, known := p.clients[client]
	if !known {
		return fmt.Errorf("a delivery belongs to %q, who has no session", client)
	}
	p.db.Clients[i].Deliveries = append(p.db.Clients[i].Deliveries, d)
	return nil
}

// subscriptionIDs reads the properties of a delivery; others than subscription identifiers are not written there.
func subscriptionIDs(c *cursor) (ids []uint32) {
	if len(c.b) == 0 || c.short {
		return nil
	}
	c.b = c.bytes(int(c.varint()))
	for len(c.b) > 0 && !c.short {
		if c.uint8() != idSubscription {
			c.short = true
		} else if id := c.varint(); id > 0 {
			ids = append(ids, id)
		}
	}
	return ids
}

func (p *reader) subscription(c *cursor) error {
	var s Subscription
	if p.old() {
		s.ClientID, s.Filter, s.QoS = c.prefixed(), c.prefixed(), c.uint8()
	} else {
		s.ID = c.uint32()
		id, filter := c.uint16(), c.uint16()
		s.QoS = c.uint8()
		options := c.uint8()
		s.NoLocal, s.RetainAsPublished = options&optionNoLocal != 0, options&optionRetainAsPublished != 0
		c.bytes(2)
		s.ClientID, s.Filter = c.string(int(id)), c.string(int(filter))
	}
	switch {
	case c.short:
		return errors.New("a subscription is cut off")
	case s.QoS > 2 || s.ID >= 1<<28:
		return fmt.Errorf("a subscription of %q has QoS %d and the identifier %d", s.ClientID, s.QoS, s.ID)
	case !validFilter(s.Filter):
		return fmt.Errorf("%q subscribed to the impossible filter %q", s.ClientID, s.Filter)
	}
	p.db.Subscriptions = append(p.db.Subscriptions, s)
	return nil
}

// validName reports whether s can be a client id or user name.
func validName(s string) bool { return codec.ValidString([]byte(s)) }

func validFilter(filter string) bool {
	share, shared, ok := router.ParseShare(filter)
	if shared {
		return ok && validName(filter) && router.ValidFilter(share.Filter)
	}
	return validName(filter) && router.ValidFilter(filter)
}

// settle takes out what refers to something that is not there.
func (p *reader) settle() {
	for i := range p.db.Clients {
		cl := &p.db.Clients[i]
		all := len(cl.Deliveries)
		cl.Deliveries = kept(cl.Deliveries, func(d *Delivery) bool { return p.messages[d.Message] || d.released() })
		if lost := all - len(cl.Deliveries); lost > 0 {
			p.note("%d deliveries of %q have no message; they were left out", lost, cl.ID)
		}
	}
	all := len(p.db.Subscriptions)
	p.db.Subscriptions = kept(p.db.Subscriptions, func(s *Subscription) bool { _, ok := p.clients[s.ClientID]; return ok })
	if lost := all - len(p.db.Subscriptions); lost > 0 {
		p.note("%d subscriptions have no session; they were left out", lost)
	}
	all = len(p.db.Retained)
	p.db.Retained = kept(p.db.Retained, func(id *uint64) bool { return p.messages[*id] })
	if lost := all - len(p.db.Retained); lost > 0 {
		p.note("%d retained messages are missing; they were left out", lost)
	}
}

// kept is the part of list that keep accepts, in place.
func kept[T any](list []T, keep func(*T) bool) []T {
	n := 0
	for i := range list {
		if keep(&list[i]) {
			list[n] = list[i]
			n++
		}
	}
	return list[:n]
}

// userNames finds user names that are not what they say, see format.go.
type userNames struct {
	last    string // the last user name that was one
	after   bool   // memory stood in place of a user name since
	garbled int
	doubted []string // client ids
	doubts  int
}

// judge takes from a client what cannot be a user name.
func (u *userNames) judge(cl *Client) {
	switch {
	case cl.UserName == "":
	case !validName(cl.UserName):
		u.after = u.after || u.last != "" && strings.HasPrefix(cl.UserName, u.last)
		u.garbled++
		cl.UserName = ""
	case u.after && cl.UserName == u.last:
		if u.doubts++; len(u.doubted) < 5 {
			u.doubted = append(u.doubted, fmt.Sprintf("%q", cl.ID))
		}
	default:
		u.last, u.after = cl.UserName, false
	}
	cl.HasUserName = cl.UserName != ""
}

func (u *userNames) report(p *reader) {
	if u.garbled > 0 {
		p.note("%d sessions have memory of Mosquitto in place of a user name, as 2.0 writes it: they have none", u.garbled)
	}
	if u.doubts > 0 {
		p.note("%d sessions may have been given the user name of another one by Mosquitto 2.0, until their clients connect: %s",
			u.doubts, strings.Join(u.doubted, ", "))
	}
}
