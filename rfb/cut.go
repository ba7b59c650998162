package rfb

import (
	"image"
	"slices"

	"github.com/ironglass/ironglass/rfb/pixel"
)

// A rectangle costs about 20 bytes and some time, whatever is in it; pixels
// that have not changed cost little, but not nothing.
const (
	// mergeArea is how many pixels may be sent in vain for one rectangle less.
	mergeArea = 160
	// maxPerCell is how many rectangles of one cell are sent apart before they
	// are sent as the one around them.
	maxPerCell = 12
	// A rectangle is long that lies in several cells, is no wider or no higher
	// than longSide and has no more pixels than longArea, such as a line of
	// text or the edge of a window. It is sent in one, as each piece would be
	// compressed by itself, unless there are more than maxLong: these are no
	// lines, but the ragged edge of something.
	longSide = 32
	longArea = 2 * cellArea
	maxLong  = 6
)

// cut returns the rectangles to encode for region, none but long ones across
// the border of a cell. The same region gives the same rectangles, so that
// viewers who need the same share them.
func cut(region *pixel.Region) []image.Rectangle {
	type place struct{ x, y int }
	var order []place
	within := make(map[place][]image.Rectangle)
	all, long := split(unbanded(region))
	out := long
	for _, r := range all {
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
	for _, p := range order {
		out = append(out, merged(within[p])...)
	}
	return out
}

// mostOpen is how many of the last rectangles are asked whether one goes on.
const mostOpen = 64

// unbanded returns the region's rectangles with those in one that only its bands
// divide.
func unbanded(region *pixel.Region) []image.Rectangle {
	out := make([]image.Rectangle, 0, region.Len())
	for r := range region.Rects() {
		open := max(0, len(out)-mostOpen)
		i := slices.IndexFunc(out[open:], func(o image.Rectangle) bool {
			return o.Max.Y == r.Min.Y && o.Min.X == r.Min.X && o.Max.X == r.Max.X
		})
		if i < 0 {
			out = append(out, r)
		} else {
			out[open+i].Max.Y = r.Max.Y
		}
	}
	return out
}

// split takes the long rectangles out of all.
func split(all []image.Rectangle) (rest, long []image.Rectangle) {
	for _, r := range all {
		if isLong(r) {
			long = append(long, r)
		}
	}
	if len(long) > maxLong {
		return all, nil
	}
	return slices.DeleteFunc(all, isLong), long
}

func isLong(r image.Rectangle) bool {
	return (r.Dx() > cellWidth || r.Dy() > cellHeight) && min(r.Dx(), r.Dy()) <= longSide && r.Dx()*r.Dy() <= longArea
}

// merged returns what to send for the rectangles of a cell.
func merged(rs []image.Rectangle) []image.Rectangle {
	box, sum := image.Rectangle{}, 0
	for _, r := range rs {
		box = box.Union(r)
		sum += area(r)
	}
	if len(rs) > 2*maxPerCell || 2*sum > area(box) {
		return append(rs[:0], box)
	}
	for i := 0; i < len(rs); i++ {
		for j := i + 1; j < len(rs); j++ {
			if u := rs[i].Union(rs[j]); area(u)-area(rs[i])-area(rs[j]) <= mergeArea {
				rs[i] = u
				rs = slices.Delete(rs, j, j+1)
				i, j = -1, len(rs) // it may now go with those before
			}
		}
	}
	if len(rs) > maxPerCell {
		return append(rs[:0], box)
	}
	return rs
}

func area(r image.Rectangle) int { return r.Dx() * r.Dy() }
