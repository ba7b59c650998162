// Package pixel holds the pictures that travel through ironglass and what is
// done to them in bulk: the wire's pixel formats, frames in memory, regions
// of a frame, comparison and conversion.
//
// There is one pixel layout in memory, a 32-bit word 0x00RRGGBB; every other
// layout exists on the wire only and is made by a Converter.
package pixel

import (
	"errors"
	"fmt"
	"math/bits"
)

// PixelFormat is the PIXEL_FORMAT structure of the RFB protocol (rfbproto
// 7.4, "ServerInit"). It is comparable, so it can be part of a map key.
type PixelFormat struct {
	// BitsPerPixel is the width of a pixel on the wire: 8, 16 or 32 bits.
	BitsPerPixel uint8
	// Depth is the number of useful bits, at most BitsPerPixel.
	Depth uint8
	// BigEndian says that multi-byte pixels come most significant byte first.
	BigEndian bool
	// TrueColour is false where a pixel is an index into a colour map.
	TrueColour bool
	// RedMax, GreenMax and BlueMax are the largest values of the components,
	// each a power of two less one.
	RedMax, GreenMax, BlueMax uint16
	// RedShift, GreenShift and BlueShift are how far each component is
	// shifted left in the pixel, in bits.
	RedShift, GreenShift, BlueShift uint8
}

// RGB888 is the layout of a Frame in memory written out in little-endian
// order: the bytes are blue, green, red, unused. It is what a server offers
// in ServerInit.
var RGB888 = PixelFormat{
	BitsPerPixel: 32, Depth: 24, TrueColour: true,
	RedMax: 255, GreenMax: 255, BlueMax: 255,
	RedShift: 16, GreenShift: 8, BlueShift: 0,
}

// ErrPixelFormat is wrapped by every error of PixelFormat.Validate.
var ErrPixelFormat = errors.New("illegal pixel format")

// Validate reports why f cannot be used on the wire; nil where it can.
// Formats with a colour map must be 8 bits wide.
func (f PixelFormat) Validate() error {
	switch f.BitsPerPixel {
	case 8, 16, 32:
	default:
		return fmt.Errorf("%w: bits-per-pixel is %d, not 8, 16 or 32", ErrPixelFormat, f.BitsPerPixel)
	}
	if f.Depth == 0 || f.Depth > f.BitsPerPixel {
		return fmt.Errorf("%w: depth is %d with %d bits per pixel", ErrPixelFormat, f.Depth, f.BitsPerPixel)
	}
	if !f.TrueColour {
		if f.BitsPerPixel != 8 {
			return fmt.Errorf("%w: a colour map needs 8 bits per pixel, not %d", ErrPixelFormat, f.BitsPerPixel)
		}
		return nil
	}
	var used uint32
	for _, c := range [...]struct {
		name  string
		max   uint16
		shift uint8
	}{{"red", f.RedMax, f.RedShift}, {"green", f.GreenMax, f.GreenShift}, {"blue", f.BlueMax, f.BlueShift}} {
		if c.max == 0 || c.max&(c.max+1) != 0 {
			return fmt.Errorf("%w: %s-max is %d, not a power of two less one", ErrPixelFormat, c.name, c.max)
		}
		if int(c.shift)+bits.Len16(c.max) > int(f.BitsPerPixel) {
			return fmt.Errorf("%w: %s does not fit in %d bits (max %d, shift %d)", ErrPixelFormat, c.name, f.BitsPerPixel, c.max, c.shift)
		}
		mask := uint32(c.max) << c.shift
		if used&mask != 0 {
			return fmt.Errorf("%w: %s overlaps another component", ErrPixelFormat, c.name)
		}
		used |= mask
	}
	return nil
}

// Bytes is the width of a pixel on the wire in bytes: 1, 2 or 4.
func (f PixelFormat) Bytes() int { return int(f.BitsPerPixel) / 8 }

// String describes f the way viewers' manuals do, such as "32bpp rgb888 le".
func (f PixelFormat) String() string {
	order := "le"
	if f.BigEndian {
		order = "be"
	}
	if !f.TrueColour {
		return fmt.Sprintf("%dbpp colour map", f.BitsPerPixel)
	}
	return fmt.Sprintf("%dbpp depth %d r%d<<%d g%d<<%d b%d<<%d %s", f.BitsPerPixel, f.Depth,
		f.RedMax, f.RedShift, f.GreenMax, f.GreenShift, f.BlueMax, f.BlueShift, order)
}
