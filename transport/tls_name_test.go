package transport

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// rawName makes a name in DER form of groups of type and value.
func rawName(t testing.TB, groups ...[]attribute) []byte {
	t.Helper()
	var name []attributeSET
	for _, g := range groups {
		name = append(name, attributeSET(g))
	}
	der, err := asn1.Marshal(name)
	fatal(t, err)
	return der
}

func attr(oid string, tag int, value string) attribute {
	var id asn1.ObjectIdentifier
	for part := range strings.SplitSeq(oid, ".") {
		n, _ := new(big.Int).SetString(part, 10)
		id = append(id, int(n.Int64()))
	}
	return attribute{id, asn1.RawValue{Tag: tag, Bytes: []byte(value)}}
}

const (
	utf8Tag      = asn1.TagUTF8String
	printableTag = asn1.TagPrintableString
)

var nameCases = []struct {
	groups     [][]attribute
	subject    string
	commonName string
}{
	{[][]attribute{{attr("2.5.4.6", printableTag, "GB")}, {attr("2.5.4.10", utf8Tag, "Server")}, {attr("2.5.4.3", utf8Tag, "test client")}}, "CN=test client,O=Server,C=GB", "test client"},
	{[][]attribute{{attr("2.5.4.3", utf8Tag, ` #a,b+c"d\e<f>g;h= `)}}, `CN=\ #a\,b\+c\"d\\e\<f\>g\;h=\ `, ` #a,b+c"d\e<f>g;h= `},
	{[][]attribute{{attr("2.5.4.3", utf8Tag, "#é\n")}}, `CN=\#\C3\A9\0A`, "#é\n"},
	{[][]attribute{{attr("2.5.4.3", utf8Tag, "first")}, {attr("2.5.4.3", utf8Tag, "second")}}, "CN=second,CN=first", "first"},
	{[][]attribute{{attr("2.5.4.11", utf8Tag, "a"), attr("0.9.2342.19200300.100.1.1", utf8Tag, "b")}}, "UID=b+OU=a", ""},
	{[][]attribute{{attr("2.5.4.3", asn1.TagBMPString, "\x00a\x00\xe9")}}, `CN=a\C3\A9`, "aé"},
	{[][]attribute{{attr("2.5.4.3", asn1.TagT61String, "a\xe9")}}, `CN=a\C3\A9`, "aé"},
	{[][]attribute{{attr("1.2.840.113549.1.9.1", asn1.TagIA5String, "a@b")}, {attr("2.5.4.5", printableTag, "77")}}, "serialNumber=77,emailAddress=a@b", ""},
	{[][]attribute{{attr("1.3.6.1.4.1.99999.1", utf8Tag, "x")}}, "1.3.6.1.4.1.99999.1=#0C0178", ""},
	{nil, "", ""},
}

func TestSubjectAndCommonName(t *testing.T) {
	for _, c := range nameCases {
		subject, name := subjectOf(&x509.Certificate{RawSubject: rawName(t, c.groups...)})
		if subject != c.subject || name != c.commonName {
			t.Errorf("subject %q, name %q; want %q, %q", subject, name, c.subject, c.commonName)
		}
	}
}

// TestSubjectIsAsOpenSSLPrintsIt compares with the program that Mosquitto's own text comes from.
func TestSubjectIsAsOpenSSLPrintsIt(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed")
	}
	a := newAuthority(t)
	for _, oid := range []string{"2.5.4.200", "2.5.4.4", "2.5.4.42", "2.5.4.43", "2.5.4.9", "2.5.4.17", "2.5.4.12", "2.5.4.13", "2.5.4.65", "2.5.4.97", "2.5.4.15",
		"0.9.2342.19200300.100.1.25", "0.9.2342.19200300.100.1.3", "1.2.840.113549.1.9.2", "2.5.4.44", "2.5.4.45", "2.5.4.46", "2.5.4.41", "2.5.4.18", "2.5.4.20", "2.5.4.72", "2.5.4.16",
		"1.2.840.113549.1.9.8", "1.3.6.1.4.1.311.60.2.1.1", "1.3.6.1.4.1.311.60.2.1.2", "1.3.6.1.4.1.311.60.2.1.3"} {
		compareWithOpenSSL(t, a, rawName(t, []attribute{attr(oid, utf8Tag, "value")}))
	}
	for _, c := range nameCases {
		if c.groups != nil {
			compareWithOpenSSL(t, a, rawName(t, c.groups...))
		}
	}
}

func compareWithOpenSSL(t *testing.T, a *authority, name []byte) {
	t.Helper()
	key := ecKey(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(2), RawSubject: name, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	fatal(t, err)
	file := filepath.Join(t.TempDir(), "c.der")
	fatal(t, os.WriteFile(file, der, 0o600))
	out, err := exec.Command("openssl", "x509", "-inform", "DER", "-in", file, "-noout", "-subject", "-nameopt", "RFC2253").Output()
	fatal(t, err)
	want := strings.TrimSuffix(strings.TrimPrefix(string(out), "subject="), "\n")
	cert := &x509.Certificate{RawSubject: name}
	if got, _ := subjectOf(cert); got != want {
		t.Errorf("got %q, openssl prints %q", got, want)
	}
}

func FuzzSubject(f *testing.F) {
	for _, c := range nameCases {
		f.Add(rawName(f, c.groups...))
	}
	f.Fuzz(func(t *testing.T, name []byte) {
		subject, _ := subjectOf(&x509.Certificate{RawSubject: name})
		for i := range len(subject) {
			if c := subject[i]; c < ' ' || c >= 0x7f {
				t.Errorf("byte %02x is not escaped in %q", c, subject)
			}
		}
	})
}
