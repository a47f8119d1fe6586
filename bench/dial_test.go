package bench

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// serveTests accepts connections, wraps each, and plays a broker on it until the test ends.
func serveTests(t *testing.T, l net.Listener, wrap func(net.Conn) (net.Conn, error)) {
	t.Helper()
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer conn.Close()
				if wrapped, err := wrap(conn); err == nil {
					(&testBroker{}).serve(wrapped)
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		conns.Wait()
	})
}

func bare(c net.Conn) (net.Conn, error) { return c, nil }

// listenTCP returns a listener on a free loopback port, and the flags that lead to it.
func listenTCP(t *testing.T) (net.Listener, []string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return l, []string{"-h", "127.0.0.1", "-p", port, "-c", "3"}
}

// publishSome sends large and small messages at QoS 1 and wants all of them acknowledged.
func publishSome(t *testing.T, flags ...string) {
	t.Helper()
	for _, size := range []string{"10", "200", "100000"} {
		rep, err := startTool(t, nil, toolPub, append(flags, "-t", "t/%i", "-q", "1", "-I", "0", "-L", "30", "-s", size)...).wait()
		if err != nil || rep.Pub.Sent != 30 || rep.Pub.Acked != 30 {
			t.Errorf("%s bytes: %v: %+v", size, err, rep.Pub)
		}
	}
}

func TestPubThroughAUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	serveTests(t, l, bare)
	publishSome(t, "--unix", path, "-c", "3")
}

func TestLocalAddressesAreTakenInTurn(t *testing.T) {
	l, flags := listenTCP(t)
	from := make(chan string, 4)
	serveTests(t, l, func(c net.Conn) (net.Conn, error) {
		host, _, err := net.SplitHostPort(c.RemoteAddr().String())
		from <- host
		return c, err
	})
	s := startTool(t, nil, toolConn, append(flags, "-c", "4", "--ifaddr", "127.0.0.2,127.0.0.3")...)
	s.until(allConnected)
	s.cancel()
	if _, err := s.wait(); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for range 4 {
		seen[<-from]++
	}
	if len(seen) != 2 || seen["127.0.0.2"] != 2 || seen["127.0.0.3"] != 2 {
		t.Fatalf("connections came from %v", seen)
	}
}

// selfSigned writes a certificate for 127.0.0.1 and its key.
func selfSigned(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	write := func(path, kind string, der []byte) {
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(certFile, "CERTIFICATE", cert)
	write(keyFile, "PRIVATE KEY", secret)
	return certFile, keyFile
}

func TestPubThroughTLS(t *testing.T) {
	certFile, keyFile := selfSigned(t)
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(pair.Leaf)
	l, flags := listenTCP(t)
	config := &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: pool}
	serveTests(t, tls.NewListener(l, config), bare)
	flags = append(flags, "-S")
	publishSome(t, append(flags, "--cacertfile", certFile)...)
	publishSome(t, append(flags, "--insecure")...)
	publishSome(t, append(flags, "--cacertfile", certFile, "--certfile", certFile, "--keyfile", keyFile)...)
	_, err = startTool(t, nil, toolConn, flags...).wait()
	if err == nil || !strings.Contains(err.Error(), "3 of 3 clients failed") || !strings.Contains(err.Error(), "TLS handshake") {
		t.Errorf("a certificate that nobody vouches for: error %v", err)
	}
}

// testWebSocket is a server's side that tries a client: it writes each byte of payload in a frame of its own, with an
// empty frame and a ping between them, and wants masked frames and the answers to its pings.
type testWebSocket struct {
	net.Conn
	in    *bufio.Reader
	data  []byte // of the current frame
	pings int    // not yet answered
}

func acceptWebSocket(conn net.Conn) (net.Conn, error) {
	w := &testWebSocket{Conn: conn, in: bufio.NewReader(conn)}
	req, err := http.ReadRequest(w.in)
	if err != nil {
		return nil, err
	}
	if req.URL.Path != "/over" || req.Header.Get("Sec-WebSocket-Protocol") != "mqtt" || req.Host == "" {
		_, _ = io.WriteString(conn, "HTTP/1.1 404 Not Found\r\n\r\n")
		return nil, errors.New("not ours")
	}
	sum := sha1.Sum([]byte(req.Header.Get("Sec-WebSocket-Key") + wsAcceptGUID))
	_, err = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"sec-websocket-protocol: mqtt\r\nSec-WebSocket-Accept: "+base64.StdEncoding.EncodeToString(sum[:])+"\r\n\r\n")
	return w, err
}

