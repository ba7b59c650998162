package typing

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/ironglass/ironglass/x11/keysym"
)

// asText writes strokes down: S for Shift, G for AltGr, the scancode, and ' on
// a dead one.
func asText(strokes []Stroke) string {
	var words []string
	for _, s := range strokes {
		w := ""
		if s.Shift {
			w += "S"
		}
		if s.AltGr {
			w += "G"
		}
		w += fmt.Sprintf("%02x", s.Keycode)
		if s.Dead {
			w += "'"
		}
		words = append(words, w)
	}
	return strings.Join(words, " ")
}

func TestStrokes(t *testing.T) {
	for _, c := range []struct{ layout, text, want string }{
		{"us", "aA1!", "1e S1e 02 S02"},
		{"us", "<>|", "S33 S34 S2b"},
		{"us", "a b\tc\n", "1e 39 30 0f 2e 1c"},
		{"uk", "\"@#~\\|£€", "S03 S28 2b S2b 56 S56 S04 G05"},
		{"de", "zZyY", "15 S15 2c S2c"},
		{"de", "äÖüß", "28 S27 1a 0c"},
		{"de", "@€\\{}~|<>", "G10 G12 G0c G08 G0b G1b G56 56 S56"},
		{"de", "êÊ^`é", "29' 12 29' S12 29' 39 S0d' 39 0d' 12"},
		{"fr", "aA1!qzé@", "10 S10 S02 35 1e 11 03 G0b"},
		{"fr", "êï", "1a' 12 S1a' 17"},
		{"es", "ñáü¿[]{}", "27 28' 1e S28' 16 S0d G1a G1b G28 G2b"},
		{"it", "òàù@#[{", "27 28 2b G27 G28 G1a SG1a"},
		{"be", "[{\\", "G1a G0a G56"},
		{"se", "åä~^", "1a 28 G1b' 39 S1b' 39"},
		{"no", "øæå", "27 28 1a"},
		{"dk", "øæå", "28 27 1a"},
		{"ch", "zöèé", "15 27 S1a S27"},
		{"jp", "@[]\\_", "1a 1b 2b 7d S73"},
		{"br", "ç/?ã\\|", "27 73 S73 28' 1e 56 S56"},
		{"us-intl", "'\"~^éê", "G28 SG28 SG29 SG07 G12 S07' 12"},
	} {
		got, err := Strokes(c.layout, c.text)
		if err != nil {
			t.Errorf("%s %q: %v", c.layout, c.text, err)
		} else if s := asText(got); s != c.want {
			t.Errorf("%s %q is typed %s, want %s", c.layout, c.text, s, c.want)
		}
	}
}

func TestFolds(t *testing.T) {
	for a, b := range map[string]string{
		"a\r\nb": "a\nb", "a\rb": "a\nb", "a\r\r\n\n": "a\n\n\n",
		"a\u0308": "ä", "E\u0301\u0301": "", "u\u0300o": "ùo", "\u0301": "",
	} {
		got, err := Strokes("de", a)
		if b == "" {
			if err == nil {
				t.Errorf("%q can be typed: %s", a, asText(got))
			}
			continue
		}
		want, _ := Strokes("de", b)
		if err != nil || want == nil || !slices.Equal(got, want) {
			t.Errorf("%q: %s, %v; want %s", a, asText(got), err, asText(want))
		}
	}
}

