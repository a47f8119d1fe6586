package transport

import (
	"encoding/binary"
	"io"
	"net/netip"
	"unicode/utf8"

	"github.com/noctulemq/noctule/codec"
)

// WebSocketSettings is what holds for the WebSocket clients of one listener. It is shared by its connections and not changed.
type WebSocketSettings struct {
	// Origins are the web sites whose pages may connect, as browsers write them (https://example.com); empty: all. A client
	// that names no origin is no browser and is admitted: it could name any.
	Origins []string
	// HeaderBytes bounds the HTTP request; 0 means 4,096.
	HeaderBytes int
	// PacketBytes is the largest MQTT packet, 0 for no limit; a frame may have as much, and always 1 MiB.
	PacketBytes int
	// Files are served to HTTP requests that are not for a WebSocket; nil: none.
	Files *Files
	// Trusted are the networks of proxies whose X-Forwarded-For is believed.
	Trusted []netip.Prefix
}

func (s *WebSocketSettings) frameBytes() uint64 {
	if s.PacketBytes == 0 {
		return frameBytesMax
	}
	return uint64(max(s.PacketBytes+packetHeaderMax, frameBytesMin))
}

// WebSocket is the layer of RFC 6455, server side, with the sub-protocols of MQTT. It gives payload on as it arrives, not by
// frames: packets need not keep to them [MQTT-6.0.0-4].
type WebSocket struct {
	settings *WebSocketSettings
	peer     *Peer
	remote   netip.AddrPort

	// kept is what has arrived of the HTTP request, or of a frame that cannot be judged yet: a header, or a control frame. Owned.
	kept []byte
	left uint64 // payload of the present data frame that is still to come
	body string // of the file that was asked for, what was not yet sent
	key  [4]byte
	used uint8 // how many bytes the key was applied to, modulo 4

	open       bool // the handshake is done
	unfinished bool // the last data frame had no FIN: continuations follow
	closed     bool // a close frame was sent: nothing more is sent or read
}

// NewWebSocket returns the layer of one connection. remote is the TCP peer, not valid where there is none.
func NewWebSocket(s *WebSocketSettings, peer *Peer, remote netip.AddrPort) *WebSocket {
	return &WebSocket{settings: s, peer: peer, remote: remote}
}

// The opcodes (section 5.2) and the bits around them.
const (
	opContinuation = 0
	opText         = 1
	opBinary       = 2
	opClose        = 8
	opPing         = 9
	opPong         = 10

	opMask     = 0x0f
	controlBit = 0x08
	reserved   = 0x70
	finBit     = 0x80
	maskBit    = 0x80
)

// frameError is a client's mistake with the status code of the close frame that answers it (section 7.4.1).
type frameError struct {
	code uint16
	text string
}

func (e *frameError) Error() string { return e.text }

var (
	errNoMask       = &frameError{1002, "WebSocket frame without a mask"}
	errReserved     = &frameError{1002, "WebSocket frame with a reserved bit or opcode"}
	errControl      = &frameError{1002, "WebSocket control frame in pieces or of more than 125 bytes"}
	errContinuation = &frameError{1002, "WebSocket continuation of nothing"}
	errInterrupted  = &frameError{1002, "WebSocket message that begins inside another"}
	errCloseCode    = &frameError{1002, "WebSocket close frame with a wrong status code"}
	errText         = &frameError{1003, "WebSocket text frame, MQTT needs binary ones"}
	errCloseReason  = &frameError{1007, "WebSocket close frame with a reason that is not UTF-8"}
	errTooLarge     = &frameError{1009, "WebSocket frame larger than max_packet_size"}
)

// In is loop.Layer's. An error of io.EOF is the client's close frame.
func (w *WebSocket) In(up, down, b []byte) (newUp, newDown []byte, err error) {
	for !w.open && len(b) > 0 && err == nil {
		b, down, err = w.handshake(down, b)
	}
	for len(b) > 0 && err == nil && !w.closed {
		switch need := frameNeed(b); {
		case w.left > 0:
			n := int(min(w.left, uint64(len(b))))
			start := len(up)
			up = append(up, b[:n]...)
			codec.Mask(up[start:], w.key, int(w.used))
			w.used = uint8(int(w.used)+n) & 3
			w.left -= uint64(n)
			b = b[n:]
		case len(w.kept) == 0 && len(b) >= need:
			down, err = w.frame(down, b[:need])
			b = b[need:]
		default:
			b = w.gather(b)
			if len(w.kept) == frameNeed(w.kept) {
				down, err = w.frame(down, w.kept)
				w.kept = w.kept[:0]
			}
		}
	}
	return up, down, err
}

// frameNeed returns how many bytes of a frame must be there to judge it: its header, and all of it if it is a control frame. It
// is 2 until the length is known.
func frameNeed(b []byte) int {
	if len(b) < 2 {
		return 2
	}
	n, length := 2, int(b[1]&^maskBit)
	switch length {
	case 126:
		n += 2
	case 127:
		n += 8
	default:
		if b[0]&controlBit != 0 {
			n += length
		}
	}
	if b[1]&maskBit != 0 {
		n += 4
	}
	return n
}

