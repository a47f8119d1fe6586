package transport

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"weak"
)

// authority issues the certificates of a test.
type authority struct {
	t      testing.TB
	dir    string
	cert   *x509.Certificate
	key    crypto.Signer
	file   string
	serial int64
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir(), serial: 1}
	a.key = ecKey(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test CA"}, NotBefore: time.Now().Add(-time.Hour * 24 * 3650),
		NotAfter: time.Now().Add(time.Hour * 24), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	fatal(t, err)
	a.cert, err = x509.ParseCertificate(der)
	fatal(t, err)
	a.file = a.write("ca.crt", "CERTIFICATE", der)
	return a
}

func ecKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	fatal(t, err)
	return key
}

func fatal(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (a *authority) write(name, kind string, der []byte) string {
	a.t.Helper()
	file := filepath.Join(a.dir, name)
	fatal(a.t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	return file
}

// issue makes a certificate; change may be nil.
func (a *authority) issue(name string, key crypto.Signer, change func(*x509.Certificate)) (pair KeyPair, cert tls.Certificate) {
	a.t.Helper()
	a.serial++
	template := &x509.Certificate{SerialNumber: big.NewInt(a.serial), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	fatal(a.t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	fatal(a.t, err)
	pair = KeyPair{a.write(name+".crt", "CERTIFICATE", der), a.write(name+".key", "PRIVATE KEY", pkcs8)}
	cert, err = tls.LoadX509KeyPair(pair.CertFile, pair.KeyFile)
	fatal(a.t, err)
	return pair, cert
}

// below is an authority whose certificate this one has issued.
func (a *authority) below(name string) *authority {
	a.t.Helper()
	pair, made := a.issue(name, ecKey(a.t), func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	})
	return &authority{t: a.t, dir: a.t.TempDir(), serial: 1, cert: made.Leaf, key: made.PrivateKey.(crypto.Signer), file: pair.CertFile}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

func (a *authority) crl(name string, next time.Time, revoked ...*x509.Certificate) string {
	a.t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: next}
	for _, c := range revoked {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: c.SerialNumber, RevocationTime: time.Now()})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, a.cert, a.key)
	fatal(a.t, err)
	return a.write(name, "X509 CRL", der)
}

var testHandshakes = sync.OnceValue(func() *Handshakes { return NewHandshakes(2, 64) })

func newTLS(t testing.TB, o TLSOptions) *TLS {
	t.Helper()
	if o.Handshakes == nil {
		o.Handshakes = testHandshakes()
	}
	served, err := NewTLS(o)
	fatal(t, err)
	return served
}

// fakeLoop calls a layer as a loop does, and echoes what comes up. Its owner's goroutine is the loop's thread.
type fakeLoop struct {
	layer *TLSLayer
	peer  Peer
	woken chan struct{}
	got   []byte // plain bytes that came up
	split int    // bytes given at a time; 0: as they come
}

func newFakeLoop(served *TLS) *fakeLoop {
	f := &fakeLoop{woken: make(chan struct{}, 1)}
	f.layer = served.Layer(&f.peer, func() {
		select {
		case f.woken <- struct{}{}:
		default:
		}
	})
	return f
}

// in gives bytes and returns what is to be sent.
func (f *fakeLoop) in(b []byte) (out []byte, err error) {
	for {
		part := b
		if f.split > 0 {
			part = b[:min(f.split, len(b))]
		}
		b = b[len(part):]
		var up, down []byte
		for f.layer.Holds() && len(part) > 0 {
			<-f.woken
			_, held, err := f.layer.In(nil, nil, nil)
			if out = append(out, held...); err != nil {
				return out, err
			}
		}
		if up, down, err = f.layer.In(nil, nil, part); len(up) > 0 {
			f.got = append(f.got, up...)
			down = f.layer.Out(down, up)
		}
		out = append(out, down...)
		if err != nil || len(b) == 0 {
			return out, err
		}
	}
}

// serve runs the loop's part of one connection until it ends, and returns why.
func (f *fakeLoop) serve(conn net.Conn) error {
	defer f.layer.Drop()
	defer conn.Close()
	input := make(chan []byte)
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		defer close(input)
		for {
			b := make([]byte, 64<<10)
			n, err := conn.Read(b)
			if err != nil {
				return
			}
			select {
			case input <- b[:n]:
			case <-stop:
				return
			}
		}
	}()
	for {
		var b []byte
		read := input
		if f.layer.Holds() {
			read = nil
		}
		select {
		case got, open := <-read:
			if !open {
				return io.ErrUnexpectedEOF
			}
			b = got
		case <-f.woken:
		}
		out, err := f.in(b)
		if err != nil {
			out = f.layer.Close(out)
		}
		if len(out) > 0 {
			if _, werr := conn.Write(out); werr != nil {
				return werr
			}
		}
		if err != nil {
			return err
		}
	}
}

