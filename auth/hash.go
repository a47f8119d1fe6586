package auth

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// hashBytes is the length of a SHA-512 hash, and of the keys that PBKDF2 derives here.
const hashBytes = sha512.Size

// Scheme is a way of storing a password.
type Scheme uint8

// The schemes, as they stand in a password file. Base64 is padded in the first two and not in the third.
const (
	PBKDF2   Scheme = iota // $7$iterations$salt$hash
	SHA512                 // $6$salt$hash: SHA-512 of password and salt
	Argon2id               // $argon2id$v=19$m=KiB,t=passes,p=lanes$salt$hash
)

// What EncodePassword uses: Mosquitto's length of a salt, and the parameters of argon2id that OWASP asks for first.
const (
	saltBytes       = 12
	argonSaltBytes  = 16
	argonHashBytes  = 32
	argonMemory     = 46 << 10 // KiB
	argonPasses     = 1
	argonThreads    = 1
	argonVersionTag = "v=19"
)

// HashPBKDF2 returns the 64-byte PBKDF2-HMAC-SHA512 hash of a password, as Mosquitto's $7$ and dynamic security have it.
// It takes about a microsecond an iteration: never call it on a loop. Iterations below 1 count as 1.
func HashPBKDF2(password, salt []byte, iterations int) []byte {
	key, err := pbkdf2.Key(sha512.New, string(password), salt, max(iterations, 1), hashBytes)
	if err != nil {
		// Only a key length out of range, or FIPS-only mode with a salt or key that is too short, come here.
		panic("FATAL: PBKDF2 is not available: " + err.Error())
	}
	return key
}

// VerifyPBKDF2 reports whether a password has a hash, in a time that does not depend on how much of it is right.
func VerifyPBKDF2(password, salt []byte, iterations int, hash []byte) bool {
	return subtle.ConstantTimeCompare(HashPBKDF2(password, salt, iterations), hash) == 1
}

// EncodePassword hashes a password with a fresh salt, for a line of a password file. Iterations are those of PBKDF2; the
// other schemes do not use them. It takes as long as a login.
func EncodePassword(s Scheme, password []byte, iterations int) string {
	encode := base64.StdEncoding.EncodeToString
	switch s {
	case SHA512:
		salt := newSalt(saltBytes)
		return "$6$" + encode(salt) + "$" + encode(hashSHA512(password, salt))
	case Argon2id:
		salt := newSalt(argonSaltBytes)
		raw := base64.RawStdEncoding.EncodeToString
		hash := argon2.IDKey(password, salt, argonPasses, argonMemory, argonThreads, argonHashBytes)
		return fmt.Sprintf("$argon2id$%s$m=%d,t=%d,p=%d$%s$%s", argonVersionTag, argonMemory, argonPasses, argonThreads,
			raw(salt), raw(hash))
	default:
		salt := newSalt(saltBytes)
		return fmt.Sprintf("$7$%d$%s$%s", iterations, encode(salt), encode(HashPBKDF2(password, salt, iterations)))
	}
}

// IsEncoded reports whether the second field of a line of a password file is a hash that a login can be held against.
func IsEncoded(field string) bool {
	_, err := decodeCredential(field)
	return err == nil
}

func newSalt(n int) []byte {
	salt := make([]byte, n)
	_, _ = rand.Read(salt) // never fails
	return salt
}

func hashSHA512(password, salt []byte) []byte {
	h := sha512.New()
	h.Write(password)
	h.Write(salt)
	return h.Sum(nil)
}

// cost is everything that decides how long a hash takes.
type cost struct {
	scheme     Scheme
	iterations int    // of PBKDF2; passes of argon2id
	memory     uint32 // of argon2id, KiB
	threads    uint8  // of argon2id
	hashBytes  int
}

// credential is a stored password. Immutable.
type credential struct {
	cost
	salt, hash []byte
	line       int // in its file
}

// verify reports whether a password is the stored one. argon is the memory that argon2id may use.
func (c *credential) verify(password []byte, argon *argonMemoryPool) bool {
	switch c.scheme {
	case SHA512:
		return subtle.ConstantTimeCompare(hashSHA512(password, c.salt), c.hash) == 1
	case Argon2id:
		argon.take()
		key := argon2.IDKey(password, c.salt, uint32(c.iterations), c.memory, c.threads, uint32(c.hashBytes))
		argon.give()
		return subtle.ConstantTimeCompare(key, c.hash) == 1
	default:
		return VerifyPBKDF2(password, c.salt, c.iterations, c.hash)
	}
}

