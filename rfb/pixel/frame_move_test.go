package pixel_test

import (
	"image"
	"math/rand/v2"
	"testing"

	"github.com/ironglass/ironglass/rfb/rfbtest/golden"
)

// Whatever moves, after whatever moved before, the picture is what copying
// pixel by pixel makes of it.
func TestMoveRows(t *testing.T) {
	rnd := rand.New(rand.NewPCG(4, 4))
	turned := 0
	for range 30 {
		w, h := 1+rnd.IntN(90), 1+rnd.IntN(300)
		f := golden.Noise(w, h, rnd.Uint64())
		want := f.Clone()
		for range 40 {
			d := image.Pt(0, rnd.IntN(41)-20)
			if rnd.IntN(4) == 0 {
				d.X = rnd.IntN(11) - 5
			}
			r := image.Rect(rnd.IntN(1+w/8), rnd.IntN(h), w-rnd.IntN(1+w/8), h)
			if rnd.IntN(2) == 0 {
				r = image.Rect(0, 0, w, h)
			}
			r = r.Intersect(f.Rect().Add(d))
			if r.Empty() {
				continue
			}
			from := r.Min.Sub(d)
			before := want.Clone()
			paste(want, r, before, from)
			f.Move(r, from)
			if !f.Equal(want) {
				t.Fatalf("%dx%d: wrong after a move of %v from %v", w, h, r, from)
			}
			x, y := rnd.IntN(w), rnd.IntN(h)
			f.Fill(image.Rect(x, y, x+3, y+3), 0x123456)
			want.Fill(image.Rect(x, y, x+3, y+3), 0x123456)
		}
		if !f.Clone().Equal(want) {
			t.Fatal("a copy is wrong")
		}
		if !f.Contiguous(0, h) {
			turned++
		}
		for y := range h - 1 {
			_ = f.From(0, y)[w-1]
			if f.Contiguous(y, y+2) && f.From(0, y)[f.Stride] != f.Pixel(0, y+1) {
				t.Fatalf("row %d does not follow row %d", y+1, y)
			}
		}
	}
	if turned < 10 {
		t.Errorf("rows changed places in %d frames only", turned)
	}
}

func BenchmarkMove(b *testing.B) {
	f := golden.Noise(1280, 1024, 1)
	for _, c := range []struct {
		name string
		r    image.Rectangle
		from image.Point
	}{
		{"a line", image.Rect(0, 16, 1280, 1011), image.Pt(0, 29)},
		{"a line, in a window", image.Rect(40, 60, 1240, 1000), image.Pt(40, 73)},
		{"a window", image.Rect(300, 300, 800, 700), image.Pt(293, 297)},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				f.Move(c.r, c.from)
			}
		})
	}
}
