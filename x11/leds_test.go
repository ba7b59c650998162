package x11

import (
	"testing"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/x11/xvfb"
	"github.com/jezek/xgb/xproto"
	"github.com/jezek/xgb/xtest"
)

// The keyboard's lights are told at the start and whenever they change,
// whoever changes them, and nothing else makes them be asked for.
func TestLEDs(t *testing.T) {
	s := startXvfb(t, xvfb.Config{Width: 640, Height: 480})
	p := newPainter(t, s, rect(0, 0, 40, 40), 0)
	p.must(p.c.Extension("XTEST"))
	other := func(key xproto.Keycode) {
		for _, kind := range []byte{xproto.KeyPress, xproto.KeyRelease} {
			p.must(xtest.FakeInputChecked(p.c.Conn, kind, byte(key), 0, 0, 0, 0, 0).Check())
		}
	}
	const capsLock, numLock = 66, 77
	other(capsLock)

	x := open(t, config(s))
	r, stop := run(t, x)
	wait := func(what string, want rfb.LEDState) {
		t.Helper()
		r.wait(t, what, func() bool { return r.leds == want })
	}
	wait("Caps Lock, which was lit before", rfb.LEDCapsLock)
	other(numLock)
	wait("another program's Num Lock", rfb.LEDCapsLock|rfb.LEDNumLock)
	other(capsLock)
	wait("another program's Caps Lock", rfb.LEDNumLock)
	tap := func(sym uint32) {
		x.KeyEvent(rfb.KeyEvent{Down: true, Keysym: sym})
		x.KeyEvent(rfb.KeyEvent{Keysym: sym})
	}
	tap(symCapsLock)
	wait("a viewer's Caps Lock", rfb.LEDCapsLock|rfb.LEDNumLock)
	// A symbol for which Num Lock is changed for a moment.
	tap(symNumLock)
	wait("a viewer's Num Lock", rfb.LEDCapsLock)
	tap(0xffb1) // KP_1
	tap(symCapsLock)
	wait("no light", 0)
	// Other keys change nothing.
	r.mu.Lock()
	before := r.lights
	r.mu.Unlock()
	for range 20 {
		tap('a')
		tap('A')
	}
	tap(symCapsLock)
	wait("Caps Lock", rfb.LEDCapsLock)
	r.mu.Lock()
	// Of the lights before it one or two may be told late.
	if n := r.lights - before; n > 5 {
		t.Errorf("one light changed, and it was told %d times", n)
	}
	r.mu.Unlock()

	if err := stop(); err != nil {
		t.Error(err)
	}
	// Nothing comes while nothing runs.
	other(numLock)
	x.conn.Sync()
	if m := x.takeMail(); m.leds {
		t.Error("a light's change was told while nothing ran")
	}
	r, _ = run(t, x)
	wait("the change meanwhile", rfb.LEDCapsLock|rfb.LEDNumLock)
}

// A light that a program lights by itself, as xset does, is told as well.
func TestLEDsByOthers(t *testing.T) {
	s := startXvfb(t, xvfb.Config{Width: 640, Height: 480})
	x := open(t, config(s))
	r, _ := run(t, x)
	for _, c := range []struct {
		state string
		want  rfb.LEDState
	}{{"led", rfb.LEDScrollLock}, {"-led", 0}} {
		if out, err := program(t, s, "xset", c.state, "named", "Scroll Lock").CombinedOutput(); err != nil {
			t.Fatalf("xset: %v: %s", err, out)
		}
		r.wait(t, "the light that xset changed", func() bool { return r.leds == c.want })
	}
}
