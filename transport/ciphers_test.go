package transport

import (
	"crypto/tls"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func cipherNames(ids []uint16) string {
	var names []string
	for _, id := range ids {
		names = append(names, cipherName(id))
	}
	return strings.Join(names, ":")
}

func TestCipherLists(t *testing.T) {
	const high = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:" +
		"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA:ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA"
	f := func(list, want, wantNote string) {
		t.Helper()
		ids, note, err := parseCiphers(list)
		if err != nil {
			t.Errorf("%s: %v", list, err)
		} else if got := cipherNames(ids); got != want || note != wantNote {
			t.Errorf("%s: %s (%s)", list, got, note)
		}
	}
	f("ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "")
	f("AES128-SHA", "AES128-SHA", "")
	f("HIGH:!aNULL:!MD5", high, "")
	f("DEFAULT@SECLEVEL=2", high, "")
	f("DEFAULT:@STRENGTH", high, "")
	f("ECDHE+AESGCM", "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256", "")
	f("EECDH+AES256:!SHA", "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384", "")
	f("CHACHA20 -aECDSA", "ECDHE-RSA-CHACHA20-POLY1305", "")
	f("CHACHA20:-CHACHA20:CHACHA20", "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305", "")
	f("!CHACHA20:CHACHA20:AES128-SHA", "AES128-SHA", "")
	f("ECDHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-SHA384", "ECDHE-RSA-AES128-GCM-SHA256",
		"ciphers: not available and left out: DHE-RSA-AES128-GCM-SHA256, ECDHE-RSA-AES256-SHA384")

	fails := func(list, want string) {
		t.Helper()
		if _, _, err := parseCiphers(list); err == nil || !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), "ECDHE-RSA-AES128-GCM-SHA256") {
			t.Errorf("%s: %v", list, err)
		}
	}
	fails("NOSUCH", `there is no cipher or group "NOSUCH"; there are `)
	fails("HIGH:!NOSUCH", `there is no cipher or group "NOSUCH"`)
	fails("ECDHE-RSA-AES129-GCM-SHA256", `there is no cipher or group`)
	fails("ecdhe-rsa-aes128-gcm-sha256", `there is no cipher or group`)
	fails("HIGH:-", `there is no cipher or group ""`)
	fails("DHE-RSA-AES128-GCM-SHA256", "none of them is available")
	fails("PSK", "none of them is available")
	fails("HIGH:!ALL", "none of them is available")
	fails("", "none of them is available")
}

// TestCipherNamesAreOpenSSLs asks openssl for all its names: each is one of ours or known as missing.
func TestCipherNamesAreOpenSSLs(t *testing.T) {
	out, err := exec.Command("openssl", "ciphers", "-v", "ALL:COMPLEMENTOFALL:@SECLEVEL=0").Output()
	if err != nil {
		t.Skip("openssl is not installed")
	}
	var names []string
	for line := range strings.Lines(string(out)) {
		if name := strings.Fields(line)[0]; !strings.HasPrefix(name, "TLS_") {
			names = append(names, name)
		}
	}
	for _, name := range names {
		if _, known := choose(name); !known {
			t.Errorf("%s is not known", name)
		}
	}
	for _, s := range suites {
		if !slices.Contains(names, s.name) {
			t.Errorf("openssl does not know %s", s.name)
		}
	}
}

func TestCipherSuitesOfTLS13(t *testing.T) {
	f := func(list string, noted bool) {
		t.Helper()
		if note, err := checkSuites13(list); err != nil || (note != "") != noted {
			t.Errorf("%s: note %q, error %v", list, note, err)
		}
	}
	f("TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256", false)
	f("TLS_AES_128_GCM_SHA256", true)
	f("TLS_AES_128_GCM_SHA256:TLS_AES_128_CCM_SHA256", true)
	for _, list := range []string{"NOSUCH", "TLS_AES_128_GCM_SHA256:NOSUCH", "TLS_AES_128_CCM_SHA256", ""} {
		if _, err := checkSuites13(list); err == nil || !strings.Contains(err.Error(), "TLS_AES_256_GCM_SHA384, ") {
			t.Errorf("%s: %v", list, err)
		}
	}
}

func TestCiphersAreUsed(t *testing.T) {
	a := newAuthority(t)
	pair, _ := a.issue("broker", rsaKey(t), nil)
	served := newTLS(t, TLSOptions{Pairs: []KeyPair{pair}, Ciphers: "ECDHE-RSA-CHACHA20-POLY1305"})
	loop := newFakeLoop(served)
	client, _ := dialLayer(t, loop, &tls.Config{RootCAs: a.pool(), ServerName: "broker", MaxVersion: tls.VersionTLS12})
	echo(t, client, []byte("x"))
	if loop.peer.Cipher != "ECDHE-RSA-CHACHA20-POLY1305" {
		t.Errorf("cipher %s", loop.peer.Cipher)
	}
}

func FuzzCipherList(f *testing.F) {
	for _, s := range []string{"HIGH:!aNULL", "ECDHE+AESGCM:-SHA @STRENGTH", "AES128-SHA,!", "+", "@"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, list string) {
		if ids, _, err := parseCiphers(list); err == nil && len(ids) == 0 {
			t.Error("neither ciphers nor an error")
		}
		_, _ = checkSuites13(list)
	})
}
