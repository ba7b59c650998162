package pixel

import "math/bits"

// packVectors is what the vector instructions need to know of a Converter to
// turn eight pixels at a time into bytes on the wire.
type packVectors struct {
	arithmetic arithmetic
	packTable
}

// packTable is laid out as convert_amd64.s reads it.
type packTable struct {
	// shuffle picks the bytes of four pixels out of their words; it is there
	// twice, as instructions work on 16 bytes.
	shuffle [32]byte
	// gather brings the words that are in use of both halves together.
	gather [8]uint32
	v      [4]vector
}

// unpackVectors is the same for the way back.
type unpackVectors struct {
	arithmetic arithmetic
	unpackTable
}

type unpackTable struct {
	shuffle [32]byte
	v       [12]vector
}

// vector is one register's worth of 32-bit words.
type vector [8]uint32

// arithmetic says what is to be reckoned between the words in memory and
// those on the wire.
type arithmetic uint8

const (
	// bytesOnly: nothing, bytes change places.
	bytesOnly arithmetic = iota
	// narrow: 16-bit products will do, for pixels of one or two bytes.
	narrow
	// wide: 32-bit products, for every legal format.
	wide
)

// none is a byte of a shuffle that comes out as zero.
const none = 0x80

// fill sets all words of the vector.
func (v *vector) fill(w uint32) {
	for i := range v {
		v[i] = w
	}
}

// halves sets all words to a low and a high half.
func (v *vector) halves(low, high uint32) { v.fill(low | high<<16) }

// newPackVectors returns the constants for c.
func newPackVectors(c *Converter) *packVectors {
	p := &packVectors{arithmetic: bytesOnly}
	from := c.wireBytes()
	for i := range p.shuffle {
		p.shuffle[i] = none
	}
	for px := range 4 {
		for i := range c.size {
			if from[i] != none {
				at := px*c.size + i
				p.shuffle[at] = byte(4*px) + from[i]
				p.shuffle[16+at] = p.shuffle[at]
			}
		}
	}
	for i := range p.gather {
		p.gather[i] = uint32(i % 4)
	}
	for i := range c.size {
		p.gather[c.size+i] = uint32(4 + i)
	}
	if c.kind != kindTable {
		return p
	}
	r, g, b := &c.tables.comps[0], &c.tables.comps[1], &c.tables.comps[2]
	if c.size <= 2 && max(r.max, g.max, b.max) < 1<<7 {
		p.arithmetic = narrow
		// With a half added, the products are floor((v*max+127)/255) in nine
		// binary places for each of the few values that there are.
		factor := func(c *component) uint32 { return c.max << 17 / 255 }
		p.v[0].halves(factor(b), factor(r))
		p.v[1].halves(factor(g), 0)
		p.v[2].halves(1<<b.shift, 1<<r.shift)
		p.v[3].halves(1<<g.shift, 0)
		return p
	}
	p.arithmetic = wide
	for i, comp := range []*component{r, g, b} {
		p.v[i].fill(uint32((uint64(comp.max)<<16 + 254) / 255))
		p.v[3][2*i] = uint32(comp.shift)
	}
	return p
}

// newUnpackVectors returns the constants for c.
func newUnpackVectors(c *Converter) *unpackVectors {
	u := &unpackVectors{arithmetic: bytesOnly}
	from := c.wireBytes()
	for i := range u.shuffle {
		u.shuffle[i] = none
	}
	for px := range 4 {
		for i := range c.size {
			if from[i] != none {
				at := 4*px + int(from[i])
				u.shuffle[at] = byte(px*c.size + i)
				u.shuffle[16+at] = u.shuffle[at]
			}
		}
	}
	if c.kind != kindTable {
		return u
	}
	comps := &c.tables.comps
	if c.size <= 2 && max(comps[0].max, comps[1].max, comps[2].max) < 1<<8 {
		u.arithmetic = narrow
		for i := range u.shuffle { // the pixel in the upper half as well
			if i%4 >= 2 {
				u.shuffle[i] = u.shuffle[i-2]
			}
		}
		up := func(c *component) uint32 { return 1 << (16 - bits.Len32(c.max) - int(c.shift)) }
		keep := func(c *component) uint32 { return c.max << (16 - bits.Len32(c.max)) }
		// As above, in seven binary places.
		factor := func(c *component) uint32 { return 255 << (bits.Len32(c.max) + 7) / c.max }
		for i, f := range []func(*component) uint32{up, keep, factor} {
			u.v[2*i].halves(f(&comps[2]), f(&comps[0]))
			u.v[2*i+1].halves(f(&comps[1]), 0)
		}
		return u
	}
	u.arithmetic = wide
	for i := range comps {
		most, n := comps[i].max, uint32(bits.Len32(comps[i].max))
		// x/most for most = 2^n-1 is (x + 1 + (x+1)>>n) >> n, for x of up to
		// 2n bits; for less than eight, a product in 16 binary places.
		factor, add, by := uint32(255), most/2+1, n
		if n < 8 {
			factor, add, by = (255<<16+most-1)/most, (most/2<<16+most-1)/most, 16
			n = 32 // nothing
		}
		v := u.v[4*i:]
		v[0][0], v[0][2], v[0][4] = uint32(comps[i].shift), n, by
		v[1].fill(most)
		v[2].fill(factor)
		v[3].fill(add)
	}
	return u
}

// wireBytes returns which byte of the word that is reckoned with each byte of
// the wire is, lowest first: of the word in memory where bytes only change
// places, else of the pixel's value.
func (c *Converter) wireBytes() [4]byte {
	from := [4]byte{none, none, none, none}
	if c.kind != kindTable {
		for i, s := range c.shift {
			from[s/8] = byte(2 - i)
		}
		return from
	}
	for i := range 4 {
		for j := range c.size {
			if c.order(0xff<<(8*i)) == 0xff<<(8*j) {
				from[j] = byte(i)
			}
		}
	}
	return from
}

// maskVectors drop the pad bytes and change nothing else.
var maskVectors = NewConverter(RGB888).vunpack
