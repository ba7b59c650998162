package jpeg

import (
	"math/bits"
	"slices"
	"sync/atomic"
)

// zigzag gives for each place in a row by row block its place in zigzag order
// (T.81 figure A.6).
var zigzag = func() (z [64]uint8) {
	u, v := 0, 0
	for i := range z {
		z[8*v+u] = uint8(i)
		switch up := (u+v)%2 == 0; {
		case up && u == 7:
			v++
		case up && v == 0:
			u++
		case up:
			u, v = u+1, v-1
		case v == 7:
			u++
		case u == 0:
			v++
		default:
			u, v = u-1, v+1
		}
	}
	return z
}()

// quantisation has the steps for brightness and colour at quality 50, row by
// row (T.81 tables K.1 and K.2).
var quantisation = [2][64]uint8{
	{
		16, 11, 10, 16, 24, 40, 51, 61,
		12, 12, 14, 19, 26, 58, 60, 55,
		14, 13, 16, 24, 40, 57, 69, 56,
		14, 17, 22, 29, 51, 87, 80, 62,
		18, 22, 37, 56, 68, 109, 103, 77,
		24, 35, 55, 64, 81, 104, 113, 92,
		49, 64, 78, 87, 103, 121, 120, 101,
		72, 92, 95, 98, 112, 100, 103, 99,
	},
	{
		17, 18, 24, 47, 99, 99, 99, 99,
		18, 21, 26, 66, 99, 99, 99, 99,
		24, 26, 56, 99, 99, 99, 99, 99,
		47, 66, 99, 99, 99, 99, 99, 99,
		99, 99, 99, 99, 99, 99, 99, 99,
		99, 99, 99, 99, 99, 99, 99, 99,
		99, 99, 99, 99, 99, 99, 99, 99,
		99, 99, 99, 99, 99, 99, 99, 99,
	},
}

// tables are what a quality means for brightness and colour.
type tables struct {
	steps      [2][64]uint8 // in zigzag order
	quantisers [2]quantiser
}

// quantiser divides by multiplying: a coefficient x, which is dctScale times
// what it should be, becomes (|x|+half)*reciprocal>>16*shift>>16 with x's
// sign. The tables are in the order in which transform leaves the
// coefficients, column by column, and have each column twice, once for each
// block of a pair.
type quantiser struct {
	half, reciprocal, shift [2 * 64]uint16
}

// cache has the tables of each quality that was asked for.
var cache [101]atomic.Pointer[tables]

// tablesFor returns the tables of a quality 1 to 100.
func tablesFor(quality int) *tables {
	if t := cache[quality].Load(); t != nil {
		return t
	}
	t := new(tables)
	scale := 200 - 2*quality
	if quality < 50 {
		scale = 5000 / quality
	}
	for i := range quantisation {
		for at, base := range quantisation[i] {
			step := min(max((int(base)*scale+50)/100, 1), 255)
			t.steps[i][zigzag[at]] = uint8(step)
			t.quantisers[i].set(at%8, at/8, uint32(step))
		}
	}
	cache[quality].Store(t)
	return t
}

// set makes the quantiser divide the coefficient in column u and row v by step.
func (q *quantiser) set(u, v int, step uint32) {
	divisor := step * dctScale
	// The reciprocal shall have 16 significant bits.
	shift := bits.Len32(divisor-1) - 1
	reciprocal := (1<<(16+shift) + divisor - 1) / divisor
	for _, at := range [2]int{16*u + v, 16*u + 8 + v} {
		q.half[at] = uint16(divisor / 2)
		q.reciprocal[at] = uint16(reciprocal)
		q.shift[at] = uint16(1 << (16 - shift))
	}
}

