package x11

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/x11/keysym"
	"github.com/ironglass/ironglass/x11/xvfb"
	"github.com/jezek/xgb/xproto"
)

// xev is a running xev, a program of X itself that tells which events it
// gets and what Xlib makes of them.
type xev struct {
	t     testing.TB
	lines chan string
}

// keyPress is a key event as xev tells it.
type keyPress struct {
	down    bool
	sym     uint32
	state   uint16
	keycode int
}

func (k keyPress) String() string {
	dir := "up"
	if k.down {
		dir = "down"
	}
	return fmt.Sprintf("%s %s (state %#x, keycode %d)", keysym.Name(k.sym), dir, k.state, k.keycode)
}

// program starts an X program that ends with the test.
func program(t testing.TB, s *xvfb.Server, name string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err) // a machine without this program cannot run this
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), s.Environ()...)
	return cmd
}

func startXev(t testing.TB, s *xvfb.Server, p *painter) *xev {
	t.Helper()
	cmd := program(t, s, "stdbuf", "-oL", "xev", "-event", "keyboard", "-geometry", "640x480+0+0")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	e := &xev{t: t, lines: make(chan string, 1<<16)}
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(e.lines)
		for sc := bufio.NewScanner(out); sc.Scan(); {
			e.lines <- sc.Text()
		}
	})
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		reading.Wait()
		_ = cmd.Wait()
	})
	// The keys go to the window that has the pointer in it.
	xproto.WarpPointer(p.c.Conn, 0, p.root, 0, 0, 0, 0, 100, 300)
	for deadline := time.Now().Add(patience); ; {
		q, err := xproto.QueryPointer(p.c.Conn, p.root).Reply()
		p.must(err)
		if q.Child != 0 && q.Child != p.win {
			a, err := xproto.GetWindowAttributes(p.c.Conn, q.Child).Reply()
			if err == nil && a.AllEventMasks&xproto.EventMaskKeyPress != 0 {
				return e
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("xev shows no window")
		}
	}
}

var (
	xevEvent = regexp.MustCompile(`^(KeyPress|KeyRelease) event`)
	xevKey   = regexp.MustCompile(`state (0x[0-9a-f]+), keycode (\d+) \(keysym (0x[0-9a-f]+),`)
)

// next returns the next key event.
func (e *xev) next() keyPress {
	e.t.Helper()
	timeout := time.After(patience)
	var k keyPress
	for {
		select {
		case line, ok := <-e.lines:
			if !ok {
				e.t.Fatal("xev ended")
			}
			if m := xevEvent.FindStringSubmatch(line); m != nil {
				k.down = m[1] == "KeyPress"
			} else if m := xevKey.FindStringSubmatch(line); m != nil {
				state, _ := strconv.ParseUint(m[1], 0, 16)
				k.keycode, _ = strconv.Atoi(m[2])
				sym, _ := strconv.ParseUint(m[3], 0, 32)
				k.state, k.sym = uint16(state), keysym.Canonical(uint32(sym))
				return k
			}
		case <-timeout:
			e.t.Fatal("waited in vain for a key event")
		}
	}
}

// nextText returns the next press of a key that is no modifier.
func (e *xev) nextText() keyPress {
	e.t.Helper()
	for {
		if k := e.next(); k.down && !keysym.Modifier(k.sym) {
			return k
		}
	}
}

// typing is a display with xev on it.
type typing struct {
	x *Display
	p *painter
	*xev
	end func() error
}

func startTyping(t *testing.T, cfg func(*Config)) *typing {
	t.Helper()
	s := startXvfb(t, xvfb.Config{Width: 640, Height: 480})
	c := config(s)
	if cfg != nil {
		cfg(&c)
	}
	x := open(t, c)
	p := newPainter(t, s, rect(600, 440, 40, 40), 0)
	e := startXev(t, s, p)
	_, end := run(t, x)
	y := &typing{x, p, e, end}
	// Xlib loads the mapping with the first key and asks to be told of changes,
	// but that request is on its way only when Xlib waits for the next event.
	y.typed("a")
	y.typed("a")
	return y
}

