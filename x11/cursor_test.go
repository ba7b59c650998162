package x11

import (
	"image"
	"testing"
	"time"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/x11/xvfb"
	"github.com/jezek/xgb/render"
	"github.com/jezek/xgb/xfixes"
	"github.com/jezek/xgb/xproto"
)

// fontCursor gives the painter's window a shape of the cursor font.
func (p *painter) fontCursor(glyph uint16, colour uint16) {
	p.t.Helper()
	font, err := xproto.NewFontId(p.c.Conn)
	p.must(err)
	cursor, err := xproto.NewCursorId(p.c.Conn)
	p.must(err)
	p.must(xproto.OpenFontChecked(p.c.Conn, font, 6, "cursor").Check())
	p.must(xproto.CreateGlyphCursorChecked(p.c.Conn, cursor, font, font, glyph, glyph+1, colour, 0, 0, 0, 0, 0).Check())
	p.must(xproto.ChangeWindowAttributesChecked(p.c.Conn, p.win, xproto.CwCursor, []uint32{uint32(cursor)}).Check())
}

// alphaCursor gives it a shape of one colour, given as XRender has it: with
// the components multiplied by alpha.
func (p *painter) alphaCursor(w, h int, premultiplied uint32, hot image.Point) {
	p.t.Helper()
	p.must(p.c.Extension("RENDER"))
	formats, err := render.QueryPictFormats(p.c.Conn).Reply()
	p.must(err)
	var argb render.Pictformat
	for _, f := range formats.Formats {
		if f.Depth == 32 && f.Direct.AlphaMask == 0xff && f.Direct.AlphaShift == 24 && f.Direct.RedShift == 16 {
			argb = f.Id
		}
	}
	pixmap, err := xproto.NewPixmapId(p.c.Conn)
	p.must(err)
	picture, err := render.NewPictureId(p.c.Conn)
	p.must(err)
	gc, err := xproto.NewGcontextId(p.c.Conn)
	p.must(err)
	cursor, err := xproto.NewCursorId(p.c.Conn)
	p.must(err)
	xproto.CreatePixmap(p.c.Conn, 32, pixmap, xproto.Drawable(p.root), uint16(w), uint16(h))
	xproto.CreateGC(p.c.Conn, gc, xproto.Drawable(pixmap), xproto.GcForeground, []uint32{premultiplied})
	xproto.PolyFillRectangle(p.c.Conn, xproto.Drawable(pixmap), gc, []xproto.Rectangle{{Width: uint16(w), Height: uint16(h)}})
	render.CreatePicture(p.c.Conn, picture, xproto.Drawable(pixmap), argb, 0, nil)
	p.must(render.CreateCursorChecked(p.c.Conn, cursor, picture, uint16(hot.X), uint16(hot.Y)).Check())
	p.must(xproto.ChangeWindowAttributesChecked(p.c.Conn, p.win, xproto.CwCursor, []uint32{uint32(cursor)}).Check())
}

