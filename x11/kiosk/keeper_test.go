package kiosk

import (
	"fmt"
	"testing"
	"time"

	"github.com/jezek/xgb/xproto"
)

// corner is the colour of the screen's last pixel.
func (d *desk) corner() uint32 {
	d.t.Helper()
	r, err := xproto.GetImage(d.c.Conn, xproto.ImageFormatZPixmap, xproto.Drawable(d.root), 1023, 767, 1, 1, ^uint32(0)).Reply()
	if err != nil {
		d.t.Fatal(err)
	}
	return uint32(r.Data[2])<<16 | uint32(r.Data[1])<<8 | uint32(r.Data[0])
}

func (d *desk) seesCorner(what string, colour uint32) {
	d.t.Helper()
	d.eventually(fmt.Sprintf("%s (%06x) in the corner", what, colour), func() bool { return d.corner() == colour })
}

func TestTheLastPictureStays(t *testing.T) {
	const ground, red = 0x205020, 0xff0000
	open := func(d *desk, w, h int, dialogue bool) xproto.Window {
		return d.window(w, h, func(id xproto.Window) {
			xproto.ChangeWindowAttributes(d.c.Conn, id, xproto.CwBackPixel, []uint32{red})
			if dialogue {
				d.set(id, "WM_TRANSIENT_FOR", xproto.AtomWindow, uint32(d.root))
			}
		})
	}
	start := func(t *testing.T, keep time.Duration) *desk {
		d := startDesk(t)
		if err := d.m.Close(); err != nil {
			t.Fatal(err)
		}
		xproto.ChangeWindowAttributes(d.c.Conn, d.root, xproto.CwBackPixel, []uint32{ground})
		xproto.ClearArea(d.c.Conn, false, d.root, 0, 0, 0, 0)
		d.seesCorner("the root window", ground)
		var err error
		if d.m, err = Start(t.Context(), Config{Display: d.s.Display, Auth: d.s.Auth, Keep: keep}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = d.m.Close() })
		d.seesCorner("the root window", ground)
		return d
	}
	goes := func(d *desk, id xproto.Window) {
		xproto.DestroyWindow(d.c.Conn, id)
		d.eventually("no window", func() bool { return len(d.clients()) == 0 })
	}
	t.Run("kept", func(t *testing.T) {
		d := start(t, time.Hour)
		first := open(d, 300, 200, false)
		d.seesCorner("the window", red)
		xproto.DestroyWindow(d.c.Conn, first)
		if c := d.corner(); c != red {
			t.Errorf("the corner is %06x when the window is gone", c)
		}
		d.eventually("no window", func() bool { return len(d.clients()) == 0 })
		if c := d.corner(); c != red {
			t.Errorf("the corner is %06x when the manager knows", c)
		}
		// What does not fill the screen has no old picture around it.
		dialogue := open(d, 100, 100, true)
		d.top(1, middle(100, 100))
		d.seesCorner("the root window", ground)
		goes(d, dialogue)
		if c := d.corner(); c != ground {
			t.Errorf("the corner is %06x when the dialogue is gone", c)
		}
		// The keeper has the screen's new size.
		if err := d.x.SetDesktopSize(t.Context(), 800, 600, nil); err != nil {
			t.Fatal(err)
		}
		if err := d.x.SetDesktopSize(t.Context(), 1024, 768, nil); err != nil {
			t.Fatal(err)
		}
		goes(d, func() xproto.Window { id := open(d, 10, 10, false); d.top(1, whole); return id }())
		if c := d.corner(); c != red {
			t.Errorf("the corner is %06x after a change of the size", c)
		}
	})
	for _, keep := range []time.Duration{time.Millisecond, -1} {
		t.Run(fmt.Sprint(keep), func(t *testing.T) {
			d := start(t, keep)
			id := open(d, 300, 200, false)
			d.seesCorner("the window", red)
			goes(d, id)
			d.seesCorner("the root window", ground)
		})
	}
}