func (y *typing) key(down bool, sym, code uint32) {
	y.x.KeyEvent(rfb.KeyEvent{Down: down, Keysym: sym, Keycode: code})
}

func (y *typing) tap(sym, code uint32) {
	y.key(true, sym, code)
	y.key(false, sym, code)
}

const (
	symShift   = 0xffe1
	symControl = 0xffe3
	symAlt     = 0xffe9
	symTab     = 0xff09
	symF1      = 0xffbe
)

// typed types the text by keysym, and checks that xev sees just that.
func (y *typing) typed(text string) {
	y.t.Helper()
	for _, r := range text {
		y.tap(keysym.FromRune(r), 0)
	}
	for _, r := range text {
		if k := y.nextText(); k.sym != keysym.FromRune(r) {
			y.t.Errorf("typed %q, xev saw %v", r, k)
		}
	}
}

const everyKey = "abcxyzABCXYZ0123456789 `-=[]\\;',./~!@#$%^&*()_+{}|:\"<>?"

func TestTypesKeysyms(t *testing.T) {
	y := startTyping(t, nil)
	y.typed(everyKey)
	t.Run("CapsLock", func(t *testing.T) {
		y.tap(symCapsLock, 0)
		y.typed("aAzZ1!éÉ")
		y.tap(symCapsLock, 0)
		y.typed("aAzZ1!éÉ")
	})
	t.Run("Shift held", func(t *testing.T) {
		y.key(true, symShift, 0)
		y.typed("aA1!")
		y.key(false, symShift, 0)
		y.typed("aA1!")
	})
	t.Run("not on the keyboard", func(t *testing.T) { y.typed("éöÖßñ€жЖ中文字😀é中") })
	t.Run("other scripts", func(t *testing.T) { y.typed("щЩіїΩωάκ한글שلไทかカ\u0301") })
	t.Run("locked", func(t *testing.T) {
		y.tap(symCapsLock, 0)
		y.tap(symNumLock, 0)
		y.typed("aA1!éÉжЖωΩ中한ß")
		y.tap(symNumLock, 0)
		y.tap(symCapsLock, 0)
		y.typed("aA1!")
	})
	t.Run("symbols that are no characters", func(t *testing.T) {
		// Hangul_Kiyeog, dead_acute, XF86AudioMute, a code point that has an older symbol.
		for _, sym := range []uint32{0xea1, 0xfe51, 0x1008ff12, 0x01000436} {
			y.tap(sym, 0)
			if k := y.nextText(); k.sym != keysym.Canonical(sym) {
				t.Errorf("typed %s, xev saw %v", keysym.Name(sym), k)
			}
		}
	})
}

// An accent and a letter make an accented letter in a program that uses an
// input method.
func TestDeadKeysCompose(t *testing.T) {
	t.Setenv("LC_ALL", "C.UTF-8")
	t.Setenv("XMODIFIERS", "@im=none")
	y := startTyping(t, nil)
	for _, layout := range []string{"us", "de"} {
		if layout != "us" {
			y.layout(29, 'z', layout)
		}
		for sym, want := range map[uint32]string{0xfe51: "é", 0xfe50: "è", 0xfe57: "ë"} {
			y.tap(sym, 0)
			y.tap('e', 0)
			y.looksUp(want)
		}
	}
}

// looksUp waits until the program is told that keys make this text.
func (y *typing) looksUp(text string) {
	y.t.Helper()
	var seen []string
	for timeout := time.After(patience); ; {
		select {
		case line := <-y.lines:
			seen = append(seen, line)
			if strings.Contains(line, "XmbLookupString") && strings.Contains(line, `"`+text+`"`) {
				return
			}
		case <-timeout:
			y.t.Fatalf("the keys did not make %s:\n%s", text, strings.Join(seen, "\n"))
		}
	}
}

