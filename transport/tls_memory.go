package transport

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"reflect"
	"sync"
	"sync/atomic"
	"unsafe"
)

// What a tls.Conn keeps after its handshake is mostly what it does not need: its input buffer, which has the size of the largest
// record it ever read, up to 33 KiB; the buffer of handshake messages, 1 to 4 KiB; and the peer's certificates, 3 KiB and more.
// There is no call to release them. So they are found by name, if they are what they were in this version of Go, and emptied when
// nothing is in them: 3 KiB remain of 7 to 30. If they are not found, connections keep them and are read through tlsWire; a
// test says so.
//
// The input buffer is also lent the bytes that came, so that they are decrypted where they are. The reader of decrypted bytes
// would then hold on to them when it is at their end.

// connOffsets are where the fields are in a tls.Conn.
type connOffsets struct {
	rawInput, hand     uintptr // bytes.Buffer
	input              uintptr // bytes.Reader
	peerCertificates   uintptr // []*x509.Certificate
	verifiedChains     uintptr // [][]*x509.Certificate
	buffersOK, certsOK bool
}

// offsets is set at start, and otherwise by a test.
var offsets atomic.Pointer[connOffsets]

func init() { offsets.Store(findOffsets()) }

func findOffsets() *connOffsets {
	var o connOffsets
	conn := reflect.TypeFor[tls.Conn]()
	find := func(name string, typ reflect.Type, at *uintptr) bool {
		f, ok := conn.FieldByName(name)
		*at = f.Offset
		return ok && f.Type == typ
	}
	o.buffersOK = find("rawInput", reflect.TypeFor[bytes.Buffer](), &o.rawInput) && find("hand", reflect.TypeFor[bytes.Buffer](), &o.hand) &&
		find("input", reflect.TypeFor[bytes.Reader](), &o.input)
	o.certsOK = find("peerCertificates", reflect.TypeFor[[]*x509.Certificate](), &o.peerCertificates) &&
		find("verifiedChains", reflect.TypeFor[[][]*x509.Certificate](), &o.verifiedChains)
	return &o
}

// inputOf returns the input buffer of a connection; nil when it is not found.
func inputOf(conn *tls.Conn) *bytes.Buffer {
	o := offsets.Load()
	if !o.buffersOK {
		return nil
	}
	return (*bytes.Buffer)(unsafe.Add(unsafe.Pointer(conn), o.rawInput))
}

// forgetCertificates lets go of what the handshake has used up.
func forgetCertificates(conn *tls.Conn) {
	if o := offsets.Load(); o.certsOK {
		*(*[]*x509.Certificate)(unsafe.Add(unsafe.Pointer(conn), o.peerCertificates)) = nil
		*(*[][]*x509.Certificate)(unsafe.Add(unsafe.Pointer(conn), o.verifiedChains)) = nil
	}
}

// forgetRead lets go of what was lent, and of the buffer of handshake messages, where all of it was read.
func forgetRead(conn *tls.Conn) {
	o := offsets.Load()
	if !o.buffersOK {
		return
	}
	if hand := (*bytes.Buffer)(unsafe.Add(unsafe.Pointer(conn), o.hand)); hand.Len() == 0 && hand.Cap() > 0 {
		*hand = bytes.Buffer{}
	}
	if input := (*bytes.Reader)(unsafe.Add(unsafe.Pointer(conn), o.input)); input.Len() == 0 {
		*input = bytes.Reader{}
	}
}

// joined are buffers in which the start of a record meets the rest of it.
var joined = sync.Pool{New: func() any { return new([]byte) }}
