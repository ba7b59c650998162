package rfb

import (
	"image"

	"github.com/ironglass/ironglass/rfb/encoding"
	"github.com/ironglass/ironglass/rfb/pixel"
)

// cursorState is the pointer as the source announced it. Viewers who asked for
// its shape draw it themselves; the others have it painted into the picture
// that they are sent, never into the frame itself.
type cursorState struct {
	shape  *pixel.Cursor // nil where unknown: then it is not painted
	at     image.Point
	serial uint64 // of this shape at this place; never 0 once set
	// told is set once a source has said a shape. Until then viewers are sent
	// none: a source that never says one has the pointer in its picture.
	told bool
}

// rect is where the pointer covers the picture.
func (c *cursorState) rect() image.Rectangle {
	if c.shape == nil {
		return image.Rectangle{}
	}
	corner := c.at.Sub(image.Pt(c.shape.HotX, c.shape.HotY))
	return image.Rectangle{Min: corner, Max: corner.Add(image.Pt(c.shape.Width, c.shape.Height))}
}

// painted returns a copy of frame's rectangle r, moved to the origin, with the
// pointer in it.
func (c *cursorState) painted(frame *pixel.Frame, r image.Rectangle) *pixel.Frame {
	f := pixel.NewFrame(r.Dx(), r.Dy())
	for y := range r.Dy() {
		copy(f.Row(y, 0, r.Dx()), frame.Row(r.Min.Y+y, r.Min.X, r.Max.X))
	}
	c.shape.Blend(f, c.at.Sub(r.Min))
	return f
}

// message is the pointer's shape as v takes it, in the form that keeps most.
func (c *cursorState) message(v *viewer) encoding.Piece {
	shape := c.shape
	if shape == nil {
		shape = pixel.DefaultCursor()
	}
	switch {
	case v.can.vmwareCursor:
		return encoding.VMwareCursor(shape)
	case v.can.alphaCursor:
		return encoding.CursorWithAlpha(shape)
	case v.can.cursor:
		return encoding.Cursor(shape, v.params.Format)
	default:
		return encoding.XCursor(shape)
	}
}

// setCursor changes the pointer's shape or place.
func (e *engine) setCursor(shape *pixel.Cursor, at image.Point) {
	old := e.cursor.rect()
	e.cursor.shape, e.cursor.at = shape, at
	e.cursor.serial++
	var touched pixel.Region
	touched.Add(old)
	touched.Add(e.cursor.rect())
	if e.frame == nil || touched.Empty() {
		return
	}
	touched.IntersectRect(e.bounds())
	painted := false
	for v := range e.viewers {
		if v.overlaid {
			painted = true
			v.dirty.Union(&touched)
		}
	}
	if painted {
		for r := range touched.Rects() {
			e.grid.forget(r)
		}
	}
}

// overlay begins or ends painting the pointer into v's picture.
func (e *engine) overlay(v *viewer, on bool) {
	if v.overlaid == on {
		return
	}
	v.overlaid = on
	v.cursorStale = !on
	if r := e.cursor.rect(); e.frame != nil {
		v.dirty.Add(r.Intersect(e.bounds()).Intersect(image.Rectangle{Max: v.size}))
	}
	e.viewersChanged()
}
