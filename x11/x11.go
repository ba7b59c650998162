// Package x11 shows an X display as an rfb.Source and types and points on it.
//
// DAMAGE says what changed. The pixels come, best first, from the framebuffer
// file of an Xvfb mapped into memory, from MIT-SHM, or from GetImage. XFixes
// gives the pointer's shape, XTEST takes keys and pointer, RANDR the size.
package x11

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/x11/xconn"
	"github.com/jezek/xgb/xfixes"
	"github.com/jezek/xgb/xproto"
)

// ErrLost is wrapped where the connection to the X server has ended.
var ErrLost = errors.New("the X server is gone")

// ErrUnsupported is wrapped where the X server cannot be shown: an extension
// is missing, or its screen has a depth that is not supported.
var ErrUnsupported = errors.New("this X server cannot be shown")

// Keys says what decides about a key for which a viewer gives both a keysym
// and a scancode.
type Keys int

const (
	// KeysBySymbol types the character that the viewer's user sees on the
	// key, whatever the layouts: a scancode counts only where the display's
	// layout has that very symbol on it, or where there is no character
	// (function keys, modifiers). This suits X programs.
	KeysBySymbol Keys = iota
	// KeysByCode presses the key at the same place of the keyboard. This
	// suits a machine whose own layout is that of the viewer's user.
	KeysByCode
)

// Config is how a display is opened. The zero value shows $DISPLAY.
type Config struct {
	// Display is the display's name, such as ":1"; empty is $DISPLAY.
	Display string
	// Auth is the X authority file; empty is $XAUTHORITY or ~/.Xauthority.
	Auth string
	// Framebuffer is the XWD file that an Xvfb run with -fbdir keeps, or
	// empty.
	Framebuffer string
	// Width and Height, where not zero, are the size in pixels that Open
	// gives the screen through RANDR.
	Width, Height int
	// OwnServer says that the X server is there for this program alone, so
	// that its keyboard may be changed: keys that it keeps to itself while
	// modifiers are held, such as Ctrl+Alt+F2, are made to reach programs,
	// whatever layout is loaded.
	OwnServer bool
	// ViewOnly drops all input.
	ViewOnly bool
	// Keys says what decides about a key.
	Keys Keys
	// Selections says which of X's selections are the viewers' clipboard.
	Selections Selections
	// Rested, if not nil, is called once the screen has not been looked at for
	// some seconds, after it was. It must return at once.
	Rested func()
	// Log takes what happens; nil is discarded.
	Log *slog.Logger
}

// Display is an X display. It implements rfb.Source, rfb.Input, rfb.Resizer
// and rfb.Clipboard. Its goroutines are pump and the keyboard's, which both end with
// the connection: by Close or by the server's end.
type Display struct {
	cfg    Config
	log    *slog.Logger
	conn   *xconn.Conn
	setup  *xproto.SetupInfo
	screen *xproto.ScreenInfo
	root   xproto.Window
	format *format // set by Open

	colours *colours     // owned by the running Run
	cursors *cursorCache // owned by the running Run
	input   *input       // nil where the display is view-only
	sizer   sizer
	leds    *leds // nil where the server does not tell of lights
	where   whereabouts
	hiders  hiders

	picture        picture
	selectionAtoms *selectionAtoms // nil where there is no clipboard
	selections     selectionMail   // from pump and viewers to a Run's clipboard

	mapping atomic.Uint32 // how often the server said that the keyboard's mapping changed

	mu   sync.Mutex // guards what follows
	mail mail       // from pump to Run
	wake chan struct{}
	err  error // why the connection ended

	done chan struct{} // closed by pump at its end
}

// The interfaces that a Display has for its server.
var (
	_ rfb.Source    = (*Display)(nil)
	_ rfb.Input     = (*Display)(nil)
	_ rfb.Resizer   = (*Display)(nil)
	_ rfb.Clipboard = (*Display)(nil)
)

