//go:build !purego

#include "textflag.h"

// Both look at a block of 16 by 16 pixels, whose rows are stride pixels apart.
// The last vector of a row begins with a pixel that the one before has too,
// which is taken out of its sums.

// SUM64 adds up the numbers of 64 bits in y, whose lower half is x.
#define SUM64(y, x, t, reg) \
	VEXTRACTI128 $1, y, t; \
	VPADDQ  t, x, x; \
	VPSHUFD $0x4e, x, t; \
	VPADDQ  t, x, x; \
	VMOVQ   x, reg

// func repeatsAVX2(src *uint32, stride int, k *[4][32]byte) int
TEXT ·repeatsAVX2(SB), NOSPLIT, $0-32
	MOVQ src+0(FP), SI
	MOVQ stride+8(FP), DX
	MOVQ k+16(FP), R10
	SHLQ $2, DX
	LEAQ (DX)(DX*2), R8
	VPXOR Y14, Y14, Y14
	VPXOR Y15, Y15, Y15
	MOVQ $5, CX
loop:
	VMOVDQU 4(SI)(DX*1), Y0
	VMOVDQU 32(SI)(DX*1), Y1
	VPCMPEQD (SI)(DX*1), Y0, Y2
	VPCMPEQD 4(SI), Y0, Y0
	VPCMPEQD 28(SI)(DX*1), Y1, Y3
	VPCMPEQD 32(SI), Y1, Y1
	VPOR Y2, Y0, Y0
	VPOR Y3, Y1, Y1
	VPSUBD Y0, Y14, Y14
	VPSUBD Y1, Y15, Y15
	ADDQ R8, SI
	DECQ CX
	JNZ  loop
	VPAND 64(R10), Y15, Y15
	VPADDD Y15, Y14, Y14
	VEXTRACTI128 $1, Y14, X0
	VPADDD X0, X14, X14
	VPSHUFD $0x4e, X14, X0
	VPADDD X0, X14, X14
	VPSHUFD $0xb1, X14, X0
	VPADDD X0, X14, X14
	VMOVD X14, AX
	VZEROUPPER
	MOVQ AX, ret+24(FP)
	RET

// STEP makes of the four pixels at from how each differs from the one to its
// left, leaves that in prev, and in Y0 how far it is from the same above.
#define STEP(from, prev) \
	VPMOVZXBW (from+4)(SI), Y0; \
	VPMOVZXBW from(SI), Y1; \
	VPSUBW  Y1, Y0, Y1; \
	VPSUBW  prev, Y1, Y0; \
	VMOVDQA Y1, prev; \
	VPABSW  Y0, Y0

// COUNT takes one from plain and from soft for each pixel in Y0 that is no
// surprise and no edge.
#define COUNT(plain, soft) \
	VPCMPGTW Y10, Y0, Y1; \
	VPCMPGTW Y11, Y0, Y2; \
	VPCMPEQQ Y12, Y1, Y1; \
	VPCMPEQQ Y12, Y2, Y2; \
	VPADDQ Y1, plain, plain; \
	VPADDQ Y2, soft, soft

// func surprisesAVX2(src *uint32, stride int, k *[4][32]byte) (surprises, edges int)
TEXT ·surprisesAVX2(SB), NOSPLIT, $0-40
	MOVQ src+0(FP), SI
	MOVQ stride+8(FP), DX
	MOVQ k+16(FP), R10
	SHLQ $2, DX
	VMOVDQU 0(R10), Y10
	VMOVDQU 32(R10), Y11
	VPXOR Y12, Y12, Y12
	VPXOR Y6, Y6, Y6
	VPXOR Y7, Y7, Y7
	VPXOR Y8, Y8, Y8
	VPXOR Y9, Y9, Y9
	STEP(0, Y13)
	STEP(16, Y14)
	STEP(32, Y15)
	STEP(44, Y5)
	MOVQ $15, CX
row:
	ADDQ DX, SI
	STEP(0, Y13)
	COUNT(Y6, Y7)
	STEP(16, Y14)
	COUNT(Y6, Y7)
	STEP(32, Y15)
	COUNT(Y6, Y7)
	STEP(44, Y5)
	COUNT(Y8, Y9)
	DECQ CX
	JNZ  row
	VMOVDQU 96(R10), Y10
	VPAND Y10, Y8, Y8
	VPAND Y10, Y9, Y9
	VPADDQ Y8, Y6, Y6
	VPADDQ Y9, Y7, Y7
	SUM64(Y6, X6, X0, AX)
	SUM64(Y7, X7, X0, BX)
	VZEROUPPER
	ADDQ $225, AX // all of them
	ADDQ $225, BX
	MOVQ AX, surprises+24(FP)
	MOVQ BX, edges+32(FP)
	RET
