package encoding

import (
	"bytes"
	"image"
	"image/color"
	"image/png"

	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/wire"
)

// TightPNG (rfbproto 7.7, encoding -260) is Tight with PNG pictures in place
// of basic compression, for viewers that have a fast decoder of those: a
// browser's.
func init() {
	register(Encoding{
		Number: wire.EncodingTightPNG, Name: "TightPNG", Rank: 24,
		Encode:     encodeTightPNG,
		NewDecoder: func() Decoder { return &tightDecoder{png: true} },
	})
}

// A picture's chunks and its compressor's start cost a hundred bytes and some
// time, but palettes are worth more in small cells, as in Tight.
func encodeTightPNG(out []Piece, src *pixel.Frame, r image.Rectangle, p Params) []Piece {
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	conv := s.tconvs.get(p.Format, pixel.NewTPixelConverter)
	width, height := tightCellSize(r)
	for cell := range cells(r, width, height) {
		s.out = s.out[:0]
		few := s.indexRect(src, cell, 256)
		if few && s.pal.n == 1 {
			s.out = conv.AppendPixel(append(s.out, tightFill), s.pal.colours[0])
		} else {
			s.out = append(s.out, tightPNG, 0, 0, 0)
			w := pngWriter{s: s, size: cell.Size(), conv: conv, exact: conv.Size() == 3}
			if few {
				w.indexed(p.Compression)
			} else {
				w.rgb(src, cell, tightPixelLevels.of(p.Compression))
			}
			s.out = putCompact(s.out, 1)
		}
		out = append(out, Piece{Rect: cell, Encoding: wire.EncodingTightPNG, Data: bytes.Clone(s.out)})
	}
	return out
}

// decodePNG paints a PNG picture that must have the size of r.
func decodePNG(dst *pixel.Frame, r image.Rectangle, data []byte) error {
	cfg, err := png.DecodeConfig(bytes.NewReader(data))
	if err := sameSize(cfg, err, r); err != nil {
		return err
	}
	m, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return err
	}
	indexed, ok := m.(*image.Paletted)
	if !ok {
		dst.Draw(r, m)
		return nil
	}
	var colours [256]uint32
	for i, c := range indexed.Palette {
		v := color.RGBAModel.Convert(c).(color.RGBA)
		colours[i] = uint32(v.R)<<16 | uint32(v.G)<<8 | uint32(v.B)
	}
	for y := range r.Dy() {
		from := indexed.Pix[y*indexed.Stride:]
		row := dst.Row(r.Min.Y+y, r.Min.X, r.Max.X)
		for x := range row {
			row[x] = colours[from[x]]
		}
	}
	return nil
}