// Open connects to an X display. ctx ends the opening only. The caller must
// Close it, also after the X server is lost.
func Open(ctx context.Context, cfg Config) (*Display, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	conn, err := xconn.Dial(ctx, cfg.Display, cfg.Auth)
	if err != nil {
		return nil, err
	}
	x := &Display{
		cfg: cfg, log: cfg.Log, conn: conn,
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	go x.pump()
	// The steps of opening wait for the server, which may hang: closing the
	// connection ends any wait.
	stop := context.AfterFunc(ctx, conn.Close)
	err = x.open(ctx)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		x.Close()
		return nil, fmt.Errorf("opening X display %s: %w", cfg.Display, err)
	}
	return x, nil
}

func (x *Display) open(ctx context.Context) error {
	x.setup = xproto.Setup(x.conn.Conn)
	if n := x.conn.DefaultScreen; n >= len(x.setup.Roots) {
		return fmt.Errorf("it has no screen %d", n)
	}
	x.screen = x.setup.DefaultScreen(x.conn.Conn)
	x.root = x.screen.Root
	if err := x.startExtensions(); err != nil {
		return err
	}
	if err := x.findFormat(); err != nil {
		return err
	}
	if err := x.openClipboard(); err != nil {
		return err
	}
	const mask = xproto.EventMaskStructureNotify
	if err := xproto.ChangeWindowAttributesChecked(x.conn.Conn, x.root, xproto.CwEventMask, []uint32{mask}).Check(); err != nil {
		return fmt.Errorf("selecting events of the root window: %w", err)
	}
	if x.cfg.Width != 0 && x.cfg.Height != 0 {
		if err := x.SetDesktopSize(ctx, x.cfg.Width, x.cfg.Height, nil); err != nil {
			return err
		}
	}
	g, err := xproto.GetGeometry(x.conn.Conn, xproto.Drawable(x.root)).Reply()
	if err != nil {
		return fmt.Errorf("asking for the size of the screen: %w", err)
	}
	x.colours = newColours(x)
	if _, err := x.colours.update(); err != nil {
		return fmt.Errorf("asking for the colours of the screen: %w", err)
	}
	if err := x.openPicture(int(g.Width), int(g.Height)); err != nil {
		return err
	}
	x.cursors = newCursorCache()
	if !x.cfg.ViewOnly {
		if x.input, err = newInput(x); err != nil {
			return err
		}
	}
	x.log.Info("showing X display", "display", x.cfg.Display, "vendor", x.setup.Vendor,
		"width", g.Width, "height", g.Height, "depth", x.screen.RootDepth, "reader", x.picture.reader.name())
	return nil
}

// hideSprite keeps the pointer's image out of the framebuffer, into which an
// Xvfb paints it. XFixes tells its shape all the same. The server shows it
// again when the connection ends.
func (x *Display) hideSprite() error {
	if err := x.hiders.join(x); err != nil {
		return err
	}
	xfixes.HideCursor(x.conn.Conn, x.root)
	return nil
}

// Done is closed when the connection has ended: by Close, or because the X
// server is gone.
func (x *Display) Done() <-chan struct{} { return x.done }

// Err says why the connection ended; nil while it lasts and after Close.
func (x *Display) Err() error {
	select {
	case <-x.done:
	default:
		return nil
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.err
}

// Close ends the connection and waits until nothing of it is left, two seconds
// at most where the server hangs. A Run that runs ends with ErrLost. It may be
// called more than once.
func (x *Display) Close() error {
	x.mu.Lock()
	x.mail.closing = true
	x.mu.Unlock()
	x.conn.Expire()
	x.input.close()
	x.conn.Close()
	<-x.done
	x.picture.close()
	return nil
}

// lost is the error for a request that failed. Where the connection has ended,
// that is what a person must know. It is not for pump.
func (x *Display) lost(err error) error {
	if !errors.Is(err, io.EOF) && !errors.Is(err, ErrLost) {
		return err
	}
	<-x.done // xgb tells those who wait for a reply first
	if e := x.Err(); e != nil {
		return e
	}
	return ErrLost // closed
}
