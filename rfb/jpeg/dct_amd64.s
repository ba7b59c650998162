//go:build amd64 && !purego

#include "textflag.h"

// Conversion and transform with AVX2, as dct.go describes them. Everything is
// done for 16 pixels or two blocks at a time; the halves of a register do not
// meet except where 8 pixels each become a row of 16.

// Places in constants, which R10 points to.
#define BLUE_RED (R10)
#define TAKE_GREEN 32(R10)
#define OFFSET 64(R10)
#define Y_BLUE_RED 96(R10)
#define Y_GREEN 128(R10)
#define CB_BLUE_RED 160(R10)
#define CB_GREEN 192(R10)
#define CR_BLUE_RED 224(R10)
#define CR_GREEN 256(R10)
#define COS1 288(R10)
#define SIN1 320(R10)
#define COS3 352(R10)
#define SIN3 384(R10)
#define ROOT 416(R10)
#define COS6 448(R10)
#define COS2X 480(R10)

// What the converters keep in registers.
#define LOAD_CONSTANTS \
	VMOVDQU BLUE_RED, Y11   \
	VMOVDQU TAKE_GREEN, Y12 \
	VMOVDQU OFFSET, Y13     \
	VMOVDQU Y_BLUE_RED, Y14 \
	VMOVDQU Y_GREEN, Y15

// SPLIT makes of 8 pixels p their words (blue, red) and (green, 128).
#define SPLIT(p, br, g) \
	VPSHUFB Y12, p, g  \
	VPAND   Y11, p, br \
	VPOR    Y13, g, g

// LUMA makes y of 8 split pixels. The 128 pays for rounding and for what is
// taken off.
#define LUMA(br, g, y, t) \
	VPMADDWD Y14, br, y \
	VPMADDWD Y15, g, t  \
	VPADDD   t, y, y    \
	VPSRAD   $15, y, y

// CHROMA makes both colours of 8 pixels, or of 8 sums of pixels.
#define CHROMA(br, g, shift, cb, cr, t) \
	VPMADDWD CB_BLUE_RED, br, cb \
	VPMADDWD CB_GREEN, g, t      \
	VPADDD   t, cb, cb           \
	VPSRAD   $shift, cb, cb      \
	VPMADDWD CR_BLUE_RED, br, cr \
	VPMADDWD CR_GREEN, g, t      \
	VPADDD   t, cr, cr           \
	VPSRAD   $shift, cr, cr

// ROW stores two times 8 numbers as a row of 16.
#define ROW(a, b, to) \
	VPACKSSDW b, a, a     \
	VPERMQ    $0xd8, a, a \
	VMOVDQU   a, to

// COLOURS stores 8 samples of each colour side by side. VPHADDD left those
// from 2 to 5 in the order 4, 5, 2, 3.
#define COLOURS(cb, cr, to) \
	VPACKSSDW cr, cb, cb    \
	VPERMQ    $0xd8, cb, cb \
	VPSHUFD   $0xd8, cb, cb \
	VMOVDQU   cb, to

#define ARGUMENTS \
	MOVQ samples+0(FP), DI \
	MOVQ src+8(FP), SI     \
	MOVQ stride+16(FP), DX \
	MOVQ k+24(FP), R10     \
	SHLQ $2, DX            \
	MOVQ $8, CX            \
	LOAD_CONSTANTS

// func convert444AVX2(samples *[3][128]int16, src *uint32, stride int, k *[16][16]int16)
TEXT ·convert444AVX2(SB), NOSPLIT, $0-32
	ARGUMENTS
row444:
	VMOVDQU (SI), Y0
	VMOVDQU 32(SI), Y1
	SPLIT(Y0, Y2, Y3)
	SPLIT(Y1, Y4, Y5)
	LUMA(Y2, Y3, Y6, Y8)
	LUMA(Y4, Y5, Y7, Y8)
	ROW(Y6, Y7, (DI))
	CHROMA(Y2, Y3, 15, Y6, Y7, Y8)
	CHROMA(Y4, Y5, 15, Y9, Y10, Y8)
	ROW(Y6, Y9, 256(DI))
	ROW(Y7, Y10, 512(DI))
	ADDQ DX, SI
	ADDQ $32, DI
	DECQ CX
	JNZ  row444
	VZEROUPPER
	RET

