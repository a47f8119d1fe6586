//go:build amd64 || arm64

package router

import "unsafe"

const (
	// vectorName is the length up to which vector code takes a name: a bit of one word for each byte, and one for the end.
	vectorName = 63
	// vectorReads is how many bytes it reads at the start of a name, however short the name is. It is used where those are
	// in the name's page of memory, the smallest there is: 98 in 100 names.
	vectorReads = 80
	pageBytes   = 4096
)

// scanVectors is scanBytes in vector code, for most names. It reports whether it was done. No byte of an empty name is in
// any page, so it is not for it.
func (t *Topic) scanVectors(h *Hasher, name string) bool {
	p := unsafe.StringData(name)
	if !hasVectors || name == "" || len(name) > vectorName || uintptr(unsafe.Pointer(p))%pageBytes > pageBytes-vectorReads {
		return false
	}
	t.depth = levels(&t.sums[0], &h.seed, p, len(name))
	t.whole = fold(t.sums[t.depth]^uint64(t.depth), mixA)
	return true
}
