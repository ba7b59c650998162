package encoding

import (
	"encoding/binary"
	"slices"
)

// endOfBlock is the symbol after the last token of a block.
const endOfBlock = 256

// Longest codes of deflate's alphabets, the last that of the codes' lengths.
const (
	longestCode       = 15
	longestLengthCode = 7
)

// fixedLiterals and fixedDistances are the codes of blocks that have none of
// their own (RFC 1951, 3.2.6).
var fixedLiterals, fixedDistances = func() (l, d prefixCode) {
	for i := range l {
		switch {
		case i < 144:
			l[i] = 8
		case i < 256:
			l[i] = 9
		case i < 280:
			l[i] = 7
		default:
			l[i] = 8
		}
	}
	for i := range 32 {
		d[i] = 5
	}
	l.assign(len(l))
	d.assign(32)
	return l, d
}()

// appendBlock appends the tokens as one block, and an empty stored one, which
// ends at a whole byte: a sync flush.
func (d *indexDeflater) appendBlock(b []byte) []byte {
	d.literals[endOfBlock] = 1
	d.literalCode.build(d.literals[:], longestCode)
	d.distanceCode.build(d.distances[:], longestCode)
	d.head.make(&d.literalCode, &d.distanceCode)
	// A token takes 48 bits at the most, a head less than 512 bytes.
	b = slices.Grow(b, 6*len(d.tokens)+512)
	w := bitWriter{b: b[:cap(b)], n: len(b)}
	literals, distances := &d.literalCode, &d.distanceCode
	if d.size(literals, distances)+d.head.size() < d.size(&fixedLiterals, &fixedDistances) {
		w.put(2<<1, 3) // not the last, codes of its own
		d.head.write(&w)
	} else {
		w.put(1<<1, 3) // not the last, fixed codes
		literals, distances = &fixedLiterals, &fixedDistances
	}
	d.write(&w, literals, distances)
	w.put(0, 3) // not the last, stored
	return append(w.end(), 0, 0, 0xff, 0xff)
}

// size is how many bits the tokens take, without the bits that follow symbols,
// which are the same whatever the code.
func (d *indexDeflater) size(literals, distances *prefixCode) (n uint32) {
	for symbol, count := range d.literals {
		n += count * literals.length(symbol)
	}
	for symbol, count := range d.distances {
		n += count * distances.length(symbol)
	}
	return n
}

// write writes the tokens and the end of the block.
func (d *indexDeflater) write(w *bitWriter, literals, distances *prefixCode) {
	b, n, acc, has := w.b, w.n, w.acc, w.has
	for _, t := range d.tokens {
		if has >= 32 {
			binary.LittleEndian.PutUint32(b[n:], uint32(acc))
			n += 4
			acc >>= 32
			has -= 32
		}
		if t&matchToken == 0 {
			c := literals[t&0xff]
			acc |= uint64(c>>4) << (has & 63)
			has += uint(c & 15)
			continue
		}
		// 15 bits and 5 at the most.
		l := lengthSymbols[t>>16&0x1ff]
		c := literals[l&0xffff]
		acc |= uint64(c>>4|l>>20<<(c&15)) << (has & 63)
		has += uint(c&15 + l>>16&15)
		if has >= 32 {
			binary.LittleEndian.PutUint32(b[n:], uint32(acc))
			n += 4
			acc >>= 32
			has -= 32
		}
		// 15 bits and 13 at the most.
		distance := t & 0x7fff
		s := distanceSymbol(distance)
		c = distances[s]
		extra := distanceExtra(s)
		acc |= uint64(c>>4|distance&(1<<extra-1)<<(c&15)) << (has & 63)
		has += uint(c&15 + extra)
	}
	w.b, w.n, w.acc, w.has = b, n, acc, has
	w.flush()
	c := literals[endOfBlock]
	w.put(c>>4, uint(c&15))
}

