package transport

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
)

// v2 is a header of version 2.
func v2(command, family byte, body string) string {
	return proxySignature + string(binary.BigEndian.AppendUint16([]byte{command, family}, uint16(len(body)))) + body
}

func tlv(kind byte, value string) string {
	return string(binary.BigEndian.AppendUint16([]byte{kind}, uint16(len(value)))) + value
}

// ssl is the TLV of a connection by TLS.
func ssl(client byte, verify uint32, inner ...string) string {
	return tlv(tlvSSL, string(binary.BigEndian.AppendUint32([]byte{client}, verify))+strings.Join(inner, ""))
}

const (
	addresses4 = "\xc0\x00\x02\x01\x0a\x00\x00\x01\x04\x00\x07\x5b"
	addresses6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x04\x00\x07\x5b"
	mapped = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc0\x00\x02\x01" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x04\x00\x07\x5b"
)

func TestProxyHeaders(t *testing.T) {
	f := func(version uint8, header string, want Peer) {
		t.Helper()
		got := always(t, []byte(header+"\x10\x00more"), func(p *Peer) layer {
			return NewProxy(&ProxySettings{Version: version}, p, netip.MustParseAddrPort("10.0.0.9:9"))
		})
		if got != (seen{up: "\x10\x00more", passes: true, peer: want}) {
			t.Fatalf("%q: %v", header, got)
		}
	}
	four := Peer{Address: netip.MustParseAddrPort("192.0.2.1:1024")}
	six := Peer{Address: netip.MustParseAddrPort("[2001:db8::1]:1024")}
	long := strings.Repeat("f", 4) + strings.Repeat(":ffff", 7)

	f(1, "PROXY TCP4 192.0.2.1 10.0.0.1 1024 1883\r\n", four)
	f(1, "PROXY TCP6 2001:db8::1 2001:db8::2 1024 1883\r\n", six)
	f(1, "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 1024 1883\r\n", four)
	f(1, "PROXY TCP6 "+long+" "+long+" 65535 65535\r\n", Peer{Address: netip.MustParseAddrPort("[" + long + "]:65535")})
	f(1, "PROXY UNKNOWN\r\n", Peer{})
	f(1, "PROXY UNKNOWN "+long+" "+long+" 65535 65535\r\n", Peer{}) // 107 bytes, the longest

	f(2, v2(proxyForward, proxyTCP4, addresses4), four)
	f(2, v2(proxyForward, proxyTCP6, addresses6), six)
	f(2, v2(proxyForward, proxyTCP6, mapped), four)
	f(2, v2(proxyForward, proxyUnix, strings.Repeat("/", 216)), Peer{})
	f(2, v2(proxyForward, proxyUnspecified, ""), Peer{})
	f(2, v2(proxyForward, proxyUnspecified, "what"), Peer{})
	f(2, v2(proxyLocal, proxyUnspecified, ""), Peer{})
	f(2, v2(proxyLocal, proxyTCP4, addresses4+ssl(1, 0)), Peer{})
	f(2, v2(proxyForward, proxyTCP4, addresses4+tlv(5, "unique")+tlv(1, "mqtt")+tlv(4, "")), four)

	secure := four
	secure.TLS, secure.TLSVersion, secure.Cipher = true, "TLSv1.3", "TLS_AES_128_GCM_SHA256"
	f(2, v2(proxyForward, proxyTCP4, addresses4+ssl(1, 1, tlv(tlvVersion, secure.TLSVersion), tlv(tlvCipher, secure.Cipher))), secure)
	secure.TLSVersion, secure.Cipher = "", ""
	f(2, v2(proxyForward, proxyTCP4, addresses4+ssl(1, 0)), secure)
	f(2, v2(proxyForward, proxyTCP4, addresses4+ssl(3, 10, tlv(tlvCommonName, "mallory"))), secure)
	secure.Verified = true
	f(2, v2(proxyForward, proxyTCP4, addresses4+ssl(3, 0)), secure)
	secure.Identity, secure.HasIdentity = "alice", true
	f(2, v2(proxyForward, proxyTCP4, addresses4+tlv(5, "unique")+ssl(3, 0, tlv(tlvCommonName, "alice"), tlv(0x24, "x"))), secure)
	f(2, v2(proxyForward, proxyTCP4, addresses4+ssl(5, 0, tlv(tlvCommonName, "alice"))), secure)
}

