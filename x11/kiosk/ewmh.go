package kiosk

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/jezek/xgb/xproto"
)

// supported is what of the Extended Window Manager Hints is followed.
var supported = []string{
	"_NET_SUPPORTED", "_NET_SUPPORTING_WM_CHECK", "_NET_WM_NAME",
	"_NET_CLIENT_LIST", "_NET_CLIENT_LIST_STACKING", "_NET_ACTIVE_WINDOW",
	"_NET_NUMBER_OF_DESKTOPS", "_NET_CURRENT_DESKTOP", "_NET_DESKTOP_GEOMETRY", "_NET_DESKTOP_VIEWPORT", "_NET_WORKAREA",
	"_NET_WM_STATE", "_NET_WM_STATE_FULLSCREEN", "_NET_WM_STATE_MAXIMIZED_VERT", "_NET_WM_STATE_MAXIMIZED_HORZ",
	"_NET_FRAME_EXTENTS", "_NET_REQUEST_FRAME_EXTENTS",
	"_NET_WM_WINDOW_TYPE", "_NET_WM_WINDOW_TYPE_NORMAL",
	"_NET_WM_WINDOW_TYPE_DIALOG", "_NET_WM_WINDOW_TYPE_UTILITY", "_NET_WM_WINDOW_TYPE_SPLASH",
}

// dialogueTypes are the types of windows that keep their size.
var dialogueTypes = []string{
	"_NET_WM_WINDOW_TYPE_DIALOG", "_NET_WM_WINDOW_TYPE_UTILITY", "_NET_WM_WINDOW_TYPE_SPLASH",
	"_NET_WM_WINDOW_TYPE_TOOLBAR", "_NET_WM_WINDOW_TYPE_MENU", "_NET_WM_WINDOW_TYPE_DROPDOWN_MENU",
	"_NET_WM_WINDOW_TYPE_POPUP_MENU", "_NET_WM_WINDOW_TYPE_TOOLTIP", "_NET_WM_WINDOW_TYPE_NOTIFICATION",
	"_NET_WM_WINDOW_TYPE_COMBO", "_NET_WM_WINDOW_TYPE_DND",
}

// managerName is the name that we go by. Java's toolkit leaves windows grey
// under a window manager that puts no frame around them, unless it is one of
// a few that it knows by name; of these, this one no longer exists.
const managerName = "LG3D"

// internAtoms asks for the numbers of all names that are used.
func (m *Manager) internAtoms() error {
	names := slices.Concat(supported, dialogueTypes, []string{
		"UTF8_STRING", "WM_STATE", "WM_PROTOCOLS", "WM_TAKE_FOCUS", "WM_S0",
	})
	m.atoms = make(map[string]xproto.Atom, len(names))
	cookies := make([]xproto.InternAtomCookie, len(names))
	m.conn.Batch(func() {
		for i, name := range names {
			cookies[i] = xproto.InternAtom(m.conn.Conn, false, uint16(len(name)), name)
		}
	})
	for i, name := range names {
		r, err := cookies[i].Reply()
		if err != nil {
			return fmt.Errorf("asking for the atom %s: %w", name, err)
		}
		m.atoms[name] = r.Atom
	}
	return nil
}

// setProperty sets a property of words. The window may be gone.
func (m *Manager) setProperty(id xproto.Window, name string, kind xproto.Atom, words ...uint32) {
	b := make([]byte, 0, 4*len(words))
	for _, v := range words {
		b = binary.LittleEndian.AppendUint32(b, v) // xgb's connections are little-endian
	}
	xproto.ChangeProperty(m.conn.Conn, xproto.PropModeReplace, id, m.atoms[name], kind, 32, uint32(len(words)), b)
}

