package e2e

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

const (
	upgradeRequest = "GET /mqtt HTTP/1.1\r\nHost: broker\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n"
	upgradeAnswer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
)

// socket makes a connection one of binary frames: each Write is a frame, a Read is what the present frame has.
type socket struct {
	net.Conn
	in     *bufio.Reader
	left   int64
	status int // of the close frame that ended it
}

// upgrade does the handshake, with more header lines, and returns the answer.
func upgrade(t *testing.T, conn net.Conn, lines ...string) (*socket, string) {
	t.Helper()
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, upgradeRequest+strings.Join(append(lines, ""), "\r\n")+"\r\n"); err != nil {
		t.Fatal(err)
	}
	return readUpgrade(t, conn)
}

func readUpgrade(t *testing.T, conn net.Conn) (*socket, string) {
	t.Helper()
	_ = conn.SetDeadline(time.Now().Add(patience))
	s := &socket{Conn: conn, in: bufio.NewReader(conn)}
	var answer strings.Builder
	for !strings.HasSuffix(answer.String(), "\r\n\r\n") {
		line, err := s.in.ReadString('\n')
		if answer.WriteString(line); err != nil {
			t.Fatalf("%q %v", answer.String(), err)
		}
	}
	return s, answer.String()
}

// openSocket does the handshake, and the answer is the broker's.
func openSocket(t *testing.T, conn net.Conn, lines ...string) *socket {
	t.Helper()
	s, answer := upgrade(t, conn, lines...)
	if answer != upgradeAnswer {
		t.Fatalf("%q", answer)
	}
	return s
}

func (s *socket) send(op ws.OpCode, fin bool, payload []byte) error {
	return ws.WriteFrame(s.Conn, ws.MaskFrame(ws.NewFrame(op, fin, append([]byte(nil), payload...))))
}

func (s *socket) Write(b []byte) (int, error) { return len(b), s.send(ws.OpBinary, true, b) }

func (s *socket) Read(b []byte) (int, error) {
	for s.left == 0 {
		h, err := ws.ReadHeader(s.in)
		switch {
		case err != nil:
			return 0, err
		case h.Masked || !h.Fin:
			return 0, fmt.Errorf("a frame %+v", h)
		case h.OpCode == ws.OpBinary:
			s.left = h.Length
		case h.OpCode == ws.OpClose:
			var code [2]byte
			_, err := io.ReadFull(s.in, code[:])
			s.status = int(binary.BigEndian.Uint16(code[:]))
			return 0, fmt.Errorf("closed: %d %w", s.status, err)
		default:
			return 0, fmt.Errorf("a frame %+v", h)
		}
	}
	n, err := s.in.Read(b[:min(int64(len(b)), s.left)])
	s.left -= int64(n)
	return n, err
}

// dialSocket opens a WebSocket to the broker.
func dialSocket(t *testing.T, b *broker, lines ...string) *socket {
	t.Helper()
	conn, err := net.DialTimeout("tcp", b.addr(), patience)
	if err != nil {
		t.Fatal(err)
	}
	return openSocket(t, conn, lines...)
}

// over is a bare MQTT client over a connection, accepted by the broker.
func over(t *testing.T, conn net.Conn, id string) *raw {
	t.Helper()
	t.Cleanup(func() { conn.Close() })
	r := &raw{conn: conn, in: bufio.NewReader(conn)}
	if _, err := conn.Write(connectBytes(id, "", "")); err != nil {
		t.Fatal(err)
	}
	if err := r.want(0x20, 0); err != nil {
		t.Fatalf("CONNECT of %s: %v", id, err)
	}
	return r
}

// echo subscribes to a topic and publishes to it.
func (r *raw) echo(topic string, payload []byte) error {
	if _, err := r.conn.Write(subscribeBytes(0, topic)); err != nil {
		return err
	}
	if err := r.want(0x90, 0); err != nil {
		return err
	}
	if _, err := r.conn.Write(publishBytes(0, topic, 0, payload)); err != nil {
		return err
	}
	first, body, err := r.packet()
	if want := append(text(topic), payload...); err != nil || first != 0x30 || string(body) != string(want) {
		return fmt.Errorf("got %02X and %d bytes, want %d: %v", first, len(body), len(want), err)
	}
	return nil
}