// Spare keycodes are given back: some time after the last viewer, and at the
// end, then not before the program has had time to look at them.
func TestSparesAreGivenBack(t *testing.T) {
	y := startTyping(t, nil)
	mapping := func() []xproto.Keysym {
		m, err := xproto.GetKeyboardMapping(y.p.c.Conn, 8, 248).Reply()
		y.p.must(err)
		return m.Keysyms[:]
	}
	before := mapping()
	y.typed("é中")
	if slices.Equal(mapping(), before) {
		t.Fatal("nothing was bound")
	}
	y.x.KeyEvent(rfb.KeyEvent{Down: true, Keysym: keysym.FromRune('字')})
	y.x.KeyEvent(rfb.KeyEvent{Keysym: keysym.FromRune('字')})
	_ = y.end()
	_ = y.x.Close()
	if k := y.nextText(); k.sym != keysym.FromRune('字') {
		t.Errorf("typed last of all, xev saw %v", k)
	}
	if !slices.Equal(mapping(), before) {
		t.Error("the mapping is not what it was before")
	}
}

// More symbols than there are spare keys must all come out right.
func TestTypesManyUnknownKeysyms(t *testing.T) {
	y := startTyping(t, nil)
	var b strings.Builder
	for r := range rune(150) {
		b.WriteRune('一' + r)
	}
	y.typed(b.String())
}

func TestFunctionKeysKeepModifiers(t *testing.T) {
	y := startTyping(t, nil)
	check := func(what string, wantSym uint32, wantState uint16) {
		t.Helper()
		if k := y.nextText(); k.sym != wantSym || k.state != wantState {
			t.Errorf("%s: xev saw %v, want %s with state %#x", what, k, keysym.Name(wantSym), wantState)
		}
	}
	y.key(true, symShift, 0)
	y.tap(symTab, 0)
	check("Tab with Shift held", symLeftTab, xproto.ModMaskShift)
	y.tap(symLeftTab, 0)
	check("ISO_Left_Tab with Shift held", symLeftTab, xproto.ModMaskShift)
	y.tap(symF1, 0)
	check("F1 with Shift held", symF1, xproto.ModMaskShift)
	y.tap(' ', 0)
	check("space with Shift held", ' ', xproto.ModMaskShift)
	y.key(false, symShift, 0)
	y.tap(symLeftTab, 0)
	check("ISO_Left_Tab", symLeftTab, xproto.ModMaskShift)
	y.tap(symTab, 0)
	check("Tab", symTab, 0)
	y.key(true, symControl, 0)
	y.tap('c', 0)
	check("c with Control held", 'c', xproto.ModMaskControl)
	y.key(false, symControl, 0)
	y.tap(0xffb1, 0)
	check("KP_1 with Num Lock off", 0xffb1, xproto.ModMask2)
	y.tap(0xff9c, 0)
	check("KP_End with Num Lock off", 0xff9c, 0)
	y.tap(symNumLock, 0)
	y.tap(0xffb1, 0)
	check("KP_1 with Num Lock on", 0xffb1, xproto.ModMask2)
	y.tap(0xff9c, 0)
	check("KP_End with Num Lock on", 0xff9c, xproto.ModMask2|xproto.ModMaskShift)
}

// Where a scancode comes with a keysym, characters go by keysym and other
// keys by scancode.
func TestScancodes(t *testing.T) {
	y := startTyping(t, nil)
	for _, c := range []struct {
		name      string
		sym, code uint32
		want      uint32
		keycode   int
	}{
		{"a key of the same layout", 'q', 0x10, 'q', 24},
		{"a key of another layout", 'z', 0x15, 'z', 52},
		{"a character that the layout lacks", 'ö', 0x27, 'ö', 0},
		{"no keysym", 0, 0x1e, 'a', 38},
		{"the keypad's Enter", 0xff8d, 0x9c, 0xff8d, 104},
		{"a function key", symF1, 0x3b, symF1, 67},
		{"an unknown scancode", 'b', 0xfff0, 'b', 56},
	} {
		y.tap(c.sym, c.code)
		if k := y.nextText(); k.sym != c.want || c.keycode != 0 && k.keycode != c.keycode {
			t.Errorf("%s: xev saw %v, want %s with keycode %d", c.name, k, keysym.Name(c.want), c.keycode)
		}
	}
	// AltGr of another layout lies where this one has Alt.
	y.key(true, symLevel3Shift, 0xb8)
	y.tap('@', 0x10)
	y.key(false, symLevel3Shift, 0xb8)
	if k := y.nextText(); k.sym != '@' || k.state&xproto.ModMask1 != 0 {
		t.Errorf("@ by AltGr: xev saw %v", k)
	}
}