// dialLayer connects a client over a socket pair on the loopback address and returns it with the serving side's result.
func dialLayer(t testing.TB, f *fakeLoop, c *tls.Config) (client *tls.Conn, served <-chan error) {
	t.Helper()
	conn, served := dialPlain(t, f)
	return tls.Client(conn, c), served
}

func dialPlain(t testing.TB, f *fakeLoop) (client net.Conn, served <-chan error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	fatal(t, err)
	defer ln.Close()
	client, err = net.Dial("tcp", ln.Addr().String())
	fatal(t, err)
	conn, err := ln.Accept()
	fatal(t, err)
	t.Cleanup(func() { client.Close(); conn.Close() })
	result := make(chan error, 1)
	go func() { result <- f.serve(conn) }()
	return client, result
}

// echo sends a payload and expects it back.
func echo(t testing.TB, conn net.Conn, payload []byte) {
	t.Helper()
	written := make(chan struct{})
	go func() { _, _ = conn.Write(payload); close(written) }()
	back := make([]byte, len(payload))
	if _, err := io.ReadFull(conn, back); err != nil {
		t.Fatal(err)
	}
	<-written // a Close during a Write sends no close_notify
	if !bytes.Equal(payload, back) {
		t.Fatal("another payload came back")
	}
}

func TestTLSVersionsCarryBytesBothWays(t *testing.T) {
	a := newAuthority(t)
	pair, _ := a.issue("broker", ecKey(t), nil)
	served := newTLS(t, TLSOptions{Pairs: []KeyPair{pair}})
	f := func(version uint16, name string, split int) {
		t.Helper()
		loop := newFakeLoop(served)
		loop.split = split
		client, result := dialLayer(t, loop, &tls.Config{RootCAs: a.pool(), ServerName: "broker", MinVersion: version, MaxVersion: version})
		echo(t, client, []byte("hello"))
		echo(t, client, bytes.Repeat([]byte("large"), 20_000))
		fatal(t, client.Close())
		if err := <-result; err != io.EOF {
			t.Errorf("served: %v", err)
		}
		if !loop.peer.TLS || loop.peer.TLSVersion != name || loop.peer.Cipher == "" || loop.peer.HasIdentity {
			t.Errorf("peer is %+v", loop.peer)
		}
	}
	f(tls.VersionTLS12, "TLSv1.2", 0)
	f(tls.VersionTLS13, "TLSv1.3", 0)
	f(tls.VersionTLS12, "TLSv1.2", 1)
	f(tls.VersionTLS13, "TLSv1.3", 1)
	f(tls.VersionTLS13, "TLSv1.3", 7)
}

func TestTLSVersionMinimum(t *testing.T) {
	a := newAuthority(t)
	pair, _ := a.issue("broker", ecKey(t), nil)
	loop := newFakeLoop(newTLS(t, TLSOptions{Pairs: []KeyPair{pair}, MinVersion: "tlsv1.3"}))
	client, result := dialLayer(t, loop, &tls.Config{RootCAs: a.pool(), ServerName: "broker", MaxVersion: tls.VersionTLS12})
	if err := client.Handshake(); err == nil || !strings.Contains(err.Error(), "protocol version not supported") {
		t.Errorf("client: %v", err)
	}
	if err := <-result; err == nil || !strings.HasPrefix(err.Error(), "TLS error: client offered only unsupported versions") {
		t.Errorf("served: %v", err)
	}
}