func TestMQTTjsWebSocket(t *testing.T) {
	t.Run("ws", func(t *testing.T) {
		runMQTTjs(t, fmt.Sprintf("ws://127.0.0.1:%d/any/path", start(t, "protocol websockets").port))
	})
	t.Run("wss", func(t *testing.T) {
		runMQTTjs(t, fmt.Sprintf("wss://127.0.0.1:%d/any/path", start(t, newFront(t).lines("protocol websockets")...).port))
	})
}

// TestMQTTjsAuto has clients of both kinds on one port.
func TestMQTTjsAuto(t *testing.T) {
	b := start(t, "protocol auto")
	for _, scheme := range []string{"mqtt", "ws"} {
		t.Run(scheme, func(t *testing.T) { runMQTTjs(t, fmt.Sprintf("%s://127.0.0.1:%d", scheme, b.port)) })
	}
}

// TestWebSocketPacketsAndFramesNeedNotAgree holds that packets and frames need not agree v3.1.1 [MQTT-6.0.0-2], v5 [MQTT-6.0.0-2].
func TestWebSocketPacketsAndFramesNeedNotAgree(t *testing.T) {
	b := start(t, "protocol websockets")
	s := dialSocket(t, b)
	packet := connectBytes(name(t, "c"), "", "")
	for i := range packet { // each byte a frame, as one message
		op := ws.OpContinuation
		if i == 0 {
			op = ws.OpBinary
		}
		if err := s.send(op, i == len(packet)-1, packet[i:i+1]); err != nil {
			t.Fatal(err)
		}
	}
	r := &raw{conn: s, in: bufio.NewReader(s)}
	if err := r.want(0x20, 0); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 1 << 10, 1 << 20} {
		if err := r.echo(fmt.Sprint("t", n), make([]byte, n)); err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
	var many []byte
	for i := range 100 {
		many = append(many, publishBytes(0, "t1", 0, []byte{byte(i)})...)
	}
	if _, err := s.Write(many); err != nil { // all in one frame
		t.Fatal(err)
	}
	for i := range 100 {
		if err := r.want(0x30, i); err != nil {
			t.Fatal(err)
		}
	}
}

// TestWebSocketInOneSegment sends request and CONNECT together; about half of the clients move to another loop with their answer.
func TestWebSocketInOneSegment(t *testing.T) {
	b := start(t, "protocol auto")
	for i := range 40 {
		conn, err := net.DialTimeout("tcp", b.addr(), patience)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		var all bytes.Buffer
		all.WriteString(upgradeRequest + "\r\n")
		packets := append(connectBytes(fmt.Sprint("one-", i), "", ""), subscribeBytes(0, "t")...)
		if err := ws.WriteFrame(&all, ws.MaskFrame(ws.NewBinaryFrame(packets))); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(all.Bytes()); err != nil {
			t.Fatal(err)
		}
		s, answer := readUpgrade(t, conn)
		if answer != upgradeAnswer {
			t.Fatalf("%q", answer)
		}
		r := &raw{conn: s, in: bufio.NewReader(s)}
		if err := errors.Join(r.want(0x20, 0), r.want(0x90, 0)); err != nil {
			t.Fatalf("client %d: %v", i, err)
		}
	}
}

// TestWebSocketPacketInTwoReads has the end of a CONNECT arrive together with the packet behind it.
func TestWebSocketPacketInTwoReads(t *testing.T) {
	b := start(t, "protocol websockets")
	for i := range 40 {
		s := dialSocket(t, b)
		packets := append(connectBytes(fmt.Sprint("two-", i), "", ""), subscribeBytes(0, "t")...)
		err := errors.Join(s.send(ws.OpBinary, true, packets[:10]), s.send(ws.OpPing, true, nil))
		if err != nil {
			t.Fatal(err)
		}
		if h, err := ws.ReadHeader(s.in); err != nil || h.OpCode != ws.OpPong { // now the beginning was read
			t.Fatalf("%+v %v", h, err)
		}
		if _, err := s.Write(packets[10:]); err != nil {
			t.Fatal(err)
		}
		r := &raw{conn: s, in: bufio.NewReader(s)}
		if err := errors.Join(r.want(0x20, 0), r.want(0x90, 0)); err != nil {
			t.Fatalf("client %d: %v", i, err)
		}
	}
}

