package kiosk

import (
	"encoding/binary"
	"image"
	"slices"

	"github.com/jezek/xgb/xproto"
)

// window is a window that is managed.
type window struct {
	id xproto.Window
	// owner is the window that it is transient for, 0 for none.
	owner xproto.Window
	// dialogue says that it keeps its size in the middle of the screen.
	dialogue bool
	// most is the largest size that it wants in pixels, 0 where it does not
	// say.
	most image.Point
	// size is what a dialogue asks for in pixels.
	size image.Point
	// at is where it is on the screen.
	at image.Rectangle
	// takesFocus says that it wants to be told when it gets the keyboard;
	// noInput that it must not simply be given it.
	takesFocus, noInput bool
	// fullscreen says that it asked to be, and was told that it is.
	fullscreen bool
}

func (m *Manager) find(id xproto.Window) *window {
	for _, w := range m.windows {
		if w.id == id {
			return w
		}
	}
	return nil
}

// add manages a window that wants to be mapped, and maps it.
func (m *Manager) add(id xproto.Window) {
	c := m.conn.Conn
	if m.find(id) != nil {
		xproto.MapWindow(c, id)
		return
	}
	g, err := xproto.GetGeometry(c, xproto.Drawable(id)).Reply()
	if err != nil {
		return // it is gone
	}
	w := &window{id: id, size: image.Pt(int(g.Width), int(g.Height))}
	xproto.ChangeWindowAttributes(c, id, xproto.CwEventMask, []uint32{xproto.EventMaskPropertyChange})
	m.look(w)
	m.windows = append(m.windows, w)
	m.fit(w)
	m.setState(w)
	m.frameExtents(id)
	m.setProperty(id, "WM_STATE", m.atoms["WM_STATE"], 1, 0) // NormalState, no icon
	m.keep()
	xproto.MapWindow(c, id)
	m.announceClients()
	m.raise(w)
	m.focus(id)
}

// remove forgets a window that is not mapped any more; the topmost of the
// others gets the keyboard.
func (m *Manager) remove(id xproto.Window) {
	i := slices.IndexFunc(m.windows, func(w *window) bool { return w.id == id })
	if i < 0 {
		return
	}
	m.windows = slices.Delete(m.windows, i, i+1)
	xproto.DeleteProperty(m.conn.Conn, id, m.atoms["WM_STATE"])
	xproto.DeleteProperty(m.conn.Conn, id, m.atoms["_NET_WM_STATE"])
	m.announceClients()
	m.keep()
	if m.active == id || m.wanted == id {
		m.focusTop()
	}
}

// look reads what a window says about itself.
func (m *Manager) look(w *window) {
	w.owner = 0
	if v := m.words(w.id, xproto.AtomWmTransientFor, 1); len(v) == 1 {
		w.owner = xproto.Window(v[0])
	}
	w.dialogue = w.owner != 0
	for _, kind := range m.words(w.id, m.atoms["_NET_WM_WINDOW_TYPE"], 16) {
		// The first that is known counts.
		if kind := xproto.Atom(kind); kind == m.atoms["_NET_WM_WINDOW_TYPE_NORMAL"] {
			break
		} else if slices.ContainsFunc(dialogueTypes, func(name string) bool { return m.atoms[name] == kind }) {
			w.dialogue = true
			break
		}
	}
	// WM_NORMAL_HINTS (ICCCM 4.1.2.3): flags, four unused, the smallest and
	// the largest size.
	w.most = image.Point{}
	const maxSize = 1 << 5
	if v := m.words(w.id, xproto.AtomWmNormalHints, 18); len(v) >= 9 && v[0]&maxSize != 0 {
		w.most = image.Pt(int(min(v[7], 1<<15)), int(min(v[8], 1<<15)))
	}
	// WM_HINTS (ICCCM 4.1.2.4): flags, whether it wants the keyboard.
	const inputHint = 1
	v := m.words(w.id, xproto.AtomWmHints, 2)
	w.noInput = len(v) == 2 && v[0]&inputHint != 0 && v[1] == 0
	w.takesFocus = slices.Contains(m.words(w.id, m.atoms["WM_PROTOCOLS"], 64), uint32(m.atoms["WM_TAKE_FOCUS"]))
	// A state from before it was mapped is a wish.
	w.fullscreen = slices.Contains(m.words(w.id, m.atoms["_NET_WM_STATE"], 64), uint32(m.atoms["_NET_WM_STATE_FULLSCREEN"]))
}

// words returns the first words, most of them at most, of a property of a
// window; nil where it has none.
func (m *Manager) words(id xproto.Window, property xproto.Atom, most uint32) []uint32 {
	r, err := xproto.GetProperty(m.conn.Conn, false, id, property, xproto.GetPropertyTypeAny, 0, most).Reply()
	if err != nil || r.Format != 32 {
		return nil
	}
	v := make([]uint32, 0, most)
	for b := r.Value; len(b) >= 4; b = b[4:] {
		v = append(v, binary.LittleEndian.Uint32(b)) // xgb's connections are little-endian
	}
	return v
}