func TestTLSClientCertificates(t *testing.T) {
	a := newAuthority(t)
	pair, _ := a.issue("broker", ecKey(t), nil)
	_, good := a.issue("meter 7", ecKey(t), func(c *x509.Certificate) { c.Subject.Organization = []string{"Works, Inc"} })
	_, revoked := a.issue("lost", ecKey(t), nil)
	_, expired := a.issue("old", ecKey(t), func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour)
	})
	_, serverOnly := a.issue("server", ecKey(t), func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	other := newAuthority(t)
	_, stranger := other.issue("stranger", ecKey(t), nil)
	crl := a.crl("good.crl", time.Now().Add(time.Hour), revoked.Leaf)
	oldCRL := a.crl("old.crl", time.Now().Add(-time.Minute))
	otherCRL := other.crl("other.crl", time.Now().Add(time.Hour))

	base := TLSOptions{Pairs: []KeyPair{pair}, CAFile: a.file, RequireCertificate: true}
	undated, withCRL, withOldCRL, withOtherCRL := base, base, base, base
	undated.IgnoreClientDates, undated.CRLFile = true, oldCRL
	withCRL.CRLFile, withOldCRL.CRLFile, withOtherCRL.CRLFile = crl, oldCRL, otherCRL

	f := func(o TLSOptions, cert *tls.Certificate, want string) {
		t.Helper()
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			loop := newFakeLoop(newTLS(t, o))
			c := &tls.Config{RootCAs: a.pool(), ServerName: "broker", MaxVersion: version}
			if cert != nil {
				c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil }
			}
			client, result := dialLayer(t, loop, c)
			if want == "" {
				echo(t, client, []byte("x"))
				name := cert.Leaf.Subject.CommonName
				if !loop.peer.HasIdentity || !loop.peer.Verified || loop.peer.Identity != name || !strings.HasPrefix(loop.peer.Subject, "CN="+name) {
					t.Errorf("peer is %+v", loop.peer)
				}
				client.Close()
				<-result
				continue
			}
			if _, err := client.Read(make([]byte, 1)); err == nil {
				t.Error("the client got in")
			}
			if err := <-result; err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("served %v, want %s", err, want)
			}
			if loop.peer.HasIdentity || loop.peer.Verified {
				t.Errorf("peer is %+v", loop.peer)
			}
		}
	}
	f(base, &good, "")
	f(base, nil, NoCertificate.Error())
	f(base, &expired, "certificate has expired")
	f(base, &stranger, "signed by unknown authority")
	f(base, &serverOnly, "incompatible key usage")
	f(withCRL, &good, "")
	f(withCRL, &revoked, "it was revoked")
	f(withOldCRL, &good, "the revocation list has expired")
	f(withOtherCRL, &good, "crlfile has no list of its issuer")
	f(undated, &expired, "")
	f(undated, &stranger, "signed by unknown authority")
	f(undated, nil, NoCertificate.Error())
}

func TestTLSCertificateByServerName(t *testing.T) {
	a := newAuthority(t)
	first, _ := a.issue("one.example", ecKey(t), nil)
	second, _ := a.issue("two.example", ecKey(t), nil)
	served := newTLS(t, TLSOptions{Pairs: []KeyPair{first, second}})
	f := func(name, want string) {
		t.Helper()
		client, _ := dialLayer(t, newFakeLoop(served), &tls.Config{ServerName: name, InsecureSkipVerify: true})
		fatal(t, client.Handshake())
		if got := client.ConnectionState().PeerCertificates[0].Subject.CommonName; got != want {
			t.Errorf("%q got the certificate of %s", name, got)
		}
		client.Close()
	}
	f("one.example", "one.example")
	f("two.example", "two.example")
	f("three.example", "one.example")
	f("", "one.example")
}

