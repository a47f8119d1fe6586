package transport

import (
	"bytes"
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// together writes files behind one another.
func together(t *testing.T, files ...string) string {
	t.Helper()
	var all []byte
	for _, file := range files {
		data, err := os.ReadFile(file)
		fatal(t, err)
		all = append(all, data...)
	}
	file := filepath.Join(t.TempDir(), "together.crt")
	fatal(t, os.WriteFile(file, all, 0o600))
	return file
}

func TestTLSCertificateIsCompletedFromTheAuthorities(t *testing.T) {
	root := newAuthority(t)
	upper := root.below("Upper CA")
	lower := upper.below("Lower CA")
	other := newAuthority(t).below("Lower CA")
	pair, leaf := lower.issue("broker", ecKey(t), nil)

	f := func(certFile, caFile string, want ...[]byte) {
		t.Helper()
		served := newTLS(t, TLSOptions{Pairs: []KeyPair{{certFile, pair.KeyFile}}, CAFile: caFile})
		client, result := dialLayer(t, newFakeLoop(served), &tls.Config{RootCAs: root.pool(), ServerName: "broker", InsecureSkipVerify: len(want) < 3})
		fatal(t, client.Handshake())
		var got [][]byte
		for _, c := range client.ConnectionState().PeerCertificates {
			got = append(got, c.Raw)
		}
		if !bytes.Equal(bytes.Join(got, nil), bytes.Join(want, nil)) {
			t.Errorf("%d certificates came, want %d", len(got), len(want))
		}
		client.Close()
		<-result
	}
	f(pair.CertFile, "", leaf.Leaf.Raw)
	f(pair.CertFile, root.file, leaf.Leaf.Raw)
	f(pair.CertFile, lower.file, leaf.Leaf.Raw, lower.cert.Raw)
	f(pair.CertFile, together(t, root.file, upper.file, other.file, lower.file), leaf.Leaf.Raw, lower.cert.Raw, upper.cert.Raw)
	f(together(t, pair.CertFile, lower.file), together(t, upper.file, lower.file), leaf.Leaf.Raw, lower.cert.Raw)
	f(together(t, pair.CertFile, lower.file, upper.file), "", leaf.Leaf.Raw, lower.cert.Raw, upper.cert.Raw)
}

// TestTLSAuthoritiesNeedTheirRoot holds that an authority which is in cafile for the listener's own certificate admits no client.
func TestTLSAuthoritiesNeedTheirRoot(t *testing.T) {
	root := newAuthority(t)
	upper := root.below("Upper CA")
	lower := upper.below("Lower CA")
	pair, _ := root.issue("broker", ecKey(t), nil)
	_, cert := lower.issue("client", ecKey(t), nil)
	const left = "no client is admitted for the authority CN=Lower CA: cafile and capath lack its own authority, CN=Upper CA"

	f := func(admitted bool, note string, files ...string) {
		t.Helper()
		served := newTLS(t, TLSOptions{Pairs: []KeyPair{pair}, CAFile: together(t, files...), RequireCertificate: true})
		if notes := strings.Join(served.Notes(), "\n"); notes != note {
			t.Errorf("notes %q, want %q", notes, note)
		}
		client, result := dialLayer(t, newFakeLoop(served), &tls.Config{RootCAs: root.pool(), ServerName: "broker",
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }})
		if admitted {
			echo(t, client, []byte("x"))
		} else if _, err := client.Read(make([]byte, 1)); err == nil {
			t.Error("the client got in")
		}
		client.Close()
		if err := <-result; !admitted && !strings.Contains(err.Error(), "signed by unknown authority") {
			t.Error(err)
		}
	}
	f(true, "", lower.file, root.file, upper.file)
	f(false, left, lower.file)
	f(false, left, lower.file, root.file)
	f(false, left, newAuthority(t).file, lower.file)
}
