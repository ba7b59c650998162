package pixel

import (
	"image"
	"iter"
	"slices"
)

// Region is a set of pixels, kept as rectangles that do not overlap, ordered
// by row and then by column, in bands of equal height as X servers keep
// theirs. Equal sets have equal rectangles. The zero Region is empty. A
// Region has no lock.
type Region struct {
	rects []image.Rectangle
}

// RegionOf returns the union of the given rectangles.
func RegionOf(rs ...image.Rectangle) *Region {
	g := new(Region)
	for _, r := range rs {
		g.Add(r)
	}
	return g
}

// Empty reports whether the region has no pixel.
func (g *Region) Empty() bool { return len(g.rects) == 0 }

// Len is the number of rectangles that Rects yields.
func (g *Region) Len() int { return len(g.rects) }

// Rects yields rectangles that do not overlap and together are the region, in
// reading order. The region must not change meanwhile.
func (g *Region) Rects() iter.Seq[image.Rectangle] { return slices.Values(g.rects) }

// Area is the number of pixels.
func (g *Region) Area() int {
	n := 0
	for _, r := range g.rects {
		n += r.Dx() * r.Dy()
	}
	return n
}

// Bounds is the smallest rectangle that holds the region; the zero rectangle
// where it is empty.
func (g *Region) Bounds() image.Rectangle {
	if len(g.rects) == 0 {
		return image.Rectangle{}
	}
	b := g.rects[0]
	for _, r := range g.rects[1:] {
		b.Min.X, b.Max.X, b.Max.Y = min(b.Min.X, r.Min.X), max(b.Max.X, r.Max.X), r.Max.Y
	}
	return b
}

// Clone returns a region that shares nothing with g.
func (g *Region) Clone() *Region { return &Region{slices.Clone(g.rects)} }

// Clear empties the region and keeps its memory.
func (g *Region) Clear() { g.rects = g.rects[:0] }

// Equal reports whether both hold the same pixels.
func (g *Region) Equal(h *Region) bool { return slices.Equal(g.rects, h.rects) }

// Overlaps reports whether the region has a pixel of r.
func (g *Region) Overlaps(r image.Rectangle) bool {
	return slices.ContainsFunc(g.rects, r.Overlaps)
}

// Contains reports whether the region has every pixel of r.
func (g *Region) Contains(r image.Rectangle) bool {
	left := RegionOf(r)
	left.Subtract(g)
	return left.Empty()
}

// Add makes r part of the region.
func (g *Region) Add(r image.Rectangle) {
	switch {
	case r.Empty():
	case len(g.rects) == 0:
		g.rects = append(g.rects, r)
	case len(g.rects) == 1 && r.In(g.rects[0]):
	default:
		g.rects = combine(g.rects, []image.Rectangle{r}, func(a, b bool) bool { return a || b })
	}
}

// Union makes every pixel of h part of the region.
func (g *Region) Union(h *Region) {
	switch {
	case len(h.rects) == 0:
	case len(h.rects) == 1:
		g.Add(h.rects[0])
	case len(g.rects) == 0:
		g.rects = append(g.rects, h.rects...)
	default:
		g.rects = combine(g.rects, h.rects, func(a, b bool) bool { return a || b })
	}
}

// Subtract removes every pixel of h.
func (g *Region) Subtract(h *Region) {
	if len(g.rects) == 0 || len(h.rects) == 0 {
		return
	}
	g.rects = combine(g.rects, h.rects, func(a, b bool) bool { return a && !b })
}

// Intersect keeps the pixels that are also in h.
func (g *Region) Intersect(h *Region) {
	if len(g.rects) == 0 {
		return
	}
	g.rects = combine(g.rects, h.rects, func(a, b bool) bool { return a && b })
}

// IntersectRect keeps the pixels of r.
func (g *Region) IntersectRect(r image.Rectangle) {
	if g.Bounds().In(r) {
		return
	}
	g.Intersect(&Region{[]image.Rectangle{r}})
}

// Translate moves the whole region by d.
func (g *Region) Translate(d image.Point) {
	for i := range g.rects {
		g.rects[i] = g.rects[i].Add(d)
	}
}

// Simplify lets the region grow to its bounds where it has more than most
// rectangles: looking at too much is cheaper than keeping too many pieces.
func (g *Region) Simplify(most int) {
	if len(g.rects) > most {
		b := g.Bounds()
		g.rects = append(g.rects[:0], b)
	}
}

