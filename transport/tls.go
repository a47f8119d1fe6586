package transport

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"time"
)

// TLSLayer is the TLS of one connection: a loop.Layer. It belongs to the loop's thread. Until the client's first record is whole
// it holds that alone, at most 18 KiB; then its handshake runs on the threads of Handshakes; then it encrypts and decrypts where
// it is called.
type TLSLayer struct {
	tls     *TLS
	peer    *Peer
	wake    func()
	wire    tlsWire
	conn    *tls.Conn     // nil before the first record is whole
	shaking *handshake    // nil but during the handshake
	works   bool          // the handshake works on what it was given
	input   *bytes.Buffer // of conn, see inputOf; nil during the handshake
	partial []byte        // the start of a record, with input
	ended   bool          // nothing may be sent any more
}

// Layer returns the layer of a new connection. It fills in peer when the handshake is done. wake lets the loop call In without
// bytes; it is called on any thread.
func (t *TLS) Layer(peer *Peer, wake func()) *TLSLayer {
	return &TLSLayer{tls: t, peer: peer, wake: wake}
}

// recordHeader is the size of a TLS record's header: type, version, length.
const recordHeader = 5

// recordMax is how much a record may have after its header.
const recordMax = 16<<10 + 2048

// In decrypts.
func (l *TLSLayer) In(up, down, b []byte) (newUp, newDown []byte, err error) {
	switch {
	case l.ended:
		return up, down, nil
	case l.shaking != nil:
		if down, err = l.shake(down, b); l.shaking != nil || err != nil {
			return up, down, err
		}
		b, l.wire.in = l.wire.in, nil // what came behind the handshake
	case l.conn == nil:
		return up, down, l.begin(b)
	}
	return l.decrypt(up, down, b)
}

// begin collects the first record and starts the handshake with it.
func (l *TLSLayer) begin(b []byte) error {
	l.wire.in = append(l.wire.in, b...)
	first := l.wire.in
	if err := checkFirst(first); err != nil {
		l.ended = true
		return err
	}
	if len(first) < recordHeader || len(first) < recordHeader+recordLength(first) {
		return nil
	}
	l.conn = tls.Server(&l.wire, l.tls.config)
	var ok bool
	if l.shaking, ok = l.tls.handshakes.begin(l.conn, &l.wire, l.wake); !ok {
		l.ended = true
		return ErrHandshakes
	}
	l.works = true
	return nil
}

func recordLength(header []byte) int { return int(header[3])<<8 | int(header[4]) }

// Types of records.
const (
	alertRecord     = 21
	handshakeRecord = 22
)

// checkFirst looks whether a connection begins as one with TLS does.
func checkFirst(b []byte) error {
	switch {
	case len(b) == 0:
	case b[0] == 0x10:
		return errors.New("TLS error: plain MQTT on a listener with TLS")
	case b[0] >= 'A' && b[0] <= 'Z':
		return errors.New("TLS error: plain HTTP on a listener with TLS")
	case b[0] != handshakeRecord || len(b) > 1 && b[1] != 3:
		return errors.New("TLS error: what came first is no TLS handshake")
	case len(b) >= recordHeader && recordLength(b) > recordMax:
		return errors.New("TLS error: oversized record")
	}
	return nil
}

// shake exchanges bytes with the handshake, and takes over when it is done.
func (l *TLSLayer) shake(down, b []byte) (newDown []byte, err error) {
	h, before := l.shaking, len(down)
	var done bool
	if down, done, l.works = h.exchange(down, b); !done {
		return down, nil
	}
	l.shaking, l.wire.shaking = nil, nil
	if h.result.err != nil {
		l.ended = true
		if err = h.result.err; l.wire.alert != 0 {
			// The client may have refused the broker before it had the keys for the alert, which is a forged record then. An
			// alert is not answered (RFC 8446, section 6.2): the answer would find the connection reset.
			down, err = down[:before], &net.OpError{Op: remoteError, Err: l.wire.alert}
		}
		return down, tlsError(err)
	}
	l.wire.in = append(l.wire.in, h.mu.in...)
	forgetCertificates(l.conn)
	l.input = inputOf(l.conn)
	told := &h.result.peer
	l.peer.TLS, l.peer.TLSVersion, l.peer.Cipher = true, told.TLSVersion, told.Cipher
	if told.HasIdentity {
		l.peer.HasIdentity, l.peer.Identity, l.peer.Subject, l.peer.Verified = true, told.Identity, told.Subject, told.Verified
	}
	return down, nil
}

