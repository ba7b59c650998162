package integration

import (
	"fmt"
	"image"
	"slices"
	"strings"
	"testing"
)

// typed is text as strokes of a US keyboard.
func typed(text string) []stroke {
	// The character without and with Shift, and the key.
	const plain = "`1234567890-=[]\\;',./ "
	const shifted = "~!@#$%^&*()_+{}|:\"<>? "
	codes := strings.Fields("Backquote Digit1 Digit2 Digit3 Digit4 Digit5 Digit6 Digit7 Digit8 Digit9 Digit0 Minus Equal " +
		"BracketLeft BracketRight Backslash Semicolon Quote Comma Period Slash Space")
	var strokes []stroke
	for _, r := range text {
		s := stroke{key: string(r), arrives: fmt.Sprintf("%x -", r)}
		switch {
		case r >= 'a' && r <= 'z':
			s.code = "Key" + strings.ToUpper(string(r))
		case r >= 'A' && r <= 'Z':
			s.code, s.modifiers = "Key"+string(r), withShift
		case strings.ContainsRune(plain, r):
			s.code = codes[strings.IndexRune(plain, r)]
		default:
			s.code, s.modifiers = codes[strings.IndexRune(shifted, r)], withShift
		}
		strokes = append(strokes, s)
	}
	return strokes
}

// named are keys that type no character.
func named() []stroke {
	strokes := []stroke{
		{key: "Enter", code: "Enter", arrives: "ff0d -"},
		{key: "Tab", code: "Tab", arrives: "ff09 -"},
		{key: "Escape", code: "Escape", arrives: "ff1b -"},
		{key: "Backspace", code: "Backspace", arrives: "ff08 -"},
		{key: "Delete", code: "Delete", arrives: "ffff -"},
		{key: "Insert", code: "Insert", arrives: "ff63 -"},
		{key: "Home", code: "Home", arrives: "ff50 -"},
		{key: "ArrowLeft", code: "ArrowLeft", arrives: "ff51 -"},
		{key: "ArrowUp", code: "ArrowUp", arrives: "ff52 -"},
		{key: "ArrowRight", code: "ArrowRight", arrives: "ff53 -"},
		{key: "ArrowDown", code: "ArrowDown", arrives: "ff54 -"},
		{key: "PageUp", code: "PageUp", arrives: "ff55 -"},
		{key: "PageDown", code: "PageDown", arrives: "ff56 -"},
		{key: "End", code: "End", arrives: "ff57 -"},
	}
	for i := range 12 {
		name := fmt.Sprintf("F%d", i+1)
		strokes = append(strokes, stroke{key: name, code: name, arrives: fmt.Sprintf("%x -", 0xffbe+i)})
	}
	return strokes
}

// TestKeys: what is typed in the browser arrives as the same key events in X.
func TestKeys(t *testing.T) {
	n, _, p, _ := openPicture(t, "keys", "640x480")

	groups := []struct {
		name    string
		strokes []stroke
	}{
		{"letters", typed("the quick brown fox jumps over the lazy dog")},
		{"capitals", typed("SPHINX of Black Quartz JUDGE my Vow")},
		{"digits and symbols", typed("`1234567890-=[]\\;',./~!@#$%^&*()_+{}|:\"<>?")},
		{"named keys", named()},
		{"control", []stroke{
			{key: "c", code: "KeyC", modifiers: withCtrl, arrives: "63 C"},
			{key: "d", code: "KeyD", modifiers: withCtrl, arrives: "64 C"},
			{key: "x", code: "KeyX", modifiers: withAlt, arrives: "78 A"},
			{key: "Delete", code: "Delete", modifiers: withCtrl | withAlt, arrives: "ffff CA"},
			{key: "F2", code: "F2", modifiers: withCtrl | withAlt, arrives: "ffbf CA"},
		}},
		// The keys of a German keyboard, at places where the X server's own
		// keyboard has other characters or none.
		{"another keyboard", []stroke{
			{key: "z", code: "KeyY", arrives: "7a -"},
			{key: "y", code: "KeyZ", arrives: "79 -"},
			{key: "ä", code: "Quote", arrives: "e4 -"},
			{key: "ö", code: "Semicolon", arrives: "f6 -"},
			{key: "ü", code: "BracketLeft", arrives: "fc -"},
			{key: "Ä", code: "Quote", modifiers: withShift, arrives: "c4 -"},
			{key: "ß", code: "Minus", arrives: "df -"},
			{key: "€", code: "KeyE", altGr: true, arrives: "20ac -"},
			{key: "/", code: "Digit7", modifiers: withShift, arrives: "2f -"},
			{key: "-", code: "Slash", arrives: "2d -"},
		}},
	}
	for _, group := range groups {
		t.Run(group.name, func(t *testing.T) {
			p.arrive(t, n, group.strokes)
		})
	}

	t.Run("pointer", func(t *testing.T) {
		for _, at := range []image.Point{{X: 3, Y: 5}, {X: 320, Y: 240}, {X: 636, Y: 477}} {
			before, err := n.lines()
			if err != nil {
				t.Fatal(err)
			}
			p.click(t, at, image.Pt(640, 480))
			eventually(t, "the click to arrive", func() error {
				lines, err := n.lines()
				if err != nil {
					return err
				}
				var downs, ups int
				for _, line := range lines[len(before):] {
					var button, x, y int
					var what string
					if c, _ := fmt.Sscanf(line, "button %s %d %d %d", &what, &button, &x, &y); c != 4 {
						continue
					}
					// The page may scale: a pixel of the page is then not one of the screen.
					if off := image.Pt(x, y).Sub(at); button != 1 || max(off.X, -off.X, off.Y, -off.Y) > 1 {
						return fmt.Errorf("%q instead of button 1 at %v", line, at)
					}
					switch what {
					case "down":
						downs++
					case "up":
						ups++
					}
				}
				if downs != 1 || ups != 1 {
					return fmt.Errorf("the button went down %d and up %d times", downs, ups)
				}
				return nil
			})
		}
	})
}

// arrive sends the strokes to the page and waits until just these keys have
// come to the node's program.
func (p *tab) arrive(t testing.TB, n *node, strokes []stroke) {
	t.Helper()
	before, err := n.keyPresses()
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, stroke := range strokes {
		want = append(want, stroke.arrives)
	}
	p.press(t, strokes)
	eventually(t, "the keys to arrive", func() error {
		all, err := n.keyPresses()
		if err != nil {
			return err
		}
		if got := all[len(before):]; !slices.Equal(got, want) {
			return fmt.Errorf("arrived\n%q instead of\n%q", got, want)
		}
		return nil
	})
}
