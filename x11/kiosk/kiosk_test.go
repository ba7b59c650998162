package kiosk

import (
	"errors"
	"image"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ironglass/ironglass/x11"
	"github.com/ironglass/ironglass/x11/xconn"
	"github.com/ironglass/ironglass/x11/xvfb"
	"github.com/jezek/xgb/xproto"
	"github.com/jezek/xgb/xtest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = 60 * time.Second

// desk is a managed display and a program on it that looks around.
type desk struct {
	t    *testing.T
	s    *xvfb.Server
	x    *x11.Display
	m    *Manager
	c    *xconn.Conn
	root xproto.Window
}

func startDesk(t *testing.T) *desk {
	t.Helper()
	s, err := xvfb.Start(t.Context(), xvfb.Config{Width: 1024, Height: 768})
	if errors.Is(err, xvfb.ErrMissing) && os.Getenv("CI") != "true" {
		t.Skip(err) // a machine without Xvfb cannot run this
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	d := &desk{t: t, s: s}
	if d.x, err = x11.Open(t.Context(), x11.Config{Display: s.Display, Auth: s.Auth, Width: s.Width, Height: s.Height}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.x.Close() })
	d.m = d.manager()
	d.c, d.root = d.dial()
	if err := d.c.Extension("XTEST"); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *desk) manager() *Manager {
	d.t.Helper()
	m, err := Start(d.t.Context(), Config{Display: d.s.Display, Auth: d.s.Auth, Log: slog.New(slog.NewTextHandler(testWriter{d.t}, nil))})
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = m.Close() })
	return m
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

// dial opens a connection of which no events are taken.
func (d *desk) dial() (*xconn.Conn, xproto.Window) {
	d.t.Helper()
	c, err := xconn.Dial(d.t.Context(), d.s.Display, d.s.Auth)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() {
		c.Close()
		for {
			if ev, err := c.WaitForEvent(); ev == nil && err == nil {
				return
			}
		}
	})
	return c, xproto.Setup(c.Conn).DefaultScreen(c.Conn).Root
}

// start runs an X program until the test's end.
func (d *desk) start(name string, args ...string) {
	d.t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") == "true" {
			d.t.Fatal(err)
		}
		d.t.Skip(err) // a machine without this program cannot run this
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), d.s.Environ()...)
	cmd.Env = append(cmd.Env, "TMPDIR="+d.t.TempDir()) // an xterm that is killed leaves files
	cmd.Stderr = testWriter{d.t}
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

func (d *desk) eventually(what string, ok func() bool) {
	d.t.Helper()
	for deadline := time.Now().Add(patience); !ok(); {
		if time.Now().After(deadline) {
			tree, _ := exec.Command("sh", "-c", "DISPLAY="+d.s.Display+" XAUTHORITY="+d.s.Auth+" xwininfo -root -tree").Output()
			d.t.Fatalf("waited in vain for %s; the windows are:\n%s", what, tree)
		}
	}
}

// property returns a property of words.
func (d *desk) property(id xproto.Window, name string) []uint32 {
	d.t.Helper()
	a, err := xproto.InternAtom(d.c.Conn, false, uint16(len(name)), name).Reply()
	if err != nil {
		d.t.Fatal(err)
	}
	r, err := xproto.GetProperty(d.c.Conn, false, id, a.Atom, xproto.GetPropertyTypeAny, 0, 1024).Reply()
	if err != nil || r.Format != 32 {
		return nil
	}
	var v []uint32
	for b := r.Value; len(b) >= 4; b = b[4:] {
		v = append(v, uint32(b[0])|uint32(b[1])<<8|uint32(b[2])<<16|uint32(b[3])<<24)
	}
	return v
}

// clients are the managed windows, the topmost last.
func (d *desk) clients() []uint32 { return d.property(d.root, "_NET_CLIENT_LIST_STACKING") }

// top waits until there are n windows, the topmost has the keyboard, and it
// lies at r; it is returned.
func (d *desk) top(n int, r image.Rectangle) xproto.Window {
	d.t.Helper()
	var id xproto.Window
	d.eventually("a window at "+r.String()+" with the keyboard", func() bool {
		list := d.clients()
		if len(list) != n {
			return false
		}
		id = xproto.Window(list[n-1])
		return d.at(id) == r && d.hasFocus(id)
	})
	return id
}

