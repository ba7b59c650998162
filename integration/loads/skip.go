package loads

import (
	"errors"
	"image"

	"github.com/ironglass/ironglass/rfb/wire"
)

// skip passes over a rectangle's data with 32 bits a pixel, in the encodings
// that say how long they are without being decoded.
func skip(rd *wire.Reader, e wire.Encoding, r image.Rectangle) error {
	switch e {
	case wire.EncodingRaw:
		rd.Skip("pixels", 4*r.Dx()*r.Dy())
	case wire.EncodingCopyRect:
		rd.Skip("source", 4)
	case wire.EncodingZlib, wire.EncodingZRLE:
		rd.Skip("data", int(rd.U32("length")))
	case wire.EncodingTight, wire.EncodingTightPNG:
		skipTight(rd, r)
	default:
		rd.Failf("encoding %v is not one that the crowd can pass over", e)
	}
	return rd.Err()
}

// skipTight passes over a rectangle of Tight or TightPNG (rfbproto 7.7.6) with
// three bytes a pixel.
func skipTight(rd *wire.Reader, r image.Rectangle) {
	const tpixel, minToCompress = 3, 12
	control := rd.U8("compression-control")
	switch kind := control >> 4; {
	case kind == 8: // fill
		rd.Skip("fill colour", tpixel)
		return
	case kind == 9 || kind == 10: // JPEG, PNG
		rd.Skip("picture", compact(rd))
		return
	case kind&8 != 0:
		rd.Failf("Tight compression-control 0x%02x is not defined", control)
		return
	}
	size := tpixel * r.Dx()
	if control&0x40 != 0 && rd.U8("filter-id") == 1 {
		n := int(rd.U8("number of colours")) + 1
		rd.Skip("palette", tpixel*n)
		if size = r.Dx(); n <= 2 {
			size = (r.Dx() + 7) / 8
		}
	}
	if size *= r.Dy(); size >= minToCompress {
		size = compact(rd)
	}
	rd.Skip("data", size)
}

// compact reads a length of one to three bytes, seven bits each and eight in
// the last.
func compact(rd *wire.Reader) int {
	n := 0
	for i := range 3 {
		b := int(rd.U8("length"))
		if i == 2 || b&0x80 == 0 {
			return n | b<<(7*i)
		}
		n |= b & 0x7f << (7 * i)
	}
	return n
}

var errNoSecurity = errors.New("the server does not offer security type None")
