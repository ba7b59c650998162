package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"
)

// window is the picture's window. It belongs to the goroutine of run.
type window struct {
	conn    *xgb.Conn
	log     io.Writer
	screen  *xproto.ScreenInfo
	id      xproto.Window
	gc      xproto.Gcontext
	font    bool // gc has a font
	command xproto.Atom
	keys    *keyboard

	width, height uint16 // in pixels
	backing       xproto.Pixmap
}

func newWindow(conn *xgb.Conn, log io.Writer, hideCursor bool) (*window, error) {
	w := &window{conn: conn, log: log, screen: xproto.Setup(conn).DefaultScreen(conn)}
	if w.screen.RootDepth != 24 {
		return nil, fmt.Errorf("the screen's depth is %d, not 24", w.screen.RootDepth)
	}
	var err error
	if w.command, err = atom(conn, commandProperty); err != nil {
		return nil, err
	}
	if w.keys, err = readKeyboard(conn); err != nil {
		return nil, err
	}
	if w.id, err = xproto.NewWindowId(conn); err != nil {
		return nil, err
	}
	gc, err := xproto.NewGcontextId(conn)
	if err != nil {
		return nil, err
	}
	w.gc = gc
	root, err := xproto.GetGeometry(conn, xproto.Drawable(w.screen.Root)).Reply()
	if err != nil {
		return nil, err
	}
	w.width, w.height = root.Width, root.Height
	if err := xproto.CreateWindowChecked(conn, w.screen.RootDepth, w.id, w.screen.Root, 0, 0, w.width, w.height, 0,
		xproto.WindowClassInputOutput, w.screen.RootVisual, xproto.CwBackPixel|xproto.CwEventMask, []uint32{
			w.screen.BlackPixel,
			xproto.EventMaskExposure | xproto.EventMaskStructureNotify | xproto.EventMaskKeyPress |
				xproto.EventMaskKeyRelease | xproto.EventMaskButtonPress | xproto.EventMaskButtonRelease,
		}).Check(); err != nil {
		return nil, fmt.Errorf("creating the window: %w", err)
	}
	const title = "picture"
	xproto.ChangeProperty(conn, xproto.PropModeReplace, w.id, xproto.AtomWmName, xproto.AtomString, 8,
		uint32(len(title)), []byte(title))
	// Root: its size, and the commands.
	xproto.ChangeWindowAttributes(conn, w.screen.Root, xproto.CwEventMask,
		[]uint32{xproto.EventMaskStructureNotify | xproto.EventMaskPropertyChange})
	xproto.CreateGC(conn, w.gc, xproto.Drawable(w.id), xproto.GcGraphicsExposures, []uint32{0})
	if font, err := xproto.NewFontId(conn); err == nil {
		const name = "fixed"
		if xproto.OpenFontChecked(conn, font, uint16(len(name)), name).Check() == nil {
			xproto.ChangeGC(conn, w.gc, xproto.GcFont, []uint32{uint32(font)})
			w.font = true
		}
	}
	if hideCursor {
		if err := w.hideCursor(); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// hideCursor gives the window and the root an empty pointer shape.
func (w *window) hideCursor() error {
	mask, err := xproto.NewPixmapId(w.conn)
	if err != nil {
		return err
	}
	cursor, err := xproto.NewCursorId(w.conn)
	if err != nil {
		return err
	}
	gc, err := xproto.NewGcontextId(w.conn)
	if err != nil {
		return err
	}
	xproto.CreatePixmap(w.conn, 1, mask, xproto.Drawable(w.screen.Root), 1, 1)
	xproto.CreateGC(w.conn, gc, xproto.Drawable(mask), xproto.GcForeground, []uint32{0})
	xproto.PolyFillRectangle(w.conn, xproto.Drawable(mask), gc, []xproto.Rectangle{{Width: 1, Height: 1}})
	xproto.CreateCursor(w.conn, cursor, mask, mask, 0, 0, 0, 0, 0, 0, 0, 0)
	for _, window := range []xproto.Window{w.id, w.screen.Root} {
		if err := xproto.ChangeWindowAttributesChecked(w.conn, window, xproto.CwCursor, []uint32{uint32(cursor)}).Check(); err != nil {
			return fmt.Errorf("hiding the pointer: %w", err)
		}
	}
	return nil
}

func (w *window) say(format string, args ...any) {
	fmt.Fprintf(w.log, format+"\n", args...)
}

// run draws, answers commands and tells of input until the connection ends.
func (w *window) run(seed uint64) error {
	w.say("display %s %s", os.Getenv("DISPLAY"), os.Getenv("XAUTHORITY"))
	if err := w.draw(seed); err != nil {
		return err
	}
	xproto.MapWindow(w.conn, w.id)
	if err := w.sync(); err != nil {
		return err
	}
	w.say("pid %d", os.Getpid())
	for {
		event, err := w.conn.WaitForEvent()
		if event == nil && err == nil {
			return errors.New("the display is gone")
		}
		if err != nil {
			w.say("error %v", err)
			continue
		}
		if err := w.handle(event); err != nil {
			return err
		}
	}
}

func (w *window) handle(event xgb.Event) error {
	switch e := event.(type) {
	case xproto.MapNotifyEvent:
		// Where no window manager does it.
		xproto.SetInputFocus(w.conn, xproto.InputFocusPointerRoot, w.id, xproto.TimeCurrentTime)
		if err := w.sync(); err != nil {
			return err
		}
		w.say("mapped")
	case xproto.ExposeEvent:
		xproto.CopyArea(w.conn, xproto.Drawable(w.backing), xproto.Drawable(w.id), w.gc,
			int16(e.X), int16(e.Y), int16(e.X), int16(e.Y), e.Width, e.Height)
	case xproto.ConfigureNotifyEvent:
		if e.Window == w.screen.Root && (e.Width != w.width || e.Height != w.height) {
			w.width, w.height = e.Width, e.Height
			xproto.ConfigureWindow(w.conn, w.id, xproto.ConfigWindowX|xproto.ConfigWindowY|
				xproto.ConfigWindowWidth|xproto.ConfigWindowHeight, []uint32{0, 0, uint32(e.Width), uint32(e.Height)})
			if err := w.draw(uint64(e.Width) ^ uint64(e.Height)<<16); err != nil {
				return err
			}
			if err := w.sync(); err != nil {
				return err
			}
			w.say("resized %dx%d", e.Width, e.Height)
		}
	case xproto.MappingNotifyEvent:
		keys, err := readKeyboard(w.conn)
		if err != nil {
			return err
		}
		w.keys = keys
	case xproto.KeyPressEvent:
		w.say("key down %s", w.keys.describe(e.Detail, e.State))
	case xproto.KeyReleaseEvent:
		w.say("key up %s", w.keys.describe(e.Detail, e.State))
	case xproto.ButtonPressEvent:
		w.say("button down %d %d %d", e.Detail, e.RootX, e.RootY)
	case xproto.ButtonReleaseEvent:
		w.say("button up %d %d %d", e.Detail, e.RootX, e.RootY)
	case xproto.PropertyNotifyEvent:
		if e.Atom == w.command && e.State == xproto.PropertyNewValue {
			return w.obey()
		}
	}
	return nil
}

// obey carries out the command on the root window and says so when the X
// server has done all of it.
func (w *window) obey() error {
	reply, err := xproto.GetProperty(w.conn, true, w.screen.Root, w.command, xproto.AtomString, 0, 64).Reply()
	if err != nil || len(reply.Value) == 0 {
		return err
	}
	command := string(reply.Value)
	words := strings.Fields(command)
	var n uint64
	if len(words) == 2 {
		if n, err = strconv.ParseUint(words[1], 10, 64); err != nil {
			return fmt.Errorf("command %q: %w", command, err)
		}
	}
	switch words[0] {
	case "draw":
		err = w.draw(n)
	case "golden":
		err = w.golden(n)
	case "scroll":
		w.scroll(n)
	case "bustle":
		err = w.bustle(n)
	default:
		err = fmt.Errorf("there is no command %q", command)
	}
	if err != nil {
		return err
	}
	if err := w.sync(); err != nil {
		return err
	}
	w.say("done %s", command)
	return nil
}

// sync returns when the X server has carried out all that was asked before.
func (w *window) sync() error {
	if _, err := xproto.GetInputFocus(w.conn).Reply(); err != nil {
		return fmt.Errorf("waiting for the X server: %w", err)
	}
	return nil
}
