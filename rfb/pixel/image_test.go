package pixel_test

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math/rand/v2"
	"testing"

	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest/golden"
)

// ratios are all ways in which samples of colour are shared.
var ratios = []image.YCbCrSubsampleRatio{
	image.YCbCrSubsampleRatio444, image.YCbCrSubsampleRatio422, image.YCbCrSubsampleRatio420,
	image.YCbCrSubsampleRatio440, image.YCbCrSubsampleRatio411, image.YCbCrSubsampleRatio410,
}

// drawn checks that Draw has brought r of the frame to m's colours and has
// left the rest.
func drawn(t *testing.T, r image.Rectangle, m image.Image) {
	t.Helper()
	f := golden.Noise(60, 50, 7)
	want := f.Clone()
	b := m.Bounds()
	for y := range min(r.Dy(), b.Dy()) {
		for x := range min(r.Dx(), b.Dx()) {
			red, green, blue, _ := m.At(b.Min.X+x, b.Min.Y+y).RGBA()
			want.Row(r.Min.Y+y, 0, 60)[r.Min.X+x] = red>>8<<16 | green>>8<<8 | blue>>8
		}
	}
	f.Draw(r, m)
	if !f.Equal(want) {
		t.Errorf("%T of %v drawn to %v differs from its pixels", m, b, r)
	}
	for _, p := range f.Pix {
		if p&^pixel.Mask != 0 {
			t.Fatal("a pad byte is not zero")
		}
	}
}

// Draw paints what At says, of pictures and parts of pictures of every kind.
func TestDraw(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	bytesOf := func(b []byte) {
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
	}
	for _, ratio := range ratios {
		for range 300 {
			at := image.Pt(rnd.IntN(5), rnd.IntN(5))
			m := image.NewYCbCr(image.Rectangle{Max: image.Pt(1+rnd.IntN(40), 1+rnd.IntN(30))}.Add(at), ratio)
			bytesOf(m.Y)
			bytesOf(m.Cb)
			bytesOf(m.Cr)
			r := image.Rect(rnd.IntN(30), rnd.IntN(25), 31+rnd.IntN(30), 26+rnd.IntN(25))
			drawn(t, r, m)
			b := m.Bounds()
			b.Min = b.Min.Add(image.Pt(rnd.IntN(b.Dx()), rnd.IntN(b.Dy())))
			drawn(t, r, m.SubImage(b))
		}
	}
	b := image.Rect(3, 2, 40, 30)
	gray, rgba, nrgba := image.NewGray(b), image.NewRGBA(b), image.NewNRGBA(b)
	bytesOf(gray.Pix)
	for i := range nrgba.Pix {
		rgba.Pix[i] = byte(rnd.Uint32()) | byte(i%4/3*0xff)
		nrgba.Pix[i] = byte(rnd.Uint32()) | byte(i%4/3*0xff)
	}
	for _, m := range []image.Image{gray, rgba, nrgba} {
		drawn(t, image.Rect(1, 2, 60, 50), m)
		drawn(t, image.Rect(1, 2, 11, 12), m)
	}
	drawn(t, image.Rect(4, 4, 8, 8), image.NewYCbCr(image.Rectangle{}, image.YCbCrSubsampleRatio420))
}

// Every colour becomes what the standard library makes of it.
func TestDrawColours(t *testing.T) {
	m := image.NewYCbCr(image.Rect(0, 0, 256, 256), image.YCbCrSubsampleRatio444)
	f := pixel.NewFrame(256, 256)
	for i := range m.Cb {
		m.Cb[i], m.Cr[i] = uint8(i), uint8(i>>8)
	}
	for y := range 256 {
		for i := range m.Y {
			m.Y[i] = uint8(y)
		}
		f.Draw(f.Rect(), m)
		for i, p := range f.Pix {
			r, g, b := color.YCbCrToRGB(m.Y[i], m.Cb[i], m.Cr[i])
			if want := uint32(r)<<16 | uint32(g)<<8 | uint32(b); p != want {
				t.Fatalf("Y %d Cb %d Cr %d is %06x, not %06x", y, m.Cb[i], m.Cr[i], p, want)
			}
		}
	}
}

func BenchmarkDraw(b *testing.B) {
	f := pixel.NewFrame(640, 480)
	photo := golden.Photo(640, 480)
	for _, ratio := range ratios[:3] {
		m := image.NewYCbCr(f.Rect(), ratio)
		for y := range 480 {
			for x := range 640 {
				p := photo.Pixel(x, y)
				i, j := m.YOffset(x, y), m.COffset(x, y)
				m.Y[i], m.Cb[j], m.Cr[j] = color.RGBToYCbCr(uint8(p>>16), uint8(p>>8), uint8(p))
			}
		}
		b.Run(fmt.Sprint(ratio), func(b *testing.B) {
			b.SetBytes(4 * 640 * 480)
			for b.Loop() {
				f.Draw(f.Rect(), m)
			}
			b.ReportMetric(640*480*float64(b.N)/b.Elapsed().Seconds()/1e6, "MPix/s")
		})
	}
	// What comes before it.
	var data bytes.Buffer
	if err := jpeg.Encode(&data, photo.RGBA(), &jpeg.Options{Quality: 80}); err != nil {
		b.Fatal(err)
	}
	b.Run("image-jpeg", func(b *testing.B) {
		for b.Loop() {
			if _, err := jpeg.Decode(bytes.NewReader(data.Bytes())); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(640*480*float64(b.N)/b.Elapsed().Seconds()/1e6, "MPix/s")
	})
}
