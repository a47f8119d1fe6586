package transport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

// layer is loop.Layer.
type layer interface {
	In(up, down, b []byte) (newUp, newDown []byte, err error)
	Out(down, b []byte) []byte
	Close(down []byte) []byte
	Passes() bool
}

// seen is what a layer made of some input.
type seen struct {
	up, down string
	err      string
	passes   bool
	peer     Peer
}

func (s seen) String() string {
	return fmt.Sprintf("up %q\ndown %q\nerror %q, passes %t, peer %+v", s.up, s.down, s.err, s.passes, s.peer)
}

// take gives a layer its input in pieces, until it fails.
func take(l layer, peer *Peer, pieces ...[]byte) seen {
	var up, down []byte
	var err error
	for _, b := range pieces {
		given := bytes.Clone(b)
		if up, down, err = l.In(up, down, given); err != nil {
			break
		}
		for i := range given { // what was given is borrowed
			given[i] = 0xee
		}
	}
	if p, ok := l.(interface{ Pour([]byte) []byte }); ok && err == nil {
		for n := -1; n < len(down); {
			n = len(down)
			down = p.Pour(down)
		}
	}
	s := seen{up: string(up), down: string(down), passes: l.Passes(), peer: *peer}
	if err != nil {
		s.err = err.Error()
	}
	return s
}

// cuts calls f with the input in ever other pieces: at each place, each byte alone, and at random.
func cuts(input []byte, f func(pieces ...[]byte)) {
	for i := range len(input) + 1 {
		f(input[:i], input[i:])
	}
	var single [][]byte
	for i := range input {
		single = append(single, input[i:i+1], nil)
	}
	f(single...)
	random := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		var pieces [][]byte
		for rest := input; len(rest) > 0; {
			n := 1 + random.IntN(len(rest))
			pieces = append(pieces, rest[:n])
			rest = rest[n:]
		}
		f(pieces...)
	}
}

// always checks that the input has one meaning however it is cut, and returns it.
func always(t *testing.T, input []byte, fresh func(*Peer) layer) seen {
	t.Helper()
	peer := &Peer{}
	want := take(fresh(peer), peer, input)
	cuts(input, func(pieces ...[]byte) {
		peer := &Peer{}
		if got := take(fresh(peer), peer, pieces...); got != want {
			t.Fatalf("in %d pieces, the first of %d bytes: %v\nin one: %v", len(pieces), len(pieces[0]), got, want)
		}
	})
	return want
}

const key = "dGhlIHNhbXBsZSBub25jZQ=="

// request is a handshake with more header lines.
func request(lines ...string) string {
	return "GET /mqtt?token=1 HTTP/1.1\r\nHost: broker\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Key: " + key +
		"\r\nSec-WebSocket-Version: 13\r\n" + strings.Join(append(lines, ""), "\r\n") + "\r\n"
}

const (
	asked    = "Sec-WebSocket-Protocol: mqtt"
	answered = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
)

// masked is a client's frame.
func masked(op ws.OpCode, fin bool, payload string) string {
	var b bytes.Buffer
	f := ws.MaskFrameWith(ws.NewFrame(op, fin, []byte(payload)), [4]byte{1, 2, 0x83, 0xff})
	if err := ws.WriteFrame(&b, f); err != nil {
		panic(err)
	}
	return b.String()
}

// closed is the server's close frame.
func closed(code uint16) string {
	return string(binary.BigEndian.AppendUint16([]byte{0x88, 2}, code))
}

