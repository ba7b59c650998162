package notice

import (
	"encoding/binary"
	"image"

	"golang.org/x/image/vector"
)

// trueType reads glyphs from the data of one of the built-in fonts. It keeps
// nothing but slices of that data, which is part of the program: a font costs
// no memory while nothing is painted, and little while something is. It knows
// as much of the format as these fonts use (a format 4 character map, outlines
// of quadratic curves, glyphs made of others that are only shifted), and takes
// their data as correct; a test draws every glyph of them.
//
// Field names are those of the OpenType specification.
type trueType struct {
	cmap, glyf, loca, hmtx []byte

	unitsPerEm       int
	ascender         int // above the base line, in font units
	descender        int // below it, negative
	numberOfHMetrics int
	longLoca         bool
}

// point is a place on or off an outline, in font units with y upwards.
type point struct {
	x, y int
	on   bool
}

func be16(b []byte, at int) int { return int(binary.BigEndian.Uint16(b[at:])) }
func be16s(b []byte, at int) int {
	return int(int16(binary.BigEndian.Uint16(b[at:])))
}
func be32(b []byte, at int) int { return int(binary.BigEndian.Uint32(b[at:])) }

func openTrueType(data []byte) trueType {
	var f trueType
	for i := range be16(data, 4) {
		record := data[12+16*i:]
		table := data[be32(record, 8):][:be32(record, 12)]
		switch string(record[:4]) {
		case "cmap":
			f.cmap = unicodeMap(table)
		case "glyf":
			f.glyf = table
		case "loca":
			f.loca = table
		case "hmtx":
			f.hmtx = table
		case "head":
			f.unitsPerEm = be16(table, 18)
			f.longLoca = be16(table, 50) != 0
		case "hhea":
			f.ascender, f.descender = be16s(table, 4), be16s(table, 6)
			f.numberOfHMetrics = be16(table, 34)
		}
	}
	return f
}

// unicodeMap returns the format 4 subtable for Windows (3) and Unicode's basic
// plane (1).
func unicodeMap(cmap []byte) []byte {
	for i := range be16(cmap, 2) {
		if record := cmap[4+8*i:]; be16(record, 0) == 3 && be16(record, 2) == 1 {
			return cmap[be32(record, 4):]
		}
	}
	return nil
}

// glyph is the index of r's glyph, 0 where the font has none.
func (f *trueType) glyph(r rune) int {
	if r > 0xffff {
		return 0
	}
	c := int(r)
	segX2 := be16(f.cmap, 6)
	endCode := f.cmap[14:]
	startCode := f.cmap[16+segX2:]
	idDelta := f.cmap[16+2*segX2:]
	idRangeOffset := f.cmap[16+3*segX2:]
	for i := 0; i < segX2; i += 2 {
		if c > be16(endCode, i) {
			continue
		}
		start := be16(startCode, i)
		if c < start {
			return 0
		}
		g, offset := c, be16(idRangeOffset, i)
		if offset != 0 {
			if g = be16(idRangeOffset, i+offset+2*(c-start)); g == 0 {
				return 0
			}
		}
		return (g + be16(idDelta, i)) & 0xffff
	}
	return 0
}

// advance is how far a glyph moves the pen on, in font units.
func (f *trueType) advance(glyph int) int {
	return be16(f.hmtx, 4*min(glyph, f.numberOfHMetrics-1))
}

// data is a glyph's entry in the glyf table, empty for a space.
func (f *trueType) data(glyph int) []byte {
	if f.longLoca {
		return f.glyf[be32(f.loca, 4*glyph):be32(f.loca, 4*glyph+4)]
	}
	return f.glyf[2*be16(f.loca, 2*glyph) : 2*be16(f.loca, 2*glyph+2)]
}

