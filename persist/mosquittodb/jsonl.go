package mosquittodb

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"io"
	"time"
	"unicode/utf8"

	"github.com/noctulemq/noctule/persist"
	"github.com/noctulemq/noctule/router"
)

// JSONL is a persist.Restorer that writes a store as lines, each a JSON object:
//
//	{"type":"session", "client_id", "expiry", "ends_at", "connected", "last_id", "version", "user_name", "port", "address", "will"}
//	{"type":"subscription", "client_id", "filter", "qos", "id", "no_local", "retain_as_published"}
//	{"type":"delivery", "client_id", "packet_id", "qos", "state", "retain", "again", "ids", "group", "filter", "message"}
//	{"type":"inbound", "client_id", "packet_id", "message"}
//	{"type":"retained", "message"}
//
// A field that would be empty, 0 or false is left out. "expiry" is the session expiry interval in seconds, 4294967295 for
// never. "state" is "queued", "sent" (its PUBACK or PUBREC has not come), or "released" (its PUBCOMP has not come; such a
// line has no message). "inbound" is a QoS 2 message whose PUBREL has not come. "id" and "ids" are subscription identifiers.
// A delivery without "client_id" waits for a member of its shared subscription. A message is
//
//	{"topic", "payload" or "payload_base64", "qos", "retain", "expires", "payload_format", "content_type", "response_topic",
//	 "correlation_data", "user_properties", "client_id", "user_name", "port"}
//
// with "payload" when it is UTF-8 and else "payload_base64", "correlation_data" in base64, "user_properties" as a list of
// [name, value], and its publisher and the port it came by in the last three. A will has "delay" (seconds), "at" (when it is
// due) and "expiry" (seconds from then) besides. Times are UTC in the form 2006-01-02T15:04:05.000Z. Sessions come first,
// deliveries in their order.
type JSONL struct {
	out     *bufio.Writer
	enc     *json.Encoder
	clients map[uint64]string // client id by session number
	err     error
}

// NewJSONL makes a JSONL that writes to w.
func NewJSONL(w io.Writer) *JSONL {
	out := bufio.NewWriterSize(w, 64<<10)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	return &JSONL{out: out, enc: enc, clients: map[uint64]string{}}
}

// Flush writes what is left and returns the first error.
func (j *JSONL) Flush() error {
	if err := j.out.Flush(); j.err == nil {
		j.err = err
	}
	return j.err
}

// line is one line of any type.
type line struct {
	Type     string `json:"type"`
	ClientID string `json:"client_id,omitempty"`

	Expiry    uint32 `json:"expiry,omitempty"`
	EndsAt    string `json:"ends_at,omitempty"`
	Connected bool   `json:"connected,omitempty"`
	LastID    uint16 `json:"last_id,omitempty"`
	Version   uint8  `json:"version,omitempty"`
	UserName  string `json:"user_name,omitempty"`
	Port      uint16 `json:"port,omitempty"`
	Address   string `json:"address,omitempty"`
	Will      *will  `json:"will,omitempty"`

	Filter            string `json:"filter,omitempty"`
	QoS               uint8  `json:"qos,omitempty"`
	ID                uint32 `json:"id,omitempty"`
	NoLocal           bool   `json:"no_local,omitempty"`
	RetainAsPublished bool   `json:"retain_as_published,omitempty"`

	PacketID uint16   `json:"packet_id,omitempty"`
	State    string   `json:"state,omitempty"`
	Retain   bool     `json:"retain,omitempty"`
	Again    bool     `json:"again,omitempty"`
	IDs      []uint32 `json:"ids,omitempty"`
	Group    string   `json:"group,omitempty"`
	Message  *content `json:"message,omitempty"`
}

// content is a message in a line.
type content struct {
	Topic           string      `json:"topic"`
	Payload         string      `json:"payload,omitempty"`
	PayloadBase64   []byte      `json:"payload_base64,omitempty"`
	QoS             uint8       `json:"qos,omitempty"`
	Retain          bool        `json:"retain,omitempty"`
	Expires         string      `json:"expires,omitempty"`
	PayloadFormat   uint8       `json:"payload_format,omitempty"`
	ContentType     string      `json:"content_type,omitempty"`
	ResponseTopic   string      `json:"response_topic,omitempty"`
	CorrelationData []byte      `json:"correlation_data,omitempty"`
	UserProperties  [][2]string `json:"user_properties,omitempty"`
	ClientID        string      `json:"client_id,omitempty"`
	UserName        string      `json:"user_name,omitempty"`
	Port            uint16      `json:"port,omitempty"`
}

