package encoding

import (
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/wire"
)

// XCursor returns the rectangle of the X Cursor pseudo-encoding (rfbproto 7.8,
// -240) that shows c with two colours: U8 primary-r, -g, -b and secondary-r,
// -g, -b, then a bitmap with the primary's bits set and a bitmask with those of
// what is there, both as in Cursor. A shape without area has no data.
func XCursor(c *pixel.Cursor) Piece {
	p := Piece{Rect: cursorRect(c), Encoding: wire.PseudoXCursor}
	if len(c.Pix) == 0 {
		return p
	}
	bitmap := make([]bool, len(c.Pix))
	primary, secondary := twoColours(c.Pix, bitmap)
	for _, v := range [2]uint32{primary, secondary} {
		p.Data = append(p.Data, byte(v>>16), byte(v>>8), byte(v))
	}
	p.Data = appendMask(p.Data, c.Width, len(c.Pix), func(i int) bool { return bitmap[i] })
	p.Data = appendMask(p.Data, c.Width, len(c.Pix), func(i int) bool { return c.Pix[i]>>24 >= opaque })
	return p
}

// twoColours finds two colours that stand for those of the opaque pixels, and
// sets in bitmap those that the first one stands for. Pixels of two colours
// keep them.
func twoColours(pix []uint32, bitmap []bool) (primary, secondary uint32) {
	// Far apart are the colour farthest from any and the one farthest from
	// that.
	farthest := func(from uint32) uint32 {
		best := from
		for _, p := range pix {
			if p>>24 >= opaque && distance(p, from) > distance(best, from) {
				best = p
			}
		}
		return best & pixel.Mask
	}
	var first uint32
	for _, p := range pix {
		if p>>24 >= opaque {
			first = p & pixel.Mask
			break
		}
	}
	a := farthest(first)
	b := farthest(a)
	// Each stands for the pixels nearer to it, and becomes their mean.
	var sum [2][4]int
	for i, p := range pix {
		if p>>24 < opaque {
			continue
		}
		side := &sum[1]
		if distance(p, a) < distance(p, b) {
			bitmap[i] = true
			side = &sum[0]
		}
		side[0] += int(p >> 16 & 0xff)
		side[1] += int(p >> 8 & 0xff)
		side[2] += int(p & 0xff)
		side[3]++
	}
	mean := func(s [4]int) uint32 {
		n := max(1, s[3])
		return uint32((s[0]+n/2)/n<<16 | (s[1]+n/2)/n<<8 | (s[2]+n/2)/n)
	}
	return mean(sum[0]), mean(sum[1])
}

// distance is the square of the distance of two colours.
func distance(p, q uint32) int {
	d := 0
	for shift := 0; shift < 24; shift += 8 {
		v := int(p>>shift&0xff) - int(q>>shift&0xff)
		d += v * v
	}
	return d
}

// DecodeXCursor reads the data of an X Cursor rectangle. Errors are the
// reader's.
func DecodeXCursor(rd *wire.Reader, h wire.RectangleHeader) (*pixel.Cursor, error) {
	c, err := newCursor(rd, h)
	if err != nil || len(c.Pix) == 0 {
		return c, err
	}
	var colours [6]byte
	rd.Bytes("colours", colours[:])
	n := uint32(maskPitch(c.Width) * c.Height)
	bitmap := rd.Chunk("bitmap", n, maxCursor*maxCursor)
	mask := rd.Chunk("bitmask", n, maxCursor*maxCursor)
	if rd.Err() != nil {
		return nil, rd.Err()
	}
	colour := func(b []byte) uint32 { return 0xff000000 | uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2]) }
	primary, secondary := colour(colours[:3]), colour(colours[3:])
	for i := range c.Pix {
		switch {
		case !maskBit(mask, c.Width, i):
		case maskBit(bitmap, c.Width, i):
			c.Pix[i] = primary
		default:
			c.Pix[i] = secondary
		}
	}
	return c, nil
}