// TestWebSocketDisconnectIsSeenBeforeTheClose has both in one segment: no will may be published.
func TestWebSocketDisconnectIsSeenBeforeTheClose(t *testing.T) {
	b := start(t, "protocol websockets")
	id := name(t, "c")
	s := dialSocket(t, b)
	over(t, s, id)
	var both bytes.Buffer
	for _, f := range []ws.Frame{ws.NewBinaryFrame([]byte{0xe0, 0}), ws.NewCloseFrame(ws.NewCloseFrameBody(1000, ""))} {
		if err := ws.WriteFrame(&both, ws.MaskFrame(f)); err != nil {
			t.Fatal(err)
		}
	}
	b.expect(t, fmt.Sprintf("Client %s [%s] disconnected.", id, s.LocalAddr()), func() {
		if _, err := s.Conn.Write(both.Bytes()); err != nil {
			t.Fatal(err)
		}
	})
	if _, err := io.Copy(io.Discard, s); s.status != 1000 {
		t.Fatal(err)
	}
}

// TestWebSocketCloseBehindConnect has both in one segment; about half of the clients move to another loop between the two.
func TestWebSocketCloseBehindConnect(t *testing.T) {
	b := start(t, "protocol websockets")
	for i := range 20 {
		s := dialSocket(t, b)
		var both bytes.Buffer
		for _, f := range []ws.Frame{ws.NewBinaryFrame(connectBytes(fmt.Sprint("short-", i), "", "")), ws.NewCloseFrame(ws.NewCloseFrameBody(1000, ""))} {
			if err := ws.WriteFrame(&both, ws.MaskFrame(f)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Conn.Write(both.Bytes()); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, s); s.status != 1000 {
			t.Fatal(err)
		}
		if _, err := s.in.ReadByte(); err != io.EOF {
			t.Fatalf("client %d: %v", i, err)
		}
	}
}

// TestWebSocketMistakes holds what ends a WebSocket v3.1.1 [MQTT-6.0.0-1], v5 [MQTT-6.0.0-1].
func TestWebSocketMistakes(t *testing.T) {
	b := start(t, "protocol websockets", "max_packet_size 2000000")
	f := func(name string, status int, line string, frame ...byte) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			s := dialSocket(t, b)
			b.expect(t, line, func() {
				if _, err := s.Conn.Write(frame); err != nil {
					t.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, s); s.status != status {
					t.Fatalf("status %d: %v", s.status, err)
				}
			})
			if _, err := s.in.ReadByte(); err != io.EOF {
				t.Fatalf("behind the close frame: %v", err)
			}
		})
	}
	f("no mask", 1002, "disconnected: WebSocket frame without a mask.", 0x82, 1, 0x10)
	f("text", 1003, "disconnected: WebSocket text frame, MQTT needs binary ones.", 0x81, 0x81, 0, 0, 0, 0, 'x')
	f("too large", 1009, "disconnected: WebSocket frame larger than max_packet_size.", 0x82, 0xff, 0, 0, 0, 0, 0, 0x1f, 0, 0, 0, 0, 0, 0)
	f("continuation", 1002, "disconnected: WebSocket continuation of nothing.", 0x80, 0x81, 0, 0, 0, 0, 'x')
}

// refusedRequest sends a request and returns all that comes back.
func refusedRequest(t *testing.T, b *broker, request string) string {
	t.Helper()
	conn, err := net.DialTimeout("tcp", b.addr(), patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatalf("%q %v", answer, err)
	}
	return string(answer)
}

func TestWebSocketRequestsThatAreRefused(t *testing.T) {
	b := start(t, "protocol websockets", "websockets_origin https://example.org", "websockets_origin https://example.net",
		"websockets_headers_size 600")
	f := func(line, answer, request string) {
		t.Helper()
		b.expect(t, line, func() {
			if got := refusedRequest(t, b, request); got != answer && (answer == "" || !strings.HasPrefix(got, answer)) {
				t.Fatalf("%q: %q", request, got)
			}
		})
	}
	over(t, dialSocket(t, b, "Origin: https://example.net"), name(t, "browser"))
	over(t, dialSocket(t, b), name(t, "other"))

	f("disconnected: WebSocket from an origin that websockets_origin does not name.", "",
		upgradeRequest+"Origin: https://example.com\r\n\r\n")
	f("disconnected: no WebSocket handshake: ", "HTTP/1.1 400 Bad Request\r\n", "GET / HTTP/1.1\r\nHost: broker\r\n\r\n")
	f("disconnected: HTTP headers larger than websockets_headers_size.", "HTTP/1.1 431 ", upgradeRequest+"X: "+strings.Repeat("x", 600))
	f("disconnected: no HTTP request on a WebSocket listener.", "", string(connectBytes("x", "", "")))
}

