package encoding

import (
	"image"

	"github.com/ironglass/ironglass/rfb/pixel"
)

// Encode appends to out pieces that together are the pixels of r, for a viewer
// with these Params. It is a pure function of the frame inside r and of p,
// whose Format is valid, and safe for concurrent use.
func Encode(out []Piece, src *pixel.Frame, r image.Rectangle, p Params) []Piece {
	return ByNumber(p.Encoding).Encode(out, src, r, p)
}