// outline calls contour with each closed curve of a glyph moved by (dx, dy).
// The points are valid until contour returns.
func (f *trueType) outline(glyph, dx, dy int, contour func([]point)) {
	d := f.data(glyph)
	if len(d) == 0 {
		return
	}
	if n := be16s(d, 0); n >= 0 {
		simpleOutline(d, n, dx, dy, contour)
		return
	}
	const words, offsets, more, scaled = 1 << 0, 1 << 1, 1 << 5, 1<<3 | 1<<6 | 1<<7
	for d, flags := d[10:], more; flags&more != 0; {
		flags = be16(d, 0)
		if flags&offsets == 0 || flags&scaled != 0 {
			panic("built-in font: a compound glyph that does more than shift its parts")
		}
		part := be16(d, 2)
		if flags&words != 0 {
			f.outline(part, dx+be16s(d, 4), dy+be16s(d, 6), contour)
			d = d[8:]
		} else {
			f.outline(part, dx+int(int8(d[4])), dy+int(int8(d[5])), contour)
			d = d[6:]
		}
	}
}

func simpleOutline(d []byte, contours, dx, dy int, contour func([]point)) {
	if contours == 0 {
		return
	}
	ends := d[10:]
	n := be16(ends, 2*contours-2) + 1
	d = ends[2*contours:]
	d = d[2+be16(d, 0):] // past the instructions

	const onCurve, xShort, yShort, repeat, xSame, ySame = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 5
	flags := make([]byte, 0, n)
	for len(flags) < n {
		flag := d[0]
		d = d[1:]
		flags = append(flags, flag)
		if flag&repeat != 0 {
			for range d[0] {
				flags = append(flags, flag)
			}
			d = d[1:]
		}
	}
	// coordinate reads one, relative to the one before it.
	coordinate := func(short, same bool) (v int) {
		switch {
		case short && same:
			v, d = int(d[0]), d[1:]
		case short:
			v, d = -int(d[0]), d[1:]
		case !same:
			v, d = be16s(d, 0), d[2:]
		}
		return v
	}
	points := make([]point, n)
	for i, flag := range flags {
		dx += coordinate(flag&xShort != 0, flag&xSame != 0)
		points[i].x, points[i].on = dx, flag&onCurve != 0
	}
	for i, flag := range flags {
		dy += coordinate(flag&yShort != 0, flag&ySame != 0)
		points[i].y = dy
	}
	start := 0
	for i := range contours {
		end := be16(ends, 2*i) + 1
		contour(points[start:end])
		start = end
	}
}

// render draws a glyph into z at scale pixels per font unit, with its origin
// at (x, y) of z. The glyph's bounds must lie inside z.
func (f *trueType) render(z *vector.Rasterizer, glyph int, scale, x, y float32) {
	at := func(p point) (float32, float32) { return x + float32(p.x)*scale, y - float32(p.y)*scale }
	between := func(a, b point) (float32, float32) {
		ax, ay := at(a)
		bx, by := at(b)
		return (ax + bx) / 2, (ay + by) / 2
	}
	f.outline(glyph, 0, 0, func(ps []point) {
		// A point off the outline bends it; between two of those lies a point
		// on it that is not written down. Start at one that is on it.
		last := ps[len(ps)-1]
		startX, startY := at(last)
		switch {
		case last.on:
		case ps[0].on:
			startX, startY = at(ps[0])
		default:
			startX, startY = between(last, ps[0])
		}
		z.MoveTo(startX, startY)
		for i, p := range ps {
			px, py := at(p)
			lx, ly := at(last)
			switch {
			case i == 0 && !last.on: // the start is this point, or before it
			case p.on && last.on:
				z.LineTo(px, py)
			case p.on:
				z.QuadTo(lx, ly, px, py)
			case !last.on:
				mx, my := between(last, p)
				z.QuadTo(lx, ly, mx, my)
			}
			last = p
		}
		if !last.on {
			lx, ly := at(last)
			z.QuadTo(lx, ly, startX, startY)
		}
	})
}

// bounds is the glyph's box in font units, y downwards from the base line.
func (f *trueType) bounds(glyph int) image.Rectangle {
	d := f.data(glyph)
	if len(d) == 0 {
		return image.Rectangle{}
	}
	return image.Rect(be16s(d, 2), -be16s(d, 8), be16s(d, 6), -be16s(d, 4))
}
