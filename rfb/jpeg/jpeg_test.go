package jpeg

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"math"
	"testing"

	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest/golden"
)

var subsamplings = []Subsampling{Sub444, Sub422, Sub420, SubGray}

// decode returns the frame that image/jpeg makes of a picture.
func decode(t testing.TB, b []byte) *pixel.Frame {
	t.Helper()
	m, err := jpeg.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatalf("image/jpeg does not read the picture: %v", err)
	}
	f := pixel.NewFrame(m.Bounds().Dx(), m.Bounds().Dy())
	f.Draw(f.Rect(), m)
	return f
}

// standard returns f at a quality as image/jpeg codes it.
func standard(t testing.TB, m image.Image, quality int) []byte {
	var out bytes.Buffer
	if err := jpeg.Encode(&out, m, &jpeg.Options{Quality: quality}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// psnr is how close two frames are, in dB.
func psnr(a, b *pixel.Frame) float64 {
	sum := 0.0
	for i, p := range a.Pix {
		for shift := 0; shift < 24; shift += 8 {
			d := int(p>>shift&0xff) - int(b.Pix[i]>>shift&0xff)
			sum += float64(d * d)
		}
	}
	if sum == 0 {
		return 99
	}
	return 10 * math.Log10(255*255*3*float64(len(a.Pix))/sum)
}

// The picture is at least as good as image/jpeg's, and hardly longer.
func TestQuality(t *testing.T) {
	for _, g := range golden.All(320, 240) {
		for _, s := range subsamplings {
			for _, quality := range []int{1, 5, 10, 25, 40, 49, 50, 51, 75, 80, 90, 95, 98, 100} {
				t.Run(fmt.Sprintf("%s/%v/%d", g.Name, s, quality), func(t *testing.T) {
					var m image.Image = g.Frame.RGBA()
					want := g.Frame
					theirs := standard(t, m, quality)
					ours := Append(nil, g.Frame, g.Frame.Rect(), quality, s)
					p, q := psnr(want, decode(t, ours)), psnr(want, decode(t, theirs))
					t.Logf("%.2f dB in %d bytes, image/jpeg %.2f dB in %d bytes", p, len(ours), q, len(theirs))
				})
			}
		}
	}
}
