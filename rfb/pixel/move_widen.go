package pixel

import "image"

// nearby is how far apart, in pixels, rectangles of damage are that may be of
// the same thing.
const nearby = 2 * bandRows

// Widen lets what lies together in damage grow to its bounds where a good part
// of them is damaged: moves are found inside damage only, and what is the same
// before and after, such as the ground between two lines of text that scroll
// or the corners that a dragged window leaves out, would keep them small.
func (m *MoveFinder) Widen(damage *Region) {
	if b := damage.Bounds(); damage.Len() < 2 || b.Dx() < minMove || b.Dy() < minMove {
		return
	}
	type group struct {
		bounds image.Rectangle
		area   int
	}
	var groups []group
	for _, r := range damage.rects {
		g := group{r, size(r)}
		for i := 0; i < len(groups); i++ {
			if !groups[i].bounds.Overlaps(g.bounds.Inset(-nearby)) {
				continue
			}
			g.bounds = g.bounds.Union(groups[i].bounds)
			g.area += groups[i].area
			groups[i] = groups[len(groups)-1]
			groups = groups[:len(groups)-1]
			i = -1 // the greater one may be near those before
		}
		groups = append(groups, g)
	}
	for _, g := range groups {
		if b := g.bounds; b.Dx() >= minMove && b.Dy() >= minMove && 4*g.area >= size(b) {
			damage.Add(b)
		}
	}
}