type will struct {
	content
	Delay  uint32 `json:"delay,omitempty"`
	At     string `json:"at,omitempty"`
	Expiry uint32 `json:"expiry,omitempty"`
}

func (j *JSONL) write(l *line) {
	if j.err == nil {
		j.err = j.enc.Encode(l)
	}
}

// Message implements persist.Restorer.
func (j *JSONL) Message(b *persist.Body) persist.Message {
	m := &message{body: *b}
	m.body.Payload = append([]byte(nil), b.Payload...)
	m.body.Props = append([]byte(nil), b.Props...)
	return m
}

// Session implements persist.Restorer.
func (j *JSONL) Session(s *persist.Session) {
	j.clients[s.Number] = s.ClientID
	l := &line{Type: "session", ClientID: s.ClientID, Expiry: s.Expiry, EndsAt: timeText(s.EndsAt), Connected: s.Connected,
		LastID: s.LastID, Version: s.Version, UserName: s.Source.UserName, Port: s.Source.Port, Address: s.Address}
	if w := s.Will; w != nil {
		l.Will = &will{content: *contentOf(&w.Body), Delay: w.Delay, At: timeText(w.At), Expiry: w.Expiry}
	}
	j.write(l)
}

// Subscription implements persist.Restorer.
func (j *JSONL) Subscription(session uint64, s *persist.Subscription) {
	j.write(&line{Type: "subscription", ClientID: j.clients[session], Filter: s.Filter, QoS: s.QoS, ID: s.ID,
		NoLocal: s.Flags&router.FlagNoLocal != 0, RetainAsPublished: s.Flags&router.FlagRetainAsPublished != 0})
}

// Delivery implements persist.Restorer.
func (j *JSONL) Delivery(session uint64, d *persist.Delivery, m persist.Message) {
	l := &line{Type: "delivery", ClientID: j.clients[session], PacketID: d.PacketID, QoS: d.QoS, Retain: d.Retain, Again: d.Again,
		IDs: d.SubIDs, Group: d.Group, Filter: d.Filter, Message: contentOfMessage(m)}
	switch d.State {
	case persist.Sent:
		l.State = "sent"
	case persist.Release:
		l.State = "released"
	default:
		l.State = "queued"
	}
	if d.SubID != 0 {
		l.IDs = append(l.IDs[:len(l.IDs):len(l.IDs)], d.SubID)
	}
	j.write(l)
}

// Inbound implements persist.Restorer.
func (j *JSONL) Inbound(session uint64, id uint16, m persist.Message) {
	j.write(&line{Type: "inbound", ClientID: j.clients[session], PacketID: id, Message: contentOfMessage(m)})
}

// Retained implements persist.Restorer.
func (j *JSONL) Retained(m persist.Message) {
	j.write(&line{Type: "retained", Message: contentOfMessage(m)})
}

func contentOfMessage(m persist.Message) *content {
	if m == nil {
		return nil
	}
	b := m.Body()
	return contentOf(&b)
}

func contentOf(b *persist.Body) *content {
	c := &content{Topic: b.Topic, QoS: b.QoS, Retain: b.Retain, Expires: timeText(b.Expires), ClientID: b.Source.ClientID,
		UserName: b.Source.UserName, Port: b.Source.Port}
	if utf8.Valid(b.Payload) {
		c.Payload = string(b.Payload)
	} else {
		c.PayloadBase64 = b.Payload
	}
	c.readProps(b.Props)
	return c
}

// The properties that are forwarded.
const (
	idPayloadFormat   = 0x01
	idContentType     = 0x03
	idResponseTopic   = 0x08
	idCorrelationData = 0x09
	idUserProperty    = 0x26
)

// readProps reads a message's properties; what is behind one that is not known cannot be read.
func (c *content) readProps(props []byte) {
	for p := (&cursor{b: props, native: binary.LittleEndian}); len(p.b) > 0; {
		switch p.uint8() {
		case idPayloadFormat:
			c.PayloadFormat = p.uint8()
		case idContentType:
			c.ContentType = p.prefixed()
		case idResponseTopic:
			c.ResponseTopic = p.prefixed()
		case idCorrelationData:
			c.CorrelationData = p.bytes(int(p.uint16()))
		case idUserProperty:
			c.UserProperties = append(c.UserProperties, [2]string{p.prefixed(), p.prefixed()})
		default:
			return
		}
	}
}

// timeText is a time in Unix milliseconds as JSONL writes it, empty for 0.
func timeText(ms int64) string {
	if ms == 0 {
		return ""
	}
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
}
