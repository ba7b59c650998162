package x11

import (
	"errors"
	"image"
	"net"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/rfbtest"
	"github.com/ironglass/ironglass/rfb/wire"
	"github.com/ironglass/ironglass/x11/xvfb"
	"github.com/jezek/xgb/randr"
)

// xrandr is an X program that looks at the monitors and changes them.
func xrandr(t *testing.T, s *xvfb.Server, args ...string) string {
	t.Helper()
	out, err := program(t, s, "xrandr", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("xrandr %v: %v: %s", args, err, out)
	}
	return string(out)
}

// Monitors that an X program makes are the viewers' screens.
func TestMonitors(t *testing.T) {
	s := startXvfb(t, xvfb.Config{Width: 800, Height: 600})
	x := open(t, config(s))
	r, _ := run(t, x)
	r.wait(t, "no screens of one monitor", func() bool { return r.screens == nil })
	has := func(want ...image.Rectangle) func() bool {
		return func() bool {
			ids := make(map[uint32]bool)
			for i, s := range r.screens {
				if len(want) != len(r.screens) || !slices.Contains(want, s.Rect) {
					return false
				}
				ids[r.screens[i].ID] = true
			}
			return len(ids) == len(want)
		}
	}
	left, right := rect(0, 0, 300, 600), rect(300, 0, 500, 600)
	xrandr(t, s, "--setmonitor", "left", "300/80x600/160+0+0", "screen")
	xrandr(t, s, "--setmonitor", "right", "500/130x600/160+300+0", "none")
	r.wait(t, "two screens", has(left, right))
	// A smaller screen has what is left of them.
	if err := x.SetDesktopSize(t.Context(), 640, 480, nil); err != nil {
		t.Fatal(err)
	}
	r.wait(t, "two smaller screens", has(rect(0, 0, 300, 480), rect(300, 0, 340, 480)))
	xrandr(t, s, "--delmonitor", "right")
	r.wait(t, "one screen", func() bool { return r.screens == nil && r.size == image.Pt(640, 480) })
}

