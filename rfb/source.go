package rfb

import (
	"context"
	"image"
	"slices"

	"github.com/ironglass/ironglass/rfb/pixel"
)

// Source is a picture that changes: an X display, another RFB server, a
// painted notice. A Server shows one Source to any number of viewers.
//
// A Source may also implement Lender, Input, Resizer, Clipboard and Power.
type Source interface {
	// Run follows the display and announces to d what happens to it, until
	// ctx ends (it then returns nil or the context's error) or the display is
	// lost (an error that says why). The server starts it for the first
	// viewer and ends it after the last; it may be called again afterwards,
	// never twice at a time. Run announces the size with d.Resize before any
	// Damage and Copy; what is no pixel, such as the name, may be known
	// before. It returns only when no goroutine of it uses d any more.
	Run(ctx context.Context, d *Desktop) error

	// Grab calls use once, with a view that holds the display's present
	// pixels inside r. Outside r the view's pixels may be stale. The view
	// belongs to the source: it is valid until use returns, must not be
	// written, and its pad bytes are undefined. It may be smaller or larger
	// than the size last announced; a Resize then follows.
	//
	// Only the server's loop calls Grab, one call at a time, and only while
	// Run runs. An error means that the pixels could not be had; the region
	// stays damaged and Run is expected to end with the reason.
	Grab(r *pixel.Region, use func(view *pixel.Frame)) error
}

// Lender is a Source that has its picture in a frame of its own, keeps it up to
// date by itself, and announces nothing that has not changed. The server then
// shows that frame instead of a copy, and does not call Grab.
//
// Lend and TakeBack are called by the server's loop alone, in turn, and may be
// called after Run has returned.
type Lender interface {
	// Lends reports whether Lend may be called. It is asked before each Run.
	Lends() bool
	// Lend returns the frame, which must neither change until TakeBack nor be
	// written by the server. Whatever has been announced before is in it. It
	// does not wait: while a change is being carried out it is ErrBusy, whose
	// end is announced, if only by an empty Damage. Where torn is set it lends
	// the frame in the middle of a change as well; what of it was not announced
	// yet is announced afterwards, but moves of Copy are announced as they are
	// carried out. If that fails too, what was lent before is not written any
	// more. Run leaves it alone once it has returned.
	Lend(torn bool) (*pixel.Frame, error)
	// TakeBack ends what Lend began.
	TakeBack()
}

// Input is a Source that takes keys and the pointer. A Source without it is
// view-only. Calls come one at a time, from any goroutine, only while Run
// runs, and must not wait for the display.
type Input interface {
	KeyEvent(KeyEvent)
	PointerEvent(PointerEvent)
}

// KeyEvent is a key that went down or up (rfbproto 7.5.4 and the QEMU
// Extended Key Event message 7.5.8).
type KeyEvent struct {
	Down bool
	// Keysym is the X11 keysym, 0 where the viewer knows only the key.
	Keysym uint32
	// Keycode is the XT scancode as QEMU defines it (0xe0-prefixed codes have
	// bit 7 set), 0 where the viewer knows only the symbol.
	Keycode uint32
}

// PointerEvent is the pointer's position, or its motion, and buttons (rfbproto
// 7.5.5 and 7.8, "QEMU Pointer Motion Change").
type PointerEvent struct {
	// X and Y are in pixels: of the source's picture, or by how many the
	// pointer moved to the right and down where the event is Relative.
	X, Y int
	// Relative is set while the source wants it (Desktop.SetPointerRelative).
	// Before that is known to all, events of the other kind may still come.
	Relative bool
	// Buttons has bit n set while button n+1 is held: left, middle, right,
	// wheel up, down, left, right, back, forward.
	Buttons uint16
}

// Resizer is a Source whose size a viewer may change (SetDesktopSize,
// rfbproto 7.5.10). It is called like Input; the answer may take time, so it
// is called on the asking viewer's goroutine. On success the source announces
// the new size with Desktop.Resize or SetScreens as well, best before it
// returns. screens are those that are to share the picture; none are one that
// is all of it. An error that wraps ErrProhibited or ErrLayout is told the
// viewer as such.
type Resizer interface {
	SetDesktopSize(ctx context.Context, width, height int, screens []Screen) error
}

// Clipboard is a Source that takes a viewer's clipboard as UTF-8 with "\n"
// line ends. It is called like Input.
type Clipboard interface {
	SetCutText(text string)
}

// Power is a Source that can act on the machine's power as xvp asks (rfbproto
// 7.5.11), while it says so with Desktop.OfferPower. It is called like
// Resizer, and returns when the action was started or is known to fail.
type Power interface {
	Power(ctx context.Context, action PowerAction) error
}

// PowerAction is an XVP message code.
type PowerAction uint8

// The XVP codes that ask for something.
const (
	PowerShutdown PowerAction = 2
	PowerReboot   PowerAction = 3
	PowerReset    PowerAction = 4
)

