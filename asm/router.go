package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The constants of router/hash.go.
const (
	mixA = 0x9fb21c651e98df25
	mixB = 0xd6e8feb86659fd93
)

// levels makes one word with a bit for each separator, and then hashes a level for each bit without a jump that depends on
// how long the level is, up to 16 bytes.
func levels() {
	TEXT("levelsAVX2", NOSPLIT, "func(sums, h *uint64, p *byte, n int) (depth int)")
	Pragma("noescape")
	Doc("levelsAVX2 stores the sums of the level hashes of the name of n < 64 bytes at p and returns how many levels it has.",
		"h is a Hasher. The 80 bytes at p are read, whatever n is.")
	slash, zero, a, b := words("slash", 4, '/'*eachByte), words("zero", 1, 0), words("mixA", 1, mixA), words("mixB", 1, mixB)
	sums, h := Load(Param("sums"), GP64()), Load(Param("h"), GP64())
	p, n := Load(Param("p"), GP64()), Load(Param("n"), GP64())

	v, w, marks, upper := YMM(), YMM(), GP64(), GP64()
	VMOVDQU(slash, v)
	VPCMPEQB(Mem{Base: p, Disp: 32}, v, w)
	VPCMPEQB(Mem{Base: p}, v, v)
	VPMOVMSKB(v, marks.As32())
	VPMOVMSKB(w, upper.As32())
	VZEROUPPER()
	SHLQ(Imm(32), upper)
	ORQ(upper, marks)
	BZHIQ(n, marks, marks)
	BTSQ(n, marks) // the end of the name ends a level

	start, depth, sum := GP64(), GP64(), GP64()
	MOVQ(p, start)
	XORQ(depth, depth)
	XORQ(sum, sum)
	Label("level")
	end, length, rest, seed := GP64(), GP64(), GP64(), GP64()
	MOVQ(Mem{Base: h}, seed)
	TZCNTQ(marks, end)
	ADDQ(p, end)
	MOVQ(end, rest)
	SUBQ(start, rest)
	MOVQ(a, length)
	IMULQ(rest, length)
	CMPQ(rest, Imm(16))
	JA(LabelRef("long"))
	Label("finish")
	x, low := GP64(), GP64()
	SHLQ(Imm(3), rest) // bits
	BZHIQ(rest, Mem{Base: start}, RDX)
	SUBQ(Imm(64), rest)
	CMOVQLT(zero, rest)
	BZHIQ(rest, Mem{Base: start, Disp: 8}, x)
	XORQ(b, RDX)
	XORQ(seed, RDX)
	XORQ(seed, x)
	XORQ(length, x)
	MULXQ(x, low, x)
	MOVQ(low, RDX)
	XORQ(x, RDX)
	MULXQ(Mem{Base: h, Index: depth, Scale: 8, Disp: 8}, low, x)
	XORQ(low, x)
	ADDQ(x, sum)
	MOVQ(sum, Mem{Base: sums, Index: depth, Scale: 8, Disp: 8})
	INCQ(depth)
	LEAQ(Mem{Base: end, Disp: 1}, start)
	BLSRQ(marks, marks)
	JNZ(LabelRef("level"))
	Store(depth, ReturnIndex(0))
	RET()
	Label("long")
	MOVQ(Mem{Base: start}, RDX)
	XORQ(seed, RDX)
	MOVQ(Mem{Base: start, Disp: 8}, seed)
	XORQ(a, seed)
	MULXQ(seed, low, seed)
	XORQ(low, seed)
	ADDQ(Imm(16), start)
	SUBQ(Imm(16), rest)
	CMPQ(rest, Imm(16))
	JA(LabelRef("long"))
	JMP(LabelRef("finish"))
}