// huffman has the codes of one class of components. A code is kept with the
// bits that follow it, shifted left by 8, over the number of all these bits.
type huffman struct {
	segments []byte // a DHT segment with the tables as they are sent
	// small codes run zero coefficients and one from -smallMax to smallMax-1
	// at run*2*smallMax + smallMax + coefficient. With a coefficient of zero
	// stand the codes for 16 zeros and for the end of the block.
	small [16 * 2 * smallMax]uint32
	// large has the code for run zeros and a coefficient of n bits, without
	// these bits, at 16*run + n.
	large [256]uint32
	// dc has the code for a difference of n bits, without these bits.
	dc [16]uint32
}

// smallMax bounds the coefficients with a code of their own: nearly all, and
// few enough for a processor's first cache.
const smallMax = 32

const (
	zeroRun    = 15*2*smallMax + smallMax // in huffman.small: 16 zeros
	endOfBlock = 0*2*smallMax + smallMax  // in huffman.small: only zeros follow
)

// huffmen has the tables of T.81 K.3 for brightness and colour. Of the AC
// tables' values the common ones are listed; the others follow in ascending
// order.
var huffmen = [2]huffman{
	newHuffman(0,
		[16]uint8{0, 1, 5, 1, 1, 1, 1, 1, 1},
		[16]uint8{0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125},
		"\x01\x02\x03\x00\x04\x11\x05\x12\x21\x31\x41\x06\x13\x51\x61\x07\x22\x71\x14\x32\x81\x91\xa1\x08"+
			"\x23\x42\xb1\xc1\x15\x52\xd1\xf0\x24\x33\x62\x72\x82"),
	newHuffman(1,
		[16]uint8{0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1},
		[16]uint8{0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 119},
		"\x00\x01\x02\x03\x11\x04\x05\x21\x31\x06\x12\x41\x51\x07\x61\x71\x13\x22\x32\x81\x08\x14\x42\x91"+
			"\xa1\xb1\xc1\x09\x23\x33\x52\xf0\x15\x62\x72\xd1\x0a\x16\x24\x34\xe1\x25\xf1"),
}

// newHuffman makes the tables number id from the number of codes of 1 to 16
// bits and the common values of AC coefficients.
func newHuffman(id byte, dcCounts, acCounts [16]uint8, common string) (h huffman) {
	dcValues := []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
	acValues := []byte(common)
	for v := range 256 {
		run, size := v>>4, v&0xf
		known := size >= 1 && size <= 10 || size == 0 && (run == 0 || run == 15)
		if known && !slices.Contains(acValues, byte(v)) {
			acValues = append(acValues, byte(v))
		}
	}
	h.segments = append(h.segments, 0xff, 0xc4, 0, byte(2+17+len(dcValues)+17+len(acValues)), id)
	h.segments = append(append(h.segments, dcCounts[:]...), dcValues...)
	h.segments = append(append(append(h.segments, 0x10|id), acCounts[:]...), acValues...)

	dc, ac := codes(dcCounts, dcValues), codes(acCounts, acValues)
	copy(h.dc[:], dc[:])
	h.large = ac
	for at := range h.small {
		run, v := at/(2*smallMax), at%(2*smallMax)-smallMax
		n, extra := magnitude(v)
		code := ac[16*run+int(n)]
		h.small[at] = (code>>8<<n|extra)<<8 | (code&0xff + uint32(n))
	}
	return h
}

// codes gives for each value its code, shifted left by 8, over its length
// (T.81 annex C).
func codes(counts [16]uint8, values []byte) (table [256]uint32) {
	code := uint32(0)
	for i, count := range counts {
		for range count {
			table[values[0]] = code<<8 | uint32(i+1)
			values = values[1:]
			code++
		}
		code <<= 1
	}
	return table
}

// magnitude returns how many bits v needs and these bits, as they follow its
// code (T.81 F.1.2.1).
func magnitude(v int) (n uint, extra uint32) {
	s := v >> (bits.UintSize - 1) // -1 for negative numbers
	n = uint(bits.Len32(uint32((v ^ s) - s)))
	return n, uint32(v+s) & (1<<n - 1)
}
