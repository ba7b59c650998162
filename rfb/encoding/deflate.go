package encoding

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"sync"
)

// indexDeflater compresses rows of small numbers, the colours of drawings, as
// deflate blocks (RFC 1951). It knows what these are like: most of a row is
// one number over and over, or the row above, and letters come again. The
// general compressor takes twice as long to make them as short.
type indexDeflater struct {
	// recent has, by a hash of the four bytes there, the last place plus one
	// where they were seen.
	recent [1 << recentBits]uint16
	// tokens are literals, or matches with matchToken set: in bits 0 to 14 the
	// distance less one, in bits 16 to 24 the length.
	tokens []uint32
	// literals and distances count the symbols of the tokens.
	literals  [286]uint32
	distances [30]uint32

	literalCode, distanceCode prefixCode
	head                      blockHead
}

var indexDeflaters = sync.Pool{New: func() any { return new(indexDeflater) }}

const (
	recentBits = 13
	matchToken = 1 << 31
	// minMatch is the shortest match that is taken, longestMatch the longest
	// that there is.
	minMatch, longestMatch = 4, 258
	// lazyMatch: after a shorter match one at the next place is looked for,
	// which may be longer.
	lazyMatch = 8
	// longRun is how many equal bytes need no comparison with the row above,
	// and goodMatch the match that is not looked for elsewhere.
	longRun, goodMatch = 128, 32
	// blockBytes is the most that is made one block: places are numbers of 16
	// bits, and what is farther back than 32 KiB cannot be referred to.
	blockBytes = 1 << 15
)

// indexLevels are the general compressor's levels for numbers of colours, 0
// where they have their own compressor.
var indexLevels = levels{0, 0, 0, 0, 6, 6, 7, 7, 8, 9}

// compressIndices appends data, rows of width bytes, to b as deflate blocks that
// refer to nothing before them and end with a sync flush, as deflate does, at
// the level that the viewer asks for.
func compressIndices(b, data []byte, width int, compression int8) []byte {
	if level := indexLevels.of(compression); level > 0 {
		return deflate(b, data, level)
	}
	return deflateIndices(b, data, width)
}

// deflateIndices appends data, rows of width bytes, to b as deflate does.
func deflateIndices(b, data []byte, width int) []byte {
	d := indexDeflaters.Get().(*indexDeflater)
	defer indexDeflaters.Put(d)
	for block := range slices.Chunk(data, blockBytes) {
		d.parse(block, width)
		b = d.appendBlock(b)
	}
	return b
}

// parse makes tokens of data.
func (d *indexDeflater) parse(data []byte, width int) {
	clear(d.recent[:])
	clear(d.literals[:])
	clear(d.distances[:])
	d.tokens = slices.Grow(d.tokens[:0], len(data))[:len(data)]
	n, i, last := 0, 0, len(data)-8
	literal := func() {
		c := data[i]
		d.tokens[n] = uint32(c)
		d.literals[c]++
		n++
		i++
	}
	for i <= last {
		length, distance := d.find(data, i, width)
		if length < minMatch {
			literal()
			continue
		}
		if length < lazyMatch && i < last {
			if l, other := d.find(data, i+1, width); l > length {
				literal()
				length, distance = l, other
			}
		}
		d.tokens[n] = matchToken | uint32(length)<<16 | uint32(distance-1)
		d.literals[lengthSymbols[length]&0x1ff]++
		d.distances[distanceSymbol(uint32(distance-1))]++
		n++
		i += length
	}
	for i < len(data) {
		literal()
	}
	d.tokens = d.tokens[:n]
}

// find returns the best match that it finds for what is at i, which is eight
// bytes at least, and remembers these.
func (d *indexDeflater) find(data []byte, i, width int) (length, distance int) {
	here := binary.LittleEndian.Uint64(data[i:])
	if i > 0 {
		if x := here ^ binary.LittleEndian.Uint64(data[i-1:]); uint32(x) == 0 {
			length, distance = matchLength(data, i, i-1, x), 1
		}
	}
	if i >= width && length < longRun {
		if x := here ^ binary.LittleEndian.Uint64(data[i-width:]); uint32(x) == 0 {
			// A run's distance is shorter to write.
			if l := matchLength(data, i, i-width, x); l > length+1 {
				length, distance = l, width
			}
		}
	}
	h := uint32(here) * 0x9e3779b1 >> (32 - recentBits)
	if j := int(d.recent[h]) - 1; j >= 0 && length < goodMatch {
		if x := here ^ binary.LittleEndian.Uint64(data[j:]); uint32(x) == 0 {
			if l := matchLength(data, i, j, x); l > length {
				length, distance = l, i-j
			}
		}
	}
	d.recent[h] = uint16(i + 1)
	return length, distance
}

// matchLength returns how many bytes of data from i on are equal to those from
// j on, j before i, up to longestMatch. x is in what their first eight differ.
func matchLength(data []byte, i, j int, x uint64) int {
	if x != 0 {
		return bits.TrailingZeros64(x) >> 3
	}
	a := data[i+8:]
	a = a[:min(len(a), longestMatch-8)]
	b := data[j+8:][:len(a)]
	n := 8
	for len(a) >= 8 && len(b) >= 8 {
		if x := binary.LittleEndian.Uint64(a) ^ binary.LittleEndian.Uint64(b); x != 0 {
			return n + bits.TrailingZeros64(x)>>3
		}
		a, b, n = a[8:], b[8:], n+8
	}
	for k := range a {
		if a[k] != b[k] {
			break
		}
		n++
	}
	return n
}

// lengthSymbols has for each length of a match its symbol, from bit 16 on how
// many bits follow that, and from bit 20 on these.
var lengthSymbols = func() (s [longestMatch + 1]uint32) {
	length := 3
	for symbol := uint32(257); symbol < 285; symbol++ {
		extra := uint32(0)
		if symbol >= 265 {
			extra = (symbol - 261) / 4
		}
		for v := uint32(0); v < 1<<extra && length < longestMatch; v++ {
			s[length] = symbol | extra<<16 | v<<20
			length++
		}
	}
	s[longestMatch] = 285
	return s
}()

// distanceSymbol is the symbol of a distance, given less one.
func distanceSymbol(d uint32) uint32 {
	if d < 4 {
		return d
	}
	n := uint32(bits.Len32(d)) // the highest two bits count
	return 2*(n-1) + d>>(n-2)&1
}

// distanceExtra is how many bits follow the symbol of a distance.
func distanceExtra(symbol uint32) uint32 { return max(symbol/2, 1) - 1 }
