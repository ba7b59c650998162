package x11

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/x11/xconn"
	"github.com/jezek/xgb"
	"github.com/jezek/xgb/res"
	"github.com/jezek/xgb/xproto"
)

// hiders is how it is found out whether an X program hides the pointer
// (XFixesHideCursor). That changes neither its shape nor its serial number and
// is no event. But what the X server notes for it counts as one of the
// program's resources, which the X-Resource extension tells anybody.
type hiders struct {
	usable bool        // the server has X-Resource; set by Open
	kind   xproto.Atom // the name of such resources
	// readers is a property of the root window: the resource bases of those
	// that hide the pointer only to keep it out of the framebuffer.
	readers xproto.Atom
	// motion is set while Run wants to know of a viewer's next movement.
	motion atomic.Bool
}

// startHiders looks for the extension.
func (x *Display) startHiders() error {
	if err := x.conn.Extension("X-Resource"); errors.Is(err, xconn.ErrNoExtension) {
		return nil
	} else if err != nil {
		return err
	}
	for _, a := range []struct {
		name string
		atom *xproto.Atom
	}{{"XFixesCursorHideCount", &x.hiders.kind}, {"IRONGLASS_READERS", &x.hiders.readers}} {
		r, err := xproto.InternAtom(x.conn.Conn, false, uint16(len(a.name)), a.name).Reply()
		if err != nil {
			return fmt.Errorf("asking for the name %s: %w", a.name, err)
		}
		*a.atom = r.Atom
	}
	x.hiders.usable = true
	return nil
}

// clients asks for the resource bases of all clients of the server, and of
// those among them that are readers.
func (h *hiders) clients(x *Display) (all, readers []uint32, err error) {
	c := x.conn.Conn
	var clients res.QueryClientsCookie
	var property xproto.GetPropertyCookie
	x.conn.Batch(func() {
		clients = res.QueryClients(c)
		property = xproto.GetProperty(c, false, x.root, h.readers, xproto.AtomCardinal, 0, 1<<10)
	})
	r, err := clients.Reply()
	if err != nil {
		return nil, nil, fmt.Errorf("asking for the clients of the X server: %w", err)
	}
	p, err := property.Reply()
	if err != nil {
		return nil, nil, fmt.Errorf("asking for the readers of the screen: %w", err)
	}
	for _, client := range r.Clients {
		all = append(all, client.ResourceBase)
	}
	if p.Format == 32 {
		for b := p.Value; len(b) >= 4; b = b[4:] {
			if base := xgb.Get32(b); slices.Contains(all, base) {
				readers = append(readers, base)
			}
		}
	}
	return all, readers, nil
}

// join makes this connection known as one that hides the pointer for itself.
func (h *hiders) join(x *Display) error {
	if !h.usable {
		return nil
	}
	_, readers, err := h.clients(x)
	if err != nil || slices.Contains(readers, x.setup.ResourceIdBase) {
		return err
	}
	b := make([]byte, 4*len(readers)+4)
	for i, base := range append(readers, x.setup.ResourceIdBase) {
		xgb.Put32(b[4*i:], base)
	}
	xproto.ChangeProperty(x.conn.Conn, xproto.PropModeReplace, x.root, h.readers, xproto.AtomCardinal, 32, uint32(len(b)/4), b)
	return nil
}

// hidden asks whether a program hides the pointer.
func (h *hiders) hidden(x *Display) (bool, error) {
	all, readers, err := h.clients(x)
	if err != nil {
		return false, err
	}
	var asked []res.QueryClientResourcesCookie
	x.conn.Batch(func() {
		for _, base := range all {
			if base != x.setup.ResourceIdBase && !slices.Contains(readers, base) {
				asked = append(asked, res.QueryClientResources(x.conn.Conn, base))
			}
		}
	})
	found := false
	for _, cookie := range asked {
		r, err := cookie.Reply()
		var gone xgb.Error
		switch {
		case errors.As(err, &gone): // a client that has ended meanwhile
		case err != nil:
			return false, fmt.Errorf("asking who hides the pointer: %w", err)
		default:
			found = found || slices.ContainsFunc(r.Types, func(t res.Type) bool { return t.ResourceType == h.kind && t.Count > 0 })
		}
	}
	return found, nil
}

