package pixel

import (
	"image"
	"math/bits"
)

// MoveFinder finds what has moved in a picture whose source does not say so:
// scrolled text, a dragged window. It holds memory that is used again from
// call to call; the zero MoveFinder is ready for use. A MoveFinder has no
// lock.
//
// It works by looking at few rows only. Rows of the view, some distance apart,
// and a few groups of adjoining rows of the old picture are cut into short
// pieces that begin where colours change, wherever that is, so that the same
// picture elsewhere has the same pieces. Equal pieces vote for the distance
// between them, and only the distances with most votes are looked at in full.
type MoveFinder struct {
	old, view *Frame
	damage    *Region

	width int      // of a piece in pixels
	edges []uint64 // a bit for each pixel of a row that differs from the next
	cuts  []piece

	pieces []piece // of the old picture
	table  []uint16
	thin   uint64 // a mask: only pieces whose hash has none of its bits count
	votes  []vote
	total  int // pieces of the view that were looked for

	tileWidth int
	gains     []int64 // of a row's parts
	tiles     []int64 // gains of tiles, column after column
	cover     []int64 // how many of their pixels are damaged
	sum       []int64

	last   image.Rectangle // the rectangle that was found last, empty for none
	lastBy image.Point     // and how far it had moved
	along  bool            // it goes along with what moves, as a window does
	tried  bool            // it could have moved again, but has not
	times  int             // it has since it was searched for

	sums sums // of last, where that scrolls

	partWidth int      // of the parts of a row that verify tells apart
	parts     []uint64 // for each row of a rectangle, a bit for each part that is right
}

const (
	// minMove is the smallest side of a changed area that is searched, and
	// its square the fewest pixels that a move must bring to their place.
	minMove = 64
	// viewStep is the distance between the rows of the view that are looked
	// at. It is odd, as lines of text have an even height, lest it always
	// meet the gaps between them.
	viewStep = 13
	// A group of rows of the old picture is longer, so that each meets two
	// rows of the view whatever the distance.
	groups    = 4
	groupRows = 2*viewStep + 1
	// maxPieces of the old picture are kept.
	maxPieces = 4096
	// minEdges is how many changes of colour make a piece worth finding.
	minEdges = 4
	// A distance that is looked at in full has so many votes, and one for so
	// many pieces that were looked for.
	minVotes  = 3
	voteShare = 64

	// tileHeight and minTile are the size of tiles; very wide areas have
	// no more than about mostTiles in a row, but wider ones.
	tileHeight, minTile, mostTiles = 16, 32, 64
)

// piece is a stretch of a row from x on.
type piece struct {
	hash uint64
	x, y int32
}

// vote is how many pieces have moved so far.
type vote struct {
	by image.Point
	n  int
}

// Move is pixels that have moved inside a picture.
type Move struct {
	Rect image.Rectangle // where they are now
	From image.Point     // where Rect's upper left corner was before
	// Right is the part of Rect that is the view's once the move is carried
	// out, as far as could be told in a few words: it needs no Update.
	Right Region
	// Hashed says that not all of Right was compared pixel by pixel: of some
	// rows only hashes are equal. Whoever wants to be sure lets an Update look
	// at Rect some time.
	Hashed bool
}

// Find looks for a rectangle inside damage of which a good part is in view
// what is in old at From, and is not what is in old at the same place. The
// caller carries the move out in old and then lets Update see to the rest:
// among the pixels there may be some that come out wrong, but fewer than
// would be wrong without the move. Where nothing of use is found, ok is
// false. A caller with several moves in a picture calls again without Rect in
// damage.
//
// What moves on as it did before takes one look at what has moved. Else it
// takes about as long as an Update of the same region where there is nothing
// to find. The view may be changing meanwhile, as in Update.
func (m *MoveFinder) Find(old, view *Frame, damage *Region) (mv Move, ok bool) {
	m.old, m.view, m.damage = old, view, damage
	defer func() { m.old, m.view, m.damage = nil, nil, nil }()
	r, by, hashed := m.again()
	if r.Empty() {
		if r, by = m.search(); r.Empty() {
			return mv, false
		}
		m.verify(r, by)
		m.carried(r, by)
	}
	mv = Move{Rect: r, From: r.Min.Sub(by), Hashed: hashed}
	m.right(&mv.Right, r)
	return mv, true
}

// search looks for a move that nothing is known of.
func (m *MoveFinder) search() (r image.Rectangle, by image.Point) {
	area := m.changed()
	if area.Dx() < minMove || area.Dy() < minMove {
		return r, by
	}
	m.prepare(area)
	m.learn(area)
	if len(m.pieces) == 0 {
		return r, by
	}
	m.ask(area)
	for range 2 {
		by, found := m.winner()
		if !found {
			break
		}
		if r := m.extent(area, by); !r.Empty() {
			r = m.grow(r, by)
			m.remember(r, by)
			return r, by
		}
	}
	return image.Rectangle{}, image.Point{}
}