// Several screens that a viewer asks for are monitors to X programs, and come
// back to it as it asked for them; no layout between the old one and the new
// one is told.
func TestScreensBecomeMonitors(t *testing.T) {
	s := startXvfb(t, xvfb.Config{Width: 800, Height: 600})
	x := open(t, config(s))
	r, _ := run(t, x)
	// An X program's monitors are in the way, one of them under the number
	// that the viewer gives another screen.
	xrandr(t, s, "--setmonitor", "theirs", "200/80x200/80+0+0", "screen")
	xrandr(t, s, "--setmonitor", "others", "200/80x200/80+200+0", "none")
	var theirs uint32
	r.wait(t, "the X program's monitors", func() bool {
		if len(r.screens) != 2 {
			return false
		}
		theirs = r.screens[0].ID
		return true
	})
	ask := func(w, h int, screens ...rfb.Screen) layout {
		t.Helper()
		if err := x.SetDesktopSize(t.Context(), w, h, screens); err != nil {
			t.Fatal(err)
		}
		// It was told already.
		r.mu.Lock()
		defer r.mu.Unlock()
		return layout{r.size, r.screens}
	}
	r.mu.Lock()
	first := layout{r.size, r.screens}
	told := len(r.layouts)
	r.mu.Unlock()
	allowed := []layout{first}
	for _, want := range []layout{
		{image.Pt(700, 500), []rfb.Screen{{ID: 9, Rect: rect(400, 0, 300, 500), Flags: 3}, {ID: theirs, Rect: rect(0, 0, 400, 500)}}},
		{image.Pt(800, 600), []rfb.Screen{{ID: 1, Rect: rect(0, 0, 800, 300)}, {ID: 9, Rect: rect(0, 300, 800, 300)}, {ID: 0, Rect: rect(5, 5, 1, 1)}}},
		{image.Pt(400, 300), []rfb.Screen{{ID: 1 << 31, Rect: rect(0, 0, 300, 300)}, {ID: 1<<32 - 1, Rect: rect(100, 0, 300, 300)}}},
	} {
		if got := ask(want.size.X, want.size.Y, want.screens...); !reflect.DeepEqual(got, want) {
			t.Errorf("told %v, want %v", got, want)
		}
		allowed = append(allowed, want)
	}
	r.mu.Lock()
	for _, l := range r.layouts[told:] {
		if !slices.ContainsFunc(allowed, func(a layout) bool { return reflect.DeepEqual(a, l) }) {
			t.Errorf("a layout between two was told: %v", l)
		}
	}
	r.mu.Unlock()
	if out := xrandr(t, s, "--listmonitors"); !strings.Contains(out, "Monitors: 2\n") ||
		!strings.Contains(out, "300/79x300/79+0+0") || !strings.Contains(out, "300/79x300/79+100+0") {
		t.Errorf("X programs see: %s", out)
	}

	// Whoever connects next knows whose they are.
	cfg := config(s)
	cfg.Width, cfg.Height = 0, 0 // which leaves all as it is
	r2, stop := run(t, open(t, cfg))
	r2.wait(t, "the same numbers", func() bool {
		return len(r2.screens) == 2 && r2.screens[0].ID == 1<<31 && r2.screens[1].ID == 1<<32-1
	})
	_ = stop()
	// An X program adds one, whose number is not taken yet, and takes one away.
	xrandr(t, s, "--setmonitor", "theirs", "200/80x200/80+10+10", "none")
	r.wait(t, "a third screen", func() bool { return len(r.screens) == 3 && r.screens[2].Rect == rect(10, 10, 200, 200) })
	xrandr(t, s, "--delmonitor", "ironglass-4294967295")
	r.wait(t, "two screens again", func() bool { return len(r.screens) == 2 && r.screens[0].ID == 1<<31 })
	// A viewer that knows of one screen takes back what was made for viewers.
	if got := ask(640, 480); len(got.screens) != 2 || got.screens[0].Rect.Dx() != 200 && got.screens[1].Rect.Dx() != 200 {
		t.Errorf("told %v, want the X program's monitor beside the server's own", got)
	}
	if out := xrandr(t, s, "--listmonitors"); strings.Contains(out, ownPrefix) || !strings.Contains(out, "theirs") {
		t.Errorf("X programs see: %s", out)
	}
	xrandr(t, s, "--delmonitor", "theirs")
	r.wait(t, "one screen", func() bool { return r.screens == nil && r.size == image.Pt(640, 480) })
}

// A number that a viewer has given its screen is not an X program's monitor's
// as well: two screens of one number cannot be told.
func TestNumbersOfScreensDiffer(t *testing.T) {
	s := startXvfb(t, xvfb.Config{Width: 800, Height: 600})
	x := open(t, config(s))
	r, _ := run(t, x)
	xrandr(t, s, "--setmonitor", "a", "200/80x200/80+0+0", "screen")
	xrandr(t, s, "--setmonitor", "b", "200/80x200/80+200+0", "none")
	var a uint32
	r.wait(t, "the X program's monitors", func() bool {
		if len(r.screens) == 2 {
			a = r.screens[0].ID
		}
		return len(r.screens) == 2
	})
	two := []rfb.Screen{{ID: a, Rect: rect(0, 0, 400, 600)}, {ID: a + 1, Rect: rect(400, 0, 400, 600)}}
	if err := x.SetDesktopSize(t.Context(), 800, 600, two); err != nil {
		t.Fatal(err)
	}
	xrandr(t, s, "--setmonitor", "a", "200/80x200/80+0+0", "none")
	r.wait(t, "a third screen with another number", func() bool {
		return len(r.screens) == 3 && r.screens[0].ID == a && r.screens[1].ID == a+1 && r.screens[2].ID == a+2
	})
}