// TestWebSocketFrames holds what frames carry v3.1.1 [MQTT-6.0.0-1] [MQTT-6.0.0-2], v5 [MQTT-6.0.0-1] [MQTT-6.0.0-2].
func TestWebSocketFrames(t *testing.T) {
	settings := &WebSocketSettings{PacketBytes: 20}
	f := func(name, frames, up, down, err string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			got := always(t, []byte(request(asked)+frames), func(p *Peer) layer {
				return NewWebSocket(settings, p, netip.AddrPort{})
			})
			if got.up != up || got.down != answered+down || got.err != err || got.peer.Path != "/mqtt" {
				t.Fatal(got)
			}
		})
	}
	const text, binary, more = ws.OpText, ws.OpBinary, ws.OpContinuation
	long := strings.Repeat("abcdefg", 100)
	ping := masked(ws.OpPing, true, "are you there")
	pong := "\x8a\x0dare you there"

	f("nothing", "", "", "", "")
	f("one frame", masked(binary, true, "hello"), "hello", "", "")
	f("several frames", masked(binary, true, "he")+masked(binary, true, "")+masked(binary, true, "llo"), "hello", "", "")
	f("a long frame", masked(binary, true, long), long, "", "")
	f("a message in pieces", masked(binary, false, "he")+masked(more, false, "l")+masked(more, true, "lo")+masked(binary, true, "!"), "hello!", "", "")
	f("a ping between pieces", masked(binary, false, "he")+ping+masked(more, true, "llo"), "hello", pong, "")
	f("an empty ping", masked(ws.OpPing, true, ""), "", "\x8a\x00", "")
	f("the longest ping", masked(ws.OpPing, true, long[:125]), "", "\x8a\x7d"+long[:125], "")
	f("a pong", masked(ws.OpPong, true, "x")+masked(binary, true, "hello"), "hello", "", "")
	f("a long length for a short frame", "\x82\xfe\x00\x02\x00\x00\x00\x00ab", "ab", "", "")
	f("the largest frame", "\x82\xff\x00\x00\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00ab", "ab", "", "")

	f("close", masked(binary, true, "hello")+masked(ws.OpClose, true, "\x03\xe9going"), "hello", closed(1001), "EOF")
	f("close without a code", masked(ws.OpClose, true, "")+ping, "", "\x88\x00", "EOF")
	f("close with half a code", masked(ws.OpClose, true, "\x03"), "", closed(1002), errCloseCode.text)
	f("close with a code that is not sent", masked(ws.OpClose, true, "\x03\xed"), "", closed(1002), errCloseCode.text)
	f("close with a broken reason", masked(ws.OpClose, true, "\x03\xe8\xff"), "", closed(1007), errCloseReason.text)

	f("no mask", masked(binary, true, "hello")+"\x82\x01a"+ping, "hello", closed(1002), errNoMask.text)
	f("no mask on a ping", "\x89\x01a", "", closed(1002), errNoMask.text)
	f("a text frame", masked(text, true, "hello"), "", closed(1003), errText.text)
	f("a text frame in pieces", masked(text, false, "hello"), "", closed(1003), errText.text)
	f("too large", "\x82\xff\x00\x00\x00\x00\x00\x10\x00\x01\x00\x00\x00\x00", "", closed(1009), errTooLarge.text)
	f("far too large", "\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00", "", closed(1009), errTooLarge.text)
	f("continuation without start", masked(more, true, "hello"), "", closed(1002), errContinuation.text)
	f("continuation behind the end", masked(binary, true, "a")+masked(more, true, "b"), "a", closed(1002), errContinuation.text)
	f("a message inside another", masked(binary, false, "a")+masked(binary, true, "b"), "a", closed(1002), errInterrupted.text)
	f("a ping in pieces", masked(ws.OpPing, false, "a"), "", closed(1002), errControl.text)
	f("a long ping", "\x89\xfe\x00\x7e\x00\x00\x00\x00", "", closed(1002), errControl.text)
	f("a reserved opcode", masked(3, true, "a"), "", closed(1002), errReserved.text)
	f("a reserved control opcode", masked(11, true, "a"), "", closed(1002), errReserved.text)
	f("a reserved bit", "\xc2\x81\x00\x00\x00\x00a", "", closed(1002), errReserved.text)
}

