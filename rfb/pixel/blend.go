package pixel

import "image"

// Blend paints the shape into dst with its hot spot at the given point,
// clipped to the frame.
func (c *Cursor) Blend(dst *Frame, at image.Point) {
	origin := at.Sub(image.Pt(c.HotX, c.HotY))
	r := image.Rect(0, 0, c.Width, c.Height).Add(origin).Intersect(dst.Rect())
	for y := r.Min.Y; y < r.Max.Y; y++ {
		d := dst.Row(y, r.Min.X, r.Max.X)
		s := c.Pix[(y-origin.Y)*c.Width+r.Min.X-origin.X:]
		for x := range d {
			d[x] = over(s[x], d[x])
		}
	}
}

// over is colour s of alpha s>>24 laid over the opaque colour d.
func over(s, d uint32) uint32 {
	switch a := s >> 24; a {
	case 0:
		return d
	case 255:
		return s & Mask
	default:
		mix := func(shift uint) uint32 {
			return ((s>>shift&0xff)*a + (d>>shift&0xff)*(255-a) + 127) / 255 << shift
		}
		return mix(16) | mix(8) | mix(0)
	}
}

// arrow is the default pointer: # is black, . is white, the rest is clear.
var arrow = [...]string{
	"#",
	"##",
	"#.#",
	"#..#",
	"#...#",
	"#....#",
	"#.....#",
	"#......#",
	"#.......#",
	"#........#",
	"#.....#####",
	"#..#..#",
	"#.# #..#",
	"##  #..#",
	"#    #..#",
	"     #..#",
	"      ##",
}

// DefaultCursor returns a plain arrow, for viewers while the display's own
// shape is not known. Its hot spot is its upper left pixel.
func DefaultCursor() *Cursor {
	c := &Cursor{Width: 11, Height: len(arrow)}
	c.Pix = make([]uint32, c.Width*c.Height)
	for y, line := range arrow {
		for x, ch := range line {
			switch ch {
			case '#':
				c.Pix[y*c.Width+x] = 0xff000000
			case '.':
				c.Pix[y*c.Width+x] = 0xffffffff
			}
		}
	}
	return c
}
