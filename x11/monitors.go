package x11

import (
	"cmp"
	"fmt"
	"image"
	"slices"
	"strconv"
	"strings"

	"github.com/ironglass/ironglass/rfb"
	"github.com/jezek/xgb/randr"
	"github.com/jezek/xgb/xproto"
)

// ownPrefix and a screen's number are the name of a monitor that was made for
// a viewer, so that whoever connects to the X server next knows it as such.
const ownPrefix = "ironglass-"

// ownMonitor is what is known of a monitor by its name.
type ownMonitor struct {
	own    bool
	screen rfb.Screen // as the viewer asked for it; of others' it is empty
	order  int        // among those that it asked for
}

// setMonitorsLocked makes a monitor of each of several screens in the place of
// all that there are, or takes back those that were made so. It is one batch,
// so that X programs do not see a part of the layout for long.
func (x *Display) setMonitorsLocked(screens []rfb.Screen) error {
	c := x.conn.Conn
	there, err := randr.GetMonitors(c, x.root, false).Reply()
	if err != nil {
		return fmt.Errorf("asking for the monitors: %w", err)
	}
	if len(screens) < 2 {
		screens = nil
	}
	named := make(map[xproto.Atom]ownMonitor)
	var wanted []randr.MonitorInfo
	for i, s := range screens {
		name := ownPrefix + strconv.FormatUint(uint64(s.ID), 10)
		atom, err := xproto.InternAtom(c, false, uint16(len(name)), name).Reply()
		if err != nil {
			return fmt.Errorf("naming a monitor: %w", err)
		}
		named[atom.Atom] = ownMonitor{own: true, screen: s, order: i}
		wanted = append(wanted, randr.MonitorInfo{
			Name: atom.Atom, Primary: i == 0,
			X: int16(s.Rect.Min.X), Y: int16(s.Rect.Min.Y), Width: uint16(s.Rect.Dx()), Height: uint16(s.Rect.Dy()),
			WidthInMillimeters: millimetres(s.Rect.Dx()), HeightInMillimeters: millimetres(s.Rect.Dy()),
		})
	}
	if len(wanted) > 0 {
		// An output without a monitor of this kind gets one by itself.
		res, err := randr.GetScreenResourcesCurrent(c, x.root).Reply()
		if err != nil {
			return err
		}
		wanted[0].Outputs, wanted[0].NOutput = res.Outputs, uint16(len(res.Outputs))
	}
	var gone []xproto.Atom
	for _, m := range there.Monitors {
		if m.Automatic {
			continue
		}
		known, err := x.monitorLocked(m.Name)
		if err != nil {
			return err
		}
		// Those to be made again too: Xvfb refuses a name that is taken.
		if known.own || len(wanted) > 0 {
			gone = append(gone, m.Name)
		}
	}
	var checks []interface{ Check() error }
	x.conn.Batch(func() {
		for _, name := range gone {
			checks = append(checks, randr.DeleteMonitorChecked(c, x.root, name))
		}
		for _, m := range wanted {
			checks = append(checks, randr.SetMonitorChecked(c, x.root, m))
		}
	})
	var failed error
	for _, k := range checks {
		failed = cmp.Or(failed, k.Check())
	}
	if failed != nil {
		return fmt.Errorf("making %d monitors: %w", len(wanted), failed)
	}
	x.sizer.named = named
	return nil
}

// monitorLocked says what a monitor of this name is.
func (x *Display) monitorLocked(name xproto.Atom) (ownMonitor, error) {
	if m, known := x.sizer.named[name]; known {
		return m, nil
	}
	r, err := xproto.GetAtomName(x.conn.Conn, name).Reply()
	if err != nil {
		return ownMonitor{}, fmt.Errorf("asking for a monitor's name: %w", err)
	}
	var m ownMonitor
	if number, ours := strings.CutPrefix(r.Name, ownPrefix); ours {
		if id, err := strconv.ParseUint(number, 10, 32); err == nil {
			m = ownMonitor{own: true, screen: rfb.Screen{ID: uint32(id)}}
		}
	}
	return m, nil
}

// layoutLocked is the screen's size, and the monitors that share it where
// there are several. The monitors that viewers asked for have the numbers that
// these gave them, and come first in the order asked for.
func (x *Display) layoutLocked() (size image.Point, screens []rfb.Screen, err error) {
	g, err := xproto.GetGeometry(x.conn.Conn, xproto.Drawable(x.root)).Reply()
	if err != nil {
		return size, nil, fmt.Errorf("asking for the size of the screen: %w", err)
	}
	size = image.Pt(int(g.Width), int(g.Height))
	if !x.sizer.monitors {
		return size, nil, nil
	}
	r, err := randr.GetMonitors(x.conn.Conn, x.root, true).Reply()
	if err != nil {
		return size, nil, fmt.Errorf("asking for the monitors: %w", err)
	}
	var own []ownMonitor
	var others []rfb.Screen
	named := make(map[xproto.Atom]ownMonitor, len(r.Monitors)) // of those that there are
	for _, m := range r.Monitors {
		known, err := x.monitorLocked(m.Name)
		if err != nil {
			return size, nil, err
		}
		named[m.Name] = known
		place := image.Rect(int(m.X), int(m.Y), int(m.X)+int(m.Width), int(m.Y)+int(m.Height))
		// A monitor may reach beyond the screen.
		if place = place.Intersect(image.Rectangle{Max: size}); place.Empty() {
			continue
		}
		if known.own {
			known.screen.Rect = place
			own = append(own, known)
		} else {
			others = append(others, rfb.Screen{ID: uint32(m.Name), Rect: place})
		}
	}
	x.sizer.named = named
	slices.SortStableFunc(own, func(a, b ownMonitor) int { return cmp.Compare(a.order, b.order) })
	for _, m := range own {
		screens = append(screens, m.screen)
	}
	for _, s := range others {
		for slices.ContainsFunc(screens, func(o rfb.Screen) bool { return o.ID == s.ID }) {
			s.ID++ // a viewer has given its screen this number
		}
		screens = append(screens, s)
	}
	if len(screens) < 2 || len(screens) > mostScreens {
		return size, nil, nil
	}
	return size, screens, nil
}

// mostScreens is how many RFB can tell of.
const mostScreens = 255
