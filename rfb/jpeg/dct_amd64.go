//go:build !purego

package jpeg

import "golang.org/x/sys/cpu"

// accelerated says whether the machine's own instructions are used.
var accelerated = cpu.X86.HasAVX2

// constants are what dct_amd64.s multiplies and masks with, in its order.
var constants = [16][16]int16{
	words(0xff, 0xff), // blue and red of a pixel
	{ // where green is taken from; -1 gives zeros
		-0x7fff, -1, -0x7ffb, -1, -0x7ff7, -1, -0x7ff3, -1, -0x7fff, -1, -0x7ffb, -1, -0x7ff7, -1, -0x7ff3, -1,
	},
	words(0, offset),
	words(blueY, redY), words(greenY, (half-128<<weightBits)/offset),
	words(blueCb, redCb), words(greenCb, half/offset),
	words(blueCr, redCr), words(greenCr, half/offset),
	words(cos1, cos1), words(sin1, sin1), words(cos3, cos3), words(sin3, sin3),
	words(root, root), words(cos6, cos6), words(cos2x, cos2x),
}

// offset stands beside the green of a pixel, to be multiplied with what is
// added to every pixel.
const offset = 128

// words repeats a pair of words.
func words(low, high int16) (v [16]int16) {
	for i := 0; i < len(v); i += 2 {
		v[i], v[i+1] = low, high
	}
	return v
}

// shuffles bring coefficients into zigzag order: for each 8 of them and each
// column that has some of them, from left to right, the bytes to take, 0x80
// for none.
var shuffles = func() (all [40][32]uint8) {
	k := 0
	for row := range 8 {
		for u := range 8 {
			s, used := [16]uint8{}, false
			for i := range s {
				s[i] = 0x80
			}
			for v := range 8 {
				if at := int(zigzag[8*v+u]) - 8*row; at >= 0 && at < 8 {
					s[2*at], s[2*at+1], used = uint8(2*v), uint8(2*v+1), true
				}
			}
			if used {
				copy(all[k][:16], s[:])
				copy(all[k][16:], s[:])
				k++
			}
		}
	}
	return all
}()

//go:noescape
func convert444AVX2(samples *[3][128]int16, src *uint32, stride int, k *[16][16]int16)

//go:noescape
func convert422AVX2(samples *[3][128]int16, src *uint32, stride int, k *[16][16]int16)

//go:noescape
func convert420AVX2(samples *[3][128]int16, src *uint32, stride int, k *[16][16]int16)

//go:noescape
func convertGrayAVX2(samples *[3][128]int16, src *uint32, stride int, k *[16][16]int16)

//go:noescape
func transformAVX2(samples *[128]int16, coefficients *[2][64]int16, nonzero *[2]uint64, q *quantiser, k *[16][16]int16, order *[40][32]uint8)

// convert is goConvert.
func convert(samples *[3][128]int16, src []uint32, stride int, s Subsampling, accelerate bool) {
	switch {
	case !accelerate:
		goConvert(samples, src, stride, s)
	case s == Sub444:
		convert444AVX2(samples, &src[0], stride, &constants)
	case s == Sub420:
		convert420AVX2(samples, &src[0], stride, &constants)
	case s == Sub422:
		convert422AVX2(samples, &src[0], stride, &constants)
	default:
		convertGrayAVX2(samples, &src[0], stride, &constants)
	}
}

// transform is goTransform.
func transform(samples *[128]int16, coefficients *[2][64]int16, nonzero *[2]uint64, q *quantiser, accelerate bool) {
	if accelerate {
		transformAVX2(samples, coefficients, nonzero, q, &constants, &shuffles)
		return
	}
	goTransform(samples, coefficients, nonzero, q)
}
