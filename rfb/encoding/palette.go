package encoding

import (
	"encoding/binary"
	"math/bits"

	"github.com/ironglass/ironglass/rfb/pixel"
)

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
	edges []uint64 // of the present row
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

// key is what a slot with colour c holds, less its number.
func (p *palette) key(c uint32) uint64 { return uint64(p.gen)<<32 | uint64(c)<<8 }

// paletteSlot is the slot where colour c is sought first.
func paletteSlot(c uint32) uint32 { return (c * 0x9e3779b1) >> (32 - paletteBits) }

// number returns the number of colour c, which it adds where it is new, or -1
// where there would be more than most colours, at most 256.
func (p *palette) number(c uint32, most int) int {
	key := p.key(c)
	for h := paletteSlot(c); ; h = (h + 1) % paletteSlots {
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

// indexSlack is how many bytes after a row indexRow may write.
const indexSlack = 8

// indexRow writes the numbers of the row's colours to dst, which is longer by
// indexSlack, and reports whether they are no more than most.
func (p *palette) indexRow(dst []byte, row []uint32, most int) bool {
	if words := len(row)/64 + 1; len(p.edges) < words {
		p.edges = make([]uint64, words)
	}
	edges := p.edges[:len(row)/64+1]
	pixel.FindEdges(edges, row)
	if len(row) > 0 { // the end is one too
		edges[(len(row)-1)/64] |= 1 << ((len(row) - 1) % 64)
	}
	x := 0
	for word, bits64 := range edges {
		for ; bits64 != 0; bits64 &= bits64 - 1 {
			end := word*64 + bits.TrailingZeros64(bits64) + 1
			c := row[x]
			var n int
			if s := p.slots[paletteSlot(c)]; s&^0xff == p.key(c) {
				n = int(s & 0xff)
			} else if n = p.number(c, most); n < 0 {
				return false
			}
			// Eight at a time, of which the next ones overwrite what is too
			// much.
			for v := uint64(n) * 0x0101010101010101; x < end; x += 8 {
				binary.LittleEndian.PutUint64(dst[x:], v)
			}
			x = end
		}
	}
	return true
}