// readRoom is how much room a read gets at least: a whole record.
const readRoom = 16 << 10

// decrypt takes whole records out of what came, and keeps the start of another. It decrypts b where it is.
func (l *TLSLayer) decrypt(up, down, b []byte) (newUp, newDown []byte, err error) {
	l.wire.out = down
	if l.input == nil {
		l.wire.in = b
		for err == nil {
			up, err = l.read(up)
		}
		l.wire.in = nil
	} else {
		up, err = l.readLent(up, b)
		forgetRead(l.conn)
	}
	down, l.wire.out = l.wire.out, nil
	switch {
	case err == errNothing:
		return up, down, nil
	case err == io.EOF:
		return up, down, err // close_notify
	}
	l.ended = true
	return up, down, tlsError(err)
}

// readLent reads from b as the input buffer of the tls.Conn, which has none of its own.
func (l *TLSLayer) readLent(up, b []byte) (newUp []byte, err error) {
	if len(l.partial) > 0 {
		both := joined.Get().(*[]byte)
		defer joined.Put(both)
		*both = append(append((*both)[:0], l.partial...), b...)
		b = *both
	}
	*l.input = *bytes.NewBuffer(b)
	for err == nil && decidable(l.input.Bytes()) {
		up, err = l.read(up)
	}
	if err == nil {
		err = errNothing
	}
	if rest := l.input.Bytes(); len(rest) == 0 {
		l.partial = nil
	} else {
		l.partial = append(l.partial[:0], rest...)
	}
	*l.input = bytes.Buffer{}
	return up, err
}

// decidable reports that input begins with a whole record, or one that is wrong. A read of less is in vain, and costs an allocation.
func decidable(input []byte) bool {
	if len(input) < recordHeader {
		return false
	}
	n := recordLength(input)
	return len(input) >= recordHeader+n || n > recordMax || input[1] != 3 || input[2] != 3
}

// read reads one record.
func (l *TLSLayer) read(up []byte) (newUp []byte, err error) {
	up = slices.Grow(up, readRoom)
	n, err := l.conn.Read(up[len(up):cap(up)])
	return up[:len(up)+n], err
}

// Out encrypts.
func (l *TLSLayer) Out(down, b []byte) []byte {
	if l.conn == nil || l.shaking != nil || l.ended {
		return down // nobody could read it
	}
	l.wire.out = down
	if _, err := l.conn.Write(b); err != nil {
		l.ended = true // the wire takes everything: an alert was sent before
	}
	down = l.wire.out
	l.wire.out = nil
	return down
}

// Close appends close_notify.
func (l *TLSLayer) Close(down []byte) []byte {
	if l.conn == nil || l.shaking != nil || l.ended {
		return down
	}
	l.ended = true
	l.wire.out = down
	_ = l.conn.CloseWrite() // the wire takes everything
	down = l.wire.out
	l.wire.out = nil
	return down
}

// Passes is false: TLS stays.
func (l *TLSLayer) Passes() bool { return false }

// Holds reports that the handshake works: what it gets meanwhile would have to be kept, and the end of the connection would hide
// its result.
func (l *TLSLayer) Holds() bool { return l.shaking != nil && l.works }

// Waits is loop.Waiter's.
func (l *TLSLayer) Waits() string {
	if l.conn != nil && l.shaking == nil {
		return ""
	}
	return "TLS handshake"
}

// Drop ends a handshake that is under way. The loop calls it when the connection is gone.
func (l *TLSLayer) Drop() {
	if l.shaking != nil {
		l.shaking.drop()
		l.shaking = nil
		l.ended = true
	}
}