// When it is looked whether the pointer is hidden: soon after something has
// happened, for programs that hide or show it do that mostly where they draw,
// change its shape or see it moved; and some more times after that, with ever
// longer pauses, for some hide it when nothing has happened for a while. Then
// never until something happens again. A program that draws at a pace must not
// have a frame wait for a look, so that is between two frames: some time after
// one, or after none has come for a while.
const (
	hidingSoon  = 60 * time.Millisecond
	hidingPause = time.Second            // at least, while things happen without a pause and it is not hidden
	hidingNext  = 100 * time.Millisecond // a quarter of the pause after the first look, and so on
	hidingLast  = 7 * time.Second        // no look after a pause longer than that

	hidingAfter = 8 * time.Millisecond // half of a frame
	hidingCalm  = 60 * time.Millisecond
)

// lookState is how far a look has come.
type lookState uint8

const (
	lookPlanned lookState = iota
	lookDue               // when something has happened, or nothing for a while
	lookSet               // when the timer ends, whatever happens
)

// sprite is what a Run knows of the pointer's picture. It is owned by that.
type sprite struct {
	shape  *pixel.Cursor
	hidden bool

	timer  *time.Timer // the next step to a look
	state  lookState
	due    time.Time // when it is due; zero is never
	pause  time.Duration
	looked time.Time
}

func newSprite() *sprite {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return &sprite{timer: t}
}

// wait plans the next look, unless one comes earlier.
func (s *sprite) wait(now time.Time, d time.Duration) {
	if at := now.Add(d); s.due.IsZero() || at.Before(s.due) {
		s.due = at
		s.timer.Reset(d)
	}
}

// stir plans a look as something happens.
func (s *sprite) stir(now time.Time) {
	switch s.state {
	case lookDue:
		s.state = lookSet
		s.timer.Reset(hidingAfter)
		return
	case lookSet:
		return
	}
	d := hidingSoon
	if !s.due.IsZero() && !s.due.After(now.Add(d)) {
		return // it comes by itself
	}
	if since := now.Sub(s.looked); s.hidden || since >= hidingPause {
		s.pause = hidingNext
	} else {
		d = max(d, hidingPause-since)
		s.pause = min(s.pause, hidingPause)
	}
	s.wait(now, d)
}

// now is called when the timer has ended, and reports whether to look now.
func (s *sprite) now() bool {
	if s.state != lookPlanned {
		return true
	}
	s.state = lookDue
	s.timer.Reset(hidingCalm)
	return false
}

// rest plans the next look after one.
func (s *sprite) rest(now time.Time) {
	s.looked, s.due, s.state = now, time.Time{}, lookPlanned
	if s.pause *= 4; s.pause <= hidingLast {
		s.wait(now, s.pause)
	}
}

// stir is called when something happens after which the pointer may be hidden
// or shown.
func (f *follower) stir() {
	if f.x.hiders.usable {
		f.sprite.stir(time.Now())
	}
}

// look finds out whether the pointer is hidden, and announces what is new.
func (f *follower) look() error {
	hidden, err := f.x.hiders.hidden(f.x)
	if err != nil {
		return err
	}
	if hidden != f.sprite.hidden {
		f.sprite.hidden = hidden
		f.showShape()
	}
	f.sprite.rest(time.Now())
	f.x.hiders.motion.Store(true)
	return nil
}

// showShape announces the shape, or that there is none to be seen.
func (f *follower) showShape() {
	if f.sprite.hidden {
		f.d.SetCursor(new(pixel.Cursor))
	} else {
		f.d.SetCursor(f.sprite.shape)
	}
}