// blockHead is what comes before the tokens of a block with codes of its own
// (RFC 1951, 3.2.7): the lengths of these codes.
type blockHead struct {
	literals, distances int // how many have a length
	// list has the lengths, and the symbols 16 to 18 for repeated ones with
	// the bits that follow them from bit 5 on.
	list   []uint16
	counts [19]uint32
	code   prefixCode // of list
	last   int        // how many of list's code have a length, in lengthOrder
}

// lengthOrder is the order in which the lengths of the codes for lengths are
// written, and lengthExtra how many bits follow each.
var (
	lengthOrder = [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}
	lengthExtra = [19]uint8{16: 2, 17: 3, 18: 7}
)

func (h *blockHead) make(literals, distances *prefixCode) {
	h.literals, h.distances = 286, 30
	for literals.length(h.literals-1) == 0 {
		h.literals--
	}
	for h.distances > 1 && distances.length(h.distances-1) == 0 {
		h.distances--
	}
	var lengths [286 + 30]uint8
	for i := range h.literals {
		lengths[i] = uint8(literals.length(i))
	}
	for i := range h.distances {
		lengths[h.literals+i] = uint8(distances.length(i))
	}
	h.list = h.list[:0]
	clear(h.counts[:])
	for rest := lengths[:h.literals+h.distances]; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n] == rest[0] {
			n++
		}
		h.run(uint16(rest[0]), n)
		rest = rest[n:]
	}
	h.code.build(h.counts[:], longestLengthCode)
	h.last = len(lengthOrder)
	for h.last > 4 && h.code.length(int(lengthOrder[h.last-1])) == 0 {
		h.last--
	}
}

// run adds n times the length v.
func (h *blockHead) run(v uint16, n int) {
	add := func(symbol uint16, extra int) {
		h.list = append(h.list, symbol|uint16(extra)<<5)
		h.counts[symbol]++
	}
	if v != 0 {
		add(v, 0)
		n--
	}
	for n > 0 {
		k := 1
		switch {
		case n < 3:
			add(v, 0)
		case v != 0:
			k = min(n, 6)
			add(16, k-3)
		case n < 11:
			k = n
			add(17, k-3)
		default:
			k = min(n, 138)
			add(18, k-11)
		}
		n -= k
	}
}

// size is how many bits the head takes.
func (h *blockHead) size() uint32 {
	n := uint32(5 + 5 + 4 + 3*h.last)
	for symbol, count := range h.counts {
		n += count * (h.code.length(symbol) + uint32(lengthExtra[symbol]))
	}
	return n
}

func (h *blockHead) write(w *bitWriter) {
	w.put(uint32(h.literals-257), 5)
	w.put(uint32(h.distances-1), 5)
	w.put(uint32(h.last-4), 4)
	for _, symbol := range lengthOrder[:h.last] {
		w.put(h.code.length(int(symbol)), 3)
	}
	for _, l := range h.list {
		c := h.code[l&31]
		w.put(c>>4, uint(c&15))
		w.put(uint32(l>>5), uint(lengthExtra[l&31]))
	}
}

// bitWriter writes bits, the first lowest.
type bitWriter struct {
	b   []byte // up to its capacity
	n   int    // bytes written
	acc uint64
	has uint // bits in acc, less than 32 between calls
}

// put writes the lowest n bits of v, 32 at the most, which has no others.
func (w *bitWriter) put(v uint32, n uint) {
	w.acc |= uint64(v) << w.has
	w.has += n
	w.flush()
}

// flush writes 32 bits where there are so many.
func (w *bitWriter) flush() {
	if w.has >= 32 {
		binary.LittleEndian.PutUint32(w.b[w.n:], uint32(w.acc))
		w.n += 4
		w.acc >>= 32
		w.has -= 32
	}
}

// end writes what is left and returns everything.
func (w *bitWriter) end() []byte {
	binary.LittleEndian.PutUint32(w.b[w.n:], uint32(w.acc))
	return w.b[:w.n+int(w.has+7)/8]
}