func TestUntypable(t *testing.T) {
	strokes, err := Strokes("us", "a€b😀\x1b€c\u00a0é")
	var e *UntypableError
	if strokes != nil || !errors.As(err, &e) {
		t.Fatalf("%v, %v", strokes, err)
	}
	want := []Untypable{{'€', 2}, {'😀', 1}, {0x1b, 1}, {0xa0, 1}, {'é', 1}}
	if e.Layout != "us" || !slices.Equal(e.Characters, want) {
		t.Errorf("%+v", e)
	}
	if got := e.Error(); got != "the keyboard layout us cannot type € (2 times), 😀, U+001B, U+00A0, é" {
		t.Error(got)
	}
	_, err = Strokes("us", "αβγδεζηθικλμ")
	if got := err.Error(); !strings.HasSuffix(got, "κ, and 2 other characters") {
		t.Error(got)
	}
	if _, err = Strokes("us", "a\xff"); err == nil || !strings.Contains(err.Error(), "U+FFFD") {
		t.Errorf("broken UTF-8: %v", err)
	}
	for _, name := range []string{"", "US", "xx"} {
		if _, err := Strokes(name, "a"); err == nil || !strings.Contains(err.Error(), "use one of us, uk, de, ") {
			t.Errorf("layout %q: %v", name, err)
		}
		if CheckLayout(name) == nil {
			t.Errorf("layout %q is known", name)
		}
	}
}

// Every layout types what programs are made of.
func TestLayouts(t *testing.T) {
	names := Layouts()
	for _, name := range []string{"us", "uk", "de", "fr", "es", "it", "se", "no", "dk", "ch", "jp", "br"} {
		if !slices.Contains(names, name) {
			t.Errorf("there is no %s", name)
		}
	}
	for _, name := range names {
		if err := CheckLayout(name); err != nil {
			t.Error(err)
		}
		for r := rune(' '); r < 0x7f; r++ {
			if _, err := Strokes(name, string(r)); err != nil {
				t.Error(err)
			}
		}
		k, err := keyboardOf(name)
		if err != nil {
			t.Fatal(err)
		}
		for r, p := range k.places {
			if k.chars[p] != r {
				t.Errorf("%s: %c is at %v, where %c is", name, r, p, k.chars[p])
			}
			if _, ok := keysym.Keycode(p.keycode); !ok {
				t.Errorf("%s: %c is at no key: %v", name, r, p)
			}
			// What is typed is what was asked for, by symbol too.
			if s := k.typed(r); s != nil && r > ' ' {
				if got, ok := keysym.Rune(s[0].Keysym); len(s) != 1 || !ok || got != r {
					t.Errorf("%s: %c is typed %v", name, r, s)
				}
			}
		}
	}
}

func TestTables(t *testing.T) {
	for _, l := range layouts {
		for n, level := range l.levels {
			if c := utf8.RuneCountInString(level); c > len(keys) {
				t.Errorf("%s: level %d has %d characters for %d keys", l.name, n, c, len(keys))
			}
			for _, r := range level {
				if unicode.Is(unicode.M, r) && !slices.ContainsFunc(marks, func(m mark) bool { return m.mark == r }) {
					t.Errorf("%s: no dead key is %U", l.name, r)
				}
			}
		}
	}
	for _, m := range marks {
		if !keysym.Dead(m.keysym) {
			t.Errorf("%U has the symbol %#x, which is no dead key", m.mark, m.keysym)
		}
		if n := utf8.RuneCountInString(m.pairs); n%2 != 0 || n == 0 {
			t.Errorf("%U has pairs of %d characters", m.mark, n)
		}
	}
}

func chordText(c Chord) string {
	var words []string
	for _, k := range c {
		words = append(words, fmt.Sprintf("%s:%02x", keysym.Name(k.Keysym), k.Keycode))
	}
	return strings.Join(words, " ")
}

