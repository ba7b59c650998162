package encoding

import (
	"bytes"
	"image"

	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/wire"
)

// Tight (rfbproto 7.7.5) sends a rectangle as one colour, as the numbers of
// colours in a palette, or as pixels, the latter two compressed with zlib.
//
// Tight has four zlib streams that go on from rectangle to rectangle. Every
// rectangle made here resets the first and begins it anew, so that it depends
// on nothing sent before and can be shared between viewers.
func init() {
	register(Encoding{
		Number: wire.EncodingTight, Name: "Tight", Rank: 10,
		Encode:     encodeTight,
		NewDecoder: func() Decoder { return new(tightDecoder) },
	})
}

// The compression-control byte: bits 0 to 3 reset the streams; bits 4 and 5
// are the stream of basic compression, bit 6 says that a filter-id follows.
const (
	tightResetStream0 = 0x01
	tightFilter       = 0x40
	tightFill         = 0x80
	tightJPEG         = 0x90
)

// Filters of basic compression.
const (
	tightCopy     = 0
	tightPalette  = 1
	tightGradient = 2
)

const (
	// tightMinToCompress: what is shorter than this is sent as it is, without
	// a length.
	tightMinToCompress = 12
	// tightMaxWidth is the largest width that viewers accept.
	tightMaxWidth = 2048
	// tightMaxLength is the most that the length of compressed data can say:
	// seven, seven and eight bits.
	tightMaxLength = 1<<22 - 1
)

// A rectangle larger than a cell is cut, since a palette is worth the less
// the more pictures it serves; smaller ones come out larger in sum, since each
// is compressed by itself. Plain areas inside a cell are not cut out: a
// compressor makes next to nothing of them. The area keeps compressed data
// far below tightMaxLength.
const (
	tightCellWidth  = 256
	tightCellHeight = 128
)

// Numbers of colours gain more from searching than pixels do: pictures hardly
// repeat, and the lowest level notices soonest.
var (
	tightIndexLevels = levels{1, 1, 5, 5, 6, 6, 7, 7, 8, 9}
	tightPixelLevels = levels{1, 1, 1, 4, 4, 5, 6, 7, 8, 9}
)

func encodeTight(out []Piece, src *pixel.Frame, r image.Rectangle, p Params) []Piece {
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	conv := s.tconvs.get(p.Format, pixel.NewTPixelConverter)
	for cell := range cells(r, tightCellWidth, tightCellHeight) {
		s.out = s.out[:0]
		tightCell(s, src, cell, conv, p)
		out = append(out, Piece{Rect: cell, Encoding: wire.EncodingTight, Data: bytes.Clone(s.out)})
	}
	return out
}

// tightCell appends the rectangle r to s.out in the shortest form that it
// has.
func tightCell(s *scratch, src *pixel.Frame, r image.Rectangle, conv *pixel.Converter, p Params) {
	most := tightColours(r.Dx()*r.Dy(), conv.Size())
	if !s.indexRect(src, r, most) {
		tightPixels(s, src, r, conv, p)
		return
	}
	if s.pal.n == 1 {
		s.out = conv.AppendPixel(append(s.out, tightFill), s.pal.colours[0])
		return
	}
	data := s.index
	if s.pal.n == 2 {
		s.plain = appendBits(s.plain[:0], s.index, r.Dx())
		data = s.plain
	}
	control := byte(tightFilter | tightResetStream0)
	if len(data) < tightMinToCompress {
		control = tightFilter
	}
	s.out = append(s.out, control, tightPalette, byte(s.pal.n-1))
	for _, c := range s.pal.colours[:s.pal.n] {
		s.out = conv.AppendPixel(s.out, c)
	}
	tightData(s, data, tightIndexLevels.of(p.Compression))
}

// tightColours is the largest palette worth its bytes for so many pixels.
func tightColours(area, size int) int {
	if size == 1 {
		return 2 // a number is no shorter than a pixel then
	}
	// Measured on small cells: an eighth of the pixels gives the least.
	return min(256, max(2, area/8))
}

// tightPixels appends r as pixels. All that has too many colours for a palette
// comes here.
func tightPixels(s *scratch, src *pixel.Frame, r image.Rectangle, conv *pixel.Converter, p Params) {
	s.plain = appendRect(s.plain[:0], src, r, conv)
	control := byte(tightResetStream0)
	if len(s.plain) < tightMinToCompress {
		control = 0
	}
	s.out = append(s.out, control)
	tightData(s, s.plain, tightPixelLevels.of(p.Compression))
}

// tightData appends data to s.out as basic compression has it: the length of
// the zlib data in one to three bytes, then that data.
func tightData(s *scratch, data []byte, level int) {
	if len(data) < tightMinToCompress {
		s.out = append(s.out, data...)
		return
	}
	// The length's own length is known only afterwards: leave room for three
	// bytes and close the gap.
	at := len(s.out)
	s.out = append(s.out, 0, 0, 0, 0x78, 0x9c)
	s.out = deflate(s.out, data, level)
	n := len(s.out) - at - 3
	k := len(appendCompact(s.out[at:at], n))
	if k < 3 {
		s.out = append(s.out[:at+k], s.out[at+3:]...)
	}
}

// appendCompact appends a length of at most tightMaxLength as Tight writes
// it: seven bits to a byte, the lowest first, the high bit saying that
// another follows; the third byte has eight bits.
func appendCompact(b []byte, n int) []byte {
	switch {
	case n < 1<<7:
		return append(b, byte(n))
	case n < 1<<14:
		return append(b, byte(n)|0x80, byte(n>>7))
	default:
		return append(b, byte(n)|0x80, byte(n>>7)|0x80, byte(n>>14))
	}
}

// appendBits packs numbers 0 and 1, in rows of the given width, into rows of
// bytes, the leftmost pixel in the highest bit.
func appendBits(b, index []byte, width int) []byte {
	for len(index) > 0 {
		row := index[:width]
		index = index[width:]
		for len(row) >= 8 {
			b = append(b, packBits(row))
			row = row[8:]
		}
		if len(row) > 0 {
			var last [8]byte
			copy(last[:], row)
			b = append(b, packBits(last[:]))
		}
	}
	return b
}
