package router

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// checkScan holds Scan against its portable form.
func checkScan(t *testing.T, h *Hasher, name string) {
	t.Helper()
	var got, want Topic
	got.Scan(h, name)
	want.scanBytes(h, name)
	if got.depth != want.depth || got.whole != want.whole || got.sums != want.sums {
		t.Fatalf("%q: %d levels, hash %x, sums %x; want %d, %x, %x",
			name, got.depth, got.whole, got.sums[:got.depth+1], want.depth, want.whole, want.sums[:want.depth+1])
	}
}

func TestScanAgreesWithItsPortableForm(t *testing.T) {
	h := NewHasher(7)
	rng := rand.New(rand.NewPCG(1, 2))
	for n := range 70 {
		checkScan(t, &h, strings.Repeat("/", n))
		checkScan(t, &h, strings.Repeat("x", n))
		for range 2000 {
			b := make([]byte, n)
			levels := 1 + rng.IntN(30)
			for i := range b {
				if b[i] = byte(rng.Uint32()); rng.IntN(levels) == 0 {
					b[i] = '/'
				}
			}
			checkScan(t, &h, string(b))
		}
	}
}

func TestBytesBehindANameDoNotMatter(t *testing.T) {
	h := NewHasher(7)
	text := strings.Repeat("site/line1/machine22/a-level-longer-than-16/", 4)
	for n := range 64 {
		for at := range 20 {
			var behind, alone Topic
			behind.Scan(&h, text[at:at+n])
			alone.Scan(&h, strings.Clone(text[at:at+n]))
			if behind.sums != alone.sums || behind.depth != alone.depth {
				t.Fatalf("%q at %d: %x", text[at:at+n], at, behind.sums[:behind.depth+1])
			}
		}
	}
}
