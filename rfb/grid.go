package rfb

import (
	"image"
	"iter"
	"sync/atomic"
	"time"

	"github.com/ironglass/ironglass/rfb/encoding"
	"github.com/ironglass/ironglass/rfb/pixel"
)

// Cells are what the picture is cut into to be encoded: wide ones, because
// rows of text compress better in one piece, and low ones, so that a line of
// it changes few.
const (
	cellWidth  = 256
	cellHeight = 64
)

// grid holds, per cell of the picture, the pieces encoded from its present
// pixels. A change of any pixel in a cell empties it, so what is there is
// always of the newest version, and late viewers and slow ones are served
// from it like all others.
type grid struct {
	cols, rows int
	cells      []cell
	bytes      int // of all pieces' data
}

type cell struct {
	entries   []*entry
	changedAt time.Time // when a pixel of it was last seen to change
}

// entry is one rectangle, encoded once per Params.
type entry struct {
	rect   image.Rectangle
	params encoding.Params
	// cursor is the serial of the pointer painted into the pixels, 0 where
	// there is none in this rectangle.
	cursor uint64
	pieces []encoding.Piece
	done   atomic.Bool // pieces are there
}

func newGrid(size image.Point) grid {
	g := grid{cols: (size.X + cellWidth - 1) / cellWidth, rows: (size.Y + cellHeight - 1) / cellHeight}
	g.cells = make([]cell, g.cols*g.rows)
	return g
}

// at returns the cell of column c and row r of the grid, nil outside it.
func (g *grid) at(c, r int) *cell {
	if c < 0 || r < 0 || c >= g.cols || r >= g.rows {
		return nil
	}
	return &g.cells[r*g.cols+c]
}

// within yields the cells that r touches, each with its part of r.
func (g *grid) within(r image.Rectangle) iter.Seq2[*cell, image.Rectangle] {
	return func(yield func(*cell, image.Rectangle) bool) {
		for y := r.Min.Y / cellHeight; y*cellHeight < r.Max.Y; y++ {
			for x := r.Min.X / cellWidth; x*cellWidth < r.Max.X; x++ {
				box := image.Rect(x*cellWidth, y*cellHeight, (x+1)*cellWidth, (y+1)*cellHeight)
				if c := g.at(x, y); c != nil && !yield(c, r.Intersect(box)) {
					return
				}
			}
		}
	}
}

// changed forgets what was encoded from pixels that are no more.
func (g *grid) changed(damage *pixel.Region, moves []move, now time.Time) {
	touch := func(r image.Rectangle) {
		for c := range g.within(r) {
			g.empty(c)
			c.changedAt = now
		}
	}
	for r := range damage.Rects() {
		touch(r)
	}
	for _, m := range moves {
		touch(m.rect)
	}
}

// forget drops what was encoded from pixels of r.
func (g *grid) forget(r image.Rectangle) {
	for c := range g.within(r) {
		g.empty(c)
	}
}

func (g *grid) empty(c *cell) {
	for _, e := range c.entries {
		for i := range e.pieces {
			g.bytes -= len(e.pieces[i].Data)
		}
	}
	c.entries = nil
}

// emptyAll gives all the memory back.
func (g *grid) emptyAll() {
	for i := range g.cells {
		g.cells[i].entries = nil
	}
	g.bytes = 0
}

// maxPerCell is how many rectangles of one cell are sent apart before they
// are sent as the one around them.
const maxPerCell = 4

// cut returns the rectangles to encode for region, none across the border of
// a cell. The same region gives the same rectangles, so that viewers who need
// the same share them.
func cut(region *pixel.Region) []image.Rectangle {
	type place struct{ x, y int }
	var order []place
	within := make(map[place][]image.Rectangle)
	for r := range region.Rects() {
		for y := r.Min.Y / cellHeight; y*cellHeight < r.Max.Y; y++ {
			for x := r.Min.X / cellWidth; x*cellWidth < r.Max.X; x++ {
				p := place{x, y}
				if within[p] == nil {
					order = append(order, p)
				}
				box := image.Rect(x*cellWidth, y*cellHeight, (x+1)*cellWidth, (y+1)*cellHeight)
				within[p] = append(within[p], r.Intersect(box))
			}
		}
	}
	out := make([]image.Rectangle, 0, len(order))
	for _, p := range order {
		rs := within[p]
		box, area := image.Rectangle{}, 0
		for _, r := range rs {
			box = box.Union(r)
			area += r.Dx() * r.Dy()
		}
		if len(rs) > maxPerCell || 2*area > box.Dx()*box.Dy() {
			out = append(out, box)
		} else {
			out = append(out, rs...)
		}
	}
	return out
}
