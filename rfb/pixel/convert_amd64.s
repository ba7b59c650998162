//go:build !purego

#include "textflag.h"

// All of these work on eight pixels at a time: CX counts the pixels down, DX is
// how many bytes eight have on the wire, R8 the constants, laid out as in
// simd_amd64.go. Words of eight pixels are in Y0 before they are packed and
// after they are unpacked. No byte outside of what was asked is read or
// written.

// R10 is the last place where 32 bytes can be written though eight pixels are
// fewer.
#define PACK_BEGIN \
	MOVQ dst+0(FP), DI; \
	MOVQ src+8(FP), SI; \
	MOVQ n+16(FP), CX; \
	MOVQ step+24(FP), DX; \
	MOVQ k+32(FP), R8; \
	MOVQ CX, R10; \
	IMULQ DX, R10; \
	SHRQ $3, R10; \
	LEAQ -32(DI)(R10*1), R10; \
	VMOVDQU 0(R8), Y14; \
	VMOVDQU 32(R8), Y15

// PACK_END writes Y0 and goes back to loop until all is done.
#define PACK_END \
	VPSHUFB Y14, Y0, Y0; \
	VPERMD  Y0, Y15, Y0; \
	CMPQ DI, R10; \
	JHI  last; \
	VMOVDQU Y0, (DI); \
next: \
	ADDQ $32, SI; \
	ADDQ DX, DI; \
	SUBQ $8, CX; \
	JNZ  loop; \
	VZEROUPPER; \
	RET; \
last: \
	CMPQ DX, $16; \
	JB   one; \
	JE   two; \
	VMOVDQU X0, (DI); \
	VEXTRACTI128 $1, Y0, X0; \
	VMOVQ X0, 16(DI); \
	JMP  next; \
two: \
	VMOVDQU X0, (DI); \
	JMP  next; \
one: \
	VMOVQ X0, (DI); \
	JMP  next

// func packBytesAVX2(dst *byte, src *uint32, n, step int, k *packVectors)
TEXT ·packBytesAVX2(SB), NOSPLIT, $0-40
	PACK_BEGIN
loop:
	VMOVDQU (SI), Y0
	PACK_END

// 16-bit lanes hold blue, red and green as fractions of 256; the product's
// upper half is the value with nine binary places.
//
// func packNarrowAVX2(dst *byte, src *uint32, n, step int, k *packVectors)
TEXT ·packNarrowAVX2(SB), NOSPLIT, $0-40
	PACK_BEGIN
	VMOVDQU 64(R8), Y8    // multiplies blue and red
	VMOVDQU 96(R8), Y9    // multiplies green
	VMOVDQU 128(R8), Y10  // puts blue and red in their place
	VMOVDQU 160(R8), Y11  // puts green in its place
	VPCMPEQW Y12, Y12, Y12
	VPSLLW $15, Y12, Y13
	VPSRLW $7, Y13, Y13   // a half
	VPSLLW $8, Y12, Y12
	VPSRLD $16, Y12, Y12  // green
loop:
	VMOVDQU (SI), Y0
	VPSLLW $8, Y0, Y1
	VPAND  Y12, Y0, Y0
	VPMULHUW Y8, Y1, Y1
	VPMULHUW Y9, Y0, Y0
	VPADDW Y13, Y1, Y1
	VPADDW Y13, Y0, Y0
	VPSRLW $9, Y1, Y1
	VPSRLW $9, Y0, Y0
	VPMADDWD Y10, Y1, Y1
	VPMADDWD Y11, Y0, Y0
	VPADDD Y1, Y0, Y0
	PACK_END

// WIDE brings one component, in the low byte of each word of a and nothing
// above, to its value with 16 binary places and then to its place.
#define WIDE(a, factor, shift) \
	VPMULLD factor, a, a; \
	VPADDD  Y13, a, a; \
	VPSRLD  $16, a, a; \
	VPSLLD  shift, a, a

// func packWideAVX2(dst *byte, src *uint32, n, step int, k *packVectors)
TEXT ·packWideAVX2(SB), NOSPLIT, $0-40
	PACK_BEGIN
	VMOVDQU 64(R8), Y8   // multiplies red
	VMOVDQU 96(R8), Y9   // green
	VMOVDQU 128(R8), Y10 // blue
	VMOVQ 160(R8), X5    // red's shift
	VMOVQ 168(R8), X6    // green's
	VMOVQ 176(R8), X7    // blue's
	VPCMPEQD Y12, Y12, Y12
	VPSRLD $24, Y12, Y12 // a component
	VPSLLD $7, Y12, Y13  // a half
loop:
	VMOVDQU (SI), Y0
	VPSRLD $16, Y0, Y1
	VPSRLD $8, Y0, Y2
	VPAND  Y12, Y0, Y0
	VPAND  Y12, Y1, Y1
	VPAND  Y12, Y2, Y2
	WIDE(Y1, Y8, X5)
	WIDE(Y2, Y9, X6)
	WIDE(Y0, Y10, X7)
	VPOR Y1, Y0, Y0
	VPOR Y2, Y0, Y0
	PACK_END

