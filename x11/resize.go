package x11

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/ironglass/ironglass/rfb"
	"github.com/jezek/xgb/randr"
	"github.com/jezek/xgb/xproto"
)

// ErrSize is wrapped where the screen cannot have the size asked for.
var ErrSize = errors.New("the X screen cannot have this size")

// sizer changes the screen's size and its monitors.
type sizer struct {
	usable   bool // the server has RANDR 1.2; set by Open
	monitors bool // it has RANDR 1.5; set by Open

	// mu is held for all of a change, which takes several steps, and while a
	// Run asks for the size: it must tell viewers of none in between.
	mu        sync.Mutex
	made      randr.Mode // the mode that we made and the screen uses; 0 is none
	named     map[xproto.Atom]ownMonitor
	following bool            // while a Run tells of changes
	awaited   []chan struct{} // closed when it has told
}

// pixelsPerInch is the resolution that screens are given, the one that
// programs draw unscaled at.
const pixelsPerInch = 96

// SetDesktopSize implements rfb.Resizer through RANDR, with a mode made for
// the purpose where the server has none of this size. An Xvfb can be given any
// size up to the one it was started with. Several screens become monitors in
// the place of all that X programs made; a single one is the whole screen, and
// the monitors of X programs stay. It returns once a Run that follows the
// display has announced the change.
func (x *Display) SetDesktopSize(ctx context.Context, width, height int, screens []rfb.Screen) error {
	if len(screens) > 1 && !x.sizer.monitors {
		return fmt.Errorf("%w: the X server has no RANDR 1.5, so its screen is one monitor, not %d", rfb.ErrLayout, len(screens))
	}
	told, err := x.setLayout(width, height, screens)
	if err != nil {
		return x.lost(fmt.Errorf("resizing the screen to %dx%d: %w", width, height, err))
	}
	select {
	case <-told:
	case <-ctx.Done(): // it was done, whether or not that is known
	}
	return nil
}

// setLayout changes the size and the monitors, and returns what is closed when
// a Run has told of that.
func (x *Display) setLayout(width, height int, screens []rfb.Screen) (told <-chan struct{}, err error) {
	z := &x.sizer
	z.mu.Lock()
	defer z.mu.Unlock()
	if err := x.setSizeLocked(width, height); err != nil {
		return nil, err
	}
	if z.monitors {
		if err := x.setMonitorsLocked(screens); err != nil {
			return nil, err
		}
	}
	done := make(chan struct{})
	if !z.following {
		close(done)
		return done, nil
	}
	z.awaited = append(z.awaited, done)
	// The server tells only of what was not so already.
	x.post(func(m *mail) { m.resized = true })
	return done, nil
}

// follow says whether a Run tells of changes.
func (z *sizer) follow(on bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.following = on
	z.toldLocked()
}

// toldLocked lets those return who wait until what they did is announced.
func (z *sizer) toldLocked() {
	for _, c := range z.awaited {
		close(c)
	}
	z.awaited = nil
}

