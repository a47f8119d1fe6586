#include "textflag.h"

// write(rotateFD, &rotateFD, 1). The kernel brings its own return from a signal.
TEXT rotateHandler<>(SB), NOSPLIT|NOFRAME|TOPFRAME, $0
	MOVW ·rotateFD(SB), R0
	MOVD $·rotateFD(SB), R1
	MOVD $1, R2
	MOVD $64, R8
	SVC
	RET

GLOBL ·rotateHandlerPC(SB), RODATA, $8
DATA ·rotateHandlerPC(SB)/8, $rotateHandler<>(SB)
