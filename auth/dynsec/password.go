package dynsec

import (
	"crypto/rand"
	"encoding/base64"

	"github.com/noctulemq/noctule/auth"
)

// hashBytes is the length of a PBKDF2-HMAC-SHA512 hash.
const hashBytes = 64

// newPassword hashes a password: about a millisecond. It returns nil for the empty one, which nobody may have.
func newPassword(secret string) *password {
	if secret == "" {
		return nil
	}
	p := &password{salt: make([]byte, saltBytes), iterations: iterationsNew}
	_, _ = rand.Read(p.salt) // never fails: it ends the process instead
	p.hash = auth.HashPBKDF2([]byte(secret), p.salt, p.iterations)
	return p
}

// is reports whether secret is the password. It takes as long as the iterations ask for.
func (p *password) is(secret []byte) bool {
	return auth.VerifyPBKDF2(secret, p.salt, p.iterations, p.hash)
}

// decodePassword reads a password as the file has it; nil if it is not one.
func decodePassword(hash, salt string, iterations int32) *password {
	p := &password{iterations: int(iterations)}
	var err1, err2 error
	p.hash, err1 = base64.StdEncoding.DecodeString(hash)
	p.salt, err2 = base64.StdEncoding.DecodeString(salt)
	if err1 != nil || err2 != nil || len(p.hash) != hashBytes || len(p.salt) == 0 || p.iterations < 1 ||
		p.iterations > auth.IterationsMax {
		return nil
	}
	return p
}

func randomPassword() string { return rand.Text() }
