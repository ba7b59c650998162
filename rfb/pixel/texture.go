package pixel

import (
	"image"
	"unsafe"
)

// TextureSide is the side of a block in pixels whose texture is told fastest.
const TextureSide = 16

// TextureEdge is the surprise from which on a pixel is one of a hard edge.
const TextureEdge = 40

// Repeats counts the pixels of b that are equal to the one to the left or
// above, and those that it looked at: of every third row from the second on,
// all but the first. The frame has zero pad bytes, and b lies inside it.
func (f *Frame) Repeats(b image.Rectangle) (equal, seen int) {
	if b.Dx() == TextureSide && b.Dy() == TextureSide && hasVectors {
		if src := f.block(b.Min); src != nil {
			return repeatsBlock(src, f.Stride), TextureSide / 3 * (TextureSide - 1)
		}
	}
	return f.goRepeats(b)
}

func (f *Frame) goRepeats(b image.Rectangle) (equal, seen int) {
	for y := b.Min.Y + 1; y < b.Max.Y; y += 3 {
		row, above := f.Row(y, b.Min.X, b.Max.X), f.Row(y-1, b.Min.X, b.Max.X)
		above = above[:len(row)]
		left := row[0]
		for x := 1; x < len(row); x++ {
			p := row[x]
			if p == left || p == above[x] {
				equal++
			}
			left = p
		}
		seen += len(row) - 1
	}
	return equal, seen
}

// Surprises counts the pixels of b, all but the first row and column, that are
// not what the others let expect, and those among them that make a hard edge:
// a component is more than 1, or more than TextureEdge, from left plus above
// minus corner. b lies inside the frame.
func (f *Frame) Surprises(b image.Rectangle) (surprises, edges int) {
	if b.Dx() == TextureSide && b.Dy() == TextureSide && hasVectors {
		if src := f.block(b.Min); src != nil {
			return surprisesBlock(src, f.Stride)
		}
	}
	return f.goSurprises(b)
}

func (f *Frame) goSurprises(b image.Rectangle) (surprises, edges int) {
	above := f.Row(b.Min.Y, b.Min.X, b.Max.X)
	for y := b.Min.Y + 1; y < b.Max.Y; y++ {
		row := f.Row(y, b.Min.X, b.Max.X)
		above = above[:len(row)]
		left, corner := row[0], above[0]
		for x := 1; x < len(row); x++ {
			p, up := row[x], above[x]
			d := surprise(p, left, up, corner)
			if d > 1 {
				surprises++
			}
			if d > TextureEdge {
				edges++
			}
			left, corner = p, up
		}
		above = row
	}
	return surprises, edges
}

// surprise is how far p is from left plus above minus corner in the component
// where it is farthest.
func surprise(p, left, above, corner uint32) int {
	most := 0
	for shift := 0; shift < 24; shift += 8 {
		d := int(p>>shift&0xff) - int(left>>shift&0xff) - int(above>>shift&0xff) + int(corner>>shift&0xff)
		most = max(most, d, -d)
	}
	return most
}

// block is the memory from at on, which has a whole block whose rows are
// Stride pixels apart; nil where they are not.
func (f *Frame) block(at image.Point) []uint32 {
	top := f.Row(at.Y, at.X, at.X+TextureSide)
	bottom := f.Row(at.Y+TextureSide-1, at.X, at.X+TextureSide)
	distance := uintptr(unsafe.Pointer(&bottom[0])) - uintptr(unsafe.Pointer(&top[0]))
	if distance != uintptr(4*f.Stride*(TextureSide-1)) {
		return nil
	}
	return top
}

// FindEdges sets the bits of those pixels of row whose colour differs from the
// next one's, 64 to a word, and clears the others. There is a word more than
// there are bits for.
func FindEdges(edges []uint64, row []uint32) { findEdges(edges, row) }