func TestScreensWithoutMonitors(t *testing.T) {
	s := startXvfb(t, xvfb.Config{Width: 800, Height: 600})
	x := open(t, config(s))
	two := []rfb.Screen{{ID: 1, Rect: rect(0, 0, 400, 600)}, {ID: 2, Rect: rect(400, 0, 400, 600)}}
	// While nothing runs nobody is waited for; and a layout may be asked for again.
	for range 2 {
		if err := x.SetDesktopSize(t.Context(), 800, 600, two); err != nil {
			t.Error(err)
		}
	}
	// Too large a layout leaves things as they are.
	large := []rfb.Screen{two[0], {ID: 3, Rect: rect(400, 0, 3000, 600)}}
	if err := x.SetDesktopSize(t.Context(), 3400, 600, large); !errors.Is(err, ErrSize) {
		t.Error(err)
	}
	if m, err := randr.GetMonitors(x.conn.Conn, x.root, true).Reply(); err != nil || len(m.Monitors) != 2 || m.Monitors[1].X != 400 {
		t.Errorf("monitors %+v, %v", m, err)
	}
	x.sizer.monitors = false // as with a server that has no RANDR 1.5
	if err := x.SetDesktopSize(t.Context(), 800, 600, two); !errors.Is(err, rfb.ErrLayout) {
		t.Error(err)
	}
}

// The whole way: a viewer that asks for several screens gets one answer, which
// has them; another viewer learns of them, and both of what an X program does.
func TestViewersScreens(t *testing.T) {
	s := startXvfb(t, xvfb.Config{Width: 800, Height: 600})
	server := rfb.NewServer(open(t, config(s)), rfb.ServerConfig{Linger: -1})
	ended := make(chan struct{}, 2)
	connect := func() *rfbtest.Viewer {
		here, there := net.Pipe()
		go func() {
			_ = server.Serve(t.Context(), there, rfb.ViewerConfig{})
			ended <- struct{}{}
		}()
		v, err := rfbtest.NewViewer(here)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = here.Close() })
		if err := v.Send(wire.SetEncodings{Encodings: []wire.Encoding{wire.EncodingRaw, wire.PseudoExtendedDesktopSize}}); err != nil {
			t.Fatal(err)
		}
		if err := v.Request(false); err != nil {
			t.Fatal(err)
		}
		return v
	}
	asks, other := connect(), connect()
	defer func() {
		_ = server.Close()
		<-ended
		<-ended
	}()
	until := func(v *rfbtest.Viewer, what string, ok func(last wire.ExtendedDesktopSize) bool) {
		t.Helper()
		err := v.Until(func() bool { return len(v.Sizes) > 0 && ok(v.Sizes[len(v.Sizes)-1]) })
		if err != nil {
			t.Fatalf("%s: %v, told %+v", what, err, v.Sizes)
		}
	}
	for _, v := range []*rfbtest.Viewer{asks, other} {
		until(v, "the first size", func(m wire.ExtendedDesktopSize) bool { return m.Width == 800 && len(m.Screens) == 1 })
	}
	two := []wire.Screen{{ID: 7, Rect: rect(300, 0, 340, 480), Flags: 1}, {ID: 2, Rect: rect(0, 0, 300, 480)}}
	had := len(asks.Sizes)
	if err := asks.Send(wire.SetDesktopSize{Width: 640, Height: 480, Screens: two}); err != nil {
		t.Fatal(err)
	}
	is := func(m wire.ExtendedDesktopSize) bool {
		return m.Width == 640 && m.Height == 480 && reflect.DeepEqual(m.Screens, two)
	}
	until(asks, "the answer", is)
	if n := len(asks.Sizes) - had; n != 1 || asks.Sizes[had].Reason != wire.ResizeByThisClient || asks.Sizes[had].Result != wire.ResizeDone {
		t.Errorf("%d answers to one wish: %+v", n, asks.Sizes[had:])
	}
	until(other, "another's wish", func(m wire.ExtendedDesktopSize) bool { return is(m) && m.Reason == wire.ResizeByOtherClient })
	xrandr(t, s, "--delmonitor", "ironglass-2")
	xrandr(t, s, "--setmonitor", "third", "100/25x480/120+0+0", "none")
	for _, v := range []*rfbtest.Viewer{asks, other} {
		until(v, "what an X program made of it", func(m wire.ExtendedDesktopSize) bool {
			return m.Reason == wire.ResizeByServer && len(m.Screens) == 2 && m.Screens[0].ID == 7 && m.Screens[1].Rect == rect(0, 0, 100, 480)
		})
	}
}
