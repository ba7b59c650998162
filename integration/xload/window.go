package main

import (
	"context"
	"errors"
	"fmt"
	"image"
	"os"

	"github.com/jezek/xgb/xproto"

	"github.com/ironglass/ironglass/integration/loads"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/x11/xconn"
)

// window fills the screen. It belongs to run's goroutine.
type window struct {
	conn   *xconn.Conn
	screen *xproto.ScreenInfo
	size   image.Point
	id     xproto.Window
	// Graphics contexts: for copies; white and black for the barcode; text.
	copy, white, black, text xproto.Gcontext
	ended                    chan struct{} // the connection is gone
	mapped                   chan struct{} // the window is to be seen
}

// Colours of the barcode: not the extremes, so that nothing clips with loss.
const (
	white = 0xf0f0f0
	black = 0x101010
)

func newWindow(ctx context.Context) (*window, error) {
	conn, err := xconn.Dial(ctx, "", "")
	if err != nil {
		return nil, err
	}
	w := &window{conn: conn, screen: xproto.Setup(conn.Conn).DefaultScreen(conn.Conn),
		ended: make(chan struct{}), mapped: make(chan struct{})}
	if w.screen.RootDepth != 24 {
		return nil, fmt.Errorf("the screen's depth is %d, not 24", w.screen.RootDepth)
	}
	root, err := xproto.GetGeometry(conn.Conn, xproto.Drawable(w.screen.Root)).Reply()
	if err != nil {
		return nil, err
	}
	w.size = image.Pt(int(root.Width), int(root.Height))
	if w.id, err = w.newWindow(w.screen.Root, image.Rectangle{Max: w.size}); err != nil {
		return nil, err
	}
	for _, gc := range []struct {
		id         *xproto.Gcontext
		foreground uint32
	}{{&w.copy, 0}, {&w.white, white}, {&w.black, black}, {&w.text, 0}} {
		if *gc.id, err = xproto.NewGcontextId(conn.Conn); err != nil {
			return nil, err
		}
		xproto.CreateGC(conn.Conn, *gc.id, xproto.Drawable(w.id), xproto.GcForeground|xproto.GcGraphicsExposures,
			[]uint32{gc.foreground, 0})
	}
	font, err := xproto.NewFontId(conn.Conn)
	if err != nil {
		return nil, err
	}
	const name = "fixed" // every X server has it built in
	if err := xproto.OpenFontChecked(conn.Conn, font, uint16(len(name)), name).Check(); err != nil {
		return nil, fmt.Errorf("opening the font %s: %w", name, err)
	}
	xproto.ChangeGC(conn.Conn, w.text, xproto.GcFont, []uint32{uint32(font)})
	go w.events()
	return w, nil
}

// events takes the events until the connection ends.
func (w *window) events() {
	seen := false
	for {
		event, err := w.conn.WaitForEvent()
		switch e := event.(type) {
		case nil:
			if err == nil {
				close(w.ended)
				return
			}
			fmt.Fprintln(os.Stderr, "xload:", err)
		case xproto.ExposeEvent:
			if e.Window == w.id && !seen {
				seen = true
				close(w.mapped)
			}
		}
	}
}

// newWindow creates a window that paints nothing by itself.
func (w *window) newWindow(parent xproto.Window, r image.Rectangle) (xproto.Window, error) {
	id, err := xproto.NewWindowId(w.conn.Conn)
	if err != nil {
		return 0, err
	}
	if err := xproto.CreateWindowChecked(w.conn.Conn, w.screen.RootDepth, id, parent, int16(r.Min.X), int16(r.Min.Y),
		uint16(r.Dx()), uint16(r.Dy()), 0, xproto.WindowClassInputOutput, w.screen.RootVisual,
		xproto.CwEventMask, []uint32{xproto.EventMaskExposure}).Check(); err != nil {
		return 0, fmt.Errorf("creating a window: %w", err)
	}
	return id, nil
}

// background makes a picture what the X server paints a window with.
func (w *window) background(id xproto.Window, f *pixel.Frame) error {
	p, err := w.pixmap(f)
	if err != nil {
		return err
	}
	return xproto.ChangeWindowAttributesChecked(w.conn.Conn, id, xproto.CwBackPixmap, []uint32{uint32(p)}).Check()
}

