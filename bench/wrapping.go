package bench

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/noctulemq/noctule/codec"
)

// The transports of a scenario. Packets that wait in a client together share a TLS record or a frame, as they share a
// write over TCP alone: the generator has to do on its one core what the broker does on its own.

const (
	overTLS       = "tls"
	overWebSocket = "websockets"

	certName, keyName = "certificate.pem", "key.pem" // in the broker's directory
	certTime          = 24 * time.Hour
	// plainGrow is the least room for what one TLS record or frame carries, in bytes.
	plainGrow = 16 << 10
	// wireBytes is how much of a socket is read at once before a client joins the loop.
	wireBytes = 4 << 10
)

// wrapping is what lies between the packets of a client and its socket.
type wrapping interface {
	// seal appends to out what the socket carries for the packets in b.
	seal(out, b []byte) ([]byte, error)
	// open appends to plain what the next bytes of the socket carry. It keeps the rest of a partial record or header. On
	// io.EOF the broker has closed.
	open(plain, b []byte) ([]byte, error)
}

// wrapFunc does the handshake of a transport on a blocking socket. nil stands for TCP alone.
type wrapFunc func(fd int) (wrapping, error)

// transportLines are the lines of the configuration file that put the listener on a transport, with more lines for it.
// Mosquitto 2.0 does not start with WebSocket listeners alone: a Unix socket, at which nobody calls, stands beside,
// and brokers do not give up root, without which they could not put it there.
func transportLines(transport, more string) string {
	switch transport {
	case overTLS:
		return "certfile {dir}/" + certName + "\nkeyfile {dir}/" + keyName + "\ntls_version tlsv1.3\n" + more
	case overWebSocket:
		return "protocol websockets\n" + more + "user root\nlistener 0 {dir}/broker.sock\n"
	}
	return more
}

// newWrap returns what wraps the clients of a broker whose directory is dir, and writes there what the broker needs.
func newWrap(transport, dir string) (wrapFunc, error) {
	switch transport {
	case overTLS:
		pool, err := writeCertificate(dir)
		if err != nil {
			return nil, fmt.Errorf("make a certificate: %w", err)
		}
		config := &tls.Config{RootCAs: pool, ServerName: "localhost", MinVersion: tls.VersionTLS13, DynamicRecordSizingDisabled: true}
		return func(fd int) (wrapping, error) { return wrapTLS(fd, config) }, nil
	case overWebSocket:
		return wrapWebSocket, nil
	}
	return nil, nil
}

// writeCertificate writes a self-signed ECDSA P-256 certificate and its key, and returns the pool that trusts it. The key
// is worth nothing: everyone may read it, as brokers give up root, and it goes with the directory.
func writeCertificate(dir string) (*x509.CertPool, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"},
		DNSNames: []string{"localhost"}, NotBefore: now.Add(-certTime), NotAfter: now.Add(certTime), IsCA: true, BasicConstraintsValid: true}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	pool.AppendCertsFromPEM(certPEM)
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	return pool, errors.Join(os.WriteFile(filepath.Join(dir, certName), certPEM, 0o644),
		os.WriteFile(filepath.Join(dir, keyName), keyPEM, 0o644))
}

// wire stands for the socket in handshakes, which block, and in TLS afterwards, where no call may: then fd is -1, reads
// take from in until it is empty, and writes go to out.
type wire struct {
	net.Conn // nil: nothing but Read and Write is called while there is no deadline
	fd       int
	in       []byte // borrowed for one open
	out      []byte // borrowed for one seal; between two, what TLS had to answer, which goes with the next
}

func (w *wire) Read(b []byte) (int, error) {
	if w.fd >= 0 {
		return readBlocking(w.fd, b)
	}
	if len(w.in) == 0 {
		return 0, unix.EAGAIN // a net.Error that is temporary, after which TLS goes on
	}
	n := copy(b, w.in)
	w.in = w.in[n:]
	return n, nil
}

func (w *wire) Write(b []byte) (int, error) {
	if w.fd >= 0 {
		return len(b), writeBlocking(w.fd, b)
	}
	w.out = append(w.out, b...)
	return len(b), nil
}

