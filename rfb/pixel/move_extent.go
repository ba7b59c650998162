package pixel

import "image"

// extent returns the rectangle inside area and the damage that gains most by
// a move of that distance; empty where none gains enough.
//
// A stretch of a row gains where it is right with the move and not without
// it, loses where it is right without it only, and counts for nothing where
// the move makes no difference. So a blinking cursor in a scrolled text does
// not divide it, and a status line below it is left where it is.
func (m *MoveFinder) extent(area image.Rectangle, by image.Point) image.Rectangle {
	area = area.Intersect(m.old.Rect().Add(by))
	m.tileWidth = max(minTile, area.Dx()/mostTiles&^15) // whole blocks
	cols, rows := (area.Dx()+m.tileWidth-1)/m.tileWidth, (area.Dy()+tileHeight-1)/tileHeight
	if area.Dx() < minMove || area.Dy() < minMove {
		return image.Rectangle{}
	}
	m.measure(area, by, cols, rows)
	best, gain := m.bestTiles(cols, rows)
	if gain < minMove*minMove {
		return image.Rectangle{}
	}
	r := image.Rectangle{
		Min: area.Min.Add(image.Pt(best.Min.X*m.tileWidth, best.Min.Y*tileHeight)),
		Max: area.Min.Add(image.Pt(best.Max.X*m.tileWidth, best.Max.Y*tileHeight)),
	}.Intersect(area)
	r = m.fitRows(area, r, by)
	if r.Empty() {
		return r
	}
	return m.fitColumns(area, r, by)
}

// measure fills tiles with what each tile of area gains.
func (m *MoveFinder) measure(area image.Rectangle, by image.Point, cols, rows int) {
	m.tiles, m.cover = resized(m.tiles, cols*rows), resized(m.cover, cols*rows)
	m.gains = resized(m.gains, cols)
	for y := area.Min.Y; y < area.Max.Y; y++ {
		m.rowGains(y, area.Min.X, area.Max.X, by)
		row := (y - area.Min.Y) / tileHeight
		for c, g := range m.gains {
			m.tiles[c*rows+row] += g
		}
	}
	if len(m.damage.rects) == 1 {
		return // area lies inside it
	}
	// Outside of the damage the view says nothing.
	tile := func(c, r int) image.Rectangle {
		x, y := area.Min.X+c*m.tileWidth, area.Min.Y+r*tileHeight
		return image.Rect(x, y, x+m.tileWidth, y+tileHeight).Intersect(area)
	}
	for _, d := range m.damage.rects {
		d = d.Intersect(area)
		if d.Empty() {
			continue
		}
		for c := (d.Min.X - area.Min.X) / m.tileWidth; c <= (d.Max.X-1-area.Min.X)/m.tileWidth; c++ {
			for r := (d.Min.Y - area.Min.Y) / tileHeight; r <= (d.Max.Y-1-area.Min.Y)/tileHeight; r++ {
				m.cover[c*rows+r] += int64(size(tile(c, r).Intersect(d)))
			}
		}
	}
	for c := range cols {
		for r := range rows {
			if m.cover[c*rows+r] < int64(size(tile(c, r))) {
				m.tiles[c*rows+r] = -1 << 32
			}
		}
	}
}

// resized returns s, or another, with n zeroes.
func resized(s []int64, n int) []int64 {
	if cap(s) < n {
		return make([]int64, n)
	}
	s = s[:n]
	clear(s)
	return s
}

func size(r image.Rectangle) int { return r.Dx() * r.Dy() }

// rowGains fills gains with what each tile's width of row y from x0 to x1
// gains.
func (m *MoveFinder) rowGains(y, x0, x1 int, by image.Point) {
	v, here := m.view.Row(y, x0, x1), m.old.Row(y, x0, x1)
	there := m.old.Row(y-by.Y, x0-by.X, x1-by.X)
	// The first pixels from at on that are wrong with and without it, or the
	// blocks that they are in.
	with, without := nearDiff(v, there), nearDiff(v, here)
	for i := range m.gains {
		at := i * m.tileWidth
		end := min(at+m.tileWidth, len(v))
		if with < at {
			with = at + nearDiff(v[at:], there[at:])
		}
		if without < at {
			without = at + nearDiff(v[at:], here[at:])
		}
		switch right, was := with >= end, without >= end; {
		case right && !was:
			m.gains[i] = int64(end - at)
		case !right && was:
			m.gains[i] = int64(at - end)
		default:
			m.gains[i] = 0
		}
	}
}