// stretches calls f with the parts of row y that lie in damage and in area.
func (m *MoveFinder) stretches(area image.Rectangle, y int, f func(x0, x1 int)) {
	for _, r := range m.damage.rects {
		if r.Min.Y > y {
			return
		}
		if y < r.Max.Y {
			if x0, x1 := max(r.Min.X, area.Min.X), min(r.Max.X, area.Max.X); x0 < x1 {
				f(x0, x1)
			}
		}
	}
}

// damaged is the bounds of the damage, or, where small pieces make little of
// it, those of the others: what is between them only costs time and distracts.
func (m *MoveFinder) damaged() image.Rectangle {
	large, area, all := image.Rectangle{}, 0, 0
	for _, r := range m.damage.rects {
		all += size(r)
		if r.Dx() >= minMove && r.Dy() >= minMove {
			large = large.Union(r)
			area += size(r)
		}
	}
	if 8*area >= 7*all {
		return large
	}
	return m.damage.Bounds()
}

// changed is about where the view is not the old picture; empty where too
// little has changed for a move.
func (m *MoveFinder) changed() (box image.Rectangle) {
	area := m.damaged().Intersect(m.old.Rect()).Intersect(m.view.Rect())
	if area.Dx() < minMove || area.Dy() < minMove {
		return box
	}
	pixels := 0
	for y := area.Min.Y + viewStep/2; y < area.Max.Y; y += viewStep {
		m.stretches(area, y, func(x0, x1 int) {
			v, o := m.view.Row(y, x0, x1), m.old.Row(y, x0, x1)
			if first := firstDiff(v, o); first < len(v) {
				last := max(first, lastDiff(v, o)) // it may have changed since
				box = box.Union(image.Rect(x0+first, y, x0+last+1, y+1))
				pixels += last + 1 - first
			}
		})
	}
	if pixels *= viewStep; pixels < minMove*minMove || pixels < size(box)/32 {
		return image.Rectangle{} // spots here and there
	}
	box.Min = box.Min.Sub(image.Pt(minTile, viewStep))
	box.Max = box.Max.Add(image.Pt(minTile, viewStep))
	return box.Intersect(area)
}

// prepare makes room for rows of area.
func (m *MoveFinder) prepare(area image.Rectangle) {
	m.width = 64
	if area.Dx() < 256 {
		m.width = 24
	}
	if n := area.Dx()/64 + 2; len(m.edges) < n {
		m.edges = make([]uint64, n)
	}
	if m.table == nil {
		m.table = make([]uint16, 4*maxPieces)
		m.pieces = make([]piece, 0, maxPieces)
		m.votes = make([]vote, 1024)
	}
}

// cut returns the pieces of a row, whose first pixel is at (x, y). They are
// there until the next call.
func (m *MoveFinder) cut(row []uint32, x, y int) []piece {
	m.cuts = m.cuts[:0]
	n, w := len(row), m.width
	if n <= w {
		return m.cuts
	}
	edges := m.edges[:n/64+2]
	findEdges(edges, row)
	for i, word := range edges[:len(edges)-1] {
		if bits.OnesCount64(word) > crowded {
			word = sparse(word, row[64*i:])
		}
		for ; word != 0; word &= word - 1 {
			bit := bits.TrailingZeros64(word)
			at := 64*i + bit + 1
			if at+w > n {
				return m.cuts
			}
			pattern := (edges[i]>>bit | edges[i+1]<<(64-bit)) << (64 - w)
			if bits.OnesCount64(pattern) < minEdges {
				continue
			}
			// Where the edges are and a few colours tell enough.
			p := row[at : at+w]
			h := (pattern ^ uint64(p[0]&Mask)<<32 ^ uint64(p[w-1]&Mask)) * hashKeys[0]
			h ^= h >> 32
			h = (h ^ uint64(p[w/3]&Mask)<<32 ^ uint64(p[w*2/3]&Mask)) * hashKeys[1]
			h ^= h >> 29
			if h&m.thin == 0 {
				m.cuts = append(m.cuts, piece{h, int32(x + at), int32(y)})
			}
		}
	}
	return m.cuts
}

// crowded is how many edges in 64 pixels are too many to begin a piece at
// each.
const crowded = 40