func TestTLSSessionsAreResumed(t *testing.T) {
	a := newAuthority(t)
	pair, _ := a.issue("broker", ecKey(t), nil)
	_, cert := a.issue("client", ecKey(t), nil)
	served := newTLS(t, TLSOptions{Pairs: []KeyPair{pair}, CAFile: a.file, RequireCertificate: true})
	f := func(version uint16) {
		t.Helper()
		c := &tls.Config{RootCAs: a.pool(), ServerName: "broker", MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(1), Certificates: []tls.Certificate{cert}}
		for i := range 2 {
			loop := newFakeLoop(served)
			client, result := dialLayer(t, loop, c)
			echo(t, client, []byte("x"))
			if client.ConnectionState().DidResume != (i == 1) {
				t.Errorf("connection %d: resumed is %v", i, i != 1)
			}
			if loop.peer.Identity != "client" || !loop.peer.Verified {
				t.Errorf("connection %d: peer is %+v", i, loop.peer)
			}
			client.Close()
			<-result
		}
	}
	f(tls.VersionTLS12)
	f(tls.VersionTLS13)
}

func TestTLSOnlyOnATLSPort(t *testing.T) {
	a := newAuthority(t)
	pair, _ := a.issue("broker", ecKey(t), nil)
	served := newTLS(t, TLSOptions{Pairs: []KeyPair{pair}})
	f := func(first, want string) {
		t.Helper()
		loop := newFakeLoop(served)
		out, err := loop.in([]byte(first))
		if err == nil || err.Error() != want {
			t.Errorf("%q: %v", first, err)
		}
		if len(out) > 0 || len(loop.layer.Close(nil)) > 0 {
			t.Errorf("%q: something is sent", first)
		}
	}
	f("\x10\x0c\x00\x04MQTT", "TLS error: plain MQTT on a listener with TLS")
	f("GET / HTTP/1.1\r\n", "TLS error: plain HTTP on a listener with TLS")
	f("\x80\x2e\x01", "TLS error: what came first is no TLS handshake")
	f("\x16\x13\x01", "TLS error: what came first is no TLS handshake")
	f("\x16\x03\x01\xff\xff", "TLS error: oversized record")
}

func TestTLSRecordsThatAreWrong(t *testing.T) {
	a := newAuthority(t)
	pair, _ := a.issue("broker", ecKey(t), nil)
	served := newTLS(t, TLSOptions{Pairs: []KeyPair{pair}})
	f := func(version uint16, record []byte, want string) {
		t.Helper()
		plain, result := dialPlain(t, newFakeLoop(served))
		client := tls.Client(plain, &tls.Config{RootCAs: a.pool(), ServerName: "broker", MaxVersion: version})
		echo(t, client, []byte("x"))
		_, err := plain.Write(record)
		fatal(t, err)
		if err := <-result; err == nil || err.Error() != want {
			t.Errorf("served: %v, want %s", err, want)
		}
		if _, err := client.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "remote error") {
			t.Errorf("the client got no alert: %v", err)
		}
	}
	oversized := append([]byte{23, 3, 3, 0xff, 0xff}, make([]byte, 100)...)
	f(tls.VersionTLS12, oversized, "TLS error: oversized record received with length 65535")
	f(tls.VersionTLS13, oversized, "TLS error: oversized record received with length 65535")
	forged := append([]byte{23, 3, 3, 0, 100}, make([]byte, 100)...)
	f(tls.VersionTLS12, forged, "TLS error: bad record MAC")
	f(tls.VersionTLS13, forged, "TLS error: bad record MAC")
}

func TestTLSAlertOfTheClientIsTold(t *testing.T) {
	a := newAuthority(t)
	pair, _ := a.issue("broker", ecKey(t), nil)
	served := newTLS(t, TLSOptions{Pairs: []KeyPair{pair}})
	client, result := dialLayer(t, newFakeLoop(served), &tls.Config{RootCAs: newAuthority(t).pool(), ServerName: "broker"})
	if err := client.Handshake(); err == nil {
		t.Error("the client trusts the broker")
	}
	if err := <-result; err == nil || err.Error() != "TLS error: the client says: bad certificate" {
		t.Errorf("served: %v", err)
	}
}