func TestCorruptProxyHeaders(t *testing.T) {
	f := func(version uint8, header string) {
		t.Helper()
		got := always(t, []byte(header), func(p *Peer) layer { return NewProxy(&ProxySettings{Version: version}, p, netip.AddrPort{}) })
		if got.err != "corrupt PROXY header" || got.up+got.down != "" || got.passes || got.peer.Address.IsValid() {
			t.Fatalf("%q: %v", header, got)
		}
	}
	f(1, "\x10\x10\x00\x04MQTT")
	f(2, "\x10\x10\x00\x04MQTT")
	f(1, v2(proxyForward, proxyTCP4, addresses4))
	f(2, "PROXY TCP4 192.0.2.1 10.0.0.1 1024 1883\r\n")

	f(1, "PROXY\r\n")
	f(1, "PROXY  TCP4 192.0.2.1 10.0.0.1 1024 1883\r\n")
	f(1, "PROXY TCP4 192.0.2.1 10.0.0.1 1024\r\n")
	f(1, "PROXY TCP4 192.0.2.1 10.0.0.1 1024 1883 \r\n")
	f(1, "PROXY TCP4 192.0.2.1 10.0.0.1 1024 1883\n\r\n")
	f(1, "PROXY TCP4 192.0.2.1 10.0.0.1 65536 1883\r\n")
	f(1, "PROXY TCP4 192.0.2.1 10.0.0.1 +1 1883\r\n")
	f(1, "PROXY TCP4 192.0.2.1 10.0.0.1 01 1883\r\n")
	f(1, "PROXY TCP4 192.0.2.1 10.0.0.1 1024 -1\r\n")
	f(1, "PROXY TCP4 2001:db8::1 10.0.0.1 1024 1883\r\n")
	f(1, "PROXY TCP6 192.0.2.1 10.0.0.1 1024 1883\r\n")
	f(1, "PROXY TCP6 fe80::1%eth0 2001:db8::2 1024 1883\r\n")
	f(1, "PROXY TCP4 broker 10.0.0.1 1024 1883\r\n")
	f(1, "PROXY UDP4 192.0.2.1 10.0.0.1 1024 1883\r\n")
	f(1, "PROXY UNKNOWNS\r\n")
	f(1, "PROXY UNKNOWN "+strings.Repeat("x", 92)+"\r\n") // 108 bytes
	f(1, "PROXY "+strings.Repeat("x", 200))

	f(2, v2(0x11, proxyTCP4, addresses4))
	f(2, v2(0x22, proxyTCP4, addresses4))
	f(2, v2(proxyForward, 0x12, addresses4)) // UDP
	f(2, v2(proxyForward, 0x41, addresses4))
	f(2, v2(proxyForward, proxyTCP4, addresses4[:11]))
	f(2, v2(proxyForward, proxyTCP6, addresses6[:35]))
	f(2, v2(proxyForward, proxyUnix, addresses6))
	f(2, v2(proxyForward, proxyTCP4, addresses4+"\x05\x00"))
	f(2, v2(proxyForward, proxyTCP4, addresses4+"\x05\x00\x02a"))
	f(2, v2(proxyForward, proxyTCP4, addresses4+tlv(tlvSSL, "\x01\x00\x00\x00")))
	f(2, v2(proxyForward, proxyTCP4, addresses4+ssl(3, 0, "\x22\x00\x09alice")))
	f(2, v2(proxyForward, proxyTCP4, addresses4+ssl(3, 0, tlv(tlvCommonName, "\xff"))))
	f(2, v2(proxyForward, proxyTCP4, addresses4+ssl(3, 0, tlv(tlvCommonName, "a\nb"))))
	f(2, v2(proxyForward, proxyTCP4, "")[:14]+"\xff\xff") // larger than the bound: not waited for
}

