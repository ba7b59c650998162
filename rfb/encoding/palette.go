package encoding

// palette numbers the colours of an area in the order of their first
// appearance.
type palette struct {
	colours [256]uint32
	n       int
	// slots is a hash table with open addressing. A slot holds the present
	// generation, the colour and its number; slots of other generations are
	// empty, so that clearing the table is one addition.
	slots [paletteSlots]uint64
	gen   uint32
}

const (
	paletteBits  = 10
	paletteSlots = 1 << paletteBits // four times the colours at the most
)

// reset makes the palette empty.
func (p *palette) reset() {
	p.n = 0
	p.gen++
	if p.gen == 0 { // after four thousand million areas
		clear(p.slots[:])
		p.gen = 1
	}
}

// number returns the number of colour c, which it adds where it is new, or -1
// where there would be more than most colours, at most 256.
func (p *palette) number(c uint32, most int) int {
	key := uint64(p.gen)<<32 | uint64(c)<<8
	for h := (c * 0x9e3779b1) >> (32 - paletteBits); ; h = (h + 1) % paletteSlots {
		switch s := p.slots[h]; {
		case s&^0xff == key:
			return int(s & 0xff)
		case uint32(s>>32) != p.gen:
			if p.n == most {
				return -1
			}
			p.slots[h] = key | uint64(p.n)
			p.colours[p.n] = c
			p.n++
			return p.n - 1
		}
	}
}

// indexRow writes the numbers of the row's colours to dst, which is as long,
// and reports whether they are no more than most.
func (p *palette) indexRow(dst []byte, row []uint32, most int) bool {
	// Neighbours are mostly alike, and text goes to and fro between two
	// colours: the two last ones need no look-up.
	var a, b uint32
	var ai, bi byte
	if len(row) == 0 {
		return true
	}
	a = ^row[0]
	b = a
	dst = dst[:len(row)]
	for x, c := range row {
		if c != a {
			if c != b {
				n := p.number(c, most)
				if n < 0 {
					return false
				}
				b, bi = c, byte(n)
			}
			a, b, ai, bi = b, a, bi, ai
		}
		dst[x] = ai
	}
	return true
}
