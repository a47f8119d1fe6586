#include "textflag.h"

// write(rotateFD, &rotateFD, 1). The kernel brings its own return from a signal.
TEXT rotateHandler<>(SB), NOSPLIT|NOFRAME|TOPFRAME, $0
	MOVW ·rotateFD(SB), R0
	MOVW $·rotateFD(SB), R1
	MOVW $1, R2
	MOVW $4, R7
	SWI  $0
	RET

GLOBL ·rotateHandlerPC(SB), RODATA, $4
DATA ·rotateHandlerPC(SB)/4, $rotateHandler<>(SB)
