package x11

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"unsafe"

	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/jezek/xgb/xproto"
)

// format is how the screen's pixels lie in memory, on the connection and in
// an XWD file. It does not change after it is made, but for the palette, which
// the picture's lock guards.
type format struct {
	depth byte
	// size is the width of a pixel, pad that of the unit which rows fill up,
	// both in bytes.
	size, pad int
	order     byte // of the bytes, as X numbers it
	masks     [3]uint32
	// same says that pixels are the words of a pixel.Frame already.
	same bool
	// Else one of the two makes them such: conv where pixels have colours in
	// them, palette where they are numbers of a colour map.
	conv    *pixel.Converter
	palette *[256]uint32
	colours int // how many the colour map has
}

// findFormat takes the format of the root window.
func (x *Display) findFormat() error {
	v := x.visual()
	f := &format{
		depth: x.screen.RootDepth, order: x.setup.ImageByteOrder,
		masks: [3]uint32{v.RedMask, v.GreenMask, v.BlueMask},
	}
	for _, p := range x.setup.PixmapFormats {
		if p.Depth == f.depth {
			f.size, f.pad = int(p.BitsPerPixel)/8, int(p.ScanlinePad)/8
		}
	}
	if err := f.choose(v.Class, int(v.ColormapEntries)); err != nil {
		return fmt.Errorf("%w: its screen has depth %d with %d bits per pixel and colour masks %06x %06x %06x: %w "+
			"(depths 8, 15, 16, 24 and 30 are supported; Xvfb: -screen 0 WxHx24)",
			ErrUnsupported, f.depth, 8*f.size, v.RedMask, v.GreenMask, v.BlueMask, err)
	}
	x.format = f
	return nil
}

// choose finds out how pixels become words.
func (f *format) choose(class byte, entries int) error {
	if f.pad != 1 && f.pad != 2 && f.pad != 4 && f.pad != 8 {
		return fmt.Errorf("rows are filled up to %d bytes", f.pad)
	}
	if class != xproto.VisualClassTrueColor && class != xproto.VisualClassDirectColor {
		if f.size != 1 || f.depth > 8 || entries < 1 || entries > 256 {
			return fmt.Errorf("a colour map of %d entries for pixels of %d bytes", entries, f.size)
		}
		f.palette, f.colours = new([256]uint32), entries
		return nil
	}
	wire := pixel.PixelFormat{
		BitsPerPixel: uint8(8 * f.size), TrueColour: true,
		BigEndian: f.order == xproto.ImageOrderMSBFirst,
	}
	for i, c := range []struct {
		most  *uint16
		shift *uint8
	}{{&wire.RedMax, &wire.RedShift}, {&wire.GreenMax, &wire.GreenShift}, {&wire.BlueMax, &wire.BlueShift}} {
		mask := f.masks[i]
		if mask == 0 || bits.OnesCount32(mask) > 16 {
			return fmt.Errorf("a colour has %d bits", bits.OnesCount32(mask))
		}
		*c.shift = uint8(bits.TrailingZeros32(mask))
		*c.most = uint16(mask >> *c.shift)
		wire.Depth += uint8(bits.OnesCount32(mask))
	}
	if err := wire.Validate(); err != nil {
		return err
	}
	f.same = f.size == 4 && f.order == hostByteOrder() && f.masks == [3]uint32{0xff0000, 0xff00, 0xff}
	if !f.same {
		f.conv = pixel.NewConverter(wire)
	}
	return nil
}

// stride is the length of a row of so many pixels in an image of the X
// protocol, in bytes.
func (f *format) stride(width int) int { return (width*f.size + f.pad - 1) / f.pad * f.pad }

// row fills dst from the pixels that src begins with.
func (f *format) row(dst []uint32, src []byte) {
	if f.palette == nil {
		f.conv.ReadRow(dst, src)
		return
	}
	src = src[:len(dst)]
	for i, v := range src {
		dst[i] = f.palette[v]
	}
}

// differing is in how many pixels the rows a and b differ. Bits without colour
// do not count.
func (f *format) differing(a, b []byte) (n int) {
	used := ^uint32(0)
	if f.palette == nil && f.size == 4 {
		used = f.masks[0] | f.masks[1] | f.masks[2]
		if f.order != hostByteOrder() {
			used = bits.ReverseBytes32(used)
		}
	}
	word := func(b []byte) uint32 {
		switch f.size {
		case 1:
			return uint32(b[0])
		case 2:
			return uint32(binary.NativeEndian.Uint16(b))
		default:
			return binary.NativeEndian.Uint32(b)
		}
	}
	for i := 0; i+f.size <= len(a); i += f.size {
		if (word(a[i:])^word(b[i:]))&used != 0 {
			n++
		}
	}
	return n
}

// raw is a picture as the X server has it. Pixels start on a multiple of four
// bytes.
type raw struct {
	pix           []byte
	stride        int // in bytes
	width, height int // in pixels
}

func (p *raw) row(y, x0, x1, size int) []byte { return p.pix[y*p.stride:][x0*size : x1*size] }

// rawWords is n bytes of memory, rounded up to whole words, that start on a
// multiple of four.
func rawWords(n int) []byte {
	words := make([]uint32, (n+3)/4)
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), 4*len(words))
}

// frame makes dst p's pixels, brought up to date inside r: p's own memory where
// that has words, else memory that dst keeps.
func (f *format) frame(dst *pixel.Frame, p *raw, r *pixel.Region) {
	if f.same {
		*dst = pixel.Frame{
			Pix:   unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(p.pix))), p.stride/4*p.height),
			Width: p.width, Height: p.height, Stride: p.stride / 4,
		}
		return
	}
	if dst.Width != p.width || dst.Height != p.height {
		*dst = *pixel.NewFrame(p.width, p.height)
	}
	for g := range r.Rects() {
		g = g.Intersect(dst.Rect())
		for y := g.Min.Y; y < g.Max.Y; y++ {
			f.row(dst.Row(y, g.Min.X, g.Max.X), p.row(y, g.Min.X, g.Max.X, f.size))
		}
	}
}

func (x *Display) visual() (v xproto.VisualInfo) {
	for _, d := range x.screen.AllowedDepths {
		for _, v := range d.Visuals {
			if v.VisualId == x.screen.RootVisual {
				return v
			}
		}
	}
	return v
}

// hostByteOrder is this machine's byte order as X numbers it.
func hostByteOrder() byte {
	one := uint16(1)
	if *(*byte)(unsafe.Pointer(&one)) == 1 {
		return xproto.ImageOrderLSBFirst
	}
	return xproto.ImageOrderMSBFirst
}
