package kiosk

import (
	"image"
	"slices"
	"time"

	"github.com/jezek/xgb/xproto"
)

// keeper is a window below all others that has no background: where a window
// above it goes, the X server paints nothing, and the last picture stays. So
// the end of a program shows what it showed last, and no black screen, until
// others have found out that it has ended and show a notice over it. It is
// mapped while a window fills the screen, and for some time after the last
// one; else the root window is seen. It is owned by manage.
type keeper struct {
	id     xproto.Window
	mapped bool
	keep   time.Duration // as Config.Keep
	end    *time.Timer   // runs after the last window
}

// makeKeeper makes the window.
func (m *Manager) makeKeeper() error {
	c := m.conn.Conn
	id, err := xproto.NewWindowId(c)
	if err != nil {
		return err
	}
	const fromParent = 0 // depth and visual
	xproto.CreateWindow(c, fromParent, id, m.root, 0, 0, uint16(m.width), uint16(m.height), 0, xproto.WindowClassInputOutput, fromParent,
		xproto.CwBackPixmap|xproto.CwOverrideRedirect, []uint32{xproto.BackPixmapNone, 1})
	xproto.ConfigureWindow(c, id, xproto.ConfigWindowStackMode, []uint32{xproto.StackModeBelow})
	m.keeper.id = id
	return nil
}

// keep maps or unmaps the keeper as the windows demand.
func (m *Manager) keep() {
	k := &m.keeper
	screen := image.Rect(0, 0, m.width, m.height)
	switch {
	case slices.ContainsFunc(m.windows, func(w *window) bool { return w.at == screen }):
		k.end.Stop()
		if !k.mapped {
			xproto.MapWindow(m.conn.Conn, k.id)
			k.mapped = true
		}
	case len(m.windows) > 0 || k.keep < 0:
		m.letGo()
	case k.mapped:
		k.end.Reset(k.keep)
	}
}

// letGo shows the root window again.
func (m *Manager) letGo() {
	k := &m.keeper
	k.end.Stop()
	if k.mapped {
		xproto.UnmapWindow(m.conn.Conn, k.id)
		k.mapped = false
	}
}

// resizeKeeper follows the size of the screen.
func (m *Manager) resizeKeeper() {
	xproto.ConfigureWindow(m.conn.Conn, m.keeper.id, xproto.ConfigWindowWidth|xproto.ConfigWindowHeight,
		[]uint32{uint32(m.width), uint32(m.height)})
}
