package pixel

import (
	"image"
	"math/bits"
)

// mostAgain is how often a move aslant is tried again before all is searched,
// lest a part that was too small be taken for ever; others grow.
const mostAgain = 120

// remember keeps what was found for the next picture. What else moved in a
// picture does not take the place of the greatest.
func (m *MoveFinder) remember(r image.Rectangle, by image.Point) {
	if m.tried || 2*size(r) > size(m.last) {
		m.last, m.lastBy, m.along, m.times = r, by, false, 0
	}
}

// again returns where the last move has happened once more, at the same place
// as when a terminal scrolls, or further on as when a window is dragged, with
// the parts of it that are right; empty where it has not. hashed is as in Move.
func (m *MoveFinder) again() (r image.Rectangle, by image.Point, hashed bool) {
	m.tried = false
	if by = m.lastBy; by.X != 0 && by.Y != 0 {
		if m.times++; m.times > mostAgain {
			m.times, m.tried = 0, true
			return r, by, false
		}
	}
	for range 2 {
		// Twice as far where a step was not looked at.
		for _, by := range [...]image.Point{m.lastBy, m.lastBy.Mul(2)} {
			r := m.next(by)
			if r.Empty() {
				continue
			}
			m.tried = true
			if !m.likely(r, by) {
				continue
			}
			r = m.grow(r, by)
			pixels, hashed := m.verify(r, by)
			if 8*pixels < 7*size(r) {
				continue
			}
			m.last = r
			m.carried(r, by)
			return r, by, hashed
		}
		m.along = !m.along
	}
	return image.Rectangle{}, by, false
}

// next is where the last move may have gone on by that distance; empty where
// it cannot.
func (m *MoveFinder) next(by image.Point) image.Rectangle {
	r := m.last
	if m.along {
		r = r.Add(by)
	}
	r = r.Intersect(m.damage.Bounds()).Intersect(m.room(by))
	if r.Dx() < minMove || r.Dy() < minMove || !m.covered(r) {
		return image.Rectangle{}
	}
	return r
}

// likely reports whether r seems to have moved, by a look at few rows. It
// leaves out the columns that what moves has just left.
func (m *MoveFinder) likely(r image.Rectangle, by image.Point) bool {
	last := r.Add(by)
	r.Min.X, r.Max.X = max(r.Min.X, last.Min.X), min(r.Max.X, last.Max.X)
	if r.Dx() < minMove {
		return false
	}
	rows, right, gained := 0, 0, 0
	step := max(1, r.Dy()/24) | 1
	for y := r.Min.Y + step/2; y < r.Max.Y; y += step {
		rows++
		if !m.rowRight(r, y, by) {
			continue
		}
		right++
		if v := m.view.Row(y, r.Min.X, r.Max.X); nearDiff(v, m.old.Row(y, r.Min.X, r.Max.X)) < len(v) {
			gained++
		}
	}
	return 4*right >= 3*rows && 8*gained >= rows
}

// room is where a move by that distance may end.
func (m *MoveFinder) room(by image.Point) image.Rectangle {
	return m.view.Rect().Intersect(m.old.Rect()).Intersect(m.old.Rect().Add(by))
}

// rowRight reports whether row y of r is as the move leaves it.
func (m *MoveFinder) rowRight(r image.Rectangle, y int, by image.Point) bool {
	v := m.view.Row(y, r.Min.X, r.Max.X)
	return nearDiff(v, m.old.Row(y-by.Y, r.Min.X-by.X, r.Max.X-by.X)) == len(v)
}

