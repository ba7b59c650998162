package pixel

import "image"

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
	// padded says that the view's pad bytes were seen to differ where its
	// colours do not, so that comparing whole bytes finds nothing out.
	padded bool
	out    *Region
	// prev is where the last band of out begins.
	prev int
	// spans are the columns that differ in the present band, ordered.
	spans []span
	// chunks are those of the present rectangle of the present band.
	chunks []span
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
		first := x0 / chunkColumns
		n := (x1-1)/chunkColumns + 1 - first
		if cap(u.chunks) < n {
			u.chunks = make([]span, n)
		}
		u.chunks = u.chunks[:n]
		for i := range u.chunks {
			u.chunks[i] = span{maxInt, 0}
		}
		changed := false
		for y := y0; y < y1; y++ {
			if u.row(y, x0, x1, first) {
				changed = true
				top, bottom = min(top, y), max(bottom, y+1)
			}
		}
		if changed {
			u.merge()
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

// row brings one row from x0 to x1 up to date and widens the chunks, counted
// from first, by the columns that it wrote.
func (u *updater) row(y, x0, x1, first int) (changed bool) {
	d, v := u.dst.Row(y, x0, x1), u.view.Row(y, x0, x1)
	if !u.padded && Same(d, v) {
		return false
	}
	for x := 0; ; {
		x += firstDiff(d[x:], v[x:])
		if x == len(d) {
			break
		}
		end := min(len(d), ((x0+x)|(chunkColumns-1))+1-x0)
		// The view may have changed since, so that this finds none.
		if n := lastDiff(d[x:end], v[x:end]) + 1; n > 0 {
			copyMasked(d[x:x+n], v[x:x+n])
			c := &u.chunks[(x0+x)/chunkColumns-first]
			c.x0, c.x1 = min(c.x0, x0+x), max(c.x1, x0+x+n)
			changed = true
		}
		x = end
	}
	if !changed {
		u.padded = true
	}
	return changed
}

// merge appends what the chunks of one rectangle hold to the spans.
func (u *updater) merge() {
	open := -1 // the last span of this rectangle
	for _, c := range u.chunks {
		switch {
		case c.x1 == 0:
		case open >= 0 && c.x0-u.spans[open].x1 < mergeGap:
			u.spans[open].x1 = c.x1
		default:
			u.spans = append(u.spans, c)
			open = len(u.spans) - 1
		}
	}
}