func TestParseChord(t *testing.T) {
	for _, c := range []struct{ layout, text, want string }{
		{"us", "Control_L+Alt_L+Delete", "Control_L:1d Alt_L:38 Delete:d3"},
		{"us", "ctrl+ALT+del", "Control_L:1d Alt_L:38 Delete:d3"},
		{"us", "F2", "F2:3c"}, {"us", "f24", "F24:76"}, {"us", "F12", "F12:58"},
		{"us", "Alt+Tab", "Alt_L:38 Tab:0f"},
		{"us", "Alt+SysRq+b", "Alt_L:38 Sys_Req:54 b:30"},
		{"us", "Super", "Super_L:db"}, {"us", "Win+r", "Super_L:db r:13"},
		{"us", "Enter", "Return:1c"}, {"us", "PgUp", "Prior:c9"}, {"us", "KP_Enter", "KP_Enter:9c"},
		{"us", "a", "a:1e"}, {"us", "A", "Shift_L:2a A:1e"}, {"us", "!", "Shift_L:2a exclam:02"},
		{"us", "Ctrl+C", "Control_L:1d c:2e"},
		{"us", "Ctrl+Shift+c", "Control_L:1d Shift_L:2a C:2e"},
		{"us", "Shift+1", "Shift_L:2a exclam:02"}, {"us", "Shift+!", "Shift_L:2a exclam:02"},
		{"us", "Shift_R+space", "Shift_R:36 space:39"}, {"us", " ", "space:39"},
		{"us", "Ctrl++", "Control_L:1d Shift_L:2a plus:0d"}, {"us", "+", "Shift_L:2a plus:0d"},
		{"us", "plus", "Shift_L:2a plus:0d"}, {"us", "Ctrl+plus", "Control_L:1d Shift_L:2a plus:0d"},
		{"de", "Ctrl++", "Control_L:1d plus:1b"}, {"de", "Ctrl+z", "Control_L:1d z:15"},
		{"de", "AltGr+q", "ISO_Level3_Shift:b8 q:10"}, {"de", "@", "ISO_Level3_Shift:b8 at:10"},
		{"de", "Ctrl+ö", "Control_L:1d odiaeresis:27"}, {"de", "Ctrl+Shift+7", "Control_L:1d Shift_L:2a slash:08"},
		{"us", "XF86AudioMute", "XF86AudioMute:00"}, {"us", "Alt_R", "Alt_R:b8"},
	} {
		got, err := ParseChord(c.layout, c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
		} else if s := chordText(got); s != c.want {
			t.Errorf("%s on %s is %s, want %s", c.text, c.layout, s, c.want)
		}
	}
	for text, want := range map[string]string{
		"":                      "a key is missing",
		"Ctrl+":                 "a key is missing",
		"Ctrl+Nonsense":         `there is no key "Nonsense"`,
		"Hyper+a":               `there is no key "Hyper"`,
		"Ctrl+ö":                `the keyboard layout us has no key for "ö"`,
		"Ctrl+Ctrl":             `"Ctrl" is there twice`,
		"Shift+Shift_L":         `"Shift_L" is there twice`,
		"a+b+c+d+e+f+g+h+i+j+k": "names 11 keys",
		"\x01":                  "is no key",
		"\xff":                  "is no key",
		"ctrl+a++b":             `"+b"`,
	} {
		if c, err := ParseChord("us", text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v; want %s", text, c, err, want)
		}
	}
	if _, err := ParseChord("xx", "a"); err == nil {
		t.Error("there is a layout xx")
	}
}

func FuzzParseChord(f *testing.F) {
	f.Add("Control_L+Alt_L+Delete")
	f.Add("++++")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseChord("de", text)
		if err == nil && (len(c) == 0 || len(c) > 2*maxTogether) {
			t.Errorf("%q is %v", text, c)
		}
	})
}

func FuzzStrokes(f *testing.F) {
	f.Add("Grüße\r\n\tê ^`\u0301")
	f.Fuzz(func(t *testing.T, text string) {
		strokes, err := Strokes("de", text)
		if (err != nil) == (strokes != nil) {
			t.Errorf("%q gave %v and %v", text, strokes, err)
		}
		typed := 0
		for i, s := range strokes {
			if s.Keycode == 0 || s.Keysym == 0 {
				t.Errorf("%q: %+v", text, s)
			}
			if s.Dead && (i+1 == len(strokes) || strokes[i+1].Char != s.Char) {
				t.Errorf("%q: a dead key without what follows", text)
			}
			if !s.Dead {
				typed++
			}
		}
		if err == nil && typed > utf8.RuneCountInString(text) {
			t.Errorf("%q: %d characters are typed", text, typed)
		}
	})
}
