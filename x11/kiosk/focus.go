package kiosk

import "github.com/jezek/xgb/xproto"

// focus gives a window the keyboard. That needs the server's time, by which
// programs tell orders that have crossed (ICCCM 4.1.7); a change of a property
// of ours brings it.
func (m *Manager) focus(id xproto.Window) {
	m.wanted = id
	xproto.ChangeProperty(m.conn.Conn, xproto.PropModeAppend, m.check, m.atoms["_NET_WM_NAME"], m.atoms["UTF8_STRING"], 8, 0, nil)
}

// focusTop gives the keyboard to the topmost window that can have it, else to
// whichever the pointer is in.
func (m *Manager) focusTop() {
	for i := len(m.windows) - 1; i >= 0; i-- {
		if w := m.windows[i]; !w.noInput || w.takesFocus {
			m.focus(w.id)
			return
		}
	}
	m.wanted, m.active = 0, 0
	xproto.SetInputFocus(m.conn.Conn, xproto.InputFocusPointerRoot, xproto.InputFocusPointerRoot, xproto.TimeCurrentTime)
	m.setProperty(m.root, "_NET_ACTIVE_WINDOW", xproto.AtomWindow, 0)
}

// setFocus does what focus asked for.
func (m *Manager) setFocus(now xproto.Timestamp) {
	w := m.find(m.wanted)
	m.wanted = 0
	if w == nil {
		return
	}
	c := m.conn.Conn
	if !w.noInput {
		xproto.SetInputFocus(c, xproto.InputFocusPointerRoot, w.id, now)
	}
	if w.takesFocus {
		ev := xproto.ClientMessageEvent{
			Format: 32, Window: w.id, Type: m.atoms["WM_PROTOCOLS"],
			Data: xproto.ClientMessageDataUnionData32New([]uint32{uint32(m.atoms["WM_TAKE_FOCUS"]), uint32(now), 0, 0, 0}),
		}
		xproto.SendEvent(c, false, w.id, 0, string(ev.Bytes()))
	}
	m.active = w.id
	m.setProperty(m.root, "_NET_ACTIVE_WINDOW", xproto.AtomWindow, uint32(w.id))
}
