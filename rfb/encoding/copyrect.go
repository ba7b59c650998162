package encoding

import (
	"encoding/binary"
	"image"

	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/wire"
)

// CopyRect (rfbproto 7.7.2) names the place that the viewer shall copy the
// rectangle from: U16 src-x-position, U16 src-y-position.
func init() {
	register(Encoding{
		Number: wire.EncodingCopyRect, Name: "CopyRect", Rank: 0,
		NewDecoder: func() Decoder { return new(CopyRectDecoder) },
	})
}

// CopyRect returns the piece that moves the pixels of r's size at from to r.
func CopyRect(r image.Rectangle, from image.Point) Piece {
	data := binary.BigEndian.AppendUint16(make([]byte, 0, 4), uint16(from.X))
	data = binary.BigEndian.AppendUint16(data, uint16(from.Y))
	return Piece{Rect: r, Encoding: wire.EncodingCopyRect, Data: data}
}

// CopyRectDecoder is the decoder of CopyRect, exported for what it knows
// besides the pixels.
type CopyRectDecoder struct {
	// From is where the last decoded rectangle was copied from.
	From image.Point
}

// Decode moves the pixels inside dst.
func (d *CopyRectDecoder) Decode(rd *wire.Reader, dst *pixel.Frame, r image.Rectangle, _ pixel.PixelFormat) error {
	from := image.Pt(int(rd.U16("src-x-position")), int(rd.U16("src-y-position")))
	if rd.Err() != nil {
		return rd.Err()
	}
	if src := (image.Rectangle{Min: from, Max: from.Add(r.Size())}); !src.In(dst.Rect()) {
		return rd.Failf("CopyRect from %v lies outside the %dx%d framebuffer", src, dst.Width, dst.Height)
	}
	dst.Move(r, from)
	d.From = from
	return nil
}