// argonMemoryPool bounds how many argon2id hashes run at the same time: as many as fit in argonMemoryMax, at least one.
type argonMemoryPool struct{ places chan struct{} }

// newArgonMemoryPool makes a pool for hashes of up to memory KiB; 0 means that there are none.
func newArgonMemoryPool(memory uint32) *argonMemoryPool {
	if memory == 0 {
		return nil
	}
	return &argonMemoryPool{places: make(chan struct{}, max(1, argonMemoryMax/memory))}
}

func (p *argonMemoryPool) take() { p.places <- struct{}{} }
func (p *argonMemoryPool) give() { <-p.places }

// What can be wrong with a stored password. The first means that it is no hash.
var (
	errPlain      = errors.New("not hashed")
	errFields     = errors.New("a field is missing")
	errIterations = fmt.Errorf("the iterations are not a number from 1 to %d", IterationsMax)
	errSalt       = fmt.Errorf("the salt is not base64 of 1 to %d bytes", saltBytesMax)
	errHash       = errors.New("the hash is not base64 of the right length")
	errArgon      = fmt.Errorf("argon2id must have v=19, and m=KiB,t=passes,p=lanes with m from 8p to %d, m times t up to %d "+
		"and p up to %d", argonMemoryMax, argonWorkMax, argonThreadsMax)
)

// decodeCredential reads the second field of a line of a password file. What follows the hash is ignored, as Mosquitto
// does.
func decodeCredential(field string) (credential, error) {
	parts := strings.Split(field, "$")
	if len(parts) < 2 || parts[0] != "" {
		return credential{}, errPlain
	}
	switch parts[1] {
	case "6":
		return decodePlainSalt(credential{cost: cost{scheme: SHA512, hashBytes: hashBytes}}, parts[2:])
	case "7":
		if len(parts) < 3 {
			return credential{}, errFields
		}
		iterations, err := strconv.Atoi(parts[2])
		if err != nil || iterations < 1 || iterations > IterationsMax {
			return credential{}, errIterations
		}
		return decodePlainSalt(credential{cost: cost{scheme: PBKDF2, iterations: iterations, hashBytes: hashBytes}}, parts[3:])
	case "argon2id":
		return decodeArgon(parts[2:])
	}
	return credential{}, errPlain
}

// decodePlainSalt reads the salt and hash of $6$ and $7$.
func decodePlainSalt(c credential, parts []string) (credential, error) {
	if len(parts) < 2 {
		return c, errFields
	}
	var err error
	if c.salt, err = base64.StdEncoding.DecodeString(parts[0]); err != nil || !saltFits(c.salt) {
		return c, errSalt
	}
	if c.hash, err = base64.StdEncoding.DecodeString(parts[1]); err != nil || len(c.hash) != hashBytes {
		return c, errHash
	}
	return c, nil
}

// decodeArgon reads version, parameters, salt and hash of argon2id.
func decodeArgon(parts []string) (credential, error) {
	c := credential{cost: cost{scheme: Argon2id}}
	if len(parts) < 4 {
		return c, errFields
	}
	var memory, passes, threads uint32
	if n, err := fmt.Sscanf(parts[1], "m=%d,t=%d,p=%d", &memory, &passes, &threads); n != 3 || err != nil ||
		parts[0] != argonVersionTag || threads < 1 || threads > argonThreadsMax || passes < 1 ||
		memory < 8*threads || memory > argonMemoryMax || uint64(memory)*uint64(passes) > argonWorkMax {
		return c, errArgon
	}
	c.memory, c.iterations, c.threads = memory, int(passes), uint8(threads)
	raw := base64.RawStdEncoding
	var err error
	if c.salt, err = raw.DecodeString(strings.TrimRight(parts[2], "=")); err != nil || !saltFits(c.salt) {
		return c, errSalt
	}
	if c.hash, err = raw.DecodeString(strings.TrimRight(parts[3], "=")); err != nil || len(c.hash) < argonHashMin ||
		len(c.hash) > argonHashMax {
		return c, errHash
	}
	c.hashBytes = len(c.hash)
	return c, nil
}

func saltFits(salt []byte) bool { return len(salt) > 0 && len(salt) <= saltBytesMax }
