package encoding

import (
	"bytes"
	"fmt"
	"image"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ironglass/ironglass/rfb/jpeg"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest/golden"
	"github.com/ironglass/ironglass/rfb/wire"
)

// encodeAll is what a server makes of a frame, cell by cell.
func encodeAll(src *pixel.Frame, p Params) []Piece {
	var pieces []Piece
	for c := range cells(src.Rect(), 256, 64) {
		pieces = Encode(pieces, src, c, p)
	}
	return pieces
}

// lossyIn is the area of r in lossy pieces, in pixels.
func lossyIn(pieces []Piece, r image.Rectangle) int {
	n := 0
	for _, p := range pieces {
		if p.Lossy {
			in := p.Rect.Intersect(r)
			n += in.Dx() * in.Dy()
		}
	}
	return n
}

// psnr is the peak signal-to-noise ratio of a against b within the pieces that
// are lossy, in dB.
func psnr(a, b *pixel.Frame, pieces []Piece) float64 {
	sum, n := 0.0, 0
	for _, p := range pieces {
		if !p.Lossy {
			continue
		}
		for y := p.Rect.Min.Y; y < p.Rect.Max.Y; y++ {
			for x := p.Rect.Min.X; x < p.Rect.Max.X; x++ {
				sum += float64(distance(a.Pixel(x, y), b.Pixel(x, y)))
				n += 3
			}
		}
	}
	return 10 * math.Log10(255*255*float64(n)/max(sum, 1e-9))
}

// exactOutside fails the test unless the viewer has the frame's pixels wherever
// no piece is lossy.
func exactOutside(t *testing.T, what string, v *viewer, src *pixel.Frame, pieces []Piece) {
	t.Helper()
	want := through(src, v.format)
	for _, p := range pieces {
		if p.Lossy {
			pixel.Copy(want, v.frame, p.Rect)
		}
	}
	if d := firstDifference(v.frame, want); d != "" {
		t.Fatalf("%s: exact pixels: %s", what, d)
	}
}

// Text, menus, icons and gradients stay exact; photographs, and they alone,
// are sent as JPEG.
func TestContent(t *testing.T) {
	const w, h = 1280, 768
	inset := image.Rect(w*13/20, h/16, w*19/20, h*4/16) // the desktop's photograph
	for _, c := range []struct {
		g           golden.Picture
		photo       image.Rectangle
		least, most float64 // the shares of photo and of the rest that are lossy
		psnr        float64
	}{
		{golden.Picture{Name: "text", Frame: golden.TextConsole(w, h)}, image.Rectangle{}, 0, 0, 0},
		{golden.Picture{Name: "bios", Frame: golden.BIOS(w, h)}, image.Rectangle{}, 0, 0, 0},
		{golden.Picture{Name: "desktop", Frame: golden.Desktop(w, h)}, inset, 0.9, 0, 35},
		{golden.Picture{Name: "photo", Frame: golden.Photo(w, h)}, image.Rect(0, 0, w, h), 0.95, 0, 35},
		{golden.Picture{Name: "noise", Frame: golden.Noise(w, h, 1)}, image.Rect(0, 0, w, h), 0.95, 0, 15},
	} {
		for _, n := range []wire.Encoding{wire.EncodingTight, wire.EncodingTightPNG, wire.EncodingZRLE} {
			p := ParamsFor([]wire.Encoding{n, wire.EncodingJPEG, wire.PseudoQualityLevel0 + 6}, formats[1])
			pieces := encodeAll(c.g.Frame, p)
			cover(t, pieces, c.g.Frame.Rect())
			v := newViewer(w, h, p.Format)
			if err := v.show(pieces); err != nil {
				t.Fatalf("%s, %v: %v", c.g.Name, n, err)
			}
			exactOutside(t, c.g.Name, v, c.g.Frame, pieces)
			all, in := lossyIn(pieces, c.g.Frame.Rect()), lossyIn(pieces, c.photo)
			area := c.photo.Dx() * c.photo.Dy()
			if in < int(c.least*float64(area)) {
				t.Errorf("%s, %v: %d of a photograph's %d pixels are JPEG", c.g.Name, n, in, area)
			}
			if all-in > int(c.most*float64(w*h-area)) {
				t.Errorf("%s, %v: %d pixels that are none of a photograph are JPEG", c.g.Name, n, all-in)
			}
			if db := psnr(v.frame, c.g.Frame, pieces); all > 0 && db < c.psnr {
				t.Errorf("%s, %v: %.1f dB where it is JPEG, want %v", c.g.Name, n, db, c.psnr)
			}
		}
	}
}

