package jpeg

import (
	"bytes"
	"fmt"
	"image"
	"math"
	"testing"

	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest/golden"
)

// pictures are frames that are hard on arithmetic, and some that are not.
func pictures(width, height int) []golden.Picture {
	all := append(golden.All(width, height), golden.Picture{Name: "noise", Frame: golden.Noise(width, height, 1)})
	add := func(name string, colour func(x, y int) uint32) {
		f := pixel.NewFrame(width, height)
		for y := range height {
			for x := range width {
				f.Pix[y*width+x] = colour(x, y)
			}
		}
		all = append(all, golden.Picture{Name: name, Frame: f})
	}
	for _, c := range []uint32{0, 0xffffff, 0xff0000, 0x00ff00, 0x0000ff, 0x00ffff, 0xff00ff, 0xffff00, 0x808080, 0x123456} {
		add(fmt.Sprintf("all %06x", c), func(int, int) uint32 { return c })
	}
	add("greys", func(x, y int) uint32 { return uint32(x*3+y*5) & 0xff * 0x010101 })
	add("saturated", func(x, y int) uint32 {
		return [...]uint32{0xff0000, 0x00ff00, 0x0000ff, 0xffff00, 0xff00ff, 0x00ffff, 0, 0xffffff}[(x*7+y*3+x*y)%8]
	})
	// The greatest coefficients: blocks that are as one function of the
	// transform is, black and white.
	add("extremes", func(x, y int) uint32 {
		n := y/8*((width+7)/8) + x/8
		if basis(n%8, x%8)*basis(n/8%8, y%8) > 0 {
			return 0xffffff
		}
		return 0
	})
	add("blue and yellow blocks", func(x, y int) uint32 { return [2]uint32{0x0000ff, 0xffff00}[(x/16+y/16)%2] })
	return all
}

// The machine's own instructions give the same bytes.
func TestAcceleratedIsTheSame(t *testing.T) {
	if !accelerated {
		t.Skip("this machine, or this build, has only the code in Go")
	}
	for _, g := range pictures(133, 117) {
		for _, s := range subsamplings {
			for quality := 1; quality <= 100; quality += 9 {
				a := encode(nil, g.Frame, g.Frame.Rect(), quality, s, true)
				b := encode(nil, g.Frame, g.Frame.Rect(), quality, s, false)
				if !bytes.Equal(a, b) {
					t.Fatalf("%s, %v, quality %d: %d bytes and %d in Go differ", g.Name, s, quality, len(a), len(b))
				}
			}
		}
	}
}

// FuzzTwins: any pixels give the same bytes both ways, and a picture that can
// be decoded.
func FuzzTwins(f *testing.F) {
	f.Add([]byte("some pixels"), uint8(17), uint8(9), uint8(80), uint8(1))
	f.Add([]byte("more"), uint8(33), uint8(69), uint8(99), uint8(0))
	f.Fuzz(func(t *testing.T, pix []byte, width, height, quality, s uint8) {
		w, h := int(width%70)+1, int(height%70)+1
		p := pixel.NewFrame(w, h)
		for i := range p.Pix {
			for range 3 {
				if len(pix) > 0 {
					p.Pix[i] = p.Pix[i]<<8 | uint32(pix[0])
					pix = append(pix[1:], pix[0]*5+1)
				}
			}
		}
		sub := Subsampling(s % 4)
		a := encode(nil, p, p.Rect(), int(quality), sub, false)
		if b := encode(nil, p, p.Rect(), int(quality), sub, accelerated); !bytes.Equal(a, b) {
			t.Fatalf("%d bytes and %d in Go differ", len(b), len(a))
		}
		if d := decode(t, a); d.Rect() != image.Rect(0, 0, w, h) {
			t.Fatalf("a picture of %dx%d came back as %v", w, h, d.Rect())
		}
	})
}

// basis is function k of the transform at x, without its factor.
func basis(k, x int) float64 { return math.Cos(float64((2*x+1)*k) * math.Pi / 16) }
