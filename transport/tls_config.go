package transport

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// TLSOptions is what a listener's TLS is made of. Paths and lists are as in the configuration; empty means not given.
type TLSOptions struct {
	Pairs []KeyPair // at least one; which one a client gets is decided by the server name it asks for

	CAFile, CAPath string // what client certificates are checked against
	CRLFile        string // certificates that were revoked
	// RequireCertificate admits only clients with a valid certificate. Without it none is asked for, as with Mosquitto.
	RequireCertificate bool
	IgnoreClientDates  bool // client certificates may be out of their time

	MinVersion   string // tlsv1.2 or tlsv1.3; empty: tlsv1.2
	Ciphers      string // of TLS 1.2, as OpenSSL writes them
	CipherSuites string // of TLS 1.3
	DHParamFile  string // without effect
	PSKHint      string // refused

	KeyLog     io.Writer   // gets the secrets of all connections, in NSS format, from any thread; nil: nobody
	Handshakes *Handshakes // shared by all listeners and kept over a reload
}

// KeyPair names a certificate with its chain, and its private key.
type KeyPair struct{ CertFile, KeyFile string }

// TLS is the TLS of one listener, immutable: a reload makes another one, and connections keep theirs.
type TLS struct {
	config      *tls.Config
	handshakes  *Handshakes
	authorities []*x509.Certificate // of cafile and capath, in their order
	notes       []string
}

// NewTLS reads the files and checks everything. The error names the file or key and the reason; it begins with Mosquitto's words
// where there are any.
func NewTLS(o TLSOptions) (*TLS, error) {
	t := &TLS{handshakes: o.Handshakes}
	t.config = &tls.Config{
		KeyLogWriter: o.KeyLog,
		// What waits shares a record; small records first would be for browsers.
		DynamicRecordSizingDisabled: true,
	}
	steps := []func(*TLSOptions) error{t.refusePSK, t.setVersion, t.setCiphers, t.readAuthorities, t.setPairs, t.setClients}
	for _, step := range steps {
		if err := step(&o); err != nil {
			return nil, err
		}
	}
	if o.DHParamFile != "" {
		t.note("dhparamfile is without effect: keys are exchanged over elliptic curves")
	}
	return t, nil
}

// Notes are sentences for the log: what is without effect, and what will keep clients out.
func (t *TLS) Notes() []string { return t.notes }

func (t *TLS) note(format string, args ...any) {
	t.notes = append(t.notes, fmt.Sprintf(format, args...))
}

func (t *TLS) refusePSK(o *TLSOptions) error {
	if o.PSKHint != "" {
		return errors.New("psk_hint: there are no pre-shared keys in this build; give each client a certificate instead, with require_certificate and use_identity_as_username")
	}
	return nil
}

func (t *TLS) setVersion(o *TLSOptions) error {
	t.config.MinVersion = tls.VersionTLS12
	switch o.MinVersion {
	case "", "tlsv1.2":
	case "tlsv1.3":
		t.config.MinVersion = tls.VersionTLS13
	case "tlsv1.1":
		t.note("tls_version tlsv1.1: the lowest version that is spoken is tlsv1.2")
	default:
		return sentence("Unsupported tls_version %q. Use tlsv1.2 or tlsv1.3.", o.MinVersion)
	}
	return nil
}

func (t *TLS) setCiphers(o *TLSOptions) error {
	if o.Ciphers != "" {
		ids, note, err := parseCiphers(o.Ciphers)
		if err != nil {
			return sentence("Unable to set TLS ciphers. Check cipher list %q. Reason: %v.", o.Ciphers, err)
		}
		t.config.CipherSuites = ids
		t.noteIf(note)
	}
	if o.CipherSuites != "" {
		note, err := checkSuites13(o.CipherSuites)
		if err != nil {
			return sentence("Unable to set TLS 1.3 ciphersuites. Check cipher_tls13 list %q. Reason: %v.", o.CipherSuites, err)
		}
		t.noteIf(note)
	}
	return nil
}

func (t *TLS) noteIf(note string) {
	if note != "" {
		t.notes = append(t.notes, note)
	}
}

func (t *TLS) setPairs(o *TLSOptions) error {
	if len(o.Pairs) == 0 {
		return errors.New("certfile and keyfile are missing; TLS needs both")
	}
	for _, p := range o.Pairs {
		cert, err := readPair(p)
		if err != nil {
			return err
		}
		cert.Certificate = complete(cert.Certificate, cert.Leaf, t.authorities)
		t.config.Certificates = append(t.config.Certificates, cert)
		if leaf := cert.Leaf; time.Now().After(leaf.NotAfter) {
			t.note("certfile %s: the certificate expired on %s; clients that check it will not connect", p.CertFile, leaf.NotAfter.Format(time.DateOnly))
		} else if time.Now().Before(leaf.NotBefore) {
			t.note("certfile %s: the certificate is valid from %s only; clients that check it will not connect", p.CertFile, leaf.NotBefore.Format(time.DateOnly))
		}
	}
	return nil
}