// Drawings that have many colours are drawings still.
func TestDrawingsStayExact(t *testing.T) {
	const w, h = 512, 256
	paint := func(f func(x, y int) uint32) *pixel.Frame {
		p := pixel.NewFrame(w, h)
		for i := range p.Pix {
			p.Pix[i] = f(i%w, i/w)
		}
		return p
	}
	smooth := func(paper, ink uint32) *pixel.Frame {
		p := pixel.NewFrame(w, h)
		p.Fill(p.Rect(), paper)
		for y := 0; y+16 <= h; y += 16 {
			golden.SmoothText(p, y%8, y, ink, y%32 == 0, "The quick brown fox jumps over the lazy dog 0123456789 #@&%$ WMWMWM")
		}
		return p
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for name, src := range map[string]*pixel.Frame{
		"soft text":       smooth(0xffffff, 0x101010),
		"soft light text": smooth(0x202830, 0xe0c0a0),
		"two gradients": paint(func(x, y int) uint32 {
			return uint32(x/2)<<16 | uint32(y)<<8 | uint32((x+y)/3)
		}),
		"a steep gradient": paint(func(x, y int) uint32 {
			return uint32(x*3%256)<<16 | uint32(y*5%256)<<8 | uint32((2*x+3*y)%256)
		}),
		"a round gradient": paint(func(x, y int) uint32 {
			d := math.Hypot(float64(x-w/2), float64(y-h/2))
			return uint32(255-d*0.8)<<16 | uint32(128+d*0.4)<<8 | uint32(d*0.9)&0xff
		}),
		"few colours without order": limited(w, h, 24, 1),
		"a chequered ground":        paint(func(x, y int) uint32 { return uint32(x^y) & 1 * 0xc0c0c0 }),
		"small boxes of any colour": func() *pixel.Frame {
			p := pixel.NewFrame(w, h)
			for range 4000 {
				x, y := rnd.IntN(w), rnd.IntN(h)
				p.Fill(image.Rect(x, y, x+4+rnd.IntN(9), y+4+rnd.IntN(9)), rnd.Uint32()&pixel.Mask)
			}
			return p
		}(),
	} {
		pieces := encodeAll(src, Params{wire.EncodingTight, formats[1], 79, 0, 2})
		if n := lossyIn(pieces, src.Rect()); n > 0 {
			t.Errorf("%s: %d pixels are JPEG", name, n)
		}
	}
}

// Whatever main encoding and format, lossy pieces are JPEG and marked, exact
// ones are exact, and better quality is nearer.
func TestLossyRoundTrip(t *testing.T) {
	src := golden.Desktop(350, 200)
	photo := image.Rect(40, 33, 233, 170)
	pixel.Copy(src, golden.Photo(350, 200), photo)
	for _, e := range encoders() {
		for _, pf := range formats {
			last := 0.0
			for _, level := range []wire.Encoding{0, 3, 6, 9} {
				p := ParamsFor([]wire.Encoding{e.Number, wire.EncodingJPEG, wire.PseudoQualityLevel0 + level}, pf)
				what := fmt.Sprintf("%s, %v, quality %d", e.Name, pf, p.Quality)
				pieces := Encode(nil, src, src.Rect(), p)
				cover(t, pieces, src.Rect())
				v := newViewer(350, 200, pf)
				if err := v.show(pieces); err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				exactOutside(t, what, v, src, pieces)
				lossy := lossyIn(pieces, src.Rect())
				if p.Quality < 0 {
					if lossy > 0 {
						t.Fatalf("%s: %d lossy pixels", what, lossy)
					}
					break
				}
				if lossy < photo.Dx()*photo.Dy()/2 {
					t.Fatalf("%s: %d lossy pixels", what, lossy)
				}
				for _, piece := range pieces {
					isJPEG := piece.Encoding == wire.EncodingJPEG || piece.Encoding == e.Number && len(piece.Data) > 0 && piece.Data[0] == tightJPEG &&
						(e.Number == wire.EncodingTight || e.Number == wire.EncodingTightPNG)
					if isJPEG != piece.Lossy {
						t.Fatalf("%s: %v is lossy: %v, JPEG: %v", what, piece.Rect, piece.Lossy, isJPEG)
					}
					if piece.Lossy && (piece.Rect.Dx() < blockSide || piece.Rect.Dy() < blockSide) {
						t.Fatalf("%s: %v is too small to be a picture", what, piece.Rect)
					}
				}
				db := psnr(v.frame, src, pieces)
				if db < 24 || db < last {
					t.Errorf("%s: %.1f dB after %.1f", what, db, last)
				}
				last = db
			}
		}
	}
}

// What Encode makes of a rectangle depends on the pixels in it alone, and
// covers it once, whatever its size.
func TestChoiceOfAPart(t *testing.T) {
	src := golden.Desktop(640, 480)
	pixel.Copy(src, golden.Photo(640, 480), image.Rect(100, 50, 420, 400))
	rnd := rand.New(rand.NewPCG(3, 4))
	for i := range 60 {
		x, y := rnd.IntN(630), rnd.IntN(470)
		r := image.Rect(x, y, x+1+rnd.IntN(640-x), y+1+rnd.IntN(480-y))
		p := Params{wire.EncodingTight, formats[1], 79, jpeg.Subsampling(i % 4), 2}
		pieces := Encode(nil, src, r, p)
		cover(t, pieces, r)
		other := golden.Noise(640, 480, uint64(i))
		pixel.Copy(other, src, r)
		again := Encode(nil, other, r, p)
		same := slices.EqualFunc(pieces, again, func(a, b Piece) bool {
			return a.Rect == b.Rect && a.Encoding == b.Encoding && a.Lossy == b.Lossy && bytes.Equal(a.Data, b.Data)
		})
		if !same {
			t.Fatalf("%v depends on what lies outside", r)
		}
	}
	// Noise gains nothing from the best JPEG, and so stays exact.
	noise := golden.Noise(256, 64, 5)
	p := Params{wire.EncodingTight, formats[9], 100, jpeg.Sub444, 2}
	if n := lossyIn(Encode(nil, noise, noise.Rect(), p), noise.Rect()); n > 0 {
		t.Errorf("%d pixels are JPEG, which is longer than pixels", n)
	}
}

// The largest rectangle is found by another way.
func TestLargest(t *testing.T) {
	rnd := rand.New(rand.NewPCG(8, 8))
	for range 300 {
		rows := make([]uint64, 1+rnd.IntN(7))
		for y := range rows {
			rows[y] = rnd.Uint64() | rnd.Uint64() | rnd.Uint64()
			if rnd.IntN(4) == 0 {
				rows[y] = ^uint64(0)
			}
		}
		full := func(b image.Rectangle) bool {
			for y := b.Min.Y; y < b.Max.Y; y++ {
				for x := b.Min.X; x < b.Max.X; x++ {
					if rows[y]>>x&1 == 0 {
						return false
					}
				}
			}
			return true
		}
		want := 0
		for y := range rows {
			for x := range 64 {
				for h := 1; y+h <= len(rows); h++ {
					w := 0
					for x+w < 64 && full(image.Rect(x+w, y, x+w+1, y+h)) {
						w++
					}
					want = max(want, w*h)
				}
			}
		}
		if got := largest(rows); got.Dx()*got.Dy() != want || !full(got) {
			t.Fatalf("%064b: %v, want %d blocks", rows, got, want)
		}
	}
}
