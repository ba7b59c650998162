package loads

import (
	"image"

	"github.com/ironglass/ironglass/rfb/pixel"
)

// The barcode of a frame's number: cells in a row, white for 1 and black for
// 0, the highest bit first: the number, then its check sum, so that a code
// that was seen half drawn is told from a whole one.
const (
	numberBits = 16
	checkBits  = 8
	cellWidth  = 8
	// Strip is the height of the strip at the top of the screen that the
	// barcode lies in, in pixels. No load draws anything else there.
	Strip = 16
)

// Barcode is where the barcode lies on every screen.
var Barcode = image.Rect(cellWidth, 0, cellWidth*(1+numberBits+checkBits), Strip)

// check makes no number all black or all white.
func check(n uint16) uint8 {
	sum := uint8(0xa5)
	for bit := numberBits - 1; bit >= 0; bit-- {
		carry := sum>>7 ^ uint8(n>>bit&1)
		if sum <<= 1; carry != 0 {
			sum ^= 0x1d
		}
	}
	return sum
}

// Cells returns the white and the black cells of the barcode of n.
func Cells(n uint16) (white, black []image.Rectangle) {
	code := uint32(n)<<checkBits | uint32(check(n))
	for i := range numberBits + checkBits {
		cell := image.Rect(0, 0, cellWidth, Strip).Add(Barcode.Min).Add(image.Pt(i*cellWidth, 0))
		if code>>(numberBits+checkBits-1-i)&1 != 0 {
			white = append(white, cell)
		} else {
			black = append(black, cell)
		}
	}
	return white, black
}

// ReadBarcode returns the number of the frame that a picture shows, with loss
// or without.
func ReadBarcode(f *pixel.Frame) (n uint16, ok bool) {
	if !Barcode.In(f.Rect()) {
		return 0, false
	}
	var code uint32
	for x := Barcode.Min.X + cellWidth/2; x < Barcode.Max.X; x += cellWidth {
		green := f.Pixel(x, Strip/2) >> 8 & 0xff
		code = code<<1 | green>>7
	}
	n = uint16(code >> checkBits)
	return n, uint8(code) == check(n)
}
