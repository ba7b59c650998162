package encoding

import (
	"image"
	"testing"

	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest/golden"
	"github.com/ironglass/ironglass/rfb/wire"
)

// Encoding a cell takes memory for its data and nothing else.
func TestEncodeAllocatesItsDataOnly(t *testing.T) {
	if raceEnabled {
		t.Skip("with the race detector, sync.Pool forgets at random")
	}
	src := golden.Desktop(640, 480)
	rows := append(encoders(), ByNumber(wire.EncodingJPEG), &Encoding{Number: wire.EncodingTight, Name: "by content", Encode: func(out []Piece, src *pixel.Frame, r image.Rectangle, p Params) []Piece {
		p.Quality = 79
		return Encode(out, src, r, p)
	}})
	for _, e := range rows {
		var pieces []Piece
		n := testing.AllocsPerRun(200, func() {
			pieces = e.Encode(pieces[:0], src, image.Rect(384, 64, 640, 128), browser(e.Number))
		})
		// A collection may empty the pools meanwhile, so the mean is not
		// quite the number of pieces.
		if n > float64(len(pieces))+1 {
			t.Errorf("%s takes %v allocations for %d pieces", e.Name, n, len(pieces))
		}
	}
}
