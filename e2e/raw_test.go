package e2e

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"testing"
	"time"
)

// raw is a bare MQTT 3.1.1 client for loads that client libraries are too slow for. One goroutine may write while another reads.
type raw struct {
	conn net.Conn
	in   *bufio.Reader
}

func text(s string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...)
}

func frame(first byte, body []byte) []byte {
	b := []byte{first}
	for n := len(body); ; {
		digit := byte(n & 0x7f)
		if n >>= 7; n > 0 {
			digit |= 0x80
		}
		if b = append(b, digit); n == 0 {
			return append(b, body...)
		}
	}
}

// connectBytes is a CONNECT with a clean session and a keep-alive of a minute; without a user name when user is empty.
func connectBytes(id, user, password string) []byte {
	flags := byte(0x02)
	body := append(text(id), text(user)...)
	if user != "" {
		flags |= 0xC0
		body = append(body, text(password)...)
	} else {
		body = text(id)
	}
	return frame(0x10, append(append(text("MQTT"), 4, flags, 0, 60), body...))
}

func publishBytes(qos byte, topic string, id uint16, payload []byte) []byte {
	body := text(topic)
	if qos > 0 {
		body = binary.BigEndian.AppendUint16(body, id)
	}
	return frame(0x30|qos<<1, append(body, payload...))
}

func subscribeBytes(qos byte, filter string) []byte {
	return frame(0x82, append(append([]byte{0, 1}, text(filter)...), qos))
}

// packet reads one packet.
func (r *raw) packet() (first byte, body []byte, err error) {
	if err := r.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return 0, nil, err
	}
	if first, err = r.in.ReadByte(); err != nil {
		return 0, nil, err
	}
	n, err := binary.ReadUvarint(r.in)
	if err != nil {
		return 0, nil, err
	}
	body = make([]byte, n)
	_, err = io.ReadFull(r.in, body)
	return first, body, err
}

// want reads one packet, which must be of this kind and, unless code is negative, end in that byte.
func (r *raw) want(first byte, code int) error {
	got, body, err := r.packet()
	if err != nil {
		return err
	}
	if got != first || code >= 0 && (len(body) == 0 || int(body[len(body)-1]) != code) {
		return fmt.Errorf("got %02X % X, want %02X with %d", got, body, first, code)
	}
	return nil
}

// dialRaw opens a connection.
func dialRaw(b *broker) (*raw, error) {
	conn, err := net.DialTimeout("tcp", b.addr(), patience)
	if err != nil {
		return nil, err
	}
	return &raw{conn: conn, in: bufio.NewReader(conn)}, nil
}

// joinRaw connects and is accepted.
func joinRaw(t *testing.T, b *broker, id, user, password string) *raw {
	t.Helper()
	r, err := dialRaw(b)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.conn.Close() })
	if _, err := r.conn.Write(connectBytes(id, user, password)); err != nil {
		t.Fatal(err)
	}
	if err := r.want(0x20, 0); err != nil {
		t.Fatalf("CONNECT of %s: %v", id, err)
	}
	return r
}
