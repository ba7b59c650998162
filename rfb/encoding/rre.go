package encoding

import (
	"bytes"
	"encoding/binary"
	"image"

	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/wire"
)

// RRE (rfbproto 7.7.3) is a background with rectangles of one colour on it:
// U32 number-of-subrectangles, PIXEL background, then for each PIXEL, U16
// x-position, U16 y-position, U16 width, U16 height. CoRRE, its variant with
// four U8, is read only: Hextile is the better choice everywhere.
func init() {
	register(Encoding{
		Number: wire.EncodingRRE, Name: "RRE", Rank: 40,
		Encode:     encodeRRE,
		NewDecoder: func() Decoder { return &rreDecoder{number: 2} },
	})
	register(Encoding{
		Number: wire.EncodingCoRRE, Name: "CoRRE", Rank: 50,
		NewDecoder: func() Decoder { return &rreDecoder{number: 1} },
	})
}

// rreMaxPiece is the largest width and height of a piece: the larger, the more
// colours meet in it.
const rreMaxPiece = 256

func encodeRRE(out []Piece, src *pixel.Frame, r image.Rectangle, p Params) []Piece {
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	conv := s.convs.get(p.Format, pixel.NewConverter)
	for piece := range cells(r, rreMaxPiece, rreMaxPiece) {
		if s.indexRect(src, piece, 256) && rreSubrects(s, piece, conv) {
			out = append(out, Piece{Rect: piece, Encoding: wire.EncodingRRE, Data: bytes.Clone(s.out)})
		} else {
			out = append(out, rawPiece(src, piece, conv))
		}
	}
	return out
}

// rreSubrects writes to s.out the rectangle r, whose colours s has numbered,
// and reports whether that is shorter than pixels.
func rreSubrects(s *scratch, r image.Rectangle, conv *pixel.Converter) bool {
	w, h := r.Dx(), r.Dy()
	limit := len(s.index) * conv.Size()
	back := mostFrequent(s.index, s.pal.n)
	n := uint32(0)
	s.out = conv.AppendPixel(append(s.out[:0], 0, 0, 0, 0), s.pal.colours[back])
	for y := range h {
		row := s.index[y*w : (y+1)*w]
		for x := 0; x < w; x++ {
			c := row[x]
			if c == back {
				continue
			}
			rw, rh := growRect(s.index, w, h, x, y, back)
			s.out = conv.AppendPixel(s.out, s.pal.colours[c])
			for _, v := range [4]int{x, y, rw, rh} {
				s.out = binary.BigEndian.AppendUint16(s.out, uint16(v))
			}
			if len(s.out) >= limit {
				return false
			}
			n++
			x += rw - 1
		}
	}
	binary.BigEndian.PutUint32(s.out, n)
	return len(s.out) < limit
}

// rreDecoder reads RRE and CoRRE.
type rreDecoder struct {
	number int // bytes of a coordinate
	convs  converters
	buf    []byte
}

const (
	// rreBatch is the number of subrectangles read at once.
	rreBatch = 256
	// rreOverdraw is how often a rectangle may be painted over on average.
	// Honest subrectangles hardly overlap; without a bound a few megabytes
	// could ask for hours of painting.
	rreOverdraw = 16
)

// Decode reads one rectangle.
func (d *rreDecoder) Decode(rd *wire.Reader, dst *pixel.Frame, r image.Rectangle, f pixel.PixelFormat) error {
	conv := d.convs.get(f, pixel.NewConverter)
	n, area := rd.U32("number-of-subrectangles"), r.Dx()*r.Dy()
	d.buf = sized(d.buf, conv.Size())
	rd.Bytes("background-pixel-value", d.buf)
	if rd.Err() != nil {
		return rd.Err()
	}
	if uint64(n) > uint64(area) {
		return rd.Failf("%d subrectangles for a rectangle of %d pixels", n, area)
	}
	dst.Fill(r, conv.ReadPixel(d.buf))
	size, budget := conv.Size()+4*d.number, rreOverdraw*area
	for left := int(n); left > 0; left -= rreBatch {
		d.buf = sized(d.buf, min(left, rreBatch)*size)
		rd.Bytes("subrectangles", d.buf)
		if rd.Err() != nil {
			return rd.Err()
		}
		for b := d.buf; len(b) > 0; b = b[size:] {
			sub := d.rect(b[conv.Size():]).Add(r.Min)
			if !sub.In(r) {
				return rd.Failf("subrectangle %v lies outside its rectangle %v", sub, r)
			}
			if budget -= sub.Dx() * sub.Dy(); budget < 0 {
				return rd.Failf("subrectangles cover their rectangle %v more than %d times", r, rreOverdraw)
			}
			dst.Fill(sub, conv.ReadPixel(b))
		}
	}
	return nil
}

// rect reads a subrectangle's place and size.
func (d *rreDecoder) rect(b []byte) image.Rectangle {
	var v [4]int
	for i := range v {
		if d.number == 1 {
			v[i] = int(b[i])
		} else {
			v[i] = int(binary.BigEndian.Uint16(b[2*i:]))
		}
	}
	return image.Rect(v[0], v[1], v[0]+v[2], v[1]+v[3])
}
