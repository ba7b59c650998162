// Package jpeg makes JPEG pictures (ITU-T T.81, baseline) of parts of frames.
package jpeg

import (
	"bytes"
	"image"
	"image/jpeg"

	"github.com/ironglass/ironglass/rfb/pixel"
)

// Subsampling is how much coarser than brightness a picture has its colours.
// The numbers are those of the JPEG Subsampling Level pseudo-encoding
// (rfbproto 7.8, -768 plus the number).
type Subsampling uint8

// The subsamplings, named by what share of the colours is kept.
const (
	Sub444  Subsampling = iota // all
	Sub420                     // one for two by two pixels
	Sub422                     // one for two pixels beside each other
	SubGray                    // none
)

// Append appends to b a whole JPEG picture of the rectangle r of f, which is
// not empty, with quality 1 to 100.
func Append(b []byte, f *pixel.Frame, r image.Rectangle, quality int, _ Subsampling) []byte {
	m := image.NewRGBA(image.Rect(0, 0, r.Dx(), r.Dy()))
	for y := range r.Dy() {
		d := m.Pix[y*m.Stride:]
		for x, p := range f.Row(r.Min.Y+y, r.Min.X, r.Max.X) {
			d[4*x], d[4*x+1], d[4*x+2], d[4*x+3] = uint8(p>>16), uint8(p>>8), uint8(p), 0xff
		}
	}
	out := bytes.NewBuffer(b)
	_ = jpeg.Encode(out, m, &jpeg.Options{Quality: quality}) // a Buffer never fails
	return out.Bytes()
}
