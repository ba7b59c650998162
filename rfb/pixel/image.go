package pixel

import (
	"image"
	"image/color"
)

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
			for x := range row {
				yi, ci := m.YOffset(b.Min.X+x, sy), m.COffset(b.Min.X+x, sy)
				row[x] = rgb(color.YCbCrToRGB(m.Y[yi], m.Cb[ci], m.Cr[ci]))
			}
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
