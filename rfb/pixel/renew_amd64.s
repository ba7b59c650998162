//go:build !purego

#include "textflag.h"

// Sixteen pixels at a time, a cache line. Each is read once, so that what is
// written is what was compared, though the view may be changing.

// func renewAVX2(dst, view *uint32, n int, columns *uint64) (changed uint64)
TEXT ·renewAVX2(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ view+8(FP), SI
	MOVQ n+16(FP), CX
	MOVQ columns+24(FP), R9
	XORQ R10, R10
	VPXOR Y14, Y14, Y14
	VPCMPEQD Y15, Y15, Y15
	VPSRLD $8, Y15, Y15
loop:
	VMOVDQU (SI), Y0
	VMOVDQU 32(SI), Y1
	VPXOR (DI), Y0, Y2
	VPXOR 32(DI), Y1, Y3
	VPOR Y2, Y3, Y4
	VPTEST Y15, Y4
	JZ   next
	VPAND Y15, Y0, Y0
	VPAND Y15, Y1, Y1
	VMOVDQU Y0, (DI)
	VMOVDQU Y1, 32(DI)
	VPAND Y15, Y2, Y2
	VPAND Y15, Y3, Y3
	VPCMPEQD Y14, Y2, Y2
	VPCMPEQD Y14, Y3, Y3
	VMOVMSKPS Y2, AX
	VMOVMSKPS Y3, BX
	SHLL $8, BX
	ORL  BX, AX
	XORL $0xffff, AX
	ORL  AX, R10
	ORW  AX, (R9)
next:
	ADDQ $64, SI
	ADDQ $64, DI
	ADDQ $2, R9
	SUBQ $16, CX
	JNZ  loop
	VZEROUPPER
	MOVQ R10, changed+32(FP)
	RET
