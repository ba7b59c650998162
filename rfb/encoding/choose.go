package encoding

import (
	"bytes"
	"image"

	"github.com/ironglass/ironglass/rfb/jpeg"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/wire"
)

// Encode appends to out pieces that together are the pixels of r, for a viewer
// with these Params: exact ones of the main encoding and, where Quality allows
// it, JPEG for what is like a photograph. It is a pure function of the frame
// inside r and of p, whose Format is valid, and safe for concurrent use.
func Encode(out []Piece, src *pixel.Frame, r image.Rectangle, p Params) []Piece {
	row := ByNumber(p.Encoding)
	if p.Quality < 0 {
		return row.Encode(out, src, r, p)
	}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	exact := p.Lossless()
	var plain image.Rectangle // areas without photographs that come in one
	flush := func() {
		if !plain.Empty() {
			out = row.Encode(out, src, plain, exact)
		}
		plain = image.Rectangle{}
	}
	for area := range cells(r, mosaicWidth, mosaicHeight) {
		if !s.mosaic.classify(src, area) {
			if u := plain.Union(area); u.Dx()*u.Dy() != plain.Dx()*plain.Dy()+area.Dx()*area.Dy() {
				flush()
			}
			plain = plain.Union(area)
			continue
		}
		flush()
		s.rects = s.mosaic.cut(s.rects[:0], area)
		for _, part := range s.rects {
			if part.photo {
				if piece, ok := jpegPiece(s, src, part.Rectangle, p); ok {
					out = append(out, piece)
					continue
				}
			}
			out = row.Encode(out, src, part.Rectangle, exact)
		}
	}
	flush()
	return out
}

// jpegPiece is r as a JPEG picture in the form that the main encoding has for
// them, and false where that would be longer than pixels.
func jpegPiece(s *scratch, src *pixel.Frame, r image.Rectangle, p Params) (Piece, bool) {
	piece := Piece{Rect: r, Encoding: p.Encoding, Lossy: true}
	switch p.Encoding {
	case wire.EncodingTight, wire.EncodingTightPNG:
		s.out = append(s.out[:0], tightJPEG, 0, 0, 0)
		s.out = jpeg.Append(s.out, src, r, int(p.Quality), p.Subsampling)
		s.out = putCompact(s.out, 1)
	default:
		piece.Encoding = wire.EncodingJPEG
		s.out = jpeg.Append(s.out[:0], src, r, int(p.Quality), p.Subsampling)
	}
	if len(s.out) >= r.Dx()*r.Dy()*p.Format.Bytes() {
		return Piece{}, false
	}
	piece.Data = bytes.Clone(s.out)
	return piece, true
}