// bestTiles returns the rectangle of tiles with the greatest sum, the smallest
// of those that there are.
func (m *MoveFinder) bestTiles(cols, rows int) (best image.Rectangle, most int64) {
	for left := range cols {
		m.sum = resized(m.sum, rows)
		for right := left; right < cols; right++ {
			run, top := int64(0), 0
			for y, g := range m.tiles[right*rows : (right+1)*rows] {
				m.sum[y] += g
				if run <= 0 {
					run, top = 0, y
				}
				run += m.sum[y]
				if run > most {
					most, best = run, image.Rect(left, top, right+1, y+1)
				}
			}
		}
	}
	return best, most
}

// covered reports whether r lies inside the damage.
func (m *MoveFinder) covered(r image.Rectangle) bool {
	n := 0
	for _, d := range m.damage.rects {
		n += size(d.Intersect(r))
	}
	return n == size(r)
}

// fitRows moves r's upper and lower edge, each by less than a tile, to where
// most is gained.
func (m *MoveFinder) fitRows(area, r image.Rectangle, by image.Point) image.Rectangle {
	m.gains = resized(m.gains, (r.Dx()+m.tileWidth-1)/m.tileWidth)
	gain := func(y int) (n int64) {
		m.rowGains(y, r.Min.X, r.Max.X, by)
		for _, g := range m.gains {
			n += g
		}
		return n
	}
	first, last := max(area.Min.Y, r.Min.Y-tileHeight), min(area.Max.Y, r.Max.Y+tileHeight)
	for first < r.Min.Y && !m.covered(image.Rect(r.Min.X, first, r.Max.X, r.Min.Y)) {
		first++
	}
	for last > r.Max.Y && !m.covered(image.Rect(r.Min.X, r.Max.Y, r.Max.X, last)) {
		last--
	}
	fitted := r
	fitted.Min.Y = fit(min(r.Min.Y+tileHeight, r.Max.Y), first, gain)
	fitted.Max.Y = fit(max(r.Max.Y-tileHeight, fitted.Min.Y), last, gain)
	return fitted
}

// fitColumns does so with the left and the right edge.
func (m *MoveFinder) fitColumns(area, r image.Rectangle, by image.Point) image.Rectangle {
	first, last := max(area.Min.X, r.Min.X-m.tileWidth), min(area.Max.X, r.Max.X+m.tileWidth)
	for first < r.Min.X && !m.covered(image.Rect(first, r.Min.Y, r.Min.X, r.Max.Y)) {
		first++
	}
	for last > r.Max.X && !m.covered(image.Rect(r.Max.X, r.Min.Y, last, r.Max.Y)) {
		last--
	}
	fitted := r
	edge := min(r.Min.X+m.tileWidth, r.Max.X)
	gains := m.columnGains(first, edge, r, by)
	fitted.Min.X = fit(edge, first, func(x int) int64 { return gains[x-first] })
	edge = max(r.Max.X-m.tileWidth, fitted.Min.X)
	gains = m.columnGains(edge, last, r, by)
	fitted.Max.X = fit(edge, last, func(x int) int64 { return gains[x-edge] })
	return fitted
}

// columnGains returns what r's rows gain in each column from x0 to x1.
func (m *MoveFinder) columnGains(x0, x1 int, r image.Rectangle, by image.Point) []int64 {
	m.sum = resized(m.sum, x1-x0)
	for y := r.Min.Y; y < r.Max.Y; y++ {
		v, here := m.view.Row(y, x0, x1), m.old.Row(y, x0, x1)
		there := m.old.Row(y-by.Y, x0-by.X, x1-by.X)
		for i, p := range v {
			right, was := (p^there[i])&Mask == 0, (p^here[i])&Mask == 0
			if right && !was {
				m.sum[i]++
			} else if was && !right {
				m.sum[i]--
			}
		}
	}
	return m.sum
}

// fit goes from the edge one way up to end, and returns how far so that the
// sum of the gains on the way is greatest, and the way shortest.
func fit(edge, end int, gain func(at int) int64) int {
	best, most, sum := edge, int64(0), int64(0)
	for at := edge; at < end; at++ {
		if sum += gain(at); sum > most {
			best, most = at+1, sum
		}
	}
	for at := edge - 1; at >= end; at-- {
		if sum += gain(at); sum > most {
			best, most = at, sum
		}
	}
	return best
}
