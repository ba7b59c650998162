package main

import (
	"fmt"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"
)

// keyboard says what the keys mean, by the core protocol's rules.
type keyboard struct {
	first   xproto.Keycode
	per     int // keysyms of a keycode
	keysyms []xproto.Keysym
}

func readKeyboard(conn *xgb.Conn) (*keyboard, error) {
	setup := xproto.Setup(conn)
	reply, err := xproto.GetKeyboardMapping(conn, setup.MinKeycode, byte(setup.MaxKeycode-setup.MinKeycode+1)).Reply()
	if err != nil {
		return nil, fmt.Errorf("reading the keyboard mapping: %w", err)
	}
	return &keyboard{first: setup.MinKeycode, per: int(reply.KeysymsPerKeycode), keysyms: reply.Keysyms}, nil
}

// describe gives the keysym that the key means in the state, in hexadecimal,
// and the modifiers that do not choose among a key's symbols: C control, A alt.
func (k *keyboard) describe(code xproto.Keycode, state uint16) string {
	level := 0
	if state&xproto.ModMaskShift != 0 {
		level = 1
	}
	keysym := k.at(code, level)
	if state&xproto.ModMask5 != 0 && k.at(code, 4+level) != 0 {
		keysym = k.at(code, 4+level) // AltGr
	} else if level == 1 && keysym == 0 {
		keysym = k.at(code, 0)
	}
	if state&xproto.ModMaskLock != 0 {
		switch {
		case keysym >= 'a' && keysym <= 'z':
			keysym -= 'a' - 'A'
		case keysym >= 'A' && keysym <= 'Z':
			keysym += 'a' - 'A'
		}
	}
	modifiers := ""
	if state&xproto.ModMaskControl != 0 {
		modifiers += "C"
	}
	if state&xproto.ModMask1 != 0 {
		modifiers += "A"
	}
	if modifiers == "" {
		modifiers = "-"
	}
	return fmt.Sprintf("%x %s", uint32(keysym), modifiers)
}

func (k *keyboard) at(code xproto.Keycode, level int) xproto.Keysym {
	if code < k.first || level >= k.per {
		return 0
	}
	i := int(code-k.first)*k.per + level
	if i >= len(k.keysyms) {
		return 0
	}
	return k.keysyms[i]
}
