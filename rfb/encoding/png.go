package encoding

import (
	"encoding/binary"
	"hash/adler32"
	"hash/crc32"
	"image"
	"slices"

	"github.com/ironglass/ironglass/rfb/pixel"
)

// pngWriter appends a picture of its size to s.out (PNG, third edition). The
// standard library's writer would take its own compressor and memory for
// every picture.
type pngWriter struct {
	s    *scratch
	size image.Point
	// conv makes pixels of the viewer's format; exact says that no colour is
	// lost in it. Otherwise the picture has the colours that the format
	// leaves, those of fills beside it.
	conv  *pixel.Converter
	exact bool
}

// Colour types.
const (
	pngRGB     = 2
	pngIndexed = 3
)

// indexed appends the picture that s.index and s.pal hold.
func (w pngWriter) indexed(compression int8) {
	s, bits := w.s, 8
	if s.pal.n <= zrleMaxPacked {
		bits = zrleBits(s.pal.n)
	}
	w.header(bits, pngIndexed)
	at := w.chunk("PLTE")
	for _, c := range s.pal.colours[:s.pal.n] {
		c = w.colour(c)
		s.out = append(s.out, byte(c>>16), byte(c>>8), byte(c))
	}
	w.end(at)
	s.plain = s.plain[:0]
	width := 1 + (w.size.X*bits+7)/8
	for index := s.index; len(index) > 0; index = index[w.size.X:] {
		s.plain = append(s.plain, pngNone)
		switch row := index[:w.size.X]; bits {
		case 8:
			s.plain = append(s.plain, row...)
		case 1:
			s.plain = appendBits(s.plain, row, len(row))
		default:
			s.plain = appendPacked(s.plain, row, bits)
		}
	}
	w.data(s.plain, func(b []byte) []byte { return compressIndices(b, s.plain, width, compression) })
}

// appendPacked packs numbers into so many bits each, 2 or 4, the leftmost in
// the highest.
func appendPacked(b, row []byte, bits int) []byte {
	per := 8 / bits
	for len(row) > 0 {
		var v byte
		for i := range per {
			v <<= bits
			if i < len(row) {
				v |= row[i]
			}
		}
		b = append(b, v)
		row = row[min(per, len(row)):]
	}
	return b
}

// rgb appends r of src as red, green and blue.
func (w pngWriter) rgb(src *pixel.Frame, r image.Rectangle, level int) {
	s, n := w.s, 3*w.size.X
	w.header(8, pngRGB)
	s.more = slices.Grow(s.more[:0], 2*n)[:2*n]
	here, above := s.more[:n], s.more[n:]
	clear(above)
	s.plain = s.plain[:0]
	for y := r.Min.Y; y < r.Max.Y; y++ {
		w.bytes(here, src.Row(y, r.Min.X, r.Max.X))
		s.plain = appendFiltered(s.plain, here, above)
		here, above = above, here
	}
	if noisy(s.plain) {
		level = huffmanOnly
	}
	w.data(s.plain, func(b []byte) []byte { return deflate(b, s.plain, level) })
}

// bytes writes the row's colours to b.
func (w pngWriter) bytes(b []byte, row []uint32) {
	for _, p := range row {
		if !w.exact {
			p = w.colour(p)
		}
		b[0], b[1], b[2] = byte(p>>16), byte(p>>8), byte(p)
		b = b[3:]
	}
}

// colour is what the viewer's format leaves of p.
func (w pngWriter) colour(p uint32) uint32 {
	if w.exact {
		return p
	}
	var b [4]byte
	return w.conv.ReadPixel(w.conv.AppendPixel(b[:0], p))
}

// header begins the picture.
func (w pngWriter) header(bits, colours int) {
	s := w.s
	s.out = append(s.out, "\x89PNG\r\n\x1a\n"...)
	at := w.chunk("IHDR")
	s.out = binary.BigEndian.AppendUint32(s.out, uint32(w.size.X))
	s.out = binary.BigEndian.AppendUint32(s.out, uint32(w.size.Y))
	s.out = append(s.out, byte(bits), byte(colours), 0, 0, 0) // deflate, the five filters, not interlaced
	w.end(at)
}

// data compresses the filtered rows with a compressor, which appends to b, and
// ends the picture.
func (w pngWriter) data(rows []byte, compress func(b []byte) []byte) {
	s, at := w.s, w.chunk("IDAT")
	s.out = compress(append(s.out, 0x78, 0x9c))
	s.out = append(s.out, 0x03, 0x00) // a last block, without anything
	s.out = binary.BigEndian.AppendUint32(s.out, adler32.Checksum(rows))
	w.end(at)
	w.end(w.chunk("IEND"))
}

// chunk begins a chunk and returns where.
func (w pngWriter) chunk(kind string) int {
	at := len(w.s.out)
	w.s.out = append(append(w.s.out, 0, 0, 0, 0), kind...)
	return at
}

// end ends the chunk that begins there.
func (w pngWriter) end(at int) {
	b := w.s.out[at:]
	binary.BigEndian.PutUint32(b, uint32(len(b)-8))
	w.s.out = binary.BigEndian.AppendUint32(w.s.out, crc32.ChecksumIEEE(b[4:]))
}

// Filters of a row: what a byte is the difference from.
const (
	pngNone  = 0
	pngSub   = 1 // the same component of the pixel to the left
	pngUp    = 2 // of the pixel above
	pngPaeth = 4 // of left, above or above left, whichever is nearest to their gradient
)

// pngSample is the distance of the pixels that are looked at to choose a
// row's filter.
const pngSample = 5

// appendFiltered appends the row here with the filter that leaves the
// smallest differences, which is the usual guess for the shortest result.
func appendFiltered(b, here, above []byte) []byte {
	sub, up, paeth := 0, 0, 0
	for i := 3; i+3 <= len(here); i += 3 * pngSample {
		for k := i; k < i+3; k++ {
			v := here[k]
			sub += small(v - here[k-3])
			up += small(v - above[k])
			paeth += small(v - paethOf(here[k-3], above[k], above[k-3]))
		}
	}
	n := len(b)
	b = slices.Grow(b, 1+len(here))[:n+1+len(here)]
	d := b[n+1:]
	above = above[:len(here)]
	d = d[:len(here)]
	switch {
	case up <= sub && up <= paeth:
		b[n] = pngUp
		for i, v := range here {
			d[i] = v - above[i]
		}
	case sub <= paeth:
		b[n] = pngSub
		copy(d, here[:3])
		for i := 3; i < len(here); i++ {
			d[i] = here[i] - here[i-3]
		}
	default:
		b[n] = pngPaeth
		for i := range 3 {
			d[i] = here[i] - above[i]
		}
		for i := 3; i < len(here); i++ {
			d[i] = here[i] - paethOf(here[i-3], above[i], above[i-3])
		}
	}
	return b
}

// small is the size of a difference of bytes.
func small(d byte) int { return int(min(d, -d)) }

func paethOf(left, above, corner byte) byte {
	a, b := int(above)-int(corner), int(left)-int(corner) // the distances of left and above
	c := a + b
	a, b, c = max(a, -a), max(b, -b), max(c, -c)
	switch {
	case a <= b && a <= c:
		return left
	case b <= c:
		return above
	default:
		return corner
	}
}
