// Package typing knows which keys a person would press: for a text on a
// keyboard of a given layout, and for a chord such as Ctrl+Alt+Delete.
//
// Each key has its scancode and its symbol beside each other, because machines
// go by the one and X programs by the other (rfbproto, QEMU Extended Key
// Event).
package typing

//go:generate go run generate.go

import (
	"fmt"
	"strings"
	"sync"
	"unicode"

	"github.com/ironglass/ironglass/x11/keysym"
)

// Default is the layout of consoles for which none was chosen.
const Default = "us"

// Key is one key of a keyboard.
type Key struct {
	// Keysym is the X11 keysym that it gives with the modifiers that are held.
	Keysym uint32
	// Keycode is its XT scancode as QEMU defines it (0xe0-prefixed codes have
	// bit 7 set), 0 where a PC's keyboard has no such key.
	Keycode uint32
}

// Stroke is a key that is pressed and let go, with the modifiers for it.
type Stroke struct {
	Key
	Shift, AltGr bool
	// Char is the character that is typed with this stroke.
	Char rune
	// Dead is set where the stroke is an accent, and only the next one types
	// Char.
	Dead bool
}

// Keys returns the stroke's keys in the order in which they go down.
func (s Stroke) Keys() Chord {
	var c Chord
	if s.Shift {
		c = append(c, shiftKey)
	}
	if s.AltGr {
		c = append(c, altGrKey)
	}
	return append(c, s.Key)
}

// layout is a keyboard layout. A level is a string of what the keys give, in
// the order of keys: alone, with Shift, with AltGr and with both. A space
// stands for nothing, a combining character for a dead key.
type layout struct {
	name   string
	levels [4]string
}

// mark is a dead key: the combining character that stands for it, its symbol,
// and pairs of what is typed after it and what comes of both.
type mark struct {
	mark   rune
	keysym uint32
	pairs  string
}

// place is a key with the modifiers for one of its levels. Without a key it is
// nowhere.
type place struct {
	keycode      uint32
	shift, altGr bool
}

// keyboard is a layout that can be looked up.
type keyboard struct {
	name string
	// places has where a character, or a dead key's combining one, is typed
	// with one stroke.
	places map[rune]place
	// chars has what a place gives.
	chars map[place]rune
}

// composed is how a character is typed with two strokes.
type composed struct{ mark, base rune }

var (
	// compositions has every character that some dead key makes of another
	// one, which may be several.
	compositions = sync.OnceValue(func() map[rune][]composed {
		all := make(map[rune][]composed)
		for _, m := range marks {
			pairs := []rune(m.pairs)
			for i := 0; i+1 < len(pairs); i += 2 {
				all[pairs[i+1]] = append(all[pairs[i+1]], composed{m.mark, pairs[i]})
			}
		}
		return all
	})
	// joined has what a letter with a combining character after it is.
	joined = sync.OnceValue(func() map[composed]rune {
		all := make(map[composed]rune)
		for r, ways := range compositions() {
			for _, w := range ways {
				if w.base != ' ' {
					all[w] = r
				}
			}
		}
		return all
	})
	keyboards sync.Map // of *keyboard by name, made when first needed
)

// Layouts returns the names of the layouts, the most usual first.
func Layouts() []string {
	names := make([]string, len(layouts))
	for i, l := range layouts {
		names[i] = l.name
	}
	return names
}

// CheckLayout returns an error that says what can be used instead where there
// is no layout of that name.
func CheckLayout(name string) error {
	_, err := keyboardOf(name)
	return err
}

func keyboardOf(name string) (*keyboard, error) {
	if k, ok := keyboards.Load(name); ok {
		return k.(*keyboard), nil
	}
	for _, l := range layouts {
		if l.name == name {
			k := newKeyboard(l)
			keyboards.Store(name, k)
			return k, nil
		}
	}
	return nil, fmt.Errorf("there is no keyboard layout %.40q: use one of %s", name, strings.Join(Layouts(), ", "))
}

// besideShift is the key between left Shift and Z, which not every keyboard
// has. What is elsewhere with no more than Shift is typed there.
const besideShift = 0x56

