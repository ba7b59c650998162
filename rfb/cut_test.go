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

// What changes is sent in few rectangles without much that has not changed,
// and what two viewers are sent is encoded for one of them, whatever its shape.
func TestRectangles(t *testing.T) {
	const width, height = 1300, 700
	src := rfbtest.NewSource(width, height)
	src.Show(golden.TextConsole(width, height))
	h := serve(t, src, rfb.ServerConfig{})
	conn := &countedConn{Conn: h.pipe(rfb.ViewerConfig{})}
	counted, err := rfbtest.NewViewer(conn)
	if err != nil {
		t.Fatal(err)
	}
	list := []wire.Encoding{wire.EncodingRaw, wire.PseudoCursor}
	if err := counted.Send(wire.SetEncodings{Encodings: list}); err != nil {
		t.Fatal(err)
	}
	second := h.viewer(list...)
	await(t, counted, src.Picture())
	await(t, second, src.Picture())
	line, edge := image.Rect(3, 200, 1290, 213), image.Rect(600, 10, 604, 650)
	var spots []image.Rectangle
	for i := range 8 {
		spots = append(spots, image.Rect(0, 0, 8, 4).Add(image.Pt(20+28*i, 3+(i*5%8)*7)))
	}
	var bars []image.Rectangle
	for i := range 20 { // the ragged edge of something large
		bars = append(bars, image.Rect(i*7, 100+16*i, 1000+i, 100+16*(i+1)))
	}
	for _, c := range []struct {
		name   string
		drawn  []image.Rectangle
		rects  int
		pixels int // at the most, besides those drawn
	}{
		{"a line", []image.Rectangle{line}, 1, 0},
		{"an edge", []image.Rectangle{edge}, 1, 0},
		{"both, and a spot", []image.Rectangle{line, edge, {image.Pt(5, 5), image.Pt(9, 9)}}, 6, 0},
		{"spots in a cell", spots, 8, 8 * 160},
		{"two words", []image.Rectangle{image.Rect(300, 300, 320, 312), image.Rect(326, 300, 350, 312)}, 1, 6 * 12},
		{"large", bars, 5 * 7, width * height / 4},
	} {
		stats, read, rects := h.Stats(), conn.read, counted.Count[wire.EncodingRaw]
		drawn := pixel.RegionOf(c.drawn...)
		src.Draw(func(p *pixel.Frame) *pixel.Region {
			for r := range drawn.Rects() {
				for y := r.Min.Y; y < r.Max.Y; y++ {
					for x := r.Min.X; x < r.Max.X; x++ {
						p.Fill(image.Rect(x, y, x+1, y+1), ^p.Pixel(x, y)&pixel.Mask)
					}
				}
			}
			return drawn
		})
		await(t, counted, src.Picture())
		if n := counted.Count[wire.EncodingRaw] - rects; n > c.rects {
			t.Errorf("%s: %d rectangles, want %d at the most", c.name, n, c.rects)
		}
		if extra := (conn.read-read)/4 - drawn.Area(); extra > c.pixels+c.rects*4+8 {
			t.Errorf("%s: as good as %d pixels more were sent than had changed, want %d at the most", c.name, extra, c.pixels)
		}
		encoded := h.Stats().EncodeCalls - stats.EncodeCalls
		await(t, second, src.Picture())
		if n := h.Stats(); n.EncodeCalls-stats.EncodeCalls != encoded || n.CacheHits-stats.CacheHits != encoded {
			t.Errorf("%s: %d rectangles were encoded for the first viewer, %d more for the second", c.name, encoded, n.EncodeCalls-stats.EncodeCalls-encoded)
		}
	}
	if n := h.Stats().CacheBytes; n <= 0 {
		t.Errorf("%d bytes are kept", n)
	}
}
