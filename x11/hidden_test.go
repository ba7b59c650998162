package x11

import (
	"image"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/x11/xvfb"
	"github.com/jezek/xgb/xfixes"
	"github.com/jezek/xgb/xproto"
)

// An X program that hides the pointer hides it from viewers too, as long as it
// lives, and nothing else does.
func TestHiddenPointer(t *testing.T) {
	s := startXvfb(t, xvfb.Config{Width: 640, Height: 480})
	x := open(t, config(s))
	other := open(t, config(s)) // hides it too, for itself
	p := newPainter(t, s, image.Rect(0, 0, 640, 480), 0)
	p.must(p.c.Extension("XFIXES"))
	if _, err := xfixes.QueryVersion(p.c.Conn, 4, 0).Reply(); err != nil {
		t.Fatal(err)
	}
	r, _ := run(t, x)
	hides := func(d *Display, want bool) {
		t.Helper()
		if got, err := d.hiders.hidden(d); err != nil || got != want {
			t.Errorf("hidden: %v, %v; want %v", got, err, want)
		}
	}
	hides(x, false)
	hides(other, false)
	shown := func() bool { return r.cursor.Width > 0 }
	gone := func() bool { return r.cursor.Width == 0 && r.cursor.Height == 0 }
	if !shown() {
		t.Error("it is hidden by nobody")
	}
	// Nothing else happens: it is found all the same.
	p.must(xfixes.HideCursorChecked(p.c.Conn, p.root).Check())
	hides(x, true)
	r.wait(t, "no pointer", gone)
	// A shape that it gets meanwhile is not shown.
	x.PointerEvent(rfb.PointerEvent{X: 100, Y: 100})
	r.mu.Lock()
	told := r.cursors
	r.mu.Unlock()
	p.fontCursor(34, 0xffff) // a red crosshair
	r.wait(t, "another shape", func() bool { return r.cursors > told })
	r.mu.Lock()
	if !gone() {
		t.Error("the pointer's new shape is shown while it is hidden")
	}
	r.mu.Unlock()
	p.must(xfixes.ShowCursorChecked(p.c.Conn, p.root).Check())
	r.wait(t, "the new shape", func() bool {
		for _, v := range r.cursor.Pix {
			if v == 0xffff0000 {
				return true
			}
		}
		return false
	})
	// A program's end shows it again.
	q := newPainter(t, s, image.Rect(0, 0, 9, 9), 0)
	q.must(q.c.Extension("XFIXES"))
	if _, err := xfixes.QueryVersion(q.c.Conn, 4, 0).Reply(); err != nil {
		t.Fatal(err)
	}
	q.must(xfixes.HideCursorChecked(q.c.Conn, q.root).Check())
	q.fill(image.Rect(0, 0, 9, 9), 0x123456)
	r.wait(t, "no pointer", gone)
	q.close()
	x.PointerEvent(rfb.PointerEvent{X: 101, Y: 100})
	r.wait(t, "the pointer", shown)
}

// Readers of the screen that are gone are forgotten.
func TestReadersAreForgotten(t *testing.T) {
	s := startXvfb(t, xvfb.Config{Width: 320, Height: 200})
	p := newPainter(t, s, image.Rect(0, 0, 9, 9), 0)
	for range 5 {
		_ = open(t, config(s)).Close()
	}
	x := open(t, config(s))
	v, err := xproto.GetProperty(p.c.Conn, false, p.root, x.hiders.readers, xproto.AtomCardinal, 0, 100).Reply()
	// The last one may not have been quite gone.
	if err != nil || v.ValueLen < 1 || v.ValueLen > 2 {
		t.Errorf("%d readers are known, %v", v.ValueLen, err)
	}
}

// How often it is looked while things happen, and how long after that.
func TestLooksForHiders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSprite()
		const every = 16 * time.Millisecond
		looks := func(d time.Duration, stir bool) (n int, last time.Duration) {
			end := time.After(d)
			tick := time.NewTicker(every)
			defer tick.Stop()
			start := time.Now()
			for {
				select {
				case <-s.timer.C:
					if s.now() {
						n, last = n+1, time.Since(start)
						s.rest(time.Now())
					}
				case <-tick.C:
					if stir {
						s.stir(time.Now())
					}
				case <-end:
					return n, last
				}
			}
		}
		if n, _ := looks(time.Hour, false); n != 0 {
			t.Errorf("%d looks before anything happened", n)
		}
		s.stir(time.Now())
		if n, last := looks(time.Hour, false); n != 4 || last < 8*time.Second || last > 9*time.Second {
			t.Errorf("%d looks, the last %v after what happened", n, last)
		}
		s.stir(time.Now())
		if _, last := looks(150*time.Millisecond, false); last != hidingSoon+hidingCalm {
			t.Errorf("looked %v after what happened", last)
		}
		// Half a frame after something has happened, not when the next does.
		if n, last := looks(time.Minute, true); n < 55 || n > 62 || last%every != hidingAfter {
			t.Errorf("%d looks a minute while things happen, the last %v after their beginning", n, last)
		}
		s.hidden = true // what shows it again must be seen soon
		if n, _ := looks(time.Second, true); n < 8 || n > 16 {
			t.Errorf("%d looks a second while it is hidden and things happen", n)
		}
	})
}
