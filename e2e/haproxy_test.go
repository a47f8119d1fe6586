package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// haproxy runs HAProxy with one front and the broker behind it, until the test ends, and returns the front's address. mode is
// tcp or http; bind and server are more words for these lines.
func haproxy(t *testing.T, b *broker, mode, bind, server string, lines ...string) string {
	t.Helper()
	program, err := exec.LookPath("haproxy")
	if err != nil {
		program = "/usr/sbin/haproxy"
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	conf := filepath.Join(t.TempDir(), "haproxy.cfg")
	text := "defaults\n mode %s\n timeout connect 20s\n timeout client 20s\n timeout server 20s\n timeout tunnel 20s\n" +
		"listen mqtt\n bind fd@3 %s\n%s\n server broker %s %s\n"
	writeFile(t, conf, fmt.Sprintf(text, mode, bind, strings.Join(lines, "\n"), b.addr(), server))
	cmd := exec.Command(program, "-db", "-q", "-f", conf)
	cmd.ExtraFiles = []*os.File{file}
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatalf("HAProxy is not installed, run make deps: %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("HAProxy: %s", said.String())
		}
	})
	return l.Addr().String()
}

// dialFront connects to a proxy.
func dialFront(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// front has an authority of its own, a certificate for the proxy, and those it gives to clients.
type front struct {
	dir  string
	root *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

// newFront writes dir/root.pem, and dir/front.pem with the proxy's certificate and key.
func newFront(t *testing.T) *front {
	t.Helper()
	f := &front{dir: t.TempDir(), pool: x509.NewCertPool()}
	f.key, f.root = f.issue(t, "authority", true)
	f.pool.AddCert(f.root)
	writeFile(t, filepath.Join(f.dir, "root.pem"), block("CERTIFICATE", f.root.Raw))
	key, certificate := f.issue(t, "127.0.0.1", false)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(f.dir, "front.pem"), block("CERTIFICATE", certificate.Raw)+block("PRIVATE KEY", der))
	return f
}

func block(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func (f *front) issue(t *testing.T, name string, authority bool) (*ecdsa.PrivateKey, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: authority, BasicConstraintsValid: true,
	}
	parent, signer := f.root, f.key
	if authority {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return key, certificate
}

// lines are a listener's, which takes the proxy's certificate for itself, and more.
func (f *front) lines(more ...string) []string {
	return append(more, fmt.Sprintf("certfile %s/front.pem", f.dir), fmt.Sprintf("keyfile %s/front.pem", f.dir))
}

// dial connects by TLS, with a certificate of this name if there is one.
func (f *front) dial(t *testing.T, addr, name string) net.Conn {
	t.Helper()
	conf := &tls.Config{RootCAs: f.pool, ServerName: "127.0.0.1"}
	if name != "" {
		key, certificate := f.issue(t, name, false)
		conf.Certificates = []tls.Certificate{{Certificate: [][]byte{certificate.Raw}, PrivateKey: key}}
	}
	return tls.Client(dialFront(t, addr), conf)
}

func TestHAProxyTellsTheClientsAddress(t *testing.T) {
	for version, option := range map[int]string{1: "send-proxy", 2: "send-proxy-v2"} {
		t.Run(option, func(t *testing.T) {
			b := start(t, fmt.Sprintf("enable_proxy_protocol %d", version))
			conn := dialFront(t, haproxy(t, b, "tcp", "", option))
			id := name(t, "c")
			b.expect(t, fmt.Sprintf("New client connected from %s as %s ", conn.LocalAddr(), id), func() {
				if err := over(t, conn, id).echo("t", make([]byte, 1<<20)); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

// TestHAProxyChecksAreNoClients waits for a check of the server, which sends a header without a client.
func TestHAProxyChecksAreNoClients(t *testing.T) {
	b := start(t, "enable_proxy_protocol 2")
	var addr string
	b.expect(t, "] closed its connection.", func() {
		addr = haproxy(t, b, "tcp", "", "send-proxy-v2 check check-send-proxy inter 100ms")
	})
	if err := over(t, dialFront(t, addr), name(t, "c")).echo("t", []byte("x")); err != nil {
		t.Fatal(err)
	}
}

func TestHAProxyEndsTLS(t *testing.T) {
	f := newFront(t)
	b := start(t, "enable_proxy_protocol 2", "proxy_protocol_v2_require_tls true", "require_certificate true",
		"use_identity_as_username true", "proxy_trusted 127.0.0.1")
	bind := fmt.Sprintf("ssl crt %[1]s/front.pem ca-file %[1]s/root.pem verify optional", f.dir)
	addr := haproxy(t, b, "tcp", bind, "send-proxy-v2-ssl-cn")

	t.Run("with a certificate", func(t *testing.T) {
		id := name(t, "c")
		b.expect(t, ", u'alice').", func() {
			if err := over(t, f.dial(t, addr, "alice"), id).echo("t", []byte("x")); err != nil {
				t.Fatal(err)
			}
		})
	})
	t.Run("without", func(t *testing.T) {
		b.expect(t, "rejected, client did not provide a certificate.", func() { mustEnd(t, f.dial(t, addr, "")) })
	})
	t.Run("without TLS", func(t *testing.T) {
		addr := haproxy(t, b, "tcp", "", "send-proxy-v2-ssl-cn")
		b.expect(t, "rejected, client did not connect using TLS.", func() { mustEnd(t, dialFront(t, addr)) })
	})
	t.Run("without a proxy", func(t *testing.T) {
		b.expect(t, "Connection rejected, corrupt PROXY header.", func() { mustEnd(t, dialFront(t, b.addr())) })
	})
}

// mustEnd sends a CONNECT that is not answered.
func mustEnd(t *testing.T, conn net.Conn) {
	t.Helper()
	defer conn.Close()
	if _, err := conn.Write(connectBytes("x", "", "")); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if len(answer) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%q %v", answer, err)
	}
}

func TestProxiesThatAreNotTrustedAreRefused(t *testing.T) {
	b := start(t, "enable_proxy_protocol 1", "proxy_trusted 192.0.2.0/24")
	addr := haproxy(t, b, "tcp", "", "send-proxy")
	b.expect(t, "rejected, its address is not in proxy_trusted.", func() { mustEnd(t, dialFront(t, addr)) })
}

// TestHAProxyWebSocket has WebSocket through a proxy that reads HTTP, and through one that ends TLS.
func TestHAProxyWebSocket(t *testing.T) {
	b := start(t, "protocol websockets", "enable_proxy_protocol 2")
	conn := dialFront(t, haproxy(t, b, "http", "", "send-proxy-v2"))
	id := name(t, "http")
	b.expect(t, fmt.Sprintf("New client connected from %s as %s ", conn.LocalAddr(), id), func() {
		s, _ := upgrade(t, conn)
		if err := over(t, s, id).echo("t", make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
	})

	f := newFront(t)
	conn = f.dial(t, haproxy(t, b, "tcp", "ssl crt "+f.dir+"/front.pem", "send-proxy-v2-ssl"), "")
	id = name(t, "tls")
	b.expect(t, fmt.Sprintf("New client connected from %s as %s ", conn.LocalAddr(), id), func() {
		if err := over(t, openSocket(t, conn), id).echo("t", make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
	})

	b = start(t, "protocol websockets", "proxy_trusted 127.0.0.1")
	conn = dialFront(t, haproxy(t, b, "http", "", "", " option forwardfor", " http-request set-header X-Forwarded-For 192.0.2.7"))
	id = name(t, "forwarded")
	b.expect(t, "New client connected from 192.0.2.7:0 as "+id+" ", func() { // the proxy adds 127.0.0.1
		s, _ := upgrade(t, conn)
		if err := over(t, s, id).echo("t", []byte("x")); err != nil {
			t.Fatal(err)
		}
	})
}

// TestProxyTLSWebSocket has all layers on each other: the proxy only passes on what TLS hides from it.
func TestProxyTLSWebSocket(t *testing.T) {
	f := newFront(t)
	b := start(t, f.lines("protocol websockets", "enable_proxy_protocol 2")...)
	conn := f.dial(t, haproxy(t, b, "tcp", "", "send-proxy-v2"), "")
	id := name(t, "c")
	b.expect(t, fmt.Sprintf("New client connected from %s as %s ", conn.LocalAddr(), id), func() {
		if err := over(t, openSocket(t, conn), id).echo("t", make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
	})
}
