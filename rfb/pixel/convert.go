package pixel

import (
	"encoding/binary"
	"math/bits"
)

// Converter turns rows of a Frame into the bytes of a pixel format on the
// wire and back. It does not change after it is made and may be shared.
//
// Rows given to it must have zero pad bytes. A component is scaled to its
// maximum on the wire with rounding to the nearest, and back likewise: a
// format with maxima of at least 255 keeps every colour, and every value of a
// smaller one comes back from the wire and goes out again as it was.
type Converter struct {
	// size is the width of a pixel on the wire in bytes, 1 to 4.
	size int
	kind kind
	// shift is where red, green and blue stand in the wire's bytes read in
	// little-endian order, for kindShift.
	shift [3]uint8
	// For kindTable: the format, the number of low bits of the little-endian
	// word that do not travel, and what each component contributes to it.
	format PixelFormat
	drop   uint8
	tables *tables
	// Both are nil where the machine has no instructions for them.
	vpack   *packVectors
	vunpack *unpackVectors
}

// kind is how a Converter computes; the first that applies is the fastest.
type kind uint8

const (
	// kindSame: the word in memory is the wire's little-endian word.
	kindSame kind = iota
	// kindSwap: with red and blue exchanged.
	kindSwap
	// kindShift: three whole bytes in any order.
	kindShift
	// kindTable: whatever else is legal.
	kindTable
)

type tables struct {
	// out has what each 8-bit component contributes to the wire's word.
	out [3][256]uint32
	// in has the words' parts for each value of a component, if few says that
	// no component has more than 256.
	in    [3][256]uint32
	few   bool
	comps [3]component
}

// bgr233 is how pixels of a format with a colour map travel: the map that
// ColourMap returns makes each index the colour that it would be here.
var bgr233 = PixelFormat{
	BitsPerPixel: 8, Depth: 8, TrueColour: true,
	RedMax: 7, GreenMax: 7, BlueMax: 3,
	RedShift: 0, GreenShift: 3, BlueShift: 6,
}

// rgbx is TPIXEL with a fourth byte.
var rgbx = PixelFormat{
	BitsPerPixel: 32, Depth: 24, TrueColour: true,
	RedMax: 255, GreenMax: 255, BlueMax: 255,
	RedShift: 0, GreenShift: 8, BlueShift: 16,
}

// ColourMap returns the entries 0 to 255 for SetColourMapEntries (rfbproto
// 7.6.2), as red, green and blue of 0 to 65535, that a viewer whose format
// has no true colour needs.
func ColourMap() [256][3]uint16 {
	var m [256][3]uint16
	for i := range m {
		m[i] = [3]uint16{
			uint16((i & 7) * 65535 / 7), uint16((i >> 3 & 7) * 65535 / 7), uint16((i >> 6 & 3) * 65535 / 3),
		}
	}
	return m
}

// NewConverter returns a converter for PIXEL in format f, which must be
// valid.
func NewConverter(f PixelFormat) *Converter { return newConverter(f, f.Bytes(), 0) }

// NewCPixelConverter returns a converter for CPIXEL, the compressed pixel of
// ZRLE (rfbproto 7.7.6): three bytes instead of four where the depth is at
// most 24 and the components leave the first or the last byte unused.
func NewCPixelConverter(f PixelFormat) *Converter {
	if f.TrueColour && f.BitsPerPixel == 32 && f.Depth <= 24 {
		used := uint32(f.RedMax)<<f.RedShift | uint32(f.GreenMax)<<f.GreenShift | uint32(f.BlueMax)<<f.BlueShift
		low, high := used>>24 == 0, used&0xff == 0
		// drop is about the bytes as they travel: a little-endian pixel's
		// most significant three bytes are its last.
		switch {
		case low && !f.BigEndian, high && f.BigEndian:
			return newConverter(f, 3, 0)
		case low || high:
			return newConverter(f, 3, 8)
		}
	}
	return NewConverter(f)
}

// NewTPixelConverter returns a converter for TPIXEL, the pixel of Tight
// (rfbproto 7.7.5): the bytes red, green and blue where the format has 32
// bits per pixel, depth 24 and components of eight bits.
func NewTPixelConverter(f PixelFormat) *Converter {
	if f.TrueColour && f.BitsPerPixel == 32 && f.Depth == 24 &&
		f.RedMax == 255 && f.GreenMax == 255 && f.BlueMax == 255 {
		return newConverter(rgbx, 3, 0)
	}
	return NewConverter(f)
}

func newConverter(f PixelFormat, size int, drop uint8) *Converter {
	if !f.TrueColour {
		f = bgr233
	}
	c := &Converter{size: size, format: f, drop: drop, kind: kindTable}
	if c.wholeBytes() {
		c.kind = kindShift
		switch c.shift {
		case [3]uint8{16, 8, 0}:
			c.kind = kindSame
		case [3]uint8{0, 8, 16}:
			c.kind = kindSwap
		}
	} else {
		c.makeTables()
	}
	if hasVectors {
		c.vpack, c.vunpack = newPackVectors(c), newUnpackVectors(c)
	}
	return c
}