// func convert422AVX2(samples *[3][128]int16, src *uint32, stride int, k *[16][16]int16)
TEXT ·convert422AVX2(SB), NOSPLIT, $0-32
	ARGUMENTS
row422:
	VMOVDQU (SI), Y0
	VMOVDQU 32(SI), Y1
	SPLIT(Y0, Y2, Y3)
	SPLIT(Y1, Y4, Y5)
	LUMA(Y2, Y3, Y6, Y8)
	LUMA(Y4, Y5, Y7, Y8)
	ROW(Y6, Y7, (DI))
	VPHADDD Y4, Y2, Y2
	VPHADDD Y5, Y3, Y3
	CHROMA(Y2, Y3, 16, Y6, Y7, Y8)
	COLOURS(Y6, Y7, 256(DI))
	ADDQ DX, SI
	ADDQ $32, DI
	DECQ CX
	JNZ  row422
	VZEROUPPER
	RET

// func convert420AVX2(samples *[3][128]int16, src *uint32, stride int, k *[16][16]int16)
TEXT ·convert420AVX2(SB), NOSPLIT, $0-32
	ARGUMENTS
	LEAQ 512(DI), BX // the colours' rows
rows420:
	// The upper row stays split: Y2 to Y5.
	VMOVDQU (SI), Y0
	VMOVDQU 32(SI), Y1
	SPLIT(Y0, Y2, Y3)
	SPLIT(Y1, Y4, Y5)
	LUMA(Y2, Y3, Y6, Y8)
	LUMA(Y4, Y5, Y7, Y8)
	ROW(Y6, Y7, (DI))
	// The lower row is added to it.
	VMOVDQU (SI)(DX*1), Y0
	VMOVDQU 32(SI)(DX*1), Y1
	SPLIT(Y0, Y6, Y7)
	LUMA(Y6, Y7, Y9, Y8)
	VPADDD Y6, Y2, Y2
	VPADDD Y7, Y3, Y3
	SPLIT(Y1, Y6, Y7)
	LUMA(Y6, Y7, Y10, Y8)
	VPADDD Y6, Y4, Y4
	VPADDD Y7, Y5, Y5
	ROW(Y9, Y10, 32(DI))
	VPHADDD Y4, Y2, Y2
	VPHADDD Y5, Y3, Y3
	CHROMA(Y2, Y3, 17, Y6, Y7, Y8)
	COLOURS(Y6, Y7, (BX))
	LEAQ (SI)(DX*2), SI
	ADDQ $64, DI
	ADDQ $32, BX
	DECQ CX
	JNZ  rows420
	VZEROUPPER
	RET

// func convertGrayAVX2(samples *[3][128]int16, src *uint32, stride int, k *[16][16]int16)
TEXT ·convertGrayAVX2(SB), NOSPLIT, $0-32
	ARGUMENTS
rowGray:
	VMOVDQU (SI), Y0
	VMOVDQU 32(SI), Y1
	SPLIT(Y0, Y2, Y3)
	SPLIT(Y1, Y4, Y5)
	LUMA(Y2, Y3, Y6, Y8)
	LUMA(Y4, Y5, Y7, Y8)
	ROW(Y6, Y7, (DI))
	ADDQ DX, SI
	ADDQ $32, DI
	DECQ CX
	JNZ  rowGray
	VZEROUPPER
	RET

