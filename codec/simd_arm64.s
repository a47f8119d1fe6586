#include "textflag.h"

// JUDGE sets the bytes of good to 0xFF where x is ' ' to '~', and those of bad where x is '+' or '#'.
// V16 is ' ', V17 '~'-' ', V18 0xF7, which makes a '#' of a '+', V19 '#'.
#define JUDGE(x, good, bad) \
	VSUB V16.B16, x.B16, good.B16 \
	VUMIN V17.B16, good.B16, bad.B16 \
	VCMEQ bad.B16, good.B16, good.B16 \
	VAND V18.B16, x.B16, bad.B16 \
	VCMEQ V19.B16, bad.B16, bad.B16

// func plainNEON(b []byte) bool
// The last 16 bytes are taken first.
TEXT ·plainNEON(SB), NOSPLIT, $0-25
	MOVD b_base+0(FP), R0
	MOVD b_len+8(FP), R1
	VMOVI $0x20, V16.B16
	VMOVI $0x5E, V17.B16
	VMOVI $0xF7, V18.B16
	VMOVI $0x23, V19.B16
	ADD R0, R1, R1
	SUB $16, R1
	VLD1 (R1), [V0.B16]
	JUDGE(V0, V4, V5)

loop:
	CMP R1, R0
	BHS done
	VLD1.P 16(R0), [V0.B16]
	JUDGE(V0, V1, V2)
	VAND V1.B16, V4.B16, V4.B16
	VORR V2.B16, V5.B16, V5.B16
	B loop

done:
	// no byte of V4 may be 0, and no byte of V5 0xFF
	VMOV V4.D[0], R2
	VMOV V4.D[1], R3
	VMOV V5.D[0], R4
	VMOV V5.D[1], R5
	AND R3, R2, R2
	ORR R5, R4, R4
	BIC R4, R2, R2
	CMN $1, R2
	CSET EQ, R0
	MOVB R0, ret+24(FP)
	RET
