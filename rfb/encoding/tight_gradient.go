package encoding

import (
	"image"
	"slices"

	"github.com/ironglass/ironglass/rfb/pixel"
)

// appendGradient appends r as the gradient filter leaves it (rfbproto 7.7.5):
// each component as its difference from what its neighbours let expect, left
// plus above minus above left, cut to 0 to 255. Pixels are red, green and
// blue, as TPIXEL has them where components have eight bits.
func appendGradient(b []byte, src *pixel.Frame, r image.Rectangle) []byte {
	n, w := len(b), r.Dx()
	b = slices.Grow(b, 3*w*r.Dy())[:n+3*w*r.Dy()]
	d := b[n:]
	// The first row has black above.
	var left uint32
	for _, p := range src.Row(r.Min.Y, r.Min.X, r.Max.X) {
		d[0], d[1], d[2] = byte(p>>16)-byte(left>>16), byte(p>>8)-byte(left>>8), byte(p)-byte(left)
		d, left = d[3:], p
	}
	above := src.Row(r.Min.Y, r.Min.X, r.Max.X)
	for y := r.Min.Y + 1; y < r.Max.Y; y++ {
		row := src.Row(y, r.Min.X, r.Max.X)
		var lr, lg, lb, cr, cg, cb int // left and corner
		for x, p := range row {
			if x >= len(above) || len(d) < 3 {
				break
			}
			u := above[x]
			ar, ag, ab := int(u>>16&0xff), int(u>>8&0xff), int(u&0xff)
			d[0] = byte(p>>16) - expected(lr+ar-cr)
			d[1] = byte(p>>8) - expected(lg+ag-cg)
			d[2] = byte(p) - expected(lb+ab-cb)
			lr, lg, lb = int(p>>16&0xff), int(p>>8&0xff), int(p&0xff)
			cr, cg, cb = ar, ag, ab
			d = d[3:]
		}
		above = row
	}
	return b
}

func expected(v int) byte { return byte(min(max(v, 0), 255)) }
