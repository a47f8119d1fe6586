package transport

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
)

// suite is a cipher suite of TLS 1.2 that crypto/tls has. words are the group words of OpenSSL that it belongs to.
type suite struct {
	id    uint16
	name  string // OpenSSL's
	words string
}

// suites are in the order in which an error lists them. Those without forward secrecy or with SHA-256 in CBC mode, which
// crypto/tls calls insecure, are in no group: they must be named.
var suites = []suite{
	{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, "ECDHE-ECDSA-AES256-GCM-SHA384", "aECDSA ECDSA AES AES256 AESGCM SHA384 TLSv1.2"},
	{tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, "ECDHE-RSA-AES256-GCM-SHA384", "aRSA AES AES256 AESGCM SHA384 TLSv1.2"},
	{tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, "ECDHE-ECDSA-CHACHA20-POLY1305", "aECDSA ECDSA CHACHA20 TLSv1.2"},
	{tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, "ECDHE-RSA-CHACHA20-POLY1305", "aRSA CHACHA20 TLSv1.2"},
	{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, "ECDHE-ECDSA-AES128-GCM-SHA256", "aECDSA ECDSA AES AES128 AESGCM SHA256 TLSv1.2"},
	{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, "ECDHE-RSA-AES128-GCM-SHA256", "aRSA AES AES128 AESGCM SHA256 TLSv1.2"},
	{tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, "ECDHE-ECDSA-AES256-SHA", "aECDSA ECDSA AES AES256 SHA SHA1 TLSv1.0 TLSv1"},
	{tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA, "ECDHE-RSA-AES256-SHA", "aRSA AES AES256 SHA SHA1 TLSv1.0 TLSv1"},
	{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, "ECDHE-ECDSA-AES128-SHA", "aECDSA ECDSA AES AES128 SHA SHA1 TLSv1.0 TLSv1"},
	{tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, "ECDHE-RSA-AES128-SHA", "aRSA AES AES128 SHA SHA1 TLSv1.0 TLSv1"},
	{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256, "ECDHE-ECDSA-AES128-SHA256", ""},
	{tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256, "ECDHE-RSA-AES128-SHA256", ""},
	{tls.TLS_RSA_WITH_AES_256_GCM_SHA384, "AES256-GCM-SHA384", ""},
	{tls.TLS_RSA_WITH_AES_128_GCM_SHA256, "AES128-GCM-SHA256", ""},
	{tls.TLS_RSA_WITH_AES_128_CBC_SHA256, "AES128-SHA256", ""},
	{tls.TLS_RSA_WITH_AES_256_CBC_SHA, "AES256-SHA", ""},
	{tls.TLS_RSA_WITH_AES_128_CBC_SHA, "AES128-SHA", ""},
}

// everySuite are the group words of each suite in a group; emptyWords those of OpenSSL that stand for suites crypto/tls has not.
const (
	everySuite = "ALL DEFAULT HIGH ECDHE EECDH kECDHE kEECDH ECDH"
	emptyWords = "COMPLEMENTOFALL COMPLEMENTOFDEFAULT MEDIUM LOW EXP EXPORT EXPORT40 EXPORT56 NULL eNULL aNULL kRSA RSA DH DHE EDH ADH AECDH " +
		"kDHE kEDH kDHr kDHd kECDHr kECDHe aDH aECDH DSS aDSS PSK kPSK kECDHEPSK kDHEPSK kRSAPSK aPSK SRP kSRP aSRP GOST aGOST aGOST01 aGOST12 " +
		"kGOST kGOST18 GOST94 GOST89MAC AESCCM AESCCM8 ARIA ARIA128 ARIA256 ARIAGCM CAMELLIA CAMELLIA128 CAMELLIA256 SEED IDEA DES 3DES RC2 " +
		"RC4 MD5 SSLv3 SSLv2 SUITEB128 SUITEB128ONLY SUITEB192 CBC"
)

// nameParts are what names of OpenSSL's suites are made of. A name that is made of them, and is none of ours, is one that crypto/tls
// has not.
const nameParts = "ECDHE DHE EDH ADH AECDH ECDH DH RSA ECDSA DSS PSK SRP AES AES128 AES256 128 256 GCM CBC CBC3 CCM CCM8 CHACHA20 POLY1305 ARIA128 " +
	"ARIA256 CAMELLIA128 CAMELLIA256 SEED IDEA DES RC4 NULL MD5 SHA SHA256 SHA384"

// is is whether a word of a cipher list stands for the suite.
func (s *suite) is(word string) bool {
	return word == s.name || s.words != "" && (hasWord(everySuite, word) || hasWord(s.words, word))
}

