package rfb

import (
	"time"

	"github.com/ironglass/ironglass/rfb/pixel"
)

// maxFound is how many moves of one picture are found at the most: what has
// more, such as a film, only looks as if it moved.
const maxFound = 3

// anyCopies reports whether it is worth while to look for moves: whether some
// viewer can be sent them.
func (e *engine) anyCopies(now time.Time) bool {
	for v := range e.viewers {
		if v.copies(e, now) {
			return true
		}
	}
	return false
}

// findMoves carries out in the frame what has moved in the view without being
// announced, and returns it. All of it lies inside the pending damage, which
// stays, so that the update afterwards sees to whatever is not as if moved.
func (e *engine) findMoves(view *pixel.Frame) (found []move) {
	left := e.pending.damage.Clone()
	for range maxFound {
		r, from, ok := e.finder.Find(e.frame, view, left)
		if !ok {
			break
		}
		e.frame.Move(r, from)
		found = append(found, move{r, from})
		left.Subtract(pixel.RegionOf(r))
	}
	return found
}
