package rfb_test

import (
	"image"
	"testing"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest"
	"github.com/ironglass/ironglass/rfb/rfbtest/golden"
	"github.com/ironglass/ironglass/rfb/wire"
)

// From its second picture on a film goes in few large pieces, made once for
// all its viewers. They are as new as any, whichever of the cells under them
// changes, and what takes the film's place is exact at once.
func TestFilmInLargePieces(t *testing.T) {
	const most = 2
	src := rfbtest.NewSource(1024, 512)
	h := serve(t, src, rfb.ServerConfig{FrameInterval: -1})
	at := image.Pt(70, 50)
	photo := golden.Photo(700, 400)
	film := func(i int) *pixel.Frame {
		return &pixel.Frame{Pix: photo.Pix[5*i:], Stride: photo.Stride, Width: 600, Height: 400}
	}
	area := film(0).Rect().Add(at)
	list := []wire.Encoding{wire.EncodingTight, wire.PseudoQualityLevel0 + 6, wire.PseudoCursor}
	viewers := []*rfbtest.Viewer{h.viewer(list...), h.viewer(list...)}
	// show has all viewers sent the film's area and returns the rectangles that
	// each got.
	show := func() int {
		t.Helper()
		rects := 0
		for _, v := range viewers {
			before := v.Count[wire.EncodingTight]
			if err := v.Send(wire.FramebufferUpdateRequest{Rect: area}); err != nil {
				t.Fatal(err)
			}
			if err := v.ReadUpdate(); err != nil {
				t.Fatal(err)
			}
			rects = v.Count[wire.EncodingTight] - before
		}
		return rects
	}
	paste(src, film(0), at)
	show()
	before := h.Stats().EncodeCalls
	for i := range 5 {
		paste(src, film(i+1), at)
		if n := show(); n > most {
			t.Errorf("picture %d came in %d pieces", i+2, n)
		}
	}
	if n := h.Stats().EncodeCalls - before; n > 5*most {
		t.Errorf("%d pieces were encoded for two viewers of 5 pictures", n)
	}
	for _, p := range []image.Point{{90, 60}, {640, 440}, {300, 260}, {400, 320}} {
		spot := image.Rectangle{Min: p, Max: p.Add(image.Pt(16, 8))}
		for _, c := range []uint32{0xffffff, 0} {
			src.Draw(func(f *pixel.Frame) *pixel.Region {
				f.Fill(spot, c)
				return pixel.RegionOf(spot)
			})
			show()
			for i, v := range viewers {
				if got := v.Frame.Pixel(p.X+8, p.Y+4) & 0xff; got < 0x80 != (c == 0) {
					t.Errorf("viewer %d has %02x at %v, where %06x was drawn", i, got, p, c)
				}
			}
		}
	}
	paste(src, golden.TextConsole(600, 400), at)
	show()
	for _, v := range viewers {
		if d := rfbtest.Difference(v.Frame, src.Picture()); d != "none" {
			t.Errorf("text after the film: %s", d)
		}
	}
}
