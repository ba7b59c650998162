package x11

import (
	"fmt"
	"unicode"

	"github.com/ironglass/ironglass/x11/keysym"
	"github.com/jezek/xgb/xproto"
)

// keymap is the server's keyboard mapping as the core protocol tells it. It
// does not change once loaded, but for what spares binds.
type keymap struct {
	first, last xproto.Keycode
	// symbols has the symbols of each key in canonical form, by keycode less
	// first; see level for their order.
	symbols [][]uint32
	// places has where a symbol is found, best places first.
	places map[uint32][]place
	// modifiers has the keys of each of the eight modifiers.
	modifiers [8][]xproto.Keycode
	// modifierOf has the modifiers that a key is of, as a mask.
	modifierOf [256]uint16
	// numLock and level3 are the masks of the modifiers that Num Lock and
	// AltGr (ISO_Level3_Shift) are of; 0 where there is none.
	numLock, level3 uint16
	// Keys for Shift, AltGr and the locks; 0 where there is none.
	shiftKey, level3Key, capsLockKey, numLockKey xproto.Keycode
	// evdev says that keycodes are Linux's numbers of keys.
	evdev bool
}

// place is a symbol's place on the keyboard.
type place struct {
	key   xproto.Keycode
	level level
}

// level is an index into a key's symbols. With XKB, servers tell the first
// and second level of group 1, then of group 2, then the third and fourth of
// group 1 and of group 2. Bit 0 is thus Shift, bit 1 the group, and bit 2
// AltGr.
type level int

const (
	levelShift  level = 1
	levelGroup2 level = 2
	levelAltGr  level = 4
	levelCount        = 8
)

// askMapping asks for the symbols of all keys. Where the server is our own, no
// key is left to it.
func (x *Display) askMapping() (*xproto.GetKeyboardMappingReply, error) {
	first, last := x.setup.MinKeycode, x.setup.MaxKeycode
	ask := func() (*xproto.GetKeyboardMappingReply, error) {
		r, err := xproto.GetKeyboardMapping(x.conn.Conn, first, byte(last-first+1)).Reply()
		if err != nil {
			return nil, fmt.Errorf("asking for the keyboard's mapping: %w", err)
		}
		return r, nil
	}
	mapping, err := ask()
	if err != nil || !x.cfg.OwnServer {
		return mapping, err
	}
	if changed, err := x.freeKeys(mapping); err != nil || !changed {
		return mapping, err
	}
	return ask()
}

// loadKeymap asks the server for its mapping.
func (x *Display) loadKeymap() (*keymap, error) {
	first, last := x.setup.MinKeycode, x.setup.MaxKeycode
	mapping, err := x.askMapping()
	if err != nil {
		return nil, err
	}
	modifiers, err := xproto.GetModifierMapping(x.conn.Conn).Reply()
	if err != nil {
		return nil, fmt.Errorf("asking for the modifiers: %w", err)
	}
	m := &keymap{first: first, last: last, symbols: make([][]uint32, int(last-first)+1), places: make(map[uint32][]place)}
	per := int(mapping.KeysymsPerKeycode)
	for i := range m.symbols {
		raw := mapping.Keysyms[i*per : (i+1)*per]
		m.symbols[i] = normalSymbols(raw)
	}
	for l := range level(levelCount) {
		for i := range m.symbols {
			m.addPlace(first+xproto.Keycode(i), l)
		}
	}
	perModifier := int(modifiers.KeycodesPerModifier)
	for n := range m.modifiers {
		for _, k := range modifiers.Keycodes[n*perModifier : (n+1)*perModifier] {
			if k != 0 {
				m.modifiers[n] = append(m.modifiers[n], k)
				m.modifierOf[k] |= 1 << n
			}
		}
	}
	m.numLock, m.numLockKey = m.modifierWith(symNumLock)
	m.level3, m.level3Key = m.modifierWith(symLevel3Shift)
	_, m.capsLockKey = m.modifierWith(symCapsLock)
	if keys := m.modifiers[xproto.MapIndexShift]; len(keys) > 0 {
		m.shiftKey = keys[0]
	}
	m.evdev = m.looksEvdev()
	return m, nil
}

// modifierWith finds a key that has the symbol and is of a modifier.
func (m *keymap) modifierWith(sym uint32) (mask uint16, key xproto.Keycode) {
	for _, p := range m.places[sym] {
		if mask := m.modifierOf[p.key]; mask != 0 {
			return mask, p.key
		}
	}
	return 0, 0
}