// announce tells programs that a window manager runs and what it can do.
func (m *Manager) announce() error {
	c := m.conn.Conn
	var err error
	if m.check, err = xproto.NewWindowId(c); err != nil {
		return err
	}
	err = xproto.CreateWindowChecked(c, 0, m.check, m.root, -10, -10, 1, 1, 0, xproto.WindowClassInputOnly, 0,
		xproto.CwOverrideRedirect|xproto.CwEventMask, []uint32{1, xproto.EventMaskPropertyChange}).Check()
	if err != nil {
		return err
	}
	xproto.SetSelectionOwner(c, m.check, m.atoms["WM_S0"], xproto.TimeCurrentTime)
	xproto.ChangeProperty(c, xproto.PropModeReplace, m.check, m.atoms["_NET_WM_NAME"], m.atoms["UTF8_STRING"], 8,
		uint32(len(managerName)), []byte(managerName))
	for _, id := range []xproto.Window{m.check, m.root} {
		m.setProperty(id, "_NET_SUPPORTING_WM_CHECK", xproto.AtomWindow, uint32(m.check))
	}
	atoms := make([]uint32, len(supported))
	for i, name := range supported {
		atoms[i] = uint32(m.atoms[name])
	}
	m.setProperty(m.root, "_NET_SUPPORTED", xproto.AtomAtom, atoms...)
	m.setProperty(m.root, "_NET_NUMBER_OF_DESKTOPS", xproto.AtomCardinal, 1)
	m.setProperty(m.root, "_NET_CURRENT_DESKTOP", xproto.AtomCardinal, 0)
	m.setProperty(m.root, "_NET_DESKTOP_VIEWPORT", xproto.AtomCardinal, 0, 0)
	m.setProperty(m.root, "_NET_ACTIVE_WINDOW", xproto.AtomWindow, 0)
	m.announceSize()
	m.announceClients()
	return nil
}

func (m *Manager) announceSize() {
	w, h := uint32(m.width), uint32(m.height)
	m.setProperty(m.root, "_NET_DESKTOP_GEOMETRY", xproto.AtomCardinal, w, h)
	m.setProperty(m.root, "_NET_WORKAREA", xproto.AtomCardinal, 0, 0, w, h)
}

func (m *Manager) announceClients() {
	ids := make([]uint32, len(m.windows))
	for i, w := range m.windows {
		ids[i] = uint32(w.id)
	}
	m.setProperty(m.root, "_NET_CLIENT_LIST", xproto.AtomWindow, ids...)
	m.setProperty(m.root, "_NET_CLIENT_LIST_STACKING", xproto.AtomWindow, ids...)
}

// frameExtents tells a window that it has no frame.
func (m *Manager) frameExtents(id xproto.Window) {
	m.setProperty(id, "_NET_FRAME_EXTENTS", xproto.AtomCardinal, 0, 0, 0, 0)
}

// setState tells a window in which state it is.
func (m *Manager) setState(w *window) {
	var states []uint32
	if w.fullscreen {
		states = append(states, uint32(m.atoms["_NET_WM_STATE_FULLSCREEN"]))
	}
	if !w.dialogue && w.at.Dx() == m.width && w.at.Dy() == m.height {
		// Toolkits that draw a title bar draw less of one when maximised.
		states = append(states, uint32(m.atoms["_NET_WM_STATE_MAXIMIZED_VERT"]), uint32(m.atoms["_NET_WM_STATE_MAXIMIZED_HORZ"]))
	}
	m.setProperty(w.id, "_NET_WM_STATE", xproto.AtomAtom, states...)
}

// message handles what a program asks of its window manager.
func (m *Manager) message(ev xproto.ClientMessageEvent) {
	switch ev.Type {
	case m.atoms["_NET_REQUEST_FRAME_EXTENTS"]:
		m.frameExtents(ev.Window)
		return
	}
	w := m.find(ev.Window)
	if w == nil {
		return
	}
	switch ev.Type {
	case m.atoms["_NET_ACTIVE_WINDOW"]:
		m.raise(w)
		m.focus(w.id)
	case m.atoms["_NET_WM_STATE"]:
		if ev.Format != 32 {
			return
		}
		v := ev.Data.Data32
		const remove, toggle = 0, 2
		for _, state := range v[1:3] {
			// That it is maximised goes without saying.
			if xproto.Atom(state) == m.atoms["_NET_WM_STATE_FULLSCREEN"] {
				w.fullscreen = v[0] != remove && (v[0] != toggle || !w.fullscreen)
			}
		}
		m.fit(w)
		m.keep()
		m.setState(w)
	}
}
