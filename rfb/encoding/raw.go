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
	data := make([]byte, 0, r.Dx()*r.Dy()*conv.Size())
	for y := r.Min.Y; y < r.Max.Y; y++ {
		data = conv.AppendRow(data, src.Row(y, r.Min.X, r.Max.X))
	}
	return append(out, Piece{Rect: r, Encoding: wire.EncodingRaw, Data: data})
}

type rawDecoder struct {
	convs converters
	row   []byte
}

func (d *rawDecoder) Decode(rd *wire.Reader, dst *pixel.Frame, r image.Rectangle, f pixel.PixelFormat) error {
	conv := d.convs.get(f, pixel.NewConverter)
	d.row = sized(d.row, r.Dx()*conv.Size())
	for y := r.Min.Y; y < r.Max.Y && rd.Err() == nil; y++ {
		rd.Bytes("Raw pixels", d.row)
		conv.ReadRow(dst.Row(y, r.Min.X, r.Max.X), d.row)
	}
	return rd.Err()
}
