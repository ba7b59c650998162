// Package keysym knows the symbols that X gives to keys: their names, the
// characters they stand for, and which are upper and lower case of each other.
// It also knows where on the keyboard the scancodes of a PC lie.
package keysym

//go:generate go run generate.go

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// named is a symbol and a name of it.
type named struct {
	sym  uint32
	name string
}

// char is a symbol and the character it stands for.
type char struct {
	sym  uint32
	char rune
}

// unicodeBase is added to a code point to make a symbol of it (X11 protocol,
// appendix A).
const unicodeBase = 0x01000000

// NoSymbol is no symbol at all.
const NoSymbol = 0

// FromName returns the symbol of this name, as in xmodmap: "Return", "a",
// "U20AC" (a code point) or "0x20ac" (a symbol's number).
func FromName(name string) (sym uint32, ok bool) {
	if i, ok := slices.BinarySearchFunc(byName, name, func(n named, name string) int { return cmp.Compare(n.name, name) }); ok {
		return byName[i].sym, true
	}
	if digits, ok := strings.CutPrefix(name, "U"); ok && len(digits) >= 4 {
		if v, err := strconv.ParseUint(digits, 16, 32); err == nil && utf8.ValidRune(rune(v)) && v != 0 {
			return FromRune(rune(v)), true
		}
	}
	if digits, ok := strings.CutPrefix(name, "0x"); ok {
		if v, err := strconv.ParseUint(digits, 16, 32); err == nil && v != 0 {
			return uint32(v), true
		}
	}
	return NoSymbol, false
}

// Name returns the symbol's usual name, in a form that FromName takes.
func Name(sym uint32) string {
	if i, ok := slices.BinarySearchFunc(bySym, sym, func(n named, sym uint32) int { return cmp.Compare(n.sym, sym) }); ok {
		return bySym[i].name
	}
	if sym > unicodeBase && sym <= unicodeBase+unicode.MaxRune {
		digits := strings.ToUpper(strconv.FormatUint(uint64(sym-unicodeBase), 16))
		return "U" + strings.Repeat("0", max(0, 4-len(digits))) + digits
	}
	return "0x" + strconv.FormatUint(uint64(sym), 16)
}

// FromRune returns the symbol that stands for the character.
func FromRune(r rune) uint32 {
	if latin1(uint32(r)) {
		return uint32(r)
	}
	if i, ok := slices.BinarySearchFunc(symByChar, r, func(c char, r rune) int { return cmp.Compare(c.char, r) }); ok {
		return symByChar[i].sym
	}
	return unicodeBase + uint32(r)
}

// Rune returns the character that the symbol stands for. Symbols of the
// keypad and of editing keys stand for none.
func Rune(sym uint32) (r rune, ok bool) {
	switch {
	case latin1(sym):
		return rune(sym), true
	case sym > unicodeBase && sym <= unicodeBase+unicode.MaxRune:
		return rune(sym - unicodeBase), true
	}
	if i, ok := slices.BinarySearchFunc(charBySym, sym, func(c char, sym uint32) int { return cmp.Compare(c.sym, sym) }); ok {
		return charBySym[i].char, true
	}
	return 0, false
}

// latin1 reports whether the symbol is a printable character of Latin-1,
// whose numbers are the same.
func latin1(sym uint32) bool { return 0x20 <= sym && sym <= 0x7e || 0xa0 <= sym && sym <= 0xff }

// Canonical makes symbols equal that stand for the same character: a code
// point and an older symbol.
func Canonical(sym uint32) uint32 {
	if r, ok := Rune(sym); ok {
		return FromRune(r)
	}
	return sym
}

// Case returns the symbol's lower and upper case forms; both are the symbol
// itself where it has none.
func Case(sym uint32) (lower, upper uint32) {
	r, ok := Rune(sym)
	if !ok {
		return sym, sym
	}
	l, u := unicode.ToLower(r), unicode.ToUpper(r)
	if l == u || unicode.ToUpper(l) != u || unicode.ToLower(u) != l || r != l && r != u {
		return sym, sym
	}
	return FromRune(l), FromRune(u)
}

// Keypad reports whether the symbol is of the keypad.
func Keypad(sym uint32) bool { return 0xff80 <= sym && sym <= 0xffbd }

// Modifier reports whether the symbol's key only changes what others do:
// Shift, Control, the locks and so on.
func Modifier(sym uint32) bool {
	switch {
	case 0xffe1 <= sym && sym <= 0xffee, // Shift_L to Hyper_R
		0xfe01 <= sym && sym <= 0xfe13, // ISO_Lock to ISO_Level5_Lock
		sym == 0xff7e,                  // Mode_switch
		sym == 0xff7f:                  // Num_Lock
		return true
	}
	return false
}

// Dead reports whether the symbol is an accent for the next character.
func Dead(sym uint32) bool { return 0xfe50 <= sym && sym <= 0xfe93 }
