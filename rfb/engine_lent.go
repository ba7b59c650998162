package rfb

import (
	"image"
	"time"

	"github.com/ironglass/ironglass/rfb/pixel"
)

// lent is what the engine knows of a frame that is not its own.
//
// A source that lends its picture needs no copy of it here, and nothing is
// compared: what it announces is what changed. The frame stands still only
// while it is held, so all that reads its pixels does so between borrow and
// giveBack.
type lent struct {
	by   Lender // the source that runs, nil where it does not lend
	now  bool   // the engine's frame is by's
	held bool   // and stands still

	again  time.Time // when to try once more after by was busy
	insist bool      // then also in the middle of an update

	// unsure says that the frame was lent and was given up, with changes in it
	// that nobody was told of, so that the next picture cannot be compared
	// with it.
	unsure bool
}

// patience is how long the end of a lender's update is waited for, lest those
// who have no picture yet wait for a display that hangs.
const patience = 50 * time.Millisecond

// begin is called when src begins to run. The frame of the last one was given
// up by then.
func (l *lent) begin(src Source) {
	by, ok := src.(Lender)
	if !ok || !by.Lends() {
		by = nil
	}
	*l = lent{by: by, unsure: l.unsure}
}

// bounds is the picture as a rectangle.
func (e *engine) bounds() image.Rectangle { return image.Rectangle{Max: e.size} }

// fits reports whether the frame is of the size that was announced last.
func (e *engine) fits() bool { return e.frame != nil && e.frame.Rect() == e.bounds() }

// hasPixels reports whether viewers can be sent something of the picture.
func (e *engine) hasPixels() bool {
	return e.shown && e.fits() && (!e.lent.now || e.canLook())
}

// borrow has the picture of a source that lends it stand still, and takes what
// was announced until then, which is just what is in it.
func (e *engine) borrow(now time.Time) {
	l := &e.lent
	if l.by == nil || !e.canLook() {
		return
	}
	f, err := l.by.Lend(l.insist)
	if err != nil {
		e.blocked, l.again = true, now.Add(patience)
		return
	}
	l.held = true
	e.readMail()
	if f.Rect() != e.bounds() {
		e.giveBack() // its size is still to be announced
		e.blocked, l.again = true, now.Add(patience)
		return
	}
	if !l.now || e.frame != f {
		e.frame, l.now, l.unsure = f, true, false
		e.finder.Distrust()
		e.doubt.region.Clear()
		e.s.stats.frameBytes.Store(int64(4 * f.Width * f.Height))
	}
}

// giveBack ends what borrow began.
func (e *engine) giveBack() {
	if e.lent.held {
		e.lent.held = false
		e.lent.by.TakeBack()
	}
}

// insist has it tried again, where it is time, what a lender was too busy for.
func (e *engine) insist(now time.Time) {
	if l := &e.lent; !l.again.IsZero() && !now.Before(l.again) {
		e.blocked, l.insist, l.again = false, true, time.Time{}
	}
}

// copyFrame returns a copy of what is shown, which must be something.
func (e *engine) copyFrame() *pixel.Frame {
	if !e.lent.now {
		return e.frame.Clone()
	}
	// Where this fails the frame is not in use any more.
	if _, err := e.lent.by.Lend(true); err == nil {
		defer e.lent.by.TakeBack()
	}
	return e.frame.Clone()
}

// sourceReturned says that a source's Run has returned, before anybody is
// asked what comes next: a frame that it lent is the engine's from now on.
type sourceReturned struct{ gen uint64 }

func (ev sourceReturned) do(e *engine) {
	if ev.gen == e.active.gen && e.lent.now {
		e.lent.now, e.lent.unsure = false, true
	}
}