// DCT is dct8 of Y0 to Y7. The results 0 to 7 come to Y8, Y12, Y10, Y14, Y9,
// Y15, Y11 and Y13.
#define DCT \
	VPADDW Y7, Y0, Y8          \
	VPSUBW Y7, Y0, Y7          \
	VPADDW Y6, Y1, Y9          \
	VPSUBW Y6, Y1, Y6          \
	VPADDW Y5, Y2, Y10         \
	VPSUBW Y5, Y2, Y5          \
	VPADDW Y4, Y3, Y11         \
	VPSUBW Y4, Y3, Y4          \
	VPADDW Y11, Y8, Y0         \
	VPSUBW Y11, Y8, Y3         \
	VPADDW Y10, Y9, Y1         \
	VPSUBW Y10, Y9, Y2         \
	VPADDW Y1, Y0, Y8          \
	VPSUBW Y1, Y0, Y9          \
	VPMULHRSW COS2X, Y3, Y0    \
	VPMULHRSW COS6, Y2, Y1     \
	VPADDW Y3, Y0, Y0          \
	VPADDW Y1, Y0, Y10         \
	VPMULHRSW COS6, Y3, Y0     \
	VPMULHRSW COS2X, Y2, Y1    \
	VPSUBW Y1, Y0, Y0          \
	VPSUBW Y2, Y0, Y11         \
	VPMULHRSW COS3, Y4, Y0     \
	VPMULHRSW SIN3, Y7, Y1     \
	VPMULHRSW SIN3, Y4, Y2     \
	VPMULHRSW COS3, Y7, Y3     \
	VPADDW Y1, Y0, Y0          \
	VPSUBW Y2, Y3, Y1          \
	VPMULHRSW COS1, Y5, Y2     \
	VPMULHRSW SIN1, Y6, Y3     \
	VPMULHRSW SIN1, Y5, Y5     \
	VPMULHRSW COS1, Y6, Y6     \
	VPADDW Y3, Y2, Y2          \
	VPSUBW Y5, Y6, Y3          \
	VPADDW Y3, Y0, Y4          \
	VPSUBW Y3, Y0, Y5          \
	VPADDW Y2, Y1, Y6          \
	VPSUBW Y2, Y1, Y7          \
	VPADDW Y4, Y6, Y12         \
	VPSUBW Y4, Y6, Y13         \
	VPMULHRSW ROOT, Y7, Y14    \
	VPMULHRSW ROOT, Y5, Y15    \
	VPADDW Y7, Y14, Y14        \
	VPADDW Y5, Y15, Y15

// TRANSPOSE brings the results of DCT to Y0 to Y7 with rows and columns of
// each block exchanged.
#define TRANSPOSE \
	VPUNPCKLWD Y12, Y8, Y0   \
	VPUNPCKHWD Y12, Y8, Y1   \
	VPUNPCKLWD Y14, Y10, Y2  \
	VPUNPCKHWD Y14, Y10, Y3  \
	VPUNPCKLWD Y15, Y9, Y4   \
	VPUNPCKHWD Y15, Y9, Y5   \
	VPUNPCKLWD Y13, Y11, Y6  \
	VPUNPCKHWD Y13, Y11, Y7  \
	VPUNPCKLDQ Y2, Y0, Y8    \
	VPUNPCKHDQ Y2, Y0, Y9    \
	VPUNPCKLDQ Y3, Y1, Y10   \
	VPUNPCKHDQ Y3, Y1, Y11   \
	VPUNPCKLDQ Y6, Y4, Y12   \
	VPUNPCKHDQ Y6, Y4, Y13   \
	VPUNPCKLDQ Y7, Y5, Y14   \
	VPUNPCKHDQ Y7, Y5, Y15   \
	VPUNPCKLQDQ Y12, Y8, Y0  \
	VPUNPCKHQDQ Y12, Y8, Y1  \
	VPUNPCKLQDQ Y13, Y9, Y2  \
	VPUNPCKHQDQ Y13, Y9, Y3  \
	VPUNPCKLQDQ Y14, Y10, Y4 \
	VPUNPCKHQDQ Y14, Y10, Y5 \
	VPUNPCKLQDQ Y15, Y11, Y6 \
	VPUNPCKHQDQ Y15, Y11, Y7

#define LOAD(n, r) \
	VMOVDQU (32*n)(SI), r \
	VPSLLW  $2, r, r

// QUANTISE makes q of the coefficients x of column u.
#define QUANTISE(u, x, q) \
	VPABSW   x, q                  \
	VPADDW   (32*u)(BX), q, q      \
	VPMULHUW (256+32*u)(BX), q, q  \
	VPMULHUW (512+32*u)(BX), q, q  \
	VPSIGNW  x, q, q

// FIRST and MORE take those coefficients of a column that belong to a row of
// the zigzag; k counts the shuffles, which R11 points to.
#define FIRST(k, column, row) \
	VPSHUFB (32*k)(R11), column, row

#define MORE(k, column, row, t) \
	VPSHUFB (32*k)(R11), column, t \
	VPOR    t, row, row

// STORE writes the n-th 16 coefficients of both blocks and sets the bytes of
// zeros to those that are zero.
#define STORE(n, zeros) \
	VMOVDQU      X8, (32*n)(DI)          \
	VEXTRACTI128 $1, Y8, (128+32*n)(DI)  \
	VMOVDQU      X9, (16+32*n)(DI)       \
	VEXTRACTI128 $1, Y9, (144+32*n)(DI)  \
	VPACKSSWB    Y9, Y8, zeros           \
	VPCMPEQB     Y15, zeros, zeros

