package transport

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"crypto/x509"
)

func TestTLSConfigurationErrors(t *testing.T) {
	a := newAuthority(t)
	pair, _ := a.issue("broker", ecKey(t), nil)
	other, _ := a.issue("other", ecKey(t), nil)
	junk := filepath.Join(t.TempDir(), "junk")
	fatal(t, os.WriteFile(junk, []byte("junk"), 0o600))
	locked := a.write("locked.key", "ENCRYPTED PRIVATE KEY", []byte("x"))
	missing := filepath.Join(t.TempDir(), "missing")

	f := func(change func(*TLSOptions), want ...string) {
		t.Helper()
		o := TLSOptions{Pairs: []KeyPair{pair}, Handshakes: testHandshakes()}
		change(&o)
		_, err := NewTLS(o)
		if err == nil {
			t.Errorf("no error; want %q", want)
			return
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%v; want %q", err, w)
			}
		}
	}
	f(func(o *TLSOptions) { o.Pairs = nil }, "certfile and keyfile are missing")
	f(func(o *TLSOptions) { o.Pairs[0].KeyFile = "" }, pair.CertFile, "stands without a keyfile")
	f(func(o *TLSOptions) { o.Pairs[0].CertFile = "" }, pair.KeyFile, "stands without a certfile")
	f(func(o *TLSOptions) { o.Pairs[0].CertFile = missing }, "Unable to load server certificate", missing, "Check certfile.", "no such file")
	f(func(o *TLSOptions) { o.Pairs[0].CertFile = junk }, "Unable to load server certificate", junk, "no certificate in PEM form")
	f(func(o *TLSOptions) { o.Pairs[0].KeyFile = missing }, "Unable to load server key file", missing, "Check keyfile.", "no such file")
	f(func(o *TLSOptions) { o.Pairs[0].KeyFile = junk }, "Unable to load server key file", junk)
	f(func(o *TLSOptions) { o.Pairs[0].KeyFile = locked }, "Unable to load server key file", "protected by a password")
	f(func(o *TLSOptions) { o.Pairs[0].KeyFile = other.KeyFile }, "Unable to load server key file", other.KeyFile, "does not go with certificate", pair.CertFile)
	f(func(o *TLSOptions) { o.CAFile = missing }, "Unable to load CA certificates. Check cafile", missing, "no such file")
	f(func(o *TLSOptions) { o.CAFile = junk }, "Unable to load CA certificates. Check cafile", junk)
	f(func(o *TLSOptions) { o.CRLFile = missing }, "Unable to load certificate revocation file", missing, "Check crlfile.")
	f(func(o *TLSOptions) { o.CRLFile = junk }, "Unable to load certificate revocation file", junk, "no revocation list")
	f(func(o *TLSOptions) { o.MinVersion = "tlsv1" }, `Unsupported tls_version "tlsv1".`)
	f(func(o *TLSOptions) { o.Ciphers = "NOSUCH" }, `Unable to set TLS ciphers. Check cipher list "NOSUCH".`, "ECDHE-RSA-AES128-GCM-SHA256")
	f(func(o *TLSOptions) { o.CipherSuites = "NOSUCH" }, `Unable to set TLS 1.3 ciphersuites. Check cipher_tls13 list "NOSUCH".`, "TLS_AES_128_GCM_SHA256")
	f(func(o *TLSOptions) { o.PSKHint = "hint" }, "psk_hint", "require_certificate")
}

func TestTLSConfigurationNotes(t *testing.T) {
	a := newAuthority(t)
	pair, _ := a.issue("broker", ecKey(t), nil)
	expired, _ := a.issue("expired", ecKey(t), func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	f := func(change func(*TLSOptions), want string) {
		t.Helper()
		o := TLSOptions{Pairs: []KeyPair{pair}}
		change(&o)
		if notes := strings.Join(newTLS(t, o).Notes(), "\n"); !strings.Contains(notes, want) || want == "" && notes != "" {
			t.Errorf("notes %q, want %q", notes, want)
		}
	}
	f(func(*TLSOptions) {}, "")
	f(func(o *TLSOptions) { o.Pairs[0] = expired }, "the certificate expired on")
	f(func(o *TLSOptions) { o.DHParamFile = "x" }, "dhparamfile is without effect")
	f(func(o *TLSOptions) { o.MinVersion = "tlsv1.1" }, "the lowest version that is spoken is tlsv1.2")
	f(func(o *TLSOptions) { o.CipherSuites = "TLS_AES_128_GCM_SHA256" }, "ciphers_tls1.3 is without effect")
	f(func(o *TLSOptions) { o.RequireCertificate = true }, "no client can connect")
	f(func(o *TLSOptions) { o.CAPath = a.dir }, "openssl rehash")
	f(func(o *TLSOptions) { o.CAPath = filepath.Join(a.dir, "none") }, "no such file")
}

func TestCAPathHasHashedNames(t *testing.T) {
	a := newAuthority(t)
	data, err := os.ReadFile(a.file)
	fatal(t, err)
	dir := t.TempDir()
	fatal(t, os.WriteFile(filepath.Join(dir, "0123abcd.0"), data, 0o600))
	fatal(t, os.WriteFile(filepath.Join(dir, "0123abce.0"), []byte("junk"), 0o600))
	pair, _ := a.issue("broker", ecKey(t), nil)
	served := newTLS(t, TLSOptions{Pairs: []KeyPair{pair}, CAPath: dir, RequireCertificate: true})
	if notes := served.Notes(); len(notes) != 1 || !strings.Contains(notes[0], "0123abce.0 is left out") {
		t.Errorf("notes are %q", notes)
	}
	if !served.config.ClientCAs.Equal(a.pool()) {
		t.Error("the authority is not trusted")
	}
}

func FuzzRevocations(f *testing.F) {
	a := newAuthority(f)
	_, cert := a.issue("x", ecKey(f), nil)
	for _, file := range []string{a.crl("a", time.Now().Add(time.Hour)), a.crl("b", time.Now(), cert.Leaf)} {
		data, err := os.ReadFile(file)
		fatal(f, err)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := parseRevocations(data)
		if err == nil {
			_ = r.check([][]*x509.Certificate{{cert.Leaf, a.cert}}, time.Now(), true)
		}
	})
}
