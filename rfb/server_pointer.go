package rfb

import (
	"image"

	"github.com/ironglass/ironglass/rfb/wire"
)

// place follows a pointer that is told by positions or by motion.
type place struct {
	at    image.Point
	known bool
}

// goTo moves the pointer to a position inside bounds and returns by how much;
// the first time it does not move.
func (p *place) goTo(at image.Point, bounds image.Rectangle) (by image.Point) {
	at.X = max(bounds.Min.X, min(at.X, bounds.Max.X-1))
	at.Y = max(bounds.Min.Y, min(at.Y, bounds.Max.Y-1))
	if p.known {
		by = at.Sub(p.at)
	}
	p.at, p.known = at, true
	return by
}

// move hands a viewer's pointer to the source: its position, or its motion
// where the source wants that. Either is made of the other where the viewer
// sends the other, which it may do for a while after it was told to change.
func (in *input) move(v *viewer, m wire.PointerEvent) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.target == nil || in.bounds.Empty() || v.barred.Load() {
		return
	}
	h := &v.hands
	in.fresh(h)
	h.buttons = m.Buttons
	by, isMotion := m.Motion()
	if isMotion = isMotion && v.motion.Load(); isMotion {
		h.place.goTo(h.place.at.Add(by), in.bounds)
	} else {
		by = h.place.goTo(image.Pt(m.X, m.Y), in.bounds)
	}
	in.point(h, by)
	in.watchLocked(v)
}

// point tells the source where h's pointer is, or that it moved.
func (in *input) point(h *hands, by image.Point) {
	if in.relative.Load() {
		in.target.PointerEvent(PointerEvent{Relative: true, X: by.X, Y: by.Y, Buttons: h.buttons})
		return
	}
	at := h.place.at
	in.put.Store(packed(at))
	in.target.PointerEvent(PointerEvent{X: at.X, Y: at.Y, Buttons: h.buttons})
	if in.painted.Load() {
		in.mail.put(in.gen, func(b *mailbox) { b.news.pointer = &at })
	}
}

// packed is a position as one number, never 0.
func packed(p image.Point) uint64 { return 1<<63 | uint64(uint32(p.X))<<32 | uint64(uint32(p.Y)) }

// setRelative changes what viewers are to send.
func (e *engine) setRelative(relative bool) {
	if e.relative == relative {
		return
	}
	e.relative = relative
	for v := range e.viewers {
		v.motionStale = v.can.pointerMotion
	}
}

// warp notes that the source moved the pointer.
func (e *engine) warp(at image.Point) {
	for v := range e.viewers {
		if v.can.cursorPosition {
			v.warp = &at
		}
	}
}

// pointerExtras adds the pseudo-rectangles of the pointer that are due.
func (e *engine) pointerExtras(v *viewer, u *update) {
	if v.can.buttons && !v.buttonsTold {
		u.raw(wire.RectangleHeader{Encoding: wire.PseudoExtendedMouseButtons}.Append(nil))
		v.buttonsTold = true
	}
	if v.motionStale {
		if e.relative {
			v.motion.Store(true)
		}
		u.raw(wire.AppendPointerMotion(nil, e.relative))
		v.motionStale = false
	}
	if v.warp != nil {
		u.raw(wire.AppendCursorPosition(nil, *v.warp))
		v.warp = nil
	}
}
