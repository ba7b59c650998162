package rfb

import (
	"image"
	"iter"
	"slices"
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
	long       cell // has the entries of rectangles that lie in several
	bytes      int  // of all pieces' data
}

type cell struct {
	entries   []*entry
	changedAt time.Time // when a pixel of it was last seen to change
	// photo says that what was last encoded of it for a viewer that allows
	// loss was a photograph.
	photo bool
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

// holder returns where the entry for r is kept.
func (g *grid) holder(r image.Rectangle) *cell {
	x, y := r.Min.X/cellWidth, r.Min.Y/cellHeight
	if r.Max.X > (x+1)*cellWidth || r.Max.Y > (y+1)*cellHeight {
		return &g.long
	}
	return g.at(x, y)
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
		g.forgetLong(r)
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
	g.forgetLong(r)
}

func (g *grid) forgetLong(r image.Rectangle) {
	g.long.entries = slices.DeleteFunc(g.long.entries, func(e *entry) bool {
		if !e.rect.Overlaps(r) {
			return false
		}
		g.drop(e)
		return true
	})
}

func (g *grid) empty(c *cell) {
	for _, e := range c.entries {
		g.drop(e)
	}
	c.entries = nil
}

// drop counts an entry's bytes no more.
func (g *grid) drop(e *entry) {
	for i := range e.pieces {
		g.bytes -= len(e.pieces[i].Data)
	}
}

// emptyAll gives all the memory back.
func (g *grid) emptyAll() {
	for i := range g.cells {
		g.cells[i].entries = nil
	}
	g.long.entries = nil
	g.bytes = 0
}