// sparse keeps few of the edges of the pixels that row begins with, by their
// colours: where nearly every pixel differs from the next, as in a photograph,
// pieces would begin everywhere, cost time and crowd out all others.
func sparse(edges uint64, row []uint32) (few uint64) {
	if len(row) > 65 {
		row = row[:65]
	}
	last := row[0] & Mask
	for i, p := range row[1:] {
		p &= Mask
		if (last*0x9e3779b1+p*0x85ebca6b)>>28 == 0 {
			few |= 1 << i
		}
		last = p
	}
	return few & edges
}

// findEdges sets the bits of those pixels of row that differ from the next
// one. There is a word more than there are bits for.
func findEdges(edges []uint64, row []uint32) {
	clear(edges)
	if len(row) == 0 {
		return
	}
	done := edgeBlocks(edges, row)
	for i := done; i < len(row)-1; i++ {
		if (row[i]^row[i+1])&Mask != 0 {
			edges[i/64] |= 1 << (i % 64)
		}
	}
}

// learn takes pieces from the old picture.
func (m *MoveFinder) learn(area image.Rectangle) {
	m.pieces, m.thin = m.pieces[:0], 0
	take := func(y0, y1 int) {
		for y := max(y0, area.Min.Y); y < min(y1, area.Max.Y); y++ {
			for _, p := range m.cut(m.old.Row(y, area.Min.X, area.Max.X), area.Min.X, y) {
				if len(m.pieces) == maxPieces {
					m.halve()
				}
				if p.hash&m.thin == 0 && len(m.pieces) < maxPieces {
					m.pieces = append(m.pieces, p)
				}
			}
		}
	}
	if area.Dy() <= groups*groupRows {
		take(area.Min.Y, area.Max.Y)
	} else {
		for i := range groups {
			y := area.Min.Y + (2*i+1)*area.Dy()/(2*groups) - groupRows/2
			take(y, y+groupRows)
		}
	}
	clear(m.table)
	for i, p := range m.pieces {
		at := p.hash >> 32
		for range 8 { // what comes too often tells nothing
			slot := &m.table[at%uint64(len(m.table))]
			if *slot == 0 {
				*slot = uint16(i + 1)
				break
			}
			at++
		}
	}
}

// halve forgets every other piece, and lets cut find fewer.
func (m *MoveFinder) halve() {
	m.thin = m.thin<<1 | 1
	kept := m.pieces[:0]
	for _, p := range m.pieces {
		if p.hash&m.thin == 0 {
			kept = append(kept, p)
		}
	}
	m.pieces = kept
}

// ask looks the pieces of the view up and counts how far they have moved.
func (m *MoveFinder) ask(area image.Rectangle) {
	clear(m.votes)
	m.total = 0
	for y := area.Min.Y + viewStep/2; y < area.Max.Y; y += viewStep {
		// A row without anything in it is none to ask; near it may be another.
		for _, more := range [...]int{0, 3, 6, 9} {
			if y+more >= area.Max.Y || m.askRow(area, y+more) {
				break
			}
		}
	}
}

// askRow reports whether the row has pieces.
func (m *MoveFinder) askRow(area image.Rectangle, y int) (asked bool) {
	m.stretches(area, y, func(x0, x1 int) {
		v, o := m.view.Row(y, x0, x1), m.old.Row(y, x0, x1)
		x := firstDiff(v, o)
		for _, p := range m.cut(v, x0, y) {
			asked = true
			// A piece that is where it was needs no move.
			at := int(p.x) - x0
			if x < at {
				x = at + firstDiff(v[at:], o[at:])
			}
			if x < at+m.width {
				m.total++
				m.lookUp(p)
			}
		}
	})
	return asked
}

func (m *MoveFinder) lookUp(p piece) {
	at := p.hash >> 32
	for range 8 {
		i := m.table[at%uint64(len(m.table))]
		if i == 0 {
			return
		}
		at++
		if q := &m.pieces[i-1]; q.hash == p.hash {
			m.vote(image.Pt(int(p.x-q.x), int(p.y-q.y)))
		}
	}
}

func (m *MoveFinder) vote(by image.Point) {
	if by == (image.Point{}) {
		return
	}
	at := uint(by.X)*0x9e3779b1 + uint(by.Y)*0x85ebca6b
	at ^= at >> 15
	for range 8 {
		v := &m.votes[at%uint(len(m.votes))]
		if v.n == 0 {
			v.by = by
		}
		if v.by == by {
			v.n++
			return
		}
		at++
	}
}

// winner takes the distance with most votes away and returns it.
func (m *MoveFinder) winner() (by image.Point, ok bool) {
	best := &m.votes[0]
	for i := range m.votes {
		if m.votes[i].n > best.n {
			best = &m.votes[i]
		}
	}
	if best.n < minVotes || best.n*voteShare < m.total {
		return by, false
	}
	best.n = 0
	return best.by, true
}