// func transformAVX2(samples *[128]int16, coefficients *[2][64]int16, nonzero *[2]uint64, q *quantiser, k *[16][16]int16, order *[40][32]uint8)
TEXT ·transformAVX2(SB), NOSPLIT, $0-48
	MOVQ samples+0(FP), SI
	MOVQ coefficients+8(FP), DI
	MOVQ nonzero+16(FP), DX
	MOVQ q+24(FP), BX
	MOVQ k+32(FP), R10
	MOVQ order+40(FP), R11

	LOAD(0, Y0)
	LOAD(1, Y1)
	LOAD(2, Y2)
	LOAD(3, Y3)
	LOAD(4, Y4)
	LOAD(5, Y5)
	LOAD(6, Y6)
	LOAD(7, Y7)
	DCT
	TRANSPOSE
	DCT
	QUANTISE(0, Y8, Y0)
	QUANTISE(1, Y12, Y1)
	QUANTISE(2, Y10, Y2)
	QUANTISE(3, Y14, Y3)
	QUANTISE(4, Y9, Y4)
	QUANTISE(5, Y15, Y5)
	QUANTISE(6, Y11, Y6)
	QUANTISE(7, Y13, Y7)

	// Columns are Y0 to Y7; rows become Y8 and Y9, two at a time.
	VPXOR Y15, Y15, Y15
	FIRST(0, Y0, Y8)
	MORE(1, Y1, Y8, Y10)
	MORE(2, Y2, Y8, Y10)
	MORE(3, Y3, Y8, Y10)
	FIRST(4, Y0, Y9)
	MORE(5, Y1, Y9, Y10)
	MORE(6, Y2, Y9, Y10)
	MORE(7, Y3, Y9, Y10)
	MORE(8, Y4, Y9, Y10)
	MORE(9, Y5, Y9, Y10)
	STORE(0, Y11)

	FIRST(10, Y0, Y8)
	MORE(11, Y1, Y8, Y10)
	MORE(12, Y2, Y8, Y10)
	MORE(13, Y3, Y8, Y10)
	MORE(14, Y4, Y8, Y10)
	FIRST(15, Y3, Y9)
	MORE(16, Y4, Y9, Y10)
	MORE(17, Y5, Y9, Y10)
	MORE(18, Y6, Y9, Y10)
	MORE(19, Y7, Y9, Y10)
	STORE(1, Y12)

	FIRST(20, Y0, Y8)
	MORE(21, Y1, Y8, Y10)
	MORE(22, Y2, Y8, Y10)
	MORE(23, Y3, Y8, Y10)
	MORE(24, Y4, Y8, Y10)
	FIRST(25, Y3, Y9)
	MORE(26, Y4, Y9, Y10)
	MORE(27, Y5, Y9, Y10)
	MORE(28, Y6, Y9, Y10)
	MORE(29, Y7, Y9, Y10)
	STORE(2, Y13)

	FIRST(30, Y2, Y8)
	MORE(31, Y3, Y8, Y10)
	MORE(32, Y4, Y8, Y10)
	MORE(33, Y5, Y8, Y10)
	MORE(34, Y6, Y8, Y10)
	MORE(35, Y7, Y8, Y10)
	FIRST(36, Y4, Y9)
	MORE(37, Y5, Y9, Y10)
	MORE(38, Y6, Y9, Y10)
	MORE(39, Y7, Y9, Y10)
	STORE(3, Y14)

	// The first block's zeros to AX, the second's to CX.
	VPERM2I128 $0x20, Y12, Y11, Y8
	VPERM2I128 $0x20, Y14, Y13, Y9
	VPMOVMSKB  Y8, AX
	VPMOVMSKB  Y9, R8
	VPERM2I128 $0x31, Y12, Y11, Y8
	VPERM2I128 $0x31, Y14, Y13, Y9
	VPMOVMSKB  Y8, CX
	VPMOVMSKB  Y9, R9
	SHLQ       $32, R8
	SHLQ       $32, R9
	ORQ        R8, AX
	ORQ        R9, CX
	NOTQ       AX
	NOTQ       CX
	MOVQ       AX, (DX)
	MOVQ       CX, 8(DX)
	VZEROUPPER
	RET