func (d *desk) at(id xproto.Window) image.Rectangle {
	g, err := xproto.GetGeometry(d.c.Conn, xproto.Drawable(id)).Reply()
	if err != nil {
		return image.Rectangle{}
	}
	return image.Rect(int(g.X), int(g.Y), int(g.X)+int(g.Width), int(g.Y)+int(g.Height))
}

// hasFocus reports whether the window or one inside it has the keyboard.
func (d *desk) hasFocus(id xproto.Window) bool {
	f, err := xproto.GetInputFocus(d.c.Conn).Reply()
	if err != nil {
		d.t.Fatal(err)
	}
	for w := f.Focus; w > 1; {
		if w == id {
			active := d.property(d.root, "_NET_ACTIVE_WINDOW")
			return len(active) == 1 && active[0] == uint32(id)
		}
		tree, err := xproto.QueryTree(d.c.Conn, w).Reply()
		if err != nil {
			return false
		}
		w = tree.Parent
	}
	return false
}

// window opens a window of the test's own.
func (d *desk) window(w, h int, prepare func(id xproto.Window)) xproto.Window {
	d.t.Helper()
	id, err := xproto.NewWindowId(d.c.Conn)
	if err != nil {
		d.t.Fatal(err)
	}
	err = xproto.CreateWindowChecked(d.c.Conn, xproto.WindowClassCopyFromParent, id, d.root, 5, 7, uint16(w), uint16(h), 3,
		xproto.WindowClassInputOutput, xproto.WindowClassCopyFromParent, 0, nil).Check()
	if err != nil {
		d.t.Fatal(err)
	}
	if prepare != nil {
		prepare(id)
	}
	xproto.MapWindow(d.c.Conn, id)
	return id
}

func (d *desk) set(id xproto.Window, name string, kind xproto.Atom, words ...uint32) {
	d.t.Helper()
	a, err := xproto.InternAtom(d.c.Conn, false, uint16(len(name)), name).Reply()
	if err != nil {
		d.t.Fatal(err)
	}
	var b []byte
	for _, v := range words {
		b = append(b, byte(v), byte(v>>8), byte(v>>16), byte(v>>24))
	}
	xproto.ChangeProperty(d.c.Conn, xproto.PropModeReplace, id, a.Atom, kind, 32, uint32(len(words)), b)
}

var whole = image.Rect(0, 0, 1024, 768)

// middle is where a dialogue of this size stands.
func middle(w, h int) image.Rectangle {
	at := image.Pt((1024-w)/2, (768-h)/2)
	return image.Rectangle{at, at.Add(image.Pt(w, h))}
}

func TestWindowsFillTheScreen(t *testing.T) {
	d := startDesk(t)
	first := d.window(200, 100, nil)
	if got := d.top(1, whole); got != first {
		t.Fatalf("window %d is managed, not %d", got, first)
	}
	second := d.window(300, 200, nil)
	d.top(2, whole)

	// Asking for another size or place is no use.
	xproto.ConfigureWindow(d.c.Conn, second, xproto.ConfigWindowX|xproto.ConfigWindowWidth, []uint32{30, 50})
	// A new size of the screen is everybody's.
	if err := d.x.SetDesktopSize(t.Context(), 800, 600, nil); err != nil {
		t.Fatal(err)
	}
	for _, id := range []xproto.Window{first, second} {
		d.eventually("the new size", func() bool { return d.at(id) == image.Rect(0, 0, 800, 600) })
	}
	d.eventually("the work area", func() bool {
		return slices.Equal(d.property(d.root, "_NET_WORKAREA"), []uint32{0, 0, 800, 600})
	})
	if err := d.x.SetDesktopSize(t.Context(), 1024, 768, nil); err != nil {
		t.Fatal(err)
	}
	d.top(2, whole)

	// The keyboard goes back where a window goes.
	xproto.UnmapWindow(d.c.Conn, second)
	d.top(1, whole)
	xproto.MapWindow(d.c.Conn, second)
	if got := d.top(2, whole); got != second {
		t.Errorf("the window that came back is not on top")
	}
	xproto.DestroyWindow(d.c.Conn, second)
	d.top(1, whole)
	xproto.DestroyWindow(d.c.Conn, first)
	d.eventually("no window", func() bool { return len(d.clients()) == 0 })
}

