package x11

import (
	"fmt"
	"slices"

	"github.com/jezek/xgb/xproto"
)

// serverKey reports whether a press with this symbol is a command to the X
// server itself, which carries it out, or has nothing to carry out, and tells
// no program of the press. The symbols are those of XFree86's vendor space
// (XF86keysym.h) and Terminate_Server (keysymdef.h).
func serverKey(sym xproto.Keysym) bool {
	switch {
	case sym >= 0x1008fe01 && sym <= 0x1008fe0c: // XF86Switch_VT_1 to 12
	case sym >= 0x1008fe20 && sym <= 0x1008fe23: // XF86Ungrab, XF86ClearGrab, XF86Next_VMode, XF86Prev_VMode
	case sym == 0xfed5: // Terminate_Server
	default:
		return false
	}
	return true
}

// freeKeys gives the keys that are commands to the server while modifiers are
// held (Ctrl+Alt+F2 is XF86Switch_VT_2) their plain symbol at all levels, so
// that such a press reaches the program. Layouts have these symbols on keys
// whose other levels are all alike, the function keys, the keypad's operators
// and BackSpace, so nothing else is lost. It reports whether the mapping is
// another one now.
func (x *Display) freeKeys(mapping *xproto.GetKeyboardMappingReply) (changed bool, err error) {
	per := int(mapping.KeysymsPerKeycode)
	for i := 0; (i+1)*per <= len(mapping.Keysyms) && per > 0; i++ {
		syms := mapping.Keysyms[i*per : (i+1)*per]
		plain := syms[0]
		if plain == 0 || serverKey(plain) {
			continue // a key for that alone
		}
		for _, sym := range syms[1:] {
			if !serverKey(sym) {
				continue
			}
			key := x.setup.MinKeycode + xproto.Keycode(i)
			// The key keeps its number of levels, so all of them are given.
			all := slices.Repeat([]xproto.Keysym{plain}, per)
			if err := xproto.ChangeKeyboardMappingChecked(x.conn.Conn, 1, key, byte(per), all).Check(); err != nil {
				return changed, fmt.Errorf("freeing the keys that the X server keeps to itself: %w", err)
			}
			changed = true
			break
		}
	}
	return changed, nil
}