// hello is what a client begins with.
func hello(t testing.TB) []byte {
	t.Helper()
	near, far := net.Pipe()
	go func() { _ = tls.Client(near, &tls.Config{InsecureSkipVerify: true}).Handshake() }()
	b := make([]byte, 16<<10)
	n, err := far.Read(b)
	fatal(t, err)
	far.Close()
	near.Close()
	return b[:n]
}

func TestTLSHalfOpenHandshakesLeakNothing(t *testing.T) {
	a := newAuthority(t)
	pair, _ := a.issue("broker", ecKey(t), nil)
	pool := NewHandshakes(2, 8)
	served := newTLS(t, TLSOptions{Pairs: []KeyPair{pair}, Handshakes: pool})
	first := hello(t)
	warm := newFakeLoop(served)
	_, err := warm.in(first)
	fatal(t, err)
	<-warm.woken
	warm.layer.Drop()
	waitFor(t, "room", func() bool { now, _ := pool.InFlight(); return now == 0 })
	goroutines := runtime.NumGoroutine()
	for n := range len(first) + 1 { // up to each byte of the first message
		loops := []*fakeLoop{newFakeLoop(served), newFakeLoop(served)}
		for _, loop := range loops {
			_, err := loop.in(first[:n])
			fatal(t, err)
		}
		if n == len(first) {
			<-loops[0].woken // it has answered and waits
		}
		for _, loop := range loops {
			loop.layer.Drop()
			loop.layer.Drop()
		}
	}
	waitFor(t, "room", func() bool { now, _ := pool.InFlight(); return now == 0 })
	waitFor(t, "goroutines", func() bool { return runtime.NumGoroutine() <= goroutines })
}

