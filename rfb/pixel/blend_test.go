package pixel

import (
	"image"
	"testing"
)

func TestBlend(t *testing.T) {
	c := &Cursor{Width: 2, Height: 2, HotX: 1, HotY: 1, Pix: []uint32{
		0xffff0000, 0x00ffffff,
		0x80ffffff, 0x40000000,
	}}
	f := NewFrame(4, 4)
	f.Fill(f.Rect(), 0x102030)
	c.Blend(f, image.Pt(2, 2))
	for y, want := range [][]uint32{
		{0x102030, 0x102030, 0x102030, 0x102030},
		{0x102030, 0xff0000, 0x102030, 0x102030},
		{0x102030, 0x889098, 0x0c1824, 0x102030},
		{0x102030, 0x102030, 0x102030, 0x102030},
	} {
		if got := f.Row(y, 0, 4); !Same(got, want) {
			t.Errorf("row %d is %06x, want %06x", y, got, want)
		}
	}
}

// Wherever the pointer is, also outside, only what is inside is painted.
func TestBlendIsClipped(t *testing.T) {
	c := DefaultCursor()
	big := NewFrame(60, 60)
	for y := -30; y < 50; y++ {
		for x := -30; x < 50; x++ {
			f := NewFrame(20, 20)
			f.Fill(f.Rect(), 0x808080)
			c.Blend(f, image.Pt(x, y))
			big.Fill(big.Rect(), 0x808080)
			if x >= -20 && y >= -20 && x < 25 && y < 25 {
				c.Blend(big, image.Pt(x+20, y+20))
			}
			for row := range 20 {
				if !Same(f.Row(row, 0, 20), big.Row(20+row, 20, 40)) {
					t.Fatalf("pointer at (%d,%d): row %d differs", x, y, row)
				}
			}
		}
	}
}

func TestDefaultCursor(t *testing.T) {
	c := DefaultCursor()
	if len(c.Pix) != c.Width*c.Height || c.Pix[c.HotY*c.Width+c.HotX]>>24 != 0xff {
		t.Errorf("%dx%d with hot spot (%d,%d) has %d pixels", c.Width, c.Height, c.HotX, c.HotY, len(c.Pix))
	}
	for _, line := range arrow {
		if len(line) > c.Width {
			t.Errorf("%q is wider than the shape", line)
		}
	}
}
