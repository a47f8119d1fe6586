package transport

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"slices"
	"strings"

	"github.com/gobwas/ws"
)

var (
	errNoHTTP      = errors.New("no HTTP request on a WebSocket listener")
	errHeaders     = errors.New("HTTP headers larger than websockets_headers_size")
	errOrigin      = errors.New("WebSocket from an origin that websockets_origin does not name")
	errSubprotocol = errors.New("WebSocket without the sub-protocol mqtt or mqttv3.1")
)

// headersTooLarge answers a request beyond the bound.
const headersTooLarge = "HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

var (
	lineEnd = []byte("\r\n")
	// headersEnd ends the headers of a request.
	headersEnd = []byte("\r\n\r\n")
	// refusalHeaders follow the status line of a refusal: 426 must say what is wanted (RFC 9110, section 15.5.22), the others may.
	refusalHeaders = []byte("\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n")
)

// startsRequest is whether bytes may be the beginning of an HTTP request: of its method.
func startsRequest(b []byte) bool { return b[0] >= 'A' && b[0] <= 'Z' }

// handshake takes bytes of the HTTP request; rest is what is behind it.
func (w *WebSocket) handshake(down, b []byte) (rest, newDown []byte, err error) {
	if len(w.kept) == 0 && !startsRequest(b) {
		return nil, down, errNoHTTP
	}
	limit := w.settings.HeaderBytes
	if limit == 0 {
		limit = headerBytes
	}
	before := len(w.kept)
	request := b[:min(len(b), limit-before)]
	if before > 0 {
		w.kept = append(w.kept, request...)
		request = w.kept
	}
	from := max(0, before-len(headersEnd)+1)
	end := bytes.Index(request[from:], headersEnd)
	switch {
	case end >= 0:
		end += from + len(headersEnd)
		down, err = w.upgrade(down, request[:end])
		w.kept = nil
		return b[end-before:], down, err
	case len(request) == limit:
		return nil, append(down, headersTooLarge...), errHeaders
	case before == 0:
		w.kept = bytes.Clone(b)
	}
	return nil, down, nil
}

// upgrade answers a whole request.
func (w *WebSocket) upgrade(down, request []byte) ([]byte, error) {
	if w.body != "" {
		return down, errPipelined
	}
	if w.settings.Files != nil {
		if down, body, served, err := w.settings.Files.serve(down, request); served {
			w.body = body
			return down, err
		}
	}
	var (
		path, forwarded  string
		offered, foreign bool
		answer           bytes.Buffer
	)
	upgrader := ws.Upgrader{
		OnRequest: func(uri []byte) error {
			before, _, _ := bytes.Cut(uri, []byte("?"))
			path = string(before)
			return nil
		},
		OnHeader: func(key, value []byte) error {
			switch string(key) {
			case "Origin":
				foreign = foreign || !w.admits(string(value))
			case "X-Forwarded-For":
				forwarded += "," + string(value)
			}
			return nil
		},
		Protocol: func(name []byte) bool {
			offered = true
			return string(name) == "mqtt" || string(name) == "mqttv3.1"
		},
	}
	shaken, err := upgrader.Upgrade(struct {
		io.Reader
		io.Writer
	}{bytes.NewReader(request), &answer})
	switch {
	case err != nil:
		refusal := bytes.Replace(answer.Bytes(), lineEnd, refusalHeaders, 1)
		return append(down, refusal...), errors.New("no WebSocket handshake: " + strings.TrimPrefix(err.Error(), "handshake error: "))
	case foreign:
		return down, errOrigin
	case offered && shaken.Protocol == "":
		return down, errSubprotocol
	}
	w.open = true
	w.peer.Path = path
	w.believe(forwarded)
	// Mosquitto's spelling.
	spelled := bytes.Replace(answer.Bytes(), []byte("Upgrade: websocket"), []byte("Upgrade: WebSocket"), 1)
	return append(down, spelled...), nil
}

func (w *WebSocket) admits(origin string) bool {
	return len(w.settings.Origins) == 0 || slices.Contains(w.settings.Origins, origin)
}

// believe takes the client's address from the values of X-Forwarded-For, to which each proxy appended whom it saw: from the
// last one on, as long as the one who said so is trusted.
func (w *WebSocket) believe(forwarded string) {
	sayer := w.remote.Addr()
	if w.peer.Address.IsValid() {
		sayer = w.peer.Address.Addr()
	}
	for trusts(w.settings.Trusted, sayer) && forwarded != "" {
		i := strings.LastIndexByte(forwarded, ',')
		seen, ok := parseForwarded(strings.TrimSpace(forwarded[i+1:]))
		if !ok {
			return
		}
		w.peer.Address, sayer = seen, seen.Addr()
		forwarded = forwarded[:i]
	}
}

// parseForwarded reads an address, with a port or without.
func parseForwarded(s string) (netip.AddrPort, bool) {
	if a, err := netip.ParseAddrPort(s); err == nil {
		return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port()), true
	}
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	return netip.AddrPortFrom(a.Unmap().WithZone(""), 0), err == nil
}

// trusts is whether one of the networks has the address.
func trusts(networks []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(a.Unmap()) })
}
