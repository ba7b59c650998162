package pixel

import (
	"image"
	"math/bits"
)

// Update works in bands of this many rows: within a band what differs is
// reported with common upper and lower edges.
const bandRows = 16

// And in chunks of so many columns: two places that differ in one row of
// chunks are reported together where the columns between them are fewer.
const chunkColumns = 64

// mergeGap is the number of equal columns between two chunks' differences
// that is not worth a rectangle of its own.
const mergeGap = 16

// Update compares dst with view inside r, clipped to both, copies what
// differs into dst with zero pad bytes, and returns where that was. The
// region returned lies inside r, and contains every pixel of dst that
// changed; between those it may contain equal ones, since its rectangles are
// as coarse as is cheap: bands of 16 rows at the most.
//
// The view may be changing meanwhile (a mapped framebuffer): every pixel of
// dst that is written is inside the region returned.
func Update(dst, view *Frame, r *Region) *Region {
	area := dst.Rect().Intersect(view.Rect())
	u := updater{dst: dst, view: view, out: new(Region)}
	for rs := r.rects; len(rs) > 0; {
		band := bandOf(rs)
		rs = rs[len(band):]
		y, y1 := max(band[0].Min.Y, area.Min.Y), min(band[0].Max.Y, area.Max.Y)
		for y < y1 {
			end := min(y1, (y|(bandRows-1))+1)
			u.band(band, area, y, end)
			y = end
		}
	}
	return u.out
}

// updater is the state of one Update.
type updater struct {
	dst, view *Frame
	out       *Region
	// prev is where the last band of out begins.
	prev int
	// spans are the columns that differ in the present band, ordered.
	spans []span
	// chunks are those of the present rectangle of the present band, from its
	// left on: a bit for each column that differs.
	chunks []uint64
}

// span is the columns from x0 up to but not including x1.
type span struct{ x0, x1 int }

// band brings rows y0 to y1 up to date inside all rectangles of one band of
// the region.
func (u *updater) band(band []image.Rectangle, area image.Rectangle, y0, y1 int) {
	u.spans = u.spans[:0]
	top, bottom := y1, y0
	for _, r := range band {
		x0, x1 := max(r.Min.X, area.Min.X), min(r.Max.X, area.Max.X)
		if x0 >= x1 {
			continue
		}
		n := (x1 - x0 + chunkColumns - 1) / chunkColumns
		if cap(u.chunks) < n {
			u.chunks = make([]uint64, n)
		}
		u.chunks = u.chunks[:n]
		clear(u.chunks)
		changed := false
		for y := y0; y < y1; y++ {
			if renew(u.dst.Row(y, x0, x1), u.view.Row(y, x0, x1), u.chunks) {
				changed = true
				top, bottom = min(top, y), max(bottom, y+1)
			}
		}
		if changed {
			u.merge(x0)
		}
	}
	if len(u.spans) == 0 {
		return
	}
	start := len(u.out.rects)
	for _, s := range u.spans {
		u.out.rects = append(u.out.rects, image.Rect(s.x0, top, s.x1, bottom))
	}
	if merged := mergeBands(u.out.rects, u.prev, start); merged != nil {
		u.out.rects = merged
	} else {
		u.prev = start
	}
}

// merge appends what the chunks of one rectangle hold to the spans. The first
// begins at column x.
func (u *updater) merge(x int) {
	open := -1 // the last span of this rectangle
	for i, c := range u.chunks {
		if c == 0 {
			continue
		}
		at := x + i*chunkColumns
		s := span{at + bits.TrailingZeros64(c), at + bits.Len64(c)}
		if open >= 0 && s.x0-u.spans[open].x1 < mergeGap {
			u.spans[open].x1 = s.x1
		} else {
			u.spans = append(u.spans, s)
			open = len(u.spans) - 1
		}
	}
}

// renew brings dst up to date with view, which is as long, and reports whether
// anything differed. It sets the bits of columns for what did, 64 pixels to a
// word. Pixels are read once: what was written is what was compared.
func renew(dst, view []uint32, columns []uint64) bool {
	n, changed := renewBlocks(dst, view, columns)
	dst, view = dst[n:], view[n:]
	view = view[:len(dst)]
	for len(dst) > 0 {
		// Up to the end of a word, where all of it is often the same.
		word, m := &columns[n/64], min(64-n%64, len(dst))
		if !Same(dst[:m], view[:m]) {
			for i := range m {
				if p := view[i] & Mask; p != dst[i] {
					dst[i] = p
					*word |= 1 << ((n + i) % 64)
					changed = true
				}
			}
		}
		dst, view, n = dst[m:], view[m:], n+m
	}
	return changed
}