func (x *Display) setSizeLocked(width, height int) error {
	if !x.sizer.usable {
		return fmt.Errorf("%w: the X server has no RANDR 1.2", ErrSize)
	}
	c := x.conn.Conn
	limits, err := randr.GetScreenSizeRange(c, x.root).Reply()
	if err != nil {
		return err
	}
	if width < int(limits.MinWidth) || height < int(limits.MinHeight) || width > int(limits.MaxWidth) || height > int(limits.MaxHeight) {
		return fmt.Errorf("%w: from %dx%d to %dx%d is possible", ErrSize, limits.MinWidth, limits.MinHeight, limits.MaxWidth, limits.MaxHeight)
	}
	now, err := xproto.GetGeometry(c, xproto.Drawable(x.root)).Reply()
	if err != nil {
		return err
	}
	res, err := randr.GetScreenResources(c, x.root).Reply()
	if err != nil {
		return err
	}
	out, info, err := x.onlyOutput(res)
	if err != nil {
		return err
	}
	mode, made, err := x.mode(res, out, info, width, height)
	if err != nil {
		return err
	}
	crtc := info.Crtc
	if crtc == 0 {
		crtc = info.Crtcs[0]
	}
	// At no moment may the mode reach beyond the screen.
	if w, h := max(width, int(now.Width)), max(height, int(now.Height)); w != int(now.Width) || h != int(now.Height) {
		if err := x.setScreenSize(w, h); err != nil {
			return err
		}
		now.Width, now.Height = uint16(w), uint16(h)
	}
	r, err := randr.SetCrtcConfig(c, crtc, xproto.TimeCurrentTime, res.ConfigTimestamp, 0, 0, mode,
		randr.RotationRotate0, []randr.Output{out}).Reply()
	if err != nil {
		return err
	}
	if r.Status != randr.SetConfigSuccess {
		return fmt.Errorf("%w: the X server refused the mode (status %d)", ErrSize, r.Status)
	}
	if width != int(now.Width) || height != int(now.Height) {
		if err := x.setScreenSize(width, height); err != nil {
			return err
		}
	}
	if old := x.sizer.made; old != 0 && old != mode {
		randr.DeleteOutputMode(c, out, old)
		randr.DestroyMode(c, old)
		x.sizer.made = 0
	}
	if made {
		x.sizer.made = mode
	}
	return nil
}

func (x *Display) setScreenSize(width, height int) error {
	return randr.SetScreenSizeChecked(x.conn.Conn, x.root, uint16(width), uint16(height), millimetres(width), millimetres(height)).Check()
}

func millimetres(pixels int) uint32 {
	return max(1, uint32(pixels*254+5*pixelsPerInch)/(10*pixelsPerInch))
}

// onlyOutput finds the output. With several of them the screen's layout is
// somebody else's business.
func (x *Display) onlyOutput(res *randr.GetScreenResourcesReply) (out randr.Output, info *randr.GetOutputInfoReply, err error) {
	found := 0
	for _, o := range res.Outputs {
		i, err := randr.GetOutputInfo(x.conn.Conn, o, res.ConfigTimestamp).Reply()
		if err != nil {
			return 0, nil, err
		}
		if i.Connection == randr.ConnectionConnected && len(i.Crtcs) > 0 {
			out, info = o, i
			found++
		}
	}
	if found != 1 {
		return 0, nil, fmt.Errorf("%w: it has %d outputs, not one", ErrSize, found)
	}
	return out, info, nil
}

// mode finds a mode of this size that the output has, or makes one.
func (x *Display) mode(res *randr.GetScreenResourcesReply, out randr.Output, info *randr.GetOutputInfoReply, width, height int) (mode randr.Mode, made bool, err error) {
	sizes := make(map[randr.Mode]randr.ModeInfo, len(res.Modes))
	for _, m := range res.Modes {
		sizes[randr.Mode(m.Id)] = m
	}
	for _, id := range info.Modes {
		if m := sizes[id]; int(m.Width) == width && int(m.Height) == height {
			return id, id == x.sizer.made, nil
		}
	}
	// The timings are those of 60 frames a second without blanking; no
	// monitor is driven with them.
	name := fmt.Sprintf("%dx%d", width, height)
	w, h := uint16(width), uint16(height)
	r, err := randr.CreateMode(x.conn.Conn, x.root, randr.ModeInfo{
		Width: w, Height: h, DotClock: uint32(width * height * 60),
		HsyncStart: w, HsyncEnd: w, Htotal: w, VsyncStart: h, VsyncEnd: h, Vtotal: h,
		NameLen: uint16(len(name)),
	}, name).Reply()
	if err != nil {
		return 0, false, fmt.Errorf("making a mode: %w", err)
	}
	if err := randr.AddOutputModeChecked(x.conn.Conn, out, r.Mode).Check(); err != nil {
		return 0, false, fmt.Errorf("adding a mode: %w", err)
	}
	return r.Mode, true, nil
}
