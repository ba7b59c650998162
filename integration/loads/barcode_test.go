package loads

import (
	"testing"

	"github.com/ironglass/ironglass/rfb/pixel"
)

func painted(n uint16) *pixel.Frame {
	f := pixel.NewFrame(640, 480)
	white, black := Cells(n)
	for _, r := range white {
		f.Fill(r, 0xf0f0f0)
	}
	for _, r := range black {
		f.Fill(r, 0x101010)
	}
	return f
}

func TestBarcode(t *testing.T) {
	for n := 0; n < 1<<numberBits; n += 97 {
		f := painted(uint16(n))
		if got, ok := ReadBarcode(f); !ok || int(got) != n {
			t.Fatalf("the barcode of %d reads %d, %v", n, got, ok)
		}
	}
}

func TestBarcodeHalfDrawn(t *testing.T) {
	// A code of which a part is of the next frame is none, or of one of both.
	for n := range uint16(2000) {
		f, next := painted(n), painted(n+1)
		for x := Barcode.Min.X; x < Barcode.Max.X; x += cellWidth {
			for y := range Strip {
				copy(f.Row(y, x, x+cellWidth), next.Row(y, x, x+cellWidth))
			}
			if got, ok := ReadBarcode(f); ok && got != n && got != n+1 {
				t.Fatalf("between %d and %d it reads %d", n, n+1, got)
			}
		}
	}
}

func TestBarcodeOfNothing(t *testing.T) {
	for _, f := range []*pixel.Frame{pixel.NewFrame(100, 100), pixel.NewFrame(640, 480)} {
		if n, ok := ReadBarcode(f); ok {
			t.Errorf("a black picture of %v reads %d", f.Rect(), n)
		}
	}
}
