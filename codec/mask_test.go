package codec

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

// naiveMask is Mask, as RFC 6455 has it.
func naiveMask(b []byte, key [4]byte, offset int) []byte {
	out := make([]byte, len(b))
	for i := range b {
		out[i] = b[i] ^ key[(offset+i)%4]
	}
	return out
}

// checkMask masks the part of b from at on, which must leave the bytes around it alone.
func checkMask(t *testing.T, b []byte, at, end int, key [4]byte, offset int) {
	t.Helper()
	got := bytes.Clone(b)
	Mask(got[at:end], key, offset)
	want := bytes.Clone(b)
	copy(want[at:end], naiveMask(b[at:end], key, offset))
	if !bytes.Equal(got, want) {
		t.Fatalf("%d bytes, %d of %d, key % X, offset %d: % X, want % X", end-at, at, len(b), key, offset, got, want)
	}
}

func TestMaskAtEachLengthPlaceAndOffset(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	b := make([]byte, 700)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	key := [4]byte{0x37, 0xFA, 0x21, 0x3D}
	for n := range 600 {
		for at := range 5 {
			checkMask(t, b, at, at+n, key, n+at*7)
		}
	}
}

// "Hello" in section 5.7 of RFC 6455.
func TestMaskExampleOfTheRFC(t *testing.T) {
	b := []byte{0x7F, 0x9F, 0x4D, 0x51, 0x58}
	Mask(b[:3], [4]byte{0x37, 0xFA, 0x21, 0x3D}, 0)
	Mask(b[3:], [4]byte{0x37, 0xFA, 0x21, 0x3D}, 3)
	if string(b) != "Hello" {
		t.Fatalf("%q", b)
	}
}

// FuzzMask holds words against one byte at a time.
func FuzzMask(f *testing.F) {
	f.Fuzz(func(t *testing.T, b, key []byte, offset, at byte) {
		var k [4]byte
		copy(k[:], key)
		checkMask(t, b, min(int(at), len(b)), len(b), k, int(offset))
	})
}

func BenchmarkMask(b *testing.B) {
	key := [4]byte{0x37, 0xFA, 0x21, 0x3D}
	for _, n := range []int{16, 64, 128, 192, 256, 1024, 4096, 65536} {
		payload := make([]byte, n+8)[6:][:n] // behind a frame's header
		b.Run(fmt.Sprintf("bytes=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(n))
			for b.Loop() {
				Mask(payload, key, 0)
			}
		})
	}
}