// fit puts a window where it belongs: over the whole screen, as far as it can
// grow, or in the middle.
func (m *Manager) fit(w *window) {
	size := image.Pt(m.width, m.height)
	switch {
	case w.fullscreen:
	case w.dialogue:
		size = smaller(size, w.size)
	case w.most.X > 0 && w.most.Y > 0:
		size = smaller(size, w.most)
	}
	at := image.Pt((m.width-size.X)/2, (m.height-size.Y)/2)
	w.at = image.Rectangle{at, at.Add(size)}
	xproto.ConfigureWindow(m.conn.Conn, w.id,
		xproto.ConfigWindowX|xproto.ConfigWindowY|xproto.ConfigWindowWidth|xproto.ConfigWindowHeight|xproto.ConfigWindowBorderWidth,
		[]uint32{uint32(at.X), uint32(at.Y), uint32(size.X), uint32(size.Y), 0})
}

func smaller(a, b image.Point) image.Point {
	return image.Pt(max(1, min(a.X, b.X)), max(1, min(a.Y, b.Y)))
}

// configure answers a window's wish for another place or size. A dialogue may
// change its size. All others are told where they are (ICCCM 4.1.5): asking
// is no use. What is not managed does as it likes.
func (m *Manager) configure(ev xproto.ConfigureRequestEvent) {
	w := m.find(ev.Window)
	if w == nil {
		m.grant(ev)
		return
	}
	if ev.ValueMask&xproto.ConfigWindowWidth != 0 {
		w.size.X = int(ev.Width)
	}
	if ev.ValueMask&xproto.ConfigWindowHeight != 0 {
		w.size.Y = int(ev.Height)
	}
	if w.dialogue {
		m.fit(w)
	}
	if ev.ValueMask&xproto.ConfigWindowStackMode != 0 && ev.ValueMask&xproto.ConfigWindowSibling == 0 && ev.StackMode == xproto.StackModeAbove {
		m.raise(w)
		m.focus(w.id)
	}
	notice := xproto.ConfigureNotifyEvent{
		Event: w.id, Window: w.id, X: int16(w.at.Min.X), Y: int16(w.at.Min.Y),
		Width: uint16(w.at.Dx()), Height: uint16(w.at.Dy()),
	}
	xproto.SendEvent(m.conn.Conn, false, w.id, xproto.EventMaskStructureNotify, string(notice.Bytes()))
}

// grant does what a request for a configuration asks for.
func (m *Manager) grant(ev xproto.ConfigureRequestEvent) {
	var values []uint32
	for _, f := range []struct {
		mask  uint16
		value uint32
	}{
		{xproto.ConfigWindowX, uint32(int32(ev.X))},
		{xproto.ConfigWindowY, uint32(int32(ev.Y))},
		{xproto.ConfigWindowWidth, uint32(ev.Width)},
		{xproto.ConfigWindowHeight, uint32(ev.Height)},
		{xproto.ConfigWindowBorderWidth, uint32(ev.BorderWidth)},
		{xproto.ConfigWindowSibling, uint32(ev.Sibling)},
		{xproto.ConfigWindowStackMode, uint32(ev.StackMode)},
	} {
		if ev.ValueMask&f.mask != 0 {
			values = append(values, f.value)
		}
	}
	xproto.ConfigureWindow(m.conn.Conn, ev.Window, ev.ValueMask, values)
}

// raise puts a window on top, and its dialogues above it.
func (m *Manager) raise(w *window) {
	seen := make(map[xproto.Window]bool)
	var up func(w *window)
	up = func(w *window) {
		if seen[w.id] {
			return
		}
		seen[w.id] = true
		xproto.ConfigureWindow(m.conn.Conn, w.id, xproto.ConfigWindowStackMode, []uint32{xproto.StackModeAbove})
		i := slices.Index(m.windows, w)
		m.windows = append(slices.Delete(m.windows, i, i+1), w)
		for _, d := range slices.Clone(m.windows) {
			if d.owner == w.id {
				up(d)
			}
		}
	}
	up(w)
	m.announceClients()
}

// property looks again at a window that says something new about itself.
func (m *Manager) property(ev xproto.PropertyNotifyEvent) {
	if ev.Window == m.check {
		m.setFocus(ev.Time)
		return
	}
	w := m.find(ev.Window)
	if w == nil {
		return
	}
	switch ev.Atom {
	case xproto.AtomWmTransientFor, xproto.AtomWmNormalHints, xproto.AtomWmHints,
		m.atoms["_NET_WM_WINDOW_TYPE"], m.atoms["WM_PROTOCOLS"]:
		fullscreen, before := w.fullscreen, *w
		m.look(w)
		w.fullscreen = fullscreen // by message only, once it is mapped
		if w.dialogue != before.dialogue || w.most != before.most {
			m.fit(w)
			m.keep()
			m.setState(w)
		}
	}
}
