package router

// hasVectors: every arm64 processor that Go runs on has NEON.
const hasVectors = true

// levels stores the sums of the level hashes of the name at p and returns how many levels it has.
func levels(sums, h *uint64, p *byte, n int) int { return levelsNEON(sums, h, p, n) }

// levelsNEON stores the sums of the level hashes of the name of n < 64 bytes at p and returns how many levels it has.
// h is a Hasher. The 80 bytes at p are read, whatever n is.
//
//go:noescape
func levelsNEON(sums, h *uint64, p *byte, n int) (depth int)
