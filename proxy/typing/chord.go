package typing

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/ironglass/ironglass/x11/keysym"
)

// Chord is keys that go down in this order, are held together, and go up in
// the reverse order.
type Chord []Key

// Symbols of keys that are meant by others.
const (
	symReturn, symTab = 0xff0d, 0xff09
	symLevel3Shift    = 0xfe03
	symShift          = 0xffe1
)

var (
	shiftKey = Key{Keysym: symShift, Keycode: 0x2a}
	altGrKey = Key{Keysym: symLevel3Shift, Keycode: 0xb8}
	// CapsLock is the key that switches capitals on and off.
	CapsLock = Key{Keysym: 0xffe5, Keycode: 0x3a}
)

// named are the keys that type no character, by symbol, with their scancodes.
var named = map[uint32]uint32{
	0xff08: 0x0e, symTab: 0x0f, symReturn: 0x1c, 0xff1b: 0x01, 0xffff: 0xd3, // BackSpace, Tab, Return, Escape, Delete
	0xff50: 0xc7, 0xff51: 0xcb, 0xff52: 0xc8, 0xff53: 0xcd, 0xff54: 0xd0, // Home, Left, Up, Right, Down
	0xff55: 0xc9, 0xff56: 0xd1, 0xff57: 0xcf, 0xff63: 0xd2, // Page_Up, Page_Down, End, Insert
	0xff61: 0xb7, 0xff15: 0x54, 0xff13: 0xc6, 0xff14: 0x46, // Print, Sys_Req, Pause, Scroll_Lock
	0xff7f: 0x45, 0xffe5: 0x3a, 0xff67: 0xdd, // Num_Lock, Caps_Lock, Menu
	symShift: 0x2a, 0xffe2: 0x36, 0xffe3: 0x1d, 0xffe4: 0x9d, // Shift_L, Shift_R, Control_L, Control_R
	0xffe9: 0x38, 0xffea: 0xb8, symLevel3Shift: 0xb8, 0xffeb: 0xdb, 0xffec: 0xdc, // Alt_L, Alt_R, AltGr, Super_L, Super_R
	0xffbe: 0x3b, 0xffbf: 0x3c, 0xffc0: 0x3d, 0xffc1: 0x3e, 0xffc2: 0x3f, 0xffc3: 0x40, // F1 to F6
	0xffc4: 0x41, 0xffc5: 0x42, 0xffc6: 0x43, 0xffc7: 0x44, 0xffc8: 0x57, 0xffc9: 0x58, // F7 to F12
	0xffca: 0x64, 0xffcb: 0x65, 0xffcc: 0x66, 0xffcd: 0x67, 0xffce: 0x68, 0xffcf: 0x69, // F13 to F18
	0xffd0: 0x6a, 0xffd1: 0x6b, 0xffd2: 0x6c, 0xffd3: 0x6d, 0xffd4: 0x6e, 0xffd5: 0x76, // F19 to F24
	0xff8d: 0x9c, 0xffaf: 0xb5, 0xffaa: 0x37, 0xffad: 0x4a, 0xffab: 0x4e, 0xffae: 0x53, 0xff9f: 0x53, // KP_Enter / * - + . and KP_Delete
	0xffb0: 0x52, 0xffb1: 0x4f, 0xffb2: 0x50, 0xffb3: 0x51, 0xffb4: 0x4b, // KP_0 to KP_4
	0xffb5: 0x4c, 0xffb6: 0x4d, 0xffb7: 0x47, 0xffb8: 0x48, 0xffb9: 0x49, // KP_5 to KP_9
	0xff9e: 0x52, 0xff9c: 0x4f, 0xff99: 0x50, 0xff9b: 0x51, 0xff96: 0x4b, // KP_Insert, KP_End, KP_Down, KP_Next, KP_Left
	0xff9d: 0x4c, 0xff98: 0x4d, 0xff95: 0x47, 0xff97: 0x48, 0xff9a: 0x49, // KP_Begin, KP_Right, KP_Home, KP_Up, KP_Prior
	0xff23: 0x79, 0xff22: 0x7b, 0xff27: 0x70, 0xff2a: 0x29, // Henkan, Muhenkan, Hiragana_Katakana, Zenkaku_Hankaku
	0xff31: 0x72, 0xff34: 0x71, // Hangul, Hangul_Hanja
}

// aliases are what people call keys that X calls otherwise, in small letters.
var aliases = map[string]string{
	"ctrl": "Control_L", "control": "Control_L", "rctrl": "Control_R", "alt": "Alt_L", "shift": "Shift_L",
	"altgr": "ISO_Level3_Shift", "super": "Super_L", "win": "Super_L", "windows": "Super_L", "meta": "Super_L", "cmd": "Super_L",
	"sysrq": "Sys_Req", "sysreq": "Sys_Req", "print": "Print", "printscreen": "Print", "prtsc": "Print", "prtscr": "Print",
	"enter": "Return", "esc": "Escape", "del": "Delete", "ins": "Insert", "bksp": "BackSpace",
	"pgup": "Page_Up", "pageup": "Page_Up", "pgdn": "Page_Down", "pgdown": "Page_Down", "pagedown": "Page_Down",
	"capslock": "Caps_Lock", "numlock": "Num_Lock", "scrolllock": "Scroll_Lock", "break": "Pause", "apps": "Menu",
	"arrowup": "Up", "arrowdown": "Down", "arrowleft": "Left", "arrowright": "Right",
}