func TestProxyHeaderThatIsNotWholeIsKept(t *testing.T) {
	f := func(version uint8, header string) {
		t.Helper()
		got := always(t, []byte(header[:len(header)-1]), func(p *Peer) layer { return NewProxy(&ProxySettings{Version: version}, p, netip.AddrPort{}) })
		if got != (seen{}) {
			t.Fatal(got)
		}
	}
	f(1, "PROXY TCP4 192.0.2.1 10.0.0.1 1024 1883\r\n")
	f(2, v2(proxyForward, proxyTCP4, addresses4+ssl(3, 0, tlv(tlvCommonName, "alice"))))
}

func TestProxyRefusesClients(t *testing.T) {
	f := func(s ProxySettings, remote, header, want string) {
		t.Helper()
		s.Version = 2
		got := always(t, []byte(header+"more"), func(p *Peer) layer {
			from, _ := netip.ParseAddrPort(remote)
			return NewProxy(&s, p, from)
		})
		if got.err != want || (got.up == "more") != (want == "") || got.passes != (want == "") {
			t.Fatalf("%+v, %q: %v", s, header, got)
		}
	}
	plain := v2(proxyForward, proxyTCP4, addresses4)
	secure := v2(proxyForward, proxyTCP4, addresses4+ssl(1, 0))
	known := v2(proxyForward, proxyTCP4, addresses4+ssl(3, 0))
	unknown := v2(proxyForward, proxyTCP4, addresses4+ssl(3, 18))
	local := v2(proxyLocal, proxyUnspecified, "")

	tls := ProxySettings{RequireTLS: true}
	f(tls, "10.0.0.9:9", plain, "client did not connect using TLS")
	f(tls, "10.0.0.9:9", local, "client did not connect using TLS")
	f(tls, "10.0.0.9:9", secure, "")
	certificate := ProxySettings{RequireCertificate: true}
	f(certificate, "10.0.0.9:9", secure, "client did not provide a certificate")
	f(certificate, "10.0.0.9:9", unknown, "client did not provide a certificate")
	f(certificate, "10.0.0.9:9", known, "")
	trusted := ProxySettings{Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")}}
	f(trusted, "10.0.0.9:9", plain, "")
	f(trusted, "10.0.1.9:9", plain, string(proxyUnknown))
	f(trusted, "", plain, string(proxyUnknown))
}

func TestProxyPassesBothWays(t *testing.T) {
	p := NewProxy(&ProxySettings{Version: 1}, &Peer{}, netip.AddrPort{})
	if string(p.Out(nil, []byte("x"))) != "x" || len(p.Close(nil)) != 0 {
		t.Fatal("output is not passed on")
	}
}

func FuzzProxy(f *testing.F) {
	f.Fuzz(func(t *testing.T, input []byte, second bool, cut uint16) {
		s := &ProxySettings{Version: 1}
		if second {
			s.Version = 2
		}
		run := func(pieces ...[]byte) seen {
			peer := &Peer{}
			p := NewProxy(s, peer, netip.AddrPort{})
			got := take(p, peer, pieces...)
			if len(p.kept) > proxyV2Max {
				t.Fatalf("%d bytes are kept", len(p.kept))
			}
			return got
		}
		i := int(cut) % (len(input) + 1)
		whole, pieces := run(input), run(input[:i], input[i:])
		switch {
		case whole.err != pieces.err || whole.err == "" && whole != pieces:
			t.Fatalf("cut at %d: %v\nwhole: %v", i, pieces, whole)
		case !strings.HasSuffix(string(input), whole.up):
			t.Fatal("what came out did not go in")
		case !whole.passes && len(whole.up) > 0:
			t.Fatal("a connection goes on without a header")
		}
	})
}
