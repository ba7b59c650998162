package encoding

import (
	"bytes"
	"image"

	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/wire"
)

// Hextile (rfbproto 7.7.4) cuts a rectangle into tiles of 16 by 16 pixels and
// paints each as a background with rectangles on it, or as pixels.
func init() {
	register(Encoding{
		Number: wire.EncodingHextile, Name: "Hextile", Rank: 30,
		Encode:     encodeHextile,
		NewDecoder: func() Decoder { return new(hextileDecoder) },
	})
}

const hextileSize = 16

// The bits of a tile's subencoding-mask.
const (
	hextileRaw        = 1
	hextileBackground = 2
	hextileForeground = 4
	hextileSubrects   = 8
	hextileColoured   = 16
)

// hextileMaxPiece is the largest width and height of a piece.
const hextileMaxPiece = 256

func encodeHextile(out []Piece, src *pixel.Frame, r image.Rectangle, p Params) []Piece {
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	h := hextileEncoder{conv: s.convs.get(p.Format, pixel.NewConverter), pal: &s.pal}
	for piece := range cells(r, hextileMaxPiece, hextileMaxPiece) {
		// Colours carry over from tile to tile, never between rectangles.
		h.haveBack, h.haveFore = false, false
		s.out = s.out[:0]
		for tile := range cells(piece, hextileSize, hextileSize) {
			s.out = h.append(s.out, src, tile)
		}
		out = append(out, Piece{Rect: piece, Encoding: wire.EncodingHextile, Data: bytes.Clone(s.out)})
	}
	return out
}

// hextileEncoder keeps what carries over from one tile to the next.
type hextileEncoder struct {
	conv               *pixel.Converter
	pal                *palette
	back, fore         uint32
	haveBack, haveFore bool
	index              [hextileSize*hextileSize + indexSlack]byte
}

// hextileColours is the number of colours from which a tile is sent as
// pixels: with so many, rectangles take more bytes.
const hextileColours = 64

func (h *hextileEncoder) append(b []byte, src *pixel.Frame, r image.Rectangle) []byte {
	w := r.Dx()
	h.pal.reset()
	for i := range r.Dy() {
		if !h.pal.indexRow(h.index[i*w:], src.Row(r.Min.Y+i, r.Min.X, r.Max.X), hextileColours) {
			return h.appendRaw(b, src, r)
		}
	}
	index := h.index[:w*r.Dy()]
	start := len(b)
	b = append(b, 0)
	var mask byte
	back := mostFrequent(index, h.pal.n) // the background
	if c := h.pal.colours[back]; !h.haveBack || h.back != c {
		mask |= hextileBackground
		b = h.conv.AppendPixel(b, c)
		h.back, h.haveBack = c, true
	}
	switch h.pal.n {
	case 1:
		b[start] = mask
		return b
	case 2:
		mask |= hextileSubrects
		if c := h.pal.colours[1-back]; !h.haveFore || h.fore != c {
			mask |= hextileForeground
			b = h.conv.AppendPixel(b, c)
			h.fore, h.haveFore = c, true
		}
	default:
		mask |= hextileSubrects | hextileColoured
		h.haveFore = false // viewers differ in what they keep after these
	}
	b[start] = mask
	b, ok := h.appendSubrects(b, index, w, back, start+1+len(index)*h.conv.Size())
	if !ok {
		return h.appendRaw(b[:start], src, r)
	}
	return b
}

// appendRaw appends the tile as pixels. After it no colour carries over.
func (h *hextileEncoder) appendRaw(b []byte, src *pixel.Frame, r image.Rectangle) []byte {
	h.haveBack, h.haveFore = false, false
	return appendRect(append(b, hextileRaw), src, r, h.conv)
}

// appendSubrects appends the number of rectangles and the rectangles that
// cover what is not background, and erases them in index. It gives up where b
// would grow longer than limit.
func (h *hextileEncoder) appendSubrects(b, index []byte, w int, back byte, limit int) ([]byte, bool) {
	height := len(index) / w
	at, n := len(b), 0
	b = append(b, 0)
	coloured := h.pal.n > 2
	for y := range height {
		for x := 0; x < w; x++ {
			c := index[y*w+x]
			if c == back {
				continue
			}
			rw, rh := growRect(index, w, height, x, y, back)
			if coloured {
				b = h.conv.AppendPixel(b, h.pal.colours[c])
			}
			b = append(b, byte(x<<4|y), byte((rw-1)<<4|(rh-1)))
			if len(b) > limit {
				return b, false
			}
			n++
			x += rw - 1
		}
	}
	b[at] = byte(n) // at most 255: each has a pixel, and the background has one
	return b, true
}

type hextileDecoder struct {
	convs converters
	buf   []byte
}

// Decode reads one rectangle.
func (d *hextileDecoder) Decode(rd *wire.Reader, dst *pixel.Frame, r image.Rectangle, f pixel.PixelFormat) error {
	conv := d.convs.get(f, pixel.NewConverter)
	var back, fore uint32
	for tile := range cells(r, hextileSize, hextileSize) {
		mask := rd.U8("subencoding-mask")
		if mask&hextileRaw != 0 {
			d.raw(rd, dst, tile, conv)
			continue
		}
		if mask&hextileBackground != 0 {
			back = d.pixel(rd, "background", conv)
		}
		if mask&hextileForeground != 0 {
			fore = d.pixel(rd, "foreground", conv)
		}
		if rd.Err() != nil {
			break
		}
		dst.Fill(tile, back)
		if mask&hextileSubrects != 0 {
			d.subrects(rd, dst, tile, conv, fore, mask&hextileColoured != 0)
		}
	}
	return rd.Err()
}

func (d *hextileDecoder) pixel(rd *wire.Reader, field string, conv *pixel.Converter) uint32 {
	d.buf = sized(d.buf, conv.Size())
	rd.Bytes(field, d.buf)
	return conv.ReadPixel(d.buf)
}

func (d *hextileDecoder) raw(rd *wire.Reader, dst *pixel.Frame, r image.Rectangle, conv *pixel.Converter) {
	d.buf = sized(d.buf, r.Dx()*r.Dy()*conv.Size())
	rd.Bytes("Hextile pixels", d.buf)
	if rd.Err() != nil {
		return
	}
	for i := range r.Dy() {
		conv.ReadRow(dst.Row(r.Min.Y+i, r.Min.X, r.Max.X), d.buf[i*r.Dx()*conv.Size():])
	}
}

func (d *hextileDecoder) subrects(rd *wire.Reader, dst *pixel.Frame, tile image.Rectangle, conv *pixel.Converter, fore uint32, coloured bool) {
	n, size := int(rd.U8("number-of-subrectangles")), 2
	if coloured {
		size += conv.Size()
	}
	d.buf = sized(d.buf, n*size)
	rd.Bytes("subrectangles", d.buf)
	for b := d.buf; len(b) > 0 && rd.Err() == nil; b = b[size:] {
		xy, wh := b[size-2], b[size-1]
		if coloured {
			fore = conv.ReadPixel(b)
		}
		x, y := tile.Min.X+int(xy>>4), tile.Min.Y+int(xy&15)
		sub := image.Rect(x, y, x+int(wh>>4)+1, y+int(wh&15)+1)
		if !sub.In(tile) {
			_ = rd.Failf("Hextile subrectangle %v lies outside its tile %v", sub, tile)
			return
		}
		dst.Fill(sub, fore)
	}
}