func TestDialoguesStandInTheMiddle(t *testing.T) {
	d := startDesk(t)
	main := d.window(200, 100, nil)
	d.top(1, whole)
	dialogue := d.window(300, 200, func(id xproto.Window) { d.set(id, "WM_TRANSIENT_FOR", xproto.AtomWindow, uint32(main)) })
	if got := d.top(2, middle(300, 200)); got != dialogue {
		t.Fatal("the dialogue is not on top")
	}
	xproto.ConfigureWindow(d.c.Conn, dialogue, xproto.ConfigWindowWidth|xproto.ConfigWindowHeight, []uint32{500, 400})
	d.top(2, middle(500, 400))
	// Its owner cannot cover it.
	xproto.ConfigureWindow(d.c.Conn, main, xproto.ConfigWindowStackMode, []uint32{xproto.StackModeAbove})
	d.eventually("the owner's turn", func() bool { return d.hasFocus(main) })
	if list := d.clients(); list[1] != uint32(dialogue) {
		t.Error("the owner covers its dialogue")
	}
	xproto.DestroyWindow(d.c.Conn, dialogue)
	d.top(1, whole)
	// A window that cannot grow is not stretched.
	d.window(640, 480, func(id xproto.Window) {
		hints := make([]uint32, 18)
		hints[0] = 1 << 5
		hints[7], hints[8] = 640, 480
		d.set(id, "WM_NORMAL_HINTS", xproto.AtomWmSizeHints, hints...)
	})
	d.top(2, middle(640, 480))
	// A pop-up menu is nobody's business.
	popup := d.window(50, 60, func(id xproto.Window) {
		xproto.ChangeWindowAttributes(d.c.Conn, id, xproto.CwOverrideRedirect, []uint32{1})
	})
	d.eventually("the pop-up", func() bool {
		a, err := xproto.GetWindowAttributes(d.c.Conn, popup).Reply()
		return err == nil && a.MapState == xproto.MapStateViewable
	})
	if got, want := d.at(popup), image.Rect(5, 7, 55, 67); got != want {
		t.Errorf("the pop-up is at %v, not %v", got, want)
	}
	d.top(2, middle(640, 480))
}

func TestFullscreen(t *testing.T) {
	d := startDesk(t)
	id := d.window(300, 200, func(id xproto.Window) { d.set(id, "WM_TRANSIENT_FOR", xproto.AtomWindow, uint32(d.root)) })
	d.top(1, middle(300, 200))
	atom := func(name string) uint32 {
		a, err := xproto.InternAtom(d.c.Conn, false, uint16(len(name)), name).Reply()
		if err != nil {
			t.Fatal(err)
		}
		return uint32(a.Atom)
	}
	ask := func(action uint32) {
		ev := xproto.ClientMessageEvent{Format: 32, Window: id, Type: xproto.Atom(atom("_NET_WM_STATE")),
			Data: xproto.ClientMessageDataUnionData32New([]uint32{action, atom("_NET_WM_STATE_FULLSCREEN"), 0, 1, 0})}
		xproto.SendEvent(d.c.Conn, false, d.root, xproto.EventMaskSubstructureNotify|xproto.EventMaskSubstructureRedirect, string(ev.Bytes()))
	}
	fullscreen := func() bool {
		return slices.Contains(d.property(id, "_NET_WM_STATE"), atom("_NET_WM_STATE_FULLSCREEN"))
	}
	ask(1)
	d.eventually("fullscreen", func() bool { return fullscreen() && d.at(id) == whole })
	ask(2)
	d.eventually("the dialogue again", func() bool { return !fullscreen() && d.at(id) == middle(300, 200) })
}

