package jpeg

// Weights of blue, green and red in 1/32768 (JFIF 1.02, conversion to YCbCr).
// Those of brightness sum up to 1, those of a colour to 0. A half is a
// little less, so that pure blue and red stay under 128.
const (
	weightBits = 15

	blueY, greenY, redY    = 3736, 19234, 9798
	blueCb, greenCb, redCb = 16383, -10854, -5529
	blueCr, greenCr, redCr = -2664, -13719, 16383

	half = 1 << (weightBits - 1)
)

// luma is the brightness of a pixel, less 128.
func luma(p uint32) int16 {
	b, g, r := int32(p&0xff), int32(p>>8&0xff), int32(p>>16&0xff)
	return int16((b*blueY + g*greenY + r*redY + half - 128<<weightBits) >> weightBits)
}

// chroma is the colour of 1<<shift pixels, given the sums of their components,
// less 128.
func chroma(b, g, r int32, shift uint) (cb, cr int16) {
	cb = int16((b*blueCb + g*greenCb + r*redCb + half<<shift) >> (weightBits + shift))
	cr = int16((b*blueCr + g*greenCr + r*redCr + half<<shift) >> (weightBits + shift))
	return cb, cr
}

// The two lowest components of a pixel sum up in one word: blue and red stay
// apart.
const blueRed = 0x00ff00ff

// goConvert makes samples of a step of pixels, whose rows are stride apart.
func goConvert(pairs *[3]pair, src []uint32, stride int, s Subsampling) {
	switch s {
	case Sub444:
		goConvert444(pairs, src, stride)
	case Sub420:
		goConvert420(pairs, src, stride)
	case Sub422:
		goConvert422(pairs, src, stride)
	default:
		goConvertGray(pairs, src, stride)
	}
}

func goConvert444(pairs *[3]pair, src []uint32, stride int) {
	for y := range 8 {
		ys := pairs[0].samples[16*y:][:16]
		cbs := pairs[1].samples[16*y:][:16]
		crs := pairs[2].samples[16*y:][:16]
		for x, p := range src[y*stride:][:16] {
			ys[x] = luma(p)
			cbs[x], crs[x] = chroma(int32(p&0xff), int32(p>>8&0xff), int32(p>>16&0xff), 0)
		}
	}
}

func goConvert422(pairs *[3]pair, src []uint32, stride int) {
	for y := range 8 {
		ys := pairs[0].samples[16*y:][:16]
		cs := pairs[1].samples[16*y:][:16]
		row := src[y*stride:][:16]
		for x := range 8 {
			p, q := row[2*x], row[2*x+1]
			ys[2*x], ys[2*x+1] = luma(p), luma(q)
			br, g := p&blueRed+q&blueRed, p>>8&0xff+q>>8&0xff
			cs[x], cs[x+8] = chroma(int32(br&0xffff), int32(g), int32(br>>16), 1)
		}
	}
}

func goConvert420(pairs *[3]pair, src []uint32, stride int) {
	for y := range 8 {
		ys := pairs[y/4].samples[32*(y%4):][:32]
		cs := pairs[2].samples[16*y:][:16]
		upper, lower := src[2*y*stride:][:16], src[(2*y+1)*stride:][:16]
		for x := range 8 {
			p, q, s, t := upper[2*x], upper[2*x+1], lower[2*x], lower[2*x+1]
			ys[2*x], ys[2*x+1] = luma(p), luma(q)
			ys[2*x+16], ys[2*x+17] = luma(s), luma(t)
			br := p&blueRed + q&blueRed + s&blueRed + t&blueRed
			g := p>>8&0xff + q>>8&0xff + s>>8&0xff + t>>8&0xff
			cs[x], cs[x+8] = chroma(int32(br&0xffff), int32(g), int32(br>>16), 2)
		}
	}
}

func goConvertGray(pairs *[3]pair, src []uint32, stride int) {
	for y := range 8 {
		ys := pairs[0].samples[16*y:][:16]
		for x, p := range src[y*stride:][:16] {
			ys[x] = luma(p)
		}
	}
}

