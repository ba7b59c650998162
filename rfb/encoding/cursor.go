package encoding

import (
	"image"

	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/wire"
)

// maxCursor is the largest width and height of a pointer's shape taken from a
// peer, in pixels.
const maxCursor = 1024

// opaque is the alpha from which a pixel belongs to a pointer's shape where a
// pixel can only be there or not.
const opaque = 0x80

// cursorRect is a cursor rectangle's header: the hot spot in place of the
// position (rfbproto 7.8.2).
func cursorRect(c *pixel.Cursor) image.Rectangle {
	return image.Rect(c.HotX, c.HotY, c.HotX+c.Width, c.HotY+c.Height)
}

// newCursor makes the shape that a rectangle's header describes; the error is
// the reader's.
func newCursor(rd *wire.Reader, h wire.RectangleHeader) (*pixel.Cursor, error) {
	w, ht := h.Rect.Dx(), h.Rect.Dy()
	if w > maxCursor || ht > maxCursor {
		_ = rd.Failf("%v of %dx%d pixels is larger than the %d allowed", h.Encoding, w, ht, maxCursor)
	}
	if rd.Err() != nil {
		return nil, rd.Err()
	}
	return &pixel.Cursor{
		Width: w, Height: ht, HotX: h.Rect.Min.X, HotY: h.Rect.Min.Y,
		Pix: make([]uint32, w*ht),
	}, nil
}

// Cursor returns the rectangle of the Cursor pseudo-encoding (rfbproto 7.8.2)
// that shows c: pixels in format f, then a bitmask with rows of whole bytes,
// the leftmost pixel in the highest bit.
func Cursor(c *pixel.Cursor, f pixel.PixelFormat) Piece {
	conv := pixel.NewConverter(f)
	data := make([]byte, 0, len(c.Pix)*conv.Size()+maskPitch(c.Width)*c.Height)
	for _, p := range c.Pix {
		data = conv.AppendPixel(data, p&pixel.Mask)
	}
	data = appendMask(data, c.Width, len(c.Pix), func(i int) bool { return c.Pix[i]>>24 >= opaque })
	return Piece{Rect: cursorRect(c), Encoding: wire.PseudoCursor, Data: data}
}

// maskPitch is the number of bytes of a row of a bitmask.
func maskPitch(width int) int { return (width + 7) / 8 }

// appendMask appends a bitmask of n pixels in rows of the given width, with the
// bits of those that are set.
func appendMask(b []byte, width, n int, set func(i int) bool) []byte {
	if n == 0 {
		return b
	}
	at, pitch := len(b), maskPitch(width)
	b = append(b, make([]byte, pitch*n/width)...)
	for i := range n {
		if set(i) {
			x, y := i%width, i/width
			b[at+y*pitch+x/8] |= 0x80 >> (x % 8)
		}
	}
	return b
}

// maskBit is the bit of pixel i in a bitmask.
func maskBit(mask []byte, width, i int) bool {
	x, y := i%width, i/width
	return mask[y*maskPitch(width)+x/8]>>(7-x%8)&1 != 0
}

// DecodeCursor reads the data of a Cursor rectangle in format f. Errors are
// the reader's.
func DecodeCursor(rd *wire.Reader, h wire.RectangleHeader, f pixel.PixelFormat) (*pixel.Cursor, error) {
	c, err := newCursor(rd, h)
	if err != nil {
		return nil, err
	}
	conv := pixel.NewConverter(f)
	pixels := rd.Chunk("cursor-pixels", uint32(len(c.Pix)*conv.Size()), 4*maxCursor*maxCursor)
	mask := rd.Chunk("bitmask", uint32(maskPitch(c.Width)*c.Height), maxCursor*maxCursor)
	if rd.Err() != nil {
		return nil, rd.Err()
	}
	conv.ReadRow(c.Pix, pixels)
	for i := range c.Pix {
		if maskBit(mask, c.Width, i) {
			c.Pix[i] |= 0xff000000
		} else {
			c.Pix[i] = 0
		}
	}
	return c, nil
}

// The types of VMwareCursor.
const (
	vmwareClassic = 0
	vmwareAlpha   = 1
)

// VMwareCursor returns the rectangle of the VMware Cursor pseudo-encoding
// (rfbproto 7.8.18) that shows c with its alpha: U8 cursor-type 1, a byte of
// padding, then for each pixel the bytes red, green, blue and alpha, colour
// not multiplied by alpha.
func VMwareCursor(c *pixel.Cursor) Piece {
	data := make([]byte, 0, 2+4*len(c.Pix))
	data = append(data, vmwareAlpha, 0)
	for _, p := range c.Pix {
		data = append(data, byte(p>>16), byte(p>>8), byte(p), byte(p>>24))
	}
	return Piece{Rect: cursorRect(c), Encoding: wire.PseudoVMwareCursor, Data: data}
}

// DecodeVMwareCursor reads the data of a VMware Cursor rectangle of either
// type. Pixels that a classic cursor inverts on the screen come out black.
// Errors are the reader's.
func DecodeVMwareCursor(rd *wire.Reader, h wire.RectangleHeader, f pixel.PixelFormat) (*pixel.Cursor, error) {
	c, err := newCursor(rd, h)
	if err != nil {
		return nil, err
	}
	kind := rd.U8("cursor-type")
	rd.Skip("padding", 1)
	switch {
	case rd.Err() != nil:
	case kind == vmwareAlpha:
		b := rd.Chunk("cursor pixels", uint32(4*len(c.Pix)), 4*maxCursor*maxCursor)
		for i := 0; i+3 < len(b); i += 4 {
			c.Pix[i/4] = uint32(b[i+3])<<24 | uint32(b[i])<<16 | uint32(b[i+1])<<8 | uint32(b[i+2])
		}
	case kind == vmwareClassic:
		decodeClassic(rd, c, pixel.NewConverter(f))
	default:
		_ = rd.Failf("VMwareCursor type %d is not defined", kind)
	}
	if rd.Err() != nil {
		return nil, rd.Err()
	}
	return c, nil
}

// decodeClassic reads an AND mask and an XOR mask of pixels: where AND is
// zero, XOR is the colour; where XOR is zero, the screen shows through.
func decodeClassic(rd *wire.Reader, c *pixel.Cursor, conv *pixel.Converter) {
	size := conv.Size()
	n := uint32(len(c.Pix) * size)
	and := rd.Chunk("and-mask", n, 4*maxCursor*maxCursor)
	xor := rd.Chunk("xor-mask", n, 4*maxCursor*maxCursor)
	if rd.Err() != nil {
		return
	}
	for i := range c.Pix {
		a, x := conv.ReadPixel(and[i*size:]), conv.ReadPixel(xor[i*size:])
		switch {
		case a == 0:
			c.Pix[i] = 0xff000000 | x
		case x == 0:
			c.Pix[i] = 0
		default:
			c.Pix[i] = 0xff000000
		}
	}
}