func TestKeysByCode(t *testing.T) {
	y := startTyping(t, func(c *Config) { c.Keys = KeysByCode })
	y.tap('z', 0x15) // what a German viewer's Z key sends
	y.tap('z', 0)
	if k := y.nextText(); k.sym != 'y' {
		t.Errorf("by scancode, xev saw %v", k)
	}
	if k := y.nextText(); k.sym != 'z' {
		t.Errorf("by keysym, xev saw %v", k)
	}
}

// A viewer's repeats come out as often as it sends them, and nothing is
// repeated by the server.
func TestAutoRepeatIsTheViewers(t *testing.T) {
	y := startTyping(t, nil)
	const repeats = 5
	for range repeats {
		y.key(true, 'r', 0)
	}
	y.key(false, 'r', 0)
	y.tap('e', 0)
	presses := 0
	for {
		k := y.nextText()
		if k.sym == 'e' {
			break
		}
		presses++
	}
	if presses != repeats {
		t.Errorf("%d presses for %d", presses, repeats)
	}
	c, err := xproto.GetKeyboardControl(y.p.c.Conn).Reply()
	y.p.must(err)
	if c.GlobalAutoRepeat != xproto.AutoRepeatModeOff {
		t.Error("the server's auto-repeat is on while a viewer types")
	}
	if err := y.end(); err != nil {
		t.Error(err)
	}
	y.eventually("auto-repeat on again", func() bool {
		c, err := xproto.GetKeyboardControl(y.p.c.Conn).Reply()
		y.p.must(err)
		return c.GlobalAutoRepeat == xproto.AutoRepeatModeOn
	})
}

