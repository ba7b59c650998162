package pixel

import (
	"image"
	"image/color"
	"slices"
)

// Mask keeps the colour of a pixel word and drops its pad byte.
const Mask = 0x00ffffff

// Frame is a picture of 32-bit words 0x00RRGGBB in the machine's byte order.
//
// A Frame that belongs to this program has zero pad bytes, so that pixels
// compare as words. A view of somebody else's memory (an X server's
// framebuffer) may hold anything there; what reads a view masks it.
//
// A Frame has no lock: whoever owns it says who may touch it.
type Frame struct {
	// Pix holds the pixels, row after row, unless Move has changed the order
	// of the rows: Row knows it.
	Pix []uint32
	// Stride is the distance between two rows in pixels. It is at least
	// Width, or 0 for a frame whose rows are all the same memory.
	Stride int
	// Width and Height are the size in pixels.
	Width, Height int

	// order says for each row which one of Pix it is; nil where they are in
	// their places.
	order []int32
}

// NewFrame returns a black frame of the given size in pixels.
func NewFrame(width, height int) *Frame {
	return &Frame{Pix: make([]uint32, width*height), Stride: width, Width: width, Height: height}
}

// Rect is the frame's area, with its origin at (0, 0).
func (f *Frame) Rect() image.Rectangle { return image.Rect(0, 0, f.Width, f.Height) }

// Row returns the pixels of row y from x0 up to but not including x1. It
// panics where they lie outside the frame.
func (f *Frame) Row(y, x0, x1 int) []uint32 {
	if f.order != nil {
		y = int(f.order[y])
	}
	o := y * f.Stride
	return f.Pix[o+x0 : o+x1 : o+x1]
}

// From returns the memory from (x, y) on: rows that are Contiguous follow one
// another in it.
func (f *Frame) From(x, y int) []uint32 {
	if f.order != nil {
		y = int(f.order[y])
	}
	return f.Pix[y*f.Stride+x:]
}

// Contiguous reports whether the rows from y0 up to but not including y1 lie
// in Pix one Stride after the other.
func (f *Frame) Contiguous(y0, y1 int) bool {
	return f.order == nil || y1 <= y0 || int(f.order[y1-1]-f.order[y0]) == y1-1-y0 && slices.IsSorted(f.order[y0:y1])
}

// Pixel returns the colour at (x, y) without its pad byte.
func (f *Frame) Pixel(x, y int) uint32 { return f.Row(y, x, x+1)[0] & Mask }

// Fill sets every pixel of r, clipped to the frame, to colour c.
func (f *Frame) Fill(r image.Rectangle, c uint32) {
	r = r.Intersect(f.Rect())
	if r.Empty() {
		return
	}
	first := f.Row(r.Min.Y, r.Min.X, r.Max.X)
	for i := range first {
		first[i] = c
	}
	for y := r.Min.Y + 1; y < r.Max.Y; y++ {
		copy(f.Row(y, r.Min.X, r.Max.X), first)
	}
}

// Clone returns a tightly packed copy of the frame with zero pad bytes.
func (f *Frame) Clone() *Frame {
	c := NewFrame(f.Width, f.Height)
	Copy(c, f, f.Rect())
	return c
}

// Equal reports whether both frames have the same size and colours. Pad bytes
// are ignored.
func (f *Frame) Equal(g *Frame) bool {
	if f.Width != g.Width || f.Height != g.Height {
		return false
	}
	for y := range f.Height {
		if firstDiff(f.Row(y, 0, f.Width), g.Row(y, 0, g.Width)) < f.Width {
			return false
		}
	}
	return true
}

// ColorModel makes a Frame, with Bounds and At, an image.Image, for the
// encoders of the standard library.
func (f *Frame) ColorModel() color.Model { return color.RGBAModel }

// Bounds is Rect under image.Image's name.
func (f *Frame) Bounds() image.Rectangle { return f.Rect() }

// At returns the opaque colour at (x, y).
func (f *Frame) At(x, y int) color.Color {
	p := f.Pixel(x, y)
	return color.RGBA{R: uint8(p >> 16), G: uint8(p >> 8), B: uint8(p), A: 0xff}
}

// RGBA returns a copy of the frame as the standard library's fastest image
// type to encode.
func (f *Frame) RGBA() *image.RGBA {
	m := image.NewRGBA(f.Rect())
	for y := range f.Height {
		d := m.Pix[y*m.Stride:][:4*f.Width]
		rgba.AppendRow(d[:0], f.Row(y, 0, f.Width))
		for x := 3; x < len(d); x += 4 {
			d[x] = 0xff
		}
	}
	return m
}

// Copy brings r of dst, clipped to both frames, to the colours of src at the
// same place, and zeroes the pad bytes.
func Copy(dst, src *Frame, r image.Rectangle) {
	r = r.Intersect(dst.Rect()).Intersect(src.Rect())
	for y := r.Min.Y; y < r.Max.Y; y++ {
		copyMasked(dst.Row(y, r.Min.X, r.Max.X), src.Row(y, r.Min.X, r.Max.X))
	}
}
