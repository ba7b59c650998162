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
//
// Quiet parts of a photograph are less certain: little noise and no hard
// edges, which text would have. They count where they touch what is certain.
const (
	// blockSide is the side of a block in pixels, that of JPEG's largest
	// minimum coded unit.
	blockSide = pixel.TextureSide
	// mosaicWidth and mosaicHeight are the sides of the largest area that is
	// told apart at once, in pixels, a bit of a word for each block.
	mosaicWidth  = 64 * blockSide
	mosaicHeight = 32 * blockSide

	// A photograph has a quarter of surprises and less than a quarter of
	// pixels equal to a neighbour, and so many colours in a whole block.
	photoSurprises, photoEqual, photoColours = 4, 4, 48
	// A quiet part has one surprise in so many pixels, less than half of them
	// equal to a neighbour, hardly an edge, and so many colours.
	quietSurprises, quietEqual, quietEdges, quietColours = 32, 2, 64, 16
	// photoLeast is the number of blocks from which an area is worth being a
	// picture: its head alone has six hundred bytes.
	photoLeast = 6
)

// mosaic is an area in blocks, up to 32 rows of up to 64, from the area's
// upper left corner: bit x of word y is set in photo where the block is a
// photograph, and in quiet where it might be a quiet part of one.
type mosaic struct {
	photo, quiet [32]uint64
	cols, rows   int
}

// part is a rectangle of an area, all of one kind.
type part struct {
	image.Rectangle
	photo bool
}

// classify fills the mosaic for r and reports whether there are photographs.
// Every other block of every other row is looked at closely; between blocks of
// a photograph the others need only not be drawn.
func (m *mosaic) classify(src *pixel.Frame, r image.Rectangle) bool {
	m.cols, m.rows = (r.Dx()+blockSide-1)/blockSide, (r.Dy()+blockSide-1)/blockSide
	clear(m.photo[:m.rows])
	clear(m.quiet[:m.rows])
	photo, drawings := 0, 0
	see := func(x, y int, glance bool) {
		kind := blockPhoto
		if !glance || drawn(src, m.block(x, y, r)) {
			kind = look(src, m.block(x, y, r))
		}
		switch kind {
		case blockPhoto:
			m.photo[y] |= 1 << x
			photo++
		case blockQuiet:
			m.quiet[y] |= 1 << x
		case blockDrawn:
			drawings++
		}
	}
	for y := 0; y < m.rows; y += 2 {
		for x := 0; x < m.cols; x += 2 {
			see(x, y, false)
		}
	}
	for y := 1; y < m.rows; y += 2 {
		for x := 1; x < m.cols; x += 2 {
			see(x, y, m.beside(y-1, x) && m.beside(y+1, x))
		}
	}
	for y := range m.rows {
		for x := 1 - y%2; x < m.cols; x += 2 {
			see(x, y, m.beside(y, x) && m.at(x, y-1) && m.at(x, y+1) && m.cols*m.rows > 1)
		}
	}
	switch {
	case photo < photoLeast:
		return false
	case drawings == 0 && photo*8 >= 7*m.rows*m.cols:
		m.photo = m.all()
	default:
		for m.grow() {
		}
	}
	return true
}

// block is the pixels of r that are looked at for the block in column x and
// row y: at r's edges a whole block all the same, where r has one.
func (m *mosaic) block(x, y int, r image.Rectangle) image.Rectangle {
	at := r.Min.Add(image.Pt(min(x*blockSide, max(r.Dx()-blockSide, 0)), min(y*blockSide, max(r.Dy()-blockSide, 0))))
	return image.Rectangle{Min: at, Max: at.Add(image.Pt(blockSide, blockSide))}.Intersect(r)
}

// at reports whether there is a photograph in column x of row y, or no such
// row or column.
func (m *mosaic) at(x, y int) bool {
	return x < 0 || y < 0 || x >= m.cols || y >= m.rows || m.photo[y]>>x&1 != 0
}

// beside reports the same of the columns beside x.
func (m *mosaic) beside(y, x int) bool { return m.at(x-1, y) && m.at(x+1, y) }

// grow makes quiet blocks beside photographs a part of them, and reports
// whether there were any.
func (m *mosaic) grow() bool {
	grew := false
	for y := range m.rows {
		p := m.photo[y]
		near := p<<1 | p>>1
		if y > 0 {
			near |= m.photo[y-1]
		}
		if y+1 < m.rows {
			near |= m.photo[y+1]
		}
		if more := near & m.quiet[y] &^ p; more != 0 {
			m.photo[y] |= more
			grew = true
		}
	}
	return grew
}

// all has every block's bit set.
func (m *mosaic) all() (photo [32]uint64) {
	for y := range m.rows {
		photo[y] = uint64(1)<<m.cols - 1 // a shift by 64 gives 0
	}
	return photo
}

// What a block can be.
const (
	blockDrawn    = iota
	blockComputed // many colours that follow from each other
	blockQuiet
	blockPhoto
)

// drawn reports whether too many pixels of the block repeat for a photograph.
func drawn(src *pixel.Frame, b image.Rectangle) bool {
	equal, seen := src.Repeats(b)
	return photoEqual*equal >= seen
}

// look says what the block b is.
func look(src *pixel.Frame, b image.Rectangle) int {
	equal, seen := src.Repeats(b)
	if quietEqual*equal >= seen { // all of a block of one row or column
		return blockDrawn
	}
	surprises, edges := src.Surprises(b)
	inner := (b.Dx() - 1) * (b.Dy() - 1)
	switch {
	case quietSurprises*surprises < inner:
		return blockComputed
	case photoEqual*equal < seen && photoSurprises*surprises >= inner && colourful(src, b, photoColours):
		return blockPhoto
	case quietEdges*edges <= inner && colourful(src, b, quietColours):
		return blockQuiet
	default:
		return blockDrawn
	}
}

// colourful reports whether b has as many colours, of a whole block. A part of
// one, at the area's edge, has its part of them.
func colourful(src *pixel.Frame, b image.Rectangle, least int) bool {
	least = max(2, least*b.Dx()*b.Dy()/(blockSide*blockSide))
	// One bit for each of so many hashes: that two colours have one is rare
	// enough.
	var seen [64]uint64
	n := 0
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for _, p := range src.Row(y, b.Min.X, b.Max.X) {
			h := (p & pixel.Mask) * 0x9e3779b1 >> 20
			n += int(^seen[h/64] >> (h % 64) & 1)
			seen[h/64] |= 1 << (h % 64)
		}
		if n >= least {
			return true
		}
	}
	return false
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

func erase(rows []uint64, b image.Rectangle) {
	bits := (uint64(1)<<b.Dx() - 1) << b.Min.X
	for y := b.Min.Y; y < b.Max.Y; y++ {
		rows[y] &^= bits
	}
}

// largest returns the largest rectangle of set bits, empty if there are none.
func largest(rows []uint64) image.Rectangle {
	var best image.Rectangle
	most := 0
	for top := range rows {
		both := rows[top]
		for bottom := top; bottom < len(rows) && both != 0; bottom++ {
			both &= rows[bottom]
			height := bottom + 1 - top
			if bits.OnesCount64(both)*height <= most {
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
				right := bits.TrailingZeros64(last) + 1
				best = image.Rect(right-width, top, right, bottom+1)
			}
		}
	}
	return best
}
