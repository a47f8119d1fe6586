package transport

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"time"
)

// revocations are the certificates that their issuers have revoked, from one file. Immutable.
type revocations struct {
	lists []revocationList
}

type revocationList struct {
	list    *x509.RevocationList
	serials map[string]bool
}

// readRevocations reads a file of certificate revocation lists in PEM form.
func readRevocations(file string) (*revocations, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return parseRevocations(data)
}

func parseRevocations(data []byte) (*revocations, error) {
	r := &revocations{}
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		if block.Type != "X509 CRL" {
			continue
		}
		list, err := x509.ParseRevocationList(block.Bytes)
		if err != nil {
			return nil, err
		}
		serials := make(map[string]bool, len(list.RevokedCertificateEntries))
		for _, e := range list.RevokedCertificateEntries {
			const removed = 8 // removeFromCRL (RFC 5280, section 5.3.1)
			if e.ReasonCode != removed {
				serials[serialKey(e.SerialNumber)] = true
			}
		}
		r.lists = append(r.lists, revocationList{list, serials})
	}
	if len(r.lists) == 0 {
		return nil, errors.New("it holds no revocation list in PEM form")
	}
	return r, nil
}

func serialKey(n *big.Int) string { return string(n.Bytes()) }

// check looks whether the first certificate of one of the chains is good. As with Mosquitto, its issuer must have a list, and the
// list must be in its time, unless dates do not count.
func (r *revocations) check(chains [][]*x509.Certificate, now time.Time, dates bool) error {
	var err error
	for _, chain := range chains {
		if err = r.checkLeaf(chain[0], chain[min(1, len(chain)-1)], now, dates); err == nil {
			return nil
		}
	}
	return err
}

func (r *revocations) checkLeaf(leaf, issuer *x509.Certificate, now time.Time, dates bool) error {
	var newest *revocationList
	for i := range r.lists {
		l := &r.lists[i]
		if bytes.Equal(l.list.RawIssuer, issuer.RawSubject) && (newest == nil || l.list.ThisUpdate.After(newest.list.ThisUpdate)) && l.list.CheckSignatureFrom(issuer) == nil {
			newest = l
		}
	}
	switch {
	case newest == nil:
		return fmt.Errorf("the client's certificate was refused: crlfile has no list of its issuer, %s", issuer.Subject)
	case newest.serials[serialKey(leaf.SerialNumber)]:
		return errors.New("the client's certificate was refused: it was revoked")
	case dates && !newest.list.NextUpdate.IsZero() && now.After(newest.list.NextUpdate):
		return fmt.Errorf("the client's certificate was refused: the revocation list has expired on %s; renew crlfile", newest.list.NextUpdate.Format(time.DateOnly))
	case dates && now.Before(newest.list.ThisUpdate):
		return errors.New("the client's certificate was refused: the revocation list is not yet valid")
	}
	return nil
}
