package codec

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

// naiveScan is scan, one byte at a time.
func naiveScan(b []byte) (high, control, wildcard bool) {
	for _, c := range b {
		high = high || c >= 0x80
		control = control || c < 0x20 || c == 0x7F
		wildcard = wildcard || c == '+' || c == '#'
	}
	return high, control, wildcard
}

// naiveValid is ValidString, one character at a time.
func naiveValid(b []byte) bool {
	for i, c := range string(b) {
		if c < 0x20 || c >= 0x7F && c <= 0x9F || c >= 0xFDD0 && c <= 0xFDEF || c&0xFFFF >= 0xFFFE ||
			c == 0xFFFD && !bytes.HasPrefix(b[i:], []byte("\uFFFD")) {
			return false
		}
	}
	return true
}

func TestScanFindsEachByteAtEachPlace(t *testing.T) {
	for n := range 70 {
		for i := range n {
			for c := range 256 {
				b := bytes.Repeat([]byte{'a'}, n)
				b[i] = byte(c)
				high, control, wildcard := scan(b)
				if h, z, w := naiveScan(b); h != high || z != control || w != wildcard {
					t.Fatalf("% X: high %v, control %v, wildcard %v", b, high, control, wildcard)
				}
				if want := !(high || control || wildcard); plain(b) != want || plainWords(b) != want {
					t.Fatalf("% X: plain %v, by words %v", b, plain(b), plainWords(b))
				}
			}
		}
	}
}

func TestScanAgreesWithANaiveScanOnRandomBytes(t *testing.T) {
	const alphabet = "\x00\x01a+#,\"$*\x7f\x80\xa3\xab\xc3\xff"
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		b := make([]byte, rng.IntN(70))
		for i := range b {
			b[i] = alphabet[rng.IntN(len(alphabet))]
			if rng.IntN(4) > 0 {
				b[i] = 'x'
			}
		}
		high, control, wildcard := scan(b)
		if h, z, w := naiveScan(b); h != high || z != control || w != wildcard {
			t.Fatalf("% X: high %v, control %v, wildcard %v", b, high, control, wildcard)
		}
		if ValidString(b) != naiveValid(b) {
			t.Fatalf("% X: valid is %v", b, ValidString(b))
		}
	}
}

// [MQTT-1.5.4-1] [MQTT-1.5.4-2] [MQTT-1.5.4-3], and [MQTT-1.5.3-1] to [MQTT-1.5.3-3] of 3.1.1.
func TestStringsAreWellFormedUTF8(t *testing.T) {
	f := func(s string, want bool) {
		t.Helper()
		for _, around := range []string{"", "0123456", "0123456789abcdef", "ünïcode-"} {
			for _, b := range []string{s, around + s, s + around, around + s + around} {
				if got := ValidString([]byte(b)); got != want {
					t.Errorf("%q: %v", b, got)
				}
			}
		}
	}
	f("", true)
	f("a", true)
	f(" ~\u00A0\uFDCF\uFDF0\uFFFD", true)
	for _, s := range []string{"\x01", "\x1f", "\x7f", "\u0080", "\u009F", "\uFDD0", "\uFDEF", "\uFFFE", "\uFFFF", "\U0001FFFE", "\U0010FFFF"} {
		f(s, false)
	}
	f("\uFEFF", true)
	f("\uD7FF\uE000", true)
	f("\U0010FFFD", true)
	f("日本語", true)
	f("\x00", false)
	f("\xC0\x80", false)         // U+0000 overlong
	f("\xC1\xBF", false)         // overlong
	f("\xE0\x9F\xBF", false)     // overlong
	f("\xF0\x8F\xBF\xBF", false) // overlong
	f("\xED\xA0\x80", false)     // U+D800
	f("\xED\xBF\xBF", false)     // U+DFFF
	f("\xF4\x90\x80\x80", false) // above U+10FFFF
	f("\xFF", false)
	f("\x80", false)
}

func TestTruncatedCharacterIsNotAString(t *testing.T) {
	for _, s := range []string{"é", "日", "😀"} {
		for n := 1; n < len(s); n++ {
			if ValidString([]byte(strings.Repeat("a", 20) + s[:n])) {
				t.Errorf("%q cut to %d bytes is valid", s, n)
			}
		}
	}
}

func TestByteOrderMarkIsKept(t *testing.T) {
	p := accepts(t, V5, wire(0x30, `"`+"\uFEFFa"+`" {}`)).(*anyPublish)
	if p.Topic != "\uFEFFa" {
		t.Errorf("%q", p.Topic)
	}
}