// R9 is what four pixels have on the wire, R10 the last place where 16 bytes
// can be read twice so far apart.
#define UNPACK_BEGIN \
	MOVQ dst+0(FP), DI; \
	MOVQ src+8(FP), SI; \
	MOVQ n+16(FP), CX; \
	MOVQ step+24(FP), DX; \
	MOVQ k+32(FP), R8; \
	MOVQ DX, R9; \
	SHRQ $1, R9; \
	MOVQ CX, R10; \
	IMULQ DX, R10; \
	SHRQ $3, R10; \
	LEAQ -16(SI)(R10*1), R10; \
	SUBQ R9, R10; \
	VMOVDQU 0(R8), Y14

// UNPACK_LOAD reads eight pixels, four to each half of Y0.
#define UNPACK_LOAD \
loop: \
	CMPQ SI, R10; \
	JHI  last; \
	VMOVDQU (SI), X0; \
	VINSERTI128 $1, (SI)(R9*1), Y0, Y0; \
got: \
	VPSHUFB Y14, Y0, Y0

#define UNPACK_END \
	VMOVDQU Y0, (DI); \
	ADDQ $32, DI; \
	ADDQ DX, SI; \
	SUBQ $8, CX; \
	JNZ  loop; \
	VZEROUPPER; \
	RET; \
last: \
	CMPQ DX, $16; \
	JB   one; \
	JE   two; \
	VMOVDQU (SI), X0; \
	VMOVDQU 8(SI), X1; \
	VPSRLDQ $4, X1, X1; \
	VINSERTI128 $1, X1, Y0, Y0; \
	JMP  got; \
two: \
	VMOVDQU (SI), X0; \
	VPSRLDQ $8, X0, X1; \
	VINSERTI128 $1, X1, Y0, Y0; \
	JMP  got; \
one: \
	VMOVQ (SI), X0; \
	VPSRLDQ $4, X0, X1; \
	VINSERTI128 $1, X1, Y0, Y0; \
	JMP  got

// func unpackBytesAVX2(dst *uint32, src *byte, n, step int, k *unpackVectors)
TEXT ·unpackBytesAVX2(SB), NOSPLIT, $0-40
	UNPACK_BEGIN
	UNPACK_LOAD
	UNPACK_END

// The pixel is in both halves of each word; each component goes to the top of
// its 16-bit lane, and the product's upper half has seven binary places.
//
// func unpackNarrowAVX2(dst *uint32, src *byte, n, step int, k *unpackVectors)
TEXT ·unpackNarrowAVX2(SB), NOSPLIT, $0-40
	UNPACK_BEGIN
	VMOVDQU 32(R8), Y5   // brings blue and red to the top
	VMOVDQU 64(R8), Y6   // brings green to the top
	VMOVDQU 96(R8), Y7   // keeps blue and red
	VMOVDQU 128(R8), Y8  // keeps green
	VMOVDQU 160(R8), Y9  // multiplies blue and red
	VMOVDQU 192(R8), Y10 // multiplies green
	VPCMPEQW Y11, Y11, Y11
	VPSLLW $15, Y11, Y11
	VPSRLW $9, Y11, Y11  // a half
	UNPACK_LOAD
	VPMULLW Y5, Y0, Y1
	VPMULLW Y6, Y0, Y2
	VPAND Y7, Y1, Y1
	VPAND Y8, Y2, Y2
	VPMULHUW Y9, Y1, Y1
	VPMULHUW Y10, Y2, Y2
	VPADDW Y11, Y1, Y1
	VPADDW Y11, Y2, Y2
	VPSRLW $7, Y1, Y1
	VPSRLW $7, Y2, Y2
	VPSLLD $8, Y2, Y2
	VPOR Y1, Y2, Y0
	UNPACK_END

// SCALE takes one component out of Y0 and brings it to eight bits in a.
#define SCALE(a, at) \
	VMOVQ  (at+0)(R8), X13; \
	VPSRLD X13, Y0, a; \
	VPAND  (at+32)(R8), a, a; \
	VPMULLD (at+64)(R8), a, a; \
	VPADDD (at+96)(R8), a, a; \
	VMOVQ  (at+8)(R8), X13; \
	VPSRLD X13, a, Y12; \
	VPADDD Y12, a, a; \
	VMOVQ  (at+16)(R8), X13; \
	VPSRLD X13, a, a

// func unpackWideAVX2(dst *uint32, src *byte, n, step int, k *unpackVectors)
TEXT ·unpackWideAVX2(SB), NOSPLIT, $0-40
	UNPACK_BEGIN
	UNPACK_LOAD
	SCALE(Y1, 32)
	SCALE(Y2, 160)
	SCALE(Y3, 288)
	VPSLLD $16, Y1, Y1
	VPSLLD $8, Y2, Y2
	VPOR Y1, Y2, Y2
	VPOR Y2, Y3, Y0
	UNPACK_END
