package mosquittodb

import (
	"bufio"
	"encoding/binary"
	"io"
)

// Write writes the database as Debian's 2.0.11 does, version 6. What Read gave for such a file is written back byte for
// byte, but for user names that were none. Strings are at most 65,535 bytes long.
func (db *DB) Write(w io.Writer) error {
	out := bufio.NewWriterSize(w, 64<<10)
	b := append([]byte(magic), 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, version)
	b = appendChunk(b, chunkConfig, 16)
	b = binary.LittleEndian.AppendUint64(b, db.LastID)
	b = append(b, when(db.Clean, 1), 8, 0, 0, 0, 0, 0, 0)
	for i := range db.Messages {
		m := &db.Messages[i]
		b = m.appendHead(b)
		_, _ = out.Write(b) // Flush returns the first error
		_, _ = out.Write(m.Payload)
		b = b[:0]
		if len(m.Props) > 0 {
			b = append(appendVarint(b, uint32(len(m.Props))), m.Props...)
		}
	}
	for i := range db.Clients {
		b = db.Clients[i].append(b)
		for j := range db.Clients[i].Deliveries {
			b = db.Clients[i].Deliveries[j].append(b, db.Clients[i].ID)
			_, _ = out.Write(b)
			b = b[:0]
		}
	}
	for i := range db.Subscriptions {
		b = db.Subscriptions[i].append(b)
		_, _ = out.Write(b)
		b = b[:0]
	}
	for _, id := range db.Retained {
		b = binary.LittleEndian.AppendUint64(appendChunk(b, chunkRetained, 8), id)
		_, _ = out.Write(b)
		b = b[:0]
	}
	_, _ = out.Write(b)
	return out.Flush()
}

func appendChunk(b []byte, kind uint32, size int) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, kind), uint32(size))
}

// when is value where set is true, else 0.
func when(set bool, value byte) byte {
	if set {
		return value
	}
	return 0
}

// appendHead writes everything in front of the payload.
func (m *Message) appendHead(b []byte) []byte {
	size := messageFixed + len(m.Source.ClientID) + len(m.Source.UserName) + len(m.Topic) + len(m.Payload)
	if n := len(m.Props); n > 0 {
		size += len(appendVarint(nil, uint32(n))) + n
	}
	b = appendChunk(b, chunkMessage, size)
	b = binary.LittleEndian.AppendUint64(b, m.ID)
	b = binary.LittleEndian.AppendUint64(b, uint64(m.Expires))
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.Payload)))
	b = binary.BigEndian.AppendUint16(b, m.PacketID)
	b = binary.BigEndian.AppendUint16(b, uint16(len(m.Source.ClientID)))
	b = binary.BigEndian.AppendUint16(b, uint16(len(m.Source.UserName)))
	b = binary.BigEndian.AppendUint16(b, uint16(len(m.Topic)))
	b = binary.BigEndian.AppendUint16(b, m.Source.Port)
	b = append(b, m.QoS, when(m.Retain, 1))
	b = append(b, m.Source.ClientID...)
	b = append(b, m.Source.UserName...)
	return append(b, m.Topic...)
}

func (cl *Client) append(b []byte) []byte {
	b = appendChunk(b, chunkClient, clientFixed+len(cl.ID)+len(cl.UserName))
	b = binary.LittleEndian.AppendUint64(b, uint64(cl.EndsAt))
	b = binary.BigEndian.AppendUint32(b, cl.Expiry)
	b = binary.BigEndian.AppendUint16(b, cl.LastID)
	b = binary.BigEndian.AppendUint16(b, uint16(len(cl.ID)))
	b = binary.BigEndian.AppendUint16(b, cl.Port)
	b = binary.BigEndian.AppendUint16(b, uint16(len(cl.UserName)))
	b = append(b, 0, 0, 0, 0)
	b = append(b, cl.ID...)
	return append(b, cl.UserName...)
}

func (d *Delivery) append(b []byte, client string) []byte {
	var props []byte
	for _, id := range d.SubIDs {
		props = appendVarint(append(props, idSubscription), id)
	}
	size := deliveryFixed + len(client) + len(props)
	if len(props) > 0 {
		size += len(appendVarint(nil, uint32(len(props))))
	}
	b = appendChunk(b, chunkDelivery, size)
	b = binary.LittleEndian.AppendUint64(b, d.Message)
	b = binary.BigEndian.AppendUint16(b, d.PacketID)
	b = binary.BigEndian.AppendUint16(b, uint16(len(client)))
	b = append(b, d.QoS, byte(d.State), when(d.Retain, 0x10)|when(d.Dup, 1), when(!d.Inbound, 1))
	b = append(b, client...)
	if len(props) > 0 {
		b = append(appendVarint(b, uint32(len(props))), props...)
	}
	return b
}

func (s *Subscription) append(b []byte) []byte {
	b = appendChunk(b, chunkSubscription, subscriptionFixed+len(s.ClientID)+len(s.Filter))
	b = binary.BigEndian.AppendUint32(b, s.ID)
	b = binary.BigEndian.AppendUint16(b, uint16(len(s.ClientID)))
	b = binary.BigEndian.AppendUint16(b, uint16(len(s.Filter)))
	b = append(b, s.QoS, when(s.NoLocal, optionNoLocal)|when(s.RetainAsPublished, optionRetainAsPublished), 0, 0)
	b = append(b, s.ClientID...)
	return append(b, s.Filter...)
}