// TestWebSocketHandshake holds how a WebSocket begins v3.1.1 [MQTT-6.0.0-4], v5 [MQTT-6.0.0-4].
func TestWebSocketHandshake(t *testing.T) {
	f := func(name, input, down, err string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			got := always(t, []byte(input), func(p *Peer) layer {
				return NewWebSocket(&WebSocketSettings{Origins: []string{"https://a", "https://b"}, HeaderBytes: 1000}, p, netip.AddrPort{})
			})
			if !strings.HasPrefix(got.down, down) || down == "" && got.down != "" ||
				!strings.HasPrefix(got.err, err) || (err == "") != (got.err == "") || got.up != "" {
				t.Fatal(got)
			}
		})
	}
	const refused = "no WebSocket handshake: "
	with := func(old, new string) string { return strings.Replace(request(asked), old, new, 1) }

	f("mqtt", request(asked), answered, "")
	f("mqttv3.1", request("Sec-WebSocket-Protocol: mqttv3.1"), strings.Replace(answered, ": mqtt", ": mqttv3.1", 1), "")
	f("the client's first that is known", request("sec-websocket-protocol: x, mqttv3.1, mqtt"), strings.Replace(answered, ": mqtt", ": mqttv3.1", 1), "")
	f("no sub-protocol", request(), strings.Replace(answered, "Sec-WebSocket-Protocol: mqtt\r\n", "", 1), "")
	f("another sub-protocol", request("Sec-WebSocket-Protocol: x"), "", errSubprotocol.Error())
	f("extensions are not taken up", request(asked, "Sec-WebSocket-Extensions: permessage-deflate"), answered, "")
	f("a known origin", request(asked, "Origin: https://b"), answered, "")
	f("another origin", request(asked, "Origin: https://c"), "", errOrigin.Error())
	f("two origins", request(asked, "Origin: https://c", "Origin: https://a"), "", errOrigin.Error())

	f("half", request(asked)[:100], "", "")
	f("no upgrade", with("Upgrade: websocket\r\n", ""), "HTTP/1.1 400 ", refused)
	f("no connection", with("Connection: ", "X: "), "HTTP/1.1 400 ", refused)
	f("no key", with("Sec-WebSocket-Key", "X"), "HTTP/1.1 400 ", refused)
	f("no version", with("Sec-WebSocket-Version: 13\r\n", ""), "HTTP/1.1 400 ", refused)
	f("another version", with("Version: 13", "Version: 8"),
		"HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n"+
			"Content-Type: text/plain; charset=utf-8\r\nSec-WebSocket-Version: 13\r\n", refused)
	f("no host", with("Host: broker\r\n", ""), "HTTP/1.1 400 ", refused)
	f("POST", with("GET", "POST"), "HTTP/1.1 405 ", refused)
	f("HTTP/1.0", with("HTTP/1.1", "HTTP/1.0"), "HTTP/1.1 505 ", refused)
	f("a header without a colon", request(asked, "what"), "HTTP/1.1 400 ", refused)
	f("no request line", "GET\r\n\r\n", "", refused)
	f("plain MQTT", "\x10\x10\x00\x04MQTT", "", errNoHTTP.Error())
	f("TLS", "\x16\x03\x01\x02\x00\x01", "", errNoHTTP.Error())
	f("headers at the bound", request(asked, "X: "+strings.Repeat("x", 1000-len(request(asked, "X: ")))), answered, "")
	f("headers over the bound", request(asked, "X: "+strings.Repeat("x", 1001-len(request(asked, "X: ")))), "HTTP/1.1 431 ", errHeaders.Error())
	f("headers without end", request(asked)[:100]+strings.Repeat("x", 5000), "HTTP/1.1 431 ", errHeaders.Error())
}

