package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

const eachByte = 0x0101010101010101

// plain takes 32 bytes at a time, the last ones first; of fewer than 32 bytes the first 16 and the last 16.
func plain() {
	TEXT("plainAVX2", NOSPLIT, "func(b []byte) bool")
	Pragma("noescape")
	Doc("plainAVX2 is plainWords for 16 bytes or more.")
	space, most := words("space", 4, ' '*eachByte), words("most", 4, ('~'-' ')*eachByte)
	wild, number := words("wild", 4, 0xF7*eachByte), words("number", 4, '#'*eachByte) // 0xF7: '+' becomes '#'
	p, n := Load(Param("b").Base(), GP64()), Load(Param("b").Len(), GP64())
	all := YMM()
	// judge sets the bytes of good to 0xFF where x is plain, else to 0.
	judge := func(x, good VecVirtual) {
		least, w := YMM(), YMM()
		VPSUBB(space, x, good)
		VPMINUB(most, good, least)
		VPCMPEQB(least, good, good)
		VPAND(wild, x, w)
		VPCMPEQB(number, w, w)
		VPANDN(good, w, good)
	}
	CMPQ(n, Imm(32))
	JB(LabelRef("short"))
	end := GP64()
	LEAQ(Mem{Base: p, Index: n, Scale: 1, Disp: -32}, end)
	x := YMM()
	VMOVDQU(Mem{Base: end}, x)
	judge(x, all)
	Label("loop")
	CMPQ(p, end)
	JAE(LabelRef("done"))
	y, good := YMM(), YMM()
	VMOVDQU(Mem{Base: p}, y)
	judge(y, good)
	VPAND(good, all, all)
	ADDQ(Imm(32), p)
	JMP(LabelRef("loop"))
	Label("short")
	z := YMM()
	VMOVDQU(Mem{Base: p}, z.AsX())
	VINSERTI128(Imm(1), Mem{Base: p, Index: n, Scale: 1, Disp: -16}, z, z)
	judge(z, all)
	Label("done")
	bits := GP32()
	VPMOVMSKB(all, bits)
	VZEROUPPER()
	CMPL(bits, I32(-1))
	ret, err := ReturnIndex(0).Resolve()
	if err != nil {
		panic(err)
	}
	SETEQ(ret.Addr)
	RET()
}