// ErrHandshakes is a connection that came while as many handshakes were under way as may be.
var ErrHandshakes = errors.New("TLS error: too many handshakes are under way; see max_tls_handshakes")

// NoCertificate is a client without a certificate where one is required.
const NoCertificate Rejection = "client did not provide a certificate"

// remoteError is the operation of the error with which crypto/tls reports an alert of the client.
const remoteError = "remote error"

// tlsError makes a sentence of an error of crypto/tls.
func tlsError(err error) error {
	var remote *net.OpError
	var verify *tls.CertificateVerificationError
	text := strings.TrimPrefix(err.Error(), "tls: ")
	switch {
	case text == "client didn't provide a certificate":
		return NoCertificate
	case errors.As(err, &verify):
		text = "the client's certificate was refused: " + strings.TrimPrefix(verify.Err.Error(), "x509: ")
	case errors.As(err, &remote) && remote.Op == remoteError:
		text = "the client says: " + strings.TrimPrefix(remote.Err.Error(), "tls: ")
	case errors.As(err, &remote):
		text = strings.TrimPrefix(remote.Err.Error(), "tls: ")
	case strings.Contains(text, "when waiting for *tls.helloRequestMsg"):
		text = "the client asked for renegotiation"
	}
	return errors.New("TLS error: " + text)
}

// tlsWire is the net.Conn below a tls.Conn. The handshake's thread has it during the handshake, else the loop.
type tlsWire struct {
	in      []byte // not yet read: owned until the handshake is done, then borrowed while In runs
	out     []byte // written
	shaking *handshake

	header [recordHeader]byte // of the record that is being read
	headed int                // bytes of it that were read
	left   int                // of the record
	alert  tls.AlertError     // 0 unless the last record read is an alert that is not encrypted, for the handshake
}

// nothing is the error of a read that has to wait. crypto/tls keeps its state with it, because it is temporary.
type nothing struct{}

func (nothing) Error() string   { return "nothing to read" }
func (nothing) Timeout() bool   { return true }
func (nothing) Temporary() bool { return true }

var errNothing error = nothing{}

// Read returns nothing beyond the current record, so that the buffer of the tls.Conn grows no larger than its largest record.
func (w *tlsWire) Read(b []byte) (int, error) {
	if len(w.in) == 0 {
		if w.shaking == nil {
			return 0, errNothing
		}
		if err := w.shaking.await(); err != nil {
			return 0, err
		}
	}
	if w.left > 0 {
		n := copy(b[:min(len(b), w.left)], w.in)
		w.in = w.in[n:]
		if w.left -= n; w.left == 0 && w.header[0] == alertRecord && recordLength(w.header[:]) == 2 {
			w.alert = tls.AlertError(b[n-1])
		}
		return n, nil
	}
	n := copy(w.header[w.headed:], w.in[:min(len(w.in), len(b))])
	copy(b, w.header[w.headed:w.headed+n])
	w.in = w.in[n:]
	if w.headed += n; w.headed == recordHeader {
		w.headed, w.left, w.alert = 0, recordLength(w.header[:]), 0
	}
	return n, nil
}

// Write keeps what is to be sent.
func (w *tlsWire) Write(b []byte) (int, error) {
	w.out = append(w.out, b...)
	return len(b), nil
}

// The rest of net.Conn has nothing to do here.

func (w *tlsWire) Close() error                     { return nil }
func (w *tlsWire) LocalAddr() net.Addr              { return noAddr{} }
func (w *tlsWire) RemoteAddr() net.Addr             { return noAddr{} }
func (w *tlsWire) SetDeadline(time.Time) error      { return nil }
func (w *tlsWire) SetReadDeadline(time.Time) error  { return nil }
func (w *tlsWire) SetWriteDeadline(time.Time) error { return nil }

type noAddr struct{}

func (noAddr) Network() string { return "loop" }
func (noAddr) String() string  { return "" }
