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
			for x, v := range s[:len(row)] {
				row[x] = uint32(v) * 0x010101
			}
		case *image.RGBA:
			rgba.ReadRow(row, m.Pix[m.PixOffset(b.Min.X, sy):])
		default:
			for x := range row {
				red, green, blue, _ := m.At(b.Min.X+x, sy).RGBA()
				row[x] = rgb(uint8(red>>8), uint8(green>>8), uint8(blue>>8))
			}
		}
	}
}

func rgb(r, g, b uint8) uint32 { return uint32(r)<<16 | uint32(g)<<8 | uint32(b) }

// rgba has the bytes of image.RGBA, but for its alpha.
var rgba = NewConverter(rgbx)

// drawYCbCr fills row with the pixels of m from (x, y) on.
func drawYCbCr(row []uint32, m *image.YCbCr, x, y int) {
	luma := m.Y[m.YOffset(x, y):][:len(row)]
	chroma := m.COffset(x, y)
	cb, cr := m.Cb[chroma:], m.Cr[chroma:]
	// How many pixels have one chroma, and how many of them are left.
	share := 1
	switch m.SubsampleRatio {
	case image.YCbCrSubsampleRatio422, image.YCbCrSubsampleRatio420:
		share = 2
	case image.YCbCrSubsampleRatio411, image.YCbCrSubsampleRatio410:
		share = 4
	}
	n := share - x%share
	for i := 0; len(luma) > 0; i++ {
		// JFIF's factors in 16 binary places, of what is around zero.
		b, r := int32(cb[i])-128, int32(cr[i])-128
		red, green, blue := 91881*r, -22554*b-46802*r, 116130*b
		n = min(n, len(luma))
		for k, v := range luma[:n] {
			v := int32(v) * 0x010101 // 255 becomes all but 2^24
			row[k] = clamp(v+red)<<16 | clamp(v+green)<<8 | clamp(v+blue)
		}
		luma, row = luma[n:], row[n:]
		n = share
	}
}

// clamp is the integral part of v, which has 16 binary places, brought into
// the range of a byte.
func clamp(v int32) uint32 { return uint32(min(max(v, 0), 1<<24-1)) >> 16 }
