package pixel

import "image"

// Draw brings r, which lies inside the frame, to the colours of m, whose
// upper left corner comes to r's. What m does not cover stays; m's alpha is
// ignored.
func (f *Frame) Draw(r image.Rectangle, m image.Image) {
	b := m.Bounds()
	r.Max.X, r.Max.Y = min(r.Max.X, r.Min.X+b.Dx()), min(r.Max.Y, r.Min.Y+b.Dy())
	for y := r.Min.Y; y < r.Max.Y; y++ {
		row, sy := f.Row(y, r.Min.X, r.Max.X), b.Min.Y+y-r.Min.Y
		switch m := m.(type) {
		case *image.YCbCr:
			drawYCbCr(row, m, b.Min.X, sy)
		case *image.Gray:
			s := m.Pix[m.PixOffset(b.Min.X, sy):]
			for x := range row {
				row[x] = uint32(s[x]) * 0x010101
			}
		case *image.RGBA:
			s := m.Pix[m.PixOffset(b.Min.X, sy):]
			for x := range row {
				row[x] = rgb(s[4*x], s[4*x+1], s[4*x+2])
			}
		default:
			for x := range row {
				red, green, blue, _ := m.At(b.Min.X+x, sy).RGBA()
				row[x] = rgb(uint8(red>>8), uint8(green>>8), uint8(blue>>8))
			}
		}
	}
}

func rgb(r, g, b uint8) uint32 { return uint32(r)<<16 | uint32(g)<<8 | uint32(b) }

// drawYCbCr brings row to the colours that m has from (x, y) on: what
// color.YCbCrToRGB gives, with the work for a sample of colour done once for
// the pixels that share it.
func drawYCbCr(row []uint32, m *image.YCbCr, x, y int) {
	ys, at := m.Y[m.YOffset(x, y):][:len(row)], m.COffset(x, y)
	switch m.SubsampleRatio {
	case image.YCbCrSubsampleRatio444, image.YCbCrSubsampleRatio440:
		cbs, crs := m.Cb[at:][:len(row)], m.Cr[at:][:len(row)]
		for i := range row {
			row[i] = offsets(cbs[i], crs[i]).rgb(ys[i])
		}
	case image.YCbCrSubsampleRatio422, image.YCbCrSubsampleRatio420:
		cbs, crs := m.Cb[at:], m.Cr[at:]
		if x%2 != 0 && len(row) > 0 {
			row[0] = offsets(cbs[0], crs[0]).rgb(ys[0])
			row, ys, cbs, crs = row[1:], ys[1:], cbs[1:], crs[1:]
		}
		pairs := len(row) / 2
		cbs, crs = cbs[:len(row)-pairs], crs[:len(row)-pairs]
		for i := range pairs {
			c, r, s := offsets(cbs[i], crs[i]), row[2*i:][:2], ys[2*i:][:2]
			r[0], r[1] = c.rgb(s[0]), c.rgb(s[1])
		}
		if i := len(row) - 1; i >= 0 && i%2 == 0 {
			row[i] = offsets(cbs[pairs], crs[pairs]).rgb(ys[i])
		}
	default: // no picture that travels is like this
		for i := range row {
			at := m.COffset(x+i, y)
			row[i] = offsets(m.Cb[at], m.Cr[at]).rgb(ys[i])
		}
	}
}

// colour is what a sample of colour adds to red, green and blue, in 1/65536.
type colour struct{ r, g, b int32 }

// offsets has the factors of color.YCbCrToRGB.
func offsets(cb, cr uint8) colour {
	u, v := int32(cb)-128, int32(cr)-128
	return colour{91881 * v, -22554*u - 46802*v, 116130 * u}
}

// rgb returns the pixel of brightness y.
func (c colour) rgb(y uint8) uint32 {
	grey := int32(y) * 0x10101
	r, g, b := grey+c.r, grey+c.g, grey+c.b
	if uint32(r|g|b)>>24 != 0 { // one of them is out of range
		r, g, b = min(max(r, 0), 0xffffff), min(max(g, 0), 0xffffff), min(max(b, 0), 0xffffff)
	}
	return uint32(r)&0xff0000 | uint32(g)>>8&0xff00 | uint32(b)>>16
}