// inSmall has the symbols of named keys by their X names in small letters.
var inSmall = sync.OnceValue(func() map[string]uint32 {
	all := make(map[string]uint32)
	for sym := range named {
		all[strings.ToLower(keysym.Name(sym))] = sym
	}
	return all
})

// maxTogether is how many keys a chord may name: people have ten fingers.
const maxTogether = 10

// ParseChord reads keys with "+" between them, as in Control_L+Alt_L+Delete.
// A part is the X11 name of a keysym; a usual name such as Ctrl, Alt, Shift,
// Super, AltGr, SysRq, Enter, Esc, Del or PgUp, in capitals or not; or a
// single character, typed where the layout has it, with the modifiers that it
// needs there. Beside other keys a letter stands for its key: Ctrl+C is no
// Ctrl+Shift+C. The error names the part that is wrong.
func ParseChord(layout, text string) (Chord, error) {
	k, err := keyboardOf(layout)
	if err != nil {
		return nil, err
	}
	parts := split(text)
	if len(parts) > maxTogether {
		return nil, fmt.Errorf("%.60q names %d keys: %d can be held together", text, len(parts), maxTogether)
	}
	symbols := make([]uint32, len(parts))
	shifted := false
	for i, part := range parts {
		if symbols[i], err = parsePart(part); err != nil {
			return nil, fmt.Errorf("%.60q: %w", text, err)
		}
		shifted = shifted || symbols[i] == symShift || symbols[i] == 0xffe2
	}
	var chord Chord
	for i, sym := range symbols {
		add := Chord{{Keysym: sym, Keycode: named[sym]}}
		if r, ok := keysym.Rune(sym); ok && named[sym] == 0 {
			if len(parts) > 1 {
				lower, _ := keysym.Case(sym)
				r, _ = keysym.Rune(lower)
			}
			if add, ok = k.key(r, shifted); !ok {
				return nil, fmt.Errorf("%.60q: the keyboard layout %s has no key for %q", text, k.name, parts[i])
			}
		}
		for _, key := range add {
			if chord.has(key) {
				return nil, fmt.Errorf("%.60q: %q is there twice", text, parts[i])
			}
			chord = append(chord, key)
		}
	}
	return chord, nil
}

func (c Chord) has(key Key) bool {
	for _, k := range c {
		if k.Keysym == key.Keysym || k.Keycode == key.Keycode && k.Keycode != 0 {
			return true
		}
	}
	return false
}

// split cuts at each "+" that stands between two parts; "+" may be a part too.
func split(text string) []string {
	var parts []string
	for from := 0; ; {
		// The first character of a part is of the part, whatever it is.
		at := strings.IndexByte(text[min(from+1, len(text)):], '+')
		if at < 0 {
			return append(parts, text[from:])
		}
		parts = append(parts, text[from:from+1+at])
		from += at + 2
	}
}

// parsePart returns the symbol that a part of a chord names.
func parsePart(part string) (uint32, error) {
	if part == "" {
		return 0, errors.New("a key is missing: write it as in Ctrl+Alt+Delete")
	}
	if r, n := utf8.DecodeRuneInString(part); n == len(part) {
		if r == ' ' || r > ' ' && r != utf8.RuneError && r != 0x7f {
			return keysym.FromRune(r), nil
		}
		return 0, fmt.Errorf("%q is no key", part)
	}
	if sym, ok := keysym.FromName(part); ok {
		return sym, nil
	}
	lower := strings.ToLower(part)
	if name, ok := aliases[lower]; ok {
		sym, _ := keysym.FromName(name)
		return sym, nil
	}
	if sym, ok := inSmall()[lower]; ok {
		return sym, nil
	}
	return 0, fmt.Errorf("there is no key %.40q: use an X11 name such as Return, F2 or KP_Enter, or a single character", part)
}

// key returns what types a character beside other keys, of which Shift may be
// one: the character's symbol is then the one that Shift gives.
func (k *keyboard) key(r rune, shifted bool) (Chord, bool) {
	p, ok := k.places[r]
	if !ok {
		return nil, false
	}
	if shifted {
		p.shift = true
		if _, ok := k.chars[p]; !ok {
			p.shift = false // the same with Shift, as the space bar
		}
	}
	s := k.stroke(p, r)
	s.Shift = s.Shift && !shifted
	return s.Keys(), true
}
