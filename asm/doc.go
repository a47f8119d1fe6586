// Command asm writes the AVX2 code of packages codec and router. It is a module of its own, so that what it is made with
// is no dependency of the broker. codec.go has the kernels of one package and router.go those of the other; what is written
// is committed. The arm64 code is written by hand, in simd_arm64.s of each package.
//
// Run it with go generate ./codec ./router. The flags -out, -stubs and -pkg are avo's; -pkg says whose kernels are written.
package main
