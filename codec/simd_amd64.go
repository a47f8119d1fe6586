package codec

import "github.com/klauspost/cpuid/v2"

//go:generate go -C ../asm run . -out ../codec/kernels_amd64.s -stubs ../codec/kernels_amd64.go -pkg codec

// hasAVX2 is what the processor said at the start; it never changes.
var hasAVX2 = cpuid.CPU.Supports(cpuid.AVX2)

func plain(b []byte) bool {
	if hasAVX2 && len(b) >= 16 {
		return plainAVX2(b)
	}
	return plainWords(b)
}
