package encoding

import (
	"encoding/binary"
	"image"
	"iter"

	"github.com/ironglass/ironglass/rfb/pixel"
)

// cells yields r cut into rectangles of at most width by height, row after
// row.
func cells(r image.Rectangle, width, height int) iter.Seq[image.Rectangle] {
	return func(yield func(image.Rectangle) bool) {
		for y := r.Min.Y; y < r.Max.Y; y += height {
			for x := r.Min.X; x < r.Max.X; x += width {
				c := image.Rect(x, y, min(x+width, r.Max.X), min(y+height, r.Max.Y))
				if !yield(c) {
					return
				}
			}
		}
	}
}

// indexRect numbers the colours of r into s.pal and s.index, and reports
// whether they are no more than most.
func (s *scratch) indexRect(src *pixel.Frame, r image.Rectangle, most int) bool {
	return s.indexRows(src, r, most) == r.Dy()
}

// indexRows numbers the colours of r's rows into s.pal and s.index, of as many
// rows as have no more than most, and returns how many that are.
func (s *scratch) indexRows(src *pixel.Frame, r image.Rectangle, most int) int {
	w := r.Dx()
	s.pal.reset()
	s.index = sized(s.index, w*r.Dy()+indexSlack)
	var above []uint32
	for i := range r.Dy() {
		row := src.Row(r.Min.Y+i, r.Min.X, r.Max.X)
		dst := s.index[i*w : (i+1)*w+indexSlack]
		colours := s.pal.n
		// Blank lines and vertical edges repeat the row above.
		if above != nil && pixel.Same(row, above) {
			copy(dst, s.index[(i-1)*w:i*w])
		} else if !s.pal.indexRow(dst, row, most) {
			s.pal.n, s.index = colours, s.index[:i*w]
			return i
		}
		above = row
	}
	s.index = s.index[:w*r.Dy()]
	return r.Dy()
}

// packBits gathers eight bytes that are 0 or 1 into the bits of one, the
// first in the highest.
func packBits(b []byte) byte {
	// Byte i stands at bit 8i and must come to bit 63-i, so it is multiplied
	// by two to the power 63-9i. No two of the products' other bits meet, so
	// nothing is carried into the highest byte.
	return byte(binary.LittleEndian.Uint64(b) * 0x8040201008040201 >> 56)
}