func TestForwardedForIsWhoTheClientIs(t *testing.T) {
	b := start(t, "protocol websockets", "proxy_trusted 127.0.0.0/8")
	id := name(t, "c")
	b.expect(t, "New client connected from 192.0.2.1:0 as "+id+" ", func() {
		over(t, dialSocket(t, b, "X-Forwarded-For: 203.0.113.7, 192.0.2.1"), id)
	})
	b = start(t, "protocol websockets")
	b.expect(t, "New client connected from 127.0.0.1:", func() {
		over(t, dialSocket(t, b, "X-Forwarded-For: 192.0.2.1"), id)
	})
}

// TestWebSocketLeavesNothing counts the broker's files before and after connections that end in every way.
func TestWebSocketLeavesNothing(t *testing.T) {
	b := start(t, "protocol auto")
	files := func() int {
		all, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", b.cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	over(t, dialSocket(t, b), name(t, "first")).conn.Close()
	before := files()
	for i := range 100 {
		conn, err := net.DialTimeout("tcp", b.addr(), patience)
		if err != nil {
			t.Fatal(err)
		}
		switch i % 4 {
		case 0:
			_, _ = io.WriteString(conn, upgradeRequest[:50])
		case 1:
			over(t, openSocket(t, conn), name(t, "c"))
		case 2:
			openSocket(t, conn)
			_, _ = conn.Write([]byte{0x82, 0xff, 0})
		case 3:
			_ = openSocket(t, conn).send(ws.OpClose, true, nil)
		}
		conn.Close()
	}
	for deadline := time.Now().Add(patience); files() > before; {
		if time.Now().After(deadline) {
			t.Fatalf("%d files are open, before it were %d", files(), before)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// TestHeadersThatDoNotCome sends the beginning of what must come first and waits.
func TestHeadersThatDoNotCome(t *testing.T) {
	f := func(what, beginning string, lines ...string) {
		t.Helper()
		b := start(t, append(lines, "connect_timeout 1")...)
		b.expect(t, "] disconnected: no "+what+" in time.", func() {
			if got := refusedRequest(t, b, beginning); got != "" {
				t.Fatalf("%q", got)
			}
		})
	}
	a := newAuthority(t)
	certFile, keyFile, _ := a.issue("localhost", ecKey(t), nil)
	withTLS := []string{"certfile " + certFile, "keyfile " + keyFile}
	hello := string(clientHello(t))
	f("HTTP request for a WebSocket", upgradeRequest, "protocol websockets")
	f("HTTP request for a WebSocket", upgradeRequest, "protocol auto")
	f("CONNECT", "", "protocol auto")
	f("CONNECT", "\x10\x0c\x00\x04MQTT")
	f("PROXY header", "PROXY TCP4 ", "enable_proxy_protocol 1")
	f("PROXY header", "\r\n\r\n\x00\r\nQUIT\n\x21", "enable_proxy_protocol 2")
	f("PROXY header", "", append(withTLS, "enable_proxy_protocol 2")...)
	f("TLS handshake", "", withTLS...)
	f("TLS handshake", hello[:100], append(withTLS, "protocol websockets")...)
	proxied := "PROXY TCP4 192.0.2.1 127.0.0.1 1000 2000\r\n"
	b := start(t, append(withTLS, "enable_proxy_protocol 1", "connect_timeout 1")...)
	b.expect(t, "192.0.2.1:1000] disconnected: no TLS handshake in time.", func() { refusedRequest(t, b, proxied+hello[:5]) })
	f("TLS handshake", "PROXY UNKNOWN\r\n"+hello[:5], append(withTLS, "enable_proxy_protocol 1")...)
}
