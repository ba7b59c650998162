package jpeg

import (
	"math/bits"
	"slices"
	"sync"

	"github.com/ironglass/ironglass/rfb/huffman"
)

// symbols keeps what is to be coded until all of it is known, so that a picture
// has Huffman tables of its own. Those that others use (T.81 K.3) take 420
// bytes, more than all else in many a rectangle, and were made for other
// pictures: a photograph of 256x64 pixels is 10 to 37 % larger with them, and
// one of a whole screen 2 to 20 %.
type symbols struct {
	// list has the symbols in their order: in bits 0 to 7 a symbol, in bits 8
	// and 9 its table, twice the class of components and one more for AC
	// coefficients, and from bit 16 on the bits that follow its code, as many
	// as bits 0 to 3 say.
	list []uint32
	// counts says how often each occurs, by bits 0 to 9.
	counts [4 * 256]uint32
	// codes has their codes, shifted left by 8, over the codes' length.
	codes [4 * 256]uint32
}

var symbolsPool = sync.Pool{New: func() any { return new(symbols) }}

// keptSymbols is how long a list may be to be kept for the next picture: that
// of a whole screen, unless it is noise.
const keptSymbols = 1 << 20

func newSymbols() *symbols {
	s := symbolsPool.Get().(*symbols)
	s.list = s.list[:0]
	clear(s.counts[:])
	return s
}

func (s *symbols) free() {
	if cap(s.list) > keptSymbols {
		s.list = nil
	}
	symbolsPool.Put(s)
}

// reserve takes memory for another step.
func (s *symbols) reserve() { s.list = slices.Grow(s.list, 6*(64+1)) }

// smallMax bounds the coefficients whose bits are looked up: nearly all.
const smallMax = 32

// magnitudes has the bits of the numbers from -smallMax on and how many they
// are, as in a symbol.
var magnitudes = func() (m [2 * smallMax]uint32) {
	for i := range m {
		size, extra := magnitude(i - smallMax)
		m[i] = extra<<16 | uint32(size)
	}
	return m
}()

// block adds the coefficients c of a block of a class of components, 0 for
// brightness and 1 for colour. It has a bit in nonzero for each that is not
// zero, and comes after one whose first was dc. It returns its own first.
func (s *symbols) block(c *[64]int16, nonzero uint64, dc int, class uint32) int {
	first := int(c[0])
	size, extra := magnitude(first - dc)
	list, n := s.list[:cap(s.list)], len(s.list)
	table := class << 9
	list[n] = extra<<16 | table | uint32(size)
	n++
	s.counts[(table|uint32(size))%uint32(len(s.counts))]++

	table |= 1 << 8
	last := 0
	for nonzero &^= 1; nonzero != 0; nonzero &= nonzero - 1 {
		at := bits.TrailingZeros64(nonzero)
		run := at - last - 1
		last = at
		for ; run > 15; run -= 16 {
			list[n] = table | 0xf0
			n++
			s.counts[(table|0xf0)%uint32(len(s.counts))]++
		}
		v := int(c[at&63])
		symbol := table | uint32(run)<<4
		if small := uint(v + smallMax); small < 2*smallMax {
			symbol |= magnitudes[small]
		} else {
			size, extra := magnitude(v)
			symbol |= extra<<16 | uint32(size)
		}
		list[n] = symbol
		n++
		s.counts[symbol%uint32(len(s.counts))]++
	}
	if last != 63 {
		list[n] = table
		n++
		s.counts[table%uint32(len(s.counts))]++
	}
	s.list = list[:n]
	return first
}

// appendTables makes the codes of the first tables, and appends these to b as a
// DHT segment has them (T.81 B.2.4.2).
func (s *symbols) appendTables(b []byte, tables int) []byte {
	for i := range tables {
		var order [256]uint64 // symbols below how often they occur, the rarest first
		n := 0
		for v, count := range s.counts[256*i:][:256] {
			if count > 0 {
				order[n] = uint64(count)<<8 | uint64(v)
				n++
			}
		}
		slices.Sort(order[:n])
		lengths := codeLengths(order[:n])
		var values [256]byte
		for at, o := range order[:n] {
			values[n-1-at] = byte(o)
		}
		table := codes(lengths, values[:n])
		copy(s.codes[256*i:], table[:])
		b = append(b, byte(i%2<<4|i/2))
		b = append(append(b, lengths[:]...), values[:n]...)
	}
	return b
}

// codeLengths returns how many codes of 1 to 16 bits code symbols shortest
// that occur as often as order says in its bits from 8 on, the rarest first.
func codeLengths(order []uint64) (lengths [16]uint8) {
	// No code may be all ones, so one more symbol takes that one.
	var weights [257]uint64
	weights[0] = 1
	for i, o := range order {
		weights[i+1] = o >> 8
	}
	counts := huffman.Lengths(weights[:len(order)+1], len(lengths))
	longest := len(lengths)
	for counts[longest] == 0 {
		longest--
	}
	counts[longest]-- // the one of ones
	for i := range lengths {
		lengths[i] = uint8(counts[i+1])
	}
	return lengths
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

// write writes all symbols with the codes that appendTables has made.
func (s *symbols) write(w *bitWriter) {
	for chunk := range slices.Chunk(s.list, chunkSymbols) {
		w.reserve()
		acc, free := w.acc, w.free
		for _, symbol := range chunk {
			e := s.codes[symbol%uint32(len(s.codes))]
			size := symbol & 15
			n := int(e&0xff + size)
			word := uint64(e>>8)<<size | uint64(symbol>>16)
			if free -= n; free < 0 {
				w.flush(acc<<uint((n+free)&63) | word>>uint(-free&63))
				acc = word
				free += 64
				continue
			}
			acc = acc<<uint(n&63) | word
		}
		w.acc, w.free = acc, free
	}
}