// LEDState is the set of lit keyboard lights, as in the QEMU LED State
// pseudo-encoding (rfbproto 7.8.x).
type LEDState uint8

// The lights.
const (
	LEDScrollLock LEDState = 1 << iota
	LEDNumLock
	LEDCapsLock
)

// Desktop is what a running Source tells its server. Its methods return at
// once, may be called from any goroutine, and do nothing once the server has
// gone on to another source.
type Desktop struct{ to Announced }

// NewDesktop returns a Desktop for a source that is run by something else than
// a Server, such as a test.
func NewDesktop(to Announced) *Desktop { return &Desktop{to} }

// Announced takes what a source tells a Desktop: each method is called where
// Desktop's of the same name is.
type Announced interface {
	Damage(r *pixel.Region)
	Copy(r image.Rectangle, from image.Point)
	// SetScreens is called for Resize as well, with no screens.
	SetScreens(width, height int, screens []Screen)
	SetCursor(c *pixel.Cursor)
	SetPointer(x, y int)
	SetPointerRelative(relative bool)
	OfferPower(offered bool)
	SetLEDState(l LEDState)
	CutText(text string)
	Bell()
	SetName(name string)
}

// run is one run of a source, and takes what it tells the server.
type run struct {
	s   *Server
	gen uint64
}

func (t run) Damage(r *pixel.Region)                   { t.s.damage(t.gen, r) }
func (t run) Copy(r image.Rectangle, from image.Point) { t.s.copied(t.gen, r, from) }
func (t run) SetScreens(width, height int, l []Screen) { t.s.resized(t.gen, width, height, l) }
func (t run) SetCursor(c *pixel.Cursor)                { t.s.setCursor(t.gen, c) }
func (t run) SetPointer(x, y int)                      { t.s.setPointer(t.gen, image.Pt(x, y)) }
func (t run) SetPointerRelative(relative bool)         { t.s.setPointerRelative(t.gen, relative) }
func (t run) OfferPower(offered bool)                  { t.s.offerPower(t.gen, offered) }
func (t run) SetLEDState(l LEDState)                   { t.s.setLEDState(t.gen, l) }
func (t run) CutText(text string)                      { t.s.cutText(t.gen, text) }
func (t run) Bell()                                    { t.s.bell(t.gen) }
func (t run) SetName(name string)                      { t.s.setName(t.gen, name) }

// Damage says that the pixels of r may have changed. The server looks at them
// with Grab when a viewer wants them, and sends only what really differs. An
// empty r says that a Grab that failed may be tried again.
func (d *Desktop) Damage(r *pixel.Region) { d.to.Damage(r) }

// Copy says that the display moved the r-sized area at from to r. It is a
// hint for CopyRect: the pixels of r must be as if the move were carried out
// on what was announced before it.
func (d *Desktop) Copy(r image.Rectangle, from image.Point) { d.to.Copy(r, from) }

// Resize says that the display has this size in pixels and must be looked at
// anew. Sizes outside 1 to 16384 are an error of the source and panic.
func (d *Desktop) Resize(width, height int) { d.to.SetScreens(width, height, nil) }

// SetScreens is Resize of a display whose picture several screens share. No
// screens are one that is all of it. Screens that are not in the picture, that
// are nothing, that have the same ID or are more than 255 are an error of the
// source and panic.
func (d *Desktop) SetScreens(width, height int, screens []Screen) {
	d.to.SetScreens(width, height, slices.Clone(screens))
}

// SetCursor changes the pointer's shape; nil is one that is not known, for
// which viewers that were sent another show a small default. A source whose
// picture has the pointer in it does not call it.
func (d *Desktop) SetCursor(c *pixel.Cursor) { d.to.SetCursor(c) }

// SetPointer says where the pointer is when it is not where a viewer put it:
// at the beginning, and when the display or another client of it moved it. It
// is painted there for viewers that see it in the picture, and is put there at
// viewers that let it be moved (VMware Cursor Position).
func (d *Desktop) SetPointer(x, y int) { d.to.SetPointer(x, y) }

// SetPointerRelative says whether the display takes the pointer's motion
// instead of its position, as a machine without a tablet does. A Run begins
// with positions.
func (d *Desktop) SetPointerRelative(relative bool) { d.to.SetPointerRelative(relative) }

// OfferPower says whether the source's Power can be called. A Run begins with
// not.
func (d *Desktop) OfferPower(offered bool) { d.to.OfferPower(offered) }

// SetLEDState says which keyboard lights are lit.
func (d *Desktop) SetLEDState(l LEDState) { d.to.SetLEDState(l) }

// CutText hands the display's clipboard to the viewers as UTF-8 with "\n" line
// ends, up to 1 MiB of it; an empty text is none.
func (d *Desktop) CutText(text string) { d.to.CutText(text) }

// Bell rings at the viewers.
func (d *Desktop) Bell() { d.to.Bell() }

// SetName changes the desktop's name.
func (d *Desktop) SetName(name string) { d.to.SetName(name) }
