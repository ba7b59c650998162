package x11

import (
	"context"
	"errors"
	"fmt"
	"image"
	"sync"

	"github.com/ironglass/ironglass/rfb"
	"github.com/jezek/xgb/randr"
	"github.com/jezek/xgb/xproto"
)

// ErrSize is wrapped where the screen cannot have the size asked for.
var ErrSize = errors.New("the X screen cannot have this size")

// sizer changes the screen's size.
type sizer struct {
	usable   bool // the server has RANDR 1.2; set by Open
	monitors bool // it has RANDR 1.5; set by Open

	mu   sync.Mutex // one change at a time; guards what follows
	made randr.Mode // the mode that we made and the screen uses; 0 is none
}

// pixelsPerInch is the resolution that screens are given, the one that
// programs draw unscaled at.
const pixelsPerInch = 96

// SetDesktopSize implements rfb.Resizer through RANDR, with a mode made for
// the purpose where the server has none of this size. An Xvfb can be given any
// size up to the one it was started with. It has one monitor: more screens
// than one are refused.
func (x *Display) SetDesktopSize(_ context.Context, width, height int, screens []rfb.Screen) error {
	if len(screens) > 1 {
		return fmt.Errorf("%w: the X screen has one monitor, not %d", rfb.ErrLayout, len(screens))
	}
	x.sizer.mu.Lock()
	defer x.sizer.mu.Unlock()
	if err := x.setSizeLocked(width, height); err != nil {
		return x.lost(fmt.Errorf("resizing the screen to %dx%d: %w", width, height, err))
	}
	return nil
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

// screens are the monitors that share the screen, none where it is one.
func (x *Display) screens(width, height int) ([]rfb.Screen, error) {
	if !x.sizer.monitors {
		return nil, nil
	}
	r, err := randr.GetMonitors(x.conn.Conn, x.root, true).Reply()
	if err != nil {
		return nil, fmt.Errorf("asking for the monitors: %w", err)
	}
	var screens []rfb.Screen
	for _, m := range r.Monitors {
		place := image.Rect(int(m.X), int(m.Y), int(m.X)+int(m.Width), int(m.Y)+int(m.Height))
		// They may be of another size of the screen, which is told next.
		if place = place.Intersect(image.Rect(0, 0, width, height)); !place.Empty() {
			screens = append(screens, rfb.Screen{ID: uint32(m.Name), Rect: place})
		}
	}
	if len(screens) < 2 || len(screens) > mostScreens {
		return nil, nil
	}
	return screens, nil
}

// mostScreens is how many RFB can tell of.
const mostScreens = 255

func (x *Display) setScreenSize(width, height int) error {
	mm := func(pixels int) uint32 { return max(1, uint32(pixels*254+5*pixelsPerInch)/(10*pixelsPerInch)) }
	return randr.SetScreenSizeChecked(x.conn.Conn, x.root, uint16(width), uint16(height), mm(width), mm(height)).Check()
}

// onlyOutput finds the monitor. With several of them the screen's layout is
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
		return 0, nil, fmt.Errorf("%w: it has %d monitors, not one", ErrSize, found)
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