func TestForwardedForIsBelievedFromTrustedProxies(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	f := func(remote, proxied string, lines []string, want string) {
		t.Helper()
		p := &Peer{}
		if proxied != "" {
			p.Address = netip.MustParseAddrPort(proxied)
		}
		w := NewWebSocket(&WebSocketSettings{Trusted: trusted}, p, netip.MustParseAddrPort(remote))
		got := take(w, p, []byte(request(append(lines, asked)...)))
		if s := got.peer.Address.String(); got.err != "" || s != want && (want != "" || got.peer.Address.IsValid()) {
			t.Fatalf("from %s with %q: %s, want %s (%s)", remote, lines, s, want, got.err)
		}
	}
	one := func(s string) []string { return []string{"X-Forwarded-For: " + s} }

	f("10.0.0.1:5", "", one("192.0.2.1"), "192.0.2.1:0")
	f("[::ffff:10.0.0.1]:5", "", one("192.0.2.1:700"), "192.0.2.1:700")
	f("10.0.0.1:5", "", one("2001:db8::1"), "[2001:db8::1]:0")
	f("10.0.0.1:5", "", one("[2001:db8::1]:9"), "[2001:db8::1]:9")
	f("10.0.0.1:5", "", one("[2001:db8::1]"), "[2001:db8::1]:0")
	f("10.0.0.1:5", "", one("203.0.113.9, 192.0.2.1"), "192.0.2.1:0")
	f("10.0.0.1:5", "", one("192.0.2.1, 10.0.0.2,fd00::3"), "192.0.2.1:0")
	f("10.0.0.1:5", "", []string{"X-Forwarded-For: 192.0.2.1", "x-forwarded-for: 10.0.0.2"}, "192.0.2.1:0")
	f("10.0.0.1:5", "", one("what, 10.0.0.2"), "10.0.0.2:0")
	f("10.0.0.1:5", "", one("what"), "")
	f("10.0.0.1:5", "", nil, "")
	f("192.0.2.7:5", "", one("192.0.2.1"), "")
	f("192.0.2.7:5", "10.0.0.3:1", one("192.0.2.1"), "192.0.2.1:0")
	f("10.0.0.1:5", "192.0.2.7:1", one("192.0.2.1"), "192.0.2.7:1")
}

func TestWebSocketOutput(t *testing.T) {
	p := &Peer{}
	w := NewWebSocket(&WebSocketSettings{}, p, netip.AddrPort{})
	if len(w.Out(nil, []byte("x"))) != 0 || len(w.Close(nil)) != 0 {
		t.Fatal("something was sent before the handshake")
	}
	take(w, p, []byte(request(asked)))
	for _, n := range []int{1, 125, 126, 65535, 65536} {
		payload := bytes.Repeat([]byte("x"), n)
		r := bytes.NewReader(w.Out(nil, payload))
		header, err := ws.ReadHeader(r)
		rest, _ := io.ReadAll(r)
		if err != nil || header != (ws.Header{Fin: true, OpCode: ws.OpBinary, Length: int64(n)}) || !bytes.Equal(rest, payload) {
			t.Fatalf("%d bytes: %+v %v", n, header, err)
		}
	}
	if b := w.Close(nil); string(b) != closed(1000) {
		t.Fatalf("close: %q", b)
	}
	if len(w.Out(nil, []byte("x"))) != 0 || len(w.Close(nil)) != 0 {
		t.Fatal("something was sent behind the close frame")
	}
	up, down, err := w.In(nil, nil, []byte(masked(ws.OpPing, true, "x")))
	if len(up)+len(down) > 0 || err != nil {
		t.Fatal("something was read behind the close frame")
	}
}

func TestWebSocketCloseEndsAsEOF(t *testing.T) {
	w := NewWebSocket(&WebSocketSettings{}, &Peer{}, netip.AddrPort{})
	if _, _, err := w.In(nil, nil, []byte(request(asked)+masked(ws.OpClose, true, ""))); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
}