// The transform is Loeffler's, Ligtenberg's and Moschytz's (Practical fast
// 1-D DCT algorithms with 11 multiplications, 1989) with the rotations
// written out, on numbers of 16 bits: 8 times the transform of T.81 A.3.3,
// and 1<<dctBits to have bits for what comes after the point. The greatest
// coefficient is 8*128*8*4 = 32768, as large as fits.
const (
	dctBits  = 2
	dctScale = 8 << dctBits
)

// Sines and cosines of n*pi/16 in 1/32768, of which multiply takes part.
const (
	cos1  = 32138 // cos 1
	sin1  = 6393
	cos3  = 27246
	sin3  = 18205
	root  = 13573 // sqrt 2 - 1
	cos6  = 17734 // sqrt 2 * cos 6
	cos2x = 10045 // sqrt 2 * cos 2 - 1
)

// multiply is x times c/32768, rounded, as PMULHRSW does it.
func multiply(x, c int32) int32 { return (x*c + 1<<14) >> 15 }

// dct8 transforms eight numbers.
func dct8(x0, x1, x2, x3, x4, x5, x6, x7 int32) (y0, y1, y2, y3, y4, y5, y6, y7 int32) {
	x0, x7 = x0+x7, x0-x7
	x1, x6 = x1+x6, x1-x6
	x2, x5 = x2+x5, x2-x5
	x3, x4 = x3+x4, x3-x4

	a0, a3 := x0+x3, x0-x3
	a1, a2 := x1+x2, x1-x2
	y0, y4 = a0+a1, a0-a1
	y2 = a3 + multiply(a3, cos2x) + multiply(a2, cos6)
	y6 = multiply(a3, cos6) - multiply(a2, cos2x) - a2

	b4 := multiply(x4, cos3) + multiply(x7, sin3)
	b7 := multiply(x7, cos3) - multiply(x4, sin3)
	b5 := multiply(x5, cos1) + multiply(x6, sin1)
	b6 := multiply(x6, cos1) - multiply(x5, sin1)
	c4, c6 := b4+b6, b4-b6
	c7, c5 := b7+b5, b7-b5
	y1, y7 = c7+c4, c7-c4
	y3 = c5 + multiply(c5, root)
	y5 = c6 + multiply(c6, root)
	return
}

// goTransform makes coefficients of a pair's samples.
func goTransform(p *pair, q *quantiser) {
	for x := range 16 {
		s := p.samples[x:]
		y0, y1, y2, y3, y4, y5, y6, y7 := dct8(
			int32(s[0])<<dctBits, int32(s[16])<<dctBits, int32(s[32])<<dctBits, int32(s[48])<<dctBits,
			int32(s[64])<<dctBits, int32(s[80])<<dctBits, int32(s[96])<<dctBits, int32(s[112])<<dctBits)
		s[0], s[16], s[32], s[48] = int16(y0), int16(y1), int16(y2), int16(y3)
		s[64], s[80], s[96], s[112] = int16(y4), int16(y5), int16(y6), int16(y7)
	}
	for i := range p.coefficients {
		c := &p.coefficients[i]
		nonzero := uint64(0)
		for v := range 8 {
			s := p.samples[16*v+8*i:][:8]
			var y [8]int32
			y[0], y[1], y[2], y[3], y[4], y[5], y[6], y[7] = dct8(
				int32(s[0]), int32(s[1]), int32(s[2]), int32(s[3]),
				int32(s[4]), int32(s[5]), int32(s[6]), int32(s[7]))
			for u, x := range y {
				at := (16*u + v) & 127
				sign := x >> 31
				n := (uint32((x^sign)-sign) + uint32(q.half[at])) * uint32(q.reciprocal[at]) >> 16 * uint32(q.shift[at]) >> 16
				z := zigzag[8*v+u] & 63
				c[z] = int16((int32(n) ^ sign) - sign)
				nonzero |= uint64(-n>>31) << z
			}
		}
		p.nonzero[i] = nonzero
	}
}