func (y *typing) eventually(what string, ok func() bool) {
	y.t.Helper()
	for deadline := time.Now().Add(patience); !ok(); {
		if time.Now().After(deadline) {
			y.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// keysDown is how many keys the server holds to be down.
func (y *typing) keysDown() int {
	y.t.Helper()
	q, err := xproto.QueryKeymap(y.p.c.Conn).Reply()
	y.p.must(err)
	n := 0
	for _, b := range q.Keys {
		for ; b != 0; b &= b - 1 {
			n++
		}
	}
	return n
}

func TestReleases(t *testing.T) {
	y := startTyping(t, nil)
	// Shift goes up before the letter, whose release then has another keysym.
	y.key(true, symShift, 0)
	y.key(true, 'A', 0)
	y.key(false, symShift, 0)
	y.key(false, 'a', 0)
	y.eventually("all keys up", func() bool { return y.keysDown() == 0 })
	// What is held when the last viewer leaves is let go.
	y.key(true, symControl, 0)
	y.key(true, 'x', 0x2d)
	y.key(true, 'é', 0)
	y.x.PointerEvent(rfb.PointerEvent{X: 5, Y: 6, Buttons: 0x5})
	y.eventually("keys down", func() bool { return y.keysDown() == 3 })
	if err := y.end(); err != nil {
		t.Error(err)
	}
	y.eventually("keys and buttons up", func() bool {
		q, err := xproto.QueryPointer(y.p.c.Conn, y.p.root).Reply()
		y.p.must(err)
		return y.keysDown() == 0 && q.Mask&0x1f00 == 0
	})
}

// layout loads a layout by setxkbmap and waits until the key has the symbol
// that shows it.
func (y *typing) layout(key xproto.Keycode, sym xproto.Keysym, args ...string) {
	y.t.Helper()
	cmd := exec.Command("setxkbmap", append([]string{"-display", y.x.cfg.Display}, args...)...)
	cmd.Env = append(os.Environ(), "XAUTHORITY="+y.x.cfg.Auth)
	if out, err := cmd.CombinedOutput(); err != nil {
		y.t.Fatalf("setxkbmap: %v: %s", err, out)
	}
	y.eventually("the layout", func() bool {
		m, err := xproto.GetKeyboardMapping(y.p.c.Conn, key, 1).Reply()
		y.p.must(err)
		return m.Keysyms[0] == sym
	})
}

// The layout may change while a viewer types.
func TestLayoutChange(t *testing.T) {
	y := startTyping(t, nil)
	y.typed("z@€ö")
	y.layout(29, 'z', "de")
	y.typed(everyKey)
	y.typed("zZyYöÖäß@€{[]}\\~|µ²³éж")
	y.key(true, symShift, 0)
	y.typed("@a7/")
	y.key(false, symShift, 0)
	y.tap(symCapsLock, 0)
	y.typed("öÖaAé@1ßµ")
	y.tap(symCapsLock, 0)
	y.typed("ß?")
}

// serverKeys are the keys that a usual layout makes commands to the X server
// while Control and Alt are held: with their symbols and keycodes.
func serverKeys() map[uint32]int {
	keys := map[uint32]int{0xffaa: 63, 0xffad: 82, 0xffab: 86, 0xffaf: 106, 0xff08: 22} // the keypad's * - + /, BackSpace
	for i := range 10 {
		keys[symF1+uint32(i)] = 67 + i
	}
	keys[symF1+10], keys[symF1+11] = 95, 96
	return keys
}

// On a server of our own no key is kept from the program, also after another
// layout was loaded, and the keys are otherwise what they were.
func TestOwnServerKeepsNoKeys(t *testing.T) {
	y := startTyping(t, func(c *Config) { c.OwnServer = true })
	const held = xproto.ModMaskControl | xproto.ModMask1
	check := func(layout string) {
		t.Helper()
		for sym, code := range serverKeys() {
			y.key(true, symControl, 0x1d)
			y.key(true, symAlt, 0x38)
			y.tap(sym, 0)
			y.key(false, symAlt, 0x38)
			y.key(false, symControl, 0x1d)
			y.tap(sym, 0)
			for _, state := range []uint16{held, 0} {
				if k := y.nextText(); k.sym != sym || k.keycode != code || k.state != state {
					t.Errorf("%s: xev saw %v, want %s with state %#x and keycode %d", layout, k, keysym.Name(sym), state, code)
				}
			}
		}
		// The keypad still heeds Num Lock.
		y.tap(symNumLock, 0)
		for _, sym := range []uint32{0xffb1, 0xffab, 0xff9c} { // KP_1, KP_Add, KP_End
			y.tap(sym, 0)
			if k := y.nextText(); k.sym != sym {
				t.Errorf("%s, Num Lock on: xev saw %v, want %s", layout, k, keysym.Name(sym))
			}
		}
		y.tap(symNumLock, 0)
		y.typed("aA1!*+-/")
	}
	check("the server's own layout")
	y.layout(29, 'z', "de", "-option", "terminate:ctrl_alt_bksp")
	check("another layout")
}

// A server that others use as well keeps its keyboard.
func TestOthersServerKeepsItsMapping(t *testing.T) {
	y := startTyping(t, nil)
	const switchVT2 = 0x1008fe02
	m, err := xproto.GetKeyboardMapping(y.p.c.Conn, 68, 1).Reply()
	y.p.must(err)
	if !slices.Contains(m.Keysyms, switchVT2) {
		t.Errorf("F2 has the symbols %x, want %x among them", m.Keysyms, switchVT2)
	}
}