// readPair reads a certificate and its key.
func readPair(p KeyPair) (tls.Certificate, error) {
	const badCert = "Unable to load server certificate %q. Check certfile. Reason: %s."
	const badKey = "Unable to load server key file %q. Check keyfile. Reason: %s."
	var none tls.Certificate
	if p.CertFile == "" {
		return none, sentence("keyfile %q stands without a certfile.", p.KeyFile)
	}
	if p.KeyFile == "" {
		return none, sentence("certfile %q stands without a keyfile.", p.CertFile)
	}
	certPEM, err := os.ReadFile(p.CertFile)
	if err != nil {
		return none, sentence(badCert, p.CertFile, reason(err))
	}
	if block := findPEM(certPEM, "CERTIFICATE"); block == nil {
		return none, sentence(badCert, p.CertFile, "it holds no certificate in PEM form")
	} else if _, err := x509.ParseCertificate(block.Bytes); err != nil {
		return none, sentence(badCert, p.CertFile, err.Error())
	}
	keyPEM, err := os.ReadFile(p.KeyFile)
	if err != nil {
		return none, sentence(badKey, p.KeyFile, reason(err))
	}
	if block := findPEM(keyPEM, "ENCRYPTED PRIVATE KEY"); block != nil || isEncrypted(keyPEM) {
		return none, sentence(badKey, p.KeyFile, "it is protected by a password; write it without one: openssl pkey -in FILE -out NEWFILE")
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return none, sentence(badKey, p.KeyFile, fmt.Sprintf("it does not go with certificate %q: %v", p.CertFile, err))
	}
	return cert, nil
}

func findPEM(data []byte, kind string) *pem.Block {
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil || block.Type == kind {
			return block
		}
	}
}

// isEncrypted is whether a key is in the older protected form.
func isEncrypted(data []byte) bool {
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return false
		}
		if block.Headers["DEK-Info"] != "" {
			return true
		}
	}
}

// setClients sets how client certificates are checked.
func (t *TLS) setClients(o *TLSOptions) error {
	var revoked *revocations
	if o.CRLFile != "" {
		var err error
		if revoked, err = readRevocations(o.CRLFile); err != nil {
			return sentence("Unable to load certificate revocation file %q. Check crlfile. Reason: %s.", o.CRLFile, reason(err))
		}
	}
	if !o.RequireCertificate {
		return nil
	}
	if len(t.authorities) == 0 {
		t.note("require_certificate is true, but there is no certificate in cafile and capath: no client can connect")
	}
	authorities := x509.NewCertPool() // never nil: crypto/tls would take the machine's
	believed, left := rooted(t.authorities)
	for _, c := range believed {
		authorities.AddCert(c)
	}
	for _, c := range left {
		t.note("no client is admitted for the authority %s: cafile and capath lack its own authority, %s", c.Subject, c.Issuer)
	}
	t.config.ClientCAs, t.config.ClientAuth = authorities, tls.RequireAndVerifyClientCert
	if o.IgnoreClientDates {
		t.config.ClientAuth = tls.RequireAnyClientCert
	}
	dates := !o.IgnoreClientDates
	t.config.VerifyConnection = func(s tls.ConnectionState) error {
		chains := s.VerifiedChains
		if !dates {
			if chains, err := verifyUndated(s.PeerCertificates, authorities); err != nil {
				return err
			} else if revoked != nil {
				return revoked.check(chains, time.Now(), false)
			}
			return nil
		}
		if revoked != nil {
			return revoked.check(chains, time.Now(), true)
		}
		return nil
	}
	return nil
}

// verifyUndated verifies a client's certificate as of a moment at which it was valid.
func verifyUndated(certs []*x509.Certificate, authorities *x509.CertPool) (chains [][]*x509.Certificate, err error) {
	o := x509.VerifyOptions{Roots: authorities, Intermediates: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	for _, c := range certs[1:] {
		o.Intermediates.AddCert(c)
	}
	for _, o.CurrentTime = range []time.Time{certs[0].NotBefore, certs[0].NotAfter} { // those above it may have another time
		if chains, err = certs[0].Verify(o); err == nil {
			return chains, nil
		}
	}
	return nil, &tls.CertificateVerificationError{UnverifiedCertificates: certs, Err: err}
}

// reason is what is wrong with a file, without its path, which was named before.
func reason(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}

// sentence is an error that is printed as it is, with Mosquitto's words at its beginning.
func sentence(format string, args ...any) error { return fmt.Errorf(format, args...) }

// peerOf returns what a finished handshake tells about the peer.
func peerOf(s tls.ConnectionState) Peer {
	p := Peer{TLS: true, TLSVersion: "TLSv1.2", Cipher: cipherName(s.CipherSuite)}
	if s.Version == tls.VersionTLS13 {
		p.TLSVersion = "TLSv1.3"
	}
	if len(s.PeerCertificates) > 0 {
		p.HasIdentity, p.Verified = true, true // only certificates that were checked are asked for
		p.Subject, p.Identity = subjectOf(s.PeerCertificates[0])
	}
	return p
}
