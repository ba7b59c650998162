package x11

import (
	"errors"
	"fmt"
	"image"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/x11/xvfb"
	"github.com/jezek/xgb/xproto"
)

// depths are those that a screen may have.
var depths = []int{8, 15, 16, 24, 30}

// What a program stores in the colour map, and a map that it installs, reach
// who looks, though nothing is drawn.
func TestColourMapChanges(t *testing.T) {
	s := startXvfb(t, xvfb.Config{Width: 300, Height: 200, Depth: 8})
	for _, way := range ways {
		t.Run(way, func(t *testing.T) {
			x := openWay(t, s, way)
			r, _ := run(t, x)
			p := newPainter(t, s, image.Rect(0, 0, 300, 200), 0)
			v := &viewer{x: x, r: r}
			screen := xproto.Setup(p.c.Conn).DefaultScreen(p.c.Conn)
			own, err := xproto.NewColormapId(p.c.Conn)
			p.must(err)
			p.must(xproto.CreateColormapChecked(p.c.Conn, xproto.ColormapAllocAll, own, p.root, screen.RootVisual).Check())
			rnd := rand.New(rand.NewPCG(1, 8))
			store := func(n int) {
				var items []xproto.Coloritem
				for range n {
					items = append(items, xproto.Coloritem{
						Pixel: uint32(rnd.IntN(256)), Flags: xproto.ColorFlagRed | xproto.ColorFlagGreen | xproto.ColorFlagBlue,
						Red: uint16(rnd.Uint32()), Green: uint16(rnd.Uint32()), Blue: uint16(rnd.Uint32()),
					})
				}
				p.must(xproto.StoreColorsChecked(p.c.Conn, own, items).Check())
			}
			store(1000)
			for y := range 16 {
				for x := range 16 {
					p.fill(image.Rect(x*18, y*12, x*18+18, y*12+12), uint32(16*y+x))
				}
			}
			v.settle(t, p)
			before := v.frame.Clone()
			p.must(xproto.InstallColormapChecked(p.c.Conn, own).Check())
			v.settle(t, p)
			if v.frame.Equal(before) {
				t.Error("another colour map changes nothing")
			}
			for range 5 {
				before = v.frame.Clone()
				store(40)
				v.settle(t, p)
				if v.frame.Equal(before) {
					t.Error("other colours change nothing")
				}
			}
			// A map that goes leaves the screen to another.
			p.must(xproto.FreeColormapChecked(p.c.Conn, own).Check())
			v.settle(t, p)
		})
	}
}

