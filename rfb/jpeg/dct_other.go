//go:build !amd64 || purego

package jpeg

// accelerated says whether the machine's own instructions are used.
const accelerated = false

func convert(samples *[3][128]int16, src []uint32, stride int, s Subsampling, _ bool) {
	goConvert(samples, src, stride, s)
}

func transform(samples *[128]int16, coefficients *[2][64]int16, nonzero *[2]uint64, q *quantiser, _ bool) {
	goTransform(samples, coefficients, nonzero, q)
}