const (
	symCapsLock    = 0xffe5
	symNumLock     = 0xff7f
	symLevel3Shift = 0xfe03
	symLeftTab     = 0xfe20 // ISO_Left_Tab, which is Tab with Shift
)

// normalSymbols fills the gaps of a key's list as the protocol says (X11
// protocol, chapter 5, Keyboards) and makes its symbols canonical. It returns
// nil for a key without symbols.
func normalSymbols(raw []xproto.Keysym) []uint32 {
	s := make([]uint32, levelCount)
	empty := true
	for i := range min(len(raw), levelCount) {
		s[i] = keysym.Canonical(uint32(raw[i]))
		empty = empty && raw[i] == keysym.NoSymbol
	}
	if empty {
		return nil
	}
	if s[2] == keysym.NoSymbol && s[3] == keysym.NoSymbol {
		s[2], s[3] = s[0], s[1]
	}
	for i := 0; i < levelCount; i += 2 {
		if s[i] != keysym.NoSymbol && s[i+1] == keysym.NoSymbol {
			s[i], s[i+1] = keysym.Case(s[i])
		}
	}
	return s
}

// addPlace notes where the key's symbol at this level is found.
func (m *keymap) addPlace(k xproto.Keycode, l level) {
	if s := m.at(k); s != nil && s[l] != keysym.NoSymbol {
		m.places[s[l]] = append(m.places[s[l]], place{k, l})
	}
}

// at returns the key's symbols, nil where it has none.
func (m *keymap) at(k xproto.Keycode) []uint32 {
	if k < m.first || k > m.last {
		return nil
	}
	return m.symbols[k-m.first]
}

// looksEvdev finds out by keys that every layout has at the same place.
func (m *keymap) looksEvdev() bool {
	agree := 0
	for k, sym := range map[xproto.Keycode]uint32{
		110: 0xff50, 111: 0xff52, 113: 0xff51, 116: 0xff54, 119: 0xffff, // Home, Up, Left, Down, Delete
	} {
		if s := m.at(k); s != nil && s[0] == sym {
			agree++
		}
	}
	return agree >= 3
}

// Bits of the state that an X event carries, beside the modifiers.
const (
	stateShift = xproto.ModMaskShift
	stateLock  = xproto.ModMaskLock
	// groupShift is where XKB puts the number of the group.
	groupShift = 13
)

// plan is what must be done to the modifiers, for a moment, so that a key
// gives the symbol at one of its levels.
type plan struct {
	shift, altGr      bool // press what is up, let go what is down
	capsLock, numLock bool // tap
}

// steps is how many changes the plan makes.
func (p plan) steps() (n int) {
	for _, change := range []bool{p.shift, p.altGr, p.capsLock, p.numLock} {
		if change {
			n++
		}
	}
	return n
}

// plan says how to get the symbol at p while the modifiers are as in state;
// ok is false where that cannot be. The core protocol does not tell a key's
// type, so it is guessed as XKB's usual ones: Caps Lock is Shift for letters
// that have two cases; for other letters nobody knows what it is, and it is
// turned off. Num Lock without Shift gives the keypad's second level, anything
// else its first.
func (m *keymap) plan(p place, state uint16) (how plan, ok bool) {
	s := m.at(p.key)
	if p.level&levelGroup2 != 0 != (state>>groupShift&3 != 0) {
		return how, false
	}
	if held := m.level3 != 0 && state&m.level3 != 0; held != (p.level&levelAltGr != 0) {
		if s[p.level^levelAltGr] != s[p.level] {
			how.altGr = true
		}
	}
	first, second := s[p.level&^levelShift], s[p.level|levelShift]
	shift, want := state&stateShift != 0, p.level&levelShift != 0
	lower, upper := keysym.Case(first)
	switch {
	case first == second:
	case keysym.Keypad(second):
		num := m.numLock != 0 && state&m.numLock != 0
		if want {
			how.numLock, how.shift = !num, shift
		} else {
			how.shift = num && !shift
		}
	case lower != upper && first == lower && second == upper:
		how.shift = (shift != (state&stateLock != 0)) != want
	default:
		how.capsLock = state&stateLock != 0 && (isLetter(first) || isLetter(second))
		how.shift = shift != want
	}
	ok = (!how.shift || m.shiftKey != 0) && (!how.altGr || m.level3Key != 0) &&
		(!how.capsLock || m.capsLockKey != 0) && (!how.numLock || m.numLockKey != 0)
	return how, ok
}

func isLetter(sym uint32) bool {
	r, ok := keysym.Rune(sym)
	return ok && unicode.IsLetter(r)
}
