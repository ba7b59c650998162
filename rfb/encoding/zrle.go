package encoding

import (
	"bytes"
	"image"

	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/wire"
)

// ZRLE (rfbproto 7.7.6) cuts a rectangle into tiles of 64 by 64 pixels, sends
// each as what is shortest, and compresses all with one zlib stream that
// lasts as long as the connection. The pieces made here refer to nothing
// before them, so Streams can put them into any viewer's stream.
func init() {
	register(Encoding{
		Number: wire.EncodingZRLE, Name: "ZRLE", Rank: 20,
		Encode:     encodeZRLE,
		NewDecoder: func() Decoder { return new(zrleDecoder) },
	})
}

const zrleTileSize = 64

// Subencodings of a tile. 2 to 16 are packed palettes of that size, 130 to
// 255 palette RLE with a palette smaller by 128.
const (
	zrleRaw        = 0
	zrleSolid      = 1
	zrleMaxPacked  = 16
	zrlePlainRLE   = 128
	zrlePaletteRLE = 128
	zrleMaxPalette = 127
)

// zrleMaxPiece is the height and width up to which a rectangle is one piece,
// so that what one piece holds stays bounded.
const zrleMaxPiece = 1024

var zrleLevels = levels{1, 1, 4, 5, 6, 6, 7, 7, 8, 9}

func encodeZRLE(out []Piece, src *pixel.Frame, r image.Rectangle, p Params) []Piece {
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	conv := s.cconvs.get(p.Format, pixel.NewCPixelConverter)
	for piece := range cells(r, zrleMaxPiece, zrleMaxPiece) {
		s.plain, s.out = s.plain[:0], s.out[:0]
		for tile := range cells(piece, zrleTileSize, zrleTileSize) {
			s.plain = s.zrle.append(s.plain, &s.pal, src, tile, conv)
		}
		s.out = deflate(s.out, s.plain, zrleLevels.of(p.Compression))
		out = append(out, Piece{Rect: piece, Encoding: wire.EncodingZRLE, Data: bytes.Clone(s.out), Deflate: true})
	}
	return out
}

// zrleTile is a tile taken apart into runs of equal pixels, in reading order.
type zrleTile struct {
	n    int
	runs [zrleTileSize * zrleTileSize]zrleRun
}

type zrleRun struct {
	colour uint32
	number uint8 // in the palette, if there is one
	length uint16
}

// append appends the tile r of src in the shortest subencoding.
func (t *zrleTile) append(b []byte, pal *palette, src *pixel.Frame, r image.Rectangle, conv *pixel.Converter) []byte {
	t.split(src, r)
	area, size := r.Dx()*r.Dy(), conv.Size()
	few := t.number(pal)
	// How long each is; the raw tile is always possible.
	plain, short := 0, 0
	for _, run := range t.runs[:t.n] {
		extra := int(run.length-1) / 255
		plain += size + 1 + extra
		short++
		if run.length > 1 {
			short += 1 + extra
		}
	}
	best := min(area*size, plain)
	if !few {
		if best < plain {
			return appendRect(append(b, zrleRaw), src, r, conv)
		}
		return t.appendPlainRLE(append(b, zrlePlainRLE), conv)
	}
	if pal.n == 1 {
		return conv.AppendPixel(append(b, zrleSolid), pal.colours[0])
	}
	short += pal.n * size
	packed := best + 1
	bits := zrleBits(pal.n)
	if pal.n <= zrleMaxPacked {
		packed = pal.n*size + (r.Dx()*bits+7)/8*r.Dy()
	}
	switch min(best, short, packed) {
	case packed:
		b = pal.append(append(b, byte(pal.n)), conv)
		return t.appendPacked(b, r.Dx(), bits)
	case short:
		b = pal.append(append(b, byte(zrlePaletteRLE+pal.n)), conv)
		return t.appendPaletteRLE(b)
	case plain:
		return t.appendPlainRLE(append(b, zrlePlainRLE), conv)
	default:
		return appendRect(append(b, zrleRaw), src, r, conv)
	}
}

// split finds the runs of r; they go on from one row to the next.
func (t *zrleTile) split(src *pixel.Frame, r image.Rectangle) {
	n := -1
	last := ^src.Row(r.Min.Y, r.Min.X, r.Max.X)[0]
	var above []uint32
	for y := r.Min.Y; y < r.Max.Y; y++ {
		row := src.Row(y, r.Min.X, r.Max.X)
		if above != nil && row[0] == last && t.runs[n].length >= uint16(len(row)) && pixel.Same(row, above) {
			t.runs[n].length += uint16(len(row))
			continue
		}
		for x := 0; x < len(row); {
			c, from := row[x], x
			for x++; x < len(row) && row[x] == c; x++ {
			}
			if c == last {
				t.runs[n].length += uint16(x - from)
				continue
			}
			n++
			t.runs[n] = zrleRun{colour: c, length: uint16(x - from)}
			last = c
		}
		above = row
	}
	t.n = n + 1
}

// number numbers the runs' colours, and reports whether they are few enough
// for a palette.
func (t *zrleTile) number(pal *palette) bool {
	pal.reset()
	for i := range t.runs[:t.n] {
		k := pal.number(t.runs[i].colour, zrleMaxPalette)
		if k < 0 {
			return false
		}
		t.runs[i].number = uint8(k)
	}
	return true
}

// append appends the colours.
func (p *palette) append(b []byte, conv *pixel.Converter) []byte {
	for _, c := range p.colours[:p.n] {
		b = conv.AppendPixel(b, c)
	}
	return b
}

// zrleBits is the width of a number in a packed palette tile.
func zrleBits(colours int) int {
	switch {
	case colours <= 2:
		return 1
	case colours <= 4:
		return 2
	default:
		return 4
	}
}

// appendLength appends a run's length as bytes whose sum plus one it is, all
// but the last of them 255.
func appendLength(b []byte, n uint16) []byte {
	n--
	for ; n >= 255; n -= 255 {
		b = append(b, 255)
	}
	return append(b, byte(n))
}

func (t *zrleTile) appendPlainRLE(b []byte, conv *pixel.Converter) []byte {
	for _, run := range t.runs[:t.n] {
		b = appendLength(conv.AppendPixel(b, run.colour), run.length)
	}
	return b
}

func (t *zrleTile) appendPaletteRLE(b []byte) []byte {
	for _, run := range t.runs[:t.n] {
		if run.length == 1 {
			b = append(b, run.number)
		} else {
			b = appendLength(append(b, run.number|0x80), run.length)
		}
	}
	return b
}

// appendPacked appends the numbers with so many bits each; a row begins with
// a new byte.
func (t *zrleTile) appendPacked(b []byte, width, bits int) []byte {
	x, acc, used := 0, 0, 0
	for _, run := range t.runs[:t.n] {
		for n := int(run.length); n > 0; n-- {
			acc = acc<<bits | int(run.number)
			used += bits
			x++
			if x == width {
				acc <<= 8 - used
				used, x = 8, 0
			}
			if used == 8 {
				b = append(b, byte(acc))
				acc, used = 0, 0
			}
		}
	}
	return b
}