// waitFor polls until something that another thread does has come.
func waitFor(t testing.TB, what string, done func() bool) {
	t.Helper()
	for range 1000 {
		if done() {
			return
		}
		runtime.Gosched()
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("%s did not come", what)
}

func TestTLSHandshakesInFlightAreBounded(t *testing.T) {
	a := newAuthority(t)
	pair, _ := a.issue("broker", ecKey(t), nil)
	pool := NewHandshakes(1, 3)
	served := newTLS(t, TLSOptions{Pairs: []KeyPair{pair}, Handshakes: pool})
	first := hello(t)
	var loops []*fakeLoop
	for range 3 {
		loop := newFakeLoop(served)
		_, err := loop.in(first)
		fatal(t, err)
		loops = append(loops, loop)
	}
	if _, err := newFakeLoop(served).in(first); err != ErrHandshakes {
		t.Errorf("the fourth: %v", err)
	}
	loops[0].layer.Drop()
	waitFor(t, "room", func() bool { now, _ := pool.InFlight(); return now == 2 })
	if _, err := newFakeLoop(served).in(first); err != nil {
		t.Error(err)
	}
}

func TestTLSHandshakeInputIsBounded(t *testing.T) {
	a := newAuthority(t)
	pair, _ := a.issue("broker", ecKey(t), nil)
	loop := newFakeLoop(newTLS(t, TLSOptions{Pairs: []KeyPair{pair}}))
	if loop.layer.Holds() {
		t.Error("it holds before anything came")
	}
	client, result := dialLayer(t, loop, &tls.Config{RootCAs: a.pool(), ServerName: "broker"})
	echo(t, client, make([]byte, 256<<10)) // right behind the handshake's last message
	client.Close()
	<-result
	full := newFakeLoop(newTLS(t, TLSOptions{Pairs: []KeyPair{pair}}))
	_, err := full.in(hello(t))
	fatal(t, err)
	if !full.layer.Holds() {
		t.Error("it takes more while it works")
	}
	<-full.woken
	_, err = full.in(nil)
	fatal(t, err)
	if full.layer.Holds() {
		t.Error("it takes nothing while it waits for the client")
	}
	full.layer.Drop()
}

func TestTLSBuffersStayWithinARecord(t *testing.T) {
	a := newAuthority(t)
	pair, _ := a.issue("broker", ecKey(t), nil)
	loop := newFakeLoop(newTLS(t, TLSOptions{Pairs: []KeyPair{pair}}))
	client, result := dialLayer(t, loop, &tls.Config{RootCAs: a.pool(), ServerName: "broker", DynamicRecordSizingDisabled: true})
	echo(t, client, make([]byte, 1<<20))
	client.Close()
	<-result
	if n := cap(loop.layer.wire.in) + cap(loop.layer.wire.out); n > 0 {
		t.Errorf("the wire keeps %d bytes", n)
	}
}

func TestTLSCloseSaysSo(t *testing.T) {
	a := newAuthority(t)
	pair, _ := a.issue("broker", ecKey(t), nil)
	loop := newFakeLoop(newTLS(t, TLSOptions{Pairs: []KeyPair{pair}}))
	client, far := shakeHands(t, loop, a)
	go func() {
		_, _ = far.Write(loop.layer.Close(loop.layer.Out(nil, []byte("bye"))))
	}()
	if got, err := io.ReadAll(client); err != nil || string(got) != "bye" {
		t.Errorf("the client read %q, %v", got, err)
	}
	if len(loop.layer.Close(nil)) > 0 || len(loop.layer.Out(nil, []byte("x"))) > 0 {
		t.Error("it sends after the end")
	}
}

func TestTLSKeyLog(t *testing.T) {
	a := newAuthority(t)
	pair, _ := a.issue("broker", ecKey(t), nil)
	file := filepath.Join(t.TempDir(), "keys")
	log, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	fatal(t, err)
	defer log.Close()
	client, _ := dialLayer(t, newFakeLoop(newTLS(t, TLSOptions{Pairs: []KeyPair{pair}, KeyLog: log})), &tls.Config{RootCAs: a.pool(), ServerName: "broker"})
	echo(t, client, []byte("x"))
	data, err := os.ReadFile(file)
	fatal(t, err)
	if !strings.Contains(string(data), "CLIENT_TRAFFIC_SECRET_0 ") {
		t.Errorf("the key log holds %q", data)
	}
}

func rsaKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	fatal(t, err)
	return key
}

// TestTLSWithoutTheFieldsOfConn is about a version of Go whose tls.Conn is another.
func TestTLSWithoutTheFieldsOfConn(t *testing.T) {
	have := offsets.Load()
	if !have.buffersOK || !have.certsOK {
		t.Error("the fields of tls.Conn are not found: idle connections cost more; see tls_memory.go")
	}
	offsets.Store(&connOffsets{})
	defer offsets.Store(have)
	TestTLSVersionsCarryBytesBothWays(t)
}

func FuzzTLSInput(f *testing.F) {
	a := newAuthority(f)
	pair, _ := a.issue("broker", ecKey(f), nil)
	served := newTLS(f, TLSOptions{Pairs: []KeyPair{pair}, Handshakes: NewHandshakes(1, 8)})
	first := hello(f)
	f.Add(first, 10)
	f.Add(first[:100], 0)
	f.Add([]byte("\x10\x0c\x00\x04MQTT"), 1)
	f.Add(append(first[:len(first):len(first)], 20, 3, 3, 0, 1, 1), 600)
	f.Fuzz(func(t *testing.T, b []byte, at int) {
		loop := newFakeLoop(served)
		at = min(max(at, 0), len(b))
		if _, err := loop.in(b[:at]); err == nil {
			_, _ = loop.in(b[at:])
		}
		if loop.layer.shaking != nil {
			select {
			case <-loop.woken:
				_, _ = loop.in(nil)
			case <-time.After(time.Millisecond): // it waits for the rest
			}
		}
		loop.layer.Drop()
	})
}