// A program that wants to hand on the keyboard itself is told of its turn.
func TestTakeFocus(t *testing.T) {
	d := startDesk(t)
	c, _ := d.dial()
	own := &desk{t: t, s: d.s, c: c, root: d.root}
	atom := func(name string) uint32 {
		a, err := xproto.InternAtom(c.Conn, false, uint16(len(name)), name).Reply()
		if err != nil {
			t.Fatal(err)
		}
		return uint32(a.Atom)
	}
	protocols, take := atom("WM_PROTOCOLS"), atom("WM_TAKE_FOCUS")
	id := own.window(100, 100, func(id xproto.Window) {
		own.set(id, "WM_PROTOCOLS", xproto.AtomAtom, take)
		own.set(id, "WM_HINTS", xproto.AtomWmHints, 1, 0) // not by the window manager
	})
	for {
		ev, xerr := c.WaitForEvent()
		if ev == nil {
			t.Fatal("no WM_TAKE_FOCUS:", xerr)
		}
		if m, ok := ev.(xproto.ClientMessageEvent); ok && m.Window == id && uint32(m.Type) == protocols && m.Data.Data32[0] == take {
			if m.Data.Data32[1] == 0 {
				t.Error("WM_TAKE_FOCUS has no time")
			}
			break
		}
	}
	if d.hasFocus(id) {
		t.Error("the window was given the keyboard, which it must take itself")
	}
}

// Whoever manages the windows already goes on doing so.
func TestStandsAside(t *testing.T) {
	d := startDesk(t)
	second := d.manager()
	if !second.aside {
		t.Fatal("two managers of one display")
	}
	d.window(10, 10, nil)
	d.top(1, whole)
	select {
	case <-second.Mapped():
	case <-time.After(patience):
		t.Error("the manager that stands aside was not told of the window")
	}
	// What it finds, a later manager adopts.
	_ = d.m.Close()
	third := d.manager()
	if third.aside {
		t.Fatal("the first manager is still there")
	}
	d.top(1, whole)
}

func TestServerDies(t *testing.T) {
	d := startDesk(t)
	d.window(10, 10, nil)
	d.top(1, whole)
	if err := d.s.Stop(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-d.m.Done():
	case <-time.After(patience):
		t.Fatal("the manager goes on without an X server")
	}
}

// typeReturn presses and releases Return.
func (d *desk) typeKeycode(code byte) {
	xtest.FakeInput(d.c.Conn, xproto.KeyPress, code, 0, 0, 0, 0, 0)
	xtest.FakeInput(d.c.Conn, xproto.KeyRelease, code, 0, 0, 0, 0, 0)
}

func TestXterm(t *testing.T) {
	d := startDesk(t)
	file := t.TempDir() + "/typed"
	d.start("xterm", "-maximized", "-e", "sh", "-c", "read line; echo \"$line\" >"+file+"; sleep 1000")
	d.top(1, whole)
	select {
	case <-d.m.Mapped():
	case <-time.After(patience):
		t.Error("not told of the window")
	}
	d.eventually("what was typed", func() bool {
		// The shell may not read yet, but the terminal keeps the keys.
		d.typeKeycode(38) // a
		d.typeKeycode(36) // Return
		b, err := os.ReadFile(file)
		return err == nil && strings.Contains(string(b), "a")
	})
}

// A program of the Athena widgets asks a question over a terminal.
func TestXmessage(t *testing.T) {
	d := startDesk(t)
	d.start("xterm", "-e", "sleep", "1000")
	d.top(1, whole)
	d.start("xmessage", "-buttons", "ok:0", "Does it fill the screen?")
	d.top(2, whole)
}

// QEMU's own window must fill the screen and get keys: its menu opens on them.
func TestQEMU(t *testing.T) {
	d := startDesk(t)
	d.start("qemu-system-x86_64", "-display", "gtk", "-nodefaults", "-vga", "std", "-accel", "tcg", "-m", "64", "-S")
	d.top(1, whole)
	// Control+Alt+F goes to full screen and back.
	toggle := func() {
		for _, key := range []byte{37, 64, 41} {
			xtest.FakeInput(d.c.Conn, xproto.KeyPress, key, 0, 0, 0, 0, 0)
		}
		for _, key := range []byte{41, 64, 37} {
			xtest.FakeInput(d.c.Conn, xproto.KeyRelease, key, 0, 0, 0, 0, 0)
		}
	}
	id := d.top(1, whole)
	atom, err := xproto.InternAtom(d.c.Conn, false, 24, "_NET_WM_STATE_FULLSCREEN").Reply()
	if err != nil {
		t.Fatal(err)
	}
	toggle()
	d.eventually("full screen by QEMU's own key", func() bool {
		return slices.Contains(d.property(id, "_NET_WM_STATE"), uint32(atom.Atom))
	})
}
