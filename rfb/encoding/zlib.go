package encoding

import (
	"bytes"
	"image"

	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/wire"
)

// Zlib (rfbproto 7.7, encoding 6) is the pixels as in Raw, compressed with one
// zlib stream that lasts as long as the connection: U32 length, then that many
// bytes. As with ZRLE, pieces refer to nothing before them.
func init() {
	register(Encoding{
		Number: wire.EncodingZlib, Name: "Zlib", Rank: 28,
		Encode:     encodeZlib,
		NewDecoder: func() Decoder { return new(zlibDecoder) },
	})
}

// zlibMaxPiece is the height and width up to which a rectangle is one piece,
// so that what one piece holds stays bounded.
const zlibMaxPiece = 512

var zlibLevels = levels{1, 1, 1, 4, 5, 6, 6, 7, 8, 9}

func encodeZlib(out []Piece, src *pixel.Frame, r image.Rectangle, p Params) []Piece {
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	conv := s.convs.get(p.Format, pixel.NewConverter)
	for piece := range cells(r, zlibMaxPiece, zlibMaxPiece) {
		s.plain = appendRect(s.plain[:0], src, piece, conv)
		s.out = deflate(s.out[:0], s.plain, zlibLevels.of(p.Compression))
		if len(s.out)+4 < len(s.plain) {
			out = append(out, Piece{Rect: piece, Encoding: wire.EncodingZlib, Data: bytes.Clone(s.out), Deflate: true})
		} else {
			out = append(out, Piece{Rect: piece, Encoding: wire.EncodingRaw, Data: bytes.Clone(s.plain)})
		}
	}
	return out
}

type zlibDecoder struct {
	z     inflater
	convs converters
	row   []byte
}

// Decode reads one rectangle.
func (d *zlibDecoder) Decode(rd *wire.Reader, dst *pixel.Frame, r image.Rectangle, f pixel.PixelFormat) error {
	conv := d.convs.get(f, pixel.NewConverter)
	n := rd.U32("length of Zlib data")
	if rd.Err() != nil {
		return rd.Err()
	}
	d.row = sized(d.row, r.Dx()*conv.Size())
	d.z.chunk(rd, int64(n))
	d.z.rows(rd, "Zlib data", d.row, r.Dy(), func(y int) {
		conv.ReadRow(dst.Row(r.Min.Y+y, r.Min.X, r.Max.X), d.row)
	})
	return rd.Err()
}