// show maps the window, waits until it is to be seen, and makes its picture
// frame 0.
func (w *window) show() error {
	xproto.MapSubwindows(w.conn.Conn, w.id)
	xproto.MapWindow(w.conn.Conn, w.id)
	select {
	case <-w.mapped:
	case <-w.ended:
		return errors.New("the display is gone")
	}
	w.barcode(0)
	return w.sync()
}

// barcode draws the number of a frame.
func (w *window) barcode(n uint16) {
	on, off := loads.Cells(n)
	xproto.PolyFillRectangle(w.conn.Conn, xproto.Drawable(w.id), w.white, rectangles(on))
	xproto.PolyFillRectangle(w.conn.Conn, xproto.Drawable(w.id), w.black, rectangles(off))
}

func rectangles(rs []image.Rectangle) []xproto.Rectangle {
	out := make([]xproto.Rectangle, len(rs))
	for i, r := range rs {
		out[i] = xproto.Rectangle{X: int16(r.Min.X), Y: int16(r.Min.Y), Width: uint16(r.Dx()), Height: uint16(r.Dy())}
	}
	return out
}

// pixmap puts a picture into the X server.
func (w *window) pixmap(f *pixel.Frame) (xproto.Pixmap, error) {
	p, err := xproto.NewPixmapId(w.conn.Conn)
	if err != nil {
		return 0, err
	}
	if err := xproto.CreatePixmapChecked(w.conn.Conn, w.screen.RootDepth, p, xproto.Drawable(w.screen.Root),
		uint16(f.Width), uint16(f.Height)).Check(); err != nil {
		return 0, fmt.Errorf("creating a pixmap: %w", err)
	}
	// A request holds 256 kB at most.
	rows := max(1, 200_000/(4*f.Width))
	for y := 0; y < f.Height; y += rows {
		n := min(rows, f.Height-y)
		data := make([]byte, 0, 4*f.Width*n)
		for i := range n {
			for _, p := range f.Row(y+i, 0, f.Width) {
				data = append(data, byte(p), byte(p>>8), byte(p>>16), 0)
			}
		}
		xproto.PutImage(w.conn.Conn, xproto.ImageFormatZPixmap, xproto.Drawable(p), w.copy,
			uint16(f.Width), uint16(n), 0, int16(y), 0, w.screen.RootDepth, data)
	}
	return p, w.sync()
}

// put copies a pixmap to the window, or a part of it.
func (w *window) put(p xproto.Pixmap, from image.Point, to image.Rectangle) {
	xproto.CopyArea(w.conn.Conn, xproto.Drawable(p), xproto.Drawable(w.id), w.copy, int16(from.X), int16(from.Y),
		int16(to.Min.X), int16(to.Min.Y), uint16(to.Dx()), uint16(to.Dy()))
}

// write writes text in the fixed font, ink on paper, with the upper left
// corner at at.
func (w *window) write(at image.Point, text string) {
	for most := 255; len(text) > 0; {
		n := min(most, len(text))
		xproto.ImageText8(w.conn.Conn, byte(n), xproto.Drawable(w.id), w.text, int16(at.X), int16(at.Y+fontAscent), text[:n])
		at.X, text = at.X+n*fontWidth, text[n:]
	}
}

// The font `fixed`, in pixels.
const (
	fontWidth  = 6
	fontHeight = 13
	fontAscent = 11
)

// colours sets those of text.
func (w *window) colours(ink, paper uint32) {
	xproto.ChangeGC(w.conn.Conn, w.text, xproto.GcForeground|xproto.GcBackground, []uint32{ink, paper})
}

// sync returns when the X server has carried out all that was asked before.
func (w *window) sync() error {
	if _, err := xproto.GetInputFocus(w.conn.Conn).Reply(); err != nil {
		return fmt.Errorf("waiting for the X server: %w", err)
	}
	return nil
}

// grab writes the screen's pixels, four bytes each: blue, green, red, padding.
// One GetImage takes them all, so that no drawing falls in between.
func (w *window) grab(file string) (width, height int, err error) {
	reply, err := xproto.GetImage(w.conn.Conn, xproto.ImageFormatZPixmap, xproto.Drawable(w.screen.Root), 0, 0,
		uint16(w.size.X), uint16(w.size.Y), ^uint32(0)).Reply()
	if err != nil {
		return 0, 0, err
	}
	return w.size.X, w.size.Y, os.WriteFile(file, reply.Data, 0o600)
}
