package encoding

import (
	"image"

	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/wire"
)

// Raw (rfbproto 7.7.1) is the pixels, row after row.
func init() {
	register(Encoding{
		Number: wire.EncodingRaw, Name: "Raw", Rank: 90,
		Encode:     encodeRaw,
		NewDecoder: func() Decoder { return new(rawDecoder) },
	})
}

func encodeRaw(out []Piece, src *pixel.Frame, r image.Rectangle, p Params) []Piece {
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	conv := s.convs.get(p.Format, pixel.NewConverter)
	return append(out, rawPiece(src, r, conv))
}

// rawPiece is r as pixels, which every viewer takes whatever it asks for: for
// encoders whose own form would be longer.
func rawPiece(src *pixel.Frame, r image.Rectangle, conv *pixel.Converter) Piece {
	data := make([]byte, 0, r.Dx()*r.Dy()*conv.Size())
	return Piece{Rect: r, Encoding: wire.EncodingRaw, Data: appendRect(data, src, r, conv)}
}

// appendRect appends the pixels of r, row after row.
func appendRect(b []byte, src *pixel.Frame, r image.Rectangle, conv *pixel.Converter) []byte {
	for y := r.Min.Y; y < r.Max.Y; y++ {
		b = conv.AppendRow(b, src.Row(y, r.Min.X, r.Max.X))
	}
	return b
}

type rawDecoder struct {
	convs converters
	rows  []byte
}

// rawBytes is about how much is read at a time: more than a Reader buffers,
// which then passes it on without a copy, and with few system calls.
const rawBytes = 128 << 10

func (d *rawDecoder) Decode(rd *wire.Reader, dst *pixel.Frame, r image.Rectangle, f pixel.PixelFormat) error {
	if r.Empty() {
		return rd.Err()
	}
	conv := d.convs.get(f, pixel.NewConverter)
	n := r.Dx() * conv.Size()
	most := max(1, rawBytes/n) // rows at a time
	for y := r.Min.Y; y < r.Max.Y && rd.Err() == nil; {
		d.rows = sized(d.rows, n*min(most, r.Max.Y-y))
		rd.Bytes("Raw pixels", d.rows)
		for at := 0; at < len(d.rows) && rd.Err() == nil; at, y = at+n, y+1 {
			conv.ReadRow(dst.Row(y, r.Min.X, r.Max.X), d.rows[at:])
		}
	}
	return rd.Err()
}
