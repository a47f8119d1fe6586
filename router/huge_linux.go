package router

import (
	"syscall"
	"unsafe"
)

const hugePage = 2 << 20

// adviseHuge asks the kernel to back what lies in whole huge pages of n fresh bytes at p with huge pages: probes at
// random places of a large index otherwise spend as much on address translation as on the memory itself. Advice only:
// it may fail, and smaller memory does not ask.
func adviseHuge(p unsafe.Pointer, n uintptr) {
	at := uintptr(p)
	begin, end := (at+hugePage-1)&^(hugePage-1), (at+n)&^(hugePage-1)
	if begin >= end {
		return
	}
	_ = syscall.Madvise(unsafe.Slice((*byte)(unsafe.Add(p, begin-at)), end-begin), syscall.MADV_HUGEPAGE)
}
