package encoding

import (
	"image"
	"testing"

	"github.com/ironglass/ironglass/rfb/rfbtest/golden"
)

// Encoding a cell takes memory for its data and nothing else.
func TestEncodeAllocatesItsDataOnly(t *testing.T) {
	if raceEnabled {
		t.Skip("with the race detector, sync.Pool forgets at random")
	}
	src := golden.Desktop(640, 480)
	for _, e := range encoders() {
		var pieces []Piece
		n := testing.AllocsPerRun(200, func() {
			pieces = e.Encode(pieces[:0], src, image.Rect(64, 64, 320, 128), browser(e.Number))
		})
		// A collection may empty the pools meanwhile, so the mean is not
		// quite the number of pieces.
		if n > float64(len(pieces))+1 {
			t.Errorf("%s takes %v allocations for %d pieces", e.Name, n, len(pieces))
		}
	}
}
