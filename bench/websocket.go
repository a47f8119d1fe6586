package bench

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"
)

// A frame of RFC 6455. A client masks what it sends, a server does not.
//
//	byte 0     final fragment (0x80), opcode (low four bits)
//	byte 1     masked (0x80), length up to 125, or 126 or 127 for a length of 2 or 8 bytes behind it
//	[2 or 8]   length
//	[4]        mask
const (
	wsContinuation = 0x0
	wsBinary       = 0x2
	wsClose        = 0x8
	wsPing         = 0x9
	wsPong         = 0xA

	wsFinal      = 0x80
	wsReserved   = 0x70
	wsMasked     = 0x80
	wsShortMax   = 125
	wsLength16   = 126
	wsLength64   = 127
	wsHeaderMax  = 2 + 8
	wsReadBytes  = 4 << 10 // holds a whole answer line and any control frame
	wsHeadersMax = 64      // header lines of the answer

	wsCloseTime = time.Second

	wsAcceptGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
)

var errWebSocket = errors.New("malformed WebSocket frame from the broker")

// wsConn carries a stream of bytes in binary frames. One goroutine reads and one writes. A read that ran into its
// deadline may be repeated: no byte is lost.
type wsConn struct {
	net.Conn
	in   *bufio.Reader
	left uint64 // bytes of the current frame that are still to come

	mu  sync.Mutex // guards out, and keeps the reader's pongs between two frames of the writer
	out []byte     // the frame being written
}

// upgradeWebSocket asks for the subprotocol mqtt [MQTT-6.0.0-3] on a new connection.
func upgradeWebSocket(ctx context.Context, conn net.Conn, host, path string) (*wsConn, error) {
	if end, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(end); err != nil {
			return nil, err
		}
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(longAgo) })
	defer stop()
	var nonce [16]byte
	rand.Read(nonce[:]) // never fails
	key := base64.StdEncoding.EncodeToString(nonce[:])
	request := "GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: " + key + "\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
	if _, err := io.WriteString(conn, request); err != nil {
		return nil, err
	}
	ws := &wsConn{Conn: conn, in: bufio.NewReaderSize(conn, wsReadBytes)}
	if err := ws.readAnswer(key); err != nil {
		return nil, err
	}
	if !stop() {
		return nil, context.Cause(ctx)
	}
	return ws, nil
}

// readAnswer reads the status line and the header line by line: each fits the read buffer.
func (c *wsConn) readAnswer(key string) error {
	status, err := c.readLine()
	if err != nil {
		return err
	}
	if proto, code, _ := strings.Cut(status, " "); proto != "HTTP/1.1" || !strings.HasPrefix(code, "101") {
		return fmt.Errorf("the broker answered %q where 101 would take the upgrade", status)
	}
	sum := sha1.Sum([]byte(key + wsAcceptGUID))
	want := base64.StdEncoding.EncodeToString(sum[:])
	accepted := false
	for range wsHeadersMax {
		line, err := c.readLine()
		if err != nil {
			return err
		}
		if line == "" {
			if !accepted {
				return errors.New("the answer has no Sec-WebSocket-Accept for our key")
			}
			return nil
		}
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		if strings.EqualFold(name, "Sec-WebSocket-Accept") {
			accepted = value == want
		}
		if strings.EqualFold(name, "Sec-WebSocket-Protocol") && value != "mqtt" {
			return fmt.Errorf("the broker chose the subprotocol %q, not mqtt", value)
		}
	}
	return fmt.Errorf("the answer has more than %d header lines", wsHeadersMax)
}

func (c *wsConn) readLine() (string, error) {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return "", fmt.Errorf("read the answer: %w", err)
	}
	return string(bytes.TrimRight(line, "\r\n")), nil
}

// Read returns bytes of data frames, and answers the control frames between them.
func (c *wsConn) Read(b []byte) (int, error) {
	for c.left == 0 {
		if err := c.readHeader(); err != nil {
			return 0, err
		}
	}
	n, err := c.in.Read(b[:min(uint64(len(b)), c.left)])
	c.left -= uint64(n)
	return n, err
}

// readHeader takes the next header, with all of the frame if that is a control frame. It takes nothing while bytes of
// it are missing.
func (c *wsConn) readHeader() error {
	head, err := c.in.Peek(2)
	if err != nil {
		return err
	}
	opcode, short := head[0]&^(wsFinal|wsReserved), head[1]
	if head[0]&wsReserved != 0 || short&wsMasked != 0 {
		return errWebSocket
	}
	if opcode >= wsClose {
		return c.readControl(opcode, int(short))
	}
	if opcode != wsBinary && opcode != wsContinuation {
		return fmt.Errorf("opcode %d: %w", opcode, errWebSocket)
	}
	size, length := 2, uint64(short)
	switch short {
	case wsLength16:
		size = 4
	case wsLength64:
		size = wsHeaderMax
	}
	if head, err = c.in.Peek(size); err != nil {
		return err
	}
	switch short {
	case wsLength16:
		length = uint64(binary.BigEndian.Uint16(head[2:]))
	case wsLength64:
		length = binary.BigEndian.Uint64(head[2:])
	}
	c.left = length
	_, err = c.in.Discard(size)
	return err
}

func (c *wsConn) readControl(opcode byte, n int) error {
	if n > wsShortMax {
		return errWebSocket
	}
	frame, err := c.in.Peek(2 + n)
	if err != nil {
		return err
	}
	switch opcode {
	case wsClose:
		return io.EOF
	case wsPing:
		if err := c.writeFrame(wsPong, frame[2:]); err != nil {
			return err
		}
	}
	_, err = c.in.Discard(2 + n)
	return err
}

// Write sends b in one binary frame [MQTT-6.0.0-1].
func (c *wsConn) Write(b []byte) (int, error) {
	if err := c.writeFrame(wsBinary, b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Close says goodbye and closes the connection below.
func (c *wsConn) Close() error {
	_ = c.Conn.SetWriteDeadline(time.Now().Add(wsCloseTime))
	_ = c.writeFrame(wsClose, nil) // the connection is done either way
	return c.Conn.Close()
}

func (c *wsConn) writeFrame(opcode byte, payload []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := append(c.out[:0], wsFinal|opcode)
	switch n := len(payload); {
	case n <= wsShortMax:
		out = append(out, wsMasked|byte(n))
	case n <= 1<<16-1:
		out = binary.BigEndian.AppendUint16(append(out, wsMasked|wsLength16), uint16(n))
	default:
		out = binary.BigEndian.AppendUint64(append(out, wsMasked|wsLength64), uint64(n))
	}
	var mask [4]byte
	binary.LittleEndian.PutUint32(mask[:], mathrand.Uint32())
	out = append(out, mask[:]...)
	at := len(out)
	out = append(out, payload...)
	for i := range out[at:] {
		out[at+i] ^= mask[i&3]
	}
	c.out = out
	_, err := c.Conn.Write(out)
	return err
}
