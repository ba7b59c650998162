package keysym

import (
	"slices"
	"testing"
	"unicode"
)

func TestNames(t *testing.T) {
	for name, sym := range map[string]uint32{
		"Return": 0xff0d, "a": 'a', "EuroSign": 0x20ac, "XF86AudioMute": 0x1008ff12, "U20AC": 0x20ac,
		"U4E2D": 0x01004e2d, "U1F600": 0x0101f600, "0xfe50": 0xfe50, "ISO_Level3_Shift": 0xfe03, "Cyrillic_zhe": 0x6d6,
		"KP_Enter": 0xff8d, "space": ' ', "ISO_Left_Tab": 0xfe20, "Hyper_R": 0xffee, "Num_Lock": 0xff7f,
	} {
		if got, ok := FromName(name); !ok || got != sym {
			t.Errorf("%s is %#x, not %#x", name, got, sym)
		}
		if back, ok := FromName(Name(sym)); !ok || back != sym {
			t.Errorf("%#x is named %s, which is %#x", sym, Name(sym), back)
		}
	}
	for _, name := range []string{"", "Nonsense", "U12", "UD800", "U110000", "0x", "0x0", "0xgg", "return"} {
		if sym, ok := FromName(name); ok {
			t.Errorf("%q is %#x", name, sym)
		}
	}
	if got := Name(0x0100ff21); got != "UFF21" {
		t.Error(got)
	}
	if got := Name(0x12345678); got != "0x12345678" {
		t.Error(got)
	}
}

func TestTables(t *testing.T) {
	if !slices.IsSortedFunc(bySym, func(a, b named) int { return int(int64(a.sym) - int64(b.sym)) }) {
		t.Error("bySym is not in order")
	}
	for _, n := range bySym {
		if got, ok := FromName(n.name); !ok || got != n.sym {
			t.Errorf("%s is %#x, not %#x", n.name, got, n.sym)
		}
	}
	for _, c := range charBySym {
		r, ok := Rune(c.sym)
		if !ok || r != c.char {
			t.Errorf("%#x stands for %U, not %U", c.sym, r, c.char)
		}
	}
	for _, c := range symByChar {
		if got := FromRune(c.char); got != c.sym {
			t.Errorf("%U is %#x, not %#x", c.char, got, c.sym)
		}
	}
}

// Every character has a symbol that stands for it.
func TestRunes(t *testing.T) {
	for r := rune(0x20); r <= unicode.MaxRune; r++ {
		if 0x7f <= r && r < 0xa0 {
			continue
		}
		if got, ok := Rune(FromRune(r)); !ok || got != r {
			t.Fatalf("%U is %#x, which stands for %U", r, FromRune(r), got)
		}
	}
	for _, sym := range []uint32{0, 0x1f, 0x7f, 0xff0d, 0xffb1, 0x01000000, 0x01110000, ^uint32(0)} {
		if r, ok := Rune(sym); ok {
			t.Errorf("%#x stands for %U", sym, r)
		}
	}
	if Canonical(0x010000e4) != 'ä' || Canonical(0x01000436) != 0x6d6 || Canonical(0xff0d) != 0xff0d {
		t.Error("equal symbols are not made equal")
	}
}

func TestCase(t *testing.T) {
	for _, c := range [][2]uint32{{'a', 'A'}, {'é', 'É'}, {0x6d6, 0x6f6}, {0x1b1, 0x1a1}, {0x01000561, 0x01000531}, {0xff, 0x13be}} {
		for _, sym := range c {
			if l, u := Case(sym); l != c[0] || u != c[1] {
				t.Errorf("%s has the cases %s and %s", Name(sym), Name(l), Name(u))
			}
		}
	}
	for _, sym := range []uint32{'1', '!', 'ß', 0xff0d, 0x01004e2d, 0xffb1} {
		if l, u := Case(sym); l != sym || u != sym {
			t.Errorf("%s has the cases %s and %s", Name(sym), Name(l), Name(u))
		}
	}
}

func TestKinds(t *testing.T) {
	for name, want := range map[string][3]bool{ // keypad, modifier, dead
		"KP_1": {true}, "KP_Enter": {true}, "Shift_L": {false, true}, "ISO_Level3_Shift": {false, true},
		"Num_Lock": {false, true}, "Mode_switch": {false, true}, "Caps_Lock": {false, true}, "Super_R": {false, true},
		"dead_acute": {false, false, true}, "dead_greek": {false, false, true}, "a": {}, "F1": {}, "ISO_Left_Tab": {}, "Return": {},
	} {
		sym, ok := FromName(name)
		if !ok {
			t.Fatal(name)
		}
		if got := [3]bool{Keypad(sym), Modifier(sym), Dead(sym)}; got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestKeycode(t *testing.T) {
	for scancode, want := range map[uint32]uint8{
		0x01: 9, 0x10: 24, 0x1e: 38, 0x2c: 52, 0x39: 65, 0x3a: 66, 0x45: 77, 0x53: 91, 0x57: 95, 0x58: 96,
		0x9c: 104, 0x9d: 105, 0xb8: 108, 0xb7: 107, 0xc8: 111, 0xcb: 113, 0xdb: 133, 0xdd: 135, 0x56: 94, 0xc6: 127,
	} {
		if got, ok := Keycode(scancode); !ok || got != want {
			t.Errorf("scancode %#x is keycode %d, not %d", scancode, got, want)
		}
	}
	seen := make(map[uint8]uint32)
	for scancode := range uint32(0x100) {
		k, ok := Keycode(scancode)
		if !ok {
			continue
		}
		if k < 9 {
			t.Errorf("scancode %#x is keycode %d", scancode, k)
		}
		if other, twice := seen[k]; twice && k != 107 { // Print has two
			t.Errorf("scancodes %#x and %#x are both keycode %d", other, scancode, k)
		}
		seen[k] = scancode
	}
	for _, scancode := range []uint32{0, 0x55, 0x80, 0xff, 0x100, ^uint32(0)} {
		if k, ok := Keycode(scancode); ok {
			t.Errorf("scancode %#x is keycode %d", scancode, k)
		}
	}
}
