package transport

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
)

// Authorities are the certificates of cafile and capath. As with OpenSSL they serve twice: clients' certificates are checked
// against them, and what is missing above the listener's own certificate is taken from them.

// hashedName is what `openssl rehash` calls the certificates in a directory. OpenSSL looks at no others.
var hashedName = regexp.MustCompile(`^[0-9a-f]{8}\.[0-9]+$`)

func (t *TLS) readAuthorities(o *TLSOptions) (err error) {
	if o.CAFile != "" {
		if t.authorities, err = readCertificates(o.CAFile); err != nil {
			return sentence("Unable to load CA certificates. Check cafile %q. Reason: %s.", o.CAFile, reason(err))
		}
	}
	if o.CAPath == "" {
		return nil
	}
	entries, err := os.ReadDir(o.CAPath)
	if err != nil {
		t.note("capath %s: %s", o.CAPath, reason(err))
		return nil
	}
	hashed := 0
	for _, e := range entries {
		if !hashedName.MatchString(e.Name()) {
			continue
		}
		more, err := readCertificates(filepath.Join(o.CAPath, e.Name()))
		if err != nil {
			t.note("capath %s: %s is left out: %s", o.CAPath, e.Name(), reason(err))
		}
		t.authorities = append(t.authorities, more...)
		hashed += len(more)
	}
	if hashed == 0 {
		t.note("capath %s: no certificate has a hashed name; run: openssl rehash %s", o.CAPath, o.CAPath)
	}
	return nil
}

// readCertificates reads the certificates of a PEM file, at least one.
func readCertificates(file string) ([]*x509.Certificate, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var all []*x509.Certificate
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" && block.Type != "TRUSTED CERTIFICATE" && block.Type != "X509 CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		all = append(all, cert)
	}
	if len(all) == 0 {
		return nil, errors.New("it holds no certificate in PEM form")
	}
	return all, nil
}

func isRoot(c *x509.Certificate) bool { return bytes.Equal(c.RawSubject, c.RawIssuer) }

func isIssuedBy(c, authority *x509.Certificate) bool {
	return bytes.Equal(c.RawIssuer, authority.RawSubject) && c.CheckSignatureFrom(authority) == nil
}

// rooted parts the authorities into those that lead to one which signed itself, and those left. crypto/x509 would believe the
// latter too: whoever has a certificate of the authority that issued the listener's own, with that authority in cafile to be
// sent to clients, would be admitted.
func rooted(all []*x509.Certificate) (believed, left []*x509.Certificate) {
	for _, c := range all {
		if isRoot(c) {
			believed = append(believed, c)
		} else {
			left = append(left, c)
		}
	}
	for i := 0; i < len(believed); i++ { // it grows
		rest := left[:0]
		for _, c := range left {
			if isIssuedBy(c, believed[i]) {
				believed = append(believed, c)
			} else {
				rest = append(rest, c)
			}
		}
		left = rest
	}
	return believed, left
}

// chainMax is how many certificates complete makes of one.
const chainMax = 10

// complete adds to a listener's certificate, if it stands alone in its file, the authorities between it and its root.
func complete(chain [][]byte, leaf *x509.Certificate, authorities []*x509.Certificate) [][]byte {
	if len(chain) > 1 {
		return chain
	}
	for last := leaf; len(chain) < chainMax; {
		i := slices.IndexFunc(authorities, func(a *x509.Certificate) bool { return isIssuedBy(last, a) })
		if i < 0 || isRoot(authorities[i]) {
			break
		}
		last = authorities[i]
		chain = append(chain, last.Raw)
	}
	return chain
}