// gather takes from b what kept needs.
func (w *WebSocket) gather(b []byte) (rest []byte) {
	for len(b) > 0 && len(w.kept) < frameNeed(w.kept) {
		n := min(frameNeed(w.kept)-len(w.kept), len(b))
		w.kept = append(w.kept, b[:n]...)
		b = b[n:]
	}
	return b
}

// frame takes the header of a data frame, or a whole control frame. A mistake is answered.
func (w *WebSocket) frame(down, b []byte) ([]byte, error) {
	if e := w.check(b); e != nil {
		return w.sendClose(down, e.code), e
	}
	length, key := uint64(b[1]&^maskBit), b[2:]
	switch length {
	case 126:
		length, key = uint64(binary.BigEndian.Uint16(key)), key[2:]
	case 127:
		length, key = binary.BigEndian.Uint64(key), key[8:]
	}
	copy(w.key[:], key)
	switch payload := key[4:]; b[0] & opMask {
	case opPing:
		down = append(down, finBit|opPong, byte(len(payload)))
		down = append(down, payload...)
		codec.Mask(down[len(down)-len(payload):], w.key, 0)
	case opPong:
	case opClose:
		return w.receiveClose(down, payload)
	default:
		if length > w.settings.frameBytes() {
			return w.sendClose(down, errTooLarge.code), errTooLarge
		}
		w.left, w.used = length, 0
		w.unfinished = b[0]&finBit == 0
	}
	return down, nil
}

// check looks at the first two bytes of a frame.
func (w *WebSocket) check(b []byte) *frameError {
	op, control := b[0]&opMask, b[0]&controlBit != 0
	switch {
	case b[0]&reserved != 0 || op > opPong || op > opBinary && !control:
		return errReserved
	case b[1]&maskBit == 0:
		return errNoMask
	case control && (b[0]&finBit == 0 || b[1]&^maskBit > controlMax):
		return errControl
	case control:
		return nil
	case op == opText:
		return errText
	case op == opContinuation && !w.unfinished:
		return errContinuation
	case op == opBinary && w.unfinished:
		return errInterrupted
	}
	return nil
}

// receiveClose answers a close frame with its own code.
func (w *WebSocket) receiveClose(down, masked []byte) ([]byte, error) {
	var array [controlMax]byte
	payload := array[:copy(array[:], masked)]
	codec.Mask(payload, w.key, 0)
	e := checkClose(payload)
	switch {
	case e != nil:
		return w.sendClose(down, e.code), e
	case len(payload) == 0:
		w.closed = true
		return append(down, finBit|opClose, 0), io.EOF
	}
	return w.sendClose(down, binary.BigEndian.Uint16(payload)), io.EOF
}

func checkClose(payload []byte) *frameError {
	if len(payload) == 0 {
		return nil
	}
	if len(payload) == 1 {
		return errCloseCode
	}
	code := binary.BigEndian.Uint16(payload)
	switch {
	case code < 1000 || code >= 1004 && code <= 1006 || code >= 1015 && code < 3000 || code >= 5000:
		return errCloseCode
	case !utf8.Valid(payload[2:]):
		return errCloseReason
	}
	return nil
}

func (w *WebSocket) sendClose(down []byte, code uint16) []byte {
	w.closed = true
	return binary.BigEndian.AppendUint16(append(down, finBit|opClose, 2), code)
}

// Out is loop.Layer's: one binary frame for all that is there.
func (w *WebSocket) Out(down, b []byte) []byte {
	if !w.open || w.closed || len(b) == 0 {
		return down
	}
	down = append(down, finBit|opBinary)
	switch n := len(b); {
	case n < 126:
		down = append(down, byte(n))
	case n < 1<<16:
		down = binary.BigEndian.AppendUint16(append(down, 126), uint16(n))
	default:
		down = binary.BigEndian.AppendUint64(append(down, 127), uint64(n))
	}
	return append(down, b...)
}

// Close is loop.Layer's.
func (w *WebSocket) Close(down []byte) []byte {
	if !w.open || w.closed {
		return down
	}
	return w.sendClose(down, 1000)
}

// Pour is loop.Pourer's: the file that was asked for, by and by.
func (w *WebSocket) Pour(down []byte) []byte {
	n := min(len(w.body), pourBytes)
	down = append(down, w.body[:n]...)
	w.body = w.body[n:]
	return down
}

// Left is loop.Pourer's.
func (w *WebSocket) Left() int { return len(w.body) }

// Waits is loop.Waiter's.
func (w *WebSocket) Waits() string {
	if w.open {
		return ""
	}
	return "HTTP request for a WebSocket"
}

// Passes is loop.Layer's.
func (w *WebSocket) Passes() bool { return false }
