package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/noctulemq/noctule/config"
	"github.com/noctulemq/noctule/loop"
	"github.com/noctulemq/noctule/shard"
	"github.com/noctulemq/noctule/transport"
)

// layered is what stands between the sockets of one listener and MQTT. Immutable.
type layered struct {
	proxy *transport.ProxySettings // nil: no PROXY headers
	tls   *transport.TLS           // nil: not encrypted
	web   *transport.WebSocketSettings
	auto  bool // with web: plain MQTT too
}

// Layers implements shard.Transport.
func (t *layered) Layers(c *loop.Conn) ([]loop.Layer, *transport.Peer) {
	peer := &transport.Peer{}
	layers := make([]loop.Layer, 0, 3)
	if t.proxy != nil {
		layers = append(layers, transport.NewProxy(t.proxy, peer, c.Remote()))
	}
	if t.tls != nil {
		layers = append(layers, t.tls.Layer(peer, c.Waker().Wake))
	}
	switch {
	case t.web != nil && t.auto:
		layers = append(layers, transport.NewAuto(t.web, peer, c.Remote()))
	case t.web != nil:
		layers = append(layers, transport.NewWebSocket(t.web, peer, c.Remote()))
	}
	return layers, peer
}

// transports makes the layers of listeners. What all of TLS shares lives as long as the broker.
type transports struct {
	loops      int
	inFlight   int       // max_tls_handshakes
	keyLog     io.Writer // nil: none
	handshakes *transport.Handshakes
}

// openKeyLog opens the file of --tls-keylog. Whoever has its lines can read the connections.
func (t *transports) openKeyLog(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open the file of --tls-keylog: %w", err)
	}
	t.keyLog = f
	return nil
}

// of makes what a listener of cfg needs; nil when it is plain MQTT. The notes are for the log. Files are read anew each time.
func (t *transports) of(cfg *config.Config, l *config.Listener) (_ shard.Transport, notes []string, err error) {
	made := &layered{auto: l.Protocol == "auto"}
	if l.ProxyProtocol != 0 {
		made.proxy = &transport.ProxySettings{Version: l.ProxyProtocol, RequireTLS: l.ProxyRequireTLS,
			RequireCertificate: l.TLS.RequireCertificate && !l.TLS.Wanted(), Trusted: l.ProxyTrusted}
	}
	if l.TLS.Wanted() {
		if made.tls, err = t.tls(&l.TLS); err != nil {
			return nil, nil, fmt.Errorf("%w (%s, %s:%d)", err, l.Name(), l.File, l.Line)
		}
		notes = made.tls.Notes()
	}
	if l.Protocol != "mqtt" {
		made.web = &transport.WebSocketSettings{Origins: l.WebSocketOrigins, HeaderBytes: cfg.WebSockets.HeadersSize,
			PacketBytes: int(cfg.MaxPacketSize), Trusted: l.ProxyTrusted}
	}
	if made.web != nil && l.HTTPDir != "" {
		files, left, err := transport.LoadFiles(l.HTTPDir)
		if err != nil {
			return nil, nil, fmt.Errorf("%w (%s, %s:%d)", err, l.Name(), l.File, l.Line)
		}
		if len(left) > 0 {
			notes = append(notes, fmt.Sprintf("http_dir %s: these are not served, because they cannot be read, or are more than 64 MiB together: %s",
				l.HTTPDir, strings.Join(left, ", ")))
		}
		made.web.Files = files
	}
	if made.proxy == nil && made.tls == nil && made.web == nil {
		return nil, nil, nil
	}
	return made, notes, nil
}

func (t *transports) tls(o *config.TLS) (*transport.TLS, error) {
	if t.handshakes == nil {
		t.handshakes = transport.NewHandshakes(t.loops, t.inFlight)
	}
	pairs := make([]transport.KeyPair, len(o.CertFiles))
	for i := range pairs {
		pairs[i] = transport.KeyPair{CertFile: o.CertFiles[i], KeyFile: o.KeyFiles[i]}
	}
	return transport.NewTLS(transport.TLSOptions{
		Pairs: pairs, CAFile: o.CAFile, CAPath: o.CAPath, CRLFile: o.CRLFile,
		RequireCertificate: o.RequireCertificate, IgnoreClientDates: o.IgnoreClientDates,
		MinVersion: o.MinVersion, Ciphers: o.Ciphers, CipherSuites: o.CipherSuites,
		KeyLog: t.keyLog, Handshakes: t.handshakes,
	})
}
