package encoding

import (
	"math/bits"

	"github.com/ironglass/ironglass/rfb/huffman"
)

// prefixCode is a Huffman code as deflate has them (RFC 1951, 3.2.2): of each
// symbol the code, its first bit lowest, over its length in the lowest four
// bits. Length 0 is that of symbols that do not occur.
type prefixCode [288]uint32

func (c *prefixCode) length(symbol int) uint32 { return c[symbol] & 15 }

// build makes c the shortest code for symbols that occur as often as counts
// says, 1<<16 times at the most, of codes no longer than longest. Where only
// one occurs, or none, there is a code of one bit all the same.
func (c *prefixCode) build(counts []uint32, longest int) {
	var order [len(c)]uint32 // symbols, and from bit 9 on how often they occur, the rarest first
	n := 0
	for symbol, count := range counts {
		c[symbol] = 0
		if count > 0 {
			order[n] = count<<9 | uint32(symbol)
			n++
		}
	}
	if n < 2 {
		c[order[0]&0x1ff] = 1 // 0 where there is none
		return
	}
	sortByCount(order[:n])
	var weights [len(c)]uint64
	for i, o := range order[:n] {
		weights[i] = uint64(o >> 9)
	}
	lengths := huffman.Lengths(weights[:n], longest)
	at := 0
	for length := longest; length > 0; length-- {
		for range lengths[length] {
			c[order[at]&0x1ff] = uint32(length)
			at++
		}
	}
	c.assign(len(counts))
}

// assign gives the first symbols their codes, whose lengths they have: of one
// length, codes go up with the symbols.
func (c *prefixCode) assign(symbols int) {
	var lengths, next [longestCode + 1]uint32
	for _, length := range c[:symbols] {
		lengths[length]++
	}
	code := uint32(0)
	for length := 1; length <= longestCode; length++ {
		next[length] = code
		code = (code + lengths[length]) << 1
	}
	for symbol, length := range c[:symbols] {
		if length > 0 {
			c[symbol] |= uint32(bits.Reverse16(uint16(next[length]))) >> (16 - length) << 4
			next[length]++
		}
	}
}

// fewSymbols is up to how many are sorted fastest one by one.
const fewSymbols = 32

// sortByCount sorts by the 17 bits from bit 9 on. Equal ones keep their order.
func sortByCount(order []uint32) {
	if len(order) <= fewSymbols {
		for i := 1; i < len(order); i++ {
			o, k := order[i], i
			for ; k > 0 && order[k-1]>>9 > o>>9; k-- {
				order[k] = order[k-1]
			}
			order[k] = o
		}
		return
	}
	var other [len(prefixCode{})]uint32
	const digit = 9
	from, to := order, other[:len(order)]
	for shift := 9; shift < 9+2*digit; shift += digit {
		var at [1 << digit]uint16
		for _, o := range from {
			at[o>>shift%(1<<digit)]++
		}
		sum := uint16(0)
		for i, n := range at {
			at[i] = sum
			sum += n
		}
		for _, o := range from {
			k := o >> shift % (1 << digit)
			to[at[k]] = o
			at[k]++
		}
		from, to = to, from
	}
}