func hasWord(list, word string) bool { return slices.Contains(strings.Fields(list), word) }

// parseCiphers reads a cipher list of OpenSSL (ciphers(1)) for TLS 1.2. note says what of it is without effect. crypto/tls orders
// the suites by itself.
func parseCiphers(list string) (ids []uint16, note string, err error) {
	var missing []string
	killed := map[uint16]bool{}
	for _, item := range strings.FieldsFunc(list, func(r rune) bool { return r == ':' || r == ',' || r == ';' || r == ' ' }) {
		if item[0] == '@' {
			continue // @STRENGTH and @SECLEVEL: the order is fixed, and weak ones are not there
		}
		word, _, _ := strings.Cut(strings.TrimLeft(item, "!-+"), "@") // as in DEFAULT@SECLEVEL=2
		chosen, known := choose(word)
		if !known {
			return nil, "", fmt.Errorf("there is no cipher or group %q; there are %s, and the groups HIGH, DEFAULT, ECDHE, AESGCM, CHACHA20 and their like", word, suiteNames())
		}
		if len(chosen) == 0 && item == word && !hasWord(emptyWords, word) {
			missing = append(missing, word)
		}
		for _, id := range chosen {
			switch {
			case item[0] == '!':
				killed[id] = true
				ids = slices.DeleteFunc(ids, func(have uint16) bool { return have == id })
			case item[0] == '-':
				ids = slices.DeleteFunc(ids, func(have uint16) bool { return have == id })
			case item[0] == '+', killed[id], slices.Contains(ids, id):
			default:
				ids = append(ids, id)
			}
		}
	}
	if len(ids) == 0 {
		return nil, "", fmt.Errorf("none of them is available; there are %s", suiteNames())
	}
	if len(missing) > 0 {
		note = "ciphers: not available and left out: " + strings.Join(missing, ", ")
	}
	return ids, note, nil
}

// choose returns the suites that a word stands for, as ECDHE+AESGCM. known is false for one that OpenSSL has not either.
func choose(word string) (ids []uint16, known bool) {
	if isForeign(word) {
		return nil, true
	}
	parts := strings.Split(word, "+")
	for _, part := range parts {
		if !hasWord(everySuite+" "+emptyWords, part) && !slices.ContainsFunc(suites, func(s suite) bool { return s.is(part) }) {
			return nil, false
		}
	}
	for _, s := range suites {
		if !slices.ContainsFunc(parts, func(part string) bool { return !s.is(part) }) {
			ids = append(ids, s.id)
		}
	}
	return ids, true
}

func isForeign(name string) bool {
	parts := strings.Split(name, "-")
	return len(parts) > 1 && !slices.ContainsFunc(parts, func(part string) bool { return !hasWord(nameParts, part) }) &&
		!slices.ContainsFunc(suites, func(s suite) bool { return s.name == name })
}

func suiteNames() string {
	names := make([]string, len(suites))
	for i, s := range suites {
		names[i] = s.name
	}
	return strings.Join(names, ", ")
}

// cipherName is what OpenSSL calls a suite.
func cipherName(id uint16) string {
	for _, s := range suites {
		if s.id == id {
			return s.name
		}
	}
	return tls.CipherSuiteName(id) // of TLS 1.3 they are the same
}

// suites13 are the suites of TLS 1.3 that crypto/tls has, and otherSuites13 those that it has not.
const (
	suites13      = "TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256 TLS_AES_128_GCM_SHA256"
	otherSuites13 = "TLS_AES_128_CCM_SHA256 TLS_AES_128_CCM_8_SHA256"
)

// checkSuites13 checks the names of a list for TLS 1.3. crypto/tls always offers all that it has: a shorter list is noted.
func checkSuites13(list string) (note string, err error) {
	offered := 0
	names := strings.Split(list, ":")
	for _, name := range names {
		switch {
		case hasWord(suites13, name):
			offered++
		case !hasWord(otherSuites13, name):
			return "", fmt.Errorf("there is no suite %q; there are %s", name, strings.ReplaceAll(suites13, " ", ", "))
		}
	}
	if offered == 0 {
		return "", fmt.Errorf("none of them is available; there are %s", strings.ReplaceAll(suites13, " ", ", "))
	}
	if offered < len(strings.Fields(suites13)) || offered < len(names) {
		note = "ciphers_tls1.3 is without effect: the suites of TLS 1.3 are always " + strings.ReplaceAll(suites13, " ", ", ")
	}
	return note, nil
}
