package encoding

import (
	"image"
	"testing"

	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest/golden"
	"github.com/ironglass/ironglass/rfb/wire"
)

// A line of text across the screen, and a narrow edge from top to bottom, come
// in one piece, with JPEG allowed or not; that is less than in pieces of a
// cell's width.
func TestLongRectanglesInOne(t *testing.T) {
	src := golden.TextConsole(1920, 1200)
	for _, number := range []wire.Encoding{wire.EncodingTight, wire.EncodingTightPNG} {
		for _, quality := range []wire.Encoding{wire.EncodingRaw, wire.PseudoQualityLevel0 + 6} {
			p := ParamsFor([]wire.Encoding{number, quality, wire.PseudoCompressLevel0 + 2}, pixel.RGB888)
			for _, r := range []image.Rectangle{image.Rect(0, 16, 1920, 32), image.Rect(900, 3, 916, 1190), image.Rect(17, 40, 1290, 53)} {
				whole := Encode(nil, src, r, p)
				if len(whole) != 1 || whole[0].Rect != r {
					t.Errorf("%v, %v: %v comes in %d pieces", number, quality, r, len(whole))
					continue
				}
				apart := 0
				for c := range cells(r, 256, 64) {
					for _, piece := range Encode(nil, src, c, p) {
						apart += len(piece.Data) + 12
					}
				}
				if n := len(whole[0].Data) + 12; n >= apart {
					t.Errorf("%v, %v: %v has %d bytes, %d in pieces", number, quality, r, n, apart)
				}
			}
		}
	}
	// What is like a photograph is found in a long rectangle too.
	mixed := src.Clone()
	photo := golden.Photo(256, 32)
	for y := range 32 {
		copy(mixed.Row(y, 512, 768), photo.Row(y, 0, 256))
	}
	p := ParamsFor([]wire.Encoding{wire.EncodingTight, wire.PseudoQualityLevel0 + 6}, pixel.RGB888)
	var covered pixel.Region
	lossy := false
	for _, piece := range Encode(nil, mixed, image.Rect(0, 0, 1024, 32), p) {
		if covered.Overlaps(piece.Rect) {
			t.Errorf("%v is sent twice", piece.Rect)
		}
		covered.Add(piece.Rect)
		lossy = lossy || piece.Lossy
	}
	if !lossy || !covered.Equal(pixel.RegionOf(image.Rect(0, 0, 1024, 32))) {
		t.Errorf("pieces of %v, JPEG among them: %v", covered.Bounds(), lossy)
	}
}
