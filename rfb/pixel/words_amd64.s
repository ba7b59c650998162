//go:build !purego

#include "textflag.h"

// Pad bytes count for nothing in any of these. n is a multiple of 16, and no
// number is 0.

// func sameAVX2(a, b *uint32, n int) int
TEXT ·sameAVX2(SB), NOSPLIT, $0-32
	MOVQ a+0(FP), SI
	MOVQ b+8(FP), DI
	MOVQ n+16(FP), CX
	XORQ AX, AX
	VPCMPEQD Y15, Y15, Y15
	VPSRLD $8, Y15, Y15
loop:
	VMOVDQU (SI)(AX*4), Y0
	VMOVDQU 32(SI)(AX*4), Y1
	VPXOR (DI)(AX*4), Y0, Y0
	VPXOR 32(DI)(AX*4), Y1, Y1
	VPOR Y0, Y1, Y0
	VPTEST Y15, Y0
	JNZ  done
	ADDQ $16, AX
	CMPQ AX, CX
	JB   loop
done:
	VZEROUPPER
	MOVQ AX, ret+24(FP)
	RET

// func hashAVX2(acc *[8]uint64, row *uint32, blocks int)
TEXT ·hashAVX2(SB), NOSPLIT, $0-24
	MOVQ acc+0(FP), DI
	MOVQ row+8(FP), SI
	MOVQ blocks+16(FP), CX
	VMOVDQU 0(DI), Y0
	VMOVDQU 32(DI), Y1
	VMOVDQU ·hashKeys+0(SB), Y2
	VMOVDQU ·hashKeys+32(SB), Y3
	VPBROADCASTQ ·hashStep(SB), Y4
	VPCMPEQD Y15, Y15, Y15
	VPSRLD $8, Y15, Y15
loop:
	VPAND (SI), Y15, Y5
	VPAND 32(SI), Y15, Y6
	VPADDQ Y5, Y0, Y0
	VPADDQ Y6, Y1, Y1
	VPXOR Y2, Y5, Y5
	VPXOR Y3, Y6, Y6
	VPSRLQ $32, Y5, Y7
	VPSRLQ $32, Y6, Y8
	VPMULUDQ Y5, Y7, Y5
	VPMULUDQ Y6, Y8, Y6
	VPADDQ Y5, Y0, Y0
	VPADDQ Y6, Y1, Y1
	VPADDQ Y4, Y2, Y2
	VPADDQ Y4, Y3, Y3
	ADDQ $64, SI
	SUBQ $1, CX
	JNZ  loop
	VMOVDQU Y0, 0(DI)
	VMOVDQU Y1, 32(DI)
	VZEROUPPER
	RET

// EDGES brings one bit for each of eight pixels, from the byte at on, to reg.
#define EDGES(at, reg) \
	VMOVDQU at(SI), Y0; \
	VPXOR (at+4)(SI), Y0, Y0; \
	VPAND Y15, Y0, Y0; \
	VPCMPEQD Y14, Y0, Y0; \
	VMOVMSKPS Y0, reg

// func edgesAVX2(edges *uint64, row *uint32, blocks int)
TEXT ·edgesAVX2(SB), NOSPLIT, $0-24
	MOVQ edges+0(FP), DI
	MOVQ row+8(FP), SI
	MOVQ blocks+16(FP), CX
	VPXOR Y14, Y14, Y14
	VPCMPEQD Y15, Y15, Y15
	VPSRLD $8, Y15, Y15
	SUBQ $4, CX // four at a time
	JB   rest
loop:
	EDGES(0, AX)
	EDGES(32, BX)
	EDGES(64, DX)
	EDGES(96, R8)
	SHLL $8, BX
	SHLL $16, DX
	SHLL $24, R8
	ORL  BX, AX
	ORL  R8, DX
	ORL  DX, AX
	NOTL AX
	MOVL AX, (DI)
	ADDQ $4, DI
	ADDQ $128, SI
	SUBQ $4, CX
	JAE  loop
rest:
	ADDQ $4, CX
	JZ   done
one:
	EDGES(0, AX)
	NOTL AX
	MOVB AX, (DI)
	INCQ DI
	ADDQ $32, SI
	DECQ CX
	JNZ  one
done:
	VZEROUPPER
	RET
