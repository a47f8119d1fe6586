package router

import (
	"syscall"
	"testing"
	"unsafe"
)

// A name may end where memory does: behind it is a page that must not be read.
func TestScanAtTheEndOfMemory(t *testing.T) {
	page := syscall.Getpagesize()
	b, err := syscall.Mmap(-1, 0, 2*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Munmap(b)
	if err := syscall.Mprotect(b[page:], syscall.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	b = b[:page]
	for i := range b {
		b[i] = "site/line/a-level-of-many-bytes/"[i%32]
	}
	h := NewHasher(7)
	for n := range 100 {
		for gap := range 100 {
			name := b[page-n-gap : page-gap]
			checkScan(t, &h, unsafe.String(unsafe.SliceData(name), n))
		}
	}
}