func newKeyboard(l layout) *keyboard {
	k := &keyboard{name: l.name, places: make(map[rune]place), chars: make(map[place]rune)}
	add := func(r rune, p place) {
		if r == ' ' {
			return
		}
		k.chars[p] = r
		if _, taken := k.places[r]; !taken {
			k.places[r] = p
		}
	}
	var beside [4]rune
	for n, level := range l.levels {
		shift, altGr := n&1 != 0, n&2 != 0
		for i, r := range []rune(level) {
			if keys[i] == besideShift {
				beside[n] = r
				continue
			}
			add(r, place{keys[i], shift, altGr})
		}
		if shift {
			for m := n - 1; m <= n; m++ {
				if beside[m] != 0 {
					add(beside[m], place{besideShift, m&1 != 0, altGr})
				}
			}
		}
	}
	for r, p := range map[rune]place{' ': {keycode: 0x39}, '\t': {keycode: 0x0f}, '\n': {keycode: 0x1c}} {
		k.places[r], k.chars[p] = p, r
	}
	return k
}

// symbol is the symbol that a place gives.
func symbol(r rune) uint32 {
	switch r {
	case '\n':
		return symReturn
	case '\t':
		return symTab
	}
	for _, m := range marks {
		if m.mark == r {
			return m.keysym
		}
	}
	return keysym.FromRune(r)
}

// stroke returns the stroke for what is at a place.
func (k *keyboard) stroke(p place, typed rune) Stroke {
	return Stroke{Key: Key{Keysym: symbol(k.chars[p]), Keycode: p.keycode}, Shift: p.shift, AltGr: p.altGr, Char: typed}
}

// typed returns the strokes for a character, nil where there are none.
func (k *keyboard) typed(r rune) []Stroke {
	if unicode.Is(unicode.M, r) {
		return nil // a dead key alone types nothing
	}
	if p, ok := k.places[r]; ok {
		return []Stroke{k.stroke(p, r)}
	}
	for _, c := range compositions()[r] {
		dead, haveDead := k.places[c.mark]
		base, haveBase := k.places[c.base]
		if haveDead && haveBase {
			first := k.stroke(dead, r)
			first.Dead = true
			return []Stroke{first, k.stroke(base, r)}
		}
	}
	return nil
}

// Untypable is a character that a layout cannot type, and how often the text
// has it.
type Untypable struct {
	Char  rune
	Count int
}

// UntypableError says what of a text cannot be typed with a layout.
type UntypableError struct {
	Layout string
	// Characters are in the order in which they first appear.
	Characters []Untypable
}

// mostNamed is how many characters an error's text names.
const mostNamed = 10

func (e *UntypableError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "the keyboard layout %s cannot type ", e.Layout)
	for i, c := range e.Characters {
		if i > 0 {
			b.WriteString(", ")
		}
		if i == mostNamed {
			fmt.Fprintf(&b, "and %d other characters", len(e.Characters)-i)
			break
		}
		if unicode.IsGraphic(c.Char) && c.Char != unicode.ReplacementChar && !unicode.IsSpace(c.Char) && !unicode.Is(unicode.M, c.Char) {
			fmt.Fprintf(&b, "%c", c.Char)
		} else {
			fmt.Fprintf(&b, "%U", c.Char)
		}
		if c.Count > 1 {
			fmt.Fprintf(&b, " (%d times)", c.Count)
		}
	}
	return b.String()
}

// Strokes returns the strokes that type the text on a keyboard of that layout.
// Line ends of all kinds become Return, tabs Tab, and letters with combining
// accents after them what they are together. The error is an *UntypableError
// where the layout lacks characters, all of which it names.
func Strokes(layout, text string) ([]Stroke, error) {
	k, err := keyboardOf(layout)
	if err != nil {
		return nil, err
	}
	runes := fold(text)
	strokes := make([]Stroke, 0, len(runes))
	var missing []Untypable
	index := make(map[rune]int)
	for _, r := range runes {
		s := k.typed(r)
		if s != nil {
			strokes = append(strokes, s...)
			continue
		}
		if _, known := index[r]; !known {
			index[r] = len(missing)
			missing = append(missing, Untypable{Char: r})
		}
		missing[index[r]].Count++
	}
	if missing != nil {
		return nil, &UntypableError{Layout: k.name, Characters: missing}
	}
	return strokes, nil
}

// fold makes one character of what is one to a person: of a line end, and of a
// letter with an accent after it.
func fold(text string) []rune {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	runes := make([]rune, 0, len(text))
	for _, r := range text {
		if r == '\r' {
			r = '\n'
		}
		if n := len(runes); n > 0 && unicode.Is(unicode.M, r) {
			if whole, ok := joined()[composed{r, runes[n-1]}]; ok {
				runes[n-1] = whole
				continue
			}
		}
		runes = append(runes, r)
	}
	return runes
}
