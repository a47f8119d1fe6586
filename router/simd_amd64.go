package router

import "github.com/klauspost/cpuid/v2"

//go:generate go -C ../asm run . -out ../router/kernels_amd64.s -stubs ../router/kernels_amd64.go -pkg router

// hasVectors is what the processor said at the start; it never changes.
var hasVectors = cpuid.CPU.Supports(cpuid.AVX2, cpuid.BMI1, cpuid.BMI2)

// levels stores the sums of the level hashes of the name at p and returns how many levels it has.
func levels(sums, h *uint64, p *byte, n int) int { return levelsAVX2(sums, h, p, n) }
