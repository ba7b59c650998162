package rfb

import (
	"image"
	"time"

	"github.com/ironglass/ironglass/rfb/pixel"
)

// maxFound is how many moves of one picture are found at the most: what has
// more, such as a film, only looks as if it moved.
const maxFound = 3

// Where nothing was found so often in a row, at the same place and without a
// pause, it is looked for again in each so manieth frame only: a film does not
// begin to scroll, and a scroll that begins is found a moment later.
const (
	vainSearches = 6
	vainPeriod   = 4
	vainPause    = 250 * time.Millisecond
)

// vain is what was looked for in vain last.
type vain struct {
	bounds image.Rectangle // of the damage
	n      int             // how often in a row
	at     time.Time
}

// doubt is what was told by hashes alone. They are right but for one time in
// very many; yet a picture is to be exact always, so some time after the first
// of them all is compared pixel by pixel.
type doubt struct {
	region pixel.Region
	until  time.Time
}

// A picture may be doubtful for doubtTime; then what changes next has it looked
// at, or, where nothing does, a rest.
const (
	doubtTime = 400 * time.Millisecond
	doubtRest = 100 * time.Millisecond
)

func (d *doubt) add(r image.Rectangle, now time.Time) {
	if d.region.Empty() {
		d.until = now.Add(doubtTime)
	}
	d.region.Add(r)
}

// dispel has what is doubtful looked at where it is time, and returns when it
// will be; zero is never.
func (e *engine) dispel(now time.Time) time.Time {
	d := &e.doubt
	if d.region.Empty() || !e.canLook() {
		return time.Time{}
	}
	rest := d.until.Add(doubtRest)
	if now.Before(d.until) || e.pending.empty() && now.Before(rest) {
		return rest
	}
	e.finder.Distrust()
	e.pending.damage.Union(&d.region)
	d.region.Clear()
	return time.Time{}
}

// worthSearching reports whether it is worth while to look for moves: whether
// some viewer can be sent them, and one may be there.
func (e *engine) worthSearching(now time.Time) bool {
	if v := &e.vain; v.n >= vainSearches && v.bounds == e.pending.damage.Bounds() && now.Sub(v.at) < vainPause {
		v.n++
		v.at = now
		if v.n%vainPeriod != 0 {
			return false
		}
	}
	for v := range e.viewers {
		if v.copies(e, now) {
			return true
		}
	}
	return false
}

// findMoves carries out in the frame what has moved in the view without being
// announced, and returns it. All of it lies inside damage, of which rest is
// what an update has to look at afterwards, as the others are known to be as if
// moved.
func (e *engine) findMoves(view *pixel.Frame, damage *pixel.Region, now time.Time) (found []move, rest *pixel.Region) {
	left, rest := damage.Clone(), damage.Clone()
	for range maxFound {
		m, ok := e.finder.Find(e.frame, view, left)
		if !ok {
			break
		}
		e.frame.Move(m.Rect, m.From)
		if m.Hashed {
			e.doubt.add(m.Rect, now)
		}
		found = append(found, move{m.Rect, m.From})
		left.Subtract(pixel.RegionOf(m.Rect))
		rest.Subtract(&m.Right)
	}
	switch b := e.pending.damage.Bounds(); {
	case len(found) > 0:
		e.vain = vain{}
	case b != e.vain.bounds || now.Sub(e.vain.at) >= vainPause:
		e.vain = vain{bounds: b, n: 1, at: now}
	default:
		e.vain.n = max(e.vain.n, min(e.vain.n+1, vainSearches))
		e.vain.at = now
	}
	return found, rest
}