func (c *Converter) makeTables() {
	f := &c.format
	c.tables = &tables{comps: f.components(), few: f.RedMax < 256 && f.GreenMax < 256 && f.BlueMax < 256}
	for i, comp := range c.tables.comps {
		for v := range 256 {
			c.tables.out[i][v] = c.order(uint32((v*int(comp.max)+127)/255) << comp.shift)
		}
		for v := range min(256, int(comp.max)+1) {
			c.tables.in[i][v] = comp.scale(uint32(v))
		}
	}
}

// wholeBytes reports whether each component is one byte on the wire, and
// notes where.
func (c *Converter) wholeBytes() bool {
	if c.format.BitsPerPixel != 32 {
		return false
	}
	for i, comp := range c.format.components() {
		s := comp.shift
		if comp.max != 255 || s%8 != 0 {
			return false
		}
		if c.format.BigEndian {
			s = 24 - s
		}
		c.shift[i] = s - c.drop
	}
	return true
}

// component is one colour's place in a pixel of a format, and in a word of a
// Frame.
type component struct {
	max    uint32
	shift  uint8
	memory uint8
}

// scale brings a component's value to its place in a word of a Frame.
func (c component) scale(v uint32) uint32 { return (v*255 + c.max/2) / c.max << c.memory }

func (f PixelFormat) components() [3]component {
	return [3]component{
		{uint32(f.RedMax), f.RedShift, 16},
		{uint32(f.GreenMax), f.GreenShift, 8},
		{uint32(f.BlueMax), f.BlueShift, 0},
	}
}

// order turns a pixel's value into the little-endian word of its bytes on the
// wire, and unorder turns it back.
func (c *Converter) order(v uint32) uint32   { return c.swap(v) >> c.drop }
func (c *Converter) unorder(w uint32) uint32 { return c.swap(w << c.drop) }

func (c *Converter) swap(v uint32) uint32 {
	switch {
	case !c.format.BigEndian || c.format.BitsPerPixel == 8:
		return v
	case c.format.BitsPerPixel == 16:
		return uint32(bits.ReverseBytes16(uint16(v)))
	default:
		return bits.ReverseBytes32(v)
	}
}

// Size is the number of bytes that a pixel has on the wire, 1 to 4.
func (c *Converter) Size() int { return c.size }

// word is the pixel's bytes on the wire as a little-endian word.
func (c *Converter) word(p uint32) uint32 {
	switch c.kind {
	case kindSame:
		return p
	case kindSwap:
		return swapRB(p)
	case kindShift:
		return p>>16&0xff<<c.shift[0] | p>>8&0xff<<c.shift[1] | p&0xff<<c.shift[2]
	default:
		t := &c.tables.out
		return t[0][p>>16&0xff] | t[1][p>>8&0xff] | t[2][p&0xff]
	}
}

// pixel is the inverse of word.
func (c *Converter) pixel(w uint32) uint32 {
	switch c.kind {
	case kindSame:
		return w & Mask
	case kindSwap:
		return swapRB(w & Mask)
	case kindShift:
		return w>>c.shift[0]&0xff<<16 | w>>c.shift[1]&0xff<<8 | w>>c.shift[2]&0xff
	}
	return c.tables.pixel(c.unorder(w))
}

// pixel is the colour of the pixel value v.
func (t *tables) pixel(v uint32) uint32 {
	r, g, b := &t.comps[0], &t.comps[1], &t.comps[2]
	if t.few {
		return t.in[0][uint8(v>>(r.shift&31)&r.max)] | t.in[1][uint8(v>>(g.shift&31)&g.max)] |
			t.in[2][uint8(v>>(b.shift&31)&b.max)]
	}
	return t.scale(v)
}

// scale is pixel where components have too many values for a table.
func (t *tables) scale(v uint32) uint32 {
	r, g, b := &t.comps[0], &t.comps[1], &t.comps[2]
	return r.scale(v>>r.shift&r.max) | g.scale(v>>g.shift&g.max) | b.scale(v>>b.shift&b.max)
}

// AppendPixel appends one pixel.
func (c *Converter) AppendPixel(b []byte, p uint32) []byte {
	w := c.word(p)
	switch c.size {
	case 1:
		return append(b, byte(w))
	case 2:
		return append(b, byte(w), byte(w>>8))
	case 3:
		return append(b, byte(w), byte(w>>8), byte(w>>16))
	default:
		return binary.LittleEndian.AppendUint32(b, w)
	}
}

// ReadPixel returns the colour of the pixel that b begins with; b has at
// least Size bytes.
func (c *Converter) ReadPixel(b []byte) uint32 {
	switch c.size {
	case 1:
		return c.pixel(uint32(b[0]))
	case 2:
		return c.pixel(uint32(b[0]) | uint32(b[1])<<8)
	case 3:
		return c.pixel(uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16)
	default:
		return c.pixel(binary.LittleEndian.Uint32(b))
	}
}