// combine sweeps both lists from top to bottom, and in each band of rows that
// is uniform in both from left to right, and keeps the pixels that keep wants.
func combine(a, b []image.Rectangle, keep func(inA, inB bool) bool) []image.Rectangle {
	out := make([]image.Rectangle, 0, len(a)+len(b))
	prev := 0 // where the band before the present one starts in out
	var y int
	for first := true; len(a) > 0 || len(b) > 0; first = false {
		// The next band starts where something starts, at y at the earliest,
		// and ends where anything starts or ends.
		aBand, bBand := bandOf(a), bandOf(b)
		top := min(bandTop(aBand), bandTop(bBand))
		if first || top > y {
			y = top
		}
		end := min(bandEdge(aBand, y), bandEdge(bBand, y))
		start := len(out)
		out = appendBand(out, at(aBand, y), at(bBand, y), y, end, keep)
		if merged := mergeBands(out, prev, start); merged != nil {
			out = merged
		} else if len(out) > start {
			prev = start
		}
		y = end
		a, b = dropBand(a, aBand, y), dropBand(b, bBand, y)
	}
	return out
}

const maxInt = int(^uint(0) >> 1)

// bandOf returns the rectangles of the first band of rs.
func bandOf(rs []image.Rectangle) []image.Rectangle {
	n := 0
	for n < len(rs) && rs[n].Min.Y == rs[0].Min.Y {
		n++
	}
	return rs[:n]
}

func bandTop(band []image.Rectangle) int {
	if len(band) == 0 {
		return maxInt
	}
	return band[0].Min.Y
}

// bandEdge is the first row after y where the band starts or ends.
func bandEdge(band []image.Rectangle, y int) int {
	switch {
	case len(band) == 0:
		return maxInt
	case band[0].Min.Y > y:
		return band[0].Min.Y
	default:
		return band[0].Max.Y
	}
}

// at returns the band where it covers row y.
func at(band []image.Rectangle, y int) []image.Rectangle {
	if len(band) == 0 || band[0].Min.Y > y {
		return nil
	}
	return band
}

func dropBand(rs, band []image.Rectangle, y int) []image.Rectangle {
	if len(band) > 0 && band[0].Max.Y <= y {
		return rs[len(band):]
	}
	return rs
}

// appendBand combines two rows of spans into rectangles from y0 to y1.
func appendBand(out, a, b []image.Rectangle, y0, y1 int, keep func(inA, inB bool) bool) []image.Rectangle {
	x, open, from := 0, false, 0
	for first := true; len(a) > 0 || len(b) > 0; first = false {
		left := maxInt
		if len(a) > 0 {
			left = min(left, a[0].Min.X)
		}
		if len(b) > 0 {
			left = min(left, b[0].Min.X)
		}
		if first || (left > x && !inside(a, x) && !inside(b, x)) {
			if open && left > x {
				out = append(out, image.Rect(from, y0, x, y1))
				open = false
			}
			x = left
		}
		inA, inB := inside(a, x), inside(b, x)
		next := min(spanEdge(a, x), spanEdge(b, x))
		switch k := keep(inA, inB); {
		case k && !open:
			open, from = true, x
		case !k && open:
			out = append(out, image.Rect(from, y0, x, y1))
			open = false
		}
		x = next
		if len(a) > 0 && a[0].Max.X <= x {
			a = a[1:]
		}
		if len(b) > 0 && b[0].Max.X <= x {
			b = b[1:]
		}
	}
	if open {
		out = append(out, image.Rect(from, y0, x, y1))
	}
	return out
}

func inside(spans []image.Rectangle, x int) bool {
	return len(spans) > 0 && spans[0].Min.X <= x
}

// spanEdge is the first column after x where the first span starts or ends.
func spanEdge(spans []image.Rectangle, x int) int {
	switch {
	case len(spans) == 0:
		return maxInt
	case spans[0].Min.X > x:
		return spans[0].Min.X
	default:
		return spans[0].Max.X
	}
}

// mergeBands joins the band out[start:] with out[prev:start] where it
// continues it with the same spans; nil where it does not.
func mergeBands(out []image.Rectangle, prev, start int) []image.Rectangle {
	n := len(out) - start
	if n == 0 || n != start-prev || out[prev].Max.Y != out[start].Min.Y {
		return nil
	}
	for i := range n {
		if out[prev+i].Min.X != out[start+i].Min.X || out[prev+i].Max.X != out[start+i].Max.X {
			return nil
		}
	}
	for i := range n {
		out[prev+i].Max.Y = out[start+i].Max.Y
	}
	return out[:start]
}
