package encoding

import (
	"fmt"
	"image"

	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/wire"
)

// tightDecoder reads all that Tight may contain: fill, JPEG, and basic
// compression with any filter, on four streams that may go on or be reset.
type tightDecoder struct {
	// png makes it TightPNG, which has PNG in place of basic compression.
	png     bool
	streams [4]inflater
	convs   converters
	row     []byte
	palette [256]uint32
	small   [tightMinToCompress]byte
	// For the gradient filter: components of the row above and of this one.
	above, here []uint16
}

// Decode reads one rectangle.
func (d *tightDecoder) Decode(rd *wire.Reader, dst *pixel.Frame, r image.Rectangle, f pixel.PixelFormat) error {
	conv := d.convs.get(f, pixel.NewTPixelConverter)
	control := rd.U8("compression-control")
	for i := range d.streams {
		if control>>i&1 != 0 {
			d.streams[i].reset()
		}
	}
	switch kind := control & 0xf0; {
	case rd.Err() != nil:
	case kind == tightFill:
		p := d.small[:conv.Size()]
		rd.Bytes("fill colour", p)
		dst.Fill(r, conv.ReadPixel(p))
	case kind == tightJPEG:
		d.picture(rd, dst, r, "JPEG", decodeJPEG)
	case kind == tightPNG && d.png:
		d.picture(rd, dst, r, "PNG", decodePNG)
	case kind&0x80 == 0 && !d.png:
		d.basic(rd, dst, r, f, conv, control)
	default:
		_ = rd.Failf("Tight compression-control 0x%02x is not defined", control)
	}
	return rd.Err()
}

// basic decodes basic compression. All filters read rows of a known size.
func (d *tightDecoder) basic(rd *wire.Reader, dst *pixel.Frame, r image.Rectangle, f pixel.PixelFormat, conv *pixel.Converter, control byte) {
	filter := uint8(tightCopy)
	if control&tightFilter != 0 {
		filter = rd.U8("filter-id")
	}
	size := r.Dx() * conv.Size()
	use := func(row []uint32, _ int) { conv.ReadRow(row, d.row) }
	switch filter {
	case tightCopy:
	case tightGradient:
		if f.BitsPerPixel == 8 {
			_ = rd.Failf("Tight gradient filter is not allowed with 8 bits per pixel")
			return
		}
		use = d.gradient(r.Dx(), conv)
	case tightPalette:
		n := int(rd.U8("number of colours")) + 1
		for i := range d.palette[:n] {
			p := d.small[:conv.Size()]
			rd.Bytes("palette", p)
			d.palette[i] = conv.ReadPixel(p)
		}
		if n <= 2 {
			size = (r.Dx() + 7) / 8
			use = func(row []uint32, _ int) { unpackBits(row, d.row, d.palette[0], d.palette[1]) }
			if n == 1 {
				d.palette[1] = d.palette[0]
			}
			break
		}
		size = r.Dx()
		use = func(row []uint32, y int) {
			for x, i := range d.row {
				if int(i) >= n {
					_ = rd.Failf("Tight row %d has colour %d of a palette of %d", y, i, n)
					return
				}
				row[x] = d.palette[i]
			}
		}
	default:
		_ = rd.Failf("Tight filter %d is not defined", filter)
		return
	}
	d.rows(rd, dst, r, size, &d.streams[control>>4&3], use)
}

// rows reads rows of size bytes into d.row, plain or compressed, and calls use
// with each row of the rectangle.
func (d *tightDecoder) rows(rd *wire.Reader, dst *pixel.Frame, r image.Rectangle, size int, z *inflater, use func(row []uint32, y int)) {
	d.row = sized(d.row, size)
	paint := func(y int) { use(dst.Row(r.Min.Y+y, r.Min.X, r.Max.X), y) }
	if size*r.Dy() >= tightMinToCompress {
		z.chunk(rd, int64(readCompact(rd)))
		z.rows(rd, "Tight data", d.row, r.Dy(), paint)
		return
	}
	for y := range r.Dy() {
		rd.Bytes("Tight pixels", d.row)
		if rd.Err() != nil {
			return
		}
		paint(y)
	}
}

