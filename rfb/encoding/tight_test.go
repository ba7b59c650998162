package encoding

import (
	"image"
	"math/rand/v2"
	"testing"

	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/wire"
)

// Where a rectangle has too many colours for one palette but its parts have
// not, each part has one of its own; what has too many everywhere stays whole.
func TestTightPalettes(t *testing.T) {
	rnd := rand.New(rand.NewPCG(6, 1))
	paint := func(colours int, rows ...int) *pixel.Frame {
		f := pixel.NewFrame(256, 64)
		for y := range f.Height {
			part := uint32(0)
			for _, from := range rows {
				if y >= from {
					part++
				}
			}
			for x := range f.Width {
				f.Pix[y*f.Stride+x] = part<<16 | uint32(rnd.IntN(colours))
			}
		}
		return f
	}
	for _, c := range []struct {
		what    string
		frame   *pixel.Frame
		pieces  int
		palette bool
	}{
		{"256 colours", paint(256), 1, true},
		{"two parts of 200 colours", paint(200, 32), 2, true},
		{"three parts of 200 colours", paint(200, 20, 40), 3, true},
		{"600 colours all over", paint(600), 1, false},
	} {
		pieces := encodeTight(nil, c.frame, c.frame.Rect(), browser(wire.EncodingTight))
		if len(pieces) != c.pieces {
			t.Errorf("%s: %d pieces, want %d", c.what, len(pieces), c.pieces)
		}
		for _, p := range pieces {
			if got := p.Data[0]&tightFilter != 0 && p.Data[1] == tightPalette; got != c.palette {
				t.Errorf("%s: %v has a palette: %v", c.what, p.Rect, got)
			}
		}
		v := newViewer(256, 64, formats[1])
		if err := v.show(pieces); err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		if d := firstDifference(v.frame, c.frame); d != "" {
			t.Errorf("%s: %s", c.what, d)
		}
	}
}

// Colours are numbered as they come, in rows of any length, until they are too
// many; the rows before that stay numbered.
func TestIndexRows(t *testing.T) {
	rnd := rand.New(rand.NewPCG(6, 2))
	s := new(scratch)
	for range 2000 {
		f := pixel.NewFrame(1+rnd.IntN(200), 1+rnd.IntN(8))
		colours := 1 + rnd.IntN(1<<rnd.IntN(9))
		for i := range f.Pix {
			if f.Pix[i] = uint32(rnd.IntN(colours)) * 0x010307 & pixel.Mask; i > 0 && rnd.IntN(3) > 0 {
				f.Pix[i] = f.Pix[i-1]
			}
		}
		most := 1 + rnd.IntN(256)
		numbers := make(map[uint32]byte)
		var want []byte
		rows, known := 0, 0
	count:
		for ; rows < f.Height; rows++ {
			known = len(numbers)
			for _, p := range f.Row(rows, 0, f.Width) {
				if _, ok := numbers[p]; !ok {
					if len(numbers) == most {
						break count
					}
					numbers[p] = byte(len(numbers))
				}
				want = append(want, numbers[p])
			}
			known = len(numbers)
		}
		want = want[:rows*f.Width]
		if got := s.indexRows(f, f.Rect(), most); got != rows || s.pal.n != known || string(s.index) != string(want) {
			t.Fatalf("%v with %d colours, %d at the most: %d rows and %d colours, want %d and %d",
				image.Pt(f.Width, f.Height), colours, most, got, s.pal.n, rows, known)
		}
		for p, n := range numbers {
			if int(n) < known && s.pal.colours[n] != p {
				t.Fatalf("colour %d is %06x, want %06x", n, s.pal.colours[n], p)
			}
		}
	}
}