func (w *testWebSocket) Write(b []byte) (int, error) {
	var out []byte
	for i, c := range b {
		opcode := byte(wsContinuation)
		if i == 0 {
			opcode = wsBinary
		}
		if i == len(b)-1 {
			opcode |= wsFinal
		}
		out = append(out, opcode, 1, c)
		if i < len(b)-1 {
			out = append(out, wsContinuation, 0, wsFinal|wsPing, 2, 'h', 'i')
			w.pings++
		}
	}
	_, err := w.Conn.Write(out)
	return len(b), err
}

func (w *testWebSocket) Read(b []byte) (int, error) {
	for len(w.data) == 0 {
		opcode, data, err := w.readFrame()
		switch {
		case err != nil:
			return 0, err
		case opcode == wsFinal|wsBinary:
			w.data = data
		case opcode == wsFinal|wsPong && string(data) == "hi":
			w.pings--
		case opcode == wsFinal|wsClose && w.pings == 0:
			return 0, io.EOF
		default:
			return 0, errWebSocket
		}
	}
	n := copy(b, w.data)
	w.data = w.data[n:]
	return n, nil
}

func (w *testWebSocket) readFrame() (opcode byte, data []byte, err error) {
	var head [8]byte
	if _, err := io.ReadFull(w.in, head[:2]); err != nil {
		return 0, nil, err
	}
	opcode = head[0]
	if head[1]&wsMasked == 0 {
		return 0, nil, errWebSocket
	}
	n := uint64(head[1] &^ wsMasked)
	if n == wsLength16 {
		_, err = io.ReadFull(w.in, head[6:])
		n = uint64(binary.BigEndian.Uint16(head[6:]))
	} else if n == wsLength64 {
		_, err = io.ReadFull(w.in, head[:])
		n = binary.BigEndian.Uint64(head[:])
	}
	mask := make([]byte, 4)
	if _, again := io.ReadFull(w.in, mask); err != nil || again != nil {
		return 0, nil, errors.Join(err, again)
	}
	data = make([]byte, n)
	_, err = io.ReadFull(w.in, data)
	for i := range data {
		data[i] ^= mask[i%4]
	}
	return opcode, data, err
}

func TestPubThroughWebSocket(t *testing.T) {
	l, flags := listenTCP(t)
	serveTests(t, l, acceptWebSocket)
	publishSome(t, append(flags, "--ws", "--path", "/over")...)
	_, err := startTool(t, nil, toolConn, append(flags, "--ws")...).wait()
	if err == nil || !strings.Contains(err.Error(), `WebSocket handshake for /mqtt: the broker answered "HTTP/1.1 404 Not Found"`) {
		t.Errorf("a path that is not there: error %v", err)
	}
}

func TestMalformedWebSocketFramesAreRefused(t *testing.T) {
	f := func(want error, frames ...byte) {
		t.Helper()
		c := &wsConn{in: bufio.NewReaderSize(bytes.NewReader(frames), wsReadBytes)}
		if _, err := c.Read(make([]byte, 10)); !errors.Is(err, want) {
			t.Errorf("% x: error %v, want %v", frames, err, want)
		}
	}
	f(errWebSocket, wsFinal|wsBinary|0x40, 1, 0)          // reserved bit
	f(errWebSocket, wsFinal|wsBinary, wsMasked|1, 0)      // masked by a server
	f(errWebSocket, wsFinal|0x1, 1, 'x')                  // text
	f(errWebSocket, wsFinal|wsPing, wsLength16, 0, 126)   // control frame that is too long
	f(io.EOF, wsFinal|wsClose, 2, 3, 0xE8)                // close
	f(io.EOF, wsFinal|wsBinary, wsLength16, 1)            // cut in its header
	f(io.EOF, wsFinal|wsPong, 0, wsBinary, wsLength64, 0) // a pong that nobody asked for, then cut
}