// readCompact reads a length as appendCompact writes it.
func readCompact(rd *wire.Reader) int {
	n := 0
	for shift := 0; shift <= 14; shift += 7 {
		b := int(rd.U8("length of Tight data"))
		if shift == 14 {
			return n | b<<shift
		}
		n |= b & 0x7f << shift
		if b&0x80 == 0 {
			break
		}
	}
	return n
}

// unpackBits paints a row of two colours from its bits, the leftmost pixel in
// the highest.
func unpackBits(row []uint32, b []byte, zero, one uint32) {
	colours := [2]uint32{zero, one}
	for x := range row {
		row[x] = colours[b[x/8]>>(7-x%8)&1]
	}
}

// gradient returns what undoes the gradient filter for rows of that width:
// each component was sent as its difference from left plus above minus above
// left, cut to what a component can be.
func (d *tightDecoder) gradient(width int, conv *pixel.Converter) func([]uint32, int) {
	n := 3 * (width + 1) // with one pixel of black to the left
	if cap(d.above) < n {
		d.above, d.here = make([]uint16, n), make([]uint16, n)
	}
	d.above, d.here = d.above[:n], d.here[:n]
	clear(d.above)
	clear(d.here[:3])
	size := conv.Size()
	if size == 3 {
		return d.gradientBytes
	}
	split := conv.Components()
	return func(row []uint32, _ int) {
		for x := range row {
			diff := split.Split(d.row[x*size:])
			at := 3 * (x + 1)
			for i := range 3 {
				most := int(split.Max[i])
				guess := int(d.here[at+i-3]) + int(d.above[at+i]) - int(d.above[at+i-3])
				guess = min(max(guess, 0), most)
				d.here[at+i] = uint16((guess + int(diff[i])) & most)
			}
			row[x] = split.Join([3]uint16(d.here[at : at+3]))
		}
		d.above, d.here = d.here, d.above
	}
}

// gradientBytes is what gradient returns for pixels of the bytes red, green
// and blue.
func (d *tightDecoder) gradientBytes(row []uint32, _ int) {
	above, here, diff := d.above, d.here[:len(d.above)], d.row
	for x := range row {
		at := 3 * (x + 1)
		if at+3 > len(above) || len(diff) < 3 {
			break
		}
		l, a, c, h := here[at-3:at], above[at:at+3], above[at-3:at], here[at:at+3]
		r := diff[0] + expected(int(l[0])+int(a[0])-int(c[0]))
		g := diff[1] + expected(int(l[1])+int(a[1])-int(c[1]))
		b := diff[2] + expected(int(l[2])+int(a[2])-int(c[2]))
		h[0], h[1], h[2] = uint16(r), uint16(g), uint16(b)
		row[x] = uint32(r)<<16 | uint32(g)<<8 | uint32(b)
		diff = diff[3:]
	}
	d.above, d.here = d.here, d.above
}

// picture decodes JPEG or PNG compression: a length and a whole picture of
// the rectangle's size.
func (d *tightDecoder) picture(rd *wire.Reader, dst *pixel.Frame, r image.Rectangle, kind string, decode func(*pixel.Frame, image.Rectangle, []byte) error) {
	data := rd.Chunk(kind+" data", uint32(readCompact(rd)), tightMaxLength)
	if rd.Err() != nil {
		return
	}
	if err := decode(dst, r, data); err != nil {
		_ = rd.Failf("Tight %s: %v", kind, err)
	}
}

// sameSize is the error of a picture that has not the size of r; nil where it
// has. It comes first, since a decoder takes memory for what a header claims.
func sameSize(cfg image.Config, err error, r image.Rectangle) error {
	if err == nil && (cfg.Width != r.Dx() || cfg.Height != r.Dy()) {
		err = fmt.Errorf("the picture is %dx%d in a rectangle of %dx%d", cfg.Width, cfg.Height, r.Dx(), r.Dy())
	}
	return err
}
