package encoding

import (
	"encoding/binary"

	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/wire"
)

// CursorWithAlpha returns the rectangle of the Cursor With Alpha
// pseudo-encoding (rfbproto 7.8, -314) that shows c: S32 encoding, which is
// Raw, then for each pixel the bytes red, green, blue and alpha, colour
// multiplied by alpha.
func CursorWithAlpha(c *pixel.Cursor) Piece {
	data := binary.BigEndian.AppendUint32(make([]byte, 0, 4+4*len(c.Pix)), uint32(wire.EncodingRaw))
	for _, p := range c.Pix {
		a := p >> 24
		times := func(v uint32) byte { return byte((v&0xff*a + 127) / 255) }
		data = append(data, times(p>>16), times(p>>8), times(p), byte(a))
	}
	return Piece{Rect: cursorRect(c), Encoding: wire.PseudoCursorWithAlpha, Data: data}
}

// DecodeCursorWithAlpha reads the data of a Cursor With Alpha rectangle. Of the
// encodings that a server might choose for the pixels Raw is the one that all
// use and that surely keeps their fourth byte; others are an error. Errors are
// the reader's.
func DecodeCursorWithAlpha(rd *wire.Reader, h wire.RectangleHeader) (*pixel.Cursor, error) {
	c, err := newCursor(rd, h)
	if err != nil {
		return nil, err
	}
	if inner := wire.Encoding(rd.S32("encoding")); rd.Err() == nil && inner != wire.EncodingRaw {
		_ = rd.Failf("the pixels of CursorWithAlpha are encoded as %v; only Raw can be read", inner)
	}
	b := rd.Chunk("cursor pixels", uint32(4*len(c.Pix)), 4*maxCursor*maxCursor)
	if rd.Err() != nil {
		return nil, rd.Err()
	}
	for i := range c.Pix {
		p, a := b[4*i:4*i+4], uint32(b[4*i+3])
		if a == 0 {
			continue // no colour is left to be known
		}
		// What is brighter than its alpha allows is as bright as can be.
		by := func(v byte) uint32 { return min(255, (uint32(v)*255+a/2)/a) }
		c.Pix[i] = a<<24 | by(p[0])<<16 | by(p[1])<<8 | by(p[2])
	}
	return c, nil
}
