package pixel

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"math/rand/v2"
	"testing"
)

// images are pictures of several types with the same bounds, which begin at an
// odd place and are part of something bigger.
func images(rnd *rand.Rand, w, h int) map[string]image.Image {
	all, part := image.Rect(3, 1, w+9, h+5), image.Rect(5, 2, 5+w, 2+h)
	fill := func(b []byte) {
		for i := range b {
			b[i] = [...]byte{0, 255, byte(rnd.Uint32()), byte(rnd.Uint32())}[rnd.IntN(4)]
		}
	}
	m := make(map[string]image.Image)
	for _, ratio := range []image.YCbCrSubsampleRatio{
		image.YCbCrSubsampleRatio444, image.YCbCrSubsampleRatio422, image.YCbCrSubsampleRatio420,
		image.YCbCrSubsampleRatio440, image.YCbCrSubsampleRatio411, image.YCbCrSubsampleRatio410,
	} {
		y := image.NewYCbCr(all, ratio)
		fill(y.Y)
		fill(y.Cb)
		fill(y.Cr)
		m[ratio.String()] = y.SubImage(part)
	}
	gray, rgba, nrgba := image.NewGray(all), image.NewRGBA(all), image.NewNRGBA(all)
	fill(gray.Pix)
	for y := all.Min.Y; y < all.Max.Y; y++ {
		for x := all.Min.X; x < all.Max.X; x++ {
			c := color.RGBA{uint8(rnd.Uint32()), uint8(rnd.Uint32()), uint8(rnd.Uint32()), 255}
			rgba.Set(x, y, c)
			nrgba.Set(x, y, c)
		}
	}
	m["Gray"], m["RGBA"], m["NRGBA"] = gray.SubImage(part), rgba.SubImage(part), nrgba.SubImage(part)
	return m
}

// Every type of image gives the colours that the standard library sees in it.
func TestDraw(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 9))
	for _, size := range []image.Point{{1, 1}, {2, 3}, {7, 5}, {33, 18}, {64, 9}} {
		for name, m := range images(rnd, size.X, size.Y) {
			f := NewFrame(80, 40)
			f.Fill(f.Rect(), 0x123456)
			r := image.Rect(4, 3, 4+size.X-rnd.IntN(2), 3+size.Y+rnd.IntN(3)) // smaller or larger
			f.Draw(r, m)
			std := image.NewRGBA(m.Bounds())
			draw.Draw(std, std.Rect, m, m.Bounds().Min, draw.Src)
			for y := range f.Height {
				for x := range f.Width {
					want := uint32(0x123456)
					if p := image.Pt(x, y); p.In(r) && p.Sub(r.Min).Add(m.Bounds().Min).In(m.Bounds()) {
						p = p.Sub(r.Min).Add(m.Bounds().Min)
						c := std.RGBAAt(p.X, p.Y)
						want = rgb(c.R, c.G, c.B)
					}
					if got := f.Row(y, x, x+1)[0]; got != want {
						t.Fatalf("%s of %v: (%d,%d) is %08x, want %06x", name, size, x, y, got, want)
					}
				}
			}
		}
	}
}

// Every luma with every chroma that there is at its ends.
func TestDrawColours(t *testing.T) {
	m := image.NewYCbCr(image.Rect(0, 0, 256, 1), image.YCbCrSubsampleRatio444)
	f := NewFrame(256, 1)
	for cb := range 256 {
		for cr := range 256 {
			for i := range 256 {
				m.Y[i], m.Cb[i], m.Cr[i] = byte(i), byte(cb), byte(cr)
			}
			f.Draw(f.Rect(), m)
			for i, got := range f.Pix {
				if want := rgb(color.YCbCrToRGB(byte(i), byte(cb), byte(cr))); got != want {
					t.Fatalf("Y %d, Cb %d, Cr %d is %06x, want %06x", i, cb, cr, got, want)
				}
			}
		}
	}
}

func TestRGBA(t *testing.T) {
	f := noise(rand.New(rand.NewPCG(2, 9)), 37, 11)
	for _, v := range []*Frame{f, padded(rand.New(rand.NewPCG(3, 9)), f)} {
		m := v.RGBA()
		for y := range f.Height {
			for x := range f.Width {
				if got := m.RGBAAt(x, y); got != f.At(x, y) {
					t.Fatalf("(%d,%d) is %v, want %v", x, y, got, f.At(x, y))
				}
			}
		}
	}
}

func BenchmarkDraw(b *testing.B) {
	const w, h = 640, 480
	f := NewFrame(w, h)
	for name, m := range images(rand.New(rand.NewPCG(1, 1)), w, h) {
		b.Run(fmt.Sprint(name), func(b *testing.B) {
			b.SetBytes(4 * w * h)
			for b.Loop() {
				f.Draw(f.Rect(), m)
			}
		})
	}
	b.Run("to RGBA", func(b *testing.B) {
		b.SetBytes(4 * w * h)
		for b.Loop() {
			f.RGBA()
		}
	})
}
