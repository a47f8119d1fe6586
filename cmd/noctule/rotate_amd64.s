#include "textflag.h"

// write(rotateFD, &rotateFD, 1)
TEXT rotateHandler<>(SB), NOSPLIT|NOFRAME|TOPFRAME, $0
	MOVL ·rotateFD(SB), DI
	LEAQ ·rotateFD(SB), SI
	MOVL $1, DX
	MOVL $1, AX
	SYSCALL
	RET

// rt_sigreturn()
TEXT rotateRestorer<>(SB), NOSPLIT|NOFRAME|TOPFRAME, $0
	MOVL $15, AX
	SYSCALL
	INT  $3

GLOBL ·rotateHandlerPC(SB), RODATA, $8
DATA ·rotateHandlerPC(SB)/8, $rotateHandler<>(SB)
GLOBL ·rotateRestorerPC(SB), RODATA, $8
DATA ·rotateRestorerPC(SB)/8, $rotateRestorer<>(SB)
