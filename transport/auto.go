package transport

import "net/netip"

// Auto lets a listener take plain MQTT and WebSocket both. The first byte decides: an HTTP request begins with a capital letter,
// no packet of MQTT that may come first does.
type Auto struct {
	settings *WebSocketSettings
	peer     *Peer
	remote   netip.AddrPort
	socket   *WebSocket // nil until it is one
	plain    bool
}

// NewAuto returns the layer of one connection; the arguments are those of NewWebSocket.
func NewAuto(s *WebSocketSettings, peer *Peer, remote netip.AddrPort) *Auto {
	return &Auto{settings: s, peer: peer, remote: remote}
}

// In is loop.Layer's.
func (a *Auto) In(up, down, b []byte) (newUp, newDown []byte, err error) {
	if a.socket == nil && !a.plain && len(b) > 0 {
		if startsRequest(b) {
			a.socket = NewWebSocket(a.settings, a.peer, a.remote)
		}
		a.plain = a.socket == nil
	}
	if a.socket != nil {
		return a.socket.In(up, down, b)
	}
	return append(up, b...), down, nil
}

// Out is loop.Layer's.
func (a *Auto) Out(down, b []byte) []byte {
	if a.socket != nil {
		return a.socket.Out(down, b)
	}
	return append(down, b...)
}

// Close is loop.Layer's.
func (a *Auto) Close(down []byte) []byte {
	if a.socket != nil {
		return a.socket.Close(down)
	}
	return down
}

// Waits is loop.Waiter's.
func (a *Auto) Waits() string {
	if a.socket != nil {
		return a.socket.Waits()
	}
	return ""
}

// Pour is loop.Pourer's.
func (a *Auto) Pour(down []byte) []byte {
	if a.socket != nil {
		return a.socket.Pour(down)
	}
	return down
}

// Left is loop.Pourer's.
func (a *Auto) Left() int {
	if a.socket != nil {
		return a.socket.Left()
	}
	return 0
}

// Passes is loop.Layer's.
func (a *Auto) Passes() bool { return a.plain }
