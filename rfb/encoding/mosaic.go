package encoding

import (
	"image"
	"math/bits"

	"github.com/ironglass/ironglass/rfb/pixel"
)

// Photographs are told from what programs draw by blocks of 16 by 16 pixels.
// What is drawn repeats: of text, even with soft edges, most pixels are those
// of the ground, equal to a neighbour; frames, icons and plain areas are so
// yet more, and computed gradients go as their neighbours let expect. A
// photograph's pixels, and a film's, do neither, for the camera's noise.
const (
	// blockSide is the side of a block in pixels, that of JPEG's largest
	// minimum coded unit.
	blockSide = 16
	// mosaicSide is the side of the largest area that is told apart at once,
	// in pixels, a bit of a word for each block.
	mosaicSide = 32 * blockSide

	// photoEqual: a block with a pixel in so many equal to a neighbour is
	// drawn.
	photoEqual = 4
	// photoSmooth: a block in which fewer than a pixel in so many is a
	// surprise is computed.
	photoSmooth = 4
	// photoColours is the number of colours in a block from which it is a
	// photograph.
	photoColours = 48
	// photoLeast is the number of blocks from which an area is worth being a
	// picture: its head alone has six hundred bytes.
	photoLeast = 4
)

// mosaic is an area in blocks, up to 32 rows of up to 32, from the area's
// upper left corner: bit x of word y is set in photo where the block is a
// photograph, and in plain where it might be a quiet part of one.
type mosaic struct {
	photo, plain [32]uint32
	cols, rows   int
}

// part is a rectangle of an area, all of one kind.
type part struct {
	image.Rectangle
	photo bool
}

// classify fills the mosaic for r and reports whether there are photographs.
func (m *mosaic) classify(pal *palette, src *pixel.Frame, r image.Rectangle) bool {
	m.cols, m.rows = (r.Dx()+blockSide-1)/blockSide, (r.Dy()+blockSide-1)/blockSide
	photo, drawings := 0, 0
	for y := range m.rows {
		m.photo[y], m.plain[y] = 0, 0
		for x := range m.cols {
			at := r.Min.Add(image.Pt(x*blockSide, y*blockSide))
			b := image.Rectangle{Min: at, Max: at.Add(image.Pt(blockSide, blockSide))}.Intersect(r)
			switch {
			case drawn(src, b):
				drawings++
			case surprising(pal, src, b):
				m.photo[y] |= 1 << x
				photo++
			default:
				m.plain[y] |= 1 << x
			}
		}
	}
	switch {
	case photo < photoLeast:
		return false
	case drawings == 0 && photo*8 >= 7*m.rows*m.cols:
		m.photo = m.all()
	default:
		m.fill()
	}
	return true
}

// fill makes quiet blocks with photographs on three sides a part of them.
func (m *mosaic) fill() {
	was := m.photo
	for y, p := range was[:m.rows] {
		var up, down uint32
		if y > 0 {
			up = was[y-1]
		}
		if y+1 < m.rows {
			down = was[y+1]
		}
		left, right := p<<1, p>>1
		m.photo[y] |= m.plain[y] & (up&down&(left|right) | left&right&(up|down))
	}
}

// all has every block's bit set.
func (m *mosaic) all() (photo [32]uint32) {
	for y := range m.rows {
		photo[y] = uint32(1)<<m.cols - 1 // a shift by 32 gives 0
	}
	return photo
}

// drawn reports whether many pixels of the block are equal to the one to the
// left or above. It looks at every third row.
func drawn(src *pixel.Frame, b image.Rectangle) bool {
	w, equal, seen := b.Dx(), 0, 0
	for y := b.Min.Y + 1; y < b.Max.Y; y += 3 {
		row, above := src.Row(y, b.Min.X, b.Max.X), src.Row(y-1, b.Min.X, b.Max.X)
		above = above[:len(row)]
		left := row[0]
		for x := 1; x < len(row); x++ {
			p := row[x]
			if p == left || p == above[x] {
				equal++
			}
			left = p
		}
		seen += w - 1
	}
	return equal*photoEqual >= seen // all of a block of one row or column
}

// surprising reports whether the block has many colours, which do not follow
// from their neighbours as the colours of a gradient do.
func surprising(pal *palette, src *pixel.Frame, b image.Rectangle) bool {
	pal.reset()
	// A part of a block at the area's edge has its part of the colours.
	colours := max(2, photoColours*b.Dx()*b.Dy()/(blockSide*blockSide))
	surprises := max(1, (b.Dx()-1)*(b.Dy()-1)/photoSmooth)
	var above []uint32
	for y := b.Min.Y; y < b.Max.Y; y++ {
		row := src.Row(y, b.Min.X, b.Max.X)
		for x, p := range row {
			if pal.n < colours {
				pal.number(p, colours)
			}
			if x > 0 && above != nil && !follows(p, row[x-1], above[x], above[x-1]) {
				surprises--
			}
		}
		if pal.n >= colours && surprises <= 0 {
			return true
		}
		above = row
	}
	return false
}

// follows reports whether each component of p is within one of left plus
// above minus corner.
func follows(p, left, above, corner uint32) bool {
	for shift := 0; shift < 24; shift += 8 {
		d := int(p>>shift&0xff) - int(left>>shift&0xff) - int(above>>shift&0xff) + int(corner>>shift&0xff)
		if d < -1 || d > 1 {
			return false
		}
	}
	return true
}

// cut appends parts that together are r, which the mosaic was made for.
func (m *mosaic) cut(out []part, r image.Rectangle) []part {
	rest := m.all()
	for {
		b := largest(m.photo[:m.rows])
		if b.Dx()*b.Dy() < photoLeast {
			break
		}
		if p := toPixels(b, r); p.Dx() >= blockSide && p.Dy() >= blockSide {
			erase(rest[:], b)
			out = append(out, part{p, true})
		}
		erase(m.photo[:], b)
	}
	for {
		b := largest(rest[:m.rows])
		if b.Empty() {
			return out
		}
		erase(rest[:], b)
		out = append(out, part{toPixels(b, r), false})
	}
}

// toPixels is the rectangle b of blocks of the area r.
func toPixels(b, r image.Rectangle) image.Rectangle {
	return image.Rectangle{Min: b.Min.Mul(blockSide), Max: b.Max.Mul(blockSide)}.Add(r.Min).Intersect(r)
}

func erase(rows []uint32, b image.Rectangle) {
	bits := uint32(1<<b.Dx()-1) << b.Min.X
	for y := b.Min.Y; y < b.Max.Y; y++ {
		rows[y] &^= bits
	}
}

// largest returns the largest rectangle of set bits, empty if there are none.
func largest(rows []uint32) image.Rectangle {
	var best image.Rectangle
	most := 0
	for top := range rows {
		both := rows[top]
		for bottom := top; bottom < len(rows) && both != 0; bottom++ {
			both &= rows[bottom]
			height := bottom + 1 - top
			if bits.OnesCount32(both)*height <= most {
				continue
			}
			// Each step takes a bit off the right end of every run.
			last, width := both, 0
			for run := both; run != 0; run &= run << 1 {
				last = run
				width++
			}
			if width*height > most {
				most = width * height
				right := bits.TrailingZeros32(last) + 1
				best = image.Rect(right-width, top, right, bottom+1)
			}
		}
	}
	return best
}
