package router

import (
	"math/bits"
	"unsafe"
)

// Hasher is the key of all hashes of one process. Immutable; shared by everything.
type Hasher struct {
	seed uint64
	// position makes a level's hash depend on where the level stands.
	position [shapeLevels]uint64
}

const (
	mixA = 0x9fb21c651e98df25
	mixB = 0xd6e8feb86659fd93
)

// NewHasher makes the hasher for a seed. Take the seed from a cryptographic source: who knows it can make topics that
// collide.
func NewHasher(seed uint64) Hasher {
	h := Hasher{seed: fold(seed^mixA, mixB)}
	for i := range h.position {
		h.position[i] = fold(h.seed+uint64(i+1)*mixA, mixB) | 1
	}
	return h
}

// fold multiplies and folds the 128-bit product: the mixing step.
func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// bytes hashes one level. Up to 16 bytes are two loads that may overlap.
func (h *Hasher) bytes(s string) uint64 {
	p := unsafe.Pointer(unsafe.StringData(s))
	n := len(s)
	seed := h.seed
	for n > 16 {
		seed = fold(load64(p)^seed, load64(unsafe.Add(p, 8))^mixA)
		p = unsafe.Add(p, 16)
		n -= 16
	}
	var a, b uint64
	switch {
	case n >= 8:
		a, b = load64(p), load64(unsafe.Add(p, n-8))
	case n >= 4:
		a, b = load32(p), load32(unsafe.Add(p, n-4))
	case n > 0:
		a = uint64(*(*byte)(p))<<16 | uint64(*(*byte)(unsafe.Add(p, n>>1)))<<8 | uint64(*(*byte)(unsafe.Add(p, n-1)))
	}
	return fold(a^seed^mixB, b^uint64(len(s))*mixA^seed)
}

func load64(p unsafe.Pointer) uint64 {
	b := (*[8]byte)(p)
	return uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 | uint64(b[4])<<32 | uint64(b[5])<<40 |
		uint64(b[6])<<48 | uint64(b[7])<<56
}

func load32(p unsafe.Pointer) uint64 {
	b := (*[4]byte)(p)
	return uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24
}

// Name hashes a whole name, for tables of a shard's own.
func (h *Hasher) Name(name string) uint64 { return h.bytes(name) }

// level is the hash of one literal level at a position; a combined hash is the sum over the literal levels. Like bytes, but
// what is left of more than 16 bytes is read with zeros behind it: that needs no jumps in vector code (simd_*.go).
func (h *Hasher) level(s string, position int) uint64 {
	p := unsafe.Pointer(unsafe.StringData(s))
	n := len(s)
	seed := h.seed
	for n > 16 {
		seed = fold(load64(p)^seed, load64(unsafe.Add(p, 8))^mixA)
		p = unsafe.Add(p, 16)
		n -= 16
	}
	var a, b uint64
	switch {
	case n > 8:
		a, b = load64(p), load64(unsafe.Add(p, n-8))>>(8*(16-n)&63)
	case n >= 4:
		a = load32(p) | load32(unsafe.Add(p, n-4))<<(8*(n-4)&63)
	case n > 0:
		a = uint64(*(*byte)(p)) | uint64(*(*byte)(unsafe.Add(p, n>>1)))<<(8*(n>>1)&63) |
			uint64(*(*byte)(unsafe.Add(p, n-1)))<<(8*(n-1)&63)
	}
	return fold(fold(a^seed^mixB, b^uint64(len(s))*mixA^seed), h.position[position])
}
