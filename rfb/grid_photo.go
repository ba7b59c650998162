package rfb

import (
	"image"

	"github.com/ironglass/ironglass/rfb/pixel"
)

// A photograph is sent in larger pieces than cells are: cut along these it is
// a fifth larger, each piece having tables of its own. A cell remembers that it
// held one when it was encoded last, and next time goes together with its
// neighbours of the same kind. What comes of a mistake, where something else
// has taken the photograph's place, is only a rectangle of another size.
const (
	// photoCols and photoRows are how many cells go together at the most.
	photoCols = 4
	photoRows = 4
)

// photoSlack: cells go together where the rectangle around all of theirs is
// larger than these by one part in so many at the most.
const photoSlack = 8

// join puts rectangles that cut has made together where they are of one
// photograph. The same rectangles give the same as long as the picture is the
// same, so that viewers share these too.
func (g *grid) join(rs []image.Rectangle) []image.Rectangle {
	only := g.joinable(rs)
	if only == nil {
		return rs
	}
	out := make([]image.Rectangle, 0, len(rs))
	for i, r := range rs {
		if r.Empty() {
			continue // it has gone with another
		}
		if at := g.index(r.Min); only[at] == i+1 {
			out = append(out, g.joined(rs, only, at))
		} else {
			out = append(out, r)
		}
	}
	return out
}

// index is the number of the cell with the pixel p.
func (g *grid) index(p image.Point) int { return p.Y/cellHeight*g.cols + p.X/cellWidth }

// joinable returns for each cell which of rs may go together with others, by
// its number plus one, 0 where none may. It is nil where there is no
// photograph.
func (g *grid) joinable(rs []image.Rectangle) (only []int) {
	for _, r := range rs {
		if g.cells[g.index(r.Min)].photo {
			only = make([]int, len(g.cells))
			break
		}
	}
	if only == nil {
		return nil
	}
	const several = -1
	for i, r := range rs {
		at := g.index(r.Min)
		// What is too thin to be told from a drawing by itself may be a
		// photograph's edge.
		if only[at] == 0 && (g.cells[at].photo || min(r.Dx(), r.Dy()) < pixel.TextureSide) {
			only[at] = i + 1
		} else {
			only[at] = several
		}
		if g.index(r.Max.Sub(image.Pt(1, 1))) == at {
			continue
		}
		// It lies in several cells.
		for y := r.Min.Y / cellHeight; y*cellHeight < r.Max.Y; y++ {
			for x := r.Min.X / cellWidth; x*cellWidth < r.Max.X; x++ {
				only[y*g.cols+x] = several
			}
		}
	}
	return only
}

// joined returns the rectangle of cell at with those that go together with it
// to the right and below, which it takes out of rs and only.
func (g *grid) joined(rs []image.Rectangle, only []int, at int) image.Rectangle {
	var box image.Rectangle
	area, photos, cols := 0, 0, 0
	grow := func(from, step, n int) bool {
		more, sum, of := box, area, photos
		for k := range n {
			i := only[from+k*step] - 1
			if i < 0 {
				return false
			}
			a := rs[i].Dx() * rs[i].Dy()
			more, sum = more.Union(rs[i]), sum+a
			if g.cells[from+k*step].photo {
				of += a
			}
		}
		if more.Dx()*more.Dy()*photoSlack > sum*(photoSlack+1) {
			return false
		}
		box, area, photos = more, sum, of
		return true
	}
	for cols < photoCols && at%g.cols+cols < g.cols && grow(at+cols, 0, 1) {
		cols++
	}
	rows := 1
	for rows < photoRows && at/g.cols+rows < g.rows && grow(at+rows*g.cols, 1, cols) {
		rows++
	}
	if 2*photos < area {
		box = rs[only[at]-1]
		only[at] = 0
		return box
	}
	for row := range rows {
		for col := range cols {
			k := at + row*g.cols + col
			rs[only[k]-1], only[k] = image.Rectangle{}, 0
		}
	}
	return box
}

// judge remembers in which cells an entry that was encoded with loss allowed
// is of a photograph: where most of it is lossy.
func (g *grid) judge(e *entry) {
	for c, inside := range g.within(e.rect) {
		lossy := 0
		for i := range e.pieces {
			if p := &e.pieces[i]; p.Lossy {
				in := p.Rect.Intersect(inside)
				lossy += in.Dx() * in.Dy()
			}
		}
		c.photo = lossy*photoSlack > inside.Dx()*inside.Dy()*(photoSlack-1)
	}
}