func TestAutoDecidesByTheFirstByte(t *testing.T) {
	f := func(input, up, down, err string, passes bool) {
		t.Helper()
		got := always(t, []byte(input), func(p *Peer) layer { return NewAuto(&WebSocketSettings{}, p, netip.AddrPort{}) })
		if got.up != up || !strings.HasPrefix(got.down, down) || down == "" && got.down != "" || got.passes != passes ||
			!strings.HasPrefix(got.err, err) || err == "" && got.err != "" {
			t.Fatal(got)
		}
	}
	f("\x10\x10\x00\x04MQTT", "\x10\x10\x00\x04MQTT", "", "", true)
	f("\x16\x03\x01", "\x16\x03\x01", "", "", true)
	f(request(asked)+masked(ws.OpBinary, true, "hello"), "hello", answered, "", false)
	f(strings.Replace(request(asked), "GET", "HEAD", 1), "", "HTTP/1.1 405 ", "no WebSocket handshake: ", false)
	f("", "", "", "", false)

	a := NewAuto(&WebSocketSettings{}, &Peer{}, netip.AddrPort{})
	take(a, &Peer{}, []byte(request(asked)))
	if got := string(a.Close(a.Out(nil, []byte("x")))); got != "\x82\x01x"+closed(1000) {
		t.Fatalf("%q", got)
	}
}

// TestWebSocketFramesAllocateNothing also cuts frames at every place of their headers.
func TestWebSocketFramesAllocateNothing(t *testing.T) {
	w := NewWebSocket(&WebSocketSettings{}, &Peer{}, netip.AddrPort{})
	take(w, &Peer{}, []byte(request(asked)))
	frames := []byte(masked(ws.OpBinary, true, strings.Repeat("x", 300)) + masked(ws.OpPing, true, "x") + masked(ws.OpBinary, true, "y"))
	var up, down []byte
	if n := testing.AllocsPerRun(100, func() {
		for i := range frames {
			up, down, _ = w.In(up[:0], down[:0], frames[:i])
			up, down, _ = w.In(up[:0], down[:0], frames[i:])
			down = w.Out(down[:0], up)
		}
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

func TestWebSocketKeepsLittle(t *testing.T) {
	w := NewWebSocket(&WebSocketSettings{}, &Peer{}, netip.AddrPort{})
	for range 3000 {
		_, _, _ = w.In(nil, nil, []byte("GET / HTTP/1.1\r\n"))
		if cap(w.kept) > 2*headerBytes {
			t.Fatalf("%d bytes are kept", cap(w.kept))
		}
	}
	w = NewWebSocket(&WebSocketSettings{}, &Peer{}, netip.AddrPort{})
	for _, b := range []byte(request(asked) + strings.Repeat(masked(ws.OpPing, true, strings.Repeat("x", controlMax)), 100)) {
		if _, _, err := w.In(nil, nil, []byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	if cap(w.kept) > 256 {
		t.Fatalf("%d bytes are kept", cap(w.kept))
	}
}

func FuzzWebSocket(f *testing.F) {
	files := &Files{answers: map[string]answer{}}
	files.add("index.html", "home")
	f.Fuzz(func(t *testing.T, input []byte, open bool, cut uint16) {
		trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		settings := &WebSocketSettings{Files: files, PacketBytes: 100, HeaderBytes: 300, Trusted: trusted}
		run := func(pieces ...[]byte) seen {
			peer := &Peer{}
			w := NewWebSocket(settings, peer, netip.MustParseAddrPort("10.1.1.1:1"))
			if open {
				if s := take(w, peer, []byte(request(asked))); s.err != "" {
					t.Fatal(s)
				}
			}
			s := take(w, peer, pieces...)
			if len(w.kept) > max(300, 2+4+controlMax) {
				t.Fatalf("%d bytes are kept", len(w.kept))
			}
			return s
		}
		i := int(cut) % (len(input) + 1)
		whole, pieces := run(input), run(input[:i], input[i:])
		if whole != pieces {
			t.Fatalf("cut at %d: %v\nwhole: %v", i, pieces, whole)
		}
		if len(whole.up) > len(input) {
			t.Fatal("more came out than went in")
		}
	})
}