// TestTLSBytesBehindTheHandshake gives what follows the client's last message at the moment at which the handshake ends.
func TestTLSBytesBehindTheHandshake(t *testing.T) {
	a := newAuthority(t)
	pair, _ := a.issue("broker", ecKey(t), nil)
	pool := NewHandshakes(1, 4)
	served := newTLS(t, TLSOptions{Pairs: []KeyPair{pair}, Handshakes: pool})
	for i := range 200 {
		loop := newFakeLoop(served)
		loop.split = 1 + i*7
		client, result := dialLayer(t, loop, &tls.Config{RootCAs: a.pool(), ServerName: "broker"})
		fatal(t, client.Handshake())
		echo(t, client, bytes.Repeat([]byte{byte(i)}, 500))
		client.Close()
		<-result
	}
	waitFor(t, "room", func() bool { now, _ := pool.InFlight(); return now == 0 })
}

// TestTLSSmallMessagesAllocateNothing is about a connection that gets and sends one small message after another.
func TestTLSSmallMessagesAllocateNothing(t *testing.T) {
	if racing {
		t.Skip("pools do not keep everything under the race detector")
	}
	a := newAuthority(t)
	pair, _ := a.issue("broker", ecKey(t), nil)
	loop := newFakeLoop(newTLS(t, TLSOptions{Pairs: []KeyPair{pair}}))
	client, far := shakeHands(t, loop, a)
	go func() { _, _ = client.Read(make([]byte, 1)) }()
	const rounds = 200
	records := make(chan []byte, rounds+10)
	go func() {
		for range rounds + 10 {
			_, _ = client.Write([]byte("a small message"))
		}
	}()
	for range cap(records) {
		records <- readSome(t, far)
	}
	up, down := make([]byte, 0, 64<<10), make([]byte, 0, 64<<10)
	allocated := testing.AllocsPerRun(rounds, func() {
		var err error
		up, down, err = loop.layer.In(up[:0], down[:0], <-records)
		if err != nil || string(up) != "a small message" {
			t.Fatalf("%q, %v", up, err)
		}
		down = loop.layer.Out(down[:0], up)
	})
	if allocated > 0 {
		t.Errorf("%v allocations for each message", allocated)
	}
}

// TestTLSKeepsNothingThatItWasLent is about the bytes of a read, of which the tls.Conn must not keep hold when it has read them.
func TestTLSKeepsNothingThatItWasLent(t *testing.T) {
	a := newAuthority(t)
	pair, _ := a.issue("broker", ecKey(t), nil)
	loop := newFakeLoop(newTLS(t, TLSOptions{Pairs: []KeyPair{pair}}))
	client, far := shakeHands(t, loop, a)
	go func() { _, _ = client.Write(make([]byte, 12_000)) }()
	lent := func() weak.Pointer[byte] {
		b := readSome(t, far)
		_, err := loop.in(b)
		fatal(t, err)
		return weak.Make(&b[0])
	}()
	runtime.GC()
	if lent.Value() != nil {
		t.Error("what was read is still held")
	}
	runtime.KeepAlive(loop)
}

// shakeHands lets a client and the layer of loop do a handshake, and returns the client and the layer's end of its connection.
func shakeHands(t *testing.T, loop *fakeLoop, a *authority) (client *tls.Conn, far net.Conn) {
	t.Helper()
	near, far := net.Pipe()
	client = tls.Client(near, &tls.Config{RootCAs: a.pool(), ServerName: "broker"})
	shaken := make(chan error, 1)
	go func() { shaken <- client.Handshake() }()
	for loop.layer.conn == nil || loop.layer.shaking != nil {
		out, err := loop.in(readSome(t, far))
		fatal(t, err)
		if loop.layer.shaking != nil {
			<-loop.woken
			more, err := loop.in(nil)
			fatal(t, err)
			out = append(out, more...)
		}
		if len(out) > 0 {
			_, err = far.Write(out)
			fatal(t, err)
		}
	}
	fatal(t, <-shaken)
	return client, far
}

// readSome returns what one read gives, in a slice of its own.
func readSome(t *testing.T, conn net.Conn) []byte {
	t.Helper()
	b := make([]byte, 32<<10)
	n, err := conn.Read(b)
	fatal(t, err)
	return b[:n]
}
