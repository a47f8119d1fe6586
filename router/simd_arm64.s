#include "textflag.h"

// func levelsNEON(sums *uint64, h *uint64, p *byte, n int) (depth int)
//
// R4 has a bit for each separator of the name, and one where it ends; a level ends at each. R8 is where the level starts, R6
// where it ends, R9 how many of its bytes are left.
TEXT ·levelsNEON(SB), NOSPLIT, $0-40
	MOVD sums+0(FP), R0
	MOVD h+8(FP), R1
	MOVD p+16(FP), R2
	MOVD n+24(FP), R3

	VLD1 (R2), [V0.B16, V1.B16, V2.B16, V3.B16]
	VMOVI $0x2F, V4.B16
	MOVD $0x8040201008040201, R4
	VDUP R4, V5.D2
	VCMEQ V4.B16, V0.B16, V0.B16
	VCMEQ V4.B16, V1.B16, V1.B16
	VCMEQ V4.B16, V2.B16, V2.B16
	VCMEQ V4.B16, V3.B16, V3.B16
	VAND V5.B16, V0.B16, V0.B16
	VAND V5.B16, V1.B16, V1.B16
	VAND V5.B16, V2.B16, V2.B16
	VAND V5.B16, V3.B16, V3.B16
	VADDP V1.B16, V0.B16, V0.B16
	VADDP V3.B16, V2.B16, V2.B16
	VADDP V2.B16, V0.B16, V0.B16
	VADDP V0.B16, V0.B16, V0.B16
	VMOV V0.D[0], R4
	MOVD $1, R15
	LSL R3, R15, R5
	SUB $1, R5, R6
	AND R6, R4, R4
	ORR R5, R4, R4

	MOVD (R1), R19            // seed
	ADD $8, R1                // position of the level
	ADD $8, R0                // where its sum goes
	MOVD $0x9fb21c651e98df25, R20 // mixA
	MOVD $0xd6e8feb86659fd93, R21 // mixB
	MOVD $-1, R22
	MOVD R2, R8
	MOVD $0, R7               // levels
	MOVD $0, R17              // sum

level:
	RBIT R4, R6
	CLZ R6, R6
	ADD R2, R6, R6
	SUB R8, R6, R9
	MUL R9, R20, R10
	MOVD R19, R11             // seed of this level
	CMP $16, R9
	BHI long

finish:
	LDP (R8), (R12, R13)
	LSL $3, R9, R14
	LSL R14, R15, R14
	SUB $1, R14, R14
	SUBS $8, R9, R9
	CSEL GE, R22, R14, R14
	AND R14, R12, R12         // the first 8 bytes
	CSEL LT, ZR, R9, R9
	LSL $3, R9, R14
	LSL R14, R15, R14
	SUB $1, R14, R14
	CMP $8, R9
	CSEL GE, R22, R14, R14
	AND R14, R13, R13         // the next 8
	EOR R21, R12, R12
	EOR R11, R12, R12
	EOR R11, R13, R13
	EOR R10, R13, R13
	MUL R12, R13, R14
	UMULH R12, R13, R12
	EOR R14, R12, R12
	MOVD.P 8(R1), R13
	MUL R12, R13, R14
	UMULH R12, R13, R12
	EOR R14, R12, R12
	ADD R12, R17, R17
	MOVD.P R17, 8(R0)
	ADD $1, R7, R7
	ADD $1, R6, R8
	SUB $1, R4, R14
	ANDS R14, R4, R4
	BNE level
	MOVD R7, depth+32(FP)
	RET

long:
	LDP.P 16(R8), (R12, R13)
	EOR R11, R12, R12
	EOR R20, R13, R13
	MUL R12, R13, R14
	UMULH R12, R13, R11
	EOR R14, R11, R11
	SUB $16, R9
	CMP $16, R9
	BHI long
	B finish
