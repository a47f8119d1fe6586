package shard

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/config"
	"github.com/noctulemq/noctule/loop"
	"github.com/noctulemq/noctule/transport"
)

// teller is a transport whose one layer passes everything and tells the next connection's peer.
type teller struct {
	next transport.Peer
	err  error // of the first bytes
}

func (t *teller) Layers(*loop.Conn) ([]loop.Layer, *transport.Peer) {
	peer := &transport.Peer{}
	return []loop.Layer{&tellerLayer{t.next, peer, t.err}}, peer
}

type tellerLayer struct {
	told transport.Peer
	peer *transport.Peer
	err  error
}

func (l *tellerLayer) In(up, down, b []byte) (newUp, newDown []byte, err error) {
	*l.peer = l.told
	if l.err != nil {
		return up, down, l.err
	}
	return append(up, b...), down, nil
}
func (l *tellerLayer) Out(down, b []byte) []byte { return append(down, b...) }
func (l *tellerLayer) Close(down []byte) []byte  { return down }
func (l *tellerLayer) Passes() bool              { return true }

// newTold is a world whose connections are told about by a teller.
func newTold(t *testing.T, access Access, change func(*config.Config, *config.Listener)) (*world, *teller) {
	t.Helper()
	w := newWorld(t, 2, change)
	tell := &teller{}
	l := w.listener.Tag.(*Listener)
	l.Use(&ListenerSettings{Config: l.Settings().Config, Access: access, Transport: tell})
	return w, tell
}

// TestCertificateNamesTheUser holds that the name in a verified certificate takes the place of user name and password, also
// after a reload, and that a client without one is refused.
func TestCertificateNamesTheUser(t *testing.T) {
	access := &rules{users: map[string]string{"other": "pw"}, grants: map[string][]string{"ann": {"pub:a", "sub:a", "recv:a"}, "CN=ann,O=x": {"pub:a"}}}
	for _, subject := range []bool{false, true} {
		w, tell := newTold(t, access, func(_ *config.Config, l *config.Listener) {
			l.TLS.CertFiles, l.TLS.KeyFiles = []string{"c"}, []string{"k"}
			l.TLS.IdentityAsUserName, l.TLS.SubjectAsUserName = !subject, subject
		})
		tell.next = transport.Peer{TLS: true, HasIdentity: true, Verified: true, Identity: "ann", Subject: "CN=ann,O=x", TLSVersion: "TLSv1.3", Cipher: "X"}
		p := w.dial()
		p.connect("c", as("other"))
		w.settle()
		if a := p.next(); a.Code != codec.Success {
			t.Fatalf("subject %t: CONNACK %v", subject, a.Code)
		}
		p.publish(1, "a", "x", false)
		w.settle()
		if a := p.next(); a.Code != codec.NoMatchingSubscribers && a.Code != codec.Success {
			t.Errorf("subject %t: the rights are not those of the name: %v", subject, a.Code)
		}
		want := "u'ann'"
		if subject {
			want = "u'CN=ann,O=x'"
		}
		if w.logs(want) != 1 || w.logs("negotiated TLSv1.3 cipher X") != 1 {
			t.Errorf("log: %s", strings.Join(w.log.lines, "\n"))
		}
		reloaded := &rules{grants: access.grants}
		l := w.listener.Tag.(*Listener)
		done := make(chan error, 1)
		go func() {
			done <- w.broker.Reload(func() (*config.Config, map[*Listener]*ListenerSettings, error) {
				return config.Default(), map[*Listener]*ListenerSettings{l: {Config: l.Settings().Config, Access: reloaded, Transport: tell}}, nil
			})
		}()
		until(t, w, func() bool { return len(done) > 0 })
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if len(p.take()) > 0 || p.sock.Ended() {
			t.Error("a reload ended a client with a certificate")
		}

		for _, peer := range []transport.Peer{{TLS: true}, {TLS: true, HasIdentity: true, Identity: "ann", Subject: "CN=ann,O=x"}, {HasIdentity: true, Verified: true}} {
			tell.next = peer
			for _, v := range []codec.Version{codec.V311, codec.V5} {
				p := w.dial()
				p.connect("d", func(c *codec.Connect) { as("other")(c); c.Version = v })
				w.settle()
				code := codec.BadUserNameOrPassword
				if v == codec.V311 {
					code = 4
				}
				if a := p.next(); a.Code != code {
					t.Errorf("%+v: CONNACK %v, want %v", peer, a.Code, code)
				}
			}
		}
	}
}

// TestToldAddressIsTheClients holds that an address that a layer was told counts in log lines, networks and rates.
func TestToldAddressIsTheClients(t *testing.T) {
	w, tell := newTold(t, Everyone{}, func(cfg *config.Config, l *config.Listener) {
		l.ProxyProtocol = 2
		l.AllowAddresses = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")} // not the proxy's
		cfg.AddressRate.Connections = 1
	})
	admitted := func(address string) bool {
		tell.next = transport.Peer{Address: netip.MustParseAddrPort(address)}
		p := w.dial()
		p.connect("c"+address, nil)
		return len(p.take()) == 1
	}
	if !admitted("203.0.113.1:5") || !admitted("203.0.113.2:6") {
		t.Error("clients with an address of their own each were refused")
	}
	if admitted("203.0.113.1:7") {
		t.Error("address_connection_rate does not count the told address")
	}
	if admitted("198.51.100.1:8") {
		t.Error("allow_address does not look at the told address")
	}
	for _, line := range []string{"New connection from 203.0.113.1:5 on port", "New client connected from 203.0.113.2:6 as", "Connection from 198.51.100.1:8 rejected: allow_address"} {
		if w.logs(line) != 1 {
			t.Errorf("%q is logged %d times:\n%s", line, w.logs(line), strings.Join(w.log.lines, "\n"))
		}
	}
	if w.logs("127.0.0.1") != 0 {
		t.Errorf("the proxy's address is logged:\n%s", strings.Join(w.log.lines, "\n"))
	}
	if n := w.broker.connections.Load(); n != 2 {
		t.Errorf("%d connections are counted", n)
	}
}

// TestRejectionsHaveMosquittosLines holds the log lines of what layers reject.
func TestRejectionsHaveMosquittosLines(t *testing.T) {
	w, tell := newTold(t, Everyone{}, func(_ *config.Config, l *config.Listener) { l.ProxyProtocol = 1 })
	tell.next.Address = netip.MustParseAddrPort("203.0.113.1:5")
	for err, want := range map[error]string{
		transport.CorruptProxy:             "Connection rejected, corrupt PROXY header.",
		transport.Rejection("of the moon"): "Connection from 203.0.113.1:5 rejected, of the moon.",
	} {
		tell.err = err
		p := w.dial()
		p.connect("c", nil)
		if len(p.take()) != 0 || !p.sock.Ended() || w.logs(want) != 1 {
			t.Errorf("%v: ended %t, log:\n%s", err, p.sock.Ended(), strings.Join(w.log.lines, "\n"))
		}
	}
}

// TestTurnsKnowsLoopsThatStand holds what the service manager's watchdog is told by.
func TestTurnsKnowsLoopsThatStand(t *testing.T) {
	w := newWorld(t, 2, nil)
	if w.broker.Turns(time.Millisecond) {
		t.Error("loops that stand are said to turn")
	}
	w.settle() // what was asked in vain is answered to nobody
	done := make(chan bool, 1)
	go func() { done <- w.broker.Turns(time.Minute) }()
	until(t, w, func() bool { return len(done) > 0 })
	if !<-done {
		t.Error("loops that turn are said to stand")
	}
}
