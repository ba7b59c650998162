package pixel

import "image"

// sums are hashes of the old picture's rows inside a rectangle. What scrolls on
// and on is read once with them, in the view: the old picture's half of the
// work is in them already.
type sums struct {
	area image.Rectangle
	row  []uint64 // 0 where it is not known
	next []uint64 // those after the present move
}

// before is the sum of the row that was at y, from x0 to x1; 0 where it is not
// known.
func (s *sums) before(y, x0, x1 int) uint64 {
	if y < s.area.Min.Y || y >= s.area.Max.Y || x0 != s.area.Min.X || x1 != s.area.Max.X {
		return 0
	}
	return s.row[y-s.area.Min.Y]
}

// carried keeps the sums true through the move that verify has just looked at.
func (m *MoveFinder) carried(r image.Rectangle, by image.Point) {
	if by.X != 0 {
		m.Changed(r)
		return
	}
	s := &m.sums
	s.area, s.row, s.next = r, s.next, s.row[:0]
}

// sumOf is the sum of a row, never 0.
func sumOf(row []uint32) uint64 { return max(1, hashRow(row)) }

// Changed says that pixels of the old picture inside r are others now than a
// move that Find has found leaves there.
func (m *MoveFinder) Changed(r image.Rectangle) {
	if r = r.Intersect(m.sums.area); !r.Empty() {
		clear(m.sums.row[r.Min.Y-m.sums.area.Min.Y : r.Max.Y-m.sums.area.Min.Y])
	}
}

// Distrust forgets all hashes, so that the next move is compared pixel by
// pixel.
func (m *MoveFinder) Distrust() { clear(m.sums.row) }
