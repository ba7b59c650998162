package encoding

import (
	"image"

	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/wire"
)

// zrleDecoder reads tiles from the connection's one zlib stream.
type zrleDecoder struct {
	z     inflater
	convs converters
	// buf[r:w] is decompressed and not yet used.
	buf  []byte
	r, w int
	err  error

	palette [zrleMaxPalette]uint32
	tile    [zrleTileSize * zrleTileSize]uint32
}

// zrleBuffer holds the largest unit that is needed at once, a raw tile.
const zrleBuffer = 4 * zrleTileSize * zrleTileSize

// Decode reads one rectangle: U32 length, then that many bytes of the stream.
func (d *zrleDecoder) Decode(rd *wire.Reader, dst *pixel.Frame, r image.Rectangle, f pixel.PixelFormat) error {
	conv := d.convs.get(f, pixel.NewCPixelConverter)
	n := rd.U32("length of ZRLE data")
	if rd.Err() != nil {
		return rd.Err()
	}
	if d.buf == nil {
		d.buf = make([]byte, zrleBuffer)
	}
	d.z.chunk(rd, int64(n))
	for tile := range cells(r, zrleTileSize, zrleTileSize) {
		d.decodeTile(dst, tile, conv)
		if d.err != nil {
			return d.z.fail(rd, "ZRLE data", d.err)
		}
	}
	if d.w > d.r {
		return rd.Failf("ZRLE data goes on after the last tile")
	}
	if err := d.z.end(); err != nil {
		return d.z.fail(rd, "ZRLE data", err)
	}
	return nil
}

// need returns the next n bytes of the stream, at most zrleBuffer, valid until
// the next call, and nil after an error.
func (d *zrleDecoder) need(n int) []byte {
	if d.w-d.r < n {
		d.fill(n)
		if d.err != nil {
			return nil
		}
	}
	b := d.buf[d.r : d.r+n]
	d.r += n
	return b
}

func (d *zrleDecoder) fill(n int) {
	copy(d.buf, d.buf[d.r:d.w])
	d.r, d.w = 0, d.w-d.r
	for d.w < n && d.err == nil {
		var k int
		k, d.err = d.z.Read(d.buf[d.w:])
		d.w += k
		if d.w >= n {
			d.err = nil // if there is one, the next read says so again
		}
	}
}

func (d *zrleDecoder) u8() uint8 {
	if d.r < d.w {
		d.r++
		return d.buf[d.r-1]
	}
	if b := d.need(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *zrleDecoder) pixel(conv *pixel.Converter) uint32 {
	if b := d.need(conv.Size()); b != nil {
		return conv.ReadPixel(b)
	}
	return 0
}

func (d *zrleDecoder) decodeTile(dst *pixel.Frame, r image.Rectangle, conv *pixel.Converter) {
	switch sub := int(d.u8()); {
	case d.err != nil:
	case sub == zrleRaw:
		w := r.Dx()
		b := d.need(w * r.Dy() * conv.Size())
		for y := r.Min.Y; y < r.Max.Y && d.err == nil; y++ {
			conv.ReadRow(dst.Row(y, r.Min.X, r.Max.X), b)
			b = b[w*conv.Size():]
		}
	case sub == zrleSolid:
		dst.Fill(r, d.pixel(conv))
	case sub <= zrleMaxPacked:
		d.packed(dst, r, conv, sub)
	case sub == zrlePlainRLE:
		d.rle(dst, r, func() (uint32, bool) { return d.pixel(conv), true })
	case sub >= zrlePaletteRLE+2:
		n := sub - zrlePaletteRLE
		d.readPalette(conv, n)
		d.rle(dst, r, func() (uint32, bool) {
			i := d.u8()
			k := int(i & 0x7f)
			if k >= n {
				d.fault("ZRLE tile has colour %d of a palette of %d", k, n)
				return 0, false
			}
			return d.palette[k], i&0x80 != 0
		})
	default:
		d.fault("ZRLE subencoding %d is not defined", sub)
	}
}

func (d *zrleDecoder) fault(format string, args ...any) {
	if d.err == nil {
		d.err = wire.Errorf(format, args...)
	}
}

func (d *zrleDecoder) readPalette(conv *pixel.Converter, n int) {
	size := conv.Size()
	b := d.need(n * size)
	for i := range d.palette[:n] {
		if d.err == nil {
			d.palette[i] = conv.ReadPixel(b[i*size:])
		}
	}
}

// packed decodes rows of numbers of 1, 2 or 4 bits.
func (d *zrleDecoder) packed(dst *pixel.Frame, r image.Rectangle, conv *pixel.Converter, n int) {
	d.readPalette(conv, n)
	bits := zrleBits(n)
	mask, perByte := byte(1<<bits-1), 8/bits
	for y := r.Min.Y; y < r.Max.Y; y++ {
		b := d.need((r.Dx() + perByte - 1) / perByte)
		if d.err != nil {
			return
		}
		row := dst.Row(y, r.Min.X, r.Max.X)
		for x := range row {
			i := b[x/perByte] >> (8 - bits - x%perByte*bits) & mask
			if int(i) >= n {
				d.fault("ZRLE tile has colour %d of a palette of %d", i, n)
				return
			}
			row[x] = d.palette[i]
		}
	}
}

// rle fills the tile with runs. next reads a colour and says whether a length
// follows it.
func (d *zrleDecoder) rle(dst *pixel.Frame, r image.Rectangle, next func() (c uint32, length bool)) {
	tile := d.tile[:r.Dx()*r.Dy()]
	for at := 0; at < len(tile); {
		c, long := next()
		n := 1
		for long && d.err == nil && n <= len(tile) {
			b := d.u8()
			n += int(b)
			long = b == 255
		}
		if n > len(tile)-at {
			d.fault("ZRLE run of %d pixels is longer than the rest of its tile, %d", n, len(tile)-at)
		}
		if d.err != nil {
			return
		}
		run := tile[at : at+n]
		for i := range run {
			run[i] = c
		}
		at += n
	}
	for y := r.Min.Y; y < r.Max.Y; y++ {
		copy(dst.Row(y, r.Min.X, r.Max.X), tile)
		tile = tile[r.Dx():]
	}
}
