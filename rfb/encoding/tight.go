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
	tightPNG          = 0xa0 // in TightPNG alone
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
// far below tightMaxLength. A line of text and a narrow edge of something are
// cells of the same area that are as long.
const (
	tightCellWidth  = 256
	tightCellHeight = 128
	tightCellArea   = tightCellWidth * tightCellHeight
)

// tightCellSize returns how large the cells of r are.
func tightCellSize(r image.Rectangle) (width, height int) {
	width, height = tightCellWidth, tightCellHeight
	switch {
	case r.Empty():
	case r.Dy() < height:
		width = min(tightMaxWidth, tightCellArea/r.Dy())
	case r.Dx() < width:
		height = tightCellArea / r.Dx()
	}
	return width, height
}

// tightPixelLevels: pictures hardly repeat, and the lowest level notices
// soonest.
var tightPixelLevels = levels{1, 1, 1, 4, 4, 5, 6, 7, 8, 9}

func encodeTight(out []Piece, src *pixel.Frame, r image.Rectangle, p Params) []Piece {
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	conv := s.tconvs.get(p.Format, pixel.NewTPixelConverter)
	width, height := tightCellSize(r)
	for cell := range cells(r, width, height) {
		for !cell.Empty() {
			s.out = s.out[:0]
			part := cell
			part.Max.Y = part.Min.Y + tightRows(s, src, cell, conv, p)
			out = append(out, Piece{Rect: part, Encoding: wire.EncodingTight, Data: bytes.Clone(s.out)})
			cell.Min.Y = part.Max.Y
		}
	}
	return out
}

// tightLeastPart is the area in pixels from which the upper rows of a rectangle
// are worth being one with a palette, where all of it has too many colours.
const tightLeastPart = 2048

// tightRows appends to s.out the first rows of r, as many as it returns, in
// the shortest form that they have: all of them, or those with few enough
// colours.
func tightRows(s *scratch, src *pixel.Frame, r image.Rectangle, conv *pixel.Converter, p Params) int {
	rows := s.indexRows(src, r, tightColours(r.Dx()*r.Dy(), conv.Size()))
	if rows < r.Dy() && rows*r.Dx() < tightLeastPart {
		tightPixels(s, src, r, conv, p)
		return r.Dy()
	}
	tightIndexed(s, r.Dx(), conv, p)
	return rows
}

// tightIndexed appends what is in s.pal and s.index, rows of that width.
func tightIndexed(s *scratch, width int, conv *pixel.Converter, p Params) {
	if s.pal.n == 1 {
		s.out = conv.AppendPixel(append(s.out, tightFill), s.pal.colours[0])
		return
	}
	data := s.index
	if s.pal.n == 2 {
		s.plain = appendBits(s.plain[:0], s.index, width)
		data, width = s.plain, (width+7)/8
	}
	control := byte(tightFilter | tightResetStream0)
	if len(data) < tightMinToCompress {
		control = tightFilter
	}
	s.out = append(s.out, control, tightPalette, byte(s.pal.n-1))
	for _, c := range s.pal.colours[:s.pal.n] {
		s.out = conv.AppendPixel(s.out, c)
	}
	tightCompressed(s, data, func(b []byte) []byte { return compressIndices(b, data, width, p.Compression) })
}

// tightColours is the largest palette worth its bytes for so many pixels.
func tightColours(area, size int) int {
	if size == 1 {
		return 2 // a number is no shorter than a pixel then
	}
	// Measured on small cells: an eighth of the pixels gives the least.
	return min(256, max(2, area/8))
}

// tightGradientLevel is the level that a viewer must ask for to be sent the
// gradient filter: it halves pictures and takes ten times as long as sending
// them as they are. Viewers that name no level may be simple ones that know
// no filter but the palette.
const tightGradientLevel = 2

// tightPixels appends r as pixels. All that has too many colours for a palette
// comes here.
func tightPixels(s *scratch, src *pixel.Frame, r image.Rectangle, conv *pixel.Converter, p Params) {
	level := tightPixelLevels.of(p.Compression)
	if p.Compression < tightGradientLevel || conv.Size() != 3 || r.Dx()*r.Dy() < tightMinToCompress {
		s.plain = appendRect(s.plain[:0], src, r, conv)
		tightCopied(s, level)
		return
	}
	s.more = appendGradient(s.more[:0], src, r)
	if noisy(s.more) {
		tightFiltered(s, huffmanOnly)
		return
	}
	// Where much repeats the pixels themselves may be shorter.
	at := len(s.out)
	tightFiltered(s, level)
	n := len(s.out) - at
	s.plain = appendRect(s.plain[:0], src, r, conv)
	tightCopied(s, level)
	if len(s.out)-at-n < n {
		s.out = append(s.out[:at], s.out[at+n:]...)
	} else {
		s.out = s.out[:at+n]
	}
}

// tightCopied appends the pixels s.plain.
func tightCopied(s *scratch, level int) {
	control := byte(tightResetStream0)
	if len(s.plain) < tightMinToCompress {
		control = 0
	}
	s.out = append(s.out, control)
	tightData(s, s.plain, level)
}

// tightFiltered appends the pixels that went through the gradient filter into
// s.more.
func tightFiltered(s *scratch, level int) {
	s.out = append(s.out, tightFilter|tightResetStream0, tightGradient)
	tightData(s, s.more, level)
}

// tightData appends data to s.out as basic compression has it: the length of
// the zlib data in one to three bytes, then that data.
func tightData(s *scratch, data []byte, level int) {
	tightCompressed(s, data, func(b []byte) []byte { return deflate(b, data, level) })
}

// tightCompressed is tightData with a compressor, which appends to b.
func tightCompressed(s *scratch, data []byte, compress func(b []byte) []byte) {
	if len(data) < tightMinToCompress {
		s.out = append(s.out, data...)
		return
	}
	at := len(s.out)
	s.out = append(s.out, 0, 0, 0, 0x78, 0x9c)
	s.out = putCompact(compress(s.out), at)
}

// putCompact puts the length of what follows the three bytes at at there and
// closes the gap, since the length's own length is known only afterwards.
func putCompact(b []byte, at int) []byte {
	k := len(appendCompact(b[at:at], len(b)-at-3))
	if k == 3 {
		return b
	}
	return append(b[:at+k], b[at+3:]...)
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
