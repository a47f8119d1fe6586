package loop

import "sync"

// Arrays for packets of more than directBytes are kept for reuse: making one for each packet would leave the garbage
// collector more to do than everything else. A little above a power of two, because payloads are.
const (
	arrayA = 24 << 10
	arrayB = 40 << 10
	arrayC = 72 << 10
	arrayD = 136 << 10
)

// arrays are the unused ones of all loops, by size.
var arrays [4]sync.Pool

// TakeArray returns an empty slice with room for n bytes; larger than the largest kept array it is a new one.
func TakeArray(n int) []byte {
	switch {
	case n <= arrayA:
		if a, ok := arrays[0].Get().(*[arrayA]byte); ok {
			return a[:0]
		}
		return new([arrayA]byte)[:0]
	case n <= arrayB:
		if a, ok := arrays[1].Get().(*[arrayB]byte); ok {
			return a[:0]
		}
		return new([arrayB]byte)[:0]
	case n <= arrayC:
		if a, ok := arrays[2].Get().(*[arrayC]byte); ok {
			return a[:0]
		}
		return new([arrayC]byte)[:0]
	case n <= arrayD:
		if a, ok := arrays[3].Get().(*[arrayD]byte); ok {
			return a[:0]
		}
		return new([arrayD]byte)[:0]
	}
	return make([]byte, 0, n)
}

// GiveArray takes back an array of TakeArray that nobody uses any more; b begins where the array does. Others are left
// to the garbage collector.
func GiveArray(b []byte) {
	switch cap(b) {
	case arrayA:
		arrays[0].Put((*[arrayA]byte)(b[:arrayA]))
	case arrayB:
		arrays[1].Put((*[arrayB]byte)(b[:arrayB]))
	case arrayC:
		arrays[2].Put((*[arrayC]byte)(b[:arrayC]))
	case arrayD:
		arrays[3].Put((*[arrayD]byte)(b[:arrayD]))
	}
}