func TestCursor(t *testing.T) {
	s := startXvfb(t, xvfb.Config{Width: 640, Height: 480})
	x := open(t, config(s))
	p := newPainter(t, s, image.Rect(0, 0, 320, 480), 0)
	r, stop := run(t, x)
	x.PointerEvent(rfb.PointerEvent{X: 100, Y: 100})

	p.alphaCursor(7, 5, 0x80402010, image.Pt(3, 2))
	r.wait(t, "a shape with alpha", func() bool {
		c := r.cursor
		// 0x40 of 0x80 is half.
		return c != nil && c.Width == 7 && c.Height == 5 && c.HotX == 3 && c.HotY == 2 && len(c.Pix) == 35 && c.Pix[17] == 0x80804020
	})
	p.alphaCursor(3, 3, 0, image.Pt(1, 1))
	r.wait(t, "a shape that cannot be seen", func() bool { return r.cursor.Width == 3 && r.cursor.Pix[4] == 0 })
	p.fontCursor(34, 0xffff) // a crosshair
	r.wait(t, "a red shape", func() bool {
		for _, v := range r.cursor.Pix {
			if v == 0xffff0000 {
				return true
			}
		}
		return false
	})
	red := r.cursor
	// Out of the window and in again: known shapes, of which nothing is asked.
	x.PointerEvent(rfb.PointerEvent{X: 500, Y: 100})
	r.wait(t, "another shape", func() bool { return r.cursor != red })
	x.PointerEvent(rfb.PointerEvent{X: 100, Y: 100})
	r.wait(t, "the same shape again", func() bool { return r.cursor == red })
	if n := len(x.cursors.shapes); n > cursorsKept {
		t.Errorf("%d shapes are kept", n)
	}

	// No image of the pointer may be in the mapped framebuffer.
	v := &viewer{x: x, r: r}
	v.settle(t, p)

	// A viewer's own movements are not told back to it; a program's are.
	r.mu.Lock()
	moves := r.pointers
	r.mu.Unlock()
	xproto.WarpPointer(p.c.Conn, 0, p.root, 0, 0, 0, 0, 600, 400)
	r.wait(t, "the pointer that a program moved", func() bool { return r.pointer == image.Pt(600, 400) && r.pointers == moves+1 })
	// Nor is it told twice, nor forgotten where a viewer was elsewhere meanwhile.
	x.PointerEvent(rfb.PointerEvent{X: 30, Y: 30})
	r.wait(t, "the shape of the window", func() bool { return r.cursor == red })
	v.settle(t, p)
	warpAndPaint := func() {
		xproto.WarpPointer(p.c.Conn, 0, p.root, 0, 0, 0, 0, 31, 32)
		p.fill(image.Rect(0, 0, 9, 9), 0x123456)
	}
	warpAndPaint() // in the same window, so the shape stays
	r.wait(t, "the pointer that a program that draws moved", func() bool { return r.pointer == image.Pt(31, 32) && r.pointers == moves+2 })
	at := func() image.Point {
		q, err := xproto.QueryPointer(p.c.Conn, p.root).Reply()
		p.must(err)
		return image.Pt(int(q.RootX), int(q.RootY))
	}
	goesTo := func(want image.Point) {
		t.Helper()
		for deadline := time.Now().Add(patience); at() != want; {
			if time.Now().After(deadline) {
				t.Fatalf("the pointer is at %v, not at %v", at(), want)
			}
		}
	}
	x.PointerEvent(rfb.PointerEvent{X: 40, Y: 40})
	goesTo(image.Pt(40, 40))
	v.settle(t, p)
	warpAndPaint()
	r.wait(t, "the pointer moved to the same place again", func() bool { return r.pointer == image.Pt(31, 32) && r.pointers == moves+3 })
	// Motion that was not asked for moves it from where it is.
	x.PointerEvent(rfb.PointerEvent{Relative: true, X: 5, Y: -7})
	goesTo(image.Pt(36, 25))
	p.fill(image.Rect(0, 0, 9, 9), 0x654321)
	r.wait(t, "the pointer after a motion", func() bool { return r.pointer == image.Pt(36, 25) })
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// The colours of a shape are those that multiplied by alpha give what the
// program drew, for all there are.
func TestCursorColoursAreExact(t *testing.T) {
	for a := range uint32(256) {
		for v := range a + 1 {
			// Full colours are the program's own.
			want := a<<24 | v<<16 | (a-v)<<8 | v/2
			c := cursorShape(&xfixes.GetCursorImageReply{Width: 1, Height: 1, CursorImage: []uint32{want}})
			got := c.Pix[0] & 0xff000000
			for shift := 0; shift < 24; shift += 8 {
				got |= (c.Pix[0]>>shift&0xff*a + 127) / 255 << shift
			}
			if got != want {
				t.Fatalf("%08x became %08x, which is drawn as %08x", want, c.Pix[0], got)
			}
		}
	}
}

// A drag begins and ends where the viewer's did, however busy the server is.
func TestDrag(t *testing.T) {
	s := startXvfb(t, xvfb.Config{Width: 640, Height: 480})
	x := open(t, config(s))
	p := newPainter(t, s, image.Rect(0, 0, 640, 480), xproto.EventMaskButtonPress|xproto.EventMaskButtonRelease)
	run(t, x)
	for n := range 50 {
		for i := range 40 {
			x.PointerEvent(rfb.PointerEvent{X: 100 + n + i, Y: 50, Buttons: 1})
		}
		for i := range 40 {
			x.PointerEvent(rfb.PointerEvent{X: 300 + n + i, Y: 50})
		}
	}
	for n := range 100 {
		var got, want int
		for got == 0 {
			ev, err := p.c.WaitForEvent()
			switch ev := ev.(type) {
			case xproto.ButtonPressEvent:
				got, want = int(ev.RootX), 100+n/2
			case xproto.ButtonReleaseEvent:
				got, want = int(ev.RootX), 300+n/2
			case nil:
				t.Fatal("no event:", err)
			}
		}
		if got != want {
			t.Fatalf("button event %d is at %d, want %d", n, got, want)
		}
	}
}

func TestCursorCacheIsBounded(t *testing.T) {
	c := newCursorCache()
	for n := range uint32(3 * cursorsKept) {
		c.add(n, nil)
		c.add(n, nil)
	}
	if len(c.shapes) != cursorsKept || len(c.order) != cursorsKept {
		t.Errorf("%d shapes in %d places", len(c.shapes), len(c.order))
	}
	if _, ok := c.shapes[3*cursorsKept-1]; !ok {
		t.Error("the newest is forgotten")
	}
}

func TestPointer(t *testing.T) {
	s := startXvfb(t, xvfb.Config{Width: 640, Height: 480})
	x := open(t, config(s))
	p := newPainter(t, s, image.Rect(0, 0, 640, 480), xproto.EventMaskButtonPress|xproto.EventMaskButtonRelease|xproto.EventMaskPointerMotion)
	run(t, x)
	next := func() any {
		for {
			ev, err := p.c.WaitForEvent()
			switch ev := ev.(type) {
			case xproto.ButtonPressEvent, xproto.ButtonReleaseEvent:
				return ev
			case nil:
				t.Fatal("no event:", err)
			}
		}
	}
	for n := range 9 { // left, middle, right, wheel up, down, left, right, back, forward
		at := image.Pt(10+n, 20+n)
		x.PointerEvent(rfb.PointerEvent{X: at.X, Y: at.Y, Buttons: 1 << n})
		x.PointerEvent(rfb.PointerEvent{X: at.X, Y: at.Y, Buttons: 1 << n}) // nothing new
		if ev, ok := next().(xproto.ButtonPressEvent); !ok || int(ev.Detail) != n+1 || image.Pt(int(ev.RootX), int(ev.RootY)) != at {
			t.Fatalf("button %d at %v: %+v", n+1, at, ev)
		}
		x.PointerEvent(rfb.PointerEvent{X: at.X + 100, Y: at.Y})
		if ev, ok := next().(xproto.ButtonReleaseEvent); !ok || int(ev.Detail) != n+1 || int(ev.RootX) != at.X+100 {
			t.Fatalf("button %d let go at %v: %+v", n+1, at, ev)
		}
	}
	// Far outside is at the edge.
	x.PointerEvent(rfb.PointerEvent{X: 1 << 20, Y: -5, Buttons: 1})
	if ev, ok := next().(xproto.ButtonPressEvent); !ok || ev.RootX != 639 || ev.RootY != 0 {
		t.Errorf("outside: %+v", ev)
	}
}

func TestViewOnly(t *testing.T) {
	s := startXvfb(t, xvfb.Config{Width: 640, Height: 480})
	cfg := config(s)
	cfg.ViewOnly = true
	x := open(t, cfg)
	p := newPainter(t, s, image.Rect(0, 0, 640, 480), xproto.EventMaskKeyPress|xproto.EventMaskButtonPress)
	r, _ := run(t, x)
	x.PointerEvent(rfb.PointerEvent{X: 7, Y: 8, Buttons: 1})
	x.KeyEvent(rfb.KeyEvent{Down: true, Keysym: 'a'})
	(&viewer{x: x, r: r}).settle(t, p)
	q, err := xproto.QueryPointer(p.c.Conn, p.root).Reply()
	p.must(err)
	if image.Pt(int(q.RootX), int(q.RootY)) == image.Pt(7, 8) || q.Mask != 0 {
		t.Errorf("a view-only display took input: %+v", q)
	}
}