// grow returns r with what is beside it in the damage and is as the move
// leaves it. What has moved is more than what shows it: the ground between
// lines of text looks the same, and will be in the way of the next line. What
// moves aslant is left as it is, as that is no scroll.
func (m *MoveFinder) grow(r image.Rectangle, by image.Point) image.Rectangle {
	if by.X != 0 && by.Y != 0 {
		return r
	}
	most := m.room(by).Intersect(m.damage.Bounds())
	right := func(s image.Rectangle) bool {
		if !m.covered(s) {
			return false
		}
		for y := s.Min.Y; y < s.Max.Y; y++ {
			if !m.rowRight(s, y, by) {
				return false
			}
		}
		return true
	}
	for r.Min.X > most.Min.X {
		s := image.Rect(max(most.Min.X, r.Min.X-2*minTile), r.Min.Y, r.Min.X, r.Max.Y)
		if !right(s) {
			break
		}
		r.Min.X = s.Min.X
	}
	for r.Max.X < most.Max.X {
		s := image.Rect(r.Max.X, r.Min.Y, min(most.Max.X, r.Max.X+2*minTile), r.Max.Y)
		if !right(s) {
			break
		}
		r.Max.X = s.Max.X
	}
	for r.Min.Y > most.Min.Y && right(image.Rect(r.Min.X, r.Min.Y-1, r.Max.X, r.Min.Y)) {
		r.Min.Y--
	}
	for r.Max.Y < most.Max.Y && right(image.Rect(r.Min.X, r.Max.Y, r.Max.X, r.Max.Y+1)) {
		r.Max.Y++
	}
	return r
}

// verify notes which parts of each row of r are as the move leaves them, and
// returns how many pixels these have, and whether some of them were told by
// their hashes. Where nothing goes sideways it makes the next sums of r.
func (m *MoveFinder) verify(r image.Rectangle, by image.Point) (pixels int, hashed bool) {
	m.partWidth = max(minTile, ((r.Dx()+63)/64+15)&^15) // whole blocks
	n := (r.Dx() + m.partWidth - 1) / m.partWidth
	m.parts, m.sums.next = m.parts[:0], m.sums.next[:0]
	for y := r.Min.Y; y < r.Max.Y; y++ {
		v := m.view.Row(y, r.Min.X, r.Max.X)
		sum := uint64(0)
		if by.X == 0 {
			sum = m.sums.before(y-by.Y, r.Min.X, r.Max.X)
		}
		if sum != 0 && sumOf(v) == sum {
			hashed = true
			m.parts, m.sums.next = append(m.parts, 1<<n-1), append(m.sums.next, sum)
			pixels += len(v)
			continue
		}
		there := m.old.Row(y-by.Y, r.Min.X-by.X, r.Max.X-by.X)
		sum = 0
		parts, right := m.compare(v, there, n)
		if right == len(v) && by.X == 0 {
			sum = sumOf(there)
		}
		m.parts, m.sums.next = append(m.parts, parts), append(m.sums.next, sum)
		pixels += right
	}
	return pixels, hashed
}

// compare returns a bit for each of n parts of two rows that are equal, and
// how many pixels these have.
func (m *MoveFinder) compare(v, there []uint32, n int) (parts uint64, pixels int) {
	wrong := nearDiff(v, there) // the first from at on
	if wrong == len(v) {
		return 1<<n - 1, len(v)
	}
	for i := range n {
		at := i * m.partWidth
		end := min(at+m.partWidth, len(v))
		if wrong < at {
			wrong = at + nearDiff(v[at:], there[at:])
		}
		if wrong >= end {
			parts |= 1 << i
			pixels += end - at
		}
	}
	return parts, pixels
}

// right adds to g, which is empty, what verify found right in r.
func (m *MoveFinder) right(g *Region, r image.Rectangle) {
	for y := 0; y < len(m.parts); {
		parts, end := m.parts[y], y+1
		for end < len(m.parts) && m.parts[end] == parts {
			end++
		}
		for left := parts; left != 0; {
			from := bits.TrailingZeros64(left)
			to := from + bits.TrailingZeros64(^(left >> from))
			x0, x1 := r.Min.X+from*m.partWidth, min(r.Min.X+to*m.partWidth, r.Max.X)
			g.rects = append(g.rects, image.Rect(x0, r.Min.Y+y, x1, r.Min.Y+end))
			if to == 64 {
				break
			}
			left &^= 1<<to - 1
		}
		y = end
	}
}
