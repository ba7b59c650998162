package jpeg

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"testing"

	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest/golden"
)

// sizes are those of pictures in the benchmarks: a screen, and the rectangles
// that a server cuts it into.
var sizes = []image.Point{{1280, 1024}, {640, 480}, {256, 64}}

// perSecond reports how many million pixels were coded in a second.
func perSecond(b *testing.B, f *pixel.Frame, size int) {
	b.ReportMetric(float64(f.Width*f.Height)*float64(b.N)/b.Elapsed().Seconds()/1e6, "MPix/s")
	b.ReportMetric(float64(size)*8/float64(f.Width*f.Height), "bit/pixel")
}

func BenchmarkAppend(b *testing.B) {
	for _, size := range sizes {
		f := golden.Photo(size.X, size.Y)
		for _, s := range subsamplings {
			for _, quality := range []int{40, 80, 95} {
				b.Run(fmt.Sprintf("%dx%d/%v/%d", f.Width, f.Height, s, quality), func(b *testing.B) {
					b.ReportAllocs()
					out := Append(nil, f, f.Rect(), quality, s)
					for b.Loop() {
						out = Append(out[:0], f, f.Rect(), quality, s)
					}
					perSecond(b, f, len(out))
				})
			}
		}
	}
}

// BenchmarkStandard is image/jpeg, which knows 4:2:0 only. It is given what it
// reads fastest; "frame" has it made from a frame first.
func BenchmarkStandard(b *testing.B) {
	for _, size := range sizes {
		f := golden.Photo(size.X, size.Y)
		ready := f.RGBA()
		for _, quality := range []int{40, 80, 95} {
			for _, from := range []string{"rgba", "frame"} {
				b.Run(fmt.Sprintf("%dx%d/%s/%d", f.Width, f.Height, from, quality), func(b *testing.B) {
					b.ReportAllocs()
					var out bytes.Buffer
					for b.Loop() {
						m := ready
						if from == "frame" {
							m = f.RGBA()
						}
						out.Reset()
						if err := jpeg.Encode(&out, m, &jpeg.Options{Quality: quality}); err != nil {
							b.Fatal(err)
						}
					}
					perSecond(b, f, out.Len())
				})
			}
		}
	}
}