func TestFormatRefuses(t *testing.T) {
	rgb := [3]uint32{0xff0000, 0xff00, 0xff}
	for name, c := range map[string]struct {
		f       format
		class   byte
		entries int
	}{
		"packed pixels":    {format{depth: 24, size: 3, pad: 4, masks: rgb}, xproto.VisualClassTrueColor, 256},
		"no pixels":        {format{depth: 1, size: 0, pad: 4}, xproto.VisualClassStaticGray, 2},
		"no rows":          {format{depth: 24, size: 4, masks: rgb}, xproto.VisualClassTrueColor, 256},
		"large map":        {format{depth: 12, size: 2, pad: 4}, xproto.VisualClassPseudoColor, 4096},
		"empty map":        {format{depth: 8, size: 1, pad: 4}, xproto.VisualClassPseudoColor, 0},
		"no green":         {format{depth: 24, size: 4, pad: 4, masks: [3]uint32{0xff0000, 0, 0xff}}, xproto.VisualClassTrueColor, 256},
		"a hole in a mask": {format{depth: 24, size: 4, pad: 4, masks: [3]uint32{0xf70000, 0xff00, 0xff}}, xproto.VisualClassTrueColor, 256},
		"large colour":     {format{depth: 24, size: 4, pad: 4, masks: [3]uint32{0xffffff00, 0x80, 0x7f}}, xproto.VisualClassTrueColor, 256},
	} {
		x := &Display{
			setup: &xproto.SetupInfo{PixmapFormats: []xproto.Format{{
				Depth: c.f.depth, BitsPerPixel: byte(8 * c.f.size), ScanlinePad: byte(8 * c.f.pad),
			}}},
			screen: &xproto.ScreenInfo{RootDepth: c.f.depth, RootVisual: 5, AllowedDepths: []xproto.DepthInfo{{
				Depth: c.f.depth, Visuals: []xproto.VisualInfo{{
					VisualId: 5, Class: c.class, ColormapEntries: uint16(c.entries),
					RedMask: c.f.masks[0], GreenMask: c.f.masks[1], BlueMask: c.f.masks[2],
				}},
			}}},
		}
		if err := x.findFormat(); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), fmt.Sprint("depth ", c.f.depth)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A server whose bytes come in the other order is shown as well.
func TestFormatOtherByteOrder(t *testing.T) {
	f := &format{depth: 24, size: 4, pad: 4, order: 1 - hostByteOrder(), masks: [3]uint32{0xff0000, 0xff00, 0xff}}
	if err := f.choose(xproto.VisualClassTrueColor, 256); err != nil || f.same {
		t.Fatalf("%v, same %v", err, f.same)
	}
	got := make([]uint32, 2)
	b := []byte{9, 1, 2, 3, 9, 4, 5, 6}
	want := []uint32{0x010203, 0x040506}
	if hostByteOrder() == xproto.ImageOrderMSBFirst {
		b = []byte{3, 2, 1, 9, 6, 5, 4, 9}
	}
	f.row(got, b)
	if got[0] != want[0] || got[1] != want[1] {
		t.Errorf("%06x, not %06x", got, want)
	}
	other := []byte{0, 1, 2, 3, 0, 4, 5, 7}
	if hostByteOrder() == xproto.ImageOrderMSBFirst {
		other = []byte{3, 2, 1, 0, 7, 5, 4, 0}
	}
	if n := f.differing(b, other); n != 1 {
		t.Errorf("they differ in %d pixels, not in 1", n)
	}
}

// A file of another depth than the screen's is not mapped.
func TestMappedOfOtherDepth(t *testing.T) {
	a := startXvfb(t, xvfb.Config{Width: 300, Height: 200, Depth: 16})
	b := startXvfb(t, xvfb.Config{Width: 300, Height: 200, Depth: 24})
	cfg := config(a)
	cfg.Framebuffer = b.Framebuffer
	x := open(t, cfg)
	if got := x.picture.reader.name(); got != "MIT-SHM" {
		t.Errorf("reads by %s", got)
	}
	if _, err := openMapped(x, 300, 200); !errors.Is(err, errXWD) {
		t.Errorf("%v", err)
	}
}

// BenchmarkConvert is what it costs to look at a whole screen of each depth.
func BenchmarkConvert(b *testing.B) {
	for _, depth := range depths {
		b.Run(fmt.Sprint(depth), func(b *testing.B) {
			s := startXvfb(b, xvfb.Config{Width: 1280, Height: 1024, Depth: depth})
			x := openWay(b, s, "mapped framebuffer")
			run(b, x)
			all := pixel.RegionOf(image.Rect(0, 0, 1280, 1024))
			b.SetBytes(1280 * 1024 * 4)
			for b.Loop() {
				if err := x.Grab(all, func(*pixel.Frame) {}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Only what is damaged is converted, into memory that stays.
func TestFormatConvertsDamageOnly(t *testing.T) {
	f := &format{depth: 16, size: 2, pad: 4, order: hostByteOrder(), masks: [3]uint32{0xf800, 0x7e0, 0x1f}}
	if err := f.choose(xproto.VisualClassTrueColor, 64); err != nil {
		t.Fatal(err)
	}
	const width, height = 37, 20
	p := raw{stride: f.stride(width), width: width, height: height}
	if p.stride != 76 {
		t.Fatalf("a row has %d bytes", p.stride)
	}
	p.pix = rawWords(p.stride * height)
	for i := range p.pix {
		p.pix[i] = 0xff
	}
	var dst pixel.Frame
	damage := pixel.RegionOf(image.Rect(3, 2, 20, 9), image.Rect(30, 15, 99, 99))
	f.frame(&dst, &p, damage)
	for y := range height {
		for x := range width {
			want := uint32(0)
			if damage.Contains(image.Rect(x, y, x+1, y+1)) {
				want = 0xffffff
			}
			if got := dst.Pixel(x, y); got != want {
				t.Fatalf("(%d,%d) is %06x, not %06x", x, y, got, want)
			}
		}
	}
	kept := &dst.Pix[0]
	f.frame(&dst, &p, pixel.RegionOf(dst.Rect()))
	if &dst.Pix[0] != kept || dst.Pixel(0, 0) != 0xffffff {
		t.Error("the memory or the picture is not kept")
	}
	p.width = 11 // the screen has become smaller
	f.frame(&dst, &p, pixel.RegionOf(image.Rect(0, 0, 11, 1)))
	if dst.Width != 11 || dst.Pixel(10, 0) != 0xffffff {
		t.Errorf("the width is %d", dst.Width)
	}
}
