package transport

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"reflect"
	"sync"
	"unsafe"
)

// What a tls.Conn keeps after its handshake is mostly what it does not need: its input buffer, which has the size of the largest
// record it ever read, up to 33 KiB; the buffer of handshake messages, 1 to 4 KiB; and the peer's certificates, 3 KiB and more.
// There is no call to release them. So they are found by name, if they are what they were in this version of Go, and emptied when
// nothing is in them: 3.5 KiB remain of 7 to 30. If they are not found, connections keep them and are read through tlsWire; a
// test says so.
//
// The input buffer is also lent the bytes that came, so that they are decrypted where they are.

// connOffsets are where the fields are in a tls.Conn.
type connOffsets struct {
	rawInput, hand     uintptr // bytes.Buffer
	peerCertificates   uintptr // []*x509.Certificate
	verifiedChains     uintptr // [][]*x509.Certificate
	buffersOK, certsOK bool
}

var offsets = findOffsets()

func findOffsets() (o connOffsets) {
	conn := reflect.TypeFor[tls.Conn]()
	find := func(name string, typ reflect.Type, at *uintptr) bool {
		f, ok := conn.FieldByName(name)
		*at = f.Offset
		return ok && f.Type == typ
	}
	o.buffersOK = find("rawInput", reflect.TypeFor[bytes.Buffer](), &o.rawInput) && find("hand", reflect.TypeFor[bytes.Buffer](), &o.hand)
	o.certsOK = find("peerCertificates", reflect.TypeFor[[]*x509.Certificate](), &o.peerCertificates) &&
		find("verifiedChains", reflect.TypeFor[[][]*x509.Certificate](), &o.verifiedChains)
	return o
}

// inputOf returns the input buffer of a connection; nil when it is not found.
func inputOf(conn *tls.Conn) *bytes.Buffer {
	if !offsets.buffersOK {
		return nil
	}
	return (*bytes.Buffer)(unsafe.Add(unsafe.Pointer(conn), offsets.rawInput))
}

// forgetCertificates lets go of what the handshake has used up.
func forgetCertificates(conn *tls.Conn) {
	if offsets.certsOK {
		*(*[]*x509.Certificate)(unsafe.Add(unsafe.Pointer(conn), offsets.peerCertificates)) = nil
		*(*[][]*x509.Certificate)(unsafe.Add(unsafe.Pointer(conn), offsets.verifiedChains)) = nil
	}
}

// forgetMessages lets go of the buffer of handshake messages, if it is empty.
func forgetMessages(conn *tls.Conn) {
	if !offsets.buffersOK {
		return
	}
	if hand := (*bytes.Buffer)(unsafe.Add(unsafe.Pointer(conn), offsets.hand)); hand.Len() == 0 && hand.Cap() > 0 {
		*hand = bytes.Buffer{}
	}
}

// joined are buffers in which the start of a record meets the rest of it.
var joined = sync.Pool{New: func() any { return new([]byte) }}