// readBlocking reads once from a blocking socket; io.EOF at its end.
func readBlocking(fd int, b []byte) (int, error) {
	for {
		n, err := unix.Read(fd, b)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

func writeBlocking(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// tlsWrapping is TLS by the standard library, fed from memory.
type tlsWrapping struct {
	wire *wire
	conn *tls.Conn
}

func wrapTLS(fd int, config *tls.Config) (wrapping, error) {
	w := &wire{fd: fd}
	conn := tls.Client(w, config)
	if err := conn.Handshake(); err != nil {
		return nil, fmt.Errorf("TLS handshake: %w", err)
	}
	w.fd = -1
	return &tlsWrapping{wire: w, conn: conn}, nil
}

func (t *tlsWrapping) seal(out, b []byte) ([]byte, error) {
	t.wire.out = append(out, t.wire.out...)
	_, err := t.conn.Write(b)
	out, t.wire.out = t.wire.out, nil
	return out, err
}

func (t *tlsWrapping) open(plain, b []byte) ([]byte, error) {
	t.wire.in = b
	for {
		plain = slices.Grow(plain, plainGrow)
		n, err := t.conn.Read(plain[len(plain):cap(plain)])
		plain = plain[:len(plain)+n]
		if errors.Is(err, unix.EAGAIN) {
			return plain, nil
		}
		if err != nil {
			return plain, err
		}
	}
}

// wsWrapping is WebSocket with one binary frame for each seal. A ping is not answered: a run is shorter than a broker's
// patience. Data frames count as one stream, as [MQTT-6.0.0-4] has it.
type wsWrapping struct {
	head []byte // of a header that is not yet whole
	left uint64 // bytes of the current frame that are still to come
	skip bool   // the current frame is a ping or pong
}

func wrapWebSocket(fd int) (wrapping, error) {
	if _, err := upgradeWebSocket(context.Background(), &wire{fd: fd}, "localhost", "/mqtt"); err != nil {
		return nil, fmt.Errorf("WebSocket handshake: %w", err)
	}
	return &wsWrapping{}, nil
}

func (w *wsWrapping) seal(out, b []byte) ([]byte, error) {
	out = append(out, wsFinal|wsBinary)
	switch n := len(b); {
	case n <= wsShortMax:
		out = append(out, wsMasked|byte(n))
	case n <= 1<<16-1:
		out = binary.BigEndian.AppendUint16(append(out, wsMasked|wsLength16), uint16(n))
	default:
		out = binary.BigEndian.AppendUint64(append(out, wsMasked|wsLength64), uint64(n))
	}
	var key [4]byte
	binary.LittleEndian.PutUint32(key[:], mathrand.Uint32()|1) // never zero, with which some brokers leave the unmasking out
	out = append(out, key[:]...)
	at := len(out)
	out = append(out, b...)
	codec.Mask(out[at:], key, 0)
	return out, nil
}

func (w *wsWrapping) open(plain, b []byte) ([]byte, error) {
	for len(b) > 0 {
		if w.left > 0 {
			n := int(min(w.left, uint64(len(b))))
			if !w.skip {
				plain = append(plain, b[:n]...)
			}
			b, w.left = b[n:], w.left-uint64(n)
			continue
		}
		w.head, b = append(w.head, b[0]), b[1:]
		if err := w.takeHead(); err != nil {
			return plain, err
		}
	}
	return plain, nil
}

// takeHead takes the header if it is whole.
func (w *wsWrapping) takeHead() error {
	if len(w.head) < 2 {
		return nil
	}
	opcode, short := w.head[0]&^(wsFinal|wsReserved), w.head[1]
	control := opcode >= wsClose
	switch {
	case w.head[0]&wsReserved != 0 || short&wsMasked != 0 || control && short > wsShortMax:
		return errWebSocket
	case opcode == wsClose:
		return io.EOF
	case !control && opcode != wsBinary && opcode != wsContinuation:
		return fmt.Errorf("opcode %d: %w", opcode, errWebSocket)
	}
	switch {
	case short <= wsShortMax:
		w.left = uint64(short)
	case short == wsLength16 && len(w.head) == 4:
		w.left = uint64(binary.BigEndian.Uint16(w.head[2:]))
	case short == wsLength64 && len(w.head) == wsHeaderMax:
		w.left = binary.BigEndian.Uint64(w.head[2:])
	default:
		return nil
	}
	w.head, w.skip = w.head[:0], control
	return nil
}
